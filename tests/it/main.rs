//! The one integration binary: what the program does as a whole, against real servers where they can be had.

mod cases;
mod checklist;
mod checklists;
mod demo;
mod engine;
mod live;
mod masking;
mod probe_exec;
mod probe_file;
mod probe_http;
mod probe_log;
mod probe_promql;
mod probe_tcp;
mod promql_differential;
mod promql_limits;
mod promqltest;
mod readme;
mod record;
mod reliability;
mod report;
mod secrets;
mod shell;
mod signals;
mod store;
mod support;
mod tidy;
