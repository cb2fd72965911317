//! The checklist language as users meet it: every mistake is said once, at its place, whatever the file; nothing that is
//! right is blamed; the JSON Schema agrees; and no file, however odd, stops the program.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdpoint::checklist::{self, inputs};
use holdpoint::diag::{Diagnostics, SourceMap, Span, codes, formats, render};
use holdpoint::notify::{self, Channels};
use holdpoint::plan::{self, Selection};
use holdpoint::yaml;
use serde_json::Value;

use crate::support::env::TestEnv;

/// What checking a text gave.
struct Checked {
    diagnostics: Diagnostics,
    sources: Arc<SourceMap>,
    planned: bool,
}

/// Checks a text as `check` does.
fn check(name: &str, text: &str) -> Checked {
    let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let file = sources.add(name, text);
    let checklist = checklist::read(&mut sources, file, &mut diagnostics);
    let sources = Arc::new(sources);
    let mut planned = false;
    if let Some(checklist) = checklist {
        let given = inputs::Given::default();
        let root = Span::new(file, 0, 0);
        let filled = inputs::fill(&checklist.inputs, &given, |_| None, false, root, &mut diagnostics);
        Channels::read(&checklist, &filled, &sources, &mut diagnostics);
        let everything = Selection::default();
        planned = plan::build(checklist, filled, &everything, Arc::clone(&sources), &mut diagnostics).is_some();
    }
    diagnostics.sort();
    Checked { diagnostics, sources, planned }
}

impl Checked {
    /// Lists `CODE at LINE:COLUMN` of every message.
    fn said(&self) -> Vec<String> {
        let place = |d: &holdpoint::diag::Diagnostic| {
            let (line, column) = self.sources.line_column(d.labels[0].span);
            format!("{} at {line}:{column}", d.code)
        };
        self.diagnostics.iter().map(place).collect()
    }

    fn codes(&self) -> Vec<&'static str> {
        self.diagnostics.iter().map(|d| d.code).collect()
    }

    fn text(&self) -> String {
        render::render(&self.diagnostics, &self.sources, false)
    }
}

fn folder(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let entries = std::fs::read_dir(&folder).expect("a folder").map(|e| e.expect("an entry").path());
    let mut files: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} is empty");
    files
}

fn read(path: &Path) -> (String, String) {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    (name, std::fs::read_to_string(path).expect("a text"))
}

fn shipped() -> Vec<(String, String)> {
    folder("checklists").iter().map(|p| read(p)).collect()
}

fn right() -> Vec<(String, String)> {
    folder("checklists").iter().chain(&folder("fixtures/yaml/valid")).map(|p| read(p)).collect()
}

fn wrong() -> Vec<(String, String)> {
    folder("fixtures/yaml/invalid").iter().map(|p| read(p)).collect()
}

const EXPECT: &str = "# expect: ";

fn expected(text: &str) -> Vec<&str> {
    text.lines().map_while(|line| line.strip_prefix(EXPECT)).collect()
}

/// With `HOLDPOINT_BLESS=1` the first lines of the files are written anew.
#[test]
fn every_invalid_file_gives_exactly_the_messages_that_it_names() {
    let mut differ = String::new();
    for path in folder("fixtures/yaml/invalid") {
        let (name, text) = read(&path);
        let checked = check(&name, &text);
        let said = checked.said();
        if said == expected(&text) && !checked.planned | said.iter().all(|s| s.starts_with("odd-")) {
            continue;
        }
        let _ = writeln!(differ, "{name}: {:?} is said\n{}", said, checked.text());
        if std::env::var_os("HOLDPOINT_BLESS").is_some() {
            bless(&path, &name, &text);
        }
    }
    assert!(differ.is_empty(), "{differ}");
}

fn bless(path: &Path, name: &str, text: &str) {
    let body: String = text.lines().skip(expected(text).len()).map(|line| format!("{line}\n")).collect();
    let count = check(name, &body).said().len();
    let moved = format!("{}{body}", "#\n".repeat(count));
    let head: String = check(name, &moved).said().iter().map(|said| format!("{EXPECT}{said}\n")).collect();
    std::fs::write(path, head + &body).expect("writes");
}

