//! One look at a log: bring the bytes, look through them, put what was found into measures.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::{JoinError, JoinHandle};

use super::feed::{self, Feed, FeedReader};
use super::files::{self, LogFile};
use super::origin::{Origin, Sent, Wanted};
use super::reader;
use super::scan::{Kept, ScanError, Scanner, Stop, Tally};
use super::select::{Rules, Selection};
use super::spec::{Since, Source, Spec};
use super::tail;
use crate::model::quantity;
use crate::model::{Evidence, Found, Measures, Note, Observation, Value};
use crate::probe::{Look, Probe};
use crate::source::Failure;
use crate::sys::policy::Touch;
use crate::sys::{Policy, process};
use crate::template::{Scope, Template, TemplateError};

/// Looks at a log.
pub(super) struct LogProbe(pub(super) Spec);

/// Where the lines come from, templates filled.
enum Asked {
    Paths(Vec<String>),
    Feed(Feed),
    Origin(Arc<dyn Origin>),
}

/// What a scan came to: an error loses the rest.
struct Scanned {
    tally: Tally,
    selection: Option<Selection>,
    notes: Vec<Note>,
    /// Why what was counted says nothing of the log: lines that should have been looked at were not.
    partial: Option<String>,
    fault: Option<Failure>,
    /// Who was asked for the log, where that is somebody.
    through: Option<String>,
}

impl Scanned {
    fn failed(selection: Option<Selection>, fault: String) -> Self {
        Self {
            tally: Tally::default(),
            selection,
            notes: Vec::new(),
            partial: None,
            fault: Some(Failure::passing(fault)),
            through: None,
        }
    }
}

/// Tells a scan that nobody waits any more.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Probe for LogProbe {
    fn describe(&self) -> String {
        let list = |templates: &[Template]| templates.iter().map(Template::source).collect::<Vec<_>>().join(" ");
        match &self.0.source {
            Source::Paths(paths) => format!("look through {}", list(paths)),
            Source::Shell(line) => format!("look through the output of {}", line.source()),
            Source::Command(argv) => format!("look through the output of {}", list(argv)),
            Source::Url(url) if url.is_literal() => format!("look through GET {}", feed::shown(url.source().trim())),
            Source::Url(url) => format!("look through GET {}", url.source()),
            Source::Origin(origin) => format!("look through {}", origin.describe()),
        }
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        self.0.source.origin()?.host(scope)
    }

    fn source(&self) -> Option<&str> {
        self.0.source.origin()?.source()
    }

    fn can_look_back(&self) -> bool {
        self.0.source.origin().is_some_and(|origin| origin.can_look_back())
    }

    fn touches(&self, scope: &Scope) -> Vec<Touch> {
        match self.0.source.fill(scope) {
            Ok(Asked::Paths(paths)) => paths.iter().map(|path| Touch::of_files(path)).collect(),
            Ok(Asked::Feed(Feed::Command(argv))) => vec![Touch::Command(argv)],
            Ok(Asked::Feed(Feed::Shell(line))) => vec![Touch::Command(feed::shell(&line))],
            Ok(Asked::Feed(Feed::Url(url))) => {
                url.parse().ok().and_then(|url| Touch::of_url(&url)).into_iter().collect()
            }
            Ok(Asked::Origin(origin)) => origin.host(scope).iter().map(|host| Touch::host(host)).collect(),
            // What is captured is not known yet; it is judged when it is.
            Err(_) => Vec::new(),
        }
    }

    fn runs_commands(&self) -> bool {
        match &self.0.source {
            Source::Shell(_) | Source::Command(_) => true,
            Source::Paths(_) | Source::Url(_) => false,
            Source::Origin(origin) => origin.runs_commands(),
        }
    }

    fn grace(&self) -> Duration {
        match &self.0.source {
            Source::Shell(_) | Source::Command(_) => process::GRACE + Duration::from_secs(2),
            Source::Paths(_) | Source::Url(_) => Duration::ZERO,
            Source::Origin(origin) => origin.grace(),
        }
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let asked = match self.0.source.fill(look.scope) {
            Ok(asked) => asked,
            Err(error) => return Observation::new(self.describe(), Found::refused(error.to_string())),
        };
        // A little is kept back to say what was found.
        let time = look.timeout.mul_f64(0.95);
        let now = look.as_of.unwrap_or_else(|| look.world.clock.now());
        let since = self.0.since(now, look.run_started);
        // Whoever is asked gets a little less, so that it is the one who says what did not come in time.
        let wanted = Wanted { since, until: look.as_of, tail: self.0.tail, timeout: look.timeout.mul_f64(0.85) };
        let request = match &asked {
            Asked::Paths(paths) => paths.join(" "),
            Asked::Feed(feed) => feed.request(),
            Asked::Origin(origin) => match origin.request(look, &wanted) {
                Ok(request) => request,
                Err(failure) => return Observation::new(self.describe(), found(failure)),
            },
        };
        let cancel = Cancel(Arc::default());
        let stop = Stop::new(Arc::clone(&cancel.0), Instant::now().checked_add(time));
        let selection = self.0.selection(now, since);
        let _busy = look.world.clock.busy();
        let scanned = match asked {
            Asked::Paths(paths) => {
                let (spec, flag, policy) = (self.0.clone(), Arc::clone(&cancel.0), Arc::clone(&look.world.policy));
                tokio::task::spawn_blocking(move || scan_paths(&spec, &paths, selection, &stop, &flag, &policy)).await
            }
            Asked::Feed(feed) => {
                let (sender, pieces) = feed::channel();
                let scan = self.scan(pieces, selection, stop);
                let pumped = feed.pump(look.world, time, sender).await;
                joined(scan, pumped.map(|()| Sent::default()).map_err(Failure::passing)).await
            }
            Asked::Origin(origin) => {
                let (sender, pieces) = feed::channel();
                let scan = self.scan(pieces, selection, stop);
                // What was started gets its grace; a back end gets none, and what is dropped ends.
                let limit = time.saturating_add(origin.grace());
                let pumped = tokio::time::timeout(limit, origin.pump(look, &wanted, sender)).await;
                joined(scan, pumped.unwrap_or_else(|_| Err(Failure::passing("it did not end in time")))).await
            }
        };
        match scanned {
            Ok(scanned) => self.0.observation(request, scanned, look.timeout),
            Err(error) => Observation::new(request, Found::could_not_look(format!("the scan broke off: {error}"))),
        }
    }
}

