//! The probe `file` over trees: what is found, what is not, and what becomes of what cannot be read.
//!
//! Nothing here is a secret: what must look like one is put together while the test runs.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use holdpoint::model::{Observation, Value};
use holdpoint::probe::file::scan::detectors::{DETECTORS, Of};
use proptest::prelude::*;
use serde_json::json;

use crate::support::probing::{Probing, cause, get, number};

const WANTS: &[&str] = &["findings", "findings_count", "allowed", "skipped"];

/// A tree of files that is gone afterwards.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().expect("a folder"));
        for (path, text) in files {
            tree.write(path, text.as_bytes());
        }
        tree
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }

    async fn scan(&self, spec: serde_json::Value) -> Observation {
        scan(&self.at(""), spec).await
    }

    /// Scans and returns the findings, paths from the root of the tree.
    async fn findings(&self, spec: serde_json::Value) -> Vec<String> {
        findings(&self.scan(spec).await, self.0.path())
    }
}

async fn scan(path: &Path, spec: serde_json::Value) -> Observation {
    let mut spec = spec;
    spec["path"] = json!(path);
    Probing::new().look("file", WANTS, &spec.to_string()).await
}

fn findings(seen: &Observation, root: &Path) -> Vec<String> {
    let Value::Set(found) = get(seen, "findings") else { panic!("{seen:?}") };
    let root = format!("{}/", root.display());
    found.iter().map(|line| line.replace(&root, "")).collect()
}

fn notes(seen: &Observation) -> String {
    seen.notes.iter().map(|note| format!("{}\n", note.text)).collect()
}

/// Makes a text of so many signs of an alphabet: random to look at, the same each time.
fn signs(alphabet: &str, length: usize) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut state = 2026_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    (0..length).map(|_| alphabet[next() % alphabet.len()]).collect()
}

const BASE62: &str = "q7TzR2mX9vKd4LwB8nYc5HsJ1pGf6QeA3uVi0ZoCtWkDyMbExNgFaPhSjUrIl";
const HEX: &str = "7f3a9c1e5b8d2046";

