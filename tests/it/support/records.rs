//! Sample records: runs of every kind that a report must be able to tell, with fixed times and names.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use holdpoint::event::{Answer, Look, Skip, StepResult};
use holdpoint::model::outline::{
    Appendix, ChecklistHead, Guidance, Header, InputShown, Part, Role, SectionOutline, StepOutline, Table, Weight,
};
use holdpoint::model::{
    Decision, Evidence, Finding, Found, Measures, Note, Observation, Origin, Outcome, RunId, SectionId, StepId, Value,
    Verdict,
};
use holdpoint::record::{Head, RunRecord, SectionRecord, StepRecord};
use holdpoint::signoff::{Approval, Ruling};

/// A record, the ruling on it, and a name for messages.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) record: Arc<RunRecord>,
    pub(crate) ruling: Ruling,
}

/// Every kind of run.
pub(crate) fn all() -> Vec<Sample> {
    vec![
        all_pass(),
        mixed(),
        waived(),
        error(),
        interrupted(),
        held(),
        strict_warning(),
        empty(),
        none_selected(),
        hostile(),
        many(1_000),
    ]
}

pub(crate) fn all_pass() -> Sample {
    let steps = vec![passed("Health endpoint responds", "status", "200"), passed("Latency is low", "latency", "12ms")];
    sample("all_pass", Decision::Go, &[], vec![section("Smoke", steps)])
}

pub(crate) fn mixed() -> Sample {
    let mut record =
        run(vec![section("Canary health check", canary()), section("After the rollout", after()), actions()]);
    let header = &mut record.header;
    header.checklist.description = Some("Promote the canary image to production.".into());
    header.checklist.risk = Some("medium".into());
    header.checklist.estimates = [("deploy".to_owned(), "10m".to_owned())].into_iter().collect();
    header.checklist.links = [("runbook".to_owned(), "https://wiki.example.com/zai-proxy".to_owned())].into();
    header.roles = vec![
        Role { role: "promoter".into(), needs: 1, members: vec!["alice@example.com".into(), "bob@example.com".into()] },
        Role { role: "sre".into(), needs: 2, members: vec![] },
    ];
    header.appendix = vec![
        Appendix {
            title: "Rollback by hand".into(),
            text: Some("1. `kubectl rollout undo`\n2. Scale.".into()),
            table: None,
        },
        Appendix {
            title: "Contacts".into(),
            text: None,
            table: Some(Table {
                columns: vec!["Issue".into(), "Contact".into()],
                rows: vec![vec!["High error rate".into(), "On-call | #sre".into()]],
            }),
        },
    ];
    let reasons = ["P95 latency has not regressed failed", "Error rate stays below 5% could not be told"];
    Sample { name: "mixed", record: record.into(), ruling: ruling(Decision::NoGo, &reasons) }
}

fn canary() -> Vec<StepRecord> {
    let mut flaky = passed("Health endpoint responds", "status", "200");
    if let Some(result) = &mut flaky.result {
        result.flaky = true;
    }
    let mut insecure = passed("Admin page answers", "status", "200");
    look_of(&mut insecure).observation.notes.push(Note::warning("the certificate was not checked"));
    let mut warned = judged(
        "Restarts are few",
        Outcome::Warn,
        vec![finding("restarts", "<= 1", "2", Outcome::Warn)],
        "restarts is 2, should be <= 1",
    );
    warned.outline.weight = Weight::Optional;
    let mut manual = step("Dashboards look normal", "manual");
    manual.result = Some(result(Outcome::Pending, "waits for an answer"));
    manual.answers = vec![Answer { note: "all | green".into(), ..Answer::new(Outcome::Pass, "alice") }];
    let mut skipped = step("Second region answers", "http");
    skipped.result = Some(StepResult { skip: Some(Skip::NotSelected), ..result(Outcome::Skipped, "not selected") });
    vec![flaky, insecure, warned, manual, skipped]
}

