//! Commands: started in a process group of their own, bounded, and never outliving their step.
//!
//! The command leads a group. When it ends, when its time is up or when the future is dropped, the whole group ends
//! with it, so that nothing it forked stays behind. Its output is drained all the time and kept in bounded memory.
//! What leaves the group on purpose (`setsid`) is out of reach; it cannot make anybody wait, though.

pub mod capture;
mod group;
mod lookup;

use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc;

pub use capture::Capture;
pub use lookup::StartError;

use group::Group;

/// How long a command may take to end after SIGTERM, before SIGKILL.
pub const GRACE: Duration = Duration::from_secs(2);

/// How long output may keep coming after the command and its group have ended: only a process that left the group
/// can still hold it open.
const LINGER: Duration = Duration::from_millis(200);

/// A command to run.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The program and its arguments. A program without a slash is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment: nothing else is inherited.
    pub env: Vec<(String, String)>,
    /// The folder to run in; that of this process when there is none.
    pub cwd: Option<PathBuf>,
    /// What is written to its standard input; without it the input is empty.
    pub stdin: Option<Vec<u8>>,
    /// How long it may take, before its group gets SIGTERM.
    pub timeout: Duration,
    /// How many bytes of the beginning, and how many of the end, are kept of each output.
    pub keep: usize,
}

/// What became of a command that was started.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it ended.
    pub end: End,
    /// Its standard output.
    pub stdout: Capture,
    /// Its standard error.
    pub stderr: Capture,
    /// Whether something that left the process group still held the output open.
    pub held_open: bool,
    /// From the start until its end.
    pub took: Duration,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// Its time was up; its group was ended.
    TimedOut,
}

/// Runs a command to its end.
///
/// Dropping the future ends the command and everything that it started.
///
/// # Errors
/// Says why the command could not be started.
pub async fn run(invocation: &Invocation) -> Result<Ended, StartError> {
    let begun = Instant::now();
    let mut child = start(invocation)?;
    let mut group = Group::led_by(&child);
    let (mut stdout, mut stderr) = (Capture::new(invocation.keep), Capture::new(invocation.keep));
    let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let end;
    let held_open;
    {
        let text = invocation.stdin.as_deref().unwrap_or_default();
        let drain = pin!(async { tokio::join!(feed(stdin, text), stdout.drain(out), stderr.drain(err)) });
        let mut drain = Drain { future: drain, done: false };
        end = finish(&mut child, &mut group, &mut drain, invocation.timeout).await;
        // Before anything else is waited for: what the command left behind in its group must not outlive it.
        group.kill();
        held_open = !drain.done && drain.alongside(tokio::time::timeout(LINGER, std::future::pending::<()>())).await;
    }
    Ok(Ended { end, stdout, stderr, held_open, took: begun.elapsed() })
}

/// How a command ended whose output was handed on.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// How it ended; nothing when nobody wanted the rest of its output.
    pub end: Option<End>,
    /// Its standard error.
    pub stderr: Capture,
}

/// Runs a command to its end and hands its standard output on, piece by piece, as fast as it is taken.
///
/// Once nobody takes it any more the command is asked to end. It ends as that of [`run`] does, with its group; what it
/// printed is handed on to the last byte, or its time is up.
///
/// # Errors
/// Says why the command could not be started.
pub async fn stream(invocation: &Invocation, to: mpsc::Sender<Bytes>) -> Result<Streamed, StartError> {
    let begun = Instant::now();
    let mut child = start(invocation)?;
    let mut group = Group::led_by(&child);
    let mut stderr = Capture::new(invocation.keep);
    let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut end = None;
    {
        let text = invocation.stdin.as_deref().unwrap_or_default();
        let drain = pin!(async { tokio::join!(feed(stdin, text), hand_on(out, &to), stderr.drain(err)) });
        let mut drain = Drain { future: drain, done: false };
        tokio::select! {
            ended = finish(&mut child, &mut group, &mut drain, invocation.timeout) => end = Some(ended),
            () = to.closed() => {}
        }
        match end {
            None => {
                finish(&mut child, &mut group, &mut drain, Duration::ZERO).await;
            }
            Some(_) => {
                group.kill();
                let left = invocation.timeout.saturating_sub(begun.elapsed());
                // Only what left the group can still hold the output open, or who takes it is slow.
                let late = !drain.done && drain.alongside(tokio::time::sleep(left.max(LINGER))).await;
                end = if late && !to.is_closed() { Some(End::TimedOut) } else { end };
            }
        }
        group.kill();
    }
    Ok(Streamed { end, stderr })
}

