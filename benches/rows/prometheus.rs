//! Real PromQL queries on a real Prometheus.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::http::told;
use super::{Scale, checklists, wrk};
use crate::measure::{Line, folder, holdpoint, median, present, times};

#[path = "../../tests/it/support/daemon.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod daemon;
#[path = "../../tests/it/support/prometheus.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
pub(super) mod support;

pub(super) const QUERIES: [&str; 8] = [
    "sum(rate(requests_total{code=~\"5..\"}[5m])) / sum(rate(requests_total[5m]))",
    "sum by (instance) (rate(requests_total[5m]))",
    "max(process_memory_bytes) / 1024 / 1024",
    "histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket[5m])))",
    "min_over_time(up[30m])",
    "count(up)",
    "avg_over_time(process_memory_bytes[30m])",
    "increase(requests_total{code=\"200\"}[1h])",
];

/// Measures eight queries in turn, four at a time.
pub(crate) fn queries(_scale: Scale) -> Vec<Line> {
    const STEPS: u32 = 4_000;
    let work = "eight PromQL queries in turn, 4 at a time";
    if !present("prometheus") || !present("promtool") {
        return vec![Line::alone(work, "–".into(), "prometheus is not installed")];
    }
    let prometheus = support::Prometheus::start(&recorded(240, 30), &[]);
    QUERIES.iter().for_each(|query| prometheus.wait_until(query));
    let here = folder();
    let sources = format!("sources:\n  prometheus: {{ url: '{}' }}\n", prometheus.url());
    checklists::with_head(&here.path().join("q.yaml"), &sources, STEPS as usize, |n| {
        format!("promql: {}\nexpect: {{ value: exists }}", QUERIES[n % QUERIES.len()])
    });
    let ours = median(3, || {
        let mut command = holdpoint(here.path());
        command.args(["run", "q.yaml", "--jobs", "4"]);
        command
    });
    let script = here.path().join("queries.lua");
    std::fs::write(&script, lua()).expect("a script");
    vec![match wrk::rate(&prometheus.url(), 4, Some(&script)) {
        Some(theirs) => {
            let ratio = format!("{} the rate", times(f64::from(STEPS) / ours.wall.as_secs_f64(), theirs));
            Line { work: work.into(), ours: told(&ours, STEPS), peer: format!("wrk {theirs:.0}/s"), ratio }
        }
        None => Line::alone(work, told(&ours, STEPS), "wrk is not installed"),
    }]
}

/// Makes wrk ask the same in the same way: as a form that is posted.
fn lua() -> String {
    let bodies = QUERIES.iter().fold(String::new(), |mut all, query| {
        let encoded = query.bytes().fold(String::new(), |mut out, b| {
            let _ = if b.is_ascii_alphanumeric() { write!(out, "{}", char::from(b)) } else { write!(out, "%{b:02X}") };
            out
        });
        let _ = writeln!(all, "  \"query={encoded}\",");
        all
    });
    format!(
        "local bodies = {{\n{bodies}}}\nlocal n = 0\nlocal headers = {{ [\"Content-Type\"] = \"application/x-www-form-urlencoded\" }}\n\
         function request()\n  n = n % #bodies + 1\n  return wrk.format(\"POST\", \"/api/v1/query\", headers, bodies[n])\nend\n"
    )
}

/// Makes so many samples of a service with three instances, so many seconds apart, up to now.
pub(super) fn recorded(samples: u64, step: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let times: Vec<u64> = (0..samples).map(|n| now - samples * step + n * step).collect();
    let mut text = String::new();
    let mut family = |head: &str, series: &[(String, f64, f64)]| {
        text.push_str(head);
        for (name, base, step) in series {
            for (n, at) in times.iter().enumerate() {
                let _ = writeln!(text, "{name} {} {at}", base + step * n as f64);
            }
        }
    };
    let each = |name: &str, labels: &str| -> Vec<String> {
        (0..3).map(|i| format!("{name}{{job=\"app\",instance=\"app-{i}\"{labels}}}")).collect()
    };
    let flat = |names: Vec<String>, base: f64, step: f64| names.into_iter().map(move |n| (n, base, step));
    let requests: Vec<_> = flat(each("requests_total", ",code=\"200\""), 1000.0, 300.0)
        .chain(flat(each("requests_total", ",code=\"500\""), 1.0, 1.0))
        .collect();
    family("# TYPE requests counter\n", &requests);
    family("# TYPE up gauge\n", &flat(each("up", ""), 1.0, 0.0).collect::<Vec<_>>());
    let memory: Vec<_> = flat(each("process_memory_bytes", ""), 1e8, 1e3).collect();
    family("# TYPE process_memory_bytes gauge\n", &memory);
    let mut buckets = Vec::new();
    for instance in 0..3 {
        for (n, le) in ["0.05", "0.1", "0.25", "0.5", "1.0", "+Inf"].iter().enumerate() {
            let name = format!("request_seconds_bucket{{job=\"app\",instance=\"app-{instance}\",le=\"{le}\"}}");
            buckets.push((name, 10.0, 50.0 + 10.0 * n as f64));
        }
    }
    family("# TYPE request_seconds histogram\n", &buckets);
    text.push_str("# EOF\n");
    text
}
