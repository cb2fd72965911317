//! Step templates: what comes of a `uses`, from the checklist, from files beside it and from the library; what is
//! refused; and that no value is ever more than a value.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdpoint::checklist::uses::{Files, library};
use holdpoint::checklist::{self, inputs};
use holdpoint::diag::{Diagnostics, SourceMap, Span, render};
use holdpoint::plan::{self, Plan, Selection};
use holdpoint::yaml::{Data, Node};
use proptest::prelude::*;
use serde_json::json;

use crate::support::env::TestEnv;

/// Files that are at hand.
struct Folder(HashMap<String, String>);

impl Files for Folder {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or_else(|| format!("there is no {path}"))
    }
}

/// What came of a checklist.
struct Made {
    plan: Option<Plan>,
    digest: Option<String>,
    steps: Vec<Node>,
    said: String,
}

fn make(text: &str, files: &[(&str, &str)]) -> Made {
    let folder = Folder(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect());
    let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let file = sources.add("list.yaml", text);
    let checklist = checklist::read_beside(&mut sources, file, &folder, &mut diagnostics);
    let sources = Arc::new(sources);
    let (mut made, mut steps, mut digest) = (None, Vec::new(), None);
    if let Some(checklist) = checklist {
        steps = checklist.sections.iter().flat_map(|section| section.steps.clone()).collect();
        digest = Some(checklist.digest.clone());
        let given = inputs::Given::default();
        let filled = inputs::fill(&checklist.inputs, &given, |_| None, true, Span::new(file, 0, 0), &mut diagnostics);
        made = plan::build(checklist, filled, &Selection::default(), Arc::clone(&sources), &mut diagnostics);
    }
    diagnostics.sort();
    Made { plan: made, digest, steps, said: render::render(&diagnostics, &sources, false) }
}

impl Made {
    fn plan(&self) -> &Plan {
        self.plan.as_ref().unwrap_or_else(|| panic!("{}", self.said))
    }

    /// Lists `id: what it does` of every step.
    fn does(&self) -> Vec<String> {
        self.plan().steps.iter().map(|step| format!("{}: {}", step.outline.id, step.probe.describe())).collect()
    }
}

fn list(steps: &str) -> String {
    format!("holdpoint: 1\nname: Example\nsections:\n  - name: S\n    steps:\n{steps}")
}

const UP: &str = "holdpoint: 1
templates:
  up:
    params: { host: {}, path: { default: health } }
    name: \"{{ params.host }} is up\"
    http: GET http://{{ params.host }}/{{ params.path }}
    expect: 200
";

#[test]
fn a_template_is_used_from_the_checklist_from_a_file_and_from_the_library() {
    let own = "templates: { down: { params: { port: { type: int } }, name: Closed, tcp: { address: 'h:{{ params.port }}', closed: true } } }\n";
    let text = list(
        "      - { uses: down, with: { port: 81 } }\n      - { uses: service/health, with: { url: 'http://h/' } }\n",
    );
    assert_eq!(
        make(&format!("{own}{text}"), &[]).does(),
        ["closed: nothing listens on h:81", "the-service-is-healthy: GET http://h/"]
    );
    let file = format!(
        "templates: [./shared/up.yaml]\n{}",
        list("      - { uses: up, with: { host: h } }\n      - { uses: up, with: { host: i, path: a b } }\n")
    );
    let made = make(&file, &[("shared/up.yaml", UP)]);
    assert_eq!(made.does(), ["h-is-up: GET http://h/health", "i-is-up: GET http://i/a%20b"]);
}

#[test]
fn files_name_further_files_relative_to_themselves_and_are_read_once() {
    let text = format!("templates: [a/one.yaml, a/b/two.yaml]\n{}", list("      - { uses: up, with: { host: h } }\n"));
    let one = "holdpoint: 1\ntemplates: [b/two.yaml]\n";
    assert_eq!(make(&text, &[("a/one.yaml", one), ("a/b/two.yaml", UP)]).does().len(), 1);
}

