//! A text with its line breaks taken out, to find what was broken into lines.

/// A text without line breaks and the blanks after them, which knows where everything was.
pub(super) struct Unwrapped {
    /// The text.
    pub(super) text: String,
    /// Where each line begins: here, and in the original.
    lines: Vec<(usize, usize)>,
}

impl Unwrapped {
    /// Takes the line breaks out. Nothing when there are none.
    pub(super) fn of(text: &str) -> Option<Self> {
        if !text.trim_end().contains('\n') {
            return None;
        }
        let mut out = Self { text: String::with_capacity(text.len()), lines: Vec::new() };
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let content = line.trim_start_matches([' ', '\t']);
            out.lines.push((out.text.len(), at + line.len() - content.len()));
            out.text.push_str(content.trim_end_matches(['\n', '\r']));
            at += line.len();
        }
        Some(out)
    }

    /// Returns where a stretch of this text is in the original, line breaks within it included.
    pub(super) fn span(&self, (start, end): (usize, usize)) -> (usize, usize) {
        (self.original(start), self.original(end - 1) + 1)
    }

    fn original(&self, at: usize) -> usize {
        let line = self.lines.partition_point(|(here, _)| *here <= at).saturating_sub(1);
        self.lines.get(line).map_or(at, |(here, there)| there + (at - here))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lead_back_to_the_original() {
        let text = "ab\r\n  cd\n\nef";
        let unwrapped = Unwrapped::of(text).expect("it has lines");
        assert_eq!(unwrapped.text, "abcdef");
        let back = |start, end| {
            let (start, end) = unwrapped.span((start, end));
            &text[start..end]
        };
        assert_eq!((back(0, 2), back(1, 3), back(3, 5), back(0, 6)), ("ab", "b\r\n  c", "d\n\ne", text));
        assert!(Unwrapped::of("one line\n").is_none());
    }
}
