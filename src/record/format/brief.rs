//! Looks in brief: what a step finds again and again is written once.
//!
//! A soak looks half a million times, and one look differs from another in little more than its time and its numbers.
//! The first look of a step with some outcome is written in full; a later one of the same make is written in brief, with
//! `like`, the number of the event with the full one, and what is different:
//!
//! ```text
//! {"brief":"looked","seq":9,"at":"…","step":"errors","like":7,"n":3,"ago":51200,"took_us":812,
//!  "found":[0.031],"told":["3.1%"]}
//! ```
//!
//! `ago` and `waited` are nanoseconds: from the look to the event's time, and from the step's start to its look. `found`
//! has an item a measure: null for the same value, a number, the numbers of the same series, or another value in full.
//! `told` has an item a finding: null for the same, the words for a value that is the first number of `found`, or the
//! words and the value. `"brief":"checked"` has the number of the `checkpoint` and what its result adds. A look of any
//! other make is written in full again. The digest covers the text as it is written.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind, Look, StepResult};
use crate::model::{Evidence, Finding, Found, Measures, Reference, Sample, StepId, Value, Verdict};

/// What every brief event begins with, and no other.
const MARK: &str = r#"{"brief":"#;

/// Writes the events of a run in order.
#[derive(Debug, Default)]
pub struct Writer(Known);

/// Reads the events of a run in order.
#[derive(Debug, Default)]
pub struct Reader(Known);

impl Writer {
    /// Adds the text of the next event to a buffer: one line of JSON without its end.
    ///
    /// # Errors
    /// An event whose values cannot be written as JSON.
    pub fn encode(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        if let Some(look) = look_of(event) {
            match self.0.brief(event, look) {
                Some(brief) => return serde_json::to_writer(out, &brief),
                None => self.0.keep(event, look),
            }
        }
        serde_json::to_writer(out, event)
    }

    /// Forgets what was written: the next look of each step is written in full.
    pub fn forget(&mut self) {
        self.0.0.clear();
    }
}

impl Reader {
    /// Reads the text of the next event.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn decode(&mut self, json: &str) -> Result<Event, serde_json::Error> {
        if json.starts_with(MARK) {
            let brief: Brief = serde_json::from_str(json)?;
            return self.0.restore(brief).map_err(de::Error::custom);
        }
        let event: Event = serde_json::from_str(json)?;
        if let Some(look) = look_of(&event) {
            self.0.keep(&event, look);
        }
        Ok(event)
    }
}

/// The looks in full that others are like: of each step the latest of each outcome, with the number of its event.
#[derive(Debug, Default)]
struct Known(HashMap<StepId, Vec<(u64, Look)>>);

impl Known {
    fn keep(&mut self, event: &Event, (step, look): (&StepId, &Look)) {
        let looks = self.0.entry(step.clone()).or_default();
        looks.retain(|(_, known)| known.verdict.outcome != look.verdict.outcome);
        looks.push((event.seq, look.clone()));
    }

    fn brief(&self, event: &Event, (step, look): (&StepId, &Look)) -> Option<Brief> {
        let of_outcome = |(_, known): &&(u64, Look)| known.verdict.outcome == look.verdict.outcome;
        let (like, base) = self.0.get(step)?.iter().find(of_outcome)?;
        let mut brief = Brief::of(event, step, *like, base, look)?;
        if let EventKind::Checked { n, result, .. } = &event.kind {
            brief.add_result(*n, result, look)?;
        }
        // What would not come back to the last bit is written in full.
        (brief.clone().into_event(base).ok()? == *event).then_some(brief)
    }

    fn restore(&self, brief: Brief) -> Result<Event, String> {
        let looks = self.0.get(&brief.step).map(Vec::as_slice).unwrap_or_default();
        let (_, base) = looks
            .iter()
            .find(|(seq, _)| *seq == brief.like)
            .ok_or_else(|| format!("it is like event {}, which is no look of {} in full", brief.like, brief.step))?;
        brief.into_event(base)
    }
}

