//! The policy: what a checklist may touch, by every way to get there.

use holdpoint::sys::World;
use holdpoint::sys::policy::{HostPattern, Listed, Policy, Rule};
use serde_json::Value;

use crate::support::env::{Ran, TestEnv, steps};
use crate::support::probing::{Probing, cause, number};
use crate::support::rogue::{Rogue, write};

const HEAD: &str = "holdpoint: 1\nname: Policed\nsections:\n  - name: Section\n    steps:\n";

/// Runs steps under a policy, and returns what each came to, with its reason.
fn run(env: &TestEnv, policy: &str, steps_yaml: &str) -> (Ran, Vec<(String, String)>) {
    env.write("checklist.yaml", &format!("{HEAD}{steps_yaml}"));
    env.write("policy.yaml", policy);
    let ran = env.run(&["run", "checklist.yaml", "--policy", "policy.yaml", "--report", "json=report.json"]);
    let report: Value = match env.path("report.json").exists() {
        true => env.json("report.json"),
        false => return (ran, Vec::new()),
    };
    let _ = std::fs::remove_file(env.path("report.json"));
    (ran, steps(&report).into_iter().map(|(_, outcome, reason)| (outcome, reason)).collect())
}

fn refused(found: &(String, String), words: &str) {
    assert!(found.0 == "error" && found.1.contains(words), "{words}: {found:?}");
}

fn answering() -> Rogue {
    Rogue::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
}

#[test]
fn a_refused_step_is_an_error_that_names_the_rule_and_the_others_run() {
    let (env, server) = (TestEnv::new(), answering());
    let policy = "holdpoint: 1\npolicy:\n  probes: { allow: [http, exec, file, tcp, log] }\n  commands:\n    \
                  allow: [echo hello, [sh, -c, exit 0]]\n    deny: [echo hello world]\n  hosts:\n    \
                  allow: [127.0.0.1, db.test]\n  files: { allow: [in] }\n  changes: refuse\n";
    env.write("in/a", "x");
    env.write("out/secret", "x");
    std::os::unix::fs::symlink(env.path("out"), env.path("in/link")).expect("a link");
    let steps = format!(
        "      - {{ name: a, http: '{}', expect: 200 }}
      - {{ name: b, exec: [echo, hello, you], expect: 0 }}
      - {{ name: c, exec: exit 0, expect: 0 }}
      - {{ name: d, file: in/a, expect: exists }}
      - {{ name: e, exec: [echo, hello, world], expect: 0 }}
      - {{ name: f, exec: [rm, -r, x], expect: 0 }}
      - {{ name: g, exec: 'exit 0; id', expect: 0 }}
      - {{ name: h, exec: {{ command: [echo, hello], env: {{ LD_PRELOAD: /x.so }} }}, expect: 0 }}
      - {{ name: i, file: out/secret, expect: exists }}
      - {{ name: j, file: in/link/secret, expect: absent }}
      - {{ name: k, file: 'in/../out/none', expect: absent }}
      - {{ name: l, http: 'http://10.9.9.9/', expect: 200 }}
      - {{ name: m, tcp: '[::1]:1' }}
      - {{ name: n, exec: [echo, hello], changes: greets, expect: 0 }}
      - {{ name: o, wait: 1ms }}
      - {{ name: p, file: 'in/link/*', expect: exists }}
      - {{ name: q, exec: {{ command: exit 0, cwd: out }}, expect: 0 }}
      - {{ name: r, http: {{ url: '{}', file: out/secret }}, expect: 200 }}
      - {{ name: s, log: 'in/li*/secret', expect: {{ matches: {{ x: 0 }} }} }}
",
        server.url("/"),
        server.url("/")
    );
    let (ran, found) = run(&env, policy, &steps);
    assert_eq!(ran.status, 3, "{ran:?}");
    let good = found.iter().take(4).all(|(outcome, _)| outcome == "pass");
    assert!(good, "{found:#?}");
    refused(&found[4], "policy.yaml:6 (commands.deny: echo hello world)");
    refused(&found[5], "policy.yaml:5 (commands.allow: echo hello, sh -c exit 0): the command rm -r x is not listed");
    refused(&found[6], "the command /bin/sh -c exit 0; id is not listed");
    refused(&found[7], "LD_PRELOAD is set anew");
    for secret in [8, 9, 10, 15] {
        refused(&found[secret], "policy.yaml:9 (files.allow: in)");
    }
    refused(&found[11], "policy.yaml:8 (hosts.allow: 127.0.0.1, db.test): 10.9.9.9:80 is not listed");
    refused(&found[12], "[::1]:1, which is this machine itself, is not listed");
    refused(&found[13], "policy.yaml:10 (changes: refuse): greets");
    refused(&found[14], "policy.yaml:3 (probes.allow: http, exec, file, tcp, log): the probe wait is not listed");
    refused(&found[16], "in the folder out the command could be another");
    refused(&found[17], "policy.yaml:9 (files.allow: in): the path out/secret");
    refused(&found[18], "policy.yaml:9 (files.allow: in)");
}

