//! What a service takes at most, and what it would read as markup.

use holdpoint::model::outline::Guidance;
use holdpoint::model::{Outcome, StepId};
use holdpoint::notify::{Letter, Occasion};
use holdpoint::record::RunRecord;
use holdpoint::report::RunView;
use holdpoint::signoff;
use holdpoint::sys::env::Env;
use serde_json::Value;

use super::{body, channels, letters, message};
use crate::support::records::{self, at, judged, section};

const HOSTILE: &str = "<!channel> *bold* [link](https://evil.example) ](x) `code` \u{1b}[31m <https://evil.example|click> & \\ | # ::error::no";

/// A run in which everything is too long, and nothing is harmless.
fn view(steps: usize) -> RunView {
    let make = |n: usize| {
        let long = format!("{HOSTILE} {}", "long & wide <so> ".repeat(400));
        let mut step = judged(&long, Outcome::Fail, vec![], &long);
        step.outline.id = StepId::new(format!("step-{n}"));
        step.outline.guidance = Guidance { runbook: Some(long.clone()), owner: Some(long), ..Guidance::default() };
        step
    };
    let mut record: RunRecord = records::run(vec![section("Everything", (0..steps).map(make).collect())]);
    let checklist = &mut record.header.checklist;
    checklist.name = format!("{HOSTILE} {}", "x<".repeat(3_000));
    checklist.service = Some(HOSTILE.repeat(40));
    let link = |n: usize| (format!("link {n}"), format!("https://wiki.example.com/{n}?{}", "a=<b>&".repeat(60)));
    checklist.links = (0..60).map(link).collect();
    let ruling = signoff::decide(&record, &[], at(12));
    RunView::new(record, &ruling)
}

fn letter(head: &str, view: &RunView) -> Letter {
    let channels = channels(head, &[]);
    let message = message(view, &Occasion::Decided);
    let (_, letter) = letters(&channels, &message, &Env::default(), None).pop().expect("a letter");
    letter
}

/// Collects every text in a JSON value.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(map) => map.values().for_each(|item| texts(item, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn slack_takes_every_block_and_nothing_in_it_is_markup() {
    let body = body(&letter("notify: [{ slack: 'http://h/x' }]\n", &view(200)));
    let blocks = body["blocks"].as_array().expect("blocks");
    assert!(blocks.len() <= 50, "{} blocks", blocks.len());
    for block in blocks {
        let most = if block["type"] == "header" { 150 } else { 3_000 };
        if let Some(text) = block["text"]["text"].as_str() {
            assert!(text.chars().count() <= most, "{} of {most}", text.chars().count());
        }
        let fields = block["fields"].as_array().cloned().unwrap_or_default();
        assert!(
            fields.len() <= 10 && fields.iter().all(|f| f["text"].as_str().is_some_and(|t| t.chars().count() <= 2_000))
        );
        let elements = block["elements"].as_array().cloned().unwrap_or_default();
        assert!(elements.iter().all(|e| e["text"].as_str().is_some_and(|t| t.chars().count() <= 2_000)));
    }
    let mut all = Vec::new();
    texts(&body["blocks"], &mut all);
    let in_mrkdwn = blocks.iter().filter(|block| block["type"] != "header");
    for block in in_mrkdwn {
        let mut texts_in = Vec::new();
        texts(block, &mut texts_in);
        for text in texts_in {
            assert!(!text.contains("<!channel>") && !text.contains("<https://evil.example"), "{text}");
        }
    }
    assert!(all.iter().all(|text| !text.contains('\u{1b}')));
}

