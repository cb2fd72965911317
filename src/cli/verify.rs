//! `verify`: whether a record is what was recorded, and whether what it says follows from what it measured.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::event::{Event, EventKind};
use crate::model::{Decision, RunId};
use crate::record::chain::{Digest, hex};
use crate::record::fold::Folding;
use crate::record::format::{self, FormatError, Part};
use crate::record::{self, Head, LoadError, RunRecord, RunStore, StoreError};
use crate::report::plain::line;
use crate::signoff::approval::{Judged, Standing, who};
use crate::signoff::sign::AllowedSigners;
use crate::signoff::{Again, Claim, Rejudging, Ruling, decide_against};

use super::args::{Show, VerifyArgs};
use super::past::open_existing;
use super::{Result, signers, stdio};

/// The exit status when something differs or is damaged.
const DIFFERS: u8 = 1;

/// The largest document that is read, in bytes.
const LARGEST_DOCUMENT: u64 = 64 << 20;

/// How many files beside a document are looked at.
const BESIDE: usize = 500;

/// What is to be verified.
struct Subject {
    place: Place,
    /// The document, and what it claims.
    claim: Option<(PathBuf, Claim)>,
    /// The decision in the heading of the document, where it is laid out as usual.
    heading: Option<String>,
}

/// Where the record is.
enum Place {
    File(PathBuf),
    Store(Box<dyn RunStore>, RunId),
}

/// Why a record could not be told.
enum Broken {
    /// It is not what was recorded.
    Damaged(String),
    /// It could not be read at all.
    Unreadable(anyhow::Error),
}

/// A record told and judged again.
struct Told {
    record: RunRecord,
    again: Again,
    /// The record as it was when the document was written.
    then: Option<RunRecord>,
    files: usize,
    decided_at: Option<DateTime<Utc>>,
}

/// What verifying came to.
struct Outcome<'a> {
    told: &'a Told,
    ruling: Ruling,
    /// What differs, a line each.
    differences: Vec<String>,
}

pub(super) fn main(args: &VerifyArgs) -> Result<u8> {
    let subject = find(args)?;
    let told = match tell(&subject) {
        Ok(told) => told,
        Err(Broken::Unreadable(error)) => return Err(error),
        Err(Broken::Damaged(what)) => {
            match args.format {
                Show::Text => stdio::print(&format!("damaged  {}\n", line(&what))),
                Show::Json => stdio::print(&format!("{}\n", json!({ "same": false, "damaged": what }))),
            }
            return Ok(DIFFERS);
        }
    };
    let named = signers::file_of(args.allowed_signers.as_deref(), &told.record);
    let absent = named.clone().filter(|path| args.allowed_signers.is_none() && !path.exists());
    let allowed = match &absent {
        // Nobody is allowed by a file that is not there.
        Some(_) => Some(AllowedSigners::default()),
        None => signers::read(named.as_deref())?,
    };
    let at = told.decided_at.unwrap_or(told.record.started);
    let ruling = decide_against(&told.record, &[], allowed.as_ref(), at);
    let mut differences: Vec<String> = told.again.differences.iter().map(difference).collect();
    differences.extend(decision(&told.record, &ruling));
    differences.extend(signatures(&ruling).filter_map(refused));
    if let Some(path) = absent.filter(|_| !told.record.signatures.is_empty()) {
        let what = "which the checklist names, is not there: no signature could be checked against it";
        differences.push(format!("{}, {what}; give --allowed-signers FILE", path.display()));
    }
    if let (Some((document, claim)), Some(then)) = (&subject.claim, &told.then) {
        let ruling = decide_against(then, &[], allowed.as_ref(), at);
        let fact = Claim::of(then, ruling.decision);
        let place = document.display();
        differences.extend(claim.differs_from(&fact).into_iter().map(|what| format!("{place}: {what}")));
        if let Some(heading) = subject.heading.as_ref().filter(|heading| *heading != ruling.decision.word()) {
            differences.push(format!("{place}: its heading says {heading}, the record {}", ruling.decision));
        }
    }
    differences.extend(older(&subject, &told.record, &args.store.store));
    let outcome = Outcome { told: &told, ruling, differences };
    match args.format {
        Show::Text => stdio::print(&outcome.text(&subject)),
        Show::Json => stdio::print(&format!("{}\n", serde_json::to_string_pretty(&outcome.json(&subject))?)),
    }
    Ok(if outcome.is_same() { 0 } else { DIFFERS })
}

