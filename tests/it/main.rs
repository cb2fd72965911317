//! The one integration binary: what the program does as a whole, against real servers where they can be had.

mod demo;
mod probe_exec;
mod secrets;
mod live;
mod report;
mod probe_promql;
mod probe_file;
mod probe_http;
mod probe_log;
mod probe_tcp;
mod record;
mod store;
mod support;
