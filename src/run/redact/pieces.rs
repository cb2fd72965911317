//! Pieces of secrets: a text that was cut may end with the beginning of a secret, or begin with the end of one.

use std::collections::HashMap;

use crate::model::observation::LEFT_OUT;

/// The shortest piece that is masked, in bytes.
const SHORTEST: usize = 4;

/// How far from a cut a piece may reach, in bytes.
const LONGEST: usize = 4096;

/// How many cuts of one text are looked at: more than anything here makes, and few enough not to take long.
const CUTS: usize = 256;

/// The sign with which a shortened line of text ends.
const ELLIPSIS: &str = "…";

type Edge = [u8; SHORTEST];

/// Finds pieces of secrets by their first or last few bytes.
pub(super) struct Pieces {
    beginnings: HashMap<Edge, Vec<usize>>,
    ends: HashMap<Edge, Vec<usize>>,
    window: usize,
}

impl Pieces {
    pub(super) fn of(forms: &[String]) -> Self {
        let (mut beginnings, mut ends) = (HashMap::<Edge, Vec<usize>>::new(), HashMap::<Edge, Vec<usize>>::new());
        for (i, form) in forms.iter().enumerate() {
            if let (Some(first), Some(last)) = (form.as_bytes().first_chunk(), form.as_bytes().last_chunk()) {
                beginnings.entry(*first).or_default().push(i);
                ends.entry(*last).or_default().push(i);
            }
        }
        let window = forms.iter().map(String::len).max().unwrap_or_default().min(LONGEST);
        Self { beginnings, ends, window }
    }

    /// Finds the pieces on both sides of each place where something was left out of a text.
    pub(super) fn around_cuts(&self, forms: &[String], text: &str) -> Vec<(usize, usize)> {
        let marks = text.match_indices(LEFT_OUT).map(|(at, mark)| {
            let inside = at + mark.len();
            (at, text[inside..].find("]\n").map_or(text.len(), |length| inside + length + "]\n".len()))
        });
        let short = text.match_indices(ELLIPSIS).map(|(at, sign)| (at, at + sign.len()));
        let mut found = Vec::new();
        for (before, behind) in marks.take(CUTS).chain(short.take(CUTS)) {
            found.extend(self.at_end(forms, &text[..before]).map(|length| (before - length, before)));
            found.extend(self.at_beginning(forms, &text[behind..]).map(|length| (behind, behind + length)));
        }
        found
    }

    /// Finds how much of a text's end is the beginning of a secret: the most.
    pub(super) fn at_end(&self, forms: &[String], text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        let from = bytes.len().saturating_sub(self.window);
        (from..bytes.len()).filter(|at| text.is_char_boundary(*at)).find_map(|at| {
            let known = self.beginnings.get(bytes[at..].first_chunk::<SHORTEST>()?)?;
            known.iter().any(|i| forms[*i].as_bytes().starts_with(&bytes[at..])).then_some(bytes.len() - at)
        })
    }

    /// Finds how much of a text's beginning is the end of a secret: the most.
    pub(super) fn at_beginning(&self, forms: &[String], text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        let to = bytes.len().min(self.window);
        (SHORTEST..=to).rev().filter(|at| text.is_char_boundary(*at)).find_map(|at| {
            let known = self.ends.get(bytes[..at].last_chunk::<SHORTEST>()?)?;
            known.iter().any(|i| forms[*i].as_bytes().ends_with(&bytes[..at])).then_some(at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_piece_is_found_on_either_side() {
        let forms = ["correct-horse".to_owned(), "rect-angle".to_owned(), "grün🦀".to_owned()];
        let pieces = Pieces::of(&forms);
        assert_eq!(pieces.at_end(&forms, "a cor"), None);
        assert_eq!(pieces.at_end(&forms, "a correct"), Some(7));
        assert_eq!(pieces.at_end(&forms, "a rect-"), Some(5));
        assert_eq!(pieces.at_end(&forms, "a correct-horse"), Some(13));
        assert_eq!(pieces.at_beginning(&forms, "orse x"), Some(4));
        assert_eq!(pieces.at_beginning(&forms, "🦀 x"), Some(4));
        assert_eq!(pieces.at_beginning(&forms, "or"), None);
        assert_eq!(pieces.around_cuts(&forms, "rect-… and …horse"), [(0, 5), (16, 21)]);
    }

    #[test]
    fn a_text_full_of_cuts_does_not_take_long() {
        let forms: Vec<String> = (0..500).map(|n| format!("secret number {n} {}", "x".repeat(2000))).collect();
        let text = format!("{}…", "secret number ").repeat(50_000);
        let begun = std::time::Instant::now();
        assert_eq!(Pieces::of(&forms).around_cuts(&forms, &text).len(), CUTS);
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    }
}
