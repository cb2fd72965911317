//! Lanes walk the plan: section after section, cell after cell. Cells that go side by side have a lane each.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::{EventKind, Skip};
use crate::model::Decision;
use crate::plan::{CellPlan, Cells, Flow};

use super::crew::Duty;
use super::dispatcher::{Dispatcher, State};
use super::ending::Halt;
use super::order::Order;

/// What one lane walks.
pub(super) struct Lane {
    pub tasks: VecDeque<Task>,
    pub doing: Doing,
    /// What lets nothing pass, the innermost cell last.
    pub fences: Vec<Fence>,
    parent: Option<usize>,
}

/// What comes next.
pub(super) enum Task {
    Section(usize),
    /// The cells of a matrix, from this one on.
    Cells(Box<Cells>, usize),
    EndOfCell(Box<CellPlan>, bool),
    /// The fence around cells goes with its cells.
    EndOfCells,
    /// A list of actions, which acts on this decision.
    Actions(usize, Decision),
    /// The start, a checkpoint or the end of a soak, by its number.
    Occasion(u32),
}

/// What a lane does right now.
pub(super) enum Doing {
    /// It takes the next task.
    Next,
    /// It runs a section.
    Section(usize, Box<Order>),
    /// It waits for people to release a section.
    Held(usize),
    /// It waits for time.
    Until(DateTime<Utc>, String),
    /// It waits for so many lanes that it has sent out.
    Children(usize),
    /// It is at its end.
    Over,
}

/// What keeps the rest of a cell, or of the run, from going on.
#[derive(Clone, Debug, Default)]
pub(super) struct Fence {
    /// The section that lets nothing pass.
    pub barrier: Option<usize>,
    /// The same for what follows the cells of a matrix: it lets the other cells pass.
    pub behind: Option<usize>,
    /// The cell after which the others do not run, and whether that only waits.
    pub cell: Option<(String, bool)>,
}

impl Task {
    pub(super) fn of(flow: Flow) -> Self {
        match flow {
            Flow::Section(section) => Task::Section(section),
            Flow::Cells(cells) => Task::Cells(cells, 0),
        }
    }
}

impl Lane {
    pub(super) fn new(tasks: VecDeque<Task>, parent: Option<usize>) -> Self {
        Self { tasks, doing: Doing::Next, fences: vec![Fence::default()], parent }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.doing, Doing::Over)
    }

    pub(super) fn waits_for_people(&self) -> bool {
        matches!(self.doing, Doing::Held(_))
    }

    /// Returns when the lane goes on, when it waits for time.
    pub(super) fn due(&self) -> Option<DateTime<Utc>> {
        if let Doing::Until(at, _) = &self.doing { Some(*at) } else { None }
    }

    /// A step of the section that it runs has ended.
    pub(super) fn done(&mut self, step: usize) {
        if let Doing::Section(_, order) = &mut self.doing {
            order.done(step);
        }
    }

    fn fence(&mut self) -> &mut Fence {
        if self.fences.is_empty() {
            self.fences.push(Fence::default());
        }
        let last = self.fences.len() - 1;
        &mut self.fences[last]
    }

    fn push_front(&mut self, tasks: impl DoubleEndedIterator<Item = Task>) {
        tasks.rev().for_each(|task| self.tasks.push_front(task));
    }
}

