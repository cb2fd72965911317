//! Runs that are spread over hours: what the day's verdicts cost, what waiting costs, and a week of minutes.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use holdpoint::checklist::inputs::{self, Given};
use holdpoint::diag::{Diagnostics, SourceMap, Span};
use holdpoint::model::outline::Header;
use holdpoint::model::{Decision, Found, Measures, Observation, RunId, Value};
use holdpoint::plan::{self, Plan, Selection};
use holdpoint::probe::{Look, Probe};
use holdpoint::record::{Recorder, store};
use holdpoint::run::{Errand, Identity, Journal, Options};
use holdpoint::sys::{Clock, World};
use holdpoint::{checklist, record};
use tokio::sync::{mpsc, watch};

use super::http::nginx;
use super::prometheus::{QUERIES, recorded, support};
use super::{Scale, checklists};
use crate::measure::{Line, folder, holdpoint, median, mib, ms, present};

/// Measures all verdicts of a day: eight queries at each of six checkpoints and at the end, as of the day that is past.
pub(crate) fn verdicts(_scale: Scale) -> Vec<Line> {
    let work = "a 24-hour soak over a loaded Prometheus: 58 queries, as of the day that is past";
    if !present("prometheus") || !present("promtool") {
        return vec![Line::alone(work, "–".into(), "prometheus is not installed")];
    }
    let prometheus = support::Prometheus::start(&recorded(26 * 120, 30), &[]);
    QUERIES.iter().for_each(|query| prometheus.wait_until(query));
    let here = folder();
    let mut text = format!(
        "holdpoint: 1\nname: A day\nsources:\n  prometheus: {{ url: '{}' }}\nsoak: {{ for: 24h, every: 4h, grace: 10m }}\nsections:\n",
        prometheus.url()
    );
    let section = |text: &mut String, name: &str, at: &str, queries: &[String]| {
        let _ = writeln!(text, "- name: {name}\n  at: {at}\n  steps:");
        for (n, query) in queries.iter().enumerate() {
            let _ = writeln!(text, "  - {{ name: {name} {n}, promql: '{query}', expect: {{ value: exists }} }}");
        }
    };
    let each: Vec<String> = QUERIES.iter().map(|query| (*query).to_owned()).collect();
    section(&mut text, "Start", "start", &each[..1]);
    section(&mut text, "Look", "checkpoint", &each);
    let whole =
        ["max_over_time(process_memory_bytes[24h])", "count_over_time(up[24h])", "increase(requests_total[24h])"];
    let end: Vec<String> = each.into_iter().take(6).chain(whole.map(str::to_owned)).collect();
    section(&mut text, "End", "end", &end);
    std::fs::write(here.path().join("day.yaml"), text).expect("a checklist");
    let ours = median(3, || {
        let mut command = holdpoint(here.path());
        command.args(["run", "day.yaml", "--at", "1445m", "--jobs", "8"]);
        command
    });
    vec![Line::alone(work, format!("{}, {} CPU, {}", ms(ours.wall), ms(ours.cpu), mib(ours.peak_kib)), "goal 500 ms")]
}

/// Measures what it costs to watch twenty things each half minute.
pub(crate) fn idle(scale: Scale) -> Vec<Line> {
    let time = if scale == Scale::Full { Duration::from_secs(3600) } else { Duration::from_secs(60) };
    let Some(nginx) = nginx::Nginx::start("location = /health { default_type application/json; }") else {
        return vec![Line::alone("20 probes each 30 s", "–".into(), "nginx is not installed")];
    };
    nginx.put("health", "{}");
    let here = folder();
    checklists::write(&here.path().join("idle.yaml"), 20, |_| {
        format!("http: GET {}/health\nexpect: 200\nconsistently: {{ for: 2h, every: 30s }}", nginx.url)
    });
    let mut command = holdpoint(here.path());
    let mut child = quiet(command.args(["run", "idle.yaml"])).spawn().expect("it starts");
    std::thread::sleep(Duration::from_secs(5));
    let (begin, cpu, memory) = (Instant::now(), cpu_of(&child), memory_of(&child));
    std::thread::sleep(time);
    let (used, grown) = (cpu_of(&child) - cpu, memory_of(&child).saturating_sub(memory));
    let share = 100.0 * used.as_secs_f64() / begin.elapsed().as_secs_f64();
    let ours = format!("{share:.2} % of a core, {}, grown by {grown} KiB", mib(memory + grown));
    child.kill().expect("it is stopped");
    child.wait().expect("it is gone");
    vec![Line::alone(&format!("20 probes each 30 s, {} s of it", time.as_secs()), ours, "goal 0.3 %, memory flat")]
}