fn after() -> Vec<StepRecord> {
    let mut slow = judged(
        "P95 latency has not regressed",
        Outcome::Fail,
        vec![Finding { value: Some(0.812), limit: Some(0.5), ..finding("value", "< 500ms", "812ms", Outcome::Fail) }],
        "value is 812ms, expected < 500ms",
    );
    slow.outline.guidance = Guidance {
        why: Some("Clients time out after a second.".into()),
        runbook: Some("https://wiki.example.com/latency".into()),
        owner: Some("team-proxy".into()),
        contact: Some("#proxy".into()),
        priority: Some("high".into()),
        tags: vec![],
    };
    slow.outline.window = "for 1h, every 1m".into();
    let look = look_of(&mut slow);
    look.observation.request = "histogram_quantile(0.95,\n  sum by (le) (rate(x_bucket[5m])))".into();
    look.observation.through = Some("prometheus at http://localhost:9090 (3.5.0)".into());
    look.observation.notes.push(Note::info("the query took 12ms"));
    look.observation.evidence.push(Evidence {
        title: "series".into(),
        text: "```\n{} 0.812\n```".into(),
        left_out: 12,
    });
    slow.looks = (1..=3).map(|n| Look { n, ..look_of(&mut slow.clone()).clone() }).collect();
    if let Some(result) = &mut slow.result {
        result.looks = 3;
    }
    let several = judged(
        "Version endpoint tells the version",
        Outcome::Fail,
        vec![
            finding("status", "200", "200", Outcome::Pass),
            finding("json[$.version]", "1.4.0", "missing: no field \"version\"", Outcome::Fail),
        ],
        "json[$.version] is missing",
    );
    let unknown = judged("Error rate stays below 5%", Outcome::Inconclusive, vec![], "no series matches");
    let blocked = StepRecord {
        result: Some(StepResult { skip: Some(Skip::Blocked), ..result(Outcome::Skipped, "blocked by p95-latency") }),
        ..step("Old pods are gone", "exec")
    };
    let mut trial = judged("New check", Outcome::Fail, vec![finding("value", "> 5", "3", Outcome::Fail)], "value is 3");
    trial.outline.weight = Weight::Trial;
    vec![slow, several, unknown, blocked, trial]
}

fn actions() -> SectionRecord {
    let mut undo = step("Roll back", "exec");
    undo.outline.changes = Some("rolls production back".into());
    undo.result = Some(result(Outcome::Pending, "needs consent: --allow-changes"));
    let mut section = section("On no-go", vec![undo]);
    section.outline.part = Part::OnNoGo;
    section
}

pub(crate) fn waived() -> Sample {
    let failed =
        judged("Known failure", Outcome::Fail, vec![finding("value", "< 5", "7", Outcome::Fail)], "value is 7");
    let mut optional = failed.clone();
    optional.outline.id = StepId::new("optional-failure");
    optional.outline.weight = Weight::Optional;
    sample("waived", Decision::Go, &["known-failure is waived"], vec![section("Checks", vec![failed, optional])])
}

pub(crate) fn error() -> Sample {
    let mut step = step("Alerts are quiet", "promql");
    let observation = Observation::new("ALERTS", Found::could_not_look("connection refused by 127.0.0.1:9090"));
    let verdict = Verdict::of(Outcome::Error, "connection refused by 127.0.0.1:9090");
    step.result = Some(StepResult {
        look: Some(Box::new(Look { took_us: 900, attempts: 3, ..Look::new(at(1), observation, verdict) })),
        ..result(Outcome::Error, "could not look: connection refused by 127.0.0.1:9090")
    });
    sample(
        "error",
        Decision::Undecided,
        &["Alerts are quiet could not be looked at"],
        vec![section("Checks", vec![step])],
    )
}

pub(crate) fn interrupted() -> Sample {
    let mut record =
        run(vec![section("Soak", vec![passed("First look", "status", "200"), step("Day-long look", "http")])]);
    record.interrupted = Some("SIGINT".into());
    record.finished = None;
    record.took_ms = None;
    Sample {
        name: "interrupted",
        record: record.into(),
        ruling: ruling(Decision::Undecided, &["interrupted by SIGINT"]),
    }
}

