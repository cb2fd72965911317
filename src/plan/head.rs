//! What a checklist says of itself, and what is carried into the report as it is.

use crate::checklist::Checklist;
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::outline::{Appendix, ChecklistHead, Table};
use crate::yaml::Node;

/// Reads the head.
pub(super) fn head(checklist: &Checklist, reading: &mut Reading<'_>) -> ChecklistHead {
    let node = &checklist.node;
    let mut text = |key: &str| node.get(key).and_then(|n| reading.shown_text(n));
    let (name, stage, service) = (text("name").unwrap_or_default(), text("stage"), text("service"));
    let (description, owner, risk) = (text("description"), text("owner"), text("risk"));
    let mut map = |key: &str| {
        let entries = node.get(key).and_then(Node::map).unwrap_or_default();
        let filled = |(k, v): &(Node, Node)| Some((k.text()?.to_owned(), reading.shown_text(v)?));
        entries.iter().filter_map(filled).collect()
    };
    let (estimates, links) = (map("estimates"), map("links"));
    ChecklistHead {
        path: reading.sources.name(checklist.file).to_string(),
        digest: checklist.digest.clone(),
        parts: checklist.parts.clone(),
        name,
        stage,
        service,
        description,
        owner,
        risk,
        estimates,
        links,
    }
}

/// Reads the texts and tables that are carried into the report.
pub(super) fn appendix(node: &Node, reading: &mut Reading<'_>) -> Vec<Appendix> {
    let items = node.get("appendix").and_then(Node::list).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| {
            let title = reading.shown_text(item.get("title")?)?;
            let text = item.get("text").and_then(|n| reading.shown_text(n));
            let table = item.get("table").map(|table| {
                let columns = texts(table.get("columns"));
                let width = columns.len();
                let rows = table.get("rows").and_then(Node::list).unwrap_or_default();
                let rows = rows.iter().map(|row| table_row(row, width, reading)).collect();
                Table { columns, rows }
            });
            Some(Appendix { title, text, table })
        })
        .collect()
}

fn table_row(row: &Node, width: usize, reading: &mut Reading<'_>) -> Vec<String> {
    let cells = row.list().unwrap_or_default();
    if cells.len() != width {
        let message = format!("this row has {} cells, the table {width} columns", cells.len());
        reading.say(Diagnostic::error("bad-value", row.span, message));
    }
    cells.iter().map(|cell| reading.shown_text(cell).unwrap_or_default()).collect()
}

/// Reads one text or a list of them.
pub(crate) fn texts(node: Option<&Node>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let items = node.list().unwrap_or(std::slice::from_ref(node));
    items.iter().filter_map(Node::text).map(str::to_owned).collect()
}

/// Reads a text that is shown only: a template whose inputs are filled in.
pub(crate) fn shown(node: &Node, key: &str, reading: &mut Reading<'_>) -> Option<String> {
    reading.shown_text(node.get(key)?)
}
