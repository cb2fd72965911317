//! `templates` and `uses`: steps written once and used often, with parameters that are typed and checked.
//!
//! Templates stand in the checklist, in files beside it ([`files`]), and in the built-in library ([`library`]).
//! [`declared`] reads one, [`arguments`] what a step passes to it, [`fill`] puts that in, and [`expand`] makes steps of
//! every `uses` before anything else looks at the checklist: what comes after knows plain steps alone.
//!
//! A value is put into the tree, never into its text: it cannot become another key, another template or another
//! probe. Where it stands within a text it is a value of the template language, escaped for its place.

mod arguments;
mod declared;
mod expand;
mod files;
mod fill;
pub mod library;

use crate::diag::{Diagnostics, SourceMap, Span};
use crate::model::outline::FilePart;
use crate::yaml::Node;

use super::inputs::InputDeclaration;

pub use declared::Template;
pub use files::{Files, NoFiles};

/// What came of the templates of a checklist.
#[derive(Debug, Default)]
pub struct Used {
    /// The files that templates came from, in the order of their reading.
    pub parts: Vec<FilePart>,
    /// What was passed on and is known only with the inputs.
    pub arguments: Vec<Argument>,
}

/// A value that is passed to a parameter and depends on inputs or cells.
#[derive(Debug)]
pub struct Argument {
    /// The parameter.
    pub parameter: InputDeclaration,
    /// The expression that gives the value.
    pub expression: String,
    /// Where it is written.
    pub span: Span,
}

/// Makes steps of every `uses` in the tree of a checklist. Every mistake is said.
pub(super) fn expand(
    node: &mut Node,
    sources: &mut SourceMap,
    files: &dyn Files,
    diagnostics: &mut Diagnostics,
) -> Used {
    let own = node.span.file;
    let known = files::templates(own, node.entry("templates"), sources, files, diagnostics);
    let mut expander = expand::Expander::new(sources, diagnostics, known);
    expander.everywhere(node);
    expander.done()
}
