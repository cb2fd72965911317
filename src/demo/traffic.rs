//! The made-up traffic of the sample service: what was asked, how long it took, what the log says of it.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::json;

use super::flaws::Flaws;

/// The variants of the service, and how many requests each handles in a beat.
pub(super) const VARIANTS: [(&str, u32); 2] = [("production", 8), ("test", 2)];

/// The upper bounds of the histogram's buckets, in seconds.
pub(super) const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// How long a sync takes to become due again.
const SYNC_EVERY: TimeDelta = TimeDelta::seconds(10);

/// Everything that changes while the service runs.
pub(super) struct Traffic {
    flaws: Flaws,
    pub(super) started: DateTime<Utc>,
    pub(super) last_sync: DateTime<Utc>,
    /// How many requests there were, by method, status and variant.
    pub(super) requests: BTreeMap<(String, u16, &'static str), u64>,
    /// How long they took, by variant in the order of [`VARIANTS`].
    pub(super) durations: [Histogram; 2],
    pub(super) memory: f64,
    pub(super) queue: u64,
    beats: u64,
    random: u64,
    lines: Lines,
}

/// Durations of requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    /// How many took at most so long, by bucket; not summed up.
    pub(super) counts: [u64; BUCKETS.len()],
    pub(super) count: u64,
    pub(super) sum: f64,
}

/// Lines that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) log: String,
    pub(super) events: String,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        if let Some(at) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.counts[at] += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }
}

impl Traffic {
    /// Starts with every series at zero: one that appears with its first error cannot be told from one that is missing.
    pub(super) fn new(flaws: Flaws, now: DateTime<Utc>) -> Self {
        let mut requests = BTreeMap::new();
        for (variant, _) in VARIANTS {
            for (method, status) in [("GET", 200), ("GET", 404), ("GET", 500), ("POST", 201), ("POST", 500)] {
                requests.insert((method.to_owned(), status, variant), 0);
            }
        }
        let started = now - TimeDelta::minutes(2);
        let mut traffic = Self {
            flaws,
            started,
            last_sync: if flaws.stale_sync { started - TimeDelta::hours(1) } else { started },
            requests,
            durations: Default::default(),
            memory: 48.0 * 1024.0 * 1024.0,
            queue: 0,
            beats: 0,
            random: 0x9E37_79B9_7F4A_7C15,
            lines: Lines::default(),
        };
        traffic.say(started, "INFO", &format!("orders {} started, listening", traffic.version()));
        traffic.say(started, "INFO", "configuration loaded from /etc/orders/config.yaml");
        traffic.symptoms(started);
        traffic
    }

    pub(super) fn flaws(&self) -> Flaws {
        self.flaws
    }

    /// Breaks or mends the service; what can be seen in the log is there at once.
    pub(super) fn set_flaws(&mut self, flaws: Flaws, now: DateTime<Utc>) {
        self.flaws = flaws;
        self.symptoms(now);
    }

