//! A run from its events to a file and back: what was recorded is what is read, or the damage is named.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::Cursor;

use chrono::{DateTime, TimeDelta, Utc};
use holdpoint::event::{
    Answer, Checkpoint, Event, EventKind, Observed, Release, SignDecision, Signature, Sink, StepResult,
};
use holdpoint::model::outline::{ChecklistHead, Header, Part, SectionOutline, Slot, StepOutline};
use holdpoint::model::{Decision, Origin, Outcome, RunId, SectionId, StepId};
use holdpoint::record::format::{FormatError, export, import, read_record};
use holdpoint::record::store::{memory, open};
use holdpoint::record::{Recorder, RunStore, append_answer, fold, load};

pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 123_456_789).unwrap()
}

fn origin() -> Origin {
    Origin { file: "staging.yaml".into(), line: 7, column: 3 }
}

fn header() -> Header {
    Header {
        tool: "0.1.0".into(),
        checklist: ChecklistHead { path: "staging.yaml".into(), name: "Staging".into(), ..ChecklistHead::default() },
        host: "here".into(),
        user: "alice".into(),
        ..Header::default()
    }
}

fn section(id: &str, part: Part) -> SectionOutline {
    SectionOutline::new(SectionId::new(id), id, part, origin())
}

fn step(section: &str, id: &str, probe: &str) -> StepOutline {
    StepOutline::new(
        StepId::new(id),
        format!("The step {id} \u{2028} \"quoted\""),
        SectionId::new(section),
        probe,
        origin(),
    )
}

fn finished(id: &str, outcome: Outcome) -> EventKind {
    let result = StepResult {
        took_us: 1500,
        looks: 1,
        captured: vec![("n".into(), serde_json::json!(0.1))],
        ..StepResult::new(outcome, "because\nof two lines", start())
    };
    EventKind::StepFinished { step: StepId::new(id), result: Box::new(result) }
}

fn numbered(kinds: Vec<EventKind>) -> Vec<Event> {
    let at = |seq: u64| start() + TimeDelta::milliseconds(i64::try_from(seq).unwrap());
    (1..).zip(kinds).map(|(seq, kind)| Event { seq, at: at(seq), kind }).collect()
}

/// A run of `steps` passing steps in one section, planned in pieces, a manual step that waits, and an action.
pub(crate) fn sample(run: &RunId, steps: usize) -> Vec<Event> {
    let ids: Vec<String> = (0..steps).map(|n| format!("s{n}")).collect();
    let mut kinds = vec![EventKind::RunStarted { run: run.clone(), header: Box::new(header()) }];
    kinds
        .push(EventKind::Planned { section: section("undo", Part::OnNoGo), steps: vec![step("undo", "back", "exec")] });
    for piece in ids.chunks(3) {
        let steps = piece.iter().map(|id| step("first", id, "http")).collect();
        kinds.push(EventKind::Planned { section: section("first", Part::Section), steps });
    }
    let ask = vec![step("first", "ask", "manual")];
    kinds.push(EventKind::Planned { section: section("first", Part::Section), steps: ask });
    kinds.push(EventKind::SectionStarted { section: SectionId::new("first") });
    kinds.extend(ids.iter().map(|id| finished(id, Outcome::Pass)));
    kinds.push(finished("ask", Outcome::Pending));
    kinds.push(EventKind::SectionFinished { section: SectionId::new("first") });
    kinds.push(EventKind::Decided { decision: Decision::Held, reasons: vec!["pending: ask".into()] });
    kinds.push(EventKind::RunFinished { took_ms: 12 });
    numbered(kinds)
}

fn stored(run: &RunId) -> Box<dyn RunStore> {
    let mut store = memory::open("").unwrap();
    store.begin(run).unwrap();
    store.append(run, &sample(run, 5)).unwrap();
    store
}

fn exported(run: &RunId) -> Vec<u8> {
    let mut file = Vec::new();
    export(&*stored(run), run, &mut file).unwrap();
    file
}

