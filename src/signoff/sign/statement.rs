//! The text that a signature covers: what was signed, by whom, on which evidence, for people to read and for programs
//! to compare byte by byte.
//!
//! One line a fact, in a fixed order, each `name: value`. A value never has a line break, a control character, a
//! character that hides or reorders others, or a blank at its ends: such a character is written `\u{…}`, and `\n`,
//! `\t` and `\\` as usual. So every statement has exactly one text, and every text that is accepted is that of one
//! statement.

use std::fmt::Write;

use chrono::{DateTime, SubsecRound, Utc};

use crate::event::SignDecision;
use crate::model::{RunId, SectionId};
use crate::record::Head;

/// The first line: what the text is, and the version of its form.
const FIRST: &str = "holdpoint statement v1";

/// The most that a statement may hold, in bytes.
const MOST: usize = 64 * 1024;

/// What a person signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The run.
    pub run: RunId,
    /// The title of its checklist.
    pub checklist: String,
    /// The SHA-256 of the checklist's bytes, in hexadecimal.
    pub checklist_digest: String,
    /// The record up to which it speaks: everything that was found until then.
    pub over: Head,
    /// The hold point that it is for; nothing for the end of the run.
    pub section: Option<SectionId>,
    /// In which role.
    pub role: String,
    /// What the signer says.
    pub decision: SignDecision,
    /// Under which conditions.
    pub conditions: Vec<String>,
    /// With which words; may be empty.
    pub note: String,
    /// Who, as the file of allowed signers names the key; empty when no such file was asked.
    pub by: String,
    /// The user, as the system names them.
    pub user: String,
    /// The fingerprint of the key.
    pub key: String,
    /// When, to the second.
    pub at: DateTime<Utc>,
}

impl Statement {
    /// Writes the text, the same for the same statement on every machine and in every version.
    pub fn text(&self) -> String {
        let mut text = format!("{FIRST}\n");
        let mut line = |name: &str, value: &str| {
            text.push_str(name);
            text.push_str(": ");
            escape(value, &mut text);
            text.push('\n');
        };
        line("run", self.run.as_str());
        line("checklist", &self.checklist);
        line("checklist sha256", &self.checklist_digest);
        line("record events", &self.over.seq.to_string());
        line("record sha256", &self.over.digest);
        if let Some(section) = &self.section {
            line("hold point", section.as_str());
        }
        line("role", &self.role);
        line("decision", word(self.decision));
        self.conditions.iter().for_each(|condition| line("condition", condition));
        if !self.note.is_empty() {
            line("note", &self.note);
        }
        if !self.by.is_empty() {
            line("signer", &self.by);
        }
        line("user", &self.user);
        line("key", &self.key);
        line("time", &self.at.trunc_subsecs(0).format("%Y-%m-%dT%H:%M:%SZ").to_string());
        text
    }

    /// Reads a text back.
    ///
    /// # Errors
    /// Says what is wrong with a text that is not exactly that of a statement.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MOST {
            return Err(format!("the statement has {} bytes, more than {MOST}", text.len()));
        }
        let mut lines = Lines { rest: text.strip_suffix('\n').ok_or("the last line of the statement has no end")? };
        match lines.next() {
            Some(FIRST) => {}
            Some(line) => return Err(format!("the first line is {line:?}, not {FIRST:?}")),
            None => return Err("the statement is empty".to_owned()),
        }
        let statement = Self {
            run: RunId::new(lines.need("run")?),
            checklist: lines.need("checklist")?,
            checklist_digest: lines.need("checklist sha256")?,
            over: Head {
                seq: lines.need("record events")?.parse().map_err(|_| "record events is not a number")?,
                digest: lines.need("record sha256")?,
            },
            section: lines.may("hold point")?.map(SectionId::new),
            role: lines.need("role")?,
            decision: decision(&lines.need("decision")?)?,
            conditions: lines.all("condition")?,
            note: lines.may("note")?.unwrap_or_default(),
            by: lines.may("signer")?.unwrap_or_default(),
            user: lines.need("user")?,
            key: lines.need("key")?,
            at: time(&lines.need("time")?)?,
        };
        if let Some(line) = lines.next() {
            return Err(format!("{line:?} does not belong here"));
        }
        match statement.text() == text {
            true => Ok(statement),
            false => Err("the statement is not written in its one form".to_owned()),
        }
    }
}

/// Returns the word for what a signer says.
pub fn word(decision: SignDecision) -> &'static str {
    match decision {
        SignDecision::Approve => "approve",
        SignDecision::Conditional => "conditional",
        SignDecision::Reject => "reject",
    }
}

fn decision(text: &str) -> Result<SignDecision, String> {
    let all = [SignDecision::Approve, SignDecision::Conditional, SignDecision::Reject];
    all.into_iter().find(|d| word(*d) == text).ok_or_else(|| format!("{text:?} is not approve, conditional or reject"))
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).map_err(|_| format!("{text:?} is not a time"))
}

