//! Measuring: wall time, CPU time and peak memory of a command; the median of several runs.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a command cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    /// By the clock on the wall.
    pub wall: Duration,
    /// User and system time.
    pub cpu: Duration,
    /// The most memory resident, in KiB.
    pub peak_kib: u64,
    /// What it printed.
    pub stdout: String,
}

/// A row of the table.
pub(crate) struct Line {
    pub work: String,
    pub ours: String,
    pub peer: String,
    pub ratio: String,
}

/// Runs a command through GNU time where it is there, else by the clock alone.
pub(crate) fn cost(command: &mut Command) -> Cost {
    let begin = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let stat = PathBuf::from(format!("/proc/{}/stat", child.id()));
    let mut pipe = child.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut cost = Cost::default();
    loop {
        if let Some(peak) = field_kib(&status, "VmHWM:") {
            cost.peak_kib = cost.peak_kib.max(peak);
        }
        if let Some(cpu) = cpu_of(&stat) {
            cost.cpu = cost.cpu.max(cpu);
        }
        if child.try_wait().expect("a child").is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(if begin.elapsed() < Duration::from_millis(50) { 1 } else { 5 }));
    }
    cost.wall = begin.elapsed();
    cost.stdout = reader.join().expect("a reader");
    cost
}

/// The run with the median wall time.
pub(crate) fn median(times: usize, mut make: impl FnMut() -> Command) -> Cost {
    let mut costs: Vec<Cost> = (0..times).map(|_| cost(&mut make())).collect();
    costs.sort_by_key(|c| c.wall);
    costs.swap_remove(times / 2)
}

/// The median wall time of something that is very short, without looking at it while it runs.
pub(crate) fn quick(times: usize, mut make: impl FnMut() -> Command) -> Duration {
    let mut walls: Vec<Duration> = (0..times)
        .map(|_| {
            let mut command = make();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let begin = Instant::now();
            let _ = command.status().expect("it runs");
            begin.elapsed()
        })
        .collect();
    walls.sort();
    walls[times / 2]
}

fn field_kib(path: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|l| l.strip_prefix(name))?.trim().trim_end_matches("kB").trim().parse().ok()
}

fn cpu_of(path: &Path) -> Option<Duration> {
    let text = std::fs::read_to_string(path).ok()?;
    let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// The program under test, built for release.
pub(crate) fn holdpoint() -> Command {
    Command::new(env!("CARGO_BIN_EXE_holdpoint"))
}

/// Tells whether a peer is on this machine.
pub(crate) fn present(name: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {name}")]).stdout(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// A folder of its own, removed at the end.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

pub(crate) fn times(ours: f64, peer: f64) -> String {
    format!("{:.2}×", ours / peer)
}
