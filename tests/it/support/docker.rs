//! A double of a container engine: answers as the documentation of the Engine API shapes it, at a socket file.

use std::net::TcpStream;

use serde_json::{Value, json};

use super::rogue::{Asked, Rogue, write};
use super::socket::Socket;

/// A container as a test wants it.
#[derive(Clone, Debug)]
pub(crate) struct Contained {
    pub(crate) name: &'static str,
    pub(crate) state: Value,
    pub(crate) restarts: u64,
    pub(crate) image: &'static str,
    pub(crate) labels: Vec<(&'static str, &'static str)>,
    pub(crate) tty: bool,
    pub(crate) log: Vec<u8>,
}

impl Contained {
    /// Makes one that has run for an hour.
    pub(crate) fn running(name: &'static str) -> Self {
        let started = (chrono::Utc::now() - chrono::TimeDelta::hours(1)).to_rfc3339();
        let state = json!({
            "Status": "running", "Running": true, "Paused": false, "Restarting": false, "OOMKilled": false,
            "Dead": false, "Pid": 4711, "ExitCode": 0, "Error": "", "StartedAt": started,
            "FinishedAt": "0001-01-01T00:00:00Z",
        });
        let labels = Vec::new();
        Self { name, state, restarts: 0, image: "shop/web:1.2.3", labels, tty: false, log: Vec::new() }
    }

    /// Makes one that has ended.
    pub(crate) fn exited(name: &'static str, code: i64) -> Self {
        let mut it = Self::running(name).with("Status", "exited").with("ExitCode", code);
        it.state["Running"] = json!(false);
        it
    }

    /// Changes its state.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.state[key] = value.into();
        self
    }

    /// Gives it a health check.
    pub(crate) fn health(self, status: &str) -> Self {
        self.with("Health", json!({ "Status": status, "FailingStreak": 0, "Log": [] }))
    }

    /// Puts it into a service of a Compose project.
    pub(crate) fn of(mut self, project: &'static str, service: &'static str) -> Self {
        self.labels.extend([
            ("com.docker.compose.project", project),
            ("com.docker.compose.service", service),
            ("com.docker.compose.oneoff", "False"),
        ]);
        self
    }

    fn id(&self) -> String {
        self.name.bytes().chain(std::iter::repeat(b'0')).take(32).map(|byte| format!("{byte:02x}")).collect()
    }

    fn inspected(&self) -> Value {
        json!({
            "Id": self.id(), "Created": "2026-11-20T18:00:00Z", "Name": format!("/{}", self.name),
            "State": self.state, "Image": "sha256:72297848456d5d37d1262630108ab308d3e9ec7ed1c3286a32fe09856619a782",
            "RestartCount": self.restarts, "Driver": "overlay2",
            "Config": { "Image": self.image, "Tty": self.tty, "Labels": self.label_map() },
        })
    }

    fn label_map(&self) -> Value {
        self.labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn has(&self, label: &str) -> bool {
        let (key, value) = label.split_once('=').map_or((label, None), |(key, value)| (key, Some(value)));
        self.labels.iter().any(|(k, v)| *k == key && value.is_none_or(|value| value == *v))
    }
}

/// Makes a frame of a log: stream 1 or 2, and a message.
pub(crate) fn frame(stream: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[stream, 0, 0, 0][..], &length, message].concat()
}

/// A running double.
pub(crate) struct Engine {
    pub(crate) server: Rogue,
    pub(crate) socket: Socket,
}

impl Engine {
    /// Starts an engine with these containers.
    pub(crate) fn with(containers: Vec<Contained>) -> Self {
        Self::playing(move |asked, stream| answer(&containers, asked, stream))
    }

    /// Starts something else at a socket.
    pub(crate) fn playing(script: impl Fn(&Asked, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let server = Rogue::start(script);
        let socket = Socket::before(server.address);
        Self { server, socket }
    }

    /// Declares it as a source.
    pub(crate) fn declared(&self) -> String {
        json!({ "docker": { "socket": self.socket.path() } }).to_string()
    }
}

fn answer(containers: &[Contained], asked: &Asked, stream: &mut TcpStream) {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let of = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if path == "/_ping" {
        return respond(stream, 200, "text/plain", b"OK");
    }
    let Some(path) = path.strip_prefix("/v1.47") else {
        return respond(stream, 400, "application/json", br#"{"message":"client version is too old"}"#);
    };
    if path == "/containers/json" {
        let filters: Value = serde_json::from_str(of("filters").unwrap_or("{}")).expect("filters are JSON");
        let wanted = filters["label"].as_array().cloned().unwrap_or_default();
        let fits = |it: &&Contained| wanted.iter().all(|label| it.has(label.as_str().expect("a label")));
        let seen = containers.iter().filter(|it| of("all") == Some("true") || it.state["Running"] == true);
        let entry = |it: &Contained| json!({ "Id": it.id(), "Names": [format!("/{}", it.name)] });
        let list: Vec<_> = seen.filter(fits).map(entry).collect();
        return respond(stream, 200, "application/json", json!(list).to_string().as_bytes());
    }
    let name = path.trim_start_matches("/containers/").split('/').next().unwrap_or_default();
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned();
    let Some(it) = containers.iter().find(|it| it.name == name || it.id() == name) else {
        let body = json!({ "message": format!("No such container: {name}") }).to_string();
        return respond(stream, 404, "application/json", body.as_bytes());
    };
    match path.rsplit('/').next() {
        Some("logs") => respond(stream, 200, "application/vnd.docker.multiplexed-stream", &it.log),
        _ => respond(stream, 200, "application/json", it.inspected().to_string().as_bytes()),
    }
}

/// Answers with a body, as an engine of API 1.47 does.
pub(crate) fn respond(stream: &mut TcpStream, status: u16, kind: &str, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Answer\r\napi-version: 1.47\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    write(stream, &[head.as_bytes(), body].concat());
}
