//! The engine's limits: what takes too much is refused, what must stop stops, and no query does harm.

use std::time::{Duration, Instant};

use holdpoint::promql::engine::{
    Engine, Labels, QueryError, Sample, Selection, Stop, Storage, StorageError, Value, Wanted,
};
use proptest::prelude::{ProptestConfig, any, proptest};

use crate::support::promqltest::memory::Memory;

/// Returns series `x{n="…"}` with a sample each second.
fn memory(series: usize, samples: i64) -> Memory {
    let mut memory = Memory::default();
    for n in 0..series {
        let labels = Labels::new([("__name__", "x"), ("n", &n.to_string())]);
        let samples: Vec<_> = (0..samples).map(|i| Sample { t: i * 1000, v: i as f64 }).collect();
        memory.add(&labels, &samples);
    }
    memory
}

#[test]
fn too_many_samples_are_refused() {
    let (memory, stop) = (memory(10, 100), Stop::default());
    let engine = Engine { max_samples: 500, ..Engine::default() };
    let wanted = "query processing would load too many samples into memory in query execution";
    let refused = |query: &str| engine.instant(&memory, query, 99_000, &stop).expect_err(query).to_string();
    for query in
        ["sum_over_time(x[100s])", "x[100s]", "count_over_time(x[50s:100ms])", "max_over_time(vector(1)[10m:1s])"]
    {
        assert_eq!(refused(query), wanted);
    }
    assert!(engine.instant(&memory, "sum(sum_over_time(x[20s]))", 99_000, &stop).is_ok());
    let ranged = engine.range(&memory, "x + x", (0, 99_000), 1000, &stop);
    assert_eq!(ranged, Err(QueryError::Storage(StorageError::TooManySamples)));
    // A subquery of a thousand years has too many steps before it has any sample.
    assert_eq!(refused("count_over_time(x[100y:1ms])"), wanted);
}

#[test]
fn steps_are_bounded() {
    let (memory, stop, engine) = (memory(1, 1), Stop::default(), Engine::default());
    let refused = |times, step| engine.range(&memory, "x", times, step, &stop).expect_err("refused").to_string();
    assert!(refused((0, 11_001_000), 1000).contains("11,000 points"));
    assert!(refused((0, 1), 0).contains("zero or negative"));
    assert!(refused((1, 0), 1).contains("before start"));
    assert!(refused((i64::MIN, i64::MAX), i64::MAX).contains("out of range"));
    assert!(engine.instant(&memory, "x", i64::MAX, &stop).is_err());
}

#[test]
fn a_query_that_is_cancelled_or_late_stops() {
    let (memory, engine) = (memory(10, 10), Engine::default());
    let stop = Stop::default();
    stop.cancel();
    let cancelled = engine.instant(&memory, "sum(x)", 0, &stop);
    assert_eq!(cancelled, Err(QueryError::Storage(StorageError::Cancelled)));
    let late = Stop::at(Instant::now() - Duration::from_millis(1));
    assert_eq!(engine.instant(&memory, "1 + 1", 0, &late), Err(QueryError::Storage(StorageError::TimedOut)));
}

/// A storage that stops its own query half-way, as another thread would.
struct Stopping(Stop);

impl Storage for Stopping {
    fn select(&self, _: &Wanted<'_>, found: &mut Selection<'_>) -> Result<(), StorageError> {
        for n in 0..1_000_000_u32 {
            if n == 1000 {
                self.0.cancel();
            }
            found.begin(&Labels::new([("n", n.to_string())]))?;
        }
        panic!("a million series were taken")
    }
}

#[test]
fn a_select_stops_half_way() {
    let storage = Stopping(Stop::default());
    let result = Engine::default().instant(&storage, "x", 0, &storage.0);
    assert_eq!(result, Err(QueryError::Storage(StorageError::Cancelled)));
}