/// Measures a week of looking at fifty things each minute, on a made-up clock, recorded.
pub(crate) fn week(scale: Scale) -> Vec<Line> {
    let days = if scale == Scale::Full { 7 } else { 1 };
    let here = folder();
    let path = here.path().join("week.db");
    let begin = Instant::now();
    let (looks, memory) = a_week(days, &path.display().to_string());
    let took = begin.elapsed();
    let size = ["", "-wal"].iter().filter_map(|end| std::fs::metadata(format!("{}{end}", path.display())).ok());
    let bytes: u64 = size.map(|meta| meta.len()).sum();
    let ours = format!(
        "{:.1} s, {} B a look on disk, memory grown by {} KiB in the second half",
        took.as_secs_f64(),
        bytes / looks,
        memory
    );
    vec![Line::alone(
        &format!("{days} days, 50 steps each minute: {looks} looks, recorded"),
        ours,
        "goal seconds, flat",
    )]
}

/// Looks at a made-up number.
struct Gauge(u32);

#[async_trait::async_trait]
impl Probe for Gauge {
    fn describe(&self) -> String {
        format!("sum(rate(requests_total{{step=\"{}\"}}[5m]))", self.0)
    }

    fn needs(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let minute = look.world.clock.now().timestamp() / 60;
        let mut measures = Measures::new();
        measures.plain("exit_code", Value::Number(((minute * 7 + i64::from(self.0)) % 100) as f64 / 100.0));
        Observation::new(self.describe(), Found::Measures(measures))
    }
}

/// Runs so many days. Returns how many looks there were, and by how many KiB the memory grew in the second half.
fn a_week(days: u64, url: &str) -> (u64, u64) {
    let plan = Arc::new(plan_of(days));
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    let world = World { clock: clock.clone(), ..World::real() };
    let run = RunId::new("19700101-000000-0000");
    let soak = plan.soak.as_ref().map(|soak| soak.times);
    let header = Header { checklist: plan.head.clone(), soak, ..Header::default() };
    let recorder = Recorder::new(store::open(url).expect("a store"), run.clone()).expect("a run");
    let (journal, thread) = Journal::start(Box::new(recorder), Vec::new());
    let (_stop, stop) = watch::channel(None);
    let (_ask, inbox) = mpsc::unbounded_channel();
    let identity = Identity { run: run.clone(), header };
    let options = Options::default();
    let errand = Errand { plan, world, identity, options, journal, stop, inbox, taken_up: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let half = Duration::from_secs(days * 43_200);
    let ended = runtime.block_on(async {
        let mut middle = 0;
        let watch = async {
            clock.sleep(half).await;
            middle = memory_of_self();
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = holdpoint::run::run(errand) => ended,
            () = clock.drive() => unreachable!("the clock never stops"),
            () = watch => unreachable!("watching never ends"),
        };
        (ended, middle)
    });
    let (ended, middle) = ended;
    assert_eq!(ended.decision, Decision::Go, "{ended:?}");
    assert!(thread.join().expect("the journal ends").fault.is_none());
    let store = store::open(url).expect("a store");
    assert!(record::load(&*store, &run).is_ok(), "it is whole");
    (days * 1440 * 50, memory_of_self().saturating_sub(middle))
}

fn plan_of(days: u64) -> Plan {
    let mut text = format!(
        "holdpoint: 1\nname: A week\nsoak: {{ for: {days}d, every: 1m, grace: 10s }}\nsections:\n- name: Look\n  at: checkpoint\n  steps:\n"
    );
    for n in 0..50 {
        let _ = writeln!(text, "  - {{ name: Step {n}, exec: 'true', expect: '<= 1' }}");
    }
    let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let file = sources.add("week.yaml", text);
    let checklist = checklist::read(&mut sources, file, &mut diagnostics).expect("a checklist");
    let place = Span::new(file, 0, 0);
    let filled = inputs::fill(&checklist.inputs, &Given::default(), |_| None, true, place, &mut diagnostics);
    let all = Selection::new(&[], &[]).expect("everything");
    let mut plan = plan::build(checklist, filled, &all, Arc::new(sources), &mut diagnostics).expect("a plan");
    for (n, step) in (0..).zip(&mut plan.steps) {
        step.probe = Box::new(Gauge(n));
    }
    plan
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// Returns the CPU time of a process so far (proc_pid_stat(5): utime and stime, in hundredths).
fn cpu_of(child: &Child) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or_default();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn memory_of(child: &Child) -> u64 {
    resident(&format!("/proc/{}/status", child.id()))
}

fn memory_of_self() -> u64 {
    resident("/proc/self/status")
}

/// Returns the memory resident now, in KiB.
fn resident(path: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default()
}
