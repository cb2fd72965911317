//! Whether a rollout is complete, judged as `kubectl rollout status` judges it.
//!
//! Source of the rules: kubectl's `pkg/polymorphichelpers/rollout_status.go`; what the numbers mean:
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status>.

use serde_json::Value as Json;

/// What is known of a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rollout {
    /// It is complete.
    Done,
    /// It goes on, and what is waited for.
    Waiting(String),
    /// It has come to nothing.
    Failed(String),
    /// There is no rollout to judge.
    Unknown(String),
}

/// Judges a deployment, stateful set or daemon set.
pub(super) fn judge(object: &Json, kind: &str) -> Rollout {
    match kind {
        "Deployment" => deployment(object),
        "StatefulSet" => statefulset(object),
        _ => daemonset(object),
    }
}

/// Returns a number; one that is not there is 0, as the API leaves out those that are.
pub(super) fn number(object: &Json, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Json::as_i64).unwrap_or_default()
}

/// Returns how many pods a deployment or stateful set is to have: one when nothing is said.
pub(super) fn replicas(object: &Json) -> i64 {
    object.pointer("/spec/replicas").and_then(Json::as_i64).unwrap_or(1)
}

fn unseen(object: &Json) -> Option<Rollout> {
    let (newest, observed) = (number(object, "/metadata/generation"), number(object, "/status/observedGeneration"));
    (newest > observed).then(|| Rollout::Waiting("the controller has not seen the newest specification yet".into()))
}

fn deployment(object: &Json) -> Rollout {
    if let Some(unseen) = unseen(object) {
        return unseen;
    }
    let conditions = object.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
    let progressing = conditions.into_iter().find(|condition| condition["type"] == "Progressing");
    if progressing.is_some_and(|condition| condition["reason"] == "ProgressDeadlineExceeded") {
        return Rollout::Failed("the deployment exceeded its progress deadline".into());
    }
    let desired = replicas(object);
    let updated = number(object, "/status/updatedReplicas");
    let (all, available) = (number(object, "/status/replicas"), number(object, "/status/availableReplicas"));
    if updated < desired {
        return Rollout::Waiting(format!("{updated} of {desired} new pods have been updated"));
    }
    if all > updated {
        return Rollout::Waiting(format!("{} old pods have yet to end", all - updated));
    }
    if available < updated {
        return Rollout::Waiting(format!("{available} of {updated} updated pods are available"));
    }
    scaled(desired)
}

fn statefulset(object: &Json) -> Rollout {
    if let Some(other) = other_strategy(object) {
        return other;
    }
    if number(object, "/status/observedGeneration") == 0 {
        return Rollout::Waiting("the controller has not seen the newest specification yet".into());
    }
    if let Some(unseen) = unseen(object) {
        return unseen;
    }
    let desired = replicas(object);
    let (ready, updated) = (number(object, "/status/readyReplicas"), number(object, "/status/updatedReplicas"));
    if ready < desired {
        return Rollout::Waiting(format!("{} pods have yet to be ready", desired - ready));
    }
    if object.pointer("/spec/updateStrategy/rollingUpdate").is_some_and(Json::is_object) {
        let wanted = desired - number(object, "/spec/updateStrategy/rollingUpdate/partition");
        return match updated < wanted {
            true => Rollout::Waiting(format!("{updated} of {wanted} new pods have been updated")),
            false => scaled(desired),
        };
    }
    if object.pointer("/status/updateRevision") != object.pointer("/status/currentRevision") {
        return Rollout::Waiting(format!("{updated} of {desired} pods are at the newest revision"));
    }
    scaled(desired)
}

fn daemonset(object: &Json) -> Rollout {
    if let Some(other) = other_strategy(object) {
        return other;
    }
    if let Some(unseen) = unseen(object) {
        return unseen;
    }
    let desired = number(object, "/status/desiredNumberScheduled");
    let updated = number(object, "/status/updatedNumberScheduled");
    let available = number(object, "/status/numberAvailable");
    if updated < desired {
        return Rollout::Waiting(format!("{updated} of {desired} new pods have been updated"));
    }
    if available < desired {
        return Rollout::Waiting(format!("{available} of {desired} updated pods are available"));
    }
    scaled(desired)
}

fn other_strategy(object: &Json) -> Option<Rollout> {
    let strategy = object.pointer("/spec/updateStrategy/type").and_then(Json::as_str).unwrap_or("RollingUpdate");
    (strategy != "RollingUpdate")
        .then(|| Rollout::Unknown(format!("the update strategy is {strategy}: only RollingUpdate has a rollout")))
}

