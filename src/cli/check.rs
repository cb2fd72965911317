//! `check`: every mistake at once.

use std::path::Path;

use crate::diag::{formats, render};
use crate::model::StepId;
use crate::sys::env::Env;

use super::args::{CheckArgs, DiagnosticFormat, SelectArgs};
use super::load::{Ask, load};
use super::waivers::{self, Checked};
use super::{Result, USAGE, policed, stdio};

pub(super) fn main(args: &CheckArgs) -> Result<u8> {
    let env = Env::of_process();
    let select = SelectArgs::default();
    let ask = Ask { inputs: &args.inputs, select: &select, env: &env, complete: false, recorded: &[] };
    let mut bad = false;
    let mut json = Vec::new();
    let mut steps = Vec::new();
    let policy = policed::check(args.policy.policy.as_deref(), args.format, &mut json);
    bad |= policy.is_none();
    for path in &args.files {
        let mut loaded = load(path, &ask)?;
        if let Some(policy) = &policy {
            policed::judge(policy, &mut loaded);
        }
        bad |= loaded.diagnostics.has_errors();
        steps.extend(loaded.plan.iter().flat_map(|plan| &plan.steps).map(|step| step.outline.id.clone()));
        match args.format {
            DiagnosticFormat::Text => {
                stdio::tell(&loaded.complaints());
                stdio::say(&summary(&path.display().to_string(), &loaded));
            }
            DiagnosticFormat::Json => {
                let list = formats::json_list(&loaded.diagnostics, &loaded.sources).into_iter();
                json.extend(list.map(|mut one| {
                    loaded.redactor.json(&mut one);
                    one
                }));
            }
            DiagnosticFormat::Github => {
                stdio::print(&loaded.redactor.text(&formats::github(&loaded.diagnostics, &loaded.sources)));
            }
        }
    }
    if let Some(path) = &args.waivers {
        bad |= check_waivers(path, args.format, &steps, &mut json);
    }
    if args.format == DiagnosticFormat::Json {
        stdio::print(&format!("{}\n", serde_json::to_string_pretty(&json)?));
    }
    Ok(if bad { USAGE } else { 0 })
}

/// Checks a file of waivers against the steps of the checklists, and returns whether it is bad.
fn check_waivers(path: &Path, format: DiagnosticFormat, steps: &[StepId], json: &mut Vec<serde_json::Value>) -> bool {
    let Checked { waivers, sources, diagnostics } = waivers::check(path, Some(steps));
    match format {
        DiagnosticFormat::Text => {
            stdio::tell(&render::render(&diagnostics, &sources, stdio::colour()));
            let name = path.display();
            match &waivers {
                Some(waivers) => stdio::say(&format!("{name}: good: {}", counted(waivers.waivers.len(), "waiver"))),
                None => stdio::say(&format!("{name}: {}", counted(diagnostics.len(), "mistake"))),
            }
        }
        DiagnosticFormat::Json => json.extend(formats::json_list(&diagnostics, &sources)),
        DiagnosticFormat::Github => stdio::print(&formats::github(&diagnostics, &sources)),
    }
    waivers.is_none()
}

fn summary(name: &str, loaded: &super::load::Loaded) -> String {
    let count = loaded.diagnostics.len();
    match &loaded.plan {
        Some(_) if loaded.diagnostics.has_errors() => {
            format!("{name}: {count} to look at: the policy refuses it, in whole or in part")
        }
        Some(plan) => {
            let (sections, steps) = (plan.sections.len(), plan.steps.len());
            let warnings = if count == 0 { String::new() } else { format!(", {count} to look at") };
            format!("{name}: good: {} in {}{warnings}", counted(steps, "step"), counted(sections, "section"))
        }
        None => format!("{name}: {}; `holdpoint explain CODE` tells more", counted(count, "mistake")),
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
