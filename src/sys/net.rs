//! Names, addresses and connections: the door for whatever speaks no HTTP. What the policy refuses is not looked up, and
//! not connected to.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};

use super::policy::{Policy, Refusal};

/// Why there is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// The policy refuses the host.
    #[error("{0}")]
    Refused(Refusal),
    /// The name has no address, with the cause.
    #[error("{0}")]
    Unknown(String),
}

/// Takes host and port apart; an IPv6 address stands in brackets.
///
/// # Errors
/// Says what is wrong with the text.
pub fn host_and_port(text: &str) -> Result<(&str, u16), String> {
    let text = text.trim();
    if text.contains("://") {
        return Err("this is a URL; what is wanted is host:port".into());
    }
    let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err("an IPv6 address stands in brackets: [::1]:8080".into());
    }
    if host.is_empty() || host.contains(char::is_whitespace) || host.contains('/') {
        return Err("the host is missing or has signs that no host has".into());
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(format!("{port:?} is not a port from 1 to 65535")),
        Ok(port) => Ok((bare.unwrap_or(host), port)),
    }
}

/// Asks the system for the addresses of a name; those that may not be connected to are left out.
///
/// # Errors
/// Says that the name has none, or that the policy refuses it.
pub async fn resolve(policy: &Policy, host: &str, port: u16) -> Result<Vec<SocketAddr>, NoAddress> {
    policy.allow_host(host, Some(port)).map_err(NoAddress::Refused)?;
    let found = lookup_host((host, port)).await.map_err(|error| {
        let cause = error.to_string();
        let cause = cause.trim_start_matches("failed to lookup address information: ");
        NoAddress::Unknown(format!("the name {host} has no address: {}", cause.to_lowercase()))
    })?;
    policy.admitted(host, found, Some(port)).map_err(NoAddress::Refused)
}

/// Connects to the first address that accepts. An address that answers, if only by refusing, tells more than one that
/// this machine cannot even try.
///
/// # Errors
/// Says why none accepts.
pub async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed: Option<io::Error> = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if failed.as_ref().is_none_or(|known| !is_told(known) || is_told(&error)) => {
                failed = Some(error)
            }
            Err(_) => {}
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::other("the name has no address")))
}

/// Tells whether an error says something of the port, and not of this machine.
pub fn is_told(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, TimedOut};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | HostUnreachable | TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_answers_tells_more_than_one_that_cannot_be_tried() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let free = taken.local_addr().expect("an address");
        drop(taken);
        // Nothing can connect to the broadcast address, which says nothing of the port.
        let nowhere: SocketAddr = "255.255.255.255:9".parse().expect("an address");
        for order in [[free, nowhere], [nowhere, free]] {
            let error = connect(&order).await.expect_err("nobody listens");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{order:?}");
        }
    }

    #[tokio::test]
    async fn another_spelling_of_a_guarded_address_is_refused_all_the_same() {
        // The system reads decimal, octal, hexadecimal and shortened addresses.
        for spelled in ["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"] {
            let found = resolve(&Policy::default(), spelled, 80).await;
            assert!(matches!(&found, Err(NoAddress::Refused(_))), "{spelled}: {found:?}");
        }
    }

    #[test]
    fn addresses_are_host_and_port() {
        assert_eq!(host_and_port("localhost:5432"), Ok(("localhost", 5432)));
        assert_eq!(host_and_port("[::1]:80"), Ok(("::1", 80)));
        for bad in ["localhost", "::1:80", ":80", "h:0", "h:65536", "h:http", "http://h:80", "a b:80"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
