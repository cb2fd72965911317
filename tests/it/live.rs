//! What is seen while a run goes on.

use std::io::Write;
use std::sync::{Arc, Mutex};

use holdpoint::event::{Event, EventKind, Look, Sink, StepResult};
use holdpoint::live::console::Console;
use holdpoint::live::lines::JsonLines;
use holdpoint::model::{Decision, Found, Measures, Observation, Outcome, Verdict};
use unicode_width::UnicodeWidthStr;

use crate::support::records::{self, at, finding};

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().expect("one thread"))).expect("UTF-8")
    }
}

fn event(seq: u64, kind: EventKind) -> Event {
    Event { seq, at: at(seq as i64), kind }
}

/// A run of one section that waits for a value, fails and is decided.
fn events() -> Vec<Event> {
    let record = records::mixed().record;
    let section = record.sections[1].outline.clone();
    let mut waits = records::step("Error rate stays below 5% \u{1b}[2J全角", "promql").outline;
    waits.section = section.id.clone();
    let step = waits.id.clone();
    let mut verdict = Verdict::of(Outcome::Pass, "");
    verdict.findings = vec![finding("value", "< 5%", "2.1%", Outcome::Pass)];
    let observation = Observation::new("rate(x)", Found::Measures(Measures::new()));
    let look = Look { n: 7, took_us: 10, ..Look::new(at(5), observation, verdict) };
    let result =
        StepResult { took_us: 3_000_000, looks: 7, ..StepResult::new(Outcome::Fail, "value rose to 9%\u{7}", at(4)) };
    let id = section.id.clone();
    vec![
        event(1, EventKind::RunStarted { run: record.run.clone(), header: Box::new(record.header.clone()) }),
        event(2, EventKind::Planned { section, steps: vec![waits] }),
        event(3, EventKind::SectionStarted { section: id.clone() }),
        event(4, EventKind::StepStarted { step: step.clone(), doing: String::new(), until: Some(at(3_604)) }),
        event(5, EventKind::Looked { step: step.clone(), look: Box::new(look) }),
        event(6, EventKind::StepFinished { step, result: Box::new(result) }),
        event(7, EventKind::SectionFinished { section: id }),
        event(8, EventKind::Decided { decision: Decision::NoGo, reasons: vec!["a step failed".into()] }),
        event(9, EventKind::RunFinished { took_ms: 9_000 }),
    ]
}

#[test]
fn a_log_gets_sections_failures_and_the_decision_alone() {
    let screen = Screen::default();
    let mut console = Console::new(Box::new(screen.clone()), false, 80, false);
    for event in events() {
        console.take(&[event]).expect("taken");
        console.tick(at(100));
    }
    let text = screen.take();
    let wanted = "Canary to production promotion  run 20260301-120000-abcd\n\
                  After the rollout\n  \
                  ✗ fail  Error rate stays below 5% ␛[2J全角: value rose to 9%␇  promotion.yaml:41\n\
                  NO-GO  a step failed\n";
    assert_eq!(text, wanted);
}

#[test]
fn a_terminal_shows_what_waits_with_its_value_and_limit_and_is_clean_at_the_end() {
    for width in [40, 80] {
        let screen = Screen::default();
        let mut console = Console::new(Box::new(screen.clone()), false, width, true);
        console.take(&events()[..5]).expect("taken");
        console.tick(at(194));
        let text = screen.take();
        let area: Vec<&str> = text.lines().collect();
        assert!(area[area.len() - 2..].iter().all(|l| l.width() < usize::from(width)), "{area:?}");
        let waits = area[area.len() - 2];
        assert!(waits.ends_with("3m10s of 1h"), "{waits}");
        assert!(width == 40 || waits.contains("2.1% < 5%  look 7, "), "{waits}");
        assert_eq!(area[area.len() - 1], "0/1  3m13s");

        console.tick(at(195));
        assert!(screen.take().starts_with("\u{1b}[2A\r\u{1b}[J"), "the area is redrawn in place");
        console.take(&events()[5..]).expect("taken");
        console.tick(at(196));
        let end = screen.take();
        assert!(
            end.ends_with("NO-GO  a step failed\n\r\u{1b}[J") || end.ends_with("NO-GO  a step failed\n"),
            "{end:?}"
        );
    }
}

#[test]
fn a_large_run_scrolls_by_only_what_did_not_pass() {
    let record = records::many(300).record;
    let section = &record.sections[0];
    let steps = section.steps.iter().map(|s| s.outline.clone()).collect();
    let mut events = vec![
        event(1, EventKind::RunStarted { run: record.run.clone(), header: Box::new(record.header.clone()) }),
        event(2, EventKind::Planned { section: section.outline.clone(), steps }),
    ];
    events.extend(section.steps.iter().zip(3..).map(|(step, seq)| {
        let result = Box::new(step.result.clone().expect("a result"));
        event(seq, EventKind::StepFinished { step: step.outline.id.clone(), result })
    }));
    let screen = Screen::default();
    let mut console = Console::new(Box::new(screen.clone()), true, 80, true);
    console.take(&events).expect("taken");
    console.tick(at(400));
    let text = screen.take();
    assert_eq!(text.matches("✗ fail").count(), 3);
    assert_eq!(text.matches("✓ pass").count(), 0);
    assert!(text.contains("300/300, 3 not well"), "{text}");
}

#[test]
fn json_lines_read_back_as_the_events_that_they_were() {
    let screen = Screen::default();
    JsonLines::new(Box::new(screen.clone())).take(&events()).expect("taken");
    let read: Vec<Event> = screen.take().lines().map(|l| serde_json::from_str(l).expect("one event a line")).collect();
    assert_eq!(read, events());
}
