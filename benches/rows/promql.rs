//! The embedded PromQL engine beside a Prometheus with the same data.

use std::collections::HashMap;
use std::fmt::Write as _;

use holdpoint::promql::engine::{Engine, Labels, Sample, Selection, Stop, Storage, StorageError, Value, Wanted};

use super::Scale;
use super::prometheus::support::Prometheus;
use crate::measure::{Line, ms, present, times, within};

/// The time of the first samples, in seconds.
const BEGIN: i64 = 1_600_000_000;
/// How many samples each series has, 5 s apart.
const SAMPLES: i64 = 120;
const BOUNDS: [&str; 10] = ["0.005", "0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"];
const QUERIES: [(&str, &str); 3] = [
    ("sum by (le) (rate(x_bucket[5m]))", "sum by (le) of a rate over 5 min"),
    ("histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))", "the same with histogram_quantile"),
    ("count(x_bucket)", "count of them"),
];

/// Measures queries over 10,000 series with a sample each 5 s, parsing included, beside the round trip over HTTP.
pub(crate) fn histogram(_scale: Scale) -> Vec<Line> {
    let (held, recorded) = data();
    let (engine, stop, t) = (Engine::default(), Stop::default(), BEGIN + 5 * SAMPLES);
    let prometheus = (present("prometheus") && present("promtool")).then(|| Prometheus::start(&recorded, &[]));
    let lines = QUERIES.iter().map(|(query, what)| {
        let work = format!("PromQL: {what}, 10,000 series");
        let ask = || engine.instant(&held, query, t * 1000, &stop);
        let answer = ask().map(|answer| answer.value);
        assert!(matches!(&answer, Ok(Value::Vector(points)) if !points.is_empty()), "{query} gives {answer:?}");
        let ours = within(15, || drop(ask()));
        let Some(prometheus) = &prometheus else {
            return Line::alone(&work, ms(ours), "prometheus is not installed");
        };
        let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let path = format!("/api/v1/query?query={encoded}&time={t}");
        let body = prometheus.ask(&path);
        assert!(body.contains("\"value\""), "{query} gives {body}");
        let theirs = within(15, || drop(prometheus.ask(&path)));
        let ratio = format!("{} the time", times(ours.as_secs_f64(), theirs.as_secs_f64()));
        Line { work, ours: ms(ours), peer: format!("Prometheus over HTTP {}", ms(theirs)), ratio }
    });
    lines.collect()
}

/// Series by the name of their metric.
struct Held(HashMap<String, Vec<(Labels, Vec<Sample>)>>);

impl Storage for Held {
    fn select(&self, wanted: &Wanted<'_>, found: &mut Selection<'_>) -> Result<(), StorageError> {
        let name = wanted.matchers.iter().find(|m| &*m.name == "__name__").map_or("", |m| &m.value);
        for (labels, samples) in self.0.get(name).into_iter().flatten() {
            if !wanted.matchers.iter().all(|m| m.fits_labels(labels)) {
                continue;
            }
            let from = samples.partition_point(|s| s.t < wanted.from);
            let to = samples.partition_point(|s| s.t <= wanted.to).max(from);
            let from = if wanted.newest { to.saturating_sub(1).max(from) } else { from };
            found.begin(labels)?;
            found.samples(&samples[from..to])?;
        }
        Ok(())
    }
}

/// Makes the data, and the same as a text in the OpenMetrics format.
fn data() -> (Held, String) {
    let (mut series, mut text) = (Vec::new(), String::from("# TYPE x_bucket unknown\n"));
    for target in 0..1000 {
        for (i, le) in BOUNDS.iter().enumerate() {
            let (instance, path) = (format!("10.0.0.{}:9090", target / 10), format!("/api/{}", target % 10));
            let name =
                [("__name__", "x_bucket"), ("instance", &*instance), ("job", "api"), ("le", *le), ("path", &*path)];
            let labels = Labels::new(name);
            let step = f64::from(target % 7 + 1) * (i + 1) as f64;
            let samples: Vec<_> =
                (0..SAMPLES).map(|n| Sample { t: (BEGIN + 5 * n) * 1000, v: step * n as f64 }).collect();
            let written = labels.to_string().replace(", ", ",");
            for s in &samples {
                let _ = writeln!(text, "{written} {} {}", s.v, s.t / 1000);
            }
            series.push((labels, samples));
        }
    }
    text.push_str("# EOF\n");
    (Held([("x_bucket".to_owned(), series)].into()), text)
}