/// An example of each detector.
fn examples() -> Vec<(&'static str, String)> {
    let b = |n| signs(BASE62, n);
    let h = |n| signs(HEX, n);
    let capitals = |n| signs("QXTZRM2KDLWB3YCHS4PGF6EAV5UNJ7", n);
    let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzb21lYm9keSJ9";
    vec![
        ("private-key", format!("-----BEGIN {} KEY-----\n{}\n", "RSA PRIVATE", b(64))),
        ("age-secret-key", format!("AGE-SECRET-{}-1{}", "KEY", capitals(58))),
        ("aws-access-key", format!("id = {}{}", "AKIA", capitals(16))),
        ("aws-secret-key", format!("aws_secret_access_key = {}", b(40))),
        ("google-api-key", format!("{}{}", "AIza", b(35))),
        ("google-client-secret", format!("{}-{}", "GOCSPX", b(28))),
        ("azure-storage-key", format!("AccountKey={}==;", b(86))),
        ("azure-client-secret", format!("{}8Q~{}", b(3), b(31))),
        ("digitalocean-token", format!("dop_{}_{}", "v1", h(64))),
        ("github-token", format!("{}_{}", "ghp", b(36))),
        ("github-token", format!("github_{}_{}_{}", "pat", b(22), b(59))),
        ("gitlab-token", format!("{}-{}", "glpat", b(20))),
        ("bitbucket-token", format!("{}{}", "ATBB", b(32))),
        ("slack-token", format!("{}-1234567890-{}", "xoxb", b(24))),
        (
            "slack-webhook",
            format!("https://hooks.{}.com/services/T{}/B{}/{}", "slack", capitals(8), capitals(8), b(24)),
        ),
        ("discord-webhook", format!("https://{}.com/api/webhooks/123456789012345678/{}", "discord", b(68))),
        ("discord-token", format!("{}.{}.{}", "MTIzNDU2Nzg5MDEyMzQ1Njc4", b(6), b(27))),
        (
            "teams-webhook",
            format!("https://firm.webhook.{}.com/webhookb2/{}/IncomingWebhook/{}/{}", "office", h(36), h(32), h(36)),
        ),
        ("telegram-token", format!("123456789:{}{}", "AA", b(33))),
        ("stripe-key", format!("{}_live_{}", "sk", b(24))),
        ("sendgrid-key", format!("{}.{}.{}", "SG", b(22), b(43))),
        ("openai-key", format!("{}-proj-{}T3BlbkFJ{}", "sk", b(24), b(24))),
        ("huggingface-token", format!("{}_{}", "hf", signs("qTzRmXvKdLwBnYcHsJpGfQeAuViZo", 34))),
        ("npm-token", format!("{}_{}", "npm", b(36))),
        ("pypi-token", format!("{}-AgE{}", "pypi", b(60))),
        ("package-token", format!("rubygems_{}", h(48))),
        ("hashicorp-token", format!("{}.{}", "hvs", b(30))),
        ("grafana-token", format!("{}_{}_{}", "glsa", b(32), h(8))),
        ("monitoring-token", format!("{}-{}", "NRAK", capitals(27))),
        ("service-token", format!("{}{}", "dapi", h(32))),
        ("jwt", format!("{jwt}.{}", b(43))),
        ("url-password", format!("postgres://orders:{}@db.internal/orders", "s3cr3t-pw")),
        ("authorization", format!("Authorization: Bearer {}", b(32))),
        ("password", "db.password = 's3cr3t!pw'".to_owned()),
        ("password", "{\"password\": \"changeme\"}".to_owned()),
        ("bare-password", "DB_PASSWORD=s3cr3t!pw".to_owned()),
        ("assigned-key", format!("api_key: \"{}\"", h(32))),
        ("bare-key", format!("export SESSION_SECRET={}", h(32))),
        ("high-entropy", format!("x = \"{}\"", b(40))),
        ("email", "ask jane.doe@firm.tld.".to_owned()),
        ("phone", "call +49 30 901820, please".to_owned()),
        ("iban", "to DE89 3704 0044 0532 0130 00 BIC".to_owned()),
        ("payment-card", "card 4111-1111-1111-1111.".to_owned()),
        ("br-cpf", "111.444.777-35".to_owned()),
        ("es-dni", "DNI 12345678Z".to_owned()),
        ("it-codice-fiscale", "RSSMRA85T10A562S".to_owned()),
        ("fi-hetu", "131052-308T".to_owned()),
        ("fr-nir", "2 55 08 14 168 025 38".to_owned()),
        ("be-rrn", "85.07.30-033.28".to_owned()),
        ("cn-resident-id", "11010519491231002X".to_owned()),
        ("ip-address", "from 8.8.8.8 on".to_owned()),
    ]
}

#[tokio::test]
async fn every_detector_finds_its_example_and_nobody_elses() {
    let examples = examples();
    for detector in DETECTORS {
        assert!(examples.iter().any(|(name, _)| *name == detector.name), "{} has no example", detector.name);
    }
    let tree = Tree::new(&[]);
    for (n, (_, text)) in examples.iter().enumerate() {
        tree.write(&format!("{n:02}.txt"), format!("first\n{text}\nlast\n").as_bytes());
    }
    let found = tree.findings(json!({ "secrets": true, "pii": { "with": ["ip-address"] } })).await;
    let expected: Vec<_> = examples.iter().enumerate().map(|(n, (name, _))| (format!("{n:02}.txt:"), *name)).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (line, (file, name)) in found.iter().zip(&expected) {
        assert!(line.starts_with(file.as_str()) && line.contains(&format!(": {name} (")), "{line} for {file} {name}");
    }
    // No finding is in what goes into the record.
    let seen = tree.scan(json!({ "secrets": true, "pii": { "with": ["ip-address"] } })).await;
    let record = serde_json::to_string(&seen).expect("serialises");
    for (name, text) in &examples {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 8) {
            let known = ["AGE", "authorization", "webhook", "services", "password", "internal", "rubygems", "postgres"];
            let shape = known.iter().any(|known| word.to_lowercase().contains(&known.to_lowercase()));
            assert!(shape || !record.contains(word), "{name}: {word} is in the record");
        }
    }
}

