//! A server that misbehaves as a test tells it to: raw bytes over a socket, one thread a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

type Script = dyn Fn(&Asked, &mut TcpStream) + Send + Sync;

/// A request as it came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// `GET`.
    pub(crate) method: String,
    /// `/path?query`.
    pub(crate) path: String,
    /// The headers, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, as long as `content-length` says.
    pub(crate) body: String,
}

impl Asked {
    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// A running server.
pub(crate) struct Rogue {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
}

impl Rogue {
    /// Starts a server that plays a script for each request; a connection ends with its script.
    pub(crate) fn start(script: impl Fn(&Asked, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let rogue = Self { address, asked: Arc::default(), stop: Arc::default() };
        let (asked, stop, script): (_, _, Arc<Script>) =
            (Arc::clone(&rogue.asked), Arc::clone(&rogue.stop), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let (asked, script) = (Arc::clone(&asked), Arc::clone(&script));
                thread::spawn(move || serve(stream, &asked, &*script));
            }
        });
        rogue
    }

    /// Starts a server that answers each request with the same bytes.
    pub(crate) fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, stream| write(stream, &bytes))
    }

    /// Returns a URL of this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the requests that came so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no script panics").clone()
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Writes; a client that has gone away is no concern of the server.
pub(crate) fn write(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// Says nothing more until the client goes away.
pub(crate) fn stall(stream: &mut TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let mut sink = [0; 1024];
    while matches!(stream.read(&mut sink), Ok(count) if count > 0) {}
}

/// Writes the same bytes until the client goes away.
pub(crate) fn forever(stream: &mut TcpStream, bytes: &[u8], pause: Duration) {
    let _ = stream.set_write_timeout(Some(Duration::from_secs(30)));
    while stream.write_all(bytes).is_ok() {
        thread::sleep(pause);
    }
}

fn serve(mut stream: TcpStream, asked: &Mutex<Vec<Asked>>, script: &Script) {
    let _ = stream.set_nodelay(true);
    let Some(request) = read(&mut stream) else { return };
    asked.lock().expect("no script panics").push(request.clone());
    script(&request, &mut stream);
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 || head.len() > 1 << 20 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let pair = |line: &str| line.split_once(':').map(|(n, v)| (n.to_lowercase(), v.trim().to_owned()));
    let mut asked = Asked { method, path, headers: lines.filter_map(pair).collect(), body: String::new() };
    let length = asked.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Some(asked)
}
