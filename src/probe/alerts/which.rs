//! Which alerts a step is about.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::{Evidence, Tally};
use crate::probe::asked;
use crate::probe::labels::{Conditions, Filled, shown};
use crate::probe::targets::templates;
use crate::source::Failure;
use crate::template::{Scope, Template};
use crate::yaml::Node;

/// The most alerts that are kept as evidence.
const MOST_KEPT: usize = 50;
/// Annotations that say what an alert is about, the shortest first.
const SAYING: &[&str] = &["summary", "message", "description"];

/// Which alerts a step is about, as written.
pub(super) struct Which {
    names: Vec<Template>,
    labels: Conditions,
    new: bool,
}

/// The same, filled in.
pub(super) struct Meant {
    pub(super) names: Vec<String>,
    pub(super) labels: Filled,
    /// Only those that began after this.
    pub(super) since: Option<DateTime<Utc>>,
}

/// An alert as either server tells it.
pub(super) struct Alert<'a> {
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) annotations: &'a BTreeMap<String, String>,
    pub(super) began: DateTime<Utc>,
}

impl Which {
    /// Reads what was written. Nothing when a mistake was said.
    pub(super) fn read(reading: &mut Reading<'_>, node: &Node) -> Option<Self> {
        let named = if node.map().is_some() { node.get("names") } else { Some(node) };
        let names = templates(reading, named);
        let labels = Conditions::read(reading, node.get("labels"));
        if let Some(named) = named.filter(|named| named.list().is_some_and(<[Node]>::is_empty)) {
            let message = "an empty list names no alert; leave it out to mean all of them";
            reading.say(Diagnostic::error("asserts-nothing", named.span, message));
            return None;
        }
        let new = node.get("new").and_then(Node::bool).unwrap_or(false);
        Some(Self { names: names?, labels: labels?, new })
    }

    /// Fills the templates in. `started` is when the run began.
    pub(super) fn fill(&self, scope: &Scope, started: DateTime<Utc>) -> Result<Meant, Failure> {
        Ok(Meant {
            names: asked::filled(&self.names, scope)?,
            labels: self.labels.fill(scope).map_err(Failure::lasting)?,
            since: self.new.then_some(started),
        })
    }

    /// Says in words which they are.
    pub(super) fn words(&self) -> String {
        let names: Vec<_> = self.names.iter().map(Template::source).collect();
        let which = match names.len() {
            0 => "all alerts".to_owned(),
            1 => format!("the alert {}", names[0]),
            _ => format!("the alerts {}", names.join(", ")),
        };
        let with = if self.labels.is_empty() { String::new() } else { format!(" with {}", self.labels.words()) };
        format!("{which}{with}{}", if self.new { " that began after the run did" } else { "" })
    }
}

impl Meant {
    /// Tells whether an alert is meant.
    pub(super) fn holds(&self, alert: &Alert<'_>) -> bool {
        let named = self.names.is_empty() || self.names.iter().any(|name| name == alert.name());
        named && self.labels.hold(alert.labels) && self.since.is_none_or(|since| alert.began > since)
    }

    /// Counts the names that are among those of the alerts.
    pub(super) fn tally(&self, alerts: &[Alert<'_>]) -> Tally {
        Tally::named(self.names.iter().map(|name| (name.clone(), alerts.iter().any(|alert| alert.name() == name))))
    }
}

impl<'a> Alert<'a> {
    /// Returns its name.
    pub(super) fn name(&self) -> &'a str {
        self.labels.get("alertname").map_or("", String::as_str)
    }

    fn line(&self) -> String {
        let labels = self.labels.iter().filter(|(name, _)| *name != "alertname");
        let said = SAYING.iter().find_map(|name| self.annotations.get(*name));
        let said = said.map(|text| format!("  {}", text.split_whitespace().collect::<Vec<_>>().join(" ")));
        let since = self.began.to_rfc3339_opts(SecondsFormat::Secs, true);
        format!("{}{} since {since}{}\n", self.name(), shown(labels), said.unwrap_or_default())
    }
}

/// Lists alerts as evidence; nothing when there are none.
pub(super) fn evidence(title: &str, alerts: &[Alert<'_>]) -> Option<Evidence> {
    let mut text: String = alerts.iter().take(MOST_KEPT).map(Alert::line).collect();
    if alerts.len() > MOST_KEPT {
        text.push_str(&format!("and {} more\n", alerts.len() - MOST_KEPT));
    }
    (!alerts.is_empty()).then(|| Evidence { title: title.into(), text, left_out: 0 })
}
