//! A secret in every place that a message may come from: masked wherever it is said, used where it belongs.

use super::{answering, checklist};
use crate::support::env::{Ran, TestEnv};
use crate::support::rogue::Rogue;

const SECRETS: &[&str] = &["hook-s3cret-1", "key-s3cret-2", "said-s3cret-3"];

fn notify(server: &Rogue) -> String {
    let url = server.url("");
    format!(
        "inputs:\n  hook: {{ secret: true, env: HOOK }}\n  key: {{ secret: true, env: KEY }}\n  said: {{ secret: true, env: SAID }}\n\
         links: {{ report: 'https://ci.example.com/?t={{{{ inputs.said }}}}' }}\nnotify:\n  \
         - {{ slack: '{url}/{{{{ inputs.hook }}}}', text: 'a {{{{ inputs.said }}}}' }}\n  \
         - {{ teams: '{url}/{{{{ inputs.hook }}}}', text: 'a {{{{ inputs.said }}}}' }}\n  \
         - {{ pagerduty: '{{{{ inputs.key }}}}', url: '{url}', dedup_key: 'd {{{{ inputs.said }}}}' }}\n  \
         - {{ webhook: '{url}/{{{{ inputs.hook }}}}', headers: {{ authorization: 'Bearer {{{{ inputs.key }}}}' }}, body: '{{ \"a\": \"{{{{ inputs.said }}}}\", \"b\": \"{{{{ run.title }}}}\" }}' }}\n  \
         - {{ grafana: '{url}', token: '{{{{ inputs.key }}}}', tags: ['{{{{ inputs.said }}}}'] }}\n  \
         - {{ datadog: '{{{{ inputs.key }}}}', url: '{url}', tags: ['t:{{{{ inputs.said }}}}'] }}\n  \
         - {{ pushgateway: '{url}', labels: {{ l: '{{{{ inputs.said }}}}' }}, bearer: '{{{{ inputs.key }}}}' }}\n"
    )
}

fn go(env: &TestEnv, args: &[&str]) -> Ran {
    let mut command = env.command(args);
    command.env("HOOK", SECRETS[0]).env("KEY", SECRETS[1]).env("SAID", SECRETS[2]);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", env.path("summary.md"))
        .env("GITHUB_OUTPUT", env.path("output"));
    Ran::of(command.output().expect("the program runs"))
}

const LEAKS: &str = "      - { name: 'It says {{ inputs.said }}', exec: { command: 'echo $SAID | base64 >&2; echo $SAID; exit 3', env: { SAID: '{{ inputs.said }}' } }, expect: { stdout: nothing, exit_code: 0 }, runbook: 'https://w.example.com/{{ inputs.said }}' }\n";

/// Looks for secrets, plain and in base64.
fn assert_masked(what: &str, text: &str, secrets: &[&str]) {
    use base64::Engine;
    for secret in secrets {
        let encoded = base64::engine::general_purpose::STANDARD.encode(secret);
        assert!(!text.contains(secret) && !text.contains(&encoded[..12]), "{what} tells {secret}:\n{text}");
    }
}

#[test]
fn a_secret_is_masked_in_every_message_and_in_all_that_is_said_of_it() {
    for (status, body) in
        [("200 OK", "{\"id\": 7}"), ("400 Bad Request", "{\"message\": \"no key-s3cret-2 and hook-s3cret-1\"}")]
    {
        let (env, server) = (TestEnv::new(), answering(status, "", body));
        env.write("checklist.yaml", &checklist(&notify(&server), LEAKS));
        let ran = go(
            &env,
            &[
                "run",
                "checklist.yaml",
                "--store",
                "runs.db",
                "--report",
                "markdown=report.md",
                "--report",
                "record=record.jsonl",
                "--report",
                "json=report.json",
            ],
        );
        assert_eq!(ran.status, 1, "{}", ran.stderr);
        let asked = server.asked();
        assert!(asked.len() >= 7, "{} requests", asked.len());
        for asked in &asked {
            // A key of PagerDuty stands in the body, by its API.
            let own = if asked.path.starts_with("/v2/enqueue") { &SECRETS[2..] } else { &SECRETS[1..] };
            assert_masked(&asked.path, &asked.body, own);
            assert_masked("a body", &asked.body.replace(SECRETS[1], ""), SECRETS);
            assert_masked("a path", &asked.path, &SECRETS[1..]);
        }
        let with = |header: &str, value: &str| asked.iter().any(|asked| asked.header(header) == Some(value));
        assert!(with("authorization", "Bearer key-s3cret-2") && with("dd-api-key", "key-s3cret-2"));
        assert!(asked.iter().any(|asked| asked.path == "/hook-s3cret-1"));
        assert_masked("stderr", &ran.stderr, SECRETS);
        assert_masked("stdout", &ran.stdout, SECRETS);
        for file in ["report.md", "record.jsonl", "report.json", "summary.md", "output"] {
            assert_masked(file, &env.read(file), SECRETS);
        }
        let store = String::from_utf8_lossy(&std::fs::read(env.path("runs.db")).expect("a file")).into_owned();
        assert_masked("the store", &store, SECRETS);
        let dry = go(&env, &["notify", "last", "--store", "runs.db", "--dry-run"]);
        assert_eq!(dry.status, 0, "{}", dry.stderr);
        assert_masked("a dry run", &format!("{}{}", dry.stdout, dry.stderr), SECRETS);
        let sample = go(&env, &["notify", "checklist.yaml", "--event", "no-go", "--dry-run"]);
        assert_masked("a sample", &format!("{}{}", sample.stdout, sample.stderr), SECRETS);
    }
}
