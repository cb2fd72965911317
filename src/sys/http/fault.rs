//! What went wrong, in one line: the libraries' chains of causes, read from the inside.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::message::{Fault, HttpError};
use super::tls::Untrusted;
use crate::sys::policy::Refusal;

/// Names the cause why there was no answer.
pub(in crate::sys) fn of(error: &(dyn Error + 'static), peer: &str) -> HttpError {
    let chain = chain(error);
    if let Some(refusal) = chain.iter().find_map(|e| e.downcast_ref::<Refusal>()) {
        return super::door::refused(refusal.clone());
    }
    let find = |wanted: fn(&(dyn Error + 'static)) -> bool| chain.iter().copied().find(|e| wanted(*e));
    if let Some(tls) = chain.iter().find_map(|e| e.downcast_ref::<rustls::Error>()) {
        return HttpError::new(Fault::Tls, format!("{} ({peer})", tls_words(tls)));
    }
    if find(|e| e.to_string().contains("tls handshake eof")).is_some() {
        return HttpError::new(Fault::Tls, format!("{peer} closed the connection during the TLS handshake"));
    }
    let dns = error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_dns);
    if dns || find(|e| e.to_string().starts_with("dns error")).is_some() {
        return unresolved(peer, chain.last().copied().unwrap_or(error));
    }
    if error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_builder) {
        return HttpError::new(Fault::Request, format!("the request cannot be sent: {}", innermost(&chain, error)));
    }
    if let Some(io) = chain.iter().find_map(|e| e.downcast_ref::<io::Error>())
        && let Some(known) = of_io(io, peer)
    {
        return known;
    }
    match chain.iter().find_map(|e| e.downcast_ref::<hyper::Error>()) {
        Some(hyper) => of_hyper(hyper, &chain, peer),
        None if error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect) => {
            HttpError::new(Fault::Connect, format!("cannot connect to {peer}: {}", innermost(&chain, error)))
        }
        None => HttpError::new(Fault::Protocol, format!("no answer from {peer}: {}", innermost(&chain, error))),
    }
}

/// Names the cause why a connection could not be made.
pub(in crate::sys) fn of_connect(error: &io::Error, peer: &str) -> HttpError {
    of_io(error, peer)
        .unwrap_or_else(|| HttpError::new(Fault::Connect, format!("cannot connect to {peer}: {}", plain(error))))
}

