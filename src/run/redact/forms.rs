//! The forms in which a secret may come back: each encoding that programs use without being asked.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::model::Secret;

/// Secrets shorter than this are not looked for in encoded forms: these would be found everywhere by chance.
const SHORTEST_ENCODED: usize = 4;

/// Lines of a secret of several lines that are shorter than this are not secrets of their own.
const SHORTEST_LINE: usize = 8;

/// Lists every form of every secret, each once.
pub(super) fn of(secrets: &[Secret]) -> Vec<String> {
    let mut forms = Vec::new();
    for secret in secrets {
        let whole = secret.reveal();
        of_one(whole, &mut forms);
        // A file or a variable often brings a newline with it that is not sent on.
        of_one(whole.trim(), &mut forms);
        // A URL drops these signs without a word.
        if whole.trim().contains(['\t', '\n', '\r']) {
            of_one(&whole.replace(['\t', '\n', '\r'], ""), &mut forms);
        }
        // A key of several lines may be printed line by line. Its first and last line are no secret.
        let lines =
            whole.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----"));
        if whole.trim().contains('\n') {
            lines.for_each(|line| of_one(line, &mut forms));
        }
    }
    forms.retain(|form| !form.is_empty());
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn of_one(secret: &str, forms: &mut Vec<String>) {
    forms.push(secret.to_owned());
    if secret.len() < SHORTEST_ENCODED {
        return;
    }
    json(secret, forms);
    percent(secret, forms);
    base64(secret.as_bytes(), forms);
    hexadecimal(secret.as_bytes(), forms);
    shell(secret, forms);
    html(secret, forms);
    // As messages of this program quote values, and as patterns are shown.
    forms.push(secret.escape_debug().to_string());
    forms.push(secret.escape_default().to_string());
    forms.push(regex::escape(secret));
}

/// JSON, as it is written with and without escapes that are free to choose, and JSON within JSON.
fn json(secret: &str, forms: &mut Vec<String>) {
    let inner = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
    };
    let plain = inner(secret);
    forms.push(inner(&plain));
    forms.push(plain.replace('/', "\\/"));
    let markup: &[char] = &['<', '>', '&', '\'', '\u{2028}', '\u{2029}', '\u{7f}'];
    let sets: [&dyn Fn(char) -> bool; 4] =
        [&|c| !c.is_ascii(), &|c| markup[..3].contains(&c), &|c| markup.contains(&c), &|c| {
            !c.is_ascii() || markup.contains(&c)
        }];
    for escaped in sets {
        for upper in [false, true] {
            let text = unicode(&plain, escaped, upper);
            forms.push(inner(&text));
            forms.push(text.replace('/', "\\/"));
            forms.push(text);
        }
    }
    // Everything in \u form, and the quotation mark in that form too.
    for upper in [false, true] {
        forms.push(unicode(secret, &|_| true, upper));
        forms.push(unicode(&plain.replace("\\\"", "\""), &|c| c == '"' || markup.contains(&c), upper));
    }
    forms.push(plain);
}

/// Writes some characters as `\uXXXX`, in UTF-16 as JSON wants it.
fn unicode(text: &str, escaped: &dyn Fn(char) -> bool, upper: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !escaped(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = if upper { write!(out, "\\u{unit:04X}") } else { write!(out, "\\u{unit:04x}") };
        }
    }
    out
}

/// Percent-encoding, for each set of characters that common encoders leave as they are.
fn percent(secret: &str, forms: &mut Vec<String>) {
    const KEPT: [&str; 11] = [
        "-._~",                        // RFC 3986, the unreserved ones
        "-._",                         // the same before RFC 3986
        "-._~!'()*",                   // encodeURIComponent
        "-._~!$'()*,;:@&=+",           // a segment of a path
        "-._~!$'()*,;:@&=+/",          // a path
        "-._~!$'()*,;:@&=+/?[]#",      // encodeURI
        "-._~!$()*,;:@&=+/?[]\\^`{|}", // a query, as browsers send it
        "-._~!$&'()*+,%",              // user and password before a host
        "-._*",                        // a form
        "",                            // everything but letters and digits
        "-_",                          // the same, for names
    ];
    for (i, kept) in KEPT.iter().enumerate() {
        for upper in [true, false] {
            let encoded = encode(secret, kept, upper);
            if i == 0 {
                forms.push(encoded.replace('%', "%25"));
            }
            forms.push(encoded.replace("%20", "+"));
            forms.push(encoded);
        }
    }
    for upper in [true, false] {
        forms.push(secret.bytes().map(|byte| percent_byte(byte, upper)).collect());
    }
}

fn encode(secret: &str, kept: &str, upper: bool) -> String {
    let mut out = String::with_capacity(secret.len() * 3);
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&percent_byte(byte, upper));
        }
    }
    out
}

fn percent_byte(byte: u8, upper: bool) -> String {
    if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") }
}

/// Base64 at each of the three places where a secret may begin within a longer text: the characters that depend on
/// the secret alone. Basic authentication is one of these cases.
fn base64(secret: &[u8], forms: &mut Vec<String>) {
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for offset in 0..3 {
            let text = engine.encode([&[0; 2][..offset], secret].concat());
            // Six bits a character: the first ones mix with what stands before, the last one with what comes after.
            let first = (offset * 8).div_ceil(6);
            let last = (offset + secret.len()) * 8 / 6;
            forms.extend(text.get(first..last).filter(|part| part.len() >= SHORTEST_ENCODED).map(str::to_owned));
        }
        let whole = engine.encode(secret);
        forms.push(format!("{whole}{}", "=".repeat(whole.len().next_multiple_of(4) - whole.len())));
        forms.push(whole);
    }
}

fn hexadecimal(secret: &[u8], forms: &mut Vec<String>) {
    let (mut lower, mut upper, mut escaped) = (String::new(), String::new(), String::new());
    for byte in secret {
        let _ = write!(lower, "{byte:02x}");
        let _ = write!(upper, "{byte:02X}");
        let _ = write!(escaped, "\\x{byte:02x}");
    }
    forms.extend([lower, upper, escaped]);
}

/// As it stands within the quotes of a shell, or without.
fn shell(secret: &str, forms: &mut Vec<String>) {
    forms.push(secret.replace('\'', r"'\''"));
    forms.push(secret.replace('\'', r#"'"'"'"#));
    let with_backslash = |special: &dyn Fn(char) -> bool| {
        let mut out = String::with_capacity(secret.len() * 2);
        for c in secret.chars() {
            if special(c) {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    forms.push(with_backslash(&|c| matches!(c, '"' | '$' | '`' | '\\')));
    forms.push(with_backslash(&|c| matches!(c, '"' | '$' | '`' | '\\' | '!')));
    forms.push(with_backslash(&|c| matches!(c, '\'' | '\\')));
    forms.push(with_backslash(&|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:=@%+,".contains(c)));
    forms.push(with_backslash(&|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:@%+".contains(c)));
}

/// As it stands in HTML and XML, for each way to write the signs.
fn html(secret: &str, forms: &mut Vec<String>) {
    let base = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for double in ["\"", "&quot;", "&#34;", "&#x22;"] {
        for single in ["'", "&#39;", "&#x27;", "&apos;", "&#039;"] {
            let text = base.replace('"', double).replace('\'', single);
            forms.push(text.replace('/', "&#x2f;"));
            forms.push(text.replace('/', "&#x2F;"));
            forms.push(text);
        }
    }
}
