//! A day of looks out of its store: read, verified, told and judged again.

use chrono::{DateTime, TimeDelta, Utc};
use holdpoint::event::{Event, EventKind, Look};
use holdpoint::judge::{self, Terms};
use holdpoint::model::outline::{Header, Part, SectionOutline, StepOutline};
use holdpoint::model::{Expectation, Found, Kind, Matcher, MeasureName, Measures, Observation, Op, Origin, Quantity};
use holdpoint::model::{RunId, Sample, SectionId, StepId, Unit, Value};
use holdpoint::record::store;

use super::Scale;
use crate::measure::{Line, folder, holdpoint, median, mib, ms, times, within};

const STEPS: u32 = 20;

/// Measures the record of a day: 20 queries, each looked at 4,320 times.
pub(crate) fn a_day(scale: Scale) -> Vec<Line> {
    let looks = if scale == Scale::Full { 504_000 } else { 86_400 };
    let here = folder();
    let path = here.path().join("day.db");
    keep(&path.display().to_string(), looks);
    let bytes = std::fs::metadata(&path).expect("a store").len();
    let work = |what: &str| format!("{what} of a run with {looks} recorded looks");
    let read = within(3, || drop(std::fs::read(&path).expect("a file")));
    let size = format!("{} MB, {} B a look", bytes / 1_000_000, bytes / u64::from(looks));
    let mut lines = vec![Line::alone(&work("store"), size, "goal 25 MB, 290 B a look")];
    for (what, command) in [("record", "show"), ("judging again", "verify")] {
        let ours = median(3, || {
            let mut program = holdpoint(here.path());
            program.args([command, "last", "--store", "day.db"]);
            program
        });
        let told = format!("{}, {}", ms(ours.wall), mib(ours.peak_kib));
        let ratio = format!("{} the time", times(ours.wall.as_secs_f64(), read.as_secs_f64()));
        lines.push(Line { work: work(what), ours: told, peer: format!("reading the file alone {}", ms(read)), ratio });
    }
    lines
}

fn keep(path: &str, looks: u32) {
    let run = RunId::new("20261120-000000-0001");
    let mut store = store::open(path).expect("a store");
    store.begin(&run).expect("a run");
    let start = DateTime::from_timestamp(1_790_000_000, 123_456_789).expect("a time");
    let steps: Vec<StepOutline> = (0..STEPS).map(outline).collect();
    let section = SectionOutline::new(SectionId::new("watch"), "Watch", Part::Section, origin());
    let begin = vec![
        EventKind::RunStarted { run: run.clone(), header: Box::new(Header::default()) },
        EventKind::Planned { section, steps: steps.clone() },
    ];
    let watched = (0..looks).map(|n| {
        let outline = &steps[(n % STEPS) as usize];
        let at = start + TimeDelta::milliseconds(i64::from(n) * 1000 + 1);
        EventKind::Looked { step: outline.id.clone(), look: Box::new(look(outline, n, at)) }
    });
    let mut recorder = holdpoint::record::Recorder::resume(store, run).expect("a recorder");
    let mut batch = Vec::new();
    for (seq, kind) in (1_u64..).zip(begin.into_iter().chain(watched)) {
        let at = start + TimeDelta::milliseconds(i64::try_from(seq).expect("a number") * 1000 + 42) + nanos(seq);
        batch.push(Event { seq, at, kind });
        if batch.len() == 500 || seq == u64::from(looks) + 2 {
            holdpoint::event::Sink::take(&mut recorder, &batch).expect("it is kept");
            batch.clear();
        }
    }
}

fn nanos(n: u64) -> TimeDelta {
    TimeDelta::nanoseconds(i64::try_from(n.wrapping_mul(2_654_435_761) % 1_000_000).expect("a number"))
}

fn origin() -> Origin {
    Origin { file: "day.yaml".into(), line: 7, column: 9 }
}

fn outline(n: u32) -> StepOutline {
    let step = StepId::new(format!("error-rate-of-service-{n}"));
    let expect = Expectation::Measure {
        name: MeasureName::plain("value"),
        kind: Kind::Quantity,
        matcher: Matcher::Compare(Op::Less, Quantity { value: 0.05, unit: Unit::Percent }),
        origin: origin(),
    };
    let window = "for 24h, every 20s".to_owned();
    let outline =
        StepOutline::new(step, format!("Error rate of service {n}"), SectionId::new("watch"), "promql", origin());
    StepOutline { expect: Some(expect), window, ..outline }
}

/// A look as a query of one series makes it.
fn look(outline: &StepOutline, n: u32, at: DateTime<Utc>) -> Look {
    let value = f64::from(n.wrapping_mul(2_654_435_761) % 50_000) / 1_000_003.0;
    let labels = [("service", outline.id.as_str()), ("region", "eu-central")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    let mut measures = Measures::new();
    measures.plain("value", Value::Series(vec![Sample { labels, value }]));
    let request =
        format!("sum by (service, region) (rate(http_requests_total{{code=~\"5..\",service=\"{}\"}}[5m]))", outline.id);
    let mut observation = Observation::new(request, Found::Measures(measures));
    observation.through = Some("prometheus at http://localhost:9090 (3.5.0)".to_owned());
    let terms = Terms { expect: outline.expect.as_ref(), ..Terms::default() };
    let verdict = judge::look(&observation, &terms);
    let at = at + nanos(n.into());
    Look { n: n / STEPS + 1, took_us: u64::from(800 + n % 977), ..Look::new(at, observation, verdict) }
}