fn look_of(event: &Event) -> Option<(&StepId, &Look)> {
    if let EventKind::Looked { step, look } = &event.kind {
        return Some((step, look));
    }
    if let EventKind::Checked { step, result, .. } = &event.kind {
        return Some((step, result.look.as_deref()?));
    }
    None
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    Looked,
    Checked,
}

/// An event with a look that is like another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Brief {
    brief: Which,
    seq: u64,
    at: DateTime<Utc>,
    step: StepId,
    like: u64,
    n: u32,
    ago: i64,
    took_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    as_of: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    found: Vec<Changed>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<Told>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<Vec<Evidence>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    against: Option<Vec<Reference>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waited: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    looks: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A measured value against that of the look in full.
#[derive(Clone, Debug)]
enum Changed {
    Same,
    Number(f64),
    Series(Vec<f64>),
    Other(Value),
}

/// A finding against that of the look in full.
#[derive(Clone, Debug)]
enum Told {
    Same,
    /// These words, of the first number that was found.
    First(String),
    Words(String, f64),
}

impl Brief {
    fn of(event: &Event, step: &StepId, like: u64, base: &Look, look: &Look) -> Option<Self> {
        let found = changes(&base.observation.found, &look.observation.found)?;
        let told = findings(&base.verdict, &look.verdict, first(&found))?;
        let differs = |same: bool| (!same).then_some(());
        Some(Self {
            brief: Which::Looked,
            seq: event.seq,
            at: event.at,
            step: step.clone(),
            like,
            n: look.n,
            ago: (event.at - look.at).num_nanoseconds()?,
            took_us: look.took_us,
            as_of: look.as_of,
            found: if found.iter().all(|c| matches!(c, Changed::Same)) { Vec::new() } else { found },
            told: if told.iter().all(|t| matches!(t, Told::Same)) { Vec::new() } else { told },
            summary: differs(look.verdict.summary == base.verdict.summary).map(|()| look.verdict.summary.clone()),
            evidence: differs(look.observation.evidence == base.observation.evidence)
                .map(|()| look.observation.evidence.clone()),
            against: differs(look.against == base.against).map(|()| look.against.clone()),
            checkpoint: None,
            waited: None,
            step_us: None,
            looks: None,
            reason: None,
        })
    }

    /// Adds what a result says beyond its look.
    fn add_result(&mut self, n: u32, result: &StepResult, look: &Look) -> Option<()> {
        self.brief = Which::Checked;
        self.checkpoint = Some(n);
        self.waited = Some((look.at - result.started).num_nanoseconds()?);
        self.step_us = Some(result.took_us);
        self.looks = (result.looks != 1).then_some(result.looks);
        self.reason = (result.reason != look.verdict.summary).then(|| result.reason.clone());
        Some(())
    }

    fn into_event(self, base: &Look) -> Result<Event, String> {
        let look = self.look(base)?;
        let (seq, at, step) = (self.seq, self.at, self.step);
        let kind = match (self.brief, self.checkpoint, self.waited, self.step_us) {
            (Which::Looked, None, None, None) => EventKind::Looked { step, look: Box::new(look) },
            (Which::Checked, Some(n), Some(waited), Some(took_us)) => {
                let reason = self.reason.unwrap_or_else(|| look.verdict.summary.clone());
                let started = before(look.at, waited)?;
                let result = StepResult {
                    took_us,
                    looks: self.looks.unwrap_or(1),
                    ..StepResult::new(look.verdict.outcome, reason, started)
                };
                let result = Box::new(StepResult { look: Some(Box::new(look)), ..result });
                EventKind::Checked { step, n, result }
            }
            (Which::Looked | Which::Checked, ..) => return Err("what a brief event must have is missing".into()),
        };
        Ok(Event { seq, at, kind })
    }

