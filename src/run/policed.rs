//! Whether the policy lets a step look at all, as far as that is known before it does.

use crate::plan::PlanStep;
use crate::sys::policy::{Policy, Refusal};
use crate::template::Scope;

/// Tells by which rule a step is refused: its kind of probe, that it changes the world, what it is known to touch.
/// Values that are not known yet are judged where they are used. Blocks where files are ruled.
pub fn refused(policy: &Policy, step: &PlanStep, scope: &Scope) -> Option<Refusal> {
    if policy.is_default() {
        return None;
    }
    let changes = |()| step.outline.changes.as_deref().map_or(Ok(()), |changes| policy.allow_changes(changes));
    let touches = |()| step.probe.touches(scope).iter().try_for_each(|touch| policy.allow(touch));
    policy.allow_probe(step.kind.name).and_then(changes).and_then(touches).err()
}
