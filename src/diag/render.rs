//! Messages for people: the line, a caret under the place, and the help, in the look of rustc.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Severity, SourceMap, Span};

/// Prints messages for a terminal, with or without colour.
pub fn render(diagnostics: &Diagnostics, sources: &SourceMap, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in diagnostics.iter() {
        out.push_str(&render_one(diagnostic, sources, &renderer));
        out.push_str("\n\n");
    }
    out
}

fn render_one(diagnostic: &Diagnostic, sources: &SourceMap, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&diagnostic.message).id(diagnostic.code));
    let mut files: Vec<_> = diagnostic.labels.iter().map(|l| l.span.file).collect();
    files.dedup();
    for file in files {
        if sources.text(file).is_empty() {
            group = group.element(Origin::path(sources.name(file).as_ref()));
            continue;
        }
        let labels = || diagnostic.labels.iter().enumerate().filter(|(_, l)| l.span.file == file);
        let text = sources.text(file);
        let lines = lines_around(text, labels().map(|(_, label)| label.span.range()));
        let first = sources.line_column(Span::new(file, lines.start, lines.start)).0;
        let mut snippet = Snippet::source(text[lines.clone()].replace('\r', " "))
            .line_start(first as usize)
            .path(&**sources.name(file));
        for (i, label) in labels() {
            let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let span = visible(text, label.span.range());
            let annotation = kind.span(span.start - lines.start..span.end - lines.start);
            snippet = snippet.annotation(match label.text.is_empty() {
                true => annotation,
                false => annotation.label(label.text.as_str()),
            });
        }
        group = group.element(snippet);
    }
    for help in &diagnostic.helps {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group])
}

/// Returns the whole lines that hold all the places: the rest of a long file is not looked at for each message.
fn lines_around(text: &str, places: impl Iterator<Item = std::ops::Range<usize>>) -> std::ops::Range<usize> {
    let (mut start, mut end) = (text.len(), 0);
    for place in places {
        let place = visible(text, place);
        (start, end) = (start.min(place.start), end.max(place.end));
    }
    let end = end.max(start);
    let start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    start..text[end..].find('\n').map_or(text.len(), |at| end + at)
}

/// Shortens a stretch to its first line, so that a long block is not repeated.
fn visible(text: &str, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let start = range.start.min(text.len());
    let end = range.end.min(text.len());
    let line_end = text[start..end].find('\n').map_or(end, |at| start + at);
    start..line_end.max(start)
}
