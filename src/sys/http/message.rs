//! What goes out and what comes back: plain data, so that a request can be made without knowing the client.

use std::time::Duration;

use bytes::Bytes;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How long the whole exchange may take, redirects and body included.
    pub timeout: Duration,
    /// How many decoded bytes of the body are kept; what comes after is not read.
    pub max_body: usize,
    /// How many redirects are followed; 0 takes the first answer as it is.
    pub max_redirects: u32,
    /// How the connection is made.
    pub connection: Connection,
    /// Whether the phases of the connection are timed: always on a connection of its own.
    pub timed: bool,
}

/// How a connection is made. Requests that agree in this share a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Connection {
    /// A file with certificate authorities (PEM) to trust instead of the system's.
    pub ca_file: Option<String>,
    /// A file with the client's certificate and key (PEM).
    pub client_cert: Option<String>,
    /// The file with the client's key (PEM), where it is not that of the certificate.
    pub client_key: Option<String>,
    /// A socket of this machine to connect to, whatever host the URL names.
    pub unix_socket: Option<String>,
    /// Whether the server's certificate goes unchecked. Always marked in the report.
    pub insecure: bool,
    /// Addresses to use instead of asking DNS: host and address (`10.0.0.1:443`).
    pub resolve: Vec<(String, String)>,
    /// A proxy, `http://…` or `socks5://…`.
    pub proxy: Option<String>,
    /// The HTTP version to insist on.
    pub version: HttpVersion,
}

/// The HTTP version to insist on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// What both sides like best.
    #[default]
    Any,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone, without TLS too.
    Http2,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// `HTTP/1.1`, `HTTP/2`.
    pub version: &'static str,
    /// The URL that answered, after redirects.
    pub url: String,
    /// The headers, names in lower case, values as text.
    pub headers: Vec<(String, String)>,
    /// The body, decoded; of one larger than `max_body` the first 64 KiB.
    pub body: Bytes,
    /// What became of the body.
    pub body_end: BodyEnd,
    /// The URLs that were followed on the way.
    pub redirects: Vec<String>,
    /// From the start until the last byte that was read.
    pub latency: Duration,
    /// The phases, if asked for.
    pub timing: Option<Timing>,
    /// The server's certificate, over TLS.
    pub certificate: Option<Certificate>,
    /// What a reader should know of the way: credentials that were held back, a second attempt.
    pub notes: Vec<String>,
}

/// What became of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// It was read to its end.
    Complete,
    /// It is larger than `max_body`; the rest was not read.
    TooLarge,
    /// It broke off, with the cause: the time was up, the connection closed, the encoding was damaged.
    Broken(String),
}

/// The phases of a request on a connection of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Asking for the address.
    pub dns: Duration,
    /// Connecting.
    pub connect: Duration,
    /// The TLS handshake; zero without TLS.
    pub tls: Duration,
    /// From the request sent until the first byte of the answer.
    pub first_byte: Duration,
}

/// A server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// When it expires, in seconds since 1970.
    pub expires_at: i64,
    /// Who issued it.
    pub issuer: String,
    /// Whom it names.
    pub subject: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    /// What kind of fault.
    pub kind: Fault,
    /// One line for people: `connection refused by 127.0.0.1:8080`.
    pub message: String,
}

impl HttpError {
    /// Makes a fault.
    pub(in crate::sys) fn new(kind: Fault, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// What kept an answer from coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request makes no sense: a bad URL, header, file.
    Request,
    /// The name has no address.
    Dns,
    /// Nobody accepts connections there.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// No answer in time.
    Timeout,
    /// The answer is not HTTP.
    Protocol,
    /// Too many redirects, or one that must not be followed.
    Redirect,
}