    fn look(&self, base: &Look) -> Result<Look, String> {
        let mut look = base.clone();
        look.n = self.n;
        look.at = before(self.at, self.ago)?;
        (look.took_us, look.as_of) = (self.took_us, self.as_of);
        if let Found::Measures(measures) = &mut look.observation.found {
            apply(measures, &self.found)?;
        }
        if !self.told.is_empty() && self.told.len() != look.verdict.findings.len() {
            return Err("it tells of more or fewer findings than the look that it is like".into());
        }
        let first = first(&self.found);
        for (finding, told) in look.verdict.findings.iter_mut().zip(&self.told) {
            match told {
                Told::Same => {}
                Told::First(words) => {
                    finding.observed.clone_from(words);
                    finding.value = finding.value.and(first);
                }
                Told::Words(words, value) => {
                    finding.observed.clone_from(words);
                    finding.value = Some(*value);
                }
            }
        }
        if let Some(summary) = &self.summary {
            look.verdict.summary.clone_from(summary);
        }
        if let Some(evidence) = &self.evidence {
            look.observation.evidence.clone_from(evidence);
        }
        if let Some(against) = &self.against {
            look.against.clone_from(against);
        }
        Ok(look)
    }
}

fn before(at: DateTime<Utc>, nanoseconds: i64) -> Result<DateTime<Utc>, String> {
    at.checked_sub_signed(TimeDelta::nanoseconds(nanoseconds)).ok_or_else(|| "its time is out of range".to_owned())
}

/// Returns the first number that is written.
fn first(found: &[Changed]) -> Option<f64> {
    found.iter().find_map(|changed| match changed {
        Changed::Number(number) => Some(*number),
        Changed::Series(numbers) => numbers.first().copied(),
        Changed::Same | Changed::Other(_) => None,
    })
}

fn changes(base: &Found, found: &Found) -> Option<Vec<Changed>> {
    let (Found::Measures(base), Found::Measures(found)) = (base, found) else {
        return (base == found).then(Vec::new);
    };
    let mut changes = Vec::new();
    let mut old = base.iter();
    for (name, value) in found.iter() {
        let (_, before) = old.next().filter(|(known, _)| *known == name)?;
        changes.push(change(before, value));
    }
    old.next().is_none().then_some(changes)
}

fn change(base: &Value, value: &Value) -> Changed {
    match (base, value) {
        (base, value) if is_same(base, value) => Changed::Same,
        (Value::Number(_), Value::Number(number)) if number.is_finite() => Changed::Number(*number),
        (Value::Series(base), Value::Series(samples))
            if !samples.is_empty()
                && samples.iter().all(|sample| sample.value.is_finite())
                && base.iter().map(|s| &s.labels).eq(samples.iter().map(|s| &s.labels)) =>
        {
            Changed::Series(samples.iter().map(|sample| sample.value).collect())
        }
        (_, value) => Changed::Other(value.clone()),
    }
}

/// Tells whether two values are the same to the last bit: 0 and -0 are equal and not the same.
fn is_same(base: &Value, value: &Value) -> bool {
    let bits = |of: &[Sample]| of.iter().map(|sample| sample.value.to_bits()).collect::<Vec<_>>();
    match (base, value) {
        (Value::Number(base), Value::Number(value)) => base.to_bits() == value.to_bits(),
        (Value::Series(one), Value::Series(other)) => one == other && bits(one) == bits(other),
        (base, value) => base == value,
    }
}

fn apply(measures: &mut Measures, changes: &[Changed]) -> Result<(), String> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut changes = changes.iter();
    let differs = || "it has other measures than the look that it is like".to_owned();
    for (_, value) in measures.iter_mut() {
        match (changes.next().ok_or_else(differs)?, value) {
            (Changed::Same, _) => {}
            (Changed::Number(new), Value::Number(old)) => *old = *new,
            (Changed::Series(new), Value::Series(old)) if new.len() == old.len() => {
                old.iter_mut().zip(new).for_each(|(sample, new)| sample.value = *new);
            }
            (Changed::Other(new), value) => value.clone_from(new),
            (Changed::Number(_) | Changed::Series(_), _) => return Err(differs()),
        }
    }
    changes.next().map_or(Ok(()), |_| Err(differs()))
}

