//! The engine alone: steps that do nothing, and the smallest command.

use std::process::Command;

use sha2::{Digest as _, Sha256};

use super::http::told;
use super::{Scale, checklists};
use crate::measure::{Line, cost, folder, holdpoint, median, mib, ms, times, within};

/// Measures 100,000 steps that do nothing, recorded.
pub(crate) fn no_ops(_scale: Scale) -> Vec<Line> {
    let here = folder();
    checklists::write(&here.path().join("noop.yaml"), 100_000, |_| "wait: 0s".to_owned());
    let ours = median(3, || {
        let mut command = holdpoint(here.path());
        command.args(["run", "noop.yaml"]);
        command
    });
    let mut export = holdpoint(here.path());
    cost(export.args(["export", "last", "--output", "run.record"]));
    let record = std::fs::read(here.path().join("run.record")).expect("a record");
    let limit = within(3, || {
        for line in record.split_inclusive(|b| *b == b'\n') {
            std::hint::black_box(Sha256::digest(line));
        }
        std::fs::write(here.path().join("copy"), &record).expect("a copy");
    });
    let ratio = format!("{} the time", times(ours.wall.as_secs_f64(), limit.as_secs_f64()));
    let peer = format!("digesting and writing the {} MiB of its record {}", record.len() >> 20, ms(limit));
    let ours = format!("{}, {} CPU, {}", ms(ours.wall), ms(ours.cpu), mib(ours.peak_kib));
    vec![Line { work: "100,000 steps that do nothing, recorded".into(), ours, peer, ratio }]
}

/// Measures 2,000 commands, two at a time.
pub(crate) fn commands(_scale: Scale) -> Vec<Line> {
    const STEPS: u32 = 2_000;
    let here = folder();
    checklists::write(&here.path().join("true.yaml"), STEPS as usize, |_| "exec: [/bin/true]\nexpect: 0".to_owned());
    let ours = median(3, || {
        let mut command = holdpoint(here.path());
        command.args(["run", "true.yaml", "--jobs", "2"]);
        command
    });
    let theirs = median(3, || {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("seq {STEPS} | xargs -P2 -n1 /bin/true")]);
        command
    });
    let ratio = format!("{} the rate", times(theirs.wall.as_secs_f64(), ours.wall.as_secs_f64()));
    let peer = format!("xargs -P2 {:.0}/s", f64::from(STEPS) / theirs.wall.as_secs_f64());
    vec![Line { work: "2,000 times `/bin/true`, 2 at a time".into(), ours: told(&ours, STEPS), peer, ratio }]
}
