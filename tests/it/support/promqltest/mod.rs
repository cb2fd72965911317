//! Runs scripts in the language of Prometheus' own PromQL tests: data is loaded, queries are evaluated, and what they
//! give is compared with what the script expects.
//!
//! What is about native histograms is skipped, by rule and counted: see [`Skip`].

pub(crate) mod compare;
pub(crate) mod memory;
pub(crate) mod script;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use holdpoint::promql::engine::{Answer, Engine, QueryError, Stop, StorageError, Value};

use memory::Memory;
use script::{At, Command, Eval};

/// Why an evaluation was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Skip {
    /// The script expects a native histogram (`{{`).
    ExpectsHistogram,
    /// The query reads a series that holds native histograms at the time (`{{` or `load_with_nhcb`).
    ReadsHistogram,
    /// The query has an operator that is only for native histograms (`</`, `>/`).
    HistogramOperator,
    /// The query reads a series whose samples have start times (`@st`).
    ReadsStartTimes,
    /// The query has a function that the engine does not have.
    NoSuchFunction,
}

/// What came of scripts.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) skipped: BTreeMap<Skip, usize>,
    /// File, line and what was wrong.
    pub(crate) failed: Vec<String>,
}

impl Report {
    /// Writes the counts, and all that failed.
    pub(crate) fn summary(&self) -> String {
        let skipped: usize = self.skipped.values().sum();
        let by_rule: Vec<_> = self.skipped.iter().map(|(rule, count)| format!("{rule:?} {count}")).collect();
        let mut out = format!("{} passed, {} failed, {skipped} skipped by rule", self.passed, self.failed.len());
        if !by_rule.is_empty() {
            out.push_str(&format!(" ({})", by_rule.join(", ")));
        }
        self.failed.iter().fold(out, |out, failure| out + "\n" + failure)
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        for (rule, count) in other.skipped {
            *self.skipped.entry(rule).or_default() += count;
        }
    }
}

/// Runs every script (`*.test`) of a folder.
pub(crate) fn run_folder(folder: &Path) -> Report {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "test"));
    files.sort();
    assert!(!files.is_empty(), "no script in {}", folder.display());
    let mut report = Report::default();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a script");
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let one = run(&name, &text);
        eprintln!("{name}: {}", one.summary().lines().next().unwrap_or_default());
        report.add(one);
    }
    report
}

/// Runs one script.
pub(crate) fn run(name: &str, text: &str) -> Report {
    let mut report = Report::default();
    let mut memory = Memory::default();
    // Those scripts are written for these settings.
    let engine = Engine { names_later: true, ..Engine::default() };
    let commands = match script::parse(text) {
        Ok(commands) => commands,
        Err(error) => {
            report.failed.push(format!("{name}:{error}"));
            return report;
        }
    };
    for command in commands {
        match command {
            Command::Clear => memory = Memory::default(),
            Command::Load(load) => memory.load(&load),
            Command::Eval(eval) => match evaluate(&engine, &memory, &eval) {
                Ok(None) => report.passed += 1,
                Ok(Some(skip)) => *report.skipped.entry(skip).or_default() += 1,
                Err(error) => report.failed.push(format!("{name}:{}: {}: {error}", eval.line, eval.query)),
            },
        }
    }
    report
}

fn evaluate(engine: &Engine, memory: &Memory, eval: &Eval) -> Result<Option<Skip>, String> {
    if eval.expected.iter().any(|series| series.values.iter().any(|v| v.histogram)) {
        return Ok(Some(Skip::ExpectsHistogram));
    }
    if eval.query.contains("</") || eval.query.contains(">/") {
        return Ok(Some(Skip::HistogramOperator));
    }
    let stop = Stop::default();
    let result = match eval.at {
        At::Instant(t) => engine.instant(memory, &eval.query, t, &stop),
        At::Range { from, to, step } => engine.range(memory, &eval.query, (from, to), step, &stop),
    };
    if let Some(skip) = result.as_ref().err().and_then(skip) {
        return Ok(Some(skip));
    }
    compare::check(eval, &result)?;
    let At::Instant(t) = eval.at else { return Ok(None) };
    let Ok(Answer { value: Value::Scalar(_) | Value::Vector(_), .. }) = &result else { return Ok(None) };
    let by_context = ["start()", "end()", "range()", "step()"].iter().any(|word| eval.query.contains(word));
    if eval.ordered || by_context {
        return Ok(None);
    }
    // The middle step of a range query must give the same.
    let minute = 60_000;
    let ranged = engine.range(memory, &eval.query, (t - minute, t + minute), minute, &stop);
    match ranged {
        Err(error) if skip(&error).is_some() => Ok(None),
        Err(error) => Err(format!("as a range query: {error}")),
        Ok(answer) => {
            compare::check_step(eval, &answer, t).map(|()| None).map_err(|e| format!("as a range query: {e}"))
        }
    }
}

/// Says by which rule an error is none.
fn skip(error: &QueryError) -> Option<Skip> {
    match error {
        QueryError::Storage(StorageError::NativeHistogram(_)) => Some(Skip::ReadsHistogram),
        QueryError::Storage(StorageError::Failed(text)) if text == memory::START_TIMES => Some(Skip::ReadsStartTimes),
        QueryError::Invalid(text) if text.ends_with("() is not supported") => Some(Skip::NoSuchFunction),
        _ => None,
    }
}
