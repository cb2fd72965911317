//! Dashboards of a Grafana: what is sent to it word for word, and how its answers are told apart.

use std::path::Path;
use std::time::Duration;

use holdpoint::model::{Found, Observation, Value};
use serde_json::{Value as Json, json};

use crate::support::double;
use crate::support::probing::{Probing, cause, get, number, text};
use crate::support::rogue::{Asked, Rogue, write};

const DATA: &str = "without_data";

/// A Grafana with one dashboard, `app`; every query is answered by `answer`, which gets its body.
fn grafana(dashboard: Json, answer: impl Fn(&Json) -> Json + Send + Sync + 'static) -> Rogue {
    Rogue::start(move |asked, stream| {
        let path = asked.path.split('?').next().unwrap_or_default();
        let (status, body) = match path {
            "/api/dashboards/uid/app" => (200, json!({ "dashboard": dashboard, "meta": {} })),
            "/api/datasources" => (403, json!({ "message": "Permissions needed: datasources:read" })),
            "/api/frontend/settings" => (
                200,
                json!({
                    "defaultDatasource": "Main",
                    "datasources": {
                        "Main": { "uid": "main", "type": "prometheus", "jsonData": { "timeInterval": "30s" } },
                        "Logs": { "uid": "logs", "type": "loki" },
                    },
                }),
            ),
            "/api/datasources/uid/main/resources/api/v1/label/pod/values" => {
                (200, json!({ "status": "success", "data": ["a.1", "b-2"] }))
            }
            "/api/ds/query" => {
                let body: Json = serde_json::from_str(&asked.body).expect("JSON");
                (200, answer(&body))
            }
            _ => (404, json!({ "message": "Not found" })),
        };
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
        write(stream, format!("{head}connection: close\r\n\r\n{body}").as_bytes());
    })
}

/// Answers every query with one value of one series.
fn one_value(body: &Json) -> Json {
    let each = |query: &Json| (query["refId"].as_str().unwrap_or_default().to_owned(), frames(&json!([1.0])));
    let results: serde_json::Map<String, Json> = body["queries"].as_array().into_iter().flatten().map(each).collect();
    json!({ "results": results })
}

fn frames(values: &Json) -> Json {
    let times: Vec<usize> = (0..values.as_array().map_or(0, Vec::len)).collect();
    let fields =
        json!([{ "name": "Time", "type": "time" }, { "name": "Value", "type": "number", "labels": { "a": "b" } }]);
    json!({ "status": 200, "frames": [{ "schema": { "fields": fields }, "data": { "values": [times, values] } }] })
}

fn panel(id: i64, title: &str, target: Json) -> Json {
    json!({ "id": id, "title": title, "type": "stat", "targets": [target], "gridPos": { "x": 0, "y": id } })
}

fn up(title: &str, id: i64) -> Json {
    panel(id, title, json!({ "refId": "A", "expr": "up", "datasource": { "type": "prometheus", "uid": "main" } }))
}

async fn look(rogue: &Rogue, wants: &[&str], yaml: &str) -> Observation {
    let sources = format!("grafana: {{ url: \"{}\", bearer: secret-token }}", rogue.url(""));
    Probing::new().sources(&sources).look("grafana", wants, yaml).await
}

/// The bodies of the queries that were sent.
fn sent(rogue: &Rogue) -> Vec<Json> {
    let queries = rogue.asked().into_iter().filter(|asked| asked.path == "/api/ds/query");
    queries.map(|asked: Asked| serde_json::from_str(&asked.body).expect("JSON")).collect()
}

