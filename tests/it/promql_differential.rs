//! The engine against a real Prometheus: queries made at random from a grammar, over the same data, must give the same.
//!
//! Prometheus 2 takes a range as closed at both ends, the engine and Prometheus 3 as open on the left. So no sample may
//! stand at the end of any range: samples are taken 137 ms and more after a multiple of 15 s, queries are evaluated 7 s
//! after a minute, and all durations are multiples of 15 s; subqueries, whose points stand at multiples of their step,
//! are not put into each other. What Prometheus 3 changed besides is kept away from: counters stay far above zero
//! (where the extrapolation differs), functions that are new in it are left out, and so are what Prometheus 2 does
//! wrong: `atan2` keeps the metric's name there, `predict_linear` moves a range that stands at a time of its own,
//! `timestamp` forgets the offset of a selector with such a time, and infinite values have no `stddev`.
//!
//! Where rounding decides, only samples as they are stand in the query: which of nearly equal series `topk` keeps, what
//! is left of a division (`%`), how a half is rounded, what digits `count_values` writes.
//!
//! `HOLDPOINT_SEED` and `HOLDPOINT_QUERIES` choose another run, a longer one perhaps.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use holdpoint::promql::engine::{Engine, Labels, QueryError, Sample, Stop, Value};

use crate::support::prometheus::Prometheus;
use crate::support::promqltest::memory::Memory;

/// The time of the first samples, in seconds.
const BEGIN: i64 = 1_600_000_020;
/// How many samples a series has at most, 15 s apart.
const SAMPLES: i64 = 480;

#[test]
fn random_queries_give_what_prometheus_gives() {
    let setting = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (seed, count) = (setting("HOLDPOINT_SEED", 1), setting("HOLDPOINT_QUERIES", 2000));
    let (memory, recorded) = data();
    let prometheus = Prometheus::start(&recorded, &[]);
    let mut random = Random(seed);
    let (mut failed, mut empty, mut errors) = (Vec::new(), 0, 0);
    for _ in 0..count {
        let query = random.query();
        let t = BEGIN + 3600 + 7 - BEGIN % 60 + 60 * random.below(40) as i64;
        let range =
            random.one_in(3).then(|| (t + 15 * (1 + random.below(8) as i64) * 8, 15 * (1 + random.below(8) as i64)));
        let (ours, theirs) = (ours(&memory, &query, t, range), theirs(&prometheus, &query, t, range));
        match (&ours, &theirs) {
            (Ok(a), Ok(b)) => {
                empty += u64::from(a.is_empty());
                if let Err(difference) = same(a, b) {
                    failed.push(format!("{query}\n  at {t} {range:?}: {difference}"));
                }
            }
            (Err(_), Err(_)) => errors += 1,
            (a, b) => failed.push(format!("{query}\n  at {t} {range:?}:\n  ours {a:?}\n  theirs {b:?}")),
        }
    }
    eprintln!("{count} queries, {empty} without result, {errors} refused by both, {} different", failed.len());
    assert!(failed.is_empty(), "seed {seed}: {} differ\n{}", failed.len(), failed[..failed.len().min(10)].join("\n"));
    // A grammar that makes nothing but empty answers would prove nothing.
    assert!(empty + errors < count / 3, "{empty} queries gave nothing, {errors} were refused");
}

/// What a query gave: by labels, the numbers by time in milliseconds.
type Found = BTreeMap<String, Vec<(i64, f64)>>;

fn ours(memory: &Memory, query: &str, t: i64, range: Option<(i64, i64)>) -> Result<Found, QueryError> {
    let (engine, stop) = (Engine::default(), Stop::default());
    let answer = match range {
        None => engine.instant(memory, query, t * 1000, &stop),
        Some((end, step)) => engine.range(memory, query, (t * 1000, end * 1000), step * 1000, &stop),
    };
    Ok(match answer?.value {
        Value::Scalar(v) => [(String::new(), vec![(t * 1000, v)])].into(),
        Value::Text(text) => [(text, Vec::new())].into(),
        Value::Vector(points) => points.iter().map(|p| (p.labels.to_string(), vec![(t * 1000, p.value)])).collect(),
        Value::Matrix(series) => {
            let samples = |s: &[Sample]| s.iter().map(|s| (s.t, s.v)).collect();
            series.iter().map(|s| (s.labels.to_string(), samples(&s.samples))).collect()
        }
    })
}

