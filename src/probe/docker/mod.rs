//! The `docker` probe: whether containers run, are healthy, stay up, and have the right image.
//!
//! [`which`] says which containers are meant.

pub(crate) mod which;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Compiling, Look, Probe, ProbeKind, measure};
use crate::model::{Evidence, Found, Kind, Measures, Note, Observation, Sample, Tally, Value};
use crate::shape::{Object, Shape};
use crate::source::Failure;
use crate::source::docker::{Container, Health};
use crate::template::Scope;
use crate::yaml::Node;

use which::{Asking, Which};

/// The kind.
pub const KIND: ProbeKind = ProbeKind {
    name: "docker",
    summary: "containers of a Docker engine: running, healthy, restarts, image, exit code",
    manual: MANUAL,
    shape: Shape::Either(&[Shape::Template, Shape::List(&Shape::Template), Shape::Object(&OBJECT)]),
    measures: &[
        measure("running", Kind::Tally, "How many of the containers run; one that is paused or restarting does not."),
        measure("healthy", Kind::Tally, "How many are healthy by their health check; without a check none is."),
        measure("health", Kind::Text, "unhealthy, starting, none (no health check) or healthy: the worst of them."),
        measure("restarts", Kind::Number, "How often the engine has started each of them again."),
        measure("image", Kind::Text, "The image, as it was named; missing when the containers have different ones."),
        measure("images", Kind::Set, "The images, each once."),
        measure("exit_code", Kind::Number, "How each of them ended; no data while one runs, or was never started."),
        measure(
            "started_ago",
            Kind::Duration,
            "The time since each of them was started; no data when one does not run.",
        ),
        measure("oom_killed", Kind::Tally, "How many ended last for want of memory."),
        measure("count", Kind::Number, "How many containers there are."),
    ],
    speaks_for_itself: false,
    compile,
};

static OBJECT: Object = Object {
    name: "containers",
    fields: &[which::CONTAINER, which::COMPOSE, which::LABELS, which::SOURCE],
    open: false,
};

const MANUAL: &str = "\
Asks a container engine about containers: one, several, those of a Compose project or service, or those with labels. \
Every one of them must be as expected.

```yaml
- name: The proxy runs and is healthy
  docker: zai-proxy
  expect: { running: all, health: healthy, restarts: '<= 1' }

- name: The whole stack is up with the right image
  docker: { compose: shop/web }
  expect: { count: 3, running: all, healthy: all, image: { ends_with: ':{{ inputs.version }}' } }

- name: The migration has ended well
  docker: migrate
  expect: { exit_code: 0, oom_killed: none }

- name: The old container is gone
  docker: zai-proxy-old
  expect: { running: absent }
```

The engine is that of the source `docker`, or the only one declared; when the checklist declares none it is the one \
that `docker` itself would ask: `DOCKER_HOST`, with `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`, else the socket \
`/var/run/docker.sock`. A source has a `socket`, or a `url` with `tls: { ca, cert, key }`. Contexts of the client and \
engines behind ssh are not followed. Podman answers the same questions at its own socket.

