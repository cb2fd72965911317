//! Secrets: whatever form they come back in, and wherever, none of it leaves.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::DateTime;
use holdpoint::event::{Look, StepResult};
use holdpoint::model::observation::left_out_mark;
use holdpoint::model::{Evidence, Finding, Found, Measures, Note, Observation, Outcome, Secret, Value, Verdict};
use holdpoint::run::redact::{MASK, Redactor};
use holdpoint::sys::process::{Invocation, run};
use serde_json::json;

/// Secrets of many kinds: plain words, every special sign, other scripts, keys of several lines, numbers.
const SECRETS: [&str; 20] = [
    "hunter2hunter2",
    "s3cr3t/with+base64==",
    "p@ss w0rd&more=1?x#y",
    "it's \"quoted\" $HOME `id` \\back",
    "<script>alert('x')</script>",
    "пароль-зелёный",
    "密码是秘密的",
    "🦀crab🦀",
    "tab\there",
    "line one of it\nline two of it",
    "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSj\n-----END KEY-----\n",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6Ikpv.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "postgres://user:pa%55@db:5432/x",
    "4815162342",
    "user:pass:more",
    "a.b*c(d)[e]{f}^g|h",
    "null\u{1}byte\u{7f}",
    "ünï/cödé~tilde!bang",
    "xoxb-1234-abcd\n",
];

fn redactor() -> Redactor {
    Redactor::new(&SECRETS.map(Secret::new))
}

/// Each form of a secret, made by the encoders that programs use and not by the code under test.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let quoted = |value: &str| serde_json::to_string(value).expect("text");
    let mut url = url::Url::parse("http://h/").expect("a URL");
    url.set_query(Some(secret));
    let query = url.query().unwrap_or_default().to_owned();
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let percent = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let ascii: String = quoted(secret).chars().map(in_ascii).collect();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    vec![
        ("raw", secret.to_owned()),
        ("in JSON", quoted(secret)),
        ("in JSON in JSON", quoted(&quoted(secret))),
        ("in JSON of ASCII alone", ascii),
        ("in a query", query),
        ("in a form", form.clone()),
        ("in a form, lower case", lower_percent(&form)),
        ("percent-encoded", percent.clone()),
        ("percent-encoded, lower case", lower_percent(&percent)),
        ("base64", STANDARD.encode(secret)),
        ("base64 behind 1", STANDARD.encode(format!("x{secret}y"))),
        ("base64 behind 2", STANDARD.encode(format!("xx{secret}yy"))),
        ("base64 for URLs", URL_SAFE_NO_PAD.encode(format!("xxx{secret}zz"))),
        ("basic auth", format!("Authorization: Basic {}", STANDARD.encode(format!("operator:{secret}")))),
        ("hex", hex.clone()),
        ("HEX", hex.to_uppercase()),
        ("in shell quotes", format!("'{}'", secret.replace('\'', r"'\''"))),
        ("in HTML", html.replace('\'', "&#x27;")),
        ("in XML", html.replace('\'', "&apos;")),
        ("as shown by programs in Rust", format!("{secret:?}")),
        ("in a pattern", regex::escape(secret)),
    ]
}

