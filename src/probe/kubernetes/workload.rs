//! Deployments, stateful sets, daemon sets and jobs: how many pods there are of those that are wanted, and of which
//! template.

use serde_json::Value as Json;

use super::look::Seen;
use super::object;
use super::pod;
use super::rollout::{self, Rollout, number, replicas};
use crate::model::{Note, Tally, Value};
use crate::source::kubernetes::Resource;

/// Measures a deployment, stateful set or daemon set.
pub(super) fn measure(object: &Json, resource: &Resource, container: Option<&str>, seen: &mut Seen) {
    let counts = Counts::of(object, &resource.kind);
    let (observed, unseen) = object::generation(object);
    seen.measures.plain("exists", Value::Bool(true));
    seen.measures.plain("generation_observed", observed);
    seen.measures.plain("desired", Value::Number(counts.desired as f64));
    // What the status counts belongs to the specification that the controller has seen: of a newer one it says nothing.
    let stale = |value: Value| unseen.clone().map_or(value, Value::NoData);
    seen.measures.plain("updated", stale(counts.updated()));
    seen.measures.plain("available", stale(of(counts.available, counts.desired)));
    seen.measures.plain("ready", stale(of(counts.ready, counts.desired)));
    let rolled_out = match rollout::judge(object, &resource.kind) {
        Rollout::Done => Value::Bool(true),
        Rollout::Waiting(why) | Rollout::Failed(why) => {
            seen.notes.push(Note::info(why));
            Value::Bool(false)
        }
        Rollout::Unknown(why) => Value::NoData(why),
    };
    seen.measures.plain("rolled_out", rolled_out);
    template(object, container, seen);
}

/// Measures a job. Source: <https://kubernetes.io/docs/concepts/workloads/controllers/job/>.
pub(super) fn measure_job(object: &Json, container: Option<&str>, seen: &mut Seen) {
    let wanted = object.pointer("/spec/completions").and_then(Json::as_i64).unwrap_or(1);
    seen.measures.plain("exists", Value::Bool(true));
    seen.measures.plain("succeeded", of(number(object, "/status/succeeded"), wanted));
    seen.measures.plain("failed", Value::Number(number(object, "/status/failed") as f64));
    seen.measures.plain("active", Value::Number(number(object, "/status/active") as f64));
    let complete = object::condition(object, "Complete") == Value::Bool(true);
    seen.measures.plain("complete", Value::Bool(complete));
    let conditions = object.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
    for failed in conditions.filter(|condition| condition["type"] == "Failed" && condition["status"] == "True") {
        let text = |key: &str| failed[key].as_str().unwrap_or_default();
        seen.notes.push(Note::info(format!("the job has failed: {} {}", text("reason"), text("message"))));
    }
    template(object, container, seen);
}

/// What a workload has, and what it is to have.
struct Counts {
    desired: i64,
    /// Pods of the newest template that are wanted.
    wanted: i64,
    updated: i64,
    /// Pods of older templates that are still there.
    old: i64,
    available: i64,
    ready: i64,
}

impl Counts {
    fn of(object: &Json, kind: &str) -> Self {
        let status = |key: &str| number(object, &format!("/status/{key}"));
        match kind {
            "DaemonSet" => {
                let desired = status("desiredNumberScheduled");
                let (updated, available) = (status("updatedNumberScheduled"), status("numberAvailable"));
                Self { desired, wanted: desired, updated, old: 0, available, ready: status("numberReady") }
            }
            "StatefulSet" => {
                let desired = replicas(object);
                let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").clamp(0, desired);
                let (updated, available) = (status("updatedReplicas"), status("availableReplicas"));
                let wanted = desired - partition;
                Self { desired, wanted, updated, old: 0, available, ready: status("readyReplicas") }
            }
            _ => {
                let (desired, updated) = (replicas(object), status("updatedReplicas"));
                let old = (status("replicas") - updated).max(0);
                let available = status("availableReplicas");
                Self { desired, wanted: desired, updated, old, available, ready: status("readyReplicas") }
            }
        }
    }

    /// Pods of the newest template, of as many as are wanted, or as there are with those of older templates.
    fn updated(&self) -> Value {
        if self.wanted == 0 && self.desired > 0 {
            return Value::NoData("the partition leaves no pod to be updated".into());
        }
        of(self.updated, self.wanted.max(self.updated + self.old))
    }
}

/// Counts so many of those that are wanted; of none, nothing is said.
fn of(count: i64, wanted: i64) -> Value {
    let count = u64::try_from(count).unwrap_or_default();
    match u64::try_from(wanted) {
        Ok(wanted @ 1..) => Value::Tally(Tally::counted(count, wanted)),
        _ => Value::NoData("the workload is to have 0 pods".into()),
    }
}

