//! Asks a Prometheus, or whatever speaks its HTTP API (Thanos, Mimir, VictoriaMetrics).
//!
//! API: <https://prometheus.io/docs/prometheus/latest/querying/api/>. [`Prometheus`] is the declaration, [`Endpoint`]
//! one with its templates filled in, [`answer`] reads what a query brings, [`told`] what the server tells of itself.

pub mod answer;
mod endpoint;
pub mod told;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

pub use answer::{Answer, Data, Point, Row};
pub use endpoint::{Endpoint, When};

use super::Failure;
use super::reach::Reach;
use crate::sys::World;
use crate::template::{Scope, Template};

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
        let filled = self.reach.fill(&self.name, scope)?;
        let base = filled.written.trim_end_matches('/').to_owned();
        let own = self.reach.timeout.unwrap_or(timeout);
        let version = self.version_of(&base);
        Ok(Endpoint {
            world,
            base,
            shown: filled.shown,
            headers: filled.headers,
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

/// Names host and port of a URL, for limits per host.
pub fn host(url: &Template, scope: &Scope) -> Option<String> {
    let url = url::Url::parse(&url.render(scope).ok()?).ok()?;
    let port = url.port_or_known_default()?;
    Some(format!("{}:{port}", url.host_str()?))
}
