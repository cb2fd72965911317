//! What was asked for: `--only` and `--skip`.

use std::collections::HashSet;

use globset::{Glob, GlobMatcher};

use crate::model::outline::{SectionOutline, StepOutline};

use super::naming::base;
use super::{PlanSection, PlanStep};

/// Which steps were asked for. A pattern is a glob over the ids of steps and sections and over names, or `tag:WORD`.
#[derive(Debug, Default)]
pub struct Selection {
    only: Vec<Pattern>,
    skip: Vec<Pattern>,
}

#[derive(Debug)]
enum Pattern {
    Tag(String),
    Glob(GlobMatcher),
}

impl Selection {
    /// Reads the patterns.
    ///
    /// # Errors
    /// Names the pattern that is not valid.
    pub fn new(only: &[String], skip: &[String]) -> Result<Self, String> {
        let read = |patterns: &[String]| patterns.iter().map(|p| pattern(p)).collect::<Result<Vec<_>, _>>();
        Ok(Self { only: read(only)?, skip: read(skip)? })
    }

    /// Tells whether anything was left out by name.
    pub fn is_everything(&self) -> bool {
        self.only.is_empty() && self.skip.is_empty()
    }

    /// Tells whether a step was asked for.
    pub fn takes(&self, step: &StepOutline, section: &SectionOutline) -> bool {
        let named = self.only.is_empty() || self.only.iter().any(|p| p.matches(step, section));
        named && !self.skips(step, section)
    }

    /// Tells whether a step was left out by name.
    pub fn skips(&self, step: &StepOutline, section: &SectionOutline) -> bool {
        self.skip.iter().any(|p| p.matches(step, section))
    }
}

/// Pulls in what selected steps need: a step chosen by `--only` brings along what it, or its section, waits for, and
/// whatever these wait for in turn.
pub(super) fn pull_in(sections: &[PlanSection], steps: &mut [PlanStep]) {
    let mut pulled = HashSet::new();
    let mut chosen: Vec<usize> = (0..steps.len()).filter(|&step| steps[step].selected).collect();
    while let Some(step) = chosen.pop() {
        let at = sections.partition_point(|section| section.steps.end <= step);
        let needs = sections.get(at).into_iter().flat_map(|section| &section.needs).chain(&steps[step].needs);
        let needed = needs.map(|need| need.steps.clone()).filter(|range| pulled.insert(range.clone())).flatten();
        let needed: Vec<usize> = needed.chain(steps[step].uses.iter().map(|(_, producer)| *producer)).collect();
        for other in needed {
            if !steps[other].selected && !steps[other].skipped {
                steps[other].selected = true;
                chosen.push(other);
            }
        }
    }
}

impl Pattern {
    fn matches(&self, step: &StepOutline, section: &SectionOutline) -> bool {
        match self {
            Pattern::Tag(word) => step.guidance.tags.iter().any(|tag| tag == word),
            Pattern::Glob(glob) => {
                let of = section.of.as_ref().map_or(section.id.as_str(), |of| of.as_str());
                [step.id.as_str(), base(&step.id), &step.name, section.id.as_str(), of, &section.name]
                    .iter()
                    .any(|name| glob.is_match(name))
            }
        }
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    match text.strip_prefix("tag:") {
        Some(word) => Ok(Pattern::Tag(word.to_owned())),
        None => Glob::new(text)
            .map(|g| Pattern::Glob(g.compile_matcher()))
            .map_err(|e| format!("pattern {text:?}: {}", e.kind())),
    }
}
