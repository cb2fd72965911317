//! One line of an allowed signers file, taken apart as `ssh-keygen` does it.

use chrono::{DateTime, Utc};

use super::{Entry, Zone, time};
use crate::signoff::sign::ssh::PublicKey;

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Reads a line; nothing for one that is empty or a comment.
pub(super) fn parse(line: usize, text: &str, zone: Zone) -> Result<Option<Entry>, String> {
    let text = text.trim_start_matches([' ', '\t']);
    if text.trim_matches(BLANKS).is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (principals, rest) = first_word(text).ok_or("a line has people, perhaps options, and a key")?;
    if principals.is_empty() {
        return Err("the people are missing; write a name before the key".to_owned());
    }
    let (options, key) = match PublicKey::from_line(rest) {
        Some(key) => (Options::default(), key),
        None => {
            let (options, behind) = options_of(rest).ok_or("an option has a quote that does not end")?;
            if behind.trim_matches(BLANKS).is_empty() {
                return Err("the key is missing, or it is not one of OpenSSH's".to_owned());
            }
            // What cannot be an option is a key that cannot be read, most of the time.
            let key = PublicKey::from_line(behind);
            let options = Options::parse(options, zone);
            (options?, key.ok_or("the key cannot be read; write its kind and the key in base64, as in a .pub file")?)
        }
    };
    let Options { authority, namespaces, after, before } = options;
    Ok(Some(Entry { line, principals, key, authority, namespaces, after, before }))
}

/// Takes the first word; quotes may stand around it, and end it. Nothing when no word follows.
fn first_word(text: &str) -> Option<(String, &str)> {
    let end = text.find([' ', '\t', '\r', '\n', '"'])?;
    let behind = &text[end + 1..];
    if !text[end..].starts_with('"') {
        return Some((text[..end].to_owned(), behind.trim_start_matches(BLANKS)));
    }
    let close = behind.find('"')?;
    let word = format!("{}{}", &text[..end], &behind[..close]);
    Some((word, behind[close + 1..].trim_start_matches(BLANKS)))
}

/// Splits options from the key: at the first blank outside quotes.
fn options_of(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let (mut quoted, mut at) = (false, 0);
    while at < bytes.len() && (quoted || !matches!(bytes[at], b' ' | b'\t')) {
        match bytes[at] {
            b'\\' if bytes.get(at + 1) == Some(&b'"') => at += 1,
            b'"' => quoted = !quoted,
            _ => {}
        }
        at += 1;
    }
    // Blanks, quotes and backslashes are of one byte, so this is never within a character.
    let (options, key) = (text.get(..at)?, text.get(at..)?);
    (!quoted).then_some((options, key.trim_start_matches([' ', '\t'])))
}

#[derive(Default)]
struct Options {
    authority: bool,
    namespaces: Option<String>,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

impl Options {
    fn parse(text: &str, zone: Zone) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            rest = options.take(rest, zone)?;
            rest = match rest.strip_prefix(',') {
                Some("") => return Err("an option is missing behind the last comma".to_owned()),
                Some(more) => more,
                None if rest.is_empty() => rest,
                None => return Err(unknown(rest)),
            };
        }
        match (options.after, options.before) {
            (Some(after), Some(before)) if before <= after => Err("valid-before is not after valid-after".to_owned()),
            _ => Ok(options),
        }
    }

    /// Takes one option and returns what stands behind it.
    fn take<'a>(&mut self, text: &'a str, zone: Zone) -> Result<&'a str, String> {
        if let Some(rest) = named(text, "cert-authority") {
            self.authority = true;
            return Ok(rest);
        }
        for name in ["namespaces", "valid-after", "valid-before"] {
            let Some(rest) = named(text, name).and_then(|rest| rest.strip_prefix('=')) else { continue };
            let (value, rest) = unquote(rest).ok_or_else(|| format!("write {name}=\"…\", with quotes"))?;
            let time = || {
                let form = "YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with Z for UTC";
                time::parse(&value, zone).ok_or_else(|| format!("{name} is {value:?}, not a time; write {form}"))
            };
            let twice = match name {
                "namespaces" => self.namespaces.replace(value.clone()).is_some(),
                "valid-after" => self.after.replace(time()?).is_some(),
                _ => self.before.replace(time()?).is_some(),
            };
            return if twice { Err(format!("{name} is given twice")) } else { Ok(rest) };
        }
        Err(unknown(text))
    }
}

