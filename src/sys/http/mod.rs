//! HTTP: one pool of connections, bounded answers, redirects that never carry credentials to another host.
//!
//! [`message`] is what goes out and what comes back; [`client`] sends, follows redirects ([`hop`]) and reads bodies
//! within their bounds ([`body`]). [`pool`] keeps connections, [`tls`] says whom to trust, [`timed`] takes a
//! connection of its own to time its phases, and [`fault`] turns whatever went wrong into one line. [`door`] asks the policy before
//! anything is reached.

mod body;
mod client;
mod door;
pub(super) mod fault;
mod hop;
mod message;
mod pool;
mod timed;
pub(super) mod tls;

pub use client::{Http, Streaming};
pub(in crate::sys) use fault::{of as fault, of_body as body_fault};
pub use hop::{origin, shown};
pub use message::{BodyEnd, Certificate, Connection, Fault, HttpError, HttpVersion, Request, Response, Timing};