#[test]
fn every_message_has_a_place_a_page_and_a_tidy_sentence() {
    for (name, text) in wrong() {
        let checked = check(&name, &text);
        for d in checked.diagnostics.iter() {
            let about = format!("{name}: {}: {}", d.code, d.message);
            assert!(codes::find(d.code).is_some(), "{about}");
            assert!(!d.message.ends_with(['.', ' ', ':']) && !d.message.contains('\n'), "{about}");
            assert!(d.message.len() < 300, "{about}");
            assert!(!d.message.starts_with(|c: char| c.is_uppercase()) || d.message.starts_with("PromQL"), "{about}");
            for label in &d.labels {
                // A template of the library lies in a text of its own.
                assert!(checked.sources.text(label.span.file).get(label.span.range()).is_some(), "{about}");
            }
        }
    }
}

/// Codes that no file alone can show: they need a missing file, a value given from outside, or very many mistakes.
const NOT_FROM_A_FILE: &[&str] =
    &["file-unreadable", "file-too-large", "too-many-mistakes", "missing-input", "unknown-input"];

#[test]
fn every_code_has_a_file_that_shows_it() {
    let shown: Vec<_> = wrong().iter().flat_map(|(name, text)| check(name, text).codes()).collect();
    // Those of waivers and policies are shown by the tests beside their readers.
    let other = ["waiver-", "policy-"];
    let elsewhere = |code: &str| NOT_FROM_A_FILE.contains(&code) || other.iter().any(|word| code.starts_with(word));
    let missing: Vec<_> = codes::CODES.iter().map(|c| c.code).filter(|c| !shown.contains(c) && !elsewhere(c)).collect();
    assert!(missing.is_empty(), "no file in fixtures/yaml/invalid shows {missing:?}");
}

#[test]
fn what_is_right_is_not_blamed() {
    for (name, text) in right() {
        let checked = check(&name, &text);
        assert!(checked.diagnostics.is_empty() && checked.planned, "{name}\n{}", checked.text());
    }
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    for (name, text) in right() {
        let checked = check(&name, &format!("\u{feff}{}", text.replace('\n', "\r\n")));
        assert!(checked.diagnostics.is_empty() && checked.planned, "{name}\n{}", checked.text());
    }
    for (name, text) in wrong().into_iter().filter(|(name, _)| !name.starts_with("yaml-syntax")) {
        let checked = check(&name, &text.replace('\n', "\r\n"));
        assert_eq!(checked.said(), expected(&text), "{name}\n{}", checked.text());
    }
}

/// What a schema does not express: what a text says, whether names meet, and what lies below the data (keys that stand
/// twice, quotes).
const BEYOND_A_SCHEMA: &[&str] = &[
    "asserts-nothing",
    "bad-address",
    "bad-duration",
    "bad-expression",
    "bad-glob",
    "bad-id",
    "bad-input",
    "bad-jsonpath",
    "bad-promql",
    "bad-quantity",
    "bad-regex",
    "bad-semver",
    "bad-template",
    "bad-url",
    "bad-window",
    "cyclic-needs",
    "duplicate-capture",
    "duplicate-id",
    "duplicate-key",
    "expect-kind",
    "expect-needs-key",
    "expect-no-key",
    "bad-baseline",
    "bad-guard",
    "bad-hold",
    "bad-matrix",
    "bad-soak",
    "expect-relative",
    "expect-syntax",
    "expect-unknown-measure",
    "no-source",
    "not-an-action",
    "nothing-to-compare",
    "odd-promql",
    "odd-secret",
    "undefined-variable",
    "unknown-id",
    "unknown-role",
    "unknown-source",
    "unquoted-comparator",
    "bad-parameter",
    "missing-parameter",
    "template-bounds",
    "template-file",
    "unknown-parameter",
    "unknown-template",
    "unused-parameter",
    "unused-template",
    "unused-axis",
    "unused-input",
    "wrong-source",
    "yaml-documents",
    "yaml-syntax",
];

