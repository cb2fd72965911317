//! The file of waivers: failures that are known, that somebody answers for, and that do not block for a while. It is
//! checked as strictly as a checklist, with places and codes.
//!
//! ```yaml
//! holdpoint: 1
//! waivers:
//!   - step: error-rate
//!     reason: The old exporter counts retries twice; mended in 2.4.
//!     approved_by: carol@example.com
//!     ticket: OPS-1234
//!     from: 2026-11-20
//!     until: 2026-12-01T12:00:00Z
//! ```

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span};
use crate::event::Waivers;
use crate::model::StepId;
use crate::model::waiver::Waiver;
use crate::shape::{self, Object, Shape, field, required};
use crate::yaml::{self, Node};

/// The longest life of a waiver.
pub const LONGEST: TimeDelta = TimeDelta::days(90);

/// How long before its end a waiver is said to end soon.
pub const SOON: TimeDelta = TimeDelta::days(7);

static FILE: Object = Object {
    name: "a file of waivers",
    fields: &[
        required("holdpoint", Shape::Int(1, 1), "The version of the language, `1`."),
        required("waivers", Shape::List(&Shape::Object(&WAIVER)), "The waivers."),
    ],
    open: false,
};

static WAIVER: Object = Object {
    name: "a waiver",
    fields: &[
        required("step", Shape::Text, "The id of the step whose failure is waived."),
        required("reason", Shape::Text, "Why that is acceptable."),
        required("approved_by", Shape::Text, "Who answers for it."),
        field("risk", Shape::Text, "What could come of it."),
        field("ticket", Shape::Text, "Where the mending is tracked."),
        required("from", Shape::Text, "When it begins to act."),
        required("until", Shape::Text, "When it ceases to act, at most 90 days later."),
    ],
    open: false,
};

/// Reads a file of waivers. Every mistake is said; nothing is returned when there is one. `steps` are those of the
/// checklist, where it is known.
pub fn read(
    sources: &mut SourceMap,
    file: FileId,
    steps: Option<&[StepId]>,
    now: DateTime<Utc>,
    diagnostics: &mut Diagnostics,
) -> Option<Waivers> {
    let digest = Sha256::digest(sources.text(file).as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let Some(node) = yaml::parse(sources, file, diagnostics) else {
        if !diagnostics.has_errors() {
            let message = "a file of waivers is a map that begins with `holdpoint: 1`, this file is empty";
            diagnostics.push(Diagnostic::error("wrong-type", Span::new(file, 0, 0), message));
        }
        return None;
    };
    let sound = shape::check(&node, &Shape::Object(&FILE), diagnostics);
    let nodes = node.get("waivers").and_then(Node::list).unwrap_or_default();
    let mut waivers: Vec<(Waiver, &Node)> = Vec::new();
    let mut good = sound;
    for entry in nodes {
        match waiver(entry, diagnostics) {
            Some(waiver) => {
                good &= fits(&waiver, entry, steps, &waivers, diagnostics);
                say_when(&waiver, entry, now, diagnostics);
                waivers.push((waiver, entry));
            }
            None => good = false,
        }
    }
    let name = sources.name(file).to_string();
    good.then(|| Waivers { file: name, digest, waivers: waivers.into_iter().map(|(waiver, _)| waiver).collect() })
}

/// Reads one waiver whose form is right; nothing when a value of it is not.
fn waiver(node: &Node, diagnostics: &mut Diagnostics) -> Option<Waiver> {
    let step = filled(node, "step", diagnostics);
    let reason = filled(node, "reason", diagnostics);
    let approved_by = filled(node, "approved_by", diagnostics);
    let from = time(node, "from", diagnostics);
    let until = time(node, "until", diagnostics);
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    Some(Waiver {
        step: StepId::new(step?),
        reason: reason?,
        approved_by: approved_by?,
        risk: text("risk"),
        ticket: text("ticket"),
        from: from?,
        until: until?,
    })
}

/// Returns a text that must say something. That it is missing is said already.
fn filled(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let value = node.get(key)?;
    let text = value.text()?;
    if text.trim().is_empty() {
        diagnostics.push(Diagnostic::error("bad-value", value.span, format!("{key} is empty; say it in words")));
        return None;
    }
    Some(text.to_owned())
}

fn time(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<DateTime<Utc>> {
    let value = node.get(key)?;
    let text = value.text()?;
    let at = parse_time(text);
    if at.is_none() {
        let message = format!("{key} is {text:?}, which could mean several times or none");
        let help = "write a day, `2026-12-01` (from 00:00 UTC), or a time with its zone, `2026-12-01T12:00:00Z`";
        diagnostics.push(Diagnostic::error("waiver-date", value.span, message).help(help));
    }
    at
}

/// Reads a day as its first second in UTC, or a time that has its zone.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let ten = |text: &str| {
        text.len() == 10
            && text.bytes().enumerate().all(|(n, b)| match n {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            })
    };
    if ten(text) {
        return Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc());
    }
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

