//! A Kubernetes cluster, asked for JSON over its documented API: <https://kubernetes.io/docs/reference/using-api/>.
//!
//! [`Kubernetes`] is the declaration ([`declared`] reads it), [`Asked`] one with its templates filled in: it gets single
//! objects, reads lists to their end and tells apart everything that may come instead of an answer ([`answer`]).
//! [`Resource`] is a kind of object; those that are not known beforehand are found by asking the cluster
//! ([`discovery`]).

mod answer;
mod ask;
pub(super) mod declared;
mod discovery;
pub mod resource;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use ask::{Asked, Lines};
pub use resource::Resource;

use super::Failure;
use super::reach::Reach;
use crate::sys::World;
use crate::sys::http::{Fault, HttpError};
use crate::sys::kubernetes::{Access, Cluster};
use crate::sys::process;
use crate::template::{Scope, Template, TemplateError};

/// A cluster that a checklist declares.
pub struct Kubernetes {
    name: String,
    way: Way,
    namespace: Option<Template>,
    timeout: Option<Duration>,
    /// The connections that were made: templates may name several clusters in one run.
    sessions: Mutex<HashMap<Access, Arc<Slot>>>,
}

/// How the cluster is reached, templates unfilled.
#[derive(Debug)]
enum Way {
    Kubeconfig { file: Option<Template>, context: Option<Template> },
    Account { folder: Option<Template> },
    Direct(Box<Reach>),
}

/// A place for one connection, which is made when it is first asked for.
type Slot = tokio::sync::Mutex<Option<Arc<Session>>>;

/// A connection, and what is known of the cluster.
struct Session {
    cluster: Cluster,
    /// The kinds of objects that were found, by the words that asked for them.
    found: Mutex<HashMap<String, Resource>>,
}

impl Kubernetes {
    fn new(name: &str, way: Way, namespace: Option<Template>, timeout: Option<Duration>) -> Self {
        Self { name: name.to_owned(), way, namespace, timeout, sessions: Mutex::default() }
    }

    /// Returns the name under which it is declared.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URL of the API, where the checklist itself names one.
    pub fn url(&self) -> Option<&Template> {
        match &self.way {
            Way::Direct(reach) => Some(&reach.url),
            Way::Kubeconfig { .. } | Way::Account { .. } => None,
        }
    }

    /// Tells whether asking may run a command that came with the checklist: a kubeconfig that it names can name one.
    pub fn may_run_commands(&self) -> bool {
        matches!(&self.way, Way::Kubeconfig { file: Some(_), .. })
    }

    /// Returns how much longer than its time asking may take: a command for the credentials gets some to end.
    pub fn grace(&self) -> Duration {
        match &self.way {
            Way::Kubeconfig { .. } => process::GRACE + Duration::from_secs(1),
            Way::Account { .. } | Way::Direct(_) => Duration::ZERO,
        }
    }

    /// Fills the templates in and connects, for requests that take `timeout` at most, all of them together. `namespace`
    /// is that of the step; without one it is the source's, the context's, or `default`.
    ///
    /// # Errors
    /// Says which template cannot be filled, or why there are no credentials.
    pub async fn open<'a>(
        &'a self,
        world: &'a World,
        scope: &Scope,
        timeout: Duration,
        namespace: Option<&Template>,
    ) -> Result<Asked<'a>, Failure> {
        let until = world.clock.elapsed() + timeout;
        let access = self.access(scope)?;
        let namespace = namespace.or(self.namespace.as_ref()).map(|n| n.render(scope)).transpose();
        let namespace = namespace.map_err(|error| self.unfilled(&error))?;
        let slot = self.slot(&access);
        let session = self.session(&access, &slot, world, timeout).await?;
        let namespace = namespace.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let own = || session.cluster.namespace().unwrap_or("default").to_owned();
        let namespace = namespace.unwrap_or_else(own);
        resource::segment(&namespace)?;
        let timeout = self.timeout.unwrap_or(timeout).min(timeout);
        Ok(Asked { source: self, world, access, slot, session: Mutex::new(session), namespace, timeout, until })
    }

    /// Returns the connection, made anew when there is none or its credentials have expired.
    async fn session(
        &self,
        access: &Access,
        slot: &Slot,
        world: &World,
        timeout: Duration,
    ) -> Result<Arc<Session>, Failure> {
        let within = tokio::time::timeout(timeout, slot.lock()).await;
        let mut kept =
            within.map_err(|_| Failure::passing("the credentials for the cluster were not there in time"))?;
        if let Some(session) = kept.as_ref().filter(|session| !session.cluster.is_stale(world.clock.now())) {
            return Ok(Arc::clone(session));
        }
        let cluster = Cluster::connect(access, world, timeout).await.map_err(|error| self.unconnected(&error))?;
        let session = Arc::new(Session { cluster, found: Mutex::default() });
        *kept = Some(Arc::clone(&session));
        Ok(session)
    }

    fn slot(&self, access: &Access) -> Arc<Slot> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sessions.entry(access.clone()).or_default())
    }

    fn access(&self, scope: &Scope) -> Result<Access, Failure> {
        let fill = |template: &Option<Template>| {
            let text = template.as_ref().map(|template| template.render(scope)).transpose();
            text.map(|text| text.filter(|text| !text.trim().is_empty())).map_err(|error| self.unfilled(&error))
        };
        Ok(match &self.way {
            Way::Kubeconfig { file, context } => Access::Kubeconfig { file: fill(file)?, context: fill(context)? },
            Way::Account { folder } => Access::Account { folder: fill(folder)? },
            Way::Direct(reach) => {
                let filled = reach.fill(&self.name, scope)?;
                Access::Direct {
                    url: filled.url.to_string(),
                    headers: filled.headers,
                    connection: reach.connection.clone(),
                }
            }
        })
    }

    fn unfilled(&self, error: &TemplateError) -> Failure {
        Failure::lasting(format!("the source {:?}: {error}", self.name))
    }

    fn unconnected(&self, error: &HttpError) -> Failure {
        let cause = format!("the source {:?}: {error}", self.name);
        match error.kind {
            Fault::Request | Fault::Redirect => Failure::lasting(cause),
            Fault::Dns | Fault::Connect | Fault::Tls | Fault::Timeout | Fault::Protocol => Failure::passing(cause),
        }
    }
}
