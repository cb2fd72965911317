//! What a `promql` step may say, and how it becomes a probe.

use std::time::Duration;

use super::COMPARED;
use super::beside::Compare;
use super::check::{Checked, check};
use super::look::Promql;
use super::span::{MOST_POINTS, Points, Reach, Span};
use crate::diag::Diagnostic;
use crate::model::{Expectation, Kind, Matcher, MeasureName, Op, Quantity, Worse, quantity};
use crate::probe::{Compiling, Probe, asked};
use crate::promql::{self, Answer, Query, SyntaxError};
use crate::shape::{Object, Shape, field, required};
use crate::source::Metrics;
use crate::template::{Place, Template};
use crate::yaml::Node;

pub(super) const SHAPE: Shape = Shape::Either(&[Shape::Template, Shape::Object(&PROMQL)]);

const PROMQL: Object = Object {
    name: "promql",
    fields: &[
        required("query", Shape::Template, "The query."),
        field("range", Shape::Object(&RANGE), "Ask over a range instead of at one moment."),
        field("compare", Shape::Object(&COMPARE), "Compare it with another query, as a canary with production."),
        field("at", Shape::Template, "The time to ask about, RFC 3339 or seconds since 1970; now when left out."),
        field("source", Shape::Text, "Which of the `sources` to ask; the Prometheus when there is one alone."),
        field("series_policy", Shape::Word(&["all", "any"]), "Whether every series must hold, or one is enough."),
        field("max_series", Shape::Int(1, 100_000), "The most series that are taken; more are an error. 1000."),
    ],
    open: false,
};

const RANGE: Object = Object {
    name: "range",
    fields: &[
        required("last", Shape::Template, "How far back it reaches: `24h`, or `soak` for the whole of a soak so far."),
        field("step", Shape::Duration, "The distance of two points; a 250th of the range when left out."),
        field(
            "scrape",
            Shape::Duration,
            "Instead of `step`: take the samples as they were scraped, one each this long. For a plain selector.",
        ),
    ],
    open: false,
};

const COMPARE: Object = Object {
    name: "compare",
    fields: &[
        required("to", Shape::Template, "The query to compare with: what is well."),
        required("over", Shape::Duration, "How far back both are looked at: `30m`."),
        field("step", Shape::Duration, "The distance of two points; 15s when left out."),
        required("worse", Shape::Word(&["higher", "lower", "either"]), "Which way is worse."),
        field("effect", Shape::Template, "The least difference of the means that matters: `10%`, the usual one."),
    ],
    open: false,
};

/// The most points of a series that are compared.
const MOST_COMPARED: u128 = 2_000;
/// The fewest, of which something can be said.
const LEAST_COMPARED: u128 = 20;

pub(super) fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let (query_node, map) = match node.map() {
        Some(_) => (node.get("query")?, Some(node)),
        None => (node, None),
    };
    let template = compiling.reading.template(query_node, Place::Promql);
    let range = map.and_then(|m| m.get("range"));
    let span = range.map(|r| read_range(compiling, r));
    let at = map.and_then(|m| compiling.reading.template_at(m, "at", Place::Plain));
    let source = find_source(compiling, map.unwrap_or(query_node));
    let compared = map.and_then(|m| m.get("compare"));
    let compare = compared.map(|node| read_compare(compiling, node));
    measures_need_their_form(compiling, query_node, range.is_some(), compared.is_some());
    let (template, source) = (template?, source?);
    let (span, compare) = (read_or_none(span)?, read_or_none(compare)?);
    let not_worse = compare.as_ref().zip(compared).map(|(compare, node)| Expectation::Measure {
        name: MeasureName::plain(COMPARED),
        kind: Kind::Json,
        matcher: Matcher::NotWorse(compare.worse, compare.effect),
        origin: compiling.reading.origin(node),
    });
    let mut probe = Promql {
        wants: compiling.wants.clone(),
        query: template,
        implied: None,
        limit: String::new(),
        span,
        compare,
        not_worse,
        along: compiling.along.take(),
        at,
        source: source.name().to_owned(),
        url: source.url().cloned(),
        waits: source.waits(),
        any: map.and_then(|m| m.get("series_policy")).and_then(Node::text) == Some("any"),
        max_series: map.and_then(|m| m.get("max_series")).and_then(Node::number).map_or(1000, |n| n as usize),
    };
    match check(query_node.text()?) {
        Checked::Unknown(wrong) => filled_in(compiling, query_node, &probe.query, wrong)?,
        Checked::Wrong(error) => {
            let place = query_node.place_of(compiling.reading.sources, error.range);
            compiling.reading.say(Diagnostic::error("bad-promql", place, error.message));
            return None;
        }
        Checked::Valid(query) => {
            gives_numbers(compiling, query_node, &query)?;
            scraped_is_a_selector(compiling, query_node, &query, &probe)?;
            odd(compiling, query_node, &query);
            is_kept(compiling, query_node, &query, &probe, source)?;
            take_apart(compiling, query_node, &query, &mut probe);
        }
    }
    Some(Box::new(probe))
}

