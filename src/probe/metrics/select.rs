//! A selector on a page: which series it finds, and why it finds none.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::probe::asked;
use crate::promql::exposition::{Family, Sample};
use crate::promql::{self, Selector, SyntaxError};

/// The most values of a label that are listed.
const MOST_VALUES: usize = 8;

/// Reads a selector.
///
/// # Errors
/// Says what is wrong with it and where.
pub(super) fn read(text: &str) -> Result<Selector, SyntaxError> {
    let query = promql::parse(text)?;
    let refuse = |message: &str| Err(SyntaxError { message: message.to_owned(), range: 0..text.len() });
    if !query.is_selector() {
        return refuse("a page is asked with a selector alone, such as up{job=\"api\"}; to compute, use promql");
    }
    match promql::selectors(&query).pop() {
        Some(selector) if selector.shifted => refuse("a page knows only now: leave out `offset` and `@`"),
        Some(selector) if selector.alternatives => refuse("`or` between conditions is not PromQL"),
        Some(selector) => Ok(selector),
        None => refuse("this selects nothing"),
    }
}

/// Tells whether a sample is selected.
pub(super) fn fits(selector: &Selector, sample: &Sample<'_>) -> bool {
    let name = sample.name();
    if selector.metric.as_deref().is_some_and(|metric| metric != name) {
        return false;
    }
    selector.naming.iter().all(|condition| condition.holds(&name))
        && selector.matching.iter().all(|condition| condition.holds(&value(sample, condition.label())))
}

fn value<'a>(sample: &Sample<'a>, label: &str) -> Cow<'a, str> {
    sample.labels().find(|(name, _)| name == label).map_or(Cow::Borrowed(""), |(_, value)| value)
}

/// Says why a selector finds nothing on a page.
pub(super) fn why_none(selector: &Selector, families: &[Family<'_>]) -> String {
    let samples = || families.iter().flat_map(|family| &family.samples);
    let Some(metric) = &selector.metric else {
        return format!("no series of the page fits {}", selector.text);
    };
    let of_metric: Vec<&Sample<'_>> = samples().filter(|sample| sample.name() == metric.as_str()).collect();
    if of_metric.is_empty() {
        if families.iter().any(|family| family.name == metric.as_str()) {
            return format!("the page names {metric}, and shows no series of it");
        }
        let names: BTreeSet<Cow<'_, str>> = samples().map(Sample::name).collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        return asked::nothing("metric", metric, &names);
    }
    let alone = selector
        .matching
        .iter()
        .find(|condition| !of_metric.iter().any(|sample| condition.holds(&value(sample, condition.label()))));
    match alone {
        None => format!("{metric} is there, and no series of it has all of these labels at once"),
        Some(condition) => {
            let label = condition.label();
            let values: BTreeSet<Cow<'_, str>> =
                of_metric.iter().map(|sample| value(sample, label)).filter(|value| !value.is_empty()).collect();
            let wanted = format!("{label}{}{:?}", condition.sign(), condition.value());
            let listed: Vec<_> = values.iter().take(MOST_VALUES).map(|value| format!("{value:?}")).collect();
            let more = if values.len() > MOST_VALUES { ", …" } else { "" };
            match listed.is_empty() {
                true => format!("{metric} is there, and no series of it has the label {label}"),
                false => format!(
                    "{metric} is there, and no series of it has {wanted}; {label} is {}{more}",
                    listed.join(", ")
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::exposition::{Format, families};

    const PAGE: &str = "# TYPE up gauge\nup 1\n# TYPE idle gauge\nreq_total{code=\"200\",path=\"/\"} 7\nreq_total{code=\"500\",path=\"/a\"} 1\n";

    fn found(text: &str) -> (usize, String) {
        let (families, mistakes) = families(PAGE.as_bytes(), Format::Text);
        assert!(mistakes.is_empty());
        let selector = read(text).expect(text);
        let count = families.iter().flat_map(|family| &family.samples).filter(|s| fits(&selector, s)).count();
        (count, why_none(&selector, &families))
    }

    #[test]
    fn names_and_labels_are_compared_as_in_promql() {
        for (text, count) in [
            ("up", 1),
            ("req_total", 2),
            ("req_total{code=\"200\"}", 1),
            ("req_total{code=~\"2..|5..\"}", 2),
            ("req_total{code!=\"200\"}", 1),
            ("req_total{host=\"\"}", 2),
            ("{__name__=~\"req.*\"}", 2),
            ("{__name__=~\"req\"}", 0),
            ("{path=\"/\"}", 1),
        ] {
            assert_eq!(found(text).0, count, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_explained() {
        for (text, why) in [
            ("uq", "there is no metric \"uq\"; did you mean \"up\"?"),
            ("idle", "the page names idle, and shows no series of it"),
            (
                "req_total{code=\"404\"}",
                "req_total is there, and no series of it has code=\"404\"; code is \"200\", \"500\"",
            ),
            ("req_total{host=\"a\"}", "req_total is there, and no series of it has the label host"),
            (
                "req_total{code=\"500\",path=\"/\"}",
                "req_total is there, and no series of it has all of these labels at once",
            ),
            ("{path=\"/x\"}", "no series of the page fits {path=\"/x\"}"),
        ] {
            assert_eq!(found(text).1, why, "{text}");
        }
    }

    #[test]
    fn only_selectors_are_taken() {
        for text in ["sum(up)", "up > 1", "up[5m]", "up offset 5m", "1", "{a=\"b\" or c=\"d\"}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
