//! Cuts a query into words, numbers, strings, brackets and signs, each with its place. The parser keeps no places, so
//! everything that points into a query stands on this.

use std::ops::Range;

use super::SyntaxError;

/// A stretch of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A name or a keyword.
    Word,
    /// A number or a duration.
    Number,
    /// A quoted text, quotes included.
    Text,
    /// `(`, `[` or `{`.
    Open,
    /// `)`, `]` or `}`.
    Close,
    /// An operator, a comma, a colon.
    Sign,
}

/// Cuts a query into tokens; blanks and comments are left out.
///
/// # Errors
/// Names a text without closing quote and a character that PromQL does not know.
pub fn tokens(query: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = query[at..].chars().next() {
        let rest = &query[at..];
        let (kind, length) = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            '"' | '\'' | '`' => (TokenKind::Text, text_length(rest, c, at)?),
            '(' | '[' | '{' => (TokenKind::Open, 1),
            ')' | ']' | '}' => (TokenKind::Close, 1),
            '0'..='9' => (TokenKind::Number, number_length(rest)),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => (TokenKind::Number, number_length(rest)),
            c if c.is_ascii_alphabetic() || c == '_' => (TokenKind::Word, word_length(rest)),
            c => (TokenKind::Sign, sign_length(rest, c, at)?),
        };
        out.push(Token { kind, range: at..at + length });
        at += length;
    }
    Ok(out)
}

fn text_length(rest: &str, quote: char, at: usize) -> Result<usize, SyntaxError> {
    let mut chars = rest.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => {
                chars.next();
            }
            '\n' if quote != '`' => break,
            c if c == quote => return Ok(i + 1),
            _ => {}
        }
    }
    let line = rest.lines().next().map_or(rest.len(), str::len);
    Err(SyntaxError::new(format!("the text that begins with {quote} here has no closing {quote}"), at..at + line))
}

fn word_length(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))).unwrap_or(rest.len())
}

/// Numbers and durations alike: `5`, `0x1f`, `1.5e-3`, `1h30m`.
fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut n = 0;
    while n < bytes.len() {
        let exponent = n > 0 && matches!(bytes[n], b'+' | b'-') && matches!(bytes[n - 1], b'e' | b'E');
        let hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
        if bytes[n].is_ascii_alphanumeric() || bytes[n] == b'.' || bytes[n] == b'_' || (exponent && !hexadecimal) {
            n += 1;
        } else {
            break;
        }
    }
    n
}

fn sign_length(rest: &str, c: char, at: usize) -> Result<usize, SyntaxError> {
    let two = rest.get(..2).unwrap_or_default();
    if matches!(two, "==" | "!=" | "<=" | ">=" | "=~" | "!~") {
        return Ok(2);
    }
    if "+-*/%^<>=,:@".contains(c) {
        return Ok(1);
    }
    let range = at..at + c.len_utf8();
    match (c, two) {
        ('&', "&&") => Err(SyntaxError::new("PromQL has no `&&`; write `and`", at..at + 2)),
        ('|', "||") => Err(SyntaxError::new("PromQL has no `||`; write `or`", at..at + 2)),
        _ => Err(SyntaxError::new(format!("PromQL has no character {c:?}"), range)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(query: &str) -> Vec<&str> {
        tokens(query).expect("valid").into_iter().map(|t| &query[t.range]).collect()
    }

    #[test]
    fn a_query_is_cut_into_tokens() {
        assert_eq!(
            words("rate(a:b{c=~\"x\\\"}\"}[1h30m]) # no\n>= 1e-3"),
            ["rate", "(", "a:b", "{", "c", "=~", "\"x\\\"}\"", "}", "[", "1h30m", "]", ")", ">=", "1e-3"]
        );
        assert_eq!(words(".5+0x1f-2"), [".5", "+", "0x1f", "-", "2"]);
    }

    #[test]
    fn an_open_text_is_named() {
        let error = tokens("up{a=\"b}").expect_err("not closed");
        assert_eq!(error.range, 5..8);
        assert!(error.message.contains("no closing \""), "{}", error.message);
    }

    #[test]
    fn foreign_signs_are_named() {
        assert!(tokens("a && b").expect_err("no such sign").message.contains("`and`"));
        assert!(tokens("a ; b").is_err());
    }
}
