//! What the README shows is what the program prints.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::env::TestEnv;

#[test]
fn the_demo_prints_what_the_readme_shows() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let shown = between(&readme, "<!-- demo transcript -->", "<!-- /demo transcript -->");
    let ran = TestEnv::new().run(&["demo"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let printed = words(&format!("{}{}", ran.stderr, ran.stdout));
    let expected = words(shown);
    let gone: Vec<_> = expected.iter().filter(|(word, n)| printed.get(*word) != Some(n)).collect();
    let new: Vec<_> = printed.iter().filter(|(word, n)| expected.get(*word) != Some(n)).collect();
    assert!(gone.is_empty() && new.is_empty(), "README shows {gone:?}, the program prints {new:?}");
}

#[test]
fn the_fixed_demo_waits_only_for_a_person() {
    let env = TestEnv::new();
    let ran = env.run(&["demo", "--fix"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("HELD") && !ran.stdout.contains("✗ fail"), "{}", ran.stdout);
    assert!(env.read("signoff.md").contains("HELD"));
    let id = ran.stdout.lines().find_map(|l| l.trim().strip_prefix("holdpoint attest ")).expect("what to do next");
    let (run, step) = id.split_once(' ').expect("run and step");
    let step = step.split(' ').next().expect("a step");
    let answered = env.run(&["attest", run, step, "--pass", "--note", "read them"]);
    assert_eq!(answered.status, 0, "{}", answered.stderr);
    let shown = env.run(&["show", "last"]);
    assert!(shown.stdout.contains("GO"), "{}", shown.stdout);
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).expect("the beginning") + start.len();
    let to = text[from..].find(end).expect("the end") + from;
    text[from..to].trim().trim_start_matches("```text").trim_start_matches("```").trim_end_matches("```")
}

/// Counts the words, numbers aside: times and ports differ from run to run, and with them the columns of the table.
fn words(text: &str) -> BTreeMap<String, usize> {
    let mut words = BTreeMap::new();
    for word in text.split_whitespace() {
        if word.chars().any(|c| c.is_ascii_digit()) {
            continue;
        }
        *words.entry(word.to_owned()).or_default() += 1;
    }
    words
}