impl LogProbe {
    /// Begins to look through what is sent.
    fn scan(&self, pieces: FeedReader, selection: Option<Selection>, stop: Stop) -> JoinHandle<Scanned> {
        let mut spec = self.0.clone();
        if spec.source.origin().is_some_and(|origin| origin.takes_tails()) {
            spec.tail = None;
        }
        tokio::task::spawn_blocking(move || {
            let search = match spec.sought.search() {
                Ok(search) => search,
                Err(error) => return Scanned::failed(selection, error.to_string()),
            };
            let mut scanner = Scanner::new(&search, selection);
            let mut notes = Vec::new();
            let limited = Box::new(pieces.take(spec.max_bytes.unwrap_or(u64::MAX)));
            let result = scan_stream(&spec, &mut scanner, limited, false, &stop);
            let (partial, fault) = match result {
                Ok(partial) => (partial, None),
                Err(error) => (None, Some(Failure::passing(error.to_string()))),
            };
            let (tally, selection) = scanner.finish();
            if let Some(limit) = spec.max_bytes.filter(|limit| tally.bytes >= *limit) {
                notes.push(Note::warning(format!("only the first {limit} bytes were read")));
            }
            Scanned { tally, selection, notes, partial, fault, through: None }
        })
    }
}

/// Waits for the end of a scan whose pump has ended: when its time was up, the feed and the scan end with it.
async fn joined(scan: JoinHandle<Scanned>, pumped: Result<Sent, Failure>) -> Result<Scanned, JoinError> {
    let mut scanned = scan.await?;
    match pumped {
        Ok(sent) => {
            scanned.through = sent.through;
            scanned.notes.extend(sent.notes);
            scanned.partial = scanned.partial.or(sent.partial);
        }
        Err(failure) => scanned.fault = Some(failure),
    }
    Ok(scanned)
}

/// Says why there is nothing to measure.
fn found(failure: Failure) -> Found {
    match failure.short {
        true => Found::NotEnough { cause: failure.cause },
        false => Found::CouldNotLook { cause: failure.cause, retry: failure.retry },
    }
}

impl Source {
    fn origin(&self) -> Option<&Arc<dyn Origin>> {
        match self {
            Source::Origin(origin) => Some(origin),
            Source::Paths(_) | Source::Shell(_) | Source::Command(_) | Source::Url(_) => None,
        }
    }

