//! Pure judgement: what follows from what was found. This module does no I/O.

pub mod gate;

pub use gate::{Counted, Rules, gate};