#[test]
fn a_record_tells_what_the_events_say() {
    let run = RunId::new("r1");
    let record = load(&*stored(&run), &run).unwrap();
    assert_eq!(record.header.checklist.name, "Staging");
    assert_eq!((record.started, record.took_ms), (start() + TimeDelta::milliseconds(1), Some(12)));
    let sections: Vec<_> = record.sections.iter().map(|s| (s.outline.id.as_str(), s.steps.len())).collect();
    assert_eq!(sections, [("first", 6), ("undo", 1)], "actions stand last");
    assert_eq!(record.sections[0].steps[4].outline.id.as_str(), "s4");
    assert_eq!(record.sections[0].steps[4].outcome(), Outcome::Pass);
    assert_eq!(record.sections[0].steps[4].result.as_ref().unwrap().captured[0].1, serde_json::json!(0.1));
    assert_eq!(record.sections[1].steps[0].outcome(), Outcome::Inconclusive, "it never ran");
    assert_eq!(record.decided.as_ref().unwrap().0, Decision::Held);
}

#[test]
fn a_run_that_was_cut_anywhere_is_still_a_record() {
    let run = RunId::new("r1");
    let events = sample(&run, 5);
    for cut in 1..events.len() {
        let mut store = memory::open("").unwrap();
        store.begin(&run).unwrap();
        let head = store.append(&run, &events[..cut]).unwrap();
        let record = load(&*store, &run).unwrap();
        assert_eq!((record.head, record.finished), (head, None), "cut after {cut}");
    }
    let mut store = memory::open("").unwrap();
    store.begin(&run).unwrap();
    assert_eq!(load(&*store, &run).unwrap_err().to_string().matches("never began").count(), 1);
}

fn held(section: &str) -> EventKind {
    EventKind::Held { section: SectionId::new(section) }
}

fn released(section: &str) -> EventKind {
    let release = Release { accepted: true, by: "bob".into(), signed: false, note: String::new() };
    EventKind::Released { section: SectionId::new(section), release }
}

fn checkpoint(n: u32) -> EventKind {
    let slot = if n == 0 { Slot::Start } else { Slot::Checkpoint };
    EventKind::CheckpointStarted { checkpoint: Checkpoint { n, slot, due: start(), how: Observed::InTime } }
}

fn checked(step: &str) -> EventKind {
    let result = Box::new(StepResult::new(Outcome::Pass, "", start()));
    EventKind::Checked { step: StepId::new(step), n: 1, result }
}

fn signed(over_seq: u64, over_digest: &str) -> EventKind {
    let signature = Signature {
        by: "alice".into(),
        user: "alice".into(),
        role: "sre".into(),
        decision: SignDecision::Approve,
        conditions: Vec::new(),
        note: String::new(),
        section: None,
        over_seq,
        over_digest: over_digest.to_owned(),
        key: "SHA256:x".into(),
        text: String::new(),
        armour: String::new(),
    };
    EventKind::Signed { signature: Box::new(signature) }
}

#[test]
fn what_happens_after_the_end_is_named() {
    let run = RunId::new("r1");
    let after = |kinds: Vec<EventKind>| {
        let mut store = stored(&run);
        let seq = store.summary(&run).unwrap().head.seq;
        let events: Vec<Event> = (1..).zip(kinds).map(|(n, kind)| Event { seq: seq + n, at: start(), kind }).collect();
        store.append(&run, &events).unwrap();
        load(&*store, &run).map(|_| ()).map_err(|e| e.to_string())
    };
    let looked = EventKind::SectionStarted { section: SectionId::new("first") };
    assert!(after(vec![looked]).unwrap_err().contains("after the end of the run"));
    let digest = stored(&run).summary(&run).unwrap().head;
    assert_eq!(after(vec![signed(digest.seq, &digest.digest)]), Ok(()));
    let other = after(vec![signed(digest.seq, &"0".repeat(64))]).unwrap_err();
    assert!(other.contains("covers another event"), "{other}");
}

