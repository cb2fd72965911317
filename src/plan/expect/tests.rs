//! Every form of the language, every mistake, and comparators that survive being printed and read again.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::diag::{Diagnostics, SourceMap};
use crate::judge::words;
use crate::model::{Against, Kind, Literal, Matcher, Op, Quantity, Relation};
use crate::probe::{Compiling, Keys, Probe, keyed, measure};
use crate::shape::Shape;
use crate::template::Scope;
use crate::yaml;

fn never(_: &mut Compiling<'_, '_>, _: &Node) -> Option<Box<dyn Probe>> {
    None
}

const KIND: ProbeKind = ProbeKind {
    name: "page",
    summary: "a page",
    manual: "",
    shape: Shape::Any,
    measures: &[
        measure("status", Kind::Number, "the status"),
        measure("latency", Kind::Duration, "the time it took"),
        measure("latency.p95", Kind::Duration, "the 95th percentile"),
        measure("timing.dns", Kind::Duration, "the time of the look-up"),
        measure("body", Kind::Text, "the text"),
        keyed("json", Kind::Json, Keys::JsonPath, "the fields"),
        keyed("headers", Kind::Text, Keys::Name, "the headers"),
        keyed("matches", Kind::Number, Keys::Regex, "how often each pattern is found"),
        measure("size", Kind::Size, "its size"),
        measure("error_rate", Kind::Ratio, "the share of failures"),
        measure("value", Kind::Quantity, "a number of any unit"),
        measure("rate", Kind::Rate, "a number per second"),
        measure("growth", Kind::Growth, "how fast it grows"),
        measure("ready", Kind::Set, "who is ready"),
        measure("up", Kind::Tally, "how many are up"),
        measure("ok", Kind::Bool, "whether it is well"),
        measure("exists", Kind::Bool, "whether it is there"),
    ],
    speaks_for_itself: false,
    compile: never,
};

/// Compiles and prints the expectation on one line, or each mistake with the text at its place.
fn compiled(yaml: &str) -> Result<String, Vec<String>> {
    let (expectation, mistakes) = read(yaml, json!({"version": "1.4.2", "n": 5, "word": "exists", "max": "300ms"}));
    match expectation {
        Some(expectation) if mistakes.is_empty() => Ok(print(&expectation)),
        _ => Err(mistakes),
    }
}

fn read(yaml: &str, inputs: Value) -> (Option<Expectation>, Vec<String>) {
    let mut sources = SourceMap::new();
    let file = sources.add("c.yaml", format!("expect: {yaml}\n"));
    let mut diagnostics = Diagnostics::new();
    let node = yaml::parse(&mut sources, file, &mut diagnostics).expect("valid YAML");
    let scope = Scope::new(Map::from_iter([("inputs".to_owned(), inputs)]));
    let mut reading = Reading::new(&sources, &mut diagnostics, &scope);
    let expectation = node.get("expect").and_then(|node| compile(&mut reading, &KIND, node));
    let place = |d: &Diagnostic| d.labels.first().map(|l| sources.slice(l.span).to_owned()).unwrap_or_default();
    let mistakes = diagnostics.iter().map(|d| format!("{} at {:?}", d.code, place(d))).collect();
    (expectation, mistakes)
}

fn print(expectation: &Expectation) -> String {
    let join = |of: &[Expectation], by: &str| of.iter().map(print).collect::<Vec<_>>().join(by);
    match expectation {
        Expectation::Measure { name, matcher, .. } => format!("{name} {}", words::matcher(matcher)),
        Expectation::That { expression, .. } => format!("that {expression}"),
        Expectation::All(of) => format!("({})", join(of, " & ")),
        Expectation::Any(of) => format!("({})", join(of, " | ")),
        Expectation::Not(inner) => format!("not({})", print(inner)),
    }
}

