//! The probe `dns` against a server on loopback: honest, forgetful, silent, broken.

use std::time::{Duration, Instant};

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT};
use holdpoint::model::{Expectation, Found, Matcher, Observation, Op, Value};

use crate::support::nginx::free_port;
use crate::support::probing::{Probing, cause, get, number, text};
use crate::support::resolver::{Manner, Resolver, fqdn, record};

pub(crate) fn zone() -> Vec<hickory_resolver::proto::rr::Record> {
    let a = |ip: &str| RData::A(A(ip.parse().expect("an address")));
    let mut all = vec![
        record("shop.test", 300, a("10.0.0.2")),
        record("shop.test", 60, a("10.0.0.1")),
        record("shop.test", 600, RData::AAAA(AAAA("2001:db8::1".parse().expect("an address")))),
        record("shop.test", 3600, RData::MX(MX::new(10, fqdn("Mail.Shop.Test")))),
        record("shop.test", 3600, RData::NS(NS(fqdn("ns1.shop.test")))),
        record("shop.test", 30, RData::TXT(TXT::new(vec!["v=spf1 ".into(), "-all".into()]))),
        record("shop.test", 30, RData::CAA(CAA::new_issue(true, Some(fqdn("ca.test")), Vec::new()))),
        record("shop.test", 30, RData::SOA(SOA::new(fqdn("ns1.test"), fqdn("admin.test"), 7, 1, 2, 3, 4))),
        record("_sip._tcp.shop.test", 30, RData::SRV(SRV::new(0, 5, 5060, fqdn("sip.shop.test")))),
        record("1.0.0.10.in-addr.arpa", 30, RData::PTR(PTR(fqdn("shop.test")))),
        record("www.shop.test", 5, RData::CNAME(CNAME(fqdn("edge.test")))),
        record("edge.test", 90, RData::CNAME(CNAME(fqdn("shop.test")))),
    ];
    all.extend((0..60).map(|n| record("many.test", 20, a(&format!("10.1.0.{n}")))));
    all
}

async fn ask(resolver: &Resolver, rest: &str) -> Observation {
    look(resolver, &[], Duration::from_secs(10), rest).await
}

async fn look(resolver: &Resolver, wants: &[&str], timeout: Duration, rest: &str) -> Observation {
    let yaml = format!("{{ {rest}, resolver: '{}' }}", resolver.address);
    Probing::new().timeout(timeout).look("dns", wants, &yaml).await
}