/// Files of the other codes whose fault a schema does not express either, with why.
const BEYOND_A_SCHEMA_FILES: &[(&str, &str)] = &[
    ("bad-value--backoff.yaml", "a range of numbers"),
    ("bad-value--channel-told-nothing.yaml", "a list is empty"),
    ("bad-value--mail-address.yaml", "what a text says"),
    ("bad-value--mail-user.yaml", "one key needs another"),
    ("bad-value--pushed-label.yaml", "one name is taken"),
    ("bad-value--command.yaml", "a text is empty"),
    ("bad-value--keep.yaml", "one length is longer than another"),
    ("bad-value--method.yaml", "a word within a text"),
    ("bad-value--range.yaml", "one length is longer than another"),
    ("bad-value--two-bodies.yaml", "one key excludes another"),
    ("bad-value--two-logs.yaml", "one key excludes another"),
    ("bad-value--role-needs.yaml", "a number is held against the length of a list"),
    ("bad-value--valid-for.yaml", "a length of time is nothing"),
    ("empty-section--requires.yaml", "a list is empty that may be left out"),
    ("missing-key--consistently.yaml", "a guard has no such key, a step needs it"),
    ("unused-key--baseline.yaml", "a word within a text"),
    ("unused-key--default-baseline.yaml", "a word within a text"),
    ("bad-value--where.yaml", "what a field is compared with"),
    ("missing-key--log.yaml", "one of several keys is needed"),
    ("beyond-keep--range.yaml", "what a query looks back to"),
    ("beyond-keep.yaml", "what a query looks back to"),
    ("missing-key--recorded.yaml", "needed by this kind of source"),
    ("missing-key--scrape.yaml", "needed by this kind of source"),
    ("missing-key--source.yaml", "needed by this kind of source"),
    ("missing-key--times.yaml", "one key needs another"),
    ("not-yet.yaml", "a source of a later version"),
    ("bad-value--api-burst.yaml", "one key excludes another"),
    ("empty-section--template.yaml", "a template may have any keys, or none that looks"),
    ("missing-key--template-id.yaml", "a step needs an id only among several of a template"),
    ("unknown-key--template-steps.yaml", "a key that stands beside another one"),
    ("unused-key--several.yaml", "how many steps a template has"),
    ("unused-key.yaml", "a key that another probe reads"),
    ("unused-key--source.yaml", "a key that another probe reads"),
    ("wrong-type--pattern.yaml", "what a field is compared with"),
];

