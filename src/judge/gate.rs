//! Outcomes → decision: may what the checklist guards go ahead?

use crate::model::outline::Weight;
use crate::model::{Decision, Outcome};

/// A step as the gate counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How much it counts.
    pub weight: Weight,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether it was skipped because something blocked it, refused it, or the run did not reach it. A step that was
    /// skipped by its own condition, or left out on request, is not blocked.
    pub blocked: bool,
    /// Whether a waiver lets its failure pass.
    pub waived: bool,
}

/// What else the decision hangs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether the run was cut short.
    pub interrupted: bool,
    /// Whether a warning is a no-go.
    pub strict: bool,
    /// Whether a required signature is missing.
    pub unsigned: bool,
}

/// Decides. What is known to be wrong outweighs what is not known, and that outweighs what is still to come.
///
/// A run in which no step came to anything is undecided: a filter that selects nothing is never a go. A waiver lets a
/// failure pass, never an error; a step on trial never counts.
pub fn gate(counted: impl IntoIterator<Item = Counted>, rules: Rules) -> Decision {
    let mut wrong = false;
    let mut unknown = rules.interrupted;
    let mut waiting = false;
    let mut something = false;
    for step in counted.into_iter().filter(|step| step.weight != Weight::Trial) {
        let required = step.weight == Weight::Required;
        match step.outcome {
            Outcome::Pass | Outcome::NotApplicable => something = true,
            Outcome::Warn => {
                something = true;
                wrong |= rules.strict && !step.waived;
            }
            Outcome::Fail => {
                something = true;
                wrong |= (required || rules.strict) && !step.waived;
            }
            Outcome::Error | Outcome::Inconclusive => unknown |= required,
            Outcome::Pending => waiting |= required,
            Outcome::Skipped => unknown |= required && step.blocked,
        }
    }
    // A checklist of which every step waits for a person is waiting, not undecided.
    unknown |= !something && !waiting;
    match (wrong, unknown, waiting || rules.unsigned) {
        (true, _, _) => Decision::NoGo,
        (false, true, _) => Decision::Undecided,
        (false, false, true) => Decision::Held,
        (false, false, false) => Decision::Go,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: [Weight; 3] = [Weight::Required, Weight::Optional, Weight::Trial];

    fn every_step() -> Vec<Counted> {
        let mut all = Vec::new();
        for weight in WEIGHTS {
            for outcome in Outcome::ALL {
                for (blocked, waived) in [(false, false), (false, true), (true, false), (true, true)] {
                    all.push(Counted { weight, outcome, blocked, waived });
                }
            }
        }
        all
    }

    fn every_rule() -> Vec<Rules> {
        (0..8).map(|n| Rules { interrupted: n & 1 > 0, strict: n & 2 > 0, unsigned: n & 4 > 0 }).collect()
    }

    /// The rules of the language page, one sentence a line.
    fn by_the_book(steps: &[Counted], rules: Rules) -> Decision {
        let counting: Vec<_> = steps.iter().filter(|s| s.weight != Weight::Trial).collect();
        let required: Vec<_> = counting.iter().filter(|s| s.weight == Weight::Required).collect();
        let failed = required.iter().any(|s| s.outcome == Outcome::Fail && !s.waived);
        let warned = |s: &&&Counted| matches!(s.outcome, Outcome::Warn | Outcome::Fail) && !s.waived;
        if failed || (rules.strict && counting.iter().any(|s| warned(&s))) {
            return Decision::NoGo;
        }
        let untold = |s: &&Counted| {
            matches!(s.outcome, Outcome::Error | Outcome::Inconclusive) || (s.outcome == Outcome::Skipped && s.blocked)
        };
        if rules.interrupted || required.iter().any(|s| untold(s)) {
            return Decision::Undecided;
        }
        let pending = required.iter().any(|s| s.outcome == Outcome::Pending);
        let came =
            |s: &&&Counted| matches!(s.outcome, Outcome::Pass | Outcome::Warn | Outcome::Fail | Outcome::NotApplicable);
        if !pending && !counting.iter().any(|s| came(&s)) {
            return Decision::Undecided;
        }
        if rules.unsigned || pending { Decision::Held } else { Decision::Go }
    }

    #[test]
    fn every_pair_of_steps_under_every_rule_is_decided_by_the_book() {
        let all = every_step();
        for rules in every_rule() {
            assert_eq!(gate([], rules), by_the_book(&[], rules), "no step, {rules:?}");
            for a in &all {
                assert_eq!(gate([*a], rules), by_the_book(&[*a], rules), "{a:?}, {rules:?}");
                for b in &all {
                    assert_eq!(gate([*a, *b], rules), by_the_book(&[*a, *b], rules), "{a:?}, {b:?}, {rules:?}");
                }
            }
        }
    }

    #[test]
    fn the_cases_that_matter_most() {
        let step = |outcome| Counted { weight: Weight::Required, outcome, blocked: false, waived: false };
        let pass = step(Outcome::Pass);
        let rules = Rules::default();
        let table = [
            (vec![], Decision::Undecided),
            (vec![step(Outcome::Skipped)], Decision::Undecided),
            (vec![Counted { weight: Weight::Trial, ..pass }], Decision::Undecided),
            (vec![pass], Decision::Go),
            (vec![step(Outcome::NotApplicable)], Decision::Go),
            (vec![pass, step(Outcome::Warn)], Decision::Go),
            (vec![pass, step(Outcome::Fail), step(Outcome::Error)], Decision::NoGo),
            (vec![pass, step(Outcome::Error), step(Outcome::Pending)], Decision::Undecided),
            (vec![pass, step(Outcome::Inconclusive)], Decision::Undecided),
            (vec![pass, step(Outcome::Pending)], Decision::Held),
            (vec![step(Outcome::Pending)], Decision::Held),
            (vec![pass, Counted { blocked: true, ..step(Outcome::Skipped) }], Decision::Undecided),
            (vec![pass, Counted { waived: true, ..step(Outcome::Fail) }], Decision::Go),
            (vec![pass, Counted { waived: true, ..step(Outcome::Error) }], Decision::Undecided),
            (vec![pass, Counted { weight: Weight::Optional, ..step(Outcome::Fail) }], Decision::Go),
        ];
        for (steps, decision) in table {
            assert_eq!(gate(steps.clone(), rules), decision, "{steps:?}");
        }
        let strict = Rules { strict: true, ..rules };
        assert_eq!(gate([pass, step(Outcome::Warn)], strict), Decision::NoGo);
        assert_eq!(gate([pass], Rules { interrupted: true, ..rules }), Decision::Undecided);
        assert_eq!(gate([pass], Rules { unsigned: true, ..rules }), Decision::Held);
        assert_eq!(gate([], Rules { unsigned: true, ..rules }), Decision::Undecided);
    }
}
