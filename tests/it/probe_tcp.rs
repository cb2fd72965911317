//! The probe `tcp` against ports that are open, free, silent and talkative.

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use holdpoint::model::{Expectation, Literal, Matcher, Value};

use crate::support::nginx::free_port;
use crate::support::probing::{Probing, cause, get, measures, number, text};

#[tokio::test]
async fn an_open_port_is_open_and_a_free_one_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let open = listener.local_addr().expect("an address");
    let look = Probing::new().look("tcp", &[], &open.to_string()).await;
    assert_eq!(get(&look, "open"), &Value::Bool(true));
    assert!(number(&look, "latency") > 0.0);

    let look = Probing::new().look("tcp", &["banner"], &format!("127.0.0.1:{}", free_port())).await;
    assert_eq!(get(&look, "open"), &Value::Bool(false));
    assert!(matches!(get(&look, "latency"), Value::Missing(why) if why.contains("refused")), "{look:?}");
    assert!(matches!(get(&look, "banner"), Value::Missing(_)));
}

#[test]
fn without_expect_the_port_must_be_open_or_with_closed_free() {
    for (yaml, wanted) in [("localhost:80", true), ("{ address: 'localhost:80', closed: true }", false)] {
        let probe = Probing::new().compile("tcp", &[], yaml).expect("valid");
        let Some(Expectation::Measure { name, matcher, .. }) = probe.implied() else { panic!("{yaml}") };
        assert_eq!((name.to_string(), matcher), ("open".into(), Matcher::Equals(Literal::Bool(wanted))));
    }
}

#[tokio::test]
async fn a_banner_is_read_when_wanted_and_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().flatten().enumerate() {
            let mut stream = stream;
            let said = if n == 0 { b"220 ready\r\n".to_vec() } else { vec![b'x'; 100_000] };
            std::thread::spawn(move || {
                let _ = stream.write_all(&said);
                std::thread::sleep(Duration::from_secs(5));
            });
        }
    });
    let look = Probing::new().look("tcp", &["banner"], &address).await;
    assert_eq!(text(&look, "banner"), "220 ready");
    let look = Probing::new().look("tcp", &["banner"], &address).await;
    assert!(matches!(get(&look, "banner"), Value::NoData(_)), "{look:?}");
    let look = Probing::new().look("tcp", &[], &address).await;
    assert_eq!(measures(&look).iter().count(), 2, "{look:?}");
}

#[tokio::test]
async fn a_silent_server_has_no_banner() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let probing = Probing::new().timeout(Duration::from_millis(300));
    let look = probing.look("tcp", &["banner"], &address).await;
    assert_eq!(get(&look, "open"), &Value::Bool(true));
    assert!(matches!(get(&look, "banner"), Value::Missing(_)), "{look:?}");
}

#[tokio::test]
async fn a_name_without_an_address_is_no_answer() {
    let look = Probing::new().look("tcp", &[], "nowhere.invalid:80").await;
    assert!(cause(&look).starts_with("the name nowhere.invalid"), "{look:?}");
}

#[test]
fn bad_addresses_are_said_before_anything_runs() {
    for bad in ["localhost", "'::1:80'", "localhost:0", "http://localhost:80"] {
        let said = Probing::new().compile("tcp", &[], bad).err().unwrap_or_default();
        assert!(said.iter().any(|m| m.starts_with("bad-address")), "{bad}: {said:?}");
    }
}