/// Checks a waiver against the checklist and those before it.
fn fits(
    waiver: &Waiver,
    node: &Node,
    steps: Option<&[StepId]>,
    before: &[(Waiver, &Node)],
    diagnostics: &mut Diagnostics,
) -> bool {
    let span = |key: &str| node.get(key).map_or(node.span, |value| value.span);
    let mut good = true;
    let mut say = |diagnostic: Diagnostic| {
        diagnostics.push(diagnostic);
        good = false;
    };
    if waiver.until <= waiver.from {
        say(Diagnostic::error("waiver-date", span("until"), "the waiver ends before it begins")
            .also(span("from"), "it begins here"));
    } else if waiver.until - waiver.from > LONGEST {
        let days = (waiver.until - waiver.from).num_days();
        let message = format!("the waiver lives {days} days; what is waived for more than 90 is no exception any more");
        let help = format!("end it by {}", (waiver.from + LONGEST).format("%Y-%m-%dT%H:%M:%SZ"));
        say(Diagnostic::error("waiver-too-long", span("until"), message).help(help));
    }
    if let Some(steps) = steps.filter(|steps| !steps.contains(&waiver.step)) {
        let message = format!("the checklist has no step {:?}", waiver.step.as_str());
        let names = steps.iter().map(StepId::as_str);
        say(Diagnostic::error("waiver-unknown-step", span("step"), message).near(waiver.step.as_str(), names));
    }
    let same = |(other, _): &&(Waiver, &Node)| {
        other.step == waiver.step && other.from < waiver.until && waiver.from < other.until
    };
    if let Some((_, other)) = before.iter().find(same) {
        let message = format!("{:?} is waived twice at the same time", waiver.step.as_str());
        let first = other.get("step").map_or(other.span, |value| value.span);
        say(Diagnostic::error("waiver-duplicate", span("step"), message).also(first, "first here"));
    }
    good
}

