//! What is measured of a page. This module does no I/O.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::select;
use crate::model::{MeasureName, Measures, Sample, Value};
use crate::probe::{Wants, asked};
use crate::promql::Selector;
use crate::promql::exposition::{self, Family, Format, Kind, Malformed, families};
use crate::stats::counter;

/// The most series that are judged one by one.
pub(super) const MOST_SERIES: usize = 1000;
/// The most families whose type and help are given to an expression over all of them.
const MOST_FAMILIES: usize = 2000;
/// The most mistakes that are listed.
const MOST_MISTAKES: usize = 50;

/// The keyed measures that are wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    types: Keys,
    helps: Keys,
    labels: Keys,
    /// Whether series are judged one by one.
    each: bool,
}

#[derive(Clone, Debug)]
struct Keys {
    names: Vec<String>,
    whole: bool,
}

impl Wanted {
    /// Notes which they are.
    pub(super) fn of(wants: &Wants) -> Self {
        let keys = |name: &str| Keys {
            names: wants.keys(name).into_iter().map(str::to_owned).collect(),
            whole: wants.whole(name),
        };
        let each = wants.any("value") || wants.any("increase");
        Self { types: keys("type"), helps: keys("help"), labels: keys("labels"), each }
    }
}

/// The value of each selected series, by the series.
pub(super) type Values = BTreeMap<BTreeMap<String, String>, f64>;

/// What a page came to.
pub(super) struct Read {
    pub(super) measures: Measures,
    pub(super) mistakes: Vec<Malformed>,
    /// The selected series, for a second look; nothing without a selector, and when there are too many of them or the
    /// page is malformed.
    pub(super) values: Option<Values>,
    /// Why nothing was selected.
    pub(super) why_none: Option<String>,
    /// How many series were selected, when that is more than are judged one by one and they should be.
    pub(super) too_many: Option<usize>,
}

/// Reads a page and measures it.
pub(super) fn read(page: &[u8], format: Format, selector: Option<&Selector>, wanted: &Wanted) -> Read {
    let (families, mistakes) = families(page, format);
    let mut measures = Measures::new();
    let valid = mistakes.is_empty();
    measures.plain("valid", Value::Bool(valid));
    let listed = mistakes.iter().take(MOST_MISTAKES).map(ToString::to_string);
    measures.plain("mistakes", Value::Set(listed.collect()));
    measures.plain("format", Value::Text(word_of(format).to_owned()));
    measures.plain("size", Value::Number(page.len() as f64));
    if let Some(first) = mistakes.first() {
        nothing(&mut measures, wanted, &format!("the page is malformed, {first}"));
        return Read { measures, mistakes, values: None, why_none: None, too_many: None };
    }
    let chosen = |sample: &&exposition::Sample<'_>| selector.is_none_or(|s| select::fits(s, sample));
    let found: Vec<(&Family<'_>, Vec<&exposition::Sample<'_>>)> = families
        .iter()
        .map(|family| (family, family.samples.iter().filter(chosen).collect::<Vec<_>>()))
        .filter(|(_, samples)| !samples.is_empty())
        .collect();
    let samples: Vec<&exposition::Sample<'_>> = found.iter().flat_map(|(_, samples)| samples.iter().copied()).collect();
    let names: BTreeSet<Cow<'_, str>> = samples.iter().map(|sample| sample.name()).collect();
    measures.plain("families", Value::Number(found.len() as f64));
    measures.plain("names", Value::Number(names.len() as f64));
    measures.plain("series", Value::Number(samples.len() as f64));
    about_metrics(&families, wanted, &mut measures);
    let Some(selector) = selector else {
        return Read { measures, mistakes, values: None, why_none: None, too_many: None };
    };
    let why_none = samples.is_empty().then(|| select::why_none(selector, &families));
    let series = series(&samples);
    labels(&series, wanted, why_none.as_deref(), &mut measures);
    let count = series.len();
    if count > MOST_SERIES {
        return Read { measures, mistakes, values: None, why_none, too_many: wanted.each.then_some(count) };
    }
    measures.plain("value", why_none.clone().map_or_else(|| Value::Series(series.clone()), Value::NoData));
    let values = series.into_iter().map(|s| (s.labels, s.value)).collect();
    Read { measures, mistakes, values: Some(values), why_none, too_many: None }
}

