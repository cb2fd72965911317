//! One pass over a stream of bytes: how many lines each pattern matches, and an excerpt of them.
//!
//! Blocks are read, not mapped, so that a file cut short under the scan ends it and nothing worse. Memory does not
//! follow the input: a line longer than [`LINE_LIMIT`] is looked at in windows that overlap by [`OVERLAP`], so that
//! a match shorter than the overlap is found wherever it lies; a longer one may be missed in such a line.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use chrono::{DateTime, Utc};
use memchr::{memchr, memchr_iter, memrchr};
use regex_automata::meta::Cache;
use regex_automata::{Input, Span};

use super::patterns::{PatternError, Patterns};
use super::reader;
use super::select::Selection;

/// The longest line that is looked at as a whole, in bytes.
pub const LINE_LIMIT: usize = 4 << 20;
/// How far the windows of a longer line overlap, in bytes.
pub const OVERLAP: usize = 64 << 10;
/// How much is read at once: little enough to stay in the processor's cache.
const BLOCK: usize = 256 << 10;
/// How many matching lines are kept for each pattern to be shown.
const SHOWN: usize = 20;
/// How many matching lines, and how many captured values, are kept for each pattern to be judged.
const KEPT: usize = 1000;
/// How many bytes of them are kept.
const KEPT_BYTES: usize = 1 << 20;
/// How much of a line is kept, in bytes.
const EXCERPT: usize = 400;

/// What to look for.
#[derive(Clone, Debug)]
pub struct Search {
    /// The patterns whose lines are counted.
    pub patterns: Patterns,
    /// A line that one of these matches does not count.
    pub ignore: Patterns,
    /// Whether all lines are counted too.
    pub count_lines: bool,
    /// Whether the lines that match are kept whole, to be judged.
    pub lines: bool,
    /// Whether the values of groups are kept.
    pub captures: bool,
}

/// What to look for, as it is written: a search is made of it when the log is looked at.
#[derive(Clone, Debug)]
pub struct Sought {
    /// The patterns whose lines are counted.
    pub patterns: Vec<String>,
    /// A line that one of these matches does not count.
    pub ignore: Vec<String>,
    /// Whether all lines are counted too.
    pub count_lines: bool,
    /// Whether the lines that match are kept whole, to be judged.
    pub lines: bool,
    /// Whether the values of groups are kept.
    pub captures: bool,
}

impl Sought {
    /// Makes the search.
    ///
    /// # Errors
    /// Names a pattern that cannot be searched for.
    pub fn search(&self) -> Result<Search, PatternError> {
        Ok(Search {
            patterns: Patterns::new(&self.patterns)?,
            ignore: Patterns::new(&self.ignore)?,
            count_lines: self.count_lines,
            lines: self.lines,
            captures: self.captures,
        })
    }
}

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The bytes that were looked at, decoded.
    pub bytes: u64,
    /// How many of them are the times of keeping, which are no part of the log.
    pub stamps: u64,
    /// All lines, if they are counted.
    pub lines: u64,
    /// The lines that were left to look at, if a selection was made.
    pub selected: u64,
    /// Matching lines that were ignored as expected noise.
    pub ignored: u64,
    /// What each pattern found, in the order of the patterns.
    pub hits: Vec<Hit>,
    /// The first matching lines, of whatever pattern.
    pub excerpt: Vec<String>,
    /// How many streams have lines whose times are asked for, and not one with a time.
    pub undated: u64,
    /// How many lines were too long to be looked at as a whole.
    pub long_lines: u64,
}

/// What one pattern found.
#[derive(Clone, Debug, Default)]
pub struct Hit {
    /// How many lines match.
    pub count: u64,
    /// The first of them; those that are to be judged are whole.
    pub lines: Kept,
    /// The first captured values, each once.
    pub captures: Kept,
}

/// Texts that were kept, in bounded memory.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The texts, in the order of finding.
    pub texts: Vec<String>,
    /// Whether more were found than are kept.
    pub more: bool,
    bytes: usize,
}

impl Kept {
    /// Keeps a text if there is room for it; the first that has none is the end.
    fn push(&mut self, text: String) {
        self.more = self.more || self.texts.len() >= KEPT || self.bytes + text.len() > KEPT_BYTES;
        if !self.more {
            self.bytes += text.len();
            self.texts.push(text);
        }
    }
}

