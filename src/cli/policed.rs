//! `--policy`: the file read, and the plan held against it before anything runs.

use std::path::Path;

use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span, formats, render};
use crate::plan::{Plan, PlanStep};
use crate::policy::{self, Known};
use crate::probe;
use crate::source;
use crate::sys::Policy;

use super::args::DiagnosticFormat;
use super::load::{self, Loaded};
use super::{Result, stdio};

/// A policy file that was read as far as its mistakes allow.
pub(super) struct Opened {
    pub policy: Option<Policy>,
    pub sources: SourceMap,
    pub diagnostics: Diagnostics,
}

/// Reads a policy file; that of a run without one when there is none.
pub(super) fn open(path: Option<&Path>) -> Opened {
    let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let Some(path) = path else { return Opened { policy: Some(Policy::default()), sources, diagnostics } };
    let (text, problem) = match load::read(path) {
        Ok(text) => (text, None),
        Err(problem) => (String::new(), Some(problem)),
    };
    let file = sources.add(path.display().to_string(), text);
    let policy = match problem {
        Some((code, message)) => {
            diagnostics.push(Diagnostic::error(code, Span::new(file, 0, 0), message));
            None
        }
        None => {
            let probes: Vec<&str> = probe::KINDS.iter().map(|kind| kind.name).collect();
            let known = Known { probes: &probes, sources: source::KINDS };
            policy::read(&mut sources, file, &known, &mut diagnostics)
        }
    };
    diagnostics.sort();
    Opened { policy, sources, diagnostics }
}

/// Reads a policy file and says what is wrong with it.
///
/// # Errors
/// The file has mistakes: nothing is run under a policy that is not understood.
pub(super) fn accept(path: Option<&Path>) -> Result<Policy> {
    let opened = open(path);
    stdio::tell(&render::render(&opened.diagnostics, &opened.sources, stdio::colour()));
    let name = path.unwrap_or(Path::new("")).display();
    opened.policy.ok_or_else(|| anyhow::anyhow!("the policy {name} has mistakes, so nothing was done"))
}

/// Says what is wrong with a policy file, for `check`. Returns the policy if it is good.
pub(super) fn check(
    path: Option<&Path>,
    format: DiagnosticFormat,
    json: &mut Vec<serde_json::Value>,
) -> Option<Policy> {
    let Opened { policy, sources, diagnostics } = open(path);
    match format {
        DiagnosticFormat::Text => {
            stdio::tell(&render::render(&diagnostics, &sources, stdio::colour()));
            if let Some(name) = path.map(Path::display) {
                match &policy {
                    Some(_) => stdio::say(&format!("{name}: good")),
                    None => stdio::say(&format!("{name}: {} mistakes", diagnostics.len())),
                }
            }
        }
        DiagnosticFormat::Json => json.extend(formats::json_list(&diagnostics, &sources)),
        DiagnosticFormat::Github => stdio::print(&formats::github(&diagnostics, &sources)),
    }
    policy
}

/// Says of each step, and of each source, by which rule it is refused, as far as that is known before anything runs.
pub(super) fn judge(policy: &Policy, loaded: &mut Loaded) {
    judge_sources(policy, loaded);
    let Some(plan) = &loaded.plan else { return };
    for step in &plan.steps {
        let Some(message) = refusal(policy, plan, step) else { continue };
        let place = loaded.sources.place_of(&step.outline.origin);
        let message = format!("{:?} is {message}", step.outline.name);
        loaded.diagnostics.push(Diagnostic::error("policy-refused", place, message));
    }
    loaded.diagnostics.sort();
}

/// Says of each source by which rule it is refused.
pub(super) fn judge_sources(policy: &Policy, loaded: &mut Loaded) {
    for (name, kind, place) in &loaded.declared {
        if let Err(refusal) = policy.allow_source(kind, name) {
            loaded.diagnostics.push(Diagnostic::error("policy-refused", *place, refusal.message));
        }
    }
    loaded.diagnostics.sort();
}

/// Tells by which rule a step is refused.
pub(super) fn refusal(policy: &Policy, plan: &Plan, step: &PlanStep) -> Option<String> {
    let scope = plan.scope_in(&step.matrix, &serde_json::Map::new());
    crate::run::refused(policy, step, &scope).map(|refusal| refusal.message)
}
