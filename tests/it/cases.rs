//! Whole runs as data: each folder in `tests/cases` is a checklist, its world and what must come of it.
//!
//! - `world` names what the run stands in, one a line: `service` (the sample service, healthy), `service broken`,
//!   `prometheus` (a real one that scrapes the service), `recorded` (a real one with a day of recorded samples),
//!   `monitored` (a real one with rules that tells a real Alertmanager), `nginx`, `resolver` (a DNS server), `secure`
//!   (TLS servers) (see `support::world`).
//! - `answers.yaml` is what a double of a back end answers, one for each case; it is at hand as the input `api_url`
//!   (see `support::double`).
//! - `args` holds further arguments, one a line. Every other file is at hand in the folder of the run.
//! - `expected` holds `exit N`, a line for each step, `id: outcome` (with `(flaky)` where it is) and its reason, and
//!   for a run that did not begin what was said, `says: …`. Every step and every reason must be listed; `…` stands for what varies.
//! - `expected.md` and `expected.xml`, where there are any, are the whole sign-off and the whole JUnit document.
//!
//! `HOLDPOINT_BLESS=1 cargo test --test it cases` writes what came of each case, to be read over before it is kept;
//! `HOLDPOINT_CASE=WORD` takes only the cases whose name holds the word.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use regex::{Captures, Regex};

use crate::support::double;
use crate::support::env::{Ran, TestEnv, steps};
use crate::support::world::World;

/// The whole documents that a case may expect: the report format and the file.
const DOCUMENTS: &[(&str, &str)] = &[("markdown", "expected.md"), ("junit", "expected.xml")];

#[test]
fn every_case_comes_out_as_it_says() {
    // Cases that share a kind of world share the world.
    let mut by_world: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for folder in folders() {
        let world = std::fs::read_to_string(folder.join("world")).unwrap_or_default();
        by_world.entry(world.trim().to_owned()).or_default().push(folder);
    }
    let problems: Vec<String> = std::thread::scope(|scope| {
        let worlds: Vec<_> =
            by_world.iter().map(|(kind, folders)| scope.spawn(move || in_world(kind, folders))).collect();
        worlds.into_iter().flat_map(|world| world.join().expect("no panic")).collect()
    });
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// Runs the cases of one kind of world, a few at a time: most of them wait most of the time.
fn in_world(kind: &str, folders: &[PathBuf]) -> Vec<String> {
    let world = World::start(kind);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut problems = Vec::new();
        while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            problems.extend(case(folder, &world));
        }
        problems
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    })
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let wanted = std::env::var("HOLDPOINT_CASE").unwrap_or_default();
    let entries = std::fs::read_dir(&root).expect("cases").map(|e| e.expect("an entry").path());
    let mut folders: Vec<_> =
        entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(&wanted))).collect();
    folders.sort();
    assert!(!folders.is_empty(), "no case is called {wanted:?}");
    folders
}

fn case(folder: &Path, world: &World) -> Vec<String> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    let env = TestEnv::new();
    env.copy_from(folder);
    let checklist = read("checklist.yaml");
    let mut args: Vec<String> =
        vec!["run".into(), "checklist.yaml".into(), "--report".into(), "json=report.json".into()];
    let documents: Vec<_> = DOCUMENTS.iter().filter(|(_, file)| folder.join(file).exists()).collect();
    args.extend(documents.iter().flat_map(|(format, _)| ["--report".into(), format!("{format}=report.{format}")]));
    args.extend(world.inputs_for(&checklist));
    let answers = folder.join("answers.yaml");
    let double = answers.exists().then(|| double::start(&answers));
    args.extend(double.iter().flat_map(|double| ["--set".into(), format!("api_url={}", double.url(""))]));
    args.extend(read("args").lines().filter(|l| !l.is_empty()).map(str::to_owned));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = env.run(&args);
    let settled = Settled { written: format!("{checklist}\n{}", read("args")), home: env.path("") };
    let bless = std::env::var_os("HOLDPOINT_BLESS").is_some();
    let mut problems = Vec::new();
    let mut judge = |file: &str, found: String| match bless {
        true => std::fs::write(folder.join(file), found).expect("written"),
        false => problems.extend(differs(&name, file, &read(file), &found, &ran)),
    };
    judge("expected", settled.outcome(&ran, &env));
    for (format, file) in documents {
        let report = format!("report.{format}");
        judge(file, if env.path(&report).exists() { settled.document(&env.read(&report)) } else { String::new() });
    }
    problems
}