/// Hands an output on until its end, or until nobody takes it.
async fn hand_on(output: Option<ChildStdout>, to: &mpsc::Sender<Bytes>) {
    let Some(mut output) = output else { return };
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = output.read(&mut buffer).await {
        if to.send(Bytes::copy_from_slice(&buffer[..read])).await.is_err() {
            return;
        }
    }
}

fn start(invocation: &Invocation) -> Result<Child, StartError> {
    let Some((program, args)) = invocation.argv.split_first() else { return Err(StartError::empty()) };
    let path = lookup::find(program, &invocation.env, invocation.cwd.as_deref())?;
    // With a resolved path and no hooks the standard library can use posix_spawn, several times cheaper than fork.
    let mut command = tokio::process::Command::new(&path);
    command.args(args).env_clear().envs(invocation.env.iter().map(|(k, v)| (k, v))).process_group(0);
    if let Some(cwd) = &invocation.cwd {
        command.current_dir(cwd);
    }
    let stdin = if invocation.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| StartError::of(&error, program, &path, invocation.cwd.as_deref()))
}

/// Writes the input. A command that does not read it is free not to.
async fn feed(stdin: Option<ChildStdin>, text: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(text).await;
        let _ = stdin.shutdown().await;
    }
}

/// Waits for the end of the command, or brings it about.
async fn finish<F: Future>(child: &mut Child, group: &mut Group, drain: &mut Drain<'_, F>, timeout: Duration) -> End {
    if let Ok(status) = drain.until(tokio::time::timeout(timeout, child.wait())).await {
        return status.map_or(End::TimedOut, end_of);
    }
    group.terminate();
    let gone = async {
        let _ = child.wait().await;
        group.wait_until_empty().await;
    };
    let _ = drain.until(tokio::time::timeout(GRACE, gone)).await;
    group.kill();
    // SIGKILL acts at once, unless the kernel itself is stuck; then the process is left to be collected later.
    let _ = drain.until(tokio::time::timeout(LINGER * 5, child.wait())).await;
    End::TimedOut
}

fn end_of(status: ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        // Neither can be: a process that is waited for has exited or was ended by a signal.
        (None, None) => End::Exited(-1),
    }
}

/// The draining of the output, which goes on while something else is waited for.
struct Drain<'a, F> {
    future: Pin<&'a mut F>,
    done: bool,
}

impl<F: Future> Drain<'_, F> {
    /// Waits for `main` and drains meanwhile.
    async fn until<T>(&mut self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        loop {
            tokio::select! {
                biased;
                _ = self.future.as_mut(), if !self.done => self.done = true,
                output = &mut main => return output,
            }
        }
    }

    /// Waits until everything is drained or `limit` is over. Tells whether it was the latter.
    async fn alongside(&mut self, limit: impl Future) -> bool {
        tokio::select! {
            biased;
            _ = self.future.as_mut() => { self.done = true; false }
            _ = limit => true,
        }
    }
}

/// Names a signal: `SIGKILL`.
pub fn signal_name(signal: i32) -> String {
    group::signal_name(signal)
}

