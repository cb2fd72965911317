//! What the tests stand on: a temporary folder, the program itself, real servers on loopback.

pub(crate) mod nginx;
pub(crate) mod probing;
pub(crate) mod rogue;
pub(crate) mod secure;