/// Says that a waiver has ended, or soon will.
fn say_when(waiver: &Waiver, node: &Node, now: DateTime<Utc>, diagnostics: &mut Diagnostics) {
    let span = node.get("until").map_or(node.span, |value| value.span);
    let until = waiver.until.format("%Y-%m-%d %H:%M:%S UTC");
    if waiver.until <= now {
        let message = format!("the waiver of {:?} ended {until} and acts no more", waiver.step.as_str());
        diagnostics
            .push(Diagnostic::warning("waiver-expired", span, message).help("remove it, or have it approved anew"));
    } else if waiver.until - now <= SOON && waiver.from <= now {
        let message = format!("the waiver of {:?} ends soon, {until}", waiver.step.as_str());
        diagnostics.push(Diagnostic::warning("waiver-ends-soon", span, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z").unwrap().to_utc()
    }

    fn check(text: &str) -> (Option<Waivers>, Vec<(&'static str, String)>) {
        let mut sources = SourceMap::new();
        let file = sources.add("waivers.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let steps = [StepId::new("error-rate"), StepId::new("latency")];
        let waivers = read(&mut sources, file, Some(&steps), now(), &mut diagnostics);
        diagnostics.sort();
        let place = |span: Span| {
            let (line, column) = sources.line_column(span);
            format!("{line}:{column}")
        };
        (waivers, diagnostics.iter().map(|d| (d.code, place(d.labels[0].span))).collect())
    }

    fn one(fields: &str) -> String {
        format!("holdpoint: 1\nwaivers:\n  - {{ {fields} }}\n")
    }

    const GOOD: &str = "step: error-rate, reason: Known, approved_by: carol, from: 2026-11-01, until: 2026-12-24";

    #[test]
    fn a_good_file_is_read_to_the_second() {
        let (waivers, said) = check(&one(&GOOD.replace("2026-12-24", "\"2026-12-24T10:00:01+02:00\"")));
        assert_eq!(said, []);
        let waivers = waivers.unwrap();
        let waiver = &waivers.waivers[0];
        let until = DateTime::parse_from_rfc3339("2026-12-24T08:00:01Z").unwrap();
        assert!(waiver.acts_at(until.to_utc() - TimeDelta::seconds(1)) && !waiver.acts_at(until.to_utc()));
        assert_eq!(waiver.from.to_rfc3339(), "2026-11-01T00:00:00+00:00");
        assert_eq!((waivers.file.as_str(), waivers.digest.len()), ("waivers.yaml", 64));
        assert!(check("holdpoint: 1\nwaivers: []\n").0.is_some());
    }

    #[test]
    fn every_mistake_is_said_with_its_place() {
        let table = [
            (String::new(), vec![("wrong-type", "1:1")]),
            ("waivers: []".into(), vec![("missing-key", "1:1")]),
            (one(&GOOD.replace("reason: Known, ", "")), vec![("missing-key", "3:7")]),
            (one(&GOOD.replace("Known", "\" \"")), vec![("bad-value", "3:33")]),
            (one(&GOOD.replace("error-rate", "eror-rate")), vec![("waiver-unknown-step", "3:13")]),
            (one(&GOOD.replace("2026-11-01", "01.11.2026")), vec![("waiver-date", "3:66")]),
            (one(&GOOD.replace("2026-11-01", "2026-11-01T10:00:00")), vec![("waiver-date", "3:66")]),
            (one(&GOOD.replace("2026-11-01", "2026-02-30")), vec![("waiver-date", "3:66")]),
            (one(&GOOD.replace("2026-11-01", "2026-12-25")), vec![("waiver-date", "3:85")]),
            (one(&GOOD.replace("2026-12-24", "2027-01-31")), vec![("waiver-too-long", "3:85")]),
            (one(&GOOD.replace("2026-12-24", "2026-11-20")), vec![("waiver-expired", "3:85")]),
            (one(&GOOD.replace("2026-12-24", "2026-11-27")), vec![("waiver-ends-soon", "3:85")]),
            (format!("{}  - {{ {GOOD} }}\n", one(GOOD)), vec![("waiver-duplicate", "4:13")]),
            (one(&format!("{GOOD}, untill: 1")), vec![("unknown-key", "3:97")]),
        ];
        for (text, expected) in table {
            let (waivers, said) = check(&text);
            let said: Vec<_> = said.iter().map(|(code, place)| (*code, place.as_str())).collect();
            assert_eq!(said, expected, "{text}");
            let harmless = ["waiver-expired", "waiver-ends-soon"].contains(&expected[0].0);
            assert_eq!(waivers.is_some(), harmless, "{text}");
        }
        let later = GOOD.replace("2026-11-01", "2026-12-24").replace("until: 2026-12-24", "until: 2026-12-31");
        assert!(check(&format!("{}  - {{ {later} }}\n", one(GOOD))).0.is_some(), "one after the other");
    }

    #[test]
    fn ninety_days_are_allowed_and_a_second_more_is_not() {
        let from = GOOD.replace("2026-11-01", "2026-11-01T00:00:00Z");
        let until = |time: &str| check(&one(&from.replace("until: 2026-12-24", &format!("until: \"{time}\"")))).0;
        assert!(until("2027-01-30T00:00:00Z").is_some());
        assert!(until("2027-01-30T00:00:01Z").is_none());
    }
}
