//! Whole runs as data: each folder in `tests/cases` is a checklist, its world and what must come of it.
//!
//! `world` names what the run stands in, one a line: `service` (the sample service, healthy), `service broken`,
//! `prometheus` (a real one that scrapes the service). `args` holds further arguments, one a line. `expected` holds
//! `exit N` and a line for each step, `id: outcome` or `id: outcome: words of the reason`; every step must be listed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::env::{Ran, TestEnv, steps};
use crate::support::world::World;

#[test]
fn every_case_comes_out_as_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<_> = std::fs::read_dir(&root).expect("cases").map(|e| e.expect("an entry").path()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    // Cases that share a kind of world share the world.
    let mut by_world: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for folder in folders {
        let world = std::fs::read_to_string(folder.join("world")).unwrap_or_default();
        by_world.entry(world.trim().to_owned()).or_default().push(folder);
    }
    let mut problems = Vec::new();
    for (kind, folders) in by_world {
        let world = World::start(&kind);
        std::thread::scope(|scope| {
            for chunk in folders.chunks(6) {
                let world = &world;
                let threads: Vec<_> = chunk.iter().map(|folder| scope.spawn(move || case(folder, world))).collect();
                problems.extend(threads.into_iter().flat_map(|t| t.join().expect("no panic")));
            }
        });
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

fn case(folder: &Path, world: &World) -> Vec<String> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    let env = TestEnv::new();
    env.copy_from(folder);
    let checklist = read("checklist.yaml");
    let mut args: Vec<String> =
        vec!["run".into(), "checklist.yaml".into(), "--report".into(), "json=report.json".into()];
    args.extend(world.inputs_for(&checklist));
    args.extend(read("args").lines().filter(|l| !l.is_empty()).map(str::to_owned));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = env.run(&args);
    let found = if env.path("report.json").exists() { steps(&env.json("report.json")) } else { Vec::new() };
    if std::env::var_os("HOLDPOINT_BLESS").is_some() {
        std::fs::write(folder.join("expected"), blessed(ran.status, &found)).expect("written");
        return Vec::new();
    }
    compare(&name, &read("expected"), &ran, found)
}

/// What came of a case, to be read over and kept: `HOLDPOINT_BLESS=1 cargo test cases`.
fn blessed(status: i32, found: &[(String, String, String)]) -> String {
    let line = |(id, outcome, reason): &(String, String, String)| match reason.is_empty() {
        true => format!("{id}: {outcome}\n"),
        false => format!("{id}: {outcome}: {}\n", reason.lines().next().unwrap_or_default()),
    };
    std::iter::once(format!("exit {status}\n")).chain(found.iter().map(line)).collect()
}

fn compare(name: &str, expected: &str, ran: &Ran, found: Vec<(String, String, String)>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut lines = expected.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let exit = format!("exit {}", ran.status);
    if lines.next() != Some(exit.as_str()) {
        problems.push(format!("{name}: {exit}, expected {:?}\n{}", expected.lines().next(), ran.stderr));
    }
    let mut found: BTreeMap<_, _> = found.into_iter().map(|(id, outcome, reason)| (id, (outcome, reason))).collect();
    for line in lines {
        let mut parts = line.splitn(3, ": ");
        let (id, outcome, words) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
        match found.remove(id) {
            None => problems.push(format!("{name}: no step {id:?}")),
            Some((o, r)) if o != outcome || !r.contains(words.unwrap_or_default()) => {
                problems.push(format!("{name}: {id}: {o}: {r}\n    expected {outcome}: {}", words.unwrap_or_default()));
            }
            Some(_) => {}
        }
    }
    problems
        .extend(found.into_iter().map(|(id, (o, r))| format!("{name}: {id}: {o}: {r}\n    is not expected at all")));
    problems
}
