//! How a step of a soak comes out, from how it came out at every checkpoint.

use crate::model::{Outcome, Verdict};

/// Sums up the checkpoints of one step: the worst wins, and the first of the worst is named.
///
/// A checkpoint that nobody looked at is inconclusive. One at which the step was left out by its own condition does not
/// count. A first value, which there was nothing to hold against yet, counts only when there is no other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Occasions {
    count: u32,
    firsts: u32,
    left_out: u32,
    /// How many came out like the worst.
    worst: Option<Worst>,
}

#[derive(Clone, Debug, PartialEq)]
struct Worst {
    outcome: Outcome,
    count: u32,
    at: String,
    why: String,
}

/// What one checkpoint says of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// This.
    As(Outcome),
    /// It was a first value: nothing could be said yet.
    First,
    /// Nothing: the step was left out on purpose.
    LeftOut,
}

impl Occasions {
    /// Takes what came of a checkpoint, called `at` (`+8h`). Tells whether it is the one that decides so far.
    pub fn take(&mut self, at: &str, counts: Counts, why: &str) -> bool {
        let outcome = match counts {
            Counts::As(outcome) => outcome,
            Counts::First => {
                self.firsts += 1;
                return false;
            }
            Counts::LeftOut => {
                self.left_out += 1;
                return false;
            }
        };
        self.count += 1;
        // Of those that came out well the last is shown, of the others the first.
        let good = matches!(outcome, Outcome::Pass | Outcome::NotApplicable);
        let same = self.worst.as_ref().filter(|worst| worst.outcome == outcome).map_or(0, |worst| worst.count);
        let worse = self.worst.as_ref().is_none_or(|worst| weight(worst.outcome) < weight(outcome));
        if worse || (same > 0 && good) {
            self.worst = Some(Worst { outcome, count: same + 1, at: at.to_owned(), why: why.to_owned() });
            return true;
        }
        if let Some(worst) = self.worst.as_mut().filter(|worst| worst.outcome == outcome) {
            worst.count += 1;
        }
        false
    }

    /// Counts the checkpoints that were taken.
    pub fn seen(&self) -> u32 {
        self.count + self.firsts + self.left_out
    }

    /// Tells whether there was none.
    pub fn is_empty(&self) -> bool {
        self.seen() == 0
    }

    /// Tells whether the step was left out at every checkpoint.
    pub fn is_left_out(&self) -> bool {
        self.count + self.firsts == 0
    }

    /// Returns what the checkpoints come to. `planned` is how many there should have been.
    pub fn conclusion(&self, planned: u32) -> Verdict {
        let seen = self.seen();
        if seen < planned {
            let short = format!("cut short after {seen} of {planned} checkpoints");
            let bad = self.worst.as_ref().filter(|worst| worst.outcome == Outcome::Fail);
            return match bad {
                Some(_) => {
                    let (outcome, words) = self.words(seen);
                    Verdict::of(outcome, format!("{words}; {short}"))
                }
                None => Verdict::of(Outcome::Inconclusive, short),
            };
        }
        let (outcome, words) = self.words(planned.max(seen));
        Verdict::of(outcome, words)
    }

    fn words(&self, of: u32) -> (Outcome, String) {
        let Some(worst) = &self.worst else {
            return match self.firsts {
                0 => (Outcome::Skipped, "left out at every checkpoint".into()),
                _ => (Outcome::Inconclusive, "never held against an earlier value".into()),
            };
        };
        let because = if worst.why.is_empty() { String::new() } else { format!(": {}", worst.why) };
        let how = match worst.outcome {
            Outcome::Pass | Outcome::NotApplicable => {
                let held = worst.count + self.firsts;
                let words =
                    if held == of { format!("{of} checkpoints") } else { format!("{held} of {of} checkpoints") };
                return (worst.outcome, format!("held at {words}"));
            }
            Outcome::Warn => "warned",
            Outcome::Fail => "failed",
            Outcome::Error => "could not be looked at",
            Outcome::Inconclusive => "could not be told",
            Outcome::Pending => "wait for a person",
            Outcome::Skipped => "were not looked at",
        };
        let outcome = if worst.outcome == Outcome::Skipped { Outcome::Inconclusive } else { worst.outcome };
        (outcome, format!("{} of {of} checkpoints {how}, first at {}{because}", worst.count, worst.at))
    }
}

/// Returns how much an outcome weighs against others.
fn weight(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Fail => 7,
        Outcome::Error => 6,
        Outcome::Inconclusive => 5,
        Outcome::Skipped => 4,
        Outcome::Pending => 3,
        Outcome::Warn => 2,
        Outcome::Pass => 1,
        Outcome::NotApplicable => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(outcomes: &[Outcome], planned: u32) -> Verdict {
        let mut occasions = Occasions::default();
        for (n, outcome) in outcomes.iter().enumerate() {
            occasions.take(&format!("+{}h", 4 * (n + 1)), Counts::As(*outcome), "because");
        }
        occasions.conclusion(planned)
    }

    #[test]
    fn the_worst_checkpoint_wins_and_the_first_of_the_worst_is_named() {
        use Outcome::{Error, Fail, Inconclusive, Pass, Warn};
        let failed = sum(&[Pass, Fail, Error, Fail, Pass, Pass], 6);
        assert_eq!(
            (failed.outcome, failed.summary.as_str()),
            (Fail, "2 of 6 checkpoints failed, first at +8h: because")
        );
        assert_eq!(sum(&[Pass, Inconclusive, Warn], 3).outcome, Inconclusive);
        assert_eq!(sum(&[Pass, Error, Inconclusive], 3).outcome, Error);
        assert_eq!(sum(&[Pass, Warn], 2).outcome, Warn);
        let good = sum(&[Pass, Pass], 2);
        assert_eq!((good.outcome, good.summary.as_str()), (Pass, "held at 2 checkpoints"));
    }

    #[test]
    fn a_soak_that_was_cut_short_never_passes() {
        assert_eq!(sum(&[Outcome::Pass, Outcome::Pass], 6).outcome, Outcome::Inconclusive);
        assert_eq!(sum(&[Outcome::Pass, Outcome::Fail], 6).outcome, Outcome::Fail);
        assert_eq!(sum(&[], 6).outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_first_value_is_no_gap_and_no_pass() {
        let mut occasions = Occasions::default();
        occasions.take("+4h", Counts::First, "taken as the first value");
        assert_eq!(occasions.conclusion(1).outcome, Outcome::Inconclusive);
        occasions.take("+8h", Counts::As(Outcome::Pass), "");
        let sum = occasions.conclusion(2);
        assert_eq!((sum.outcome, sum.summary.as_str()), (Outcome::Pass, "held at 2 checkpoints"));
    }
}
