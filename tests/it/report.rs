//! Every report format, over sample records of every kind.

use std::io::Write;
use std::process::{Command, Stdio};

use holdpoint::model::{Decision, Outcome};
use holdpoint::report::{FORMATS, Options, ReportError, RunView, TemplateText, find, markdown, terminal};
use unicode_width::UnicodeWidthStr;

use crate::support::courses;
use crate::support::records::{self, Sample};

/// Every kind of run, short and long.
fn samples() -> Vec<Sample> {
    records::all().into_iter().chain(courses::all()).collect()
}

fn view(sample: &Sample) -> RunView {
    RunView::new(sample.record.clone(), &sample.ruling)
}

fn write(format: &str, sample: &Sample) -> String {
    let mut out = Vec::new();
    let format = find(format).expect("a known format");
    (format.render)(&view(sample), &Options::default(), &mut out)
        .unwrap_or_else(|e| panic!("{} of {}: {e}", format.name, sample.name));
    String::from_utf8(out).expect("reports are UTF-8")
}

#[test]
fn every_format_tells_every_sample_the_same_way_twice() {
    for sample in samples() {
        for format in FORMATS {
            let text = write(format.name, &sample);
            assert_eq!(text, write(format.name, &sample));
            let word = sample.ruling.decision.word();
            let told = text.to_lowercase().contains(word) || sample.record.sections.is_empty();
            assert!(told, "{} of {} does not say {word}", format.name, sample.name);
            let steps = sample.record.sections.iter().flat_map(|s| &s.steps).filter(|_| sample.name != "hostile");
            for step in steps {
                assert!(
                    text.contains(&step.outline.name),
                    "{} of {} leaves out {}",
                    format.name,
                    sample.name,
                    step.outline.name
                );
            }
        }
    }
}

#[test]
fn no_control_characters_reach_a_document_or_a_terminal() {
    let sample = records::hostile();
    let stray = |text: &str| text.chars().find(|c| c.is_control() && *c != '\n');
    for format in FORMATS {
        assert_eq!(stray(&write(format.name, &sample)), None, "{}", format.name);
    }
    assert_eq!(stray(&terminal::render(&view(&sample), 80, false)), None);
}

#[test]
fn on_a_terminal_with_colour_only_our_own_sequences_are_written() {
    for sample in samples() {
        let text = terminal::render(&view(&sample), 100, true);
        for sequence in text.split('\u{1b}').skip(1) {
            let end = sequence.find('m').unwrap_or(usize::MAX);
            assert!(sequence.starts_with('[') && end < 12, "{}: {sequence:?}", sample.name);
        }
    }
}

#[test]
fn markdown_ticks_what_is_settled_and_nothing_else() {
    for sample in samples().into_iter().filter(|s| s.name != "hostile") {
        let text = write("markdown", &sample);
        let ticked = text.lines().filter(|l| l.starts_with("- [x] ")).count();
        let open = text.lines().filter(|l| l.starts_with("- [ ] ")).count();
        let ran = sample.record.sections.iter().flat_map(|s| &s.steps).filter(|s| s.outcome() != Outcome::Skipped);
        assert_eq!(ticked, ran.clone().filter(|s| s.outcome().satisfies()).count(), "{}", sample.name);
        assert_eq!(open, ran.filter(|s| !s.outcome().satisfies()).count(), "{}", sample.name);
    }
}

#[test]
fn markdown_of_a_mixed_run() {
    insta::assert_snapshot!(write("markdown", &records::mixed()));
}

#[test]
fn markdown_of_a_run_cut_short() {
    insta::assert_snapshot!(write("markdown", &records::interrupted()));
}

#[test]
fn markdown_of_hostile_text() {
    insta::assert_snapshot!(write("markdown", &records::hostile()));
}

#[test]
fn terminal_of_a_mixed_run() {
    insta::assert_snapshot!(terminal::render(&view(&records::mixed()), 80, false));
}

#[test]
fn markdown_of_long_runs() {
    for sample in courses::all() {
        insta::assert_snapshot!(format!("markdown_{}", sample.name), write("markdown", &sample));
    }
}

#[test]
fn terminal_of_long_runs() {
    for sample in courses::all() {
        let text = terminal::render(&view(&sample), 100, false);
        insta::assert_snapshot!(format!("terminal_{}", sample.name), text);
    }
}

#[test]
fn terminal_of_hostile_text() {
    insta::assert_snapshot!(terminal::render(&view(&records::hostile()), 80, false));
}

#[test]
fn terminal_of_a_held_run_says_how_to_go_on() {
    insta::assert_snapshot!(terminal::render(&view(&records::held()), 80, false));
}

