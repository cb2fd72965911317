//! The bad world: disks that are full, stores that are damaged, readers that leave, servers that misbehave.

use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::env::{Ran, TestEnv, steps};
use crate::support::rogue::{Rogue, forever, stall, write};

const REPORTS: [&str; 6] = ["--report", "json=r.json", "--report", "junit=r.xml", "--report", "markdown=r.md"];

/// A checklist of one section with these steps.
fn checklist(steps: &[String]) -> String {
    let lines: String = steps.iter().map(|step| format!("      - {step}\n")).collect();
    format!("holdpoint: 1\nname: Bad world\nsections:\n  - name: Section\n    steps:\n{lines}")
}

fn good() -> String {
    checklist(&["{ name: Holds, exec: 'touch ran', expect: 0 }".to_owned()])
}

/// Runs a line of the shell in the folder, with `$HP` for the program.
fn shell(env: &TestEnv, line: &str) -> Output {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).current_dir(env.path(".")).env("HP", env!("CARGO_BIN_EXE_holdpoint"));
    command.env("NO_COLOR", "1").stdin(Stdio::null()).output().expect("the shell runs")
}

fn outcomes(env: &TestEnv) -> Vec<(String, String)> {
    steps(&env.json("r.json")).into_iter().map(|(_, outcome, reason)| (outcome, reason)).collect()
}

fn assert_reports_parse(env: &TestEnv) {
    let parsed = Command::new("xmllint").arg("--noout").arg(env.path("r.xml")).status().expect("xmllint");
    assert!(parsed.success());
    let _: Value = env.json("r.json");
    assert!(!env.read("r.md").is_empty());
}

/// Steps whose evidence soon fills a small store.
fn talkative(count: usize) -> String {
    let step = |n| {
        format!(
            "{{ name: Step {n}, exec: 'sleep 0.0{}; head -c 9000 /dev/urandom | base64', expect: {{ stdout: exists }}, evidence: full }}",
            n % 10
        )
    };
    checklist(&(0..count).map(step).collect::<Vec<_>>())
}

