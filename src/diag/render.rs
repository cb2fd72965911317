//! Messages for people: the line, a caret under the place, and the help, in the look of rustc.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Severity, SourceMap};

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
        let mut snippet = Snippet::source(sources.text(file).as_ref()).path(sources.name(file).as_ref());
        for (i, label) in diagnostic.labels.iter().enumerate().filter(|(_, l)| l.span.file == file) {
            let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let span = visible(sources.text(file), label.span.range());
            let annotation = kind.span(span);
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

/// Shortens a stretch to its first line, so that a long block is not repeated.
fn visible(text: &str, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let start = range.start.min(text.len());
    let end = range.end.min(text.len());
    let line_end = text[start..end].find('\n').map_or(end, |at| start + at);
    start..line_end.max(start)
}
