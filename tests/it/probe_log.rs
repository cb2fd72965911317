//! The probe `log` against nasty files, commands and a real nginx; counts are compared with those of grep.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdpoint::model::{Found, Observation, Value};
use serde_json::json;
use tempfile::TempDir;

use crate::support::nginx::Nginx;
use crate::support::probing::{Probing, get, number};

/// Returns why nobody could look.
fn cause(observation: &Observation) -> &str {
    match &observation.found {
        Found::CouldNotLook { cause, .. } => cause,
        other => panic!("{}: {other:?}", observation.request),
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn write(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("written");
    path
}

/// Writes the value of the step as YAML; JSON is YAML.
async fn look(wants: &[&str], value: serde_json::Value) -> Observation {
    Probing::new().look("log", wants, &value.to_string()).await
}

async fn matches(path: &Path, pattern: &str) -> f64 {
    let name = format!("matches[{pattern}]");
    number(&look(&[&name], json!(path)).await, &name)
}

fn grep(pattern: &str, path: &Path) -> f64 {
    let mut command = Command::new("grep");
    command.env("LC_ALL", "C").args(["-a", "-c", "-P", "--", pattern]).arg(path);
    let output = command.output().expect("grep is installed");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a count")
}

#[tokio::test]
async fn counts_are_those_of_grep() {
    let folder = folder();
    let files: [(&str, Vec<u8>); 9] = [
        ("plain", b"an error\nfine\nerror error\n".to_vec()),
        ("no-newline", b"error\nx\nlast error".to_vec()),
        ("crlf", b"error\r\nfine\r\n\r\nerror end\r\n".to_vec()),
        ("nul", b"a\0error\0b\nfine\0\n\0\nerror\0".to_vec()),
        ("invalid", b"x\xff\xfeerr\xffor\n\xc3\x28 error\n\x80\x81\n".to_vec()),
        ("empty-lines", b"\n\n\nerror\n\n".to_vec()),
        ("empty", b"".to_vec()),
        ("long", [vec![b'x'; 3 << 20], b" error ".to_vec(), vec![b'y'; 700_000], b"\nerror\n".to_vec()].concat()),
        (
            "many",
            (0..20_000)
                .map(|i| format!("line {i} {}\n", if i % 7 == 0 { "ERROR" } else { "ok" }))
                .collect::<String>()
                .into(),
        ),
    ];
    for (name, content) in &files {
        let path = write(&folder, name, content);
        for pattern in ["error", "(?i)error", "error$", "^error", "^$", "err.or", r"\bline \d*7 ", ".", "x*"] {
            assert_eq!(matches(&path, pattern).await, grep(pattern, &path), "{pattern} in {name}");
        }
    }
}

#[tokio::test]
async fn one_pass_counts_every_pattern() {
    let folder = folder();
    let text: String = (0..50_000).map(|i| format!("request {i} status {}\n", 200 + i % 400)).collect();
    let path = write(&folder, "access.log", text.as_bytes());
    let patterns: Vec<String> = (0..20).map(|i| format!("status {}$", 500 + i)).collect();
    let names: Vec<String> = patterns.iter().map(|p| format!("matches[{p}]")).collect();
    let wants: Vec<&str> = names.iter().map(String::as_str).chain(["scanned_lines", "scanned_bytes"]).collect();
    let seen = look(&wants, json!(path)).await;
    for (pattern, name) in patterns.iter().zip(&names) {
        assert_eq!(number(&seen, name), grep(pattern, &path), "{pattern}");
    }
    assert_eq!(number(&seen, "scanned_lines"), 50_000.0);
    assert_eq!(number(&seen, "scanned_bytes"), text.len() as f64);
    assert_eq!(seen.evidence[0].text.lines().count(), 10);
}

#[tokio::test]
async fn expected_noise_does_not_count_and_lines_and_captures_are_kept() {
    let folder = folder();
    let path = write(&folder, "a.log", b"error id=1\nerror: context canceled id=2\nerror id=3\nerror id=3\n");
    let wants = [r"matches[error]", "lines[error]", r"captures[id=(\d+)]"];
    let seen = Probing::new().ignoring(&["context canceled"]).look("log", &wants, &json!(path).to_string()).await;
    assert_eq!(number(&seen, "matches[error]"), 3.0);
    let set = |words: &[&str]| Value::Set(words.iter().map(|w| (*w).to_owned()).collect());
    assert_eq!(get(&seen, "lines[error]"), &set(&["error id=1", "error id=3", "error id=3"]));
    assert_eq!(get(&seen, r"captures[id=(\d+)]"), &set(&["1", "3"]));
}

#[tokio::test]
async fn packed_and_utf16_files_are_read_as_what_they_hold() {
    let folder = folder();
    let text = "fine\nan error\n".repeat(100_000);
    let plain = write(&folder, "a.log", text.as_bytes());
    for (program, ending) in [("gzip", "gz"), ("zstd", "zst")] {
        let output = Command::new(program).args(["-q", "-c"]).arg(&plain).output().expect("installed");
        let mut twice = output.stdout.clone();
        twice.extend(&output.stdout);
        assert_eq!(matches(&write(&folder, &format!("a.{ending}"), &twice), "error$").await, 200_000.0, "{program}");
        twice.truncate(twice.len() - 20);
        let cut = look(&["matches[error]"], json!(write(&folder, "cut", &twice))).await;
        assert!(cause(&cut).contains("cut"), "{cut:?}");
    }
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(matches(&write(&folder, "wide", &wide), "^an error$").await, 100_000.0);
}

#[tokio::test]
async fn what_cannot_be_read_is_never_a_count() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(at("empty")).expect("a folder");
    assert!(Command::new("mkfifo").arg(at("fifo")).status().expect("mkfifo").success());
    for (path, word) in [
        (at("nope.log"), "there is no file"),
        (at("*.log"), "no file matches"),
        (at("empty"), "holds no file"),
        (at("fifo"), "a FIFO"),
        ("/dev/zero".into(), "a device"),
    ] {
        let seen = look(&["matches[x]"], json!(path)).await;
        assert!(cause(&seen).contains(word), "{path}: {seen:?}");
    }
    let limited = look(&["matches[x]"], json!({ "path": "/dev/zero", "max_bytes": "20MiB" })).await;
    assert_eq!(number(&limited, "scanned_bytes"), 20_971_520.0);
    let empty = look(&["matches[x]"], json!(write(&folder, "really-empty", b""))).await;
    assert_eq!(number(&empty, "matches[x]"), 0.0);
}

#[tokio::test]
async fn folders_globs_and_lists_are_read_whole() {
    let folder = folder();
    write(&folder, "a.log", b"error\n");
    write(&folder, "b.log", b"error\nerror");
    write(&folder, "c.txt", b"error\n");
    let count = async |value| number(&look(&["matches[error]"], value).await, "matches[error]");
    assert_eq!(count(json!(folder.path())).await, 4.0);
    assert_eq!(count(json!(folder.path().join("*.log"))).await, 3.0);
    let list = [folder.path().join("a.log"), folder.path().join("c.txt")];
    assert_eq!(count(json!({ "path": list })).await, 2.0);
}

#[tokio::test]
async fn only_young_lines_count_and_no_time_is_no_data() {
    let folder = folder();
    let now = chrono::Utc::now();
    let line =
        |minutes: i64, text: &str| format!("{} {text}\n", (now - chrono::TimeDelta::minutes(minutes)).to_rfc3339());
    let text = format!("{}{}  error in trace\n{}", line(60, "error old"), line(1, "error new"), line(0, "fine"));
    let path = write(&folder, "a.log", text.as_bytes());
    let since =
        async |path: &Path, since: &str| look(&["matches[error]"], json!({ "path": path, "since": since })).await;
    assert_eq!(number(&since(&path, "10m").await, "matches[error]"), 2.0);
    assert_eq!(number(&since(&path, "2h").await, "matches[error]"), 3.0);
    let nothing = since(&path, "1ms").await;
    assert_eq!(number(&nothing, "matches[error]"), 0.0);
    assert!(nothing.notes.iter().any(|n| n.text.contains("none of 4 lines")), "{nothing:?}");
    let undated = since(&write(&folder, "b.log", b"error\nx\n"), "10m").await;
    assert!(matches!(get(&undated, "matches[error]"), Value::NoData(_)), "{undated:?}");
    let both = json!({ "path": [path, folder.path().join("b.log")], "since": "10m" });
    let both = look(&["matches[error]"], both).await;
    assert!(
        matches!(get(&both, "matches[error]"), Value::NoData(why) if why.contains("b.log: no line has a time")),
        "{both:?}"
    );
}

#[tokio::test]
async fn fields_of_a_log_without_json_are_no_data() {
    let folder = folder();
    let path = write(&folder, "a.log", b"level=error oh\nlevel=error no\n");
    let seen = look(&["matches[.]"], json!({ "path": path, "where": { "level": "error" } })).await;
    assert!(matches!(get(&seen, "matches[.]"), Value::NoData(why) if why.contains("no line is JSON")), "{seen:?}");
    let empty = write(&folder, "b.log", b"");
    let seen = look(&["matches[.]"], json!({ "path": empty, "where": { "level": "error" } })).await;
    assert_eq!(number(&seen, "matches[.]"), 0.0);
}

#[tokio::test]
async fn lines_and_captures_are_whole_or_no_data() {
    let folder = folder();
    let lines = |count: usize| (0..count).map(|n| format!("id={n} {} end\n", "x".repeat(500))).collect::<String>();
    let wants = ["lines[id]", r"captures[id=(\d+)]"];
    let few = look(&wants, json!(write(&folder, "a.log", lines(900).as_bytes()))).await;
    assert!(matches!(get(&few, wants[0]), Value::Set(l) if l.len() == 900 && l[899].ends_with("x end")));
    assert!(matches!(get(&few, wants[1]), Value::Set(l) if l.len() == 900 && l[899] == "899"));
    let many = look(&wants, json!(write(&folder, "b.log", lines(1100).as_bytes()))).await;
    for name in wants {
        assert!(matches!(get(&many, name), Value::NoData(why) if why.contains("than the first 1000 ")), "{name}");
    }
    let long = write(&folder, "c.log", format!("id=1 {}\n", "x".repeat(2 << 20)).as_bytes());
    assert!(matches!(get(&look(&wants, json!(long)).await, wants[0]), Value::NoData(_)));
}

#[tokio::test]
async fn last_lines_beyond_the_bound_are_no_data() {
    let folder = folder();
    let text = format!("error\n{}\nfine\n", "x".repeat(9 << 20));
    let path = write(&folder, "a.log", text.as_bytes());
    let seen = look(&["matches[error]"], json!({ "path": path, "tail": 3 })).await;
    assert!(matches!(get(&seen, "matches[error]"), Value::NoData(why) if why.contains("the last 3 lines")), "{seen:?}");
    let seen = look(&["matches[error]"], json!({ "path": path, "tail": 1 })).await;
    assert_eq!(number(&seen, "matches[error]"), 0.0);
}

#[tokio::test]
async fn json_lines_are_chosen_by_their_fields_and_rated_by_their_times() {
    let folder = folder();
    let lines = concat!(
        r#"{"ts":1795199830,"level":"error","http":{"status":503}}"#,
        "\n",
        r#"{"ts":1795199835,"level":"error","http":{"status":404}}"#,
        "\n",
        r#"{"ts":1795199840,"level":"info"}"#,
        "\n",
        "not json\n",
    );
    let path = write(&folder, "a.json", lines.as_bytes());
    let asked = json!({ "path": path, "where": { "level": "error", "$.http.status": { "matches": "^5" } } });
    let seen = look(&["matches[.]", "valid_json"], asked).await;
    assert_eq!(number(&seen, "matches[.]"), 1.0);
    assert_eq!(number(&seen, "valid_json"), 0.75);
    let rated = look(&["rate[error]"], json!({ "path": path })).await;
    assert_eq!(number(&rated, "rate[error]"), 0.2);
}

#[tokio::test]
async fn the_last_lines_are_those_of_tail() {
    let folder = folder();
    let text: String = (0..300_000).map(|i| format!("line {i} is a line of some length, with words in it\n")).collect();
    let path = write(&folder, "a.log", text.as_bytes());
    let seen = look(&["matches[line]", "lines[line]"], json!({ "path": path, "tail": 3 })).await;
    assert_eq!(number(&seen, "matches[line]"), 3.0);
    assert!(matches!(get(&seen, "lines[line]"), Value::Set(l) if l[0].starts_with("line 299997 ")), "{seen:?}");
}

#[tokio::test]
async fn commands_are_read_and_their_failure_is_an_error() {
    let count = async |value| look(&["matches[b]"], value).await;
    assert_eq!(number(&count(json!({ "exec": "printf 'a\\nb\\nb\\n'" })).await, "matches[b]"), 2.0);
    assert_eq!(number(&count(json!({ "exec": ["printf", "a b\\nb"] })).await, "matches[b]"), 2.0);
    let failed = count(json!({ "exec": "echo b; echo 'no such pod' >&2; exit 3" })).await;
    assert!(cause(&failed).contains("no such pod"), "{failed:?}");
    assert!(cause(&count(json!({ "exec": ["/nonexistent/program"] })).await).contains("command not found"));
    let endless = Probing::new().timeout(Duration::from_millis(400));
    let endless = endless.look("log", &["matches[b]"], r#"{ exec: "yes & sleep 100" }"#).await;
    assert!(cause(&endless).contains("time"), "{endless:?}");
}

#[tokio::test]
async fn urls_are_read_and_their_failure_is_an_error() {
    let nginx = Nginx::start("location = /log { return 200 \"an error\\nfine\\n\"; }").expect("nginx is installed");
    let seen = look(&["matches[error]"], json!({ "http": format!("{}/log", nginx.url) })).await;
    assert_eq!(number(&seen, "matches[error]"), 1.0);
    let gone = look(&["matches[error]"], json!({ "http": format!("{}/gone", nginx.url) })).await;
    assert!(cause(&gone).contains("404"), "{gone:?}");
    let secret = nginx.url.replace("http://", "http://me:s3cret@");
    let gone = look(&["matches[error]"], json!({ "http": format!("{secret}/gone") })).await;
    assert!(!format!("{gone:?}").contains("s3cret") && cause(&gone).contains("/gone answered 404"), "{gone:?}");
}

#[test]
fn a_file_that_changes_under_the_scan_is_read_whole_or_the_loss_is_said() {
    let folder = folder();
    let path = folder.path().join("busy.log");
    let block: String = (0..100_000).map(|i| format!("numbered line {i}\n")).collect();
    std::fs::write(&path, &block).expect("written");
    let done = AtomicBool::new(false);
    let value = json!(path).to_string();
    std::thread::scope(|scope| {
        let _end = EndWith(&done);
        scope.spawn(|| {
            for round in 0.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                match round % 3 {
                    0 => {
                        let rotated = path.with_extension("1");
                        std::fs::rename(&path, rotated).expect("renamed");
                        std::fs::write(path.with_extension("new"), &block).expect("written");
                        std::fs::rename(path.with_extension("new"), &path).expect("renamed");
                    }
                    1 => {
                        let file = std::fs::OpenOptions::new().append(true).open(&path);
                        file.and_then(|mut f| f.write_all(block.as_bytes())).expect("written");
                    }
                    _ => {
                        let file = std::fs::OpenOptions::new().write(true).open(&path);
                        file.and_then(|f| f.set_len(block.len() as u64 / 2)).expect("cut");
                    }
                }
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        for _ in 0..30 {
            let seen = runtime.block_on(Probing::new().look("log", &["matches[numbered]"], &value));
            match &seen.found {
                Found::Measures(_) => assert!(number(&seen, "matches[numbered]") >= 50_000.0, "{seen:?}"),
                Found::CouldNotLook { cause, .. } => {
                    assert!(cause.contains("was cut") || cause.contains("there is no file"), "{cause}");
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

/// Says that it is over, also when an assertion fails: otherwise the other thread would go on for ever.
struct EndWith<'a>(&'a AtomicBool);

impl Drop for EndWith<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn mistakes_are_said_with_their_codes() {
    for (yaml, wants, code) in [
        ("{ path: a.log, tail: 0 }", "matches[x]", "bad-value"),
        ("{ path: a.log, exec: ls }", "matches[x]", "bad-value"),
        ("{ tail: 5 }", "matches[x]", "missing-key"),
        ("a.log", "matches[a(]", "bad-regex"),
        ("'a[.log'", "matches[x]", "bad-glob"),
        ("{ path: a.log, since: soon }", "matches[x]", "bad-duration"),
        ("{ path: a.log, max_bytes: much }", "matches[x]", "bad-quantity"),
        ("{ path: a.log, where: { '$.[': 1 } }", "matches[x]", "bad-jsonpath"),
        ("{ path: a.log, timestamp: '%Q' }", "matches[x]", "bad-value"),
        ("{ pth: a.log }", "matches[x]", "unknown-key"),
    ] {
        let said = Probing::new().compile("log", &[wants], yaml).err().unwrap_or_default();
        assert!(said.iter().any(|line| line.starts_with(code)), "{yaml}: {said:?}");
    }
}
