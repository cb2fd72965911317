//! The words that every other part speaks: plain data, no I/O, nothing of ours imported.
//!
//! Read in this order: [`id`] and [`origin`] name things and places, [`quantity`], [`tally`] and [`value`] say what
//! was measured, [`observation`] what one look found, [`expectation`] what must hold, [`verdict`] and [`outcome`]
//! what follows ([`reference`]: what was there before), [`outline`] what a run set out to do, [`decision`] whether it may go ahead.

pub mod decision;
pub mod expectation;
pub mod id;
pub mod mutation;
pub mod observation;
pub mod origin;
pub mod outcome;
pub mod outline;
pub mod quantity;
pub mod reference;
pub mod secret;
pub mod tally;
pub mod value;
pub mod verdict;
pub mod waiver;

pub use decision::Decision;
pub use expectation::{Expectation, Literal, Matcher, Op, Relation, Worse};
pub use id::{RunId, SectionId, StepId};
pub use mutation::Mutation;
pub use observation::{Evidence, Found, Note, Observation};
pub use origin::Origin;
pub use outcome::Outcome;
pub use quantity::{Quantity, Unit};
pub use reference::{Against, Reference};
pub use secret::Secret;
pub use tally::Tally;
pub use value::{Kind, MeasureName, Measures, Sample, Value};
pub use verdict::{Finding, Verdict};
