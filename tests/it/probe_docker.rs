//! The probe `docker` against a double of the Engine API at a socket file, and against what is no engine.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use holdpoint::model::{Found, Observation, Value};
use serde_json::json;

use crate::support::docker::{Contained, Engine, respond};
use crate::support::env::{Ran, TestEnv};
use crate::support::probing::{Probing, cause, declare, get, number, text};
use crate::support::rogue::{stall, write};

const ALL: &[&str] = &["running"];

async fn look(engine: &Engine, yaml: &str) -> Observation {
    Probing::new().sources(&engine.declared()).look("docker", ALL, yaml).await
}

fn tally(seen: &Observation, name: &str) -> (u64, u64) {
    match get(seen, name) {
        Value::Tally(tally) => (tally.count, tally.of),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn a_container_is_measured_over_the_socket() {
    let mut app = Contained::running("app").health("healthy");
    app.restarts = 2;
    let engine = Engine::with(vec![app, Contained::running("other")]);
    let seen = look(&engine, "app").await;
    assert_eq!(
        (tally(&seen, "running"), tally(&seen, "healthy"), tally(&seen, "oom_killed")),
        ((1, 1), (1, 1), (0, 1))
    );
    assert_eq!((text(&seen, "health"), text(&seen, "image")), ("healthy", "shop/web:1.2.3"));
    assert_eq!((number(&seen, "restarts"), number(&seen, "count")), (2.0, 1.0));
    let ago = number(&seen, "started_ago");
    assert!((3600.0..3700.0).contains(&ago), "{ago}");
    assert!(matches!(get(&seen, "exit_code"), Value::NoData(why) if why.contains("app has not ended")), "{seen:?}");
    let through = format!("docker at unix://{}", engine.socket.path().display());
    assert_eq!(seen.through.as_deref(), Some(through.as_str()));
    let paths: Vec<_> = engine.server.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/_ping", "/v1.47/containers/app/json"]);
}

#[tokio::test]
async fn every_state_but_running_does_not_run() {
    for status in ["created", "paused", "restarting", "removing", "exited", "dead"] {
        let engine = Engine::with(vec![Contained::running("app").with("Status", status)]);
        assert_eq!(tally(&look(&engine, "app").await, "running"), (0, 1), "{status}");
    }
    for (health, count) in [("starting", 0), ("unhealthy", 0), ("healthy", 1), ("none", 0)] {
        let engine = Engine::with(vec![Contained::running("app").health(health)]);
        let seen = look(&engine, "app").await;
        assert_eq!((text(&seen, "health"), tally(&seen, "healthy")), (health, (count, 1)));
    }
}

#[tokio::test]
async fn one_that_ended_tells_how() {
    let killed = Contained::exited("killed", 137).with("OOMKilled", true);
    let engine = Engine::with(vec![Contained::exited("done", 0), killed]);
    let done = look(&engine, "done").await;
    assert_eq!(
        (number(&done, "exit_code"), tally(&done, "running"), tally(&done, "oom_killed")),
        (0.0, (0, 1), (0, 1))
    );
    assert!(matches!(get(&done, "started_ago"), Value::NoData(_)));
    let killed = look(&engine, "killed").await;
    assert_eq!((number(&killed, "exit_code"), tally(&killed, "oom_killed")), (137.0, (1, 1)));
}

#[tokio::test]
async fn a_service_of_compose_is_all_of_its_containers() {
    let mut odd = Contained::running("shop-web-2").of("shop", "web").health("starting");
    odd.restarts = 7;
    odd.image = "shop/web:1.2.2";
    let mut once = Contained::running("shop-web-run-1").of("shop", "web");
    once.labels.retain(|(key, _)| *key != "com.docker.compose.oneoff");
    once.labels.push(("com.docker.compose.oneoff", "True"));
    let engine = Engine::with(vec![
        Contained::running("shop-web-1").of("shop", "web").health("healthy"),
        odd,
        once,
        Contained::exited("shop-db-1", 1).of("shop", "db"),
        Contained::running("else-web-1").of("else", "web"),
    ]);
    let web = look(&engine, "{ compose: shop/web }").await;
    assert_eq!((number(&web, "count"), tally(&web, "running"), tally(&web, "healthy")), (2.0, (2, 2), (1, 2)));
    assert_eq!(text(&web, "health"), "starting");
    assert!(matches!(get(&web, "restarts"), Value::Series(samples) if samples.len() == 2 && samples[1].value == 7.0));
    assert!(matches!(get(&web, "image"), Value::Missing(why) if why.contains("different images")));
    assert!(matches!(get(&web, "images"), Value::Set(images) if images.len() == 2));
    let all = look(&engine, "{ compose: shop }").await;
    // The one that has ended is among them.
    assert_eq!((number(&all, "count"), tally(&all, "running")), (3.0, (2, 3)));
    let labelled =
        look(&engine, "{ labels: { com.docker.compose.service: web, com.docker.compose.project: else } }").await;
    assert_eq!(number(&labelled, "count"), 1.0);
    let listed = look(&engine, "{ labels: [com.docker.compose.project, 'com.docker.compose.service=db'] }").await;
    assert_eq!((number(&listed, "count"), tally(&listed, "running")), (1.0, (0, 1)));
}

#[tokio::test]
async fn what_is_not_there_is_never_running() {
    let engine = Engine::with(vec![Contained::running("app")]);
    for yaml in ["ap", "[app, ap]"] {
        let seen = look(&engine, yaml).await;
        for name in ["running", "health", "restarts", "image"] {
            assert!(matches!(get(&seen, name), Value::Missing(why) if why == "there is no container ap"), "{seen:?}");
        }
    }
    let nobody = look(&engine, "{ compose: shop }").await;
    assert_eq!(number(&nobody, "count"), 0.0);
    for name in ["running", "healthy", "health", "restarts", "oom_killed", "images"] {
        assert!(matches!(get(&nobody, name), Value::NoData(_)), "{name}: {nobody:?}");
    }
}

#[tokio::test]
async fn an_engine_that_cannot_be_asked_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("none.sock");
    let left = folder.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).expect("a socket"));
    for (socket, word) in [(&missing, "there is no socket"), (&left, "connection refused")] {
        let declared = json!({ "docker": { "socket": socket } }).to_string();
        let seen = Probing::new().sources(&declared).look("docker", ALL, "app").await;
        assert!(matches!(&seen.found, Found::CouldNotLook { cause, .. } if cause.contains(word)), "{seen:?}");
    }
}

