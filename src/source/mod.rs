//! Clients of the back ends that are asked about a service. One file a kind; [`declared`] reads `sources:`, [`reach`]
//! says how to reach one over HTTP, [`api`] asks those that answer JSON ([`alertmanager`] is one), [`docker`] a container
//! engine, [`kubernetes`] a cluster, and [`metrics`] is whatever answers PromQL.

pub mod alertmanager;
pub mod api;
pub mod declared;
pub mod docker;
pub mod kubernetes;
pub mod metrics;
pub mod pages;
pub mod prometheus;
pub mod reach;

pub use api::Api;
pub use declared::{KINDS, SHAPE, Sources};
pub use docker::Docker;
pub use kubernetes::Kubernetes;
pub use metrics::{Asked, Metrics};
pub use prometheus::Prometheus;

/// Why a back end gave no usable answer: nothing is known of the service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Failure {
    /// Why, in one line.
    pub cause: String,
    /// Whether another attempt may help.
    pub retry: bool,
    /// Whether the back end did answer, but has not enough yet to say anything: a rate over samples that are not there.
    pub short: bool,
}

impl Failure {
    /// Makes a failure that another attempt may mend.
    pub fn passing(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), retry: true, short: false }
    }

    /// Makes a failure for lack of samples: only time may mend it.
    pub fn short(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), retry: false, short: true }
    }

    /// Makes a failure that no attempt will mend.
    pub fn lasting(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), retry: false, short: false }
    }
}
