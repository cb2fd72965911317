//! Warnings that the cluster reports, about an object and what it made, or in the whole namespace.
//!
//! Source: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>. A cluster keeps events for
//! an hour unless it is told otherwise, and counts repeated ones in one event.

use chrono::{DateTime, Utc};
use regex::Regex;
use serde_json::Value as Json;

use super::look::Seen;
use super::pod::distinct;
use super::{Form, measures_of, object};
use crate::model::{Evidence, Note, Value};
use crate::source::Failure;
use crate::source::kubernetes::Asked;
use crate::source::kubernetes::resource::{EVENTS, Resource};

/// How long a cluster keeps events unless it is told otherwise, in minutes.
const KEPT: i64 = 60;
/// The most messages that are kept, and the most characters of one.
const MOST: usize = 100;
const LONGEST: usize = 400;
/// The signs of which the random part of a name is made.
const RANDOM: &str = "[bcdfghjklmnpqrstvwxz2456789]";

/// A warning.
struct Event {
    about: String,
    reason: String,
    message: String,
    count: i64,
    last: Option<DateTime<Utc>>,
}

/// Looks for warnings since a time about `kind/name`, or about anything (`*`).
pub(super) async fn look(
    asked: &Asked<'_>,
    of: &str,
    version: Option<&str>,
    from: DateTime<Utc>,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let about = match of.trim() {
        "*" => None,
        of => {
            let (resource, name) = object::resolve(asked, of, version).await?;
            if object::get(asked, &resource, &name, seen).await?.is_none() {
                let why = object::absence(asked, &resource.one(&name), seen).await?;
                let missing = |name: &'static str| (name, Value::Missing(why.clone()));
                measures_of(Form::Events).iter().map(|name| missing(name)).for_each(|(name, value)| {
                    seen.measures.plain(name, value);
                });
                return Ok(());
            }
            Some(About::new(&resource, name))
        }
    };
    seen.request = format!("GET {}?fieldSelector=type=Warning", EVENTS.path(asked.namespace(), None)?);
    let all = asked.list(&EVENTS, &[("fieldSelector", "type=Warning")], |event| read(&event)).await?;
    if all.is_empty() && about.is_none() {
        object::absence(asked, "event", seen).await?;
    }
    let meant = |event: &&(String, String, Event)| about.as_ref().is_none_or(|about| about.fits(&event.0, &event.1));
    let recent = |event: &&(String, String, Event)| event.2.last.is_none_or(|last| last >= from);
    let found: Vec<&Event> = all.iter().filter(meant).filter(recent).map(|(_, _, event)| event).collect();
    if asked.now() - from > chrono::TimeDelta::minutes(KEPT) {
        seen.notes.push(Note::info("a cluster keeps events for an hour unless it is told otherwise"));
    }
    measure(&found, seen);
    Ok(())
}

fn measure(found: &[&Event], seen: &mut Seen) {
    seen.measures.plain("warnings", Value::Number(found.len() as f64));
    seen.measures.plain("reasons", Value::Set(distinct(found.iter().map(|event| event.reason.clone()))));
    let messages = distinct(found.iter().map(|event| event.message.clone()));
    seen.measures.plain(
        "messages",
        match messages.len() > MOST {
            true => Value::NoData(format!("there are more than {MOST} different messages")),
            false => Value::Set(messages),
        },
    );
    let rows = found.iter().take(MOST).map(|event| {
        let last =
            event.last.map_or_else(|| "at an unknown time".to_owned(), |at| at.format("%H:%M:%S UTC").to_string());
        format!("{last}  {}  {} ({} times): {}", event.about, event.reason, event.count, event.message)
    });
    let text = rows.collect::<Vec<_>>().join("\n");
    if !text.is_empty() {
        seen.evidence.push(Evidence { title: "warnings".into(), text, left_out: 0 });
    }
}

