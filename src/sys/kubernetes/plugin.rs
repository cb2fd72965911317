//! The command that a kubeconfig names for credentials: run as any command of this program, with its time bounded and
//! nothing left behind, and its answer read.
//!
//! Source: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.

use std::time::Duration;

use chrono::{DateTime, Utc};
use kube::config::{AuthInfo, Cluster, ExecAuthCluster, ExecConfig};
use serde_json::{Value, json};

use super::access::put_identity;
use crate::model::quantity;
use crate::sys::env::Env;
use crate::sys::http::{Fault, HttpError};
use crate::sys::process::{self, Capture, End, Invocation};

/// How much is kept of what the command prints, in bytes.
const KEEP: usize = 256 << 10;

/// A command that gives credentials.
#[derive(Clone)]
pub(super) struct Exec {
    argv: Vec<String>,
    env: Vec<(String, String)>,
    version: String,
    /// What the command is told: that nobody can answer it, and which cluster it is for.
    info: String,
    hint: Option<String>,
}

/// What the command gave.
pub(super) struct Credential {
    token: Option<String>,
    identity: Option<(String, String)>,
    /// When it expires, if the command said so.
    pub(super) expires: Option<DateTime<Utc>>,
}

impl Exec {
    /// Reads what a kubeconfig says.
    ///
    /// # Errors
    /// Says what is missing.
    pub(super) fn new(exec: &ExecConfig, cluster: &Cluster) -> Result<Self, String> {
        let command = exec.command.clone().filter(|command| !command.is_empty());
        let command = command.ok_or("the exec plugin names no command")?;
        let version = exec.api_version.clone().unwrap_or_default();
        if !matches!(version.as_str(), "client.authentication.k8s.io/v1" | "client.authentication.k8s.io/v1beta1") {
            return Err(format!("the exec plugin {command} speaks {version:?}, not client.authentication.k8s.io/v1"));
        }
        let mut spec = json!({ "interactive": false });
        if exec.provide_cluster_info {
            let told = ExecAuthCluster::try_from(cluster).map_err(|error| error.to_string())?;
            spec["cluster"] = serde_json::to_value(told).map_err(|error| error.to_string())?;
        }
        let info = json!({ "kind": "ExecCredential", "apiVersion": version, "spec": spec }).to_string();
        let pair = |entry: &std::collections::HashMap<String, String>| {
            Some((entry.get("name")?.clone(), entry.get("value")?.clone()))
        };
        let env = exec.env.iter().flatten().filter_map(pair).collect();
        let argv = std::iter::once(command).chain(exec.args.clone().unwrap_or_default()).collect();
        Ok(Self { argv, env, version, info, hint: exec.install_hint.clone().filter(|hint| !hint.is_empty()) })
    }

