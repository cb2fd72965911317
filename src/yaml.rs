//! YAML text → nodes with exact places. The only file that knows the YAML library.
//!
//! The tree keeps what was written (text, style, place) and leaves the meaning to the reader: `yes` is text until
//! somebody asks for a bool. A comparator that was left unquoted is mended in place and said, so that one slip does
//! not hide every other mistake of the file.

use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, options};

use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span};

/// The largest checklist, in bytes.
pub const MAX_BYTES: usize = 4 << 20;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 64;
/// The most nodes, aliases expanded; a long text counts for as many as it has stretches of 32 bytes.
pub const MAX_NODES: usize = 400_000;

/// How many bytes are read again for the sake of unquoted comparators.
const MOST_READ_AGAIN: usize = 32 << 20;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What stands there.
    pub data: Data,
}

/// What stands at a place.
#[derive(Clone, Debug)]
pub enum Data {
    /// A single value.
    Scalar {
        /// The text, escapes resolved.
        text: Box<str>,
        /// How it was written.
        style: Style,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of writing, keys unique.
    Map(Vec<(Node, Node)>),
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: may be a number, a bool or null.
    Plain,
    /// In quotes: always text.
    Quoted,
    /// A `|` or `>` block: always text.
    Block,
}

impl Node {
    /// Returns the text of a scalar, however it was written; null has none.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Tells whether this is null: nothing, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, style: Style::Plain } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    fn plain(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, style: Style::Plain } => Some(text),
            _ => None,
        }
    }

    /// Returns a plain `true` or `false`.
    pub fn bool(&self) -> Option<bool> {
        match self.plain()? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// Returns a plain number.
    pub fn number(&self) -> Option<f64> {
        let text = self.plain()?;
        let digit = text.trim_start_matches(['-', '+', '.']).starts_with(|c: char| c.is_ascii_digit());
        digit.then(|| text.parse().ok()).flatten()
    }

    /// Returns the members of a list.
    pub fn list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the entries of a map.
    pub fn map(&self) -> Option<&[(Node, Node)]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Returns the value under a key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Returns key and value under a key of a map.
    pub fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        self.map()?.iter().find(|(k, _)| k.text() == Some(key))
    }

    /// Names the form for messages: `a list`, `a number`.
    pub fn form(&self) -> &'static str {
        match &self.data {
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
            Data::Scalar { .. } if self.is_null() => "nothing",
            Data::Scalar { .. } if self.bool().is_some() => "true or false",
            Data::Scalar { .. } if self.number().is_some() => "a number",
            Data::Scalar { .. } => "text",
        }
    }

    /// Converts to JSON. Plain numbers, bools and null become such; everything else is text.
    pub fn json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.data {
            Data::List(items) => items.iter().map(Node::json).collect(),
            Data::Map(entries) => {
                Value::Object(entries.iter().map(|(k, v)| (k.text().unwrap_or("null").to_owned(), v.json())).collect())
            }
            Data::Scalar { text, .. } => {
                if self.is_null() {
                    Value::Null
                } else if let Some(flag) = self.bool() {
                    Value::Bool(flag)
                } else if let Some(number) = self.number() {
                    let whole = text.parse::<i64>().map(serde_json::Number::from).ok();
                    whole.or_else(|| serde_json::Number::from_f64(number)).map_or(Value::Null, Value::Number)
                } else {
                    Value::String(text.to_string())
                }
            }
        }
    }

    /// Finds the place of a stretch of the scalar's text in the file, as near as can be told.
    ///
    /// Exact for plain and quoted values without escapes and for `|` blocks; the whole value otherwise.
    pub fn place_of(&self, sources: &SourceMap, range: std::ops::Range<usize>) -> Span {
        let Data::Scalar { text, style } = &self.data else { return self.span };
        let source = sources.text(self.span.file);
        let written = &source[self.span.range()];
        let base = self.span.start as usize;
        // Whole characters: what names a place inside a text may count in bytes.
        let needle_start = text.floor_char_boundary(range.start);
        let needle_end = text.ceil_char_boundary(range.end.max(needle_start));
        let at = |from: usize| match style {
            Style::Plain => written.starts_with(&**text).then_some(base + from),
            Style::Quoted => written.get(1..).filter(|w| w.starts_with(&**text)).map(|_| base + 1 + from),
            Style::Block => block_offset(source, base, text, from),
        };
        match (at(needle_start), at(needle_end)) {
            (Some(start), Some(end)) => Span::new(self.span.file, start, end.max(start)),
            _ => self.span,
        }
    }
}

