//! Whether a gate can go red: each step is judged again on measures that were changed for the worse, and must notice.
//!
//! A step that stays green on an empty body, on NaN or on a log without lines is no gate. Nothing is asked of the
//! world: the measures come from a recorded run, are changed in memory ([`crate::model::Mutation`]) and go through the
//! same judging as in a run. [`units`] says what a step asserts, [`number`] and [`value`] what a worse value is,
//! [`whole`] what a worse answer is, [`prove`] puts them together.
//!
//! What must be noticed follows from what the step asserts, and not from the judging, so that the proof is no circle:
//! whether a number is behind its limit is computed here a second time, in another way.
//!
//! This module does no I/O.

pub mod number;
pub mod prove;
pub mod tally;
pub mod text;
pub mod units;
pub mod value;
pub mod whole;

pub use prove::{Proof, Standing, StepProof, Tried, prove};