fn records(look: &Observation) -> Vec<&str> {
    match get(look, "records") {
        Value::Set(records) => records.iter().map(String::as_str).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn records_of_every_type_are_texts() {
    let resolver = Resolver::start(Manner::Honest, zone());
    for (name, kind, wanted) in [
        ("shop.test", "A", &["10.0.0.1", "10.0.0.2"][..]),
        ("SHOP.test.", "AAAA", &["2001:db8::1"]),
        ("shop.test", "MX", &["10 mail.shop.test"]),
        ("shop.test", "NS", &["ns1.shop.test"]),
        ("shop.test", "TXT", &["v=spf1 -all"]),
        ("shop.test", "CAA", &["128 issue \"ca.test\""]),
        ("shop.test", "SOA", &["ns1.test admin.test 7 1 2 3 4"]),
        ("_sip._tcp.shop.test", "SRV", &["0 5 5060 sip.shop.test"]),
        ("10.0.0.1", "PTR", &["shop.test"]),
        ("www.shop.test", "CNAME", &["edge.test"]),
    ] {
        let look = ask(&resolver, &format!("name: '{name}', type: {kind}")).await;
        let found: Vec<String> = records(&look).iter().map(|r| r.replace("ca.test.", "ca.test")).collect();
        assert_eq!(found, wanted, "{kind} of {name}");
        assert_eq!((text(&look, "rcode"), number(&look, "count")), ("NOERROR", wanted.len() as f64));
    }
}

#[tokio::test]
async fn aliases_are_followed_and_the_lowest_ttl_counts() {
    let resolver = Resolver::start(Manner::Honest, zone());
    let look = ask(&resolver, "name: shop.test").await;
    assert_eq!(number(&look, "ttl"), 60.0);
    assert!(number(&look, "latency") > 0.0);
    assert!(look.through.as_deref().is_some_and(|t| t == format!("the resolver {}", resolver.address)), "{look:?}");
    let look = ask(&resolver, "name: www.shop.test").await;
    assert_eq!((records(&look), number(&look, "ttl")), (vec!["10.0.0.1", "10.0.0.2"], 5.0));
    assert!(look.notes.iter().any(|n| n.text == "by way of the alias www.shop.test, edge.test"), "{look:?}");
}

#[tokio::test]
async fn no_such_name_and_no_such_records_are_told_apart() {
    let resolver = Resolver::start(Manner::Honest, zone());
    for (rest, rcode, why) in [
        ("name: gone.test", "NXDOMAIN", "there is no such name"),
        ("name: edge.test, type: MX", "NOERROR", ""),
        ("name: many.test, type: AAAA", "NODATA", "the name has no AAAA records"),
    ] {
        let look = ask(&resolver, rest).await;
        assert_eq!(text(&look, "rcode"), rcode, "{rest}");
        if !why.is_empty() {
            assert_eq!(get(&look, "records"), &Value::Missing(why.into()));
            assert_eq!((number(&look, "count"), get(&look, "ttl")), (0.0, &Value::Missing(why.into())));
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_comes_over_tcp() {
    let resolver = Resolver::start(Manner::Honest, zone());
    let look = ask(&resolver, "name: many.test").await;
    assert_eq!((number(&look, "count"), resolver.asked()), (60.0, vec!["udp", "tcp"]));
    assert!(look.notes.iter().any(|n| n.text.contains("too long for UDP")), "{look:?}");
    assert!(look.through.as_deref().is_some_and(|t| t.ends_with(" over TCP")), "{look:?}");
    let resolver = Resolver::start(Manner::Honest, zone());
    let look = ask(&resolver, "name: shop.test, tcp: true").await;
    assert_eq!((number(&look, "count"), resolver.asked()), (2.0, vec!["tcp"]));
    let resolver = Resolver::start(Manner::AlwaysCut, zone());
    assert!(cause(&ask(&resolver, "name: shop.test").await).contains("cut its answer even over TCP"));
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let resolver = Resolver::start(Manner::Forgetful, zone());
    let look = ask(&resolver, "name: shop.test").await;
    assert_eq!((number(&look, "count"), resolver.asked()), (2.0, vec!["udp", "udp"]));
}

#[tokio::test]
async fn a_resolver_that_does_not_answer_is_an_error() {
    let begun = Instant::now();
    let short = Duration::from_millis(400);
    let silent = Resolver::start(Manner::Silent, zone());
    for rest in ["name: shop.test", "name: shop.test, tcp: true"] {
        let look = look(&silent, &["rcode"], short, rest).await;
        assert!(matches!(look.found, Found::CouldNotLook { retry: true, .. }), "{look:?}");
        assert!(cause(&look).starts_with("no answer from the resolver 127.0.0.1"), "{look:?}");
    }
    let foreign = Resolver::start(Manner::Foreign, zone());
    let found = look(&foreign, &[], short, "name: shop.test").await;
    assert!(cause(&found).starts_with("no answer from the resolver"), "answers to others do not count: {found:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let nobody = format!("{{ name: shop.test, resolver: '127.0.0.1:{}' }}", free_port());
    let look = Probing::new().look("dns", &[], &nobody).await;
    assert!(cause(&look).contains("connection refused"), "{look:?}");
}

#[tokio::test]
async fn a_resolver_that_failed_is_an_error_unless_the_code_is_asked_for() {
    for (code, word) in [(ResponseCode::ServFail, "SERVFAIL"), (ResponseCode::Refused, "REFUSED")] {
        let resolver = Resolver::start(Manner::Says(code), zone());
        let found = ask(&resolver, "name: shop.test").await;
        assert!(matches!(found.found, Found::CouldNotLook { .. }), "{found:?}");
        assert!(cause(&found).ends_with(&format!("said {word}")), "{found:?}");
        let found = look(&resolver, &["rcode", "count"], Duration::from_secs(10), "name: shop.test").await;
        assert_eq!(text(&found, "rcode"), word);
        assert!(matches!(get(&found, "records"), Value::NoData(_)) && matches!(get(&found, "count"), Value::NoData(_)));
    }
}

#[tokio::test]
async fn nonsense_is_an_error() {
    let resolver = Resolver::start(Manner::Malformed, zone());
    let look = ask(&resolver, "name: shop.test").await;
    assert!(matches!(look.found, Found::CouldNotLook { .. }), "{look:?}");
    assert!(cause(&look).contains("answered nonsense"), "{look:?}");
}

#[test]
fn without_expect_there_must_be_a_record() {
    let implied = |wants: &[&str]| Probing::new().compile("dns", wants, "shop.test").expect("valid").implied();
    let Some(Expectation::Measure { name, matcher, .. }) = implied(&[]) else { panic!("nothing is implied") };
    assert!(name.to_string() == "count" && matches!(matcher, Matcher::Compare(Op::AtLeast, _)));
    assert!(implied(&["rcode"]).is_none(), "an expected NXDOMAIN is no failure");
}

#[test]
fn mistakes_are_said_before_anything_runs() {
    for (yaml, code) in [
        ("a b", "bad-address"),
        ("10.0.0.1", "bad-address"),
        ("{ name: x.test, resolver: 'udp://x' }", "bad-address"),
        ("{ name: x.test, resolver: 'ns1.test:0' }", "bad-address"),
        ("{ name: x.test, type: ANY }", "bad-value"),
        ("{ type: A }", "missing-key"),
        ("{ name: x.test, resolvr: y }", "unknown-key"),
    ] {
        let said = Probing::new().compile("dns", &[], yaml).err().unwrap_or_default();
        assert!(said.iter().any(|m| m.starts_with(code)), "{yaml}: {said:?}");
    }
}
