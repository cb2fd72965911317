//! The probe `http` against a real nginx, a server that misbehaves, and certificates of every kind.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use holdpoint::model::{Found, Observation, Value};
use holdpoint::sys::http::{Connection, Fault, Http, Request};
use serde_json::json;

use crate::support::nginx::{Nginx, free_port};
use crate::support::probing::{Probing, cause, get, measures, number, text};
use crate::support::rogue::{self, Rogue};
use crate::support::secure::{Secure, Shows};

const LOCATIONS: &str = r#"
  location = /health { default_type application/json; add_header X-Build "7-a"; return 200 '{"status":"ok","items":[1,2,3]}'; }
  location = /broken { return 503 "out of order"; }
  location = /moved { return 302 /health; }
  location = /echo { default_type text/plain; return 200 "$request_method $args $http_x_token $content_type"; }
  location /zipped/ { gzip on; gzip_min_length 1; gzip_types *; default_type text/plain; alias www/; }
"#;

fn nginx() -> Nginx {
    Nginx::start(LOCATIONS).expect("nginx is installed")
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut all = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").into_bytes();
    all.extend_from_slice(body);
    all
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("encodes");
    encoder.finish().expect("encodes")
}

async fn get_with(timeout_ms: u64, wants: &[&str], url: &str) -> Observation {
    Probing::new().timeout(Duration::from_millis(timeout_ms)).look("http", wants, url).await
}

#[tokio::test]
async fn a_healthy_service_is_measured_whole() {
    let nginx = nginx();
    let wants = [
        "status",
        "json[$.status]",
        "json[$.items[*]]",
        "json[$.nope]",
        "headers[x-BUILD]",
        "headers[nope]",
        "body",
        "size",
        "version",
        "url",
        "redirects",
    ];
    let probing = Probing::new().inputs(json!({ "base": nginx.url }));
    let look = probing.look("http", &wants, "GET {{ inputs.base }}/health").await;
    assert_eq!(look.request, format!("GET {}/health", nginx.url));
    assert_eq!(number(&look, "status"), 200.0);
    assert!(number(&look, "latency") > 0.0);
    assert_eq!(get(&look, "json[$.status]"), &Value::Json(json!("ok")));
    assert_eq!(get(&look, "json[$.items[*]]"), &Value::Json(json!([1, 2, 3])));
    assert!(matches!(get(&look, "json[$.nope]"), Value::Missing(why) if why.contains("status, items")), "{look:?}");
    assert_eq!(text(&look, "headers[x-BUILD]"), "7-a");
    assert!(matches!(get(&look, "headers[nope]"), Value::Missing(_)));
    assert_eq!(number(&look, "size"), 31.0);
    assert_eq!(text(&look, "version"), "HTTP/1.1");
    assert_eq!(text(&look, "url"), format!("{}/health", nginx.url));
    assert_eq!(number(&look, "redirects"), 0.0);
    assert_eq!(look.evidence[0].text, text(&look, "body"));
}

#[tokio::test]
async fn only_what_is_wanted_is_taken() {
    let nginx = nginx();
    let look = get_with(5000, &["status"], &format!("{}/health", nginx.url)).await;
    let names: Vec<_> = measures(&look).iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["status", "latency"]);
    assert!(look.evidence.is_empty());
    let look = get_with(5000, &["status"], &format!("{}/broken", nginx.url)).await;
    assert_eq!((number(&look, "status"), look.evidence[0].text.as_str()), (503.0, "out of order"));
}

#[tokio::test]
async fn an_expression_gets_the_whole_of_json_and_headers() {
    let nginx = nginx();
    let look = get_with(5000, &["json", "headers"], &format!("{}/health", nginx.url)).await;
    assert_eq!(get(&look, "json"), &Value::Json(json!({ "status": "ok", "items": [1, 2, 3] })));
    assert_eq!(text(&look, "headers[content-type]"), "application/json");
}

