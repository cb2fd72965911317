//! The way through everything that a worker returns: each text is masked, then cut to size.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::{MASK, Redactor, limits, outline};
use crate::event::StepResult;
use crate::model::{Evidence, Found, Measures, Note, Observation, Reference, Value, Verdict};

/// Masks a text in place.
fn mask(redactor: &Redactor, text: &mut String) {
    if let Cow::Owned(masked) = redactor.text(text) {
        *text = masked;
    }
}

/// Masks a text in place and cuts it. Returns how many bytes were left out.
fn bounded(redactor: &Redactor, text: &mut String, limit: usize) -> u64 {
    mask(redactor, text);
    limits::cut(text, limit)
}

pub(super) fn json(redactor: &Redactor, value: &mut Json) {
    if redactor.forms.is_empty() {
        return;
    }
    match value {
        Json::Null | Json::Bool(_) => {}
        Json::Number(number) => {
            if redactor.hides(number) {
                *value = Json::String(MASK.to_owned());
            }
        }
        Json::String(text) => mask(redactor, text),
        Json::Array(items) => items.iter_mut().for_each(|item| json(redactor, item)),
        Json::Object(map) => {
            map.values_mut().for_each(|item| json(redactor, item));
            if map.keys().any(|key| matches!(redactor.text(key), Cow::Owned(_))) {
                let entries = std::mem::take(map).into_iter();
                *map = entries.map(|(key, item)| (redactor.text(&key).into_owned(), item)).collect();
            }
        }
    }
}

/// Estimates how long a JSON value is when written, and stops counting when it is over the limit.
fn written_size(value: &Json, left: &mut usize) -> bool {
    let own = match value {
        Json::Null | Json::Bool(_) => 5,
        Json::Number(_) => 8,
        Json::String(text) => text.len() + 2,
        Json::Array(items) => 2 + items.len(),
        Json::Object(map) => 2 + map.keys().map(|key| key.len() + 4).sum::<usize>(),
    };
    let Some(rest) = left.checked_sub(own) else { return false };
    *left = rest;
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
        Json::Array(items) => items.iter().all(|item| written_size(item, left)),
        Json::Object(map) => map.values().all(|item| written_size(item, left)),
    }
}

