//! holdpoint makes deployment checklists executable: a YAML checklist compiles to probe steps, they run side by side,
//! and what they found becomes a decision, a sign-off report and evidence that can be judged again.
//!
//! # One way through
//!
//! ```text
//! YAML text ─checklist─▶ Checklist ─plan─▶ Plan ─run─▶ Event … ─record─▶ RunRecord ─signoff─▶ Decision
//!                        as written,       checked,     │       append-only,       │              │
//!                        every leaf        typed        ▼       hash-chained       └──▶ report ◀──┘
//!                        has a place                  live console, notify
//! ```
//!
//! Each arrow is one function from one type to the next, and each type is made only by its stage. A step keeps a
//! plain [`model::Origin`] (file, line), so that a failure weeks later still names its checklist line. `report` and
//! `judge` can be rerun years later from the record alone.
//!
//! # Who may import whom
//!
//! | layer | module | may import |
//! |---|---|---|
//! | 0 | [`model`], [`stats`] | nothing of ours |
//! | 1 | [`diag`], [`event`], [`sys`] | model |
//! | 1 | [`yaml`], [`template`] | model, diag |
//! | 2 | [`shape`] | model, diag, yaml |
//! | 2 | [`judge`] | model, stats, template |
//! | 3 | [`checklist`] | model, diag, yaml, shape, template |
//! | 3 | [`promql`] | model, diag |
//! | 3 | [`policy`] | model, diag, yaml, shape, sys |
//! | 4 | [`source`] | everything up to layer 3 but judge and event |
//! | 5 | [`probe`] | the same, and source, stats |
//! | 6 | [`plan`] | the same, probe and judge |
//! | 7 | [`run`] | model, diag, event, judge, sys, template, checklist, probe, plan |
//! | 7 | [`record`] | model, diag, event, sys, judge |
//! | 8 | [`signoff`] | model, diag, event, yaml, shape, judge, sys, record |
//! | 9 | [`proof`] | model, event, judge, record, template |
//! | 9 | [`attestation`] | model, event, record, signoff |
//! | 9 | [`report`] | model, event, record, signoff, template, judge, stats |
//! | 10 | [`live`] | model, event, sys, record, report |
//! | 10 | [`notify`] | the same, diag, yaml, shape, template, checklist, signoff |
//! | 10 | [`demo`] | sys |
//! | 11 | [`cli`] | everything |
//!
//! The four that matter most: **run and record do not know each other**, they meet in [`event`]; **report never sees a
//! plan, a probe or the network**; **judge and model do no I/O**; **a probe never says pass or fail**. A test
//! (`tests/it/tidy.rs`) reads the imports and keeps the arrows; it also keeps every probe documented and tested, every
//! diagnostic code explained, and every outside library in its one place.
//!
//! # Adding one more
//!
//! - **A probe kind**: one file or folder `src/probe/<kind>` (form, measures, manual page, `compile`, `observe`, unit
//!   tests), its line in [`probe::KINDS`], one folder in `tests/cases/`. `explain`, the JSON schema and the checks of
//!   `expect` come from its declarations.
//! - **A report format**: one file with a `render`, its line in [`report::FORMATS`]. The shared sample records run
//!   through it at once.
//! - **A channel**: one file `src/notify/<kind>.rs` that makes a letter of a message, its line in [`notify::CHANNELS`].
//! - **A store**: one file, its line in [`record::store::STORES`]; one suite of tests that every store passes.
//!
//! # Rules of the engine
//!
//! - Only the dispatcher owns run state; workers send it messages.
//! - The recorder is the first sink and its failure stops the run; every other sink is best effort. An event is on
//!   disk before anything that depends on it is shown.
//! - Time comes from [`sys::clock`]: an hour of watching passes in milliseconds in tests, with the same code.
//! - What a worker returns to the dispatcher is already redacted and bounded.
//! - The exit status comes from the decision, never from a format.
//! - Closed set → enum, matched without `_`. Open set → a `const` table.

pub mod model;
pub mod stats;

pub mod diag;
pub mod event;
pub mod yaml;

pub mod shape;
pub mod template;

pub mod judge;
pub mod sys;

pub mod checklist;
pub mod policy;
pub mod promql;
pub mod source;

pub mod probe;

pub mod plan;

pub mod record;
pub mod run;

pub mod signoff;

pub mod attestation;
pub mod proof;

pub mod report;

pub mod live;
pub mod notify;

pub mod demo;

pub mod cli;
