//! The engine against scripts in the language of Prometheus' own PromQL tests: ours in `fixtures/promql`, and those in
//! the folders that `HOLDPOINT_PROMQLTEST` names, separated by colons, else in `../shared/promqltest`:
//!
//! ```text
//! HOLDPOINT_PROMQLTEST=some/folder cargo test --test it promqltest -- --nocapture
//! ```

use std::path::Path;

use crate::support::promqltest::{Report, Skip, run, run_folder};

fn passes(report: &Report) {
    eprintln!("{}", report.summary());
    assert!(report.failed.is_empty(), "{}", report.summary());
}

#[test]
fn our_scripts_pass() {
    let report = run_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/promql"));
    passes(&report);
    assert!(report.skipped.is_empty(), "ours are about floats: {:?}", report.skipped);
    assert!(report.passed > 200, "{} evaluations", report.passed);
}

#[test]
fn further_scripts_pass() {
    if let Ok(folders) = std::env::var("HOLDPOINT_PROMQLTEST") {
        folders
            .split(':')
            .filter(|folder| !folder.is_empty())
            .for_each(|folder| passes(&run_folder(Path::new(folder))));
        return;
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/promqltest");
    match beside.is_dir() {
        true => passes(&run_folder(&beside)),
        false => eprintln!("skipped: {} is not there", beside.display()),
    }
}

#[test]
fn what_is_not_as_expected_fails() {
    let failures = |eval: &str| run("t", &format!("load 1m\n  x{{a=\"b\"}} 1 2 3\n  y 1\n\n{eval}")).failed.len();
    for right in [
        "eval instant at 1m x\n  x{a=\"b\"} 2",
        "eval instant at 1m 1 + 1\n  2",
        "eval instant at 1m \"a\"\n  expect string \"a\"",
        "eval range from 0 to 2m step 1m x\n  x{a=\"b\"} 1 2 3",
        "eval instant at 2m x[2m]\n  expect range vector from 1m to 2m step 1m\n  x{a=\"b\"} 2 3",
        "eval instant at 1m sum(\n  expect fail",
        "eval instant at 1m topk(NaN, x)\n  expect fail msg: Parameter value is NaN",
        "eval instant at 1m rate(x[5m])\n  expect info\n  {a=\"b\"} 0.005",
        "eval_ordered instant at 0 sort_desc(x + 1 or y)\n  {a=\"b\"} 2\n  y 1",
    ] {
        assert_eq!(failures(right), 0, "{right}");
    }
    for wrong in [
        "eval instant at 1m x\n  x{a=\"b\"} 3",
        "eval instant at 1m x\n  x{a=\"c\"} 2",
        "eval instant at 1m x",
        "eval instant at 1m nothing\n  x 1",
        "eval instant at 1m 1 + 1\n  3",
        "eval instant at 1m vector(1)\n  1",
        "eval instant at 1m \"a\"\n  expect string \"b\"",
        "eval range from 0 to 2m step 1m x\n  x{a=\"b\"} 1 _ 3",
        "eval range from 0 to 2m step 1m x\n  x{a=\"b\"} 1 2",
        "eval instant at 2m x[2m]\n  expect range vector from 1m to 2m step 1m\n  x{a=\"b\"} 1 2",
        "eval instant at 1m x\n  expect fail",
        "eval instant at 1m topk(NaN, x)\n  expect fail msg: another",
        "eval instant at 1m sum(",
        "eval instant at 1m rate(x[5m])\n  expect no_info\n  {a=\"b\"} 0.005",
        "eval instant at 1m rate(x[5m])\n  expect info msg: another\n  {a=\"b\"} 0.005",
        "eval instant at 1m x\n  expect warn\n  x{a=\"b\"} 2",
        "eval_ordered instant at 0 sort_desc(x + 1 or y)\n  y 1\n  {a=\"b\"} 2",
        "eval instant at 1m x ]\n  x{a=\"b\"} 2",
        "nonsense",
    ] {
        assert_eq!(failures(wrong), 1, "{wrong}");
    }
}

#[test]
fn native_histograms_are_skipped_and_counted() {
    let script = "load 1m\n  h {{schema:0 sum:1 count:1}}x2\n  f 1 2 3\n\neval instant at 1m h\n  h {{count:1}}\n\n\
                  eval instant at 1m count(h)\n  {} 1\n\neval instant at 1m h </ 3\n\neval instant at 1m f\n  f 2\n\n\
                  eval instant at 1m start_timestamp(f)\n";
    let report = run("t", script);
    assert_eq!((report.passed, report.failed.len()), (1, 0), "{}", report.summary());
    let rules: Vec<_> = report.skipped.into_iter().collect();
    let one = |rule| (rule, 1);
    use Skip::{ExpectsHistogram, HistogramOperator, NoSuchFunction, ReadsHistogram};
    assert_eq!(rules, [ExpectsHistogram, ReadsHistogram, HistogramOperator, NoSuchFunction].map(one));
}