/// Says that a name has no address.
pub(super) fn unresolved(peer: &str, error: &(dyn Error + 'static)) -> HttpError {
    let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
    let cause = error.to_string();
    let cause = cause.trim_start_matches("failed to lookup address information: ");
    HttpError::new(Fault::Dns, format!("the name {host} has no address: {}", lower(cause)))
}

/// Names the cause why a body broke off.
pub(in crate::sys) fn of_body(error: &(dyn Error + 'static), received: u64, expected: Option<u64>) -> HttpError {
    let chain = chain(error);
    let came = match expected {
        Some(expected) => format!("{} of {} bytes", grouped(received), grouped(expected)),
        None => format!("{} bytes", grouped(received)),
    };
    let message = match innermost(&chain, error) {
        cause if cause.contains("end of file") || cause.contains("unexpected EOF") || cause.contains("closed") => {
            format!("the connection closed after {came} of the body")
        }
        cause if cause.contains("reset") => format!("the connection was reset after {came} of the body"),
        cause => format!("the body broke off after {came}: {cause}"),
    };
    HttpError::new(Fault::Protocol, message)
}

/// Tells whether a connection was closed before anything came back.
pub(super) fn closed_unanswered(error: &HttpError) -> bool {
    error.kind == Fault::Protocol && error.message.ends_with(UNANSWERED)
}

const UNANSWERED: &str = "the connection before an answer came";

/// Writes a count with commas: `1,234`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Lists an error and its causes, those inside of `io::Error` included.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut all = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next.filter(|_| all.len() < 16) {
        all.push(error);
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    all
}

fn innermost(chain: &[&(dyn Error + 'static)], error: &(dyn Error + 'static)) -> String {
    lower(&chain.last().map_or_else(|| error.to_string(), ToString::to_string))
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    format!("{first}{}", chars.as_str()).trim_end_matches('.').to_owned()
}

fn plain(error: &io::Error) -> String {
    let text = lower(&error.to_string());
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn of_io(error: &io::Error, peer: &str) -> Option<HttpError> {
    let of = |kind, message| Some(HttpError::new(kind, message));
    match error.kind() {
        io::ErrorKind::ConnectionRefused => of(Fault::Connect, format!("connection refused by {peer}")),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            of(Fault::Protocol, format!("{peer} reset {UNANSWERED}"))
        }
        io::ErrorKind::TimedOut => of(Fault::Timeout, format!("no connection to {peer}: the attempt timed out")),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
            of(Fault::Connect, format!("{peer} cannot be reached: {}", plain(error)))
        }
        // Only a socket file can be missing or forbidden: its path stands for the peer.
        io::ErrorKind::NotFound if peer.starts_with('/') => of(Fault::Connect, format!("there is no socket {peer}")),
        io::ErrorKind::PermissionDenied if peer.starts_with('/') => {
            of(Fault::Request, format!("no permission to use the socket {peer}"))
        }
        _ => None,
    }
}

fn of_hyper(error: &hyper::Error, chain: &[&(dyn Error + 'static)], peer: &str) -> HttpError {
    let message = if error.is_parse_too_large() {
        format!("{peer} answered with a head that is too large")
    } else if error.is_parse() {
        format!("{peer} did not answer in HTTP: {}", lower(&error.to_string()))
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        format!("{peer} closed {UNANSWERED}")
    } else {
        format!("{peer} did not answer in HTTP: {}", innermost(chain, error))
    };
    HttpError::new(Fault::Protocol, message)
}

pub(in crate::sys) fn tls_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(cause) => certificate_words(cause),
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS on this port".into(),
        rustls::Error::AlertReceived(alert) => match alert {
            rustls::AlertDescription::CertificateRequired => "the server wants a client certificate".into(),
            rustls::AlertDescription::UnrecognisedName => "the server does not know this name".into(),
            other => format!("the server broke the TLS handshake off: {other:?}"),
        },
        rustls::Error::PeerIncompatible(cause) => format!("no TLS version or cipher in common: {cause:?}"),
        rustls::Error::NoApplicationProtocol => "the server does not speak the HTTP version that was asked for".into(),
        other => format!("the TLS handshake failed: {}", lower(&other.to_string())),
    }
}

fn certificate_words(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired => "the certificate has expired".into(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate expired on {}", date(not_after.as_secs()))
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".into(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate is not valid before {}", date(not_before.as_secs()))
        }
        CertificateError::NotValidForName => "the certificate is for another name".into(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().take(5).map(|name| readable(name)).collect();
            let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
            format!("the certificate is for {names}, not for {}", expected.to_str())
        }
        CertificateError::UnknownIssuer => "the certificate's issuer is not trusted".into(),
        CertificateError::Revoked => "the certificate is revoked".into(),
        CertificateError::Other(other) => match other.0.downcast_ref::<Untrusted>() {
            Some(untrusted) => untrusted.to_string(),
            None => format!("the certificate is not accepted: {}", lower(&other.0.to_string())),
        },
        other => format!("the certificate is not accepted: {}", lower(&other.to_string())),
    }
}

/// Takes the name out of `DnsName("a.test")`.
fn readable(presented: &str) -> String {
    presented.split('"').nth(1).unwrap_or(presented).to_owned()
}

fn date(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|s| chrono::DateTime::from_timestamp(s, 0));
    at.map_or_else(|| "an unknown day".into(), |at| at.format("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn causes_inside_of_io_errors_are_found() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let nested = io::Error::other(io::Error::other(tls));
        let fault = of(&nested, "h:443");
        assert_eq!(
            (fault.kind, fault.message.as_str()),
            (Fault::Tls, "the certificate's issuer is not trusted (h:443)")
        );
    }

    #[test]
    fn a_bodys_end_says_how_much_came() {
        let error = io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF during chunk size line");
        assert_eq!(
            of_body(&error, 1234, Some(5000)).message,
            "the connection closed after 1,234 of 5,000 bytes of the body"
        );
    }
}
