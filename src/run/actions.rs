//! Actions: what is done about a decision, whether that worked, and what is done when it did not.

use std::sync::Arc;

use crate::event::Skip;
use crate::model::outline::Part;
use crate::model::{Decision, Outcome};
use crate::plan::{CellPlan, Flow};

use super::dispatcher::{Dispatcher, State};
use super::lanes::{Lane, Task};

impl Dispatcher {
    /// Acts on the decision of the run, apart from what cells did about theirs. Nothing stops this.
    pub(super) async fn act(&mut self, decision: Decision) {
        let plan = Arc::clone(&self.plan);
        let mut of_cells = Vec::new();
        let soak = plan.soak.iter().flat_map(|soak| soak.checkpoint.iter().chain(&soak.end));
        plan.flow.iter().chain(soak).for_each(|flow| actions_of(flow, &mut of_cells));
        let is_action = |at: &usize| match plan.sections[*at].outline.part {
            Part::OnGo | Part::OnNoGo | Part::Always => !of_cells.contains(at),
            Part::Section | Part::Guard => false,
        };
        let tasks = (0..plan.sections.len()).filter(is_action).map(|at| Task::Actions(at, decision)).collect();
        self.acting = true;
        self.lanes.push(Lane::new(tasks, None));
        self.carry().await;
    }

    /// Runs a list of actions, if the decision asks for it. Actions run although the run was asked to stop.
    pub(super) fn enter_actions(&mut self, lane: usize, section: usize, decision: Decision) {
        let part = self.plan.sections[section].outline.part;
        let asked = match part {
            Part::Section | Part::Guard => false,
            Part::OnGo => decision == Decision::Go,
            Part::OnNoGo => decision == Decision::NoGo,
            Part::Always => true,
        };
        let idle = self.plan.sections[section].steps.clone().any(|step| self.states[step] == State::Idle);
        if asked && idle {
            self.begin_section(lane, section);
            return;
        }
        // What is not decided yet may still be decided, when the run is taken up again.
        let open = match decision {
            Decision::Go | Decision::NoGo => Skip::Condition,
            Decision::Held => Skip::Waiting,
            Decision::Undecided if self.interrupted().is_some() => Skip::NotReached,
            Decision::Undecided => Skip::Condition,
        };
        self.leave_out(section, open, &format!("the decision is {decision}"));
    }

    /// Tells why a fallback need not be run: what it mends came out well.
    pub(super) fn needless(&self, step: usize) -> Option<String> {
        let mends = &self.plan.steps[step].fallback_for;
        let bad = |&of: &usize| match self.states[of] {
            State::Done(outcome, skip) => !outcome.satisfies() && skip != Some(Skip::Condition),
            State::Idle | State::Running { .. } => true,
        };
        if mends.is_empty() || mends.iter().any(bad) {
            return None;
        }
        let names: Vec<&str> = mends.iter().map(|&of| self.plan.steps[of].outline.id.as_str()).collect();
        Some(format!("not needed: {} came out well", names.join(", ")))
    }

    /// Tells whether a step is a fallback of an action that waits for consent: then it waits as well.
    pub(super) fn mends_what_waits(&self, step: usize) -> Option<String> {
        let waits = |&&of: &&usize| self.waits(of) || matches!(self.states[of], State::Done(Outcome::Pending, _));
        let of = self.plan.steps[step].fallback_for.iter().find(waits)?;
        Some(format!("waits for {}", self.plan.steps[*of].outline.id))
    }
}

/// Collects the actions of the cells in a flow.
fn actions_of(flow: &Flow, into: &mut Vec<usize>) {
    if let Flow::Cells(cells) = flow {
        for CellPlan { flow, actions, .. } in &cells.cells {
            into.extend(actions);
            flow.iter().for_each(|inner| actions_of(inner, into));
        }
    }
}