/// Reads an event: kind and name of what it is about, and what it says.
fn read(event: &Json) -> Result<(String, String, Event), String> {
    let about = &event["involvedObject"];
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&about["kind"]), text(&about["name"]));
    if kind.is_empty() || event["type"] != "Warning" {
        return Err("is no warning about anything".to_owned());
    }
    let series = &event["series"];
    let times = [&series["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"], &event["firstTimestamp"]];
    let time = |value: &&Json| DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|at| at.with_timezone(&Utc));
    let count = series["count"].as_i64().or_else(|| event["count"].as_i64()).unwrap_or(1);
    let message: Vec<_> = event["message"].as_str().unwrap_or_default().split_whitespace().collect();
    let message = message.join(" ").chars().take(LONGEST).collect();
    let last = times.iter().find_map(time);
    let shown = format!("{}/{name}", kind.to_lowercase());
    Ok((kind, name, Event { about: shown, reason: text(&event["reason"]), message, count, last }))
}

/// An object whose warnings are meant, with those of what it made: the names of pods begin with that of their workload.
struct About {
    kind: String,
    name: String,
    /// What the name of a thing that it made looks like.
    made: Option<Regex>,
}

impl About {
    fn new(resource: &Resource, name: String) -> Self {
        let own = regex::escape(&name);
        let pattern = match &*resource.kind {
            "Deployment" => format!("^{own}-{RANDOM}{{6,10}}(-{RANDOM}{{5}})?$"),
            "ReplicaSet" | "DaemonSet" | "Job" => format!("^{own}-([0-9]+-)?{RANDOM}{{5}}$"),
            "StatefulSet" => format!("^{own}-[0-9]+$"),
            _ => String::new(),
        };
        let made = (!pattern.is_empty()).then(|| Regex::new(&pattern).ok()).flatten();
        Self { kind: resource.kind.to_string(), name, made }
    }

    fn fits(&self, kind: &str, name: &str) -> bool {
        let own = kind == self.kind && name == self.name;
        let made = matches!(kind, "Pod" | "ReplicaSet") && self.made.as_ref().is_some_and(|made| made.is_match(name));
        own || made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::kubernetes::resource::{DEPLOYMENTS, STATEFULSETS};
    use serde_json::json;

    #[test]
    fn what_a_workload_made_is_told_from_what_only_begins_like_it() {
        let web = About::new(&DEPLOYMENTS, "web".into());
        for (kind, name, fits) in [
            ("Deployment", "web", true),
            ("ReplicaSet", "web-7c5d79b5bb", true),
            ("Pod", "web-7c5d79b5bb-894jg", true),
            ("Pod", "web-admin-7c5d79b5bb-894jg", false),
            ("Deployment", "web-admin", false),
            ("Service", "web", false),
        ] {
            assert_eq!(web.fits(kind, name), fits, "{kind} {name}");
        }
        let db = About::new(&STATEFULSETS, "db".into());
        assert!(db.fits("Pod", "db-0") && !db.fits("Pod", "db-admin-0"));
    }

    #[test]
    fn the_last_time_of_an_event_is_taken_wherever_it_stands() {
        let event = |more: Json| {
            let mut event = json!({ "type": "Warning", "reason": "BackOff", "message": "a\n b",
                "involvedObject": { "kind": "Pod", "name": "web-0" } });
            event.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            read(&event).expect("an event").2
        };
        let last = |more: Json| event(more).last.map(|at| at.to_rfc3339());
        let (early, late) = ("2026-05-01T10:00:00Z", "2026-05-01T11:00:00Z");
        let wanted = Some("2026-05-01T11:00:00+00:00".to_owned());
        assert_eq!(last(json!({ "firstTimestamp": early, "lastTimestamp": late })), wanted);
        let series = json!({ "lastObservedTime": "2026-05-01T11:00:00.000000Z", "count": 7 });
        assert_eq!(last(json!({ "eventTime": early, "series": series, "lastTimestamp": null })), wanted);
        assert_eq!(event(json!({ "series": { "count": 7 } })).count, 7);
        assert_eq!(event(json!({})).message, "a b");
        assert!(read(&json!({ "type": "Normal" })).is_err());
    }
}
