//! Guards: steps that are watched beside everything else, from the start of a run to its end.

use crate::checklist::name_place;
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::yaml::Node;

/// What has no meaning for a guard, and why.
const MEANINGLESS: &[(&str, &str)] = &[
    ("eventually", "a guard holds throughout, or it trips"),
    ("needs", "nothing has run when it starts"),
    ("capture", "it is not done before everything else is"),
    ("required", "a guard that trips stops the run; leave it out, or make it a step"),
    ("trial", "a guard that trips stops the run; leave it out, or make it a step"),
];

/// Says what a guard cannot be.
pub(super) fn check(step: &Node, reading: &mut Reading<'_>) {
    for (key, why) in MEANINGLESS {
        if let Some((place, _)) = step.entry(key) {
            let message = format!("{key:?} has no meaning for a guard: {why}");
            reading.say(Diagnostic::error("bad-guard", place.span, message));
        }
    }
    if let Some((place, _)) = step.entry("changes") {
        let message = "a guard changes nothing: it looks, over and over";
        let help = "put what changes the world into a step, or under `on_no_go`, which acts when a guard trips";
        reading.say(Diagnostic::error("bad-guard", place.span, message).help(help));
    }
    for probe in ["manual", "wait", "run"] {
        if let Some((place, _)) = step.entry(probe) {
            let message = format!("a guard looks over and over, which makes no sense for {probe:?}");
            reading.say(Diagnostic::error("bad-guard", place.span, message).help("make it a step of a section"));
        }
    }
    if step.get("consistently").is_none() {
        let message = "a guard needs `consistently`: how often it looks, and what is forgiven";
        let help = "such as `consistently: { every: 15s, tolerate: 1m }`";
        reading.say(Diagnostic::error("bad-guard", name_place(step), message).help(help));
    }
}
