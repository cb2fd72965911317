//! Pods that a selector finds, counted and measured together.

use chrono::{DateTime, Utc};

use super::look::Seen;
use super::pod::{self, Pod};
use super::selector::{self, Pods};
use super::{Form, measures_of, object};
use crate::model::{Evidence, Note, Tally, Value};
use crate::source::Failure;
use crate::source::kubernetes::Asked;
use crate::source::kubernetes::resource::PODS;

/// The most pods that are listed as evidence, and named in notes.
const SHOWN: usize = 50;
const NAMED: usize = 5;

/// Which pods are meant, templates filled.
pub(super) struct Which {
    pub(super) text: String,
    pub(super) fields: Option<String>,
    pub(super) container: Option<String>,
}

/// Looks for the pods and measures them.
pub(super) async fn look(
    asked: &Asked<'_>,
    which: &Which,
    run_started: DateTime<Utc>,
    labels: &[String],
    seen: &mut Seen,
) -> Result<(), Failure> {
    let query = match query(asked, which, seen).await? {
        Ok(query) => query,
        Err(missing) => {
            without(Value::Missing(missing.clone()), Value::Missing(missing), labels, seen);
            return Ok(());
        }
    };
    let pairs: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let shown: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    seen.request = format!("GET {}?{}", PODS.path(asked.namespace(), None)?, shown.join("&"));
    let (container, now) = (which.container.as_deref(), asked.now());
    let found = asked.list(&PODS, &pairs, |pod| Pod::read(&pod, container, now)).await?;
    let (leaving, there): (Vec<_>, Vec<_>) = found.into_iter().partition(|pod| pod.leaving);
    remarks(&leaving, &there, seen);
    if there.is_empty() {
        let why = object::absence(asked, &format!("pod {}", which.text), seen).await?;
        let why = if leaving.is_empty() { why } else { format!("{why} but such as are being deleted") };
        without(Value::Number(0.0), Value::NoData(why), labels, seen);
        return Ok(());
    }
    measure(&there, which.container.as_deref(), run_started, labels, seen);
    Ok(())
}

/// Writes the query; or says what workload there is not.
async fn query(
    asked: &Asked<'_>,
    which: &Which,
    seen: &mut Seen,
) -> Result<Result<Vec<(&'static str, String)>, String>, Failure> {
    let mut query = Vec::new();
    let mut fields = which.fields.clone().filter(|fields| !fields.is_empty());
    match selector::pods(&which.text).map_err(Failure::lasting)? {
        Pods::Every => {}
        Pods::One(name) => {
            let named = format!("metadata.name={name}");
            fields = Some(fields.map_or(named.clone(), |fields| format!("{named},{fields}")));
        }
        Pods::Labelled(selector) => query.push(("labelSelector", selector)),
        Pods::Of(kind, name) => {
            let resource = asked.resource(&kind, None).await?;
            let Some(workload) = object::get(asked, &resource, &name, seen).await? else {
                return object::absence(asked, &resource.one(&name), seen).await.map(Err);
            };
            let selector = selector::of_workload(&workload);
            let selector = selector.map_err(|why| Failure::lasting(format!("{}: {why}", resource.one(&name))))?;
            query.push(("labelSelector", selector));
        }
    }
    query.extend(fields.map(|fields| ("fieldSelector", fields)));
    Ok(Ok(query))
}

/// Says of every measure but the count that there is nothing to measure.
fn without(count: Value, rest: Value, labels: &[String], seen: &mut Seen) {
    for name in measures_of(Form::Pods) {
        match *name {
            "count" => seen.measures.plain("count", count.clone()),
            "labels" => {}
            name => seen.measures.plain(name, rest.clone()),
        }
    }
    labels.iter().for_each(|key| seen.measures.keyed("labels", key.as_str(), rest.clone()));
}

fn measure(pods: &[Pod], container: Option<&str>, run_started: DateTime<Utc>, labels: &[String], seen: &mut Seen) {
    let tally = |holds: &dyn Fn(&Pod) -> bool| {
        Value::Tally(Tally::named(pods.iter().map(|pod| (pod.name.clone(), holds(pod)))))
    };
    // A container that a pod does not have cannot be spoken of.
    let lacking = pods.iter().find(|pod| pod.containers.is_empty()).zip(container);
    let missing = lacking.map(|(pod, name)| Value::Missing(format!("the pod {} has no container {name}", pod.name)));
    let or_missing = |value: Value| missing.clone().unwrap_or(value);
    let most = pods.iter().map(|pod| pod.restarts).max().unwrap_or_default();
    let total: i64 = pods.iter().map(|pod| pod.restarts).sum();
    seen.measures.plain("ready", tally(&|pod| pod.ready));
    seen.measures.plain("count", Value::Number(pods.len() as f64));
    seen.measures.plain("restarts", or_missing(Value::Number(most as f64)));
    seen.measures.plain("restarts.total", or_missing(Value::Number(total as f64)));
    seen.measures.plain("restarted", or_missing(tally(&|pod| pod.ended.is_some_and(|ended| ended >= run_started))));
    seen.measures.plain("crash_looping", or_missing(tally(&|pod| pod.crashing.is_some())));
    seen.measures.plain("phases", Value::Set(pod::distinct(pods.iter().map(|pod| pod.phase.clone()))));
    let images = pods.iter().flat_map(|pod| &pod.containers).map(|container| container.image.clone());
    seen.measures.plain("images", or_missing(Value::Set(pod::distinct(images))));
    let containers = pods.iter().flat_map(|pod| pod.containers.iter().map(move |one| (pod, one)));
    let containers = containers.map(|(pod, one)| (format!("{}/{}", pod.name, one.name), one));
    pod::probes(containers, missing.clone(), seen);
    for key in labels {
        let without = pods.iter().find(|pod| !pod.labels.contains_key(key));
        let value = match without {
            Some(pod) => Value::Missing(format!("the pod {} has no label {key}", pod.name)),
            None => Value::Set(pod::distinct(pods.iter().filter_map(|pod| pod.labels.get(key).cloned()))),
        };
        seen.measures.keyed("labels", key.as_str(), value);
    }
}

/// Says what a reader should know besides, and lists the pods.
fn remarks(leaving: &[Pod], there: &[Pod], seen: &mut Seen) {
    if !leaving.is_empty() {
        seen.notes.push(Note::info(format!("{} pods more are being deleted; they are not counted", leaving.len())));
    }
    let crashing = there.iter().filter_map(|pod| Some((pod, pod.crashing.as_ref()?)));
    for (pod, why) in crashing.take(NAMED) {
        seen.notes.push(Note::info(format!("{}: {why}", pod.name)));
    }
    let unready = there.iter().filter(|pod| !pod.ready && pod.crashing.is_none());
    for pod in unready.take(NAMED) {
        let why = pod.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let why: String = why.chars().take(300).collect();
        seen.notes.push(Note::info(format!("{} is {} and not ready{why}", pod.name, pod.phase)));
    }
    let rows: Vec<_> = there.iter().chain(leaving).take(SHOWN).map(Pod::row).collect();
    let more = (there.len() + leaving.len()).saturating_sub(SHOWN);
    let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
    if !rows.is_empty() {
        let text = format!("{}{more}", rows.join("\n"));
        seen.evidence.push(Evidence { title: "pods".into(), text, left_out: 0 });
    }
}