/// Takes the beginning of a JSON value as it would be written, without writing all of it.
fn head_of(value: &Json) -> String {
    struct Head(Vec<u8>);
    impl std::io::Write for Head {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let room = limits::JSON_HEAD - self.0.len();
            self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if self.0.len() == limits::JSON_HEAD { Err(std::io::ErrorKind::WriteZero.into()) } else { Ok(bytes.len()) }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut head = Head(Vec::with_capacity(limits::JSON_HEAD));
    // The writer ends with an error as soon as it has enough; that is its purpose.
    let _ = serde_json::to_writer(&mut head, value);
    String::from_utf8_lossy(&head.0).into_owned()
}

pub(super) fn value(redactor: &Redactor, value: &mut Value) {
    measured(redactor, value);
}

/// Masks and bounds a value. Returns what was left out, in words.
fn measured(redactor: &Redactor, value: &mut Value) -> Option<String> {
    match value {
        Value::Number(number) => {
            if redactor.hides(number) {
                *value = Value::Text(MASK.to_owned());
            }
            None
        }
        Value::Bool(_) => None,
        Value::Text(text) => match bounded(redactor, text, limits::TEXT) {
            0 => None,
            n => Some(format!("{n} bytes in the middle of the text are not in the record")),
        },
        Value::Missing(why) | Value::NoData(why) => {
            bounded(redactor, why, limits::LINE);
            None
        }
        Value::Json(inner) => {
            json(redactor, inner);
            if written_size(inner, &mut limits::JSON.clone()) {
                return None;
            }
            let limit = limits::JSON / 1024;
            let head = head_of(inner);
            *value =
                Value::NoData(format!("the JSON value is larger than the {limit} KiB that a record keeps: {head}"));
            Some(format!("the JSON value is larger than the {limit} KiB that a record keeps"))
        }
        Value::Set(words) => set(redactor, words),
        Value::Tally(tally) => {
            // The counts stay; fewer names make nothing untrue.
            set(redactor, &mut tally.names);
            set(redactor, &mut tally.others);
            None
        }
        Value::Series(samples) => {
            for sample in samples.iter_mut() {
                sample.labels.values_mut().for_each(|text| mask(redactor, text));
                if redactor.hides(&sample.value) {
                    sample.value = f64::NAN;
                }
            }
            let surplus = samples.len().saturating_sub(limits::SERIES);
            samples.truncate(limits::SERIES);
            (surplus > 0).then(|| format!("{surplus} series are not in the record"))
        }
    }
}

fn set(redactor: &Redactor, words: &mut Vec<String>) -> Option<String> {
    let mut room = limits::SET;
    let mut kept = 0;
    for word in words.iter_mut() {
        mask(redactor, word);
        let Some(rest) = room.checked_sub(word.len() + 3) else { break };
        room = rest;
        kept += 1;
    }
    let surplus = words.len() - kept;
    words.truncate(kept);
    (surplus > 0).then(|| format!("{surplus} members of the set are not in the record"))
}

pub(super) fn observation(redactor: &Redactor, observation: &mut Observation) {
    bounded(redactor, &mut observation.request, limits::REQUEST);
    if let Some(through) = &mut observation.through {
        bounded(redactor, through, limits::LINE);
    }
    let mut remarks = Vec::new();
    match &mut observation.found {
        Found::Measures(measures) => {
            names(redactor, measures);
            for (name, value) in measures.iter_mut() {
                remarks.extend(measured(redactor, value).map(|what| Note::info(format!("{name}: {what}"))));
            }
        }
        Found::NoAnswer { cause } | Found::CouldNotLook { cause, .. } | Found::NotEnough { cause } => {
            bounded(redactor, cause, limits::LINE);
        }
        Found::Waiting { instruction } => {
            bounded(redactor, instruction, limits::REQUEST);
        }
    }
    observation.notes.extend(remarks);
    notes(redactor, &mut observation.notes);
    evidence(redactor, &mut observation.evidence);
}

/// Masks the keys of keyed measures.
fn names(redactor: &Redactor, measures: &mut Measures) {
    if measures.iter().any(|(name, _)| outline::measure_name(redactor, name).is_some()) {
        let mut renamed = Measures::new();
        for (name, value) in measures.iter() {
            let masked = outline::measure_name(redactor, name).unwrap_or_else(|| name.clone());
            renamed.set(masked, value.clone());
        }
        *measures = renamed;
    }
}

fn notes(redactor: &Redactor, notes: &mut Vec<Note>) {
    if notes.len() > limits::NOTES {
        let surplus = notes.len() - limits::NOTES + 1;
        notes.truncate(limits::NOTES - 1);
        notes.push(Note::warning(format!("{surplus} more remarks are not in the record")));
    }
    for note in notes {
        bounded(redactor, &mut note.text, limits::LINE);
    }
}

fn evidence(redactor: &Redactor, pieces: &mut [Evidence]) {
    let mut room = limits::ALL_EVIDENCE;
    for piece in pieces {
        mask(redactor, &mut piece.title);
        if piece.left_out > 0
            && let Cow::Owned(masked) = redactor.excerpt(&piece.text)
        {
            piece.text = masked;
        }
        piece.left_out += bounded(redactor, &mut piece.text, limits::EVIDENCE.min(room));
        room = room.saturating_sub(piece.text.len());
    }
}

/// Masks what a look was held against.
pub(super) fn references(redactor: &Redactor, references: &mut [Reference]) {
    for reference in references {
        if let Some(masked) = outline::measure_name(redactor, &reference.measure) {
            reference.measure = masked;
        }
        measured(redactor, &mut reference.value);
        bounded(redactor, &mut reference.origin, limits::LINE);
    }
}

pub(super) fn verdict(redactor: &Redactor, verdict: &mut Verdict) {
    bounded(redactor, &mut verdict.summary, limits::LINE);
    for finding in &mut verdict.findings {
        bounded(redactor, &mut finding.subject, limits::LINE);
        bounded(redactor, &mut finding.expected, limits::LINE);
        bounded(redactor, &mut finding.observed, limits::LINE);
        finding.value = finding.value.filter(|number| !redactor.hides(number));
        finding.limit = finding.limit.filter(|number| !redactor.hides(number));
    }
}

pub(super) fn result(redactor: &Redactor, result: &mut StepResult) {
    bounded(redactor, &mut result.reason, limits::LINE);
    if let Some(look) = &mut result.look {
        observation(redactor, &mut look.observation);
        references(redactor, &mut look.against);
        verdict(redactor, &mut look.verdict);
    }
    for (_, captured) in &mut result.captured {
        json(redactor, captured);
        if !written_size(captured, &mut limits::TEXT.clone()) {
            let limit = limits::TEXT / 1024;
            *captured = Json::String(format!("not in the record: larger than {limit} KiB: {}", head_of(captured)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Sample, Secret, Tally};

    fn redactor() -> Redactor {
        Redactor::new(&[Secret::new("s3cr3t-word"), Secret::new("48151623")])
    }

    #[test]
    fn json_is_masked_in_values_keys_and_numbers() {
        let mut value = json!({ "a s3cr3t-word": [{ "b": "xs3cr3t-wordy" }, 48151623, 5], "c": true });
        redactor().json(&mut value);
        assert_eq!(value, json!({ "a ***": [{ "b": "x***y" }, "***", 5], "c": true }));
    }

    #[test]
    fn a_secret_of_one_digit_leaves_numbers_alone() {
        let mut value = json!([1, 11, "1"]);
        Redactor::new(&[Secret::new("1")]).json(&mut value);
        assert_eq!(value, json!([1, 11, "***"]));
    }

    #[test]
    fn every_value_is_masked() {
        let labels = [("pod".to_owned(), "s3cr3t-word".to_owned())].into();
        for mut value in [
            Value::Number(48_151_623.0),
            Value::Text("s3cr3t-word".into()),
            Value::Json(json!("s3cr3t-word")),
            Value::Set(vec!["s3cr3t-word".into()]),
            Value::Tally(Tally::named([("s3cr3t-word".to_owned(), true), ("s3cr3t-word".to_owned(), false)])),
            Value::Series(vec![Sample { labels, value: 48_151_623.0 }]),
            Value::Missing("s3cr3t-word".into()),
            Value::NoData("s3cr3t-word".into()),
        ] {
            redactor().value(&mut value);
            let text = format!("{value:?}");
            assert!(!text.contains("s3cr3t") && !text.contains("48151623"), "{text}");
        }
    }

    #[test]
    fn sizes_are_bounded_and_what_is_left_out_is_counted() {
        let mut measures = Measures::new();
        measures.plain("body", Value::Text("x".repeat(1_000_000)));
        measures.plain("json", Value::Json(json!(vec!["0123456789"; 30_000])));
        measures.plain("records", Value::Set((0..20_000).map(|n| format!("word {n}")).collect()));
        let members = (0..20_000).map(|n| (format!("member {n}"), n % 2 == 0));
        measures.plain("tally", Value::Tally(Tally::named(members)));
        let mut seen = Observation::new("r".repeat(100_000), Found::Measures(measures));
        for _ in 0..20 {
            seen.evidence.push(Evidence { title: "body".into(), text: "e".repeat(20_000), left_out: 7 });
        }
        seen.notes = vec![Note::info("n".repeat(10_000)); 1000];
        Redactor::new(&[]).observation(&mut seen);
        let written = serde_json::to_string(&seen).expect("serialises");
        assert!(written.len() < 750_000, "{}", written.len());
        let evidence: usize = seen.evidence.iter().map(|e| e.text.len()).sum();
        assert!(evidence < limits::ALL_EVIDENCE + 20 * 64, "{evidence}");
        assert!(seen.evidence.iter().all(|e| e.left_out > 3_000));
        let Found::Measures(measures) = &seen.found else { unreachable!() };
        let kinds: Vec<_> = measures.iter().map(|(_, value)| value).collect();
        assert!(matches!(kinds[0], Value::Text(text) if text.len() < limits::TEXT + 64));
        assert!(matches!(kinds[1], Value::NoData(why) if why.contains("[\"0123456789\",")));
        assert!(matches!(kinds[2], Value::Set(words) if words.len() > 1000 && words.len() < 10_000));
        let Value::Tally(tally) = kinds[3] else { unreachable!() };
        assert_eq!((tally.count, tally.of, tally.names.len() < 10_000), (10_000, 20_000, true));
        assert_eq!(tally.holds_of("member 19998"), None, "its name is not in the record");
    }

    #[test]
    fn what_is_small_stays_as_it_is() {
        let mut measures = Measures::new();
        measures.plain("json", Value::Json(json!({ "a": [1, null, "x"] })));
        measures.plain("value", Value::Number(f64::NAN));
        let seen = Observation::new("GET /", Found::Measures(measures));
        let mut redacted = seen.clone();
        redactor().observation(&mut redacted);
        assert_eq!(format!("{redacted:?}"), format!("{seen:?}"));
    }
}