#[test]
fn teams_takes_28_kilobytes_and_nothing_in_it_is_markup() {
    let Letter::Http(post) = letter("notify: [{ teams: 'http://h/x' }]\n", &view(200)) else { panic!("a request") };
    assert!(post.body.len() <= 28 * 1024, "{} bytes", post.body.len());
    let body: Value = serde_json::from_str(&post.body).expect("JSON");
    let card = &body["attachments"][0]["content"];
    assert_eq!((card["type"].as_str(), card["version"].as_str()), (Some("AdaptiveCard"), Some("1.4")));
    let mut all = Vec::new();
    texts(&card["body"], &mut all);
    assert!(all.iter().all(|text| !text.contains("[link](") && !text.contains(" *bold*")), "{all:?}");
    let counted = all.iter().find(|text| text.contains("more; holdpoint show"));
    assert!(counted.is_some_and(|text| text.starts_with("and 19") || text.starts_with("and 200")), "{counted:?}");
}

#[test]
fn pagerduty_takes_its_summary_and_the_whole() {
    let Letter::Http(post) = letter("notify: [{ pagerduty: key }]\n", &view(2_000)) else { panic!("a request") };
    assert!(post.body.len() < 512 * 1024, "{} bytes", post.body.len());
    let body: Value = serde_json::from_str(&post.body).expect("JSON");
    let length = |value: &Value| value.as_str().map(|text| text.chars().count());
    assert_eq!(length(&body["payload"]["summary"]), Some(1_024));
    assert!(length(&body["dedup_key"]).is_some_and(|n| n <= 255));
    assert_eq!(body["payload"]["custom_details"]["more"], 1_990);
}

#[test]
fn datadog_and_grafana_take_their_texts() {
    let datadog = body(&letter("notify: [{ datadog: key }]\n", &view(50)));
    let length = |value: &Value| value.as_str().expect("a text").chars().count();
    assert!(length(&datadog["title"]) <= 100 && length(&datadog["text"]) <= 4_000);
    assert!(datadog["tags"].as_array().expect("tags").iter().all(|tag| length(tag) <= 200));
    let grafana = body(&letter("notify: [{ grafana: 'http://h', on: no-go }]\n", &view(50)));
    assert!(length(&grafana["text"]) <= 4_000 && !grafana["text"].to_string().contains("<!channel>"), "{grafana}");
    assert!(grafana["tags"].as_array().expect("tags").iter().all(|tag| length(tag) <= 100));
}

#[test]
fn a_body_of_json_stays_json_whatever_was_measured() {
    let head = "notify:\n  - webhook: 'http://h/x'\n    body: '{ \"a\": \"{{ run.title }}\", \"all\": [{% for s in run.failed %}\"{{ s.reason }}\",{% endfor %} 0] }'\n";
    let body = body(&letter(head, &view(3)));
    assert!(body["a"].as_str().is_some_and(|text| text.contains("[link](https://evil.example)")), "{body}");
    assert_eq!(body["all"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_body_that_is_no_json_is_not_sent() {
    let channels = channels("notify: [{ webhook: 'http://h/x', body: '{ \"a\": {{ run.title | raw }} }' }]\n", &[]);
    let message = message(&view(1), &Occasion::Decided);
    let open = channels.iter().next().expect("a channel");
    let error = open.letter(&message, &channels, (&super::unmasked(), &Env::default()), None).expect_err("no JSON");
    assert!(error.message.starts_with("the body is not JSON"), "{error}");
}

#[test]
fn a_summary_ends_below_its_limit_and_says_where_the_rest_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("summary.md");
    std::fs::write(&path, "x".repeat(1_000)).expect("a file");
    let env = Env::of([("GITHUB_STEP_SUMMARY".to_owned(), path.display().to_string())]);
    let sample = records::many(30_000);
    let view = RunView::new(sample.record, &sample.ruling);
    let channels = channels("notify: [{ github: true }]\n", &[]);
    let (_, letter) = letters(&channels, &message(&view, &Occasion::Decided), &env, None).pop().expect("a letter");
    let Letter::Runner(runner) = letter else { panic!("files") };
    let (_, text) = &runner.files[0];
    assert!(text.len() + 1_000 <= 1024 * 1024 && text.len() > 1_000_000, "{} bytes", text.len());
    assert!(text.ends_with("so it ends here; the whole report is out/signoff.md.\n"), "{}", &text[text.len() - 200..]);
    assert_eq!(runner.lines.len(), 10, "{:?}", runner.lines);
}
