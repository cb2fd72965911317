//! The whole run as one versioned JSON document, for programs.
//!
//! `holdpoint_report` is the version of the document, now 1; keys are only ever added under one version. `run` tells
//! who, what, when and with what; `sections` hold their `steps` in the order of the checklist, actions last. Of a step
//! `outcome` is the one that counts, `findings` the assertions of the look that decided, `measures` what that look
//! measured, `samples` the outcome, value and limit of each look or checkpoint over time, `looks` every look of a step
//! that looks more than once, in full. `approvals` tell
//! who signed and what that is worth, `roles` who is missing, `conditions` under which they agreed, and `remarks` what else
//! of waivers and signatures should be seen. `grid`, `timetable`, `holds` and `happened` tell the course of a long run. Numbers that JSON has no form for are `"NaN"`,
//! `"+Inf"`, `"-Inf"`. Text is as it was measured; every control character
//! is escaped, also those that JSON would let through.

use std::io::Write;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::json;

use super::view::{Counts, RunView, SampleView, Step, machine_moment, part_word, skip_word, weight_word};
use super::{Format, Options, ReportError};
use crate::event::Signature;
use crate::model::outline::Header;
use crate::model::{Found, Measures};
use crate::record::SectionRecord;
use crate::signoff::approval::RoleState;

/// The version of the document.
pub const VERSION: u32 = 1;

/// JSON as a report format.
pub const FORMAT: Format = Format {
    name: "json",
    doc: "everything, for programs: decision, sections, steps, every look",
    media: "application/json",
    extension: "json",
    render,
};

/// Writes the document.
///
/// # Errors
/// When it cannot be written, or when a template was given.
pub fn render(view: &RunView, options: &Options, out: &mut dyn Write) -> Result<(), ReportError> {
    options.without_template(FORMAT.name)?;
    let mut out = Escaped::new(std::io::BufWriter::new(out));
    let mut serializer = serde_json::Serializer::pretty(&mut out);
    document(view, &mut serializer).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

fn document<S: Serializer>(view: &RunView, serializer: S) -> Result<S::Ok, S::Error> {
    let record = view.record();
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("holdpoint_report", &VERSION)?;
    map.serialize_entry("decision", view.decision().word())?;
    map.serialize_entry("exit_status", &view.decision().exit_status())?;
    map.serialize_entry("reasons", view.reasons())?;
    map.serialize_entry("counts", view.counts())?;
    map.serialize_entry(
        "run",
        &json!({
            "id": record.run,
            "started": machine_moment(record.started),
            "finished": record.finished.map(machine_moment),
            "took_ms": record.took_ms,
            "interrupted": record.interrupted,
            "as_of": record.header.as_of.map(machine_moment),
            "paused": record.paused.as_ref().map(|p| json!({
                "at": machine_moment(p.at), "why": p.why, "until": p.until.map(machine_moment),
            })),
            "record": { "events": record.head.seq, "digest": record.head.digest },
        }),
    )?;
    map.serialize_entry("header", &masked(&record.header))?;
    map.serialize_entry("grid", &view.grid())?;
    map.serialize_entry("timetable", &view.timetable())?;
    map.serialize_entry("margins", &view.margins())?;
    map.serialize_entry("holds", &view.holds())?;
    map.serialize_entry("happened", &view.happened())?;
    map.serialize_entry("waivers", &record.waivers)?;
    map.serialize_entry("signatures", &Each(record.signatures.iter(), Signed))?;
    map.serialize_entry("conditions", view.conditions())?;
    map.serialize_entry("remarks", view.remarks())?;
    map.serialize_entry("approvals", &view.signatures())?;
    let role =
        |role: &RoleState| json!({ "role": role.role, "needs": role.needs, "by": role.by, "missing": role.missing() });
    map.serialize_entry("roles", &view.roles().iter().map(role).collect::<Vec<_>>())?;
    map.serialize_entry("sections", &Each(record.sections.iter(), Section))?;
    map.end()
}

/// Masks secrets once more: no report depends on what another part has masked already.
fn masked(header: &Header) -> Header {
    let mut header = header.clone();
    for input in header.inputs.iter_mut().filter(|i| i.secret && i.value.is_some()) {
        input.value = Some("***".into());
    }
    header
}

/// Escapes what JSON allows in text and a terminal acts on: DEL and the control characters U+0080 to U+009F.
pub struct Escaped<W: Write> {
    out: W,
    lead: bool,
}

impl<W: Write> Escaped<W> {
    /// Writes JSON to `out`.
    pub fn new(out: W) -> Self {
        Self { out, lead: false }
    }
}

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if !self.lead && memchr::memchr2(0xc2, 0x7f, bytes).is_none() {
            self.out.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let mut text = Vec::with_capacity(bytes.len() + 8);
        for byte in bytes {
            match (std::mem::take(&mut self.lead), byte) {
                (true, 0x80..=0x9f) | (false, 0x7f) => text.extend(format!("\\u{byte:04x}").bytes()),
                (true, _) => text.extend([0xc2, *byte]),
                (false, 0xc2) => self.lead = true,
                (false, _) => text.push(*byte),
            }
        }
        self.out.write_all(&text)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Serialises an iterator as a list, one item after the other.
struct Each<I, F>(I, F);

impl<I: Iterator + Clone, T: Serialize, F: Fn(I::Item) -> T> Serialize for Each<I, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for item in self.0.clone() {
            list.serialize_element(&(self.1)(item))?;
        }
        list.end()
    }
}