/// Returns the environment that every command gets, whatever is listed: where programs, the home and temporary
/// files are, who the user is, and how texts and times are written. Nothing else is passed on unless it is named.
pub fn minimal_env(env: &super::env::Env) -> Vec<(String, String)> {
    const NAMES: [&str; 6] = ["PATH", "HOME", "LANG", "TZ", "USER", "TMPDIR"];
    let mut out = Vec::with_capacity(NAMES.len() + 4);
    out.extend(NAMES.iter().filter_map(|name| Some(((*name).to_owned(), env.get(name)?.to_owned()))));
    if env.get("PATH").is_none() {
        out.push(("PATH".to_owned(), lookup::DEFAULT_PATH.to_owned()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Invocation {
        Invocation {
            argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![("PATH".into(), lookup::DEFAULT_PATH.into())],
            cwd: None,
            stdin: None,
            timeout: Duration::from_secs(20),
            keep: 4096,
        }
    }

    fn alive(pid: i32) -> bool {
        // A zombie has ended; only nobody has asked for it yet.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !matches!(stat.rsplit(") ").next().and_then(|rest| rest.chars().next()), None | Some('Z' | 'X'))
    }

    async fn gone(pid: i32) -> bool {
        for _ in 0..200 {
            if !alive(pid) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    fn pids(text: &[u8]) -> Vec<i32> {
        String::from_utf8_lossy(text).split_whitespace().filter_map(|w| w.parse().ok()).collect()
    }

    #[tokio::test]
    async fn exit_code_output_and_input() {
        let mut invocation = shell("cat; echo oops >&2; exit 3");
        invocation.stdin = Some(b"in\n".to_vec());
        let ended = run(&invocation).await.expect("starts");
        assert_eq!(ended.end, End::Exited(3));
        assert_eq!((ended.stdout.head(), ended.stderr.head()), (&b"in\n"[..], &b"oops\n"[..]));
        assert!(!ended.held_open);
    }

    #[tokio::test]
    async fn a_signal_is_named() {
        let ended = run(&shell("kill -9 $$")).await.expect("starts");
        assert_eq!(ended.end, End::Signalled(9));
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(64), "signal 64");
    }

    #[tokio::test]
    async fn only_the_listed_environment_is_passed_on() {
        let mut invocation = shell("");
        invocation.argv = vec!["env".into()];
        invocation.env.push(("LISTED".into(), "yes".into()));
        let ended = run(&invocation).await.expect("starts");
        assert_eq!(
            String::from_utf8_lossy(ended.stdout.head()),
            format!("LISTED=yes\nPATH={}\n", lookup::DEFAULT_PATH)
        );
    }

    #[tokio::test]
    async fn what_the_command_leaves_behind_ends_with_it() {
        let ended = run(&shell("sleep 60 & echo $!")).await.expect("starts");
        assert_eq!(ended.end, End::Exited(0));
        assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
        let left = pids(ended.stdout.head());
        assert_eq!(left.len(), 1);
        assert!(gone(left[0]).await);
    }

    #[tokio::test]
    async fn a_command_that_ignores_sigterm_and_forks_leaves_no_survivor() {
        let mut invocation = shell("trap '' TERM; sleep 60 & echo $$ $!; sleep 60; sleep 60");
        invocation.timeout = Duration::from_millis(200);
        let ended = run(&invocation).await.expect("starts");
        assert_eq!(ended.end, End::TimedOut);
        assert!(ended.took < Duration::from_secs(15), "{:?}", ended.took);
        let left = pids(ended.stdout.head());
        assert_eq!(left.len(), 2);
        for pid in left {
            assert!(gone(pid).await, "{pid} survived");
        }
    }

    #[tokio::test]
    async fn sigterm_gives_the_command_time_to_say_goodbye() {
        let mut invocation = shell("trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 0.05; done");
        invocation.timeout = Duration::from_millis(300);
        let ended = run(&invocation).await.expect("starts");
        assert_eq!((ended.end, ended.stdout.head()), (End::TimedOut, &b"hello\nbye\n"[..]));
    }

    #[tokio::test]
    async fn an_output_that_is_held_open_is_not_waited_for() {
        // setsid leaves the group, so that the pipe stays open after the command.
        let ended = run(&shell("setsid sleep 60 & echo $!; sleep 0.2")).await.expect("starts");
        assert_eq!(ended.end, End::Exited(0));
        assert!(ended.held_open);
        assert!(ended.took < Duration::from_secs(30), "{:?}", ended.took);
        let escaped = rustix::process::Pid::from_raw(pids(ended.stdout.head())[0]).expect("a process");
        rustix::process::kill_process(escaped, rustix::process::Signal::KILL).expect("it still runs");
    }

    #[tokio::test]
    async fn dropping_the_future_ends_the_group() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pids");
        let script = format!("sleep 60 & echo $$ $! > {0}.new; mv {0}.new {0}; sleep 60", file.display());
        let invocation = shell(&script);
        let written = async {
            while !file.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = run(&invocation) => unreachable!("{ended:?}"),
            () = written => {}
        }
        let left = pids(&std::fs::read(&file).expect("written"));
        assert_eq!(left.len(), 2);
        for pid in left {
            assert!(gone(pid).await, "{pid} survived");
        }
    }

    #[tokio::test]
    async fn endless_output_keeps_head_and_tail_in_bounded_memory() {
        let ended = run(&shell("echo first; head -c 20000000 /dev/zero; echo; printf last")).await.expect("starts");
        let total = 6 + 20_000_000 + 1 + 4;
        assert!(ended.stdout.head().starts_with(b"first\n") && ended.stdout.tail().ends_with(b"\nlast"));
        assert_eq!(ended.stdout.left_out(), total - 2 * 4096);
        assert_eq!(ended.stdout.lines(), 3);
    }

    #[tokio::test]
    async fn a_stream_hands_everything_on_and_ends_as_a_run_does() {
        let (sender, mut pieces) = mpsc::channel::<Bytes>(1);
        let script = "head -c 1000000 /dev/zero; echo oops >&2; sleep 60 & exit 3";
        let invocation = shell(script);
        let take = async {
            let mut length = 0;
            while let Some(piece) = pieces.recv().await {
                tokio::time::sleep(Duration::from_millis(1)).await;
                length += piece.len();
            }
            length
        };
        let (streamed, length) = tokio::join!(stream(&invocation, sender), take);
        let streamed = streamed.expect("starts");
        assert_eq!((streamed.end, streamed.stderr.head(), length), (Some(End::Exited(3)), &b"oops\n"[..], 1_000_000));
    }

    #[tokio::test]
    async fn a_stream_that_nobody_takes_or_that_lasts_too_long_leaves_no_survivor() {
        for taken in [true, false] {
            let (sender, mut pieces) = mpsc::channel::<Bytes>(1);
            let mut invocation = shell("sleep 60 & echo $$ $!; sleep 60");
            let take = async {
                let first = pieces.recv().await.expect("a line");
                if !taken {
                    pieces.close();
                    return first;
                }
                assert!(pieces.recv().await.is_none());
                first
            };
            invocation.timeout = Duration::from_millis(if taken { 300 } else { 20_000 });
            let (streamed, first) = tokio::join!(stream(&invocation, sender), take);
            assert_eq!(streamed.expect("starts").end, taken.then_some(End::TimedOut));
            let left = pids(&first);
            assert_eq!(left.len(), 2);
            for pid in left {
                assert!(gone(pid).await, "{pid} survived");
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_told_apart() {
        let error = |argv: &str, cwd: Option<&str>| {
            let mut invocation = shell("");
            invocation.argv = vec![argv.to_owned()];
            invocation.cwd = cwd.map(PathBuf::from);
            async move { run(&invocation).await.expect_err("does not start").to_string() }
        };
        let message = error("no-such-program-here", None).await;
        assert!(message.starts_with("command not found: no-such-program-here"), "{message}");
        assert_eq!(error("/etc/passwd", None).await, "/etc/passwd may not be executed");
        assert_eq!(error("/no/such", None).await, "command not found: /no/such");
        assert_eq!(error("true", Some("/no/folder")).await, "the folder /no/folder does not exist");
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/no/interpreter\n").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).expect("executable");
        let message = error(script.to_str().expect("a path"), None).await;
        assert!(message.contains("interpreter"), "{message}");
    }
}
