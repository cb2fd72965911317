//! A day of recorded samples that ends at noon on 2024-01-01, one each 30 seconds, of a service that is mostly well.

use std::fmt::Write;

/// 2024-01-01 12:00:00 UTC.
const END: i64 = 1_704_110_400;
/// The distance of two samples, in seconds.
const STEP: i64 = 30;
/// The samples of a day, those at both ends included.
const SAMPLES: i64 = 2881;

/// Returns the day in the OpenMetrics format.
pub(crate) fn day() -> String {
    let mut text = String::new();
    gauge(&mut text, "service_up", |_| Some(1.0));
    gauge(&mut text, "holey_up", |n| (!(100..105).contains(&n)).then_some(1.0));
    // A saw tooth of 4 MiB, as a garbage collector makes it, with a spike that means nothing.
    gauge(&mut text, "steady_bytes", |n| Some(if n == 2000 { 9e9 } else { 5e7 + saw(n, 100) * 41_943.04 }));
    // The same on a rise of 2 MiB an hour.
    gauge(&mut text, "leaky_bytes", |n| Some(5e7 + saw(n, 100) * 41_943.04 + hours(n) * 2_097_152.0));
    counter(&mut text, "steps", |n| (n % 2000) as f64);
    variants(&mut text);
    text.push_str("# EOF\n");
    text
}

fn saw(n: i64, length: i64) -> f64 {
    (n % length) as f64
}

fn hours(n: i64) -> f64 {
    (n * STEP) as f64 / 3600.0
}

/// Latencies that jump about: those of the slow canary are 30 % above production, those of the other are the same.
fn variants(text: &mut String) {
    text.push_str("# TYPE latency_seconds gauge\n");
    for (variant, factor, shift) in [("production", 1.0, 0), ("canary", 1.0, 17), ("slow", 1.3, 5), ("late", 1.0, 3)] {
        for n in (0..SAMPLES).filter(|n| variant != "late" || *n > SAMPLES - 10) {
            let noise = ((n + shift) * 7919 % 101) as f64 / 1000.0;
            sample(text, &format!("latency_seconds{{variant=\"{variant}\"}}"), factor * (0.2 + noise), n);
        }
    }
}

fn gauge(text: &mut String, name: &str, value: impl Fn(i64) -> Option<f64>) {
    writeln!(text, "# TYPE {name} gauge").expect("written");
    for n in 0..SAMPLES {
        if let Some(value) = value(n) {
            sample(text, name, value, n);
        }
    }
}

fn counter(text: &mut String, name: &str, value: impl Fn(i64) -> f64) {
    writeln!(text, "# TYPE {name} counter").expect("written");
    (0..SAMPLES).for_each(|n| sample(text, &format!("{name}_total"), value(n), n));
}

fn sample(text: &mut String, series: &str, value: f64, n: i64) {
    writeln!(text, "{series} {value} {}", END - (SAMPLES - 1 - n) * STEP).expect("written");
}