/// Gives every measure of what cannot be read no data.
pub(super) fn nothing(measures: &mut Measures, wanted: &Wanted, why: &str) {
    for name in ["value", "families", "names", "series", "increase"] {
        measures.plain(name, Value::NoData(why.to_owned()));
    }
    for (name, keys) in [("type", &wanted.types), ("help", &wanted.helps), ("labels", &wanted.labels)] {
        keys.names.iter().for_each(|key| measures.keyed(name, key.as_str(), Value::NoData(why.to_owned())));
        if keys.whole {
            measures.plain(name, Value::NoData(why.to_owned()));
        }
    }
}

pub(super) fn word_of(format: Format) -> &'static str {
    match format {
        Format::Text => "text",
        Format::OpenMetrics => "openmetrics",
    }
}

fn series(samples: &[&exposition::Sample<'_>]) -> Vec<Sample> {
    let one = |sample: &&exposition::Sample<'_>| {
        let labels = sample.labels().map(|(name, value)| (name.into_owned(), value.into_owned()));
        let name = ("__name__".to_owned(), sample.name().into_owned());
        Sample { labels: labels.chain([name]).collect(), value: sample.value }
    };
    samples.iter().map(one).collect()
}

fn labels(series: &[Sample], wanted: &Wanted, why_none: Option<&str>, measures: &mut Measures) {
    let mut names: BTreeSet<&str> = wanted.labels.names.iter().map(String::as_str).collect();
    if wanted.labels.whole {
        names.extend(series.iter().flat_map(|s| s.labels.keys()).map(String::as_str));
    }
    for name in names {
        let values: BTreeSet<&String> = series.iter().filter_map(|s| s.labels.get(name)).collect();
        let value = match (why_none, values.is_empty()) {
            (Some(why), _) => Value::NoData(why.to_owned()),
            (None, false) => Value::Set(values.into_iter().cloned().collect()),
            (None, true) => Value::Missing(format!("no series has the label {name:?}")),
        };
        measures.set(MeasureName::keyed("labels", name), value);
    }
}