#[test]
fn the_schema_agrees_about_what_is_a_matter_of_form() {
    let mut schema = plan::schema::schema();
    schema["properties"]["notify"] = notify::declared::schema();
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let json = |name: &str, text: &str| -> Option<Value> {
        let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
        let file = sources.add(name, text);
        yaml::parse(&mut sources, file, &mut diagnostics).map(|node| node.json())
    };
    for (name, text) in right() {
        let value = json(&name, &text).expect("valid YAML");
        let errors: Vec<_> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
    let mut accepted = String::new();
    for (name, text) in wrong() {
        let codes = check(&name, &text).codes();
        let excused = BEYOND_A_SCHEMA_FILES.iter().any(|(file, _)| *file == name);
        let formal = codes.iter().any(|code| !BEYOND_A_SCHEMA.contains(code)) && !excused;
        if formal && json(&name, &text).is_some_and(|value| validator.is_valid(&value)) {
            let _ = writeln!(accepted, "{name} {codes:?}");
        }
    }
    assert!(accepted.is_empty(), "the schema accepts\n{accepted}");
}

const TYPICAL: &[&str] = &[
    "asserts-nothing.yaml",
    "bad-duration.yaml",
    "bad-promql--block.yaml",
    "bad-promql.yaml",
    "bad-regex--look-around.yaml",
    "cyclic-needs.yaml",
    "duplicate-id.yaml",
    "expect-kind.yaml",
    "expect-syntax.yaml",
    "expect-unknown-measure.yaml",
    "missing-key--step.yaml",
    "no-source.yaml",
    "not-yet--from.yaml",
    "several.yaml",
    "two-probes.yaml",
    "undefined-variable.yaml",
    "unknown-id.yaml",
    "unknown-key--section.yaml",
    "unknown-probe.yaml",
    "unquoted-comparator.yaml",
    "wrong-type--bool.yaml",
    "yaml-syntax--colon.yaml",
    "yaml-syntax.yaml",
];

#[test]
fn typical_mistakes_read_well() {
    let mut out = String::new();
    for (name, text) in wrong().iter().filter(|(name, _)| TYPICAL.contains(&name.as_str())) {
        out.push_str(&check(name, text).text());
    }
    insta::assert_snapshot!("typical_mistakes", out);
}

#[test]
fn github_shows_each_mistake_on_its_line() {
    let texts = wrong();
    let (name, text) = texts.iter().find(|(name, _)| name == "several.yaml").expect("the file");
    let checked = check(&format!("a,b:{name}"), text);
    insta::assert_snapshot!("github", formats::github(&checked.diagnostics, &checked.sources));
}

#[test]
fn check_takes_many_files_and_says_everything_in_every_format() {
    let env = TestEnv::new();
    env.write("good.yaml", &right()[0].1);
    env.write("bad.yaml", &wrong().iter().find(|(name, _)| name == "several.yaml").expect("the file").1);
    let text = env.run(&["check", "good.yaml", "bad.yaml", "absent.yaml"]);
    assert_eq!(text.status, 2, "{text:?}");
    for part in ["good.yaml: good:", "bad.yaml: 6 mistakes", "--> bad.yaml:15:19", "there is no such file"] {
        assert!(text.stderr.contains(part), "{part}: {}", text.stderr);
    }
    let json = env.run(&["check", "--format", "json", "good.yaml", "bad.yaml", "absent.yaml"]);
    let list: Vec<Value> = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((json.status, list.len()), (2, 7), "{}", json.stdout);
    assert_eq!(list[1]["places"][0]["column"], 19);
    let github = env.run(&["check", "--format", "github", "good.yaml", "bad.yaml", "absent.yaml"]);
    assert_eq!(github.stdout.lines().filter(|line| line.starts_with("::error ")).count(), 7, "{}", github.stdout);
    assert_eq!(env.run(&["check", "good.yaml"]).status, 0);
}

/// Makes a checklist of many steps that need, capture and use, in sections of a hundred.
fn long(steps: usize) -> String {
    let mut out = String::from("holdpoint: 1\nname: Long\ninputs: { base: { type: url, default: 'http://h' } }\n");
    out.push_str("sources: { prometheus: { url: 'http://h:9090' } }\nsections:\n");
    for n in 0..steps {
        if n % 100 == 0 {
            let needs = if n == 0 { String::new() } else { format!("    needs: [section-{}]\n", n - 100) };
            let _ = write!(out, "  - name: Section {n}\n{needs}    steps:\n");
        }
        let name = format!("      - name: Step {n}\n");
        out.push_str(&name);
        let _ = match n % 4 {
            0 => write!(
                out,
                "        http: GET {{{{ inputs.base }}}}/p/{n}\n        capture: {{ v{n}: json.v }}\n        expect: {{ status: 200, json: {{ $.a: ok }}, latency: < 1s }}\n"
            ),
            1 => write!(
                out,
                "        http: GET http://h/{{{{ captured.v{} }}}}\n        expect: {{ json: {{ $.v: '{{{{ captured.v{} }}}}' }} }}\n",
                n - 1,
                n - 1
            ),
            2 => write!(
                out,
                "        promql: sum(rate(m{{job=\"{{{{ inputs.base }}}}\"}}[5m]))\n        needs: [step-{}]\n        expect: \"> 0\"\n",
                n - 1
            ),
            _ => write!(out, "        exec: [echo, '{n}']\n        changes: nothing\n        expect: 0\n"),
        };
    }
    out
}

/// The time that checking takes, beyond which something is not linear any more; unoptimised and on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Returns the time that this thread has worked: what else the machine does meanwhile does not count.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a time that has passed")
}

