//! The range that a query is asked over, and the points in it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::quantity;
use crate::source::Failure;
use crate::source::prometheus::When;

/// The most points of a series that Prometheus gives.
pub(super) const MOST_POINTS: u128 = 11_000;
/// How many points a range has when nobody says.
const USUAL_POINTS: u32 = 250;

/// A range as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) reach: Reach,
    pub(super) points: Points,
}

/// How far back a range reaches.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach {
    /// This long.
    Last(Duration),
    /// To the start of the soak.
    Soak,
}

/// Which points of a range are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Points {
    /// What the query gives at so many moments, evenly spread.
    Even,
    /// What the query gives at moments this far apart.
    Every(Duration),
    /// The samples as they were scraped, one each this long.
    Scraped(Duration),
}

/// A range whose ends are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    /// The distance of two points.
    pub(super) step: Duration,
    /// Whether the points are samples as they were scraped.
    pub(super) scraped: bool,
}

impl Span {
    /// Returns the window that ends now, or with the soak.
    pub(super) fn window(
        self,
        now: DateTime<Utc>,
        soak: Option<(DateTime<Utc>, DateTime<Utc>)>,
    ) -> Result<Window, Failure> {
        let (start, end) = match (self.reach, soak) {
            (Reach::Last(length), _) => (before(now, length), now),
            (Reach::Soak, Some((from, to))) => (from, now.min(to)),
            (Reach::Soak, None) => return Err(Failure::lasting("`last: soak` has no meaning here: there is no soak")),
        };
        let length = (end - start).to_std().unwrap_or_default();
        if length.is_zero() {
            return Err(Failure::lasting("the soak has only just begun: there is no range to look at yet"));
        }
        let (step, scraped) = match self.points {
            Points::Even => (even(length), false),
            Points::Every(step) => (step.min(length), false),
            Points::Scraped(step) => (step, true),
        };
        if !scraped && length.as_nanos() / step.as_nanos().max(1) >= MOST_POINTS {
            return Err(Failure::lasting(format!(
                "the range has more than the {MOST_POINTS} points that Prometheus gives; make the step longer"
            )));
        }
        Ok(Window { start, end, step, scraped })
    }

    /// Says the range.
    pub(super) fn words(self) -> String {
        match self.reach {
            Reach::Last(length) => format!("the last {}", quantity::seconds(length.as_secs_f64())),
            Reach::Soak => "the soak".into(),
        }
    }
}

impl Window {
    /// Counts the points, both ends included.
    pub(super) fn points(self) -> u64 {
        let length = (self.end - self.start).to_std().unwrap_or_default();
        u64::try_from(length.as_nanos() / self.step.as_nanos().max(1)).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Returns what to ask, and for when. The samples of a selector are what it gives over a range at one moment.
    pub(super) fn question(self, query: &str) -> (String, When) {
        match self.scraped {
            true => {
                let length = (self.end - self.start).num_milliseconds();
                (format!("{query}[{length}ms]"), When::At(self.end))
            }
            false => (query.to_owned(), When::Range { start: self.start, end: self.end, step: self.step }),
        }
    }
}

/// Returns the step at which a range has the usual number of points.
pub(super) fn even(length: Duration) -> Duration {
    Duration::from_secs((length / USUAL_POINTS).as_secs().max(1)).min(length)
}

/// Returns the time that long before another.
pub(super) fn before(at: DateTime<Utc>, length: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(length).ok().and_then(|d| at.checked_sub_signed(d)).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soak_is_looked_at_as_far_as_it_went() {
        let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).expect("a time");
        let soak = Some((at(1000), at(8200)));
        let span = Span { reach: Reach::Soak, points: Points::Every(Duration::from_secs(60)) };
        let half = span.window(at(4600), soak).expect("an hour");
        assert_eq!((half.start, half.end, half.points()), (at(1000), at(4600), 61));
        let after = span.window(at(9999), soak).expect("the whole");
        assert_eq!((after.end, after.points()), (at(8200), 121));
        assert!(span.window(at(1000), soak).is_err());
        assert!(span.window(at(4600), None).is_err());
    }

    #[test]
    fn scraped_samples_are_asked_for_with_a_range_selector() {
        let end = DateTime::from_timestamp(7200, 0).expect("a time");
        let points = Points::Scraped(Duration::from_secs(30));
        let window = Span { reach: Reach::Last(Duration::from_secs(3600)), points }.window(end, None).expect("an hour");
        assert_eq!(window.question("up{job=\"a\"}"), ("up{job=\"a\"}[3600000ms]".into(), When::At(end)));
        let even = Span { reach: Reach::Last(Duration::from_secs(3600)), points: Points::Even };
        assert_eq!(even.window(end, None).expect("an hour").step, Duration::from_secs(14));
    }
}
