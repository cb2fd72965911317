//! A double of the API server of Kubernetes: it speaks the documented API over objects that a test puts into it. Lists
//! come in pages and by selectors, errors as `Status` objects; over TLS it asks for a certificate when it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use serde_json::{Value, json};

use super::rogue::{Asked, Rogue, write};

/// What a cluster holds, and how it misbehaves.
#[derive(Default)]
pub(crate) struct Holds {
    /// The objects, each with `kind` and `metadata`.
    pub(crate) objects: Vec<Value>,
    /// Logs by `pod/container`.
    pub(crate) logs: Vec<(&'static str, String)>,
    /// The tokens that are accepted; anybody is when there are none.
    pub(crate) tokens: Vec<&'static str>,
    /// Verb and resource that are not allowed: `("list", "pods")`.
    pub(crate) denied: Vec<(&'static str, &'static str)>,
    /// How often a list is forgotten while it is read.
    pub(crate) forgets: usize,
    /// How often it asks to wait a second.
    pub(crate) busy: usize,
    /// Names of objects that are gone by the time that they are asked for, though a list has shown them.
    pub(crate) gone: Vec<&'static str>,
    /// How late every answer comes.
    pub(crate) late: Duration,
}

/// The kinds that it serves: version, plural, kind, singular, short name, whether they stand in a namespace.
const KINDS: &[(&str, &str, &str, &str, &str, bool)] = &[
    ("v1", "pods", "Pod", "pod", "po", true),
    ("v1", "events", "Event", "event", "ev", true),
    ("v1", "secrets", "Secret", "secret", "", true),
    ("v1", "namespaces", "Namespace", "namespace", "ns", false),
    ("v1", "nodes", "Node", "node", "no", false),
    ("apps/v1", "deployments", "Deployment", "deployment", "deploy", true),
    ("apps/v1", "statefulsets", "StatefulSet", "statefulset", "sts", true),
    ("apps/v1", "daemonsets", "DaemonSet", "daemonset", "ds", true),
    ("batch/v1", "jobs", "Job", "job", "", true),
    ("cert.test/v1", "certificates", "Certificate", "certificate", "cert", true),
];

/// A running double.
pub(crate) struct Cluster {
    rogue: Rogue,
}

impl Cluster {
    /// Starts one.
    pub(crate) fn start(holds: Holds) -> Self {
        let (forgets, busy) = (AtomicUsize::new(holds.forgets), AtomicUsize::new(holds.busy));
        let rogue = Rogue::start(move |asked, stream| {
            thread::sleep(holds.late);
            let spend = |left: &AtomicUsize| {
                left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
            };
            let answer = match () {
                () if spend(&busy) => (429, status(429, "TooManyRequests", "too many requests"), "retry-after: 1\r\n"),
                () => {
                    let (code, body) = holds.answer(asked, &|| spend(&forgets));
                    (code, body, "")
                }
            };
            let (code, body, header) = answer;
            let (kind, body) = match body {
                Value::String(text) => ("text/plain", text),
                other => ("application/json", other.to_string()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {code} Answer\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n{header}\r\n"
            );
            write(stream, format!("{head}{body}").as_bytes());
        });
        Self { rogue }
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        self.rogue.url("")
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.rogue.address
    }

    /// Returns the requests that came so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.rogue.asked()
    }

    /// Returns the source that asks it in the namespace `shop`.
    pub(crate) fn source(&self) -> String {
        format!("kubernetes: {{ url: \"{}\", namespace: shop }}", self.url())
    }
}

/// Makes a `Status` object.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code })
}