fn findings(base: &Verdict, verdict: &Verdict, first: Option<f64>) -> Option<Vec<Told>> {
    if base.findings.len() != verdict.findings.len() {
        return None;
    }
    base.findings.iter().zip(&verdict.findings).map(|(base, finding)| told(base, finding, first)).collect()
}

fn told(base: &Finding, finding: &Finding, first: Option<f64>) -> Option<Told> {
    let same_bits = |one: Option<f64>, other: Option<f64>| one.map(f64::to_bits) == other.map(f64::to_bits);
    let alike = base.subject == finding.subject
        && base.expected == finding.expected
        && base.outcome == finding.outcome
        && base.origin == finding.origin
        && same_bits(base.limit, finding.limit)
        && base.value.is_some() == finding.value.is_some();
    match finding.value {
        _ if !alike => None,
        value if base.observed == finding.observed && same_bits(base.value, value) => Some(Told::Same),
        None => Some(Told::First(finding.observed.clone())),
        value if same_bits(value, first) => Some(Told::First(finding.observed.clone())),
        Some(value) if value.is_finite() => Some(Told::Words(finding.observed.clone(), value)),
        Some(_) => None,
    }
}

impl Serialize for Changed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Changed::Same => serializer.serialize_unit(),
            Changed::Number(number) => serializer.serialize_f64(*number),
            Changed::Series(numbers) => numbers.serialize(serializer),
            Changed::Other(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Changed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChangedVisitor)
    }
}

struct ChangedVisitor;

