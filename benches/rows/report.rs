//! Reports of a large run out of its store: read, verified, judged and written.

use super::{Scale, checklists};
use crate::measure::{Line, cost, folder, holdpoint, median, mib, ms, times, within};

/// Measures JUnit and Markdown of 100,000 results.
pub(crate) fn of_many(_scale: Scale) -> Vec<Line> {
    let here = folder();
    checklists::write(&here.path().join("noop.yaml"), 100_000, |_| "wait: 0s".to_owned());
    cost(holdpoint(here.path()).args(["run", "noop.yaml"]));
    let measure = |format: &str| {
        let file = here.path().join(format!("report.{format}"));
        let wish = format!("{format}={}", file.display());
        let ours = median(3, || {
            let mut command = holdpoint(here.path());
            command.args(["report", "last", "--report", &wish]);
            command
        });
        let bytes = std::fs::read(&file).expect("a report");
        let limit = within(3, || std::fs::write(&file, &bytes).expect("a copy"));
        let ratio = format!("{} the time", times(ours.wall.as_secs_f64(), limit.as_secs_f64()));
        let peer = format!("writing its {} MiB alone {}", bytes.len() >> 20, ms(limit));
        let told = format!("{}, {}", ms(ours.wall), mib(ours.peak_kib));
        Line { work: format!("{format} of 100,000 results from the store"), ours: told, peer, ratio }
    };
    ["junit", "markdown"].map(measure).into()
}
