//! May we go? What follows from a record, from the waivers and from the people who must agree.
//!
//! [`sign`] knows signatures and whose key is whose, [`approval`] whether the people who must agree do, and
//! [`decide`] brings all of it together. [`rejudge`] judges a record again, and [`claim`] is what a document says of one.

mod agreement;
pub mod amend;
pub mod answering;
pub mod approval;
pub mod claim;
pub mod decide;
pub mod rejudge;
pub mod sign;
pub mod signing;
pub mod waivers;

pub use approval::Approval;
pub use claim::Claim;
pub use decide::{Ruling, decide, decide_against};
pub use rejudge::{Again, Rejudging};