fn theirs(prometheus: &Prometheus, query: &str, t: i64, range: Option<(i64, i64)>) -> Result<Found, String> {
    let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let body = prometheus.ask(&match range {
        None => format!("/api/v1/query?query={encoded}&time={t}"),
        Some((end, step)) => format!("/api/v1/query_range?query={encoded}&start={t}&end={end}&step={step}"),
    });
    let json: serde_json::Value = serde_json::from_str(&body).map_err(|e| format!("{e}: {body}"))?;
    if json["status"] != "success" {
        return Err(json["error"].to_string());
    }
    let point = |v: &serde_json::Value| {
        let t = (v[0].as_f64().unwrap_or(0.0) * 1000.0).round() as i64;
        (t, v[1].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN))
    };
    let result = &json["data"]["result"];
    if json["data"]["resultType"] == "scalar" {
        return Ok([(String::new(), vec![point(result)])].into());
    }
    let series = result.as_array().into_iter().flatten().map(|series| {
        let pairs = series["metric"].as_object().into_iter().flatten();
        let labels = Labels::new(pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default())));
        let points = match series["values"].as_array() {
            Some(values) => values.iter().map(point).collect(),
            None => vec![point(&series["value"])],
        };
        (labels.to_string(), points)
    });
    Ok(series.collect())
}

fn same(ours: &Found, theirs: &Found) -> Result<(), String> {
    if let Some(labels) = ours.keys().find(|l| !theirs.contains_key(*l)) {
        return Err(format!("{labels} is only ours: {:?}", ours[labels]));
    }
    for (labels, b) in theirs {
        let Some(a) = ours.get(labels) else { return Err(format!("{labels} is only theirs: {b:?}")) };
        let near = |a: f64, b: f64| {
            a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
        };
        if a.len() != b.len() || a.iter().zip(b).any(|(a, b)| a.0 != b.0 || !near(a.1, b.1)) {
            return Err(format!("{labels}\n  ours   {a:?}\n  theirs {b:?}"));
        }
    }
    Ok(())
}

/// Makes the data, and the same as a text in the OpenMetrics format.
fn data() -> (Memory, String) {
    let mut random = Random(7);
    let mut families: BTreeMap<String, Vec<(Labels, Vec<Sample>)>> = BTreeMap::new();
    let mut add = |name: &str, pairs: &[(&str, &str)], samples: Vec<Sample>| {
        let labels = Labels::new(pairs.iter().copied().chain([("__name__", name)]));
        families.entry(name.to_owned()).or_default().push((labels, samples));
    };
    let mut shift = 0;
    for job in ["api", "db", "web"] {
        for instance in ["a", "b", "c"] {
            shift += 31;
            let times = || (0..SAMPLES).map(|i| (BEGIN + 15 * i) * 1000 + 137 + shift);
            let base = [("job", job), ("instance", instance)];
            for code in ["200", "404", "500"] {
                let mut count = 1e6 + random.below(1000) as f64;
                let counter = times().map(|t| {
                    count += random.below(100) as f64 / 4.0;
                    if random.one_in(150) {
                        count = (count / 2.0).floor();
                    }
                    Sample { t, v: count }
                });
                add("requests_total", &[base[0], base[1], ("code", code)], counter.collect());
            }
            let gauge = times().map(|t| Sample { t, v: random.below(2_000_000_001) as f64 / 8e6 - 125.0 });
            let gauge: Vec<_> = gauge.collect();
            // Some samples are missing, some series too.
            let gappy = gauge.iter().filter(|s| (s.t / 900_000) % 3 != 0).copied().collect();
            add("temperature", &base, gauge);
            if instance != "c" {
                add("gappy", &base, gappy);
            }
            let mut sum = [1e6; 4];
            let buckets: Vec<[f64; 4]> = times()
                .map(|_| {
                    let mut more = 0.0;
                    sum.each_mut().map(|bucket| {
                        more += random.below(20) as f64;
                        *bucket += more;
                        *bucket
                    })
                })
                .collect();
            for (i, le) in ["0.1", "0.5", "2.5", "+Inf"].iter().enumerate() {
                let samples = times().zip(&buckets).map(|(t, counts)| Sample { t, v: counts[i] });
                add("latency_bucket", &[base[0], base[1], ("le", le)], samples.collect());
            }
        }
        let odd = |i: i64| match i % 7 {
            3 => f64::NAN,
            5 => f64::INFINITY,
            _ => i as f64,
        };
        let odd = (0..SAMPLES).map(|i| Sample { t: (BEGIN + 15 * i) * 1000 + 211, v: odd(i) });
        add("odd", &[("job", job)], odd.collect());
        let info = (0..SAMPLES).map(|i| Sample { t: (BEGIN + 15 * i) * 1000 + 173, v: 1.0 });
        add("build_info", &[("job", job), ("version", &format!("1.{}", job.len()))], info.collect());
    }
    let (mut memory, mut text) = (Memory::default(), String::new());
    for (name, series) in &families {
        let _ = writeln!(text, "# TYPE {name} unknown");
        for (labels, samples) in series {
            memory.add(labels, samples);
            for s in samples {
                let labels = labels.to_string().replace(", ", ",");
                let v = if s.v == f64::INFINITY { "+Inf".to_owned() } else { s.v.to_string() };
                let _ = writeln!(text, "{labels} {v} {}.{:03}", s.t / 1000, s.t % 1000);
            }
        }
    }
    (memory, text + "# EOF\n")
}

