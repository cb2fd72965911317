//! Pages of metrics: the Prometheus text format 0.0.4 and OpenMetrics 1.0, read in one pass and without copying.
//!
//! [`Reader`] goes through a page line by line and gives [`Entry`]s that point into it; a line that is malformed is
//! named, and the next one is read all the same, so that whoever reads may stop at the first mistake (a scrape does)
//! or list them all. [`families`] groups what was read by metric family. [`Format`] says which format a content type
//! promises.
//!
//! Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>, with quoted UTF-8 names as in
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/#abnf>. Stricter than Prometheus in one thing: a last line
//! without its line feed is a page that was cut off, as the format says, because `12` may be the beginning of `1234`.
//!
//! Why no crate: `prometheus-parse` reads with regular expressions and skips lines that it does not understand,
//! `openmetrics-parser` is under the LGPL and builds a tree of every line first, others are abandoned; none names the
//! line of a mistake, knows quoted names or comes near the speed at which a page of 100,000 series has to be read.

mod element;
mod family;
mod format;
mod line;
mod number;
mod reader;

pub use element::Labels;
pub use family::{Family, families};
pub use format::{Format, Unreadable};
pub use line::{Kind, Sample};
pub use reader::{Entry, Malformed, Reader};
