//! The sample service's `/metrics` page, in the Prometheus text format.

use std::fmt::Write as _;

use super::traffic::{BUCKETS, Traffic, VARIANTS};

/// The content type of the text format, version 0.0.4.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes the page.
pub(super) fn page(traffic: &Traffic) -> String {
    let mut out = String::with_capacity(4096);
    family(&mut out, "build_info", "gauge", "The version that runs; always 1.");
    line(&mut out, "build_info", &format!("version=\"{}\",commit=\"9f2c1ab\"", traffic.version()), 1.0);
    family(&mut out, "http_requests_total", "counter", "Requests handled.");
    for ((method, status, variant), count) in &traffic.requests {
        let labels = format!("method=\"{method}\",status=\"{status}\",variant=\"{variant}\"");
        line(&mut out, "http_requests_total", &labels, *count as f64);
    }
    histogram(&mut out, traffic);
    family(&mut out, "app_dependency_up", "gauge", "Whether a dependency answers.");
    for (name, up) in [("database", true), ("cache", !traffic.flaws().cache_unset), ("queue", true)] {
        line(&mut out, "app_dependency_up", &format!("dependency=\"{name}\""), f64::from(u8::from(up)));
    }
    for (name, help, value) in [
        ("app_queue_length", "Jobs that wait.", traffic.queue as f64),
        (
            "app_last_successful_sync_timestamp_seconds",
            "When the last sync succeeded, in seconds since 1970.",
            traffic.last_sync.timestamp_millis() as f64 / 1000.0,
        ),
        ("process_resident_memory_bytes", "Memory in use.", traffic.memory),
        (
            "process_start_time_seconds",
            "When the process started, in seconds since 1970.",
            traffic.started.timestamp_millis() as f64 / 1000.0,
        ),
    ] {
        family(&mut out, name, "gauge", help);
        line(&mut out, name, "", value);
    }
    out
}

fn histogram(out: &mut String, traffic: &Traffic) {
    const NAME: &str = "http_request_duration_seconds";
    family(out, NAME, "histogram", "How long requests took.");
    for ((variant, _), durations) in VARIANTS.iter().zip(&traffic.durations) {
        let mut so_far = 0;
        for (bound, count) in BUCKETS.iter().zip(durations.counts) {
            so_far += count;
            line(out, &format!("{NAME}_bucket"), &format!("variant=\"{variant}\",le=\"{bound}\""), so_far as f64);
        }
        let labels = format!("variant=\"{variant}\"");
        line(out, &format!("{NAME}_bucket"), &format!("{labels},le=\"+Inf\""), durations.count as f64);
        line(out, &format!("{NAME}_sum"), &labels, durations.sum);
        line(out, &format!("{NAME}_count"), &labels, durations.count as f64);
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(out: &mut String, name: &str, labels: &str, value: f64) {
    let _ =
        if labels.is_empty() { writeln!(out, "{name} {value}") } else { writeln!(out, "{name}{{{labels}}} {value}") };
}