    pub(super) fn version(&self) -> &'static str {
        if self.flaws.stale_version { "1.4.1" } else { "1.4.2" }
    }

    /// Takes the lines that were said since the last time.
    pub(super) fn take_lines(&mut self) -> Lines {
        std::mem::take(&mut self.lines)
    }

    /// Counts a request that came over the network.
    pub(super) fn count(&mut self, method: &str, status: u16, seconds: f64) {
        *self.requests.entry((method.to_owned(), status, VARIANTS[0].0)).or_default() += 1;
        self.durations[0].add(seconds);
    }

    /// Handles the requests of a beat.
    pub(super) fn beat(&mut self, now: DateTime<Utc>) {
        self.beats += 1;
        for (i, (variant, count)) in VARIANTS.into_iter().enumerate() {
            for n in 0..count {
                self.request(now, i, variant, n == 0);
            }
        }
        if self.flaws.leak {
            self.memory += 1024.0 * 1024.0 / 10.0;
        }
        self.queue = self.draw(4);
        if !self.flaws.stale_sync && now - self.last_sync >= SYNC_EVERY {
            self.last_sync = now;
            self.say(now, "INFO", "sync finished: 128 records up to date");
        }
        if self.beats.is_multiple_of(50) {
            self.symptoms(now);
        }
    }

    fn request(&mut self, now: DateTime<Utc>, index: usize, variant: &'static str, told: bool) {
        let slow = self.flaws.slow && self.draw(10) == 0;
        let millis = if slow { 400 + self.draw(800) } else { 4 + self.draw(36) + self.draw(20) };
        let method = if self.draw(5) == 0 { "POST" } else { "GET" };
        let status = match (method, self.draw(100)) {
            (_, 0..20) if self.flaws.errors => 500,
            ("POST", _) => 201,
            (_, 99) => 404,
            _ => 200,
        };
        *self.requests.entry((method.to_owned(), status, variant)).or_default() += 1;
        self.durations[index].add(millis as f64 / 1000.0);
        let id = self.draw(1 << 32);
        if told {
            let text = format!(
                "request method={method} path=/api/orders status={status} duration_ms={millis} variant={variant} id={id:08x}"
            );
            self.say(now, "INFO", &text);
        }
        if told && status == 201 {
            let (input, output) = (self.draw(2000), self.draw(500));
            self.say_json(now, "info", &format!("Token usage: input={input}, output={output}"), variant);
            let event = json!({ "at": stamp(now), "event": "order_created", "order": id, "variant": variant });
            self.lines.events.push_str(&format!("{event}\n"));
        }
    }

    /// Says in the log what is wrong, once now and every five seconds.
    fn symptoms(&mut self, now: DateTime<Utc>) {
        if self.flaws.slow {
            let millis = 400 + self.draw(800);
            self.say(now, "WARN", &format!("slow query: SELECT FROM orders took {millis}ms, the limit is 250ms"));
        }
        if self.flaws.error_lines {
            self.say_json(
                now,
                "error",
                "payment provider refused the request: ERROR 401 invalid api key",
                "production",
            );
            self.say(now, "ERROR", "order could not be completed: payment provider refused the request");
        }
    }

    fn say(&mut self, now: DateTime<Utc>, level: &str, message: &str) {
        self.lines.log.push_str(&format!("{} {level:<5} {message}\n", stamp(now)));
    }

    fn say_json(&mut self, now: DateTime<Utc>, level: &str, message: &str, variant: &str) {
        let line = json!({ "timestamp": stamp(now), "level": level, "message": message, "variant": variant });
        self.lines.log.push_str(&format!("{line}\n"));
    }

    /// Draws a number below `bound`: the same ones in every run, so that no demo surprises.
    fn draw(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % bound
    }
}

/// Writes a time as logs do.
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(flaws: Flaws, beats: u32) -> Traffic {
        let mut traffic = Traffic::new(flaws, DateTime::UNIX_EPOCH);
        (0..beats).for_each(|n| traffic.beat(DateTime::UNIX_EPOCH + super::super::BEAT * n));
        traffic
    }

    fn total(traffic: &Traffic, statuses: std::ops::Range<u16>) -> u64 {
        traffic.requests.iter().filter(|((_, status, _), _)| statuses.contains(status)).map(|(_, n)| n).sum()
    }

    #[test]
    fn a_healthy_service_has_no_errors_and_no_warnings() {
        let mut traffic = after(Flaws::default(), 1000);
        assert_eq!((total(&traffic, 200..600), total(&traffic, 500..600)), (10_000, 0));
        assert_eq!(traffic.durations[0].count + traffic.durations[1].count, 10_000);
        let lines = traffic.take_lines();
        assert!(!lines.log.contains("WARN") && !lines.log.contains("ERROR"));
        assert!(lines.log.contains(" INFO  request method=") && lines.log.contains("Token usage: input="));
        assert!(lines.events.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn each_flaw_shows() {
        let errors = after(Flaws { errors: true, ..Flaws::default() }, 500);
        assert!((800..1200).contains(&total(&errors, 500..600)), "{}", total(&errors, 500..600));
        let slow = after(Flaws { slow: true, ..Flaws::default() }, 500).durations[0].clone();
        assert!(slow.counts[6..].iter().sum::<u64>() > 200, "{slow:?}");
        let mut said = after(Flaws { error_lines: true, ..Flaws::default() }, 1);
        assert!(said.take_lines().log.contains(" ERROR order could not be completed"));
        let leak = after(Flaws { leak: true, ..Flaws::default() }, 100);
        assert!(leak.memory > 57.0 * 1024.0 * 1024.0);
        let stale = after(Flaws { stale_sync: true, ..Flaws::default() }, 500);
        assert_eq!(stale.last_sync, stale.started - TimeDelta::hours(1));
        let mut demo = after(Flaws::demo(), 100);
        let lines = demo.take_lines().log;
        assert!(lines.contains(" WARN  slow query") && !lines.contains("ERROR"));
    }
}
