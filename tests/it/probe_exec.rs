//! Commands as probes: what is measured, what is a failure and what an error, and that nothing outlives its look.
//! With them the two probes that need no tool at all: `manual` and `wait`.

use std::time::Duration;

use holdpoint::checklist::reading::Reading;
use holdpoint::diag::{Diagnostics, SourceMap};
use holdpoint::model::observation::LEFT_OUT;
use holdpoint::model::{Found, MeasureName, Measures, Observation, Value};
use holdpoint::probe::{Compiling, Look, Probe, Wants, find};
use holdpoint::source::Sources;
use holdpoint::sys::process::{self, End, Invocation};
use holdpoint::sys::{Clock, World, env::Env};
use holdpoint::template::Scope;
use holdpoint::{shape, yaml};
use serde_json::json;

/// One probe as it would stand in a step, and what the step uses of it.
struct Case {
    kind: &'static str,
    yaml: &'static str,
    wants: &'static [&'static str],
    ignore: &'static [&'static str],
    timeout: Duration,
    clock: Clock,
}

fn exec(yaml: &'static str, wants: &'static [&'static str]) -> Case {
    Case { kind: "exec", yaml, wants, ignore: &[], timeout: Duration::from_secs(20), clock: Clock::real() }
}

impl Case {
    fn compile(&self) -> Result<Box<dyn Probe>, String> {
        let kind = find(self.kind).expect("a known kind");
        let mut sources = SourceMap::new();
        let file = sources.add("checklist.yaml", self.yaml);
        let mut diagnostics = Diagnostics::new();
        let node = yaml::parse(&mut sources, file, &mut diagnostics).expect("valid YAML");
        let fits = shape::check(&node, &kind.shape, &mut diagnostics);
        let scope = scope();
        let mut wants = Wants::default();
        self.wants.iter().for_each(|name| wants.add(MeasureName::parse(name)));
        let ignore: Vec<String> = self.ignore.iter().map(|&p| p.to_owned()).collect();
        let mut reading = Reading::new(&sources, &mut diagnostics, &scope);
        let mut compiling = Compiling {
            reading: &mut reading,
            wants: &wants,
            sources: &Sources::default(),
            source: None,
            default_source: None,
            timeout: self.timeout,
            ignore: &ignore,
            along: None,
            soak: false,
        };
        let probe = if fits { (kind.compile)(&mut compiling, &node) } else { None };
        probe.ok_or_else(|| diagnostics.iter().map(|d| d.message.as_str()).collect::<Vec<_>>().join("; "))
    }

    async fn look(&self) -> Observation {
        let probe = self.compile().expect("compiles");
        let variables = [("PATH", "/usr/bin:/bin"), ("HOME", "/nowhere"), ("TOKEN", "t0p"), ("REGION", "eu")];
        let mut world = World::real();
        world.clock = self.clock.clone();
        world.env = std::sync::Arc::new(Env::of(variables.map(|(k, v)| (k.to_owned(), v.to_owned()))));
        let look = Look {
            world: &world,
            scope: &scope(),
            sources: &Sources::default(),
            timeout: self.timeout,
            run_started: world.clock.now(),
            as_of: None,
            soak: None,
            archive: None,
        };
        probe.observe(&look).await
    }
}

fn scope() -> Scope {
    let inputs = json!({ "name": "it's $(touch /tmp/never)", "word": "hello", "pause": "90s" });
    Scope::new(serde_json::Map::from_iter([("inputs".to_owned(), inputs)]))
}

fn measures(observation: &Observation) -> &Measures {
    match &observation.found {
        Found::Measures(measures) => measures,
        other => panic!("no measures: {other:?}"),
    }
}

fn get(observation: &Observation, name: &str) -> Value {
    measures(observation).get(&MeasureName::parse(name)).cloned().unwrap_or_else(|| panic!("no {name}"))
}

fn text(observation: &Observation, name: &str) -> String {
    match get(observation, name) {
        Value::Text(text) => text,
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test]
async fn a_shell_line_and_its_outputs() {
    let case = exec("echo {{ inputs.word }} | tr a-z A-Z; echo warn >&2; exit 4", &["stdout", "stderr", "lines"]);
    let seen = case.look().await;
    assert_eq!(get(&seen, "exit_code"), Value::Number(4.0));
    assert_eq!((text(&seen, "stdout").as_str(), text(&seen, "stderr").as_str()), ("HELLO", "warn"));
    assert_eq!(get(&seen, "lines"), Value::Number(1.0));
    assert_eq!(seen.request, "echo hello | tr a-z A-Z; echo warn >&2; exit 4");
    assert!(matches!(get(&seen, "duration"), Value::Number(n) if n > 0.0 && n < 20.0));
    assert!(seen.evidence.is_empty(), "what is measured is not kept twice");
}

#[tokio::test]
async fn values_never_become_shell_syntax() {
    let seen = exec("printf %s {{ inputs.name }}", &["stdout"]).look().await;
    assert_eq!(text(&seen, "stdout"), "it's $(touch /tmp/never)");
    let seen = exec(r#"[printf, "%s|", "{{ inputs.name }}", "a b"]"#, &["stdout"]).look().await;
    assert_eq!(text(&seen, "stdout"), "it's $(touch /tmp/never)|a b|");
}

#[tokio::test]
async fn a_failing_command_leaves_its_words_as_evidence() {
    let seen = exec("seq 1 5000; echo broken >&2; exit 1", &[]).look().await;
    let titles: Vec<_> = seen.evidence.iter().map(|e| e.title.as_str()).collect();
    assert_eq!(titles, ["stderr", "stdout"]);
    assert_eq!(seen.evidence[0].text, "broken");
    let long = &seen.evidence[1];
    assert!(long.text.starts_with("1\n2\n") && long.text.ends_with("\n5000"), "{}", long.text);
    assert!(long.text.contains(LEFT_OUT) && long.text.len() < 4200 && long.left_out > 18_000);
}

#[tokio::test]
async fn json_by_path() {
    let yaml = r#"|
  echo '{"status": "ok", "items": [{"id": 1}, {"id": 2}], "none": null}'"#;
    let seen = exec(yaml, &["json[$.status]", "json[$.items[*].id]", "json[$.nope]", "json[$.none]"]).look().await;
    assert_eq!(get(&seen, "json[$.status]"), Value::Json(json!("ok")));
    assert_eq!(get(&seen, "json[$.items[*].id]"), Value::Json(json!([1, 2])));
    assert_eq!(get(&seen, "json[$.none]"), Value::Json(json!(null)));
    assert!(matches!(get(&seen, "json[$.nope]"), Value::Missing(why) if why.contains("$.nope")));
    let seen = exec("[echo, '{\"a\": ']", &["json[$.a]"]).look().await;
    assert!(matches!(get(&seen, "json[$.a]"), Value::NoData(why) if why.contains("not JSON")));
    let seen = exec("true", &["json"]).look().await;
    assert!(matches!(get(&seen, "json"), Value::NoData(why) if why.contains("empty")));
}

#[tokio::test]
async fn expected_noise_is_dropped_before_it_counts() {
    let mut case = exec("echo keep; echo noise 1; echo keep; echo noise 2 >&2", &["stdout", "stderr", "lines"]);
    case.ignore = &["^noise"];
    let seen = case.look().await;
    assert_eq!((text(&seen, "stdout").as_str(), text(&seen, "stderr").as_str()), ("keep\nkeep", ""));
    assert_eq!(get(&seen, "lines"), Value::Number(2.0));
}

#[tokio::test]
async fn only_the_listed_environment_reaches_the_command() {
    let seen = exec("env | sort | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=", &["stdout"]).look().await;
    assert_eq!(text(&seen, "stdout"), "HOME=/nowhere\nPATH=/usr/bin:/bin");
    let yaml =
        "{ command: 'echo $TOKEN-$REGION-$X-$UNSET', inherit: [REGION, UNSET], env: { X: '{{ inputs.word }}' } }";
    let seen = exec(yaml, &["stdout"]).look().await;
    assert_eq!(text(&seen, "stdout"), "-eu-hello-");
}

#[tokio::test]
async fn input_folder_and_shell() {
    let yaml = "{ command: 'pwd; cat; echo $0', cwd: /usr/bin, stdin: \"{{ inputs.word }}\\n\", shell: /bin/bash }";
    let seen = exec(yaml, &["stdout"]).look().await;
    assert_eq!(text(&seen, "stdout"), "/usr/bin\nhello\n/bin/bash");
}

#[tokio::test]
async fn what_could_not_run_is_an_error_and_not_a_failure() {
    for (yaml, cause) in [
        ("[no-such-program-here, -x]", "command not found"),
        ("no-such-program-here -x", "the shell could not run a command"),
        ("/etc/passwd", "the shell could not run a command"),
        ("[/etc/passwd]", "may not be executed"),
        ("{ command: 'true', cwd: /no/folder }", "the folder /no/folder does not exist"),
        ("{ command: 'true', shell: /no/shell }", "command not found: /no/shell"),
        ("echo {{ inputs.nope }}", "nope"),
    ] {
        let seen = exec(yaml, &[]).look().await;
        assert!(
            matches!(&seen.found, Found::CouldNotLook { cause: said, retry: false } if said.contains(cause)),
            "{yaml}: {:?}",
            seen.found
        );
    }
    let seen = exec("command -v no-such-program-here || exit 127", &[]).look().await;
    assert_eq!(get(&seen, "exit_code"), Value::Number(127.0), "an exit code alone is an answer");
    let seen = exec("no-such-program-here | cat", &[]).look().await;
    assert!(seen.notes.iter().any(|n| n.text.contains("did not find a command")), "{:?}", seen.notes);
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended() {
    let mut case = exec("echo begun; sleep 60 & sleep 60", &["stdout"]);
    case.timeout = Duration::from_millis(300);
    let seen = case.look().await;
    let Found::CouldNotLook { cause, retry: true } = &seen.found else { panic!("{:?}", seen.found) };
    assert_eq!(cause, "the command did not end within 300ms; its process group was ended");
    assert_eq!(seen.evidence[0].text, "begun");
}

#[tokio::test]
async fn of_many_commands_that_fork_and_take_too_long_none_survives() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "(trap '' TERM; sleep 61) & (sleep 61 & echo $! >> pids) & echo $! $$ >> pids; sleep 61";
    let invocation = Invocation {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: Some(folder.path().to_owned()),
        stdin: None,
        timeout: Duration::from_millis(500),
        keep: 1024,
    };
    let runs: Vec<_> = (0..25).map(|_| process::run(&invocation)).collect();
    for ended in futures_util::future::join_all(runs).await {
        assert_eq!(ended.expect("starts").end, End::TimedOut);
    }
    let pids = std::fs::read_to_string(folder.path().join("pids")).expect("written");
    let pids: Vec<u32> = pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    assert!(pids.len() >= 50, "{pids:?}");
    // A process that has ended may still wait to be collected by whoever adopted it.
    let runs = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains("(sleep)") && !stat.contains(") Z ") || stat.contains("(sh)") && !stat.contains(") Z ")
    };
    for _ in 0..200 {
        if !pids.iter().any(runs) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("survivors: {:?}", pids.iter().filter(|pid| runs(pid)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_signal_is_a_measure() {
    let seen = exec("kill -TERM $$", &["signal"]).look().await;
    assert_eq!(get(&seen, "signal"), Value::Text("SIGTERM".into()));
    assert_eq!(get(&seen, "exit_code"), Value::Missing("the command was ended by SIGTERM".into()));
    let seen = exec("true", &["signal"]).look().await;
    assert!(matches!(get(&seen, "signal"), Value::Missing(_)));
}

#[tokio::test]
async fn a_flood_is_bounded_and_said() {
    let seen = exec("echo first; head -c 5000000 /dev/zero | tr '\\0' 'x'; printf '\\377last'", &["stdout", "lines"]);
    let seen = seen.look().await;
    assert!(
        matches!(get(&seen, "stdout"), Value::NoData(why) if why.ends_with("bytes in the middle of 5000011 were not kept"))
    );
    let text = &seen.evidence[0].text;
    assert!(text.starts_with("first\n") && text.ends_with("\u{FFFD}last") && text.contains(LEFT_OUT));
    assert!(text.len() < 10_000);
    assert_eq!(get(&seen, "lines"), Value::Number(2.0));
}

#[tokio::test]
async fn a_command_runs_in_real_time_under_a_made_up_clock() {
    let mut case = exec("sleep 0.3; echo done", &["stdout"]);
    case.clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
    case.timeout = Duration::from_secs(10);
    let ticking = async {
        case.clock.sleep(Duration::from_secs(3600)).await;
        std::future::pending::<()>().await;
    };
    let seen = tokio::select! {
        seen = case.look() => seen,
        () = case.clock.drive() => unreachable!("the clock never stops"),
        () = ticking => unreachable!("the ticking never ends"),
    };
    assert_eq!(text(&seen, "stdout"), "done");
    assert!(case.clock.elapsed() <= Duration::from_secs(3600));
}

#[test]
fn mistakes_are_said_before_anything_runs() {
    for (yaml, said) in [
        ("''", "the command is empty"),
        ("[]", "the command is empty"),
        ("{ command: [ls], shell: /bin/bash }", "no shell runs a command that is a list"),
        ("{ command: ls, env: { 'A=B': x } }", "is not the name of an environment variable"),
        ("{ comand: ls }", "did you mean \"command\"?"),
        ("echo {{ inputs.", "unexpected end"),
    ] {
        let error = exec(yaml, &[]).compile().err().unwrap_or_default();
        assert!(error.contains(said), "{yaml}: {error:?}");
    }
}

#[tokio::test]
async fn a_manual_check_waits_for_a_person() {
    let mut case = exec("{ instruction: 'Say {{ inputs.word }}', by: sre }", &[]);
    case.kind = "manual";
    let seen = case.look().await;
    assert_eq!(seen.found, Found::Waiting { instruction: "Say hello".into() });
    assert_eq!(seen.request, "asks sre");
    case.yaml = "' '";
    assert!(case.compile().err().unwrap_or_default().contains("the instruction is empty"));
}

#[tokio::test]
async fn a_wait_passes_by_the_clock_and_says_how_long_it_needs() {
    let mut case = exec("'{{ inputs.pause }}'", &[]);
    case.kind = "wait";
    case.clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
    assert_eq!(case.compile().expect("compiles").needs(), Some(Duration::from_secs(90)));
    let seen = tokio::select! {
        seen = case.look() => seen,
        () = case.clock.drive() => unreachable!("the clock never stops"),
    };
    assert_eq!(get(&seen, "elapsed"), Value::Number(90.0));
    assert_eq!(seen.request, "waits 1m30s");
}
