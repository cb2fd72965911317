//! A real Prometheus on a free loopback port, with recorded data or targets to scrape.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running Prometheus. It ends when this is dropped.
pub(crate) struct Prometheus {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that holds `recorded`, a text in the OpenMetrics format with times, and scrapes `targets`
    /// (`host:port`) each second.
    pub(crate) fn start(recorded: &str, targets: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder for the data");
        if !recorded.is_empty() {
            load(folder.path(), &data, recorded);
        }
        std::fs::write(folder.path().join("prometheus.yml"), config(targets)).expect("a configuration");
        // Another process may take the port between finding and using it.
        for _ in 0..5 {
            let port = free_port();
            let mut child = spawn(folder.path(), &data, port);
            if ready(&mut child, port) {
                return Self { child, port, _folder: folder };
            }
            stop(&mut child);
        }
        panic!("prometheus does not start");
    }

    /// Waits until a query gives something.
    pub(crate) fn wait_until(&self, query: &str) {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let started = Instant::now();
        while !get(self.port, &format!("/api/v1/query?query={query}"))
            .is_some_and(|answer| answer.contains("\"value\""))
        {
            assert!(started.elapsed() < Duration::from_secs(60), "{query} gives nothing");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Asks for a path of its API and returns the body.
    pub(crate) fn ask(&self, path: &str) -> String {
        let answer = get(self.port, path).unwrap_or_else(|| panic!("no answer to {path}"));
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

fn load(folder: &Path, data: &Path, recorded: &str) {
    let file = folder.join("recorded.txt");
    std::fs::write(&file, recorded).expect("the recorded data");
    let done =
        Command::new("promtool").args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&file).arg(data).output();
    let done = done.expect("promtool runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn config(targets: &[String]) -> String {
    let list: Vec<String> = targets.iter().map(|t| format!("'{t}'")).collect();
    format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: service\n  static_configs: [ {{ targets: [{}] }} ]\n",
        list.join(", ")
    )
}

fn spawn(folder: &Path, data: &Path, port: u16) -> Child {
    Command::new("prometheus")
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus runs")
}

fn ready(child: &mut Child, port: u16) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        if get(port, "/-/ready").is_some_and(|answer| answer.starts_with("HTTP/1.0 200")) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

fn stop(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// Finds a port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Asks for a page; nothing when there is no answer.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
