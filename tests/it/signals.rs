//! Runs that are stopped, at any moment: undecided, told, cleaned up, and nothing lost that was acknowledged.

use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use holdpoint::model::RunId;
use holdpoint::record::store;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::env::{TestEnv, steps};
use crate::support::rogue::{Rogue, stall, write};

const CHECKLIST: &str = r#"
holdpoint: 1
name: Stopped
inputs: { base_url: { type: url }, log_path: {} }
defaults: { timeout: 60s }
sections:
  - name: First
    steps:
      - { name: Quick answer, http: "GET {{ inputs.base_url }}/quick", expect: 200 }
      - { name: Slow answer, http: "GET {{ inputs.base_url }}/stall", expect: 200 }
      - { name: Slow command, exec: "sleep MARK & sleep MARK", expect: 0 }
      - { name: Stubborn command, exec: "trap '' TERM INT; sleep MARK; sleep MARK", expect: 0 }
      - { name: Quick command, exec: "true", expect: 0 }
      - { name: Log line to come, log: "{{ inputs.log_path }}", expect: { matches: { 'never': ">= 1" } }, eventually: { within: 60s, every: 50ms } }
      - { name: Settling, wait: 60s }
  - name: Second
    steps:
      - { name: Not reached, exec: "touch not-reached", expect: 0 }
always:
  - { name: Clean up, exec: "ALWAYS", expect: 0 }
"#;

/// What must not pass in a run that was stopped.
const UNFINISHED: [&str; 6] =
    ["slow-answer", "slow-command", "stubborn-command", "log-line-to-come", "settling", "not-reached"];

struct Stopped {
    env: TestEnv,
    child: Child,
    mark: String,
    _server: Rogue,
}

