//! The one integration binary: what the program does as a whole, against real servers where they can be had.

mod record;
mod store;
mod support;