#[test]
fn a_scan_and_what_a_file_includes_stay_within_the_policy() {
    let env = TestEnv::new();
    env.write("in/a.py", "print('hello')\n");
    env.write("in/requirements.txt", "-r ../out/more.txt\nflask==3.0.3\n");
    env.write("in/private/b.py", "print('hello')\n");
    env.write("out/more.txt", "jinja2>=3\n");
    std::os::unix::fs::symlink(env.path("out"), env.path("in/link")).expect("a link");
    let steps = "      - { name: a, file: { path: in, secrets: true }, expect: { findings: none, count: 3 } }
      - { name: b, file: { path: out, secrets: true }, expect: { findings: none } }
      - { name: c, file: { path: 'in/link/*', secrets: true }, expect: { findings: none } }
      - { name: d, file: in/requirements.txt, expect: { unpinned: none } }
";
    let (_, found) = run(&env, "holdpoint: 1\npolicy:\n  files: { allow: [in] }\n", steps);
    assert_eq!(found[0].0, "pass", "{found:#?}");
    refused(&found[1], "policy.yaml:3 (files.allow: in)");
    refused(&found[2], "policy.yaml:3 (files.allow: in)");
    assert!(found[3].0 == "inconclusive" && found[3].1.contains("policy.yaml:3 (files.allow: in)"), "{found:#?}");
    // What is not to be read within a tree makes nothing known of the tree.
    let (_, found) = run(&env, "holdpoint: 1\npolicy:\n  files: { allow: [in], deny: [in/private] }\n", steps);
    refused(&found[0], "policy.yaml:3 (files.deny: in/private)");
}