impl Stopped {
    fn start(number: u32, always: &str) -> Self {
        let server = Rogue::start(|asked, stream| match asked.path.as_str() {
            "/quick" => write(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            _ => stall(stream),
        });
        let env = TestEnv::new();
        // A length of sleep that nobody else asks for tells our commands from all others.
        let mark = format!("60.{}{number:03}", std::process::id());
        env.write(
            "checklist.yaml",
            &CHECKLIST.replace("MARK", &mark).replace("ALWAYS", &always.replace("MARK", &mark)),
        );
        env.write("app.log", "2026-01-01 12:00:00 started\n");
        let base = format!("base_url={}", server.url(""));
        let log = format!("log_path={}", env.path("app.log").display());
        let args = ["run", "checklist.yaml", "--set", &base, "--set", &log, "--report", "json=r.json"];
        let mut command = env.command(&args);
        command.args(["--report", "junit=r.xml", "--report", "markdown=r.md"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut stopped = Self { env, child, mark, _server: server };
        stopped.wait_for_the_first_word();
        stopped
    }

    fn wait_for_the_first_word(&mut self) {
        let mut reader = BufReader::new(self.child.stderr.take().expect("piped"));
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        assert!(line.contains("Stopped"), "{line}");
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            let _ = reader.read_to_end(&mut rest);
        });
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("it runs");
    }

    fn ended(&mut self) -> (Option<i32>, Duration) {
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait().expect("waits") {
                return (status.code(), asked.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.kill().expect("ends");
        panic!("the program did not end");
    }

    fn commands_left(&self) -> Vec<String> {
        let mark = &self.mark;
        let processes = std::fs::read_dir("/proc").expect("processes").flatten();
        let lines = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
        lines.map(|l| String::from_utf8_lossy(&l).into_owned()).filter(|l| l.contains(mark.as_str())).collect()
    }

    /// A process that was killed needs a moment to be gone.
    fn assert_no_command_is_left(&self) {
        let until = Instant::now() + Duration::from_secs(5);
        while !self.commands_left().is_empty() {
            assert!(Instant::now() < until, "{:?} still run", self.commands_left());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn stopped_at(number: u32, signal: Signal) {
    let mut run = Stopped::start(number, "touch cleaned");
    std::thread::sleep(Duration::from_millis(u64::from(number) * 17 % 500));
    run.signal(signal);
    let (status, took) = run.ended();
    assert_eq!(status, Some(3), "moment {number}");
    assert!(took < Duration::from_secs(5), "moment {number}: {took:?}");
    run.assert_no_command_is_left();
    assert!(run.env.path("cleaned").exists() && !run.env.path("not-reached").exists());
    let report: Value = run.env.json("r.json");
    assert_eq!(report["decision"], "undecided", "{report}");
    for (id, outcome, reason) in steps(&report) {
        let unfinished = UNFINISHED.contains(&id.as_str());
        assert!(!unfinished || matches!(outcome.as_str(), "inconclusive" | "skipped"), "{id}: {outcome}: {reason}");
        assert!(id != "clean-up" || outcome == "pass", "{id}: {outcome}: {reason}");
    }
    let parsed = Command::new("xmllint").arg("--noout").arg(run.env.path("r.xml")).status().expect("xmllint");
    assert!(parsed.success() && run.env.read("r.md").contains("UNDECIDED"));
    let shown = run.env.run(&["show", "last", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(shown["decision"], "undecided");
}

#[test]
fn a_run_that_is_stopped_at_any_moment_is_undecided_and_told() {
    std::thread::scope(|scope| {
        for lane in 0..5 {
            scope.spawn(move || {
                for number in (lane..30).step_by(5) {
                    let signal = [Signal::INT, Signal::TERM][number as usize % 2];
                    stopped_at(number, signal);
                }
            });
        }
    });
    // Where this very test runs under `nohup`, the signal is ignored on purpose.
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let ignored = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).expect("a mask").trim();
    if u64::from_str_radix(ignored, 16).expect("a mask") & 1 == 0 {
        stopped_at(100, Signal::HUP);
    }
}

#[test]
fn a_second_signal_leaves_at_once_and_leaves_nothing_behind() {
    let mut run = Stopped::start(200, "touch always; sleep MARK");
    run.signal(Signal::INT);
    let until = Instant::now() + Duration::from_secs(10);
    while !run.env.path("always").exists() {
        assert!(Instant::now() < until, "`always` does not run");
        std::thread::sleep(Duration::from_millis(5));
    }
    run.signal(Signal::TERM);
    let (status, took) = run.ended();
    assert_eq!(status, Some(130));
    assert!(took < Duration::from_secs(3), "{took:?}");
    run.assert_no_command_is_left();
    let shown = run.env.run(&["show", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_else(|e| panic!("{e}: {}", shown.stderr));
    assert_eq!(shown["decision"], "undecided");
}

#[test]
fn a_reader_who_stands_still_does_not_keep_the_program() {
    let env = TestEnv::new();
    let name = "n".repeat(300);
    let step = |n| format!("      - {{ name: {name} {n}, tcp: '127.0.0.1:1', expect: {{ open: true }} }}\n");
    let steps: String = (0..500).map(step).collect();
    let head = "holdpoint: 1\nname: Unread\nsections:\n  - name: Section\n    steps:\n";
    env.write("checklist.yaml", &format!("{head}{steps}"));
    let mut command = env.command(&["run", "checklist.yaml"]);
    // More is said than a pipe holds, and nobody reads it.
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(child.try_wait().expect("waits").is_none(), "it waits for its reader");
    for signal in [Signal::INT, Signal::INT] {
        kill_process(pid, signal).expect("it runs");
        std::thread::sleep(Duration::from_millis(200));
    }
    let until = Instant::now() + Duration::from_secs(5);
    while child.try_wait().expect("waits").is_none() {
        if Instant::now() > until {
            child.kill().expect("ends");
            panic!("the second signal was not heard");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(child.wait().expect("ended").code(), Some(130));
}

fn killed_at(number: u32) {
    let env = TestEnv::new();
    let mut checklist = "holdpoint: 1\nname: Killed\nsections:\n".to_owned();
    for section in 0..20 {
        checklist.push_str(&format!("  - name: Section {section}\n    steps:\n"));
        for step in 0..20 {
            checklist
                .push_str(&format!("      - {{ name: Step {section} {step}, exec: [sleep, '0.02'], expect: 0 }}\n"));
        }
    }
    env.write("checklist.yaml", &checklist);
    let mut child = env
        .command(&["run", "checklist.yaml", "--format", "json", "--jobs", "4"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    reader.read_line(&mut first).expect("the first event");
    let rest = std::thread::spawn(move || {
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("text");
        rest
    });
    std::thread::sleep(Duration::from_millis(u64::from(number) * 73 % 700));
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    let told = first + &rest.join().expect("no panic");
    // The last line may be cut off.
    let told: Vec<Value> = told.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect();
    let run = RunId::new(told[0]["run"].as_str().expect("a run"));
    let opened = store::open(&env.path(".holdpoint/holdpoint.db").display().to_string()).expect("opens");
    let mut kept: Vec<Value> = Vec::new();
    opened
        .events(&run, &mut |_, json, _| {
            kept.push(serde_json::from_str(json).expect("JSON"));
            ControlFlow::Continue(())
        })
        .expect("reads");
    assert!(kept.len() >= told.len(), "{} told, {} kept", told.len(), kept.len());
    assert_eq!(kept[..told.len()], told[..], "what was told is kept");
    let shown = env.run(&["show", "last", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_else(|e| panic!("{e}: {}", shown.stderr));
    assert_eq!(shown["decision"], "undecided", "moment {number}");
    let passed = steps(&shown).iter().filter(|(_, outcome, _)| outcome == "pass").count();
    let done = |e: &&Value| e["event"] == "step_finished" && e["result"]["outcome"] == "pass";
    assert_eq!(passed, kept.iter().filter(done).count());
}

#[test]
fn a_run_that_is_killed_keeps_all_that_was_acknowledged() {
    (0..10).for_each(killed_at);
}
