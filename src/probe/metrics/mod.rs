//! `metrics`: a page of metrics, no server between. [`look`] fetches it, [`page`] measures it, [`select`] finds series in
//! it.

mod look;
mod manual;
mod page;
mod select;

use std::time::Duration;

use super::http::{self, Fetch};
use super::{Compiling, Keys, MeasureSpec, Probe, ProbeKind, keyed, measure};
use crate::diag::Diagnostic;
use crate::model::{Expectation, Kind, Matcher, MeasureName};
use crate::shape::{Object, Shape, field, required};
use crate::template::{Place, Template};
use crate::yaml::Node;

/// The kind `metrics`.
pub const KIND: ProbeKind = ProbeKind {
    name: "metrics",
    summary: "a page of metrics itself: well-formed, families, types, the value of a selector",
    manual: manual::PAGE,
    shape: Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]),
    measures: MEASURES,
    speaks_for_itself: false,
    compile,
};

const OBJECT: Object = Object {
    name: "metrics",
    fields: &[
        required("url", Shape::Template, "The URL of the page, with `http://` or `https://`."),
        field("select", Shape::Template, "A PromQL selector: which series are meant."),
        field("over", Shape::Duration, "How long after the first look the page is taken a second time."),
        field("headers", Shape::Map(&Shape::OneOrMany(&Shape::Template)), "Headers."),
        field("auth", Shape::Object(&http::AUTH), "Credentials: `basic`, `bearer` or `header`."),
        field("tls", Shape::Object(&http::TLS), "Whom to trust, and a client certificate."),
        field("redirects", Shape::Int(0, 10), "How many redirects are followed, 10 unless given."),
        field("resolve", Shape::Map(&Shape::Template), "Addresses by host, instead of asking DNS: `10.0.0.1`."),
        field("proxy", Shape::Template, "A proxy: `http://…` or `socks5://…`. The environment names none."),
        field("max_body", Shape::Text, "How many bytes a page may have, 10MiB unless given, 256MiB at most."),
    ],
    open: false,
};

const MEASURES: &[MeasureSpec] = &[
    measure("value", Kind::Quantity, "With `select`: the value of every series, each of which must hold."),
    measure("valid", Kind::Bool, "Whether the page is well-formed."),
    measure("families", Kind::Number, "How many metric families have samples, of those selected."),
    measure("names", Kind::Number, "How many different names samples have, of those selected."),
    measure("series", Kind::Number, "How many series there are, of those selected."),
    keyed("type", Kind::Text, Keys::Name, "The type of a metric: counter, gauge, histogram, summary, unknown, …"),
    keyed("help", Kind::Text, Keys::Name, "What the page says of a metric."),
    keyed("labels", Kind::Set, Keys::Name, "With `select`: the values that a label has."),
    measure("increase", Kind::Quantity, "With `select` and `over`: by how much each series grew; resets even out."),
    measure(
        "mistakes",
        Kind::Set,
        "What is malformed, each with its line; that there is nothing is asserted by itself.",
    ),
    measure("format", Kind::Text, "The format: `text` or `openmetrics`."),
    measure("size", Kind::Size, "The size of the page."),
    measure("latency", Kind::Duration, "How long fetching it took."),
];

/// A `metrics` step.
struct Metrics {
    fetch: Fetch,
    select: Option<Template>,
    over: Option<Duration>,
    timeout: Duration,
    wanted: page::Wanted,
    /// That the page has no mistakes, unless the step says something of that.
    well_formed: Option<Expectation>,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let fetch = Fetch::read(compiling.reading, node);
    let select = node.get("select").map(|node| read_selector(compiling, node));
    let over = node.get("over").map(|node| compiling.reading.duration(node));
    let good = have_what_they_need(compiling, node);
    let (select, over) = (given(select)?, given(over)?);
    let origin = compiling.reading.origin(node);
    let said = ["valid", "mistakes"].iter().any(|name| compiling.wants.any(name));
    let well_formed = (!said).then(|| Expectation::Measure {
        name: MeasureName::plain("mistakes"),
        kind: Kind::Set,
        matcher: Matcher::Empty,
        origin,
    });
    let fetch = fetch?;
    good.then(|| -> Box<dyn Probe> {
        let wanted = page::Wanted::of(compiling.wants);
        Box::new(Metrics { fetch, select, over, timeout: compiling.timeout, wanted, well_formed })
    })
}

/// Turns a value that could not be read into nothing at all.
fn given<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

fn read_selector(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Template> {
    let template = compiling.reading.template(node, Place::Promql)?;
    // With a variable that only the run knows it is checked when it is filled in.
    let Ok(text) = template.render(compiling.reading.inputs) else { return Some(template) };
    match select::read(&text) {
        Ok(_) => Some(template),
        Err(error) => {
            let literal = template.is_literal();
            let place = if literal { node.place_of(compiling.reading.sources, error.range) } else { node.span };
            // What the inputs fill in may be secret.
            let message = if literal { error.message } else { "the selector is not valid with its inputs".to_owned() };
            compiling.reading.say(Diagnostic::error("bad-promql", place, message));
            None
        }
    }
}

/// Measures of series need to know which, and growth needs two looks: they would never have data.
fn have_what_they_need(compiling: &mut Compiling<'_, '_>, node: &Node) -> bool {
    let mut good = true;
    let mut refuse = |compiling: &mut Compiling<'_, '_>, message: String, help: &str| {
        compiling.reading.say(Diagnostic::error("expect-unknown-measure", node.span, message).help(help));
        good = false;
    };
    let wanted = ["value", "labels", "increase"].into_iter().find(|name| compiling.wants.any(name));
    if let (Some(name), None) = (wanted, node.get("select")) {
        let help = "write `metrics: { url: …, select: http_requests_total }`";
        refuse(compiling, format!("the measure {name:?} needs a selector: of which series"), help);
    }
    if compiling.wants.any("increase") && node.get("over").is_none() {
        let help = "write `metrics: { url: …, select: …, over: 10s }`";
        refuse(compiling, "the measure \"increase\" needs two looks, and `over` says how far apart".to_owned(), help);
    }
    good
}
