//! What runs next: sections as they stand, or cell by cell, for each occasion of the run.

use super::matrix::{Matrices, Matrix};
use super::soak::Times;
use super::{CellPlan, Cells, Flow, PlanSection, SoakPlan};
use crate::checklist::Checklist;
use crate::model::outline::{Cell, Part, Slot};

/// A section that was made: where it stands in the plan, what it was made of, and for which cell of the whole.
#[derive(Clone, Copy)]
pub(super) struct Laid {
    /// Its position in [`super::Plan::sections`].
    pub position: usize,
    /// Its position in the checklist; nothing for what the checklist as a whole requires.
    pub section: Option<usize>,
    /// The cell of the whole checklist.
    pub top: usize,
}

/// Lays out what runs at the start, and in a soak what runs later.
pub(super) fn lay(
    checklist: &Checklist,
    matrices: &Matrices,
    laid: &[Laid],
    sections: &[PlanSection],
    times: Option<Times>,
) -> (Vec<Flow>, Option<SoakPlan>) {
    let soaks = checklist.node.get("soak").is_some();
    let laying = Laying { matrices, laid, sections };
    // What is required stands before all cells, and so does what watches them.
    let before = laid.first().map_or(sections.len(), |laid| laid.position);
    let required = (0..before).filter(|&at| sections[at].outline.part == Part::Section).map(Flow::Section);
    let flow = required.chain(laying.at(soaks.then_some(Slot::Start), !soaks)).collect();
    let soak = times.map(|times| SoakPlan {
        times: times.soak,
        checkpoint: laying.at(Some(Slot::Checkpoint), false),
        end: laying.at(Some(Slot::End), true),
    });
    (flow, soak)
}

struct Laying<'a> {
    matrices: &'a Matrices,
    laid: &'a [Laid],
    sections: &'a [PlanSection],
}

impl Laying<'_> {
    /// Lays out one occasion. The last one of a run brings the actions of each cell along.
    fn at(&self, slot: Option<Slot>, last: bool) -> Vec<Flow> {
        let Some(matrix) = &self.matrices.top else { return self.of_cell(0, slot) };
        let cells = matrix.cells.iter().enumerate().map(|(top, cell)| CellPlan {
            cell: cell.clone(),
            flow: self.of_cell(top, slot),
            actions: if last { self.actions(top) } else { Vec::new() },
        });
        let cells: Vec<_> = cells.collect();
        let empty = cells.iter().all(|cell| cell.flow.is_empty() && cell.actions.is_empty());
        if empty { Vec::new() } else { vec![side(matrix, cells)] }
    }

    /// Lays out the sections of one cell of the whole.
    fn of_cell(&self, top: usize, slot: Option<Slot>) -> Vec<Flow> {
        let here = |laid: &&Laid| {
            let outline = &self.sections[laid.position].outline;
            laid.top == top && outline.part == Part::Section && outline.at == slot
        };
        let mut flow = Vec::new();
        let laid: Vec<_> = self.laid.iter().filter(here).collect();
        for made in laid.chunk_by(|a, b| a.section == b.section) {
            let matrix = made[0].section.and_then(|section| self.matrices.sections[section].as_ref());
            match matrix {
                Some(matrix) => flow.push(side(matrix, cells(matrix, made))),
                None => flow.extend(made.iter().map(|laid| Flow::Section(laid.position))),
            }
        }
        flow
    }

    fn actions(&self, top: usize) -> Vec<usize> {
        let acts = |laid: &&Laid| laid.top == top && self.sections[laid.position].outline.part != Part::Section;
        self.laid.iter().filter(acts).map(|laid| laid.position).collect()
    }
}

fn cells(matrix: &Matrix, made: &[&Laid]) -> Vec<CellPlan> {
    let cell = |(cell, laid): (&Cell, &&Laid)| CellPlan {
        cell: cell.clone(),
        flow: vec![Flow::Section(laid.position)],
        actions: Vec::new(),
    };
    matrix.cells.iter().zip(made).map(cell).collect()
}

fn side(matrix: &Matrix, cells: Vec<CellPlan>) -> Flow {
    Flow::Cells(Box::new(Cells { parallel: matrix.parallel, stop: matrix.stop, pause: matrix.pause, cells }))
}
