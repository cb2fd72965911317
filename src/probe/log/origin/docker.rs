//! The log of a container, as its engine keeps it: both streams, each line with the time at which it was written.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Origin, OriginKind, Sent, Wanted};
use crate::probe::docker::which::{self, Asking, Which};
use crate::probe::{Compiling, Look};
use crate::shape::{Object, Shape, field};
use crate::source::Failure;
use crate::source::docker::frames::Frames;
use crate::source::docker::{Container, Engine};
use crate::template::Scope;
use crate::yaml::Node;

/// The kind.
pub(super) const KIND: OriginKind = OriginKind {
    field: field("docker", SHAPE, "The log of a container of a Docker engine: its name, or a map."),
    manual: MANUAL,
    compile,
};

const SHAPE: Shape = Shape::Either(&[Shape::Template, Shape::List(&Shape::Template), Shape::Object(&OBJECT)]);

static OBJECT: Object = Object {
    name: "the log of containers",
    fields: &[
        which::CONTAINER,
        which::COMPOSE,
        which::LABELS,
        which::SOURCE,
        field("stream", Shape::Word(&["both", "stdout", "stderr"]), "Which of its outputs; both unless given."),
    ],
    open: false,
};

const MANUAL: &str = "\
`docker` looks at what containers write to their output, with the time at which the engine received each line, which \
is no part of the line. Containers are chosen as the probe `docker` does, and asked for at the same engine; `tail` \
holds for each of them.

```yaml
- name: The proxy logged no error since the run began
  log: { docker: zai-proxy, since: run_start }
  expect: { matches: { '(?i)error': 0 } }

- name: No web server of the stack complains
  log: { docker: { compose: shop/web, stream: stderr }, tail: 200 }
  expect: { matches: { '(?i)panic|fatal': 0 } }
```

A container that is not there is an *error*, as is an engine that does not answer, a logging driver that cannot be \
read back, and a log that breaks off. A container that has written nothing has an empty log. What was written before \
the engine's own rotation is gone and does not count. The protocol is that of `GET /containers/{id}/logs` of the \
Engine API.
";

/// The logs of containers as the checklist names them.
#[derive(Debug)]
struct Containers {
    which: Which,
    asking: Asking,
    stdout: bool,
    stderr: bool,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Origin>> {
    let (which, asking) = (Which::read(compiling, node), which::source(compiling, node));
    let stream = node.get("stream").and_then(Node::text);
    let (stdout, stderr) = (stream != Some("stderr"), stream != Some("stdout"));
    Some(Box::new(Containers { which: which?, asking: asking?, stdout, stderr }))
}

#[async_trait]
impl Origin for Containers {
    fn describe(&self) -> String {
        format!("the log of the container {}", self.which.describe())
    }

    fn source(&self) -> Option<&str> {
        self.asking.name()
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        self.asking.host(scope)
    }

    fn is_stamped(&self) -> bool {
        true
    }

    fn takes_tails(&self) -> bool {
        !self.which.is_one()
    }

    fn request(&self, look: &Look<'_>, wanted: &Wanted) -> Result<String, Failure> {
        let since = wanted.since.map(|since| format!(", since {}", since.to_rfc3339())).unwrap_or_default();
        let tail = wanted.tail.map(|tail| format!(", the last {tail} lines")).unwrap_or_default();
        Ok(format!("logs of {}{since}{tail}", self.which.fill(look.scope)?.words()))
    }

    async fn pump(&self, look: &Look<'_>, wanted: &Wanted, to: mpsc::Sender<Bytes>) -> Result<Sent, Failure> {
        let filled = self.which.fill(look.scope)?;
        let engine = self.asking.open(look, wanted.timeout).await?;
        let found = filled.look(&engine).await?;
        if !found.absent.is_empty() || found.containers.is_empty() {
            let names = if found.absent.is_empty() { filled.words() } else { found.absent.join(", ") };
            return Err(Failure::lasting(format!("{} knows no container {names}", engine.through())));
        }
        for container in &found.containers {
            if !self.send(&engine, container, wanted, &to).await? {
                break;
            }
        }
        Ok(Sent { through: Some(engine.through()), ..Sent::default() })
    }
}

impl Containers {
    /// Sends the log of one container. Tells whether more is wanted.
    async fn send(
        &self,
        engine: &Engine<'_>,
        container: &Container,
        wanted: &Wanted,
        to: &mpsc::Sender<Bytes>,
    ) -> Result<bool, Failure> {
        let (stdout, stderr) = (self.stdout.to_string(), self.stderr.to_string());
        let tail = wanted.tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string());
        let since = wanted.since.map(|since| format!("{}.{:09}", since.timestamp(), since.timestamp_subsec_nanos()));
        let mut query = vec![
            ("stdout", stdout.as_str()),
            ("stderr", stderr.as_str()),
            ("timestamps", "true"),
            ("tail", tail.as_str()),
        ];
        query.extend(since.as_deref().map(|since| ("since", since)));
        let mut answer = engine.logs(container, &query).await?;
        let mut frames = (!container.tty).then(Frames::default);
        let broken = |cause: String| Failure::passing(format!("the log of {}: {cause}", container.name));
        let mut end = b'\n';
        while let Some(piece) = answer.next().await {
            let piece = piece.map_err(|error| broken(error.to_string()))?;
            let lines = match &mut frames {
                None => piece,
                Some(frames) => frames.take(&piece).map_err(broken)?.into(),
            };
            end = lines.last().copied().unwrap_or(end);
            if !lines.is_empty() && to.send(lines).await.is_err() {
                return Ok(false);
            }
        }
        let mut rest = frames.map_or(Ok(Vec::new()), Frames::end).map_err(broken)?;
        // A log without a newline at its end must not run into the next one.
        if end != b'\n' {
            rest.push(b'\n');
        }
        Ok(rest.is_empty() || to.send(rest.into()).await.is_ok())
    }
}