/// Maps an offset in a block's text to the file, by matching the block's lines one after another.
fn block_offset(source: &str, base: usize, text: &str, offset: usize) -> Option<usize> {
    let line_number = text[..offset].matches('\n').count();
    let column = offset - text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let mut at = base;
    // A block's place begins at its header or at its first line, by the parser's choice; the header has no line of text.
    let first = text.lines().next().unwrap_or_default();
    let header = !source[at..].lines().next().unwrap_or_default().trim_start().starts_with(first) || first.is_empty();
    let skip = line_number + usize::from(header && source[at..].starts_with(['|', '>']));
    for _ in 0..skip {
        at += source[at..].find('\n')? + 1;
    }
    let wanted = text.lines().nth(line_number).unwrap_or_default();
    let line = source[at..].lines().next().unwrap_or_default();
    let indent = line.find(wanted.trim_end())?;
    Some(at + indent + column)
}

/// Reads one document. Mistakes go to `diagnostics`; the tree is returned when there is one.
pub fn parse(sources: &mut SourceMap, file: FileId, diagnostics: &mut Diagnostics) -> Option<Node> {
    let original = sources.text(file).clone();
    if original.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; a checklist may have {MAX_BYTES}", original.len());
        diagnostics.push(Diagnostic::error("file-too-large", Span::new(file, 0, 0), message));
        return None;
    }
    let mut text = original.to_string();
    let mut mended = Vec::new();
    // Each one means reading the file again.
    let most_mends = (MOST_READ_AGAIN / text.len().max(1)).min(100);
    loop {
        let mut builder = Builder::new(file, &original, &mended);
        match builder.build(&text) {
            Ok(node) => {
                for diagnostic in builder.problems {
                    diagnostics.push(diagnostic);
                }
                return node;
            }
            Err(problem) => match mend(&text, problem.offset).filter(|_| mended.len() < most_mends) {
                Some(span) => {
                    // The sign is replaced by a letter of the same length, so that no place moves.
                    text.replace_range(span.start..=span.start, "x");
                    let written = original[span.clone()].trim_end();
                    let place = Span::new(file, span.start, span.start + written.len());
                    diagnostics.push(
                        Diagnostic::error("unquoted-comparator", place, "this value must be quoted")
                            .label(format!("YAML reads {:?} here as a sign of its own", &written[..1]))
                            .help(format!("write it in quotes: \"{written}\"")),
                    );
                    mended.push(span.start);
                }
                None => {
                    diagnostics.push(problem.diagnostic(file, &text));
                    return None;
                }
            },
        }
    }
}

/// Finds an unquoted comparator at or shortly before the place where the parser stopped.
fn mend(text: &str, offset: usize) -> Option<std::ops::Range<usize>> {
    let offset = offset.min(text.len());
    let mut end = text[offset..].find('\n').map_or(text.len(), |at| offset + at);
    for _ in 0..4 {
        let start = text[..end].rfind('\n').map_or(0, |at| at + 1);
        let line = &text[start..end];
        if let Some(range) = comparator_value(line) {
            return Some(start + range.start..start + range.end);
        }
        end = start.checked_sub(1)?;
    }
    None
}

