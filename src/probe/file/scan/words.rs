//! What tells a secret from a word: placeholders, entropy, and the insides of tokens. This module does no I/O.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Passwords that everybody tries first. They are words, and still passwords.
const NOTORIOUS: &[&str] = &[
    "123456",
    "12345678",
    "admin",
    "admin123",
    "change-me",
    "change_me",
    "changeme",
    "default",
    "guest",
    "hunter2",
    "letmein",
    "passw0rd",
    "password1",
    "password123",
    "postgres",
    "qwerty",
    "root",
    "toor",
    "welcome",
];
/// Words that stand where a value goes.
const BLANKS: &[&str] = &[
    "bar",
    "env",
    "false",
    "foo",
    "key",
    "none",
    "nil",
    "null",
    "pass",
    "passwd",
    "password",
    "pwd",
    "secret",
    "string",
    "test",
    "testing",
    "token",
    "true",
    "undefined",
    "user",
    "username",
    "value",
];
/// Parts of words that say that this is not the value.
const HINTS: &[&str] = &["dummy", "example", "fake", "insert", "placeholder", "redacted", "replace", "sample", "your"];

/// Returns the Shannon entropy of a text, in bits for each sign: 0 for one sign repeated, 6 at most for base64.
pub(super) fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = text.len() as f64;
    counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / length).map(|share| -share * share.log2()).sum()
}

/// Tells whether a text stands where a value goes: a variable, a word in brackets, one sign repeated, `example`.
pub(super) fn is_blank(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let repeated = |sign: &u8| lower.bytes().filter(|b| b == sign).count() * 2 > lower.len();
    lower.is_empty()
        || lower.contains(['$', '<', '>', '{', '}'])
        || lower.contains("...")
        || lower.contains("%(")
        || lower.starts_with(['%', '@', '&'])
        || [b'*', b'x', b'0', b'.', b'-', b'_'].iter().any(repeated)
        || BLANKS.contains(&lower.as_str())
        || HINTS.iter().any(|hint| lower.contains(hint))
}

/// Tells whether a value of a password in quotes is one: no placeholder, no title, no rule of a form, no path.
pub(super) fn is_password(text: &str) -> bool {
    if NOTORIOUS.contains(&text.to_ascii_lowercase().as_str()) {
        return true;
    }
    let letters = text.chars().all(|c| c.is_ascii_alphabetic());
    let title = letters && text.starts_with(|c: char| c.is_ascii_uppercase());
    let path = text.starts_with(['/', '.', '#']) || text.contains("://");
    !(is_blank(text) || title || path || text.contains(['|', ':', '(', ')', '[', ']']) || is_name(text))
}

/// Tells whether a value of a password without quotes is one; in code the same place holds a name.
pub(super) fn is_bare_password(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let odd = text.contains(|c: char| c.is_ascii_digit() || "!%^+=~?".contains(c));
    NOTORIOUS.contains(&lower.as_str()) || odd && is_password(text) && !text.contains('.')
}

/// Tells whether a text is a name of something: words of small letters joined by signs.
fn is_name(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['_', '-', '.']).collect();
    parts.len() > 1 && parts.iter().all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase()))
}

/// Tells whether a value of a key or a token is one: letters and digits, at least 3 bits of entropy for each sign.
pub(super) fn is_key(text: &str) -> bool {
    let mixed = text.contains(|c: char| c.is_ascii_alphabetic()) && text.contains(|c: char| c.is_ascii_digit());
    mixed && !is_blank(text) && !text.contains("://") && !text.starts_with(['/', '.']) && entropy(text) >= 3.0
}

/// Tells whether the tail of a token with a known prefix is no placeholder.
pub(super) fn is_token(text: &str) -> bool {
    !is_blank(text) && entropy(text) >= 2.5
}

