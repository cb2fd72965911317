//! Nothing secret and nothing oversize leaves the engine: what workers return and what the run says of itself goes
//! through here before any sink sees it.
//!
//! Every secret is masked as `***` in all the forms in which it may come back ([`forms`]): as it is, percent-encoded,
//! base64, JSON-escaped and so on, in one pass over the text. Afterwards texts are cut to what the record keeps
//! ([`limits`]); in this order, because a secret that is cut in two is not found any more.

mod forms;
pub mod limits;
mod outline;
mod pieces;
mod walk;
mod wrapped;

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::event::{EventKind, StepResult};
use crate::model::{Observation, Reference, Secret, Value, Verdict};

use pieces::Pieces;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// The shortest secret of digits that is masked in numbers: a shorter one would turn up in them by chance.
const SHORTEST_NUMBER: usize = 4;

/// Masks secrets and bounds sizes. Cheap to share, made once a run.
pub struct Redactor {
    forms: Vec<String>,
    search: Option<AhoCorasick>,
    pieces: Pieces,
    numbers: Vec<String>,
}

impl Redactor {
    /// Prepares to mask these secrets. Empty ones are left out; a very short one is masked as it is, but not encoded.
    pub fn new(secrets: &[Secret]) -> Self {
        let forms = forms::of(secrets);
        let digits = |form: &&String| form.len() >= SHORTEST_NUMBER && form.parse::<f64>().is_ok();
        let numbers = forms.iter().filter(digits).cloned().collect();
        // Matches may overlap, and all of them are masked: the end of one secret may be the beginning of another.
        let builder = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&forms);
        // A search that cannot be built masks by looking for each form on its own: slower, and as thorough.
        let search = builder.ok().filter(|_| !forms.is_empty());
        let pieces = Pieces::of(&forms);
        Self { forms, search, pieces, numbers }
    }

    /// Masks every secret in a text. What needs no masking is not copied.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.forms.is_empty() || text.is_empty() {
            return Cow::Borrowed(text);
        }
        let spans = self.spans(text);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in spans {
            out.push_str(&text[at..start]);
            out.push_str(MASK);
            at = end;
        }
        out.push_str(&text[at..]);
        Cow::Owned(out)
    }

    /// Masks every secret in a JSON value: in texts, keys, and numbers that are one.
    pub fn json(&self, value: &mut serde_json::Value) {
        walk::json(self, value);
    }

    /// Masks an event that does not come from a worker: what the run says of itself.
    pub fn event(&self, kind: &mut EventKind) {
        if !self.forms.is_empty() {
            outline::event(self, kind);
        }
    }

    /// Masks and bounds an observation.
    pub fn observation(&self, observation: &mut Observation) {
        walk::observation(self, observation);
    }

    /// Masks and bounds what a look was held against.
    pub fn references(&self, references: &mut [Reference]) {
        walk::references(self, references);
    }

    /// Masks and bounds a verdict.
    pub fn verdict(&self, verdict: &mut Verdict) {
        walk::verdict(self, verdict);
    }

    /// Masks and bounds a step's result, its look and what it captured.
    pub fn result(&self, result: &mut StepResult) {
        walk::result(self, result);
    }

    /// Masks and bounds one measured value.
    pub fn value(&self, value: &mut Value) {
        walk::value(self, value);
    }

    /// Tells whether a number, as it is written, is or holds a secret.
    fn hides(&self, number: &dyn std::fmt::Display) -> bool {
        if self.numbers.is_empty() {
            return false;
        }
        let written = number.to_string();
        self.numbers.iter().any(|form| written.contains(form.as_str()))
    }

    /// Finds the stretches to mask, in order and apart from each other, at the borders of characters.
    fn spans(&self, text: &str) -> Vec<(usize, usize)> {
        let mut spans = self.search(text);
        // An encoder may break its lines anywhere, and so in the middle of a secret.
        if let Some(wrapped) = wrapped::Unwrapped::of(text) {
            spans.extend(self.search(&wrapped.text).into_iter().map(|span| wrapped.span(span)));
        }
        spans.extend(self.pieces.around_cuts(&self.forms, text));
        merged(spans)
    }

    fn search(&self, text: &str) -> Vec<(usize, usize)> {
        match &self.search {
            Some(search) if !search.is_match(text) => Vec::new(),
            Some(search) => search.find_overlapping_iter(text).map(|found| (found.start(), found.end())).collect(),
            None => {
                let each = self.forms.iter();
                each.flat_map(|form| text.match_indices(form.as_str()).map(|(at, s)| (at, at + s.len()))).collect()
            }
        }
    }

    /// Masks secrets in an excerpt, and the pieces of secrets at its two ends.
    fn excerpt<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masked = self.text(text);
        let first = self.pieces.at_beginning(&self.forms, &masked).unwrap_or(0);
        let last = self.pieces.at_end(&self.forms, &masked[first..]).unwrap_or(0);
        if first + last == 0 {
            return masked;
        }
        let mask = |piece: usize| if piece > 0 { MASK } else { "" };
        Cow::Owned(format!("{}{}{}", mask(first), &masked[first..masked.len() - last], mask(last)))
    }
}

/// Sorts stretches and joins those that touch.
fn merged(mut spans: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    spans.sort_unstable();
    let mut out: Vec<(usize, usize)> = Vec::with_capacity(spans.len());
    for (start, end) in spans {
        match out.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => out.push((start, end)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(&secrets.iter().map(|s| Secret::new(*s)).collect::<Vec<_>>())
    }

    #[test]
    fn nothing_is_copied_without_need() {
        assert!(matches!(redactor(&[]).text("anything"), Cow::Borrowed(_)));
        assert!(matches!(redactor(&["", "s3cret"]).text("anything"), Cow::Borrowed("anything")));
    }

    #[test]
    fn short_secrets_are_masked_as_they_are() {
        assert_eq!(redactor(&["7x"]).text("a 7x b"), "a *** b");
    }

    #[test]
    fn secrets_that_overlap_are_both_masked() {
        assert_eq!(redactor(&["abcdef", "defghi"]).text("1abcdefghi2"), "1***2");
        assert_eq!(redactor(&["token", "token-long"]).text("token-long token"), "*** ***");
        assert_eq!(redactor(&["tok"]).text("toktok"), "******");
    }

    #[test]
    fn a_secret_that_was_cut_in_two_is_masked_on_both_sides() {
        let mark = crate::model::observation::left_out_mark(9);
        let redactor = redactor(&["correct-horse-battery"]);
        assert_eq!(redactor.text(&format!("x correct-ho{mark}e-battery y")), format!("x ***{mark}*** y"));
        assert_eq!(redactor.text(&format!("cor{mark}ery")), format!("cor{mark}ery"));
        assert_eq!(redactor.excerpt("horse-battery abc correct-horse"), "*** abc ***");
        assert_eq!(redactor.excerpt("tery abc corr"), "*** abc ***");
        assert_eq!(redactor.excerpt("ery abc cor"), "ery abc cor");
    }

    #[test]
    fn text_beside_secrets_stays_whole() {
        assert_eq!(redactor(&["grün-ü"]).text("äöü grün-ü äöü"), "äöü *** äöü");
    }
}