/// When to stop before the end.
#[derive(Clone, Debug)]
pub struct Stop {
    cancelled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

/// Why a scan did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Reading failed.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// The time is up, or nobody waits any more.
    #[error("the time was up")]
    Stopped,
}

/// Looks through one stream after another.
pub struct Scanner<'s> {
    search: &'s Search,
    selection: Option<Selection>,
    tally: Tally,
    cache: Option<Cache>,
    buffer: Vec<u8>,
    /// The line that is being looked at in windows.
    long: Option<LongLine>,
}

struct LongLine {
    hits: Vec<bool>,
    ignored: bool,
    selected: bool,
    start: Vec<u8>,
}

impl Stop {
    /// Stops when the flag is raised or the time is up.
    pub fn new(cancelled: Arc<AtomicBool>, deadline: Option<Instant>) -> Self {
        Self { cancelled, deadline }
    }

    /// Never stops.
    pub fn never() -> Self {
        Self { cancelled: Arc::default(), deadline: None }
    }

    /// Tells whether to stop now.
    pub fn now(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl<'s> Scanner<'s> {
    /// Gets ready.
    pub fn new(search: &'s Search, selection: Option<Selection>) -> Self {
        let hits = vec![Hit::default(); search.patterns.len()];
        let cache = search.patterns.cache();
        let tally = Tally { hits, ..Tally::default() };
        Self { search, selection, tally, cache, buffer: vec![0; BLOCK], long: None }
    }

    /// Looks through a stream to its end.
    ///
    /// # Errors
    /// When reading fails or `stop` says so; what was found until then stands.
    pub fn scan(&mut self, reader: &mut dyn Read, stop: &Stop) -> Result<(), ScanError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.blocks(reader, stop, &mut buffer);
        buffer.truncate(BLOCK);
        buffer.shrink_to_fit();
        self.buffer = buffer;
        let undated = self.selection.as_mut().is_some_and(Selection::next_stream);
        self.tally.undated += u64::from(undated);
        self.long = None;
        result
    }

    /// Counts the streams so far that have lines whose times are asked for, and not one with a time.
    pub fn undated(&self) -> u64 {
        self.tally.undated
    }

    /// Returns what was found, and what the selection learned.
    pub fn finish(self) -> (Tally, Option<Selection>) {
        (self.tally, self.selection)
    }

    fn blocks(&mut self, reader: &mut dyn Read, stop: &Stop, buffer: &mut Vec<u8>) -> Result<(), ScanError> {
        let mut filled = 0;
        loop {
            if stop.now() {
                return Err(ScanError::Stopped);
            }
            let read = match reader.read(&mut buffer[filled..]) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if read == 0 {
                if filled > 0 || self.long.is_some() {
                    self.take(&buffer[..filled]);
                }
                return Ok(());
            }
            self.tally.bytes += read as u64;
            let fresh = filled;
            filled += read;
            let whole = memrchr(b'\n', &buffer[fresh..filled]).map_or(0, |at| fresh + at + 1);
            if whole > 0 {
                self.take(&buffer[..whole]);
                buffer.copy_within(whole..filled, 0);
                filled -= whole;
            } else if filled == buffer.len() && buffer.len() < LINE_LIMIT {
                buffer.resize(buffer.len() * 2, 0);
            } else if filled == buffer.len() {
                self.window(&buffer[..filled], false);
                buffer.copy_within(filled - OVERLAP..filled, 0);
                filled = OVERLAP;
            }
        }
    }

    /// Takes whole lines; the last one may be without its newline at the end of the stream.
    fn take(&mut self, mut data: &[u8]) {
        if self.long.is_some() {
            let end = memchr(b'\n', data).unwrap_or(data.len());
            self.window(&data[..end], true);
            data = data.get(end + 1..).unwrap_or_default();
        }
        if self.search.count_lines {
            let open = u64::from(data.last().is_some_and(|last| *last != b'\n'));
            self.tally.lines += memchr_iter(b'\n', data).count() as u64 + open;
        }
        match self.selection.is_some() {
            true => self.selected_lines(data),
            false => self.block(data),
        }
    }

    /// Looks at lines one by one, and only at those that the selection leaves.
    fn selected_lines(&mut self, data: &[u8]) {
        let mut at = 0;
        while at < data.len() {
            let end = memchr(b'\n', &data[at..]).map_or(data.len(), |n| at + n);
            let (kept, line) = self.unstamped(&data[at..end]);
            at = end + 1;
            let selected = self.selection.as_mut().is_none_or(|selection| selection.takes(kept, line));
            if selected {
                self.tally.selected += 1;
                if self.search.patterns.any_hits(line, whole(line)) {
                    self.line(line);
                }
            }
        }
    }

    /// Takes the time off at which a line was kept; it is no part of the log.
    fn unstamped<'l>(&mut self, line: &'l [u8]) -> (Option<DateTime<Utc>>, &'l [u8]) {
        let (kept, rest) = self.selection.as_ref().map_or((None, line), |selection| selection.split(line));
        self.tally.stamps += (line.len() - rest.len()) as u64;
        (kept, rest)
    }

