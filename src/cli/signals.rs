//! SIGINT and SIGTERM: the first asks the run to stop, the second leaves at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::Result;

/// The exit status of a process that leaves at the second signal.
const LEFT: i32 = 130;

/// Listens; needs a runtime. The receiver holds the signal's name once it has come.
pub(crate) fn listen() -> Result<watch::Receiver<Option<String>>> {
    let (sender, receiver) = watch::channel(None);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        for nth in 0.. {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            };
            if nth > 0 {
                std::process::exit(LEFT);
            }
            super::stdio::say(&format!("\n{name}: stopping; the reports are still written (once more leaves at once)"));
            // The run may be over already.
            let _ = sender.send(Some(name.to_owned()));
        }
    });
    Ok(receiver)
}