fn set(observation: &Observation, name: &str) -> Vec<String> {
    match get(observation, name) {
        Value::Set(members) => members.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

fn no_data(observation: &Observation, name: &str) -> String {
    match get(observation, name) {
        Value::NoData(why) => why.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn variables_and_the_time_are_in_the_request_that_is_sent() {
    let dashboard = json!({
        "title": "App",
        "templating": { "list": [
            { "name": "env", "type": "custom", "query": "staging,prod", "current": { "value": "staging" } },
            { "name": "pod", "type": "query", "multi": true, "includeAll": true, "datasource": { "type": "prometheus", "uid": "main" },
              "query": { "query": "label_values(up{env=\"$env\"}, pod)", "refId": "V" }, "current": { "value": ["$__all"] } },
        ] },
        "panels": [{
            "id": 1, "title": "Rate", "type": "timeseries", "maxDataPoints": 100,
            "datasource": { "type": "prometheus", "uid": "main" },
            "targets": [{
                "refId": "A", "range": true, "legendFormat": "{{pod}}",
                "expr": "rate(x{env=\"$env\", pod=~\"[[pod]]\", again=~\"${pod:regex}\"}[$__rate_interval]) / $__range_s",
            }],
        }],
    });
    let rogue = grafana(dashboard, one_value);
    let yaml = "{ dashboard: app, vars: { env: prod }, last: 1h }";
    let observation = look(&rogue, &[DATA], yaml).await;
    assert_eq!(set(&observation, DATA), [""; 0], "{observation:?}");
    let [body] = &sent(&rogue)[..] else { panic!("{:?}", rogue.asked()) };
    let time = |key: &str| body[key].as_str().and_then(|text| text.parse::<i64>().ok()).expect("milliseconds as text");
    assert_eq!(time("to") - time("from"), 3_600_000);
    assert!((chrono::Utc::now().timestamp_millis() - time("to")).abs() < 60_000, "{body}");
    let expected = json!([{
        "refId": "A",
        "range": true,
        "legendFormat": "{{pod}}",
        "exemplar": false,
        // An hour by 100 points is 36s, which is rounded to 30s; four times the scrape interval of 30s is 2m.
        "expr": r#"rate(x{env="prod", pod=~"(a\\.1|b-2)", again=~"(a\.1|b\-2)"}[2m]) / 3600"#,
        "interval": "30s",
        "intervalMs": 30_000,
        "maxDataPoints": 100,
        "datasource": { "type": "prometheus", "uid": "main" },
    }]);
    assert_eq!(body["queries"], expected);
    let asked = rogue.asked();
    assert!(asked.iter().all(|asked| asked.header("authorization") == Some("Bearer secret-token")), "{asked:?}");
    let values = asked.iter().find(|asked| asked.path.contains("/label/pod/values")).expect("values were asked for");
    let selector: String = url::form_urlencoded::byte_serialize(br#"up{env="prod"}"#).collect();
    assert!(values.path.contains(&selector), "{}", values.path);
    assert!(observation.request.starts_with("dashboard app with env=prod, from "), "{}", observation.request);
}

#[tokio::test]
async fn the_time_of_the_dashboard_and_of_a_panel_is_used_when_nobody_says_another() {
    let mut own = up("Own", 2);
    own["timeFrom"] = json!("2h");
    own["timeShift"] = json!("1d");
    let rogue = grafana(
        json!({ "title": "App", "time": { "from": "now-3h", "to": "now" }, "panels": [up("Usual", 1), own] }),
        one_value,
    );
    let observation = look(&rogue, &["panels.has_data[Usual]", "panels.has_data[Own]"], "app").await;
    assert_eq!(get(&observation, "panels.has_data[Own]"), &Value::Bool(true));
    let now = chrono::Utc::now().timestamp_millis();
    let hours = |body: &Json| {
        let time = |key: &str| body[key].as_str().and_then(|text| text.parse::<i64>().ok()).expect("a time");
        let ago = (now - time("to") + 60_000) / 3_600_000;
        ((time("to") - time("from")) / 3_600_000, ago)
    };
    let mut ranges: Vec<_> = sent(&rogue).iter().map(hours).collect();
    ranges.sort_unstable();
    assert_eq!(ranges, [(2, 24), (3, 0)]);
}

#[tokio::test]
async fn every_way_to_name_a_data_source_leads_to_it() {
    let target = |source: Json| json!({ "refId": "A", "expr": "up", "datasource": source });
    let mut mixed = panel(1, "Mixed", target(json!({ "type": "loki", "uid": "logs" })));
    mixed["datasource"] = json!({ "type": "datasource", "uid": "-- Mixed --" });
    let mut of_panel = panel(3, "Of the panel", json!({ "refId": "A", "expr": "up" }));
    of_panel["datasource"] = json!("Logs");
    let mut other = panel(5, "Other panel", json!({ "refId": "A", "panelId": 1 }));
    other["datasource"] = json!({ "type": "datasource", "uid": "-- Dashboard --" });
    let dashboard = json!({
        "title": "App",
        "templating": { "list": [{ "name": "ds", "type": "datasource", "query": "prometheus", "current": { "value": "Main" } }] },
        "panels": [
            mixed,
            panel(2, "Default", target(Json::Null)),
            of_panel,
            panel(4, "Variable", target(json!({ "type": "prometheus", "uid": "${ds}" }))),
            other,
            panel(6, "Gone", target(json!("Old"))),
        ],
    });
    let rogue = grafana(dashboard, one_value);
    let observation = look(&rogue, &[DATA, "errors", "panels.error[Gone]"], "app").await;
    let mut uids: Vec<_> = sent(&rogue)
        .iter()
        .map(|body| body["queries"][0]["datasource"]["uid"].as_str().unwrap_or_default().to_owned())
        .collect();
    uids.sort();
    assert_eq!(uids, ["logs", "logs", "logs", "main", "main"]);
    assert_eq!(text(&observation, "panels.error[Gone]"), "query A: there is no data source \"Old\"");
    assert_eq!(
        (set(&observation, "errors"), set(&observation, DATA)),
        (vec!["Gone".to_owned()], vec!["Gone".to_owned()])
    );
}

#[tokio::test]
async fn no_data_and_errors_are_told_apart_by_panel_and_query() {
    let two = |id: i64, title: &str, first: &str, second: &str| {
        let target = |id: &str, expr: &str| json!({ "refId": id, "expr": expr, "datasource": { "type": "prometheus", "uid": "main" } });
        json!({ "id": id, "title": title, "type": "timeseries", "targets": [target("A", first), target("B", second)] })
    };
    let dashboard = json!({ "title": "App", "panels": [
        two(1, "Good", "value", "empty"), two(2, "Half", "value", "broken"), two(3, "Broken", "broken", "broken"),
        two(4, "Empty", "empty", "nulls"), two(5, "Lost", "value", "lost"),
    ] });
    let rogue = grafana(dashboard, |body| {
        let each = |query: &Json| {
            let answer = match query["expr"].as_str() {
                Some("value") => frames(&json!([1.0, 2.0])),
                Some("nulls") => frames(&json!([null, null])),
                Some("broken") => json!({ "status": 400, "error": "parse error" }),
                Some("lost") => return None,
                _ => json!({ "status": 200, "frames": [] }),
            };
            Some((query["refId"].as_str()?.to_owned(), answer))
        };
        let results: serde_json::Map<_, _> =
            body["queries"].as_array().into_iter().flatten().filter_map(each).collect();
        json!({ "results": results })
    });
    let wants = [DATA, "errors", "panels.value[Good]", "panels.value[Half]", "panels.has_data[Half]"];
    let observation = look(&rogue, &wants, "app").await;
    assert_eq!(set(&observation, DATA), ["Broken", "Empty"]);
    assert_eq!(set(&observation, "errors"), ["Half", "Broken", "Lost"]);
    let Value::Series(samples) = get(&observation, "panels.value[Good]") else { panic!("{observation:?}") };
    assert_eq!((samples.len(), samples[0].value), (1, 2.0));
    assert_eq!(get(&observation, "panels.has_data[Half]"), &Value::Bool(true));
    assert_eq!(no_data(&observation, "panels.value[Half]"), "query B: parse error");
    let said = &observation.evidence[0].text;
    assert!(
        said.contains("Half: A data; B error: parse error") && said.contains("Empty: A no data; B only empty values"),
        "{said}"
    );
}

#[tokio::test]
async fn panels_of_the_same_title_are_named_by_their_ids() {
    let rogue = grafana(
        json!({ "title": "App", "panels": [up("Twice", 1), up("Twice", 2), up("", 3)] }),
        |_| json!({ "results": { "A": { "status": 200, "frames": [] } } }),
    );
    let wants = [DATA, "panels.present[Twice]", "panels.type[Twice]", "panels.has_data[#2]"];
    let observation = look(&rogue, &wants, "app").await;
    assert_eq!(set(&observation, DATA), ["Twice (#1)", "Twice (#2)", "#3"]);
    assert_eq!(get(&observation, "panels.present[Twice]"), &Value::Bool(true));
    assert!(no_data(&observation, "panels.type[Twice]").contains("#1, #2"), "{observation:?}");
    assert_eq!(get(&observation, "panels.has_data[#2]"), &Value::Bool(false));
}

#[tokio::test]
async fn a_repeated_panel_has_data_when_each_repetition_has() {
    let mut repeated = panel(
        1,
        "Pod $pod",
        json!({ "refId": "A", "expr": "up{pod=\"$pod\"}", "datasource": { "type": "prometheus", "uid": "main" } }),
    );
    repeated["repeat"] = json!("pod");
    let variable =
        json!({ "name": "pod", "type": "custom", "multi": true, "query": "a,b", "current": { "value": ["a", "b"] } });
    let dashboard = json!({ "title": "App", "templating": { "list": [variable] }, "panels": [repeated] });
    let rogue = grafana(dashboard, |body| match body["queries"][0]["expr"].as_str() {
        Some(r#"up{pod="a"}"#) => one_value(body),
        _ => json!({ "results": { "A": { "status": 200, "frames": [] } } }),
    });
    let observation = look(&rogue, &[DATA, "panels.has_data[Pod $pod]", "total"], "app").await;
    assert_eq!(get(&observation, "panels.has_data[Pod $pod]"), &Value::Bool(false));
    assert_eq!((sent(&rogue).len(), number(&observation, "total")), (2, 1.0));
    let one = look(&rogue, &[DATA, "panels.has_data[Pod a]"], "{ dashboard: app, vars: { pod: a } }").await;
    assert_eq!(get(&one, "panels.has_data[Pod a]"), &Value::Bool(true), "{one:?}");
}

#[tokio::test]
async fn what_cannot_be_asked_leaves_the_sets_without_data() {
    let sql = |id: i64, title: &str, query: &str| {
        panel(id, title, json!({ "refId": "A", "rawSql": query, "datasource": { "type": "mysql", "uid": "db" } }))
    };
    let variable = json!({ "name": "shop", "type": "query", "includeAll": true, "datasource": { "type": "mysql", "uid": "db" },
                           "query": "SELECT name FROM shops", "current": { "value": "$__all" } });
    let dashboard = json!({ "title": "App", "templating": { "list": [variable] },
                            "panels": [sql(1, "Sold", "SELECT $shop"), sql(2, "Fine", "SELECT 1"), sql(3, "Odd", "SELECT ${shop:odd}")] });
    let rogue = grafana(dashboard, one_value);
    let observation = look(&rogue, &[DATA, "errors"], "app").await;
    let why = no_data(&observation, DATA);
    assert!(why.starts_with("of Sold nothing is known") && why.contains("say them in `vars`"), "{why}");
    let given = look(&rogue, &[DATA], "{ dashboard: app, panels: [Sold, Fine], vars: { shop: [a, b] } }").await;
    assert_eq!(set(&given, DATA), [""; 0]);
    let queries: Vec<_> = sent(&rogue).iter().map(|body| body["queries"][0]["rawSql"].clone()).collect();
    assert!(queries.contains(&json!("SELECT 'a','b'")), "{queries:?}");
    let odd = look(&rogue, &["errors"], "{ dashboard: app, panels: Odd, vars: { shop: a } }").await;
    assert!(no_data(&odd, "errors").contains("the format \"odd\""), "{odd:?}");
}

#[tokio::test]
async fn what_a_browser_computes_is_not_guessed() {
    let mut transformed = up("Transformed", 1);
    transformed["transformations"] = json!([{ "id": "reduce", "options": {} }]);
    let mut unknown = up("Odd", 2);
    unknown["options"] = json!({ "reduceOptions": { "calcs": ["stdDev"] } });
    let rogue = grafana(json!({ "title": "App", "panels": [transformed, unknown] }), one_value);
    let wants = ["panels.value[Transformed]", "panels.has_data[Transformed]", "panels.shows[Odd]"];
    let observation = look(&rogue, &wants, "app").await;
    assert!(
        no_data(&observation, "panels.value[Transformed]").contains("in the browser, by reduce"),
        "{observation:?}"
    );
    assert_eq!(get(&observation, "panels.has_data[Transformed]"), &Value::Bool(true));
    assert!(no_data(&observation, "panels.shows[Odd]").contains("stdDev"), "{observation:?}");
}

#[tokio::test]
async fn queries_are_run_only_where_somebody_wants_to_know() {
    let rogue = grafana(json!({ "title": "App", "panels": [up("One", 1), up("Two", 2)] }), one_value);
    look(&rogue, &["total", "without_query", "panels.type[One]"], "app").await;
    assert_eq!(sent(&rogue).len(), 0);
    look(&rogue, &["panels.value[Two]"], "app").await;
    assert_eq!(sent(&rogue).len(), 1);
}

#[tokio::test]
async fn an_answer_without_results_is_an_error_of_looking_and_a_refused_query_one_of_its_panel() {
    let dashboard = "{ dashboard: { title: App, panels: [{ id: 1, type: stat, title: One, targets: [{ refId: A, expr: up, datasource: { type: prometheus, uid: p } }] }] } }";
    for (answer, in_panel, word) in [
        ("status: 404, body: { message: Data source not found }", true, "Data source not found"),
        ("status: 400, body: { message: bad request data }", true, "bad request data"),
        ("status: 500, body: { message: An unexpected error happened }", false, "answered 500: An unexpected error"),
        ("status: 200, body: { results: {} }", false, "without results"),
        ("status: 200, text: '<html>'", false, "answered with HTML"),
        ("status: 504, text: late", false, "answered 504"),
        ("status: 200, after: 3s", false, "does not answer"),
    ] {
        let answers = format!(
            "- {{ ask: GET /api/dashboards/uid/app, body: {dashboard} }}\n- {{ ask: POST /api/ds/query, {answer} }}\n"
        );
        let rogue = double::answering(&answers, Path::new("."));
        let sources = format!("grafana: \"{}\"", rogue.url(""));
        let probing = Probing::new().sources(&sources).timeout(Duration::from_millis(1500));
        let observation = probing.look("grafana", &["errors", DATA, "panels.error[One]"], "app").await;
        match in_panel {
            true => {
                assert!(text(&observation, "panels.error[One]").contains(word), "{observation:?}");
                assert_eq!(set(&observation, "errors"), ["One"]);
            }
            false => {
                assert!(matches!(observation.found, Found::CouldNotLook { .. }), "{answer}: {observation:?}");
                assert!(cause(&observation).contains(word), "{answer}: {observation:?}");
            }
        }
    }
}

#[test]
fn of_several_the_one_that_the_step_names_is_asked() {
    let sources = "{ eu: { kind: grafana, url: http://eu }, us: { kind: grafana, url: http://us } }";
    let probing = Probing::new().sources(sources);
    let said = probing.compile("grafana", &["total"], "app").err().unwrap_or_default();
    assert!(said.iter().any(|line| line.starts_with("no-source")), "{said:?}");
    let probe = Probing::new().sources(sources).source("us").compile("grafana", &["total"], "app").expect("compiles");
    assert_eq!((probe.source(), probe.describe().as_str()), (Some("us"), "looks at the dashboard app of us"));
}

#[test]
fn mistakes_are_said_before_anything_runs() {
    let said = |sources: &str, yaml: &str| {
        let probing = Probing::new().sources(sources);
        probing.compile("grafana", &["total"], yaml).err().unwrap_or_default().join("\n")
    };
    let one = "grafana: http://localhost:3000";
    assert!(said("{}", "app").starts_with("no-source"));
    assert!(said("loki: http://l", "{ dashboard: app, source: loki }").starts_with("wrong-source"));
    assert!(said(one, "{ dashboard: app, source: grafna }").starts_with("unknown-source"));
    assert!(said(one, "http://localhost:3000/d/app/health").starts_with("bad-value"));
    assert!(said(one, "{ dashboard: app, last: 5 parsecs }").starts_with("bad-duration"));
    assert!(said(one, "{ dashboard: app, panels: [] }").contains("the list is empty"));
    assert!(said(one, "{ dashboard: app, panel: [x] }").starts_with("unknown-key"));
    assert!(said(one, "{ panels: [x] }").starts_with("missing-key"));
    assert_eq!(said(one, "{ dashboard: app, vars: { a: b, c: [d, e] }, last: 1h, tags: x }"), "");
}