    fn name(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// Runs the command. It gets the whole environment, as kubectl gives it: profiles and regions are in there.
///
/// # Errors
/// Says why it did not give credentials. What it printed as its answer is never repeated.
pub(super) async fn run(exec: &Exec, env: &Env, timeout: Duration) -> Result<Credential, HttpError> {
    let mut all: Vec<_> = env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.retain(|(name, _)| !exec.env.iter().any(|(own, _)| own == name) && name != "KUBERNETES_EXEC_INFO");
    all.extend(exec.env.iter().cloned());
    all.push(("KUBERNETES_EXEC_INFO".to_owned(), exec.info.clone()));
    let invocation = Invocation { argv: exec.argv.clone(), env: all, cwd: None, stdin: None, timeout, keep: KEEP };
    let name = exec.name();
    let failed = |how: String| HttpError::new(Fault::Request, format!("the credentials' command {name} {how}"));
    let ended = process::run(&invocation).await.map_err(|error| {
        let hint = exec.hint.as_ref().map(|hint| format!("; {}", first_line(hint))).unwrap_or_default();
        HttpError::new(Fault::Request, format!("the credentials' command: {error}{hint}"))
    })?;
    match ended.end {
        End::Exited(0) => {}
        End::TimedOut => {
            let within = quantity::seconds(timeout.as_secs_f64());
            let message = format!("the credentials' command {name} did not end within {within}");
            return Err(HttpError::new(Fault::Timeout, message));
        }
        End::Exited(code) => return Err(failed(format!("ended with exit code {code}{}", last_words(&ended.stderr)))),
        End::Signalled(signal) => return Err(failed(format!("was ended by {}", process::signal_name(signal)))),
    }
    let printed = ended.stdout.whole().ok_or_else(|| failed("printed more than an answer can have".into()))?;
    read(&printed, &exec.version).map_err(failed)
}

/// Reads what the command printed.
fn read(printed: &[u8], version: &str) -> Result<Credential, String> {
    let answer: Value = serde_json::from_slice(printed).map_err(|_| "did not print JSON".to_owned())?;
    if answer["kind"] != "ExecCredential" {
        return Err("did not print an ExecCredential".to_owned());
    }
    if answer["apiVersion"] != version {
        return Err(format!("answered in another version than {version}"));
    }
    let status = &answer["status"];
    let text = |key: &str| status[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let token = text("token");
    let identity = text("clientCertificateData").zip(text("clientKeyData"));
    if token.is_none() && identity.is_none() {
        return Err("gave neither a token nor a certificate with its key".to_owned());
    }
    let expires = match text("expirationTimestamp") {
        None => None,
        Some(at) => match DateTime::parse_from_rfc3339(&at) {
            Ok(at) => Some(at.with_timezone(&Utc)),
            Err(_) => return Err("gave an expirationTimestamp that is no time".to_owned()),
        },
    };
    Ok(Credential { token, identity, expires })
}

impl Credential {
    /// Puts it where the client looks for it.
    ///
    /// # Errors
    /// Says that it cannot be taken.
    pub(super) fn put_into(self, user: &mut AuthInfo) -> Result<(), HttpError> {
        if let Some(token) = self.token {
            let made: AuthInfo = serde_json::from_value(json!({ "token": token }))
                .map_err(|_| HttpError::new(Fault::Request, "the token of the credentials' command is not text"))?;
            user.token = made.token;
        }
        match self.identity {
            Some((certificates, key)) => put_identity(user, &certificates, &key),
            None => Ok(()),
        }
    }
}

/// Returns the last line that a command said of its troubles.
fn last_words(stderr: &Capture) -> String {
    let said = if stderr.tail().is_empty() { stderr.head() } else { stderr.tail() };
    let said = String::from_utf8_lossy(said);
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    last.map(|line| format!(": {}", line.chars().take(300).collect::<String>())).unwrap_or_default()
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "client.authentication.k8s.io/v1";

    #[test]
    fn an_answer_has_a_token_or_a_certificate_with_its_key() {
        let answer =
            |status: Value| json!({ "kind": "ExecCredential", "apiVersion": V1, "status": status }).to_string();
        let read = |text: &str| read(text.as_bytes(), V1);
        let token =
            read(&answer(json!({ "token": "t", "expirationTimestamp": "2030-01-02T03:04:05Z" }))).expect("read");
        assert_eq!((token.token.as_deref(), token.expires.map(|at| at.timestamp())), (Some("t"), Some(1_893_553_445)));
        let pair = json!({ "clientCertificateData": "c", "clientKeyData": "k" });
        assert!(read(&answer(pair)).expect("read").identity.is_some());
        for (text, why) in [
            (answer(json!({})), "neither"),
            (answer(json!({ "clientKeyData": "k" })), "neither"),
            (answer(json!({ "token": "t", "expirationTimestamp": "soon" })), "no time"),
            ("token".to_owned(), "JSON"),
            ("{}".to_owned(), "ExecCredential"),
            (answer(json!({ "token": "t" })).replace("/v1\"", "/v1beta1\""), "another version"),
        ] {
            let said = read(&text).err().expect("refused");
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_command_is_told_the_version_and_the_cluster() {
        let config = |more: Value| {
            let mut all = json!({ "apiVersion": V1, "command": "get-token", "args": ["-x"] });
            all.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            serde_json::from_value::<ExecConfig>(all).expect("read")
        };
        let cluster: Cluster = serde_json::from_value(json!({ "server": "https://a.test" })).expect("read");
        let exec = Exec::new(&config(json!({ "provideClusterInfo": true })), &cluster).expect("complete");
        assert!(exec.info.contains("https://a.test") && exec.argv == ["get-token", "-x"], "{}", exec.info);
        let old = config(json!({ "apiVersion": "client.authentication.k8s.io/v1alpha1" }));
        assert!(Exec::new(&old, &cluster).is_err());
        assert!(Exec::new(&config(json!({ "command": "" })), &cluster).is_err());
    }
}
