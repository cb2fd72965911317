//! Fetches a dashboard and what belongs to it: library panels, annotations.

use serde_json::Value as Json;

use super::dashboard::{Placed, text};
use super::period::Period;
use crate::model::Value;
use crate::source::Failure;
use crate::source::api::Asked;

/// The most annotations that are counted.
const MOST_MARKERS: usize = 1000;
/// Where Grafana keeps dashboards as resources.
const RESOURCES: &str = "/apis/dashboard.grafana.app/";

/// Fetches a dashboard, from where it is kept. Within: that it is not there.
pub(super) async fn dashboard(asked: &Asked<'_>, uid: &str) -> Result<Result<Json, String>, Failure> {
    let encoded: String = url::form_urlencoded::byte_serialize(uid.as_bytes()).collect();
    let path = format!("/api/dashboards/uid/{encoded}");
    let reply = asked.send("GET", &path, &[], None).await?;
    let message = || asked.json(&reply).ok().and_then(|json| text(&json, "message")).unwrap_or_default();
    match reply.status {
        404 if message().to_lowercase().contains("dashboard") => Ok(Err(format!("there is no dashboard {uid:?}"))),
        // The classic API says where a dashboard of the second form is kept.
        406 => match resource(&message()) {
            Some(path) => match asked.find(&path, &[]).await? {
                Some(json) => Ok(Ok(json)),
                None => Ok(Err(format!("there is no dashboard {uid:?}"))),
            },
            None => {
                asked.check(&reply, &path)?;
                Err(Failure::lasting(format!("{} cannot give the dashboard {uid:?}", asked.through())))
            }
        },
        _ => {
            asked.check(&reply, &path)?;
            asked.json(&reply).map(Ok)
        }
    }
}

/// Takes the path of a resource out of a message.
fn resource(message: &str) -> Option<String> {
    let path = &message[message.find(RESOURCES)?..];
    let path = path.split_whitespace().next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    (path.chars().all(plain) && !path.contains("..")).then(|| path.to_owned())
}

/// Puts library panels in the place of what refers to them. Returns for each panel why it cannot be shown, if so.
pub(super) async fn library_panels(asked: &Asked<'_>, panels: &mut [Placed]) -> Result<Vec<Option<String>>, Failure> {
    let mut faults = Vec::with_capacity(panels.len());
    for placed in panels {
        let mut fault = None;
        let known = placed.json["targets"].is_array() && placed.json["type"] != "library-panel-ref";
        if let Some(uid) = text(&placed.json["libraryPanel"], "uid").filter(|_| !known) {
            let encoded: String = url::form_urlencoded::byte_serialize(uid.as_bytes()).collect();
            match asked.find(&format!("/api/library-elements/{encoded}"), &[]).await? {
                Some(answer) if answer["result"]["model"].is_object() => {
                    let mut model = answer["result"]["model"].clone();
                    for key in ["id", "title", "gridPos"] {
                        if !placed.json[key].is_null() && placed.json[key] != "" {
                            model[key] = placed.json[key].clone();
                        }
                    }
                    placed.json = model;
                }
                Some(_) => return Err(Failure::lasting(format!("{} gave no library panel {uid:?}", asked.through()))),
                None => fault = Some(format!("its library panel {uid:?} is not there")),
            }
        }
        faults.push(fault);
    }
    Ok(faults)
}

/// Counts the annotations within a time.
pub(super) async fn markers(asked: &Asked<'_>, uid: &str, tags: &[String], period: Period) -> Result<Value, Failure> {
    let (from, to) = (period.from.timestamp_millis().to_string(), period.to.timestamp_millis().to_string());
    let limit = MOST_MARKERS.to_string();
    let mut query = vec![("from", from.as_str()), ("to", to.as_str()), ("limit", limit.as_str())];
    match tags.is_empty() {
        true => query.push(("dashboardUID", uid)),
        false => query.extend(tags.iter().map(|tag| ("tags", tag.as_str()))),
    }
    let answer = asked.get("/api/annotations", &query).await?;
    match answer.as_array().map(Vec::len) {
        None => Err(Failure::lasting(format!("{} answered with something else than annotations", asked.through()))),
        Some(count) if count >= MOST_MARKERS => {
            Ok(Value::NoData(format!("there are {MOST_MARKERS} annotations or more; name `tags`, or a shorter time")))
        }
        Some(count) => Ok(Value::Number(count as f64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_resource_is_taken_out_of_the_message() {
        let path = "/apis/dashboard.grafana.app/v2beta1/namespaces/default/dashboards/app";
        let message = format!("dashboard api version not supported, use {path} instead");
        assert_eq!(resource(&message).as_deref(), Some(path));
        assert_eq!(resource("use /apis/dashboard.grafana.app/../../admin instead"), None);
        assert_eq!(resource("not acceptable"), None);
    }
}
