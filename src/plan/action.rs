//! Actions: steps after the decision, each with steps that verify what it did and steps that mend what it did not do.
//!
//! They stand flat in their section, in the order of running: the action, its `then`, its `fallback`.

use super::Selection;
use super::builder::Builder;
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::outline::SectionOutline;
use crate::yaml::Node;

/// How a step hangs on an action before it, as a position in [`super::Plan::steps`].
pub(super) enum Tie {
    /// It stands for itself.
    None,
    /// It verifies the action.
    Then(usize),
    /// It runs when one of these, the action and what verifies it, did not come out well; the action stands first.
    Fallback(Vec<usize>),
}

impl Builder<'_, '_, '_> {
    /// Makes an action with all that hangs on it, and returns its position.
    pub(super) fn action(
        &mut self,
        node: &Node,
        section: &SectionOutline,
        selection: &Selection,
        tie: &Tie,
    ) -> Option<usize> {
        let at = self.step(node, section, selection, tie);
        let mut watched: Vec<usize> = at.into_iter().collect();
        for step in hanging(node, "then") {
            let verifies = at.map_or(Tie::None, Tie::Then);
            watched.extend(self.action(step, section, selection, &verifies));
        }
        for step in hanging(node, "fallback") {
            let mends = at.map_or(Tie::None, |_| Tie::Fallback(watched.clone()));
            self.action(step, section, selection, &mends);
        }
        at
    }
}

/// Refuses what belongs to actions alone.
pub(super) fn refuse_outside(step: &Node, diagnostics: &mut Diagnostics) {
    for key in ["then", "fallback"] {
        if let Some((place, _)) = step.entry(key) {
            let message = format!("{key:?} belongs to actions: this step is none");
            let help = "write a step of its own with `needs`, or move it under on_go, on_no_go or always";
            diagnostics.push(Diagnostic::error("not-an-action", place.span, message).help(help));
        }
    }
}

fn hanging<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = &'n Node> {
    let items = node.get(key).and_then(Node::list).unwrap_or_default();
    items.iter().filter(|item| item.map().is_some())
}
