//! Checks a query with `{{ }}` in it before the values are known: each variable is replaced by a word, a number or a
//! duration of equal length, so that every place stays right.

use std::ops::Range;

use crate::promql::{self, Query, SyntaxError};

/// The most combinations of stand-ins that are tried.
const MOST_TRIES: usize = 81;

/// What can be said about a query before its values are known.
pub(super) enum Checked {
    /// It is valid. Its text has stand-ins for variables, all places as in what was written.
    Valid(Box<Query>),
    /// It is not valid, whatever the values are.
    Wrong(SyntaxError),
    /// That depends on the values. With stand-ins for them, this is wrong.
    Unknown(Option<SyntaxError>),
}

/// Checks a query as written.
pub(super) fn check(source: &str) -> Checked {
    if source.contains("{%") || source.contains("{#") {
        return Checked::Unknown(None);
    }
    let holes = holes(source);
    if holes.is_empty() {
        return match promql::parse(source) {
            Ok(query) => Checked::Valid(Box::new(query)),
            Err(error) => Checked::Wrong(error),
        };
    }
    let tries = 3_usize.checked_pow(u32::try_from(holes.len()).unwrap_or(u32::MAX)).unwrap_or(usize::MAX);
    let mut wrong = None;
    for mut n in 0..tries.min(MOST_TRIES) {
        let mut text = source.to_owned();
        for hole in &holes {
            text.replace_range(hole.clone(), &stand_in(n % 3, hole.len()));
            n /= 3;
        }
        match promql::parse(&text) {
            Ok(query) => return Checked::Valid(Box::new(query)),
            Err(error) => wrong = wrong.or(Some(error)),
        }
    }
    Checked::Unknown(wrong)
}

/// Finds the `{{ … }}`.
fn holes(source: &str) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(open) = source[from..].find("{{").map(|at| from + at) {
        let Some(close) = source[open..].find("}}").map(|at| open + at + 2) else { break };
        out.push(open..close);
        from = close;
    }
    out
}

/// Makes a number, a word or a duration. A number comes first: it alone lets a comparison be taken apart.
fn stand_in(kind: usize, length: usize) -> String {
    match kind {
        0 => format!("{}1", "0".repeat(length.saturating_sub(1))),
        1 => "x".repeat(length),
        _ => format!("{}1s", "0".repeat(length.saturating_sub(2))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(source: &str) -> &'static str {
        match check(source) {
            Checked::Valid(query) if query.text().len() == source.len() => "valid",
            Checked::Valid(_) => "moved",
            Checked::Wrong(_) => "wrong",
            Checked::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn variables_may_stand_for_words_numbers_and_durations() {
        for source in [
            "up",
            "up{job=\"{{ inputs.job }}\"}",
            "{{ inputs.metric }}{a=\"b\"} > {{ inputs.limit }}",
            "rate(x_{{ inputs.suffix }}[{{ inputs.range }}]) > 5",
            "rate(x[{{ inputs.n }}m])",
            "x offset {{ inputs.o }}",
            "sum by ({{ inputs.label }}) ({{ inputs.metric }})",
            "{{ inputs.fn }}(x[5m])",
        ] {
            let expected = if source.starts_with("{{ inputs.fn") { "unknown" } else { "valid" };
            assert_eq!(verdict(source), expected, "{source}");
        }
        assert_eq!(verdict("{{ inputs.query | raw }} ) ("), "unknown");
        assert_eq!(verdict("{% if a %}up{% endif %}"), "unknown");
        assert_eq!(verdict("rate(up"), "wrong");
    }
}
