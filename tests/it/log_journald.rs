//! Logs of the journal: with a stand-in for `journalctl` that answers as a test wants, and with the real one.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use holdpoint::model::Observation;
use tempfile::TempDir;

use crate::support::probing::{Probing, cause, number};

/// A folder with a `journalctl` that runs this script; what it was asked stands in `asked`, one argument a line.
struct StandIn(TempDir);

impl StandIn {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journalctl");
        let text =
            format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >>'{}'\n{script}\n", folder.path().join("asked").display());
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("made a program");
        Self(folder)
    }

    /// A journal with these entries, minutes ago each.
    fn with(entries: &[(i64, &str)]) -> Self {
        Self::new(&format!("cat <<'END'\n{}END", lines(entries)))
    }

    async fn look(&self, wants: &[&str], yaml: &str) -> Observation {
        self.probing().look("log", wants, yaml).await
    }

    fn probing(&self) -> Probing {
        Probing::new().variable("PATH", &format!("{}:/usr/bin:/bin", self.0.path().display()))
    }

    fn asked(&self) -> Vec<String> {
        let asked = std::fs::read_to_string(self.0.path().join("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }
}

fn lines(entries: &[(i64, &str)]) -> String {
    let now = chrono::Utc::now();
    let one = |(minutes, message): &(i64, &str)| {
        let at = (now - chrono::TimeDelta::minutes(*minutes)).timestamp_micros();
        format!("{}\n", serde_json::json!({ "__REALTIME_TIMESTAMP": at.to_string(), "MESSAGE": message }))
    };
    entries.iter().map(one).collect()
}

#[tokio::test]
async fn messages_are_lines_and_their_times_are_the_journals() {
    let journal = StandIn::with(&[(60, "error old"), (2, "error\nof two lines"), (1, "{\"level\":\"warn\"}")]);
    let wants = ["matches[^error]", "matches[.]", "scanned_lines", "rate[.]"];
    let all = journal.look(&wants, "{ journald: app.service }").await;
    assert_eq!(number(&all, "matches[^error]"), 2.0);
    assert_eq!(number(&all, "matches[.]"), 4.0);
    assert_eq!(number(&all, "scanned_lines"), 4.0);
    let rate = number(&all, "rate[.]");
    assert!((rate - 4.0 / (59.0 * 60.0)).abs() < 1e-6, "{rate}");
    let young = journal.look(&["matches[^error]"], "{ journald: app.service, since: 10m }").await;
    assert_eq!(number(&young, "matches[^error]"), 1.0);
    let last = journal.look(&["matches[.]"], "{ journald: app.service, tail: 2 }").await;
    assert_eq!(number(&last, "matches[.]"), 2.0);
    let chosen = journal.look(&["matches[.]"], "{ journald: app.service, where: { level: warn } }").await;
    assert_eq!(number(&chosen, "matches[.]"), 1.0);
}

#[tokio::test]
async fn what_is_wanted_is_asked_for_and_values_are_never_options() {
    let journal = StandIn::with(&[(0, "fine")]);
    let yaml = "{ journald: { unit: '--vacuum-time=1s', identifier: 'a b', priority: err, boot: current }, since: 5m, tail: 7 }";
    let seen = journal.look(&["matches[x]"], yaml).await;
    assert_eq!(number(&seen, "matches[x]"), 0.0);
    let asked = journal.asked();
    for word in
        ["--unit=--vacuum-time=1s", "--identifier=a b", "--priority=err", "--boot", "--lines=7", "--output=json"]
    {
        assert!(asked.iter().any(|arg| arg == word), "{word} in {asked:?}");
    }
    let since: i64 = asked.iter().find_map(|arg| arg.strip_prefix("--since=@")?.parse().ok()).expect("asked since");
    assert!((chrono::Utc::now().timestamp() - 300 - since).abs() < 60, "{since}");
    assert_eq!(asked.iter().filter(|arg| *arg == "--vacuum-time=1s").count(), 0);
    assert!(seen.request.starts_with("journalctl ") && seen.request.contains("--unit="), "{}", seen.request);
}

#[tokio::test]
async fn a_unit_without_entries_is_an_error_and_one_without_young_ones_is_an_empty_log() {
    let nothing = StandIn::new("");
    for yaml in ["{ journald: ap.service }", "{ journald: ap.service, since: 10m }"] {
        let seen = nothing.look(&["matches[error]"], yaml).await;
        assert!(cause(&seen).contains("no entry at all in the journal of ap.service"), "{seen:?}");
    }
    let old =
        StandIn::new(&format!("case \"$*\" in *--since=*) exit 0;; esac\ncat <<'END'\n{}END", lines(&[(99, "error")])));
    let seen = old.look(&["matches[error]"], "{ journald: app.service, since: 10m }").await;
    assert_eq!(number(&seen, "matches[error]"), 0.0);
}

#[tokio::test]
async fn what_journalctl_cannot_show_is_an_error() {
    let entry = lines(&[(0, "fine")]);
    let say = |script: &str| StandIn::new(&format!("cat <<'END'\n{entry}END\n{script}"));
    for (script, word) in [
        ("echo 'Hint: You are currently not seeing messages from other users.' >&2", "not seeing messages"),
        ("echo 'Failed to add filter for units: Bad message' >&2; exit 1", "Failed to add filter"),
        ("exit 3", "exit code 3"),
        ("kill -9 $$", "SIGKILL"),
        ("echo '-- No entries --'", "no entry of a journal"),
        ("printf '{\"__REALTIME'", "breaks off"),
    ] {
        let journal = say(script);
        let seen = journal.look(&["matches[error]"], "{ journald: app.service, since: 1h }").await;
        assert!(cause(&seen).contains(word), "{script}: {seen:?}");
    }
    let empty = tempfile::tempdir().expect("a folder");
    let nowhere = Probing::new().variable("PATH", &empty.path().display().to_string());
    let seen = nowhere.look("log", &["matches[error]"], "{ journald: app.service }").await;
    assert!(cause(&seen).contains("command not found: journalctl"), "{seen:?}");
}

#[tokio::test]
async fn a_journal_that_hangs_is_an_error_in_time() {
    let journal = StandIn::new("sleep 60");
    let probing = journal.probing().timeout(Duration::from_millis(500));
    let seen = probing.look("log", &["matches[error]"], "{ journald: app.service }").await;
    assert!(cause(&seen).contains("did not end in time"), "{seen:?}");
}

#[tokio::test]
async fn only_so_much_is_read_as_is_asked_for() {
    let many = StandIn::new(&format!(
        "cd \"$(dirname \"$0\")\"\ncat <<'END' >entries\n{}END\nwhile cat entries; do :; done",
        lines(&[(0, "error"); 50])
    ));
    let yaml = "{ journald: app.service, max_bytes: 100KB }";
    let seen = many.look(&["matches[error]"], yaml).await;
    assert!(number(&seen, "matches[error]") > 1000.0, "{seen:?}");
    assert!(seen.notes.iter().any(|note| note.text.contains("only the first")), "{seen:?}");
}

/// Writes a real journal of these entries: unit, minutes ago, priority, message.
fn journal(folder: &Path, entries: &[(&str, i64, u8, &str)]) {
    let mut export = Vec::new();
    for (n, (unit, minutes, priority, message)) in entries.iter().enumerate() {
        let at = (chrono::Utc::now() - chrono::TimeDelta::minutes(*minutes)).timestamp_micros();
        let head = format!(
            "__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n\
             _SYSTEMD_UNIT={unit}\nSYSLOG_IDENTIFIER=app\nPRIORITY={priority}\n_PID=1\nMESSAGE\n",
            n + 1
        );
        export.extend(head.as_bytes());
        export.extend((message.len() as u64).to_le_bytes());
        export.extend(message.as_bytes());
        export.extend(b"\n\n");
    }
    let mut writer = Command::new("/lib/systemd/systemd-journal-remote")
        .arg(format!("--output={}", folder.join("app.journal").display()))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("systemd-journal-remote is installed");
    writer.stdin.take().expect("an input").write_all(&export).expect("written");
    assert!(writer.wait().expect("it ends").success());
}

#[tokio::test]
async fn a_real_journal_is_read_with_the_real_journalctl() {
    let folder = tempfile::tempdir().expect("a folder");
    let look = async |wants: &[&str], more: &str| {
        let yaml = format!("{{ journald: {{ directory: {}, {more} }}", folder.path().display());
        Probing::new().look("log", wants, &yaml).await
    };
    let nothing = look(&["matches[x]"], "unit: app.service }, since: 1h").await;
    assert!(cause(&nothing).contains("no entry at all in the journal of app.service"), "{nothing:?}");
    journal(
        folder.path(),
        &[
            ("app.service", 90, 3, "error old"),
            ("app.service", 5, 6, "two\nerror lines"),
            ("app.service", 4, 3, "error \u{1} grave"),
            ("other.service", 3, 3, "error of another"),
        ],
    );
    let error = &["matches[^error]", "scanned_lines"];
    let all = look(error, "unit: app.service }").await;
    assert_eq!((number(&all, error[0]), number(&all, error[1])), (3.0, 4.0));
    let young = look(error, "unit: app.service }, since: 10m").await;
    assert_eq!(number(&young, error[0]), 2.0);
    let grave = look(error, "unit: app, identifier: app, priority: err }, since: 10m").await;
    assert_eq!((number(&grave, error[0]), number(&grave, error[1])), (1.0, 1.0));
    let last = look(error, "unit: app.service }, tail: 1").await;
    assert_eq!(number(&last, error[1]), 1.0);
    let quiet = look(error, "unit: app.service }, since: 1m").await;
    assert_eq!(number(&quiet, error[0]), 0.0);
    let misspelled = look(error, "unit: ap.service }, since: 1m").await;
    assert!(cause(&misspelled).contains("no entry at all"), "{misspelled:?}");
}

#[test]
fn a_journal_without_a_unit_is_a_mistake_and_reading_it_runs_no_command_of_the_checklist() {
    let said =
        Probing::new().compile("log", &["matches[x]"], "{ journald: { priority: err } }").err().unwrap_or_default();
    assert!(said.iter().any(|line| line.starts_with("missing-key")), "{said:?}");
    let said = Probing::new().compile("log", &["matches[x]"], "{ journald: a, path: b }").err().unwrap_or_default();
    assert!(said.iter().any(|line| line.contains("path, exec, http") && line.contains("journald")), "{said:?}");
    let probe = Probing::new().compile("log", &["matches[x]"], "{ journald: app.service }").expect("compiles");
    assert!(!probe.runs_commands());
    assert_eq!(probe.describe(), "look through the journal of app.service");
}
