//! What other processes ask of a run, until what follows from it is on disk.
//!
//! A request is taken by the owner of the run, and it stays in the store until the event that answers it is appended:
//! both happen in one transaction. A process that dies in between has lost nothing, as its successor is given the
//! request again; and nothing is done twice, as an event and its request never stand in the store together.

use crate::event::{Event, EventKind, Request};

/// Which requests a batch of events settles.
#[derive(Clone, Debug, Default)]
pub(super) struct Settled {
    requests: Vec<Request>,
    /// The run is over: what was taken and came to nothing was refused.
    over: bool,
}

impl Settled {
    /// Notes what an event settles.
    pub(super) fn note(&mut self, event: &Event) {
        self.requests.extend(answered(&event.kind));
        self.over |= matches!(event.kind, EventKind::RunFinished { .. });
    }

    /// Tells whether nothing is settled.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty() && !self.over
    }

    /// Returns which of the waiting requests go: the same words first, else the oldest of the same subject, as an
    /// owner may have masked or completed the words.
    pub(super) fn of(&self, waiting: Vec<Posted>) -> Vec<i64> {
        let mut waiting = waiting;
        let mut gone = Vec::new();
        for done in &self.requests {
            let same = waiting.iter().position(|posted| posted.request == *done);
            let like = || waiting.iter().position(|posted| posted.taken && alike(&posted.request, done));
            if let Some(at) = same.or_else(like) {
                gone.push(waiting.remove(at).id);
            }
        }
        if self.over {
            gone.extend(waiting.iter().filter(|posted| posted.taken).map(|posted| posted.id));
        }
        gone
    }
}

/// A request that waits.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    pub id: i64,
    pub request: Request,
    /// Whether the owner of the run has it in hand.
    pub taken: bool,
}

/// Returns the request that an event answers, if that is what it does.
fn answered(event: &EventKind) -> Option<Request> {
    if let EventKind::Answered { step, answer } = event {
        return Some(Request::Answer(step.clone(), answer.clone()));
    }
    if let EventKind::Released { section, release } = event {
        return Some(Request::Release(section.clone(), release.clone()));
    }
    if let EventKind::Signed { signature } = event {
        return Some(Request::Sign(signature.clone()));
    }
    None
}

fn alike(one: &Request, other: &Request) -> bool {
    match (one, other) {
        (Request::Answer(one, _), Request::Answer(other, _)) => one == other,
        (Request::Release(one, _), Request::Release(other, _)) => one == other,
        (Request::Sign(one), Request::Sign(other)) => one.armour == other.armour,
        (Request::Answer(..) | Request::Release(..) | Request::Sign(..), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Answer, Release};
    use crate::model::{Outcome, SectionId, StepId};

    fn answer(step: &str, note: &str) -> (StepId, Answer) {
        (StepId::new(step), Answer { note: note.into(), ..Answer::new(Outcome::Pass, "carol") })
    }

    fn posted(id: i64, taken: bool, (step, answer): (StepId, Answer)) -> Posted {
        Posted { id, request: Request::Answer(step, answer), taken }
    }

    fn settled(kinds: Vec<EventKind>) -> Settled {
        let mut settled = Settled::default();
        for (seq, kind) in (1..).zip(kinds) {
            settled.note(&Event { seq, at: chrono::DateTime::UNIX_EPOCH, kind });
        }
        settled
    }

    fn event((step, answer): (StepId, Answer)) -> EventKind {
        EventKind::Answered { step, answer }
    }

    #[test]
    fn an_event_settles_its_own_request_before_one_like_it() {
        let waiting = vec![posted(1, true, answer("a", "x")), posted(2, true, answer("a", "y"))];
        assert_eq!(settled(vec![event(answer("a", "y"))]).of(waiting.clone()), [2]);
        assert_eq!(settled(vec![event(answer("a", "***"))]).of(waiting.clone()), [1]);
        assert!(settled(vec![event(answer("b", "x"))]).of(waiting.clone()).is_empty());
        let release = Release { accepted: true, by: "bob".into(), signed: false, note: String::new() };
        let released = EventKind::Released { section: SectionId::new("a"), release };
        assert!(settled(vec![released]).of(waiting).is_empty());
    }

    #[test]
    fn what_nobody_took_outlives_the_run() {
        let waiting = vec![posted(1, true, answer("a", "x")), posted(2, false, answer("b", "y"))];
        assert_eq!(settled(vec![EventKind::RunFinished { took_ms: 1 }]).of(waiting), [1]);
    }
}
