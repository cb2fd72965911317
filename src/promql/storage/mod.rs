//! Samples kept in memory, for as long as a run needs them: what the engine reads when there is no server.
//!
//! A [`Feed`] takes the pages of one target and keeps them as Prometheus would: whole pages or nothing, staleness
//! markers for what disappeared. [`Memory`] holds the series of all feeds: an index from label values to series, and
//! per series compressed chunks (`chunk`), of which those older than the retention are dropped. The number of series
//! has a limit.
//!
//! Why no crate for the chunks: those that follow the Gorilla paper (`tsz`, `gorilla`) cannot be read while they are
//! written and are no longer kept up; the codec of a larger database brings that database along. What is left is a
//! hundred lines, held to their word by round trips. This folder does no I/O.

mod bits;
mod chunk;
mod feed;
mod index;
mod memory;
mod series;

pub use feed::{Feed, Honor, Refused, Taken, Times};
pub use memory::{Dropped, Full, Memory, Shape};
