//! The sources `scrape` and `recorded`: PromQL without a server. Good pages, bad pages, targets that go and come back,
//! and the same numbers as a real Prometheus that scrapes the same exporter.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::DateTime;
use holdpoint::checklist::reading::Reading;
use holdpoint::diag::{Diagnostics, SourceMap};
use holdpoint::model::{Found, MeasureName, Measures, Observation, Value};
use holdpoint::probe::{Compiling, Look, Probe, Wants, promql::KIND};
use holdpoint::source::Sources;
use holdpoint::sys::{Clock, World};
use holdpoint::template::Scope;

use crate::support::daemon::{free_port, get};
use crate::support::probing;
use crate::support::prometheus::Prometheus;
use crate::support::rogue::Rogue;

/// Sources, ready to be asked.
struct Asking {
    sources: Sources,
    map: SourceMap,
    world: World,
    scope: Scope,
    timeout: Duration,
}

impl Asking {
    /// Declares `sources:`.
    fn new(declared: &str) -> Self {
        let (asking, said) = Self::declare(declared);
        assert!(said.is_empty(), "{said:?}");
        asking
    }

    fn declare(declared: &str) -> (Self, Vec<String>) {
        let scope = Scope::default();
        let (sources, said) = probing::declare(declared, &scope);
        let (map, world) = (SourceMap::new(), World::real());
        (Self { sources, map, world, scope, timeout: Duration::from_secs(10) }, said)
    }

    /// Gives each look so much time.
    fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets time be made up.
    fn on_a_made_up_clock(mut self) -> Self {
        self.world.clock = Clock::manual(DateTime::from_timestamp(1_700_000_000, 0).expect("a time"));
        self
    }

    fn compile(&mut self, promql: &str, wants: &[&str]) -> Result<Box<dyn Probe>, Vec<String>> {
        let mut diagnostics = Diagnostics::new();
        let file = self.map.add("step.yaml", promql);
        let node = holdpoint::yaml::parse(&mut self.map, file, &mut diagnostics).expect("valid YAML");
        let mut wanted = Wants::default();
        wants.iter().for_each(|name| wanted.add(MeasureName::parse(name)));
        let mut reading = Reading::new(&self.map, &mut diagnostics, &self.scope);
        let mut compiling = Compiling {
            reading: &mut reading,
            wants: &wanted,
            sources: &self.sources,
            source: None,
            default_source: None,
            timeout: self.timeout,
            ignore: &[],
            along: None,
            soak: false,
        };
        let probe = (KIND.compile)(&mut compiling, &node);
        probe.ok_or_else(|| diagnostics.iter().map(|d| format!("{}: {}", d.code, d.message)).collect())
    }

    async fn look(&mut self, promql: &str) -> Observation {
        self.look_for(promql, &[]).await
    }

    async fn look_for(&mut self, promql: &str, wants: &[&str]) -> Observation {
        let probe = self.compile(promql, wants).unwrap_or_else(|said| panic!("{promql}: {said:?}"));
        let look = Look {
            world: &self.world,
            scope: &self.scope,
            sources: &self.sources,
            timeout: self.timeout,
            run_started: DateTime::UNIX_EPOCH,
            as_of: None,
            soak: None,
            archive: None,
        };
        let clock = self.world.clock.clone();
        tokio::select! {
            observation = probe.observe(&look) => observation,
            () = clock.drive() => unreachable!("the clock never stops"),
        }
    }

    /// Asks, and says in one line what came of it.
    async fn said(&mut self, promql: &str) -> String {
        said(&self.look(promql).await)
    }

