//! Worse answers: what a whole look becomes when the server, the command or the log behaves as they do on a bad day.

use super::text::asks_whole;
use super::units::Unit;
use crate::model::{Found, Measures, Mutation, Value};

/// A look that went badly.
#[derive(Clone, Debug, PartialEq)]
pub struct Worse {
    /// What happened, in a few words.
    pub what: &'static str,
    /// What was found then.
    pub found: Found,
}

/// Returns what would have been found; nothing when the mutation does not fit the kind of probe, or what was recorded
/// is as bad already.
pub fn worse(mutation: Mutation, probe: &str, measures: &Measures, units: &[Unit]) -> Vec<Worse> {
    let cause = || "made up for the proof".to_owned();
    match (mutation, probe) {
        (Mutation::Unreachable, _) => vec![
            Worse { what: "no answer", found: Found::NoAnswer { cause: cause() } },
            Worse { what: "could not look", found: Found::CouldNotLook { cause: cause(), retry: false } },
        ],
        (Mutation::NoData, _) => of("no data at all", changed(measures, |_, _| Some(Value::NoData(cause())))),
        (Mutation::Status500, "http") => server_error(measures),
        (Mutation::Exit1, "exec") if number(measures, "exit_code") == Some(0.0) => of(
            "the same output, exit code 1",
            changed(measures, |name, _| match name {
                "exit_code" => Some(Value::Number(1.0)),
                _ => None,
            }),
        ),
        (Mutation::Zero, "log") => empty_log(measures),
        (Mutation::Truncated, "http" | "exec" | "file") if units.iter().any(wants_the_whole) => truncated(measures),
        _ => Vec::new(),
    }
}

fn of(what: &'static str, measures: Measures) -> Vec<Worse> {
    vec![Worse { what, found: Found::Measures(measures) }]
}

/// Copies measures; those for which `change` has a value get it.
fn changed(measures: &Measures, change: impl Fn(&str, &Value) -> Option<Value>) -> Measures {
    let value = |name: &str, value: &Value| change(name, value).unwrap_or_else(|| value.clone());
    measures.iter().map(|(name, old)| (name.clone(), value(name.name(), old))).collect()
}

fn number(measures: &Measures, name: &str) -> Option<f64> {
    let mut values = measures.iter().filter(|(n, _)| n.name() == name && n.key().is_none());
    values.find_map(|(_, value)| if let Value::Number(number) = value { Some(*number) } else { None })
}

/// Status 500, with a page that says so. Of a burst, every answer.
fn server_error(measures: &Measures) -> Vec<Worse> {
    if number(measures, "status").is_some_and(|status| status >= 500.0) {
        return Vec::new();
    }
    let total: f64 = measures
        .iter()
        .filter(|(name, _)| name.name() == "statuses")
        .filter_map(|(_, value)| match value {
            Value::Number(count) => Some(*count),
            _ => None,
        })
        .sum();
    let page = "Internal Server Error";
    let changed = measures.iter().map(|(name, old)| {
        let value = match (name.name(), name.key()) {
            ("status", _) => Value::Number(500.0),
            ("body", _) => Value::Text(page.into()),
            ("json", _) => Value::NoData("the body is not JSON".into()),
            ("size", _) => Value::Number(page.len() as f64),
            ("error_rate", _) => Value::Number(1.0),
            ("statuses", Some("500" | "5xx")) => Value::Number(total),
            ("statuses", Some(_)) => Value::Number(0.0),
            _ => old.clone(),
        };
        (name.clone(), value)
    });
    of("status 500", changed.collect())
}

/// A log in which nothing stands: it was rotated away, or nobody writes it any more.
fn empty_log(measures: &Measures) -> Vec<Worse> {
    let nothing = || Value::NoData("the log is empty".into());
    let empty = changed(measures, |name, _| match name {
        "matches" | "scanned_lines" | "scanned_bytes" => Some(Value::Number(0.0)),
        "lines" | "captures" => Some(Value::Set(Vec::new())),
        "valid_json" | "rate" => Some(nothing()),
        _ => None,
    });
    if empty == *measures { Vec::new() } else { of("an empty log", empty) }
}

/// The first half of every text; half a JSON document is none.
fn truncated(measures: &Measures) -> Vec<Worse> {
    let half = |text: &str| text.chars().take(text.chars().count() / 2).collect::<String>();
    let cut = changed(measures, |name, value| match (name, value) {
        ("body" | "stdout" | "stderr" | "text", Value::Text(text)) => Some(Value::Text(half(text))),
        ("json", Value::Json(_)) => Some(Value::NoData("half a document is not valid JSON".into())),
        _ => None,
    });
    if cut == *measures { Vec::new() } else { of("cut in half", cut) }
}

/// Tells whether half an answer must be noticed by a unit: it asks for the end of a text, or for a field of a document.
fn wants_the_whole(unit: &Unit) -> bool {
    unit.parts.iter().all(|part| match part.name.name() {
        "json" => part.matcher.is_some(),
        "body" | "stdout" | "stderr" | "text" => part.matcher.as_ref().is_some_and(asks_whole),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MeasureName;

    fn measures(list: &[(&'static str, Value)]) -> Measures {
        list.iter().map(|(name, value)| (MeasureName::plain(name), value.clone())).collect()
    }

    #[test]
    fn a_server_that_fails_changes_status_and_page() {
        let good = measures(&[("status", Value::Number(200.0)), ("body", Value::Text("ok".into()))]);
        let [worse] = &server_error(&good)[..] else { panic!("one") };
        let bad = measures(&[("status", Value::Number(500.0)), ("body", Value::Text("Internal Server Error".into()))]);
        assert_eq!(worse.found, Found::Measures(bad.clone()));
        assert!(server_error(&bad).is_empty());
    }

    #[test]
    fn a_log_that_is_empty_already_is_not_made_empty() {
        let full = measures(&[("matches", Value::Number(0.0)), ("scanned_bytes", Value::Number(812.0))]);
        let [worse] = &empty_log(&full)[..] else { panic!("one") };
        let Found::Measures(empty) = &worse.found else { panic!("measures") };
        assert!(empty_log(empty).is_empty());
    }
}
