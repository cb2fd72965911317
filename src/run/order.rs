//! Which steps of a section may begin.

use std::collections::VecDeque;

use crate::plan::{Plan, PlanSection};

/// The steps of a section that may begin, as others end.
pub(super) struct Order {
    base: usize,
    waits: Vec<usize>,
    followers: Vec<Vec<usize>>,
    /// What may begin now.
    pub ready: VecDeque<usize>,
    /// How many steps have not ended.
    pub open: usize,
}

impl Order {
    pub(super) fn new(section: &PlanSection, plan: &Plan) -> Self {
        let base = section.steps.start;
        let count = section.steps.len();
        let (waits, followers) = (vec![0; count], vec![Vec::new(); count]);
        let mut order = Self { base, waits, followers, ready: VecDeque::new(), open: count };
        for step in section.steps.clone() {
            let line = (section.sequential && step > base).then(|| step - 1);
            for earlier in plan.steps[step].after.iter().copied().filter(|&e| e >= base).chain(line) {
                order.waits[step - base] += 1;
                order.followers[earlier - base].push(step);
            }
        }
        order.ready = section.steps.clone().filter(|step| order.waits[step - base] == 0).collect();
        order
    }

    /// A step has ended: what waited for it alone may begin.
    pub(super) fn done(&mut self, step: usize) {
        self.open -= 1;
        for follower in std::mem::take(&mut self.followers[step - self.base]) {
            self.waits[follower - self.base] -= 1;
            if self.waits[follower - self.base] == 0 {
                self.ready.push_back(follower);
            }
        }
    }
}
