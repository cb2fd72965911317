//! Values escaped by the place where they land, with knowledge of what stands before and behind.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::shell::Scanner;
use super::{CLOSE, OPEN, Place, TemplateError};

/// Replaces each marked stretch by its escaped form.
pub(super) fn escape(marked: &str, place: Place) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(marked.len());
    let mut shell = Scanner::default();
    let mut rest = marked;
    while let Some(open) = rest.find(OPEN) {
        let text = &rest[..open];
        out.push_str(text);
        let inner = &rest[open + OPEN.len_utf8()..];
        let close = inner.find(CLOSE).unwrap_or(inner.len());
        let value = &inner[..close];
        rest = inner.get(close + CLOSE.len_utf8()..).unwrap_or_default();
        match place {
            Place::Plain => out.push_str(value),
            Place::Url => escape_url(&mut out, value, rest)?,
            Place::Shell => {
                shell.read(text);
                shell.write(&mut out, value, rest)?;
            }
            Place::Promql => escape_promql(&mut out, value)?,
            Place::Json => escape_json(&mut out, value),
            Place::Regex => out.push_str(&regex::escape(value)),
            Place::Mrkdwn => out.push_str(&mrkdwn(value)),
            Place::Markdown => out.push_str(&markdown(value)),
        }
    }
    out.push_str(rest);
    Ok(out)
}

pub(super) fn refused(message: impl Into<String>) -> TemplateError {
    TemplateError { message: message.into(), range: None }
}

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn escape_url(out: &mut String, value: &str, rest: &str) -> Result<(), TemplateError> {
    // `GET {{ inputs.base_url }}/health`: a value that begins the URL is a URL itself.
    let before = out.rsplit(' ').next().unwrap_or_default();
    if before.is_empty() {
        // Its last slash is the first of the path that follows.
        out.push_str(if rest.starts_with('/') { value.trim_end_matches('/') } else { value });
        return Ok(());
    }
    const ENDS: [char; 3] = ['/', '?', '#'];
    let authority = before.split_once("://").map(|(_, rest)| rest).filter(|rest| !rest.contains(ENDS));
    let user = rest.split(ENDS).next().is_some_and(|authority| authority.contains('@'));
    if authority.is_some() && !user {
        // Host and port: nothing that could end them or name a user may come in. What has no place there is not left
        // out, since that would be another host.
        let strange = |c: &char| !(c.is_alphanumeric() || "-_.:[]".contains(*c));
        if let Some(strange) = value.chars().find(strange) {
            return Err(refused(format!("a value with {strange:?} may not stand in the host of a URL")));
        }
        out.push_str(value);
        return Ok(());
    }
    out.extend(utf8_percent_encode(value, UNRESERVED));
    Ok(())
}

/// Which quotes a PromQL query is in at its end.
pub(crate) fn promql_quotes(query: &str) -> Option<char> {
    let mut open = None;
    let mut chars = query.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (Some('"' | '\''), '\\') => {
                chars.next();
            }
            (None, '\'' | '"' | '`') => open = Some(c),
            (None, '#') => {
                chars.find(|c| *c == '\n');
            }
            (Some(quote), c) if quote == c => open = None,
            _ => {}
        }
    }
    open
}

fn escape_promql(out: &mut String, value: &str) -> Result<(), TemplateError> {
    match promql_quotes(out) {
        Some('`') => {
            if value.contains('`') {
                return Err(refused("a value with ` cannot stand between `…`"));
            }
            out.push_str(value);
        }
        Some(quote) => {
            for c in value.chars() {
                match c {
                    '\\' => out.push_str(r"\\"),
                    '\n' => out.push_str(r"\n"),
                    c if c == quote => {
                        out.push('\\');
                        out.push(c);
                    }
                    c => out.push(c),
                }
            }
        }
        None => {
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
            if value.is_empty() || !value.chars().all(word) {
                let message = format!(
                    "{value:?} may not stand outside quotes in a query; only a name, a number or a duration may"
                );
                return Err(refused(message));
            }
            out.push_str(value);
        }
    }
    Ok(())
}

fn escape_json(out: &mut String, value: &str) {
    let quoted = serde_json::to_string(value).unwrap_or_default();
    let mut in_string = false;
    let mut chars = out.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => {
                chars.next();
            }
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    if in_string {
        out.push_str(&quoted[1..quoted.len() - 1]);
    } else if serde_json::from_str::<Value>(value).is_ok() {
        out.push_str(value);
    } else {
        out.push_str(&quoted);
    }
}

/// Escapes for Slack's mrkdwn: the three characters that it reads as control characters.
/// Source: <https://docs.slack.dev/messaging/formatting-message-text>, "Escaping text".
pub(crate) fn mrkdwn(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escapes for Markdown: what is punctuation there, and what would begin a list or a heading where a line begins.
/// Source: CommonMark 0.31, section 2.4, "Backslash escapes".
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut begins, mut digits) = (true, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let always = matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~' | '|');
        // A mark of a list has a space behind it, and a line of dashes is a rule.
        let marks = chars.peek().is_none_or(|next| next.is_whitespace() || matches!(next, '-' | '='));
        let at_beginning = (begins && matches!(c, '-' | '+' | '=')) || (digits && matches!(c, '.' | ')'));
        if always || (at_beginning && marks) {
            out.push('\\');
        }
        out.push(c);
        digits = c.is_ascii_digit() && (begins || digits);
        begins = c == '\n' || (begins && c == ' ');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_no_markup() {
        assert_eq!(mrkdwn("a < b && <!channel>"), "a &lt; b &amp;&amp; &lt;!channel&gt;");
        assert_eq!(markdown("*a* [b](c) 5 < 6"), r"\*a\* \[b\](c) 5 \< 6");
        assert_eq!(markdown("- a\n1. b\n v1.2 - c"), "\\- a\n1\\. b\n v1.2 - c");
        assert_eq!(markdown("1.4.0\n-5\n---"), "1.4.0\n-5\n\\---");
    }
}