/// Checks a query with the inputs filled in, when they are all that it uses.
fn filled_in(
    compiling: &mut Compiling<'_, '_>,
    node: &Node,
    template: &Template,
    wrong: Option<SyntaxError>,
) -> Option<()> {
    let Ok(text) = template.render(compiling.reading.inputs) else { return Some(()) };
    if promql::parse(&text).is_ok() {
        return Some(());
    }
    // The message about the stand-ins is shown, not that about the values: they may be secret.
    let (message, place) = match wrong {
        Some(error) => (error.message, node.place_of(compiling.reading.sources, error.range)),
        None => ("the query is not valid once the inputs are filled in".to_owned(), node.span),
    };
    compiling.reading.say(Diagnostic::error("bad-promql", place, message));
    None
}

fn gives_numbers(compiling: &mut Compiling<'_, '_>, node: &Node, query: &Query) -> Option<()> {
    let message = match query.answer() {
        Answer::Scalar | Answer::Vector => return Some(()),
        Answer::Matrix => {
            "the query gives several samples a series; leave the range out and use `range:`, or take max_over_time of it"
        }
        Answer::Text => "the query gives a text, not numbers",
    };
    compiling.reading.say(Diagnostic::error("bad-promql", node.span, message));
    None
}

/// A source that keeps less than the query looks back to would never have enough.
fn is_kept(
    compiling: &mut Compiling<'_, '_>,
    node: &Node,
    query: &Query,
    probe: &Promql,
    source: Metrics<'_>,
) -> Option<()> {
    let Some(keep) = source.keeps() else { return Some(()) };
    let filled = probe.query.render(compiling.reading.inputs).ok().and_then(|text| promql::parse(&text).ok());
    let back = promql::reach(filled.as_ref().unwrap_or(query)).back + probe.back();
    if back <= keep {
        return Some(());
    }
    let words = |d: Duration| quantity::seconds(d.as_secs_f64());
    let message = format!("the query looks back {}, and {:?} keeps {}", words(back), source.name(), words(keep));
    let help = format!("write `keep: {}` in the source, or shorten the range", words(back));
    compiling.reading.say(Diagnostic::error("beyond-keep", node.span, message).help(help));
    None
}

fn odd(compiling: &mut Compiling<'_, '_>, node: &Node, query: &Query) {
    for oddity in promql::oddities(query) {
        let place = node.place_of(compiling.reading.sources, oddity.range);
        compiling.reading.say(Diagnostic::warning("odd-promql", place, oddity.message));
    }
}

