//! What is seen while a run goes on. Each is a sink of events; none can stop the run.

pub mod console;
mod fold;
pub mod lines;
mod story;
