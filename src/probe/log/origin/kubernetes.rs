//! The logs of pods, read through the API of their cluster: of every container of every pod that is meant, one after
//! another, each line with the time at which it was kept.
//!
//! API: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod>.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value as Json;
use tokio::sync::mpsc;

use super::{Origin, OriginKind, Sent, Wanted};
use crate::diag::Diagnostic;
use crate::model::Note;
use crate::probe::kubernetes::find_source;
use crate::probe::kubernetes::selector::{self, Pods};
use crate::probe::{Compiling, Look};
use crate::shape::{Object, Shape, field};
use crate::source::Failure;
use crate::source::kubernetes::Asked;
use crate::source::kubernetes::resource::PODS;
use crate::source::prometheus;
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// The kind.
pub(super) const KIND: OriginKind = OriginKind {
    field: field("kubernetes", SHAPE, "The logs of pods: `deployment/web`, `pod/web-0`, a label selector, or a map."),
    manual: MANUAL,
    compile,
};

const MANUAL: &str = "\
`kubernetes` looks at the logs of pods, through a source of the kind `kubernetes`: those of a workload \
(`deployment/web`), of one pod (`pod/web-0`), or of those that a label selector finds. Every container of every one of \
them is read, and the lines of all are looked through together; `tail` takes so many of the last lines of each \
container. Each line has the time at which the cluster kept it, which is no part of the line.

```yaml
- name: Tokens are counted
  log: { kubernetes: deployment/zai-proxy, tail: 50 }
  expect: { matches: { 'Token usage: input=\\d+, output=\\d+': \">= 1\" } }

- name: The crash left no panic behind
  log: { kubernetes: { pods: \"app=web\", container: app, previous: true, namespace: shop } }
  expect: { matches: { '^panic:': 0 } }
```

Init containers are left out unless `container` names one; sidecars are read. With `previous` it is the log of the \
container before its last restart, and of those that never restarted there is none. A pod or container whose log cannot \
be read, because it has not started, or may not be, is an *error*, never fewer lines. So are no pods at all. Only a pod \
that is being deleted, and is gone before it is read, is left out, and that is said. A role needs `list` on `pods` and \
`get` on `pods/log`.
";

const SHAPE: Shape = Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]);

static OBJECT: Object = Object {
    name: "logs of pods",
    fields: &[
        field("pods", Shape::Template, "Which pods: `deployment/web`, `pod/web-0`, a label selector, `\"*\"` for all."),
        field("container", Shape::Template, "Only the container of this name; every one when left out."),
        field("previous", Shape::Bool, "Whether the log before the last restart is meant."),
        field("fields", Shape::Template, "A field selector for the pods besides: `status.phase=Running`."),
        field("namespace", Shape::Template, "The namespace; that of the source when left out."),
        field("source", Shape::Text, "Which of the `sources` to ask; the kubernetes one when there is one alone."),
    ],
    open: false,
};

