//! Logs that are no files: the output of a command, the body of a URL. Pieces arrive as they come, and a scan on a
//! thread of its own takes them; when either side ends, so does the other.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use crate::sys::World;
use crate::sys::http::{self, Connection, Request};
use crate::sys::process::{self, End, Invocation};

/// A stream that is asked for, templates filled.
#[derive(Clone, Debug)]
pub(super) enum Feed {
    /// The standard output of a command line.
    Shell(String),
    /// The standard output of a program with its arguments.
    Command(Vec<String>),
    /// The body of a URL.
    Url(String),
}

/// How much is kept of what a command says of its troubles.
const KEEP: usize = 4096;

/// Takes the pieces as a reader.
pub(super) struct FeedReader {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

/// Makes the two ends of a feed.
pub(super) fn channel() -> (mpsc::Sender<Bytes>, FeedReader) {
    let (sender, pieces) = mpsc::channel(16);
    (sender, FeedReader { pieces, piece: Bytes::new() })
}

impl Read for FeedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let n = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

impl Feed {
    /// Says what it asks, word for word.
    pub(super) fn request(&self) -> String {
        match self {
            Feed::Shell(line) => line.clone(),
            Feed::Command(argv) => argv.join(" "),
            Feed::Url(url) => format!("GET {}", shown(url)),
        }
    }

    /// Sends everything there is, until the end or until nobody takes it. A command that is still there when the time
    /// is up is asked to end, and gets [`process::GRACE`] for it.
    pub(super) async fn pump(&self, world: &World, timeout: Duration, to: mpsc::Sender<Bytes>) -> Result<(), String> {
        match self {
            Feed::Shell(line) => run(world, shell(line), timeout, to).await,
            Feed::Command(argv) => run(world, argv.clone(), timeout, to).await,
            Feed::Url(url) => match tokio::time::timeout(timeout, fetch(world, url, timeout, to)).await {
                Ok(fetched) => fetched,
                Err(_) => Err("it did not end in time".into()),
            },
        }
    }
}

/// Makes the command that a line for the shell is.
pub(super) fn shell(line: &str) -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into(), line.to_owned()]
}

async fn run(world: &World, argv: Vec<String>, timeout: Duration, to: mpsc::Sender<Bytes>) -> Result<(), String> {
    let program = argv.first().cloned().unwrap_or_default();
    let env = process::minimal_env(&world.env);
    let invocation = Invocation { argv, env, cwd: None, stdin: None, timeout, keep: KEEP };
    let streamed = world.stream(&invocation, to).await.map_err(|e| e.to_string())?;
    let how = match streamed.end {
        None | Some(End::Exited(0)) => return Ok(()),
        Some(End::TimedOut) => return Err("it did not end in time; its process group was ended".into()),
        Some(End::Exited(code)) => format!("{program} ended with exit code {code}"),
        Some(End::Signalled(signal)) => format!("{program} was ended by {}", process::signal_name(signal)),
    };
    let said = match streamed.stderr.tail() {
        [] => streamed.stderr.head(),
        tail => tail,
    };
    let said = String::from_utf8_lossy(said);
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    Err(last.map_or(how.clone(), |last| format!("{how}: {}", last.chars().take(400).collect::<String>())))
}

/// Shows a URL without the credentials that it may carry.
pub(super) fn shown(url: &str) -> String {
    url.parse().map_or_else(|_| "a URL that is not valid".into(), |url| http::shown(&url))
}

async fn fetch(world: &World, url: &str, timeout: Duration, to: mpsc::Sender<Bytes>) -> Result<(), String> {
    let request = Request {
        method: "GET".into(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout,
        max_body: usize::MAX,
        max_redirects: 10,
        connection: Connection::default(),
        timed: false,
    };
    let mut answer = world.http.stream(&request).await.map_err(|e| e.to_string())?;
    if !(200..300).contains(&answer.status) {
        return Err(format!("{} answered {}", shown(url), answer.status));
    }
    while let Some(piece) = answer.next().await {
        if to.send(piece.map_err(|e| e.to_string())?).await.is_err() {
            break;
        }
    }
    Ok(())
}
