//! What a `kubernetes` step may say, and how it becomes a probe.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::look::Kubernetes;
use super::{Form, measures_of, selector};
use crate::diag::Diagnostic;
use crate::model::MeasureName;
use crate::probe::json::Paths;
use crate::probe::{Compiling, Probe, asked};
use crate::shape::{Object, Shape, field};
use crate::source;
use crate::source::kubernetes::Resource;
use crate::source::kubernetes::resource::{DAEMONSETS, DEPLOYMENTS, STATEFULSETS};
use crate::template::{Place, Template};
use crate::yaml::Node;

pub(super) const SHAPE: Shape = Shape::Object(&KEYS);

const KEYS: Object = Object {
    name: "kubernetes",
    fields: &[
        field(
            "pods",
            Shape::Template,
            "Pods by label selector (`app=web,variant=test`), of a workload (`deployment/web`), or all of them (`\"*\"`).",
        ),
        field("deployment", Shape::Template, "A deployment by its name."),
        field("statefulset", Shape::Template, "A stateful set by its name."),
        field("daemonset", Shape::Template, "A daemon set by its name."),
        field("job", Shape::Template, "A job by its name."),
        field("object", Shape::Template, "Any object: `ingress/web`, `certificates.cert-manager.io/web`."),
        field("events", Shape::Template, "Warnings about an object (`deployment/web`), or in the namespace (`\"*\"`)."),
        field("api_version", Shape::Template, "The version of the API that has the object: `networking.k8s.io/v1`."),
        field("fields", Shape::Template, "A field selector for pods besides: `status.phase=Running`."),
        field("container", Shape::Template, "The container whose image, restarts and probes are meant."),
        field("since", Shape::Text, "How old events may be: a duration, or `run_start`; 1h when left out."),
        field("namespace", Shape::Template, "The namespace; that of the source when left out."),
        field("source", Shape::Text, "Which of the `sources` to ask; the kubernetes one when there is one alone."),
    ],
    open: false,
};

/// The keys that say what is looked at, with the form of each.
const FORMS: &[(&str, Form)] = &[
    ("pods", Form::Pods),
    ("deployment", Form::Workload),
    ("statefulset", Form::Workload),
    ("daemonset", Form::Workload),
    ("job", Form::Job),
    ("object", Form::Object),
    ("events", Form::Events),
];

/// The keys that only some forms read.
const READ_BY: &[(&str, &[Form])] = &[
    ("api_version", &[Form::Object, Form::Events]),
    ("fields", &[Form::Pods]),
    ("container", &[Form::Pods, Form::Workload, Form::Job]),
    ("since", &[Form::Events]),
];

/// From when on events count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Since {
    Ago(Duration),
    RunStart,
}

impl Since {
    /// Returns the time from which on events count.
    pub(super) fn from(self, now: DateTime<Utc>, run_started: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Since::RunStart => run_started,
            Since::Ago(ago) => TimeDelta::from_std(ago).ok().and_then(|ago| now.checked_sub_signed(ago)).unwrap_or(now),
        }
    }
}

/// What is looked at, templates unfilled.
pub(super) enum Target {
    Pods { which: Template, fields: Option<Template> },
    Workload(&'static Resource, Template),
    Job(Template),
    Object { which: Template, version: Option<Template> },
    Events { of: Template, version: Option<Template>, since: Since },
}

pub(super) fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let (form, key, value) = form(compiling, node)?;
    let mut good = refuse_unread(compiling, node, form, key);
    good &= measures_fit(compiling, node, form, key);
    let which = compiling.reading.template(value, Place::Plain);
    good &= which.as_ref().is_some_and(|which| check(compiling, value, which, form));
    let version = compiling.reading.template_at(node, "api_version", Place::Plain);
    let fields = compiling.reading.template_at(node, "fields", Place::Plain);
    let container = compiling.reading.template_at(node, "container", Place::Plain);
    let namespace = compiling.reading.template_at(node, "namespace", Place::Plain);
    let since = match node.get("since") {
        None => Some(Since::Ago(Duration::from_secs(3600))),
        Some(since) if since.text() == Some("run_start") => Some(Since::RunStart),
        Some(since) => compiling.reading.duration(since).map(Since::Ago),
    };
    let found = find_source(compiling, node);
    let (which, since, found) = (which?, since?, found?);
    if !good {
        return None;
    }
    let target = match key {
        "pods" => Target::Pods { which, fields },
        "deployment" => Target::Workload(&DEPLOYMENTS, which),
        "statefulset" => Target::Workload(&STATEFULSETS, which),
        "daemonset" => Target::Workload(&DAEMONSETS, which),
        "job" => Target::Job(which),
        "object" => Target::Object { which, version },
        _ => Target::Events { of: which, version, since },
    };
    Some(Box::new(Kubernetes {
        target,
        container,
        namespace,
        source: found.name().to_owned(),
        url: found.url().cloned(),
        runs_commands: found.may_run_commands(),
        grace: found.grace(),
        paths: Paths::of(compiling.wants),
        labels: compiling.wants.keys("labels").into_iter().map(str::to_owned).collect(),
        conditions: compiling.wants.keys("conditions").into_iter().map(str::to_owned).collect(),
    }))
}

