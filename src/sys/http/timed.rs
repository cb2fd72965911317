//! A request on a connection of its own, each phase timed: name, connection, TLS, first byte.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::HOST;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::body::{Body, Raw};
use super::client::{Answer, Deadline};
use super::hop::Hop;
use super::message::{Certificate, Connection, Fault, HttpError, HttpVersion, Timing};
use super::pool::{Pool, address};
use super::{door, fault, tls};

/// Drives a connection for as long as it is held.
pub(super) struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that is ready for a request.
struct Open {
    stream: Box<dyn Io>,
    http2: bool,
    certificate: Option<Certificate>,
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// Says which phase failed, or took too long.
pub(super) async fn exchange(
    pool: &Pool,
    hop: &Hop,
    connection: &Connection,
    deadline: Deadline,
) -> Result<Answer, HttpError> {
    if connection.proxy.is_some() || connection.unix_socket.is_some() {
        let message = "the phases of a connection cannot be timed through a proxy or a socket file";
        return Err(HttpError::new(Fault::Request, message));
    }
    let mut timing = Timing::default();
    let open = open(pool, hop, connection, deadline, &mut timing).await?;
    let (peer, certificate) = (hop.peer(), open.certificate.clone());
    let mut lap = Instant::now();
    let late = || late(format!("no answer from {peer}"), deadline);
    let sent = deadline.within(send(open, hop)).await.ok_or_else(late)?;
    let (response, task) = sent.map_err(|error| fault::of(&error, &peer))?;
    timing.first_byte = split(&mut lap);
    let (head, incoming) = response.into_parts();
    let answer = Answer {
        status: head.status.as_u16(),
        version: head.version,
        headers: head.headers,
        certificate,
        timing: Some(timing),
        body: Body::empty(deadline),
    };
    Ok(answer.with_body(Raw::Own { incoming, _task: task }, hop, deadline))
}

async fn open(
    pool: &Pool,
    hop: &Hop,
    connection: &Connection,
    deadline: Deadline,
    timing: &mut Timing,
) -> Result<Open, HttpError> {
    let peer = hop.peer();
    let config = match hop.is_https() {
        true => Some(pool.config(connection).await?),
        false => None,
    };
    let mut lap = Instant::now();
    let addresses = deadline.within(addresses(pool, hop, connection)).await;
    let addresses = addresses.ok_or_else(|| late(format!("the name in {peer} was not resolved"), deadline))??;
    timing.dns = split(&mut lap);
    let stream = deadline.within(connect(&addresses)).await;
    let stream = stream
        .ok_or_else(|| late(format!("no connection to {peer}"), deadline))?
        .map_err(|e| fault::of_connect(&e, &peer))?;
    timing.connect = split(&mut lap);
    match config {
        None => Ok(Open { stream: Box::new(stream), http2: insisted(connection), certificate: None }),
        Some(config) => {
            let open = handshake(hop, config, stream, insisted(connection), deadline).await?;
            timing.tls = split(&mut lap);
            Ok(open)
        }
    }
}

async fn handshake(
    hop: &Hop,
    config: Arc<ClientConfig>,
    stream: TcpStream,
    insisted: bool,
    deadline: Deadline,
) -> Result<Open, HttpError> {
    let peer = hop.peer();
    let host = hop.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host)
        .map_err(|e| HttpError::new(Fault::Request, format!("{peer} is not a name for TLS: {e}")))?;
    let stream = deadline.within(TlsConnector::from(config).connect(name, stream)).await;
    let stream = stream
        .ok_or_else(|| late(format!("no TLS handshake with {peer}"), deadline))?
        .map_err(|e| fault::of(&e, &peer))?;
    let session = stream.get_ref().1;
    let certificate = session.peer_certificates().and_then(|chain| tls::certificate(chain.first()?));
    let http2 = insisted || session.alpn_protocol() == Some(b"h2");
    Ok(Open { stream: Box::new(stream), http2, certificate })
}

fn insisted(connection: &Connection) -> bool {
    connection.version == HttpVersion::Http2
}

async fn addresses(pool: &Pool, hop: &Hop, connection: &Connection) -> Result<Vec<SocketAddr>, HttpError> {
    let host = hop.url.host_str().unwrap_or_default();
    let port = hop.url.port_or_known_default().unwrap_or(80);
    if let Some((_, text)) = connection.resolve.iter().find(|(name, _)| name.eq_ignore_ascii_case(host)) {
        let mut given = address(host, text)?;
        if hop.url.port().is_some() || given.port() == 0 {
            given.set_port(port);
        }
        return Ok(vec![given]);
    }
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    let found = found.map_err(|e| fault::unresolved(&hop.peer(), &e))?;
    let found = pool.policy().admitted(host, found, Some(port)).map_err(door::refused)?;
    match found.is_empty() {
        true => Err(HttpError::new(Fault::Dns, format!("the name {host} has no address"))),
        false => Ok(found),
    }
}

async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addresses).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn send(open: Open, hop: &Hop) -> Result<(http::Response<hyper::body::Incoming>, Task), hyper::Error> {
    let io = TokioIo::new(open.stream);
    let mut request = http::Request::new(Full::new(hop.body.clone()));
    *request.method_mut() = hop.method.clone();
    *request.headers_mut() = hop.headers.clone();
    if open.http2 {
        *request.uri_mut() = hop.url.as_str().parse().unwrap_or_default();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        let task = drive(connection);
        return Ok((sender.send_request(request).await?, task));
    }
    *request.uri_mut() = hop.url[url::Position::BeforePath..url::Position::AfterQuery].parse().unwrap_or_default();
    let host = &hop.url[url::Position::BeforeHost..url::Position::AfterPort];
    if let Ok(value) = http::HeaderValue::from_str(host) {
        request.headers_mut().entry(HOST).or_insert(value);
    }
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let task = drive(connection);
    Ok((sender.send_request(request).await?, task))
}

fn drive(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) -> Task {
    // What goes wrong on the connection reaches the request or its body; there is nothing to add.
    Task(tokio::spawn(async move {
        let _ = connection.await;
    }))
}

fn late(what: String, deadline: Deadline) -> HttpError {
    HttpError::new(Fault::Timeout, format!("{what} within {}", deadline.words()))
}

/// Returns the time since the last split, and begins anew.
fn split(lap: &mut Instant) -> Duration {
    let now = Instant::now();
    let took = now - *lap;
    *lap = now;
    took
}
