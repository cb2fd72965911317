//! Asks a Kubernetes cluster. [`spec`] reads the step, [`look`] asks, [`pods`], [`workload`] with [`rollout`],
//! [`object`] and [`events`] turn what comes back into measures; [`manual`] is the page.

mod events;
mod look;
mod manual;
mod object;
mod pod;
mod pods;
mod rollout;
pub(in crate::probe) mod selector;
mod spec;
mod workload;

pub(in crate::probe) use spec::find_source;

use crate::model::Kind;
use crate::probe::{Keys, MeasureSpec, ProbeKind, keyed, measure};

/// The kind `kubernetes`.
pub const KIND: ProbeKind = ProbeKind {
    name: "kubernetes",
    summary: "pods, workloads, any object and events of a Kubernetes cluster",
    manual: manual::PAGE,
    shape: spec::SHAPE,
    measures: MEASURES,
    speaks_for_itself: false,
    compile: spec::compile,
};

const MEASURES: &[MeasureSpec] = &[
    measure("ready", Kind::Tally, "How many of the pods are ready; of a workload, of those that are desired."),
    measure("exists", Kind::Bool, "Whether the workload or the object exists."),
    measure("count", Kind::Number, "How many pods there are; those that are being deleted are not counted."),
    measure("restarts", Kind::Number, "How often the containers of one pod were restarted: the most of any pod."),
    measure("restarts.total", Kind::Number, "How often the containers of all pods were restarted."),
    measure("restarted", Kind::Tally, "Pods of which a container ended since the run began, and was started again."),
    measure("crash_looping", Kind::Tally, "Pods of which a container crashes over and over."),
    measure("phases", Kind::Set, "The phases that pods are in: Pending, Running, Succeeded, Failed, Unknown."),
    measure("images", Kind::Set, "The images that the containers are to run."),
    measure("image", Kind::Text, "A workload's image: that of its only container, or of the one named `container`."),
    keyed("labels", Kind::Set, Keys::Name, "The values of a label: of all pods, or of the object."),
    measure("probes.liveness", Kind::Tally, "Containers that have a liveness probe."),
    measure("probes.readiness", Kind::Tally, "Containers that have a readiness probe."),
    measure("probes.startup", Kind::Tally, "Containers that have a startup probe."),
    measure(
        "updated",
        Kind::Tally,
        "Pods of the newest template, of those that are desired, or of all there are when these are more.",
    ),
    measure("available", Kind::Tally, "Pods that are available, of those that are desired."),
    measure("desired", Kind::Number, "How many pods the workload is to have."),
    measure("generation_observed", Kind::Bool, "Whether the controller has seen the newest specification."),
    keyed("conditions", Kind::Bool, Keys::Name, "A condition of the object by its type; Unknown is no data."),
    measure("rolled_out", Kind::Bool, "Whether the rollout is complete, as `kubectl rollout status` judges."),
    measure("succeeded", Kind::Tally, "Pods of a job that succeeded, of the completions that it is to have."),
    measure("failed", Kind::Number, "Pods of a job that failed."),
    measure("active", Kind::Number, "Pods of a job that run."),
    measure("complete", Kind::Bool, "Whether a job is complete."),
    keyed("json", Kind::Json, Keys::JsonPath, "A field of the workload or the object by JSONPath."),
    measure("warnings", Kind::Number, "How many events of the type Warning were seen last within `since`."),
    measure("reasons", Kind::Set, "The reasons of these events: BackOff, FailedScheduling."),
    measure("messages", Kind::Set, "What these events say, each once."),
];

/// What a step looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Pods,
    /// Deployment, stateful set, daemon set.
    Workload,
    Job,
    Object,
    Events,
}

/// Names the measures that each form takes.
fn measures_of(form: Form) -> &'static [&'static str] {
    match form {
        Form::Pods => &[
            "ready",
            "count",
            "restarts",
            "restarts.total",
            "restarted",
            "crash_looping",
            "phases",
            "images",
            "labels",
            "probes.liveness",
            "probes.readiness",
            "probes.startup",
        ],
        Form::Workload => &[
            "ready",
            "exists",
            "updated",
            "available",
            "desired",
            "generation_observed",
            "rolled_out",
            "image",
            "images",
            "labels",
            "conditions",
            "probes.liveness",
            "probes.readiness",
            "probes.startup",
            "json",
        ],
        Form::Job => {
            &["exists", "succeeded", "failed", "active", "complete", "image", "images", "labels", "conditions", "json"]
        }
        Form::Object => &["exists", "generation_observed", "labels", "conditions", "json"],
        Form::Events => &["warnings", "reasons", "messages"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_belongs_to_a_form() {
        let forms = [Form::Pods, Form::Workload, Form::Job, Form::Object, Form::Events];
        for measure in MEASURES {
            assert!(forms.iter().any(|form| measures_of(*form).contains(&measure.name)), "{}", measure.name);
        }
        for name in forms.iter().flat_map(|form| measures_of(*form)) {
            assert!(MEASURES.iter().any(|measure| measure.name == *name), "{name}");
        }
    }
}
