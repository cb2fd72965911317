//! The worlds that checklists are run in: the sample service, a real Prometheus that scrapes it.

use holdpoint::demo;

use super::prometheus::Prometheus;

/// What a run stands in. Everything ends with it.
pub(crate) struct World {
    service: Option<Served>,
    prometheus: Option<Prometheus>,
}

/// The sample service on a runtime of its own.
struct Served {
    service: demo::Service,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl World {
    /// Starts what the lines of `kind` name.
    pub(crate) fn start(kind: &str) -> Self {
        let wants = |word: &str| kind.lines().any(|line| line.trim() == word);
        let service = (wants("service") || wants("service broken") || wants("prometheus")).then(|| Served::start(wants("service broken")));
        let prometheus = wants("prometheus").then(|| {
            let service = service.as_ref().expect("Prometheus scrapes the service");
            Prometheus::scraping(service.service.address())
        });
        Self { service, prometheus }
    }

    /// Returns `--set` for those inputs that a checklist declares and this world knows.
    pub(crate) fn inputs_for(&self, checklist: &str) -> Vec<String> {
        let mut known = Vec::new();
        if let Some(Served { service, .. }) = &self.service {
            known.push(("base_url", service.base_url().to_owned()));
            known.push(("address", service.address().to_string()));
            known.push(("log_path", service.log_path().display().to_string()));
        }
        if let Some(prometheus) = &self.prometheus {
            known.push(("prometheus_url", prometheus.url().to_owned()));
        }
        let declared = |name: &str| checklist.lines().any(|line| line.trim_start().starts_with(&format!("{name}:")));
        known.into_iter().filter(|(name, _)| declared(name)).flat_map(|(n, v)| ["--set".to_owned(), format!("{n}={v}")]).collect()
    }
}