    /// Asks until the answer is as wished, for up to twenty seconds.
    async fn until(&mut self, promql: &str, wished: impl Fn(&str) -> bool) -> String {
        let begun = std::time::Instant::now();
        loop {
            let said = self.said(promql).await;
            if wished(&said) {
                return said;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{promql}: {said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Says what a look came to: its values in order, or why there is none.
fn said(observation: &Observation) -> String {
    match &observation.found {
        Found::Measures(measures) => words(measures),
        Found::NotEnough { cause } => format!("not enough: {cause}"),
        Found::CouldNotLook { cause, .. } => format!("could not look: {cause}"),
        other => panic!("{other:?}"),
    }
}

fn words(measures: &Measures) -> String {
    match measures.get(&MeasureName::plain("value")) {
        Some(Value::Number(n)) => n.to_string(),
        Some(Value::Series(samples)) => {
            let mut all: Vec<String> = samples.iter().map(|s| s.value.to_string()).collect();
            all.sort();
            all.join(" ")
        }
        Some(Value::NoData(why)) => format!("no data: {why}"),
        other => panic!("{other:?}"),
    }
}

fn notes(observation: &Observation) -> String {
    observation.notes.iter().map(|note| note.text.clone()).collect::<Vec<_>>().join("\n")
}

/// An answer over HTTP with a page of metrics.
fn page(body: &str) -> Vec<u8> {
    answer("200 OK", "text/plain; version=0.0.4", body)
}

fn answer(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .into_bytes()
}

#[tokio::test]
async fn a_page_is_scraped_and_asked_about() {
    let service = Rogue::answering(page(
        "# TYPE a counter\na{x=\"1\",job=\"own\"} 3\na{x=\"2\"} 4\nnot_a_number NaN\nendless +Inf\n",
    ));
    let url = service.url("/metrics");
    let mut asking = Asking::new(&format!("app: {{ kind: scrape, url: '{url}', labels: {{ env: test }} }}\n"));
    assert_eq!(asking.said("sum(a)").await, "7");
    assert_eq!(asking.said("up{job=\"app\"}").await, "1");
    assert_eq!(asking.said("a{exported_job=\"own\",env=\"test\"}").await, "3");
    assert_eq!(asking.said(&format!("count(a{{instance=\"{}\"}})", service.address)).await, "2");
    assert_eq!(asking.said("scrape_samples_scraped - scrape_samples_post_metric_relabeling").await, "0");
    assert_eq!(asking.said("scrape_samples_scraped").await, "4");
    assert_eq!(asking.said("endless").await, "inf");
    assert!(asking.said("not_a_number").await.starts_with("no data: every value is NaN"));
    assert_eq!(asking.said("vector(2) + scalar(sum(a))").await, "9");
    let observation = asking.look("up").await;
    assert_eq!(observation.through.as_deref(), Some(format!("scrapes of {url} every 5s").as_str()));
    let asked = &service.asked()[0];
    assert!(asked.header("accept").is_some_and(|a| a.contains("openmetrics")));
    assert_eq!(asked.header("x-prometheus-scrape-timeout-seconds"), Some("5"));
}

#[tokio::test]
async fn what_is_not_there_is_explained_as_with_a_prometheus() {
    let service = Rogue::answering(page("requests{code=\"200\"} 1\nrequests{code=\"404\"} 1\n"));
    let mut asking = Asking::new(&format!("app: {{ kind: scrape, url: '{}' }}\n", service.url("/")));
    assert_eq!(asking.said("no_such").await, "no data: the metric no_such has never existed here");
    assert_eq!(
        asking.said("requests{code=\"500\"}").await,
        "no data: label code of requests has the values 200, 404, but not 500"
    );
    assert!(asking.said("requests > 5").await.starts_with("1 1"), "a comparison is taken apart");
    assert_eq!(asking.said("requests{zone=\"a\"}").await, "no data: the series of requests have no label zone");
}

#[tokio::test]
async fn a_query_waits_for_its_range_and_no_rate_is_wrong() {
    // Each scrape counts one more, and the clock jumps from scrape to scrape.
    let count = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&count);
    let service = Rogue::start(move |_, stream| {
        let n = counting.fetch_add(10, Ordering::SeqCst);
        let _ = stream.write_all(&page(&format!("c_total {n}\n")));
    });
    let declared = format!("app: {{ kind: scrape, url: '{}', every: 5s, keep: 1h }}\n", service.url("/"));
    let mut asking = Asking::new(&declared).on_a_made_up_clock().within(Duration::from_secs(2));
    assert_eq!(asking.said("irate(c_total[1m])").await, "10", "two samples are there at once");
    let early = asking.said("rate(c_total[5m])").await;
    assert!(early.starts_with("not enough: ") && early.contains("the query looks back 5m"), "{early}");
    assert!(early.contains("is scraped since 2023-11-14 22:13:20 UTC") && early.contains("later"), "{early}");
    let ranged = asking.look_for("{ query: c_total, range: { last: 10m, step: 5s } }", &["gaps", "delta"]).await;
    assert!(said(&ranged).contains("looks back 10m"), "{ranged:?}");
    let past = asking.said("c_total offset 1m").await;
    assert!(past.contains("looks back 1m"), "{past}");
    let fixed = asking.said("{ query: c_total, at: 1600000000 }").await;
    assert!(fixed.contains("looks back to 2020-09-13") && !fixed.contains("later"), "{fixed}");
    let mut patient = asking.within(Duration::from_secs(600));
    let rate: f64 = patient.said("rate(c_total[5m])").await.parse().expect("a number");
    assert!((rate - 2.0).abs() < 0.05, "{rate}");
    let waited = patient.world.clock.elapsed();
    assert!((290..=310).contains(&waited.as_secs()), "{waited:?}");
    let ranged = patient.look_for("{ query: c_total, range: { last: 10m, step: 5s } }", &["gaps", "slope"]).await;
    let Found::Measures(measures) = &ranged.found else { panic!("{ranged:?}") };
    let Some(Value::Series(slope)) = measures.get(&MeasureName::plain("slope")) else { panic!("{measures:?}") };
    assert!((slope[0].value - 2.0).abs() < 0.05, "{slope:?}");
    assert!(patient.said("deriv(c_total[1m] offset 5m)").await.parse::<f64>().is_ok());
}

#[tokio::test]
async fn a_query_that_looks_back_further_than_is_kept_is_a_mistake() {
    let (mut asking, said) = Asking::declare("app: { kind: scrape, url: 'http://127.0.0.1:9', keep: 10m }\n");
    assert!(said.is_empty(), "{said:?}");
    for (query, fits) in [
        ("rate(x[10m])", true),
        ("rate(x[5m] offset 6m)", false),
        ("{ query: 'rate(x[5m])', range: { last: 6m } }", false),
    ] {
        match asking.compile(query, &[]) {
            Ok(_) => assert!(fits, "{query}"),
            Err(said) => assert!(!fits && said[0].starts_with("beyond-keep: the query looks back 11m"), "{said:?}"),
        }
    }
}

#[tokio::test]
async fn bad_pages_are_not_taken_and_named() {
    let exploding: String = (0..500).map(|n| format!("x{{id=\"{n}\"}} 1\n")).collect();
    let large = format!("x 1\n# {}\n", "y".repeat(20_000));
    for (bytes, part) in [
        (page("a 1\nb 2"), "the page is malformed, line 2: the page ends in the middle of this line"),
        (page("a 1\nb{x=\"1\" 2\n"), "line 2: two labels must be separated by a comma"),
        (page("a 1\na{x=\"1\",x=\"2\"} 2\n"), "line 2: the label x comes twice"),
        (answer("200 OK", "application/openmetrics-text", "a 1\n"), "the page ends without `# EOF`: it is cut off"),
        (answer("200 OK", "text/html", "<html>"), "the content type is \"text/html\""),
        (answer("200 OK", "application/json", "{}"), "the content type is \"application/json\""),
        (answer("503 Service Unavailable", "text/plain", "a 1\n"), "it answered 503"),
        (page(&exploding), "the page has too many series"),
        (page(&large), "the page is larger than max_body: 10KiB"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\na 1\n".to_vec(), "the page broke off"),
    ] {
        let service = Rogue::answering(bytes);
        let url = service.url("/metrics");
        let options = "max_series: 100, max_body: 10KiB, every: 5s";
        let mut asking = Asking::new(&format!("app: {{ kind: scrape, url: '{url}', {options} }}\n"));
        let up = asking.look("up").await;
        assert_eq!(said(&up), "0", "{part}");
        assert!(notes(&up).contains(&format!("{url} could not be scraped: ")) && notes(&up).contains(part), "{up:?}");
        let nothing = asking.said("a").await;
        assert!(nothing.starts_with("could not look: ") && nothing.contains(part), "{nothing}");
    }
}

#[tokio::test]
async fn a_page_that_comes_too_slowly_is_no_page() {
    let service = Rogue::start(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        for _ in 0..100 {
            if stream.write_all(b"a 1\n").is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let mut asking =
        Asking::new(&format!("app: {{ kind: scrape, url: '{}', timeout: 300ms }}\n", service.url("/metrics")));
    let up = asking.look("up").await;
    assert_eq!(said(&up), "0");
    assert!(notes(&up).contains("the page broke off"), "{}", notes(&up));
    assert!(asking.said("scrape_duration_seconds > 0.2").await.parse::<f64>().is_ok());
}

#[tokio::test]
async fn samples_that_prometheus_would_drop_are_dropped_and_said() {
    let now = chrono::Utc::now().timestamp_millis();
    let body = format!(
        "a{{x=\"1\",y=\"2\"}} 1\na{{y=\"2\",x=\"1\"}} 2\nold 1 {}\nahead 1 {}\nrecent 1 {}\n",
        now - 3_600_000,
        now + 3_600_000,
        now - 60_000
    );
    let service = Rogue::answering(page(&body));
    let mut asking =
        Asking::new(&format!("app: {{ kind: scrape, url: '{}', every: 100s, keep: 10m }}\n", service.url("/")));
    let seen = asking.look("a").await;
    assert_eq!(said(&seen), "1", "the first of two counts");
    let notes = notes(&seen);
    assert!(notes.contains("3 samples of ") && notes.contains("1 with another value at the same time"), "{notes}");
    assert!(notes.contains("1 older than what is kept") && notes.contains("1 more than 10m ahead"), "{notes}");
    assert!(asking.said("old").await.starts_with("no data") && asking.said("ahead").await.starts_with("no data"));
    assert_eq!(asking.said("recent").await, "1");
}

#[tokio::test]
async fn a_target_may_go_away_and_come_back() {
    let away = Arc::new(AtomicU64::new(0));
    let state = Arc::clone(&away);
    let service = Rogue::start(move |_, stream| {
        let bytes = match state.load(Ordering::SeqCst) {
            0 => page("a 1\nb 1\n"),
            1 => answer("500 Internal Server Error", "text/plain", ""),
            _ => page("a 5\n"),
        };
        let _ = stream.write_all(&bytes);
    });
    let mut asking =
        Asking::new(&format!("app: {{ kind: scrape, url: '{}', every: 100ms, timeout: 5s }}\n", service.url("/m")));
    assert_eq!(asking.said("a + b").await, "2");
    // Both are there for a few scrapes: what was there for less than one is not remembered.
    asking.until("count_over_time(b[3s]) > 8", |count| count.parse::<f64>().is_ok()).await;
    away.store(1, Ordering::SeqCst);
    asking.until("up", |up| up == "0").await;
    let gone = asking.said("a").await;
    assert!(gone.starts_with("could not look: ") && gone.contains("it answered 500"), "{gone}");
    away.store(2, Ordering::SeqCst);
    asking.until("a", |a| a == "5").await;
    assert_eq!(asking.said("up").await, "1");
    asking.until("b", |b| b.starts_with("no data: the metric b stopped at ")).await;
    // Its series goes on: `up` is one.
    assert_eq!(asking.said("count(count_over_time(up[3s]))").await, "1");
}

#[tokio::test]
async fn several_targets_are_one_source() {
    let (one, two) = (Rogue::answering(page("a 1\n")), Rogue::answering(page("a 2\n")));
    let declared = format!(
        "app: {{ kind: scrape, job: web, urls: ['{}', '{}', 'http://127.0.0.1:{}/metrics'] }}\n",
        one.url("/metrics"),
        two.url("/metrics"),
        free_port()
    );
    let mut asking = Asking::new(&declared);
    assert_eq!(asking.said("sum(a{job=\"web\"})").await, "3");
    let up = asking.look("up").await;
    assert_eq!(said(&up), "0 1 1");
    assert!(notes(&up).contains("could not be scraped: ") && notes(&up).contains("refused"), "{}", notes(&up));
    assert_eq!(up.through.as_deref(), Some("scrapes of 3 targets every 5s"));
    let same = format!("app: {{ kind: scrape, urls: ['{}', '{}'] }}\n", one.url("/a"), one.url("/b?c=d"));
    let mut asking = Asking::new(&same);
    let instance = |path: &str| format!("a{{instance=\"{}{path}\"}}", one.address);
    assert_eq!((asking.said(&instance("/a")).await, asking.said(&instance("/b?c=d")).await), ("1".into(), "1".into()));
}

#[tokio::test]
async fn scraping_begins_with_the_run_and_ends_with_it() {
    let service = Rogue::answering(page("a 1\n"));
    let asking = Asking::new(&format!("app: {{ kind: scrape, url: '{}', every: 100ms }}\n", service.url("/")));
    asking.sources.begin("app", &asking.world, &asking.scope);
    asking.sources.begin("app", &asking.world, &asking.scope);
    while service.asked().len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    asking.sources.end();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let count = service.asked().len();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(service.asked().len(), count);
}

#[tokio::test]
async fn credentials_and_headers_go_along() {
    let service = Rogue::answering(page("a 1\n"));
    let declared = format!(
        "app: {{ kind: scrape, url: '{}', basic: {{ user: u, password: p }}, headers: {{ X-Tenant: t }} }}\n",
        service.url("/")
    );
    assert_eq!(Asking::new(&declared).said("a").await, "1");
    let asked = &service.asked()[0];
    assert_eq!((asked.header("authorization"), asked.header("x-tenant")), (Some("Basic dTpw"), Some("t")));
}

#[tokio::test]
async fn a_file_with_times_is_asked_about_at_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("record.prom");
    let lines: String = (0..=60).map(|n| format!("c_total{{job=\"x\"}} {} {}\n", n * 50, 1_000_000 + n * 5)).collect();
    std::fs::write(&file, format!("# TYPE c counter\n{lines}# EOF\n")).expect("written");
    let mut asking = Asking::new(&format!("prometheus: {{ kind: recorded, file: '{}' }}\n", file.display()));
    assert_eq!(asking.said("c_total{job=\"x\"}").await, "3000");
    assert_eq!(asking.said("rate(c_total[5m])").await, "10");
    assert_eq!(asking.said("time()").await, "1000300");
    let short = asking.said("rate(c_total[10m])").await;
    assert!(short.starts_with("not enough: the samples in ") && short.contains("looks back 10m"), "{short}");
    assert_eq!(asking.said("{ query: c_total, at: 1000100 }").await, "1000");
    assert!(asking.said("no_such").await.ends_with("has never existed here"));
    let at = format!("prometheus: {{ kind: recorded, file: '{}', at: '1000150', job: y }}\n", file.display());
    assert_eq!(Asking::new(&at).said("c_total{job=\"x\"}").await, "1500", "what the file says of its job stays");
}

#[tokio::test]
async fn a_folder_of_pages_is_as_if_they_were_scraped() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    put("README.md", "not a page");
    for n in 0..=12 {
        let more = if n < 6 { "gone 1\n" } else { "" };
        put(&format!("orders-{}.prom", 1_700_000_000 + n * 10), &format!("c_total {}\n{more}", n * 20));
    }
    let declared = format!("orders: {{ kind: recorded, folder: '{}' }}\n", folder.path().display());
    let mut asking = Asking::new(&declared);
    assert_eq!(asking.said("rate(c_total{job=\"orders\"}[2m])").await, "2");
    assert_eq!(asking.said("up").await, "1");
    let gone = asking.said("gone").await;
    assert_eq!(gone, "no data: the metric gone stopped at 2023-11-14 22:14 UTC, 1m10s before");
    put("1700000010.prom", "c_total 1\n");
    let twice = Asking::new(&declared).said("up").await;
    assert!(twice.contains("are of the same time"), "{twice}");
    std::fs::remove_file(folder.path().join("1700000010.prom")).expect("removed");
    put("before.prom", "c_total 1\n");
    let nameless = Asking::new(&declared).said("up").await;
    assert!(nameless.contains("tells no time"), "{nameless}");
}

#[tokio::test]
async fn records_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("cut.prom"), "a 1 1000\nb 2").expect("written");
    std::fs::write(at("timeless.prom"), "a 1\n").expect("written");
    std::fs::write(at("empty.prom"), "").expect("written");
    for (name, part) in [
        ("nowhere.prom", "cannot be read"),
        ("cut.prom", "line 2: the page ends in the middle of this line"),
        ("timeless.prom", "line 1: the sample has no timestamp; give `at`"),
        ("empty.prom", "there is no sample in"),
    ] {
        let mut asking = Asking::new(&format!("r: {{ kind: recorded, file: '{}' }}\n", at(name)));
        let said = asking.said("a").await;
        assert!(said.starts_with("could not look: ") && said.contains(part) && said.contains(name), "{said}");
    }
    let mut asking = Asking::new(&format!("r: {{ kind: recorded, file: '{}', at: '5' }}\n", at("timeless.prom")));
    assert_eq!(asking.said("a").await, "1");
    let mut asking = Asking::new(&format!("r: {{ kind: recorded, folder: '{}' }}\n", at("nowhere")));
    assert!(asking.said("a").await.contains("cannot be read"));
}

#[test]
fn mistakes_in_declarations_are_said() {
    for (declared, expected) in [
        ("a: { kind: scrape }", "missing-key: a scrape source needs \"url\""),
        ("a: { kind: scrape, url: 'http://x', urls: ['http://y'] }", "bad-value: a source takes either url or urls"),
        ("a: { kind: scrape, urls: [] }", "missing-key: the list of urls is empty"),
        ("a: { kind: scrape, url: localhost }", "bad-url: "),
        ("a: { kind: scrape, url: 'http://x', every: 1ms }", "bad-value: every is at least 100ms"),
        ("a: { kind: scrape, url: 'http://x', every: 1m, keep: 1m }", "bad-value: keep must hold two scrapes"),
        ("a: { kind: scrape, url: 'http://x', folder: y }", "unknown-key: "),
        ("a: { kind: scrape, url: 'http://{{ captured.x }}' }", "bad-url: "),
        ("a: { kind: scrape, url: '{{ captured.x }}' }", "bad-template: this must be known before the run"),
        ("a: { kind: scrape, url: 'http://x', labels: { __name__: y } }", "bad-value: \"__name__\" is no name"),
        ("a: { kind: scrape, url: 'http://x', max_body: 1s }", "bad-quantity: this is not a size"),
        ("a: { kind: recorded }", "missing-key: a recorded source needs \"file\" or \"folder\""),
        ("a: { kind: recorded, file: x, folder: y }", "bad-value: a source takes either file or folder"),
        ("a: { kind: recorded, file: x, every: 5s }", "unknown-key: "),
    ] {
        let (_, said) = Asking::declare(&format!("{declared}\n"));
        let found = said.iter().any(|said| said.starts_with(expected));
        let literal_host = declared.contains("http://{{");
        assert!(found || (literal_host && said.iter().any(|s| s.starts_with("bad-template"))), "{declared}: {said:?}");
    }
}

/// How long the slowest tenth of the queries took that were answered before.
const HISTOGRAM: &str = "histogram_quantile(0.9, sum by (le) \
                         (prometheus_http_request_duration_seconds_bucket{handler=\"/api/v1/query\"}))";

/// A running node exporter.
struct Exporter(Child, u16);

impl Exporter {
    fn start() -> Self {
        for _ in 0..5 {
            let port = free_port();
            let child = Command::new("prometheus-node-exporter")
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("prometheus-node-exporter is installed");
            let exporter = Self(child, port);
            for _ in 0..200 {
                if get(port, "/metrics").is_some_and(|page| page.contains("node_cpu_seconds_total")) {
                    return exporter;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        panic!("the exporter does not answer");
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_exporter_gives_the_same_numbers_as_through_a_prometheus() {
    let exporter = Exporter::start();
    // A real histogram that stands still: the queries that this server answers before it is looked at.
    let asked = Prometheus::start("", &[]);
    for _ in 0..20 {
        asked.wait_until("vector(1)");
    }
    let targets = [format!("127.0.0.1:{}", exporter.1), asked.url().replace("http://", "")];
    let prometheus = Prometheus::start("", &targets);
    let declared = format!(
        "server: {{ kind: prometheus, url: '{}' }}\n\
         here: {{ kind: scrape, job: service, every: 1s, urls: ['http://{}/metrics', 'http://{}/metrics'] }}\n",
        prometheus.url(),
        targets[0],
        targets[1],
    );
    let mut asking = Asking::new(&declared).within(Duration::from_secs(30));
    asking.sources.begin("here", &asking.world, &asking.scope);
    prometheus.wait_until("min(count_over_time(up[1m])) >= 8");
    for (query, tolerance) in [
        ("up{job=\"service\"}", 0.0),
        ("count(node_cpu_seconds_total)", 0.0),
        ("count by (job, instance) (node_filesystem_size_bytes)", 0.0),
        ("node_memory_MemTotal_bytes", 0.0),
        ("sum(node_uname_info)", 0.0),
        ("sum(rate(node_cpu_seconds_total[5s]))", 0.15),
        ("sum(increase(node_cpu_seconds_total[5s]))", 0.15),
        ("rate(node_time_seconds[5s])", 0.05),
        ("changes(node_time_seconds[5s])", 0.3),
        ("count(count by (__name__) ({job=\"service\"}))", 0.0),
        (HISTOGRAM, 1e-9),
    ] {
        let ask = |source: &str| format!("{{ query: '{query}', source: {source} }}");
        let (theirs, ours) = (asking.said(&ask("server")).await, asking.said(&ask("here")).await);
        assert!(theirs.parse::<f64>().is_ok() || theirs.contains(' '), "{query}: {theirs}");
        assert!(near(&theirs, &ours, tolerance), "{query}: prometheus {theirs}, here {ours}");
    }
}

fn near(theirs: &str, ours: &str, tolerance: f64) -> bool {
    let read = |text: &str| text.split(' ').map(|n| n.parse().unwrap_or(f64::NAN)).collect::<Vec<f64>>();
    let (theirs, ours) = (read(theirs), read(ours));
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance * a.abs().max(b.abs());
    theirs.len() == ours.len() && theirs.iter().zip(&ours).all(close)
}