fn unknown(text: &str) -> String {
    let word: String = text.chars().take_while(|c| !matches!(c, '=' | ',' | '"')).take(40).collect();
    format!(
        "{word:?} is neither a key nor an option; the options are namespaces, valid-after, valid-before, cert-authority"
    )
}

/// Takes an option's name, in any case.
fn named<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name)).map(|_| &text[name.len()..])
}

/// Takes a value in quotes, in which `\"` is a quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut value = String::new();
    loop {
        let at = rest.find(['"', '\\'])?;
        value.push_str(&rest[..at]);
        if rest[at..].starts_with('"') {
            return Some((value, &rest[at + 1..]));
        }
        let escaped = rest[at..].starts_with("\\\"");
        value.push(if escaped { '"' } else { '\\' });
        rest = &rest[at + if escaped { 2 } else { 1 }..];
    }
}

#[cfg(test)]
mod tests {
    use super::super::AllowedSigners;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIvmXp4WaGoeD4r4n3Ho1qGZ2Xr9xQzrcTqyS4UfYy6v";

    #[test]
    fn every_line_that_cannot_be_read_is_said_with_its_place() {
        let lines = [
            ("# a comment".to_owned(), None),
            (String::new(), None),
            ("  \t ".to_owned(), None),
            (format!("carol {KEY}"), None),
            (format!("carol namespaces=\"holdpoint\" {KEY} with a comment"), None),
            (format!("\"carol smith,bob\" VALID-AFTER=\"20260101Z\",valid-before=\"20270101\" {KEY}\r"), None),
            ("carol".to_owned(), Some("a line has people")),
            ("carol ssh-ed25519".to_owned(), Some("key is missing")),
            ("carol ssh-ed25519 AAAA".to_owned(), Some("neither a key nor an option")),
            (format!("carol namespaces=\"holdpoint {KEY}"), Some("quote that does not end")),
            (format!("carol namespaces=holdpoint {KEY}"), Some("with quotes")),
            (format!("carol valid-after=\"2026\" {KEY}"), Some("not a time")),
            (
                format!("carol valid-after=\"20260101Z\",valid-before=\"20250101Z\" {KEY}"),
                Some("not after valid-after"),
            ),
            (format!("carol namespaces=\"a\",namespaces=\"b\" {KEY}"), Some("twice")),
            (format!("carol cert-authority {KEY}"), Some("certificate authorities are not supported")),
            (format!("carol no-touch-required {KEY}"), Some("neither a key nor an option")),
            (format!("carol namespaces=\"a\", {KEY}"), Some("behind the last comma")),
            (format!("carol namespaces=\"a\" {}", KEY.replace("ed25519 ", "rsa ")), Some("key cannot be read")),
            (format!("\"carol {KEY}"), Some("a line has people")),
            (format!("\"\" {KEY}"), Some("people are missing")),
        ];
        for (text, expected) in lines {
            let signers = AllowedSigners::parse(format!("# first\n{text}\n").as_bytes(), |naive| Some(naive.and_utc()));
            let said: Vec<_> = signers.mistakes().iter().map(|m| (m.line, m.what.as_str())).collect();
            match expected {
                None => assert!(said.is_empty(), "{text}: {said:?}"),
                Some(word) => {
                    assert!(said.len() == 1 && said[0].0 == 2 && said[0].1.contains(word), "{text}: {said:?}")
                }
            }
        }
    }
}
