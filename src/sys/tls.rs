//! Looks at a TLS server: the handshake, the chain of certificates that it shows, and whether that is to be trusted.
//!
//! The handshake is carried to its end with whatever certificate is shown, so that a bad one can be measured; what was
//! found of it is told apart ([`Seen::untrusted`]). Nothing is sent over such a connection but the greeting of the
//! protocol before TLS, and it is closed at once.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ProtocolVersion, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use super::http::{fault, tls};
use super::net::{self, NoAddress};
use super::policy::Policy;
use crate::model::quantity;

/// The longest line of a greeting, and the most lines.
const LONGEST: usize = 1024;
const MOST_LINES: usize = 64;

/// What is spoken before TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTls {
    /// RFC 3207.
    Smtp,
    /// RFC 9051 section 6.2.1.
    Imap,
    /// PostgreSQL's frontend/backend protocol, SSLRequest.
    Postgres,
}

/// A server to look at.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The host to connect to.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name that is asked for (SNI), and that the certificate must be for.
    pub server_name: String,
    /// A file with certificate authorities (PEM) to trust instead of the system's.
    pub ca: Option<String>,
    /// What is spoken before TLS begins.
    pub starttls: Option<StartTls>,
    /// The protocols that are offered within TLS (ALPN), the best first.
    pub alpn: Vec<String>,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// What a server showed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The version of TLS that was agreed on: 1.2 or 1.3.
    pub version: f64,
    /// The suite that was agreed on, as IANA registers it.
    pub suite: String,
    /// The protocol within TLS that was agreed on.
    pub alpn: Option<String>,
    /// The certificates in the order in which they were shown, the server's own first.
    pub chain: Vec<Shown>,
    /// Why the chain is not to be trusted.
    pub untrusted: Option<String>,
    /// The address that was connected to.
    pub address: SocketAddr,
    /// How long the handshake took, the connection not included.
    pub took: Duration,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whom it names.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// From when it is valid, in seconds since 1970.
    pub begins_at: i64,
    /// When it expires, in seconds since 1970.
    pub expires_at: i64,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// The SHA-256 digest of the certificate in hexadecimal.
    pub sha256: String,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
}

/// Why a server could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// It does not answer, or not in TLS.
    Server(String),
    /// This machine cannot ask, or may not.
    Here(String),
}

/// Connects, and carries the handshake through.
///
/// # Errors
/// Says why there was no handshake. A certificate that is not to be trusted is no such reason.
pub async fn inspect(policy: &Policy, wanted: &Inspection) -> Result<Seen, TlsFault> {
    let until = tokio::time::Instant::now() + wanted.timeout.min(Duration::from_secs(31_536_000));
    let peer = format!("{}:{}", wanted.host, wanted.port);
    let late = |what: &str| {
        let after = quantity::seconds(wanted.timeout.as_secs_f64());
        TlsFault::Server(format!("{what} {peer} within {after}"))
    };
    let name = ServerName::try_from(wanted.server_name.clone());
    let name = name.map_err(|e| TlsFault::Here(format!("{:?} is not a name for TLS: {e}", wanted.server_name)))?;
    let verdict = Arc::new(Mutex::new(None));
    let config = config(policy, wanted, Arc::clone(&verdict)).await.map_err(TlsFault::Here)?;
    let found = timeout_at(until, net::resolve(policy, &wanted.host, wanted.port)).await;
    let addresses = found.map_err(|_| late("no address for"))?.map_err(|error| match error {
        NoAddress::Refused(refusal) => TlsFault::Here(refusal.message),
        NoAddress::Unknown(cause) => TlsFault::Server(cause),
    })?;
    let connected = timeout_at(until, net::connect(&addresses)).await.map_err(|_| late("no connection to"))?;
    let mut stream = connected.map_err(|error| match net::is_told(&error) {
        true => TlsFault::Server(fault::of_connect(&error, &peer).message),
        false => TlsFault::Here(format!("this machine cannot connect: {error}")),
    })?;
    let address = stream.peer_addr().map_err(|e| TlsFault::Server(format!("{peer} is gone: {e}")))?;
    if let Some(before) = wanted.starttls {
        let agreed = timeout_at(until, before.ask(&mut stream)).await.map_err(|_| late("no STARTTLS from"))?;
        agreed.map_err(|cause| TlsFault::Server(format!("{peer} {cause}")))?;
    }
    let begun = Instant::now();
    let shaken = timeout_at(until, TlsConnector::from(config).connect(name, stream)).await;
    let stream = shaken
        .map_err(|_| late("no TLS handshake with"))?
        .map_err(|error| TlsFault::Server(fault::of(&error, &peer).message))?;
    let took = begun.elapsed();
    let session = stream.get_ref().1;
    let chain = session.peer_certificates().unwrap_or_default();
    let untrusted = match verdict.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(fault::tls_words(&error)),
        None => Some("the certificate was not checked".to_owned()),
    };
    Ok(Seen {
        version: if session.protocol_version() == Some(ProtocolVersion::TLSv1_3) { 1.3 } else { 1.2 },
        suite: session.negotiated_cipher_suite().map(|s| format!("{:?}", s.suite())).unwrap_or_default(),
        alpn: session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        chain: chain.iter().map(shown).collect::<Result<_, _>>().map_err(TlsFault::Server)?,
        untrusted,
        address,
        took,
    })
}

