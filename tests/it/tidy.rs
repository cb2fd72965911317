//! Keeps the house in order: who may import whom, and that everything is registered, documented and tested.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What each module may import, as the table in `src/lib.rs` says.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("stats", &[]),
    ("diag", &["model"]),
    ("event", &["model"]),
    ("yaml", &["model", "diag"]),
    ("shape", &["model", "diag", "yaml"]),
    ("template", &["model", "diag"]),
    ("judge", &["model", "stats", "template"]),
    ("sys", &["model"]),
    ("checklist", &["model", "diag", "yaml", "shape", "template"]),
    ("promql", &["model", "diag"]),
    ("policy", &["model", "diag", "yaml", "shape", "sys"]),
    ("source", &["model", "diag", "yaml", "shape", "template", "sys", "checklist", "promql"]),
    ("probe", &["model", "stats", "diag", "yaml", "shape", "template", "sys", "checklist", "promql", "source"]),
    ("plan", &["model", "diag", "yaml", "shape", "template", "judge", "checklist", "promql", "source", "probe"]),
    ("run", &["model", "diag", "event", "judge", "sys", "template", "checklist", "probe", "plan"]),
    ("record", &["model", "diag", "event", "sys", "judge"]),
    ("signoff", &["model", "diag", "event", "yaml", "shape", "judge", "sys", "record"]),
    ("proof", &["model", "event", "judge", "record", "template"]),
    ("attestation", &["model", "event", "record", "signoff"]),
    ("report", &["model", "stats", "event", "record", "signoff", "template", "judge"]),
    ("live", &["model", "event", "sys", "record", "report"]),
    (
        "notify",
        &["model", "diag", "event", "yaml", "shape", "template", "sys", "checklist", "record", "signoff", "report"],
    ),
    ("demo", &["sys"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

fn module_of(file: &Path) -> String {
    let relative = file.strip_prefix(root().join("src")).expect("a source").to_owned();
    let first = relative.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn modules_import_only_what_their_layer_may() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut problems = Vec::new();
    for file in rust_files(&root().join("src")) {
        let module = module_of(&file);
        if matches!(module.as_str(), "main" | "lib" | "cli") {
            continue;
        }
        let may = allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no row in the table"));
        let text = std::fs::read_to_string(&file).expect("a source");
        // What tests import is their own affair.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (n, line) in code.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for part in line.split("crate::").skip(1) {
                let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !name.is_empty() && name != module && !may.contains(&name.as_str()) {
                    problems.push(format!("{}:{}: {module} may not import {name}", file.display(), n + 1));
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn outside_libraries_are_known_in_one_place_each() {
    let homes: &[(&str, &[&str])] = &[
        ("granit_parser", &["yaml.rs"]),
        ("quick_junit", &["report/"]),
        ("rusqlite", &["record/store/"]),
        ("clap", &["cli/"]),
        ("lettre", &["sys/mail.rs"]),
        ("reqwest", &["sys/http"]),
        ("kube", &["sys/kubernetes/"]),
        ("promql_parser", &["promql/"]),
        ("libm", &["stats/"]),
        ("minijinja", &["template/", "report/"]),
        ("annotate_snippets", &["diag/"]),
        ("comfy_table", &["report/", "cli/"]),
        ("ssh_key", &["signoff/sign/"]),
        ("hickory_resolver", &["sys/dns.rs"]),
        ("rsa", &["signoff/sign/"]),
        ("rpassword", &["cli/"]),
    ];
    let mut problems = Vec::new();
    for file in rust_files(&root().join("src")) {
        let text = std::fs::read_to_string(&file).expect("a source");
        let place = file.strip_prefix(root().join("src")).expect("a source").to_string_lossy().into_owned();
        for (library, places) in homes {
            let used = text.lines().any(|l| !l.trim_start().starts_with("//") && l.contains(&format!("{library}::")));
            if used && !places.iter().any(|p| place.starts_with(p)) {
                problems.push(format!("{place} knows {library}, whose home is {}", places.join(", ")));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn the_world_is_touched_through_its_door() {
    // What the policy does not see: a command that is none of the checklist's, and the door itself.
    let may = ["sys/", "demo/", "cli/", "signoff/", "record/", "live/"];
    let doors = ["process::run(", "process::stream(", "lookup_host(", "TcpStream::connect(", "UdpSocket::"];
    let mut problems = Vec::new();
    for file in rust_files(&root().join("src")) {
        let place = file.strip_prefix(root().join("src")).expect("a source").to_string_lossy().into_owned();
        if may.iter().any(|folder| place.starts_with(folder)) {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("a source");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let used = doors.iter().filter(|door| code.contains(*door) && place != "probe/git/program.rs");
        problems.extend(used.map(|door| format!("{place} goes by {door} past the policy; use the world's own")));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_file_says_why_it_exists() {
    let bare: Vec<_> = rust_files(&root().join("src"))
        .into_iter()
        .filter(|file| !std::fs::read_to_string(file).expect("a source").starts_with("//!"))
        .collect();
    assert!(bare.is_empty(), "no `//!` at the top: {bare:?}");
}

#[test]
fn every_diagnostic_code_is_documented_and_used() {
    let sources: String = rust_files(&root().join("src"))
        .into_iter()
        .filter(|file| !file.ends_with("diag/codes.rs"))
        .map(|file| std::fs::read_to_string(file).expect("a source"))
        .collect();
    for code in holdpoint::diag::codes::CODES {
        assert!(sources.contains(&format!("\"{}\"", code.code)), "no message carries {:?}", code.code);
    }
}

#[test]
fn every_probe_has_a_manual_page_and_a_case() {
    let texts = cases();
    for kind in holdpoint::probe::KINDS {
        assert!(kind.manual.len() > 200, "the manual of {} is thin", kind.name);
        assert!(!kind.measures.is_empty() && kind.measures.iter().all(|m| m.doc.len() > 8), "{}", kind.name);
        assert!(texts.contains(&format!("{}:", kind.name)), "no case uses {}", kind.name);
    }
}

/// The checklists of all cases as one text.
fn cases() -> String {
    let entries = std::fs::read_dir(root().join("tests/cases")).expect("cases");
    let paths = entries.map(|entry| entry.expect("an entry").path().join("checklist.yaml"));
    paths.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

#[test]
fn every_key_and_every_matcher_stands_in_a_case() {
    use holdpoint::checklist::form::{SECTION, STEP};
    let texts = cases();
    let used = |name: &str| texts.contains(&format!("{name}:"));
    let keys = STEP.fields.iter().chain(SECTION.fields).map(|field| field.key);
    let unused: Vec<_> = keys.chain(holdpoint::plan::expect::WORDS.iter().copied()).filter(|key| !used(key)).collect();
    assert!(unused.is_empty(), "no case uses {unused:?}");
    let words = ["exists", "absent", "empty", "all", "none", "any", "between", "within", "±", "xx", "that:", "not:"];
    let unused: Vec<_> = words.into_iter().filter(|word| !texts.contains(word)).collect();
    assert!(unused.is_empty(), "no case uses {unused:?}");
}

#[test]
fn every_measure_stands_in_a_case() {
    let texts = cases();
    let mut unused = Vec::new();
    for kind in holdpoint::probe::KINDS {
        // The server of the cases speaks no TLS, and a person's answer comes after the run.
        let measures = kind.measures.iter().filter(|m| !m.name.contains("tls.") && !m.name.ends_with(".tls"));
        let last = |name: &'static str| name.rsplit('.').next().unwrap_or(name);
        let used = |name: &str| texts.contains(&format!("{name}:"));
        let missing = measures.filter(|m| kind.name != "manual" && !used(m.name) && !used(last(m.name)));
        unused.extend(missing.map(|m| format!("{}: {}", kind.name, m.name)));
    }
    assert!(unused.is_empty(), "no case uses {unused:?}");
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let sections =
        manifest.split("\n[").filter(|s| s.starts_with("dependencies]") || s.starts_with("dev-dependencies]"));
    for line in sections.flat_map(str::lines).filter(|l| l.contains(" = ")) {
        assert!(line.contains(" # "), "no word on what this is for: {line}");
    }
}

#[test]
fn no_file_is_left_in_a_state_of_promise() {
    for file in rust_files(&root().join("src")) {
        let text = std::fs::read_to_string(&file).expect("a source");
        for word in ["todo!(", "unimplemented!(", "FIXME", "// XXX"] {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
    }
}