/// Logs of pods as the checklist names them.
#[derive(Debug)]
struct PodLogs {
    pods: Template,
    container: Option<Template>,
    previous: bool,
    fields: Option<Template>,
    namespace: Option<Template>,
    source: String,
    url: Option<Template>,
    runs_commands: bool,
    grace: Duration,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Origin>> {
    let which = if node.map().is_some() { node.get("pods") } else { Some(node) };
    let Some(which) = which else {
        let message = "logs of pods need \"pods\": whose they are";
        compiling.reading.say(Diagnostic::error("missing-key", node.span, message));
        return None;
    };
    let found = find_source(compiling, node);
    let pods = compiling.reading.template(which, Place::Plain)?;
    let known = pods.render(compiling.reading.inputs).ok().filter(|text| pods.is_literal() || !text.trim().is_empty());
    if let Some(message) = known.and_then(|text| selector::pods(&text).err()) {
        compiling.reading.say(Diagnostic::error("bad-value", which.span, message));
        return None;
    }
    let found = found?;
    let reading = &mut *compiling.reading;
    Some(Box::new(PodLogs {
        pods,
        container: reading.template_at(node, "container", Place::Plain),
        previous: node.get("previous").and_then(Node::bool).unwrap_or(false),
        fields: reading.template_at(node, "fields", Place::Plain),
        namespace: reading.template_at(node, "namespace", Place::Plain),
        source: found.name().to_owned(),
        url: found.url().cloned(),
        runs_commands: found.may_run_commands(),
        grace: found.grace(),
    }))
}

/// A pod whose logs are read.
struct Read {
    name: String,
    containers: Vec<String>,
    /// Whether it is being deleted.
    leaving: bool,
}

#[async_trait]
impl Origin for PodLogs {
    fn describe(&self) -> String {
        let container = self.container.as_ref().map(|name| format!(" (container {})", name.source()));
        format!("the logs of {}{}", self.pods.source(), container.unwrap_or_default())
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

    fn is_stamped(&self) -> bool {
        true
    }

    fn takes_tails(&self) -> bool {
        true
    }

    fn request(&self, look: &Look<'_>, wanted: &Wanted) -> Result<String, Failure> {
        let fill = |template: &Option<Template>| template.as_ref().map(|one| fill(one, look.scope)).transpose();
        let mut words = vec![format!("logs of {}", fill(&Some(self.pods.clone()))?.unwrap_or_default())];
        words.extend(fill(&self.namespace)?.map(|name| format!("in the namespace {name}")));
        words.extend(fill(&self.container)?.map(|name| format!("container={name}")));
        words.extend(self.query(wanted).into_iter().map(|(key, value)| format!("{key}={value}")));
        Ok(words.join(" "))
    }

    async fn pump(&self, look: &Look<'_>, wanted: &Wanted, to: mpsc::Sender<Bytes>) -> Result<Sent, Failure> {
        let Some(source) = look.sources.kubernetes(Some(&self.source)) else {
            return Err(Failure::lasting(format!("there is no source {:?}", self.source)));
        };
        let asked = source.open(look.world, look.scope, wanted.timeout, self.namespace.as_ref()).await?;
        let pods = self.pods(&asked, look.scope).await?;
        let mut sent = Sent { through: Some(asked.through()), ..Sent::default() };
        for pod in &pods {
            for container in &pod.containers {
                match self.read(&asked, pod, container, wanted, &to).await {
                    Ok(true) => {}
                    Ok(false) => return Ok(sent),
                    Err(_) if pod.leaving && asked.find(&PODS, &pod.name).await?.is_none() => {
                        let text = format!("{} was deleted before its log was read", pod.name);
                        sent.notes.push(Note::warning(text));
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
        let count = pods.iter().map(|pod| pod.containers.len()).sum::<usize>();
        sent.notes.push(Note::info(format!("{count} containers of {} pods were read", pods.len())));
        Ok(sent)
    }
}

impl PodLogs {
    /// Finds the pods and their containers.
    async fn pods(&self, asked: &Asked<'_>, scope: &Scope) -> Result<Vec<Read>, Failure> {
        let text = fill(&self.pods, scope)?;
        let container = self.container.as_ref().map(|name| fill(name, scope)).transpose()?;
        let mut fields = self.fields.as_ref().map(|fields| fill(fields, scope)).transpose()?.unwrap_or_default();
        let mut labels = String::new();
        match selector::pods(&text).map_err(Failure::lasting)? {
            Pods::Every => {}
            Pods::Labelled(selector) => labels = selector,
            Pods::One(name) => {
                let named = format!("metadata.name={name}");
                fields = if fields.is_empty() { named } else { format!("{named},{fields}") };
            }
            Pods::Of(kind, name) => {
                let resource = asked.resource(&kind, None).await?;
                let one = resource.one(&name);
                let Some(workload) = asked.find(&resource, &name).await? else {
                    let namespace = asked.namespace();
                    return Err(Failure::lasting(format!("there is no {one} in the namespace {namespace}")));
                };
                let selector = selector::of_workload(&workload);
                labels = selector.map_err(|why| Failure::lasting(format!("{one}: {why}")))?;
            }
        }
        let query: Vec<_> = [("labelSelector", labels.as_str()), ("fieldSelector", fields.as_str())]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let found = asked.list(&PODS, &query, |pod| read(&pod, container.as_deref())).await?;
        if found.is_empty() {
            let namespace = asked.namespace();
            return Err(Failure::lasting(format!("there is no pod {text} in the namespace {namespace}")));
        }
        if let Some(without) = found.iter().find(|pod| pod.containers.is_empty()) {
            let container = container.unwrap_or_default();
            return Err(Failure::lasting(format!("the pod {} has no container {container}", without.name)));
        }
        Ok(found)
    }

    /// Sends the log of a container. Tells whether more is wanted.
    async fn read(
        &self,
        asked: &Asked<'_>,
        pod: &Read,
        container: &str,
        wanted: &Wanted,
        to: &mpsc::Sender<Bytes>,
    ) -> Result<bool, Failure> {
        let query = self.query(wanted);
        let mut pairs: Vec<_> = query.iter().map(|(key, value)| (*key, value.as_str())).collect();
        pairs.extend([("container", container), ("timestamps", "true")]);
        let broken =
            |cause: String| Failure::passing(format!("the log of {}/{container} broke off: {cause}", pod.name));
        let mut lines = asked.log(&pod.name, &pairs).await?;
        let mut last = b'\n';
        loop {
            let next = tokio::time::timeout(asked.left(), lines.next()).await;
            let Some(piece) = next.map_err(|_| broken("it did not end in time".to_owned()))? else { break };
            let piece = piece.map_err(broken)?;
            last = piece.last().copied().unwrap_or(last);
            if to.send(piece).await.is_err() {
                return Ok(false);
            }
        }
        // The next container's first line must not become the end of this one's last.
        if last != b'\n' {
            return Ok(to.send(Bytes::from_static(b"\n")).await.is_ok());
        }
        Ok(true)
    }

    fn query(&self, wanted: &Wanted) -> Vec<(&'static str, String)> {
        let since = wanted.since.map(|since| ("sinceTime", whole(since)));
        let tail = wanted.tail.map(|tail| ("tailLines", tail.to_string()));
        let previous = self.previous.then(|| ("previous", "true".to_owned()));
        since.into_iter().chain(tail).chain(previous).collect()
    }
}

/// Writes a time in whole seconds, as the API takes it; the scanner leaves out what is older by less than one.
fn whole(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn fill(template: &Template, scope: &Scope) -> Result<String, Failure> {
    let text = template.render(scope).map_err(|error| Failure::lasting(error.message))?;
    Ok(text.trim().to_owned())
}

/// Reads which containers of a pod have logs that are meant.
fn read(pod: &Json, container: Option<&str>) -> Result<Read, String> {
    let name = pod["metadata"]["name"].as_str().ok_or("has no name")?.to_owned();
    let list = |key: &str| pod["spec"][key].as_array().map(Vec::as_slice).unwrap_or_default();
    let (own, init) = (list("containers").iter(), list("initContainers").iter());
    let sidecar = |one: &&Json| container.is_some() || one["restartPolicy"] == "Always";
    let all = own.chain(init.filter(sidecar)).filter_map(|one| one["name"].as_str());
    let containers = all.filter(|name| container.is_none_or(|wanted| wanted == *name)).map(str::to_owned).collect();
    Ok(Read { name, containers, leaving: pod["metadata"]["deletionTimestamp"].is_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn containers_and_sidecars_have_logs_and_init_containers_when_they_are_named() {
        let pod = json!({ "metadata": { "name": "web-1" }, "spec": {
            "containers": [{ "name": "app" }, { "name": "proxy" }],
            "initContainers": [{ "name": "setup" }, { "name": "side", "restartPolicy": "Always" }],
        } });
        let of = |container: Option<&str>| read(&pod, container).expect("a pod").containers;
        assert_eq!(of(None), ["app", "proxy", "side"]);
        assert_eq!(of(Some("setup")), ["setup"]);
        assert_eq!(of(Some("none")), [""; 0]);
    }
}
