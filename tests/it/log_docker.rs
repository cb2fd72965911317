//! Logs of containers, against a double of the Engine API at a socket file.

use std::time::Duration;

use holdpoint::model::Observation;

use crate::support::docker::{Contained, Engine, frame, respond};
use crate::support::probing::{Probing, cause, number};
use crate::support::rogue::{stall, write};

async fn look(engine: &Engine, wants: &[&str], yaml: &str) -> Observation {
    Probing::new().sources(&engine.declared()).look("log", wants, yaml).await
}

fn stamp(minutes: i64) -> String {
    (chrono::Utc::now() - chrono::TimeDelta::minutes(minutes)).to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)
}

fn message(stream: u8, minutes: i64, text: &str) -> Vec<u8> {
    frame(stream, format!("{} {text}", stamp(minutes)).as_bytes())
}

fn writing(name: &'static str, log: Vec<Vec<u8>>) -> Contained {
    Contained { log: log.concat(), ..Contained::running(name) }
}

#[tokio::test]
async fn both_streams_are_looked_through_with_the_times_of_the_engine() {
    let log = vec![
        message(1, 60, "error old\n"),
        message(2, 3, "{\"level\":\"error\"}\n"),
        message(1, 2, "a long "),
        message(2, 2, "error between\n"),
        message(1, 2, "line\n"),
        message(1, 1, "error without an end"),
    ];
    let engine = Engine::with(vec![writing("app", log)]);
    let wants = ["matches[^error]", "matches[^a long line$]", "scanned_lines", "rate[.]"];
    let all = look(&engine, &wants, "{ docker: app }").await;
    assert_eq!((number(&all, "matches[^error]"), number(&all, "matches[^a long line$]")), (3.0, 1.0));
    assert_eq!(number(&all, "scanned_lines"), 5.0);
    assert!((number(&all, "rate[.]") - 5.0 / (59.0 * 60.0)).abs() < 1e-6, "{all:?}");
    assert!(all.through.as_deref().is_some_and(|through| through.starts_with("docker at unix://")), "{all:?}");
    let young = look(&engine, &["matches[^error]"], "{ docker: app, since: 10m }").await;
    assert_eq!(number(&young, "matches[^error]"), 2.0);
    let chosen = look(&engine, &["matches[.]"], "{ docker: app, where: { level: error } }").await;
    assert_eq!(number(&chosen, "matches[.]"), 1.0);
    let asked = engine.server.asked();
    let logs = asked.iter().filter(|asked| asked.path.contains("/logs?")).map(|asked| asked.path.as_str());
    let logs: Vec<_> = logs.collect();
    assert!(
        logs[0].contains("stdout=true&stderr=true&timestamps=true&tail=all") && !logs[0].contains("since="),
        "{logs:?}"
    );
    assert!(logs[1].contains("since=1"), "{logs:?}");
}

#[tokio::test]
async fn a_terminal_has_one_stream_without_frames() {
    let text = format!("{} error one\r\n{} fine\r\n{} error two", stamp(9), stamp(5), stamp(1));
    let app = Contained { tty: true, log: text.into_bytes(), ..Contained::running("app") };
    let engine = Engine::with(vec![app]);
    let seen = look(&engine, &["matches[^error]", "scanned_lines"], "{ docker: app, since: 3m }").await;
    assert_eq!((number(&seen, "matches[^error]"), number(&seen, "scanned_lines")), (1.0, 3.0));
}

