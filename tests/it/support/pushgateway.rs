//! A real Pushgateway (Debian's `prometheus-pushgateway`) on a free loopback port.

use super::daemon::Daemon;

/// A running Pushgateway. It ends when this is dropped.
pub(crate) struct Pushgateway(Daemon);

impl Pushgateway {
    /// Starts one that holds nothing.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self(Daemon::start("prometheus-pushgateway", folder, "/-/ready", &|_, port| {
            vec![format!("--web.listen-address=127.0.0.1:{port}")]
        }))
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Pushes a page of metrics into a group: `job/backup/instance/a`.
    pub(crate) fn push(&self, group: &str, page: &str) {
        self.0.send("PUT", &format!("/metrics/{group}"), "text/plain", page);
    }

    /// Returns its page of metrics: what was pushed, and its own.
    pub(crate) fn page(&self) -> String {
        self.0.ask("/metrics")
    }
}