fn in_ascii(c: char) -> String {
    if c.is_ascii() {
        return c.to_string();
    }
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

fn lower_percent(text: &str) -> String {
    let mut out = String::new();
    let mut since = usize::MAX;
    for c in text.chars() {
        since = if c == '%' { 0 } else { since.saturating_add(1) };
        out.push(if since <= 2 { c.to_ascii_lowercase() } else { c });
    }
    out
}

/// The part of a secret's base64 that depends on it alone, so that finding it means finding the secret.
fn core_of(form: &str, encoded: &str) -> String {
    if !form.starts_with("base64") && form != "basic auth" {
        return encoded.trim_matches(['"', '\'', '\\']).to_owned();
    }
    let text = encoded.rsplit(' ').next().unwrap_or_default().trim_end_matches('=');
    // What stands before and after mixes with the first and last four characters at most; `operator:` takes twelve.
    let before = if form == "basic auth" { 12 } else { 4 };
    text[before.min(text.len())..text.len().saturating_sub(4)].to_owned()
}

#[test]
fn twenty_secrets_in_every_form_are_masked() {
    let redactor = redactor();
    let mut seen = 0;
    for secret in SECRETS {
        for (form, encoded) in forms(secret) {
            for text in [encoded.clone(), format!("before {encoded} after"), format!("before\n{encoded}\nafter")] {
                let masked = redactor.text(&text);
                assert!(masked.contains(MASK), "{secret:?} {form}: {text:?} → {masked:?}");
                let core = core_of(form, &encoded);
                assert!(!masked.contains(core.trim()), "{secret:?} {form}: {core:?} in {masked:?}");
                assert!(text.starts_with("before") == masked.starts_with("before"), "{masked:?}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 20 * 21);
}

#[test]
fn what_is_not_secret_is_left_alone() {
    let text = "GET /health 200 in 12ms {\"status\": \"ok\"}\nbye";
    assert_eq!(redactor().text(text), text);
}

/// Says a secret everywhere in a step's result.
fn told_everywhere(secret: &str) -> StepResult {
    let mut measures = Measures::new();
    measures.plain("body", Value::Text(format!("token={secret}")));
    measures.plain("json", Value::Json(json!({ "deep": [{ secret: secret }], "n": secret.parse::<f64>().ok() })));
    measures.plain("records", Value::Set(vec![secret.to_owned()]));
    measures.plain("stderr", Value::Missing(format!("no {secret}")));
    let mut observation = Observation::new(format!("curl -H 'X: {secret}' http://h/"), Found::Measures(measures));
    observation.through = Some(format!("prometheus at http://u:{secret}@h"));
    observation.notes.push(Note::warning(secret));
    observation.evidence.push(Evidence { title: format!("h {secret}"), text: secret.to_owned(), left_out: 0 });
    let number = secret.parse::<f64>().ok();
    let finding = Finding {
        subject: format!("headers[{secret}]"),
        expected: format!("== {secret}"),
        observed: secret.to_owned(),
        outcome: Outcome::Fail,
        origin: None,
        value: number,
        limit: number,
    };
    let verdict = Verdict { outcome: Outcome::Fail, summary: secret.to_owned(), findings: vec![finding] };
    let at = DateTime::UNIX_EPOCH;
    let look = Look::new(at, observation, verdict);
    StepResult {
        look: Some(Box::new(look)),
        captured: vec![("token".to_owned(), json!(secret))],
        ..StepResult::new(Outcome::Fail, secret, at)
    }
}

#[test]
fn no_secret_is_left_anywhere_in_a_result() {
    let redactor = redactor();
    for secret in SECRETS {
        let mut result = told_everywhere(secret);
        let before = serde_json::to_string(&result).expect("serialises");
        redactor.result(&mut result);
        let after = serde_json::to_string(&result).expect("serialises");
        let escaped = serde_json::to_string(secret).expect("text");
        let escaped = escaped.trim_matches('"');
        assert!(before.matches(escaped).count() >= 13, "{before}");
        assert!(!after.contains(escaped) && !after.contains(secret), "{after}");
    }
}

#[test]
fn a_secret_is_masked_on_both_sides_of_a_cut() {
    let redactor = redactor();
    for secret in SECRETS.iter().filter(|s| s.is_ascii() && s.trim().len() > 12 && !s.contains('\n')) {
        for at in 5..secret.len() - 5 {
            let text = format!("head {}{}{} tail", &secret[..at], left_out_mark(1000), &secret[at..]);
            let masked = redactor.text(&text);
            assert_eq!(masked, format!("head {MASK}{}{MASK} tail", left_out_mark(1000)), "{secret:?} cut at {at}");
        }
    }
}

#[test]
fn a_secret_longer_than_what_is_kept_does_not_show_its_beginning() {
    let redactor = Redactor::new(&[Secret::new("0123456789abcdef")]);
    let text = "x".repeat(16 * 1024) + "0123456789abcdef";
    for shift in 0..20_000 / 16 {
        let mut observation = Observation::new("r", Found::refused("c"));
        let text = format!("{}{text}{}", "y".repeat(shift * 16), "z".repeat(20_000 - shift * 16));
        observation.evidence.push(Evidence { title: "body".into(), text, left_out: 0 });
        redactor.observation(&mut observation);
        assert!(!observation.evidence[0].text.contains("0123"));
    }
}

#[tokio::test]
async fn what_tools_make_of_a_secret_is_masked_too() {
    let secret = SECRETS[11];
    let command = |script: &str| Invocation {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into()), ("TOKEN".into(), secret.into())],
        cwd: None,
        stdin: None,
        timeout: Duration::from_secs(20),
        keep: 64 * 1024,
    };
    // base64 breaks its lines after 76 characters, in the middle of the secret; sh -x writes what it runs to stderr.
    let script = "printf 'config: %s' \"$TOKEN\" | base64; printf %s \"$TOKEN\" | od -An -v -tx1 | tr -d ' \\n'; \
                  set -x; : \"$TOKEN\" 'x'";
    let ended = run(&command(script)).await.expect("starts");
    let said = [ended.stdout.head(), ended.stderr.head()].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains(secret), "{said}");
    let masked = redactor().text(&said).into_owned();
    assert_eq!(masked.matches(MASK).count(), 3, "{masked}");
    for window in 0..secret.len() - 12 {
        let piece = &secret[window..window + 12];
        assert!(!masked.contains(piece) && !masked.contains(&STANDARD.encode(piece)[..16]), "{masked}");
    }
}
