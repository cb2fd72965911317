//! The only door to the world: clock, HTTP, mail, files, processes, environment. Real, or made up for tests.

pub mod agent;
pub mod clock;
pub mod env;
pub mod http;
pub mod kubernetes;
pub mod mail;
pub mod process;

use std::sync::Arc;

pub use clock::Clock;

/// Everything outside, cheap to clone.
#[derive(Clone)]
pub struct World {
    /// Tells and waits for time.
    pub clock: Clock,
    /// Sends HTTP requests over one pool of connections.
    pub http: Arc<http::Http>,
    /// The environment variables.
    pub env: Arc<env::Env>,
}

impl World {
    /// Opens the real world.
    pub fn real() -> Self {
        Self { clock: Clock::real(), http: Arc::new(http::Http::new()), env: Arc::new(env::Env::of_process()) }
    }
}
