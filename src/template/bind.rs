//! Parameters put into templates and expressions: each `params.x` gives way to the expression that stands for it.
//!
//! What is put in never becomes text of the template. A value is written as a literal of the expression language, in
//! which no brace, percent or number sign is left as it is; an expression stands in parentheses of its own. So a value
//! lands where the parameter stood, is escaped for that place like any other, and cannot end what it stands in.

use std::ops::Range;

use serde_json::Value;

use super::{CLOSE, Expression, OPEN, TemplateError};

/// What stands for a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// A value that is known.
    Value(Value),
    /// An expression over inputs and captured values.
    Expression(String),
}

/// In which language a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Text with `{{ }}`.
    Template,
    /// An expression.
    Expression,
}

/// One use of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Its name.
    pub name: String,
    /// Where `params.name` stands, in bytes.
    pub range: Range<usize>,
}

/// Finds every `root.name` in a text.
///
/// # Errors
/// Says where the root is used as a whole, or where the text cannot be read.
pub fn uses(source: &str, language: Language, root: &str) -> Result<Vec<Use>, TemplateError> {
    if !source.contains(root) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    match language {
        Language::Expression => scan(source, 0..source.len(), root, &mut found)?,
        Language::Template => {
            for piece in pieces(source)? {
                if let Piece::Code(range) = piece {
                    scan(source, range, root, &mut found)?;
                }
            }
        }
    }
    Ok(found)
}

/// Puts what stands for them in the place of all `root.name`; one for which nothing stands stays.
///
/// # Errors
/// As [`uses`].
pub fn bind<'b>(
    source: &str,
    language: Language,
    root: &str,
    find: &dyn Fn(&str) -> Option<&'b Bound>,
) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    for one in uses(source, language, root)? {
        let Some(bound) = find(&one.name) else { continue };
        out.push_str(&source[at..one.range.start]);
        match bound {
            Bound::Value(value) => out.push_str(&literal(value)),
            Bound::Expression(text) if is_path(text) => out.push_str(text),
            Bound::Expression(text) => out.push_str(&format!("({text})")),
        }
        at = one.range.end;
    }
    out.push_str(&source[at..]);
    Ok(out)
}

/// Turns a text with `{{ }}` into the expression that gives the same: one `{{ … }}` alone keeps the type of its value.
///
/// # Errors
/// Says what is not valid, and where.
pub fn expression_of(source: &str) -> Result<String, TemplateError> {
    let begins = source.len() - source.trim_start().len();
    let all = pieces(source.trim())?;
    let mut parts = Vec::with_capacity(all.len());
    for piece in &all {
        let Piece::Code(range) = piece else {
            let Piece::Text(range) = piece else { continue };
            parts.push(quoted(&source.trim()[range.clone()]));
            continue;
        };
        let code = &source.trim()[range.clone()];
        if code.starts_with(['-', '+']) || code.ends_with(['-', '+']) {
            let message = "a value that is passed on has no `-` beside its braces".to_owned();
            return Err(TemplateError { message, range: Some(begins + range.start..begins + range.end) });
        }
        let moved = |mut error: TemplateError| {
            let from = begins + range.start;
            error.range = Some(error.range.map_or(from..from + code.len(), |r| from + r.start..from + r.end));
            error
        };
        Expression::parse(code).map_err(moved)?;
        parts.push(code.trim().to_owned());
    }
    if let ([Piece::Code(_)], [code]) = (&all[..], &parts[..]) {
        return Ok(code.clone());
    }
    // Joining would print what is not there as if it were a word.
    let joined = all.iter().zip(parts).map(|(piece, part)| match piece {
        Piece::Text(_) => part,
        Piece::Code(_) => format!("(({part})|given)"),
    });
    Ok(joined.collect::<Vec<_>>().join(" ~ "))
}

/// Shows a text for people: values that were put in stand there as they are.
pub fn shown(source: &str) -> String {
    let Ok(all) = pieces(source) else { return source.to_owned() };
    let mut out = String::with_capacity(source.len());
    for piece in all {
        match piece {
            Piece::Text(range) => out.push_str(&source[range]),
            Piece::Code(range) => match unquoted(source[range.clone()].trim()) {
                Some(text) => out.push_str(&text),
                None => out.push_str(&source[range.start - 2..range.end + 2]),
            },
        }
    }
    out
}

