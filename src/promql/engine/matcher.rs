//! Label matchers: what a selector asks of one label.

use regex::{Regex, RegexBuilder};

use super::labels::Labels;

/// The most memory that one compiled pattern may take, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Fits,
    /// `!~`
    FitsNot,
}

/// What a selector asks of one label. A label that is not there has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: Box<str>,
    /// How it is compared.
    pub op: MatchOp,
    /// The value or the pattern, as written.
    pub value: Box<str>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Text,
    /// A pattern that is nothing but texts: `a|b|c`.
    OneOf(Box<[Box<str>]>),
    Pattern(Regex),
}

impl Matcher {
    /// Makes a matcher; a pattern is anchored at both ends.
    ///
    /// # Errors
    /// Says what is wrong with the pattern.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, String> {
        let test = match op {
            MatchOp::Equal | MatchOp::NotEqual => Test::Text,
            MatchOp::Fits | MatchOp::FitsNot => {
                let texts = value.split('|').map(Box::from).collect();
                if value.contains(|c: char| c != '|' && regex_special(c)) {
                    Test::Pattern(anchored(value)?)
                } else {
                    Test::OneOf(texts)
                }
            }
        };
        Ok(Self { name: name.into(), op, value: value.into(), test })
    }

    /// Tells whether a label with this value is wanted.
    pub fn fits(&self, value: &str) -> bool {
        let found = match &self.test {
            Test::Text => *self.value == *value,
            Test::OneOf(texts) => texts.iter().any(|text| **text == *value),
            Test::Pattern(pattern) => pattern.is_match(value),
        };
        match self.op {
            MatchOp::Equal | MatchOp::Fits => found,
            MatchOp::NotEqual | MatchOp::FitsNot => !found,
        }
    }

    /// Tells whether a series with these labels is wanted.
    pub fn fits_labels(&self, labels: &Labels) -> bool {
        self.fits(labels.get(&self.name))
    }

    /// Returns the values one of which the label must have, when the matcher lists them: an index can look them up.
    pub fn values(&self) -> Option<Vec<&str>> {
        match (&self.op, &self.test) {
            (MatchOp::Equal, _) => Some(vec![&self.value]),
            (MatchOp::Fits, Test::OneOf(texts)) => Some(texts.iter().map(|text| &**text).collect()),
            (MatchOp::NotEqual | MatchOp::FitsNot | MatchOp::Fits, _) => None,
        }
    }
}

fn regex_special(c: char) -> bool {
    "\\.+*?()|[]{}^$".contains(c)
}

/// Compiles a pattern that must fit the whole text; `.` fits a line's end too, as in Prometheus 3.
pub(super) fn anchored(pattern: &str) -> Result<Regex, String> {
    let whole = format!("^(?s:{pattern})$");
    RegexBuilder::new(&whole).size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES).build().map_err(|error| {
        match error {
            regex::Error::CompiledTooBig(limit) => format!("the pattern takes more than {limit} bytes when compiled"),
            other => format!("invalid pattern {pattern:?}: {other}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(op: MatchOp, pattern: &str, value: &str) -> bool {
        Matcher::new("a", op, pattern).expect(pattern).fits(value)
    }

    #[test]
    fn patterns_are_anchored() {
        assert!(
            fits(MatchOp::Fits, "a.c", "abc") && fits(MatchOp::Fits, "a|b", "b") && fits(MatchOp::Fits, ".+", "a\nb")
        );
        assert!(!fits(MatchOp::Fits, "a.c", "xabc") && !fits(MatchOp::Fits, "a|b", "ab"));
        assert!(!fits(MatchOp::Fits, "a|b.", "ab.") && fits(MatchOp::FitsNot, "a|b.", "ab."));
        assert!(fits(MatchOp::Fits, "a|", "") && fits(MatchOp::NotEqual, "a", "") && fits(MatchOp::Equal, "", ""));
    }

    #[test]
    fn values_of_an_index_are_listed() {
        let values = |op, text| Matcher::new("a", op, text).expect(text).values().map(|v| v.join(","));
        assert_eq!(values(MatchOp::Fits, "x|y"), Some("x,y".to_owned()));
        assert_eq!(values(MatchOp::Equal, "x|y"), Some("x|y".to_owned()));
        assert_eq!(values(MatchOp::Fits, "x.*"), None);
        assert_eq!(values(MatchOp::FitsNot, "x|y"), None);
    }

    #[test]
    fn patterns_that_grow_without_bound_are_refused() {
        assert!(Matcher::new("a", MatchOp::Fits, "((a{1000}){1000}){1000}").is_err());
        assert!(Matcher::new("a", MatchOp::Fits, "(").is_err());
    }
}
