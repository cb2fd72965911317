//! A container engine that speaks Docker's Engine API, over its socket or over TCP: Docker itself, Podman.
//!
//! The API is that of <https://docs.docker.com/reference/api/engine/>. Which version of it is spoken is what the engine
//! names in its answer to `/_ping`. [`container`] reads what is said of a container, [`frames`] its logs.

pub mod container;
pub mod frames;

use std::time::Duration;

use serde_json::Value;

use super::api::{self, Reply};
use super::reach::{Filled, TLS, connection, without_password};
use super::{Failure, declared};
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::shape::{self, Field, Object, Shape, field};
use crate::sys::World;
use crate::sys::http::{self, Connection, Streaming};
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

pub use container::{Container, Health};

/// Where the engine of a machine listens when nobody says otherwise.
const SOCKET_FILE: &str = "/var/run/docker.sock";
/// The port at which an engine listens when a URL names none, with TLS and without.
const PORTS: (u16, u16) = (2376, 2375);

pub(super) const SOCKET: Field =
    field("socket", Shape::Template, "The socket file of a container engine: `/var/run/docker.sock`.");
const URL: Field =
    field("url", Shape::Template, "Where the engine answers: `tcp://host:2376`, `https://…` or `unix:///path`.");

static OBJECT: Object =
    Object { name: "a docker source", fields: &[declared::KIND, SOCKET, URL, TLS, declared::TIMEOUT], open: false };

/// A container engine as a checklist declares it.
#[derive(Debug, Default)]
pub struct Docker {
    name: String,
    /// Where it listens; nothing for what the environment says, as `docker` itself goes by it.
    at: Option<Template>,
    connection: Connection,
    timeout: Option<Duration>,
}

/// A container engine that can be asked.
pub struct Engine<'a>(api::Asked<'a>);

impl Docker {
    /// Reads a declaration: an address alone, or a map. Every mistake is said.
    pub(super) fn read(reading: &mut Reading<'_>, name: &str, node: &Node) -> Option<Self> {
        if node.map().is_some() && !shape::check(node, &Shape::Object(&OBJECT), reading.diagnostics) {
            return None;
        }
        if let (Some((_, socket)), Some((key, _))) = (node.entry("socket"), node.entry("url")) {
            let message = "a docker source has a socket or a url, not both";
            reading.say(Diagnostic::error("bad-value", key.span, message).also(socket.span, "the socket"));
            return None;
        }
        let written = match node.map() {
            Some(_) => node.get("socket").or_else(|| node.get("url")),
            None => Some(node),
        };
        let at = match written {
            Some(written) => Some(reading.template(written, Place::Plain)?),
            None => None,
        };
        if let (Some(at), Some(written)) = (&at, written)
            && at.is_literal()
            && let Err(message) = address(at.source(), false)
        {
            reading.say(Diagnostic::error("bad-url", written.span, message));
            return None;
        }
        let connection = connection(reading, node);
        Some(Self { name: name.to_owned(), at, connection, timeout: reading.duration_at(node, "timeout") })
    }

    /// Returns the name under which it is declared; empty for that of this machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its address, templates unfilled; nothing where the environment says it.
    pub fn at(&self) -> Option<&Template> {
        self.at.as_ref()
    }