    /// Finds the lines that any pattern matches, without splitting the block.
    fn block(&mut self, data: &[u8]) {
        let Some(any) = self.search.patterns.any() else { return };
        let Some(mut cache) = self.cache.take() else { return };
        let mut at = 0;
        while at < data.len() {
            let input = Input::new(data).range(at..).earliest(true);
            let Some(half) = any.search_half_with(&mut cache, &input) else { break };
            let found = half.offset();
            let start = memrchr(b'\n', &data[at..found]).map_or(at, |n| at + n + 1);
            // The empty place behind the last newline is no line.
            if start >= data.len() {
                break;
            }
            let end = memchr(b'\n', &data[found..]).map_or(data.len(), |n| found + n);
            self.line(&data[start..end]);
            at = end + 1;
        }
        self.cache = Some(cache);
    }

    /// Counts a line that at least one pattern matches.
    fn line(&mut self, line: &[u8]) {
        let search = self.search;
        if search.ignore.any_hits(line, whole(line)) {
            self.tally.ignored += 1;
            return;
        }
        let alone = search.patterns.len() == 1;
        let mut hit = false;
        for pattern in 0..search.patterns.len() {
            if alone || search.patterns.hits(pattern, line, whole(line)) {
                hit = true;
                self.tally.hits[pattern].count += 1;
                self.keep(pattern, line);
            }
        }
        if hit && self.tally.excerpt.len() < 10 {
            self.tally.excerpt.push(excerpt(line));
        }
    }

    fn keep(&mut self, pattern: usize, line: &[u8]) {
        let hit = &mut self.tally.hits[pattern];
        match self.search.lines {
            true if !hit.lines.more => hit.lines.push(text(line)),
            false if hit.lines.texts.len() < SHOWN => hit.lines.push(excerpt(line)),
            true | false => {}
        }
        if self.search.captures
            && !hit.captures.more
            && let Some(value) = self.search.patterns.capture(pattern, line)
        {
            let value = text(value);
            if !hit.captures.texts.contains(&value) {
                hit.captures.push(value);
            }
        }
    }

    /// Looks at the next window of a line that is too long to be looked at as a whole.
    fn window(&mut self, data: &[u8], last: bool) {
        let search = self.search;
        let first = self.long.is_none();
        let (kept, data) = if first { self.unstamped(data) } else { (None, data) };
        let mut long = self.long.take().unwrap_or_else(|| LongLine {
            hits: vec![false; search.patterns.len()],
            ignored: false,
            selected: self.selection.as_mut().is_none_or(|selection| selection.takes_long(kept, data)),
            start: data[..data.len().min(EXCERPT + 1)].to_vec(),
        });
        // The outermost byte of an inner edge is only looked back or ahead at, so that no anchor holds there.
        let span = Span { start: usize::from(!first), end: data.len() - usize::from(!last && !data.is_empty()) };
        for (pattern, hit) in long.hits.iter_mut().enumerate() {
            *hit = *hit || search.patterns.hits(pattern, data, span);
        }
        long.ignored = long.ignored || search.ignore.any_hits(data, span);
        match last {
            true => self.long_line(&long),
            false => self.long = Some(long),
        }
    }

