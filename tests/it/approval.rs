//! Who must agree, and whether they do: every rule with real keys, on records made of events.

use std::cell::Cell;

use chrono::{DateTime, TimeDelta, Utc};
use holdpoint::event::{Answer, Event, EventKind, Release, SignDecision, Signature, StepResult};
use holdpoint::model::outline::{ChecklistHead, Header, Hold, Part, Role, SectionOutline, SignRules, StepOutline};
use holdpoint::model::{Decision, Origin, Outcome, RunId, SectionId, StepId};
use holdpoint::record::store::memory::Memory;
use holdpoint::record::{RunStore, load};
use holdpoint::signoff::approval::Standing;
use holdpoint::signoff::sign::allowed_signers::local_standard_time;
use holdpoint::signoff::sign::{AllowedSigners, Signer};
use holdpoint::signoff::signing::{self, Person, Wish};
use holdpoint::signoff::{Ruling, amend, decide_against};

use crate::support::ssh::Keys;

const PEOPLE: [&str; 3] = ["alice@example.com", "bob@example.com", "carol@example.com"];

/// A run that is over, the people around it, and a clock that is moved by hand.
struct Office {
    keys: Keys,
    store: Memory,
    run: RunId,
    signers: AllowedSigners,
    now: Cell<DateTime<Utc>>,
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

fn role(role: &str, needs: u32, members: &[&str]) -> Role {
    Role { role: role.into(), needs, members: members.iter().map(|m| (*m).to_owned()).collect() }
}

fn origin() -> Origin {
    Origin { file: "c.yaml".into(), line: 1, column: 1 }
}

fn finished(outcome: Outcome) -> StepResult {
    StepResult {
        outcome,
        reason: String::new(),
        skip: None,
        started: start(),
        took_us: 1,
        looks: 1,
        look: None,
        flaky: false,
        captured: Vec::new(),
        cut: false,
    }
}

impl Office {
    fn new(roles: Vec<Role>, sign_rules: SignRules) -> Self {
        Self::at(roles, sign_rules, None)
    }

    /// A run that is over, or one that waits at a hold point for the signature of roles.
    fn at(roles: Vec<Role>, sign_rules: SignRules, hold: Option<&[&str]>) -> Self {
        let keys = Keys::new();
        let lines: String = PEOPLE.iter().map(|name| keys.person(name)).collect();
        let signers = AllowedSigners::parse(lines.as_bytes(), local_standard_time);
        let run = RunId::new("r1");
        let mut store = Memory::default();
        store.begin(&run).expect("a run");
        let checklist = ChecklistHead { name: "Promotion".into(), digest: "ab".repeat(32), ..ChecklistHead::default() };
        let header = Header { user: "runner".into(), checklist, roles, sign_rules, ..Header::default() };
        let id = SectionId::new("all");
        let mut section = SectionOutline::new(id.clone(), "All", Part::Section, origin());
        section.hold = hold.map(|roles| Hold { sign: roles.iter().map(|role| (*role).to_owned()).collect() });
        let manual = StepOutline::new(StepId::new("asks"), "Asks", id.clone(), "manual", origin());
        let mut kinds = vec![
            EventKind::RunStarted { run: run.clone(), header: Box::new(header) },
            EventKind::Planned { section, steps: vec![manual] },
        ];
        match hold {
            Some(_) => kinds.extend([
                EventKind::Held { section: id },
                EventKind::Paused { why: "waits at a hold point".into(), until: None },
            ]),
            None => kinds.extend([
                EventKind::StepFinished { step: StepId::new("asks"), result: Box::new(finished(Outcome::Pass)) },
                EventKind::RunFinished { took_ms: 1 },
            ]),
        }
        let mut office = Self { keys, store, run, signers, now: Cell::new(start()) };
        kinds.into_iter().for_each(|kind| office.happen(kind));
        office
    }

    fn happen(&mut self, kind: EventKind) {
        let seq = self.store.summary(&self.run).expect("a summary").head.seq + 1;
        self.store.append(&self.run, &[Event { seq, at: self.now.get(), kind }]).expect("an event");
    }

    fn signature(&self, by: &str, role: &str, decision: SignDecision, section: Option<&str>) -> Signature {
        let record = load(&self.store, &self.run).expect("a record");
        let text = std::fs::read_to_string(self.keys.path(by)).expect("a key");
        let signer = Signer::of_private_key(&text, &mut || None).expect("a signer");
        let conditions = if decision == SignDecision::Conditional { vec!["watch p95".to_owned()] } else { Vec::new() };
        let note = if decision == SignDecision::Reject { "not today".to_owned() } else { String::new() };
        let section = section.map(SectionId::new);
        let wish = Wish { role: role.into(), decision, conditions, note, section };
        let user = by.split('@').next().unwrap_or_default().to_owned();
        let person = Person { by: by.into(), user, key: signer.key() };
        signing::sign(&record, &wish, &person, &signer, self.now.get()).expect("a signature")
    }

