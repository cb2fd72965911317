//! Asks a Prometheus, or whatever speaks its HTTP API (Thanos, Mimir, VictoriaMetrics).
//!
//! API: <https://prometheus.io/docs/prometheus/latest/querying/api/>. [`Prometheus`] is the declaration, [`Endpoint`]
//! one with its templates filled in, [`answer`] reads what comes back.

pub mod answer;
mod endpoint;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

pub use answer::{Answer, Data, Point, Row};
pub use endpoint::{Endpoint, When};

use super::Failure;
use super::declared::{Auth, Reach};
use crate::sys::World;
use crate::template::{Scope, Template, TemplateError};

/// A Prometheus that a checklist declares.
#[derive(Debug)]
pub struct Prometheus {
    name: String,
    reach: Reach,
    /// The version behind each URL, asked for once. A template may give several URLs in one run.
    versions: Mutex<Vec<(String, Version)>>,
}

/// A version once it is known; nothing inside when the server does not tell.
type Version = Arc<OnceCell<Option<String>>>;

impl Prometheus {
    /// Makes one from its declaration.
    pub fn new(name: &str, reach: Reach) -> Self {
        Self { name: name.to_owned(), reach, versions: Mutex::default() }
    }

    /// Returns the name under which it is declared.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its URL, templates unfilled.
    pub fn url(&self) -> &Template {
        &self.reach.url
    }

    /// Fills the templates in, for requests that take `timeout` at most, all of them together.
    ///
    /// # Errors
    /// Says which template cannot be filled, or that the URL is none.
    pub fn endpoint<'a>(&self, world: &'a World, scope: &Scope, timeout: Duration) -> Result<Endpoint<'a>, Failure> {
        let fill = |error: TemplateError| Failure::lasting(format!("the source {:?}: {error}", self.name));
        let base = self.reach.url.render(scope).map_err(fill)?;
        let base = base.trim_end_matches('/').to_owned();
        let parsed = url::Url::parse(&base).ok().filter(|u| matches!(u.scheme(), "http" | "https"));
        let Some(shown) = parsed.map(without_password) else {
            return Err(Failure::lasting(format!("the source {:?}: {base:?} is not a URL", self.name)));
        };
        let mut headers = Vec::new();
        for (name, value) in &self.reach.headers {
            headers.push((name.clone(), value.render(scope).map_err(fill)?));
        }
        match &self.reach.auth {
            None => {}
            Some(Auth::Bearer(token)) => {
                headers.push(("authorization".into(), format!("Bearer {}", token.render(scope).map_err(fill)?)));
            }
            Some(Auth::Basic(user, password)) => {
                let pair = format!("{}:{}", user.render(scope).map_err(fill)?, password.render(scope).map_err(fill)?);
                let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
                headers.push(("authorization".into(), format!("Basic {encoded}")));
            }
        }
        let own = self.reach.timeout.unwrap_or(timeout);
        let version = self.version_of(&base);
        Ok(Endpoint {
            world,
            base,
            shown,
            headers,
            connection: self.reach.connection.clone(),
            timeout: own.min(timeout),
            until: world.clock.elapsed() + timeout,
            version,
        })
    }

    fn version_of(&self, base: &str) -> Version {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, version)) = versions.iter().find(|(url, _)| url == base) {
            return Arc::clone(version);
        }
        let version = Version::default();
        versions.push((base.to_owned(), Arc::clone(&version)));
        version
    }
}

/// Returns the URL as it may be shown.
fn without_password(mut url: url::Url) -> String {
    if url.password().is_some() || !url.username().is_empty() {
        // Both fail only for URLs that cannot have them.
        let _ = url.set_password(None);
        let _ = url.set_username("");
    }
    url.as_str().trim_end_matches('/').to_owned()
}

/// Names host and port of a URL, for limits per host.
pub fn host(url: &Template, scope: &Scope) -> Option<String> {
    let url = url::Url::parse(&url.render(scope).ok()?).ok()?;
    let port = url.port_or_known_default()?;
    Some(format!("{}:{port}", url.host_str()?))
}