#[test]
fn events_that_cannot_have_happened_are_named_by_their_number() {
    let run = RunId::new("r1");
    let good = sample(&run, 5);
    let last = good.len() as u64;
    let with = |kind: EventKind| {
        // The last event is the end of the run, behind which nothing happens by itself.
        let mut events = good[..good.len() - 1].to_vec();
        events.push(Event { seq: last, at: start(), kind });
        let head = holdpoint::record::Head { seq: last, digest: String::new() };
        fold(events, head).unwrap_err()
    };
    for (kind, what) in [
        (finished("s1", Outcome::Pass), "step s1 is done a second time"),
        (finished("nowhere", Outcome::Pass), "step nowhere was never planned"),
        (EventKind::SectionStarted { section: SectionId::new("x") }, "section x was never planned"),
        (held("first"), "section first is held, and has no hold point"),
        (released("first"), "section first is released, and was never held"),
        (checkpoint(1), "a checkpoint begins in a run without a soak"),
        (checked("s1"), "step s1 is checked at checkpoint 1, which is not under way"),
        (signed(last, ""), "a signature covers event 15, which was not there when it was made"),
        (EventKind::RunStarted { run: run.clone(), header: Box::new(header()) }, "the run begins a second time"),
        (
            EventKind::Planned { section: section("late", Part::Always), steps: vec![step("late", "s1", "http")] },
            "step s1 is planned twice",
        ),
    ] {
        let error = with(kind);
        assert_eq!((error.seq, error.what.as_str()), (last, what));
    }
    let mut missing = good.clone();
    missing.remove(4);
    let head = holdpoint::record::Head { seq: last - 1, digest: String::new() };
    assert_eq!(fold(missing, head.clone()).unwrap_err().seq, 5);
    assert_eq!(fold(good, head).unwrap_err().seq, last);
    assert_eq!(
        fold(numbered(vec![finished("s1", Outcome::Pass)]), holdpoint::record::Head { seq: 1, digest: String::new() })
            .unwrap_err()
            .seq,
        1
    );
}

#[test]
fn a_portable_file_comes_back_byte_for_byte() {
    let run = RunId::new("r1");
    let file = exported(&run);
    let mut other = memory::open("").unwrap();
    let (imported, head) = import(&mut Cursor::new(&file), &mut *other).unwrap();
    assert_eq!(imported, run);
    let mut again = Vec::new();
    assert_eq!(export(&*other, &run, &mut again).unwrap(), head);
    assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(file.clone()).unwrap());
    assert_eq!(read_record(&mut Cursor::new(&file)).unwrap().head, head);
    assert_eq!(import(&mut Cursor::new(&file), &mut *other).unwrap().1, head, "a second time changes nothing");
    for line in String::from_utf8(file).unwrap().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn any_changed_byte_of_a_portable_file_is_found() {
    let run = RunId::new("r1");
    let file = exported(&run);
    for place in 0..file.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut damaged = file.clone();
            damaged[place] ^= flip;
            let error = read_record(&mut Cursor::new(&damaged));
            assert!(error.is_err(), "byte {place} changed by {flip:#x} was not found");
        }
    }
}

