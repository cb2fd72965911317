//! What relative limits are held against: the step's own first and last values, and the baseline that it names.

use std::collections::HashSet;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};

use crate::event::{Look, StepResult};
use crate::judge;
use crate::model::{
    Against, Decision, Expectation, Found, MeasureName, Measures, Quantity, Reference, RunId, StepId, Value,
};
use crate::plan::{BaselinePlan, EarlierRun, Plan, PlanStep};
use crate::probe::{Archive, WantedRun};

use super::dispatcher::Dispatcher;
use super::soak::stamp;

/// What stands for the word `baseline`.
#[derive(Clone, Debug, Default)]
pub(crate) enum Baseline {
    /// Nothing, or the probe asks for it itself.
    #[default]
    None,
    /// What was measured elsewhere, and where.
    Measured(Measures, String),
    /// A value that is written down.
    Written(Quantity),
    /// It should be there and is not: why.
    Missing(String),
}

/// Values of earlier looks of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// Those of the first look that found something.
    pub start: Option<Earlier>,
    /// Those of the last look that found something.
    pub previous: Option<Earlier>,
}

/// What was measured before, and when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Earlier {
    pub measures: Measures,
    pub at: DateTime<Utc>,
}

impl Memory {
    /// Remembers a look.
    pub(crate) fn take(&mut self, look: &Look) {
        if let Found::Measures(measures) = &look.observation.found {
            let earlier = Earlier { measures: measures.clone(), at: look.as_of.unwrap_or(look.at) };
            self.start.get_or_insert_with(|| earlier.clone());
            self.previous = Some(earlier);
        }
    }

    /// Returns what a look is held against. At the first look there is nothing.
    pub(crate) fn references(&self, wanted: &[(Against, MeasureName)]) -> Vec<Reference> {
        let mut all = Vec::new();
        for (name, earlier, look) in
            [(Against::Previous, &self.previous, "the look before"), (Against::Start, &self.start, "the first look")]
        {
            if let Some(earlier) = earlier {
                let origin = format!("{look}, {}", stamp(earlier.at));
                all.extend(judge::references(name, wanted, &earlier.measures, &origin));
            }
        }
        all
    }
}

/// Lists what expectations are relative to, with the measures of which values are needed.
pub(crate) fn wanted(expectations: &[Option<&Expectation>]) -> Vec<(Against, MeasureName)> {
    expectations.iter().flatten().flat_map(|expectation| judge::relatives(expectation)).collect()
}

impl Baseline {
    /// Returns what stands for the word `baseline`, for every measure that is wanted.
    pub(crate) fn references(&self, wanted: &[(Against, MeasureName)]) -> Vec<Reference> {
        let each = |value: Value, origin: &str| {
            let of = |(_, measure): &(Against, MeasureName)| Reference {
                name: Against::Baseline,
                measure: measure.clone(),
                value: value.clone(),
                origin: origin.to_owned(),
            };
            wanted.iter().filter(|(against, _)| *against == Against::Baseline).map(of).collect()
        };
        match self {
            Baseline::None => Vec::new(),
            Baseline::Measured(measures, origin) => judge::references(Against::Baseline, wanted, measures, origin),
            Baseline::Written(quantity) => each(Value::Number(quantity.value), "written down"),
            Baseline::Missing(why) => each(Value::NoData(why.clone()), why),
        }
    }
}

impl Dispatcher {
    /// Lists the steps whose measures others are held against.
    pub(super) fn wanted_measures(plan: &Plan) -> HashSet<usize> {
        let of = |step: &PlanStep| match step.baseline {
            Some(BaselinePlan::Step(of)) => Some(of),
            Some(BaselinePlan::Run(_) | BaselinePlan::Probe | BaselinePlan::Value(_)) | None => None,
        };
        plan.steps.iter().filter_map(of).collect()
    }

    /// Keeps what a step measured, when others are held against it.
    pub(super) fn keep_measures(&mut self, step: usize, result: &StepResult) {
        if self.wanted_measures.contains(&step) {
            self.measured.insert(step, measured_by(&self.plan.steps[step], result));
        }
    }

    /// Returns what a step is held against.
    pub(super) fn baseline_of(&self, step: &PlanStep) -> Baseline {
        match &step.baseline {
            None | Some(BaselinePlan::Probe | BaselinePlan::Run(_)) => Baseline::None,
            Some(BaselinePlan::Value(quantity)) => Baseline::Written(*quantity),
            Some(BaselinePlan::Step(of)) => self.measured.get(of).cloned().unwrap_or_else(|| {
                let id = &self.plan.steps[*of].outline.id;
                Baseline::Missing(format!("step {id} was not looked at"))
            }),
        }
    }
}

/// Tells whether a step is held against its own earlier values.
pub(super) fn remembers(step: &PlanStep) -> bool {
    let outline = &step.outline;
    let own = |(against, _): &(Against, MeasureName)| *against != Against::Baseline;
    step.deferred.is_some() || wanted(&[outline.expect.as_ref(), outline.warn.as_ref()]).iter().any(own)
}

/// Takes what a step measured in the look that decided.
pub(super) fn measured_by(step: &PlanStep, result: &StepResult) -> Baseline {
    let id = &step.outline.id;
    let Some(look) = &result.look else { return Baseline::Missing(format!("step {id} was not looked at")) };
    match &look.observation.found {
        Found::Measures(measures) => {
            let at = look.as_of.unwrap_or(look.at);
            Baseline::Measured(measures.clone(), format!("step {id}, {}", stamp(at)))
        }
        Found::NoAnswer { .. } | Found::CouldNotLook { .. } | Found::NotEnough { .. } | Found::Waiting { .. } => {
            Baseline::Missing(format!("step {id} measured nothing"))
        }
    }
}

/// Asks earlier runs what the same step measured there. Blocks.
pub(super) fn from_archive(archive: &dyn Archive, which: &EarlierRun, checklist: &str, step: &StepId) -> Baseline {
    let mut found = None;
    let asked = match which {
        EarlierRun::Id(id) => {
            found = Some(RunId::new(id.as_str()));
            Ok(())
        }
        EarlierRun::LastGo => {
            let wanted = WantedRun { checklist: Some(checklist.to_owned()), ..WantedRun::default() };
            archive.runs(&wanted, &mut |run| {
                if run.decision != Decision::Go {
                    return ControlFlow::Continue(());
                }
                found = Some(run.run);
                ControlFlow::Break(())
            })
        }
    };
    let Some(run) = found else {
        return Baseline::Missing(asked.err().unwrap_or_else(|| format!("no run of {checklist:?} was a go")));
    };
    match archive.measures(&run, step) {
        Ok((measures, at)) => Baseline::Measured(measures, format!("run {run}, {}", stamp(at))),
        Err(why) => Baseline::Missing(why),
    }
}
