//! One look at a cluster.

use std::time::Duration;

use async_trait::async_trait;

use super::spec::Target;
use super::{Form, events, measures_of, object, pods, workload};
use crate::model::{Evidence, Found, Measures, Note, Observation, Value};
use crate::probe::json::Paths;
use crate::probe::{Look, Probe};
use crate::source::Failure;
use crate::source::kubernetes::Asked;
use crate::source::kubernetes::resource::JOBS;
use crate::source::prometheus;
use crate::template::{Scope, Template};

/// Looks at a cluster.
pub(super) struct Kubernetes {
    pub(super) target: Target,
    pub(super) container: Option<Template>,
    pub(super) namespace: Option<Template>,
    /// The name of the source.
    pub(super) source: String,
    /// The URL of the API, where the checklist names one.
    pub(super) url: Option<Template>,
    pub(super) runs_commands: bool,
    pub(super) grace: Duration,
    pub(super) paths: Paths,
    /// The labels and conditions that are wanted.
    pub(super) labels: Vec<String>,
    pub(super) conditions: Vec<String>,
}

/// What a look brings together.
#[derive(Default)]
pub(super) struct Seen {
    /// What was asked.
    pub(super) request: String,
    pub(super) measures: Measures,
    pub(super) notes: Vec<Note>,
    pub(super) evidence: Vec<Evidence>,
}

#[async_trait]
impl Probe for Kubernetes {
    fn describe(&self) -> String {
        let what = match &self.target {
            Target::Pods { which, .. } => format!("the pods {}", which.source()),
            Target::Workload(resource, name) => format!("{} {}", resource.kind.to_lowercase(), name.source()),
            Target::Job(name) => format!("job {}", name.source()),
            Target::Object { which, .. } => which.source().to_owned(),
            Target::Events { of, .. } if of.source().trim() == "*" => "the warnings of the namespace".to_owned(),
            Target::Events { of, .. } => format!("the warnings about {}", of.source()),
        };
        let namespace = self.namespace.as_ref().map(|name| format!(" in the namespace {}", name.source()));
        format!("look at {what}{} through {}", namespace.unwrap_or_default(), self.source)
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        prometheus::host(self.url.as_ref()?, scope)
    }

    fn source(&self) -> Option<&str> {
        Some(&self.source)
    }

    fn runs_commands(&self) -> bool {
        self.runs_commands
    }

    fn grace(&self) -> Duration {
        self.grace
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let mut observation = Observation::new(self.describe(), Found::refused(String::new()));
        let Some(source) = look.sources.kubernetes(Some(&self.source)) else {
            observation.found = Found::refused(format!("there is no source {:?}", self.source));
            return observation;
        };
        let _busy = look.world.clock.busy();
        // A little is kept back to say what was found.
        let time = look.timeout.mul_f64(0.95);
        let asked = match source.open(look.world, look.scope, time, self.namespace.as_ref()).await {
            Ok(asked) => asked,
            Err(failure) => return Observation { found: found(failure), ..observation },
        };
        observation.through = Some(asked.through());
        let mut seen = Seen::default();
        let came = self.look(&asked, look, &mut seen).await;
        if !seen.request.is_empty() {
            observation.request = seen.request;
        }
        observation.notes = seen.notes;
        observation.evidence = seen.evidence;
        observation.found = match came {
            Ok(()) => Found::Measures(seen.measures),
            Err(failure) => found(failure),
        };
        observation
    }
}

fn found(failure: Failure) -> Found {
    Found::CouldNotLook { cause: failure.cause, retry: failure.retry }
}

impl Kubernetes {
    async fn look(&self, asked: &Asked<'_>, look: &Look<'_>, seen: &mut Seen) -> Result<(), Failure> {
        let fill = |template: &Template| fill(template, look.scope);
        let container = self.container.as_ref().map(fill).transpose()?;
        match &self.target {
            Target::Pods { which, fields } => {
                let fields = fields.as_ref().map(fill).transpose()?;
                let which = pods::Which { text: fill(which)?, fields, container };
                pods::look(asked, &which, look.run_started, &self.labels, seen).await
            }
            Target::Workload(resource, name) => {
                let name = fill(name)?;
                let Some(object) = object::get(asked, resource, &name, seen).await? else {
                    return self.missing(&resource.one(&name), asked, seen).await;
                };
                workload::measure(&object, resource, container.as_deref(), seen);
                self.of_any(object, seen);
                Ok(())
            }
            Target::Job(name) => {
                let name = fill(name)?;
                let Some(object) = object::get(asked, &JOBS, &name, seen).await? else {
                    return self.missing(&JOBS.one(&name), asked, seen).await;
                };
                workload::measure_job(&object, container.as_deref(), seen);
                self.of_any(object, seen);
                Ok(())
            }
            Target::Object { which, version } => {
                let version = version.as_ref().map(fill).transpose()?;
                let (resource, name) = object::resolve(asked, &fill(which)?, version.as_deref()).await?;
                let Some(object) = object::get(asked, &resource, &name, seen).await? else {
                    return self.missing(&resource.one(&name), asked, seen).await;
                };
                object::measure(&object, seen);
                self.of_any(object::without_secrets(object, &resource), seen);
                Ok(())
            }
            Target::Events { of, version, since } => {
                let version = version.as_ref().map(fill).transpose()?;
                let from = since.from(look.world.clock.now(), look.run_started);
                events::look(asked, &fill(of)?, version.as_deref(), from, seen).await
            }
        }
    }

    /// Measures what any object has: labels, conditions, fields.
    fn of_any(&self, object: serde_json::Value, seen: &mut Seen) {
        for label in &self.labels {
            seen.measures.keyed("labels", label.as_str(), object::label(&object, label));
        }
        for kind in &self.conditions {
            seen.measures.keyed("conditions", kind.as_str(), object::condition(&object, kind));
        }
        self.paths.measure("the object", Ok(object), &mut seen.measures);
    }

    /// Says of every measure that the object is not there.
    async fn missing(&self, what: &str, asked: &Asked<'_>, seen: &mut Seen) -> Result<(), Failure> {
        let why = object::absence(asked, what, seen).await?;
        let missing = || Value::Missing(why.clone());
        for name in measures_of(self.form()) {
            match *name {
                "exists" => seen.measures.plain("exists", Value::Bool(false)),
                "labels" | "conditions" | "json" => {}
                name => seen.measures.plain(name, missing()),
            }
        }
        self.labels.iter().for_each(|key| seen.measures.keyed("labels", key.as_str(), missing()));
        self.conditions.iter().for_each(|key| seen.measures.keyed("conditions", key.as_str(), missing()));
        self.paths.measure("the object", Err(missing()), &mut seen.measures);
        Ok(())
    }

    fn form(&self) -> Form {
        match &self.target {
            Target::Pods { .. } => Form::Pods,
            Target::Workload(..) => Form::Workload,
            Target::Job(_) => Form::Job,
            Target::Object { .. } => Form::Object,
            Target::Events { .. } => Form::Events,
        }
    }
}

/// Fills a template in.
pub(super) fn fill(template: &Template, scope: &Scope) -> Result<String, Failure> {
    let text = template.render(scope).map_err(|error| Failure::lasting(error.message))?;
    Ok(text.trim().to_owned())
}