#[tokio::test]
async fn the_logs_of_a_service_are_those_of_all_its_containers() {
    let of = |name: &'static str, text: &str| writing(name, vec![message(1, 1, text)]).of("shop", "web");
    let engine = Engine::with(vec![of("shop-web-1", "error a\n"), of("shop-web-2", "error b"), writing("db", vec![])]);
    let seen = look(&engine, &["matches[error]", "scanned_lines"], "{ docker: { compose: shop/web }, tail: 1 }").await;
    assert_eq!((number(&seen, "matches[error]"), number(&seen, "scanned_lines")), (2.0, 2.0));
    let asked = engine.server.asked();
    assert_eq!(asked.iter().filter(|asked| asked.path.contains("tail=1")).count(), 2);
    let only = look(&engine, &["matches[error]"], "{ docker: { container: shop-web-1, stream: stderr } }").await;
    assert_eq!(number(&only, "matches[error]"), 1.0);
    assert!(engine.server.asked().iter().any(|asked| asked.path.contains("stdout=false&stderr=true")));
}

#[tokio::test]
async fn a_container_that_wrote_nothing_has_an_empty_log_and_one_that_is_not_there_none() {
    let engine = Engine::with(vec![Contained::running("app")]);
    let quiet = look(&engine, &["matches[error]"], "{ docker: app, since: 1h }").await;
    assert_eq!(number(&quiet, "matches[error]"), 0.0);
    for yaml in ["{ docker: ap }", "{ docker: [app, ap] }", "{ docker: { compose: ap } }"] {
        let seen = look(&engine, &["matches[error]"], yaml).await;
        assert!(cause(&seen).contains("knows no container"), "{yaml}: {seen:?}");
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_read_whole_is_an_error() {
    let whole = message(1, 1, "fine\n");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        ([whole.clone(), message(1, 1, "cut off")[..12].to_vec()].concat(), "breaks off within a message"),
        ([whole.clone(), frame(3, b"Error grabbing logs: unexpected EOF\n")].concat(), "unexpected EOF"),
        (b"no frames at all, but text".to_vec(), "no log of a container"),
    ];
    for (log, word) in cases {
        let engine = Engine::with(vec![Contained { log, ..Contained::running("app") }]);
        let seen = look(&engine, &["matches[error]"], "{ docker: app }").await;
        assert!(cause(&seen).contains(word), "{word}: {seen:?}");
    }
}

/// An engine with one container whose log is answered by a script.
fn logging(script: fn(&mut std::net::TcpStream)) -> Engine {
    let app = serde_json::json!({
        "Id": "1", "Name": "/app", "RestartCount": 0, "Config": { "Image": "x", "Tty": false },
        "State": { "Status": "running", "ExitCode": 0, "OOMKilled": false, "StartedAt": "2026-11-20T18:37:15Z" },
    });
    Engine::playing(move |asked, stream| match asked.path.as_str() {
        "/_ping" => respond(stream, 200, "text/plain", b"OK"),
        path if path.contains("/logs") => script(stream),
        _ => respond(stream, 200, "application/json", app.to_string().as_bytes()),
    })
}

#[tokio::test]
async fn what_keeps_the_engine_from_sending_it_is_said() {
    const BODY: &[u8] = br#"{"message":"configured logging driver does not support reading"}"#;
    let unreadable = logging(|stream| respond(stream, 501, "application/json", BODY));
    let seen = look(&unreadable, &["matches[error]"], "{ docker: app }").await;
    assert!(cause(&seen).contains("501: configured logging driver"), "{seen:?}");
    let cut = logging(|stream| write(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n\x01\0\0\0\0\0\0\x02a\n"));
    let seen = look(&cut, &["matches[error]"], "{ docker: app }").await;
    assert!(cause(&seen).contains("the log of app"), "{seen:?}");
    let slow = logging(|stream| {
        write(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n\x01\0\0\0\0\0\0\x02a\n");
        stall(stream);
    });
    let probing = Probing::new().sources(&slow.declared()).timeout(Duration::from_millis(600));
    let seen = probing.look("log", &["matches[error]"], "{ docker: app }").await;
    assert!(!cause(&seen).is_empty());
    let denied = logging(|stream| respond(stream, 403, "application/json", br#"{"message":"not for you"}"#));
    let seen = look(&denied, &["matches[error]"], "{ docker: app }").await;
    assert!(cause(&seen).contains("access is denied: not for you"), "{seen:?}");
}