#[test]
fn tables_fit_a_narrow_terminal_wide_characters_included() {
    for width in [60, 80, 120] {
        let mut record = (*records::all_pass().record).clone();
        record.sections[0].steps[0].outline.name = "健康检查端点在部署之后必须正常响应".repeat(4);
        let text = terminal::render(&RunView::new(record, &records::all_pass().ruling), width, false);
        let table = text.lines().take_while(|l| !l.is_empty());
        for line in table {
            assert!(line.width() <= usize::from(width), "{} of {width}: {line}", line.width());
        }
    }
}

#[test]
fn tap_of_a_mixed_run() {
    insta::assert_snapshot!(write("tap", &records::mixed()));
}

#[test]
fn junit_of_a_mixed_run() {
    insta::assert_snapshot!(write("junit", &records::mixed()));
}

#[test]
fn junit_is_valid_by_the_schema() {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/junit/junit.xsd");
    for sample in samples() {
        let mut child = Command::new("xmllint")
            .args(["--noout", "--nonet", "--schema", schema, "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("xmllint is installed");
        child.stdin.take().expect("a pipe").write_all(write("junit", &sample).as_bytes()).expect("xmllint reads");
        let output = child.wait_with_output().expect("xmllint ends");
        assert!(output.status.success(), "{}: {}", sample.name, String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn junit_reads_back_with_one_case_a_step_and_names_that_are_unique() {
    for sample in samples() {
        let report = quick_junit::Report::deserialize_from_str(&write("junit", &sample)).expect("reads back");
        let sections = &sample.record.sections;
        for (suite, section) in report.test_suites.iter().zip(sections) {
            assert_eq!(suite.test_cases.len(), section.steps.len(), "{}", sample.name);
            let names: std::collections::HashSet<_> = suite.test_cases.iter().map(|c| c.name.as_str()).collect();
            assert_eq!(names.len(), section.steps.len(), "{}", sample.name);
        }
        assert!(!write("junit", &sample).contains("\"input.token\""), "secrets are not inputs to show");
    }
}

#[test]
fn junit_counts_what_it_holds_however_large() {
    let report = quick_junit::Report::deserialize_from_str(&write("junit", &records::many(2_500))).expect("reads back");
    let suite = &report.test_suites[0];
    let red = suite.test_cases.iter().filter(|c| matches!(c.status, quick_junit::TestCaseStatus::NonSuccess { .. }));
    assert_eq!((suite.tests, suite.failures, suite.test_cases.len(), red.count()), (2_500, 25, 2_500, 25));
    assert_eq!((report.tests, report.failures, report.errors), (2_500, 25, 0));
}

#[test]
fn junit_and_tap_are_red_exactly_when_the_decision_is() {
    for mut sample in records::all() {
        for decision in [sample.ruling.decision, Decision::Go, Decision::NoGo, Decision::Undecided, Decision::Held] {
            sample.ruling.decision = decision;
            let red = matches!(decision, Decision::NoGo | Decision::Undecided);
            let report = quick_junit::Report::deserialize_from_str(&write("junit", &sample)).expect("reads back");
            assert_eq!(report.failures + report.errors > 0, red, "{} as {decision}", sample.name);
            let tap = write("tap", &sample);
            assert_eq!(tap.lines().any(|l| l.trim_start().starts_with("not ok")), red, "{} as {decision}", sample.name);
        }
    }
}

#[test]
fn json_is_one_versioned_document_with_every_look() {
    let document: serde_json::Value = serde_json::from_str(&write("json", &records::mixed())).expect("is JSON");
    assert_eq!(document["holdpoint_report"], 1);
    assert_eq!(document["decision"], "no-go");
    assert_eq!(document["counts"]["fail"], 2);
    assert_eq!(document["counts"]["total"], 9);
    let slow = &document["sections"][1]["steps"][0];
    assert_eq!(slow["looks"].as_array().map(Vec::len), Some(3));
    assert_eq!(slow["findings"][0]["value"], 0.812);
    assert_eq!(slow["measures"]["status"]["number"], 200.0);
    let secret = &document["header"]["inputs"][1];
    assert_eq!(secret["value"], "***");
}

#[test]
fn markdown_holds_no_syntax_from_outside() {
    let text = write("markdown", &records::hostile());
    let mut fence: Option<usize> = None;
    for line in text.lines() {
        let ticks = line.bytes().take_while(|b| *b == b'`').count();
        match fence {
            Some(open) if ticks >= open && line.len() == ticks => fence = None,
            Some(_) => continue,
            None if ticks >= 3 => fence = Some(ticks),
            None => {
                let acts = outside_code(line);
                let own = acts.strip_prefix("- [ ] ").unwrap_or(&acts);
                let marks = ["<script", "</script", "](", "[x]", "&amp", "**b"];
                assert!(!marks.iter().any(|m| own.contains(m)) && !own.starts_with("# h"), "{acts}");
            }
        }
    }
    assert_eq!(fence, None, "every fence is closed");
}

/// Leaves out code spans and escaped characters: what is left is what Markdown acts on.
fn outside_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let run = rest.bytes().take_while(|b| *b == b'`').count();
        rest = match c {
            '\\' => rest[1..].chars().next().map_or("", |escaped| &rest[1 + escaped.len_utf8()..]),
            '`' => after_run(&rest[run..], run).unwrap_or(&rest[run..]),
            c => {
                out.push(c);
                &rest[c.len_utf8()..]
            }
        };
    }
    out
}

/// Finds a run of exactly so many backticks and returns what comes after it.
fn after_run(text: &str, length: usize) -> Option<&str> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`').map(|f| at + f) {
        let run = text[found..].bytes().take_while(|b| *b == b'`').count();
        if run == length {
            return Some(&text[found + run..]);
        }
        at = found + run;
    }
    None
}

#[test]
fn a_template_of_ones_own_sees_the_same_data() {
    let template = "{{ decision }}: {% for s in sections %}{% for t in s.steps %}{{ t.name }}={{ t.outcome }};{% endfor %}{% endfor %}\
                    {{ attention[0].findings[0].value }} {{ head.inputs[1].value | raw }} {{ counts.fail }}";
    let mut out = Vec::new();
    let options = Options { template: Some(TemplateText { name: "mine.j2".into(), text: template.into() }) };
    markdown::render(&view(&records::mixed()), &options, &mut out).expect("renders");
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(text.starts_with("no-go: Health endpoint responds=pass;"), "{text}");
    assert!(text.ends_with("0.812 *** 2"), "{text}");
}

#[test]
fn a_wrong_template_is_refused_with_its_line() {
    for (text, line) in [("a\n{{ nothing }}", 2), ("{% for x %}", 1), ("a\nb\n{{ head.nme }}", 3)] {
        let result = markdown::render_with_template(&view(&records::mixed()), "mine.j2", text, &mut Vec::new());
        match result {
            Err(ReportError::Template { name, line: at, .. }) => assert_eq!((name.as_str(), at), ("mine.j2", line)),
            other => panic!("{text:?}: {other:?}"),
        }
    }
    let options = Options { template: Some(TemplateText { name: "mine.j2".into(), text: String::new() }) };
    for format in FORMATS.iter().filter(|f| f.name != "markdown") {
        let result = (format.render)(&view(&records::mixed()), &options, &mut Vec::new());
        assert!(matches!(result, Err(ReportError::NoTemplate(_))), "{}", format.name);
    }
}

#[test]
fn a_template_that_would_never_end_is_stopped() {
    let text = "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}{% endfor %}{% endfor %}{% endfor %}";
    let result = markdown::render_with_template(&view(&records::all_pass()), "mine.j2", text, &mut std::io::sink());
    assert!(matches!(result, Err(ReportError::Template { .. })), "{result:?}");
}

#[test]
fn a_writer_that_fails_is_said_by_every_format() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("no space left"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for format in FORMATS {
        let result = (format.render)(&view(&records::many(1_000)), &Options::default(), &mut Full);
        assert!(matches!(result, Err(ReportError::Write(_))), "{}: {result:?}", format.name);
    }
}

#[test]
fn the_manual_for_templates_names_every_field_that_the_built_in_template_uses() {
    let manual = markdown::manual();
    for (at, _) in markdown::TEMPLATE.match_indices("step.") {
        let field: String =
            markdown::TEMPLATE[at + 5..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        assert!(manual.contains(&format!("- `{field}`:")), "{field}");
    }
}

#[test]
#[ignore = "measures; run it by name on a quiet machine"]
fn the_cost_of_a_hundred_thousand_results() {
    let sample = records::many(100_000);
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find(|l| l.starts_with("VmHWM")).expect("a high-water mark");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
    };
    let view = view(&sample);
    let mut told = format!("record alone {} MiB", resident());
    for format in ["markdown", "tap", "junit", "json"] {
        let start = std::time::Instant::now();
        let render = find(format).expect("a known format").render;
        render(&view, &Options::default(), &mut std::io::sink()).expect("renders");
        told.push_str(&format!("\n{format}: {:?}, at most {} MiB so far", start.elapsed(), resident()));
    }
    std::io::stderr().write_all(format!("{told}\n").as_bytes()).expect("says so");
}
