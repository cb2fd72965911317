//! Logs that are no files: the output of a command, the body of a URL. Pieces arrive as they come, and a scan on a
//! thread of its own takes them; when either side ends, so does the other.

use std::io::{self, Read};
use std::process::Stdio;
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::sys::World;
use crate::sys::http::{Connection, Request};

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

/// Variables that a command gets from the environment.
const ENVIRONMENT: [&str; 12] =
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SHELL", "KUBECONFIG", "DOCKER_HOST", "TERM"];

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
            Feed::Url(url) => format!("GET {url}"),
        }
    }

    /// Sends everything there is, until the end or until nobody takes it.
    pub(super) async fn pump(&self, world: &World, timeout: Duration, to: mpsc::Sender<Bytes>) -> Result<(), String> {
        match self {
            Feed::Shell(line) => run(world, &["/bin/sh".into(), "-c".into(), line.clone()], to).await,
            Feed::Command(argv) => run(world, argv, to).await,
            Feed::Url(url) => fetch(world, url, timeout, to).await,
        }
    }
}

/// Ends a command with everything that it started.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // A group that is gone already needs no end.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

async fn run(world: &World, argv: &[String], to: mpsc::Sender<Bytes>) -> Result<(), String> {
    let Some((program, arguments)) = argv.split_first() else { return Err("the command is empty".into()) };
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((*name, world.env.get(name)?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    let mut child = command.spawn().map_err(|e| format!("cannot start {program}: {e}"))?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
    let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(format!("{program} has no output"));
    };
    let copy = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = stdout.read(&mut buffer).await.map_err(|e| format!("cannot read from {program}: {e}"))?;
            if read == 0 {
                return Ok::<_, String>(true);
            }
            if to.send(Bytes::copy_from_slice(&buffer[..read])).await.is_err() {
                // Nobody wants the rest: the command ends here, by the hand that holds its group.
                return Ok(false);
            }
        }
    };
    let (mut copy, mut words) = (std::pin::pin!(copy), std::pin::pin!(last_words(stderr)));
    let mut said = None;
    let whole = loop {
        tokio::select! {
            copied = &mut copy => break copied?,
            last = &mut words, if said.is_none() => said = Some(last),
        }
    };
    if !whole {
        return Ok(());
    }
    let said = match said {
        Some(said) => said,
        None => words.await,
    };
    let status = child.wait().await.map_err(|e| format!("cannot wait for {program}: {e}"))?;
    group.0 = None;
    match status.success() {
        true => Ok(()),
        false if said.is_empty() => Err(format!("{program} ended with {status}")),
        false => Err(format!("{program} ended with {status}: {said}")),
    }
}

/// Reads all of the standard error and returns its last line, at most 400 bytes of it.
async fn last_words(mut stderr: tokio::process::ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut buffer = vec![0; 4096];
    while let Ok(read) = stderr.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..read]);
        let surplus = kept.len().saturating_sub(400);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default().trim().to_owned()
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
        return Err(format!("{url} answered {}", answer.status));
    }
    while let Some(piece) = answer.next().await {
        if to.send(piece.map_err(|e| e.to_string())?).await.is_err() {
            break;
        }
    }
    Ok(())
}
