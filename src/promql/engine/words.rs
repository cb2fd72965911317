//! Reads a query's words before the parser does: the parser keeps no places, which annotations need, and knows neither
//! durations that are computed nor `anchored` and `smoothed`. What it cannot read is rewritten, and the words keep the
//! places that they have in the query as written.

use std::ops::Range;

use super::super::SyntaxError;
use super::super::tokens::{Token, TokenKind, tokens};
use super::durations::{self, Times};

/// A label that is set aside again when the tree is built: `info`'s labels may be matched by patterns that fit nothing,
/// which the parser refuses in a selector.
pub(super) const SET_ASIDE: &str = "__set_aside__";

/// A word of a query.
#[derive(Debug)]
pub(super) struct Word {
    /// As the parser sees it.
    pub(super) text: String,
    /// Where it stands in the query as written, in bytes.
    pub(super) at: usize,
}

/// A query for the parser, and its words.
#[derive(Debug)]
pub(super) struct Words {
    /// What the parser reads.
    pub(super) text: String,
    pub(super) list: Vec<Word>,
    /// How often `anchored` and `smoothed` were taken out of the text.
    pub(super) extents: usize,
}

/// Reads a query's words.
///
/// # Errors
/// Says what is wrong and where.
pub(super) fn read(query: &str, times: Times) -> Result<Words, SyntaxError> {
    let tokens = tokens(query)?;
    let words = Words { text: String::with_capacity(query.len()), list: Vec::with_capacity(tokens.len()), extents: 0 };
    let mut mender = Mender { query, tokens: &tokens, times, words, copied: 0, braces: 0 };
    let mut i = 0;
    while i < tokens.len() {
        i = mender.next(i)?;
    }
    mender.words.text.push_str(&query[mender.copied..]);
    Ok(mender.words)
}

struct Mender<'a> {
    query: &'a str,
    tokens: &'a [Token],
    times: Times,
    words: Words,
    /// Up to where the query has gone into the text.
    copied: usize,
    braces: usize,
}

impl Mender<'_> {
    fn text(&self, i: usize) -> &str {
        self.tokens.get(i).map_or("", |t| &self.query[t.range.clone()])
    }

    /// Handles the word at `i` and returns where the next one is.
    fn next(&mut self, i: usize) -> Result<usize, SyntaxError> {
        let word = self.text(i).to_ascii_lowercase();
        match word.as_str() {
            "{" => self.braces += 1,
            "}" => self.braces = self.braces.saturating_sub(1),
            "[" if self.braces == 0 => return self.bracket(i),
            "offset" if self.braces == 0 && self.after_operand(i) => return self.offset(i),
            "anchored" | "smoothed" if self.braces == 0 && self.after_operand(i) => {
                let range = self.tokens[i].range.clone();
                self.replace(range.clone(), &" ".repeat(range.len()));
                self.words.extents += 1;
                self.words.list.push(Word { text: word, at: range.start });
                return Ok(i + 1);
            }
            "info" if self.text(i + 1) == "(" => self.info_labels(i + 2),
            _ => {}
        }
        if self.tokens[i].kind == TokenKind::Number && word.contains('_') {
            let (range, text) = (self.tokens[i].range.clone(), word.replace('_', ""));
            self.replace(range.clone(), &text);
            self.words.list.push(Word { text, at: range.start });
            return Ok(i + 1);
        }
        self.keep(i);
        Ok(i + 1)
    }

    fn keep(&mut self, i: usize) {
        self.words.list.push(Word { text: self.text(i).to_owned(), at: self.tokens[i].range.start });
    }

    fn replace(&mut self, range: Range<usize>, by: &str) {
        self.words.text.push_str(&self.query[self.copied..range.start]);
        self.words.text.push_str(by);
        self.copied = range.end;
    }

    /// Tells whether the word before is the end of an operand, so that this one is a keyword and no name.
    fn after_operand(&self, i: usize) -> bool {
        let Some(before) = i.checked_sub(1) else { return false };
        match self.tokens[before].kind {
            TokenKind::Close | TokenKind::Number => true,
            TokenKind::Word => {
                let word = self.text(before).to_ascii_lowercase();
                !matches!(word.as_str(), "and" | "or" | "unless" | "atan2" | "by" | "without" | "bool" | "offset")
                    && !matches!(word.as_str(), "on" | "ignoring" | "group_left" | "group_right")
            }
            TokenKind::Text | TokenKind::Open | TokenKind::Sign => false,
        }
    }

    /// Handles `[range]` and `[range:step]`.
    fn bracket(&mut self, open: usize) -> Result<usize, SyntaxError> {
        let end = (open..self.tokens.len()).find(|&i| self.text(i) == "]");
        let Some(close) = end else {
            // The parser's guard says that the bracket is never closed.
            self.keep(open);
            return Ok(open + 1);
        };
        self.keep(open);
        let colon = (open + 1..close).find(|&i| self.text(i) == ":");
        self.duration(open + 1..colon.unwrap_or(close))?;
        if let Some(colon) = colon {
            self.keep(colon);
            self.duration(colon + 1..close)?;
        }
        self.keep(close);
        Ok(close + 1)
    }

    fn duration(&mut self, part: Range<usize>) -> Result<(), SyntaxError> {
        let tokens = &self.tokens[part.clone()];
        let plain = matches!(tokens, [one] if one.kind == TokenKind::Number);
        if tokens.is_empty() || plain {
            part.for_each(|i| self.keep(i));
            return Ok(());
        }
        let value = durations::seconds(self.query, tokens, self.times)?;
        let place = tokens[0].range.start..tokens[tokens.len() - 1].range.end;
        if value < 0.001 {
            return Err(SyntaxError { message: "duration must be greater than 0".into(), range: place });
        }
        let text = in_milliseconds(value);
        self.replace(place.clone(), &text);
        self.words.list.push(Word { text, at: place.start });
        Ok(())
    }

    /// Handles `offset` and the duration after it.
    fn offset(&mut self, i: usize) -> Result<usize, SyntaxError> {
        self.keep(i);
        let rest = &self.tokens[i + 1..];
        let Some(length) = durations::operand_length(self.query, rest) else {
            return Ok(i + 1);
        };
        let operand = &rest[..length];
        let last = &operand[length - 1];
        let plain = last.kind == TokenKind::Number;
        let zero = plain && durations::plain_seconds(&self.query[last.range.clone()]) == Some(0.0);
        if plain && !zero {
            (i + 1..i + 1 + length).for_each(|i| self.keep(i));
            return Ok(i + 1 + length);
        }
        let value = durations::seconds(self.query, operand, self.times)?;
        let place = operand[0].range.start..last.range.end;
        let text = in_milliseconds(value.abs());
        let sign = if value < 0.0 { "-" } else { "" };
        self.replace(place.clone(), &format!("{sign}{text}"));
        if value < 0.0 {
            self.words.list.push(Word { text: "-".into(), at: place.start });
        }
        self.words.list.push(Word { text, at: place.start });
        Ok(i + 1 + length)
    }

    /// Makes the labels in `info(x, {…})` readable; `i` is the word after the bracket.
    fn info_labels(&mut self, i: usize) {
        let mut depth = 0_usize;
        for i in i..self.tokens.len() {
            match self.text(i) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" if depth == 0 => return,
                ")" | "]" | "}" => depth -= 1,
                "," if depth == 0 && self.text(i + 1) == "{" => {
                    let at = self.tokens[i + 1].range.end;
                    self.replace(at..at, &format!("{SET_ASIDE}!=\"\","));
                    return;
                }
                _ => {}
            }
        }
    }
}

