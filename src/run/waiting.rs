//! What the run waits for between two events: time, the end, and people.

use std::time::Duration;

use super::dispatcher::Stop;
use super::{Asked, Inbox};
use crate::sys::Clock;

type Wait = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits for the next thing that is due. The wait is begun once, not anew for everything that happens meanwhile.
#[derive(Default)]
pub(super) struct Timer {
    waits: Option<(Duration, Wait)>,
}

impl Timer {
    pub(super) async fn wait(&mut self, clock: &Clock, left: Option<Duration>) {
        let Some(left) = left else {
            self.waits = None;
            return std::future::pending().await;
        };
        let due = clock.elapsed() + left;
        let near = |at: Duration| at.abs_diff(due) < Duration::from_millis(1);
        if self.waits.as_ref().is_none_or(|(at, _)| !near(*at)) {
            let clock = clock.clone();
            self.waits = Some((due, Box::pin(async move { clock.sleep(left).await })));
        }
        if let Some((_, wait)) = &mut self.waits {
            wait.await;
        }
        self.waits = None;
    }
}

/// Waits until the run is asked to stop.
pub(super) async fn stopped(stop: &mut Stop) -> String {
    let cause = stop.wait_for(Option::is_some).await.map(|cause| cause.clone().unwrap_or_default());
    match cause {
        Ok(cause) => cause,
        // Nobody can ask any more.
        Err(_) => std::future::pending().await,
    }
}

/// Waits for a request; for ever when nobody can send one any more.
pub(super) async fn asked(inbox: &mut Option<Inbox>) -> Option<Asked> {
    let Some(open) = inbox else { return std::future::pending().await };
    let asked = open.recv().await;
    if asked.is_none() {
        *inbox = None;
    }
    asked
}
