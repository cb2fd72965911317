//! The probe `tls` against servers that show good and bad certificates, and servers that speak no TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use holdpoint::model::{Expectation, Found, Literal, Matcher, Observation, Value};

use crate::support::nginx::free_port;
use crate::support::probing::{Probing, cause, get, number, text};
use crate::support::rogue::stall;
use crate::support::secure::{Secure, Shows};

const DAY: f64 = 86_400.0;

async fn look(server: &Secure, rest: &str) -> Observation {
    let yaml = format!("{{ address: 'localhost:{}', {rest} }}", server.address.port());
    Probing::new().look("tls", &["expires_in"], &yaml).await
}

async fn trusting(server: &Secure, rest: &str) -> Observation {
    look(server, &format!("ca: '{}'{rest}", server.ca().display())).await
}

fn valid(look: &Observation) -> bool {
    get(look, "chain_valid") == &Value::Bool(true)
}

#[tokio::test]
async fn a_good_chain_is_valid_and_measured() {
    let server = Secure::start(Shows::Good).await;
    let look = trusting(&server, ", alpn: [h2, http/1.1]").await;
    assert!(valid(&look), "{look:?}");
    assert!(number(&look, "expires_in") > 30_000.0 * DAY);
    assert_eq!(number(&look, "chain_expires_in"), number(&look, "expires_in"));
    assert_eq!(get(&look, "names"), &Value::Set(vec!["localhost".into()]));
    assert_eq!((text(&look, "issuer"), text(&look, "subject")), ("CN=Test Authority", "CN=localhost"));
    assert_eq!((text(&look, "fingerprint").len(), number(&look, "version")), (64, 1.3));
    assert!(!text(&look, "serial").is_empty() && number(&look, "latency") > 0.0);
    assert_eq!(get(&look, "self_signed"), &Value::Bool(false));
    assert!(matches!(get(&look, "reason"), Value::Missing(_)));
    assert!(matches!(get(&look, "alpn"), Value::Missing(_)), "this server agrees on nothing: {look:?}");
    assert!(look.notes.is_empty() && look.evidence.iter().any(|e| e.text.contains("CN=localhost")));
}

#[tokio::test]
async fn a_bad_chain_is_measured_and_never_trusted() {
    for (shows, reason) in [
        (Shows::Expired, "the certificate expired on 2020-01-01"),
        (Shows::WrongName, "the certificate is for other.test, not for localhost"),
        (Shows::SelfSigned, "the certificate is self-signed"),
    ] {
        let server = Secure::start(shows).await;
        let look = trusting(&server, "").await;
        assert!(!valid(&look), "{shows:?}: {look:?}");
        assert!(text(&look, "reason").starts_with(reason), "{shows:?}: {look:?}");
        assert!(look.notes.iter().any(|n| n.text.contains(reason)), "{look:?}");
        assert_eq!(number(&look, "expires_in") < 0.0, shows == Shows::Expired);
        assert_eq!(get(&look, "self_signed"), &Value::Bool(shows == Shows::SelfSigned));
    }
    let unknown = Secure::start(Shows::Good).await;
    let found = look(&unknown, "alpn: h2").await;
    assert!(!valid(&found) && text(&found, "reason").contains("issuer is not trusted: CN=Test Authority"), "{found:?}");
}

#[tokio::test]
async fn the_name_that_is_asked_for_counts() {
    let server = Secure::start(Shows::WrongName).await;
    assert!(valid(&trusting(&server, ", server_name: other.test").await));
    assert!(!valid(&trusting(&server, ", server_name: third.test").await));
}

#[test]
fn the_chain_must_be_valid_unless_the_step_judges_it() {
    let implied = |wants: &[&str]| Probing::new().compile("tls", wants, "localhost:443").expect("valid").implied();
    let Some(Expectation::Measure { name, matcher, .. }) = implied(&["expires_in"]) else { panic!("nothing") };
    assert_eq!((name.to_string(), matcher), ("chain_valid".into(), Matcher::Equals(Literal::Bool(true))));
    assert!(implied(&["chain_valid"]).is_none() && implied(&["self_signed"]).is_none());
}

/// Starts a server that does something with one connection after another.
fn serve(script: impl Fn(&mut std::net::TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
            script(&mut stream);
        }
    });
    address.to_string()
}

async fn fault(address: &str) -> Observation {
    Probing::new().timeout(Duration::from_secs(2)).look("tls", &[], address).await
}

