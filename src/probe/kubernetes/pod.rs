//! What is read of a pod and of its containers.
//!
//! Source: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value as Json;

use super::look::Seen;
use crate::model::{Tally, Value};

/// After how long without a crash the kubelet forgets those before, in minutes.
const FORGETS: i64 = 10;
/// From so many restarts on, one that came a short while ago is taken for one of many.
const MANY: i64 = 3;

/// A container as a specification has it.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    /// Whether it has a liveness, a readiness, a startup probe.
    pub(super) probes: [bool; 3],
}

/// A pod, as far as it is looked at.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) ready: bool,
    /// Whether it is being deleted.
    pub(super) leaving: bool,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) containers: Vec<Container>,
    pub(super) restarts: i64,
    /// When a container that was started again ended last.
    pub(super) ended: Option<DateTime<Utc>>,
    /// Why a container crashes over and over, if one does.
    pub(super) crashing: Option<String>,
    /// Why it is not ready, as far as that is said.
    pub(super) why: Option<String>,
}

impl Pod {
    /// Reads a pod. With a container named, restarts and containers are those of it alone.
    ///
    /// # Errors
    /// Says what it lacks.
    pub(super) fn read(pod: &Json, container: Option<&str>, now: DateTime<Utc>) -> Result<Self, String> {
        let name = pod["metadata"]["name"].as_str().ok_or("has no name")?.to_owned();
        let phase = pod["status"]["phase"].as_str().ok_or_else(|| format!("is a pod without a phase: {name}"))?;
        let labels = pod["metadata"]["labels"].as_object().into_iter().flatten();
        let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        let states = states(pod, container);
        let conditions = list(&pod["status"]["conditions"]);
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
        Ok(Self {
            phase: phase.to_owned(),
            ready: ready.is_some_and(|ready| ready["status"] == "True"),
            leaving: pod["metadata"]["deletionTimestamp"].is_string(),
            labels,
            containers: containers(&pod["spec"], container),
            restarts: states.iter().map(|state| restarts(state)).sum(),
            ended: states.iter().filter(|state| restarts(state) > 0).filter_map(|state| last_end(state)).max(),
            crashing: states.iter().find_map(|state| crashing(state, now)),
            why: why_not_ready(pod, conditions),
            name,
        })
    }

    /// Returns how many of its containers are there, ready, as kubectl shows it.
    pub(super) fn row(&self) -> String {
        let ready = if self.ready { "ready" } else { "not ready" };
        let leaving = if self.leaving { ", is being deleted" } else { "" };
        format!("{}  {}  {ready}  {} restarts{leaving}", self.name, self.phase, self.restarts)
    }
}

/// Reads the containers of a specification, or the one that is named.
pub(super) fn containers(spec: &Json, named: Option<&str>) -> Vec<Container> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let read = |container: &Json| Container {
        name: text(&container["name"]),
        image: text(&container["image"]),
        probes: ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| container[probe].is_object()),
    };
    let all = list(&spec["containers"]).iter().map(read);
    all.filter(|container| named.is_none_or(|named| container.name == named)).collect()
}

/// Counts containers that have each kind of probe.
pub(super) fn probes<'c>(
    containers: impl Iterator<Item = (String, &'c Container)>,
    missing: Option<Value>,
    seen: &mut Seen,
) {
    let all: Vec<_> = containers.collect();
    for (n, name) in ["probes.liveness", "probes.readiness", "probes.startup"].into_iter().enumerate() {
        let tally = Tally::named(all.iter().map(|(name, container)| (name.clone(), container.probes[n])));
        seen.measures.plain(name, missing.clone().unwrap_or(Value::Tally(tally)));
    }
}

/// Lists the different members in order.
pub(super) fn distinct(members: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<_> = members.collect();
    all.sort();
    all.dedup();
    all
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Lists the states of containers that run beside each other: init containers that are not sidecars end by design.
fn states<'p>(pod: &'p Json, named: Option<&str>) -> Vec<&'p Json> {
    let status = &pod["status"];
    let sidecar = |state: &&Json| {
        let specs = list(&pod["spec"]["initContainers"]);
        specs.iter().any(|spec| spec["name"] == state["name"] && spec["restartPolicy"] == "Always")
    };
    let all = list(&status["containerStatuses"]).iter();
    let all = all.chain(list(&status["initContainerStatuses"]).iter().filter(sidecar));
    all.filter(|state| named.is_none_or(|named| state["name"] == named)).collect()
}

fn restarts(state: &Json) -> i64 {
    state["restartCount"].as_i64().unwrap_or_default()
}

fn last_end(state: &Json) -> Option<DateTime<Utc>> {
    time(state.pointer("/lastState/terminated/finishedAt")?)
}

fn time(value: &Json) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|at| at.with_timezone(&Utc))
}

