//! `tcp`: whether a port accepts connections, or is free, and what is said there unasked.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::{Compiling, Look, MeasureSpec, Probe, ProbeKind, measure};
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::{
    Expectation, Found, Kind, Literal, Matcher, MeasureName, Measures, Note, Observation, Origin, Value, quantity,
};
use crate::shape::{Object, Shape, field, required};
use crate::sys::Policy;
use crate::sys::net::{self, NoAddress};
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// How many bytes of a banner are read.
const BANNER: usize = 1024;

/// How long a banner may pause before it counts as said: behind a complete line, and within one.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// The kind `tcp`.
pub const KIND: ProbeKind = ProbeKind {
    name: "tcp",
    summary: "a TCP port that accepts connections, or is free",
    manual: MANUAL,
    shape: Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]),
    measures: MEASURES,
    speaks_for_itself: false,
    compile,
};

const MANUAL: &str = "\
Connects and closes again. Without `expect` the port must accept the connection, or with `closed: true` must not:

```yaml
- name: The database accepts connections
  tcp: db.internal:5432

- name: Nothing listens on the old port
  tcp: { address: \"localhost:8081\", closed: true }

- name: The mail server says hello
  tcp: mail.internal:25
  expect: { banner: { starts_with: \"220 \" }, latency: \"< 200ms\" }
```

**Open or not.** A refused connection, an unreachable host and a connection that does not come about within `timeout` \
are measured: `open` is false, and the report says which of them it was. Only a refused connection proves that nothing \
listens; of the others a firewall may be the cause. A name without an address has *failed*. When this machine itself \
cannot connect, because it has no network, no port or no file left, that is an *error*: nothing is known of the port.

**The banner** is read only when it is expected: up to 1KiB, until nothing follows a complete line for 200ms (an \
incomplete one for 1s). A \
server that says nothing within `timeout` has no banner: it is *missing*.
";

const OBJECT: Object = Object {
    name: "tcp",
    open: false,
    fields: &[
        required("address", Shape::Template, "Host and port: `localhost:5432`, `[::1]:8080`."),
        field("closed", Shape::Bool, "Whether the port must be free instead of open."),
    ],
};

const MEASURES: &[MeasureSpec] = &[
    measure("open", Kind::Bool, "Whether the connection was accepted."),
    measure(
        "latency",
        Kind::Duration,
        "From the start until the connection was accepted, the name's address included.",
    ),
    measure("banner", Kind::Text, "What the server says unasked; no data when it is more than 1KiB."),
];

struct Tcp {
    address: Template,
    closed: bool,
    banner: bool,
    origin: Origin,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let place = if node.text().is_some() { node } else { node.get("address")? };
    let address = compiling.reading.template(place, Place::Plain)?;
    check(compiling.reading, place, &address)?;
    Some(Box::new(Tcp {
        address,
        closed: node.get("closed").and_then(Node::bool).unwrap_or(false),
        banner: compiling.wants.any("banner"),
        origin: compiling.reading.origin(node),
    }))
}

/// Checks an address as far as it is known before anything runs.
fn check(reading: &mut Reading<'_>, node: &Node, address: &Template) -> Option<()> {
    let Ok(text) = address.render(reading.inputs) else { return Some(()) };
    if !address.is_literal() && text.trim().is_empty() {
        // An input that is empty by default: `when` asks about it.
        return Some(());
    }
    match net::host_and_port(&text) {
        Ok(_) => Some(()),
        Err(message) => {
            reading.say(
                Diagnostic::error("bad-address", node.span, message).help("write host:port, such as localhost:5432"),
            );
            None
        }
    }
}

#[async_trait]
impl Probe for Tcp {
    fn describe(&self) -> String {
        format!("{} {}", if self.closed { "nothing listens on" } else { "connect to" }, self.address.source())
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        self.address.render(scope).ok()
    }

    fn implied(&self) -> Option<Expectation> {
        Some(Expectation::Measure {
            name: MeasureName::plain("open"),
            kind: Kind::Bool,
            matcher: Matcher::Equals(Literal::Bool(!self.closed)),
            origin: self.origin.clone(),
        })
    }