/// Finds a value in a line that begins like a comparator and is not quoted: behind `: `, `- `, `[` or `, `.
fn comparator_value(line: &str) -> Option<std::ops::Range<usize>> {
    let bytes = line.as_bytes();
    for (i, &b) in bytes.iter().enumerate() {
        if !matches!(b, b'>' | b'!' | b'%') {
            continue;
        }
        let before = line[..i].trim_end();
        let spaced = before.len() < i;
        let opens = (before.ends_with(':') || before.ends_with('-')) && spaced
            || before.ends_with('[')
            || before.ends_with(',');
        let rest = &line[i + 1..];
        let sign = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        let value = sign.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '{'));
        if opens && value && (b != b'!' || rest.starts_with('=')) {
            let flow = before.contains(['[', '{']);
            let end = if flow { rest.find([',', ']', '}']).map_or(line.len(), |at| i + 1 + at) } else { line.len() };
            let value = line[i..end].split(" #").next().unwrap_or_default().trim_end();
            return Some(i..i + value.len());
        }
    }
    None
}

struct Problem {
    offset: usize,
    code: &'static str,
    message: String,
    help: Option<&'static str>,
}

impl Problem {
    fn diagnostic(self, file: FileId, text: &str) -> Diagnostic {
        let (start, end) = (text.floor_char_boundary(self.offset), text.ceil_char_boundary(self.offset + 1));
        let diagnostic = Diagnostic::error(self.code, Span::new(file, start, end), self.message);
        match self.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}

struct Builder<'a> {
    file: FileId,
    original: &'a str,
    mended: &'a [usize],
    problems: Vec<Diagnostic>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

/// A collection that is still open.
enum Open {
    List(Vec<Node>),
    Map(Vec<(Node, Node)>, Option<Node>),
}

impl<'a> Builder<'a> {
    fn new(file: FileId, original: &'a str, mended: &'a [usize]) -> Self {
        Self { file, original, mended, problems: Vec::new(), anchors: HashMap::new(), nodes: 0 }
    }

    fn build(&mut self, text: &str) -> Result<Option<Node>, Problem> {
        let options = options! {
            emit_comments: false,
            emit_unresolved_aliases: true,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
            simple_key_max_lookahead: 4096,
        };
        let mut stack: Vec<(Open, usize, usize, usize)> = Vec::new();
        let mut root = None;
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = next.map_err(|e| scan_problem(&e, text))?;
            let range = span.byte_range().unwrap_or(0..0);
            if let Some(tag) = event.tag() {
                self.refuse_tag(&tag.original(), span.tag_span().and_then(|s| s.byte_range()).unwrap_or(range.clone()));
            }
            let done = match event {
                Event::Scalar(value, style, anchor, _) => {
                    let before = self.nodes;
                    let node = self.scalar(&value, style, range)?;
                    Some((node, anchor, self.nodes - before))
                }
                Event::Alias(id) => match self.anchors.get(&id).cloned() {
                    Some((mut node, size)) => {
                        node.span = Span::new(self.file, range.start, range.end);
                        self.count(size, range.start)?;
                        Some((node, 0, size))
                    }
                    None => Some((self.scalar("", ScalarStyle::Plain, range)?, 0, 1)),
                },
                Event::UnresolvedAlias(name) => {
                    let place = Span::new(self.file, range.start, range.end);
                    let message = format!("there is no anchor named {name:?}");
                    let help = format!("a text that begins with * is quoted: \"*{name}\"");
                    self.problems.push(Diagnostic::error("yaml-syntax", place, message).help(help));
                    Some((self.scalar(&format!("*{name}"), ScalarStyle::DoubleQuoted, range)?, 0, 1))
                }
                Event::SequenceStart(_, anchor, _) => {
                    stack.push((Open::List(Vec::new()), range.start, anchor, self.nodes));
                    None
                }
                Event::MappingStart(_, anchor, _) => {
                    stack.push((Open::Map(Vec::new(), None), range.start, anchor, self.nodes));
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => stack.pop().map(|(open, start, anchor, before)| {
                    let data = match open {
                        Open::List(items) => Data::List(items),
                        Open::Map(mut entries, _) => {
                            // Most maps are small, and room for four entries was made at the first.
                            entries.shrink_to_fit();
                            Data::Map(entries)
                        }
                    };
                    let end = range.end.max(start).min(self.original.len());
                    let end = start + self.original[start..end].trim_end().len();
                    self.nodes += 1;
                    (Node { span: Span::new(self.file, start, end), data }, anchor, self.nodes - before)
                }),
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(Problem {
                        offset: range.start,
                        code: "yaml-documents",
                        message: "a second YAML document begins here".into(),
                        help: Some("one file is one checklist: remove the `---` or split the file"),
                    });
                }
                _ => None,
            };
            let Some((node, anchor, size)) = done else { continue };
            if anchor != 0 {
                self.anchors.insert(anchor, (node.clone(), size));
            }
            match stack.last_mut() {
                None => root = Some(node),
                Some((Open::List(items), ..)) => items.push(node),
                Some((Open::Map(entries, pending), ..)) => match pending.take() {
                    None => *pending = Some(node),
                    Some(key) => entries.push((key, node)),
                },
            }
        }
        if let Some(root) = &mut root {
            self.drop_duplicates(root);
        }
        Ok(root)
    }