#[tokio::test]
async fn method_query_headers_and_bodies_arrive() {
    let rogue = Rogue::answering(answer("200 OK\r\ncontent-length: 0", b""));
    let probing =
        Probing::new().inputs(json!({ "q": "a b&c=d", "n": 5, "v": "1.10", "token": "t\u{e4}", "who": "x\"y" }));
    let send = async |yaml: &str| {
        probing.look("http", &["status"], &yaml.replace("URL", &rogue.url("/p?a=1"))).await;
        rogue.asked().pop().expect("a request")
    };
    let asked =
        send("{ url: URL, query: { q: '{{ inputs.q }}', r: [1, 2] }, headers: { X-A: b }, auth: { bearer: abc } }")
            .await;
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/p?a=1&q=a+b%26c%3Dd&r=1&r=2"));
    assert_eq!((asked.header("x-a"), asked.header("authorization")), (Some("b"), Some("Bearer abc")));
    assert!(asked.header("user-agent").is_some_and(|agent| agent.starts_with("holdpoint/")), "{asked:?}");

    let asked = send(
        "{ url: URL, json: { n: '{{ inputs.n }}', v: '{{ inputs.v }}', list: [true, null, 'is {{ inputs.who }}'] } }",
    )
    .await;
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.body, r#"{"n":5,"v":"1.10","list":[true,null,"is x\"y"]}"#);
    assert_eq!(asked.header("content-type"), Some("application/json"));

    let asked = send("{ url: PUT URL, json: '{\"who\": \"{{ inputs.who }}\", \"n\": {{ inputs.n }}}' }").await;
    assert_eq!((asked.method.as_str(), asked.body.as_str()), ("PUT", r#"{"who": "x\"y", "n": 5}"#));

    let asked = send("{ url: URL, method: PATCH, form: { a: '{{ inputs.q }}', b: [1, 2] } }").await;
    assert_eq!((asked.method.as_str(), asked.body.as_str()), ("PATCH", "a=a+b%26c%3Dd&b=1&b=2"));

    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "content").expect("written");
    let asked =
        send(&format!("{{ url: URL, file: '{}', headers: {{ Content-Type: text/csv }} }}", file.path().display()))
            .await;
    assert_eq!((asked.body.as_str(), asked.header("content-type")), ("content", Some("text/csv")));

    let asked = send("{ url: URL, auth: { basic: { user: me, password: 'p:w' } } }").await;
    assert_eq!(asked.header("authorization"), Some("Basic bWU6cDp3"));
    let asked = send("{ url: URL, auth: { header: { X-Api-Key: '{{ inputs.n }}' } } }").await;
    assert_eq!(asked.header("x-api-key"), Some("5"));
    let asked = send("{ url: URL, headers: { X-Token: '{{ inputs.token }}' } }").await;
    assert_eq!(asked.header("x-token"), Some("t\u{e4}"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_an_error_and_no_failure() {
    let rogue = Rogue::answering(answer("200 OK\r\ncontent-length: 0", b""));
    let probing = Probing::new().inputs(json!({ "line": "a\r\nX-Evil: 1" }));
    for part in [
        "headers: { X-A: '{{ inputs.line }}' }",
        "file: /nowhere/at/all",
        "file: /dev/zero",
        "tls: { ca: /nowhere.pem }",
    ] {
        let url = rogue.url("/").replace("http:", if part.starts_with("tls") { "https:" } else { "http:" });
        let look = probing.look("http", &["status"], &format!("{{ url: '{url}', {part} }}")).await;
        assert!(matches!(&look.found, Found::CouldNotLook { retry: false, .. }), "{part}: {look:?}");
    }
    assert!(rogue.asked().is_empty());
}

#[tokio::test]
async fn redirects_are_followed_counted_and_told() {
    let nginx = nginx();
    let url = format!("{}/moved", nginx.url);
    let look = get_with(5000, &["redirects", "url"], &url).await;
    assert_eq!((number(&look, "status"), number(&look, "redirects")), (200.0, 1.0));
    assert_eq!(text(&look, "url"), format!("{}/health", nginx.url));
    assert!(look.notes.iter().any(|note| note.text.starts_with("followed a redirect")), "{look:?}");
    let look = get_with(5000, &[], &format!("{{ url: '{url}', redirects: 0 }}")).await;
    assert_eq!(number(&look, "status"), 302.0);
}

#[tokio::test]
async fn redirects_that_never_end_are_named() {
    let circle = Rogue::start(|asked, stream| {
        let to = if asked.path == "/a" { "/b" } else { "/a" };
        rogue::write(stream, &answer(&format!("302 Found\r\ncontent-length: 0\r\nlocation: {to}"), b""));
    });
    assert!(cause(&get_with(5000, &[], &circle.url("/a")).await).contains("circle"));
    let endless = Rogue::start(|asked, stream| {
        let to = asked.path.len();
        rogue::write(stream, &answer(&format!("302 Found\r\ncontent-length: 0\r\nlocation: {}{to}", asked.path), b""));
    });
    assert!(cause(&get_with(5000, &[], &endless.url("/")).await).starts_with("more than 10 redirects"));
    assert_eq!(endless.asked().len(), 11);
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let other = Rogue::answering(answer("200 OK\r\ncontent-length: 2", b"ok"));
    let target = other.url("/");
    let first = Rogue::start(move |_, stream| {
        let head = format!("302 Found\r\ncontent-length: 0\r\nlocation: {target}");
        rogue::write(stream, &answer(&head, b""));
    });
    let yaml = format!(
        "{{ url: '{}', headers: {{ X-Api-Key: s3cret, Cookie: c=s3cret, Accept: text/plain }}, auth: {{ bearer: s3cret }} }}",
        first.url("/")
    );
    let look = Probing::new().look("http", &[], &yaml).await;
    assert_eq!(number(&look, "status"), 200.0);
    assert_eq!(first.asked()[0].header("x-api-key"), Some("s3cret"));
    let asked = format!("{:?}", other.asked());
    assert!(!asked.contains("s3cret") && asked.contains("text/plain"), "{asked}");
    assert!(
        look.notes.iter().any(|n| n.text.contains("without the headers") && n.text.contains("x-api-key")),
        "{look:?}"
    );
    assert!(!format!("{look:?}").contains("s3cret"));
}

#[tokio::test]
async fn gzip_is_decoded_and_a_bomb_is_cut() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let small = gzip(br#"{"ok": true}"#);
    let mut cut = small.clone();
    cut.truncate(small.len() - 6);
    let rogue = Rogue::start(move |asked, stream| {
        let body = match asked.path.as_str() {
            "/bomb" => &bomb,
            "/cut" => &cut,
            _ => &small,
        };
        let head = format!("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}", body.len());
        rogue::write(stream, &answer(&head, body));
    });
    let wants = ["json[$.ok]", "size"];
    let look = get_with(10_000, &wants, &rogue.url("/small")).await;
    assert_eq!((get(&look, "json[$.ok]"), number(&look, "size")), (&Value::Json(json!(true)), 12.0));
    let look = get_with(10_000, &wants, &rogue.url("/bomb")).await;
    assert_eq!(number(&look, "status"), 200.0);
    for name in wants {
        assert!(
            matches!(get(&look, name), Value::NoData(why) if why.contains("larger than 10MiB")),
            "{name}: {look:?}"
        );
    }
    let look = get_with(10_000, &wants, &rogue.url("/cut")).await;
    assert!(matches!(get(&look, "json[$.ok]"), Value::NoData(why) if why.contains("gzip")), "{look:?}");
    assert_eq!(number(&look, "status"), 200.0);
}

#[tokio::test]
async fn bodies_that_never_end_are_cut_or_timed_out() {
    let rogue = Rogue::start(|asked, stream| {
        rogue::write(stream, b"HTTP/1.1 200 OK\r\n\r\n");
        match asked.path.as_str() {
            "/endless" => rogue::forever(stream, &[b'x'; 65_536], Duration::ZERO),
            "/slow" => rogue::forever(stream, b"x", Duration::from_millis(20)),
            _ => {
                rogue::write(stream, &[b'x'; 1234]);
                rogue::stall(stream);
            }
        }
    });
    let begun = Instant::now();
    let look = get_with(10_000, &["body"], &rogue.url("/endless")).await;
    assert!(matches!(get(&look, "body"), Value::NoData(why) if why.contains("larger than")), "{look:?}");
    let look = get_with(500, &["body"], &rogue.url("/slow")).await;
    assert!(matches!(get(&look, "body"), Value::NoData(why) if why.contains("still coming after 500ms")), "{look:?}");
    let look = get_with(500, &["body"], &rogue.url("/stalled")).await;
    let expected = "the body stalled after 1,234 bytes";
    assert!(matches!(get(&look, "body"), Value::NoData(why) if why.starts_with(expected)), "{look:?}");
    assert_eq!(number(&look, "status"), 200.0);
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn answers_that_break_off_or_are_no_http_are_named() {
    let rogue = Rogue::start(|asked, stream| match asked.path.as_str() {
        "/short" => rogue::write(stream, &answer("200 OK\r\ncontent-length: 5000", &[b'x'; 1000])),
        "/nonsense" => rogue::write(stream, b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        "/flood" => {
            rogue::write(stream, b"HTTP/1.1 200 OK\r\n");
            rogue::forever(stream, &b"x-flood: 1234567890\r\n".repeat(100), Duration::ZERO);
        }
        "/giant" => {
            rogue::write(stream, b"HTTP/1.1 200 OK\r\nx-giant: ");
            rogue::forever(stream, &[b'x'; 65_536], Duration::ZERO);
        }
        "/silent" => rogue::stall(stream),
        _ => {}
    });
    let look = get_with(5000, &["body"], &rogue.url("/short")).await;
    let expected = "the connection closed after 1,000 of 5,000 bytes of the body";
    assert_eq!(get(&look, "body"), &Value::NoData(expected.into()));
    assert_eq!(get(&look, "latency"), &Value::NoData(expected.into()));
    for (path, part) in [
        ("/nonsense", "did not answer in HTTP"),
        ("/flood", "too large"),
        ("/giant", "too large"),
        ("/closed", "closed the connection before an answer came"),
        ("/silent", "within 500ms"),
    ] {
        let look = get_with(if path == "/silent" { 500 } else { 5000 }, &[], &rogue.url(path)).await;
        assert!(cause(&look).contains(part), "{path}: {}", cause(&look));
    }
    let look = get_with(5000, &[], &format!("http://127.0.0.1:{}/", free_port())).await;
    assert!(cause(&look).starts_with("connection refused by 127.0.0.1:"), "{look:?}");
    let look = get_with(9000, &[], "http://nowhere.invalid/").await;
    assert!(cause(&look).contains("nowhere.invalid"), "{look:?}");
}

#[tokio::test]
async fn what_is_no_json_is_no_data_and_says_why() {
    let rogue = Rogue::start(|asked, stream| {
        let body = if asked.path == "/deep" { vec![b'['; 200_000] } else { b"<html>Bad gateway".to_vec() };
        rogue::write(
            stream,
            &answer(&format!("200 OK\r\ncontent-type: text/html\r\ncontent-length: {}", body.len()), &body),
        );
    });
    let look = get_with(5000, &["json[$.a]"], &rogue.url("/")).await;
    assert!(
        matches!(get(&look, "json[$.a]"), Value::NoData(why) if why.contains("text/html") && why.contains("<html>")),
        "{look:?}"
    );
    let look = get_with(5000, &["json[$.a]"], &rogue.url("/deep")).await;
    assert!(matches!(get(&look, "json[$.a]"), Value::NoData(why) if why.contains("not JSON")), "{look:?}");
}

#[tokio::test]
async fn certificates_are_judged_each_fault_by_its_name() {
    for (shows, part) in [
        (Shows::Expired, "the certificate expired on 2020-01-01"),
        (Shows::WrongName, "the certificate is for other.test, not for localhost"),
        (Shows::SelfSigned, "the certificate is self-signed"),
    ] {
        let server = Secure::start(shows).await;
        let yaml = format!("{{ url: '{}', tls: {{ ca: '{}' }} }}", server.url(), server.ca().display());
        for wants in [&["status"][..], &["timing.tls"]] {
            let look = Probing::new().look("http", wants, &yaml).await;
            assert!(cause(&look).contains(part), "{shows:?}: {}", cause(&look));
        }
    }
    let server = Secure::start(Shows::Good).await;
    let look = get_with(9000, &[], &server.url()).await;
    assert!(cause(&look).contains("issuer is not trusted: CN=Test Authority"), "{}", cause(&look));
    let plain = nginx();
    let look = get_with(9000, &[], &plain.url.replace("http:", "https:")).await;
    assert!(cause(&look).starts_with("the server does not speak TLS on this port"), "{}", cause(&look));
}

#[tokio::test]
async fn a_good_certificate_is_measured_and_an_unchecked_one_is_marked() {
    let server = Secure::start(Shows::Good).await;
    let wants = [
        "tls.expires_in",
        "tls.issuer",
        "tls.subject",
        "timing.tls",
        "timing.dns",
        "timing.connect",
        "timing.first_byte",
    ];
    let yaml = format!("{{ url: '{}', tls: {{ ca: '{}' }} }}", server.url(), server.ca().display());
    for wants in [&wants[..3], &wants[..]] {
        let look = Probing::new().look("http", wants, &yaml).await;
        assert_eq!(number(&look, "status"), 200.0);
        assert!(number(&look, "tls.expires_in") > 86_400.0 * 365.0 * 50.0);
        assert!(text(&look, "tls.issuer").contains("Test Authority"));
        assert!(text(&look, "tls.subject").contains("localhost"));
        if wants.len() > 3 {
            assert!(number(&look, "timing.tls") > 0.0 && number(&look, "timing.first_byte") > 0.0);
        }
        assert!(look.notes.is_empty(), "{look:?}");
    }
    let expired = Secure::start(Shows::Expired).await;
    let yaml = format!("{{ url: '{}', tls: {{ insecure: true }} }}", expired.url());
    let look = Probing::new().look("http", &["tls.expires_in"], &yaml).await;
    assert!(number(&look, "tls.expires_in") < 0.0);
    assert!(look.notes.iter().any(|note| note.text.contains("insecure")), "{look:?}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let server = Secure::start(Shows::AsksBack).await;
    let (url, ca, client) = (server.url(), server.ca(), server.client());
    for wants in [&["status"][..], &["timing.tls"]] {
        let yaml = format!("{{ url: '{url}', tls: {{ ca: '{}', cert: '{}' }} }}", ca.display(), client.display());
        let look = Probing::new().look("http", wants, &yaml).await;
        assert_eq!(number(&look, "status"), 200.0);
        let yaml = format!("{{ url: '{url}', tls: {{ ca: '{}' }} }}", ca.display());
        let look = Probing::new().look("http", wants, &yaml).await;
        assert!(cause(&look).contains("the server wants a client certificate"), "{}", cause(&look));
    }
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_in_time() {
    // Connections wait in the backlog; nobody ever answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://{}/", listener.local_addr().expect("an address"));
    let begun = Instant::now();
    let look = get_with(300, &["status"], &url).await;
    assert!(cause(&look).starts_with("no answer from 127.0.0.1:"), "{look:?}");
    let look = get_with(300, &["timing.tls"], &url).await;
    assert!(cause(&look).starts_with("no TLS handshake with 127.0.0.1:"), "{look:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_look_that_is_dropped_closes_its_connection() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let rogue = Rogue::start(move |_, stream| {
        rogue::stall(stream);
        let _ = sender.send(());
    });
    for wants in [&["status"][..], &["timing.dns"]] {
        let probing = Probing::new();
        let probe = probing.compile("http", wants, &rogue.url("/")).expect("valid");
        let looked = tokio::time::timeout(Duration::from_millis(200), probing.observe(&*probe)).await;
        assert!(looked.is_err(), "the server never answers");
        let gone = tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await;
        assert!(gone.is_ok(), "the connection is still open: {wants:?}");
    }
}

#[tokio::test]
async fn phases_are_timed_on_a_connection_of_their_own() {
    let nginx = nginx();
    let wants = ["timing.connect", "timing.tls", "tls.issuer", "body"];
    let look = get_with(5000, &wants, &format!("{}/moved", nginx.url)).await;
    assert_eq!(number(&look, "status"), 200.0);
    assert!(number(&look, "timing.connect") > 0.0 && number(&look, "timing.first_byte") > 0.0);
    assert!(matches!(get(&look, "timing.tls"), Value::Missing(_)), "{look:?}");
    assert!(matches!(get(&look, "tls.issuer"), Value::Missing(_)), "{look:?}");
    assert!(text(&look, "body").contains("ok"));
}

#[tokio::test]
async fn a_compressing_server_is_understood() {
    let nginx = nginx();
    let plain = "a line that repeats itself\n".repeat(1000);
    nginx.put("text", &plain);
    for wants in [&["body", "headers[content-encoding]"][..], &["body", "headers[content-encoding]", "timing.dns"]] {
        let look = get_with(5000, wants, &format!("{}/zipped/text", nginx.url)).await;
        assert_eq!(text(&look, "headers[content-encoding]"), "gzip");
        assert_eq!(text(&look, "body"), plain);
    }
    let look = get_with(5000, &["size"], &format!("HEAD {}/zipped/text", nginx.url)).await;
    assert_eq!((number(&look, "status"), number(&look, "size")), (200.0, 0.0));
}

#[tokio::test]
async fn http2_is_spoken_when_insisted_on() {
    let port = free_port();
    let nginx = Nginx::start(&format!("{LOCATIONS}\n  listen 127.0.0.1:{port} http2;")).expect("nginx is installed");
    for wants in [&["version", "body"][..], &["version", "body", "timing.connect"]] {
        let yaml = format!("{{ url: 'http://127.0.0.1:{port}/health', version: 2 }}");
        let look = Probing::new().look("http", wants, &yaml).await;
        assert_eq!((number(&look, "status"), text(&look, "version")), (200.0, "HTTP/2"));
        let yaml = format!("{{ url: '{}/health', version: 2 }}", nginx.url);
        let look = Probing::new().look("http", wants, &yaml).await;
        assert!(cause(&look).starts_with("no answer in HTTP/2"), "{}", cause(&look));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_endless_bodies_at_once_end_in_time_and_bounds() {
    let rogue = Rogue::start(|_, stream| {
        rogue::write(stream, b"HTTP/1.1 200 OK\r\n\r\n");
        rogue::forever(stream, &[b'x'; 65_536], Duration::ZERO);
    });
    let probing = Probing::new().timeout(Duration::from_secs(30));
    let probe = probing.compile("http", &["body"], &rogue.url("/")).expect("valid");
    let looks = futures_util::future::join_all((0..40).map(|_| probing.observe(&*probe))).await;
    for look in looks {
        assert!(matches!(get(&look, "body"), Value::NoData(why) if why.contains("larger than")), "{look:?}");
        assert_eq!(look.evidence[0].text.len(), 2048);
    }
}

#[tokio::test]
async fn names_resolve_as_told_with_and_without_timing() {
    let nginx = nginx();
    let yaml =
        format!("{{ url: 'http://service.test:{}/health', resolve: {{ service.test: 127.0.0.1 }} }}", nginx.port);
    for wants in [&["status"][..], &["timing.dns"]] {
        assert_eq!(number(&Probing::new().look("http", wants, &yaml).await, "status"), 200.0);
    }
}

#[tokio::test]
async fn a_proxy_is_looked_through() {
    let proxy = Rogue::answering(answer("200 OK\r\ncontent-length: 0", b""));
    let yaml = format!("{{ url: 'http://service.test/x', proxy: 'http://{}' }}", proxy.address);
    let look = Probing::new().look("http", &[], &yaml).await;
    assert_eq!(number(&look, "status"), 200.0);
    assert_eq!(proxy.asked()[0].path, "http://service.test/x");
    assert!(look.through.is_some_and(|through| through.starts_with("proxy http://127.0.0.1")));
    let yaml = format!("{{ url: 'http://service.test/x', proxy: 'http://127.0.0.1:{}' }}", free_port());
    let look = Probing::new().look("http", &[], &yaml).await;
    assert!(matches!(&look.found, Found::CouldNotLook { .. }), "{look:?}");
}

#[tokio::test]
async fn a_burst_measures_every_answer() {
    let rogue = Rogue::start({
        let count = std::sync::atomic::AtomicUsize::new(0);
        move |_, stream| {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let head = if n.is_multiple_of(4) { "503 Service Unavailable" } else { "200 OK" };
            rogue::write(stream, &answer(&format!("{head}\r\ncontent-length: 0"), b""));
        }
    });
    let yaml = format!("{{ url: '{}', times: 20, parallel: 4 }}", rogue.url("/"));
    let wants = ["statuses[200]", "statuses[5xx]", "statuses[404]", "statuses[none]", "latency.p95"];
    let look = Probing::new().look("http", &wants, &yaml).await;
    let counts = ["statuses[200]", "statuses[5xx]", "statuses[404]", "statuses[none]"].map(|name| number(&look, name));
    assert_eq!(counts, [15.0, 5.0, 0.0, 0.0]);
    assert_eq!(number(&look, "error_rate"), 0.25);
    assert!(number(&look, "latency.p50") <= number(&look, "latency.max") && number(&look, "rate") > 0.0);
    let Value::Series(series) = get(&look, "status") else { panic!("{look:?}") };
    assert_eq!(series.iter().map(|s| s.value).collect::<Vec<_>>(), [200.0, 503.0]);
    assert_eq!(rogue.asked().len(), 20);
}

#[tokio::test]
async fn a_burst_without_answers_or_time_is_no_answer() {
    let yaml = format!("{{ url: 'http://127.0.0.1:{}/', times: 5 }}", free_port());
    let look = Probing::new().look("http", &["error_rate"], &yaml).await;
    assert!(cause(&look).starts_with("none of 5 requests was answered: connection refused"), "{look:?}");
    let slow = Rogue::start(|_, stream| {
        std::thread::sleep(Duration::from_millis(200));
        rogue::write(stream, &answer("200 OK\r\ncontent-length: 0", b""));
    });
    let yaml = format!("{{ url: '{}', times: 100 }}", slow.url("/"));
    let look = get_with(700, &["error_rate"], &yaml).await;
    assert!(cause(&look).starts_with("the burst did not end within 700ms"), "{look:?}");
}

#[tokio::test]
async fn an_idle_connection_that_closes_is_no_failure() {
    // The first request of each connection is dropped once, as when a server closes an idle connection in that moment.
    let rogue = Rogue::start({
        let first = std::sync::atomic::AtomicBool::new(true);
        move |_, stream| {
            if !first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                rogue::write(stream, &answer("200 OK\r\ncontent-length: 0", b""));
            }
        }
    });
    let look = get_with(5000, &[], &rogue.url("/")).await;
    assert_eq!(number(&look, "status"), 200.0);
    assert!(look.notes.iter().any(|note| note.text.starts_with("sent a second time")), "{look:?}");
    assert_eq!(rogue.asked().len(), 2);
}

fn request(url: &str, timeout: Duration) -> Request {
    Request {
        method: "GET".into(),
        url: url.into(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
        timeout,
        max_body: 1000,
        max_redirects: 5,
        connection: Connection::default(),
        timed: false,
    }
}

#[tokio::test]
async fn a_stream_is_decoded_piece_by_piece_without_a_bound() {
    let plain = b"one line of a long log\n".repeat(1 << 19);
    let zipped = gzip(&plain);
    let rogue = Rogue::start(move |asked, stream| match asked.path.as_str() {
        "/" => rogue::write(stream, &answer("302 Found\r\ncontent-length: 0\r\nlocation: /log", b"")),
        "/log" => {
            let head = format!("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}", zipped.len());
            rogue::write(stream, &answer(&head, &zipped));
        }
        _ => {
            rogue::write(stream, b"HTTP/1.1 200 OK\r\n\r\nbeginning");
            rogue::stall(stream);
        }
    });
    let http = Http::new();
    let mut streaming = http.stream(&request(&rogue.url("/"), Duration::from_secs(20))).await.expect("an answer");
    assert_eq!((streaming.status, streaming.header("content-encoding")), (200, Some("gzip")));
    let (mut length, mut largest) = (0, 0);
    while let Some(piece) = streaming.next().await {
        let piece = piece.expect("a good body");
        assert!(plain[length..].starts_with(&piece));
        length += piece.len();
        largest = largest.max(piece.len());
    }
    assert_eq!(length, plain.len());
    assert!(largest <= 4 << 20, "{largest}");

    let mut stalled = http.stream(&request(&rogue.url("/x"), Duration::from_millis(300))).await.expect("an answer");
    assert_eq!(stalled.next().await.and_then(Result::ok).as_deref(), Some(&b"beginning"[..]));
    let error = stalled.next().await.and_then(Result::err).expect("a fault");
    assert_eq!(error.kind, Fault::Timeout);
    assert!(stalled.next().await.is_none());
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let nginx = Nginx::start("  location / { return 200 $connection; }").expect("nginx is installed");
    let http = Http::new();
    let mut connections = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let response = http.send(&request(&nginx.url, Duration::from_secs(5))).await.expect("an answer");
        assert!(response.is_complete());
        connections.insert(response.body);
    }
    assert_eq!(connections.len(), 1);
}

#[test]
fn mistakes_are_said_before_anything_runs() {
    let probing = Probing::new().inputs(json!({ "bad": "ftp://x" }));
    for (yaml, code) in [
        ("localhost:8080/health", "bad-url"),
        ("/health", "bad-url"),
        ("ftp://host/x", "bad-url"),
        ("http://", "bad-url"),
        ("'{{ inputs.bad }}/x'", "bad-url"),
        ("ftp://{{ captured.host }}/x", "bad-url"),
        ("FETCH http://h/", "bad-value"),
        ("get http://h/", "bad-value"),
        ("{ url: GET http://h/, method: GET }", "bad-value"),
        ("{ url: http://h/, body: a, json: {} }", "bad-value"),
        ("{ url: http://h/, json: '{\"a\": }' }", "bad-value"),
        ("{ url: http://h/, headers: { 'a b': c } }", "bad-value"),
        ("{ url: http://h/, parallel: 3 }", "missing-key"),
        ("{ url: http://h/, max_body: 5s }", "bad-quantity"),
        ("{ url: http://h/, redirects: 11 }", "bad-value"),
        ("{ url: http://h/, auth: { bearer: a, basic: { user: a, password: b } } }", "bad-value"),
        ("{ url: http://h/, timeout: 5s }", "unknown-key"),
        ("{ method: GET }", "missing-key"),
        ("{ url: 'http://h/{{ inputs. }}' }", "bad-template"),
    ] {
        let said = probing.compile("http", &[], yaml).err().unwrap_or_default();
        assert!(said.iter().any(|message| message.starts_with(code)), "{yaml}: {said:?}");
    }
    for (yaml, want) in [
        ("http://h/", "error_rate"),
        ("{ url: http://h/, times: 5 }", "body"),
        ("{ url: http://h/, times: 5 }", "statuses[2x]"),
    ] {
        let said = probing.compile("http", &[want], yaml).err().unwrap_or_default();
        assert!(said.iter().any(|message| message.starts_with("expect-unknown-measure")), "{yaml}: {said:?}");
    }
}

#[test]
fn host_and_description_are_known_before_looking() {
    let probing = Probing::new().inputs(json!({ "base": "https://h.test" }));
    let probe = probing.compile("http", &[], "POST {{ inputs.base }}/x").expect("valid");
    assert_eq!(probe.describe(), "POST {{ inputs.base }}/x");
    assert!(probe.silence_is_failure());
    let scope = holdpoint::template::Scope::new(serde_json::Map::from_iter([(
        "inputs".to_owned(),
        json!({ "base": "https://h.test" }),
    )]));
    assert_eq!(probe.host(&scope).as_deref(), Some("h.test:443"));
}
