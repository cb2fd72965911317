//! A server program of the system on a free loopback port, with a folder of its own. It ends when this is dropped.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to get ready on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Daemon {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts a program with the arguments that its folder and its port make, and waits until `path` is answered
    /// with 200.
    pub(crate) fn start(
        program: &str,
        folder: tempfile::TempDir,
        path: &str,
        arguments: &dyn Fn(&Path, u16) -> Vec<String>,
    ) -> Self {
        // Another process may take the port between finding and using it.
        for _ in 0..5 {
            let port = free_port();
            let mut child = Command::new(program)
                .args(arguments(folder.path(), port))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{program} runs: {error}"));
            if ready(&mut child, port, path) {
                return Self { child, port, _folder: folder };
            }
            stop(&mut child);
        }
        panic!("{program} does not start");
    }

    /// Returns its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks for a path with GET and returns the body.
    pub(crate) fn ask(&self, path: &str) -> String {
        body(get(self.port, path).unwrap_or_else(|| panic!("no answer to {path}")))
    }

    /// Sends a body and returns what is answered, which must be a success.
    pub(crate) fn send(&self, method: &str, path: &str, kind: &str, text: &str) -> String {
        let answer = talk(self.port, method, path, kind, text).unwrap_or_else(|| panic!("no answer to {path}"));
        assert!(answer.starts_with("HTTP/1.0 20") || answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        body(answer)
    }

    /// Waits until the body of a path is as it should be.
    pub(crate) fn wait_for(&self, path: &str, good: &dyn Fn(&str) -> bool) {
        let started = Instant::now();
        while !get(self.port, path).map(body).is_some_and(|body| good(&body)) {
            assert!(started.elapsed() < 2 * PATIENCE, "{path}: {}", self.ask(path));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

fn ready(child: &mut Child, port: u16, path: &str) -> bool {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        if get(port, path).is_some_and(|answer| answer.starts_with("HTTP/1.0 200")) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

fn stop(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

fn body(answer: String) -> String {
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

/// Finds a port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Asks for a page; nothing when there is no answer.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    talk(port, "GET", path, "", "")
}

fn talk(port: u16, method: &str, path: &str, kind: &str, text: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let length = text.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{kind}Content-Length: {length}\r\n\r\n{text}")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
