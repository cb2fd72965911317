//! A real Pushgateway on a free loopback port.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::prometheus::{free_port, get};

/// A running Pushgateway. It ends when this is dropped.
pub(crate) struct Pushgateway {
    child: Child,
    port: u16,
}

impl Pushgateway {
    /// Starts one; nothing is in it.
    pub(crate) fn start() -> Self {
        // Another process may take the port between finding and using it.
        for _ in 0..5 {
            let port = free_port();
            let child = Command::new("prometheus-pushgateway")
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("prometheus-pushgateway runs");
            let mut gateway = Self { child, port };
            if gateway.is_ready() {
                return gateway;
            }
        }
        panic!("the Pushgateway does not start");
    }

    fn is_ready(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            if self.child.try_wait().expect("a child").is_some() {
                return false;
            }
            if get(self.port, "/-/ready").is_some_and(|answer| answer.contains(" 200 ")) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the metrics that it holds, one a line.
    pub(crate) fn metrics(&self) -> String {
        get(self.port, "/metrics").expect("an answer")
    }
}

impl Drop for Pushgateway {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
