//! The API server of a Kubernetes cluster: who we are there, and one bounded question at a time.
//!
//! [`access`] turns a kubeconfig, the account of a pod or a plain URL into settings, [`plugin`] runs the command that a
//! kubeconfig names for credentials. The connections are those of the `kube` crate, which this folder alone knows: it
//! speaks TLS with client certificates, reads token files anew, and impersonates. What it is asked and answers stays
//! plain HTTP and JSON.

mod access;
mod plugin;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use http_body_util::BodyExt;
use kube::client::Body;

use super::World;
use super::http::{self, BodyEnd, Fault, HttpError};
use super::policy::{Policy, Refusal};
use crate::model::quantity;
use access::Configured;

pub use access::Access;

/// A cluster that can be asked.
pub struct Cluster {
    client: kube::Client,
    /// Host and port, for messages.
    peer: String,
    /// The URL of its API, as it may be shown.
    shown: String,
    /// The context of the kubeconfig.
    context: Option<String>,
    /// The namespace that the context or the account names.
    namespace: Option<String>,
    insecure: bool,
    /// Whether a command gave the credentials.
    by_plugin: bool,
    /// When the credentials expire, if a command gave them and said so.
    expires: Option<DateTime<Utc>>,
}

/// An answer of any status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; of one that is too large the beginning.
    pub body: Bytes,
    /// What became of the body.
    pub end: BodyEnd,
}

/// An answer whose body comes piece by piece.
pub struct Streaming {
    /// The status.
    pub status: u16,
    body: Body,
    peer: String,
    received: u64,
}

/// Asks the policy for the host of the API, and for the addresses that it has: the library looks the name up by itself.
///
/// # Errors
/// Says by which rule it is refused.
async fn admit(policy: &Policy, url: &str) -> Result<(), HttpError> {
    let Ok(url) = url::Url::parse(url) else { return Ok(()) };
    policy.allow_url(&url).map_err(refused)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Ok(()) };
    // A name without an address is told by whoever connects.
    let Ok(found) = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await else { return Ok(()) };
    policy.admitted(host, found, Some(port)).map_err(refused).map(|_| ())
}

fn refused(refusal: Refusal) -> HttpError {
    HttpError::new(Fault::Request, refusal.message)
}

impl Cluster {
    /// Finds out who we are there, which may take files and a command, and makes ready to ask. Nothing is asked yet.
    ///
    /// # Errors
    /// Says which file is missing or damaged, which context or user there is not, why the command for the credentials
    /// did not give any, or which of these cannot be used.
    pub async fn connect(access: &Access, world: &World, timeout: Duration) -> Result<Self, HttpError> {
        let begun = Instant::now();
        let left = || timeout.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        let (named, env, policy) = (access.clone(), Arc::clone(&world.env), Arc::clone(&world.policy));
        let found = blocking(timeout, "the credentials were not read", move || {
            named.file().map_or(Ok(()), |file| policy.allow_path(Path::new(file))).map_err(refused)?;
            access::configure(&named, &env)
        });
        let Configured { mut config, context, namespace, exec } = found.await??;
        admit(&world.policy, &config.cluster_url.to_string()).await?;
        let (mut expires, by_plugin) = (None, exec.is_some());
        if let Some(exec) = exec {
            if access.file().is_some() {
                // What the user's own kubeconfig names is the user's choice; what a checklist brings along is not.
                world.policy.allow_command(exec.argv()).map_err(refused)?;
            }
            let credential = plugin::run(&exec, &world.env, left()).await?;
            expires = credential.expires;
            credential.put_into(&mut config.auth_info)?;
        }
        let shown = shown(&config.cluster_url);
        let peer = url::Url::parse(&shown).map_or_else(|_| shown.clone(), |url| http::origin(&url));
        let insecure = config.accept_invalid_certs;
        let made = blocking(left(), "the system's certificate authorities were not read", move || {
            kube::Client::try_from(config)
        });
        let client = made.await?.map_err(|error| unusable(&error))?;
        Ok(Self { client, peer, shown, context, namespace, insecure, by_plugin, expires })
    }

    /// Says through what is looked: `kubernetes at https://10.0.0.1:6443 (context staging)`.
    pub fn through(&self) -> String {
        let context = self.context.as_ref().map(|context| format!("context {context}"));
        let insecure = self.insecure.then(|| "certificate not checked".to_owned());
        let remarks: Vec<_> = context.into_iter().chain(insecure).collect();
        match remarks.is_empty() {
            true => format!("kubernetes at {}", self.shown),
            false => format!("kubernetes at {} ({})", self.shown, remarks.join(", ")),
        }
    }

