//! What stands between the braces of a series: labels, and the name when it is quoted.

use std::borrow::Cow;

const METRIC_START: u8 = 1;
const METRIC: u8 = 2;
const LABEL_START: u8 = 4;
const LABEL: u8 = 8;

/// What each byte may be part of.
const CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => METRIC_START | METRIC | LABEL_START | LABEL,
            b':' => METRIC_START | METRIC,
            b'0'..=b'9' => METRIC | LABEL,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// A text as it stands on the page, perhaps with escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    pub(super) text: &'a str,
    pub(super) escaped: bool,
}

impl<'a> Raw<'a> {
    pub(super) fn plain(text: &'a str) -> Self {
        Self { text, escaped: false }
    }

    /// Resolves the escapes: `\\`, `\"` and `\n`; any other backslash stands for itself.
    pub(super) fn read(self) -> Cow<'a, str> {
        match self.escaped {
            true => Cow::Owned(unescape(self.text)),
            false => Cow::Borrowed(self.text),
        }
    }
}

pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (escaped, length) = match rest.as_bytes().get(at + 1) {
            Some(b'\\') => ("\\", 2),
            Some(b'"') => ("\"", 2),
            Some(b'n') => ("\n", 2),
            Some(_) | None => ("\\", 1),
        };
        out.push_str(escaped);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

/// One thing between the braces: a label, or a quoted metric name, which has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) name: Raw<'a>,
    pub(super) value: Option<Raw<'a>>,
}

/// Takes the next element off the text that follows an opening brace or an element, and the comma behind it. Nothing
/// at the closing brace, which is taken too.
///
/// # Errors
/// Says what is wrong.
pub(super) fn element<'a>(rest: &mut &'a str) -> Result<Option<Element<'a>>, &'static str> {
    blanks(rest);
    let name = match rest.as_bytes().first() {
        Some(b'}') => {
            *rest = &rest[1..];
            return Ok(None);
        }
        Some(b'"') => quoted(rest)?,
        Some(byte) if CLASS[*byte as usize] & LABEL_START != 0 => Raw::plain(word(rest, LABEL)),
        Some(b',') => return Err("there is a comma without a label before it"),
        Some(_) => return Err("a label name begins with a letter or _; quote any other"),
        None => return Err(CUT),
    };
    let bare = rest.as_bytes().first() != Some(&b'=');
    if bare {
        blanks(rest);
    }
    if bare && rest.as_bytes().first() != Some(&b'=') {
        if !name.text.is_empty() && rest.as_bytes().first().is_some_and(|b| matches!(b, b',' | b'}')) {
            comma(rest)?;
            return Ok(Some(Element { name, value: None }));
        }
        return Err(if rest.is_empty() { CUT } else { "after a label name there must be `=` and a quoted value" });
    }
    *rest = &rest[1..];
    if rest.as_bytes().first() != Some(&b'"') {
        blanks(rest);
    }
    match rest.as_bytes().first() {
        Some(b'"') => {}
        Some(_) => return Err("the value of a label must stand in double quotes"),
        None => return Err(CUT),
    }
    let value = quoted(rest)?;
    comma(rest)?;
    Ok(Some(Element { name, value: Some(value) }))
}

const CUT: &str = "the line ends before the closing brace of its labels";

fn comma(rest: &mut &str) -> Result<(), &'static str> {
    match rest.as_bytes().first() {
        Some(b',') => *rest = &rest[1..],
        Some(b'}') => {}
        Some(_) => {
            blanks(rest);
            match rest.as_bytes().first() {
                Some(b',') => *rest = &rest[1..],
                Some(b'}') => {}
                Some(_) => return Err("two labels must be separated by a comma"),
                None => return Err(CUT),
            }
        }
        None => return Err(CUT),
    }
    Ok(())
}

/// Takes a quoted text, whose opening quote comes first.
fn quoted<'a>(rest: &mut &'a str) -> Result<Raw<'a>, &'static str> {
    let text = &rest[1..];
    let mut escaped = false;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text.as_bytes()[at..]) {
        at += found;
        if text.as_bytes()[at] == b'"' {
            *rest = &text[at + 1..];
            return Ok(Raw { text: &text[..at], escaped });
        }
        escaped = true;
        // The byte behind a backslash never ends the text, and a longer character's further bytes are neither.
        at += 2;
        if at > text.len() {
            break;
        }
    }
    Err("a quoted text has no closing quote")
}

/// Takes the metric's name off the beginning of a line; empty when none begins there.
pub(super) fn metric<'a>(rest: &mut &'a str) -> &'a str {
    match rest.as_bytes().first() {
        Some(byte) if CLASS[*byte as usize] & METRIC_START != 0 => word(rest, METRIC),
        Some(_) | None => "",
    }
}

/// Takes a name in quotes, or a bare one, as `# TYPE` and `# HELP` have it.
pub(super) fn named<'a>(rest: &mut &'a str) -> Result<Raw<'a>, &'static str> {
    match rest.as_bytes().first() {
        Some(b'"') => quoted(rest),
        Some(_) | None => match metric(rest) {
            "" => Err("the name of the metric is missing"),
            name => Ok(Raw::plain(name)),
        },
    }
}

fn word<'a>(rest: &mut &'a str, class: u8) -> &'a str {
    let end = rest.bytes().position(|b| CLASS[b as usize] & class == 0).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    word
}

pub(super) fn blanks(rest: &mut &str) {
    while let [b' ' | b'\t', ..] = rest.as_bytes() {
        *rest = &rest[1..];
    }
}

/// The labels of a sample, name and value, in the order of the page.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    /// What follows the opening brace; already found to be well formed.
    pub(super) rest: &'a str,
}

impl<'a> Iterator for Labels<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let element = element(&mut self.rest).ok()??;
            if let Some(value) = element.value {
                return Some((element.name.read(), value.read()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(String, Option<String>)>, &'static str> {
        let mut rest = text;
        let mut out = Vec::new();
        while let Some(found) = element(&mut rest)? {
            out.push((found.name.read().into_owned(), found.value.map(|v| v.read().into_owned())));
        }
        Ok(out)
    }

    #[test]
    fn labels_are_read_with_their_escapes() {
        let label = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(all(r#"a="b",c="d"}"#), Ok(vec![label("a", "b"), label("c", "d")]));
        assert_eq!(all(r#" a = "b" , }"#), Ok(vec![label("a", "b")]));
        assert_eq!(all(r#"a="x\\y\"z\n\q"}"#), Ok(vec![label("a", "x\\y\"z\n\\q")]));
        assert_eq!(all(r#"a="\ü"}"#), Ok(vec![label("a", "\\ü")]));
        assert_eq!(all(r#""http.x","ü"="1"}"#), Ok(vec![("http.x".into(), None), label("ü", "1")]));
        assert_eq!(all("}"), Ok(vec![]));
    }

    #[test]
    fn mistakes_between_the_braces_are_named() {
        for (text, part) in [
            ("a=\"b\"", "closing brace"),
            ("a=\"b", "closing quote"),
            ("a=\"b\\", "closing quote"),
            ("a=b}", "double quotes"),
            ("a}", "no label"),
            ("1=\"b\"}", "begins with a letter"),
            (",}", "comma"),
            ("a=\"b\" c=\"d\"}", "separated"),
            ("a", "closing brace"),
            ("a=", "closing brace"),
        ] {
            match all(text) {
                Err(message) => assert!(message.contains(part), "{text}: {message}"),
                // A bare word without a value is taken for a name; the line says that it is none.
                Ok(found) => assert!(found[0].1.is_none() && part == "no label", "{text}"),
            }
        }
    }
}
