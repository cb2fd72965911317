//! May we go? What follows from a record, from the waivers and from the people who must agree.

pub mod decide;

pub use decide::{Ruling, decide};