#[test]
fn every_form_of_the_language_compiles() {
    let table = [
        // Equality.
        ("200", "status 200"),
        ("\"200\"", "status 200"),
        ("2xx", "status 2xx"),
        ("[200, 204]", "status one of 200, 204"),
        ("[\">= 200\", \"< 300\"]", "(status >= 200 & status < 300)"),
        ("{ status: [200, 3xx] }", "status one of 200, 3xx"),
        ("{ ok: true }", "ok true"),
        ("{ body: ok }", "body \"ok\""),
        ("{ body: 1.10 }", "body \"1.10\""),
        ("{ ready: [a, b] }", "ready [\"a\",\"b\"]"),
        // Comparators.
        ("{ latency: \"< 500ms\" }", "latency < 500ms"),
        ("{ latency: \"<=2s\" }", "latency <= 2s"),
        ("{ size: \"> 100MB\" }", "size > 100MB"),
        ("{ error_rate: \">= 5%\" }", "error_rate >= 5%"),
        ("{ error_rate: \"< 0.05\" }", "error_rate < 0.05"),
        ("{ rate: \"<= 1MiB/h\" }", "rate <= 1MiB/h"),
        ("{ value: \"== 3\" }", "value == 3"),
        ("{ status: \"!= 500\" }", "status != 500"),
        ("{ body: \"!= down\" }", "body not \"down\""),
        ("{ json: { $.a: \"== ok\" } }", "json[$.a] \"ok\""),
        ("{ json: { $.a: \"!= null\" } }", "json[$.a] not null"),
        // Bands.
        ("{ latency: between 2s and 5s }", "latency between 2s and 5s"),
        ("{ value: within 10% of 200 }", "value within 10% of 200"),
        ("{ value: 1.9 ± 0.1 }", "value 1.9 ± 0.1"),
        ("{ value: \"1.9 +- 0.1\" }", "value 1.9 ± 0.1"),
        // Relative to an earlier value.
        ("{ value: \"<= 1.5x baseline\" }", "value <= 1.5x baseline"),
        ("{ latency: \"<=150% of baseline\" }", "latency <= 1.5x baseline"),
        ("{ latency: \"< 2 × start\" }", "latency < 2x start"),
        ("{ value: \"> previous\" }", "value > previous"),
        ("{ json: { $.a: \"<= previous\" } }", "json[$.a] <= previous"),
        ("{ json: { $.a: { equals: start } } }", "json[$.a] \"start\""),
        ("{ value: within 10% of start }", "value within 10% of start"),
        ("{ value: between 0.9x and 1.1x baseline }", "value between 0.9x and 1.1x baseline"),
        ("{ value: { not: \"> 2x baseline\" } }", "value not > 2x baseline"),
        ("{ body: \"== start\" }", "body \"start\""),
        ("{ body: start }", "body \"start\""),
        ("{ growth: \"< 1MiB/h\" }", "growth < 1MiB/h"),
        ("{ growth: \"< 5\" }", "growth < 5/h"),
        ("{ growth: 0 }", "growth 0"),
        // Matchers of text, lists and sets.
        ("{ body: { contains: up, starts_with: s } }", "body contains \"up\" and starts with \"s\""),
        ("{ body: { contains: [a, b] } }", "body contains \"a\" and contains \"b\""),
        ("{ body: { ends_with: x, matches: '\\d+' } }", "body ends with \"x\" and matches /\\d+/"),
        ("{ body: { equals: exists } }", "body \"exists\""),
        ("{ body: { one_of: [a, b] } }", "body one of \"a\", \"b\""),
        ("{ body: { not: down } }", "body not \"down\""),
        ("{ body: { not: { contains: down } } }", "body not contains \"down\""),
        ("{ body: { length: \"> 3\" } }", "body length > 3"),
        ("{ body: { semver: '>=1.2, <2' } }", "body version >=1.2, <2"),
        ("{ body: { any: [a, { contains: b }] } }", "body one of \"a\", contains \"b\""),
        ("{ body: { all: [{ contains: a }, { contains: b }] } }", "body contains \"a\" and contains \"b\""),
        ("{ body: \"<html>\" }", "body \"<html>\""),
        ("{ body: between the lines }", "body \"between the lines\""),
        // Presence and sets.
        ("{ body: exists }", "body exists"),
        ("{ body: \"absent\" }", "body absent"),
        ("{ body: empty }", "body empty"),
        ("{ ready: all }", "ready all"),
        ("{ ready: none }", "ready none"),
        ("{ ready: any }", "ready any"),
        ("{ ready: { length: 3 } }", "ready length 3"),
        ("{ up: all }", "up all"),
        ("{ up: 3 }", "up 3"),
        ("{ up: \">= 90%\" }", "up >= 90%"),
        ("{ up: \"<= start\" }", "up <= start"),
        ("{ up: { contains: web-1, not: none } }", "up contains \"web-1\" and not none"),
        ("{ exists: exists }", "exists true"),
        ("{ exists: absent }", "exists false"),
        ("{ value: exists }", "value exists"),
        // Keyed measures.
        (
            "{ json: { $.status: ok, $.n: 5, $.t: \"5\", $.z: null } }",
            "(json[$.status] \"ok\" & json[$.n] 5 & json[$.t] \"5\" & json[$.z] null)",
        ),
        ("{ json: { $.list: [1, two, { a: true }] } }", "json[$.list] [1,\"two\",{\"a\":true}]"),
        ("{ json: { $.map: { equals: { a: 1 } } } }", "json[$.map] {\"a\":1}"),
        ("{ json: { $.big: 9007199254740993 } }", "json[$.big] 9007199254740993"),
        ("{ json: { $.items: { length: \">= 3\" } } }", "json[$.items] length >= 3"),
        ("{ json: [{ $.a: 1 }, { $.a: exists }] }", "(json[$.a] 1 & json[$.a] exists)"),
        ("{ headers: { content-type: { contains: json } } }", "headers[content-type] contains \"json\""),
        ("{ matches: { '(?i)error': 0, 'in=\\d+': \">= 1\" } }", "(matches[(?i)error] 0 & matches[in=\\d+] >= 1)"),
        // Dotted measures.
        ("{ latency.p95: \"< 1s\" }", "latency.p95 < 1s"),
        ("{ latency: { p95: \"< 1s\" } }", "latency.p95 < 1s"),
        ("{ latency: { p95: \"< 1s\", not: \"> 9s\" } }", "(latency.p95 < 1s & latency not > 9s)"),
        ("{ timing: { dns: \"< 10ms\" } }", "timing.dns < 10ms"),
        // Combinations.
        ("{ any: [{ status: 200 }, 204, { body: ok }] }", "(status 200 | status 204 | body \"ok\")"),
        ("{ all: [200, { ok: true }] }", "(status 200 & ok true)"),
        ("{ not: { body: { contains: x } } }", "not(body contains \"x\")"),
        ("[200, { latency: \"< 1s\" }]", "(status 200 & latency < 1s)"),
        ("{ status: 200, latency: \"< 1s\" }", "(status 200 & latency < 1s)"),
        ("{ that: status == 200 and json.items|length > 3 }", "that status == 200 and json.items|length > 3"),
        ("{ that: [latency_p95 < 1, timing.dns < 1] }", "(that latency_p95 < 1 & that timing.dns < 1)"),
        // Templates.
        ("{ body: { contains: \"{{ inputs.version }}\" } }", "body contains \"1.4.2\""),
        ("{ body: { matches: '^v{{ inputs.version }}$' } }", "body matches /^v1\\.4\\.2$/"),
        ("{ json: { $.n: \"{{ inputs.n }}\", $.v: \"v{{ inputs.n }}\" } }", "(json[$.n] 5 & json[$.v] \"v5\")"),
        ("{ json: { $.w: \"{{ inputs.word }}\" } }", "json[$.w] \"exists\""),
        ("{ body: \"{{ inputs.word }}\" }", "body \"exists\""),
        ("{ latency: \"< {{ inputs.max }}\" }", "latency < 300ms"),
        ("{ status: \"{{ inputs.n }}\" }", "status 5"),
    ];
    for (yaml, expected) in table {
        assert_eq!(compiled(yaml), Ok(expected.to_owned()), "{yaml}");
    }
}