/// Finds what is meant: a document, an exported record, or a run of the store.
fn find(args: &VerifyArgs) -> Result<Subject> {
    let path = Path::new(&args.what);
    if !path.is_file() {
        let store = open_existing(&args.store.store)?;
        let run = store.resolve(&args.what)?;
        return Ok(Subject { place: Place::Store(store, run), claim: None, heading: None });
    }
    if is_record(path) {
        return Ok(Subject { place: Place::File(path.to_owned()), claim: None, heading: None });
    }
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_DOCUMENT).read_to_string(&mut text));
    read.map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    let claim = match Claim::find(&text) {
        Some(claim) => claim.map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?,
        None => anyhow::bail!(
            "{} is neither an exported record nor a sign-off document; give what `holdpoint export` or \
             `--report markdown=…` wrote",
            path.display()
        ),
    };
    let place = match beside(path, &claim.run) {
        Some(record) => Place::File(record),
        None => {
            let store = open_existing(&args.store.store).map_err(|e| {
                anyhow::anyhow!("there is no record of run {} beside {}, and {e:#}", claim.run, path.display())
            })?;
            let run = claim.run.clone();
            store.summary(&run)?;
            Place::Store(store, run)
        }
    };
    Ok(Subject { place, claim: Some((path.to_owned(), claim)), heading: heading(&text) })
}

/// Finds the decision in the first heading of a document: `# ✅ GO: Promotion`.
fn heading(text: &str) -> Option<String> {
    let title = text.lines().find_map(|line| line.strip_prefix("# "))?;
    let words = ["NO-GO", "UNDECIDED", "HELD", "GO"];
    let word = title.split(':').next()?.split_whitespace().find(|word| words.contains(word))?;
    Some(word.to_lowercase())
}

fn is_record(path: &Path) -> bool {
    header(path).is_some()
}

/// Reads the first line of a file as that of a record.
fn header(path: &Path) -> Option<Value> {
    let mut first = Vec::new();
    BufReader::new(File::open(path).ok()?).take(4096).read_until(b'\n', &mut first).ok()?;
    let text = String::from_utf8_lossy(&first);
    // A damaged first line is still that of a record: what is wrong with it is said by whoever reads it.
    let header = serde_json::from_str(&text).unwrap_or(Value::Null);
    (text.contains("holdpoint_record") || text.contains("\"events\":")).then_some(header)
}

/// Finds the record of a run in the folder of a document.
fn beside(document: &Path, run: &RunId) -> Option<PathBuf> {
    let folder = document.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && path != document)
        .take(BESIDE)
        .collect();
    files.sort();
    files.into_iter().find(|path| header(path).is_some_and(|header| header["run"] == run.as_str()))
}

/// Reads the record, verified, and judges it again on the way.
fn tell(subject: &Subject) -> std::result::Result<Told, Broken> {
    let claimed = subject.claim.as_ref().map(|(_, claim)| claim.head.clone());
    let mut telling = Telling { claimed, ..Telling::default() };
    let head = match &subject.place {
        Place::File(path) => {
            let broken = |error| broken_file(path, error);
            let file = File::open(path).map_err(|e| broken(FormatError::Read(e)))?;
            let take = &mut |part: Part<'_>| match part {
                Part::Event(event, _, digest) => telling.take(event, digest),
                Part::File(_) => {
                    telling.files += 1;
                    Ok(())
                }
            };
            format::read(&mut BufReader::new(file), take).map_err(broken)?.1
        }
        Place::Store(store, run) => {
            let impossible = |cause| LoadError::Impossible { run: run.clone(), cause };
            let mut take = |event: Event, digest: &Digest| {
                telling.take(event, digest).map_err(|e| match e {
                    FormatError::Fold(cause) => impossible(cause),
                    other => LoadError::Store(StoreError::Damaged { place: run.to_string(), what: other.to_string() }),
                })
            };
            let head = record::events(&**store, run, &mut take).map_err(broken_run)?.1;
            for digest in telling.named.digests() {
                store.blob(digest).map_err(|e| broken_run(e.into()))?;
                telling.files += 1;
            }
            // What the list of runs says must agree as well.
            record::load(&**store, run).map_err(broken_run)?;
            head
        }
    };
    telling.end(head).map_err(|e| Broken::Damaged(e.to_string()))
}

/// A record on its way out of its file.
#[derive(Default)]
struct Telling {
    folding: Folding,
    rejudging: Rejudging,
    named: format::files::Named,
    files: usize,
    decided_at: Option<DateTime<Utc>>,
    claimed: Option<Head>,
    /// The record up to what a document knows.
    then: Folding,
    digest_then: String,
    seq: u64,
}