#[test]
fn a_cut_swapped_or_inserted_line_is_named_and_nothing_is_imported() {
    let run = RunId::new("r1");
    let text = String::from_utf8(exported(&run)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let line_of = |lines: &[&str]| {
        let file = lines.join("\n") + "\n";
        let mut store = memory::open("").unwrap();
        let error = import(&mut Cursor::new(file), &mut *store).unwrap_err();
        assert!(store.runs().unwrap().is_empty() && store.summary(&run).is_err(), "nothing is left behind");
        match error {
            FormatError::Line { line, .. } => line,
            other => panic!("{other}"),
        }
    };
    let mut swapped = lines.clone();
    swapped.swap(3, 4);
    assert_eq!(line_of(&swapped), 4);
    let mut dropped = lines.clone();
    dropped.remove(5);
    assert_eq!(line_of(&dropped), 6);
    let mut inserted = lines.clone();
    inserted.insert(2, lines[2]);
    assert_eq!(line_of(&inserted), 3 + 1);
    assert_eq!(line_of(&lines[..lines.len() - 1]), lines.len() as u64);
    assert_eq!(line_of(&lines[1..]), 1);

    let torn = &text.as_bytes()[..text.len() - 10];
    assert!(read_record(&mut Cursor::new(torn)).unwrap_err().to_string().contains("was cut"));
    let newer = text.replacen(":2,", ":3,", 1);
    let error = read_record(&mut Cursor::new(newer)).unwrap_err().to_string();
    assert_eq!(error, "the record has version 3, this program reads up to version 2; use a newer holdpoint");
    assert!(read_record(&mut Cursor::new(text.replacen(":2,", ":1,", 1))).is_err(), "another version's header");
    assert!(read_record(&mut Cursor::new("")).is_err());
}

#[test]
fn the_recorder_keeps_what_it_takes_and_stops_at_a_gap() {
    let run = RunId::new("r1");
    let events = sample(&run, 5);
    let mut recorder = Recorder::new(open("memory:").unwrap(), run.clone()).unwrap();
    let handle = recorder.handle();
    recorder.take(&events[..4]).unwrap();
    assert!(recorder.take(&events[5..]).unwrap_err().to_string().contains("event 5 comes next"));
    assert_eq!(handle.head().seq, 4);
    recorder.take(&events[4..]).unwrap();
    recorder.take(&[]).unwrap();
    drop(recorder);
    let record = handle.with_store(|store| load(store, &run)).unwrap();
    assert_eq!(record.head, handle.head());
    assert_eq!(record.head.seq, events.len() as u64);
}

#[test]
fn only_a_step_that_waits_for_a_person_takes_an_answer() {
    let run = RunId::new("r1");
    let mut store = stored(&run);
    let mut answer = |step: &str, outcome, note: &str| {
        let answer = Answer { note: note.into(), ..Answer::new(outcome, "bob") };
        append_answer(&mut *store, &run, &StepId::new(step), answer, start()).map_err(|e| e.to_string())
    };
    assert!(answer("s1", Outcome::Fail, "").unwrap_err().contains("only a step that waits"));
    assert!(answer("back", Outcome::Pass, "").unwrap_err().contains("does not wait for a person"));
    assert!(answer("aks", Outcome::Pass, "").unwrap_err().contains("did you mean ask"));
    assert!(answer("ask", Outcome::Warn, "").unwrap_err().contains("is not an answer"));
    assert!(answer("ask", Outcome::NotApplicable, " ").unwrap_err().contains("note"));
    let first = answer("ask", Outcome::NotApplicable, "no release notes").unwrap();
    let second = answer("ask", Outcome::Fail, "there are some after all").unwrap();
    assert_eq!(second.seq, first.seq + 1);
    let record = load(&*store, &run).unwrap();
    assert_eq!(record.sections[0].steps[5].outcome(), Outcome::Fail, "the latest answer counts");
    assert_eq!(record.sections[0].steps[5].answers.len(), 2);
}

#[test]
fn an_import_adds_what_the_store_lacks_and_never_replaces() {
    let run = RunId::new("r1");
    let file = exported(&run);
    let events = sample(&run, 5);
    let mut part = memory::open("").unwrap();
    part.begin(&run).unwrap();
    part.append(&run, &events[..6]).unwrap();
    let (_, head) = import(&mut Cursor::new(&file), &mut *part).unwrap();
    assert_eq!(load(&*part, &run).unwrap().head, head);

    let mut other = memory::open("").unwrap();
    other.begin(&run).unwrap();
    let mut different = events[..6].to_vec();
    different[5].at = start() - TimeDelta::days(1);
    let kept = other.append(&run, &different).unwrap();
    assert!(import(&mut Cursor::new(&file), &mut *other).unwrap_err().to_string().contains("another run r1"));
    assert_eq!(other.summary(&run).unwrap().head, kept);

    let answer = Answer::new(Outcome::Pass, "bob");
    append_answer(&mut *part, &run, &StepId::new("ask"), answer, start()).unwrap();
    assert!(import(&mut Cursor::new(&file), &mut *part).is_err(), "an older export takes nothing back");
}