#[test]
fn every_mistake_is_said_with_its_place() {
    let table: &[(&str, &[&str])] = &[
        ("{ latncy: 1s }", &["expect-unknown-measure at \"latncy\""]),
        ("{ timeout: 5s, body: ok }", &["expect-unknown-measure at \"timeout\""]),
        ("{ contains: x }", &["expect-unknown-measure at \"contains\""]),
        ("{ timing: { tls: 1s } }", &["expect-unknown-measure at \"tls\""]),
        ("{ timing: 1s }", &["expect-unknown-measure at \"timing\""]),
        ("{ latency: \"< 100MB\" }", &["expect-kind at \"100MB\""]),
        ("{ latency: \"< 500\" }", &["expect-kind at \"500\""]),
        ("{ size: \"< 5s\" }", &["expect-kind at \"5s\""]),
        ("{ status: ok }", &["expect-kind at \"ok\""]),
        ("{ status: 5% }", &["expect-kind at \"5%\""]),
        ("{ body: \"> 5\" }", &["expect-kind at \"5\""]),
        ("{ ready: \"> 5\" }", &["expect-kind at \"5\""]),
        ("{ up: \"> 5ms\" }", &["expect-kind at \"5ms\""]),
        ("{ up: empty }", &["expect-kind at \"empty\""]),
        ("{ up: { length: 3 } }", &["expect-kind at \"length\""]),
        ("{ ok: maybe }", &["expect-kind at \"maybe\""]),
        ("{ ok: [true, false] }", &["expect-kind at \"[true, false]\""]),
        ("{ status: empty }", &["expect-kind at \"empty\""]),
        ("{ matches: { error: none } }", &["expect-kind at \"none\""]),
        ("{ status: { contains: 2 } }", &["expect-kind at \"contains\""]),
        ("{ status: { length: 2 } }", &["expect-kind at \"length\""]),
        ("{ latency: \"between 5s and 2MB\" }", &["expect-kind at \"2MB\""]),
        ("{ latency: \"between 5s and 2s\" }", &["expect-syntax at \"5s and 2s\""]),
        ("{ latency: \"between 5s\" }", &["expect-syntax at \"5s\""]),
        ("{ latency: \"< \" }", &["expect-syntax at \"\""]),
        ("{ latency: \"=< 5s\" }", &["expect-syntax at \"=<\""]),
        ("{ latency: \"< 5 parsecs\" }", &["expect-syntax at \"5 parsecs\""]),
        ("{ value: \"within 10 of 5\" }", &["expect-syntax at \"10\""]),
        ("{ value: \"within 10% of 0\" }", &["expect-syntax at \"0\""]),
        ("{ value: \"100 ± 5%\" }", &["expect-syntax at \"5%\""]),
        ("{ value: exsits }", &["expect-syntax at \"exsits\""]),
        ("{ value: \"<= baseline + 5\" }", &["expect-relative at \"baseline + 5\""]),
        ("{ value: \"<= 1.5 * baseline\" }", &["expect-relative at \"1.5 *\""]),
        ("{ value: \"<= 0x baseline\" }", &["expect-relative at \"0x\""]),
        ("{ value: \"<= 10 of start\" }", &["expect-relative at \"10\""]),
        ("{ value: baseline }", &["expect-syntax at \"baseline\""]),
        ("{ value: 1.5x previous }", &["expect-syntax at \"1.5x previous\""]),
        ("{ value: baseline ± 5 }", &["expect-syntax at \"baseline\""]),
        ("{ value: between 1.1x and 0.9x start }", &["expect-syntax at \"1.1x and 0.9x start\""]),
        ("{ value: between 5 and 1.1x start }", &["expect-relative at \"5\""]),
        ("{ value: within 10% of 2x start }", &["expect-syntax at \"2x start\""]),
        ("{ json: { $.a: \"== start\" } }", &["expect-relative at \"start\""]),
        ("{ body: \"< start\" }", &["expect-kind at \"start\""]),
        ("{ ready: \"<= 2x start\" }", &["expect-syntax at \"2x start\""]),
        ("{ body: { contians: x } }", &["expect-syntax at \"contians\""]),
        ("{ status: { zebra: x } }", &["expect-no-key at \"zebra\""]),
        ("{ json: ok }", &["expect-needs-key at \"ok\""]),
        ("{ json: { contains: ok } }", &["expect-needs-key at \"contains\""]),
        ("{ json: { status: ok } }", &["bad-jsonpath at \"status\""]),
        ("{ json: { '$.a[': ok } }", &["bad-jsonpath at \"a[\""]),
        ("{ matches: { 'a(b': 0 } }", &["bad-regex at \"(\""]),
        ("{ body: { matches: 'a(b' } }", &["bad-regex at \"(\""]),
        ("{ body: { semver: newest } }", &["bad-semver at \"newest\""]),
        ("{ that: status == }", &["bad-expression"]),
        ("{ that: stauts == 200 }", &["undefined-variable at \"stauts\""]),
        ("{ that: latency.p95 < 1 }", &["undefined-variable at \"latency\""]),
        ("{}", &["asserts-nothing at \"{}\""]),
        ("[]", &["asserts-nothing at \"[]\""]),
        ("{ any: [] }", &["asserts-nothing at \"[]\""]),
        ("{ body: { one_of: [] } }", &["asserts-nothing at \"[]\""]),
        ("{ any: { status: 200 } }", &["wrong-type at \"{ status: 200 }\""]),
        ("{ latncy: 1s, status: ok, json: 5 }", &["expect-unknown-measure", "expect-kind", "expect-needs-key"]),
    ];
    for (yaml, expected) in table {
        let mistakes = compiled(yaml).expect_err(yaml);
        assert_eq!(mistakes.len(), expected.len(), "{yaml}: {mistakes:?}");
        for (mistake, expected) in mistakes.iter().zip(*expected) {
            assert!(mistake.starts_with(expected), "{yaml}: {mistake}, expected {expected}");
        }
    }
}

