//! Messages out: people and other systems are told how a run goes.
//!
//! `notify:` of a checklist is read by [`declared`]; the kinds are in [`CHANNELS`], one file each. A channel only makes
//! a [`Letter`] of a [`Message`]: what is sent, to the byte. [`message`] words a run once for all of them, [`post`]
//! sends letters with retries, and the [`office`] does that beside the run: it listens as a sink, has queues of its own,
//! and neither delays the run nor changes its decision. What became of each message goes into the record, so that a
//! run that is taken up does not say it again. [`sample`] makes up a run, to see messages before there is anything to
//! tell; [`manual`] writes the manual pages.

pub mod declared;
pub mod letter;
pub mod manual;
pub mod message;
pub mod office;
pub mod on;
pub mod post;
pub mod sample;

mod channel;
mod text;

mod datadog;
mod email;
mod github;
mod grafana;
mod pagerduty;
mod pushgateway;
mod slack;
mod teams;
mod webhook;

pub use channel::{Channel, ChannelKind};
pub use declared::{Channels, Open};
pub use letter::Letter;
pub use message::{Mask, Message, Occasion, Telling};
pub use office::{Ear, Office};
pub use on::On;

/// Every kind of channel.
pub const CHANNELS: &[&ChannelKind] = &[
    &slack::KIND,
    &teams::KIND,
    &email::KIND,
    &pagerduty::KIND,
    &webhook::KIND,
    &grafana::KIND,
    &datadog::KIND,
    &pushgateway::KIND,
    &github::KIND,
];

/// Looks a kind up by name.
pub fn find(name: &str) -> Option<&'static ChannelKind> {
    CHANNELS.iter().copied().find(|kind| kind.name == name)
}
