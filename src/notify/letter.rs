//! What is sent, to the byte, and how it may be shown.

use serde_json::Value;

use crate::sys::http::Connection;
use crate::sys::mail::{Mail, Server};

/// The shortest secret that is hidden, in bytes.
const SHORTEST: usize = 6;

/// What is sent.
#[derive(Clone, Debug)]
pub enum Letter {
    /// A request over HTTP.
    Http(Box<Post>),
    /// A mail.
    Mail(Box<Server>, Mail),
    /// Lines and files for the machine that this runs on.
    Runner(Runner),
}

/// A request over HTTP.
#[derive(Clone, Debug)]
pub struct Post {
    /// `POST`, `PATCH` …
    pub method: String,
    /// Where to.
    pub url: String,
    /// The URL as it may be shown.
    pub shown: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// How the connection is made.
    pub connection: Connection,
    /// The key of the answer's JSON under which the other side names what it made.
    pub id_key: Option<&'static str>,
    /// What in it is secret and must not be shown: keys, tokens.
    pub secrets: Vec<String>,
}

/// Lines and files for the machine that this runs on.
#[derive(Clone, Debug, Default)]
pub struct Runner {
    /// Lines on stderr, each a command to the runner.
    pub lines: Vec<String>,
    /// Texts that are added to files.
    pub files: Vec<(std::path::PathBuf, String)>,
}

impl Post {
    /// Makes a request with a body of JSON, to a URL that is a secret but for its host.
    pub(super) fn json(url: String, body: &Value) -> Self {
        let shown = origin(&url).map_or_else(|| "***".to_owned(), |origin| format!("{origin}/***"));
        let path = url::Url::parse(&url).map(|url| url.path().to_owned()).unwrap_or_default();
        let secrets = if path.len() > 1 { vec![url.clone(), path] } else { Vec::new() };
        Self {
            method: "POST".into(),
            shown,
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.to_string(),
            connection: Connection::default(),
            id_key: None,
            secrets,
            url,
        }
    }

    /// Makes the same to a URL that may be known: without the credentials in it.
    pub(super) fn open(url: String, body: &Value) -> Self {
        let shown = without_credentials(&url);
        Self { shown, secrets: Vec::new(), ..Self::json(url, body) }
    }

    /// Adds a header whose value is a secret.
    pub(super) fn with_secret(mut self, name: &str, value: String, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self.headers.push((name.to_owned(), value));
        self
    }
}

impl Letter {
    /// Shows what is sent, without what is secret.
    pub fn show(&self) -> String {
        match self {
            Letter::Http(post) => {
                let mut out = format!("{} {}\n", post.method, post.shown);
                for (name, value) in &post.headers {
                    out.push_str(&format!("{name}: {value}\n"));
                }
                let body = match serde_json::from_str::<Value>(&post.body) {
                    Ok(json) => serde_json::to_string_pretty(&json).unwrap_or_else(|_| post.body.clone()),
                    Err(_) => post.body.clone(),
                };
                self.hide(&format!("{out}\n{}\n", body.trim_end()))
            }
            Letter::Mail(server, mail) => {
                let port = server.port.map(|port| format!(":{port}")).unwrap_or_default();
                let to = mail.to.join(", ");
                format!(
                    "mail through {}{port}\nfrom: {}\nto: {to}\nsubject: {}\n\n{}",
                    server.host, mail.from, mail.subject, mail.body
                )
            }
            Letter::Runner(runner) => {
                let mut out = String::new();
                runner.lines.iter().for_each(|line| out.push_str(&format!("{line}\n")));
                for (path, text) in &runner.files {
                    out.push_str(&format!("added to {}:\n{text}", path.display()));
                }
                out
            }
        }
    }

    /// Hides what is secret of this letter in a text.
    pub fn hide(&self, text: &str) -> String {
        let secrets: &[String] = match self {
            Letter::Http(post) => &post.secrets,
            Letter::Mail(server, _) => match &server.login {
                Some((_, password)) => std::slice::from_ref(password),
                None => &[],
            },
            Letter::Runner(_) => &[],
        };
        let mut out = text.to_owned();
        // What is shorter is no secret, and would turn up in other words.
        for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST) {
            out = out.replace(secret.as_str(), "***");
        }
        out
    }
}

/// Returns scheme, host and port of a URL.
fn origin(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}", url.scheme(), url.host_str()?))
}

fn without_credentials(written: &str) -> String {
    let Ok(mut url) = url::Url::parse(written) else { return written.to_owned() };
    if url.password().is_some() || !url.username().is_empty() {
        // Both fail only for URLs that cannot have them.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        return url.to_string();
    }
    written.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_secret_is_not_shown() {
        let post = Post::json("https://hooks.example.com:8443/services/T0/B0/xyz".into(), &json!({ "text": "a" }));
        let letter = Letter::Http(Box::new(post.with_secret("authorization", "Bearer s3cret".into(), "s3cret")));
        let shown = letter.show();
        assert!(shown.starts_with("POST https://hooks.example.com:8443/***\n"), "{shown}");
        assert!(!shown.contains("s3cret") && shown.contains("authorization: Bearer ***"), "{shown}");
        assert_eq!(letter.hide("refused: /services/T0/B0/xyz"), "refused: ***");
        let open = Post::open("http://user:pw@grafana/api".into(), &json!({}));
        assert_eq!(open.shown, "http://grafana/api");
    }
}
