//! May we go? What follows from a record, from the waivers and from the people who must agree.

pub mod decide;
pub mod sign;

pub use decide::{Ruling, decide};