    fn long_line(&mut self, long: &LongLine) {
        self.tally.lines += u64::from(self.search.count_lines);
        self.tally.long_lines += 1;
        if !long.selected {
            return;
        }
        self.tally.selected += u64::from(self.selection.is_some());
        let hit = long.hits.contains(&true);
        if hit && long.ignored {
            self.tally.ignored += 1;
            return;
        }
        for (pattern, _) in long.hits.iter().enumerate().filter(|(_, hit)| **hit) {
            let hit = &mut self.tally.hits[pattern];
            hit.count += 1;
            if hit.lines.texts.len() < SHOWN && !self.search.lines {
                hit.lines.push(excerpt(&long.start));
            }
            // Of such a line only the beginning is at hand.
            hit.lines.more |= self.search.lines;
            hit.captures.more |= self.search.captures;
        }
        if hit && self.tally.excerpt.len() < 10 {
            self.tally.excerpt.push(excerpt(&long.start));
        }
    }
}

/// Looks through one file for patterns, from its beginning to its end.
///
/// # Errors
/// When a pattern is not valid or the file cannot be read.
pub fn scan_path(path: &Path, patterns: &[String], count_lines: bool) -> Result<Tally, String> {
    let patterns = Patterns::new(patterns).map_err(|e| e.to_string())?;
    let ignore = Patterns::new(&[]).map_err(|e| e.to_string())?;
    let search = Search { patterns, ignore, count_lines, lines: false, captures: false };
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let mut reader = reader::open(Box::new(file)).map_err(|e| e.to_string())?;
    let mut scanner = Scanner::new(&search, None);
    scanner.scan(&mut *reader, &Stop::never()).map_err(|e| e.to_string())?;
    Ok(scanner.finish().0)
}

fn whole(line: &[u8]) -> Span {
    Span { start: 0, end: line.len() }
}

/// Returns a line as text.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

/// Returns the beginning of a line as text.
fn excerpt(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.len() > EXCERPT {
        true => format!("{}…", String::from_utf8_lossy(&line[..EXCERPT])),
        false => String::from_utf8_lossy(line).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(patterns: &[&str], reader: &mut dyn Read) -> Tally {
        let patterns: Vec<_> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let search = Search {
            patterns: Patterns::new(&patterns).expect("valid"),
            ignore: Patterns::new(&[]).expect("valid"),
            count_lines: true,
            lines: false,
            captures: false,
        };
        let mut scanner = Scanner::new(&search, None);
        scanner.scan(reader, &Stop::never()).expect("readable");
        assert!(scanner.buffer.capacity() <= LINE_LIMIT);
        scanner.finish().0
    }

    fn counts(tally: &Tally) -> Vec<u64> {
        tally.hits.iter().map(|hit| hit.count).collect()
    }

    /// Gives a few bytes at a time, so that every edge falls everywhere.
    struct Crumbs<'a>(&'a [u8], usize);

    impl Read for Crumbs<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn lines_are_counted_whatever_the_size_of_the_reads() {
        let text = b"error one\n\nfine\nerror error\r\nx\0y\nlast error";
        for size in 1..text.len() {
            let tally = count(&["error", "^$", "x.y", "error$", "error.?$", "nope"], &mut Crumbs(text, size));
            assert_eq!(counts(&tally), [3, 1, 1, 1, 2, 0], "reads of {size}");
            assert_eq!(tally.lines, 6);
        }
    }

    #[test]
    fn an_empty_match_counts_each_line_once() {
        assert_eq!(counts(&count(&["x*"], &mut &b"a\nb\n\nc\n"[..])), [4]);
        assert_eq!(counts(&count(&["x*"], &mut &b"a\nb"[..])), [2]);
        assert_eq!(counts(&count(&["x*"], &mut &b""[..])), [0]);
    }

    #[test]
    fn a_gigantic_line_is_searched_in_bounded_memory() {
        let dots = || std::io::repeat(b'.');
        let mut line = (&b"head"[..])
            .chain(dots().take(LINE_LIMIT as u64 - 7))
            .chain(&b"needle"[..])
            .chain(dots().take(64 << 20))
            .chain(&b"tail\nneedle\n"[..]);
        let tally = count(&["needle", "^head", "tail$", "^needle", r"^\.", r"\.$"], &mut line);
        assert_eq!(counts(&tally), [2, 1, 1, 1, 0, 0]);
        assert_eq!((tally.lines, tally.long_lines), (2, 1));
    }
}