    fn count(&mut self, more: usize, offset: usize) -> Result<(), Problem> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(Problem {
                offset,
                code: "yaml-alias-bomb",
                message: format!("the file holds more than {MAX_NODES} values, aliases expanded"),
                help: Some("keep data in a file of its own and read it with the `file` probe"),
            });
        }
        Ok(())
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, range: std::ops::Range<usize>) -> Result<Node, Problem> {
        self.count(1 + value.len() / 32, range.start)?;
        let mended = self.mended.contains(&range.start);
        let (text, style) = match style {
            ScalarStyle::Plain if mended => (&self.original[range.clone()], Style::Quoted),
            ScalarStyle::Plain => (value, Style::Plain),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => (value, Style::Quoted),
            _ => (value, Style::Block),
        };
        let data = Data::Scalar { text: text.into(), style };
        Ok(Node { span: Span::new(self.file, range.start, range.end), data })
    }

    fn refuse_tag(&mut self, tag: &str, range: std::ops::Range<usize>) {
        let place = Span::new(self.file, range.start, range.end);
        let diagnostic = match tag.starts_with("!=") {
            true => Diagnostic::error("unquoted-comparator", place, "this value must be quoted")
                .label("YAML reads \"!\" here as the beginning of a tag")
                .help(format!("write it in quotes: \"{tag}\"")),
            false => {
                Diagnostic::error("yaml-syntax", place, format!("tags such as {tag} have no meaning in a checklist"))
                    .help("remove the tag, or quote the value if it is text that begins with !")
            }
        };
        self.problems.push(diagnostic);
    }

    fn drop_duplicates(&mut self, node: &mut Node) {
        match &mut node.data {
            Data::Scalar { .. } => {}
            Data::List(items) => items.iter_mut().for_each(|item| self.drop_duplicates(item)),
            Data::Map(entries) if are_distinct(entries) => {
                entries.iter_mut().for_each(|(_, value)| self.drop_duplicates(value));
            }
            Data::Map(entries) => {
                let mut seen: HashMap<Box<str>, Span> = HashMap::with_capacity(entries.len());
                entries.retain(|(key, _)| {
                    let Data::Scalar { text, .. } = &key.data else {
                        let place = key.span;
                        self.problems.push(
                            Diagnostic::error("yaml-syntax", place, format!("a key must be text, not {}", key.form()))
                                .help("quote a key that contains { or ["),
                        );
                        return false;
                    };
                    if let Some(first) = seen.get(text) {
                        self.problems.push(
                            Diagnostic::error("duplicate-key", key.span, format!("the key {text:?} stands twice"))
                                .label("a second time here")
                                .also(*first, "first here"),
                        );
                        return false;
                    }
                    seen.insert(text.clone(), key.span);
                    true
                });
                entries.iter_mut().for_each(|(_, value)| self.drop_duplicates(value));
            }
        }
    }
}

