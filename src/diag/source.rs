//! The texts that messages point into, and the places within them.

use std::sync::Arc;

use crate::model::Origin;

/// Names a file of the [`SourceMap`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A stretch of bytes in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first byte.
    pub start: u32,
    /// The byte behind the last.
    pub end: u32,
}

impl Span {
    /// Makes a place.
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { file, start: clip(start), end: clip(end.max(start)) }
    }

    /// Returns the byte range.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Holds the texts that were read.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

#[derive(Debug)]
struct SourceFile {
    name: Arc<str>,
    text: Arc<str>,
    lines: Arc<[u32]>,
    within: Option<Within>,
}

/// Which template a text was used as, and where.
#[derive(Clone, Debug)]
struct Within {
    site: Span,
    template: Arc<str>,
}

impl SourceMap {
    /// Starts an empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text under the name that the user knows it by.
    pub fn add(&mut self, name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> FileId {
        let (name, text) = (name.into(), text.into());
        let starts = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at as u32 + 1);
        let lines: Vec<u32> = std::iter::once(0).chain(starts).collect();
        let lines = lines.into();
        self.files.push(SourceFile { name, text, lines, within: None });
        FileId(self.files.len() as u32 - 1)
    }

    /// Adds a text again as that of a template that is used at a place, so that each use has places of its own.
    pub fn add_use(&mut self, of: FileId, template: impl Into<Arc<str>>, site: Span) -> FileId {
        let file = &self.files[of.0 as usize];
        let (name, text, lines) = (Arc::clone(&file.name), Arc::clone(&file.text), Arc::clone(&file.lines));
        let within = Some(Within { site, template: template.into() });
        self.files.push(SourceFile { name, text, lines, within });
        FileId(self.files.len() as u32 - 1)
    }

    /// Returns where in a file that a user wrote a place is used: of one in a template, the step that uses it.
    pub fn site(&self, span: Span) -> Span {
        self.uses(span).last().map_or(span, |within| within.site)
    }

    /// Returns the template that a place stands in, by the name under which the checklist uses it.
    pub fn template(&self, span: Span) -> Option<&Arc<str>> {
        self.uses(span).last().map(|within| &within.template)
    }

    /// Walks over the uses of templates around a place, the innermost first.
    fn uses(&self, span: Span) -> impl Iterator<Item = &Within> {
        let of = |span: Span| self.files[span.file.0 as usize].within.as_ref();
        std::iter::successors(of(span), move |within| of(within.site))
    }

    /// Returns the name of a file.
    pub fn name(&self, file: FileId) -> &Arc<str> {
        &self.files[file.0 as usize].name
    }

    /// Returns the text of a file.
    pub fn text(&self, file: FileId) -> &Arc<str> {
        &self.files[file.0 as usize].text
    }

    /// Returns the text at a place.
    pub fn slice(&self, span: Span) -> &str {
        let text = self.text(span.file);
        text.get(span.range()).unwrap_or_default()
    }

    /// Returns line and column, both from 1, of a place's first character.
    pub fn line_column(&self, span: Span) -> (u32, u32) {
        self.position(span.file, span.start as usize)
    }

    /// Returns line and column, both from 1, of the byte behind a place.
    pub fn end_line_column(&self, span: Span) -> (u32, u32) {
        self.position(span.file, span.end as usize)
    }

    fn position(&self, file: FileId, offset: usize) -> (u32, u32) {
        let file = &self.files[file.0 as usize];
        let line = file.lines.partition_point(|&start| start as usize <= offset).max(1) - 1;
        let start = file.lines[line] as usize;
        let column = file.text.get(start..offset).map_or(offset.saturating_sub(start), |s| s.chars().count());
        (line as u32 + 1, column as u32 + 1)
    }

    /// Returns the place of an origin, until the end of its line; the beginning of the first file when the file is not
    /// in the map.
    pub fn place_of(&self, origin: &Origin) -> Span {
        let Some(at) = self.files.iter().position(|file| file.name == origin.file) else { return Span::default() };
        let file = &self.files[at];
        let line = (origin.line as usize).saturating_sub(1);
        let start = file.lines.get(line).copied().unwrap_or_default() as usize;
        let text = file.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let column = (origin.column as usize).saturating_sub(1);
        let begin = text.char_indices().nth(column).map_or(text.len(), |(at, _)| at);
        Span::new(FileId(at as u32), start + begin, start + text.len())
    }

    /// Returns the place as an origin that outlives the map.
    pub fn origin(&self, span: Span) -> Origin {
        let (line, column) = self.line_column(span);
        Origin { file: Arc::clone(self.name(span.file)), line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let mut map = SourceMap::new();
        let file = map.add("a.yaml", "α: 1\nβ: zwei\n");
        let at = "α: 1\nβ: ".len();
        assert_eq!(map.line_column(Span::new(file, at, at + 4)), (2, 4));
        assert_eq!(map.line_column(Span::new(file, 0, 1)), (1, 1));
        assert_eq!(map.slice(Span::new(file, at, at + 4)), "zwei");
        assert_eq!(map.place_of(&map.origin(Span::new(file, at, at + 1))), Span::new(file, at, at + 4));
    }
}