/// Tells whether a text is base64 by chance and not by design: capitals, small letters and digits, more entropy for
/// each sign than `threshold`, and neither an integrity, a public key, an alphabet nor a path.
pub(super) fn is_random(text: &str, threshold: f64) -> bool {
    let has = |of: fn(&char) -> bool| text.chars().any(|c| of(&c));
    let mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
    let known = ["AAAA", "MII", "sha1-", "sha256-", "sha384-", "sha512-"].iter().any(|start| text.starts_with(start));
    let rising = text.as_bytes().windows(2).filter(|pair| pair[1] == pair[0].wrapping_add(1)).count();
    let joints = text.bytes().filter(|b| matches!(b, b'/' | b'_' | b'-')).count();
    mixed
        && !known
        && rising * 4 < text.len()
        && joints * 10 < text.len()
        && !is_blank(text)
        && entropy(text) > threshold
}

/// Tells whether a text is a JSON Web Token: its header is a JSON object that names an algorithm (RFC 7519).
pub(super) fn is_jwt(text: &str) -> bool {
    let header = text.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).ok();
    let header = header.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    header.is_some_and(|header| header.get("alg").is_some_and(serde_json::Value::is_string))
}

/// Tells whether the first part of a token is the number of an account, in base64.
pub(super) fn names_an_account(text: &str) -> bool {
    let first = text.split('.').next().unwrap_or_default();
    let decoded = STANDARD_NO_PAD.decode(first).ok();
    decoded.is_some_and(|bytes| (17..=20).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit))
}

/// Tells whether a text is the mail address of somebody: not of a domain for examples (RFC 2606), not of a machine.
pub(super) fn is_address(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some((local, domain)) = lower.split_once('@') else { return false };
    let top = domain.rsplit('.').next().unwrap_or_default();
    let example = ["example.com", "example.net", "example.org", "localhost"];
    let example = example.iter().any(|name| domain == *name || domain.ends_with(&format!(".{name}")));
    let kept = ["example", "invalid", "localhost", "test", "local", "internal", "svc"].contains(&top);
    let file = ["css", "gif", "html", "jpeg", "jpg", "js", "json", "mjs", "png", "svg", "ts", "webp", "yaml", "yml"];
    let machine = ["git", "noreply", "no-reply", "donotreply", "do-not-reply", "mailer-daemon"].contains(&local);
    let machine = machine || domain.split('.').any(|label| label == "noreply");
    let top_level = top.len() >= 2 && top.chars().all(|c| c.is_ascii_alphabetic());
    top_level && !(example || kept || file.contains(&top) || machine || local.starts_with('.') || local.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_that_of_shannon() {
        assert_eq!(entropy("aaaa"), 0.0);
        assert_eq!(entropy("abab"), 1.0);
        assert_eq!(entropy("abcdefgh"), 3.0);
        assert_eq!(entropy(""), 0.0);
    }

    #[test]
    fn passwords_are_told_from_words() {
        for right in ["s3cr3t!pw", "swordfish", "changeme", "Tr0ub4dor&3", "correct-Horse7"] {
            assert!(is_password(right), "{right}");
        }
        for wrong in [
            "${DB_PASSWORD}",
            "{{ password }}",
            "<password>",
            "********",
            "password",
            "Passwort",
            "/run/pw",
            "required|min:8",
            "user_password",
            "your-password-here",
            "xxxxxxxx",
            "%(pw)s",
            "$PW",
        ] {
            assert!(!is_password(wrong), "{wrong}");
        }
        assert!(is_bare_password("hunter2") && is_bare_password("changeme") && !is_bare_password("get_password"));
        assert!(!is_bare_password("settings.db1"));
    }

    #[test]
    fn randomness_is_told_from_order() {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        assert!(!is_random(alphabet, 4.5));
        assert!(is_random("q7TzR2mX9vKd4LwB8nYc5HsJ1pGf6QeA3uVi0Zo", 4.5));
        assert!(!is_random("com/example/Some1/Path/Of/Java/Classes/In/A/Jar", 4.0));
        assert!(!is_random("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 3.0));
    }

    #[test]
    fn addresses_of_examples_and_machines_are_nobodys() {
        assert!(is_address("jane.doe@firm.tld") && is_address("a+b@mail.firm.co.uk"));
        for wrong in [
            "a@example.com",
            "a@x.example.org",
            "git@github.com",
            "icon@2x.png",
            "a@b.test",
            "x@y.1",
            "1+a@users.noreply.github.com",
        ] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }
}
