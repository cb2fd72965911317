//! How far what passed is from its limit, and when a trend would cross it: what an approver should look at twice.

use chrono::DateTime;
use serde::Serialize;

use super::Step;
use super::head::moment;
use crate::judge::{Margin, margins};
use crate::model::outline::Part;
use crate::model::{Found, Outcome, quantity};
use crate::record::RunRecord;

/// How far a value that passed is from its limit.
#[derive(Clone, Debug, Serialize)]
pub struct MarginView {
    /// The step's id.
    pub id: String,
    /// The step.
    pub step: String,
    /// What was asserted about.
    pub subject: String,
    /// The value.
    pub value: String,
    /// The limit.
    pub limit: String,
    /// How far the one is from the other, as a share of the limit: `4%`; empty for a limit of 0.
    pub share: String,
    /// When the trend crosses the limit, UTC; empty when it does not.
    pub crosses: String,
    /// Why it is thin; empty when it is not.
    pub thin: String,
}

/// Lists the margins of all steps that passed with a number against a limit.
pub(super) fn all(record: &RunRecord) -> Vec<MarginView> {
    let counts = |part: Part| matches!(part, Part::Section | Part::Guard);
    let sections = record.sections.iter().filter(|section| counts(section.outline.part));
    sections.flat_map(Step::all).filter(|step| step.outcome() == Outcome::Pass).flat_map(|step| of(&step)).collect()
}

fn of(step: &Step<'_>) -> Vec<MarginView> {
    let Some(look) = step.look() else { return Vec::new() };
    let measures = match &look.observation.found {
        Found::Measures(measures) => Some(measures),
        Found::NoAnswer { .. } | Found::CouldNotLook { .. } | Found::NotEnough { .. } | Found::Waiting { .. } => None,
    };
    let seconds = |at: DateTime<chrono::Utc>| at.timestamp_millis() as f64 / 1e3;
    let course: Vec<(f64, f64)> = step.samples().filter_map(|s| Some((seconds(s.at), s.value?))).collect();
    let now = seconds(look.as_of.unwrap_or(look.at));
    margins(step.findings(), measures, &course, now).iter().map(|margin| view(step, margin)).collect()
}

fn view(step: &Step<'_>, margin: &Margin) -> MarginView {
    let finding = step.findings().iter().find(|finding| finding.subject == margin.subject);
    let at = |seconds: f64| DateTime::from_timestamp(seconds as i64, 0).map(moment);
    MarginView {
        id: step.id().to_owned(),
        step: step.name().to_owned(),
        subject: margin.subject.clone(),
        value: finding.map_or_else(|| quantity::plain(margin.value), |finding| finding.observed.clone()),
        limit: finding.map_or_else(|| quantity::plain(margin.limit), |finding| finding.expected.clone()),
        share: margin
            .share
            .map(|share| format!("{}%", quantity::plain((share * 1e3).round() / 10.0)))
            .unwrap_or_default(),
        crosses: margin.crossing.as_ref().and_then(|crossing| at(crossing.at)).unwrap_or_default(),
        thin: margin.thin.clone().unwrap_or_default(),
    }
}
