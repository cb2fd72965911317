//! wrk as the limit of what a server on this machine answers.

use std::path::Path;
use std::process::Command;

use crate::measure::{cost, present};

/// Returns the requests that wrk makes in a second; nothing where wrk is not installed.
pub(crate) fn rate(url: &str, connections: u32, script: Option<&Path>) -> Option<f64> {
    if !present("wrk") {
        return None;
    }
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), "-d3s"]);
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let told = cost(command.arg(url)).stdout;
    told.lines().find_map(|l| l.trim().strip_prefix("Requests/sec:"))?.trim().parse().ok()
}