/// Makes numbers, and queries of them; SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }

    /// Makes a query.
    fn query(&mut self) -> String {
        match self.below(12) {
            0 => self.scalar(2),
            _ => {
                let depth = 1 + self.below(3) as u32;
                self.vector(depth, false)
            }
        }
    }

    fn selector(&mut self) -> String {
        let name =
            self.pick(&["requests_total", "temperature", "gappy", "odd", "build_info", "latency_bucket", "nothing"]);
        self.matchers(name)
    }

    /// Makes a selector of counters that never come near zero.
    fn counter(&mut self) -> String {
        let name = self.pick(&["requests_total", "requests_total", "latency_bucket"]);
        self.matchers(name)
    }

    fn matchers(&mut self, name: &str) -> String {
        let matcher = match self.below(9) {
            0 => "{job=\"api\"}",
            1 => "{job!=\"db\"}",
            2 => "{instance=~\"a|b\"}",
            3 => "{job=~\".*b\",instance!~\"c\"}",
            4 => "{code=\"200\"}",
            _ => "",
        };
        format!("{name}{matcher}")
    }

    fn duration(&mut self) -> &'static str {
        self.pick(&["45s", "1m", "2m30s", "5m", "10m", "30m"])
    }

    fn shift(&mut self) -> String {
        match self.below(12) {
            0 => format!(" offset {}", self.duration()),
            1 => format!(" offset -{}", self.duration()),
            2 => format!(" @ {}", BEGIN - BEGIN % 60 + 1807),
            3 => format!(" @ {} offset {}", BEGIN - BEGIN % 60 + 2407, self.duration()),
            4 => self.pick(&[" @ start()", " @ end()"]).to_owned(),
            _ => String::new(),
        }
    }

    fn number(&mut self) -> &'static str {
        self.pick(&["0", "1", "2", "0.5", "-3", "100", "1e6", "7.25", "Inf", "NaN"])
    }

    fn scalar(&mut self, depth: u32) -> String {
        match if depth == 0 { 0 } else { self.below(8) } {
            0..=2 => self.number().to_owned(),
            3 => "time()".to_owned(),
            4 => format!("scalar({})", self.vector(depth - 1, false)),
            5 => format!("({} {} {})", self.scalar(depth - 1), self.arithmetic(), self.scalar(depth - 1)),
            6 => format!("({} atan2 {})", self.scalar(depth - 1), self.scalar(depth - 1)),
            _ => format!("({} {} bool {})", self.scalar(depth - 1), self.comparison(), self.scalar(depth - 1)),
        }
    }

    fn arithmetic(&mut self) -> &'static str {
        self.pick(&["+", "-", "*", "/", "^"])
    }

    fn comparison(&mut self) -> &'static str {
        self.pick(&["<", "<=", ">", ">=", "==", "!="])
    }

    fn grouping(&mut self) -> String {
        let labels = self.pick(&["", "job", "job, instance", "instance", "code", "le, job", "missing"]);
        match self.below(3) {
            0 => String::new(),
            1 => format!(" by ({labels}) "),
            _ => format!(" without ({labels}) "),
        }
    }

    /// Makes what gives series; `inner` says that it stands in a subquery.
    fn vector(&mut self, depth: u32, inner: bool) -> String {
        if depth == 0 {
            return format!("{}{}", self.selector(), self.shift());
        }
        match self.below(20) {
            0 => format!("{}{}", self.selector(), self.shift()),
            1 | 2 => self.maths(depth, inner),
            3 | 4 => {
                let rate = self.pick(&["rate", "increase", "irate", "idelta", "delta", "resets", "deriv"]);
                format!("{rate}({}[{}]{})", self.counter(), self.duration(), self.shift())
            }
            5..=7 => self.over_time(depth, inner),
            8..=10 => self.aggregation(depth, inner),
            11 | 12 => self.with_scalar(depth, inner),
            13 | 14 => self.pair(depth, inner),
            15 => {
                let set = self.pick(&["and", "or", "unless"]);
                let on = self.pick(&["", " on (job)", " ignoring (code, le)", " on ()"]);
                format!("({} {set}{on} {})", self.vector(depth - 1, inner), self.vector(depth - 1, inner))
            }
            16 => {
                let q = self.pick(&["0.5", "0.9", "0", "1", "-1", "1.5"]);
                let by = self.pick(&["le", "le, job", "le, instance, job"]);
                format!("histogram_quantile({q}, sum by ({by}) (rate(latency_bucket[{}])))", self.duration())
            }
            17 => self.labels(depth, inner),
            18 => format!("-{}", self.vector(depth - 1, inner)),
            _ => self.rest(depth, inner),
        }
    }

    fn maths(&mut self, depth: u32, inner: bool) -> String {
        let vector = self.vector(depth - 1, inner);
        match self.below(7) {
            0 => format!("round({}{}, {})", self.selector(), self.shift(), self.pick(&["1", "0.5", "10"])),
            4 => format!("{}({}{})", self.pick(&["ceil", "floor"]), self.selector(), self.shift()),
            1 => format!("clamp({vector}, {}, {})", self.pick(&["-10", "0"]), self.pick(&["50", "1000", "-20"])),
            2 => format!("{}({vector}, {})", self.pick(&["clamp_min", "clamp_max"]), self.scalar(1)),
            3 => {
                let name = self.pick(&[
                    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
                ]);
                format!("{name}({}{} % 3)", self.selector(), self.shift())
            }
            _ => {
                let name = self.pick(&["abs", "sqrt", "ln", "log2", "log10", "sgn", "deg", "rad", "exp"]);
                format!("{name}({vector})")
            }
        }
    }

    fn over_time(&mut self, depth: u32, inner: bool) -> String {
        let range = if inner || self.below(3) > 0 {
            format!("{}[{}]{}", self.selector(), self.duration(), self.shift())
        } else {
            let step = self.pick(&["15s", "30s", "1m", ""]);
            format!("({})[{}:{step}]{}", self.vector(depth - 1, true), self.duration(), self.shift())
        };
        match self.below(8) {
            0 => format!("quantile_over_time({}, {range})", self.pick(&["0.5", "0.99", "0", "2"])),
            1 if !range.contains('@') => format!("predict_linear({range}, {})", self.pick(&["60", "3600", "-600"])),
            2 => format!("holt_winters({range}, 0.3, 0.6)"),
            3 => format!("absent_over_time({range})"),
            _ => {
                let name = self.pick(&[
                    "avg", "min", "max", "sum", "count", "last", "present", "stddev", "stdvar", "avg", "sum", "max",
                ]);
                let name = if range.contains("odd") && name.starts_with("std") { "count" } else { name };
                format!("{name}_over_time({range})")
            }
        }
    }

    /// Makes series of different values.
    fn different(&mut self) -> String {
        let selector = self.matchers("temperature");
        match self.below(3) {
            0 => format!("avg_over_time({selector}[{}])", self.duration()),
            1 => format!("({selector} * 2)"),
            _ => format!("{selector}{}", self.shift()),
        }
    }

    fn aggregation(&mut self, depth: u32, inner: bool) -> String {
        let grouping = self.grouping();
        match self.below(10) {
            0 => {
                let (name, k) = (self.pick(&["topk", "bottomk"]), self.pick(&["1", "3", "0"]));
                format!("{name}{grouping}({k}, {})", self.different())
            }
            1 => {
                let q = self.pick(&["0.5", "0.9", "1", "-0.5"]);
                format!("quantile{grouping}({q}, {})", self.vector(depth - 1, inner))
            }
            2 => format!("count_values{grouping}(\"value\", {}{})", self.selector(), self.shift()),
            3 => format!("{}{grouping}({})", self.pick(&["stddev", "stdvar"]), self.different()),
            _ => {
                let name = self.pick(&["sum", "avg", "min", "max", "count", "group"]);
                format!("{name}{grouping}({})", self.vector(depth - 1, inner))
            }
        }
    }

    fn with_scalar(&mut self, depth: u32, inner: bool) -> String {
        if self.one_in(8) {
            return format!("({} % {})", self.selector(), self.number());
        }
        let (vector, scalar) = (self.vector(depth - 1, inner), self.scalar(1));
        let op = match self.below(3) {
            0 => self.comparison().to_owned(),
            1 => format!("{} bool", self.comparison()),
            _ => self.arithmetic().to_owned(),
        };
        if self.one_in(2) { format!("({vector} {op} {scalar})") } else { format!("({scalar} {op} {vector})") }
    }

    fn pair(&mut self, depth: u32, inner: bool) -> String {
        let op = self.arithmetic();
        match self.below(6) {
            0 => {
                let vector = self.vector(depth - 1, inner);
                format!("({vector} {op} on (job) group_left (version) build_info)")
            }
            1 => {
                let vector = self.vector(depth - 1, inner);
                format!("(build_info {op} on (job) group_right () {vector})")
            }
            2 => {
                let compare = self.pick(&["<", ">=", "< bool", ">= bool"]);
                format!("(temperature {compare} gappy)")
            }
            3 => format!("({} {op} {})", self.vector(depth - 1, inner), self.vector(depth - 1, inner)),
            4 => {
                let by = self.pick(&["job", "job, instance"]);
                let left = self.vector(depth - 1, inner);
                format!("(sum by ({by}) ({left}) {op} ignoring (code) avg by ({by}) (temperature))")
            }
            _ => format!("(temperature {op} on (job, instance) gappy)"),
        }
    }

    fn labels(&mut self, depth: u32, inner: bool) -> String {
        let vector = self.vector(depth - 1, inner);
        match self.below(4) {
            0 => format!("label_join({vector}, \"both\", \"-\", \"job\", \"instance\")"),
            1 => format!("label_replace({vector}, \"job\", \"x$1\", \"job\", \"(.)(.*)\")"),
            2 => format!("label_replace({vector}, \"new\", \"${{1}}_$2\", \"instance\", \"(a|(b))\")"),
            _ => format!("label_replace({vector}, \"instance\", \"\", \"code\", \"\")"),
        }
    }

    fn rest(&mut self, depth: u32, inner: bool) -> String {
        let vector = self.vector(depth - 1, inner);
        match self.below(6) {
            0 => format!("absent({vector})"),
            1 => format!("vector({})", self.scalar(1)),
            2 if !(vector.contains('@') && vector.contains("offset")) => format!("timestamp({vector})"),
            3 => format!("sort_desc({vector})"),
            4 => {
                let part =
                    self.pick(&["year", "month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute"]);
                format!("{part}({})", self.pick(&["", "vector(time())", "timestamp(temperature)"]))
            }
            _ => format!("(({vector}))"),
        }
    }
}