impl Telling {
    fn take(&mut self, event: Event, digest: &Digest) -> std::result::Result<(), FormatError> {
        self.seq = event.seq;
        if let Some(claimed) = self.claimed.as_ref().filter(|claimed| event.seq <= claimed.seq) {
            self.then.take(event.clone(), digest)?;
            if event.seq == claimed.seq {
                self.digest_then = hex(digest);
            }
        }
        if matches!(event.kind, EventKind::Decided { .. }) {
            self.decided_at = Some(event.at);
        }
        self.named.note(&event);
        self.rejudging.take(&event);
        Ok(self.folding.take(event, digest)?)
    }

    fn end(self, head: Head) -> std::result::Result<Told, record::FoldError> {
        let then = match &self.claimed {
            None => None,
            Some(claimed) if claimed.seq <= self.seq => {
                Some(self.then.end(Head { seq: claimed.seq, digest: self.digest_then })?)
            }
            Some(_) => Some(self.then.end(head.clone())?),
        };
        let (again, files, decided_at) = (self.rejudging.end(), self.files, self.decided_at);
        Ok(Told { record: self.folding.end(head)?, again, then, files, decided_at })
    }
}

fn broken_file(path: &Path, error: FormatError) -> Broken {
    let what = format!("{}: {error}", path.display());
    match error {
        FormatError::Line { .. } | FormatError::Damaged { .. } | FormatError::Fold(_) => Broken::Damaged(what),
        FormatError::Newer { .. } | FormatError::Store(_) | FormatError::Read(_) | FormatError::Write(_) => {
            Broken::Unreadable(anyhow::anyhow!(what))
        }
    }
}

fn broken_run(error: LoadError) -> Broken {
    match error {
        LoadError::Damaged { .. }
        | LoadError::Impossible { .. }
        | LoadError::Store(StoreError::Damaged { .. } | StoreError::NoSuchBlob { .. }) => {
            Broken::Damaged(error.to_string())
        }
        LoadError::Store(_) | LoadError::Unreadable { .. } => Broken::Unreadable(error.into()),
    }
}

fn difference(difference: &crate::signoff::rejudge::Difference) -> String {
    let crate::signoff::rejudge::Difference { event, step, what, recorded, again } = difference;
    format!("event {event}: {step}, {what}: recorded {recorded}; judged again {again}")
}

/// Says how the decision comes out otherwise, if it does.
fn decision(record: &RunRecord, ruling: &Ruling) -> Option<String> {
    let (recorded, _) = record.decided.as_ref()?;
    let again = ruling.decision;
    let why = ruling.reasons.first().map(|reason| format!(" ({reason})")).unwrap_or_default();
    (*recorded != again).then(|| format!("the decision: recorded {recorded}; decided again {again}{why}"))
}

fn signatures(ruling: &Ruling) -> impl Iterator<Item = &Judged> {
    let holds = ruling.holds.iter().flat_map(|(_, approval)| &approval.signatures);
    ruling.approval.signatures.iter().chain(holds)
}

fn refused(judged: &Judged) -> Option<String> {
    let said = format!("the signature of {} as {}", who(&judged.signature), judged.signature.role);
    match &judged.standing {
        Standing::Refused(why) => Some(format!("{said}: {why}")),
        Standing::Counts | Standing::Lapsed(_) | Standing::Replaced => None,
    }
}