pub(crate) fn held() -> Sample {
    let mut manual = step("Release notes are published", "manual");
    let found = Found::Waiting { instruction: "Publish the notes and paste the link.".into() };
    let verdict = Verdict::of(Outcome::Pending, "waits for an answer");
    let observation = Observation::new("", found);
    manual.result = Some(StepResult {
        look: Some(Box::new(Look::new(at(1), observation, verdict))),
        ..result(Outcome::Pending, "waits for an answer")
    });
    let mut change = step("Image is set", "exec");
    change.outline.changes = Some("sets the production image".into());
    change.result = Some(result(Outcome::Pending, "needs consent"));
    sample("held", Decision::Held, &["2 steps wait"], vec![section("Promotion", vec![manual, change])])
}

pub(crate) fn strict_warning() -> Sample {
    let warned = judged("Soft limit", Outcome::Warn, vec![finding("value", "< 5", "6", Outcome::Warn)], "value is 6");
    let mut record = run(vec![section("Checks", vec![warned])]);
    record.header.strict = true;
    Sample { name: "strict_warning", record: record.into(), ruling: ruling(Decision::NoGo, &["Soft limit warned"]) }
}

pub(crate) fn empty() -> Sample {
    sample("empty", Decision::Undecided, &[], vec![])
}

pub(crate) fn none_selected() -> Sample {
    let mut steps = vec![step("One", "http"), step("Two", "http")];
    for step in &mut steps {
        step.result = Some(StepResult { skip: Some(Skip::NotSelected), ..result(Outcome::Skipped, "not selected") });
    }
    sample("none_selected", Decision::Undecided, &["no step was selected"], vec![section("Checks", steps)])
}

/// Names and values that would like to be Markdown, XML, YAML and commands to a terminal.
pub(crate) const HOSTILE: &str = "\u{1b}[31m\u{7}| `x` <script>alert(1)</script> ]]> &amp; **b** [l](javascript:x)\n# h\r\n- [x] \u{202e}done\u{9b}2J \u{fffe}\0";

pub(crate) fn hostile() -> Sample {
    let mut failed = judged(HOSTILE, Outcome::Fail, vec![finding(HOSTILE, HOSTILE, HOSTILE, Outcome::Fail)], HOSTILE);
    failed.outline.guidance.runbook = Some("javascript:alert(1)".into());
    failed.outline.guidance.why = Some(HOSTILE.into());
    let look = look_of(&mut failed);
    look.observation.request = HOSTILE.into();
    look.observation.notes.push(Note::warning(HOSTILE));
    look.observation.evidence.push(Evidence { title: HOSTILE.into(), text: format!("````\n{HOSTILE}"), left_out: 0 });
    let mut twin = failed.clone();
    twin.outline.id = StepId::new("twin");
    twin.answers = vec![Answer { note: HOSTILE.into(), ..Answer::new(Outcome::Fail, HOSTILE) }];
    let mut record = run(vec![section(HOSTILE, vec![failed, twin])]);
    let header = &mut record.header;
    header.checklist.name = HOSTILE.into();
    header.checklist.service = Some(HOSTILE.into());
    header.user = HOSTILE.into();
    header.inputs.push(InputShown {
        name: "x".into(),
        value: Some(HOSTILE.into()),
        secret: false,
        from: "--set".into(),
    });
    Sample { name: "hostile", record: record.into(), ruling: ruling(Decision::NoGo, &[HOSTILE, HOSTILE]) }
}

/// So many steps, every hundredth of which failed.
pub(crate) fn many(steps: usize) -> Sample {
    let make = |n: usize| match n % 100 {
        99 => {
            let findings = vec![finding("status", "200", "503", Outcome::Fail)];
            judged(&format!("Endpoint {n} answers"), Outcome::Fail, findings, "status is 503, expected 200")
        }
        _ => passed(&format!("Endpoint {n} answers"), "status", "200"),
    };
    sample("many", Decision::NoGo, &["some failed"], vec![section("Endpoints", (0..steps).map(make).collect())])
}

fn sample(name: &'static str, decision: Decision, reasons: &[&str], sections: Vec<SectionRecord>) -> Sample {
    Sample { name, record: run(sections).into(), ruling: ruling(decision, reasons) }
}

