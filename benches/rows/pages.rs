//! Pages of metrics: how fast they are read, and what keeping them takes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdpoint::promql::exposition::{Entry, Format, Reader};
use holdpoint::promql::storage::{Feed, Honor, Memory, Shape, Times};

use super::Scale;
use crate::measure::{Line, times};

const SERIES: usize = 100_000;

/// Reads a page of 100,000 series, against a bare loop that finds the lines and reads the numbers at their ends.
pub(crate) fn read(_scale: Scale) -> Vec<Line> {
    let page = Page::new().text();
    let ours = rate(&page, |page| {
        let samples = Reader::new(page.as_bytes(), Format::Text).filter(|e| matches!(e, Ok(Entry::Sample(_))));
        samples.count()
    });
    let floor = rate(&page, |page| {
        let number = |line: &&str| line.rsplit(' ').next().is_some_and(|n| n.parse::<f64>().is_ok());
        page.lines().filter(number).count()
    });
    vec![Line {
        work: format!("read a page of {SERIES} series, {:.0} MB", page.len() as f64 / 1e6),
        ours: format!("{ours:.0} MB/s"),
        peer: format!("lines and numbers alone {floor:.0} MB/s"),
        ratio: format!("{} the rate", times(ours, floor)),
    }]
}

/// Keeps 100,000 series for 15 minutes at 5 s, against the bare size of the samples.
pub(crate) fn keep(_scale: Scale) -> Vec<Line> {
    const SCRAPES: i64 = 180;
    let before = resident();
    let keep = Some(Duration::from_secs(900));
    let memory = Arc::new(Memory::new(Shape { keep, max_series: 2 * SERIES }));
    let target = [("job", "bench"), ("instance", "127.0.0.1:9100")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    let mut feed = Feed::new(Arc::clone(&memory), target.into(), Honor::Target);
    let mut pages = Page::new();
    let mut spent = Duration::ZERO;
    for scrape in 0..SCRAPES {
        let page = pages.text();
        let at = 1_700_000_000_000 + scrape * 5000 + scrape % 4;
        let begun = Instant::now();
        feed.take(page.as_bytes(), Format::Text, Times::Scraped(at)).expect("a page");
        spent += begun.elapsed();
        memory.forget(at);
    }
    let used = resident().saturating_sub(before) as f64;
    let bare = SERIES as f64 * SCRAPES as f64 * 16.0;
    vec![Line {
        work: format!("keep {SERIES} series for 15m at 5s, labels and page included"),
        ours: format!("{:.0} MB, {:.0} ms a page", used / 1e6, spent.as_secs_f64() * 1000.0 / SCRAPES as f64),
        peer: format!("times and values alone {:.0} MB", bare / 1e6),
        ratio: format!("{} the size", times(used, bare)),
    }]
}

/// Returns how many MB a second a reader gets through, at its best.
fn rate(page: &str, read: impl Fn(&str) -> usize) -> f64 {
    let once = || {
        let begun = Instant::now();
        assert_eq!(read(page), SERIES);
        page.len() as f64 / 1e6 / begun.elapsed().as_secs_f64()
    };
    (0..7).map(|_| once()).fold(0.0, f64::max)
}

/// Returns the memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// Pages with counters, gauges and constants, that move from one to the next.
struct Page {
    values: Vec<f64>,
    random: u64,
}

impl Page {
    fn new() -> Self {
        Self { values: vec![0.0; SERIES], random: 88_172_645_463_325_252 }
    }

    fn text(&mut self) -> String {
        const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
        let mut page = String::with_capacity(SERIES * 140);
        for n in 0..SERIES {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            match n % 4 {
                0 => self.values[n] = (self.random % 100_000) as f64 / 1000.0,
                1 => self.values[n] += (self.random % 1000) as f64 / 997.0,
                2 => self.values[n] += (self.random % 50) as f64,
                _ => {}
            }
            let (path, bound, value) = (n / BOUNDS.len(), BOUNDS[n % BOUNDS.len()], self.values[n]);
            let _ = writeln!(
                page,
                "http_request_duration_seconds_bucket{{method=\"GET\",path=\"/api/items/{path}\",zone=\"a\",le=\"{bound}\"}} {value}"
            );
        }
        page
    }
}
