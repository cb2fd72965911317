//! A window that is fed with recorded looks.
//!
//! The words that the record has for it say what it is. Its looks are placed by the wall clock, where the run had a
//! steadier one: three windows run side by side, one of them a little earlier and one a little later, and what the
//! record says must be what one of them says.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::Look;
use crate::judge::window::{Consistently, Eventually, Next};
use crate::model::{Outcome, quantity};

/// By how much the wall clock may differ from the steady one between two looks.
const SLACK: Duration = Duration::from_millis(5);

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are three of them at a time")]
enum Machine {
    Eventually(Eventually),
    Consistently(Consistently),
}

/// A window that is being fed.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// Earlier, as recorded, later; each with its outcome once it is decided.
    machines: [(Machine, Option<Outcome>); 3],
    begun: Option<DateTime<Utc>>,
}

impl Watch {
    /// Opens the window that these words describe; nothing for a step that looks once.
    pub(super) fn of(words: &str) -> Option<Self> {
        let machine = machine(words)?;
        let machines = [(machine.clone(), None), (machine.clone(), None), (machine, None)];
        Some(Self { machines, begun: None })
    }

    /// Takes a look.
    pub(super) fn look(&mut self, look: &Look) {
        let at = look.as_of.unwrap_or(look.at);
        let elapsed = (at - *self.begun.get_or_insert(at)).to_std().unwrap_or_default();
        let times = [elapsed.saturating_sub(SLACK), elapsed, elapsed + SLACK];
        for ((machine, outcome), elapsed) in self.machines.iter_mut().zip(times) {
            let next = match machine {
                _ if outcome.is_some() => Next::Continue,
                Machine::Eventually(window) => window.look(elapsed, &look.verdict),
                Machine::Consistently(window) => window.look(elapsed, &look.verdict),
            };
            if let Next::Done(verdict) = next {
                *outcome = Some(verdict.outcome);
            }
        }
    }

    /// Tells whether the looks alone decided.
    pub(super) fn is_decided(&self) -> bool {
        self.machines[1].1.is_some()
    }

    /// Returns what it came to when it ended then; nothing without a look.
    pub(super) fn conclusions(&self, ended: DateTime<Utc>, guard: bool) -> Option<[Outcome; 3]> {
        let elapsed = (ended - self.begun?).to_std().unwrap_or_default();
        let times = [elapsed.saturating_sub(SLACK), elapsed, elapsed + SLACK];
        let mut outcomes = [Outcome::Inconclusive; 3];
        for (n, (machine, outcome)) in self.machines.iter().enumerate() {
            outcomes[n] = outcome.unwrap_or_else(|| match machine.clone() {
                Machine::Eventually(window) => window.at_end(times[n]).outcome,
                Machine::Consistently(mut window) => {
                    if guard {
                        window.close(times[n]);
                    }
                    window.at_end(times[n]).outcome
                }
            });
        }
        Some(outcomes)
    }
}

/// Reads the words that [`crate::model::outline::StepOutline`] keeps of a window.
fn machine(words: &str) -> Option<Machine> {
    let mut parts = words.split(", ");
    let first = parts.next()?;
    let rest: Vec<&str> = parts.collect();
    let length = |before: &str, after: &str| {
        let text = rest.iter().find_map(|part| part.strip_prefix(before)?.strip_suffix(after))?;
        quantity::duration(text).ok()
    };
    let count = |before: &str, after: &str| {
        rest.iter().find_map(|part| part.strip_prefix(before)?.strip_suffix(after)?.parse::<u32>().ok())
    };
    if let Some(within) = first.strip_prefix("within ") {
        return Some(Machine::Eventually(Eventually::new(quantity::duration(within).ok()?, length("held for ", ""))));
    }
    let span = match (first, first.strip_prefix("for ")) {
        ("throughout", _) => Duration::MAX,
        (_, Some(span)) => quantity::duration(span).ok()?,
        (_, None) => return None,
    };
    let tolerate = length("a breach of ", " forgiven");
    let window = Consistently::new(span, tolerate, count("", " failures forgiven"), count("at least ", " samples"));
    Some(Machine::Consistently(window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_what_the_window_is() {
        let shown = |words: &str| format!("{:?}", machine(words).expect("a window"));
        let s = Duration::from_secs;
        let one = Eventually::new(s(5400), Some(s(60)));
        assert_eq!(shown("within 1h30m, every 5s, held for 1m"), format!("{:?}", Machine::Eventually(one)));
        let two = Consistently::new(s(3600), Some(s(120)), Some(3), Some(10));
        let words = "for 1h, every 1m, a breach of 2m forgiven, 3 failures forgiven, at least 10 samples";
        assert_eq!(shown(words), format!("{:?}", Machine::Consistently(two)));
        let guard = Consistently::new(Duration::MAX, None, None, None);
        assert_eq!(shown("throughout, every 30s"), format!("{:?}", Machine::Consistently(guard)));
        assert!(machine("").is_none() && machine("sometimes").is_none());
    }
}