impl Holds {
    fn answer(&self, asked: &Asked, forgets: &dyn Fn() -> bool) -> (u16, Value) {
        let token = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if !self.tokens.is_empty() && !token.is_some_and(|token| self.tokens.contains(&token)) {
            return (401, status(401, "Unauthorized", "Unauthorized"));
        }
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let query: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let get = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if let Some(index) = index(path) {
            return (200, index);
        }
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        let (version, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("v1".to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return (404, json!("404 page not found")),
        };
        let (namespace, plural, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] => (Some(*namespace), *plural, rest),
            [plural, rest @ ..] => (None, *plural, rest),
            [] => return (404, json!("404 page not found")),
        };
        let Some((_, _, kind, ..)) = KINDS.iter().find(|known| known.0 == version && known.1 == plural) else {
            return (404, json!("404 page not found"));
        };
        let verb = if rest.is_empty() { "list" } else { "get" };
        let what = if rest.len() > 1 { format!("{plural}/{}", rest[1]) } else { plural.to_owned() };
        if self.denied.contains(&(verb, what.as_str())) {
            let place = namespace.map(|namespace| format!(" in the namespace \"{namespace}\"")).unwrap_or_default();
            let message = format!("{plural} is forbidden: User \"ann\" cannot {verb} resource \"{what}\"{place}");
            return (403, status(403, "Forbidden", &message));
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let there = self.objects.iter().filter(|object| {
            let place = object["metadata"]["namespace"].as_str();
            object["kind"] == *kind && namespace.is_none_or(|namespace| place == Some(namespace))
        });
        if let [name, rest @ ..] = rest {
            let mut there = there.filter(|_| !self.gone.contains(name));
            let Some(object) = there.find(|object| object["metadata"]["name"] == **name) else {
                return (404, status(404, "NotFound", &format!("{plural} \"{name}\" not found")));
            };
            return if rest == ["log"] { self.log(name, &get) } else { (200, object.clone()) };
        }
        let fits = |object: &&Value| {
            let labels = get("labelSelector").unwrap_or_default().split(',').filter(|part| !part.is_empty());
            let fields = get("fieldSelector").unwrap_or_default().split(',').filter(|part| !part.is_empty());
            let mut good = labels.map(|part| match part.split_once('=') {
                Some((key, value)) => {
                    let (key, not) = key.strip_suffix('!').map_or((key, false), |key| (key, true));
                    (object["metadata"]["labels"][key] == value) != not
                }
                None => object["metadata"]["labels"][part].is_string(),
            });
            let mut also = fields.map(|part| {
                let (key, value) = part.split_once('=').expect("a field selector");
                object.pointer(&format!("/{}", key.replace('.', "/"))).map(text).as_deref() == Some(value)
            });
            good.all(|good| good) && also.all(|good| good)
        };
        let all: Vec<_> = there.filter(fits).cloned().collect();
        let from: usize = get("continue").and_then(|token| token.parse().ok()).unwrap_or(0);
        if from > 0 && forgets() {
            let message = "The provided continue parameter is too old to display a consistent list result";
            return (410, status(410, "Expired", message));
        }
        let limit = get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
        let page: Vec<_> = all.iter().skip(from).take(limit).cloned().collect();
        let next = from + page.len();
        let token = if next < all.len() { next.to_string() } else { String::new() };
        let metadata = json!({ "resourceVersion": "1", "continue": token });
        (200, json!({ "kind": format!("{kind}List"), "apiVersion": version, "metadata": metadata, "items": page }))
    }

    fn log<'q>(&self, pod: &str, get: &dyn Fn(&str) -> Option<&'q str>) -> (u16, Value) {
        let container = get("container").unwrap_or_default();
        let key = match get("previous") {
            Some("true") => format!("{pod}/{container}/previous"),
            _ => format!("{pod}/{container}"),
        };
        let Some((_, text)) = self.logs.iter().find(|(known, _)| *known == key) else {
            let message = format!("container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating");
            return (400, status(400, "BadRequest", &message));
        };
        let lines: Vec<_> = text.lines().collect();
        let tail = get("tailLines").and_then(|tail| tail.parse().ok()).unwrap_or(usize::MAX);
        let from = lines.len().saturating_sub(tail);
        let young = |line: &&&str| get("sinceTime").is_none_or(|since| line.split(' ').next() >= Some(since));
        let shown = lines[from..].iter().filter(young).map(|line| match get("timestamps") {
            Some("true") => (*line).to_owned(),
            _ => line.split_once(' ').map_or("", |(_, text)| text).to_owned(),
        });
        let text: String = shown.map(|line| line + "\n").collect();
        (200, json!(text))
    }
}

