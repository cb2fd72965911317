//! `prove`: shows that the gate can go red, by judging a recorded run again on measures that were changed for the worse.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use crate::model::Mutation;
use crate::model::StepId;
use crate::model::outline::StepOutline;
use crate::proof::{Proof, Standing, StepProof, Tried, prove};
use crate::record::RunRecord;
use crate::report::plain;
use crate::sys::env::Env;

use super::args::{InputArgs, ProveArgs, SelectArgs, Show};
use super::load::{Ask, load};
use super::past::find_record;
use super::{Result, USAGE, stdio};

/// The exit status when a step is blind.
const BLIND: u8 = 1;
/// The exit status when nothing was proved.
const NOTHING: u8 = 3;

pub(super) fn main(args: &ProveArgs) -> Result<u8> {
    let (record, _) = find_record(&args.run, &args.store.store)?;
    let proof = match &args.file {
        None => prove(&record, None),
        Some(file) => {
            let Some(outlines) = outlines(file, &record, &args.inputs)? else { return Ok(USAGE) };
            prove(&record, Some(&|id: &StepId| outlines.get(id).cloned()))
        }
    };
    match args.format {
        Show::Json => stdio::print(&format!("{}\n", serde_json::to_string_pretty(&as_json(&record, &proof))?)),
        Show::Text => stdio::print(&as_text(&record, &proof)),
    }
    Ok(match (proof.count(Standing::Blind), proof.count(Standing::Proved)) {
        (0, 0) => NOTHING,
        (0, _) => 0,
        (_, _) => BLIND,
    })
}

/// Reads the steps as the checklist has them now, with the inputs of the run. Nothing when it has mistakes.
fn outlines(file: &Path, record: &RunRecord, given: &InputArgs) -> Result<Option<HashMap<StepId, StepOutline>>> {
    let (select, env, recorded) = (SelectArgs::default(), Env::of_process(), record.header.inputs.as_slice());
    let loaded = load(file, &Ask { inputs: given, select: &select, env: &env, complete: false, recorded })?;
    stdio::tell(&loaded.complaints());
    Ok(loaded.plan.map(|plan| plan.steps.into_iter().map(|step| (step.outline.id.clone(), step.outline)).collect()))
}

fn as_json(record: &RunRecord, proof: &Proof) -> Value {
    let count = |standing| proof.count(standing);
    json!({
        "run": record.run,
        "checklist": record.header.checklist.name,
        "proved": count(Standing::Proved),
        "blind": count(Standing::Blind),
        "unproved": count(Standing::Unproved),
        "steps": proof.steps,
    })
}

fn as_text(record: &RunRecord, proof: &Proof) -> String {
    let mut text = format!("Proof of run {} of {}\n\n", record.run, plain::line(&record.header.checklist.name));
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(stdio::width()).unwrap_or(100));
    table.set_header(["", "step", "noticed", "stays green on"]);
    for step in &proof.steps {
        let noticed = step.tried.iter().filter(|tried| tried.noticed).count();
        let (word, counted) = match step.standing {
            Standing::Proved => ("proved", format!("{noticed} of {}", step.tried.len())),
            Standing::Blind => ("BLIND", format!("{noticed} of {}", step.tried.len())),
            Standing::Unproved => ("unproved", "-".to_owned()),
        };
        table.add_row([word, &plain::line(&step.name), &counted, &remarks(step)]);
    }
    text.push_str(&format!("{table}\n\n"));
    text.push_str(&last_line(proof));
    text
}

/// Says what a step does not notice, by mutation; or why nothing was proved.
fn remarks(step: &StepProof) -> String {
    let mut lines = Vec::new();
    let mut by_mutation: BTreeMap<(bool, Mutation), Vec<&Tried>> = BTreeMap::new();
    for tried in step.tried.iter().filter(|tried| !tried.noticed) {
        by_mutation.entry((tried.accepted, tried.mutation)).or_default().push(tried);
    }
    for ((accepted, mutation), tried) in by_mutation {
        let first = tried.first().map(|tried| plain::line(&tried.changed).into_owned()).unwrap_or_default();
        let more = if tried.len() > 1 { format!(" and {} more", tried.len() - 1) } else { String::new() };
        let accepted = if accepted { " (accepted)" } else { "" };
        lines.push(format!("{mutation}: {first}{more}{accepted}"));
    }
    lines.extend(step.unused.iter().map(|word| format!("blind_to {word} is not needed: it notices")));
    if !step.why.is_empty() {
        lines.push(plain::line(&step.why).into_owned());
    }
    lines.join("\n")
}

fn last_line(proof: &Proof) -> String {
    let (blind, proved) = (proof.count(Standing::Blind), proof.count(Standing::Proved));
    let unproved = proof.count(Standing::Unproved);
    let left = if unproved == 0 { String::new() } else { format!("; {unproved} could not be proved") };
    match (blind, proved) {
        (0, 0) => "Nothing was proved: no step passed by what it measured\n".to_owned(),
        (0, _) => format!("The gate can go red: {proved} steps notice everything that they must{left}\n"),
        (_, _) => {
            format!("{blind} steps stay green on something that they should not, {proved} notice everything{left}\n")
        }
    }
}