/// Writes a value as a literal of the expression language.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        // A filter would take the number alone and leave the sign outside.
        Value::Number(number) if number.to_string().starts_with('-') => format!("({number})"),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Object(_) => quoted(&value.to_string()),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '{' | '}' | '%' | '#' | OPEN | CLOSE => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Reads a literal that [`quoted`] wrote.
fn unquoted(code: &str) -> Option<String> {
    let inner = code.strip_prefix('"')?.strip_suffix('"')?;
    let whole = Expression::parse(code).ok().filter(|e| e.references().is_empty() && quoted_alone(inner))?;
    whole.evaluate(&super::Scope::default()).ok()?.as_str().map(str::to_owned)
}

fn quoted_alone(inner: &str) -> bool {
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return false,
            '\\' if chars.next().is_none() => return false,
            _ => {}
        }
    }
    true
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
}

/// A stretch of a template.
#[derive(Debug)]
enum Piece {
    /// What stands outside of braces.
    Text(Range<usize>),
    /// What stands between `{{` and `}}`.
    Code(Range<usize>),
}

fn pieces(source: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut all = Vec::new();
    let mut at = 0;
    let mut from = 0;
    while let Some(brace) = source[from..].find('{').map(|n| from + n) {
        match source.as_bytes().get(brace + 1) {
            Some(b'{') => {
                let Some(end) = end_of_code(source, brace + 2) else {
                    let message = "`{{` has no `}}` to it".to_owned();
                    return Err(TemplateError { message, range: Some(brace..brace + 2) });
                };
                if brace > at {
                    all.push(Piece::Text(at..brace));
                }
                all.push(Piece::Code(brace + 2..end));
                (at, from) = (end + 2, end + 2);
            }
            Some(b'%') => {
                let message = "`{% … %}` has no place here; write an expression: `{{ a if b else c }}`".to_owned();
                return Err(TemplateError { message, range: Some(brace..brace + 2) });
            }
            Some(b'#') => from = source[brace..].find("#}").map_or(source.len(), |n| brace + n + 2),
            _ => from = brace + 1,
        }
    }
    if at < source.len() {
        all.push(Piece::Text(at..source.len()));
    }
    Ok(all)
}

