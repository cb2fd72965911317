//! Text from outside made harmless: what was measured must not steer a terminal, hide itself, or break a line.

use std::borrow::Cow;

/// Makes text fit for one line: line ends and tabs become spaces, control characters become visible.
pub fn line(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    match text.chars().any(|c| is_unsafe(c) || matches!(c, '\n' | '\t')) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.trim_end().replace("\r\n", "\n").chars().map(on_one_line).collect()),
    }
}

/// Makes text fit for several lines: line feeds and tabs stay, other control characters become visible.
pub fn lines(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    match text.chars().any(is_unsafe) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.replace("\r\n", "\n").chars().map(visible).collect()),
    }
}

/// Cuts text to so many characters and says with an ellipsis that it did.
pub fn cut(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        None => Cow::Borrowed(text),
        Some(_) => {
            let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
            Cow::Owned(format!("{kept}…"))
        }
    }
}

fn on_one_line(c: char) -> char {
    match c {
        '\n' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        c => visible(c),
    }
}

/// Tells quickly what is true of most text: that it is of printable ASCII alone.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// Tells whether a character could steer a terminal, reorder what is read, or is forbidden in XML.
fn is_unsafe(c: char) -> bool {
    visible(c) != c
}

fn visible(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{FFFD}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' => '\u{FFFD}',
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        '\u{2028}' | '\u{2029}' => '\n',
        '\u{fffe}' | '\u{ffff}' => '\u{FFFD}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        let hostile: String = (0..0x3000).chain(0xfff0..=0xffff).filter_map(char::from_u32).collect();
        assert!(line(&hostile).chars().all(|c| !c.is_control()));
        assert!(lines(&hostile).chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
        assert_eq!(line("a\u{1b}[31mb\r\nc"), "a␛[31mb c");
        assert_eq!(line("user\u{202e}txt"), "user\u{FFFD}txt");
    }

    #[test]
    fn harmless_text_is_not_copied() {
        assert!(matches!(line("größer als 5 % 日本"), Cow::Borrowed(_)));
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
    }
}