    /// Makes the engine ready to be asked, for requests that take `timeout` at most, all of them together.
    ///
    /// # Errors
    /// Says what is wrong with its address, or that it does not answer.
    pub async fn open<'a>(&self, world: &'a World, scope: &Scope, timeout: Duration) -> Result<Engine<'a>, Failure> {
        let (filled, connection) = self.fill(world, scope)?;
        let own = self.timeout.unwrap_or(timeout);
        let asked = api::Asked::new(world, "docker", filled, connection, (own, timeout));
        let pong = asked.send("GET", "/_ping", &[], None).await?;
        // What stands before the engine may keep this from us and answer everything else: then the newest is spoken.
        let prefix = pong.header("api-version").filter(|version| is_version(version)).map(|v| format!("/v{v}"));
        Ok(Engine(asked.below(&prefix.unwrap_or_default())))
    }

    fn fill(&self, world: &World, scope: &Scope) -> Result<(Filled, Connection), Failure> {
        let mut connection = self.connection.clone();
        let text = match &self.at {
            Some(at) => at.render(scope).map_err(|error| Failure::lasting(format!("the docker source: {error}")))?,
            None => {
                if world.env.get("DOCKER_TLS_VERIFY").is_some() && connection == Connection::default() {
                    connection = of_environment(world);
                }
                world.env.get("DOCKER_HOST").unwrap_or(SOCKET_FILE).to_owned()
            }
        };
        let tls = connection != Connection::default();
        let (written, shown, url) = match address(&text, tls).map_err(Failure::lasting)? {
            Address::Socket(path) => {
                let url = url::Url::parse("http://localhost").map_err(|error| Failure::lasting(error.to_string()))?;
                connection = Connection { unix_socket: Some(path.clone()), ..Connection::default() };
                ("http://localhost".to_owned(), format!("unix://{path}"), url)
            }
            Address::Url(url) => (url.as_str().to_owned(), without_password(url.clone()), url),
        };
        Ok((Filled { url, written, shown, headers: Vec::new() }, connection))
    }
}

/// Whom `docker` itself would trust, and who it would be: the files of `DOCKER_CERT_PATH`.
fn of_environment(world: &World) -> Connection {
    let home = || format!("{}/.docker", world.env.get("HOME").unwrap_or_default());
    let folder = world.env.get("DOCKER_CERT_PATH").map_or_else(home, str::to_owned);
    let file = |name: &str| Some(format!("{}/{name}", folder.trim_end_matches('/')));
    Connection {
        ca_file: file("ca.pem"),
        client_cert: file("cert.pem"),
        client_key: file("key.pem"),
        ..Connection::default()
    }
}

/// Names the engine at an address, for limits per host: its socket, or host and port.
pub fn host(at: Option<&Template>, scope: &Scope) -> Option<String> {
    let text = at.map_or_else(|| Ok(SOCKET_FILE.to_owned()), |at| at.render(scope)).ok()?;
    match address(&text, false).ok()? {
        Address::Socket(path) => Some(path),
        Address::Url(url) => Some(http::origin(&url)),
    }
}

enum Address {
    Socket(String),
    Url(url::Url),
}

/// Reads an address as `DOCKER_HOST` has it.
fn address(text: &str, tls: bool) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix://").or_else(|| text.starts_with('/').then_some(text)) {
        return match path.starts_with('/') {
            true => Ok(Address::Socket(path.to_owned())),
            false => Err(format!("{text:?} names no socket: write unix:///path")),
        };
    }
    let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
    let (scheme, port) = match scheme {
        "tcp" if tls => ("https", Some(PORTS.0)),
        "tcp" => ("http", Some(PORTS.1)),
        "http" | "https" => (scheme, None),
        "ssh" => {
            let help = "forward its socket with `ssh -L` and name that";
            return Err(format!("an engine is not asked over ssh here; {help}"));
        }
        _ => return Err(format!("{text:?} is no address of an engine: write unix:///path, tcp://host:2376 or a URL")),
    };
    let mut url = url::Url::parse(&format!("{scheme}://{rest}")).map_err(|_| format!("{text:?} is not a URL"))?;
    if let (Some(port), None) = (port, url.port()) {
        // It fails for URLs without a host only, and this one has one.
        let _ = url.set_port(Some(port));
    }
    Ok(Address::Url(url))
}

fn is_version(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.len() < 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor))
}

