//! `promql` against a real Prometheus with recorded data, and against servers that misbehave.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use holdpoint::checklist::reading::Reading;
use holdpoint::diag::{Diagnostics, SourceMap};
use holdpoint::model::{Against, Expectation, Found, Matcher, MeasureName, Measures, Observation, Value};
use holdpoint::probe::{Along, Compiling, Look, Probe, Wants, promql::KIND};
use holdpoint::shape;
use holdpoint::source::{self, Sources};
use holdpoint::sys::World;
use holdpoint::template::{Place, Scope, Template};

use crate::support::prometheus::Prometheus;

/// The time of the recorded data's end: 2024-01-01 12:00:00 UTC.
const END: i64 = 1_704_110_400;

/// What came of compiling a step.
struct Compiled {
    probe: Option<Box<dyn Probe>>,
    sources: Sources,
    scope: Scope,
    /// Code, message, and the text at the place.
    said: Vec<(&'static str, String, String)>,
}

/// Compiles `promql:` with a source at `url` and the input `variant: canary`, `limit: 5`.
fn compile(url: &str, promql: &str, wants: &[&str]) -> Compiled {
    let declared = if url.is_empty() { "{}".to_owned() } else { format!("{{ prometheus: {{ url: \"{url}\" }} }}") };
    compile_with(&declared, promql, wants)
}

/// Compiles `promql:` with these `sources:`.
fn compile_with(declared: &str, promql: &str, wants: &[&str]) -> Compiled {
    compile_beside(declared, promql, wants, None)
}

/// Compiles `promql:` in a checklist with a soak, with what is asked along.
fn compile_beside(declared: &str, promql: &str, wants: &[&str], along: Option<Along>) -> Compiled {
    let inputs = serde_json::json!({ "inputs": { "variant": "canary", "limit": 5 } });
    let serde_json::Value::Object(roots) = inputs else { panic!("a map") };
    let scope = Scope::new(roots);
    let indented = promql.replace('\n', "\n  ");
    let text = format!("sources: {declared}\npromql: {indented}\n");
    let mut map = SourceMap::new();
    let file = map.add("checklist.yaml", text);
    let mut diagnostics = Diagnostics::new();
    let root = holdpoint::yaml::parse(&mut map, file, &mut diagnostics).expect("valid YAML");
    let mut wanted = Wants::default();
    wants.iter().for_each(|name| wanted.add(MeasureName::parse(name)));
    let node = root.get("promql").expect("a probe");
    let declared = root.get("sources").expect("sources");
    let fits =
        shape::check(declared, &source::SHAPE, &mut diagnostics) && shape::check(node, &KIND.shape, &mut diagnostics);
    assert!(fits, "{diagnostics:?}");
    let mut reading = Reading::new(&map, &mut diagnostics, &scope);
    let sources = Sources::compile(&mut reading, declared);
    let timeout = Duration::from_secs(10);
    let mut compiling = Compiling {
        reading: &mut reading,
        wants: &wanted,
        sources: &sources,
        source: None,
        default_source: None,
        timeout,
        ignore: &[],
        soak: along.is_some(),
        along,
    };
    let probe = (KIND.compile)(&mut compiling, node);
    let said =
        diagnostics.iter().map(|d| (d.code, d.message.clone(), map.slice(d.labels[0].span).to_owned())).collect();
    Compiled { probe, sources, scope, said }
}

async fn observe(url: &str, promql: &str, wants: &[&str]) -> Observation {
    look(compile(url, promql, wants), Duration::from_secs(10)).await
}

async fn look(compiled: Compiled, timeout: Duration) -> Observation {
    let world = World::real();
    let look = moment(&compiled, &world, timeout);
    let probe = compiled.probe.as_ref().unwrap_or_else(|| panic!("{:?}", compiled.said));
    probe.observe(&look).await
}

/// A look that happens now.
fn moment<'a>(compiled: &'a Compiled, world: &'a World, timeout: Duration) -> Look<'a> {
    Look {
        world,
        scope: &compiled.scope,
        sources: &compiled.sources,
        timeout,
        run_started: DateTime::UNIX_EPOCH,
        as_of: None,
        soak: None,
        archive: None,
    }
}

async fn measures(url: &str, promql: &str, wants: &[&str]) -> Measures {
    match observe(url, promql, wants).await.found {
        Found::Measures(measures) => measures,
        other => panic!("{promql}: {other:?}"),
    }
}

fn at_end(query: &str) -> String {
    format!("{{ query: '{query}', at: {END} }}")
}

/// The value of a measure in words: numbers in order, or the reason why there are none.
fn words(measures: &Measures, name: &str) -> String {
    match measures.get(&MeasureName::parse(name)) {
        Some(Value::Number(n)) => format!("{n}"),
        Some(Value::Series(samples)) => {
            let mut numbers: Vec<f64> = samples.iter().map(|s| s.value).collect();
            numbers.sort_by(f64::total_cmp);
            numbers.iter().map(|n| format!("{n}")).collect::<Vec<_>>().join(" ")
        }
        Some(Value::NoData(why) | Value::Missing(why)) => why.clone(),
        Some(Value::Set(words)) => words.join(" "),
        other => format!("{other:?}"),
    }
}

/// An hour of two counters, one of which stops half-way, and a gauge that is always 0.
fn recorded() -> String {
    let mut text = String::from("# TYPE requests counter\n");
    for (variant, until) in [("production", 60), ("test", 60), ("retired", 30)] {
        for minute in 0..=until {
            let at = END - 3600 + minute * 60;
            text.push_str(&format!("requests_total{{variant=\"{variant}\"}} {} {at}\n", minute * 6));
        }
    }
    text.push_str("# TYPE level gauge\n");
    for minute in 0..=60 {
        text.push_str(&format!(
            "level {} {}\n",
            if minute < 30 { minute } else { 60 - minute },
            END - 3600 + minute * 60
        ));
    }
    text.push_str("# TYPE idle gauge\n");
    for minute in 0..=60 {
        text.push_str(&format!("idle 0 {}\n", END - 3600 + minute * 60));
    }
    text.push_str("# TYPE gone gauge\n");
    for minute in 0..=10 {
        text.push_str(&format!("gone 1 {}\n", END - 3600 + minute * 60));
    }
    text.push_str("# EOF\n");
    text
}

#[tokio::test]
async fn a_real_prometheus_is_asked() {
    let server = Prometheus::start(&recorded(), &[]);
    let url = server.url();
    values(&url).await;
    comparisons(&url).await;
    nothing_found(&url).await;
    ranges(&url).await;
    the_past(&url).await;
    baselines(&url).await;
    refusals(&url).await;
}

async fn values(url: &str) {
    let m = measures(url, &at_end("requests_total"), &["labels[variant]", "labels[nope]", "age"]).await;
    assert_eq!(words(&m, "value"), "360 360");
    assert_eq!(words(&m, "series"), "2");
    assert_eq!(words(&m, "labels[variant]"), "production test");
    assert!(matches!(m.get(&MeasureName::parse("labels[nope]")), Some(Value::Missing(_))));
    assert_eq!(words(&m, "age"), "0 0");
    let later = format!("{{ query: level, at: {} }}", END + 90);
    assert_eq!(words(&measures(url, &later, &["age"]).await, "age"), "90");
    assert!(words(&measures(url, &at_end("level * 2"), &["age"]).await, "age").contains("plain selector"));
    assert_eq!(words(&measures(url, &at_end("1 / 4"), &[]).await, "value"), "0.25");
    assert_eq!(words(&measures(url, &at_end("scalar(gone)"), &[]).await, "value"), "NaN");
    assert_eq!(words(&measures(url, &at_end("vector(1) / 0"), &[]).await, "value"), "inf");
    let seen = observe(url, &at_end("requests_total{variant=\"{{ inputs.variant }}\"}"), &[]).await;
    assert_eq!(seen.request, "requests_total{variant=\"canary\"}");
    let through = seen.through.unwrap_or_default();
    assert!(through.starts_with(&format!("prometheus at {url} (")) && through.contains('.'), "{through}");
}

async fn comparisons(url: &str) {
    // False is a number, not the absence of one.
    let m = measures(url, &at_end("level > 100"), &[]).await;
    assert_eq!((words(&m, "value"), words(&m, "series")), ("0".into(), "1".into()));
    let seen = observe(url, &at_end("100 > level"), &[]).await;
    assert_eq!(seen.request, "level");
    // A comparison of two vectors stays whole; what is false there is gone.
    let why = words(&measures(url, &at_end("level > idle"), &[]).await, "value");
    assert!(why.contains("a comparison in it is true for none"), "{why}");
}

async fn nothing_found(url: &str) {
    for (query, reason) in [
        ("sum(rate(requests_totl[5m]))", "the metric requests_totl has never existed here"),
        ("gone + 1", "the metric gone stopped at 2024-01-01 11:10 UTC, 50m before"),
        (
            "rate(requests_total{variant=\"canary\"}[5m])",
            "label variant of requests_total has the values production, test, but not canary",
        ),
        ("requests_total{variant=~\"can.*\"}", "none of which is =~ \"can.*\""),
        ("requests_total{pod=\"a\"}", "the series of requests_total have no label pod"),
        ("requests_total{variant=\"retired\"}", "stopped at 2024-01-01 11:30 UTC, 30m before"),
        ("{job=\"nothing\"}", "no series matches {job=\"nothing\"}"),
        ("idle / idle", "0/0, both sides of the division are zero"),
        ("sum(idle) / sum(rate(idle[5m]))", "0/0"),
        ("requests_total and idle", "they do not match each other"),
    ] {
        let m = measures(url, &at_end(query), &[]).await;
        assert!(matches!(m.get(&MeasureName::plain("value")), Some(Value::NoData(_))), "{query}: {m:?}");
        let why = words(&m, "value");
        assert!(why.contains(reason), "{query}: {why}");
    }
    let m = measures(url, &at_end("gone"), &["labels[job]"]).await;
    assert_eq!((words(&m, "series"), words(&m, "labels[job]")), ("0".into(), "there are no series".into()));
}

async fn ranges(url: &str) {
    let level = format!("{{ query: level, at: {END}, range: {{ last: 30m, step: 1m }} }}");
    let m = measures(url, &level, &[]).await;
    for (name, value) in [
        ("min", "0"),
        ("max", "30"),
        ("avg", "15"),
        ("p50", "15"),
        ("first", "30"),
        ("last", "0"),
        ("delta", "-30"),
        ("samples", "31"),
        ("gaps", "0"),
        ("resets", "30"),
        ("age", "0"),
        ("series", "1"),
    ] {
        assert_eq!(words(&m, name), value, "{name}");
    }
    let slope: f64 = words(&m, "slope").parse().expect("a number");
    assert!((slope + 1.0 / 60.0).abs() < 1e-9, "{slope}");
    assert_eq!(words(&m, "value").split(' ').count(), 31);
    let gone = format!("{{ query: gone, at: {END}, range: {{ last: 1h, step: 1m }} }}");
    let m = measures(url, &gone, &[]).await;
    // Ten minutes of data, and the last value counts for less than five more.
    let gaps: f64 = words(&m, "gaps").parse().expect("a number");
    assert!((45.0..=46.0).contains(&gaps), "{gaps}");
    let never = format!("{{ query: never, at: {END}, range: {{ last: 1h, step: 1m }} }}");
    let m = measures(url, &never, &[]).await;
    assert!(words(&m, "max").contains("has never existed here"), "{}", words(&m, "max"));
    assert_eq!(words(&m, "series"), "0");
}

/// A time so many seconds before the end of what is recorded.
fn before_end(seconds: i64) -> Option<DateTime<chrono::Utc>> {
    DateTime::from_timestamp(END - seconds, 0)
}

async fn the_past(url: &str) {
    let world = World::real();
    let timeout = Duration::from_secs(10);
    let compiled = compile(url, "level", &[]);
    let probe = compiled.probe.as_ref().expect("a probe");
    assert!(probe.can_look_back());
    let look = Look { as_of: before_end(1800), ..moment(&compiled, &world, timeout) };
    let Found::Measures(then) = probe.observe(&look).await.found else { panic!("measured") };
    assert_eq!(words(&then, "value"), "30");
    let declared = format!("{{ prometheus: {{ url: \"{url}\" }} }}");
    let along = Along::Offset(Duration::from_secs(60));
    let compiled =
        compile_beside(&declared, "{ query: level, range: { last: soak, step: 1m } }", &["first", "last"], Some(along));
    let probe = compiled.probe.as_ref().unwrap_or_else(|| panic!("{:?}", compiled.said));
    let soak = before_end(1200).zip(before_end(0));
    // Half of the soak is over: it is looked at from its start until then.
    let look = Look { as_of: before_end(600), soak, ..moment(&compiled, &world, timeout) };
    let Found::Measures(half) = probe.observe(&look).await.found else { panic!("measured") };
    assert_eq!((words(&half, "first"), words(&half, "last")), ("20".into(), "10".into()));
    let look = Look { as_of: before_end(600), ..moment(&compiled, &world, timeout) };
    assert!(matches!(probe.observe(&look).await.found, Found::CouldNotLook { retry: false, .. }));
}

async fn baselines(url: &str) {
    let world = World::real();
    let declared = format!("{{ prometheus: {{ url: \"{url}\" }} }}");
    let query = |text: &str| Template::parse(text, Place::Promql).expect("a query");
    let hour_before = "the same query 30m earlier, 2024-01-01 11:30:00 UTC";
    let table = [
        (Along::Offset(Duration::from_secs(1800)), "180 180 180", hour_before),
        (Along::Query(query("level + {{ inputs.limit }}")), "5", "level + 5, 2024-01-01 12:00:00 UTC"),
        (Along::Query(query("gone")), "the metric gone stopped at", "gone, 2024-01-01 12:00:00 UTC"),
        (Along::Query(query("level + on () requests_total")), "could not compute", "level + on () requests_total"),
    ];
    for (along, value, origin) in table {
        let compiled = compile_beside(&declared, "requests_total", &["value"], Some(along));
        let probe = compiled.probe.as_ref().expect("a probe");
        assert!(probe.takes_along());
        let look = Look { as_of: before_end(0), ..moment(&compiled, &world, Duration::from_secs(10)) };
        let references = probe.along(&look).await;
        let [reference] = references.as_slice() else { panic!("{references:?}") };
        let measured: Measures = [(reference.measure.clone(), reference.value.clone())].into_iter().collect();
        assert!(words(&measured, "value").contains(value), "{reference:?}");
        assert_eq!((reference.name, reference.origin.as_str()), (Against::Baseline, origin));
    }
    let nothing = compile(url, "level", &["value"]);
    let look = moment(&nothing, &world, Duration::from_secs(10));
    assert!(nothing.probe.as_ref().expect("a probe").along(&look).await.is_empty());
}

async fn refusals(url: &str) {
    let many = format!("{{ query: requests_total, at: {END}, max_series: 1 }}");
    let cases = [(many, "more than max_series: 1"), (at_end("level + on () requests_total"), "could not compute")];
    for (promql, part) in cases {
        match observe(url, &promql, &[]).await.found {
            Found::CouldNotLook { cause, retry: false } => assert!(cause.contains(part), "{cause}"),
            other => panic!("{promql}: {other:?}"),
        }
    }
}

#[test]
fn a_comparison_in_the_query_is_an_expectation() {
    let url = "http://127.0.0.1:9";
    let implied = |promql: &str| match compile(url, promql, &[]).probe.and_then(|p| p.implied()) {
        Some(Expectation::Measure { matcher: Matcher::Compare(op, limit), .. }) => Some((op.sign(), limit.value)),
        _ => None,
    };
    assert_eq!(implied("time() - x < 120"), Some(("<", 120.0)));
    assert_eq!(implied("'x <= {{ inputs.limit }}'"), Some(("<=", 5.0)));
    assert_eq!(implied("'x{v=\"{{ inputs.variant }}\"} == 1'"), Some(("==", 1.0)));
    assert_eq!(implied("'x < {{ captured.limit }}'"), None);
    assert_eq!(implied("x > bool 1"), None);
    let described = compile(url, "time() - x < 120", &[]).probe.map(|p| p.describe());
    assert_eq!(described.as_deref(), Some("asks prometheus for time() - x < 120"));
    let any = compile(url, "{ query: x, series_policy: any }", &[]).probe;
    assert_eq!(any.map(|p| p.series_any()), Some(true));
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    let url = "http://127.0.0.1:9";
    for (promql, code, place) in [
        ("hisogram_quantile(0.9, x)", "bad-promql", "hisogram_quantile"),
        ("|\n  sum(\n    rate(x)\n  )", "bad-promql", "rate(x)"),
        ("x[5m]", "bad-promql", "x[5m]"),
        ("'sum(x{v=\"{{ inputs.variant }}\"}'", "bad-promql", "("),
        ("'x{status=\"5..\"}'", "odd-promql", "5.."),
        ("{ query: x, source: nowhere }", "unknown-source", "nowhere"),
        ("{ query: x, range: { last: soak } }", "bad-value", "soak"),
        ("{ query: x, range: { last: 30d, step: 1m } }", "bad-value", "1m"),
    ] {
        let said = compile(url, promql, &[]).said;
        assert_eq!(said.iter().map(|s| (s.0, s.2.as_str())).collect::<Vec<_>>(), [(code, place)], "{promql}: {said:?}");
    }
    assert_eq!(compile(url, "x", &["slope"]).said[0].0, "expect-unknown-measure");
    assert_eq!(compile("", "x", &[]).said[0].0, "no-source");
}

/// Answers every request with the same bytes until it is dropped.
struct Fake {
    url: String,
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<String>>,
}

impl Fake {
    fn start(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let over = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(Mutex::new(String::new()));
        let (stop, answer, log) = (Arc::clone(&over), answer.to_owned(), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let mut seen = Vec::new();
                let mut block = [0; 4096];
                while !whole(&seen) {
                    match stream.read(&mut block) {
                        Ok(0) | Err(_) => break,
                        Ok(n) => seen.extend_from_slice(&block[..n]),
                    }
                }
                log.lock().expect("a log").push_str(&String::from_utf8_lossy(&seen));
                if answer.is_empty() {
                    // Says nothing until the other side gives up.
                    let _ = stream.read(&mut block);
                }
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url: format!("http://{address}"), over, seen: requests }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = std::net::TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

/// Tells whether head and body of a request are there.
fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    body.len() >= length.and_then(|l| l.parse().ok()).unwrap_or(0)
}

fn answer(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_and_never_a_number() {
    let json = "application/json";
    let error = r#"{"status":"error","errorType":"execution","error":"boom"}"#;
    let cut = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"va"#;
    let histogram =
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#;
    let broken = answer("200 OK", json, cut).replace("content-length: ", "content-length: 9");
    for (answer, retry, part) in [
        (answer("503 Service Unavailable", json, error), true, "answered 503: execution: boom"),
        (answer("502 Bad Gateway", "text/html", "<html>"), true, "answered 502"),
        (answer("200 OK", json, error), true, "with an error: execution: boom"),
        (answer("422 Unprocessable Entity", json, error), false, "could not compute the query: execution: boom"),
        (answer("400 Bad Request", json, error), false, "refused the query: execution: boom"),
        (answer("200 OK", "text/html", "<html><body>Login"), false, "is this the address of a Prometheus?"),
        (answer("200 OK", "text/plain", "hello"), false, "is this the address of a Prometheus?"),
        (answer("401 Unauthorized", "text/plain", ""), false, "access is denied"),
        (answer("404 Not Found", "text/plain", ""), false, "path prefix"),
        (answer("200 OK", json, cut), true, "breaks off after"),
        (answer("200 OK", json, ""), true, "breaks off after 0 bytes"),
        (broken, true, "broke off"),
        (answer("200 OK", json, histogram), false, "native histograms"),
        ("\0\0garbage".to_owned(), true, "does not answer"),
    ] {
        let fake = Fake::start(&answer);
        match observe(&fake.url, "up", &[]).await.found {
            Found::CouldNotLook { cause, retry: again } => {
                assert!(cause.contains(part), "{answer}: {cause}");
                assert_eq!(again, retry, "{cause}");
            }
            other => panic!("{answer}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn nobody_there_is_an_error_too() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("an address");
    match observe(&format!("http://{free}"), "up", &[]).await.found {
        Found::CouldNotLook { cause, retry: true } => assert!(cause.contains("does not answer"), "{cause}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn infos_of_the_server_become_notes_and_a_partial_answer_is_none() {
    let body = |words: &str| {
        let data = r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]}"#;
        format!(r#"{{"status":"success","data":{data},{words}}}"#)
    };
    let informed = body(r#""infos":["metric might not be a counter"]"#);
    let fake = Fake::start(&answer("200 OK", "application/json", &informed));
    let notes = observe(&fake.url, "up", &[]).await.notes;
    let texts: Vec<_> = notes.iter().map(|n| n.text.as_str()).collect();
    assert_eq!(texts, ["metric might not be a counter"]);
    for (warnings, again) in [(r#"["a store is away","another"]"#, true), (r#"["PromQL warning: mixed"]"#, false)] {
        let fake = Fake::start(&answer("200 OK", "application/json", &body(&format!(r#""warnings":{warnings}"#))));
        let found = observe(&fake.url, "up", &[]).await.found;
        let Found::CouldNotLook { cause, retry } = found else { panic!("{found:?}") };
        assert!(cause.starts_with("the server says that the answer may be incomplete: "), "{cause}");
        assert_eq!(retry, again, "{cause}");
    }
}

#[tokio::test]
async fn credentials_are_sent_and_not_shown() {
    let body = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#;
    let fake = Fake::start(&answer("200 OK", "application/json", body));
    for (auth, header) in [
        ("bearer: \"t-{{ inputs.limit }}\"", "authorization: bearer t-5"),
        ("basic: { user: u, password: p }", "authorization: basic dtpw"),
        ("headers: { X-Scope-OrgID: team }", "x-scope-orgid: team"),
    ] {
        let declared = format!("{{ prometheus: {{ url: \"{}\", {auth} }} }}", fake.url);
        let seen = look(compile_with(&declared, "up", &[]), Duration::from_secs(10)).await;
        assert!(matches!(seen.found, Found::Measures(_)), "{seen:?}");
        let requests = std::mem::take(&mut *fake.seen.lock().expect("a log")).to_ascii_lowercase();
        assert!(requests.contains(header), "{requests}");
        assert!(requests.contains("post /api/v1/query http") && requests.contains("query=up&timeout="), "{requests}");
        assert!(!format!("{seen:?}").contains("t-5"), "{seen:?}");
    }
}

#[tokio::test]
async fn silence_ends_with_the_time_of_the_look() {
    let fake = Fake::start("");
    let began = std::time::Instant::now();
    let seen = look(compile(&fake.url, "up", &[]), Duration::from_millis(200)).await;
    assert!(matches!(seen.found, Found::CouldNotLook { retry: true, .. }), "{seen:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn only_what_is_wanted_of_a_range_is_taken() {
    let body =
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[2,"3"]]}]}}"#;
    let fake = Fake::start(&answer("200 OK", "application/json", body));
    let m = measures(&fake.url, "{ query: x, range: { last: 1m, step: 1s } }", &["max"]).await;
    let names: Vec<String> = m.iter().map(|(name, _)| name.to_string()).collect();
    // The trend belongs to a level, so that somebody can say when it will cross its limit.
    assert_eq!(names, ["value", "age", "max", "last", "slope", "slope_low", "slope_high", "series"]);
    assert_eq!(words(&m, "max"), "3");
}
