//! SIGINT, SIGTERM and SIGHUP: the first asks the run to stop, the second leaves at once.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Result, stdio};
use crate::run::Stop;

/// The exit status of a process that leaves at the second signal.
const LEFT: i32 = 130;
/// How long what a run started is given to go, before the process leaves.
const FAREWELL: Duration = Duration::from_millis(100);

/// What was asked for by signals.
#[derive(Clone)]
pub(crate) struct Signals {
    /// Holds the first signal's name once it has come.
    pub stop: Stop,
    again: watch::Receiver<bool>,
}

impl Signals {
    /// Waits for the second signal.
    pub(crate) async fn leave(&self) {
        let mut again = self.again.clone();
        if again.wait_for(|again| *again).await.is_err() {
            // Nobody listens any more.
            std::future::pending::<()>().await;
        }
    }
}

/// Leaves, after what the run started has had its end.
pub(crate) async fn exit() {
    tokio::time::sleep(FAREWELL).await;
    std::process::exit(LEFT);
}

/// Listens; needs a runtime.
pub(crate) fn listen() -> Result<Signals> {
    let (stop, stopped) = watch::channel(None);
    let (again, once_more) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Under `nohup` nobody wants to hear of the terminal's end.
    let mut hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
    // A file that may not grow any further is an error of the write, and not the end of the process.
    let mut too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    tokio::spawn(async move {
        for nth in 0.. {
            let name = loop {
                tokio::select! {
                    _ = interrupt.recv() => break "SIGINT",
                    _ = terminate.recv() => break "SIGTERM",
                    () = heard(&mut hangup) => break "SIGHUP",
                    _ = too_large.recv() => {}
                }
            };
            if nth > 0 {
                // The run may be over already.
                let _ = again.send(true);
                tokio::time::sleep(FAREWELL * 3).await;
                std::process::exit(LEFT);
            }
            // First of all the run is told: a terminal that blocks must not keep it from stopping.
            let _ = stop.send(Some(name.to_owned()));
            let line = format!("\n{name}: stopping; the reports are still written (once more leaves at once)");
            // Nobody may be reading: that must not keep the second signal from being heard.
            tokio::task::spawn_blocking(move || stdio::say(&line));
        }
    });
    Ok(Signals { stop: stopped, again: once_more })
}

async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Tells whether SIGHUP is ignored already, where the system says so.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