impl Engine<'_> {
    /// Says through what is looked: `docker at unix:///var/run/docker.sock`.
    pub fn through(&self) -> String {
        self.0.through()
    }

    /// Looks a container up by its name or id; nothing when there is none.
    ///
    /// # Errors
    /// Says why the engine cannot say.
    pub async fn container(&self, name: &str) -> Result<Option<Container>, Failure> {
        if !is_name(name) {
            return Err(Failure::lasting(format!("{name:?} is not the name of a container")));
        }
        let path = format!("/containers/{name}/json");
        let reply = self.0.send("GET", &path, &[], None).await?;
        if is_absent(&reply) {
            return Ok(None);
        }
        self.0.check(&reply, &path)?;
        let value = self.0.json(&reply)?;
        let container = container::read(&value).ok_or_else(|| self.odd("no container"))?;
        Ok(Some(container))
    }

    /// Lists the ids and names of the containers that have all of these labels, each `key` or `key=value`; those that
    /// do not run are among them. The engine lists all of them at once.
    ///
    /// # Errors
    /// Says why the engine cannot say.
    pub async fn labelled(&self, labels: &[String]) -> Result<Vec<(String, String)>, Failure> {
        let filters = serde_json::json!({ "label": labels }).to_string();
        let list = self.0.get("/containers/json", &[("all", "true"), ("filters", filters.as_str())]).await?;
        let one = |value: &Value| {
            let id = value.get("Id")?.as_str()?.to_owned();
            let name = value.get("Names").and_then(|names| names.get(0)?.as_str()).unwrap_or(&id);
            Some((id.clone(), name.trim_start_matches('/').to_owned()))
        };
        let all = list.as_array().and_then(|list| list.iter().map(one).collect::<Option<Vec<_>>>());
        let mut all = all.ok_or_else(|| self.odd("no list of containers"))?;
        all.sort_by(|(_, a), (_, b)| a.cmp(b));
        Ok(all)
    }

    /// Asks for a container's log.
    ///
    /// # Errors
    /// Says why there is none: a container that is not there, a logging driver that cannot be read.
    pub async fn logs(&self, container: &Container, query: &[(&str, &str)]) -> Result<Streaming, Failure> {
        self.0.stream(&format!("/containers/{}/logs", container.id), query).await
    }

    fn odd(&self, what: &str) -> Failure {
        Failure::lasting(format!("{} answered with what is {what}; is this a container engine?", self.through()))
    }
}

/// Tells an engine that knows no such container from an address at which nobody knows what is asked.
fn is_absent(reply: &Reply) -> bool {
    let said = reply.said().unwrap_or_default().to_lowercase();
    reply.status == 404 && (said.contains("no such container") || said.contains("no container with"))
}

/// Tells whether an engine would give a container this name or id; no other may become a part of a path.
fn is_name(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, tls: bool) -> Result<String, String> {
        address(text, tls).map(|address| match address {
            Address::Socket(path) => path,
            Address::Url(url) => url.to_string(),
        })
    }

    #[test]
    fn addresses_are_those_of_docker_host() {
        assert_eq!(of("unix:///run/user/1000/docker.sock", false).as_deref(), Ok("/run/user/1000/docker.sock"));
        assert_eq!(of("/var/run/docker.sock", true).as_deref(), Ok("/var/run/docker.sock"));
        assert_eq!(of("tcp://10.0.0.1", false).as_deref(), Ok("http://10.0.0.1:2375/"));
        assert_eq!(of("tcp://10.0.0.1", true).as_deref(), Ok("https://10.0.0.1:2376/"));
        assert_eq!(of("tcp://h:9", true).as_deref(), Ok("https://h:9/"));
        assert_eq!(of("http://h:9/prefix", false).as_deref(), Ok("http://h:9/prefix"));
        for bad in ["unix://docker.sock", "docker.sock", "ssh://me@host", "npipe:////./pipe/docker", "tcp://"] {
            assert!(of(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_no_path() {
        assert!(is_name("shop-web_1.2") && is_name("8dfafdbc3a40"));
        assert!(!["", "..", "a/b", "../secrets", "a?x", "a b", "-a"].iter().any(|name| is_name(name)));
    }

    #[test]
    fn a_version_is_two_numbers() {
        assert!(is_version("1.47") && is_version("1.9"));
        assert!(!is_version("") && !is_version("1") && !is_version("1.x") && !is_version("../.."));
    }
}
