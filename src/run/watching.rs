//! The window of a step that looks more than once, fed with its looks: those of this process, and those that the record
//! has from one before.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::Look;
use crate::judge::window::{Consistently, Eventually, Next};
use crate::model::{Outcome, Verdict};
use crate::plan::Window;

/// A window, however it judges.
#[derive(Clone, Debug)]
enum Machine {
    Eventually(Eventually),
    Consistently(Consistently),
    /// It watches until it is told that it is over.
    Guard(Consistently),
}

/// A window that is being fed.
#[derive(Clone, Debug)]
pub(crate) struct Watching {
    machine: Machine,
    /// How often to look.
    pub every: Duration,
    /// When the first look began.
    pub begun: Option<DateTime<Utc>>,
    /// When the last look began.
    pub last: Option<DateTime<Utc>>,
    /// How many looks there were.
    pub looks: u32,
    /// The last look.
    pub look: Option<Box<Look>>,
    /// What it came to.
    pub done: Option<Verdict>,
}

impl Watching {
    /// Opens the window of a step; nothing for one that looks once.
    pub(crate) fn open(window: &Window) -> Option<Self> {
        let (machine, every) = match *window {
            Window::Once => return None,
            Window::Eventually { within, every, hold } => {
                (Machine::Eventually(Eventually::new(within, Some(hold))), every)
            }
            Window::Consistently { span, every, tolerate, failures, min_samples } => {
                (Machine::Consistently(Consistently::new(span, tolerate, failures, min_samples)), every)
            }
            Window::Guard { every, tolerate, failures } => {
                (Machine::Guard(Consistently::new(Duration::MAX, tolerate, failures, None)), every)
            }
        };
        Some(Self { machine, every, begun: None, last: None, looks: 0, look: None, done: None })
    }

    /// Takes a look that began so long after the first one. Tells whether that is the end.
    pub(crate) fn take(&mut self, elapsed: Duration, look: Look) -> bool {
        self.begun.get_or_insert(look.at);
        self.last = Some(look.at);
        self.looks = self.looks.max(look.n);
        let next = match &mut self.machine {
            Machine::Eventually(window) => window.look(elapsed, &look.verdict),
            Machine::Consistently(window) | Machine::Guard(window) => window.look(elapsed, &look.verdict),
        };
        if let Next::Done(verdict) = next {
            self.done = Some(verdict);
        }
        self.look = Some(Box::new(look));
        self.done.is_some()
    }

    /// Takes a look out of the record.
    pub(crate) fn recall(&mut self, look: &Look) {
        if self.done.is_none() {
            let begun = self.begun.unwrap_or(look.at);
            let at = look.as_of.unwrap_or(look.at);
            self.take((at - begun).to_std().unwrap_or_default(), look.clone());
        }
    }

    /// Tells when the window ends, as far as is known now.
    pub(crate) fn ends_at(&self) -> Duration {
        match &self.machine {
            Machine::Eventually(window) => window.ends_at(),
            Machine::Consistently(window) | Machine::Guard(window) => window.ends_at(),
        }
    }

    /// Says what the window comes to when its time is up.
    pub(crate) fn at_end(&mut self, elapsed: Duration) -> Verdict {
        match &mut self.machine {
            Machine::Eventually(window) => window.at_end(elapsed),
            Machine::Consistently(window) => window.at_end(elapsed),
            Machine::Guard(window) => {
                window.close(elapsed);
                window.at_end(elapsed)
            }
        }
    }

    /// Says what it comes to when it cannot go on, because what follows has not happened yet.
    pub(crate) fn broken_off(&mut self, elapsed: Duration) -> Verdict {
        let mut verdict = self.at_end(elapsed);
        if verdict.outcome == Outcome::Fail {
            verdict.outcome = Outcome::Inconclusive;
        }
        verdict
    }
}
