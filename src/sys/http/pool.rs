//! Connections that are kept: one client for each way of connecting, made when it is first needed.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Proxy, redirect};
use rustls::ClientConfig;
use tokio::sync::OnceCell;

use super::door::{self, Admitting};
use super::hop::Hop;
use super::message::{Connection, Fault, HttpError, HttpVersion};
use super::tls;
use crate::sys::policy::Policy;

/// How long an idle connection is kept: less than the 5 s after which common servers close theirs.
const IDLE: Duration = Duration::from_secs(4);

/// How many idle connections are kept for each host.
const IDLE_PER_HOST: usize = 1024;

/// The clients, one for each way of connecting, plain and over TLS apart: only the latter reads authorities.
#[derive(Default)]
pub(super) struct Pool {
    plain: OnceCell<Client>,
    secure: OnceCell<Client>,
    others: Cells<(Connection, bool, Option<u16>), Client>,
    configs: Cells<Connection, Arc<ClientConfig>>,
    policy: Arc<Policy>,
}

/// Values that are made when they are first asked for, each once however many ask at the same time.
type Cells<K, V> = Mutex<HashMap<K, Arc<OnceCell<V>>>>;

impl Pool {
    /// Makes an empty pool whose clients reach only what a policy allows.
    pub(super) fn under(policy: Arc<Policy>) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Returns what may be reached.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Judges a hop before anything of it is sent or looked up.
    ///
    /// # Errors
    /// Says by which rule it is refused.
    pub(super) fn allow(&self, hop: &Hop, connection: &Connection) -> Result<(), HttpError> {
        door::allow(&self.policy, hop, connection)
    }

    /// Returns the client for a way of connecting.
    ///
    /// # Errors
    /// Says what is wrong with the connection's settings: a file, an address, the proxy.
    pub(super) async fn client(&self, connection: &Connection, hop: &Hop) -> Result<Client, HttpError> {
        let https = hop.is_https();
        // Where ports are ruled, each has a client of its own: looking a name up, a client does not know for which.
        let ruled = !self.policy.hosts.is_open() && connection.proxy.is_none();
        let port = hop.url.port_or_known_default().filter(|_| ruled);
        if port.is_none() && *connection == Connection::default() {
            let cell = if https { &self.secure } else { &self.plain };
            return cell.get_or_try_init(|| self.build(connection, https, port)).await.cloned();
        }
        let cell = {
            let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(others.entry((connection.clone(), https, port)).or_default())
        };
        cell.get_or_try_init(|| self.build(connection, https, port)).await.cloned()
    }

    /// Returns the TLS settings for a way of connecting.
    ///
    /// # Errors
    /// Says what is wrong with a file.
    pub(super) async fn config(&self, connection: &Connection) -> Result<Arc<ClientConfig>, HttpError> {
        let cell = {
            let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(configs.entry(connection.clone()).or_default())
        };
        let made = cell.get_or_try_init(async || {
            let (connection, policy) = (connection.clone(), Arc::clone(&self.policy));
            let made = tokio::task::spawn_blocking(move || {
                for file in connection.ca_file.iter().chain(&connection.client_cert) {
                    policy.allow_path(Path::new(file)).map_err(door::refused)?;
                }
                tls::config(&connection)
            });
            let made = made.await;
            made.map_err(|e| HttpError::new(Fault::Request, e.to_string()))?.map(Arc::new)
        });
        made.await.cloned()
    }

    async fn build(&self, connection: &Connection, https: bool, port: Option<u16>) -> Result<Client, HttpError> {
        let proxied_by_tls = connection.proxy.as_ref().is_some_and(|proxy| proxy.starts_with("https:"));
        let tls = match https || proxied_by_tls {
            true => ClientConfig::clone(&*self.config(connection).await?),
            false => tls::none()?,
        };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .tls_info(https)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .dns_resolver(Admitting { policy: Arc::clone(&self.policy), port })
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .pool_idle_timeout(IDLE);
        builder = match connection.version {
            HttpVersion::Any => builder,
            HttpVersion::Http1 => builder.http1_only(),
            HttpVersion::Http2 => builder.http2_prior_knowledge(),
        };
        for (host, text) in &connection.resolve {
            builder = builder.resolve(host, address(host, text)?);
        }
        if let Some(url) = &connection.proxy {
            builder = builder.proxy(proxy(url)?);
        }
        if let Some(path) = &connection.unix_socket {
            builder = builder.unix_socket(path.as_str());
        }
        builder.build().map_err(|e| super::fault::of(&e, "the client"))
    }
}

/// Reads a proxy's URL. It is not repeated, for it may carry a password.
fn proxy(text: &str) -> Result<Proxy, HttpError> {
    let wrong =
        || HttpError::new(Fault::Request, "the proxy is not a URL such as http://proxy:3128 or socks5://proxy:1080");
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    match matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.has_host() {
        true => Proxy::all(url).map_err(|_| wrong()),
        false => Err(wrong()),
    }
}

/// Reads the address that a name is given. Its port counts only where the URL names none; 0 stands for the scheme's.
///
/// # Errors
/// Says that it is not an address.
pub(super) fn address(host: &str, text: &str) -> Result<SocketAddr, HttpError> {
    let ip = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    text.parse().ok().or_else(|| ip(text)).ok_or_else(|| {
        HttpError::new(Fault::Request, format!("{text:?}, given for {host}, is not an address such as 10.0.0.1:443"))
    })
}