/// Tells whether all keys are texts of their own: so it is with nearly every map.
fn are_distinct(entries: &[(Node, Node)]) -> bool {
    let keys = entries.iter().map(|(key, _)| match &key.data {
        Data::Scalar { text, .. } => Some(&**text),
        Data::List(_) | Data::Map(_) => None,
    });
    let Some(keys) = keys.collect::<Option<Vec<&str>>>() else { return false };
    // Comparing a few is quicker than hashing them.
    match keys.len() {
        0..=16 => keys.iter().enumerate().all(|(n, key)| !keys[..n].contains(key)),
        count => keys.into_iter().collect::<HashSet<_>>().len() == count,
    }
}

fn scan_problem(error: &granit_parser::ScanError, text: &str) -> Problem {
    let marker = error.marker();
    let offset = marker
        .byte_offset()
        .unwrap_or_else(|| text.char_indices().nth(marker.index()).map_or(text.len(), |(at, _)| at));
    let (code, message, help) = match error.kind() {
        ErrorKind::RecursionLimitExceeded => {
            ("yaml-depth", format!("values are nested more than {MAX_DEPTH} deep"), None)
        }
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            ("yaml-syntax", error.info(), Some("indent with spaces; YAML does not allow tabs there"))
        }
        ErrorKind::MappingValueNotAllowed => (
            "yaml-syntax",
            error.info(),
            Some(
                "a colon followed by a space begins a value: quote a text that contains one, and check the indentation",
            ),
        ),
        _ => ("yaml-syntax", error.info(), None),
    };
    Problem { offset, code, message, help }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Vec<&'static str>, SourceMap) {
        let mut sources = SourceMap::new();
        let file = sources.add("t.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let node = parse(&mut sources, file, &mut diagnostics);
        let codes = diagnostics.iter().map(|d| d.code).collect();
        (node, codes, sources)
    }

    #[test]
    fn every_value_has_its_place() {
        let (node, codes, sources) = read("a:\n  b: [1, \"zwei\"]\n");
        assert!(codes.is_empty());
        let list =
            node.as_ref().and_then(|n| n.get("a")).and_then(|n| n.get("b")).and_then(Node::list).expect("a list");
        assert_eq!(sources.line_column(list[1].span), (2, 10));
        assert_eq!(sources.slice(list[1].span), "\"zwei\"");
    }

    #[test]
    fn unquoted_comparators_are_mended_and_said_each() {
        let (node, codes, _) = read("a: > 5\nb:\n  c: >= 7%\n  d: != 3\nlist: [>= 1, 2]\ne: 1\n");
        assert_eq!(codes, ["unquoted-comparator"; 4]);
        let node = node.expect("the rest is read");
        assert_eq!(node.get("a").and_then(Node::text), Some("> 5"));
        assert_eq!(node.get("e").and_then(Node::number), Some(1.0));
    }

    #[test]
    fn duplicate_keys_are_said_with_both_places() {
        let (_, codes, _) = read("a: 1\nb: {c: 1, c: 2}\na: 2\n");
        assert_eq!(codes, ["duplicate-key", "duplicate-key"]);
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (name, before) in ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"]) {
            let list = vec![format!("*{before}"); 10].join(", ");
            text.push_str(&format!("{name}: &{name} [{list}]\n"));
        }
        assert_eq!(read(&text).1, ["yaml-alias-bomb"]);
    }

    #[test]
    fn depth_is_limited() {
        let text = format!("a: {}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(&text).1, ["yaml-depth"]);
    }

    #[test]
    fn offsets_in_blocks_and_quotes_point_into_the_file() {
        let (node, _, sources) = read("q: |\n  sum(\n    foo)\np: \"a bad b\"\n");
        let node = node.expect("valid");
        let block = node.get("q").expect("q");
        let text = block.text().expect("text");
        let at = text.find("foo").expect("foo");
        let place = block.place_of(&sources, at..at + 3);
        assert_eq!(sources.slice(place), "foo");
        let quoted = node.get("p").expect("p");
        assert_eq!(sources.slice(quoted.place_of(&sources, 2..5)), "bad");
    }
}