/// Measures the containers of the template.
fn template(object: &Json, container: Option<&str>, seen: &mut Seen) {
    let spec = &object["spec"]["template"]["spec"];
    let containers = pod::containers(spec, container);
    let default = object
        .pointer("/spec/template/metadata/annotations")
        .and_then(|all| all["kubectl.kubernetes.io/default-container"].as_str());
    let chosen = match containers.as_slice() {
        [only] => Some(only),
        several => several.iter().find(|one| Some(one.name.as_str()) == default),
    };
    let names = || pod::containers(spec, None).iter().map(|one| one.name.clone()).collect::<Vec<_>>().join(", ");
    let image = match (chosen, containers.is_empty()) {
        (Some(chosen), _) => Value::Text(chosen.image.clone()),
        (None, true) => Value::Missing(format!("there is no such container; there is {}", names())),
        (None, false) => Value::NoData(format!("there are several containers, name one with `container`: {}", names())),
    };
    let missing = matches!(image, Value::Missing(_)).then(|| image.clone());
    seen.measures.plain("image", image);
    let images = pod::distinct(containers.iter().map(|one| one.image.clone()));
    seen.measures.plain("images", missing.clone().unwrap_or(Value::Set(images)));
    if object["kind"] != "Job" {
        pod::probes(containers.iter().map(|one| (one.name.clone(), one)), missing, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MeasureName;
    use crate::source::kubernetes::resource::{DEPLOYMENTS, STATEFULSETS};
    use serde_json::json;

    fn measured(object: &Json, resource: &Resource) -> impl Fn(&'static str) -> Value + use<> {
        let mut seen = Seen::default();
        measure(object, resource, None, &mut seen);
        move |name| seen.measures.get(&MeasureName::plain(name)).expect(name).clone()
    }

    fn deployment(status: Json) -> Json {
        let container = json!({ "name": "app", "image": "shop/web:1.2.3", "livenessProbe": {} });
        let spec = json!({ "replicas": 3, "template": { "spec": { "containers": [container] } } });
        json!({ "kind": "Deployment", "metadata": { "generation": 2 }, "spec": spec, "status": status })
    }

    #[test]
    fn old_pods_that_are_still_there_keep_a_deployment_from_being_updated() {
        let surge = json!({ "observedGeneration": 2, "replicas": 5, "updatedReplicas": 3, "availableReplicas": 4 });
        let of = measured(&deployment(surge), &DEPLOYMENTS);
        assert_eq!(of("updated"), Value::Tally(Tally::counted(3, 5)));
        assert_eq!(of("available"), Value::Tally(Tally::counted(4, 4)));
        assert_eq!((of("rolled_out"), of("desired")), (Value::Bool(false), Value::Number(3.0)));
        assert_eq!(of("image"), Value::Text("shop/web:1.2.3".into()));
        assert_eq!(of("probes.liveness"), Value::Tally(Tally::named([("app".to_owned(), true)])));
    }

    #[test]
    fn the_status_of_an_older_specification_says_nothing() {
        let stale = json!({ "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3 });
        let of = measured(&deployment(stale), &DEPLOYMENTS);
        for name in ["updated", "available", "ready"] {
            assert!(matches!(of(name), Value::NoData(_)), "{name}: {:?}", of(name));
        }
        assert_eq!((of("generation_observed"), of("rolled_out")), (Value::Bool(false), Value::Bool(false)));
    }

    #[test]
    fn a_workload_without_pods_is_never_all_of_them() {
        let mut none = deployment(json!({ "observedGeneration": 2 }));
        none["spec"]["replicas"] = json!(0);
        let of = measured(&none, &DEPLOYMENTS);
        for name in ["updated", "available", "ready", "rolled_out"] {
            assert!(matches!(of(name), Value::NoData(_)), "{name}: {:?}", of(name));
        }
    }

    #[test]
    fn a_partition_holds_pods_back() {
        let mut set = deployment(json!({ "observedGeneration": 2, "updatedReplicas": 1, "readyReplicas": 3 }));
        set["spec"]["updateStrategy"] = json!({ "rollingUpdate": { "partition": 2 } });
        let of = measured(&set, &STATEFULSETS);
        assert_eq!((of("updated"), of("rolled_out")), (Value::Tally(Tally::counted(1, 1)), Value::Bool(true)));
        set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(3);
        assert!(matches!(measured(&set, &STATEFULSETS)("updated"), Value::NoData(_)));
    }

    #[test]
    fn of_several_containers_one_has_to_be_named() {
        let mut two = deployment(json!({ "observedGeneration": 2 }));
        let sidecar = json!({ "name": "proxy", "image": "shop/proxy:1" });
        two["spec"]["template"]["spec"]["containers"].as_array_mut().expect("a list").push(sidecar);
        let image = |object: &Json, container: Option<&str>| {
            let mut seen = Seen::default();
            measure(object, &DEPLOYMENTS, container, &mut seen);
            seen.measures.get(&MeasureName::plain("image")).expect("measured").clone()
        };
        assert!(matches!(image(&two, None), Value::NoData(why) if why.contains("app, proxy")));
        assert_eq!(image(&two, Some("proxy")), Value::Text("shop/proxy:1".into()));
        assert!(matches!(image(&two, Some("none")), Value::Missing(_)));
        let annotations = json!({ "annotations": { "kubectl.kubernetes.io/default-container": "app" } });
        two["spec"]["template"]["metadata"] = annotations;
        assert_eq!(image(&two, None), Value::Text("shop/web:1.2.3".into()));
    }

    #[test]
    fn a_job_has_completions() {
        let job = json!({ "kind": "Job", "spec": { "completions": 3 }, "status": {
            "succeeded": 1, "failed": 2,
            "conditions": [{ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded" }],
        } });
        let mut seen = Seen::default();
        measure_job(&job, None, &mut seen);
        let of = |name: &'static str| seen.measures.get(&MeasureName::plain(name)).expect(name).clone();
        assert_eq!((of("succeeded"), of("failed")), (Value::Tally(Tally::counted(1, 3)), Value::Number(2.0)));
        assert_eq!(of("complete"), Value::Bool(false));
        assert!(seen.notes[0].text.contains("BackoffLimitExceeded"), "{:?}", seen.notes);
    }
}
