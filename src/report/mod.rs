//! Documents made of a run's record and the ruling on it. No plan, no probe and no network is seen from here, so that
//! a report can be written again years later.
//!
//! [`view`] groups, orders and words everything once; [`markdown`], [`junit`], [`json`], [`tap`] and [`terminal`] only
//! lay it out. [`plain`] makes text from outside harmless, [`ink`] gives outcomes their signs and colours.

mod course;
pub mod ink;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod plain;
pub mod tap;
pub mod terminal;
pub mod view;

use std::io::{self, Write};

pub use view::RunView;

/// A report format. One line in [`FORMATS`] makes it known to the command line.
#[derive(Clone, Copy)]
pub struct Format {
    /// The name that is typed: `markdown`.
    pub name: &'static str,
    /// What it is good for, in one line.
    pub doc: &'static str,
    /// The media type.
    pub media: &'static str,
    /// The extension of its files, without the dot.
    pub extension: &'static str,
    /// Writes the report. The same record and ruling give the same bytes.
    pub render: fn(&RunView, &Options, &mut dyn Write) -> Result<(), ReportError>,
}

/// Every report format.
pub const FORMATS: &[Format] = &[markdown::FORMAT, junit::FORMAT, json::FORMAT, tap::FORMAT];

/// What can be asked of a report.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A template to use in place of the built-in one; only for Markdown.
    pub template: Option<TemplateText>,
}

/// A template of the user.
#[derive(Clone, Debug)]
pub struct TemplateText {
    /// The file as the user named it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The place to write to failed.
    #[error("the report cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The template is wrong.
    #[error("{name}:{line}: {message}")]
    Template {
        /// The template.
        name: String,
        /// The line in it, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The format takes no template.
    #[error("{0} takes no template; only markdown does")]
    NoTemplate(&'static str),
}

/// Looks a format up by name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.name == name)
}

impl Options {
    /// Refuses a template, for formats that take none.
    fn without_template(&self, format: &'static str) -> Result<(), ReportError> {
        match &self.template {
            Some(_) => Err(ReportError::NoTemplate(format)),
            None => Ok(()),
        }
    }
}
