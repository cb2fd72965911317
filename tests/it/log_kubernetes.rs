//! Logs of pods, through a double of the API server.

use holdpoint::model::{Found, Observation};
use serde_json::json;

use crate::support::cluster::{Cluster, Holds, deployment, namespace, pod};
use crate::support::probing::{Probing, cause, number};

fn lines(minutes: &[i64], word: &str) -> String {
    let now = chrono::Utc::now();
    let at = |minutes: &i64| (now - chrono::TimeDelta::minutes(*minutes)).to_rfc3339();
    minutes.iter().map(|ago| format!("{} {word} {ago}\n", at(ago))).collect()
}

fn web() -> Holds {
    let two = |name: &str| {
        let mut pod = pod(name, json!({ "app": "web" }));
        let proxy = json!({ "name": "proxy", "image": "shop/proxy:1" });
        pod["spec"]["containers"].as_array_mut().expect("a list").push(proxy);
        pod
    };
    Holds {
        objects: vec![namespace(), deployment("web"), two("web-1"), two("web-2")],
        logs: vec![
            ("web-1/app", lines(&[90, 30, 1], "token")),
            ("web-1/proxy", lines(&[30], "proxy")),
            ("web-2/app", lines(&[90, 2], "token")),
            // Without a newline at the end.
            ("web-2/proxy", lines(&[1], "error").trim_end().to_owned()),
            ("web-1/app/previous", lines(&[95], "panic:")),
        ],
        ..Holds::default()
    }
}

async fn look(cluster: &Cluster, wants: &[&str], yaml: &str) -> Observation {
    Probing::new().sources(&cluster.source()).look("log", wants, yaml).await
}

#[tokio::test]
async fn every_container_of_every_pod_is_read_and_its_lines_are_counted() {
    let cluster = Cluster::start(web());
    let wants = ["matches[token]", "matches[^(token|proxy|error) ]", "matches[error]", "scanned_lines"];
    for which in ["deployment/web", "app=web", "'*'", "{ pods: deployment/web, namespace: shop }"] {
        let seen = look(&cluster, &wants, &format!("{{ kubernetes: {which} }}")).await;
        assert_eq!(number(&seen, "matches[token]"), 5.0, "{which}");
        assert_eq!(number(&seen, "matches[^(token|proxy|error) ]"), 7.0, "the times are no part of the lines: {which}");
        assert_eq!((number(&seen, "matches[error]"), number(&seen, "scanned_lines")), (1.0, 7.0), "{which}");
        assert!(seen.through.as_deref().is_some_and(|through| through.starts_with("kubernetes at ")), "{seen:?}");
    }
    let one = look(&cluster, &wants, "{ kubernetes: pod/web-2 }").await;
    assert_eq!(number(&one, "scanned_lines"), 3.0);
    let named = look(&cluster, &wants, "{ kubernetes: { pods: app=web, container: app } }").await;
    assert_eq!(number(&named, "scanned_lines"), 5.0);
}

#[tokio::test]
async fn times_and_tails_choose_among_the_lines_of_each_container() {
    let cluster = Cluster::start(web());
    let young = look(&cluster, &["matches[token]", "matches[.]"], "{ kubernetes: deployment/web, since: 1h }").await;
    assert_eq!((number(&young, "matches[token]"), number(&young, "matches[.]")), (3.0, 5.0));
    let last = look(&cluster, &["matches[token]", "matches[.]"], "{ kubernetes: deployment/web, tail: 1 }").await;
    assert_eq!(
        (number(&last, "matches[token]"), number(&last, "matches[.]")),
        (2.0, 4.0),
        "one line of each container"
    );
    assert!(
        cluster
            .asked()
            .iter()
            .any(|asked| asked.path.contains("tailLines=1") && asked.path.contains("timestamps=true"))
    );
    assert!(cluster.asked().iter().any(|asked| asked.path.contains("sinceTime=")));
    let before = "{ kubernetes: { pods: pod/web-1, container: app, previous: true } }";
    let before = look(&cluster, &["matches[^panic:]"], before).await;
    assert_eq!(number(&before, "matches[^panic:]"), 1.0);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_an_error_and_never_fewer_lines() {
    let mut holds = web();
    holds.logs.retain(|(name, _)| *name != "web-2/proxy");
    let starting = look(&Cluster::start(holds), &["matches[error]"], "{ kubernetes: deployment/web }").await;
    assert!(cause(&starting).contains("waiting to start"), "{}", cause(&starting));
    let denied = Cluster::start(Holds { denied: vec![("get", "pods/log")], ..web() });
    let denied = look(&denied, &["matches[error]"], "{ kubernetes: deployment/web }").await;
    assert!(cause(&denied).contains("to get pods/log in the namespace shop is missing"), "{}", cause(&denied));
    assert!(matches!(denied.found, Found::CouldNotLook { retry: false, .. }));
    let cluster = Cluster::start(web());
    for (yaml, why) in [
        ("{ kubernetes: app=wbe }", "there is no pod app=wbe in the namespace shop"),
        ("{ kubernetes: deployment/wbe }", "there is no deployment wbe in the namespace shop"),
        ("{ kubernetes: { pods: app=web, container: ap } }", "the pod web-1 has no container ap"),
        ("{ kubernetes: { pods: pod/web-1, previous: true } }", "waiting to start"),
    ] {
        let seen = look(&cluster, &["matches[error]"], yaml).await;
        assert!(cause(&seen).contains(why), "{yaml}: {}", cause(&seen));
    }
}

#[tokio::test]
async fn only_a_pod_that_is_deleted_meanwhile_is_left_out_with_a_word() {
    let with = |gone: Vec<&'static str>, deleted: bool| {
        let mut holds = Holds { gone, ..web() };
        let mut old = pod("web-old", json!({ "app": "web" }));
        if deleted {
            old["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        holds.objects.push(old);
        Cluster::start(holds)
    };
    let there = look(&with(vec![], true), &["matches[error]"], "{ kubernetes: deployment/web }").await;
    assert!(cause(&there).contains("waiting to start"), "{}", cause(&there));
    let gone = look(&with(vec!["web-old"], true), &["matches[error]"], "{ kubernetes: deployment/web }").await;
    assert_eq!(number(&gone, "matches[error]"), 1.0);
    assert!(gone.notes.iter().any(|note| note.text.contains("web-old was deleted")), "{:?}", gone.notes);
    let vanished = look(&with(vec!["web-old"], false), &["matches[error]"], "{ kubernetes: deployment/web }").await;
    assert!(cause(&vanished).contains("404"), "{}", cause(&vanished));
}

#[test]
fn mistakes_are_said_with_their_codes() {
    let probing = Probing::new().sources("kubernetes: http://localhost:1");
    for (yaml, code) in [
        ("{ kubernetes: 'a b' }", "bad-value"),
        ("{ kubernetes: { container: app } }", "missing-key"),
        ("{ kubernetes: { pods: app=web, source: eu } }", "unknown-source"),
        ("{ kubernetes: { pods: app=web, tail: 5 } }", "unknown-key"),
        ("{ kubernetes: app=web, path: a.log }", "bad-value"),
    ] {
        let said = probing.compile("log", &["matches[x]"], yaml).err().unwrap_or_default();
        assert!(said.len() == 1 && said[0].starts_with(code), "{yaml}: {said:?}");
    }
    let none = Probing::new().compile("log", &["matches[x]"], "{ kubernetes: app=web }").err().expect("no cluster");
    assert!(none[0].starts_with("no-source"), "{none:?}");
}