async fn config(policy: &Policy, wanted: &Inspection, verdict: Verdict) -> Result<Arc<ClientConfig>, String> {
    let (ca, files) = (wanted.ca.clone(), Policy { files: policy.files.clone(), ..Policy::default() });
    // Authorities are read from files.
    let roots = tokio::task::spawn_blocking(move || {
        if let Some(ca) = &ca {
            files.allow_path(std::path::Path::new(ca)).map_err(|refusal| refusal.message)?;
        }
        tls::roots(ca.as_deref()).map_err(|error| error.message)
    });
    let roots = roots.await.map_err(|e| e.to_string())??;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|e| format!("no certificate authority to trust: {e}"))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Watched { verifier, verdict }))
        .with_no_client_auth();
    config.alpn_protocols = wanted.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
    // Each look is a whole handshake: a resumed one shows no certificate.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

type Verdict = Arc<Mutex<Option<Result<(), rustls::Error>>>>;

/// Checks the certificate as every connection does, keeps what came of it, and lets the handshake go on. That the server
/// holds the key of its certificate is insisted on.
#[derive(Debug)]
struct Watched {
    verifier: Arc<WebPkiServerVerifier>,
    verdict: Verdict,
}

impl ServerCertVerifier for Watched {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let verdict = checked.map(|_| ()).map_err(|error| tls::explain(error, end_entity));
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn shown(der: &CertificateDer<'_>) -> Result<Shown, String> {
    let parsed = x509_parser::parse_x509_certificate(der);
    let (_, certificate) = parsed.map_err(|e| format!("the server shows what is no certificate: {e}"))?;
    Ok(Shown {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        begins_at: certificate.validity().not_before.timestamp(),
        expires_at: certificate.validity().not_after.timestamp(),
        serial: hex(certificate.raw_serial()),
        sha256: hex(&Sha256::digest(der.as_ref())),
        names: names(&certificate),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return Vec::new() };
    let one = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|four| std::net::Ipv4Addr::from(four).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|six| std::net::Ipv6Addr::from(six).to_string()),
            _ => None,
        },
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        GeneralName::RFC822Name(mail) => Some((*mail).to_owned()),
        _ => None,
    };
    alternative.value.general_names.iter().filter_map(one).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl StartTls {
    /// Speaks until TLS may begin.
    async fn ask(self, stream: &mut TcpStream) -> Result<(), String> {
        match self {
            StartTls::Smtp => smtp(stream).await,
            StartTls::Imap => imap(stream).await,
            StartTls::Postgres => postgres(stream).await,
        }
    }
}

async fn smtp(stream: &mut TcpStream) -> Result<(), String> {
    let hello = reply(stream).await?;
    expect(&hello, "220", "greets with")?;
    say(stream, "EHLO holdpoint\r\n").await?;
    let offers = reply(stream).await?;
    expect(&offers, "250", "answers EHLO with")?;
    if !offers.iter().any(|line| line[3..].trim_start_matches(['-', ' ']).eq_ignore_ascii_case("STARTTLS")) {
        return Err("does not offer STARTTLS".to_owned());
    }
    say(stream, "STARTTLS\r\n").await?;
    expect(&reply(stream).await?, "220", "answers STARTTLS with")
}

/// Reads a reply of SMTP: lines with a dash behind the code, and one without.
async fn reply(stream: &mut TcpStream) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    while lines.len() < MOST_LINES {
        let text = line(stream).await?;
        let code = text.len() >= 3 && text.is_char_boundary(3) && text[..3].bytes().all(|b| b.is_ascii_digit());
        if !code {
            return Err(format!("does not speak SMTP: {text:?}"));
        }
        let last = text.as_bytes().get(3) != Some(&b'-');
        lines.push(text);
        if last {
            return Ok(lines);
        }
    }
    Err(format!("answers with more than {MOST_LINES} lines"))
}

fn expect(reply: &[String], code: &str, what: &str) -> Result<(), String> {
    match reply.last() {
        Some(line) if line.starts_with(code) => Ok(()),
        other => Err(format!("{what} {:?}", other.map_or("nothing", String::as_str))),
    }
}

async fn imap(stream: &mut TcpStream) -> Result<(), String> {
    let hello = line(stream).await?;
    if !hello.starts_with("* OK") && !hello.starts_with("* PREAUTH") {
        return Err(format!("does not greet as IMAP does: {hello:?}"));
    }
    say(stream, "a1 STARTTLS\r\n").await?;
    for _ in 0..MOST_LINES {
        let text = line(stream).await?;
        match text.strip_prefix("a1 ") {
            Some(answer) if answer.starts_with("OK") => return Ok(()),
            Some(answer) => return Err(format!("answers STARTTLS with {answer:?}")),
            None => {}
        }
    }
    Err(format!("answers with more than {MOST_LINES} lines"))
}

async fn postgres(stream: &mut TcpStream) -> Result<(), String> {
    // The length of the message, and the code of SSLRequest.
    let request = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    stream.write_all(&request).await.map_err(|e| gone(&e))?;
    match stream.read_u8().await.map_err(|e| gone(&e))? {
        b'S' => Ok(()),
        b'N' => Err("does not offer TLS".to_owned()),
        other => Err(format!("does not speak PostgreSQL's protocol: it answers with byte {other:#04x}")),
    }
}

async fn say(stream: &mut TcpStream, text: &str) -> Result<(), String> {
    stream.write_all(text.as_bytes()).await.map_err(|e| gone(&e))
}

/// Reads a line, byte for byte: what follows it belongs to TLS.
async fn line(stream: &mut TcpStream) -> Result<String, String> {
    let mut bytes = Vec::new();
    while bytes.len() < LONGEST {
        match stream.read_u8().await.map_err(|e| gone(&e))? {
            b'\n' => return Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
            byte => bytes.push(byte),
        }
    }
    Err(format!("answers with a line of more than {LONGEST} bytes"))
}

fn gone(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "closed the connection before TLS began".to_owned(),
        _ => format!("broke the connection before TLS began: {error}"),
    }
}