#[test]
fn ten_thousand_steps_are_checked_in_linear_time() {
    let time = |steps: usize| {
        let text = long(steps);
        let begun = spent();
        let checked = check("long.yaml", &text);
        assert!(checked.planned, "{}", checked.text());
        spent() - begun
    };
    let (short, long) = (time(1_000), time(10_000));
    assert!(long < PATIENCE && long < short * 30, "{short:?} for 1,000 steps, {long:?} for 10,000");
}

#[test]
fn ten_thousand_mistakes_are_said_in_linear_time() {
    let begun = Instant::now();
    let text = long(10_000).replace("needs: [step-", "needs: [stop-").replace("inputs.base", "inputs.bose");
    let checked = check("long.yaml", &text);
    assert_eq!(checked.diagnostics.len(), 501);
    let shown = checked.text();
    assert!(shown.contains("more mistakes are not shown") && begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

/// A small generator of numbers, the same ones in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }
}

/// Changes a text in one to three places.
fn mutate(text: &str, dice: &mut Dice) -> String {
    const SIGNS: &[u8] = b":{}[]\"'|>*&!%#@,-\t\n $.()\\~0\x00\xc3";
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        let end = (at + 1 + dice.below(40)).min(bytes.len());
        match dice.below(6) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = SIGNS[dice.below(SIGNS.len())],
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            4 => bytes.insert(at, SIGNS[dice.below(SIGNS.len())]),
            _ => bytes.truncate(at.max(bytes.len() / 2)),
        }
        if bytes.is_empty() {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn two_thousand_damaged_checklists_are_survived() {
    let texts = shipped();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for part in 0..4 {
            let texts = &texts;
            scope.spawn(move || {
                let mut dice = Dice(0x9E37_79B9 + part);
                for n in 0..500 {
                    let (name, text) = &texts[n % texts.len()];
                    survive(name, &mutate(text, &mut dice));
                }
            });
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
}

fn survive(name: &str, text: &str) {
    let begun = Instant::now();
    let result = std::panic::catch_unwind(|| {
        let checked = check(name, text);
        assert_eq!(checked.planned, !checked.diagnostics.has_errors(), "{}", checked.text());
        for d in checked.diagnostics.iter() {
            let there = |span: Span| checked.sources.text(span.file).get(span.range()).is_some();
            assert!(!d.labels.is_empty() && d.labels.iter().all(|l| there(l.span)), "{d:?}");
        }
        checked.text().len() + formats::github(&checked.diagnostics, &checked.sources).len()
    });
    assert!(result.is_ok(), "{name} is not survived:\n{text}");
    assert!(begun.elapsed() < PATIENCE, "{name} takes {:?}:\n{text}", begun.elapsed());
}

/// A checklist around one step.
fn step(body: &str) -> String {
    let head = "holdpoint: 1\nname: Example\nsources: { prometheus: { url: 'http://h:9090' } }\nsections:\n";
    format!("{head}  - name: Section\n    steps:\n      - name: Step\n        {body}\n")
}

/// A probe and what must hold for a key of a measure, however long the key is.
fn keyed(probe: &str, measure: &str, key: &str) -> String {
    let at = "\n          ";
    format!("{probe}\n        expect:{at}{measure}:{at}  ? '{key}'{at}  : 1")
}

#[test]
fn nasty_files_are_refused_quickly_and_in_words() {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let bomb = {
        let level = |n: u32| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(","));
        format!("a0: &a0 [x]\n{}", (1..20).map(level).collect::<String>())
    };
    let fat = format!("a: &a '{}'\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 900_000].join(","));
    let keys: String = (0..150_000).map(|n| format!("{n:x}: 1\n")).collect();
    let nested_keys: String = (0..150_000).map(|n| format!("  k{n:x}: 1\n")).collect();
    let half = "x".repeat(2 << 20);
    let nasty = [
        ("an alias bomb", bomb, "yaml-alias-bomb"),
        ("a bomb of few long texts", fat, "yaml-alias-bomb"),
        ("deep lists", format!("a: {}", deep("[", "]")), "yaml-depth"),
        ("deep maps", format!("a: {}", deep("{a: ", "}")), "yaml-depth"),
        ("deep dashes", "- ".repeat(100_000), "yaml-depth"),
        ("a long text", format!("holdpoint: 1\nname: {}", "x".repeat(50_000_000)), "file-too-large"),
        ("many keys", format!("holdpoint: 1\n{keys}"), "too-many-mistakes"),
        ("very many keys", (0..600_000).map(|n| format!("{n:x}:\n")).collect(), "yaml-alias-bomb"),
        ("many keys below", format!("holdpoint: 1\nname: N\ninputs:\n{nested_keys}"), "too-many-mistakes"),
        ("many values", "- a\n".repeat(1_040_000), "yaml-alias-bomb"),
        ("many signs", format!("a: {}", "> 5\nb: ".repeat(100_000)), "unquoted-comparator"),
        ("a deep query", step(&format!("promql: {}", deep("(", ")"))), "bad-promql"),
        ("a long query", step(&format!("promql: {}1", "1+".repeat(100_000))), "bad-promql"),
        (
            "a deep path",
            step(&keyed("http: GET http://h/", "json", &format!("$[?{}]", deep("(", ")")))),
            "bad-jsonpath",
        ),
        ("a deep pattern", step(&keyed("log: a", "matches", &deep("(", ")"))), "bad-regex"),
        ("a large pattern", step("log: a\n        expect: { matches: { '((a{1000}){1000}){1000}': 1 } }"), "bad-regex"),
        (
            "a deep condition",
            step(&format!("http: GET http://h/\n        expect: 200\n        when: {}", deep("(", ")"))),
            "bad-expression",
        ),
        (
            "a long condition",
            step(&format!("http: GET http://h/\n        expect: 200\n        when: {}1", "1+".repeat(100_000))),
            "bad-expression",
        ),
        (
            "a deep template",
            step(&format!("http: GET http://h/{{{{ {} }}}}\n        expect: 200", deep("[", "]"))),
            "bad-template",
        ),
        (
            "a deep glob",
            step(&format!("log: '{}'\n        expect: {{ matches: {{ a: 0 }} }}", deep("{a,", "}"))),
            "bad-glob",
        ),
        ("a long comparator", step(&format!("http: GET http://h/\n        expect: '< {half}'")), "expect-kind"),
        ("a long duration", step(&format!("wait: {}", "1h".repeat(1_000_000))), "bad-duration"),
        ("a long key", step(&format!("http: GET http://h/\n        {half}: 1")), "yaml-syntax"),
        ("bytes", "\u{0}\u{1}\u{2}\u{fffd}".repeat(1000), "yaml-syntax"),
        ("nothing", String::new(), "wrong-type"),
    ];
    for (what, text, code) in nasty {
        // The main thread of a program has more room on its stack than a test has: none of these may need it.
        let begun = Instant::now();
        let checked = check("nasty.yaml", &text);
        let spent = begun.elapsed();
        assert!(checked.codes().contains(&code), "{what}: {:?}", checked.said().iter().take(5).collect::<Vec<_>>());
        let shown = checked.text();
        assert!(shown.len() < 1 << 20, "{what}: {} bytes are said", shown.len());
        eprintln!("{what}: {spent:?}, shown in {:?}", begun.elapsed() - spent);
        assert!(begun.elapsed() < PATIENCE, "{what} takes {:?}", begun.elapsed());
    }
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let env = TestEnv::new();
    let file = std::fs::File::create(env.path("large.yaml")).expect("a file");
    file.set_len(1 << 40).expect("a large file");
    let ran = env.run(&["check", "large.yaml"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("file-too-large"), "{}", ran.stderr);
}