#[test]
fn a_storage_that_fails_is_told_from_one_without_series() {
    struct Broken;
    impl Storage for Broken {
        fn select(&self, _: &Wanted<'_>, _: &mut Selection<'_>) -> Result<(), StorageError> {
            Err(StorageError::Failed("the disk is gone".into()))
        }
    }
    let error = Engine::default().instant(&Broken, "absent(x)", 0, &Stop::default()).expect_err("broken");
    assert_eq!(error.to_string(), "the disk is gone");
    let empty = Engine::default().instant(&Memory::default(), "x", 0, &Stop::default()).map(|answer| answer.value);
    assert_eq!(empty, Ok(Value::Vector(Vec::new())));
}

#[test]
fn patterns_and_nesting_are_bounded() {
    let (memory, stop, engine) = (memory(1, 1), Stop::default(), Engine::default());
    for query in [
        "x{a=~\"((a{1000}){1000}){1000}\"}".to_owned(),
        "label_replace(x, \"a\", \"b\", \"c\", \"((a{1000}){1000}){1000}\")".to_owned(),
        "(".repeat(100_000),
        "-".repeat(50_000) + "1",
        "x[".to_owned() + &"(".repeat(30_000) + "1m]",
        "x".repeat(1 << 20),
    ] {
        let short: String = query.chars().take(40).collect();
        assert!(engine.instant(&memory, &query, 0, &stop).is_err(), "{short}");
    }
    assert!(engine.instant(&memory, &format!("{}1", "-".repeat(300)), 0, &stop).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
    #[test]
    fn no_query_does_harm(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..14),
        t in any::<i64>(),
        step in 1..i64::MAX,
    ) {
        let (memory, stop) = (memory(2, 5), Stop::default());
        let engine = Engine { max_samples: 10_000, ..Engine::default() };
        let query = words.concat();
        let near = t % 20_000;
        // Answers and refusals are both in order; only a panic is not.
        let _ = engine.instant(&memory, &query, near, &stop);
        let _ = engine.instant(&memory, &query, t, &stop);
        let _ = engine.range(&memory, &query, (near, near + 3000), 1 + step % 2000, &stop);
        let _ = engine.range(&memory, &query, (t, t.saturating_add(step)), step, &stop);
        let _ = engine.reach(&query, t);
    }
}

const WORDS: &[&str] = &[
    "x",
    "x",
    "x",
    "{n=\"1\"}",
    "[1m]",
    "[5s:1s]",
    "[1m:]",
    " offset 5s",
    " offset -1y",
    " @ 3",
    " @ start()",
    " @ -1e9",
    "(",
    "(",
    ")",
    ")",
    ", ",
    " + ",
    " / ",
    " % ",
    " ^ ",
    " and ",
    " or ",
    " unless ",
    " == bool ",
    " > ",
    " atan2 ",
    " on (n) ",
    " ignoring () ",
    " group_left (a) ",
    " fill (0) ",
    "sum",
    "avg",
    "topk",
    "quantile",
    "count_values",
    "limit_ratio",
    "stddev",
    " by (n) ",
    " without () ",
    "rate",
    "increase",
    "predict_linear",
    "quantile_over_time",
    "double_exponential_smoothing",
    "histogram_quantile",
    "histogram_fraction",
    "label_replace",
    "label_join",
    "info",
    "absent",
    "absent_over_time",
    "timestamp",
    "scalar",
    "vector",
    "time()",
    "sort_by_label",
    "round",
    "clamp",
    "year",
    "changes",
    " anchored",
    " smoothed",
    "[step()]",
    "[2s * -1]",
    "[range():1s]",
    "\"a\"",
    "\"\\xff\"",
    "1",
    "0",
    "-",
    "Inf",
    "NaN",
    "1e300",
    "99999999999y",
    "5m",
    "-2^-3",
    "histogram_quantiles",
    "min_of",
    "#",
    "\n",
    "ü",
];
