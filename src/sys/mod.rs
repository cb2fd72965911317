//! The only door to the world: clock, HTTP, mail, files, processes, environment. Real, or made up for tests.

pub mod agent;
pub mod clock;
pub mod dns;
pub mod env;
pub mod http;
pub mod kubernetes;
pub mod mail;
pub mod net;
pub mod policy;
pub mod process;
pub mod tls;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use clock::Clock;
pub use policy::Policy;
use process::{Ended, Invocation, StartError, Streamed};

/// Everything outside, cheap to clone.
#[derive(Clone)]
pub struct World {
    /// Tells and waits for time.
    pub clock: Clock,
    /// Sends HTTP requests over one pool of connections.
    pub http: Arc<http::Http>,
    /// The environment variables.
    pub env: Arc<env::Env>,
    /// What may be touched.
    pub policy: Arc<Policy>,
}

impl World {
    /// Opens the real world, as far as it may be touched without a policy file.
    pub fn real() -> Self {
        Self::under(Policy::default())
    }

    /// Opens the real world, as far as a policy allows it to be touched.
    pub fn under(policy: Policy) -> Self {
        let policy = Arc::new(policy);
        let http = Arc::new(http::Http::under(Arc::clone(&policy)));
        Self { clock: Clock::real(), http, env: Arc::new(env::Env::of_process()), policy }
    }

    /// Runs a command that a checklist asks for; see [`process::run`].
    ///
    /// # Errors
    /// Says why the command could not be started, or by which rule it is refused.
    pub async fn run(&self, invocation: &Invocation) -> Result<Ended, StartError> {
        self.may_run(invocation)?;
        process::run(invocation).await
    }

    /// Runs a command that a checklist asks for and hands on what it prints; see [`process::stream`].
    ///
    /// # Errors
    /// Says why the command could not be started, or by which rule it is refused.
    pub async fn stream(&self, invocation: &Invocation, to: mpsc::Sender<Bytes>) -> Result<Streamed, StartError> {
        self.may_run(invocation)?;
        process::stream(invocation, to).await
    }

    fn may_run(&self, invocation: &Invocation) -> Result<(), StartError> {
        let allowed = self.policy.allow_command(&invocation.argv);
        let allowed = allowed.and_then(|()| self.policy.allow_environment(&invocation.env, &self.env));
        let allowed = allowed.and_then(|()| self.policy.allow_folder(&invocation.argv, invocation.cwd.as_deref()));
        allowed.map_err(|refusal| StartError { message: refusal.message, retry: false })
    }
}
