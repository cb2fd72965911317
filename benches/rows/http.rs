//! Many HTTP steps against a real nginx.

use super::{Scale, checklists, wrk};
use crate::measure::{Cost, Line, cost, folder, holdpoint, median, mib, times};

#[path = "../../tests/it/support/nginx.rs"]
pub(super) mod nginx;

/// Measures 10,000 steps, 10 at a time, with status and two JSON assertions each, reports written.
pub(crate) fn steps(scale: Scale) -> Vec<Line> {
    let Some(nginx) =
        nginx::Nginx::start("location = /health { default_type application/json; keepalive_requests 1000000; }")
    else {
        return vec![Line::alone("10,000 HTTP steps", "–".into(), "nginx is not installed")];
    };
    nginx.put("health", r#"{"status":"ok","version":"1.2.3","items":[1,2,3]}"#);
    let here = folder();
    let url = format!("{}/health", nginx.url);
    let make = |count: usize| {
        let name = format!("{count}.yaml");
        checklists::write(&here.path().join(&name), count, |_| {
            format!("http: GET {url}\nexpect: {{ status: 200, json: {{ $.status: ok, '$.items[2]': 3 }} }}")
        });
        let mut command = holdpoint(here.path());
        command.args(["run", &name, "--jobs", "10", "--report", "junit=junit.xml", "--report", "markdown=sign-off.md"]);
        command
    };
    let ours = median(3, || make(10_000));
    let work = "10,000 HTTP steps, status and two JSON assertions each, reports written";
    let mut lines = vec![match wrk::rate(&url, 10, None) {
        Some(theirs) => {
            let rate = 10_000.0 / ours.wall.as_secs_f64();
            let ratio = format!("{} the rate", times(rate, theirs));
            Line {
                work: work.into(),
                ours: told(&ours, 10_000),
                peer: format!("wrk {theirs:.0}/s, nothing asserted"),
                ratio,
            }
        }
        None => Line::alone(work, told(&ours, 10_000), "wrk is not installed"),
    }];
    if scale == Scale::Full {
        // About as many as fit into the largest checklist that is read.
        let large = cost(&mut make(25_000));
        let ratio = format!("{} (2.5 is linear)", times(large.wall.as_secs_f64(), ours.wall.as_secs_f64()));
        let peer = format!("10,000 steps {}", told(&ours, 10_000));
        lines.push(Line { work: "25,000 HTTP steps".into(), ours: told(&large, 25_000), peer, ratio });
    }
    lines
}

/// Tells rate, CPU time of a step and peak memory.
pub(crate) fn told(cost: &Cost, count: u32) -> String {
    let rate = f64::from(count) / cost.wall.as_secs_f64();
    let each = cost.cpu.as_secs_f64() * 1e6 / f64::from(count);
    format!("{rate:.0}/s, {each:.0} µs CPU each, {}", mib(cost.peak_kib))
}
