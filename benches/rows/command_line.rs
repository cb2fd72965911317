//! Start-up, and checking a checklist.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Scale, checklists};
use crate::measure::{Line, folder, holdpoint, ms, present, quick, times};

/// Measures `--version`.
pub(crate) fn start_up(_scale: Scale) -> Vec<Line> {
    let here = folder();
    let ours = quick(41, || with(holdpoint(here.path()), &["--version"]));
    let peers = ["rg", "promtool"].into_iter().filter(|peer| present(peer));
    let line = |peer| {
        let theirs = quick(21, || with(Command::new(peer), &["--version"]));
        Line::of_times("start-up of `--version`", ours, peer, theirs)
    };
    peers.map(line).collect()
}

/// Measures `check`, small and large.
pub(crate) fn check(_scale: Scale) -> Vec<Line> {
    let here = folder();
    let ours = |count: usize, runs: usize| -> Duration {
        let name = format!("{count}.yaml");
        checklists::mixed(&here.path().join(&name), count);
        quick(runs, || with(holdpoint(here.path()), &["check", &name]))
    };
    let (small, thousand, large) = (ours(50, 21), ours(1_000, 7), ours(10_000, 3));
    let mut lines = Vec::new();
    if present("promtool") {
        for (count, ours, runs) in [(50, small, 11), (10_000, large, 3)] {
            let file = here.path().join(format!("{count}.rules.yml"));
            rules(&file, count);
            let theirs = quick(runs, || with(Command::new("promtool"), &["check", "rules", &file.to_string_lossy()]));
            lines.push(Line::of_times(&format!("check of {count} steps"), ours, "promtool check rules", theirs));
        }
    }
    let ratio = format!("{} (10 is linear)", times(large.as_secs_f64(), thousand.as_secs_f64()));
    let peer = format!("1,000 steps {}", ms(thousand));
    lines.push(Line { work: "check of 10,000 steps".into(), ours: ms(large), peer, ratio });
    lines
}

fn with(mut command: Command, args: &[&str]) -> Command {
    command.args(args);
    command
}

fn rules(path: &Path, count: usize) {
    let mut text = String::from("groups:\n- name: all\n  rules:\n");
    for n in 0..count {
        let _ = writeln!(
            text,
            "  - alert: Rule{n}\n    expr: sum(rate(requests_total{{job=\"app\",code=~\"5..\"}}[{}m])) / sum(rate(requests_total[5m])) > 0.{n}",
            n % 50 + 1
        );
    }
    std::fs::write(path, text).expect("rules");
}