#[test]
fn a_store_that_may_not_grow_stops_the_run_and_it_is_told() {
    let env = TestEnv::new();
    env.write("checklist.yaml", &talkative(200));
    // 512 KiB for each file: room for the reports, but not for the evidence.
    let run = "ulimit -f 1024; exec \"$HP\" run checklist.yaml --jobs 4 --report json=r.json --report junit=r.xml --report markdown=r.md";
    let ran = Ran::of(shell(&env, run));
    assert_eq!(ran.status, 3, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("record could not be kept"), "{}", ran.stderr);
    assert!(ran.stdout.contains("UNDECIDED"), "{}", ran.stdout);
    let shown = env.run(&["show", "last", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_else(|e| panic!("{e}: {}", shown.stderr));
    assert_eq!(shown["decision"], "undecided");
}

/// A file system of its own in memory; nothing where mounting is not allowed.
struct Tiny(std::path::PathBuf);

impl Tiny {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let option = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(at).output().ok()?;
        mounted.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_stops_the_run_and_what_was_found_is_still_reported() {
    let env = TestEnv::new();
    let Some(_disk) = Tiny::mount(&env.path("disk"), "600k") else { return };
    env.write("checklist.yaml", &talkative(300));
    let mut args = vec!["run", "checklist.yaml", "--jobs", "4", "--store", "disk/store.db"];
    args.extend(REPORTS);
    let ran = env.run(&args);
    assert_eq!(ran.status, 3, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("full") && ran.stderr.contains("free some space"), "{}", ran.stderr);
    assert_reports_parse(&env);
    let outcomes = outcomes(&env);
    let passed = outcomes.iter().filter(|(outcome, _)| outcome == "pass").count();
    assert!(passed > 0 && passed < 300, "{passed}");
    assert!(outcomes.iter().all(|(outcome, _)| matches!(outcome.as_str(), "pass" | "skipped" | "inconclusive")));
    assert_eq!(env.json("r.json")["decision"], "undecided");
    // On a disk that was full from the beginning nothing is run at all.
    std::fs::write(env.path("disk/ballast"), vec![0; 600 << 10]).expect_err("full");
    env.write("checklist.yaml", &good());
    let ran = env.run(&["run", "checklist.yaml", "--store", "disk/other.db"]);
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing was run") && !env.path("ran").exists(), "{}", ran.stderr);
}

#[test]
fn a_store_that_cannot_be_used_lets_nothing_run() {
    let env = TestEnv::new();
    env.write("checklist.yaml", &good());
    env.write("file", "a file");
    env.write("garbage.db", &"garbage ".repeat(2000));
    std::fs::create_dir(env.path("folder.db")).expect("a folder");
    let before = env.read("garbage.db");
    for store in ["file/store.db", "garbage.db", "folder.db", "nosuch:store", "/proc/store.db"] {
        let ran = env.run(&["run", "checklist.yaml", "--store", store]);
        assert_eq!(ran.status, 3, "{store}: {}", ran.stderr);
        assert!(ran.stderr.contains("nothing was run") && !env.path("ran").exists(), "{store}: {}", ran.stderr);
        assert!(ran.stderr.lines().all(|line| line.len() < 400), "{}", ran.stderr);
    }
    assert_eq!(env.read("garbage.db"), before, "what is not a store is left as it is");
}

#[test]
fn a_damaged_store_is_found_out_and_never_shown_as_good() {
    let env = TestEnv::new();
    env.write("checklist.yaml", &talkative(20));
    assert_eq!(env.run(&["run", "checklist.yaml", "--store", "store.db"]).status, 0);
    let whole = std::fs::read(env.path("store.db")).expect("a store");
    assert!(whole.len() > 100_000);
    let mut noticed = 0;
    for at in (4096..whole.len()).step_by(whole.len() / 23) {
        let mut damaged = whole.clone();
        damaged[at..].iter_mut().take(64).for_each(|byte| *byte ^= 0x55);
        std::fs::write(env.path("store.db"), &damaged).expect("written");
        let shown = env.run(&["show", "last", "--store", "store.db"]);
        // What is not part of the run may be damaged without anybody's notice; what is shown is intact.
        if shown.status != 0 {
            assert_eq!(shown.status, 2, "{}", shown.stderr);
            assert!(shown.stderr.starts_with("error: ") && shown.stdout.is_empty(), "{}", shown.stderr);
            noticed += 1;
        }
    }
    assert!(noticed > 12, "{noticed} of 23");
    std::fs::write(env.path("store.db"), &whole[..whole.len() / 2]).expect("written");
    let shown = env.run(&["show", "last", "--store", "store.db"]);
    assert_eq!(shown.status, 2, "{}", shown.stdout);
}

#[test]
fn the_store_is_for_its_owner_alone() {
    let env = TestEnv::new();
    env.write("checklist.yaml", &good());
    let ran = Ran::of(shell(&env, "umask 0; exec \"$HP\" run checklist.yaml"));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let mode = |name: &str| std::fs::metadata(env.path(name)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(".holdpoint"), mode(".holdpoint/holdpoint.db")), (0o700, 0o600));
}

#[test]
fn runs_side_by_side_share_one_store() {
    let env = TestEnv::new();
    let step = |n| format!("{{ name: Step {n}, exec: 'sleep 0.0{}', expect: 0 }}", n % 10);
    env.write("checklist.yaml", &checklist(&(0..60).map(step).collect::<Vec<_>>()));
    let start = || {
        env.command(&["run", "checklist.yaml"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts")
    };
    let children: Vec<_> = (0..5).map(|_| start()).collect();
    for child in children {
        let ran = Ran::of(child.wait_with_output().expect("ends"));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
    let runs = env.run(&["runs", "--format", "json"]);
    let runs: Value = serde_json::from_str(&runs.stdout).expect("JSON");
    let runs = runs.as_array().expect("a list");
    assert_eq!(runs.len(), 5);
    for run in runs {
        let shown = env.run(&["show", run["run"].as_str().expect("a name"), "--format", "json"]);
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_else(|e| panic!("{e}: {}", shown.stderr));
        assert_eq!(shown["decision"], "go");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_found_before_anything_runs() {
    let env = TestEnv::new();
    env.write("checklist.yaml", &good());
    env.write("file", "a file");
    for report in ["junit=no/such/folder/r.xml", "junit=file/r.xml", "json=.", "json=", "nosuch=r", "json"] {
        let ran = env.run(&["run", "checklist.yaml", "--report", report]);
        assert_eq!(ran.status, 2, "{report}: {}", ran.stderr);
        assert!(!env.path("ran").exists() && ran.stderr.starts_with("error: "), "{report}: {}", ran.stderr);
    }
    let left = std::fs::read_dir(env.path(".")).expect("a folder").count();
    assert_eq!(left, 2, "nothing is left lying about");
}

#[test]
fn a_report_that_fails_at_the_end_is_no_go_ahead() {
    let env = TestEnv::new();
    std::fs::create_dir(env.path("out")).expect("a folder");
    env.write("checklist.yaml", &checklist(&["{ name: Sweeps, exec: 'rmdir out', expect: 0 }".to_owned()]));
    let ran = env.run(&["run", "checklist.yaml", "--report", "junit=out/r.xml", "--report", "json=r.json"]);
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("error: report out/r.xml"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("wrote out/r.xml"), "{}", ran.stderr);
    assert_eq!(env.json("r.json")["decision"], "go", "the others are written all the same");
}

#[test]
fn reports_go_into_pipes_and_through_links() {
    let env = TestEnv::new();
    env.write("checklist.yaml", &good());
    env.write("target/r.json", "old");
    symlink("target/r.json", env.path("link.json")).expect("a link");
    let line = "mkfifo pipe; cat pipe > piped & \"$HP\" run checklist.yaml --report json=pipe --report json=link.json; s=$?; wait; exit $s";
    let ran = Ran::of(shell(&env, line));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(std::fs::metadata(env.path("pipe")).expect("a pipe").file_type().is_fifo());
    assert!(env.path("link.json").is_symlink());
    for name in ["piped", "target/r.json"] {
        assert_eq!(env.json(name)["decision"], "go", "{name}");
    }
}

#[test]
fn readers_that_leave_do_no_harm() {
    let env = TestEnv::new();
    env.write("checklist.yaml", &good());
    for how in ["| head -c 0", ">&-", "2>&-", ">&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 | head -c 0"] {
        let report = "--report json=r.json";
        let _ = std::fs::remove_file(env.path("r.json"));
        let line = format!("{{ \"$HP\" run checklist.yaml {report}; echo $? > status; }} {how}");
        shell(&env, &line);
        assert_eq!(env.read("status").trim(), "0", "{how}");
        assert_eq!(env.json("r.json")["decision"], "go", "{how}");
        let shown = env.run(&["show", "--format", "json"]);
        assert!(shown.stdout.contains("\"go\""), "{how}: {}", shown.stderr);
    }
    for command in ["runs", "show", "export", "schema", "explain", "plan checklist.yaml", "check checklist.yaml"] {
        let ran = Ran::of(shell(&env, &format!("{{ \"$HP\" {command}; echo $? > status; }} | head -c 0")));
        assert!(matches!(env.read("status").trim(), "0" | "2"), "{command}: {}", env.read("status"));
        assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("broke down"), "{command}: {}", ran.stderr);
    }
    // A report that was to go there was not delivered: that is no green light.
    let line = "{ sleep 0.2; \"$HP\" run checklist.yaml --report json=-; echo $? > status; } | head -c 0";
    shell(&env, line);
    assert_eq!(env.read("status").trim(), "3");
}

#[test]
fn a_prometheus_that_does_not_do_its_work_is_an_error_and_no_verdict() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 20\r\n\r\n<html>log in</html>\n";
    let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy";
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"status\":\"succ";
    let null = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\nnull";
    let empty =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{\"status\":\"success\"}";
    let mut servers: Vec<Rogue> = [html, busy, half, null, empty].map(Rogue::answering).into();
    servers.push(Rogue::start(|_, stream| stall(stream)));
    let env = TestEnv::new();
    for server in &servers {
        let yaml = format!(
            "holdpoint: 1\nname: Prometheus\nsources: {{ prometheus: {{ url: '{}' }} }}\nsections:\n  - name: Section\n    steps:\n      \
             - {{ name: Query, promql: up, expect: 1, timeout: 1s }}\n      \
             - {{ name: No data is fine, promql: up, expect: 1, timeout: 1s, on_no_data: pass }}\n      \
             - {{ name: Watches, promql: up, expect: 1, timeout: 1s, consistently: {{ for: 500ms, every: 100ms }} }}\n",
            server.url("")
        );
        env.write("checklist.yaml", &yaml);
        let begun = Instant::now();
        let ran = env.run(&["run", "checklist.yaml", "--report", "json=r.json"]);
        assert_eq!(ran.status, 3, "{}", ran.stdout);
        assert!(begun.elapsed() < Duration::from_secs(10));
        let outcomes = outcomes(&env);
        assert!(outcomes.iter().take(2).all(|(o, r)| o == "error" && !r.is_empty()), "{outcomes:?}");
        assert!(matches!(outcomes[2].0.as_str(), "error" | "inconclusive"), "{outcomes:?}");
    }
}

#[test]
fn a_log_that_vanishes_while_it_is_watched_is_an_error() {
    let env = TestEnv::new();
    env.write("app.log", "all is well\n");
    env.write(
        "checklist.yaml",
        &checklist(&[
            "{ name: No errors, log: app.log, expect: { matches: { 'ERROR': 0 } }, consistently: { for: 1s, every: 100ms } }".to_owned(),
            "{ name: Rotates it away, exec: 'sleep 0.3; rm app.log', expect: 0 }".to_owned(),
        ]),
    );
    let ran = env.run(&["run", "checklist.yaml", "--report", "json=r.json"]);
    assert_eq!(ran.status, 3, "{}", ran.stdout);
    let outcomes = outcomes(&env);
    assert!(
        matches!(outcomes[0].0.as_str(), "error" | "inconclusive") && outcomes[0].1.contains("app.log"),
        "{outcomes:?}"
    );
}

/// Runs and measures the memory of the program at its peak, in KiB.
fn peak(env: &TestEnv, args: &[&str]) -> (i32, u64) {
    let mut child = env.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let mut peak = 0;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("waits") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    assert!(peak > 0, "the memory was measured");
    (status.code().unwrap_or(-1), peak)
}

#[test]
fn bodies_without_end_and_bombs_are_read_in_bounded_memory() {
    let mut gzip = Command::new("gzip").arg("-1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip");
    let mut input = gzip.stdin.take().expect("piped");
    let zeros = std::thread::spawn(move || (0..400).try_for_each(|_| input.write_all(&[b'0'; 1 << 20])));
    let bomb = gzip.wait_with_output().expect("gzip ends").stdout;
    zeros.join().expect("no panic").expect("written");
    assert!(bomb.len() < 8 << 20);
    let server = Rogue::start(move |asked, stream| {
        if asked.path == "/bomb" {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n";
            write(stream, format!("{head}content-length: {}\r\n\r\n", bomb.len()).as_bytes());
            write(stream, &bomb);
        } else {
            write(stream, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n");
            forever(stream, &[b'7'; 1 << 16], Duration::ZERO);
        }
    });
    let env = TestEnv::new();
    let mut steps = Vec::new();
    for path in ["/endless", "/bomb"] {
        let url = server.url(path);
        steps.push(format!("{{ name: Body {path}, http: '{url}', expect: {{ body: {{ contains: 'x' }} }}, timeout: 2s, evidence: full }}"));
        steps.push(format!("{{ name: JSON {path}, http: '{url}', expect: {{ json: {{ $.a: 1 }} }}, timeout: 2s }}"));
        steps.push(format!("{{ name: Size {path}, http: '{url}', expect: {{ size: '> 900MB' }}, timeout: 2s }}"));
        steps.push(format!(
            "{{ name: Log {path}, log: {{ http: '{url}' }}, expect: {{ matches: {{ 'x': '>= 1' }} }}, timeout: 2s }}"
        ));
    }
    steps.push(
        "{ name: Endless command, exec: 'cat /dev/zero', expect: { stdout: { contains: x } }, timeout: 1s }".to_owned(),
    );
    steps.push(
        "{ name: Endless line, log: { exec: [cat, /dev/zero] }, expect: { matches: { x: '>= 1' } }, timeout: 1s }"
            .to_owned(),
    );
    env.write("checklist.yaml", &checklist(&steps));
    let begun = Instant::now();
    let (status, peak) = peak(&env, &["run", "checklist.yaml", "--report", "json=r.json"]);
    assert!(status == 1 || status == 3, "{status}");
    assert!(outcomes(&env).iter().all(|(outcome, _)| outcome != "pass"), "{:?}", outcomes(&env));
    assert!(peak <= 100 * 1024, "{} MiB", peak / 1024);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn two_hundred_steps_against_a_server_that_hangs_end_in_their_time() {
    let server = Rogue::start(|_, stream| stall(stream));
    let env = TestEnv::new();
    let step = |n| format!("{{ name: Step {n}, http: '{}', expect: 200, timeout: 1s }}", server.url(&format!("/{n}")));
    env.write("checklist.yaml", &checklist(&(0..200).map(step).collect::<Vec<_>>()));
    let begun = Instant::now();
    let ran = env.run(&["run", "checklist.yaml", "--jobs", "200", "--per-host", "200", "--report", "json=r.json"]);
    let took = begun.elapsed();
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    // One second for the steps; the rest is for a busy machine.
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert!(outcomes(&env).iter().all(|(outcome, _)| outcome == "fail"));
}
