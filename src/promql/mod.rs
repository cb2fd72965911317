//! PromQL, read without a server: parsing with places, comparisons taken apart, selectors, and queries that are valid
//! but cannot mean what they say. Knows nothing of checklists and does no I/O.
//!
//! Read in this order: [`tokens`] cuts a query into words, [`parse`] checks it, `mistake` finds the place of what is wrong,
//! [`compare`] takes `x < 5` apart, [`same`] compares two queries, [`selectors`] lists what is looked up, [`reach`]
//! how far back, [`lint`] warns. [`exposition`] reads pages of
//! metrics, [`storage`] keeps their samples in memory, [`engine`] evaluates.

pub mod compare;
pub mod engine;
pub mod exposition;
pub mod lint;
mod mistake;
pub mod parse;
pub mod reach;
pub mod same;
pub mod selectors;
pub mod storage;
pub mod tokens;

pub use compare::{Split, constant, split_comparison};
pub use lint::{Oddity, oddities};
pub use parse::{Answer, Query, SyntaxError, parse};
pub use reach::{Reach, reach};
pub use same::same;
pub use selectors::{Matching, Selector, selectors};