#[test]
fn captured_values_are_left_to_the_run() {
    let yaml = "{ body: \"{{ captured.stable }}\", status: 200 }";
    let (before, mistakes) = read(yaml, json!({}));
    assert_eq!((before, mistakes), (None, Vec::new()));
    let mut sources = SourceMap::new();
    let file = sources.add("c.yaml", yaml);
    let mut diagnostics = Diagnostics::new();
    let node = yaml::parse(&mut sources, file, &mut diagnostics).expect("valid");
    assert!(deferred(&node));
    let scope = Scope::new(Map::from_iter([("captured".to_owned(), json!({"stable": "v1"}))]));
    let mut reading = Reading::new(&sources, &mut diagnostics, &scope);
    let at_run = compile(&mut reading, &KIND, &node).expect("compiles at run time");
    assert_eq!(print(&at_run), "(body \"v1\" & status 200)");
    assert!(reading.references.iter().any(|(r, _)| r.root == "captured"));
}

#[test]
fn the_measures_that_are_used_are_listed() {
    let wanted = |yaml: &str| {
        let (expectation, _) = read(yaml, json!({}));
        wants(&KIND, &expectation.expect(yaml)).map(|n| n.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(wanted("{ status: 200, json: { $.a: 1 } }"), ["status", "json[$.a]"]);
    assert_eq!(wanted("{ not: { any: [200, { ok: true }] } }"), ["status", "ok"]);
    assert_eq!(
        wanted("{ that: json.a == 1 and latency_p95 < 1 and timing.dns < 1 }"),
        ["json", "latency.p95", "timing.dns"]
    );
}

#[test]
fn the_schema_takes_what_the_language_takes() {
    let schema = json!({ "$ref": "#/$defs/expectation", "$defs": { "expectation": schema() } });
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    for good in [json!(200), json!("< 5s"), json!([200, "3xx"]), json!({"json": {"$.a": null}, "that": "a == 1"})] {
        assert!(validator.is_valid(&good), "{good}");
    }
    for bad in [json!({}), json!([]), json!({"that": 5})] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}

/// What a person can write: a number with up to three decimals and a unit.
fn any_quantity(unit: &'static str) -> impl Strategy<Value = Quantity> {
    (-100_000_000_i64..100_000_000, 0_usize..4).prop_map(move |(number, decimals)| {
        let text = format!("{:.decimals$}{unit}", number as f64 / 1000.0);
        Quantity::parse(&text).expect("a number and a unit")
    })
}

fn any_pair() -> impl Strategy<Value = (Quantity, Quantity)> {
    const UNITS: &[&str] =
        &["", "%", "ns", "ms", "s", "m", "h", "d", "B", "kB", "MB", "GiB", "KiB", "/s", "/m", "MiB/h", "kB/s"];
    prop::sample::select(UNITS).prop_flat_map(|unit| (any_quantity(unit), any_quantity(unit)))
}

fn any_comparator() -> impl Strategy<Value = Matcher> {
    let op = prop_oneof![
        Just(Op::Less),
        Just(Op::AtMost),
        Just(Op::Greater),
        Just(Op::AtLeast),
        Just(Op::Equal),
        Just(Op::NotEqual),
    ];
    prop_oneof![
        (op, any_pair()).prop_map(|(op, (limit, _))| Matcher::Compare(op, limit)),
        any_pair().prop_map(|(a, b)| if a.value <= b.value { Matcher::Between(a, b) } else { Matcher::Between(b, a) }),
        (any_quantity("%"), any_pair())
            .prop_filter("a share of something", |(share, (centre, _))| share.value >= 0.0 && centre.value != 0.0)
            .prop_map(|(share, (centre, _))| Matcher::Within(share.value, centre)),
        any_pair()
            .prop_filter("a distance", |(_, distance)| distance.value >= 0.0)
            .prop_map(|(centre, distance)| Matcher::Around(centre, distance)),
        any_pair().prop_map(|(q, _)| Matcher::Equals(Literal::Quantity(q))),
        any_relative(),
        (1_u8..=9).prop_map(Matcher::StatusClass),
        Just(Matcher::Exists),
        Just(Matcher::Absent),
    ]
}

fn any_relative() -> impl Strategy<Value = Matcher> {
    let op = prop::sample::select(vec![Op::Less, Op::AtMost, Op::Greater, Op::AtLeast, Op::Equal, Op::NotEqual]);
    let against = prop::sample::select(vec![Against::Baseline, Against::Previous, Against::Start]);
    let factor = || prop_oneof![Just(1.0), 0.001..1000.0_f64];
    let relation = prop_oneof![
        (op, factor()).prop_map(|(op, factor)| Relation::Compare(op, factor)),
        (factor(), factor()).prop_map(|(a, b)| Relation::Between(f64::min(a, b), f64::max(a, b))),
        any_quantity("%").prop_map(|share| Relation::Within(share.value.abs())),
    ];
    (relation, against).prop_map(|(relation, against)| Matcher::Relative(relation, against))
}

proptest! {
    #[test]
    fn comparators_survive_being_printed_and_read_again(matcher in any_comparator()) {
        let text = words::matcher(&matcher);
        prop_assert_eq!(comparator::parse(&text, Kind::Quantity), Ok(Some(matcher)), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in "([<>=!±]|between |within |[0-9.%a-z ]|\\PC){0,12}") {
        let kinds = [
            Kind::Number, Kind::Ratio, Kind::Duration, Kind::Size, Kind::Rate,
            Kind::Growth, Kind::Quantity, Kind::Text, Kind::Json, Kind::Set, Kind::Tally, Kind::Bool,
        ];
        for kind in kinds {
            if let Err(refusal) = comparator::parse(&text, kind) {
                prop_assert!(text.get(refusal.range.clone()).is_some(), "{:?} in {:?}", refusal, text);
                prop_assert!(crate::diag::codes::find(refusal.code).is_some());
            }
        }
    }
}