impl Dispatcher {
    /// Moves every lane as far as it goes.
    pub(super) async fn advance(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for lane in 0..self.lanes.len() {
                while self.step_forward(lane).await {
                    moved = true;
                }
            }
        }
    }

    /// Moves a lane. Tells whether it may be moved further.
    async fn step_forward(&mut self, lane: usize) -> bool {
        match &self.lanes[lane].doing {
            Doing::Over => false,
            Doing::Next => {
                match self.lanes[lane].tasks.pop_front() {
                    Some(task) => self.take_on(lane, task).await,
                    None => self.end_lane(lane),
                }
                true
            }
            Doing::Section(section, _) => {
                let section = *section;
                self.begin_ready(lane, section).await;
                self.end_section_if_done(lane)
            }
            Doing::Held(section) => {
                let section = *section;
                self.pass_gate(lane, section)
            }
            Doing::Until(due, _) => {
                if self.halt.is_none() && !self.timepiece.until(*due).is_zero() {
                    return false;
                }
                self.lanes[lane].doing = Doing::Next;
                true
            }
            Doing::Children(0) => {
                self.lanes[lane].doing = Doing::Next;
                true
            }
            Doing::Children(_) => false,
        }
    }

    async fn take_on(&mut self, lane: usize, task: Task) {
        match task {
            Task::Section(section) => self.enter(lane, section).await,
            Task::Actions(section, decision) => self.enter_actions(lane, section, decision),
            Task::Cells(cells, next) => self.enter_cells(lane, cells, next),
            Task::EndOfCell(cell, stop) => self.end_cell(lane, &cell, stop),
            Task::EndOfCells => {
                let inner = self.lanes[lane].fences.pop().unwrap_or_default();
                self.raise(lane, inner.barrier.or(inner.behind));
            }
            Task::Occasion(n) => self.occasion(lane, n),
        }
    }

    /// Runs a section of the checklist, or says why it is left out.
    async fn enter(&mut self, lane: usize, section: usize) {
        if self.is_done(section) {
            self.close(lane, section);
            return;
        }
        if let Some((skip, reason)) = self.keeps_out(lane, section) {
            self.leave_out(section, skip, &reason);
            self.close(lane, section);
            return;
        }
        if self.is_held(section) {
            self.reach_gate(lane, section).await;
            return;
        }
        self.begin_section(lane, section);
    }

    pub(super) fn begin_section(&mut self, lane: usize, section: usize) {
        let plan = Arc::clone(&self.plan);
        let of = &plan.sections[section];
        self.emitter.emit(EventKind::SectionStarted { section: of.outline.id.clone() });
        let mut order = Order::new(of, &plan);
        // What a process before has done is not done again.
        let done: Vec<usize> = of.steps.clone().filter(|&step| matches!(self.states[step], State::Done(..))).collect();
        order.ready.retain(|step| !done.contains(step));
        for step in done {
            order.done(step);
        }
        order.ready.retain(|&step| self.states[step] == State::Idle);
        self.lanes[lane].doing = Doing::Section(section, Box::new(order));
    }

    /// Begins what may begin, up to the number of jobs.
    async fn begin_ready(&mut self, lane: usize, section: usize) {
        let stoppable = self.is_of_checklist(section);
        while self.crew.count() < self.options.jobs.max(1) && !(stoppable && self.halt.is_some()) {
            let Doing::Section(_, order) = &mut self.lanes[lane].doing else { return };
            let Some(step) = order.ready.pop_front() else { return };
            if let Some((outcome, skip, reason)) = self.refusal(step, section) {
                self.finish(step, self.unrun(outcome, skip, reason));
                self.lanes[lane].done(step);
                continue;
            }
            self.states[step] = State::Running { since: self.shop.world.clock.elapsed(), announced: false };
            if self.plan.steps[step].outline.changes.is_some() {
                // That a change was begun is on disk before it begins.
                self.announce(step, self.plan.steps[step].probe.describe(), None);
                self.emitter.flush().await;
                if let Some(cause) = self.cause_to_stop().filter(|_| stoppable) {
                    self.states[step] = State::Idle;
                    self.halt(Halt::Interrupted(cause)).await;
                    return;
                }
            }
            self.begin_step(step, Duty::Lane(lane));
        }
    }

    fn end_section_if_done(&mut self, lane: usize) -> bool {
        let Doing::Section(section, order) = &self.lanes[lane].doing else { return true };
        let section = *section;
        if order.open > 0 {
            return false;
        }
        self.end_section(section);
        self.close(lane, section);
        true
    }

    pub(super) fn end_section(&mut self, section: usize) {
        let id = self.plan.sections[section].outline.id.clone();
        self.emitter.emit(EventKind::SectionFinished { section: id });
        self.section_ends[section] = Some(self.timepiece.now());
    }

    /// Goes on behind a section; a barrier that is itself blocked has not passed either.
    pub(super) fn close(&mut self, lane: usize, section: usize) {
        let of = &self.plan.sections[section];
        let barrier = of.barrier || of.outline.hold.is_some();
        if self.is_of_checklist(section) && barrier && !self.passed(section) {
            self.raise(lane, Some(section));
        }
        self.lanes[lane].doing = Doing::Next;
    }

    /// Lets nothing of this cell pass any more.
    fn raise(&mut self, lane: usize, barrier: Option<usize>) {
        let fence = self.lanes[lane].fence();
        fence.barrier = fence.barrier.or(barrier);
    }

    fn enter_cells(&mut self, lane: usize, cells: Box<Cells>, next: usize) {
        if cells.parallel {
            let children = cells.cells.len();
            for cell in cells.cells {
                let mut tasks: VecDeque<Task> = cell.flow.iter().cloned().map(Task::of).collect();
                tasks.push_back(Task::EndOfCell(Box::new(cell), false));
                self.lanes.push(Lane::new(tasks, Some(lane)));
            }
            self.lanes[lane].doing = Doing::Children(children);
            return;
        }
        if next == 0 {
            self.lanes[lane].fences.push(Fence::default());
        }
        let Some(cell) = cells.cells.get(next).cloned() else {
            self.lanes[lane].tasks.push_front(Task::EndOfCells);
            return;
        };
        if let Some(due) = self.end_of_pause(&cells, next) {
            let why = format!("pause before {}", cell.cell.id);
            self.emitter.emit(EventKind::Waiting { why: why.clone(), until: Some(due) });
            self.lanes[lane].tasks.push_front(Task::Cells(cells, next));
            self.lanes[lane].doing = Doing::Until(due, why);
            return;
        }
        let stop = cells.stop;
        let flow: Vec<Task> = cell.flow.iter().cloned().map(Task::of).collect();
        let behind = [Task::EndOfCell(Box::new(cell), stop), Task::Cells(cells, next + 1)];
        self.lanes[lane].fences.push(Fence::default());
        self.lanes[lane].push_front(flow.into_iter().chain(behind));
    }

    /// Returns when the pause before a cell ends, if it has not ended. It begins when the cell before is done.
    fn end_of_pause(&self, cells: &Cells, next: usize) -> Option<DateTime<Utc>> {
        if cells.pause.is_zero() || self.halt.is_some() || self.options.past.is_some() {
            return None;
        }
        let sections = |cell: &CellPlan| sections_of(&cell.flow);
        let began = |section: usize| self.section_ends[section].is_some() || self.any_ran(section);
        if sections(&cells.cells[next]).into_iter().any(began) {
            return None;
        }
        let before = cells.cells.get(next.checked_sub(1)?)?;
        let ended = sections(before).into_iter().filter_map(|section| self.section_ends[section]).max()?;
        let due = ended + TimeDelta::from_std(cells.pause).unwrap_or_default();
        (!self.timepiece.until(due).is_zero()).then_some(due)
    }

    fn end_cell(&mut self, lane: usize, cell: &CellPlan, stop: bool) {
        // A lane of its own keeps its fence: it has nothing but this cell.
        let inner = match self.lanes[lane].fences.len() {
            0 | 1 => self.lanes[lane].fence().clone(),
            _ => self.lanes[lane].fences.pop().unwrap_or_default(),
        };
        let decision = self.decide_cell(cell);
        if stop && decision != Decision::Go {
            let blocks = Some((cell.cell.id.clone(), decision == Decision::Held));
            self.lanes[lane].fence().cell = blocks;
        }
        // A barrier inside a cell closes that cell, and what follows all of them, but not the cells beside it.
        match self.lanes[lane].parent.filter(|_| self.lanes[lane].fences.len() == 1) {
            Some(parent) => self.raise(parent, inner.barrier),
            None => {
                let fence = self.lanes[lane].fence();
                fence.behind = fence.behind.or(inner.barrier);
            }
        }
        let actions: Vec<Task> = cell.actions.iter().map(|&section| Task::Actions(section, decision)).collect();
        self.lanes[lane].push_front(actions.into_iter());
    }

    fn end_lane(&mut self, lane: usize) {
        self.lanes[lane].doing = Doing::Over;
        if let Some(parent) = self.lanes[lane].parent
            && let Doing::Children(left) = &mut self.lanes[parent].doing
        {
            *left -= 1;
        }
    }

    /// Tells what keeps a section from running.
    fn keeps_out(&self, lane: usize, section: usize) -> Option<(Skip, String)> {
        if let Some(halt) = &self.halt {
            return Some(halt.keeps_out(self));
        }
        for fence in self.fences_of(lane) {
            if let Some(barrier) = fence.barrier {
                return Some(self.behind(barrier));
            }
            if let Some((cell, waits)) = &fence.cell {
                return Some(match waits {
                    true => (Skip::Waiting, format!("waits for {cell}, where something is open")),
                    false => (Skip::Blocked, format!("blocked by {cell}, which did not pass")),
                });
            }
        }
        self.unmet_condition(section)
    }

    /// Lists the fences that stand around what a lane does, those of the lanes that sent it out included.
    pub(super) fn fences_of(&self, lane: usize) -> Vec<&Fence> {
        let mut found = Vec::new();
        let mut next = Some(lane);
        while let Some(lane) = next {
            found.extend(self.lanes[lane].fences.iter().rev());
            next = self.lanes[lane].parent;
        }
        found
    }

    pub(super) fn leave_out(&mut self, section: usize, skip: Skip, reason: &str) {
        for step in self.plan.sections[section].steps.clone() {
            if !matches!(self.states[step], State::Done(..)) {
                self.skip(step, skip, reason.to_owned());
            }
        }
    }

    /// Tells whether nothing of a section is left to be done.
    fn is_done(&self, section: usize) -> bool {
        self.plan.sections[section].steps.clone().all(|step| matches!(self.states[step], State::Done(..)))
    }
}

/// Lists the sections of a flow, those of its cells included.
pub(super) fn sections_of(flow: &[Flow]) -> Vec<usize> {
    let mut found = Vec::new();
    for part in flow {
        match part {
            Flow::Section(section) => found.push(*section),
            Flow::Cells(cells) => cells.cells.iter().for_each(|cell| found.extend(sections_of(&cell.flow))),
        }
    }
    found
}
