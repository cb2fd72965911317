//! Mail over SMTP: the only file that knows the mail library.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::policy::Policy;

/// A server that takes mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name or address.
    pub host: String,
    /// Its port; the usual one when not given: 587 with STARTTLS, 465 with TLS, 25 without.
    pub port: Option<u16>,
    /// How the connection is kept secret.
    pub security: Security,
    /// A file with certificate authorities (PEM) to trust beside the system's.
    pub ca_file: Option<String>,
    /// User and password.
    pub login: Option<(String, String)>,
    /// How long one command may take.
    pub timeout: Duration,
}

/// How a connection is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// It begins in plain and must become TLS before anything is sent.
    StartTls,
    /// It is TLS from the beginning.
    Tls,
    /// Not at all.
    None,
}

/// A mail in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Who sends it.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// What it is about, one line.
    pub subject: String,
    /// What it says.
    pub body: String,
}

/// Why a mail was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MailError {
    /// One line for people.
    pub message: String,
    /// Whether a later attempt may succeed.
    pub passing: bool,
}

/// Tells whether a text is an address that mail can be sent to: `a@b.example`, `Name <a@b.example>`.
pub fn is_address(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

/// Sends a mail. Needs a runtime with time and network.
///
/// # Errors
/// Says why the server did not take it, and whether that may pass.
pub async fn send(server: &Server, mail: &Mail, policy: &Policy) -> Result<(), MailError> {
    policy.allow_host(&server.host, server.port).map_err(|refusal| lasting(refusal.message))?;
    let message = message(mail)?;
    let (tls, usual) = match server.security {
        Security::StartTls => (Tls::Required(parameters(server).await?), 587),
        Security::Tls => (Tls::Wrapper(parameters(server).await?), 465),
        Security::None => (Tls::None, 25),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
        .port(server.port.unwrap_or(usual))
        .timeout(Some(server.timeout))
        .tls(tls);
    if let Some((user, password)) = &server.login {
        builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
    }
    let transport = builder.build();
    transport.send(message).await.map(|_| ()).map_err(|error| fault(&error))
}

fn message(mail: &Mail) -> Result<Message, MailError> {
    let address = |text: &str| {
        let wrong = |e| lasting(format!("{text:?} is not an address: {e}"));
        text.parse::<Mailbox>().map_err(wrong)
    };
    let mut builder = Message::builder().from(address(&mail.from)?).subject(&mail.subject);
    for to in &mail.to {
        builder = builder.to(address(to)?);
    }
    let builder = builder.header(ContentType::TEXT_PLAIN);
    builder.body(mail.body.clone()).map_err(|e| lasting(format!("the mail cannot be written: {e}")))
}

/// Reads whom to trust, on a thread where that may take its time.
async fn parameters(server: &Server) -> Result<TlsParameters, MailError> {
    let (host, ca_file) = (server.host.clone(), server.ca_file.clone());
    let made = tokio::task::spawn_blocking(move || {
        let mut builder = TlsParameters::builder(host);
        if let Some(path) = &ca_file {
            let pem = std::fs::read(path).map_err(|e| lasting(format!("{path} cannot be read: {e}")))?;
            let authority = Certificate::from_pem(&pem).map_err(|e| lasting(format!("{path}: {e}")))?;
            builder = builder.add_root_certificate(authority);
        }
        builder.build().map_err(|e| lasting(e.to_string()))
    });
    made.await.unwrap_or_else(|fault| Err(lasting(fault.to_string())))
}

fn lasting(message: String) -> MailError {
    MailError { message, passing: false }
}

fn fault(error: &Error) -> MailError {
    // The library names the kind of fault first, and behind it what it comes from.
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error).and_then(std::error::Error::source);
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !message.contains(&words) {
            message = format!("{message}: {words}");
        }
        cause = inner.source();
    }
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let lasting = error.is_permanent() || error.is_client() || error.is_tls();
    MailError { message, passing: !lasting }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        assert!(is_address("sre@example.com") && is_address("On call <sre@example.com>"));
        assert!(!is_address("sre") && !is_address("") && !is_address("a@b.example\nbcc: c@d.example"));
    }
}
