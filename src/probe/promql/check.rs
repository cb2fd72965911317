//! Checks a query with `{{ }}` in it before the values are known: each variable is replaced by a word, a number or a
//! duration of equal length, so that every place stays right.

use std::ops::Range;

use crate::promql::{self, Query, SyntaxError};
use crate::template::promql_quotes;

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
    let mut wrong = None;
    for n in 0..combinations(&holes) {
        let text = filled(source, &holes, n);
        match promql::parse(&text) {
            Ok(query) => return Checked::Valid(Box::new(query)),
            Err(error) => wrong = wrong.or(Some(error)),
        }
    }
    Checked::Unknown(wrong)
}

/// A `{{ … }}`.
struct Hole {
    range: Range<usize>,
    /// What may stand there, as numbers of [`stand_in`], the likeliest first. Within quotes anything may: a word does.
    kinds: &'static [usize],
    /// Holes of equal text have equal values: the first one like it.
    same_as: usize,
}

const NUMBER_FIRST: &[usize] = &[0, 1, 2];
const WORD_FIRST: &[usize] = &[1, 0, 2];
const DURATION_FIRST: &[usize] = &[2, 0, 1];

/// Finds the holes.
fn holes(source: &str) -> Vec<Hole> {
    let mut out: Vec<Hole> = Vec::new();
    let (mut from, mut before) = (0, String::new());
    while let Some(open) = source[from..].find("{{").map(|at| from + at) {
        let Some(close) = source[open..].find("}}").map(|at| open + at + 2) else { break };
        before.push_str(&source[from..open]);
        let text = &source[open..close];
        let kinds = if promql_quotes(&before).is_some() { &[1] } else { likely(&before, &source[close..]) };
        let same = out.iter().position(|h| &source[h.range.clone()] == text && h.kinds.len() == kinds.len());
        out.push(Hole { range: open..close, kinds, same_as: same.unwrap_or(out.len()) });
        before.push('x');
        from = close;
    }
    out
}

/// Guesses from what stands around a hole what belongs there, so that the first try is mostly right.
fn likely(before: &str, after: &str) -> &'static [usize] {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let tight = before.ends_with(word) || after.starts_with(word);
    let before = before.trim_end();
    if !tight && (before.ends_with(['[', ':']) || before.ends_with("offset")) {
        return DURATION_FIRST;
    }
    let label = before.ends_with(['{', ',', '(']) && after.trim_start().starts_with(['=', '!', ')', ',']);
    let name = before.ends_with('_') || after.starts_with(['{', '[', '_']);
    if label || name { WORD_FIRST } else { NUMBER_FIRST }
}

/// Returns how many ways to fill the holes are tried.
fn combinations(holes: &[Hole]) -> usize {
    let own = holes.iter().enumerate().filter(|(i, hole)| hole.same_as == *i);
    own.fold(1_usize, |n, (_, hole)| n.saturating_mul(hole.kinds.len())).min(MOST_TRIES)
}

/// Fills the holes in the `n`th way.
fn filled(source: &str, holes: &[Hole], mut n: usize) -> String {
    let mut text = source.to_owned();
    let mut chosen: Vec<usize> = Vec::with_capacity(holes.len());
    for hole in holes {
        let kind = chosen.get(hole.same_as).copied().unwrap_or_else(|| {
            let kind = hole.kinds[n % hole.kinds.len()];
            n /= hole.kinds.len();
            kind
        });
        chosen.push(kind);
        text.replace_range(hole.range.clone(), &stand_in(kind, hole.range.len()));
    }
    text
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
            "sum(rate({{ i.m }}{job=\"{{ i.a }}\",{{ i.l }}=\"{{ i.b }}\",{{ i.s }}=~\"5..\"}[{{ i.w }}] offset {{ i.o }}))",
            "x{a=\"{{ i['b'] }}\"} / {{ i.n }}",
        ] {
            let expected = if source.starts_with("{{ inputs.fn") { "unknown" } else { "valid" };
            assert_eq!(verdict(source), expected, "{source}");
        }
        assert_eq!(verdict("{{ inputs.query | raw }} ) ("), "unknown");
        assert_eq!(verdict("{% if a %}up{% endif %}"), "unknown");
        assert_eq!(verdict("rate(up"), "wrong");
    }
}
