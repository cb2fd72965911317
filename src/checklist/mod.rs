//! Text → tree: the checklist as written.

pub mod reading;
