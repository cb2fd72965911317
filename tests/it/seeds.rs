//! The table of the processes that the ready checklists stand for, in checklists/README.md: every step that it names is
//! there and is what it says, every step of the checklists is in it, and its numbers are right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use holdpoint::diag::{Diagnostics, SourceMap};
use holdpoint::model::id::kebab;
use holdpoint::yaml::{self, Node};
use regex::Regex;

/// The words of the column *how*, in the order of the columns of the table of numbers.
const HOW: &[&str] = &["automated", "automated, else people", "people", "outside"];

/// A row of the table.
#[derive(Debug)]
struct Row {
    process: String,
    what: String,
    steps: Vec<String>,
    how: String,
    why: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("checklists")
}

fn readme() -> String {
    std::fs::read_to_string(folder().join("README.md")).expect("a README")
}

/// Returns what stands between two marks.
fn between<'a>(text: &'a str, mark: &str) -> &'a str {
    let (start, end) = (format!("<!-- {mark} -->"), format!("<!-- /{mark} -->"));
    let from = text.find(&start).unwrap_or_else(|| panic!("no {start}")) + start.len();
    let to = text[from..].find(&end).unwrap_or_else(|| panic!("no {end}")) + from;
    &text[from..to]
}

/// Returns the cells of the lines of tables, those below their heads.
fn cells(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<_> = text.lines().collect();
    let is_head = |n: usize| lines.get(n + 1).is_some_and(|next| next.starts_with("| ---"));
    let rows = lines
        .iter()
        .enumerate()
        .filter(|(n, line)| line.starts_with("| ") && !line.starts_with("| ---") && !is_head(*n));
    rows.map(|(_, line)| {
        let inner = line.trim_start_matches('|').trim_end().trim_end_matches('|');
        inner.split('|').map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}

/// Returns the names in backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn rows() -> Vec<Row> {
    let text = readme();
    let parts = between(&text, "processes").split("\n### ").skip(1);
    let of = |part: &str| {
        let process = part.lines().next().unwrap_or_default().trim().to_owned();
        cells(part)
            .into_iter()
            .map(move |cells| {
                let [what, steps, how, why] = cells.as_slice() else { panic!("{process}: {cells:?}") };
                let steps = quoted(steps);
                Row { process: process.clone(), what: what.clone(), steps, how: how.clone(), why: why.clone() }
            })
            .collect::<Vec<_>>()
    };
    parts.flat_map(of).collect()
}

/// Returns the steps of every checklist as `file#id`, and whether a person answers them.
fn steps() -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
        for (id, manual) in steps_of(&std::fs::read_to_string(&path).expect("a checklist")) {
            assert!(all.insert(format!("{file}#{id}"), manual).is_none(), "{file} has two steps {id:?}");
        }
    }
    all
}

/// Walks over guards, the steps of sections, and actions, with what follows them.
fn steps_of(text: &str) -> Vec<(String, bool)> {
    let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let file = sources.add("checklist.yaml", text);
    let root = yaml::parse(&mut sources, file, &mut diagnostics).expect("valid YAML");
    let mut nodes: Vec<&Node> = Vec::new();
    let sections = root.get("sections").and_then(Node::list).expect("sections");
    nodes.extend(sections.iter().filter_map(|section| section.get("steps")?.list()).flatten());
    for key in ["guards", "on_go", "on_no_go", "always"] {
        nodes.extend(root.get(key).and_then(Node::list).unwrap_or_default());
    }
    let then: Vec<_> = nodes.iter().filter_map(|node| node.get("then")?.list()).flatten().collect();
    nodes.extend(then);
    let templates = Regex::new(r"\{\{.*?\}\}").expect("a pattern");
    let id = |node: &Node| {
        let text = |key: &str| node.get(key).and_then(Node::text);
        let name = || kebab(&templates.replace_all(text("name").or(text("uses")).expect("a name"), " "));
        text("id").map_or_else(name, str::to_owned)
    };
    nodes.iter().map(|node| (id(node), node.get("manual").is_some())).collect()
}

