//! Gates on earlier runs: found in the store or in exported records, verified before they count.

use crate::support::env::{Ran, TestEnv, steps};

const STAGING: &str = "
holdpoint: 1
name: Staging
inputs: { version: {}, good: { default: \"0\" } }
sections:
  - name: Section
    steps:
      - { name: 'Version {{ inputs.version }}', exec: [sh, -c, 'exit {{ inputs.good }}'], expect: 0 }
";

const PROMOTION: &str = "
holdpoint: 1
name: Promotion
inputs: { version: {} }
sections:
  - name: Before
    stop_on_failure: true
    steps:
      - { name: Staging was a go, run: { checklist: staging.yaml, within: 72h, same: version } }
  - name: After
    steps:
      - { name: Promote, exec: 'true', expect: 0 }
";

struct Site(TestEnv);

impl Site {
    fn new() -> Self {
        let env = TestEnv::new();
        env.write("staging.yaml", STAGING);
        env.write("promotion.yaml", PROMOTION);
        Self(env)
    }

    fn stage(&self, version: &str, good: bool) -> Ran {
        let (version, exits) = (format!("version={version}"), format!("good={}", i32::from(!good)));
        let ran = self.0.run(&["run", "staging.yaml", "--set", &version, "--set", &exits]);
        assert_eq!(ran.status, i32::from(!good), "{}", ran.stderr);
        ran
    }

    /// Returns the exit status, and the reason of the gate.
    fn promote(&self, version: &str) -> (i32, String) {
        let version = format!("version={version}");
        let ran = self.0.run(&["run", "promotion.yaml", "--set", &version, "--report", "json=report.json"]);
        let all = steps(&self.0.json("report.json"));
        assert_eq!(all[1].1, if ran.status == 0 { "pass" } else { "skipped" }, "{all:?}");
        (ran.status, all[0].2.clone())
    }
}

#[test]
fn what_was_not_staged_is_not_promoted() {
    let site = Site::new();
    let (status, reason) = site.promote("1.0.0");
    assert_eq!(status, 1);
    assert!(
        reason.ends_with("no go of staging.yaml within 3d with the same version; there is none at all"),
        "{reason}"
    );
    site.stage("1.0.0", false);
    let (status, reason) = site.promote("1.0.0");
    assert_eq!(status, 1);
    assert!(reason.contains("the latest was a no-go ") && reason.contains(" ago (run 20"), "{reason}");
    site.stage("1.0.0", true);
    assert_eq!(site.promote("1.0.0"), (0, String::new()));
    let (status, reason) = site.promote("1.0.1");
    assert_eq!(status, 1);
    assert!(reason.ends_with("with version 1.0.0 instead of 1.0.1"), "{reason}");
}

#[test]
fn a_later_no_go_does_not_go_unsaid() {
    let site = Site::new();
    site.stage("1.0.0", true);
    site.stage("1.0.0", false);
    assert_eq!(site.promote("1.0.0").0, 0);
    let report = site.0.json("report.json").to_string();
    assert!(report.contains("a later one was a no-go "), "{report}");
}

#[test]
fn a_run_does_not_stand_for_itself() {
    let site = Site::new();
    site.0.write(
        "again.yaml",
        "{ holdpoint: 1, name: Again, sections: [{ name: S, steps: [{ name: Before, run: { checklist: again.yaml, decision: any } }] }] }",
    );
    assert_eq!(site.0.run(&["run", "again.yaml"]).status, 1);
    assert_eq!(site.0.run(&["run", "again.yaml"]).status, 0, "the one before was a no-go, which `any` takes");
}

#[test]
fn damage_is_named_and_never_a_match() {
    let site = Site::new();
    site.stage("1.0.0", true);
    let export = site.0.run(&["export", "last", "-o", "staging.jsonl"]);
    assert_eq!(export.status, 0, "{}", export.stderr);
    let gate = |record: &str| {
        let gate = format!(
            "{{ holdpoint: 1, name: G, sections: [{{ name: S, steps: [{{ name: Gate, run: {{ record: {record} }} }}] }}] }}"
        );
        site.0.write("gate.yaml", &gate);
        let ran = site.0.run(&["run", "gate.yaml", "--report", "json=gate.json"]);
        let all = steps(&site.0.json("gate.json"));
        (ran.status, all[0].1.clone(), all[0].2.clone())
    };
    assert_eq!(gate("staging.jsonl").0, 0);
    let whole = site.0.read("staging.jsonl");
    // A change anywhere, and a tail cut off.
    let mut changed = vec![whole.replace("1.0.0", "1.0.1")];
    changed.push(whole.lines().take(4).map(|line| format!("{line}\n")).collect());
    for text in changed {
        site.0.write("changed.jsonl", &text);
        let (status, outcome, reason) = gate("changed.jsonl");
        assert_eq!((status, outcome.as_str()), (3, "error"), "{reason}");
        assert!(reason.starts_with("the record changed.jsonl: line "), "{reason}");
    }
}
