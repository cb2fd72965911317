//! Messages for editors (JSON) and for GitHub (workflow commands).

use serde_json::json;

use super::{Diagnostics, Severity, SourceMap};

/// Returns all messages as JSON values. Lines and columns count from 1, columns in characters.
pub fn json_list(diagnostics: &Diagnostics, sources: &SourceMap) -> Vec<serde_json::Value> {
    diagnostics
        .iter()
        .map(|d| {
            let places: Vec<_> = d
                .labels
                .iter()
                .map(|label| {
                    let (line, column) = sources.line_column(label.span);
                    let (end_line, end_column) = sources.end_line_column(label.span);
                    json!({
                        "file": &**sources.name(label.span.file),
                        "line": line, "column": column, "end_line": end_line, "end_column": end_column,
                        "text": label.text,
                    })
                })
                .collect();
            json!({
                "code": d.code,
                "severity": severity(d.severity),
                "message": d.message,
                "places": places,
                "help": d.helps,
            })
        })
        .collect()
}

/// Prints each message as a GitHub workflow command, which GitHub shows on the line.
pub fn github(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    let mut out = String::new();
    for d in diagnostics.iter() {
        let place = d.labels.first().map(|label| {
            let (line, column) = sources.line_column(label.span);
            let (end_line, end_column) = sources.end_line_column(label.span);
            let file = property(sources.name(label.span.file));
            match line == end_line {
                true => format!("file={file},line={line},col={column},endColumn={end_column},"),
                false => format!("file={file},line={line},endLine={end_line},"),
            }
        });
        let message = std::iter::once(&d.message).chain(&d.helps).map(String::as_str).collect::<Vec<_>>().join("\n");
        out.push_str(&format!(
            "::{} {}title={}::{}\n",
            severity(d.severity),
            place.unwrap_or_default(),
            property(d.code),
            data(&message)
        ));
    }
    out
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Escapes the text of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