/// Writes seconds so that the parser reads them to the millisecond.
fn in_milliseconds(seconds: f64) -> String {
    format!("{:.3}", (seconds * 1000.0).trunc() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(query: &str) -> Result<String, String> {
        read(query, Times { step: 10.0, range: 60.0 }).map(|w| w.text).map_err(|e| e.message)
    }

    #[test]
    fn only_what_the_parser_cannot_read_is_rewritten() {
        for query in ["rate(x[5m] offset -1h)", "x[5m:]", "max_over_time(x[5m:1m] @ 3)", "{a=\"[1+1]\"}", "offset + 5"]
        {
            assert_eq!(mended(query).as_deref(), Ok(query));
        }
        for (query, text) in [
            ("x[2 * 5m]", "x[600.000]"),
            ("x[range():step()]", "x[60.000:10.000]"),
            ("x offset -(5m + 1s) + 1", "x offset -301.000 + 1"),
            ("x offset step()", "x offset 10.000"),
            ("x offset 0s", "x offset 0.000"),
            ("rate(x[5m] smoothed)", "rate(x[5m]         )"),
            ("smoothed anchored", "smoothed         "),
            ("x + 1_000", "x + 1000"),
            ("info(a, {b=~\".*\"})", "info(a, {__set_aside__!=\"\",b=~\".*\"})"),
        ] {
            assert_eq!(mended(query).as_deref(), Ok(text));
        }
        assert!(mended("x[1m - 1m]").is_err() && mended("x[foo]").is_err());
    }

    #[test]
    fn words_keep_their_places() {
        let words = read("a[1+1] offset (2) > b smoothed", Times { step: 0.0, range: 0.0 }).expect("words");
        let list: Vec<_> = words.list.iter().map(|w| (w.text.as_str(), w.at)).collect();
        let wanted = [("a", 0), ("[", 1), ("2.000", 2), ("]", 5), ("offset", 7), ("2.000", 14), (">", 18), ("b", 20)];
        assert_eq!(list[..8], wanted);
        assert_eq!(list[8], ("smoothed", 22));
    }
}