    fn sign_as(&mut self, by: &str, role: &str, decision: SignDecision, section: Option<&str>) -> Ruling {
        let signature = self.signature(by, role, decision, section);
        self.keep(&signature)
    }

    fn keep(&mut self, signature: &Signature) -> Ruling {
        let now = self.now.get();
        amend::add(&mut self.store, &self.run, &|| now, &mut |_| {
            Ok(vec![EventKind::Signed { signature: Box::new(signature.clone()) }])
        })
        .expect("kept");
        self.settle()
    }

    fn settle(&mut self) -> Ruling {
        let now = self.now.get();
        amend::settle(&mut self.store, &self.run, Some(&self.signers), &|| now).expect("settled").1
    }

    fn sign(&mut self, by: &str, role: &str) -> Decision {
        self.sign_as(by, role, SignDecision::Approve, None).decision
    }

    fn ruling(&self) -> Ruling {
        let record = load(&self.store, &self.run).expect("a record");
        decide_against(&record, &[], Some(&self.signers), self.now.get())
    }

    fn pass(&mut self, time: TimeDelta) {
        self.now.set(self.now.get() + time);
    }
}

#[test]
fn each_role_needs_its_members_and_a_person_counts_once() {
    let mut office = Office::new(vec![role("sre", 2, &PEOPLE[..2]), role("cto", 1, &[])], SignRules::default());
    assert_eq!(office.ruling().reasons, ["unsigned: sre needs 2 to sign", "unsigned: cto needs 1 to sign"]);
    assert_eq!(office.sign("alice@example.com", "sre"), Decision::Held);
    assert_eq!(office.sign("alice@example.com", "sre"), Decision::Held, "twice the same person");
    assert_eq!(office.ruling().reasons[0], "unsigned: sre needs 1 more to sign");
    assert_eq!(office.sign("carol@example.com", "sre"), Decision::Held, "no member");
    let attention = office.ruling().attention.join("\n");
    assert!(
        attention.contains("carol@example.com as sre does not count: carol@example.com is not a member"),
        "{attention}"
    );
    assert_eq!(office.sign("bob@example.com", "sre"), Decision::Held);
    assert_eq!(office.sign("bob@example.com", "cto"), Decision::Go, "bob may fill two roles");
    let ruling = office.ruling();
    assert!(ruling.reasons.is_empty() && ruling.approval.is_met(), "{ruling:?}");
}

#[test]
fn with_distinct_nobody_fills_two_roles() {
    let rules = SignRules { distinct: true, ..SignRules::default() };
    let mut office = Office::new(vec![role("sre", 1, &[]), role("cto", 1, &[])], rules);
    office.sign("alice@example.com", "sre");
    assert_eq!(office.sign("alice@example.com", "cto"), Decision::Held);
    // Alice moves to the role that Bob does not fill, in whichever order they signed.
    assert_eq!(office.sign("bob@example.com", "sre"), Decision::Go);
}

#[test]
fn whoever_started_the_run_does_not_sign_it() {
    let rules = SignRules { not_runner: true, ..SignRules::default() };
    let mut office = Office::new(vec![role("sre", 1, &[])], rules);
    let mut own = office.signature("alice@example.com", "sre", SignDecision::Approve, None);
    assert_eq!(office.keep(&own).decision, Decision::Go);
    let mut office = Office::new(vec![role("sre", 1, &[])], SignRules { not_runner: true, ..SignRules::default() });
    let record = load(&office.store, &office.run).expect("a record");
    let text = std::fs::read_to_string(office.keys.path("alice@example.com")).expect("a key");
    let signer = Signer::of_private_key(&text, &mut || None).expect("a signer");
    let wish = Wish {
        role: "sre".into(),
        decision: SignDecision::Approve,
        conditions: vec![],
        note: String::new(),
        section: None,
    };
    let person = Person { by: "alice@example.com".into(), user: "runner".into(), key: signer.key() };
    own = signing::sign(&record, &wish, &person, &signer, start()).expect("a signature");
    assert_eq!(office.keep(&own).decision, Decision::Held);
    assert!(signing::may_fill(&record, &wish, &person).is_err());
}

#[test]
fn a_rejection_is_a_no_go_until_the_same_person_signs_anew() {
    let mut office = Office::new(vec![role("sre", 1, &PEOPLE)], SignRules::default());
    office.sign("alice@example.com", "sre");
    let no = office.sign_as("bob@example.com", "sre", SignDecision::Reject, None);
    assert_eq!(no.decision, Decision::NoGo);
    assert_eq!(no.reasons, ["rejected: sre by bob@example.com: not today"]);
    office.pass(TimeDelta::hours(1));
    assert_eq!(office.sign("carol@example.com", "sre"), Decision::NoGo, "somebody else does not undo it");
    let yes = office.sign_as("bob@example.com", "sre", SignDecision::Conditional, None);
    assert_eq!(yes.decision, Decision::Go);
    assert_eq!(yes.conditions, ["bob@example.com (sre): watch p95"]);
}

#[test]
fn a_rejection_by_somebody_who_is_not_asked_changes_nothing() {
    let mut office = Office::new(vec![role("sre", 1, &PEOPLE[..1])], SignRules::default());
    assert_eq!(office.sign_as("bob@example.com", "sre", SignDecision::Reject, None).decision, Decision::Held);
    assert_eq!(office.sign("alice@example.com", "sre"), Decision::Go);
}

#[test]
fn a_signature_lapses_when_something_is_found_under_it() {
    let mut office = Office::new(vec![role("sre", 1, &[])], SignRules::default());
    assert_eq!(office.sign("alice@example.com", "sre"), Decision::Go);
    let answer = Answer::new(Outcome::Pass, "bob");
    office.happen(EventKind::Answered { step: StepId::new("asks"), answer });
    let ruling = office.settle();
    assert_eq!(ruling.decision, Decision::Held);
    assert_eq!(ruling.reasons, ["unsigned: sre needs 1 to sign (lapsed: alice@example.com)"]);
    assert!(ruling.attention[0].contains("has lapsed: something was found since"), "{ruling:?}");
    assert_eq!(office.sign("alice@example.com", "sre"), Decision::Go, "signed anew");
    let late = office.signature("bob@example.com", "sre", SignDecision::Approve, None);
    office.happen(EventKind::Answered { step: StepId::new("asks"), answer: Answer::new(Outcome::Pass, "bob") });
    let record = load(&office.store, &office.run).expect("a record");
    assert!(signing::still_covers(&record, &late).is_err());
    assert_eq!(office.keep(&late).decision, Decision::Held);
}

#[test]
fn a_signature_lapses_after_its_time() {
    let rules = SignRules { valid_for_ms: Some(72 * 3_600_000), ..SignRules::default() };
    let mut office = Office::new(vec![role("sre", 1, &[])], rules);
    assert_eq!(office.sign("alice@example.com", "sre"), Decision::Go);
    office.pass(TimeDelta::hours(72));
    assert_eq!(office.ruling().decision, Decision::Go, "to the second");
    office.pass(TimeDelta::seconds(1));
    let ruling = office.ruling();
    assert_eq!(ruling.decision, Decision::Held);
    assert!(ruling.attention[0].contains("it was valid for 3d, until"), "{ruling:?}");
}

#[test]
fn nothing_about_a_signature_can_be_changed() {
    let mut office = Office::new(vec![role("sre", 1, &PEOPLE), role("cto", 1, &PEOPLE)], SignRules::default());
    let good = office.signature("alice@example.com", "sre", SignDecision::Conditional, None);
    let other = office.signature("bob@example.com", "sre", SignDecision::Conditional, None);
    type Change<'a> = &'a dyn Fn(&mut Signature);
    let changes: [(&str, Change<'_>); 12] = [
        ("who", &|s| s.by = "bob@example.com".into()),
        ("user", &|s| s.user = "root".into()),
        ("role", &|s| s.role = "cto".into()),
        ("decision", &|s| s.decision = SignDecision::Approve),
        ("conditions", &|s| s.conditions.clear()),
        ("note", &|s| s.note = "fine".into()),
        ("hold point", &|s| s.section = Some(SectionId::new("all"))),
        ("what it covers", &|s| s.over_seq += 1),
        ("digest", &|s| s.over_digest = "cd".repeat(32)),
        ("key", &|s| s.key = other.key.clone()),
        ("text", &|s| s.text = s.text.replace("watch p95", "watch p99")),
        ("armour", &|s| s.armour = other.armour.clone()),
    ];
    for (what, change) in changes {
        let mut office = Office::new(vec![role("sre", 1, &[]), role("cto", 0, &[])], SignRules::default());
        let mut signature = office.signature("alice@example.com", "sre", SignDecision::Conditional, None);
        change(&mut signature);
        // A store may refuse what covers another event than it has; it is never a go.
        let seq = office.store.summary(&office.run).expect("a summary").head.seq + 1;
        let kind = EventKind::Signed { signature: Box::new(signature) };
        let appended = office.store.append(&office.run, &[Event { seq, at: start(), kind }]);
        let Ok(record) = appended.map(|_| load(&office.store, &office.run)) else { continue };
        let Ok(record) = record else { continue };
        let ruling = decide_against(&record, &[], None, start());
        assert_eq!(ruling.decision, Decision::Held, "{what}: {ruling:?}");
    }
    assert_eq!(office.keep(&good).decision, Decision::Held, "only one of two roles");
}

#[test]
fn a_signature_of_another_run_or_checklist_is_none() {
    let mut office = Office::new(vec![role("sre", 1, &[])], SignRules::default());
    let elsewhere = {
        let mut record = load(&office.store, &office.run).expect("a record");
        record.run = RunId::new("r2");
        let text = std::fs::read_to_string(office.keys.path("alice@example.com")).expect("a key");
        let signer = Signer::of_private_key(&text, &mut || None).expect("a signer");
        let person = Person { by: "alice@example.com".into(), user: "alice".into(), key: signer.key() };
        let decision = SignDecision::Approve;
        let wish = Wish { role: "sre".into(), decision, conditions: vec![], note: String::new(), section: None };
        signing::sign(&record, &wish, &person, &signer, start()).expect("a signature")
    };
    let ruling = office.keep(&elsewhere);
    assert_eq!(ruling.decision, Decision::Held);
    let standing = &ruling.approval.signatures[0].standing;
    assert!(matches!(standing, Standing::Refused(why) if why.contains("about run r2")), "{standing:?}");
}

#[test]
fn a_key_that_was_taken_away_speaks_for_nobody() {
    let mut office = Office::new(vec![role("sre", 1, &[])], SignRules::default());
    assert_eq!(office.sign("alice@example.com", "sre"), Decision::Go);
    // The same file, in which alice's key ended a day before she signed.
    let line = format!("alice@example.com valid-before=\"20260920Z\" {}\n", office.keys.public("alice@example.com"));
    office.signers = AllowedSigners::parse(line.as_bytes(), local_standard_time);
    let ruling = office.ruling();
    assert_eq!(ruling.decision, Decision::Held);
    assert!(ruling.attention[0].contains("line 1 allowed the key until 2026-09-20 00:00:00 UTC only"), "{ruling:?}");
    let line = line.replace("20260920", "20260923");
    office.signers = AllowedSigners::parse(line.as_bytes(), local_standard_time);
    office.pass(TimeDelta::days(10));
    assert_eq!(office.ruling().decision, Decision::Go, "what was signed in time stays signed");
}

#[test]
fn a_hold_point_is_released_by_the_roles_that_it_names() {
    let roles = || vec![role("sre", 1, &PEOPLE[..1]), role("cto", 1, &PEOPLE[1..])];
    let mut office = Office::at(roles(), SignRules::default(), Some(&["sre", "cto"]));
    assert_eq!(office.ruling().decision, Decision::Held);
    let first = office.sign_as("alice@example.com", "sre", SignDecision::Approve, Some("all"));
    assert!(first.reasons.contains(&"unsigned: All: cto needs 1 to sign".to_owned()), "{first:?}");
    office.sign_as("bob@example.com", "cto", SignDecision::Approve, Some("all"));
    let record = load(&office.store, &office.run).expect("a record");
    let (_, release) = record.sections[0].releases.last().expect("a release");
    let by = "alice@example.com (sre), bob@example.com (cto)";
    assert_eq!((release.accepted, release.signed, release.by.as_str()), (true, true, by));

    let mut office = Office::at(roles(), SignRules::default(), Some(&["sre"]));
    let no = office.sign_as("alice@example.com", "sre", SignDecision::Reject, Some("all"));
    assert_eq!(
        (no.decision, no.reasons[0].as_str()),
        (Decision::NoGo, "declined: All by alice@example.com (sre): not today")
    );
}

#[test]
fn a_hold_point_that_asks_for_signatures_is_not_released_by_a_word() {
    let mut office = Office::at(vec![role("sre", 1, &[])], SignRules::default(), Some(&["sre"]));
    let release = Release { accepted: true, by: "mallory".into(), signed: true, note: String::new() };
    office.happen(EventKind::Released { section: SectionId::new("all"), release });
    let ruling = office.ruling();
    assert_eq!(ruling.decision, Decision::Held);
    assert!(ruling.reasons.iter().any(|r| r == "unsigned: All: sre needs 1 to sign before its release"), "{ruling:?}");
}