#[test]
fn every_key_beside_uses_takes_the_place_of_the_templates_own() {
    let text = format!(
        "inputs: {{ go: {{ type: bool, default: true }} }}\ntemplates: [up.yaml]\n{}",
        list(
            "      - { uses: up, name: Mine, id: own, with: { host: h }, expect: 204, when: inputs.go, required: false, why: So }\n"
        )
    );
    let made = make(&text, &[("up.yaml", UP)]);
    let step = &made.plan().steps[0];
    assert_eq!((step.outline.id.as_str(), step.outline.name.as_str()), ("own", "Mine"));
    assert_eq!(step.when.as_ref().map(|when| when.source()), Some("inputs.go"));
    assert!(format!("{:?}", step.outline.expect).contains("204"), "{:?}", step.outline.expect);
    assert_eq!(
        (step.outline.guidance.why.as_deref(), step.outline.weight),
        (Some("So"), holdpoint::model::outline::Weight::Optional)
    );
}

#[test]
fn a_step_points_at_its_use_and_names_the_line_of_its_template() {
    let text = format!("templates: [up.yaml]\n{}", list("      - { uses: up, with: { host: h } }\n"));
    let made = make(&text, &[("up.yaml", UP)]);
    let outline = &made.plan().steps[0].outline;
    assert_eq!(outline.origin.to_string(), "list.yaml:7");
    let used = outline.template.as_ref().expect("a template");
    assert_eq!((used.name.as_str(), used.origin.to_string().as_str()), ("up", "up.yaml:6"));
}

#[test]
fn a_mistake_in_a_template_is_said_at_its_use_with_the_line_of_the_template() {
    let text = format!(
        "templates: [up.yaml]\n{}",
        list("      - { uses: up, with: { host: h } }\n      - { uses: up, with: { host: i } }\n")
    );
    let made = make(&text, &[("up.yaml", &UP.replace("expect: 200", "expect: { latncy: '< 1s' }"))]);
    assert!(made.said.contains("--> list.yaml:7:11") && made.said.contains("up.yaml:7"), "{}", made.said);
    assert_eq!(made.said.matches("error[").count(), 1, "what is wrong with the template is said once: {}", made.said);
}

#[test]
fn several_steps_have_ids_and_captured_values_of_their_own_in_each_use() {
    let pair = "templates:
  pair:
    params: { host: {} }
    steps:
      - { id: ask, name: Ask, exec: [ask, '{{ params.host }}'], capture: { told: stdout }, expect: 0 }
      - { id: use, name: Use, needs: ask, exec: [use, '{{ captured.told }}'], baseline: { step: ask }, expect: { duration: '<= 2x baseline' }, when: captured.told != '' }
";
    let text = format!(
        "{pair}{}",
        list(
            "      - { uses: pair, id: a, with: { host: h } }\n      - { uses: pair, name: In B, with: { host: i }, when: 1 < 2 }\n"
        )
    );
    let made = make(&text, &[]);
    let plan = made.plan();
    let ids: Vec<_> = plan.steps.iter().map(|step| step.outline.id.as_str()).collect();
    assert_eq!(ids, ["a-ask", "a-use", "in-b-ask", "in-b-use"]);
    assert_eq!(plan.steps[3].outline.name, "In B: Use");
    assert_eq!(plan.steps[3].uses, [("in_b_told".to_owned(), 2)]);
    assert_eq!(plan.steps[1].needs[0].steps, 0..1);
    assert_eq!(plan.steps[3].when.as_ref().map(|when| when.source()), Some("(1 < 2) and (captured.in_b_told != '')"));
}

#[test]
fn a_template_may_use_another() {
    let text = format!(
        "templates: {{ mine: {{ params: {{ host: {{}} }}, uses: up, with: {{ host: 'x-{{{{ params.host }}}}' }}, why: Mine }} }}\n{}",
        list("      - { uses: mine, with: { host: h } }\n")
    );
    let text = text.replace("templates: {", "templates:\n  - up.yaml\n  - {");
    let made = make(&text, &[("up.yaml", UP)]);
    assert_eq!(made.does(), ["x-h-is-up: GET http://x-h/health"]);
    assert_eq!(made.plan().steps[0].outline.guidance.why.as_deref(), Some("Mine"));
    assert_eq!(made.plan().steps[0].outline.template.as_ref().map(|used| used.name.as_str()), Some("mine"));
}

