//! The file of waivers for a run: read and checked before anything runs.

use std::path::Path;

use chrono::Utc;

use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span, render};
use crate::event::Waivers;
use crate::model::StepId;
use crate::plan::Plan;
use crate::signoff::waivers;

use super::{Result, load, stdio};

/// A file of waivers with what is wrong with it.
pub(super) struct Checked {
    pub(super) waivers: Option<Waivers>,
    pub(super) sources: SourceMap,
    pub(super) diagnostics: Diagnostics,
}

/// Reads a file of waivers and says what is wrong with it. Nothing but an error when it cannot be acted on.
pub(super) fn accept(path: Option<&Path>, plans: &[Plan]) -> Result<Option<Option<Waivers>>> {
    let Some(path) = path else { return Ok(Some(None)) };
    let steps: Vec<StepId> = plans.iter().flat_map(|plan| &plan.steps).map(|step| step.outline.id.clone()).collect();
    let Checked { waivers, sources, diagnostics } = check(path, Some(&steps));
    stdio::tell(&render::render(&diagnostics, &sources, stdio::colour()));
    if waivers.is_none() {
        stdio::say("nothing was run; `holdpoint explain CODE` tells more about a mistake");
    }
    Ok(waivers.map(Some))
}

/// Reads a file of waivers; `steps` are those of the checklist, where there is one.
pub(super) fn check(path: &Path, steps: Option<&[StepId]>) -> Checked {
    let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let (text, problem) = match load::read(path) {
        Ok(text) => (text, None),
        Err(problem) => (String::new(), Some(problem)),
    };
    let file = sources.add(path.display().to_string(), text);
    let waivers = match problem {
        Some((code, message)) => {
            diagnostics.push(Diagnostic::error(code, Span::new(file, 0, 0), message));
            None
        }
        None => waivers::read(&mut sources, file, steps, Utc::now(), &mut diagnostics),
    };
    diagnostics.sort();
    Checked { waivers, sources, diagnostics }
}
