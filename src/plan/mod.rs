//! Tree → what will run.

pub mod expect;