    fn fill(&self, scope: &Scope) -> Result<Asked, TemplateError> {
        let all = |templates: &[Template]| templates.iter().map(|t| t.render(scope)).collect::<Result<Vec<_>, _>>();
        Ok(match self {
            Source::Paths(paths) => Asked::Paths(all(paths)?),
            Source::Shell(line) => Asked::Feed(Feed::Shell(line.render(scope)?)),
            Source::Command(argv) => Asked::Feed(Feed::Command(all(argv)?)),
            Source::Url(url) => Asked::Feed(Feed::Url(url.render(scope)?)),
            Source::Origin(origin) => Asked::Origin(Arc::clone(origin)),
        })
    }
}

fn scan_paths(
    spec: &Spec,
    paths: &[String],
    selection: Option<Selection>,
    stop: &Stop,
    flag: &AtomicBool,
    policy: &Policy,
) -> Scanned {
    let search = match spec.sought.search() {
        Ok(search) => search,
        Err(error) => return Scanned::failed(selection, error.to_string()),
    };
    let mut scanner = Scanner::new(&search, selection);
    let (mut notes, mut partial) = (Vec::new(), None);
    let result: Result<(), String> = paths.iter().try_for_each(|path| {
        let listed = files::list(path, flag);
        // Whether a file is there is told only of what may be read.
        policy.allow_files(path, listed.as_deref().unwrap_or_default()).map_err(|refusal| refusal.message)?;
        listed?.iter().try_for_each(|file| {
            let why = scan_file(spec, &mut scanner, file, stop, &mut notes)?;
            partial = partial.take().or(why.map(|why| format!("{}: {why}", file.display())));
            Ok(())
        })
    });
    let (tally, selection) = scanner.finish();
    Scanned { tally, selection, notes, partial, fault: result.err().map(Failure::passing), through: None }
}

/// Looks through a file. Returns why what was found says nothing, if so.
fn scan_file(
    spec: &Spec,
    scanner: &mut Scanner<'_>,
    path: &Path,
    stop: &Stop,
    notes: &mut Vec<Note>,
) -> Result<Option<String>, String> {
    let fault = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let mut file = LogFile::open(path, spec.max_bytes)?;
    let skipped = spec.tail.is_some() && file.skip_to_last(tail::LIMIT as u64).map_err(|e| fault(&e))?;
    if let Some(limit) = spec.max_bytes.filter(|limit| *limit < file.size()) {
        let text = format!("of {} only the first {limit} of {} bytes were read", path.display(), file.size());
        notes.push(Note::warning(text));
    }
    let raw = file.reader(spec.max_bytes).map_err(|e| fault(&e))?;
    let scanned = scan_stream(spec, scanner, raw, skipped, stop);
    // What happened to the file explains a fault better than the fault itself.
    let happened = file.afterwards()?;
    let partial = scanned.map_err(|e| fault(&e))?;
    notes.extend(happened.map(Note::warning));
    Ok(partial)
}

/// Looks through a stream. Returns why what was found says nothing, if so.
fn scan_stream(
    spec: &Spec,
    scanner: &mut Scanner<'_>,
    raw: Box<dyn Read + Send>,
    skipped: bool,
    stop: &Stop,
) -> Result<Option<String>, ScanError> {
    let mut reader = reader::open(raw)?;
    let before = scanner.undated();
    let mut cut = None;
    match spec.tail {
        None => scanner.scan(&mut *reader, stop)?,
        Some(count) => {
            let tail = tail::last_lines(&mut *reader, count, skipped, stop)?;
            cut = tail.cut.then(|| format!("the last {count} lines have more than {} bytes", tail::LIMIT));
            scanner.scan(&mut tail.bytes.as_slice(), stop)?;
        }
    }
    let undated = (spec.since.is_some() && scanner.undated() > before)
        .then(|| "no line has a time that is recognised, so nobody knows which are younger".to_owned());
    Ok(cut.or(undated))
}

impl Spec {
    /// Returns the time before which lines are not looked at.
    fn since(&self, now: DateTime<Utc>, run_started: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.since.map(|since| match since {
            Since::RunStart => run_started,
            Since::Ago(ago) => TimeDelta::from_std(ago).ok().and_then(|ago| now.checked_sub_signed(ago)).unwrap_or(now),
        })
    }

    /// Makes the selection, if lines have to be looked at one by one.
    fn selection(&self, now: DateTime<Utc>, since: Option<DateTime<Utc>>) -> Option<Selection> {
        let json = self.json || self.wants_json;
        let stamped = self.source.origin().is_some_and(|origin| origin.is_stamped());
        let needed = since.is_some() || json || self.wants_rate || stamped;
        needed.then(|| {
            let (form, fields) = (self.form.clone(), self.fields.clone());
            Selection::new(Rules { since, times: self.wants_rate, form, json, fields, stamped }, now)
        })
    }

