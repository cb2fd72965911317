//! "Did you mean": the nearest of the names that would have been right.

/// Returns the nearest name, if one is near enough to be meant.
///
/// Near is a Damerau–Levenshtein distance of at most a third of the longer word, or the same letters but for case,
/// hyphens and underscores.
pub fn did_you_mean<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(wrong);
    right
        .into_iter()
        .filter(|name| *name != wrong)
        .filter_map(|name| {
            let candidate = fold(name);
            let distance = strsim::damerau_levenshtein(&folded, &candidate);
            let longest = folded.chars().count().max(candidate.chars().count());
            (distance * 3 <= longest.max(3)).then_some((distance, name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["latency", "status", "body"];
        assert_eq!(did_you_mean("latncy", names), Some("latency"));
        assert_eq!(did_you_mean("Status", names), Some("status"));
        assert_eq!(did_you_mean("frequency", names), None);
        assert_eq!(did_you_mean("on-no-data", ["on_no_data"]), Some("on_no_data"));
    }
}