    fn silence_is_failure(&self) -> bool {
        true
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let text = match self.address.render(look.scope) {
            Ok(text) => text,
            Err(error) => return Observation::new(self.describe(), Found::refused(error.message)),
        };
        let request = format!("connect to {}", text.trim());
        let (host, port) = match net::host_and_port(&text) {
            Ok(parts) => parts,
            Err(message) => return Observation::new(request, Found::refused(message)),
        };
        match self.connect(&look.world.policy, host, port, look.timeout).await {
            Ok((measures, notes)) => Observation { notes, ..Observation::new(request, Found::Measures(measures)) },
            Err(found) => Observation::new(request, found),
        }
    }
}

impl Tcp {
    async fn connect(
        &self,
        policy: &Policy,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<(Measures, Vec<Note>), Found> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + timeout.min(Duration::from_secs(31_536_000));
        let addresses = resolve(policy, host, port, deadline, timeout).await?;
        let connected = timeout_at(deadline, net::connect(&addresses)).await;
        let latency = started.elapsed();
        let mut measures = Measures::new();
        let error = match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                measures.plain("open", Value::Bool(true));
                measures.plain("latency", Value::Number(latency.as_secs_f64()));
                if self.banner {
                    measures.plain("banner", banner(stream, deadline).await);
                }
                return Ok((measures, Vec::new()));
            }
            Err(error) => error,
        };
        let Some(why) = closed(&error, timeout) else {
            return Err(Found::could_not_look(format!("this machine cannot connect: {error}")));
        };
        measures.plain("open", Value::Bool(false));
        measures.plain("latency", Value::Missing(why.clone()));
        if self.banner {
            measures.plain("banner", Value::Missing(why.clone()));
        }
        Ok((measures, vec![Note::info(why)]))
    }
}

/// Asks for the addresses of a name.
async fn resolve(
    policy: &Policy,
    host: &str,
    port: u16,
    deadline: tokio::time::Instant,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, Found> {
    match timeout_at(deadline, net::resolve(policy, host, port)).await {
        Err(_) => {
            let cause = format!("the name {host} was not resolved within {}", quantity::seconds(timeout.as_secs_f64()));
            Err(Found::NoAnswer { cause })
        }
        Ok(Err(NoAddress::Unknown(cause))) => Err(Found::NoAnswer { cause }),
        Ok(Err(NoAddress::Refused(refusal))) => Err(Found::refused(refusal.message)),
        Ok(Ok(found)) => Ok(found),
    }
}

/// Says why the port is not open; nothing when the error says nothing of it.
fn closed(error: &io::Error, timeout: Duration) -> Option<String> {
    net::is_told(error).then(|| match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused".into(),
        io::ErrorKind::TimedOut => format!("no connection within {}", quantity::seconds(timeout.as_secs_f64())),
        io::ErrorKind::HostUnreachable => "the host cannot be reached".into(),
        _ => format!("no connection: {error}"),
    })
}

/// Reads what is said unasked: until nothing more follows, the bound, or the deadline.
async fn banner(mut stream: TcpStream, deadline: tokio::time::Instant) -> Value {
    let mut said = vec![0; BANNER];
    let mut length = 0;
    while length < BANNER {
        let until = match said[..length].last() {
            None => deadline,
            Some(last) => deadline.min(tokio::time::Instant::now() + PAUSES[usize::from(*last != b'\n')]),
        };
        match timeout_at(until, stream.read(&mut said[length..])).await {
            Ok(Ok(0)) | Ok(Err(_)) | Err(_) => break,
            Ok(Ok(count)) => length += count,
        }
    }
    match length {
        0 => Value::Missing("the server said nothing".into()),
        BANNER => Value::NoData(format!("the server says more than {}", quantity::bytes(BANNER as f64))),
        _ => Value::Text(String::from_utf8_lossy(&said[..length]).trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_cannot_do_says_nothing_of_the_port() {
        use rustix::io::Errno;
        let second = Duration::from_secs(1);
        let of = |errno: Errno| closed(&errno.into(), second);
        assert_eq!(of(Errno::CONNREFUSED).as_deref(), Some("the connection was refused"));
        assert!(of(Errno::HOSTUNREACH).is_some() && of(Errno::TIMEDOUT).is_some());
        for local in [Errno::MFILE, Errno::ADDRNOTAVAIL, Errno::NETUNREACH, Errno::PERM, Errno::NOBUFS] {
            assert_eq!(of(local), None, "{local}");
        }
    }
}
