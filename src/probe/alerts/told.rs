//! Asks the Alertmanager that tells people of the alerts.

use std::collections::{BTreeMap, BTreeSet};

use super::which::{Alert, Meant, evidence};
use crate::model::{Measures, Note, Observation, Tally, Value};
use crate::probe::Wants;
use crate::source::Failure;
use crate::source::alertmanager::{self, Silence};
use crate::source::api::Asked;

/// Why an Alertmanager without alerts says nothing.
const SILENT: &str = "the Alertmanager holds no alert at all: it may be that nobody sends it any";
/// The most silences that are remarked on.
const MOST_NAMED: usize = 3;

/// Asks for alerts, and for what else is wanted, and measures.
pub(super) async fn measures(
    asked: &Asked<'_>,
    meant: &Meant,
    wants: &Wants,
    observation: &mut Observation,
) -> Result<Measures, Failure> {
    let alerts = alertmanager::alerts(asked).await?;
    let mut measures = Measures::new();
    of_alerts(&alerts, meant, &mut measures, observation);
    if wants.is_empty() || wants.any("silences") {
        let silences = alertmanager::silences(asked).await?;
        let concerned: Vec<&Silence> = silences.iter().filter(|s| s.is_active() && concerns(s, meant)).collect();
        observation.notes.extend(concerned.iter().take(MOST_NAMED).map(|silence| Note::info(words(silence))));
        measures.plain("silences", Value::Number(concerned.len() as f64));
    }
    if wants.is_empty() || wants.any("receivers") {
        let names = alertmanager::receivers(asked).await?.into_iter().map(|receiver| receiver.name);
        measures.plain("receivers", Value::Set(names.collect()));
    }
    if wants.is_empty() || ["cluster", "peers", "version"].iter().any(|name| wants.any(name)) {
        let status = alertmanager::status(asked).await?;
        let peers = status.cluster.peers.as_ref().map(Vec::len).filter(|peers| *peers > 0);
        measures.plain("cluster", Value::Text(status.cluster.status));
        measures.plain(
            "peers",
            peers.map_or_else(|| Value::NoData("it makes no cluster".into()), |n| Value::Number(n as f64)),
        );
        measures.plain("version", Value::Text(status.version_info.version));
    }
    Ok(measures)
}

fn of_alerts(all: &[alertmanager::Alert], meant: &Meant, measures: &mut Measures, observation: &mut Observation) {
    let with = |a: &'_ alertmanager::Alert| meant.holds(&plain(a));
    let firing: Vec<&alertmanager::Alert> = all.iter().filter(|alert| with(alert)).collect();
    let listed: Vec<Alert<'_>> = firing.iter().map(|alert| plain(alert)).collect();
    observation.evidence.extend(evidence("firing", &listed));
    let silent = all.is_empty();
    let told = |value: Value| if silent { Value::NoData(SILENT.into()) } else { value };
    let tally = match meant.names.is_empty() {
        true => Tally::named(all.iter().map(|alert| (title(alert), with(alert)))),
        false => meant.tally(&listed),
    };
    measures.plain("firing", told(Value::Tally(tally)));
    let of_firing = |holds: &dyn Fn(&alertmanager::Alert) -> bool| {
        told(Value::Tally(Tally::named(firing.iter().map(|alert| (title(alert), holds(alert))))))
    };
    let (silenced, inhibited) = (
        |a: &alertmanager::Alert| !a.status.silenced_by.is_empty(),
        |a: &alertmanager::Alert| !a.status.inhibited_by.is_empty(),
    );
    measures.plain("active", of_firing(&|alert| !silenced(alert) && !inhibited(alert)));
    measures.plain("silenced", of_firing(&silenced));
    measures.plain("inhibited", of_firing(&inhibited));
    measures.plain("count", told(Value::Number(firing.len() as f64)));
    let notified: BTreeSet<&str> =
        firing.iter().flat_map(|alert| &alert.receivers).map(|receiver| receiver.name.as_str()).collect();
    let notified = match firing.is_empty() {
        true => Value::NoData("no such alert fires, and only of those that fire it is known whom they are told".into()),
        false => Value::Set(notified.into_iter().map(str::to_owned).collect()),
    };
    measures.plain("notified", notified);
}

fn plain(alert: &alertmanager::Alert) -> Alert<'_> {
    Alert { labels: &alert.labels, annotations: &alert.annotations, began: alert.starts_at }
}

/// Names an alert: by its name, and by its instance where it has one.
fn title(alert: &alertmanager::Alert) -> String {
    let label = |name: &str| alert.labels.get(name).map_or("", String::as_str);
    match label("instance") {
        "" => label("alertname").to_owned(),
        instance => format!("{} {instance}", label("alertname")),
    }
}

/// Tells whether a silence keeps some of the alerts quiet that are meant.
fn concerns(silence: &Silence, meant: &Meant) -> bool {
    let mut labels: BTreeMap<String, String> =
        meant.labels.fixed().map(|(name, value)| (name.clone(), value.clone())).collect();
    if meant.names.is_empty() {
        return silence.may_cover(&labels);
    }
    meant.names.iter().any(|name| {
        labels.insert("alertname".to_owned(), name.clone());
        silence.may_cover(&labels)
    })
}

fn words(silence: &Silence) -> String {
    let matcher = |m: &alertmanager::Matcher| {
        let sign = match (m.is_regex, m.is_equal) {
            (false, true) => "=",
            (false, false) => "!=",
            (true, true) => "=~",
            (true, false) => "!~",
        };
        format!("{}{sign}{:?}", m.name, m.value)
    };
    let matchers: Vec<_> = silence.matchers.iter().map(matcher).collect();
    let until = silence.ends_at.format("%Y-%m-%d %H:%M:%S UTC");
    let comment = silence.comment.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("silence of {{{}}} until {until} by {}: {comment}", matchers.join(", "), silence.created_by)
}