/// Returns `file#notify` for every checklist that tells somebody.
fn messages() -> BTreeSet<String> {
    let told = |file: &str| {
        let text = std::fs::read_to_string(folder().join(format!("{file}.yaml"))).expect("a checklist");
        text.contains("\nnotify:\n  - ")
    };
    let files: BTreeSet<_> = steps().into_keys().filter_map(|step| Some(step.split_once('#')?.0.to_owned())).collect();
    files.into_iter().filter(|file| told(file)).map(|file| format!("{file}#notify")).collect()
}

#[test]
fn every_row_names_steps_that_are_there_and_are_what_it_says() {
    let mut steps = steps();
    steps.extend(messages().into_iter().map(|message| (message, false)));
    let mut problems = Vec::new();
    let rows = rows();
    assert!(rows.len() > 300, "the table has only {} rows", rows.len());
    for row in &rows {
        let at = format!("{}: {}", row.process, row.what);
        let kinds: Vec<bool> = row.steps.iter().filter_map(|step| steps.get(step).copied()).collect();
        problems
            .extend(row.steps.iter().filter(|step| !steps.contains_key(*step)).map(|step| format!("{at}: no {step}")));
        let fits = match row.how.as_str() {
            "automated" => !kinds.is_empty() && kinds.iter().all(|manual| !manual),
            "people" => !kinds.is_empty() && kinds.iter().all(|manual| *manual),
            "automated, else people" => kinds.contains(&true) && kinds.contains(&false),
            "outside" => row.steps.is_empty(),
            _ => false,
        };
        if !fits {
            problems.push(format!("{at}: is not {:?}: {:?}", row.how, row.steps));
        }
        if ["people", "outside"].contains(&row.how.as_str()) && row.why.len() < 8 {
            problems.push(format!("{at}: does not say why"));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_step_comes_from_a_process_or_is_said_to_be_of_our_own() {
    let text = readme();
    let named: BTreeSet<String> = rows().into_iter().flat_map(|row| row.steps).collect();
    let own: BTreeSet<String> = cells(between(&text, "own steps")).iter().flat_map(|cells| quoted(&cells[0])).collect();
    let all: BTreeSet<String> = steps().into_keys().filter(|step| !step.starts_with("demo#")).collect();
    let lost: Vec<_> = all.iter().filter(|step| !named.contains(*step) && !own.contains(*step)).collect();
    assert!(lost.is_empty(), "neither in a row nor among our own: {lost:#?}");
    let both: Vec<_> = own.iter().filter(|step| named.contains(*step) || !all.contains(*step)).collect();
    assert!(both.is_empty(), "in a row as well, or nowhere: {both:?}");
}

#[test]
fn the_numbers_of_rows_are_right() {
    let text = readme();
    let rows = rows();
    let mut processes: Vec<&str> = rows.iter().map(|row| row.process.as_str()).collect();
    processes.dedup();
    let count = |process: &str| {
        let of: Vec<_> = rows.iter().filter(|row| process == "all" || row.process == process).collect();
        let by = |how: &str| of.iter().filter(|row| row.how == how).count();
        let mut line = vec![process.to_owned(), of.len().to_string()];
        line.extend(HOW.iter().map(|how| by(how).to_string()));
        line
    };
    let wanted: Vec<_> = processes.into_iter().chain(["all"]).map(count).collect();
    assert_eq!(cells(between(&text, "numbers")), wanted);
}

#[test]
fn the_numbers_of_steps_are_right() {
    let text = readme();
    let steps = steps();
    let listed = cells(between(&text, "files"));
    let files: BTreeSet<_> = steps.keys().filter_map(|step| step.split('#').next()).collect();
    assert_eq!(listed.len(), files.len(), "{files:?}");
    for line in listed {
        let file = quoted(&line[0]).first().expect("a file").trim_end_matches(".yaml").to_owned();
        let of: Vec<bool> =
            steps.iter().filter(|(step, _)| step.starts_with(&format!("{file}#"))).map(|(_, manual)| *manual).collect();
        let people = of.iter().filter(|manual| **manual).count();
        let wanted = [of.len(), of.len() - people, people].map(|n| n.to_string());
        assert_eq!(line[2..5], wanted, "{file}");
    }
}
