//! The steps that work right now, and for whom.

use std::collections::HashMap;

use tokio::task::{AbortHandle, Id, JoinSet};

use super::worker::Done;

/// Everybody who works.
#[derive(Default)]
pub(super) struct Crew {
    tasks: JoinSet<Done>,
    hands: HashMap<Id, Hand>,
    guards: usize,
}

/// One who works.
pub(super) struct Hand {
    pub step: usize,
    pub duty: Duty,
    handle: AbortHandle,
}

/// For whom a step works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// For a lane, by its number.
    Lane(usize),
    /// It watches beside everything else.
    Guard,
}

impl Crew {
    pub(super) fn begin(&mut self, step: usize, duty: Duty, work: impl Future<Output = Done> + Send + 'static) {
        let handle = self.tasks.spawn(work);
        self.guards += usize::from(duty == Duty::Guard);
        self.hands.insert(handle.id(), Hand { step, duty, handle });
    }

    /// Returns how many work, guards aside.
    pub(super) fn count(&self) -> usize {
        self.hands.len() - self.guards
    }

    /// Returns how many guards watch.
    pub(super) fn guards(&self) -> usize {
        self.guards
    }

    /// Lists the steps that work, guards aside.
    pub(super) fn steps(&self) -> impl Iterator<Item = usize> {
        self.hands.values().filter(|hand| hand.duty != Duty::Guard).map(|hand| hand.step)
    }

    /// Waits for the next one to end. A probe that breaks down ends its step, which is named then, and not the run.
    pub(super) async fn next(&mut self) -> Option<(Duty, Result<Done, usize>)> {
        loop {
            let (id, done) = match self.tasks.join_next_with_id().await? {
                Ok((id, done)) => (id, Ok(done)),
                Err(error) => (error.id(), Err(())),
            };
            // Who was sent away is not waited for any more.
            if let Some(hand) = self.forget(id) {
                return Some((hand.duty, done.map_err(|()| hand.step)));
            }
        }
    }

    /// Sends away whoever works for `duty`, and waits until they are gone. What ended in the meantime is returned.
    pub(super) async fn dismiss(&mut self, duty: impl Fn(Duty) -> bool) -> Vec<(Duty, Result<Done, usize>)> {
        let gone: Vec<Id> = self.hands.iter().filter(|(_, hand)| duty(hand.duty)).map(|(id, _)| *id).collect();
        let mut left = gone.len();
        for id in &gone {
            if let Some(hand) = self.forget(*id) {
                hand.handle.abort();
            }
        }
        let mut ended = Vec::new();
        while left > 0 {
            let (id, done) = match self.tasks.join_next_with_id().await {
                Some(Ok((id, done))) => (id, Ok(done)),
                Some(Err(error)) => (error.id(), Err(())),
                None => break,
            };
            match self.forget(id) {
                Some(hand) => ended.push((hand.duty, done.map_err(|()| hand.step))),
                None => left -= 1,
            }
        }
        ended
    }

    fn forget(&mut self, id: Id) -> Option<Hand> {
        let hand = self.hands.remove(&id)?;
        self.guards -= usize::from(hand.duty == Duty::Guard);
        Some(hand)
    }
}
