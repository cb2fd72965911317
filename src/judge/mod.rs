//! What follows from what was measured: pure functions, no I/O, no clock. The same observation and the same
//! expectation give the same verdict, today and years later from the record alone.
//!
//! Read in this order: [`look`] judges one look; `matching` holds one value against one matcher, with `compare` for
//! numbers, `equal` for literals, `pattern` for regular expressions, `series` for vectors, [`relative`] for limits that
//! are relative to an earlier value and `that` for expressions;
//! [`words`] says limits and values; [`window`] judges a row of looks; [`gate`] turns outcomes into a decision;
//! [`margin`] says what only just passed.

mod canary;
mod compare;
mod equal;
pub mod gate;
pub mod look;
pub mod margin;
mod matching;
mod pattern;
pub mod relative;
mod series;
mod that;
pub mod window;
pub mod words;

pub use gate::{Counted, Rules, gate};
pub use look::{Terms, look};
pub use margin::{Margin, margins};
pub use relative::{is_first, references, relatives};
pub use that::scope;