#[tokio::test]
async fn a_scan_counts_by_detector_and_looks_only_for_what_is_asked() {
    let tree =
        Tree::new(&[("a.py", "password = 's3cr3t!pw'\npassword = \"0ther-pw1\"\n"), ("b.txt", "jane.doe@firm.tld\n")]);
    let spec = |text: &str| format!("{{ path: '{}', {text} }}", tree.at("").display());
    let wants = ["found[password]", "found[jwt]", "findings_count"];
    let seen = Probing::new().look("file", &wants, &spec("secrets: true")).await;
    assert_eq!((number(&seen, "found[password]"), number(&seen, "found[jwt]")), (2.0, 0.0));
    assert_eq!((number(&seen, "findings_count"), number(&seen, "count")), (2.0, 2.0));
    assert_eq!(tree.findings(json!({ "pii": true })).await, ["b.txt:1: email (jane…, 17 characters)"]);
    assert!(tree.findings(json!({ "secrets": { "without": ["password"] } })).await.is_empty());
    assert_eq!(tree.findings(json!({ "secrets": { "only": ["jwt"] }, "pii": { "only": ["email"] } })).await.len(), 1);
}

#[tokio::test]
async fn what_git_ignores_is_left_out_and_hidden_files_are_not() {
    let secret = "password = 's3cr3t!pw'\n";
    let tree = Tree::new(&[
        (".gitignore", "/out/\n*.log\n!kept.log\n"),
        (".env.sample", secret),
        (".git/config", secret),
        ("out/a.txt", secret),
        ("x.log", secret),
        ("kept.log", secret),
        ("sub/.gitignore", "local.txt\n"),
        ("sub/local.txt", secret),
        ("sub/z.txt", secret),
    ]);
    let files = |found: Vec<String>| {
        found.iter().map(|f| f.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let found = files(tree.findings(json!({ "secrets": true })).await);
    assert_eq!(found, [".env.sample", "kept.log", "sub/z.txt"]);
    let found = files(tree.findings(json!({ "secrets": true, "gitignore": false })).await);
    assert_eq!(found, [".env.sample", "kept.log", "out/a.txt", "sub/local.txt", "sub/z.txt", "x.log"]);
    let found = files(tree.findings(json!({ "secrets": true, "exclude": ["sub/", ".env.*"] })).await);
    assert_eq!(found, ["kept.log"]);
    // Within a repository, its root counts, and nothing above it.
    tree.write("sub/inner/q.log", secret.as_bytes());
    let seen = scan(&tree.at("sub/inner"), json!({ "secrets": true })).await;
    assert!(matches!(get(&seen, "findings"), Value::NoData(_)), "{seen:?}");
}

#[tokio::test]
async fn a_glob_and_a_single_file_are_scanned() {
    let secret = "password = 's3cr3t!pw'\n";
    let tree = Tree::new(&[("a.py", secret), ("src/b.py", secret), ("src/c.txt", secret), ("README", "nothing\n")]);
    let seen = scan(&tree.at("**/*.py"), json!({ "secrets": true })).await;
    let line = "password (s3…, 9 characters)";
    assert_eq!(findings(&seen, tree.0.path()), [format!("a.py:1: {line}"), format!("src/b.py:1: {line}")]);
    let seen = scan(&tree.at("README"), json!({ "secrets": true })).await;
    assert_eq!((number(&seen, "count"), number(&seen, "findings_count")), (1.0, 0.0));
}

#[tokio::test]
async fn nothing_found_in_nothing_is_no_data() {
    let tree = Tree::new(&[(".gitignore", "*\n"), ("a.txt", "x")]);
    tree.write("bin/a.bin", &[b'x', 0, b'y']);
    std::fs::create_dir(tree.at("empty")).expect("made");
    for (path, exists, why) in [
        ("", true, "nothing was scanned"),
        ("nowhere", false, "no such file"),
        ("empty", true, "nothing was scanned"),
        ("*.rs", false, "nothing was scanned"),
        ("bin/a.bin", true, "1 binary"),
    ] {
        let seen = scan(&tree.at(path), json!({ "secrets": true })).await;
        assert_eq!(get(&seen, "exists"), &Value::Bool(exists), "{path}");
        assert_eq!(number(&seen, "count"), 0.0, "{path}");
        for name in ["findings", "findings_count", "allowed", "skipped"] {
            let Value::NoData(said) = get(&seen, name) else { panic!("{path} {name}: {seen:?}") };
            assert!(said.contains(why) || !exists, "{path} {name}: {said}");
        }
    }
}

#[tokio::test]
async fn what_is_not_read_is_said() {
    let tree = Tree::new(&[("a.txt", "nothing\n")]);
    tree.write("b.bin", b"x\0password = 's3cr3t!pw'");
    tree.write("c.txt", format!("password = 's3cr3t!pw'\n{}", "x".repeat(2000)).as_bytes());
    let outside = Tree::new(&[("d.txt", "password = 's3cr3t!pw'\n")]);
    symlink(outside.at(""), tree.at("link")).expect("linked");
    symlink(outside.at("d.txt"), tree.at("d.txt")).expect("linked");
    let seen = tree.scan(json!({ "secrets": true, "max_size": "1KiB" })).await;
    let Value::Set(skipped) = get(&seen, "skipped") else { panic!("{seen:?}") };
    assert!(skipped.len() == 2 && skipped[0].ends_with("c.txt: too large") && skipped[1].ends_with("b.bin: binary"));
    assert_eq!((number(&seen, "findings_count"), number(&seen, "count")), (0.0, 1.0));
    let said = notes(&seen);
    for part in ["binary and not scanned", "larger than max_size", "symbolic links that were not followed"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn texts_in_utf_16_are_read() {
    let tree = Tree::new(&[]);
    let text = "\u{feff}password = 's3cr3t!pw'\n";
    tree.write("le.txt", &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
    tree.write("be.txt", &text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
    assert_eq!(tree.findings(json!({ "secrets": true })).await.len(), 2);
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_an_error() {
    let tree = Tree::new(&[("a.txt", "nothing\n"), ("b.txt", "password = 's3cr3t!pw'\n")]);
    std::fs::set_permissions(tree.at("b.txt"), std::fs::Permissions::from_mode(0o000)).expect("changed");
    if std::fs::read(tree.at("b.txt")).is_ok() {
        // Root may read everything.
        return;
    }
    let seen = tree.scan(json!({ "secrets": true })).await;
    assert!(cause(&seen).contains("no permission to read"), "{seen:?}");
}

#[tokio::test]
async fn a_scan_that_is_not_awaited_any_more_ends() {
    let tree = Tree::new(&[]);
    for n in 0..400 {
        tree.write(&format!("{n}.txt"), "some words in a line of text\n".repeat(4000).as_bytes());
    }
    let probing = Probing::new();
    let probe = probing.compile("file", WANTS, &json!({ "path": tree.at(""), "secrets": true }).to_string());
    let probe = probe.expect("valid");
    let short = std::time::Duration::from_millis(1);
    assert!(tokio::time::timeout(short, probing.observe(&*probe)).await.is_err(), "400 files in a millisecond");
    // The thread that looks sees it at the next file: the runtime ends, as it waits for its threads.
}

#[test]
fn mistakes_are_said_with_what_to_write() {
    let said = |wants: &[&str], yaml: &str| match Probing::new().compile("file", wants, yaml) {
        Ok(_) => panic!("{yaml} is taken"),
        Err(said) => said.join("\n"),
    };
    let table: &[(&[&str], &str, &str)] = &[
        (&["findings"], "src", "expect-unknown-measure: \"findings\" is measured by a scan"),
        (&["text"], "{ path: src, secrets: true }", "a scan does not measure \"text\""),
        (&["found[paswords]"], "{ path: src, secrets: true }", "no detector \"paswords\" looks here"),
        (&["found[email]"], "{ path: src, secrets: true }", "no detector \"email\" looks here"),
        (&[], "{ path: src, secrets: { only: [pasword] } }", "bad-value: there is no detector \"pasword\" here"),
        (&[], "{ path: src, secrets: { only: [jwt], without: [jwt] } }", "no detector is left"),
        (&[], "{ path: src, secrets: { entropy: 1 } }", "expected bits of entropy"),
        (&[], "{ path: src, allow: x }", "unused-key: \"allow\" has no effect without a scan"),
        (&[], "{ path: src, secrets: true, exclude: ['a['] }", "bad-glob"),
        (&[], "{ path: src, secrets: true, exclude: ['!a'] }", "what is left out"),
        (&[], "{ path: src, secrets: true, allow: '(' }", "bad-regex"),
        (&[], "{ path: src, secrets: true, max_size: 5m }", "bad-quantity"),
        (&[], "{ path: src, parse: env, format: env }", "say the same thing"),
        (&[], "{ secrets: true }", "a file needs a path"),
    ];
    for (wants, yaml, why) in table {
        let found = said(wants, yaml);
        assert!(found.contains(why), "{yaml}: {found}");
    }
}

/// Words, numbers and lines of ordinary files.
fn ordinary() -> impl Strategy<Value = String> {
    let hex = |length: usize| prop::collection::vec(prop::sample::select(HEX.chars().collect::<Vec<_>>()), length);
    let text = |of: Vec<char>| of.into_iter().collect::<String>();
    let base64 = prop::collection::vec(any::<u8>(), 64).prop_map(|bytes| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    });
    prop_oneof![
        any::<u128>().prop_map(|n| {
            let hex = format!("{n:032x}");
            format!("id: {}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        }),
        hex(40).prop_map(move |h| format!("commit {}", text(h))),
        hex(64).prop_map(move |h| format!("checksum = \"{}\"", text(h))),
        hex(64).prop_map(move |h| format!("    --hash=sha256:{}", text(h))),
        hex(64).prop_map(move |h| format!("FROM debian@sha256:{}", text(h))),
        base64.clone().prop_map(|b| format!("      \"integrity\": \"sha512-{b}\",")),
        base64.clone().prop_map(|b| format!("  integrity sha512-{b}")),
        base64.prop_map(|b| format!("golang.org/x/sys v0.30.0 h1:{}=", &b[..43])),
        (1_000_000_000u64..2_000_000_000)
            .prop_map(|t| format!("{{\"ts\": {t}, \"ms\": {t}123, \"us\": {t}123456, \"ns\": {t}123456789}}")),
        (2000u32..2100, 1u32..13, 1u32..29, 0u32..24, 0u32..60).prop_map(|(y, m, d, h, min)| {
            format!(
                "{y}-{m:02}-{d:02}T{h:02}:{min:02}:00.123456+01:00 {y}{m:02}{d:02}{h:02}{min:02}00 {y}{m:02}{d:02}Z"
            )
        }),
        (0u32..100, 0u32..100, 0u32..100, 0u32..10000)
            .prop_map(|(a, b, c, d)| format!("version = \"{a}.{b}.{c}\" v{a}.{b}.{c}-rc.{d} {a}.{b}.{c}.{d}")),
        (0.0..1e9f64, any::<i32>()).prop_map(|(a, b)| format!("x = {a} + {b} * 0.1234567890123456")),
        "[a-z]{1,9}( [a-z]{1,9}){3,12}\\.",
        "[a-z]{1,8}(_[a-z]{1,8}){1,4} = [a-z]{1,8}\\.[a-z]{1,8}\\([a-z]{1,6}\\);",
        "(get|set|is)([A-Z][a-z]{2,9}){2,5}\\(\"([A-Z][a-z]{2,8}){3,6}\"\\)",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn ordinary_text_holds_nothing(lines in prop::collection::vec(ordinary(), 200)) {
        let tree = Tree::new(&[("lines.txt", &lines.join("\n"))]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let found = runtime.block_on(tree.findings(json!({ "secrets": true, "pii": true })));
        prop_assert!(found.is_empty(), "{found:?}\n{}", found.iter().filter_map(|f| {
            let line: usize = f.split(':').nth(1)?.parse().ok()?;
            lines.get(line - 1).cloned()
        }).collect::<Vec<_>>().join("\n"));
    }
}

#[tokio::test]
async fn ordinary_code_holds_nothing() {
    let code = r#"
password = os.environ["DB_PASSWORD"]
password = get_password(user)
PASSWORD: ${DB_PASSWORD}
password: {{ .Values.password }}
parser.add_argument("--password", help="the password")
"password": "Passwort", "password_min_length": "8"
token = lexer.next_token()
self.secret_key = secret_key
api_key: str = Field(default=None)
secretKeyRef: { name: db, key: password }
auth_token = request.headers.get("X-Auth")
url = "http://user:password@localhost:8080/x"
url = f"postgres://{user}:{password}@{host}/db"
proxy: http://proxy.internal:3128
clone git@github.com:owner/name.git, logo@2x.png, someone@example.com
access key AKIAIOSFODNN7EXAMPLE of the documentation
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsomethingthatispublic0123456789abcd host
-----BEGIN PRIVATE KEY----- is how a key begins
class = "com/example/very/Long/Path/To/Some/Class1/Of/Java"
phone: +1 212 555 0123, timeout = +1000000
"#;
    let tree = Tree::new(&[("code.txt", code)]);
    assert_eq!(tree.findings(json!({ "secrets": true, "pii": true })).await, [""; 0]);
    assert!(DETECTORS.iter().any(|d| d.of == Of::Personal));
}
