//! Asks the policy: before a request is sent, for the host as it is written, and while its name is looked up, for each
//! address. Every hop of a chain of redirects comes through here.

use std::path::Path;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::hop::Hop;
use super::message::{Connection, Fault, HttpError};
use super::pool::address;
use crate::sys::policy::{Policy, Refusal};

/// Looks names up for one port, and leaves out what may not be connected to.
pub(super) struct Admitting {
    pub(super) policy: Arc<Policy>,
    /// Nothing where a client reaches more than one, because a proxy stands between.
    pub(super) port: Option<u16>,
}

impl Resolve for Admitting {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, port) = (Arc::clone(&self.policy), self.port);
        Box::pin(async move {
            let host = name.as_str();
            policy.allow_host(host, port)?;
            let found = tokio::net::lookup_host((host, 0)).await?;
            let left = policy.admitted(host, found, port)?;
            Ok(Box::new(left.into_iter()) as Addrs)
        })
    }
}

/// Judges a hop as far as it is known before anything is looked up: its host, the address that the checklist gives that
/// host, the proxy.
///
/// # Errors
/// Says by which rule it is refused.
pub(super) fn allow(policy: &Policy, hop: &Hop, connection: &Connection) -> Result<(), HttpError> {
    if let Some(socket) = &connection.unix_socket {
        // The host of the URL is but a name for whoever listens there.
        return policy.allow_path(Path::new(socket)).map_err(refused);
    }
    policy.allow_url(&hop.url).map_err(refused)?;
    let (host, port) = (hop.url.host_str().unwrap_or_default(), hop.url.port_or_known_default());
    for (_, text) in connection.resolve.iter().filter(|(name, _)| name.eq_ignore_ascii_case(host)) {
        policy.allow_address(host, address(host, text)?.ip(), port).map_err(refused)?;
    }
    match connection.proxy.as_deref().and_then(|proxy| Url::parse(proxy).ok()) {
        // The URL of a SOCKS proxy is of no scheme whose hosts are read as addresses by the parser.
        Some(proxy) => policy.allow_host(proxy.host_str().unwrap_or_default(), proxy.port()).map_err(refused),
        None => Ok(()),
    }
}

/// Makes an error of a refusal: no attempt will mend it.
pub(super) fn refused(refusal: Refusal) -> HttpError {
    HttpError::new(Fault::Request, refusal.message)
}
