//! The sample service: what it answers healthy and broken, that its metrics are valid and grow, that its logs do.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use holdpoint::demo::{Flaws, Service};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends one request and returns status and body.
async fn ask(service_url: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let address = service_url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).await.expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answers");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

async fn get(service: &Service, path: &str) -> (u16, String) {
    ask(&service.base_url(), "GET", path, "").await
}

async fn get_json(service: &Service, path: &str) -> (u16, Value) {
    let (status, body) = get(service, path).await;
    (status, serde_json::from_str(&body).expect("JSON"))
}

/// Waits until something holds, for up to 20 seconds.
async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn log(service: &Service) -> String {
    std::fs::read_to_string(service.log_path()).expect("a log")
}

#[tokio::test]
async fn healthy_it_has_nothing_to_complain_of() {
    let service = Service::start(Flaws::default(), None).await.expect("starts");
    assert_eq!(get_json(&service, "/health").await, (200, json!({ "status": "ok", "version": "1.4.2" })));
    let (status, ready) = get_json(&service, "/ready").await;
    assert_eq!((status, &ready["status"]), (200, &json!("ready")));
    for check in ["database", "cache", "queue"] {
        assert_eq!(ready["checks"][check]["status"], "ok");
    }
    assert_eq!(get_json(&service, "/version").await.1["version"], "1.4.2");
    assert_eq!(get_json(&service, "/api/orders").await.1["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(get(&service, "/nothing").await.0, 404);
    assert_eq!(ask(&service.base_url(), "POST", "/health", "").await.0, 405);
    let log = log(&service);
    assert!(!log.contains("ERROR") && !log.contains("WARN"));
    assert!(log.lines().count() > 1000 && log.contains("Token usage: input="), "{}", log.lines().count());
    let events = std::fs::read_to_string(service.events_path()).expect("events");
    assert!(events.lines().count() > 20 && events.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    service.stop().await;
}

#[tokio::test]
async fn the_demo_begins_with_one_failure_and_one_warning_and_the_fix_removes_the_failure() {
    let service = Service::start(Flaws::demo(), None).await.expect("starts");
    let (status, ready) = get_json(&service, "/ready").await;
    assert_eq!((status, &ready["checks"]["cache"]["status"]), (503, &json!("fail")));
    assert_eq!(get(&service, "/health").await.0, 200);
    assert!(log(&service).contains(" WARN  slow query") && !log(&service).contains("ERROR"));
    service.set_flaws(service.flaws().fixed());
    assert_eq!(get(&service, "/ready").await.0, 200);
    assert!(service.flaws().slow, "the warning stays");
}

#[tokio::test]
async fn flaws_are_switched_over_http() {
    let service = Service::start(Flaws::default(), None).await.expect("starts");
    let flaws = r#"{"unhealthy": true, "stale_version": true, "error_lines": true, "slow": true}"#;
    let (status, body) = ask(&service.base_url(), "POST", "/admin/flaws", flaws).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(get_json(&service, "/health").await, (503, json!({ "status": "degraded", "version": "1.4.1" })));
    let begun = Instant::now();
    assert_eq!(get(&service, "/api/orders").await.0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(400));
    eventually("the log has errors", || async { log(&service).contains(" ERROR ") }).await;
    let (status, body) = ask(&service.base_url(), "POST", "/admin/flaws", r#"{"unhealty": true}"#).await;
    assert_eq!(status, 400);
    assert!(body.contains("unhealthy"), "{body}");
    assert_eq!(ask(&service.base_url(), "POST", "/admin/flaws", r#"{"unhealthy": false}"#).await.0, 200);
    assert_eq!(get(&service, "/health").await.0, 200);
    assert!(get_json(&service, "/admin/flaws").await.1["slow"] == json!(true));
}

#[tokio::test]
async fn its_metrics_are_valid_and_grow_with_its_traffic() {
    let service = Service::start(Flaws::default(), None).await.expect("starts");
    let (status, page) = get(&service, "/metrics").await;
    assert_eq!(status, 200);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    promtool.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("written");
    let checked = promtool.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(!said.contains("error while linting"), "{said}");
    let total = |page: &str| -> f64 {
        let lines = page.lines().filter(|line| line.starts_with("http_requests_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    assert!(total(&page) >= 12_000.0);
    assert!(page.contains("http_requests_total{method=\"GET\",status=\"500\",variant=\"production\"} 0\n"));
    eventually("requests are counted", || async { total(&get(&service, "/metrics").await.1) > total(&page) + 10.0 })
        .await;
}

#[tokio::test]
async fn stopped_it_is_gone_with_its_folder() {
    let service = Service::start(Flaws::default(), None).await.expect("starts");
    let (address, folder) = (service.address(), service.log_path().parent().expect("a folder").to_owned());
    assert!(folder.exists());
    service.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!folder.exists());
    let given = tempfile::tempdir().expect("a folder");
    let service = Service::start(Flaws::default(), Some(given.path())).await.expect("starts");
    let log = service.log_path().to_owned();
    drop(service);
    assert!(log.starts_with(given.path()) && log.exists(), "a folder that was given is kept");
}

/// Ends a server with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_real_prometheus_scrapes_it_and_sees_rates() {
    let service = Service::start(Flaws { errors: true, ..Flaws::default() }, None).await.expect("starts");
    let folder = tempfile::tempdir().expect("a folder");
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let config = format!(
        "scrape_configs:\n  - job_name: sample\n    scrape_interval: 500ms\n    scrape_timeout: 500ms\n    \
         static_configs: [{{ targets: [\"{}\"] }}]\n",
        service.address()
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).expect("written");
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--log.level=error"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus is installed");
    let _server = Server(child);
    let url = format!("http://127.0.0.1:{port}");
    let query = "/api/v1/query?query=sum(rate(http_requests_total%7Bstatus%3D~%225..%22%7D%5B30s%5D))%2F\
                 sum(rate(http_requests_total%5B30s%5D))";
    eventually("a fifth of the requests fails", || async {
        if TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            return false;
        }
        let (_, body) = ask(&url, "GET", query, "").await;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let ratio = answer["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
        ratio.is_some_and(|ratio| (0.05..0.5).contains(&ratio))
    })
    .await;
}
