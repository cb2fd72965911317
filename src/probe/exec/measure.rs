//! What a command that has ended says: measures, remarks and evidence.

use regex::RegexSet;

use crate::model::observation::{Evidence, left_out_mark};
use crate::model::{Found, Measures, Note, Observation, Value};
use crate::probe::Wants;
use crate::probe::json::{self, Paths};
use crate::sys::process::{Capture, End, Ended, signal_name};

/// How many bytes of an output are kept as evidence, half of them from its end.
const EXCERPT: usize = 4096;

/// How far from a cut the end of a line is looked for, so that lines stay whole.
const LINE: usize = 4096;

/// What is measured of a command.
pub(super) struct Measuring {
    stdout: bool,
    stderr: bool,
    lines: bool,
    signal: bool,
    json: Paths,
    ignore: Option<RegexSet>,
    shell: bool,
}

impl Measuring {
    /// Prepares to measure what the step uses.
    pub(super) fn new(wants: &Wants, ignore: Option<RegexSet>, shell: bool) -> Self {
        Self {
            stdout: wants.any("stdout"),
            stderr: wants.any("stderr"),
            lines: wants.any("lines"),
            signal: wants.any("signal"),
            json: Paths::of(wants),
            ignore,
            shell,
        }
    }

    /// Makes the observation of a command that ended by itself or by a signal.
    pub(super) fn observation(&self, request: String, ended: &Ended) -> Observation {
        if let Some(cause) = self.not_found(ended) {
            return Observation::new(request, Found::refused(cause));
        }
        let mut measures = Measures::new();
        self.measure(ended, &mut measures);
        let mut observation = Observation::new(request, Found::Measures(measures));
        self.add_notes(ended, &mut observation.notes);
        self.add_evidence(ended, ended.end != End::Exited(0), &mut observation);
        observation
    }

    fn measure(&self, ended: &Ended, measures: &mut Measures) {
        let (exit_code, signal) = match ended.end {
            End::Exited(code) => {
                (Value::Number(f64::from(code)), Value::Missing("no signal ended the command".to_owned()))
            }
            End::Signalled(signal) => {
                let name = signal_name(signal);
                (Value::Missing(format!("the command was ended by {name}")), Value::Text(name))
            }
            End::TimedOut => (Value::NoData("the command did not end".to_owned()), Value::NoData(String::new())),
        };
        measures.plain("exit_code", exit_code);
        if self.stdout {
            measures.plain("stdout", self.text(&ended.stdout));
        }
        if self.stderr {
            measures.plain("stderr", self.text(&ended.stderr));
        }
        if !self.json.is_empty() {
            self.json.measure("stdout", document(&ended.stdout), measures);
        }
        if self.lines {
            measures.plain("lines", self.count_lines(&ended.stdout));
        }
        measures.plain("duration", Value::Number(ended.took.as_secs_f64()));
        if self.signal {
            measures.plain("signal", signal);
        }
    }

    fn count_lines(&self, output: &Capture) -> Value {
        if self.ignore.is_none() {
            return Value::Number(output.lines() as f64);
        }
        match output.left_out() {
            0 => {
                let (kept, _) = joined(output);
                Value::Number(kept.split_inclusive('\n').filter(|line| !self.ignored(line)).count() as f64)
            }
            n => Value::NoData(format!("{n} bytes of the output were not kept, so lines to ignore cannot be told")),
        }
    }

    /// Returns an output as text, without the lines to ignore and its last newline. What was not kept whole is no
    /// data: nobody knows what stands in the middle.
    fn text(&self, output: &Capture) -> Value {
        if output.left_out() > 0 {
            return Value::NoData(not_kept(output));
        }
        let (mut text, _) = joined(output);
        if self.ignore.is_some() {
            text = text.split_inclusive('\n').filter(|line| !self.ignored(line)).collect();
        }
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Value::Text(text)
    }

    fn ignored(&self, line: &str) -> bool {
        self.ignore.as_ref().is_some_and(|set| set.is_match(line.trim_end_matches(['\n', '\r'])))
    }

