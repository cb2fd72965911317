//! PromQL evaluated in-process, with the semantics of Prometheus 3.
//!
//! The engine reads samples through [`Storage`] and knows nothing else: not where they came from, no files, no network,
//! no clock. What it needs of the rest of the crate is only the query's words (`promql::tokens`) and its guard
//! (`promql::parse`), so that the two folders can be lifted out together.

pub mod labels;
pub mod matcher;
pub mod storage;
mod xxhash;

pub use labels::Labels;
pub use matcher::{MatchOp, Matcher};
pub use storage::{STALE, Sample, Selection, Storage, StorageError, Wanted, is_stale};