impl<'de> Visitor<'de> for ChangedVisitor {
    type Value = Changed;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("null, a number, numbers or a value")
    }

    fn visit_unit<E>(self) -> Result<Changed, E> {
        Ok(Changed::Same)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Changed, E> {
        Ok(Changed::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Changed, E> {
        Ok(Changed::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Changed, E> {
        Ok(Changed::Number(number as f64))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Changed, A::Error> {
        Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Changed::Series)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Changed, A::Error> {
        Value::deserialize(de::value::MapAccessDeserializer::new(map)).map(Changed::Other)
    }
}

impl Serialize for Told {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Told::Same => serializer.serialize_unit(),
            Told::First(words) => serializer.serialize_str(words),
            Told::Words(words, value) => (words, value).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ToldVisitor)
    }
}

struct ToldVisitor;

impl<'de> Visitor<'de> for ToldVisitor {
    type Value = Told;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("null, words, or words and a number")
    }

    fn visit_unit<E>(self) -> Result<Told, E> {
        Ok(Told::Same)
    }

    fn visit_str<E>(self, words: &str) -> Result<Told, E> {
        Ok(Told::First(words.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Told, A::Error> {
        let (words, value) = Deserialize::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
        Ok(Told::Words(words, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{MeasureName, Observation, Outcome, Sample};

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_790_000_000_000 + ms).expect("a time")
    }

    fn series(values: &[f64]) -> Value {
        let sample = |(n, value): (usize, &f64)| Sample {
            labels: [("pod".to_owned(), format!("p{n}"))].into_iter().collect(),
            value: *value,
        };
        Value::Series(values.iter().enumerate().map(sample).collect())
    }

    fn look(n: u32, outcome: Outcome, value: Value, number: Option<f64>) -> Look {
        let mut measures = Measures::new();
        measures.set(MeasureName::plain("value"), value);
        measures.set(MeasureName::plain("latency"), Value::Number(f64::from(n) / 7.0));
        let finding = Finding {
            subject: "value".into(),
            expected: "< 5%".into(),
            observed: format!("{number:?}"),
            outcome,
            origin: None,
            value: number,
            limit: Some(0.05),
        };
        let summary = if outcome == Outcome::Pass { String::new() } else { format!("{number:?} is not < 5%") };
        let verdict = Verdict { outcome, summary, findings: vec![finding] };
        Look {
            n,
            took_us: 7,
            ..Look::new(at(i64::from(n)), Observation::new("up", Found::Measures(measures)), verdict)
        }
    }

    fn looked(seq: u64, look: Look) -> Event {
        Event { seq, at: at(5000), kind: EventKind::Looked { step: StepId::new("errors"), look: Box::new(look) } }
    }

    fn checked(seq: u64, look: Look) -> Event {
        let result = StepResult::new(look.verdict.outcome, look.verdict.summary.clone(), look.at);
        let result = Box::new(StepResult { looks: 1, look: Some(Box::new(look)), ..result });
        Event { seq, at: at(5000), kind: EventKind::Checked { step: StepId::new("errors"), n: seq as u32, result } }
    }

    fn texts(events: &[Event]) -> Vec<String> {
        let mut writer = Writer::default();
        let mut reader = Reader::default();
        let write = |event: &Event| {
            let mut out = Vec::new();
            writer.encode(event, &mut out).expect("it is written");
            String::from_utf8(out).expect("text")
        };
        let texts: Vec<String> = events.iter().map(write).collect();
        for (text, event) in texts.iter().zip(events) {
            assert_eq!(format!("{:?}", reader.decode(text).expect("it is read")), format!("{event:?}"), "{text}");
        }
        texts
    }

    #[test]
    fn a_look_like_another_is_short_and_comes_back_whole() {
        let one = |n: u32, v: f64| look(n, Outcome::Pass, series(&[v]), Some(v));
        let texts = texts(&[
            looked(1, one(1, 0.01)),
            looked(2, one(2, 0.0312)),
            checked(3, one(3, 0.02)),
            looked(4, one(4, 0.01)),
        ]);
        assert!(!texts[0].starts_with(MARK) && texts[1..].iter().all(|text| text.starts_with(MARK)), "{texts:#?}");
        assert!(texts[1].contains(r#""like":1,"n":2"#) && texts[1].len() < 190, "{}", texts[1]);
        assert!(texts[2].contains(r#""checkpoint":3"#) && texts[2].len() < 230, "{}", texts[2]);
    }

    #[test]
    fn what_is_of_another_make_is_written_in_full() {
        let one = |n: u32, value: Value| looked(u64::from(n), look(n, Outcome::Pass, value, Some(0.5)));
        let changed = texts(&[
            one(1, series(&[0.5])),
            one(2, Value::NoData("gone".into())),
            one(3, Value::Number(f64::NAN)),
            one(4, series(&[0.5, 0.6])),
        ]);
        assert!(changed[1].contains("no_data") && changed[1].starts_with(MARK));
        assert!(!changed[2].starts_with(MARK), "a value that is not equal to itself: {}", changed[2]);
        assert!(!changed[3].starts_with(MARK) || changed[3].contains("labels"));
    }

    #[test]
    fn a_reference_to_nothing_is_an_error() {
        let one = |n: u32, v: f64| looked(u64::from(n), look(n, Outcome::Pass, series(&[v]), Some(v)));
        let texts = texts(&[one(1, 0.01), one(2, 0.02)]);
        let error = Reader::default().decode(&texts[1]).expect_err("nothing is known").to_string();
        assert!(error.contains("like event 1"), "{error}");
    }

    proptest! {
        #[test]
        fn every_row_of_looks_comes_back(rows in prop::collection::vec((0_usize..4, prop::num::f64::ANY, 0_usize..4, any::<bool>()), 1..40)) {
            let outcomes = [Outcome::Pass, Outcome::Fail, Outcome::Inconclusive, Outcome::Error];
            let events: Vec<Event> = (1_u32..).zip(rows).map(|(n, (outcome, number, shape, check))| {
                let value = match shape {
                    0 => Value::Number(number),
                    1 => series(&[number, 1.0]),
                    2 => Value::NoData("nothing".into()),
                    _ => Value::Text("x".into()),
                };
                let mut look = look(n, outcomes[outcome], value, (shape != 3).then_some(number));
                look.as_of = check.then(|| at(-1000));
                if check { checked(n.into(), look) } else { looked(n.into(), look) }
            }).filter(|event| serde_json::to_string(event).is_ok_and(|text| serde_json::from_str::<Event>(&text).is_ok_and(|back| format!("{back:?}") == format!("{event:?}")))).collect();
            texts(&events);
        }
    }
}
