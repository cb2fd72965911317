//! What follows from a row of looks: [`Eventually`] waits until it holds, [`Consistently`] watches that it goes on
//! holding. Pure state machines: they are fed with verdicts and the time since the window began, and read no clock, so
//! that a run that is resumed feeds them its recorded looks and goes on where it was.

mod consistently;
mod eventually;
mod occasions;

use std::time::Duration;

pub use consistently::Consistently;
pub use eventually::Eventually;
pub use occasions::{Counts, Occasions};

use super::relative::is_first;
use crate::model::{Outcome, Verdict, quantity};

/// What is to be done after a look.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Look again.
    Continue,
    /// The window is over, with this verdict.
    Done(Verdict),
}

/// What one look says of the thing looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sample {
    Good,
    Bad,
    /// Nothing: could not look, not enough to say, nobody answered yet.
    Blank,
    /// Nothing yet: its values are those that later looks are held against.
    First,
}

fn sample(verdict: &Verdict) -> Sample {
    match verdict.outcome {
        Outcome::Pass | Outcome::Warn | Outcome::NotApplicable => Sample::Good,
        Outcome::Fail => Sample::Bad,
        Outcome::Inconclusive if is_first(verdict) => Sample::First,
        Outcome::Error | Outcome::Inconclusive | Outcome::Pending | Outcome::Skipped => Sample::Blank,
    }
}

fn time(duration: Duration) -> String {
    quantity::seconds(duration.as_secs_f64())
}

fn looks(count: u32) -> String {
    if count == 1 { "1 look".into() } else { format!("{count} looks") }
}

/// Says the last verdict in a few words.
fn words(verdict: &Verdict) -> &str {
    if verdict.summary.is_empty() { verdict.outcome.word() } else { &verdict.summary }
}