/// Finds the `}}` that ends the code, outside of texts and brackets.
fn end_of_code(source: &str, from: usize) -> Option<usize> {
    let mut depth = 0_u32;
    let mut at = from;
    while let Some(c) = source[at..].chars().next() {
        match c {
            '"' | '\'' => at = end_of_text(source, at, c)?,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '}' if depth > 0 => depth -= 1,
            '}' if source[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
        at += source[at..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

/// Returns where the closing quote of a text stands.
fn end_of_text(source: &str, from: usize, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (n, c) in source[from + 1..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(from + 1 + n),
            _ => {}
        }
    }
    None
}

/// Finds every `root.name` in code.
fn scan(source: &str, code: Range<usize>, root: &str, found: &mut Vec<Use>) -> Result<(), TemplateError> {
    let word = |from: usize| {
        let rest = &source[from..code.end];
        from + rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
    };
    let blank = |from: usize| {
        let rest = &source[from..code.end];
        from + (rest.len() - rest.trim_start().len())
    };
    let mut before = ' ';
    let mut at = code.start;
    while let Some(c) = source[at..code.end].chars().next() {
        if c == '"' || c == '\'' {
            let open = TemplateError { message: "a text has no closing quote".into(), range: Some(at..at + 1) };
            at = end_of_text(source, at, c).filter(|end| *end < code.end).ok_or(open)? + 1;
            before = c;
        } else if c.is_alphanumeric() || c == '_' {
            let end = word(at);
            if &source[at..end] == root && before != '.' {
                let dot = blank(end);
                let name = if source[dot..code.end].starts_with('.') { blank(dot + 1) } else { dot };
                let last = word(name);
                if name == dot || last == name {
                    let message = format!("{root} is used as a whole or with brackets; write {root}.NAME");
                    return Err(TemplateError { message, range: Some(at..end) });
                }
                found.push(Use { name: source[name..last].to_owned(), range: at..last });
                at = last;
            } else {
                at = end;
            }
            before = 'x';
        } else {
            if !c.is_whitespace() {
                before = c;
            }
            at += c.len_utf8();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Place, Scope, Template};
    use serde_json::json;

    fn bound(source: &str, value: &Bound) -> String {
        bind(source, Language::Template, "params", &|name| (name == "x").then_some(value)).expect("valid")
    }

    #[test]
    fn a_parameter_gives_way_wherever_it_stands_in_code_and_nowhere_else() {
        let value = Bound::Value(json!("v"));
        assert_eq!(
            bound("params.x {{ params.x }} {# {{ params.x }} #}", &value),
            "params.x {{ \"v\" }} {# {{ params.x }} #}"
        );
        assert_eq!(bound("{{ 'params.x' ~ params . x|upper }}", &value), "{{ 'params.x' ~ \"v\"|upper }}");
        assert_eq!(bound("{{ a.params.x }}{{ params.y }}", &value), "{{ a.params.x }}{{ params.y }}");
        assert_eq!(bound("{{ {'a': {'b': params.x}} }}", &value), "{{ {'a': {'b': \"v\"}} }}");
        let sum = Bound::Expression("a + b".into());
        assert_eq!(bound("{{ params.x * 2 }}", &sum), "{{ (a + b) * 2 }}");
        assert_eq!(bound("{{ params.x }}", &Bound::Expression("inputs.a".into())), "{{ inputs.a }}");
    }

    #[test]
    fn the_whole_and_brackets_are_refused() {
        for source in
            ["{{ params }}", "{{ params['x'] }}", "{{ f(params=1) }}", "{{ params.x", "{% if params.x %}{% endif %}"]
        {
            assert!(uses(source, Language::Template, "params").is_err(), "{source}");
        }
        assert!(uses("params['x'] == 1", Language::Expression, "params").is_err());
    }

    #[test]
    fn a_text_with_variables_is_an_expression() {
        assert_eq!(expression_of("{{ inputs.a }}").as_deref(), Ok("inputs.a"));
        assert_eq!(expression_of("a-{{ inputs.b | upper }}").as_deref(), Ok("\"a-\" ~ ((inputs.b | upper)|given)"));
        assert!(expression_of("{{ ) }}").is_err());
        let scope = Scope::new(serde_json::Map::from_iter([("inputs".to_owned(), json!({ "b": null }))]));
        let joined = Expression::parse(&expression_of("a-{{ inputs.b }}").expect("valid")).expect("valid");
        assert!(joined.evaluate(&scope).is_err(), "what was not given is no word");
    }

    #[test]
    fn what_was_put_in_is_shown_as_it_is() {
        let value = Bound::Value(json!("https://h/{x}"));
        assert_eq!(shown(&bound("GET {{ params.x }}/{{ inputs.a }}", &value)), "GET https://h/{x}/{{ inputs.a }}");
    }

    proptest::proptest! {
        /// Whatever a value holds, it is the value that comes out, escaped for its place as an input would be.
        #[test]
        fn a_value_is_never_more_than_a_value(text in "(\\PC|[\\n\\t\"'\\\\{}%#`$]){0,24}") {
            let value = Bound::Value(json!(text));
            for (source, place) in [
                ("a {{ params.x }} b", Place::Plain),
                ("http://h/{{ params.x }}/c?d={{ params.x }}", Place::Url),
                ("echo {{ params.x }} \"{{ params.x }}\"", Place::Shell),
                ("up{a=\"{{ params.x }}\"}", Place::Promql),
                ("{\"a\": \"{{ params.x }}\"}", Place::Json),
                ("^{{ params.x }}$", Place::Regex),
            ] {
                let scope = Scope::new(serde_json::Map::from_iter([("inputs".to_owned(), json!({ "x": text }))]));
                let as_input = Template::parse(&source.replace("params", "inputs"), place).and_then(|t| t.render(&scope));
                let as_value = Template::parse(&bound(source, &value), place).and_then(|t| t.render(&Scope::default()));
                proptest::prop_assert_eq!(as_input, as_value);
            }
        }
    }
}
