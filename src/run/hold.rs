//! Hold points: nothing of a section runs before people have released it.

use chrono::{DateTime, Utc};

use crate::event::{EventKind, Release, Skip};
use crate::model::SectionId;

use super::dispatcher::Dispatcher;
use super::ending::Halt;
use super::lanes::{Doing, Lane};

/// What is known of a hold point that was reached.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Gate {
    /// How it was released or declined.
    pub release: Option<Release>,
}

impl Dispatcher {
    /// Tells whether people have to release a section before it begins.
    pub(super) fn is_held(&self, section: usize) -> bool {
        let released = self.gates.get(&section).and_then(|gate| gate.release.as_ref());
        self.plan.sections[section].outline.hold.is_some() && released.is_none_or(|release| !release.accepted)
    }

    /// Comes to a hold point. Behind a required failure nobody is asked: nothing could be released.
    pub(super) async fn reach_gate(&mut self, lane: usize, section: usize) {
        let first = self.plan.sections[section].steps.start;
        if let Some(id) = self.failed_above(first) {
            let reason = format!("blocked by {id}: nothing is released after a required failure");
            self.leave_out(section, Skip::Blocked, &reason);
            self.close(lane, section);
            return;
        }
        self.lanes[lane].doing = Doing::Held(section);
        if let std::collections::hash_map::Entry::Vacant(gate) = self.gates.entry(section) {
            gate.insert(Gate::default());
            // Whoever is asked can rely on what was found so far.
            self.emitter.flush().await;
            self.emitter.emit(EventKind::Held { section: self.plan.sections[section].outline.id.clone() });
            self.emitter.flush().await;
        }
    }

    /// Goes on behind a hold point that was released. Tells whether it was.
    pub(super) fn pass_gate(&mut self, lane: usize, section: usize) -> bool {
        if self.halt.is_some() {
            self.leave_rest(section);
            self.close(lane, section);
            return true;
        }
        if self.is_held(section) {
            return false;
        }
        self.begin_section(lane, section);
        true
    }

    /// Takes the word of people on a hold point. Where roles must sign, only signatures count.
    pub(super) fn released(&mut self, id: &SectionId, release: Release) {
        let Some(section) = self.plan.sections.iter().position(|section| section.outline.id == *id) else { return };
        let Some(hold) = &self.plan.sections[section].outline.hold else { return };
        let counts = release.signed || hold.sign.is_empty() || !release.accepted;
        let waits = self.lanes.iter().any(|lane| matches!(lane.doing, Doing::Held(at) if at == section));
        if !counts || !waits {
            return;
        }
        self.emitter.emit(EventKind::Released { section: id.clone(), release: release.clone() });
        self.gates.insert(section, Gate { release: Some(release.clone()) });
        if !release.accepted {
            self.declined = Some((section, release));
        }
    }

    /// Stops a run that people declined to let go on.
    pub(super) async fn heed_declined(&mut self) {
        if let Some((section, release)) = self.declined.take() {
            self.halt(Halt::Declined(section, release)).await;
        }
    }

    /// Says what a run that leaves waits for, and until when.
    pub(super) fn what_it_waits_for(&self) -> (String, Option<DateTime<Utc>>) {
        let mut words = Vec::new();
        for lane in &self.lanes {
            match &lane.doing {
                Doing::Held(section) => words.push(self.gate_words(*section)),
                Doing::Until(_, why) => words.push(why.clone()),
                Doing::Next | Doing::Section(..) | Doing::Children(_) | Doing::Over => {}
            }
        }
        (words.join("; "), self.lanes.iter().filter_map(Lane::due).min())
    }

    fn gate_words(&self, section: usize) -> String {
        let outline = &self.plan.sections[section].outline;
        let roles = outline.hold.as_ref().map(|hold| hold.sign.as_slice()).unwrap_or_default();
        match roles {
            [] => format!("{:?} waits to be released", outline.name),
            roles => format!("{:?} waits for signatures: {}", outline.name, roles.join(", ")),
        }
    }
}