#[test]
fn check_says_before_the_run_what_is_refused() {
    let env = TestEnv::new();
    env.write(
        "policy.yaml",
        "holdpoint: 1\npolicy:\n  hosts: { allow: ['*.shop.test:443'] }\n  commands: { allow: [] }\n",
    );
    let steps = "      - { name: fine, http: https://api.shop.test/, expect: 200 }
      - { name: elsewhere, http: http://api.shop.test/, expect: 200 }
      - { name: command, exec: [id], expect: 0 }
";
    env.write("checklist.yaml", &format!("{HEAD}{steps}"));
    let ran = env.run(&["check", "checklist.yaml", "--policy", "policy.yaml"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.stderr.contains("policy-refused") && ran.stderr.contains("checklist.yaml:7"), "{ran:?}");
    assert!(ran.stderr.contains("policy.yaml:3 (hosts.allow: *.shop.test:443): api.shop.test:80 is not listed"));
    assert!(ran.stderr.contains("checklist.yaml:8") && ran.stderr.contains("the command id is not listed"), "{ran:?}");
    assert!(!ran.stderr.contains("checklist.yaml:6"), "{ran:?}");
    let plan = env.run(&["plan", "checklist.yaml", "--policy", "policy.yaml"]);
    assert!(plan.status == 0 && plan.stdout.matches("policy   refused by policy.yaml").count() == 2, "{plan:?}");
    let mut command = env.command(&["check", "checklist.yaml"]);
    let ran = Ran::of(command.env("HOLDPOINT_POLICY", "policy.yaml").output().expect("the program runs"));
    assert_eq!(ran.status, 2, "{ran:?}");
    assert_eq!(env.run(&["check", "checklist.yaml"]).status, 0);
}

#[test]
fn nothing_runs_under_a_policy_with_mistakes() {
    let env = TestEnv::new();
    let steps = "      - { name: a, exec: 'touch mark', expect: 0 }\n";
    for bad in ["holdpoint: 1\npolicy: { hosts: { allow: ['10.*'] } }\n", "holdpoint: 1\npolicy: { probe: {} }\n", ""] {
        let (ran, found) = run(&env, bad, steps);
        assert!(ran.status == 2 && found.is_empty() && ran.stderr.contains("has mistakes"), "{bad:?}: {ran:?}");
    }
    let ran = env.run(&["run", "checklist.yaml", "--policy", "nowhere.yaml"]);
    assert!(ran.status == 2 && ran.stderr.contains("no such file"), "{ran:?}");
    assert!(!env.path("mark").exists());
}

#[test]
fn a_checklist_with_a_refused_source_is_not_run() {
    let env = TestEnv::new();
    env.write("policy.yaml", "holdpoint: 1\npolicy: { sources: { allow: [grafana], deny: [eu] } }\n");
    let sources = "sources:\n  prometheus: http://localhost:9\n  eu: { kind: grafana, url: 'http://x' }\n";
    let steps = "      - { name: a, exec: 'touch mark', expect: 0 }\n";
    env.write("checklist.yaml", &format!("{sources}{HEAD}{steps}"));
    for command in [["run", "checklist.yaml"], ["check", "checklist.yaml"]] {
        let ran = env.run(&[command[0], command[1], "--policy", "policy.yaml"]);
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(ran.stderr.contains("the source prometheus is not listed"), "{ran:?}");
        assert!(ran.stderr.contains("sources.deny: eu"), "{ran:?}");
    }
    assert!(!env.path("mark").exists());
}

#[test]
fn a_run_goes_on_under_its_policy() {
    let env = TestEnv::new();
    env.write("policy.yaml", "holdpoint: 1\npolicy: { probes: { deny: [exec] } }\n");
    let held = "holdpoint: 1\nname: Policed\nsections:\n  - name: Section\n    hold: true\n    steps:\n      \
                - { name: a, exec: 'touch mark', expect: 0 }\n";
    env.write("checklist.yaml", held);
    assert_eq!(env.run(&["run", "checklist.yaml", "--policy", "policy.yaml"]).status, 4);
    assert_ne!(env.run(&["release", "last"]).status, 2);
    let ran = env.run(&["resume", "last", "--report", "json=report.json"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(steps(&env.json("report.json"))[0].2.contains("policy.yaml:2 (probes.deny: exec)"), "{ran:?}");
    assert!(!env.path("mark").exists());
}

async fn look(world: World, yaml: &str) -> holdpoint::model::Observation {
    Probing::new().world(world).look("http", &[], yaml).await
}

fn is_refused(look: &holdpoint::model::Observation, words: &str) {
    let lasting = matches!(look.found, holdpoint::model::Found::CouldNotLook { retry: false, .. });
    assert!(lasting && cause(look).contains(words), "{words}: {look:?}");
}

#[tokio::test]
async fn metadata_is_refused_without_a_policy_by_every_way() {
    for spelled in [
        "http://169.254.169.254/latest",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal/",
        "{ url: http://evil.test/, resolve: { evil.test: 169.254.169.254 } }",
        "{ url: http://evil.test/, proxy: 'http://169.254.169.254:80' }",
        "{ url: http://evil.test/, proxy: 'socks5://169.254.169.254:80' }",
    ] {
        is_refused(&look(World::real(), spelled).await, "credentials");
    }
    let server = Rogue::start(|_, stream| {
        write(stream, b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n");
    });
    is_refused(&look(World::real(), &server.url("/")).await, "169.254.169.254:80 is a link-local address");
    let timed = Probing::new().look("http", &["timing.dns"], &server.url("/")).await;
    is_refused(&timed, "link-local");
    let tcp = Probing::new().look("tcp", &[], "2852039166:80").await;
    is_refused(&tcp, "169.254.169.254, the address of 2852039166:80");
    let tls = Probing::new().look("tls", &[], "169.254.169.254:443").await;
    is_refused(&tls, "link-local");
    let dns = Probing::new().look("dns", &[], "{ name: x.test, resolver: 169.254.169.254 }").await;
    is_refused(&dns, "link-local");
}

fn hosts(allow: &[&str]) -> World {
    let origin = holdpoint::model::Origin { file: "policy.yaml".into(), line: 1, column: 1 };
    let patterns = allow.iter().map(|text| HostPattern::parse(text).expect("a pattern")).collect();
    let allow = Some((Rule { origin, text: "hosts.allow".into() }, patterns));
    let hosts = Listed { allow, deny: Vec::new() };
    World::under(Policy { file: Some("policy.yaml".into()), hosts, ..Policy::default() })
}

#[tokio::test]
async fn a_list_of_hosts_is_kept_at_the_moment_of_connecting() {
    let server = answering();
    let (port, by_name) = (server.address.port(), format!("http://localhost:{}/", server.address.port()));
    assert_eq!(number(&look(hosts(&["localhost"]), &by_name).await, "status"), 200.0);
    assert_eq!(number(&look(hosts(&["127.0.0.0/8", "::1"]), &by_name).await, "status"), 200.0);
    assert_eq!(number(&look(hosts(&[&format!("127.0.0.1:{port}")]), &server.url("/")).await, "status"), 200.0);
    // A name that is allowed leads here all the same: its address is judged when it is known.
    is_refused(&look(hosts(&["*"]), &by_name).await, "this machine itself");
    is_refused(&look(hosts(&["127.0.0.1:1"]), &server.url("/")).await, "is not listed");
    is_refused(&look(hosts(&["10.0.0.0/8"]), &by_name).await, "is not listed");
    let given = format!("{{ url: 'http://shop.test:{port}/', resolve: {{ shop.test: 127.0.0.1 }} }}");
    is_refused(&look(hosts(&["shop.test"]), &given).await, "this machine itself");
    let timed = Probing::new().world(hosts(&["*"])).look("http", &["timing.dns"], &by_name).await;
    is_refused(&timed, "this machine itself");
    let tcp = Probing::new().world(hosts(&["*"])).look("tcp", &[], &format!("localhost:{port}")).await;
    is_refused(&tcp, "this machine itself");
}

#[tokio::test]
async fn a_redirect_does_not_lead_out_of_the_list() {
    let inner = answering();
    let target = inner.url("/secret");
    let outer = Rogue::start(move |_, stream| {
        let head =
            format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        write(stream, head.as_bytes());
    });
    let only = hosts(&[&outer.address.to_string()]);
    is_refused(
        &look(only, &outer.url("/")).await,
        &format!("{} is not listed", inner.address).replace(" is", ", which is this machine itself, is"),
    );
    assert!(inner.asked().is_empty());
    let both = hosts(&[&outer.address.to_string(), &inner.address.to_string()]);
    assert_eq!(number(&look(both, &outer.url("/")).await, "status"), 200.0);
}

#[test]
fn the_page_and_the_schema_are_those_of_the_file() {
    let env = TestEnv::new();
    let page = env.run(&["explain", "policy"]);
    assert!(page.status == 0 && page.stdout.contains("- `hosts`"), "{page:?}");
    let schema: Value = serde_json::from_str(&env.run(&["schema", "policy"]).stdout).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let example = page.stdout.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    env.write("policy.yaml", example);
    env.write(
        "checklist.yaml",
        &format!("{HEAD}      - {{ name: a, http: 'https://a.shop.internal/', expect: 200 }}\n"),
    );
    let ran = env.run(&["check", "checklist.yaml", "--policy", "policy.yaml"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let (mut map, mut said) = (holdpoint::diag::SourceMap::new(), holdpoint::diag::Diagnostics::new());
    let file = map.add("policy.yaml", example);
    let document = holdpoint::yaml::parse(&mut map, file, &mut said).expect("YAML").json();
    assert!(validator.is_valid(&document), "{:?}", validator.iter_errors(&document).collect::<Vec<_>>());
    assert!(!validator.is_valid(&serde_json::json!({ "holdpoint": 1, "policy": { "host": {} } })));
}
