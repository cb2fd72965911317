//! A step that looks more than once: at its pace, for as long as its window lasts, or back over what is past.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::watching::Watching;
use super::{Judged, Tell, Worker};
use crate::event::Look;
use crate::model::{Expectation, Found, Observation, Outcome, Verdict};
use crate::plan::Window;

/// How many looks that nobody took are put into the record when a window is taken up again.
const MOST_MISSED: usize = 200_000;

/// How long a guard may go unwatched while a process is started again.
const SHORT: TimeDelta = TimeDelta::seconds(60);

impl Worker<'_> {
    /// Looks again and again until the window is decided, or a guard is told to end.
    pub(super) async fn watch(
        &mut self,
        expect: Option<&Expectation>,
        warn: Option<&Expectation>,
        mut window: Watching,
    ) -> (Verdict, Judged) {
        let clock = self.shop.world.clock.clone();
        self.say_begun(&window);
        let since = window.begun.map(|begun| (clock.now() - begun).to_std().unwrap_or_default()).unwrap_or_default();
        // A window that was begun by a process before goes on by its own time.
        let begin = clock.elapsed();
        if let Some((verdict, look)) = window.done.clone().zip(window.look.clone()) {
            return (verdict, Judged::recalled(*look));
        }
        self.own_up(&mut window);
        let mut due = begin;
        loop {
            let at = since + (clock.elapsed() - begin);
            let judged = self.look(expect, warn, None).await;
            self.tell_look(&judged.look);
            if window.take(at, judged.look.clone())
                && let Some(verdict) = window.done.take()
            {
                return (verdict, judged);
            }
            let (now, end) = (since + (clock.elapsed() - begin), window.ends_at());
            if now >= end || self.is_over() {
                return (window.at_end(now), judged);
            }
            // Looks keep to the timetable; those that are overdue are not made up for.
            while due <= clock.elapsed() {
                due += window.every;
            }
            let next = due.min(begin.saturating_add(end.saturating_sub(since)));
            self.pause(next.saturating_sub(clock.elapsed())).await;
        }
    }

    /// Asks about the past, look for look, as far as it reaches.
    pub(super) async fn look_back(
        &mut self,
        expect: Option<&Expectation>,
        warn: Option<&Expectation>,
        mut window: Watching,
        begin: DateTime<Utc>,
    ) -> (Verdict, Judged) {
        let mut at = Duration::ZERO;
        loop {
            let of = begin + TimeDelta::from_std(at).unwrap_or(TimeDelta::MAX);
            let judged = self.look(expect, warn, Some(of)).await;
            self.tell_look(&judged.look);
            if window.take(at, judged.look.clone())
                && let Some(verdict) = window.done.take()
            {
                return (verdict, judged);
            }
            let end = window.ends_at();
            if at >= end {
                return (window.at_end(at), judged);
            }
            let next = (at + window.every).min(end);
            if begin + TimeDelta::from_std(next).unwrap_or(TimeDelta::MAX) > self.shop.world.clock.now() {
                return (window.broken_off(at), judged);
            }
            at = next;
        }
    }

    fn say_begun(&self, window: &Watching) {
        let until = TimeDelta::from_std(window.ends_at()).ok();
        let until =
            until.and_then(|length| window.begun.unwrap_or(self.shop.world.clock.now()).checked_add_signed(length));
        // The receiver lives as long as the run.
        let _ = self.tell.send(Tell::Begun(self.position, self.step.probe.describe(), until));
    }

    /// Puts into the record which looks of a window nobody took, because no process was there.
    fn own_up(&mut self, window: &mut Watching) {
        let (Some(begun), Some(last)) = (window.begun, window.last) else { return };
        let every = TimeDelta::from_std(window.every).unwrap_or(TimeDelta::MAX);
        if matches!(self.step.window, Window::Guard { .. }) {
            // A guard of a run whose process left on purpose was not meant to look meanwhile, and while a process is
            // started again nobody can look.
            let short = SHORT.max(every.checked_mul(4).unwrap_or(TimeDelta::MAX));
            if self.shop.left_on_purpose || self.shop.world.clock.now() - last < short {
                return;
            }
        }
        let end = begun.checked_add_signed(TimeDelta::from_std(window.ends_at()).unwrap_or(TimeDelta::MAX));
        let now = self.shop.world.clock.now().min(end.unwrap_or(DateTime::<Utc>::MAX_UTC));
        let mut at = last;
        for _ in 0..MOST_MISSED {
            let Some(next) = at.checked_add_signed(every).filter(|next| *next < now) else { return };
            at = next;
            self.looks += 1;
            let cause = "nobody looked: the run had been left".to_owned();
            let observation = Observation::new(self.step.probe.describe(), Found::refused(cause.clone()));
            let look = Look { n: self.looks, ..Look::new(at, observation, Verdict::of(Outcome::Error, cause)) };
            self.tell_look(&look);
            window.take((at - begun).to_std().unwrap_or_default(), look);
        }
    }

    /// Tells whether a guard has been told to end.
    fn is_over(&self) -> bool {
        self.curtain.as_ref().is_some_and(|curtain| *curtain.borrow())
    }

    /// Waits for the next look; a guard that is told to end looks once more.
    async fn pause(&mut self, time: Duration) {
        let clock = &self.shop.world.clock;
        match &mut self.curtain {
            None => clock.sleep(time).await,
            Some(curtain) => tokio::select! {
                () = clock.sleep(time) => {}
                _ = curtain.wait_for(|over| *over) => {}
            },
        }
    }
}