/// kubectl calls a workload without pods rolled out; here nothing is said of nothing.
fn scaled(desired: i64) -> Rollout {
    match desired {
        0 => Rollout::Unknown("the workload is to have 0 pods: nothing runs that could be rolled out".into()),
        _ => Rollout::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Makes an object out of what differs from one that is rolled out.
    fn with(whole: Json, changes: &[(&str, Json)]) -> Json {
        let mut whole = whole;
        for (pointer, value) in changes {
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
            whole.pointer_mut(parent).expect("a place")[key] = value.clone();
        }
        whole
    }

    #[test]
    fn a_deployment_is_judged_as_kubectl_does() {
        let done = json!({
            "metadata": { "generation": 3 },
            "spec": { "replicas": 3 },
            "status": {
                "observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3,
                "conditions": [{ "type": "Progressing", "reason": "NewReplicaSetAvailable" }],
            },
        });
        let of = |changes: &[(&str, Json)]| judge(&with(done.clone(), changes), "Deployment");
        let waiting = |words: &str| Rollout::Waiting(words.to_owned());
        assert_eq!(of(&[]), Rollout::Done);
        let unseen = waiting("the controller has not seen the newest specification yet");
        assert_eq!(of(&[("/metadata/generation", json!(4))]), unseen);
        assert_eq!(of(&[("/status/updatedReplicas", json!(1))]), waiting("1 of 3 new pods have been updated"));
        assert_eq!(of(&[("/status/replicas", json!(5))]), waiting("2 old pods have yet to end"));
        assert_eq!(of(&[("/status/availableReplicas", json!(2))]), waiting("2 of 3 updated pods are available"));
        let late = json!([{ "type": "Progressing", "reason": "ProgressDeadlineExceeded" }]);
        assert!(matches!(of(&[("/status/conditions", late.clone())]), Rollout::Failed(_)));
        // What the controller says of an earlier specification is no word on the newest.
        assert_eq!(of(&[("/status/conditions", late), ("/metadata/generation", json!(4))]), unseen);
        let none = [("/spec/replicas", json!(0)), ("/status", json!({ "observedGeneration": 3 }))];
        assert!(matches!(of(&none), Rollout::Unknown(_)));
        assert_eq!(of(&[("/spec", json!({}))]), Rollout::Done, "one replica is the default");
    }

    #[test]
    fn a_stateful_set_is_judged_as_kubectl_does() {
        let done = json!({
            "metadata": { "generation": 2 },
            "spec": { "replicas": 4, "updateStrategy": { "type": "RollingUpdate" } },
            "status": {
                "observedGeneration": 2, "readyReplicas": 4, "updatedReplicas": 4,
                "currentRevision": "a", "updateRevision": "a",
            },
        });
        let of = |changes: &[(&str, Json)]| judge(&with(done.clone(), changes), "StatefulSet");
        assert_eq!(of(&[]), Rollout::Done);
        assert!(matches!(of(&[("/status/observedGeneration", json!(0))]), Rollout::Waiting(_)));
        assert_eq!(of(&[("/status/readyReplicas", json!(3))]), Rollout::Waiting("1 pods have yet to be ready".into()));
        assert!(matches!(of(&[("/status/updateRevision", json!("b"))]), Rollout::Waiting(_)));
        let partition = ("/spec/updateStrategy/rollingUpdate", json!({ "partition": 2 }));
        let part = |updated: i64| [partition.clone(), ("/status/updatedReplicas", json!(updated))];
        assert_eq!(of(&part(2)), Rollout::Done);
        assert_eq!(of(&part(1)), Rollout::Waiting("1 of 2 new pods have been updated".into()));
        assert!(matches!(of(&[("/spec/updateStrategy/type", json!("OnDelete"))]), Rollout::Unknown(_)));
    }

    #[test]
    fn a_daemon_set_is_judged_as_kubectl_does() {
        let done = json!({
            "metadata": { "generation": 2 },
            "spec": {},
            "status": {
                "observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3,
            },
        });
        let of = |changes: &[(&str, Json)]| judge(&with(done.clone(), changes), "DaemonSet");
        assert_eq!(of(&[]), Rollout::Done);
        assert!(matches!(of(&[("/status/observedGeneration", json!(1))]), Rollout::Waiting(_)));
        assert!(matches!(of(&[("/status/updatedNumberScheduled", json!(2))]), Rollout::Waiting(_)));
        assert!(matches!(of(&[("/status/numberAvailable", json!(2))]), Rollout::Waiting(_)));
        assert!(matches!(of(&[("/status/desiredNumberScheduled", json!(0))]), Rollout::Unknown(_)));
        assert!(matches!(of(&[("/spec/updateStrategy", json!({ "type": "OnDelete" }))]), Rollout::Unknown(_)));
    }
}