fn flaky(report: &serde_json::Value) -> Vec<bool> {
    let sections = report["sections"].as_array().expect("sections");
    let steps = sections.iter().flat_map(|section| section["steps"].as_array().expect("steps"));
    steps.map(|step| step["flaky"] == true).collect()
}

fn differs(name: &str, file: &str, expected: &str, found: &str, ran: &Ran) -> Option<String> {
    let only = |sign: &str, here: &str, there: &str| {
        let lines = here.lines().filter(|line| !there.lines().any(|other| other == *line));
        lines.map(|line| format!("  {sign} {line}\n")).collect::<String>()
    };
    let shown = only("-", expected, found) + &only("+", found, expected);
    let said = if found.starts_with("exit 101") { ran.stderr.as_str() } else { "" };
    (expected != found).then(|| format!("{name}/{file} (- expected, + found):\n{shown}{said}"))
}

/// Takes out of a text what is another each time.
struct Settled {
    /// What stands in the checklist and in the arguments is the same each time.
    written: String,
    home: PathBuf,
}

impl Settled {
    /// What came of a run: its exit status and its steps, or why it did not begin.
    fn outcome(&self, ran: &Ran, env: &TestEnv) -> String {
        let mut out = format!("exit {}\n", ran.status);
        if !env.path("report.json").exists() {
            let said = ran
                .stderr
                .lines()
                .map(str::trim)
                .filter(|l| ["error", "warning", "= help"].iter().any(|w| l.starts_with(w)));
            out.extend(said.map(|line| format!("says: {}\n", self.varying(line, r"\d+ bytes"))));
            return out;
        }
        let report = env.json("report.json");
        for ((id, outcome, reason), flaky) in steps(&report).into_iter().zip(flaky(&report)) {
            let reason = reason.lines().map(|line| self.line(line)).collect::<Vec<_>>().join(" / ");
            let flaky = if flaky { " (flaky)" } else { "" };
            let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
            out.push_str(&format!("{id}: {outcome}{flaky}{reason}\n"));
        }
        out
    }

    fn line(&self, line: &str) -> String {
        let line = self.varying(line, r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\b");
        let line = self.varying(&line, r"\d[\d.]*\s?(?:ns|us|µs|ms|s|m|h|d)\b|\b\d+ looks?\b|at look \d+|only \d+ of");
        // What was measured varies, even where it happens to be a number of the checklist.
        let measured =
            Regex::new(r"(after|failing for|longest breach|observed|took) \d[\d.]*(?:ns|us|µs|ms|s|m|h|d)\b");
        measured.expect("a pattern").replace_all(&line, "$1 …").into_owned()
    }

    /// A whole document, without times, names of this machine and digests.
    fn document(&self, text: &str) -> String {
        let times =
            r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:\d\d| UTC)?|\b\d{8}-\d{6}-[0-9a-f]{4}\b";
        let digests = r"\b[0-9a-f]{40,64}\b";
        let text = self.varying(text, times);
        let text = self.varying(&text, digests);
        let text = self
            .varying(&text, r"time=\x22[\d.]+\x22|tester on [^ |<]+|\bholdpoint \d+\.\d+\.\d+|Events recorded \| \d+|\bevents: \d+|value\.latency\x22 value=\x22[\d.]+");
        text.lines().map(|line| self.line(line) + "\n").collect()
    }

    /// Puts `…` in the place of what the pattern finds, unless it is written in the checklist.
    fn varying(&self, text: &str, pattern: &str) -> String {
        let home = self.home.to_string_lossy();
        let text = text.replace(home.trim_end_matches('/'), "…");
        let text = Regex::new(r"127\.0\.0\.1:\d{4,5}|/tmp/[^\s)\x22,]*")
            .expect("a pattern")
            .replace_all(&text, "…")
            .into_owned();
        let regex = Regex::new(pattern).expect("a pattern");
        let keep =
            |found: &Captures<'_>| if self.written.contains(&found[0]) { found[0].to_owned() } else { "…".into() };
        regex.replace_all(&text, keep).into_owned()
    }
}