/// Finds the one key that says what is looked at.
fn form<'n>(compiling: &mut Compiling<'_, '_>, node: &'n Node) -> Option<(Form, &'static str, &'n Node)> {
    let found: Vec<_> = FORMS.iter().filter_map(|(key, form)| Some((*form, *key, node.entry(key)?))).collect();
    match found[..] {
        [(form, key, (_, value))] => Some((form, key, value)),
        [] => {
            let keys: Vec<_> = FORMS.iter().map(|(key, _)| *key).collect();
            let message = format!("kubernetes needs what to look at: one of {}", keys.join(", "));
            compiling.reading.say(Diagnostic::error("missing-key", node.span, message));
            None
        }
        [(_, first, (place, _)), (_, second, (other, _)), ..] => {
            let message = format!("kubernetes looks at one thing: {first:?} or {second:?}");
            let diagnostic = Diagnostic::error("bad-value", other.span, message).also(place.span, "the first one");
            compiling.reading.say(diagnostic.help("make two steps of it"));
            None
        }
    }
}

fn refuse_unread(compiling: &mut Compiling<'_, '_>, node: &Node, form: Form, written: &str) -> bool {
    let mut good = true;
    for (key, forms) in READ_BY.iter().filter(|(_, forms)| !forms.contains(&form)) {
        let Some((place, _)) = node.entry(key) else { continue };
        let readers: Vec<_> = FORMS.iter().filter(|(_, form)| forms.contains(form)).map(|(key, _)| *key).collect();
        let message = format!("{key:?} has no effect beside {written:?}");
        let help = format!("it is read with {}", readers.join(", "));
        compiling.reading.say(Diagnostic::error("unused-key", place.span, message).help(help));
        good = false;
    }
    good
}

/// A measure that this form never takes would never have a value.
fn measures_fit(compiling: &mut Compiling<'_, '_>, node: &Node, form: Form, written: &str) -> bool {
    let own = measures_of(form);
    let foreign: Vec<&MeasureName> = compiling.wants.iter().filter(|name| !own.contains(&name.name())).collect();
    let mut said: Vec<&str> = foreign.iter().map(|name| name.name()).collect();
    said.dedup();
    for name in &said {
        let other = FORMS.iter().filter(|(_, form)| measures_of(*form).contains(name)).map(|(key, _)| *key);
        let message = format!("{written:?} has no measure {name:?}");
        let help = format!("it is measured with {}; here are {}", join(other), own.join(", "));
        compiling.reading.say(Diagnostic::error("expect-unknown-measure", node.span, message).help(help));
    }
    said.is_empty()
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// Checks what is looked at as far as it is known before anything runs.
fn check(compiling: &mut Compiling<'_, '_>, node: &Node, which: &Template, form: Form) -> bool {
    let Ok(text) = which.render(compiling.reading.inputs) else { return true };
    if !which.is_literal() && text.trim().is_empty() {
        // An input that is empty by default: `when` asks about it.
        return true;
    }
    let fault = match form {
        Form::Pods => selector::pods(&text).err().map(|message| ("bad-value", message, "")),
        Form::Workload | Form::Job => {
            let bad = text.trim().is_empty() || text.contains(['/', '=', ',', ' ', '*']);
            bad.then(|| ("bad-value", format!("{text:?} is not the name of an object"), "write the name alone: web"))
        }
        Form::Object | Form::Events if text.trim() == "*" && form == Form::Events => None,
        Form::Object | Form::Events => selector::object(&text)
            .is_none()
            .then(|| ("bad-value", format!("{text:?} names no object"), "write kind and name, such as deployment/web")),
    };
    let Some((code, message, help)) = fault else { return true };
    let diagnostic = Diagnostic::error(code, node.span, message);
    compiling.reading.say(if help.is_empty() { diagnostic } else { diagnostic.help(help) });
    false
}

/// Finds the cluster that is asked.
pub(in crate::probe) fn find_source<'s>(
    compiling: &mut Compiling<'s, '_>,
    node: &Node,
) -> Option<&'s source::Kubernetes> {
    let (name, place) = asked::named_of(compiling, node, "kubernetes");
    let (span, sources) = (place.span, compiling.sources);
    if let Some(found) = sources.kubernetes(name.as_deref()) {
        return Some(found);
    }
    let diagnostic = match name {
        Some(name) => Diagnostic::error("unknown-source", span, format!("there is no cluster {name:?}"))
            .near(&name, sources.names())
            .help("declare it: `sources: { NAME: { kind: kubernetes, context: … } }`"),
        None => Diagnostic::error("no-source", span, "it is not clear which cluster is asked")
            .help("declare one: `sources: { kubernetes: { context: staging, namespace: shop } }`"),
    };
    compiling.reading.say(diagnostic);
    None
}
