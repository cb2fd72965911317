//! Measuring: wall time, CPU time and peak memory of a command; the median of several runs.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a command cost.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    /// By the clock on the wall.
    pub(crate) wall: Duration,
    /// User and system time, of its children too.
    pub(crate) cpu: Duration,
    /// The most memory resident, in KiB.
    pub(crate) peak_kib: u64,
    /// What it printed.
    pub(crate) stdout: String,
}

/// A row of the table.
pub(crate) struct Line {
    pub(crate) work: String,
    pub(crate) ours: String,
    pub(crate) peer: String,
    pub(crate) ratio: String,
}

impl Line {
    /// Makes a row whose ratio is that of two times: below one is quicker than the peer.
    pub(crate) fn of_times(work: &str, ours: Duration, peer_name: &str, peer: Duration) -> Self {
        let ratio = format!("{} the time", times(ours.as_secs_f64(), peer.as_secs_f64()));
        Self { work: work.to_owned(), ours: ms(ours), peer: format!("{peer_name} {}", ms(peer)), ratio }
    }

    /// Makes a row for a peer that is not on this machine, or where there is none.
    pub(crate) fn alone(work: &str, ours: String, peer: &str) -> Self {
        Self { work: work.to_owned(), ours, peer: peer.to_owned(), ratio: "–".to_owned() }
    }
}

/// Runs a command to its end, which must be a good one.
pub(crate) fn cost(command: &mut Command) -> Cost {
    let before = cpu_of_children();
    let begin = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut pipe = child.stdout.take().expect("a pipe");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch_peak(&status, &ended));
        let mut text = Vec::new();
        pipe.read_to_end(&mut text).expect("what it prints");
        let good = child.wait().expect("a child").success();
        let wall = begin.elapsed();
        ended.store(true, Ordering::Relaxed);
        assert!(good, "{command:?} does not end well");
        Cost {
            wall,
            cpu: cpu_of_children().saturating_sub(before),
            peak_kib: watcher.join().expect("a watcher"),
            stdout: String::from_utf8_lossy(&text).into_owned(),
        }
    })
}

/// Returns the run with the median wall time.
pub(crate) fn median(count: usize, mut make: impl FnMut() -> Command) -> Cost {
    let mut costs: Vec<Cost> = (0..count).map(|_| cost(&mut make())).collect();
    costs.sort_by_key(|c| c.wall);
    costs.swap_remove(count / 2)
}

/// Returns the median wall time of something very short, without looking at it while it runs.
pub(crate) fn quick(count: usize, mut make: impl FnMut() -> Command) -> Duration {
    let mut walls: Vec<Duration> = (0..count)
        .map(|_| {
            let mut command = make();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let begin = Instant::now();
            assert!(command.status().expect("it runs").success(), "{command:?} does not end well");
            begin.elapsed()
        })
        .collect();
    walls.sort();
    walls[count / 2]
}

/// Returns the median wall time of something done in this process.
pub(crate) fn within(count: usize, mut act: impl FnMut()) -> Duration {
    let mut walls: Vec<Duration> = (0..count)
        .map(|_| {
            let begin = Instant::now();
            act();
            begin.elapsed()
        })
        .collect();
    walls.sort();
    walls[count / 2]
}

/// The kernel keeps the peak, so that only what grows in the last two milliseconds is missed.
fn watch_peak(status: &Path, ended: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !ended.load(Ordering::Relaxed) {
        peak = peak.max(field_kib(status, "VmHWM:").unwrap_or_default());
        std::thread::sleep(Duration::from_millis(2));
    }
    peak
}

fn field_kib(path: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|l| l.strip_prefix(name))?.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Returns the CPU time of the children that have ended (proc_pid_stat(5): cutime and cstime, in hundredths).
fn cpu_of_children() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or_default();
    Duration::from_millis((ticks(13) + ticks(14)) * 10)
}

/// Makes a command of the program under test, which runs in a folder.
pub(crate) fn holdpoint(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdpoint"));
    command.current_dir(folder).env("NO_COLOR", "1").env_remove("HOLDPOINT_STORE");
    command
}

/// Tells whether a peer is on this machine.
pub(crate) fn present(name: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).stdout(Stdio::null()).status();
    found.is_ok_and(|s| s.success())
}

/// Makes a folder that is removed at the end.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Writes a time in milliseconds.
pub(crate) fn ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    if ms < 100.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// Writes memory in MiB.
pub(crate) fn mib(kib: u64) -> String {
    format!("{} MiB", kib.div_ceil(1024))
}

/// Writes a ratio.
pub(crate) fn times(ours: f64, peer: f64) -> String {
    format!("{:.2}×", ours / peer)
}