/// Says that the store has more of the run than a file, or another run of its name.
fn older(subject: &Subject, record: &RunRecord, url: &str) -> Option<String> {
    let Place::File(path) = &subject.place else { return None };
    let store = open_existing(url).ok()?;
    let there = store.summary(&record.run).ok()?.head;
    if there.seq < record.head.seq {
        return None;
    }
    let mut same = false;
    let found = store.events(&record.run, &mut |seq, _, digest| {
        same |= seq == record.head.seq && hex(digest) == record.head.digest;
        if seq < record.head.seq { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
    });
    found.ok()?;
    let (path, run) = (path.display(), &record.run);
    match (same, there.seq - record.head.seq) {
        (true, 0) => None,
        (true, more) => Some(format!("{path} is older than run {run} in the store, which has {more} more events")),
        (false, _) => Some(format!("{path} is another run than the {run} in the store")),
    }
}

impl Outcome<'_> {
    fn is_same(&self) -> bool {
        self.differences.is_empty() && self.told.again.is_same()
    }

    fn recorded(&self) -> Option<Decision> {
        self.told.record.decided.as_ref().map(|(decision, _)| *decision)
    }

    fn text(&self, subject: &Subject) -> String {
        let Told { record, again, files, .. } = self.told;
        let mut rows: Vec<(&str, String)> = vec![
            ("run", format!("{}, {}", record.run, place(subject))),
            ("chain", format!("intact: {} events, digest {}", record.head.seq, record.head.digest)),
        ];
        if *files > 0 {
            rows.push(("files", format!("{files} kept, each as it was put there")));
        }
        for judged in signatures(&self.ruling) {
            rows.push(("signed", signature(judged)));
        }
        let differ = if again.is_same() { "all the same".to_owned() } else { format!("{} otherwise", again.differ) };
        rows.push(("judged", format!("{} looks and {} results again: {differ}", again.looks, again.results)));
        for unjudged in &again.unjudged {
            rows.push(("", format!("not judged again: {}: {}", unjudged.step, unjudged.why)));
        }
        let decided = match self.recorded() {
            None => "none was taken; the run was cut, or goes on".to_owned(),
            Some(recorded) if recorded == self.ruling.decision => format!("{recorded}, decided again the same"),
            Some(recorded) => format!("{recorded}, decided again {}", self.ruling.decision),
        };
        rows.push(("decision", decided));
        if let Some((document, claim)) = &subject.claim {
            rows.push(("document", document_words(document, claim, record)));
        }
        rows.extend(self.differences.iter().map(|what| ("differs", what.clone())));
        if again.differ > again.differences.len() as u64 {
            rows.push(("differs", format!("and {} more", again.differ - again.differences.len() as u64)));
        }
        if signatures(&self.ruling).next().is_none() {
            let what = "by nobody: the digests show what was damaged, not whether somebody made the record anew";
            rows.push(("signed", what.to_owned()));
        }
        let verdict = match (self.is_same(), again.unjudged.len()) {
            (false, _) => "NOT what it should be".to_owned(),
            (true, 0) => "verified".to_owned(),
            (true, 1) => "verified, but for 1 step that cannot be judged again".to_owned(),
            (true, n) => format!("verified, but for {n} steps that cannot be judged again"),
        };
        rows.push(("", verdict));
        rows.iter().map(|(name, text)| format!("{name:<9}{}\n", line(text))).collect()
    }

    fn json(&self, subject: &Subject) -> Value {
        let Told { record, again, files, .. } = self.told;
        let signed = signatures(&self.ruling).map(|judged| {
            let (standing, why) = standing(&judged.standing);
            let signature = &judged.signature;
            json!({ "by": signature.by, "role": signature.role, "key": signature.key, "over": signature.over_seq,
                    "standing": standing, "why": why })
        });
        json!({
            "same": self.is_same(),
            "run": record.run,
            "place": place(subject),
            "document": subject.claim.as_ref().map(|(path, _)| path.display().to_string()),
            "events": record.head.seq,
            "digest": record.head.digest,
            "files": files,
            "looks": again.looks,
            "results": again.results,
            "differ": again.differ,
            "unjudged": again.unjudged,
            "signatures": signed.collect::<Vec<_>>(),
            "decision": { "recorded": self.recorded(), "again": self.ruling.decision },
            "differences": self.differences,
        })
    }
}

fn place(subject: &Subject) -> String {
    match &subject.place {
        Place::File(path) => path.display().to_string(),
        Place::Store(..) => "in the store".to_owned(),
    }
}

fn document_words(document: &Path, claim: &Claim, record: &RunRecord) -> String {
    let more = record.head.seq.saturating_sub(claim.head.seq);
    let since = if more == 0 { String::new() } else { format!("; {more} events were added since") };
    format!("{} knows {} events{since}", document.display(), claim.head.seq)
}

fn signature(judged: &Judged) -> String {
    let (standing, why) = standing(&judged.standing);
    let signature = &judged.signature;
    let unchecked = if signature.by.is_empty() { ", not checked against allowed signers" } else { "" };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("{} as {}, over event {}: {standing}{unchecked}{why}", who(signature), signature.role, signature.over_seq)
}

fn standing(standing: &Standing) -> (&'static str, &str) {
    match standing {
        Standing::Counts => ("good", ""),
        Standing::Lapsed(why) => ("lapsed", why),
        Standing::Replaced => ("replaced by a later one", ""),
        Standing::Refused(why) => ("refused", why),
    }
}