    /// Returns the namespace that the context or the account names.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Tells whether the credentials are of no more use at a time, or will not be a minute later.
    pub fn is_stale(&self, now: DateTime<Utc>) -> bool {
        self.expires.is_some_and(|expires| expires < now + chrono::TimeDelta::minutes(1))
    }

    /// Tells whether a command gave the credentials, so that asking it again may give others.
    pub fn by_plugin(&self) -> bool {
        self.by_plugin
    }

    /// Asks with GET for a path, with its query, and reads the answer whole: at most so many bytes of it.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn get(&self, path: &str, most: usize, timeout: Duration) -> Result<Answer, HttpError> {
        let asked = tokio::time::timeout(timeout, async {
            let response = self.send(path).await?;
            let (head, body) = response.into_parts();
            let headers = headers(&head.headers);
            let expected = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, n)| n.parse().ok());
            let (body, end) = collect(body, most, expected).await;
            Ok(Answer { status: head.status.as_u16(), headers, body, end })
        });
        asked.await.unwrap_or_else(|_| Err(late(&self.peer, timeout)))
    }

    /// Asks with GET for a path and returns as soon as the head of the answer is there.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn stream(&self, path: &str, timeout: Duration) -> Result<Streaming, HttpError> {
        let sent = tokio::time::timeout(timeout, self.send(path)).await;
        let (head, body) = sent.unwrap_or_else(|_| Err(late(&self.peer, timeout)))?.into_parts();
        Ok(Streaming { status: head.status.as_u16(), body, peer: self.peer.clone(), received: 0 })
    }

    async fn send(&self, path: &str) -> Result<::http::Response<Body>, HttpError> {
        let request = ::http::Request::get(path)
            .header("accept", "application/json, */*")
            .header("user-agent", concat!("holdpoint/", env!("CARGO_PKG_VERSION")))
            .body(Body::empty())
            .map_err(|error| HttpError::new(Fault::Request, format!("the request cannot be sent: {error}")))?;
        self.client.send(request).await.map_err(|error| http::fault(&error, &self.peer))
    }
}

impl Streaming {
    /// Returns the next piece; nothing at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, HttpError>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => {
                        self.received += data.len() as u64;
                        return Some(Ok(data));
                    }
                    // Trailers say nothing of a log.
                    Err(_) => continue,
                },
                Err(error) => {
                    let fault = http::body_fault(&error, self.received, None);
                    return Some(Err(HttpError::new(fault.kind, format!("{} ({})", fault.message, self.peer))));
                }
            }
        }
    }

    /// Reads the beginning of the body: what is said of an error.
    pub async fn beginning(self, most: usize) -> Bytes {
        collect(self.body, most, None).await.0
    }
}

/// Runs what blocks on a thread of its own, and waits for it so long.
async fn blocking<T: Send + 'static>(
    timeout: Duration,
    late: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HttpError> {
    match tokio::time::timeout(timeout, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(HttpError::new(Fault::Request, error.to_string())),
        Err(_) => {
            let within = quantity::seconds(timeout.as_secs_f64());
            Err(HttpError::new(Fault::Timeout, format!("{late} within {within}")))
        }
    }
}

fn late(peer: &str, timeout: Duration) -> HttpError {
    let within = quantity::seconds(timeout.as_secs_f64());
    HttpError::new(Fault::Timeout, format!("no whole answer from {peer} within {within}"))
}

/// Reads a body to its end, or to its bound.
async fn collect(mut body: Body, most: usize, expected: Option<u64>) -> (Bytes, BodyEnd) {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let Ok(data) = frame.into_data() else { continue };
                if read.len() + data.len() > most {
                    read.extend_from_slice(&data[..most - read.len()]);
                    return (read.freeze(), BodyEnd::TooLarge);
                }
                read.extend_from_slice(&data);
            }
            Err(error) => {
                let fault = http::body_fault(&error, read.len() as u64, expected);
                return (read.freeze(), BodyEnd::Broken(fault.message));
            }
        }
    }
    (read.freeze(), BodyEnd::Complete)
}

fn headers(headers: &::http::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Shows the URL of a cluster without what may be secret in it.
fn shown(url: &::http::Uri) -> String {
    url::Url::parse(&url.to_string())
        .map_or_else(|_| "an odd URL".to_owned(), |url| http::shown(&url))
        .trim_end_matches('/')
        .to_owned()
}

/// Words why no connection can be made with what was configured.
fn unusable(error: &kube::Error) -> HttpError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let outer = match error {
        kube::Error::Auth(_) => "the credentials cannot be used",
        kube::Error::RustlsTls(_) | kube::Error::InferKubeconfig(_) => "the certificates cannot be used",
        _ => "the cluster cannot be asked",
    };
    HttpError::new(Fault::Request, format!("{outer}: {}", cause.to_string().trim_end_matches('.')))
}
