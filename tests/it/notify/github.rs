//! What a job of GitHub Actions is told, to the byte.

use super::{FAILS, checklist};
use crate::support::env::{Ran, TestEnv};

fn run(env: &TestEnv, notify: &str, more: &str, args: &[&str]) -> Ran {
    env.write("work/gates/checklist.yaml", &checklist(notify, more));
    let mut all = vec!["run", "gates/checklist.yaml", "--store", "runs.db"];
    all.extend(args);
    let mut command = env.command(&all);
    command.current_dir(env.path("work")).env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", env.path("work"));
    command.env("GITHUB_STEP_SUMMARY", env.path("summary.md")).env("GITHUB_OUTPUT", env.path("output"));
    Ran::of(command.output().expect("the program runs"))
}

fn commands(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter(|line| line.starts_with("::")).collect()
}

#[test]
fn a_job_has_annotations_a_summary_and_outputs_without_being_asked() {
    let env = TestEnv::new();
    env.write("output", "before=1\n");
    let more =
        format!("{FAILS}      - {{ name: 'It is, 100% sure: well', exec: 'exit 4', expect: 0, required: false }}\n");
    let ran = run(&env, "", &more, &["--report", "markdown=signoff.md"]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert_eq!(
        commands(&ran),
        [
            "::error file=gates/checklist.yaml,line=9,col=17,title=It answers::fail: exit_code: expected 0, observed 3%0Arunbook: https://wiki.example.com/answers",
            "::warning file=gates/checklist.yaml,line=10,col=17,title=It is%2C 100%25 sure%3A well::fail: exit_code: expected 0, observed 4",
        ]
    );
    assert_eq!(env.read("output"), "before=1\ndecision=no-go\nfailed=it-answers\nreport=signoff.md\n");
    let (summary, report) = (env.read("summary.md"), env.read("work/signoff.md"));
    assert_eq!(summary.trim_end(), report.trim_end());
    assert!(summary.contains("It answers"), "{summary}");
}

#[test]
fn a_good_run_is_told_too_and_one_that_waits() {
    let env = TestEnv::new();
    let ran = run(&env, "", "", &[]);
    assert_eq!((ran.status, commands(&ran)), (0, vec![]), "{}", ran.stderr);
    assert_eq!(env.read("output"), "decision=go\nfailed=\nreport=\n");
    let env = TestEnv::new();
    let ran = run(
        &env,
        "",
        "  - { name: Promotion, hold: true, steps: [{ name: Goes on, exec: 'true', expect: 0 }] }\n",
        &[],
    );
    assert_eq!(ran.status, 4, "{}", ran.stderr);
    assert_eq!(env.read("output"), "decision=held\nfailed=\nreport=\n");
    assert_eq!(
        commands(&ran)[0],
        "::notice file=gates/checklist.yaml,title=Waiting::\"Promotion\" waits to be released"
    );
}

#[test]
fn it_can_be_silent_and_it_is_elsewhere() {
    let env = TestEnv::new();
    let ran = run(&env, "notify: [{ github: false }]\n", FAILS, &[]);
    assert_eq!((ran.status, commands(&ran)), (1, vec![]));
    assert!(!env.path("output").exists() && !env.path("summary.md").exists());
    let ran = run(&env, "", FAILS, &["--no-notify"]);
    assert_eq!((ran.status, commands(&ran)), (1, vec![]));
    env.write("checklist.yaml", &checklist("", FAILS));
    let ran = env.run(&["run", "checklist.yaml", "--store", "runs.db"]);
    assert_eq!((ran.status, commands(&ran)), (1, vec![]));
}

#[test]
fn files_that_cannot_be_written_change_nothing() {
    let env = TestEnv::new();
    std::fs::create_dir_all(env.path("summary.md")).expect("a folder in its place");
    let ran = run(&env, "", "", &[]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("github was not told of go: "), "{}", ran.stderr);
}