/// Takes a comparison with a number out of the query: what is left is measured.
fn take_apart(compiling: &mut Compiling<'_, '_>, node: &Node, query: &Query, probe: &mut Promql) {
    let Some(split) = promql::split_comparison(query) else { return };
    let source = probe.query.source().to_owned();
    let (Some(measured), Some(limit)) = (source.get(split.measured.clone()), source.get(split.limit)) else { return };
    let place = |text: &str| Template::parse(text, Place::Promql).ok();
    let (Some(measured), Some(limit)) = (place(measured), place(limit)) else { return };
    // A limit that only the run knows leaves the query whole.
    let Some(text) = limit.render(compiling.reading.inputs).ok() else { return };
    let Some(value) = promql::constant(&text).filter(|v| !v.is_nan()) else { return };
    probe.implied = Some(Expectation::Measure {
        name: MeasureName::plain("value"),
        kind: Kind::Quantity,
        matcher: Matcher::Compare(split.op, Quantity::number(value)),
        origin: compiling.reading.origin(node),
    });
    probe.limit = format!(" {} {}", Op::sign(split.op), text.trim());
    probe.query = measured;
}

/// Passes on what was read, or was not there; nothing when there was a mistake in it.
fn read_or_none<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(read) => read.map(Some),
        None => Some(None),
    }
}

