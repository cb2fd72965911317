//! The whole run as one versioned JSON document, for programs.
//!
//! `holdpoint_report` is the version of the document, now 1; keys are only ever added under one version. `run` tells
//! who, what, when and with what; `sections` hold their `steps` in the order of the checklist, actions last. Of a step
//! `outcome` is the one that counts, `findings` the assertions of the look that decided, `measures` what that look
//! measured, `looks` every look of a step that looks more than once. Numbers that JSON has no form for are `"NaN"`,
//! `"+Inf"`, `"-Inf"`. Text is as it was measured; every control character
//! is escaped, also those that JSON would let through.

use std::io::Write;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::json;

use super::view::{Counts, RunView, Step, machine_moment, part_word, skip_word, weight_word};
use super::{Format, Options, ReportError};
use crate::model::outline::Header;
use crate::model::{Found, Measures};
use crate::record::SectionRecord;

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
            "record": { "events": record.head.seq, "digest": record.head.digest },
        }),
    )?;
    map.serialize_entry("header", &masked(&record.header))?;
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
        map.serialize_entry("line", &outline.origin.to_string())?;
        map.serialize_entry("counts", &Counts::of_section(self.0))?;
        map.serialize_entry("steps", &Each(Step::all(self.0), StepDocument))?;
        map.end()
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