struct Section<'a>(&'a SectionRecord);

impl Serialize for Section<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outline = &self.0.outline;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &outline.id)?;
        map.serialize_entry("name", &outline.name)?;
        map.serialize_entry("description", &outline.description)?;
        map.serialize_entry("part", part_word(self.0))?;
        map.serialize_entry("at", &outline.at)?;
        map.serialize_entry("cells", &outline.cells)?;
        map.serialize_entry("of", &outline.of)?;
        map.serialize_entry("hold", &outline.hold)?;
        map.serialize_entry("line", &outline.origin.to_string())?;
        map.serialize_entry("counts", &Counts::of_section(self.0))?;
        map.serialize_entry("steps", &Each(Step::all(self.0), StepDocument))?;
        map.end()
    }
}

/// A signature, with when it was given.
struct Signed<'a>(&'a (DateTime<Utc>, Signature));

impl Serialize for Signed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (at, signature) = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &machine_moment(*at))?;
        map.serialize_entry("by", &signature.by)?;
        map.serialize_entry("user", &signature.user)?;
        map.serialize_entry("role", &signature.role)?;
        map.serialize_entry("decision", &signature.decision)?;
        map.serialize_entry("conditions", &signature.conditions)?;
        map.serialize_entry("note", &signature.note)?;
        map.serialize_entry("section", &signature.section)?;
        map.serialize_entry("over", &json!({ "seq": signature.over_seq, "digest": signature.over_digest }))?;
        map.serialize_entry("key", &signature.key)?;
        map.serialize_entry("text", &signature.text)?;
        map.serialize_entry("armour", &signature.armour)?;
        map.end()
    }
}

/// What a step found at one of its looks or checkpoints.
struct Sample<'a>(SampleView<'a>);

impl Serialize for Sample<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sample = &self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("n", &sample.n)?;
        map.serialize_entry("at", &machine_moment(sample.at))?;
        map.serialize_entry("outcome", sample.outcome.word())?;
        map.serialize_entry("value", &sample.value.map(Number))?;
        map.serialize_entry("limit", &sample.limit.map(Number))?;
        map.serialize_entry("reason", sample.reason)?;
        map.end()
    }
}

/// A number that JSON may have no form for.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::model::value::number::serialize(&self.0, serializer)
    }
}

/// The samples of a step, made while they are written.
struct Samples<'a>(Step<'a>);

impl Serialize for Samples<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.samples().map(Sample))
    }
}

struct StepDocument<'a>(Step<'a>);

impl Serialize for StepDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let step = &self.0;
        let record = step.record();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", step.id())?;
        map.serialize_entry("name", step.name())?;
        map.serialize_entry("probe", step.probe())?;
        map.serialize_entry("line", &step.line())?;
        map.serialize_entry("weight", weight_word(step.weight()))?;
        map.serialize_entry("outcome", step.outcome().word())?;
        map.serialize_entry("ran_to", &step.result().map(|r| r.outcome.word()))?;
        map.serialize_entry("reason", &step.reason())?;
        map.serialize_entry("skip", &step.skip().map(skip_word))?;
        map.serialize_entry("expected", &step.expected())?;
        map.serialize_entry("observed", &step.observed())?;
        map.serialize_entry("started", &step.result().map(|r| machine_moment(r.started)))?;
        map.serialize_entry("seconds", &step.seconds())?;
        map.serialize_entry("look_count", &step.looks())?;
        map.serialize_entry("flaky", &step.flaky())?;
        map.serialize_entry("window", step.window())?;
        map.serialize_entry("changes", &step.changes())?;
        map.serialize_entry("request", step.request())?;
        map.serialize_entry("through", step.through())?;
        map.serialize_entry("findings", &step.finding_views())?;
        map.serialize_entry("measures", &measures(step))?;
        map.serialize_entry("notes", step.notes())?;
        map.serialize_entry("evidence", step.evidence())?;
        map.serialize_entry("captured", &Captured(step))?;
        map.serialize_entry("guidance", step.guidance())?;
        map.serialize_entry("answers", &record.answers)?;
        map.serialize_entry("baseline", &record.outline.baseline)?;
        map.serialize_entry("against", step.against())?;
        map.serialize_entry("then_of", &record.outline.then_of)?;
        map.serialize_entry("fallback_for", &record.outline.fallback_for)?;
        map.serialize_entry("samples", &Samples(*step))?;
        map.serialize_entry("looks", &record.looks)?;
        map.end()
    }
}

fn measures<'a>(step: &Step<'a>) -> Option<&'a Measures> {
    match &step.observation()?.found {
        Found::Measures(measures) => Some(measures),
        Found::NoAnswer { .. } | Found::CouldNotLook { .. } | Found::NotEnough { .. } | Found::Waiting { .. } => None,
    }
}

struct Captured<'a>(&'a Step<'a>);

impl Serialize for Captured<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let captured = self.0.result().map_or(&[][..], |r| &r.captured);
        serializer.collect_map(captured.iter().map(|(name, value)| (name, value)))
    }
}