/// Says that a container crashes over and over: it waits for its next start, or between two such waits it has run for
/// a shorter time than the kubelet takes to forget.
fn crashing(state: &Json, now: DateTime<Utc>) -> Option<String> {
    let name = state["name"].as_str().unwrap_or_default();
    let restarts = restarts(state);
    if state.pointer("/state/waiting/reason").is_some_and(|reason| reason == "CrashLoopBackOff") {
        return Some(format!("{name} waits after {restarts} restarts: CrashLoopBackOff"));
    }
    let failed = |at: &str| state.pointer(at).and_then(Json::as_i64).filter(|code| *code != 0);
    let code = failed("/state/terminated/exitCode").or_else(|| {
        let began = time(state.pointer("/state/running/startedAt")?)?;
        let fresh = now - began < TimeDelta::minutes(FORGETS);
        failed("/lastState/terminated/exitCode").filter(|_| fresh)
    })?;
    (restarts >= MANY).then(|| format!("{name} was restarted {restarts} times, last after exit code {code}"))
}

fn why_not_ready(pod: &Json, conditions: &[Json]) -> Option<String> {
    for state in list(&pod["status"]["containerStatuses"]).iter().chain(list(&pod["status"]["initContainerStatuses"])) {
        let waiting = state.pointer("/state/waiting/reason").and_then(Json::as_str);
        if let Some(reason) = waiting {
            return Some(format!("{} waits: {reason}", state["name"].as_str().unwrap_or_default()));
        }
    }
    if let Some(reason) = pod["status"]["reason"].as_str() {
        return Some(reason.to_owned());
    }
    let text = |condition: &Json, key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    let unmet = conditions.iter().filter(|condition| condition["status"] == "False" && condition["reason"].is_string());
    let first = unmet.min_by_key(|condition| condition["type"] != "PodScheduled")?;
    Some(format!("{} {}", text(first, "reason"), text(first, "message")).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> DateTime<Utc> {
        time(&json!("2026-05-01T12:00:00Z")).expect("a time")
    }

    fn pod(state: Json) -> Json {
        json!({
            "metadata": { "name": "web-1", "labels": { "app": "web" } },
            "spec": {
                "containers": [{ "name": "app", "image": "shop/web:1", "readinessProbe": {} }],
                "initContainers": [{ "name": "side", "restartPolicy": "Always" }, { "name": "once" }],
            },
            "status": {
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": "True" }],
                "containerStatuses": [state],
                "initContainerStatuses": [
                    { "name": "side", "restartCount": 1 },
                    { "name": "once", "restartCount": 5 },
                ],
            },
        })
    }

    fn read(state: Json) -> Pod {
        Pod::read(&pod(state), None, now()).expect("a pod")
    }

    #[test]
    fn restarts_are_those_of_containers_that_run_side_by_side() {
        let read = read(json!({ "name": "app", "restartCount": 2 }));
        assert_eq!((read.restarts, read.ready, read.ended), (3, true, None));
        assert_eq!(read.containers[0].probes, [false, true, false]);
        let named = Pod::read(&pod(json!({ "name": "app", "restartCount": 2 })), Some("app"), now()).expect("a pod");
        assert_eq!(named.restarts, 2);
    }

    #[test]
    fn a_crash_loop_is_seen_between_two_crashes_too() {
        let running = |since: &str, restarts: i64, code: i64| {
            let state = json!({ "running": { "startedAt": since } });
            let last = json!({ "terminated": { "exitCode": code, "finishedAt": "2026-05-01T11:55:00Z" } });
            json!({ "name": "app", "restartCount": restarts, "state": state, "lastState": last })
        };
        let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        let loops = |state: Json| read(state).crashing.is_some();
        assert!(loops(json!({ "name": "app", "restartCount": 1, "state": waiting })));
        assert!(loops(running("2026-05-01T11:58:00Z", 4, 1)));
        assert!(!loops(running("2026-05-01T11:58:00Z", 1, 1)), "one restart is no loop");
        assert!(!loops(running("2026-05-01T11:40:00Z", 9, 1)), "it has run long enough since");
        assert!(!loops(running("2026-05-01T11:58:00Z", 4, 0)), "it ended well");
        let ended = json!({ "terminated": { "exitCode": 137 } });
        assert!(loops(json!({ "name": "app", "restartCount": 3, "state": ended })));
        let end = read(running("2026-05-01T11:58:00Z", 4, 1)).ended.expect("an end");
        assert_eq!(end, time(&json!("2026-05-01T11:55:00Z")).expect("a time"));
    }

    #[test]
    fn a_pod_says_why_it_is_not_ready() {
        let pulling = read(json!({ "name": "app", "state": { "waiting": { "reason": "ImagePullBackOff" } } }));
        assert_eq!(pulling.why.as_deref(), Some("app waits: ImagePullBackOff"));
        let mut pending = pod(json!({}));
        pending["status"] = json!({ "phase": "Pending", "conditions": [
            { "type": "Ready", "status": "False", "reason": "ContainersNotReady" },
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes" },
        ] });
        let pending = Pod::read(&pending, None, now()).expect("a pod");
        assert_eq!((pending.why.as_deref(), pending.ready), (Some("Unschedulable 0/3 nodes"), false));
    }

    #[test]
    fn what_is_no_pod_is_not_read_as_one() {
        assert!(Pod::read(&json!({}), None, now()).is_err());
        assert!(Pod::read(&json!({ "metadata": { "name": "web" } }), None, now()).is_err());
    }
}
