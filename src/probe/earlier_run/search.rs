//! Which earlier runs count, and which came near. Pure: runs in, words and measures out.

use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value as Json;

use crate::model::{Decision, Note, quantity};
use crate::probe::EarlierRun;

/// Up to which age, in seconds, a run is said to be so long ago; of older ones the date is said.
const SHORT: f64 = 172_800.0;

/// What a run must be like to count.
#[derive(Clone, Debug)]
pub(super) struct Criteria {
    pub decision: Option<Decision>,
    pub within: Option<Duration>,
    pub same: Vec<(String, Json)>,
    /// After how many runs the search has enough.
    pub enough: usize,
    pub now: DateTime<Utc>,
}

/// Runs that were looked at, the latest first.
#[derive(Debug)]
pub(super) struct Search {
    criteria: Criteria,
    /// The latest that counts.
    pub found: Option<EarlierRun>,
    /// How many count.
    pub count: usize,
    /// The latest that does not, and why.
    miss: Option<(EarlierRun, String)>,
    /// Whether that one is later than the latest that counts.
    later: bool,
}

impl Search {
    pub(super) fn new(criteria: Criteria) -> Self {
        Self { criteria, found: None, count: 0, miss: None, later: false }
    }

    /// Takes the next run.
    pub(super) fn take(&mut self, run: EarlierRun) -> ControlFlow<()> {
        match self.criteria.why_not(&run) {
            None => {
                self.count += 1;
                self.found.get_or_insert(run);
            }
            Some(why) if self.miss.is_none() => {
                self.later = self.found.is_none();
                self.miss = Some((run, why));
            }
            Some(_) => {}
        }
        if self.count >= self.criteria.enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Says that nothing as wanted was found, and what came nearest.
    pub(super) fn nothing(&self, wish: &str) -> String {
        match &self.miss {
            Some(miss) => format!("no {wish}; the latest {}", self.criteria.shown(miss)),
            None => format!("no {wish}; there is none at all"),
        }
    }

    /// Remarks on runs that do not count.
    pub(super) fn remark(&self) -> Option<Note> {
        let miss = self.miss.as_ref().filter(|_| self.found.is_some())?;
        let shown = self.criteria.shown(miss);
        let turned = self.criteria.decision.is_some_and(|wanted| wanted != miss.0.decision);
        Some(match self.later && turned {
            true => Note::warning(format!("a later one {shown}")),
            false => Note::info(format!("the latest that does not count {shown}")),
        })
    }
}

impl Criteria {
    /// Says why a run does not count; nothing for one that does.
    fn why_not(&self, run: &EarlierRun) -> Option<String> {
        let mut why = Vec::new();
        let limit = self.within.map(|within| TimeDelta::from_std(within).unwrap_or(TimeDelta::MAX));
        if limit.is_some_and(|limit| self.now - run.at > limit) {
            why.push("too long ago".to_owned());
        }
        why.extend(run.partial.clone());
        for (name, wanted) in &self.same {
            match run.inputs.get(name) {
                Some(value) if value == wanted => {}
                Some(value) => why.push(format!("with {name} {} instead of {}", plain(value), plain(wanted))),
                None => why.push(format!("without a recorded {name}")),
            }
        }
        let other = self.decision.is_some_and(|wanted| wanted != run.decision);
        (other || !why.is_empty()).then(|| why.join(", "))
    }

    /// `was a no-go 3h ago (run 20260101-120000-abcd), with version 1.2.3 instead of 1.2.4`
    fn shown(&self, (run, why): &(EarlierRun, String)) -> String {
        let age = (self.now - run.at).as_seconds_f64();
        let decision = match run.decision {
            Decision::Go => "a go",
            Decision::NoGo => "a no-go",
            Decision::Undecided => "undecided",
            Decision::Held => "held",
        };
        // Nobody counts in days and hours what is long ago.
        let ago = match age {
            age if age < 0.0 => format!("{} in the future", quantity::seconds(-age)),
            age if age < SHORT => {
                format!("{} ago", quantity::seconds(if age < 3600.0 { age } else { age - age % 60.0 }))
            }
            _ => format!("on {}", run.at.format("%Y-%m-%d %H:%M UTC")),
        };
        let why = if why.is_empty() { String::new() } else { format!(", {why}") };
        format!("was {decision} {ago} (run {}){why}", run.run)
    }
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::RunId;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
    }

    fn criteria(enough: usize) -> Criteria {
        Criteria {
            decision: Some(Decision::Go),
            within: Some(Duration::from_secs(72 * 3600)),
            same: vec![("version".to_owned(), json!("1.2.4"))],
            enough,
            now: now(),
        }
    }

    fn run(name: &str, decision: Decision, hours: i64, version: &str) -> EarlierRun {
        EarlierRun {
            partial: None,
            run: RunId::new(name),
            checklist: "Staging".into(),
            decision,
            at: now() - TimeDelta::hours(hours),
            inputs: [("version".to_owned(), json!(version))].into(),
        }
    }

    #[test]
    fn the_first_that_counts_is_enough() {
        let mut search = Search::new(criteria(1));
        assert!(search.take(run("r3", Decision::Go, 1, "1.2.3")).is_continue());
        assert!(search.take(run("r2", Decision::Go, 2, "1.2.4")).is_break());
        assert_eq!(search.found.as_ref().map(|run| run.run.to_string()).as_deref(), Some("r2"));
        let note = search.remark().expect("a remark");
        assert_eq!(
            note,
            Note::info("the latest that does not count was a go 1h ago (run r3), with version 1.2.3 instead of 1.2.4")
        );
    }

    #[test]
    fn a_later_no_go_is_a_warning() {
        let mut search = Search::new(criteria(1));
        assert!(search.take(run("r3", Decision::NoGo, 1, "1.2.4")).is_continue());
        assert!(search.take(run("r2", Decision::Go, 2, "1.2.4")).is_break());
        assert_eq!(search.remark(), Some(Note::warning("a later one was a no-go 1h ago (run r3)")));
    }

    #[test]
    fn what_came_nearest_is_said() {
        let mut search = Search::new(criteria(1));
        assert_eq!(search.nothing("go of staging.yaml"), "no go of staging.yaml; there is none at all");
        assert!(search.take(run("r2", Decision::Go, 100, "1.2.4")).is_continue());
        assert!(search.take(run("r1", Decision::Go, 200, "1.2.4")).is_continue());
        assert_eq!(
            search.nothing("go of staging.yaml"),
            "no go of staging.yaml; the latest was a go on 2027-01-11 04:00 UTC (run r2), too long ago"
        );
    }

    #[test]
    fn an_age_right_at_the_limit_still_counts() {
        let mut search = Search::new(criteria(2));
        assert!(search.take(run("r2", Decision::Go, 72, "1.2.4")).is_continue());
        assert!(search.take(run("r1", Decision::Held, 1, "1.2.4")).is_continue());
        assert_eq!(search.count, 1);
    }
}