    fn observation(&self, request: String, scanned: Scanned, timeout: Duration) -> Observation {
        let Scanned { tally, selection, mut notes, partial, fault, through } = scanned;
        let found = match fault {
            Some(fault) if fault.cause.ends_with("the time was up") => {
                let (bytes, time) = (quantity::bytes(tally.bytes as f64), quantity::seconds(timeout.as_secs_f64()));
                Found::could_not_look(format!("{}: {bytes} were looked through in {time}", fault.cause))
            }
            Some(fault) => found(fault),
            None => Found::Measures(self.measures(&tally, selection.as_ref(), partial)),
        };
        self.remarks(&tally, selection.as_ref(), &mut notes);
        let evidence = match tally.excerpt.is_empty() {
            true => Vec::new(),
            false => vec![Evidence { title: "matching lines".into(), text: tally.excerpt.join("\n"), left_out: 0 }],
        };
        Observation { through, notes, evidence, ..Observation::new(request, found) }
    }

    fn measures(&self, tally: &Tally, selection: Option<&Selection>, partial: Option<String>) -> Measures {
        let mut measures = Measures::new();
        let no_json = !self.fields.is_empty() && selection.is_some_and(|s| s.lines > 0 && s.json == 0);
        let why =
            partial.or(no_json.then(|| "no line is JSON, so none has the fields that `where` asks for".to_owned()));
        let unless = |value: Value| why.clone().map_or(value, Value::NoData);
        for (key, hit) in self.keys.iter().zip(&tally.hits) {
            measures.keyed("matches", key.as_str(), unless(Value::Number(hit.count as f64)));
            measures.keyed("lines", key.as_str(), unless(kept(&hit.lines, "lines match")));
            if self.sought.captures {
                measures.keyed("captures", key.as_str(), unless(kept(&hit.captures, "values were captured")));
            }
            if self.wants_rate {
                measures.keyed("rate", key.as_str(), unless(rate(hit.count, tally, selection)));
            }
        }
        if self.sought.count_lines {
            measures.plain("scanned_lines", Value::Number(tally.lines as f64));
        }
        measures.plain("scanned_bytes", Value::Number((tally.bytes - tally.stamps) as f64));
        if self.wants_json {
            let share = selection.filter(|s| s.lines > 0).map(|s| s.json as f64 / s.lines as f64);
            measures.plain("valid_json", share.map_or_else(|| Value::NoData("there is no line".into()), Value::Number));
        }
        measures
    }

    fn remarks(&self, tally: &Tally, selection: Option<&Selection>, notes: &mut Vec<Note>) {
        if let Some(selection) = selection.filter(|_| self.since.is_some() || !self.fields.is_empty()) {
            if selection.undated > 0 && selection.stamped > 0 {
                let text = format!("{} lines before the first time were left out", selection.undated);
                notes.push(Note::info(text));
            }
            if tally.selected == 0 && tally.bytes > 0 {
                let text = format!("none of {} lines was left to look at", selection.lines);
                notes.push(Note::warning(text));
            }
        }
        if tally.bytes == 0 {
            notes.push(Note::info("the log is empty"));
        }
        if tally.long_lines > 0 {
            let text = format!("{} lines longer than 4 MiB were searched in pieces", tally.long_lines);
            notes.push(Note::info(text));
        }
        if tally.ignored > 0 {
            notes.push(Note::info(format!("{} matching lines were ignored as expected", tally.ignored)));
        }
    }
}

/// Gives what was kept, unless there was more of it.
fn kept(kept: &Kept, what: &str) -> Value {
    match kept.more {
        true => Value::NoData(format!("more {what} than the first {} that are kept", kept.texts.len())),
        false => Value::Set(kept.texts.clone()),
    }
}

fn rate(count: u64, tally: &Tally, selection: Option<&Selection>) -> Value {
    let span = selection.and_then(|s| s.span).map(|(first, last)| (last - first).as_seconds_f64());
    match span {
        Some(_) if tally.undated > 0 => Value::NoData("a file has no line with a time that is recognised".into()),
        None => Value::NoData("no line has a time that is recognised".into()),
        Some(span) if span <= 0.0 => Value::NoData("the lines span no time".into()),
        Some(span) => Value::Number(count as f64 / span),
    }
}