/// Answers what there is in the API.
fn index(path: &str) -> Option<Value> {
    if path == "/apis" {
        let version = |group: &str| json!({ "groupVersion": format!("{group}/v1"), "version": "v1" });
        let group =
            |name: &str| json!({ "name": name, "versions": [version(name)], "preferredVersion": version(name) });
        let groups: Vec<_> = ["apps", "batch", "cert.test"].map(group).into();
        return Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }));
    }
    let version = path.strip_prefix("/apis/").or_else(|| path.strip_prefix("/api/"))?;
    let kinds: Vec<_> = KINDS.iter().filter(|kind| kind.0 == version).collect();
    if kinds.is_empty() {
        return None;
    }
    let entry = |(_, plural, kind, singular, short, namespaced): &&(&str, &str, &str, &str, &str, bool)| {
        let short: Vec<_> = [*short].into_iter().filter(|short| !short.is_empty()).collect();
        json!({ "name": plural, "singularName": singular, "kind": kind, "namespaced": namespaced,
            "verbs": ["get", "list"], "shortNames": short })
    };
    let resources: Vec<_> = kinds.iter().map(entry).collect();
    Some(json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources }))
}

/// TLS before a double: takes only clients with a certificate of its authority, unless told otherwise.
pub(crate) struct Front {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Front {
    /// Starts one that passes everything on.
    pub(crate) fn start(to: SocketAddr, asks_back: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Arc::new(certificates(folder.path(), asks_back));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                thread::spawn(move || pass_on(stream, to, config));
            }
        });
        Self { address, folder }
    }

    /// Returns a file beside it: `ca.pem`, `client.crt`, `client.key`, `client.pem`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns what stands in a file.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).expect("a file")
    }
}

/// Reads one request over TLS, passes it on, and the answer back; the double closes after each answer.
fn pass_on(mut stream: TcpStream, to: SocketAddr, config: Arc<ServerConfig>) {
    let Ok(mut connection) = ServerConnection::new(config) else { return };
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match tls.read(&mut piece) {
            Ok(count) if count > 0 => request.extend_from_slice(&piece[..count]),
            _ => {
                // Closing with something unread would take the alert back that the client is to see.
                let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
                while matches!(stream.read(&mut piece), Ok(count) if count > 0) {}
                return;
            }
        }
    }
    let Ok(mut behind) = TcpStream::connect(to) else { return };
    let mut answer = Vec::new();
    if behind.write_all(&request).is_ok() && behind.read_to_end(&mut answer).is_ok() {
        let _ = tls.write_all(&answer);
        tls.conn.send_close_notify();
        let _ = tls.flush();
    }
}

/// Makes an authority, a server's and a client's certificate, the latter in files.
fn certificates(folder: &Path, asks_back: bool) -> ServerConfig {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "Test Cluster");
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
    write("ca.pem", &issuer.pem());
    let key = KeyPair::generate().expect("a key");
    let client = CertificateParams::new(vec!["ann.test".to_owned()]).expect("parameters");
    let client = client.signed_by(&key, &issuer).expect("a certificate");
    write("client.crt", &client.pem());
    write("client.key", &key.serialize_pem());
    write("client.pem", &format!("{}{}", key.serialize_pem(), client.pem()));
    let key = KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned(), "kubernetes.test".to_owned()];
    let server = CertificateParams::new(names).expect("parameters").signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let config = match asks_back {
        true => {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
        false => config.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    config.with_single_cert(vec![server.der().clone()], key).expect("a certificate and its key")
}

/// Makes a pod that runs and is ready.
pub(crate) fn pod(name: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "labels": labels },
        "spec": { "containers": [
            { "name": "app", "image": "shop/web:1.2.3", "readinessProbe": { "httpGet": {} }, "livenessProbe": {} },
        ] },
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [{
                "name": "app", "ready": true, "restartCount": 0,
                "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } },
            }],
        },
    })
}

/// Makes a deployment of three pods that is rolled out.
pub(crate) fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "namespace": "shop", "generation": 2, "labels": { "app": name, "version": "1.2.3" } },
        "spec": {
            "replicas": 3,
            "selector": { "matchLabels": { "app": name } },
            "template": { "spec": { "containers": [{ "name": "app", "image": "shop/web:1.2.3", "readinessProbe": {} }] } },
        },
        "status": {
            "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
            "conditions": [{ "type": "Available", "status": "True" }],
        },
    })
}

/// Makes the namespace in which everything stands.
pub(crate) fn namespace() -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } })
}