pub(crate) fn ruling(decision: Decision, reasons: &[&str]) -> Ruling {
    let reasons = reasons.iter().map(|r| (*r).to_owned()).collect();
    Ruling {
        decision,
        reasons,
        attention: Vec::new(),
        remarks: Vec::new(),
        conditions: Vec::new(),
        approval: Approval::default(),
        holds: Vec::new(),
    }
}

pub(crate) fn run(sections: Vec<SectionRecord>) -> RunRecord {
    let header = Header {
        tool: "0.1.0".into(),
        checklist: ChecklistHead {
            path: "checklists/promotion.yaml".into(),
            digest: "ab".repeat(32),
            name: "Canary to production promotion".into(),
            stage: Some("promotion".into()),
            service: Some("zai-proxy".into()),
            ..ChecklistHead::default()
        },
        inputs: vec![
            InputShown { name: "version".into(), value: Some("1.4.0".into()), secret: false, from: "--set".into() },
            InputShown { name: "token".into(), value: Some("***".into()), secret: true, from: "env ZAI_TOKEN".into() },
            InputShown { name: "note".into(), value: None, secret: false, from: "".into() },
        ],
        host: "ci-7".into(),
        user: "alice".into(),
        options: vec!["--set".into(), "version=1.4.0".into()],
        ..Header::default()
    };
    RunRecord {
        finished: Some(at(12)),
        took_ms: Some(12_345),
        sections,
        head: Head { seq: 42, digest: "cd".repeat(32) },
        ..RunRecord::new(RunId::new("20260301-120000-abcd"), header, at(0))
    }
}

/// The moment so many seconds into a sample run.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_366_400, 0).unwrap_or_default() + TimeDelta::seconds(seconds)
}

pub(crate) fn section(name: &str, mut steps: Vec<StepRecord>) -> SectionRecord {
    let id = SectionId::new(holdpoint::model::id::kebab(name));
    for step in &mut steps {
        step.outline.section = id.clone();
    }
    let outline = SectionOutline::new(id, name, Part::Section, origin(9));
    SectionRecord { steps, ..SectionRecord::new(outline) }
}

fn origin(line: u32) -> Origin {
    Origin { file: "promotion.yaml".into(), line, column: 5 }
}

pub(crate) fn step(name: &str, probe: &str) -> StepRecord {
    let id = StepId::new(holdpoint::model::id::kebab(name));
    StepRecord::new(StepOutline::new(id, name, SectionId::new("s"), probe, origin(41)))
}

fn result(outcome: Outcome, reason: &str) -> StepResult {
    StepResult { took_us: 12_345, looks: 1, ..StepResult::new(outcome, reason, at(1)) }
}

pub(crate) fn finding(subject: &str, expected: &str, observed: &str, outcome: Outcome) -> Finding {
    Finding {
        subject: subject.into(),
        expected: expected.into(),
        observed: observed.into(),
        outcome,
        origin: Some(origin(43)),
        value: None,
        limit: None,
    }
}

pub(crate) fn passed(name: &str, subject: &str, observed: &str) -> StepRecord {
    judged(name, Outcome::Pass, vec![finding(subject, observed, observed, Outcome::Pass)], "")
}

pub(crate) fn judged(name: &str, outcome: Outcome, findings: Vec<Finding>, reason: &str) -> StepRecord {
    let mut measures = Measures::new();
    measures.plain("status", Value::Number(200.0));
    let observation = Observation::new("GET http://127.0.0.1:8080/health", Found::Measures(measures));
    let verdict = Verdict { outcome, summary: reason.into(), findings };
    let look = Look { took_us: 12_000, ..Look::new(at(1), observation, verdict) };
    let mut record = step(name, "http");
    record.result = Some(StepResult { look: Some(Box::new(look)), ..result(outcome, reason) });
    record
}

fn look_of(step: &mut StepRecord) -> &mut Look {
    step.result.as_mut().and_then(|r| r.look.as_deref_mut()).expect("a judged step has a look")
}
