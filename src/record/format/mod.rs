//! The written form of a run: the only place that serialises one.
//!
//! A run is one portable file of JSON Lines. The first line is the header,
//! `{"holdpoint_record":2,"run":"…","events":N,"digest":"…"}`; then one line for each event,
//! `{"digest":"…","event":{…}}`, in this spelling exactly, so that the text that the digest covers stands between
//! fixed characters and is got back byte for byte. The files that answers name as evidence follow, each once in the
//! order of its first naming, `{"digest":"…","file":"…"}`: the SHA-256 of its bytes, and the bytes in base64.
//!
//! Version 2 has events that version 1 did not have, looks written [in brief](brief), and files. This program reads both.

pub mod brief;
pub mod files;

use std::io::{BufRead, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::chain::{Chain, ChainError, Digest, from_hex, hex};
use super::fold::{FoldError, Folding};
use super::store::{Batch, RunStore, StoreError};
use super::{Head, RunRecord};
use crate::event::Event;
use crate::model::RunId;

/// The version that this program writes, and the newest that it reads.
pub const VERSION: u64 = 2;

/// The longest line that is read, in bytes. What a step keeps is bounded far below it.
const LONGEST_LINE: u64 = 64 << 20;

pub use brief::{Reader, Writer};

/// Writes a run as one portable file. What is written was verified on the way.
///
/// # Errors
/// A run that cannot be read, damage that the chain shows, or a file that cannot be written.
pub fn export(store: &dyn RunStore, run: &RunId, out: &mut dyn Write) -> Result<Head, FormatError> {
    let summary = store.summary(run)?;
    let head = summary.head.clone();
    let header = Header { holdpoint_record: VERSION, run: run.clone(), events: head.seq, digest: head.digest.clone() };
    serde_json::to_writer(&mut *out, &header).map_err(|e| FormatError::Write(e.into()))?;
    out.write_all(b"\n").map_err(FormatError::Write)?;
    let mut chain = Chain::begin(run);
    let mut failed = None;
    let mut named = files::Named::default();
    store.events(run, &mut |seq, json, digest| {
        // An event that was added since the header was written is for the next export.
        if seq > head.seq {
            return ControlFlow::Break(());
        }
        let wrote = chain.check(seq, json, digest).map_err(|damage| FormatError::Damaged { run: run.clone(), damage });
        let wrote = wrote.and_then(|()| {
            named.note_text(json);
            writeln!(out, "{}{}{}{json}{}", BEFORE, hex(digest), BETWEEN, AFTER).map_err(FormatError::Write)
        });
        match wrote {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    compare(&chain, &header)?;
    for digest in named.digests() {
        files::write(digest, &store.blob(digest)?, out)?;
    }
    out.flush().map_err(FormatError::Write)?;
    Ok(head)
}

/// Puts a portable file into a store. The file is read twice: once to verify the whole, once to store it, so that
/// neither damage leaves anything behind nor memory holds one.
///
/// Of a run that the store already has, the events that it lacks are added: an import that a full disk cut short can
/// be tried again, and an answer that was given elsewhere comes home.
///
/// # Errors
/// Damage by its line, a newer version, a run that the store has in another form.
pub fn import(input: &mut (impl BufRead + Seek), store: &mut dyn RunStore) -> Result<(RunId, Head), FormatError> {
    let from = input.stream_position().map_err(FormatError::Read)?;
    let mut folding = Folding::default();
    let (run, head) = read(input, &mut |part| match part {
        Part::Event(event, _, digest) => folding.take(event, digest).map_err(FormatError::from),
        Part::File(_) => Ok(()),
    })?;
    folding.end(head.clone())?;
    let there = match store.summary(&run) {
        Ok(there) if there.head.seq > head.seq => return Err(StoreError::Exists { run }.into()),
        Ok(there) => Some(there.head),
        Err(StoreError::NoSuchRun { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    input.seek(SeekFrom::Start(from)).map_err(FormatError::Read)?;
    if there.is_none() {
        store.begin(&run)?;
    }
    let there = there.unwrap_or_else(|| Chain::begin(&run).head());
    let mut batch = Batch::default();
    let again = read(input, &mut |part| {
        let (event, json, digest) = match part {
            Part::Event(event, json, digest) => (event, json, digest),
            Part::File(bytes) => return Ok(store.put_blob(&bytes).map(|_| ())?),
        };
        if event.seq == there.seq && hex(digest) != there.digest {
            return Err(StoreError::Exists { run: run.clone() }.into());
        }
        if event.seq > there.seq {
            batch.add_stored(&event, json);
        }
        if batch.len() >= 1000 {
            store.put(&run, &batch)?;
            batch.clear();
        }
        Ok(())
    })?;
    if !batch.is_empty() {
        store.put(&run, &batch)?;
    }
    match again.1 == head {
        true => Ok((run, head)),
        false => Err(FormatError::Line { line: 1, what: "the file changed while it was read; import it again".into() }),
    }
}

/// Reads a portable file as a record, verified.
///
/// # Errors
/// Damage by its line, a newer version, events that cannot have happened.
pub fn read_record(input: &mut dyn BufRead) -> Result<RunRecord, FormatError> {
    let mut folding = Folding::default();
    let (_, head) = read(input, &mut |part| match part {
        Part::Event(event, _, digest) => folding.take(event, digest).map_err(FormatError::from),
        Part::File(_) => Ok(()),
    })?;
    Ok(folding.end(head)?)
}

/// A part of a portable file.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time is handed on, none is kept")]
pub enum Part<'a> {
    /// An event, its stored text and its digest.
    Event(Event, &'a str, &'a Digest),
    /// The bytes of a file that an answer names.
    File(Vec<u8>),
}

/// Reads a portable file part by part and verifies it: the chain event by event before it is handed on, the head behind
/// the last, each file against its digest.
///
/// # Errors
/// Damage by its line, a newer version, and what `each` answers.
pub fn read(
    input: &mut dyn BufRead,
    each: &mut dyn FnMut(Part<'_>) -> Result<(), FormatError>,
) -> Result<(RunId, Head), FormatError> {
    let mut line = String::new();
    next_line(input, 1, &mut line)?;
    let header = read_header(&line)?;
    let mut chain = Chain::begin(&header.run);
    let mut reader = Reader::default();
    let mut named = files::Named::default();
    let mut number = 1;
    while next_line(input, number + 1, &mut line)? {
        number += 1;
        let at = |what: String| FormatError::Line { line: number, what };
        if chain.seq() == header.events {
            let bytes = files::read(&line, &mut named).map_err(at)?;
            each(Part::File(bytes))?;
            continue;
        }
        let (digest, json) = take_apart(&line)
            .ok_or_else(|| at("it is not an event; the file was cut or edited, export the run again".into()))?;
        let digest = from_hex(digest).ok_or_else(|| at("its digest is malformed; export the run again".into()))?;
        chain.check(number - 1, json, &digest).map_err(|e| at(e.to_string()))?;
        let event =
            reader.decode(json).map_err(|e| at(format!("this version of holdpoint cannot read the event: {e}")))?;
        if event.seq != number - 1 {
            return Err(at(format!("it is event {} in the place of event {}", event.seq, number - 1)));
        }
        named.note(&event);
        each(Part::Event(event, json, &digest))?;
    }
    compare(&chain, &header)?;
    match named.missing() {
        None => Ok((header.run, chain.head())),
        Some(digest) => Err(FormatError::Line {
            line: number + 1,
            what: format!("the kept file {digest} is missing; the record was cut, export the run again"),
        }),
    }
}

/// Why a run could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A line of the file is not what was written.
    #[error("line {line}: {what}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The file is of a version that this program does not know.
    #[error("the record has version {found}, this program reads up to version {VERSION}; use a newer holdpoint")]
    Newer {
        /// The version of the file.
        found: u64,
    },
    /// The run in the store is damaged.
    #[error("run {run} is damaged at {damage}; restore the store from a backup, or import an earlier export")]
    Damaged {
        /// The run.
        run: RunId,
        /// Where.
        damage: ChainError,
    },
    /// The events cannot have happened.
    #[error("{0}")]
    Fold(#[from] FoldError),
    /// The store said no.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The file cannot be read.
    #[error("the record cannot be read: {0}")]
    Read(std::io::Error),
    /// The file cannot be written.
    #[error("the record cannot be written: {0}")]
    Write(std::io::Error),
}

/// The header. Each version spells it differently, so that one never passes for the other.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    holdpoint_record: u64,
    run: RunId,
    events: u64,
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderOfVersion1 {
    holdpoint_record: u64,
    run: RunId,
    events: u64,
    head: String,
}

/// The part of a header that every version has.
#[derive(Deserialize)]
struct Versioned {
    holdpoint_record: u64,
}

const BEFORE: &str = r#"{"digest":""#;
const BETWEEN: &str = r#"","event":"#;
const AFTER: &str = "}";

fn read_header(line: &str) -> Result<Header, FormatError> {
    let wrong = |what: &str| FormatError::Line { line: 1, what: what.into() };
    let damaged = |e: serde_json::Error| wrong(&format!("the header is damaged: {e}"));
    let Versioned { holdpoint_record: found } = serde_json::from_str(line)
        .map_err(|_| wrong("it is not the header of a record; give a file that `holdpoint export` wrote"))?;
    match found {
        0 => Err(wrong("there is no version 0 of the record")),
        1 => {
            let old: HeaderOfVersion1 = serde_json::from_str(line).map_err(damaged)?;
            let HeaderOfVersion1 { holdpoint_record, run, events, head } = old;
            Ok(Header { holdpoint_record, run, events, digest: head })
        }
        VERSION => serde_json::from_str(line).map_err(damaged),
        _ => Err(FormatError::Newer { found }),
    }
}

fn take_apart(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(BEFORE)?;
    let (digest, rest) = rest.split_at_checked(64)?;
    Some((digest, rest.strip_prefix(BETWEEN)?.strip_suffix(AFTER)?))
}

fn compare(chain: &Chain, header: &Header) -> Result<(), FormatError> {
    if chain.seq() != header.events {
        let what =
            format!("the header promises {} events, there are {}; export the run again", header.events, chain.seq());
        return Err(FormatError::Line { line: chain.seq() + 2, what });
    }
    if hex(chain.digest()) != header.digest {
        let what = "the header's digest is not that of the last event; export the run again".into();
        return Err(FormatError::Line { line: 1, what });
    }
    Ok(())
}

/// Reads one line without its end; false at the end of the file.
fn next_line(input: &mut dyn BufRead, number: u64, line: &mut String) -> Result<bool, FormatError> {
    let at = |what: &str| FormatError::Line { line: number, what: what.into() };
    line.clear();
    let mut bytes = std::mem::take(line).into_bytes();
    let read = input.take(LONGEST_LINE).read_until(b'\n', &mut bytes).map_err(FormatError::Read)?;
    let ended = bytes.pop_if(|last| *last == b'\n').is_some();
    if read as u64 == LONGEST_LINE && !ended {
        return Err(at("it is longer than 64 MiB, which no event is; export the run again"));
    }
    if read > 0 && !ended {
        return Err(at("its end is missing; the file was cut, export the run again"));
    }
    *line = String::from_utf8(bytes).map_err(|_| at("it is not UTF-8; export the run again"))?;
    Ok(read > 0)
}