    /// Tells whether a shell ended because it could not find or execute a command: then nothing is known.
    fn not_found(&self, ended: &Ended) -> Option<String> {
        let words: &[&str] = match ended.end {
            End::Exited(127) => &["not found", "No such file or directory"],
            End::Exited(126) => &["ermission denied", "cannot execute", "xec format error", "s a directory"],
            End::Exited(_) | End::Signalled(_) | End::TimedOut => return None,
        };
        let said = String::from_utf8_lossy(if ended.stderr.tail().is_empty() {
            ended.stderr.head()
        } else {
            ended.stderr.tail()
        });
        let last = said.trim_end().lines().next_back()?;
        let tells = self.shell && last.len() < 1000 && words.iter().any(|word| last.contains(word));
        tells.then(|| format!("the shell could not run a command: {}", last.trim()))
    }

    fn add_notes(&self, ended: &Ended, notes: &mut Vec<Note>) {
        if ended.held_open {
            let text = "a process that left the command's process group holds its output open; it was not waited for";
            notes.push(Note::warning(text));
        }
        let said = String::from_utf8_lossy(ended.stderr.head());
        let missing =
            |line: &&str| line.len() < 1000 && line.contains("sh: ") && line.trim_end().ends_with("not found");
        if let Some(line) = said.lines().find(missing).filter(|_| self.shell) {
            notes.push(Note::warning(format!("the shell did not find a command: {}", line.trim())));
        }
    }

    /// Keeps excerpts of what the command printed, unless it stands among the measures or nobody will ask for it.
    pub(super) fn add_evidence(&self, ended: &Ended, failed: bool, observation: &mut Observation) {
        let measured = matches!(observation.found, Found::Measures(_));
        for (name, output, wanted) in [("stderr", &ended.stderr, self.stderr), ("stdout", &ended.stdout, self.stdout)] {
            let shown = wanted && measured && output.left_out() == 0;
            let asked_for = failed || wanted && output.left_out() > 0;
            if output.total() > 0 && asked_for && !shown {
                observation.evidence.push(excerpt(name, output));
            }
        }
    }
}

/// Reads the standard output as JSON.
fn document(output: &Capture) -> Result<serde_json::Value, Value> {
    match output.whole() {
        Some(bytes) => json::parse(&bytes, "stdout", None),
        None => Err(Value::NoData(not_kept(output))),
    }
}

fn not_kept(output: &Capture) -> String {
    format!("{} bytes in the middle of {} were not kept", output.left_out(), output.total())
}

/// Cuts head and tail at the ends of lines where these are near, and counts what is left out between.
fn joined_size(output: &Capture) -> ((usize, usize), u64) {
    let (head, tail) = (output.head(), output.tail());
    if output.left_out() == 0 {
        return ((head.len(), 0), 0);
    }
    let last_line = memchr::memrchr(b'\n', &head[head.len().saturating_sub(LINE)..]);
    let head_end = last_line.map_or(head.len(), |at| head.len().saturating_sub(LINE) + at + 1);
    let tail_start = memchr::memchr(b'\n', &tail[..tail.len().min(LINE)]).map_or(0, |at| at + 1);
    ((head_end, tail_start), output.total() - head_end as u64 - (tail.len() - tail_start) as u64)
}

/// Joins head and tail to a text, with a mark where bytes were left out.
fn joined(output: &Capture) -> (String, u64) {
    let ((head_end, tail_start), left_out) = joined_size(output);
    let (head, tail) = (&output.head()[..head_end], &output.tail()[tail_start..]);
    if left_out == 0 {
        let bytes = if tail.is_empty() { head.into() } else { std::borrow::Cow::Owned([head, tail].concat()) };
        return (String::from_utf8_lossy(&bytes).into_owned(), 0);
    }
    let mark = left_out_mark(left_out);
    (String::from_utf8_lossy(head).into_owned() + &mark + &String::from_utf8_lossy(tail), left_out)
}

fn excerpt(name: &str, output: &Capture) -> Evidence {
    let mut small = Capture::new(EXCERPT / 2);
    small.push(output.head());
    small.push(output.tail());
    let between = output.left_out();
    if small.left_out() == 0 && between == 0 {
        let (text, _) = joined(&small);
        return Evidence { title: name.to_owned(), text: text.trim_end().to_owned(), left_out: 0 };
    }
    let ((head_end, tail_start), _) = joined_size(&small);
    let (head, tail) = (&small.head()[..head_end], &small.tail()[tail_start..]);
    let left_out = output.total() - (head.len() + tail.len()) as u64;
    let text = String::from_utf8_lossy(head).into_owned() + &left_out_mark(left_out) + &String::from_utf8_lossy(tail);
    Evidence { title: name.to_owned(), text: text.trim_end().to_owned(), left_out }
}
