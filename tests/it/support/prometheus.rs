//! A real Prometheus on a free loopback port, with recorded data, targets to scrape, or rules to evaluate.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::daemon::{Daemon, get};

/// A running Prometheus. It ends when this is dropped.
pub(crate) struct Prometheus(Daemon);

impl Prometheus {
    /// Starts one that holds `recorded`, a text in the OpenMetrics format with times, and scrapes `targets`
    /// (`host:port`) each second.
    pub(crate) fn start(recorded: &str, targets: &[String]) -> Self {
        Self::configured(recorded, &config(targets), "")
    }

    /// Starts one that scrapes `targets` and evaluates `rules` (a rule file) each second, and sends its alerts to an
    /// Alertmanager (`host:port`) if there is one.
    pub(crate) fn with_rules(targets: &[String], rules: &str, alertmanager: Option<&str>) -> Self {
        // Only here: the interval is also the step of subqueries that name none.
        let mut config = config(targets).replace("scrape_interval: 1s", "scrape_interval: 1s, evaluation_interval: 1s");
        config.push_str("rule_files: [ rules.yml ]\n");
        if let Some(address) = alertmanager {
            config.push_str(&format!(
                "alerting: {{ alertmanagers: [ {{ static_configs: [ {{ targets: ['{address}'] }} ] }} ] }}\n"
            ));
        }
        Self::configured("", &config, rules)
    }

    /// Starts one with a configuration of its own, and a file `rules.yml` beside it unless that is empty.
    pub(crate) fn configured(recorded: &str, config: &str, rules: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder for the data");
        if !recorded.is_empty() {
            load(folder.path(), &data, recorded);
        }
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("a configuration");
        if !rules.is_empty() {
            std::fs::write(folder.path().join("rules.yml"), rules).expect("a rule file");
        }
        Self(Daemon::start("prometheus", folder, "/-/ready", &|folder, port| {
            vec![
                format!("--config.file={}", folder.join("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", folder.join("data").display()),
                "--storage.tsdb.retention.time=100y".to_owned(),
                format!("--web.listen-address=127.0.0.1:{port}"),
                // An alert that is still firing is sent again at once, so that a test need not wait for a minute.
                "--rules.alert.resend-delay=1s".to_owned(),
            ]
        }))
    }

    /// Waits until a query gives something.
    pub(crate) fn wait_until(&self, query: &str) {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let started = Instant::now();
        while !get(self.0.port(), &format!("/api/v1/query?query={query}"))
            .is_some_and(|answer| answer.contains("\"value\""))
        {
            assert!(started.elapsed() < Duration::from_secs(60), "{query} gives nothing");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until the answer to a path is as it should be.
    pub(crate) fn wait_for(&self, path: &str, good: &dyn Fn(&str) -> bool) {
        self.0.wait_for(path, good);
    }

    /// Asks for a path of its API and returns the body.
    pub(crate) fn ask(&self, path: &str) -> String {
        self.0.ask(path)
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        self.0.url()
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
