//! What the tests stand on: a temporary folder, the program itself, real servers on loopback.

pub(crate) mod alertmanager;
pub(crate) mod cluster;
pub(crate) mod courses;
pub(crate) mod daemon;
pub(crate) mod docker;
pub(crate) mod double;
pub(crate) mod engine;
pub(crate) mod env;
pub(crate) mod monitored;
pub(crate) mod nginx;
pub(crate) mod probing;
pub(crate) mod prometheus;
pub(crate) mod promqltest;
pub(crate) mod pushgateway;
mod recorded;
pub(crate) mod records;
pub(crate) mod resolver;
pub(crate) mod rogue;
pub(crate) mod secure;
pub(crate) mod smtp;
pub(crate) mod socket;
pub(crate) mod ssh;
pub(crate) mod world;
