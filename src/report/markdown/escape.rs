//! Values that never become Markdown: escaped in running text, fenced in code.

use minijinja::value::Value;

use crate::report::plain;

/// Escapes text for a paragraph, a heading, a list or a table cell: it shows as it is and stays on its line.
///
/// Only what GitHub-flavoured Markdown would act on is escaped, so that the source still reads well.
pub(super) fn text(text: &str) -> String {
    let text = plain::line(text);
    let text = text.trim();
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut rest = text.char_indices().peekable();
    let block = block_mark(text);
    while let Some((at, c)) = rest.next() {
        let after = rest.peek().map_or(' ', |(_, c)| *c);
        if block == Some(at) || acts(before, c, after) {
            out.push('\\');
        }
        out.push(c);
        // A mention would tell people who have nothing to do with the run.
        if c == '@' && !before.is_alphanumeric() && after.is_alphanumeric() {
            out.push('\u{2060}');
        }
        before = c;
    }
    out
}

/// Finds the character that would make a block of the line: a heading, a quote, a list, a rule.
fn block_mark(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    let run = text.chars().take_while(|c| *c == first).count();
    let apart = text[run * first.len_utf8()..].chars().next().is_none_or(|c| c == ' ');
    let marks = match first {
        '>' => true,
        '#' | '-' | '+' | '=' => apart,
        _ => false,
    };
    if marks {
        return Some(0);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let mark = text.as_bytes().get(digits)?;
    let ends = text.as_bytes().get(digits + 1).is_none_or(|b| *b == b' ');
    (digits > 0 && ends && matches!(mark, b'.' | b')')).then_some(digits)
}

fn acts(before: char, c: char, after: char) -> bool {
    match c {
        '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => true,
        '<' => after.is_ascii_alphabetic() || matches!(after, '/' | '!' | '?'),
        '_' => !(before.is_alphanumeric() && after.is_alphanumeric()),
        '&' => after.is_ascii_alphanumeric() || after == '#',
        '!' => after == '[',
        '#' => !before.is_alphanumeric() && after.is_ascii_digit(),
        _ => false,
    }
}

/// Puts text between backticks, on one line.
pub(super) fn code(text: &str) -> String {
    let text = plain::line(text);
    if text.trim().is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    match text.starts_with('`') || text.ends_with('`') || (text.starts_with(' ') && text.ends_with(' ')) {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}

/// Puts text into a fenced block, each line indented by so many spaces.
pub(super) fn block(text: &str, indent: usize) -> String {
    let text = plain::lines(text);
    let fence = "`".repeat((longest_run(&text) + 1).max(3));
    let margin = " ".repeat(indent);
    let body = text.trim_end_matches('\n').replace('\n', &format!("\n{margin}"));
    format!("{fence}text\n{margin}{body}\n{margin}{fence}")
}

/// Makes a link of an http, https or mailto address; anything else stays text.
pub(super) fn link(address: &str) -> String {
    let address = plain::line(address);
    let known = ["https://", "http://", "mailto:"].iter().any(|scheme| address.starts_with(scheme));
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>\"`\\|".contains(c);
    match known && !address.contains(odd) {
        true => format!("<{address}>"),
        false => text(&address),
    }
}

/// Escapes whatever a template puts out.
pub(super) fn value(value: &Value) -> String {
    match (value.as_str(), value.is_none()) {
        (_, true) => String::new(),
        (Some(plain), false) => text(plain),
        (None, false) => text(&value.to_string()),
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_markdown_acts_on_is_escaped_and_the_rest_reads_as_it_is() {
        assert_eq!(text("Error rate < 5% (p99 > 1s), 3 of 4"), "Error rate < 5% (p99 > 1s), 3 of 4");
        assert_eq!(text("snake_case_name and _emphasis_"), r"snake_case_name and \_emphasis\_");
        assert_eq!(text("| a | b |\n| - |"), r"\| a \| b \| \| - \|");
        assert_eq!(text("# title"), r"\# title");
        assert_eq!(text("- item"), r"\- item");
        assert_eq!(text("---"), r"\---");
        assert_eq!(text("--set #proxy"), "--set #proxy");
        assert_eq!(text("12. item"), r"12\. item");
        assert_eq!(text("1.27.2"), "1.27.2");
        assert_eq!(text("![x](http://e)<script>&lt;"), r"\!\[x\](http://e)\<script>\&lt;");
    }

    #[test]
    fn code_cannot_be_left_from_within() {
        assert_eq!(code("a ``b`` c"), "```a ``b`` c```");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(block("```\nout", 2), "````text\n  ```\n  out\n  ````");
    }

    #[test]
    fn only_plain_addresses_become_links() {
        assert_eq!(link("https://wiki.example.com/a_b"), "<https://wiki.example.com/a_b>");
        assert_eq!(link("javascript:alert(1)"), "javascript:alert(1)");
        assert_eq!(link("https://x/> <b>"), r"https://x/> \<b>");
    }
}