#[tokio::test]
async fn servers_without_a_handshake_have_failed() {
    let plain = serve(|stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    // A record of TLS 1.0 with the alert that says: protocol_version.
    let old = serve(|stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(&[21, 3, 1, 0, 2, 2, 70]);
        let _ = stream.read(&mut [0; 1024]);
    });
    let closing = serve(|_| ());
    let stalled = serve(stall);
    let nobody = format!("127.0.0.1:{}", free_port());
    for (address, why) in [
        (&plain, "does not speak TLS"),
        (&old, "ProtocolVersion"),
        (&closing, "during the TLS handshake"),
        (&stalled, "no TLS handshake with"),
        (&nobody, "connection refused"),
    ] {
        let look = fault(address).await;
        assert!(matches!(look.found, Found::NoAnswer { .. }), "{look:?}");
        let said = cause(&look);
        assert!(said.contains(why) || why.contains("during") && said.contains("reset"), "{why}: {look:?}");
    }
}

#[tokio::test]
async fn what_this_side_lacks_is_an_error() {
    let server = Secure::start(Shows::Good).await;
    let found = look(&server, "ca: no/such.pem").await;
    assert!(matches!(found.found, Found::CouldNotLook { .. }) && cause(&found).contains("no/such.pem"), "{found:?}");
    for bad in ["localhost", "https://localhost", "'[::1]'"] {
        let said = Probing::new().compile("tls", &[], bad).err().unwrap_or_default();
        assert!(said.iter().any(|m| m.starts_with("bad-address")), "{bad}: {said:?}");
    }
}

/// Starts a server that speaks another protocol first, and then hands the bytes on to a TLS server.
fn before(server: &Secure, greeting: fn(&mut std::net::TcpStream) -> Option<()>) -> String {
    let inner = server.address;
    serve(move |stream| {
        if greeting(stream).is_none() {
            return;
        }
        let mut to = std::net::TcpStream::connect(inner).expect("the server");
        let (mut from, mut back) = (stream.try_clone().expect("a stream"), stream.try_clone().expect("a stream"));
        let mut answers = to.try_clone().expect("a stream");
        std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    })
}

fn heard(stream: &mut std::net::TcpStream, wanted: &[u8]) -> Option<()> {
    let mut bytes = vec![0; wanted.len()];
    stream.read_exact(&mut bytes).ok()?;
    (bytes == wanted).then_some(())
}

#[tokio::test]
async fn starttls_speaks_the_protocol_before() {
    let server = Secure::start(Shows::Good).await;
    let smtp = before(&server, |stream| {
        stream.write_all(b"220-mail.test\r\n220 ready\r\n").ok()?;
        heard(stream, b"EHLO holdpoint\r\n")?;
        stream.write_all(b"250-mail.test\r\n250-SIZE 100\r\n250-StartTLS\r\n250 HELP\r\n").ok()?;
        heard(stream, b"STARTTLS\r\n")?;
        stream.write_all(b"220 go ahead\r\n").ok()
    });
    let imap = before(&server, |stream| {
        stream.write_all(b"* OK ready\r\n").ok()?;
        heard(stream, b"a1 STARTTLS\r\n")?;
        stream.write_all(b"* some news\r\na1 OK begin\r\n").ok()
    });
    let postgres = before(&server, |stream| {
        heard(stream, &[0, 0, 0, 8, 4, 210, 22, 47])?;
        stream.write_all(b"S").ok()
    });
    for (address, word) in [(&smtp, "smtp"), (&imap, "imap"), (&postgres, "postgres")] {
        let yaml = format!(
            "{{ address: '{address}', server_name: localhost, starttls: {word}, ca: '{}' }}",
            server.ca().display()
        );
        let look = Probing::new().look("tls", &[], &yaml).await;
        assert!(valid(&look), "{word}: {look:?}");
    }
    for (script, word, why) in [
        ((|s| s.write_all(b"220 hi\r\n").ok()) as fn(&mut std::net::TcpStream) -> Option<()>, "imap", "greet as IMAP"),
        (|s| s.write_all(b"* OK hi\r\n").ok(), "smtp", "does not speak SMTP"),
        (|s| s.write_all(b"220 hi\r\n250 HELP\r\n").ok(), "smtp", "does not offer STARTTLS"),
        (|s| s.write_all(b"N").ok(), "postgres", "does not offer TLS"),
        (|s| s.write_all(&[b'x'; 4000]).ok(), "smtp", "more than 1024 bytes"),
    ] {
        let address = serve(move |stream| {
            script(stream);
            let _ = stream.read(&mut [0; 64]);
            stall(stream);
        });
        let yaml = format!("{{ address: '{address}', starttls: {word} }}");
        let look = Probing::new().look("tls", &[], &yaml).await;
        assert!(matches!(look.found, Found::NoAnswer { .. }) && cause(&look).contains(why), "{why}: {look:?}");
    }
}