**Failure, error and no data.** A container that is named and not there is measured: `count` says how many are, and \
everything else is missing, which fails unless `absent` is expected. Of a project, a service or labels without a \
container nothing is known but `count`, 0. An engine that does not answer, may not be asked (the socket's group), is no \
engine, or says what cannot be understood is an *error*.

With several containers `restarts`, `exit_code` and `started_ago` have one value a container, each of which must hold.

The answers are those of `GET /containers/{id}/json` and `GET /containers/json` of the Engine API \
(https://docs.docker.com/reference/api/engine/), in the version that the engine names at `/_ping`.
";

struct DockerProbe {
    which: Which,
    asking: Asking,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let (which, asking) = (Which::read(compiling, node), which::source(compiling, node));
    Some(Box::new(DockerProbe { which: which?, asking: asking? }))
}

#[async_trait]
impl Probe for DockerProbe {
    fn describe(&self) -> String {
        format!("look at the containers {}", self.which.describe())
    }

    fn source(&self) -> Option<&str> {
        self.asking.name()
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        self.asking.host(scope)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let filled = match self.which.fill(look.scope) {
            Ok(filled) => filled,
            Err(failure) => return Observation::new(self.describe(), not_looked(failure)),
        };
        let request = format!("inspect {}", filled.words());
        let _busy = look.world.clock.busy();
        let engine = match self.asking.open(look, look.timeout).await {
            Ok(engine) => engine,
            Err(failure) => return Observation::new(request, not_looked(failure)),
        };
        let through = Some(engine.through());
        let found = match filled.look(&engine).await {
            Ok(found) => found,
            Err(failure) => return Observation { through, ..Observation::new(request, not_looked(failure)) },
        };
        let measures = measures(&found, self.which.is_one(), look.world.clock.now());
        let notes = found.absent.iter().map(|name| Note::warning(format!("there is no container {name}"))).collect();
        let evidence = evidence(&found.containers);
        Observation { through, notes, evidence, ..Observation::new(request, Found::Measures(measures)) }
    }
}

fn not_looked(failure: Failure) -> Found {
    Found::CouldNotLook { cause: failure.cause, retry: failure.retry }
}

fn measures(found: &which::Found, one: bool, now: DateTime<Utc>) -> Measures {
    let all = &found.containers;
    let mut measures = Measures::new();
    measures.plain("count", Value::Number(all.len() as f64));
    let tally = |holds: fn(&Container) -> bool| {
        Value::Tally(Tally::named(all.iter().map(|container| (container.name.clone(), holds(container)))))
    };
    let each = |of: &dyn Fn(&Container) -> Result<f64, String>| each(all, one, of);
    let values = [
        ("running", tally(Container::is_running)),
        ("healthy", tally(|container| container.health == Health::Healthy)),
        ("health", health(all)),
        ("restarts", each(&|container| Ok(container.restarts as f64))),
        ("image", image(all)),
        ("images", Value::Set(images(all))),
        ("exit_code", each(&exit_code)),
        ("started_ago", each(&|container| started_ago(container, now))),
        ("oom_killed", tally(|container| container.oom_killed)),
    ];
    for (name, value) in values {
        measures.plain(name, absent(found).or_else(|| nobody(found)).unwrap_or(value));
    }
    measures
}

/// Of what is named and not there, everything is missing.
fn absent(found: &which::Found) -> Option<Value> {
    let names = found.absent.join(", ");
    (!found.absent.is_empty()).then(|| Value::Missing(format!("there is no container {names}")))
}

/// Where nobody is, nothing is known of anybody.
fn nobody(found: &which::Found) -> Option<Value> {
    found.containers.is_empty().then(|| Value::NoData("there is no such container".into()))
}

/// The worst of all, which is judged for all of them.
fn health(all: &[Container]) -> Value {
    let worst = all.iter().map(|container| container.health).min();
    worst.map_or_else(|| Value::NoData("there is no container".into()), |health| Value::Text(health.word().into()))
}

fn images(all: &[Container]) -> Vec<String> {
    let mut images: Vec<_> = all.iter().map(|container| container.image.clone()).collect();
    images.sort();
    images.dedup();
    images
}

fn image(all: &[Container]) -> Value {
    match images(all).as_slice() {
        [one] => Value::Text(one.clone()),
        several => Value::Missing(format!("the containers have different images: {}", several.join(", "))),
    }
}

fn exit_code(container: &Container) -> Result<f64, String> {
    match container.status.as_str() {
        "exited" | "dead" => Ok(container.exit_code as f64),
        status => Err(format!("{} has not ended: it is {status}", container.name)),
    }
}

fn started_ago(container: &Container, now: DateTime<Utc>) -> Result<f64, String> {
    match container.started.filter(|_| container.is_running()) {
        Some(started) => Ok((now - started).as_seconds_f64().max(0.0)),
        None => Err(format!("{} does not run: it is {}", container.name, container.status)),
    }
}

/// One value a container; of the only one that is meant, the value itself.
fn each(all: &[Container], one: bool, of: &dyn Fn(&Container) -> Result<f64, String>) -> Value {
    let sample = |container: &Container| {
        let labels = [("container".to_owned(), container.name.clone())].into();
        of(container).map(|value| Sample { labels, value })
    };
    match all.iter().map(sample).collect::<Result<Vec<_>, _>>() {
        Err(why) => Value::NoData(why),
        Ok(samples) => match samples.as_slice() {
            [only] if one => Value::Number(only.value),
            _ => Value::Series(samples),
        },
    }
}

/// How many containers are listed as evidence.
const LISTED: usize = 50;

fn evidence(all: &[Container]) -> Vec<Evidence> {
    let line = |container: &Container| {
        let Container { name, status, health, restarts, image, .. } = container;
        format!("{name}: {status}, health {}, {restarts} restarts, {image}", health.word())
    };
    let text = all.iter().take(LISTED).map(line).collect::<Vec<_>>().join("\n");
    match all.is_empty() {
        true => Vec::new(),
        false => vec![Evidence { title: "containers".into(), text, left_out: 0 }],
    }
}