#[test]
fn the_digest_covers_the_files_of_templates_and_the_library() {
    let text = format!("templates: [up.yaml]\n{}", list("      - { uses: up, with: { host: h } }\n"));
    let digest = |file: &str| make(&text, &[("up.yaml", file)]).digest.expect("a digest");
    assert_eq!(digest(UP), digest(UP));
    assert_ne!(digest(UP), digest(&UP.replace("200", "204")));
    let alone = list("      - { name: Up, tcp: 'h:80' }\n");
    assert_eq!(
        make(&alone, &[]).digest,
        Some(checklist::digest(alone.as_bytes())),
        "a checklist of one file keeps its own"
    );
    let of_library = list("      - { uses: service/health, with: { url: 'http://h/' } }\n");
    let made = make(&of_library, &[]);
    let parts = &made.plan().head.parts;
    assert_eq!(parts.iter().map(|part| part.path.as_str()).collect::<Vec<_>>(), ["list.yaml", "library/service.yaml"]);
    assert_eq!(parts[0].digest, checklist::digest(of_library.as_bytes()));
    let lines: String = parts.iter().map(|part| format!("{}  {}\n", part.digest, part.path)).collect();
    assert_eq!(made.digest, Some(checklist::digest(lines.as_bytes())));
}

#[test]
fn what_leads_out_of_the_folder_or_goes_in_circles_is_refused_quickly() {
    let begun = Instant::now();
    let env = TestEnv::new();
    env.write("out/steps.yaml", UP);
    std::fs::create_dir_all(env.path("in")).expect("a folder");
    std::os::unix::fs::symlink(env.path("out/steps.yaml"), env.path("in/link.yaml")).expect("a link");
    assert!(std::process::Command::new("mkfifo").arg(env.path("in/pipe.yaml")).status().expect("mkfifo").success());
    env.write("in/a.yaml", "holdpoint: 1\ntemplates: [b.yaml]\n");
    env.write("in/b.yaml", "holdpoint: 1\ntemplates: [./a.yaml]\n");
    for n in 0..100 {
        env.write(&format!("in/deep/{n}.yaml"), &format!("holdpoint: 1\ntemplates: [{}.yaml]\n", n + 1));
    }
    let huge = std::fs::File::create(env.path("in/huge.yaml")).expect("a file");
    huge.set_len(1 << 40).expect("a large file");
    env.write("in/bomb.yaml", &format!("holdpoint: 1\ntemplates: {}\n", "[".repeat(100_000)));
    env.write("in/list.txt", UP);
    for (path, says) in [
        ("../out/steps.yaml", "leaves the folder of the checklist"),
        ("link.yaml", "a link leads out of the folder"),
        ("pipe.yaml", "it is none"),
        ("a.yaml", "in a circle: a.yaml → b.yaml → a.yaml"),
        ("deep/0.yaml", "more than 16 deep"),
        ("huge.yaml", "bytes"),
        ("bomb.yaml", "nested"),
        ("absent.yaml", "there is no such file"),
        ("list.txt", "is no YAML file"),
    ] {
        env.write("in/list.yaml", &format!("templates: [{path}]\n{}", list("      - { name: Up, tcp: 'h:80' }\n")));
        let ran = env.run(&["check", "in/list.yaml"]);
        assert!(ran.status == 2 && ran.stderr.contains(says), "{path}: {}", ran.stderr);
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn templates_that_make_too_much_are_refused_quickly() {
    let begun = Instant::now();
    // Each makes ten of the next: a hundred million steps in all.
    let mut text = String::from("templates:\n");
    for n in 0..8 {
        let steps: String = (0..10).map(|k| format!("{{ id: s{k}, uses: t{} }}, ", n + 1)).collect();
        let _ = writeln!(text, "  t{n}: {{ steps: [{steps}] }}");
    }
    text.push_str("  t8: { name: Up, tcp: 'h:80' }\n");
    let made = make(&format!("{text}{}", list("      - { uses: t0 }\n")), &[]);
    assert!(made.plan.is_none() && made.said.contains("more than 2000 times"), "{}", made.said);
    let mut deep = String::from("templates:\n");
    for n in 0..100 {
        let _ = writeln!(deep, "  t{n}: {{ uses: t{} }}", n + 1);
    }
    deep.push_str("  t100: { name: Up, tcp: 'h:80' }\n");
    let made = make(&format!("{deep}{}", list("      - { uses: t0 }\n")), &[]);
    assert!(made.plan.is_none() && made.said.contains("more than 16 deep"), "{}", made.said);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

const EVERYWHERE: &str = "templates:
  t:
    params: { x: {} }
    name: 'About {{ params.x }}'
    http:
      url: http://h/{{ params.x }}/y?z={{ params.x }}
      query: { q: '{{ params.x }}' }
      headers: { x-a: '{{ params.x }}' }
      json: { a: '{{ params.x }}', b: ['{{ params.x }}'] }
    expect:
      json: { $.a: { equals: '{{ params.x }}' }, '$[?@.n == \"{{ params.x }}\"].v': exists }
      headers: { x-b: { contains: '{{ params.x }}' } }
      that: \"body != params.x\"
    when: \"params.x != 'never'\"
    capture: { c: \"json.v ~ params.x\" }
    why: 'Because {{ params.x }}'
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is passed, the same keys, lists and probes come of it; and where the value stands it is the value.
    #[test]
    fn no_value_changes_what_a_template_is(value in "(\\PC|[\"'\\\\{}%#$`|&;<>:, \\-\\[\\]]){1,24}") {
        prop_assume!(!["{{", "{%", "{#", "\u{e000}", "\u{e001}"].iter().any(|sign| value.contains(sign)));
        let of = |value: &str| {
            let with = json!(value);
            make(&format!("{EVERYWHERE}{}", list(&format!("      - {{ id: s, uses: t, with: {{ x: {with} }} }}\n"))), &[])
        };
        let (plain, made) = (of("x"), of(&value));
        prop_assert_eq!(outline(&plain.steps), outline(&made.steps), "{}", made.said);
        let (plain, plan) = (plain.plan(), made.plan());
        prop_assert_eq!(plan.steps.len(), 1);
        let (a, b) = (&plain.steps[0], &plan.steps[0]);
        prop_assert_eq!(&b.outline.name, &format!("About {value}"));
        prop_assert_eq!(b.outline.guidance.why.clone(), Some(format!("Because {value}")));
        prop_assert_eq!(shape(&format!("{:?}", a.outline.expect)), shape(&format!("{:?}", b.outline.expect)));
        let url = b.probe.describe();
        let path = url.strip_prefix("POST http://h/").expect("the host stays");
        prop_assert_eq!(path.matches('/').count(), 1, "{}", url);
    }
}

/// The tree without its texts: which of them are templates is kept.
fn outline(steps: &[Node]) -> String {
    fn write(node: &Node, out: &mut String) {
        match &node.data {
            Data::Scalar { text, .. } => out.push_str(if text.contains("{{") { "t" } else { "s" }),
            Data::List(items) => {
                out.push('[');
                items.iter().for_each(|item| write(item, out));
                out.push(']');
            }
            Data::Map(entries) => {
                out.push('{');
                for (key, value) in entries {
                    let key = key.text().unwrap_or_default();
                    out.push_str(if key.contains("{{") { "(a template)" } else { key });
                    out.push(':');
                    write(value, out);
                }
                out.push('}');
            }
        }
    }
    let mut out = String::new();
    steps.iter().for_each(|step| write(step, &mut out));
    out
}

/// A debug text without what stands in quotes.
fn shape(text: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted => out.push(c),
            _ => {}
        }
    }
    out
}

#[test]
fn every_template_of_the_library_says_what_it_is_and_its_example_is_right() {
    let all = library::all();
    assert!(all.len() >= 16, "{}", all.len());
    for template in &all {
        let name = &template.name;
        assert!(template.help.as_ref().is_some_and(|help| help.len() > 40), "{name} has no help");
        assert!(template.params.iter().all(|param| param.help.is_some()), "{name}: a parameter has no help");
        let example = template.example.as_deref().unwrap_or_else(|| panic!("{name} has no example"));
        assert!(example.contains(&format!("uses: {name}\n")), "{name}: {example}");
        let steps: String = example.lines().map(|line| format!("      {line}\n")).collect();
        let mut inputs = String::from("inputs:\n  unused: { optional: true }\n");
        for used in ["base_url", "version", "commit", "github_token", "sentry_token", "dd_api_key", "dd_app_key"] {
            if example.contains(&format!("inputs.{used}")) {
                let value = match used {
                    "base_url" => "http://h".to_owned(),
                    "commit" => "0a".repeat(20),
                    _ => "1.4.2".to_owned(),
                };
                let _ = writeln!(inputs, "  {used}: {{ default: '{value}' }}");
            }
        }
        let inputs = if inputs.lines().count() > 2 {
            inputs.replace("  unused: { optional: true }\n", "")
        } else {
            String::new()
        };
        let sources =
            if steps.contains("prometheus/") { "sources: { prometheus: { url: 'http://h:9090' } }\n" } else { "" };
        let made = make(&format!("{inputs}{sources}{}", list(&steps)), &[]);
        assert!(made.plan.is_some() && made.said.is_empty(), "{name}:\n{}", made.said);
    }
}

#[test]
fn explain_lists_the_library_and_shows_one_template() {
    let env = TestEnv::new();
    let list = env.run(&["explain"]).stdout;
    for template in library::all() {
        assert!(list.contains(&template.name), "{} is not listed", template.name);
        let page = env.run(&["explain", &template.name]);
        assert!(page.status == 0 && page.stdout.contains("## Parameters"), "{}", template.name);
    }
    insta::assert_snapshot!("explain_template", env.run(&["explain", "github/workflow-run"]).stdout);
    let near = env.run(&["explain", "github/workflow-runs"]);
    assert!(near.status == 2 && near.stderr.contains("github/workflow-run"), "{near:?}");
}

#[test]
fn plan_shows_the_steps_that_a_use_stands_for() {
    let env = TestEnv::new();
    env.write("steps.yaml", UP);
    env.write("list.yaml", &format!("templates: [steps.yaml]\n{}", list("      - { uses: up, with: { host: h } }\n")));
    let plan = env.run(&["plan", "list.yaml"]);
    assert!(plan.stdout.contains("GET http://h/health"), "{plan:?}");
    assert!(plan.stdout.contains("the template up, steps.yaml:6, used at list.yaml:7"), "{plan:?}");
    assert!(env.run(&["check", "list.yaml"]).stderr.contains("1 step in 1 section"));
}

#[test]
fn a_run_goes_on_only_with_the_same_templates() {
    let env = TestEnv::new();
    env.write(
        "steps.yaml",
        "holdpoint: 1\ntemplates: { look: { params: { n: {} }, name: 'Look {{ params.n }}', manual: Look. } }\n",
    );
    let text = format!("templates: [steps.yaml]\n{}", list("      - { uses: look, with: { n: 1 } }\n"));
    env.write("list.yaml", &text);
    assert_eq!(env.run(&["run", "list.yaml"]).status, 4);
    env.write("steps.yaml", "holdpoint: 1\ntemplates: { look: { params: { n: {} }, name: 'Look {{ params.n }}', manual: Look closely. } }\n");
    let resumed = env.run(&["resume", "last"]);
    assert_ne!(resumed.status, 4, "{resumed:?}");
    assert!(resumed.stderr.contains("list.yaml has changed since the run began"), "{resumed:?}");
}