/// The lines that are left.
struct Lines<'a> {
    rest: &'a str,
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a str> {
        (!self.rest.is_empty()).then(|| self.rest.split('\n').next().unwrap_or_default())
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.peek()?;
        self.rest = self.rest[line.len()..].strip_prefix('\n').unwrap_or_default();
        Some(line)
    }

    fn may(&mut self, name: &str) -> Result<Option<String>, String> {
        let value = self.peek().and_then(|line| line.strip_prefix(name)).and_then(|rest| rest.strip_prefix(": "));
        let Some(value) = value else { return Ok(None) };
        self.next();
        unescape(value).map(Some).ok_or_else(|| format!("{name} has a character that is not written as it should be"))
    }

    fn need(&mut self, name: &str) -> Result<String, String> {
        let found = self.peek().map_or_else(|| "the end".to_owned(), |line| format!("{line:?}"));
        self.may(name)?.ok_or_else(|| format!("{name} is missing before {found}"))
    }

    fn all(&mut self, name: &str) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        while let Some(one) = self.may(name)? {
            all.push(one);
        }
        Ok(all)
    }
}

fn escape(value: &str, out: &mut String) {
    let (start, end) = (value.len() - value.trim_start().len(), value.trim_end().len());
    for (at, c) in value.char_indices() {
        let at_an_end = at < start || at >= end;
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if at_an_end || hides(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// Tells whether a character ends a line, cannot be seen, or changes the order in which others are shown.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn unescape(value: &str) -> Option<String> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (c, taken) = match rest.chars().next()? {
            '\\' => ('\\', 1),
            'n' => ('\n', 1),
            't' => ('\t', 1),
            'u' => {
                let digits = rest.strip_prefix("u{")?.split('}').next()?;
                let code = u32::from_str_radix(digits, 16).ok()?;
                (char::from_u32(code)?, digits.len() + 3)
            }
            _ => return None,
        };
        out.push(c);
        rest = rest.get(taken..)?;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn statement() -> Statement {
        Statement {
            run: RunId::new("20261120-210405-1a2b"),
            checklist: "Canary to production promotion".into(),
            checklist_digest: "ab".repeat(32),
            over: Head { seq: 42, digest: "cd".repeat(32) },
            section: None,
            role: "sre".into(),
            decision: SignDecision::Approve,
            conditions: Vec::new(),
            note: String::new(),
            by: "carol@example.com".into(),
            user: "carol".into(),
            key: "SHA256:abc".into(),
            at: DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        }
    }

    #[test]
    fn the_text_is_this() {
        let full = Statement {
            section: Some(SectionId::new("promotion")),
            decision: SignDecision::Conditional,
            conditions: vec!["watch p95 for an hour".into(), "tell\nsupport".into()],
            note: " looked at the graphs\u{202e} ".into(),
            ..statement()
        };
        let expected = format!(
            "holdpoint statement v1\nrun: 20261120-210405-1a2b\nchecklist: Canary to production promotion\n\
             checklist sha256: {}\nrecord events: 42\nrecord sha256: {}\nhold point: promotion\nrole: sre\n\
             decision: conditional\ncondition: watch p95 for an hour\ncondition: tell\\nsupport\n\
             note: \\u{{20}}looked at the graphs\\u{{202e}}\\u{{20}}\nsigner: carol@example.com\nuser: carol\n\
             key: SHA256:abc\ntime: 2026-09-21T14:13:20Z\n",
            "ab".repeat(32),
            "cd".repeat(32)
        );
        assert_eq!(full.text(), expected);
        assert_eq!(Statement::parse(&expected).unwrap(), full);
        assert_eq!(Statement::parse(&statement().text()).unwrap(), statement());
    }

    #[test]
    fn a_text_that_is_not_in_its_one_form_is_refused() {
        let good = statement().text();
        for (what, bad) in [
            ("empty", String::new()),
            ("one line", "holdpoint statement v1\n".into()),
            ("another version", good.replacen("v1", "v2", 1)),
            ("no end", good.trim_end().into()),
            ("more behind", format!("{good}note: more\n")),
            ("two roles", good.replace("role: sre", "role: sre\nrole: cto")),
            ("swapped", good.replace("role: sre\ndecision: approve", "decision: approve\nrole: sre")),
            ("unknown decision", good.replace("approve", "maybe")),
            ("needless escape", good.replace("role: sre", "role: \\u{73}re")),
            ("wrong escape", good.replace("role: sre", "role: \\qre")),
            ("carriage return", good.replace("role: sre", "role: sre\r")),
            ("blank at the end", good.replace("role: sre", "role: sre ")),
            ("another zone", good.replace("14:13:20Z", "15:13:20+01:00")),
            ("not a number", good.replace("events: 42", "events: +42")),
            ("half a digest line", good.replace("record sha256: cd", "record sha256 cd")),
        ] {
            assert_ne!(bad, good, "{what}");
            assert!(Statement::parse(&bad).is_err(), "{what}");
        }
    }

    proptest! {
        #[test]
        fn every_statement_is_read_back(role: String, note: String, conditions in prop::collection::vec(any::<String>(), 0..4), by: String) {
            let one = Statement { role, note, conditions, by, decision: SignDecision::Reject, ..statement() };
            let text = one.text();
            prop_assert_eq!(text.lines().count(), 11 + one.conditions.len() + usize::from(!one.note.is_empty()) + usize::from(!one.by.is_empty()));
            prop_assert_eq!(Statement::parse(&text), Ok(one));
        }

        #[test]
        fn other_texts_do_no_harm(text: String) {
            prop_assert!(Statement::parse(&text).is_err());
            let begun = format!("{FIRST}\n{text}\n");
            prop_assert!(Statement::parse(&begun).is_err());
        }
    }
}
