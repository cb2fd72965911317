//! Scanning a large log.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Scale, checklists};
use crate::measure::{Cost, Line, cost, folder, holdpoint, median, mib, present, times};

/// The size of the block of lines that is written again and again.
const BLOCK: usize = 8 << 20;

/// Measures one literal, an alternation without case, and twenty patterns.
pub(crate) fn scan(scale: Scale) -> Vec<Line> {
    let here = folder();
    let size = large_log(&here.path().join("app.log"), if scale == Scale::Full { 128 } else { 64 });
    let many: Vec<String> = (0..20).map(|n| format!("code=7{n:02}|worker-{n} (stuck|lost)")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let kinds: [(&str, &[&str]); 3] = [
        ("one literal", &["connection reset by peer"]),
        ("an alternation without case", &["(?i)panic|fatal|out of memory"]),
        ("20 patterns, a count for each", &many),
    ];
    kinds.iter().map(|(what, patterns)| line(here.path(), "app.log", what, patterns, size)).collect()
}

/// Measures a compressed log.
pub(crate) fn gzip(_scale: Scale) -> Vec<Line> {
    let here = folder();
    let size = large_log(&here.path().join("app.log"), 64);
    let mut squeeze = Command::new("gzip");
    cost(squeeze.args(["-6", "app.log"]).current_dir(here.path()));
    let ours = ours(here.path(), "app.log.gz", &["connection reset by peer"]);
    let theirs = median(3, || {
        let mut command = Command::new("sh");
        command.args(["-c", "gzip -dc app.log.gz > /dev/null"]).current_dir(here.path());
        command
    });
    let ratio = format!("{} the rate", times(theirs.wall.as_secs_f64(), ours.wall.as_secs_f64()));
    let peer = format!("gzip -dc {}", rate(size, theirs.wall));
    vec![Line { work: "one literal in a .gz, bytes as they are inside".into(), ours: told(&ours, size), peer, ratio }]
}

fn line(here: &Path, file: &str, what: &str, patterns: &[&str], size: u64) -> Line {
    let ours = ours(here, file, patterns);
    let mib = size >> 20;
    let work = format!("{mib} MiB log: {what}");
    let wc = median(3, || in_folder(here, "wc", &["-l", file]));
    let wc = format!("wc -l {}", rate(size, wc.wall));
    if !present("rg") {
        return Line::alone(&work, told(&ours, size), &wc);
    }
    let theirs = median(3, || {
        let mut command = in_folder(here, "rg", &["--no-config", "-c"]);
        patterns.iter().for_each(|p| {
            command.args(["-e", p]);
        });
        command.arg(file);
        command
    });
    let ratio = format!("{} the rate of rg", times(theirs.wall.as_secs_f64(), ours.wall.as_secs_f64()));
    let peer = format!("rg -c {}, lines alone; {wc}", rate(size, theirs.wall));
    Line { work, ours: told(&ours, size), peer, ratio }
}

fn ours(here: &Path, file: &str, patterns: &[&str]) -> Cost {
    checklists::write(&here.join("scan.yaml"), 1, |_| {
        let matches = patterns.iter().fold(String::new(), |mut all, pattern| {
            let _ = writeln!(all, "    '{pattern}': '>= 1'");
            all
        });
        format!("log: {file}\ntimeout: 10m\nexpect:\n  matches:\n{matches}")
    });
    median(3, || {
        let mut command = holdpoint(here);
        command.args(["run", "scan.yaml"]);
        command
    })
}

fn in_folder(here: &Path, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(here);
    command
}

fn told(cost: &Cost, size: u64) -> String {
    format!("{}, {}", rate(size, cost.wall), mib(cost.peak_kib))
}

fn rate(size: u64, wall: Duration) -> String {
    format!("{:.2} GB/s", size as f64 / wall.as_secs_f64() / 1e9)
}

/// Writes a log as services write them: mostly dull, here and there a line that is looked for.
fn large_log(path: &Path, blocks: usize) -> u64 {
    let mut block = String::with_capacity(BLOCK + 200);
    let mut n = 0_u64;
    while block.len() < BLOCK {
        // A linear congruential generator (Knuth, MMIX): the same log each time.
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (ms, id, what) = ((n >> 33) % 900, n >> 40, (n >> 50) % 5000);
        let _ = match what {
            0 => writeln!(block, "2026-03-01T10:00:00Z ERROR upstream connection reset by peer id={id:08x}"),
            1 => writeln!(block, "2026-03-01T10:00:00Z FATAL Out of Memory in worker id={id:08x}"),
            2 => writeln!(block, "2026-03-01T10:00:00Z WARN worker-{} stuck code=7{:02}", id % 20, ms % 20),
            _ => writeln!(
                block,
                "2026-03-01T10:00:00Z INFO request served path=/api/v1/items/{id} status=200 took={ms}ms id={id:08x}"
            ),
        };
    }
    // Each pattern finds something, so that the run is a go.
    for worker in 0..20 {
        let _ = writeln!(block, "2026-03-01T10:00:00Z WARN worker-{worker} lost code=7{worker:02}");
    }
    let mut file = std::fs::File::create(path).expect("a log");
    for _ in 0..blocks {
        file.write_all(block.as_bytes()).expect("a log");
    }
    (block.len() * blocks) as u64
}