/// Gives type and help of each metric that is asked about, by the name of its family or of one of its samples.
fn about_metrics(families: &[Family<'_>], wanted: &Wanted, measures: &mut Measures) {
    let find = |name: &str| {
        let called = |family: &&Family<'_>| family.name == name;
        let holds = |family: &&Family<'_>| family.samples.iter().any(|sample| sample.name() == name);
        families.iter().find(called).or_else(|| families.iter().find(holds))
    };
    for (measure, keys) in [("type", &wanted.types), ("help", &wanted.helps)] {
        let all = families.iter().take(MOST_FAMILIES).filter(|_| keys.whole).map(|family| family.name.to_string());
        for key in keys.names.iter().cloned().chain(all) {
            let value = match find(&key) {
                None => {
                    let names: Vec<&str> = families.iter().map(|family| family.name.as_ref()).collect();
                    Value::Missing(asked::nothing("metric", &key, &names))
                }
                Some(family) if measure == "type" => Value::Text(word(family.kind).to_owned()),
                Some(family) => match &family.help {
                    Some(help) => Value::Text(help.to_string()),
                    None => Value::Missing(format!("the page has no HELP of {key}")),
                },
            };
            measures.keyed(measure, key.as_str(), value);
        }
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::GaugeHistogram => "gaugehistogram",
        Kind::Summary => "summary",
        Kind::Info => "info",
        Kind::StateSet => "stateset",
        Kind::Unknown => "unknown",
    }
}

/// Measures how much the selected series grew between two pages, and tells how many of them began anew.
pub(super) fn increase(before: &Read, after: &Read) -> (Value, usize) {
    let malformed = before.mistakes.first().or(after.mistakes.first());
    if let Some(first) = malformed {
        return (Value::NoData(format!("a page is malformed, {first}")), 0);
    }
    let (Some(before), Some(now)) = (&before.values, &after.values) else {
        return (Value::NoData("there are no series to compare".into()), 0);
    };
    if let (true, Some(why)) = (before.is_empty(), &after.why_none) {
        return (Value::NoData(why.clone()), 0);
    }
    let series: BTreeSet<&BTreeMap<String, String>> = before.keys().chain(now.keys()).collect();
    let mut resets = 0;
    let grown = series.into_iter().map(|labels| {
        let value = match (before.get(labels), now.get(labels)) {
            (Some(then), Some(now)) => {
                resets += counter::resets([*then, *now]);
                counter::increase([*then, *now]).unwrap_or(f64::NAN)
            }
            (None, Some(now)) => *now,
            (_, None) => f64::NAN,
        };
        Sample { labels: labels.clone(), value }
    });
    let grown = Value::Series(grown.collect());
    (grown, resets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        let mut wants = Wants::default();
        for name in ["type[req]", "type[req_total]", "type[nothing]", "help[up]", "help[req]", "labels[code]"] {
            wants.add(MeasureName::parse(name));
        }
        Wanted::of(&wants)
    }

    fn read_page(page: &str, selector: Option<&str>) -> Read {
        let selector = selector.map(|text| select::read(text).expect(text));
        read(page.as_bytes(), Format::of_page(page.as_bytes()), selector.as_ref(), &wanted())
    }

    fn get<'a>(read: &'a Read, name: &str) -> &'a Value {
        read.measures.get(&MeasureName::parse(name)).unwrap_or_else(|| panic!("{name} is not measured"))
    }

    const PAGE: &str = "# HELP req Requests.\n# TYPE req counter\nreq_total{code=\"200\"} 7\nreq_total{code=\"500\"} 1\n\
        # TYPE lat histogram\nlat_bucket{le=\"+Inf\"} 2\nlat_sum 3\nlat_count 2\n# TYPE up gauge\nup 1\n# EOF\n";

    #[test]
    fn families_names_and_series_are_counted_apart() {
        let all = read_page(PAGE, None);
        let counts = ["families", "names", "series"].map(|name| get(&all, name).clone());
        assert_eq!(counts, [Value::Number(3.0), Value::Number(5.0), Value::Number(6.0)]);
        let some = read_page(PAGE, Some("{__name__=~\"lat.*\"}"));
        let counts = ["families", "names", "series"].map(|name| get(&some, name).clone());
        assert_eq!(counts, [Value::Number(1.0), Value::Number(3.0), Value::Number(3.0)]);
    }

    #[test]
    fn metrics_are_known_by_family_and_by_sample() {
        let all = read_page(PAGE, Some("req_total"));
        assert_eq!(*get(&all, "type[req]"), Value::Text("counter".into()));
        assert_eq!(*get(&all, "type[req_total]"), Value::Text("counter".into()));
        assert_eq!(*get(&all, "help[req]"), Value::Text("Requests.".into()));
        assert!(matches!(get(&all, "type[nothing]"), Value::Missing(_)));
        assert!(matches!(get(&all, "help[up]"), Value::Missing(why) if why.contains("HELP")));
        assert_eq!(*get(&all, "labels[code]"), Value::Set(vec!["200".into(), "500".into()]));
    }

    #[test]
    fn of_a_malformed_page_nothing_else_is_known() {
        let read = read_page("up 1\nup{ 1\nup 1\n", Some("up"));
        assert_eq!(*get(&read, "valid"), Value::Bool(false));
        assert!(matches!(get(&read, "mistakes"), Value::Set(list) if list.len() == 2 && list[0].starts_with("line 2")));
        for name in ["value", "series", "type[req]"] {
            assert!(matches!(get(&read, name), Value::NoData(why) if why.contains("line 2")), "{name}");
        }
    }

    #[test]
    fn counters_that_begin_anew_even_out() {
        let page = |a: u32, b: &str| read_page(&format!("c{{n=\"a\"}} {a}\n{b}"), Some("c"));
        let grown = |before: &Read, after: &Read| match increase(before, after) {
            (Value::Series(samples), resets) => (samples.iter().map(|s| s.value).collect::<Vec<_>>(), resets),
            (other, _) => panic!("{other:?}"),
        };
        assert_eq!(grown(&page(5, ""), &page(8, "")), (vec![3.0], 0));
        assert_eq!(grown(&page(5, ""), &page(2, "")), (vec![2.0], 1));
        assert_eq!(grown(&page(5, ""), &page(5, "c{n=\"b\"} 4\n")), (vec![0.0, 4.0], 0));
        let (values, _) = grown(&page(5, "c{n=\"b\"} 4\n"), &page(6, ""));
        assert!(values[0] == 1.0 && values[1].is_nan());
        let none = || read_page("d 1\n", Some("c"));
        assert!(matches!(increase(&none(), &none()).0, Value::NoData(_)));
    }

    #[test]
    fn more_series_than_are_judged_are_counted_alone() {
        let page: String = (0..=MOST_SERIES).map(|n| format!("c{{n=\"{n}\"}} 1\n")).collect();
        let counted = read_page(&page, Some("c"));
        assert_eq!((counted.too_many, get(&counted, "series")), (None, &Value::Number(1001.0)));
        let mut wants = Wants::default();
        wants.add(MeasureName::plain("value"));
        let selector = select::read("c").expect("valid");
        let judged = read(page.as_bytes(), Format::Text, Some(&selector), &Wanted::of(&wants));
        assert_eq!(judged.too_many, Some(1001));
    }
}
