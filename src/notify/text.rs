//! Texts fitted to the limits of a service, counted as it counts: after escaping.

use crate::report::plain;

/// Escapes a text and cuts it so that the result has at most so many characters; an ellipsis says that it was cut.
pub(super) fn fitted(text: &str, most: usize, escape: fn(&str) -> String) -> String {
    let whole = escape(text);
    if whole.chars().count() <= most {
        return whole;
    }
    // What is escaped is never shorter than what it stands for.
    let characters: Vec<char> = text.chars().take(most).collect();
    let (mut fits, mut too_long) = (0, characters.len() + 1);
    let made = |count: usize| format!("{}…", escape(&characters[..count].iter().collect::<String>()));
    while fits + 1 < too_long {
        let middle = usize::midpoint(fits, too_long);
        match made(middle).chars().count() <= most {
            true => fits = middle,
            false => too_long = middle,
        }
    }
    if most == 0 { String::new() } else { made(fits) }
}

/// Cuts a text to so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    plain::cut(text, most).into_owned()
}

/// Cuts a text to so many bytes, at the border of a character.
pub(super) fn cut_bytes(text: &str, most: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let Some(room) = most.checked_sub(MARK.len()) else { return String::new() };
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{MARK}", &text[..end])
}

/// Tells whether a text is the address of a page: only such become links.
pub(super) fn is_link(text: &str) -> bool {
    let web = text.starts_with("https://") || text.starts_with("http://");
    web && url::Url::parse(text).is_ok() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Escapes the message of a workflow command.
/// Source: `escapeData` and `escapeProperty` in `packages/core/src/command.ts` of GitHub's `actions/toolkit`.
pub(super) fn workflow_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
pub(super) fn workflow_property(text: &str) -> String {
    workflow_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::mrkdwn;

    #[test]
    fn texts_are_cut_after_escaping_and_never_within_an_escape() {
        assert_eq!(fitted("a<b", 6, mrkdwn), "a&lt;b");
        assert_eq!(fitted("a<b", 5, mrkdwn), "a…");
        assert_eq!(fitted("<<<<", 9, mrkdwn), "&lt;&lt;…");
        assert_eq!(fitted("ööö", 2, mrkdwn), "ö…");
        assert_eq!(fitted("abc", 0, mrkdwn), "");
        for most in 0..40 {
            let text = fitted("a < b & c > d, ö & < >", most, mrkdwn);
            assert!(text.chars().count() <= most, "{most}: {text}");
            assert!(text.matches('&').count() == text.matches(';').count(), "{most}: {text}");
        }
    }

    #[test]
    fn bytes_are_cut_at_characters() {
        assert_eq!(cut_bytes("äöü", 6), "äöü");
        assert_eq!(cut_bytes("äöüx", 6), "ä…");
        assert_eq!(cut_bytes("äöü", 2), "");
    }

    #[test]
    fn workflow_commands_are_escaped() {
        assert_eq!(workflow_data("50%\r\na,b:c"), "50%25%0D%0Aa,b:c");
        assert_eq!(workflow_property("50%\na,b:c"), "50%25%0Aa%2Cb%3Ac");
    }

    #[test]
    fn only_pages_are_links() {
        assert!(is_link("https://wiki.example.com/a?b=c"));
        assert!(!is_link("javascript:alert(1)") && !is_link("wiki/page") && !is_link("https://a b"));
    }
}