#[tokio::test]
async fn answers_that_are_none_are_errors() {
    let json = |status: u16, body: &'static str| {
        move |stream: &mut std::net::TcpStream| respond(stream, status, "application/json", body.as_bytes())
    };
    type Answer = std::boxed::Box<dyn Fn(&mut std::net::TcpStream) + Send + Sync>;
    let answers: Vec<(Answer, &str, bool)> = vec![
        (
            std::boxed::Box::new(json(403, r#"{"message":"forbidden by the proxy"}"#)),
            "403: access is denied: forbidden",
            false,
        ),
        (std::boxed::Box::new(json(404, r#"{"message":"page not found"}"#)), "answered 404", false),
        (std::boxed::Box::new(json(500, r#"{"message":"layer is busy"}"#)), "answered 500: layer is busy", true),
        (std::boxed::Box::new(json(200, r#"{"Id":"1"}"#)), "is no container", false),
        (std::boxed::Box::new(json(200, r#"{"Id":"#)), "breaks off", true),
        (std::boxed::Box::new(json(200, "<html>")), "HTML", false),
        (std::boxed::Box::new(|stream| write(stream, b"SSH-2.0-OpenSSH_9.2\r\n")), "did not answer in HTTP", true),
        (
            std::boxed::Box::new(|stream| write(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{")),
            "broke off",
            true,
        ),
    ];
    for (answer, word, again) in answers {
        let engine = Engine::playing(move |asked, stream| match asked.path.as_str() {
            "/_ping" => respond(stream, 200, "text/plain", b"OK"),
            _ => answer(stream),
        });
        let seen = look(&engine, "app").await;
        assert!(cause(&seen).contains(word), "{word}: {seen:?}");
        assert!(matches!(seen.found, Found::CouldNotLook { retry, .. } if retry == again), "{seen:?}");
    }
    let engine = Engine::playing(|_, stream| stall(stream));
    let hung = Probing::new().sources(&engine.declared()).timeout(Duration::from_millis(400));
    let seen = hung.look("docker", ALL, "app").await;
    assert!(cause(&seen).contains("no answer from"), "{seen:?}");
}

#[tokio::test]
async fn the_engine_is_what_the_environment_says_when_none_is_declared() {
    let engine = Engine::with(vec![Contained::running("app")]);
    let socket = format!("unix://{}", engine.socket.path().display());
    let tcp = format!("tcp://{}", engine.server.address);
    for host in [socket, tcp] {
        let seen = Probing::new().variable("DOCKER_HOST", &host).look("docker", ALL, "app").await;
        assert_eq!(tally(&seen, "running"), (1, 1), "{host}");
    }
    let seen = Probing::new().variable("DOCKER_HOST", "ssh://me@host").look("docker", ALL, "app").await;
    assert!(cause(&seen).contains("not asked over ssh"), "{seen:?}");
    let tls = Probing::new().variable("DOCKER_HOST", "tcp://127.0.0.1:1").variable("DOCKER_TLS_VERIFY", "1");
    let seen = tls.variable("DOCKER_CERT_PATH", "/nonexistent").look("docker", ALL, "app").await;
    assert!(cause(&seen).contains("/nonexistent/"), "{seen:?}");
}

#[test]
fn mistakes_are_said() {
    let sources = "{ docker: { socket: /a.sock }, eu: { kind: docker, url: 'tcp://eu:2376' } }";
    let probing = Probing::new().sources(sources);
    for (yaml, code) in [
        ("{ container: a, compose: b }", "bad-value"),
        ("{ source: eu }", "missing-key"),
        ("{ container: a, source: us }", "unknown-source"),
        ("[]", "bad-value"),
        ("''", "bad-value"),
        ("{ labels: {} }", "bad-value"),
        ("{ contaner: a }", "unknown-key"),
    ] {
        let said = probing.compile("docker", ALL, yaml).err().unwrap_or_default();
        assert!(said.iter().any(|line| line.starts_with(code)), "{yaml}: {said:?}");
    }
    let two = Probing::new().sources("{ us: { kind: docker, socket: /a }, eu: { kind: docker, socket: /b } }");
    let said = two.compile("docker", ALL, "a").err().unwrap_or_default();
    assert!(said.iter().any(|line| line.starts_with("no-source")), "{said:?}");
    for (declared, code) in [
        ("{ docker: { socket: /a, url: 'tcp://b' } }", "bad-value"),
        ("{ docker: 'ftp://x' }", "bad-url"),
        ("{ docker: { sockt: /a } }", "unknown-key"),
    ] {
        let (_, said) = declare(declared, &holdpoint::template::Scope::default());
        assert!(said.iter().any(|line| line.starts_with(code)), "{declared}: {said:?}");
    }
}

/// Who may not use the socket is told so: tried as another user when the tests run as root.
#[test]
fn a_socket_that_may_not_be_used_is_an_error_that_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let engine = Engine::with(vec![Contained::running("app")]);
    let socket = engine.socket.path();
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    };
    set(&socket, 0o000);
    set(socket.parent().expect("a folder"), 0o755);
    let env = TestEnv::new();
    env.write("c.yaml", &format!(
        "holdpoint: 1\nname: Denied\nsources: {{ docker: {{ socket: {} }} }}\nsections:\n  - name: Section\n    steps:\n      \
         - {{ name: Runs, docker: app, expect: {{ running: all }} }}\n",
        socket.display()
    ));
    set(&env.path(""), 0o777);
    let mut command = env.command(&["run", "c.yaml", "--report", "json=report.json"]);
    if rustix::process::geteuid().is_root() {
        // The program stands where others may not go.
        let copy = env.path("holdpoint");
        std::fs::copy(command.get_program(), &copy).expect("copied");
        set(&copy, 0o755);
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(&copy);
        command.args(args).current_dir(env.path("")).env_clear().env("HOME", env.path("")).uid(65534).gid(65534);
    }
    let ran = Ran::of(command.output().expect("the program runs"));
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(env.read("report.json").contains("no permission to use the socket"), "{ran:?}");
}