fn read_range(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Span> {
    let last = node.get("last")?;
    let reach = match last.text() {
        Some("soak") if !compiling.soak => {
            let message = "there is no soak in this checklist: write the duration";
            compiling.reading.say(Diagnostic::error("bad-value", last.span, message));
            return None;
        }
        Some("soak") => Reach::Soak,
        _ => Reach::Last(compiling.reading.duration(last)?),
    };
    if matches!(reach, Reach::Last(length) if length.is_zero()) {
        compiling.reading.say(Diagnostic::error("bad-value", last.span, "the range has no length"));
        return None;
    }
    let (step, scrape) = (node.get("step"), node.get("scrape"));
    if let (Some(_), Some(scrape)) = (step, scrape) {
        let message = "either a step of its own or the samples as they were scraped, not both";
        compiling.reading.say(Diagnostic::error("bad-value", scrape.span, message));
        return None;
    }
    let place = step.or(scrape).unwrap_or(last).span;
    let points = match (step, scrape) {
        (Some(step), _) => Points::Every(compiling.reading.duration(step)?),
        (None, Some(scrape)) => Points::Scraped(compiling.reading.duration(scrape)?),
        (None, None) => Points::Even,
    };
    let distance = match points {
        Points::Every(step) | Points::Scraped(step) => step,
        Points::Even => return Some(Span { reach, points }),
    };
    let longest = if let Reach::Last(length) = reach { length } else { Duration::MAX };
    if distance.is_zero() || distance > longest {
        let message = "the step must be longer than 0 and not longer than the range";
        compiling.reading.say(Diagnostic::error("bad-value", place, message));
        return None;
    }
    if let (Reach::Last(length), Points::Every(step)) = (reach, points) {
        let count = length.as_nanos() / step.as_nanos();
        if count >= MOST_POINTS {
            let message =
                format!("the range has {count} points; Prometheus gives {MOST_POINTS} at most, make the step longer");
            compiling.reading.say(Diagnostic::error("bad-value", place, message));
            return None;
        }
    }
    Some(Span { reach, points })
}

/// Only what is looked up was scraped: what is computed has a value at every moment.
fn scraped_is_a_selector(compiling: &mut Compiling<'_, '_>, node: &Node, query: &Query, probe: &Promql) -> Option<()> {
    if !matches!(probe.span, Some(Span { points: Points::Scraped(_), .. })) {
        return Some(());
    }
    let plain = query.is_selector()
        && !query.text().trim_start().starts_with('(')
        && !promql::selectors(query).iter().any(|selector| selector.shifted);
    if plain {
        return Some(());
    }
    let message = "`scrape` takes the samples of a plain selector, without functions, comparisons and offsets";
    let help = "ask with `step` instead, or select the series: `up{job=\"api\"}`";
    compiling.reading.say(Diagnostic::error("bad-value", node.span, message).help(help));
    None
}

fn read_compare(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Compare> {
    let to = node.get("to").and_then(|to| compared_with(compiling, to));
    let over_node = node.get("over")?;
    let over = compiling.reading.duration(over_node);
    let step = match node.get("step") {
        Some(step) => compiling.reading.duration(step),
        None => Some(Duration::from_secs(15)),
    };
    let effect = match node.get("effect") {
        Some(effect) => read_effect(compiling, effect),
        None => Some(0.1),
    };
    let worse = match node.get("worse").and_then(Node::text)? {
        "higher" => Worse::Higher,
        "lower" => Worse::Lower,
        _ => Worse::Either,
    };
    let (to, over, step, effect) = (to?, over?, step?, effect?);
    let points = over.as_nanos() / step.as_nanos().max(1);
    if step.is_zero() || !(LEAST_COMPARED..=MOST_COMPARED).contains(&points) {
        let message = format!(
            "a comparison needs {LEAST_COMPARED} to {MOST_COMPARED} points, and `over` has {points} of its steps"
        );
        compiling.reading.say(Diagnostic::error("bad-value", over_node.span, message));
        return None;
    }
    Some(Compare { to, over, step, worse, effect })
}

/// Checks the query to compare with as the query itself is checked.
fn compared_with(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Template> {
    let template = compiling.reading.template(node, Place::Promql)?;
    match check(node.text()?) {
        Checked::Unknown(wrong) => filled_in(compiling, node, &template, wrong)?,
        Checked::Wrong(error) => {
            let place = node.place_of(compiling.reading.sources, error.range);
            compiling.reading.say(Diagnostic::error("bad-promql", place, error.message));
            return None;
        }
        Checked::Valid(query) => {
            gives_numbers(compiling, node, &query)?;
            odd(compiling, node, &query);
        }
    }
    Some(template)
}

fn read_effect(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<f64> {
    let text = compiling.reading.known_text(node)?;
    match Quantity::parse(&text) {
        Ok(share) if share.fits(Kind::Ratio) && share.value >= 0.0 => Some(share.value),
        _ => {
            let message = format!("{text:?} is not a share such as 10%");
            compiling.reading.say(Diagnostic::error("bad-value", node.span, message));
            None
        }
    }
}

fn find_source<'s>(compiling: &mut Compiling<'s, '_>, place: &Node) -> Option<Metrics<'s>> {
    let (name, place) = asked::named(compiling, place);
    let span = place.span;
    let sources = compiling.sources;
    if let Some(found) = sources.metrics(name.as_deref()) {
        return Some(found);
    }
    let names = sources.names();
    let diagnostic = match name {
        Some(name) => {
            Diagnostic::error("unknown-source", span, format!("there is no source {name:?}")).near(&name, names)
        }
        None if names.clone().next().is_some() => {
            let names: Vec<_> = names.collect();
            Diagnostic::error("no-source", span, "it is not clear which source is meant; name one with `source`")
                .help(format!("the sources are {}", names.join(", ")))
        }
        None => Diagnostic::error("no-source", span, "there is no Prometheus to ask").help(
            "declare one: `sources: { prometheus: { url: \"http://localhost:9090\" } }`; without a server, scrape \
                 the service itself: `sources: { scrape: { url: \"http://localhost:8080/metrics\" } }`",
        ),
    };
    compiling.reading.say(diagnostic);
    None
}

/// Measures of a range make no sense at one moment, nor does a comparison without something to compare with: they
/// would never have data.
fn measures_need_their_form(compiling: &mut Compiling<'_, '_>, place: &Node, has_range: bool, has_compare: bool) {
    let used = super::range::NAMES.iter().find(|name| compiling.wants.any(name));
    if let (Some(name), false) = (used, has_range) {
        let message = format!("the measure {name:?} needs a range");
        let help = "write `promql: { query: …, range: { last: 1h, step: 1m } }`";
        compiling.reading.say(Diagnostic::error("expect-unknown-measure", place.span, message).help(help));
    }
    if compiling.wants.any(COMPARED) && !has_compare {
        let message = format!("the measure {COMPARED:?} needs something to compare with");
        let help = "write `promql: { query: …, compare: { to: …, over: 30m, worse: higher } }`";
        compiling.reading.say(Diagnostic::error("expect-unknown-measure", place.span, message).help(help));
    }
}
