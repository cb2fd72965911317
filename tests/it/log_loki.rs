//! Logs in a Loki: what is asked page by page, and what may not be counted.

use holdpoint::model::{Found, Observation, Value};
use serde_json::{Value as Json, json};

use crate::support::probing::{Probing, cause, get, number};
use crate::support::rogue::{Asked, Rogue, write};

/// A Loki that keeps lines, each with its time in nanoseconds, and answers at most `most` of them at once.
fn loki(lines: Vec<(i64, String)>, most: usize) -> Rogue {
    Rogue::start(move |asked, stream| {
        let pairs = pairs(asked);
        let value = |key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        let number = |key: &str| value(key).and_then(|text| text.parse::<i64>().ok());
        let (status, body) = match asked.path.split('?').next() {
            Some("/loki/api/v1/query_range") => {
                let limit = number("limit").and_then(|limit| usize::try_from(limit).ok()).expect("a limit");
                let (from, to) = (number("start").expect("a start"), number("end").expect("an end"));
                let mut found: Vec<_> = lines.iter().filter(|(at, _)| (from..to).contains(at)).cloned().collect();
                found.sort();
                if value("direction").as_deref() == Some("backward") {
                    found.reverse();
                }
                found.truncate(limit);
                let values: Vec<Json> = found.iter().map(|(at, line)| json!([at.to_string(), line])).collect();
                let streams = json!([{ "stream": { "app": "orders" }, "values": values }]);
                let result = if values.is_empty() { json!([]) } else { streams };
                match limit > most {
                    true => (400, "max entries limit per query exceeded".to_owned()),
                    false => (
                        200,
                        json!({ "status": "success", "data": { "resultType": "streams", "result": result } })
                            .to_string(),
                    ),
                }
            }
            Some("/loki/api/v1/series") => {
                (200, json!({ "status": "success", "data": [{ "app": "orders" }] }).to_string())
            }
            _ => (404, "not found".to_owned()),
        };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        write(stream, format!("{head}{body}").as_bytes());
    })
}

