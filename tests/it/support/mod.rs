//! What the tests stand on: a temporary folder, the program itself, real servers on loopback.

pub(crate) mod prometheus;