fn pairs(asked: &Asked) -> Vec<(String, String)> {
    let query = asked.path.split_once('?').map(|(_, query)| query).unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn probing(rogue: &Rogue) -> Probing {
    Probing::new().sources(&format!("loki: \"{}\"", rogue.url("")))
}

async fn look(rogue: &Rogue, wants: &[&str], yaml: &str) -> Observation {
    probing(rogue).look("log", wants, yaml).await
}

/// So many lines, `apart` nanoseconds from each other, the last one a second ago.
fn lines(count: i64, apart: i64) -> Vec<(i64, String)> {
    let last = chrono::Utc::now().timestamp_nanos_opt().expect("a time") - 1_000_000_000;
    (0..count).map(|n| (last - (count - 1 - n) * apart, format!("error {n}"))).collect()
}

#[tokio::test]
async fn pages_are_read_to_the_end_though_lines_share_their_times() {
    // Of each time there are three lines, so that pages end between them.
    let mut all = lines(1200, 1_000_000);
    all = all.into_iter().flat_map(|(at, line)| ["a", "b", "c"].map(|which| (at, format!("{line}{which}")))).collect();
    let rogue = loki(all, 1100);
    let observation =
        look(&rogue, &["matches[.]", "matches[error 1199c]", "rate[.]"], "{ loki: '{app=\"orders\"}', since: 1h }")
            .await;
    assert_eq!(number(&observation, "matches[.]"), 3600.0, "{observation:?}");
    assert_eq!(number(&observation, "matches[error 1199c]"), 1.0);
    let rate = number(&observation, "rate[.]");
    assert!((rate - 3600.0 / 1.199).abs() < 1.0, "{rate}");
    assert!(rogue.asked().len() >= 4);
    assert_eq!(observation.through.as_deref(), Some(format!("loki at {}", rogue.url("")).as_str()));
}

#[tokio::test]
async fn a_log_that_was_cut_is_not_counted() {
    let rogue = loki(lines(50, 1_000_000), 1100);
    let cut = look(&rogue, &["matches[.]"], "{ loki: { query: '{app=\"orders\"}', limit: 49 } }").await;
    let Value::NoData(why) = get(&cut, "matches[.]") else { panic!("{cut:?}") };
    assert!(why.contains("more than 49 lines"), "{why}");
    let whole = look(&rogue, &["matches[.]"], "{ loki: { query: '{app=\"orders\"}', limit: 50 } }").await;
    assert_eq!(number(&whole, "matches[.]"), 50.0);
    let crowd = loki(lines(2000, 0), 1100);
    let crowded = look(&crowd, &["matches[.]"], "{ loki: '{app=\"orders\"}' }").await;
    // The next answer would have to hold the crowd and more: this Loki refuses that.
    assert!(cause(&crowded).contains("max entries limit"), "{crowded:?}");
}

#[tokio::test]
async fn tail_asks_from_the_newest_back_and_keeps_the_order() {
    let rogue = loki(lines(2500, 1_000_000), 1100);
    let observation = look(&rogue, &["matches[.]", "lines[error .*]"], "{ loki: '{app=\"orders\"}', tail: 3 }").await;
    let Value::Set(found) = get(&observation, "lines[error .*]") else { panic!("{observation:?}") };
    assert_eq!(found, &["error 2497", "error 2498", "error 2499"]);
    let [asked] = &rogue.asked()[..] else { panic!("{:?}", rogue.asked()) };
    let pairs = pairs(asked);
    assert!(
        pairs.contains(&("direction".into(), "backward".into())) && pairs.contains(&("limit".into(), "3".into())),
        "{pairs:?}"
    );
    let many = look(
        &rogue,
        &["matches[.]", "matches[error 499]", "matches[error 500]"],
        "{ loki: '{app=\"orders\"}', tail: 2000 }",
    )
    .await;
    assert_eq!(number(&many, "matches[.]"), 2000.0);
    assert_eq!(number(&many, "matches[error 499]"), 0.0);
    assert_eq!(number(&many, "matches[error 500]"), 1.0);
}

#[tokio::test]
async fn the_past_is_asked_about_as_it_was() {
    let at: chrono::DateTime<chrono::Utc> = "2026-11-20T12:00:00Z".parse().expect("a time");
    let nanos = at.timestamp_nanos_opt().expect("a time");
    let minute = 60_000_000_000;
    let kept = vec![
        (nanos - 20 * minute, "error old".to_owned()),
        (nanos - minute, "error then".to_owned()),
        (nanos + minute, "error later".to_owned()),
    ];
    let rogue = loki(kept, 5000);
    let probing = probing(&rogue).about(at);
    let probe =
        probing.compile("log", &["matches[error]"], "{ loki: '{app=\"orders\"}', since: 10m }").expect("compiles");
    assert!(probe.can_look_back());
    let observation = probing.observe(&*probe).await;
    assert_eq!(number(&observation, "matches[error]"), 1.0, "{observation:?}");
    let asked = pairs(&rogue.asked()[0]);
    assert!(asked.contains(&("start".into(), (nanos - 10 * minute).to_string())), "{asked:?}");
    assert!(asked.contains(&("end".into(), (nanos + 1).to_string())), "{asked:?}");
}

#[tokio::test]
async fn numbers_are_asked_for_at_the_moment_of_the_look() {
    let answers = r#"
- ask: 'GET /loki/api/v1/query?query=sum by (app) (rate({app=~".%2B"} [5m]))&time=1795176000000000000'
  body: { status: success, data: { resultType: vector, result: [{ metric: { app: a }, value: [1795176000, "0.5"] }, { metric: { app: b }, value: [1795176000, "2"] }] } }
- ask: 'GET /loki/api/v1/query?query=vector(1)'
  body: { status: success, data: { resultType: vector, result: [{ metric: {}, value: [1, "1"] }] }, warnings: [some ingesters did not answer] }
"#;
    let rogue = crate::support::double::answering(answers, std::path::Path::new("."));
    let probing = probing(&rogue).about("2026-11-20T12:00:00Z".parse().expect("a time"));
    let yaml = "{ loki: 'sum by (app) (rate({app=~\".+\"} [5m]))' }";
    let probe = probing.compile("log", &["value", "series"], yaml).expect("compiles");
    assert!(probe.can_look_back());
    let observation = probing.observe(&*probe).await;
    let Value::Series(samples) = get(&observation, "value") else { panic!("{observation:?}") };
    assert_eq!(
        samples.iter().map(|s| (s.labels["app"].as_str(), s.value)).collect::<Vec<_>>(),
        [("a", 0.5), ("b", 2.0)]
    );
    let warned = probing.look("log", &["value"], "{ loki: 'vector(1)' }").await;
    assert!(
        matches!(&warned.found, Found::CouldNotLook { retry: true, cause } if cause.contains("ingesters")),
        "{warned:?}"
    );
}

#[test]
fn lines_and_numbers_are_not_mixed_up() {
    let said = |wants: &[&str], yaml: &str| {
        let probing = Probing::new().sources("loki: http://localhost:3100");
        probing.compile("log", wants, yaml).err().unwrap_or_default().join("\n")
    };
    assert!(said(&["value"], "{ loki: '{app=\"a\"}' }").contains("gives lines, not numbers"));
    assert!(said(&["matches[x]"], "{ loki: 'rate({app=\"a\"}[5m])' }").contains("gives numbers, not lines"));
    assert!(said(&["value", "matches[x]"], "{ loki: 'rate({app=\"a\"}[5m])' }").contains("either numbers or lines"));
    assert!(said(&["value"], "{ loki: 'rate({app=\"a\"}[5m])', since: 5m }").contains("since has no meaning"));
    assert!(said(&["value"], "app.log").contains("only a query to a Loki"));
    assert_eq!(said(&["series"], "{ loki: 'rate({app=\"a\"}[5m])' }"), "");
    let nobody = Probing::new().compile("log", &["matches[x]"], "{ loki: '{app=\"a\"}' }").err().unwrap_or_default();
    assert!(nobody.iter().any(|line| line.starts_with("no-source")), "{nobody:?}");
}
