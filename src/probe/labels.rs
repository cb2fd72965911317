//! Conditions on labels, as `targets` and `alerts` take them.

use std::collections::BTreeMap;

use regex::Regex;

use crate::checklist::reading::Reading;
use crate::shape::{Object, Shape, field};
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// The form of `labels:`.
pub(super) const SHAPE: Shape = Shape::Map(&Shape::Either(&[Shape::Template, Shape::Object(&CONDITION)]));

const CONDITION: Object = Object {
    name: "a condition on a label",
    fields: &[
        field("matches", Shape::Regex, "A regular expression that finds something in the value."),
        field("not", Shape::OneOrMany(&Shape::Template), "Values that it must not have."),
        field("one_of", Shape::Filled(&Shape::Template), "Values of which it must have one."),
    ],
    open: false,
};

/// Conditions that must all hold. A label that is not there has the empty value, as in PromQL.
#[derive(Debug, Default)]
pub(super) struct Conditions(Vec<(String, Condition)>);

#[derive(Debug)]
enum Condition {
    OneOf(Vec<Template>),
    Not(Vec<Template>),
    Matches(Regex),
}

/// Conditions with their templates filled in.
#[derive(Debug, Default)]
pub(super) struct Filled(Vec<(String, Held)>);

#[derive(Debug)]
enum Held {
    OneOf(Vec<String>),
    Not(Vec<String>),
    Matches(Regex),
}

impl Conditions {
    /// Reads the value of `labels:`, which has passed [`SHAPE`]. Nothing when a mistake was said.
    pub(super) fn read(reading: &mut Reading<'_>, node: Option<&Node>) -> Option<Self> {
        let mut all = Vec::new();
        let mut good = true;
        for (key, value) in node.and_then(Node::map).unwrap_or_default() {
            let name = key.text().unwrap_or_default();
            let parts = match value.map() {
                None => vec![one_of(reading, value).map(Condition::OneOf)],
                Some(entries) => entries.iter().map(|(word, value)| condition(reading, word, value)).collect(),
            };
            for part in parts {
                good &= part.is_some();
                all.extend(part.map(|condition| (name.to_owned(), condition)));
            }
        }
        good.then_some(Self(all))
    }

    /// Tells whether nothing is asked.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fills the templates in.
    ///
    /// # Errors
    /// Says which variable has no value.
    pub(super) fn fill(&self, scope: &Scope) -> Result<Filled, String> {
        let texts = |templates: &[Template]| {
            templates.iter().map(|t| t.render(scope).map_err(|e| e.to_string())).collect::<Result<Vec<_>, _>>()
        };
        let held = |(name, condition): &(String, Condition)| {
            let held = match condition {
                Condition::OneOf(list) => Held::OneOf(texts(list)?),
                Condition::Not(list) => Held::Not(texts(list)?),
                Condition::Matches(pattern) => Held::Matches(pattern.clone()),
            };
            Ok((name.clone(), held))
        };
        self.0.iter().map(held).collect::<Result<_, String>>().map(Filled)
    }

    /// Says the conditions as they are written: `severity critical`.
    pub(super) fn words(&self) -> String {
        let list = |templates: &[Template]| templates.iter().map(Template::source).collect::<Vec<_>>().join(", ");
        let word = |(name, condition): &(String, Condition)| match condition {
            Condition::OneOf(of) => format!("{name} {}", list(of)),
            Condition::Not(of) => format!("{name} not {}", list(of)),
            Condition::Matches(pattern) => format!("{name} matches /{pattern}/"),
        };
        self.0.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

fn condition(reading: &mut Reading<'_>, word: &Node, value: &Node) -> Option<Condition> {
    match word.text() {
        Some("matches") => reading.regex(value).map(Condition::Matches),
        Some("not") => one_of(reading, value).map(Condition::Not),
        _ => one_of(reading, value).map(Condition::OneOf),
    }
}

fn one_of(reading: &mut Reading<'_>, value: &Node) -> Option<Vec<Template>> {
    let items = value.list().unwrap_or(std::slice::from_ref(value));
    let all: Vec<_> = items.iter().map(|item| reading.template(item, Place::Plain)).collect();
    all.into_iter().collect()
}

impl Filled {
    /// Tells whether all conditions hold of these labels.
    pub(super) fn hold(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(name, held)| held.holds_of(labels.get(name).map_or("", String::as_str)))
    }

    /// Tells whether all conditions may hold of something that has these labels and perhaps others.
    pub(super) fn may_hold(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(name, held)| labels.get(name).is_none_or(|value| held.holds_of(value)))
    }

    /// Returns the labels that must have one certain value.
    pub(super) fn fixed(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter().filter_map(|(name, held)| match held {
            Held::OneOf(list) => list.first().filter(|_| list.len() == 1).map(|value| (name, value)),
            Held::Not(_) | Held::Matches(_) => None,
        })
    }
}

impl Held {
    fn holds_of(&self, value: &str) -> bool {
        match self {
            Held::OneOf(list) => list.iter().any(|one| one == value),
            Held::Not(list) => list.iter().all(|one| one != value),
            Held::Matches(pattern) => pattern.is_match(value),
        }
    }
}

/// Prints labels as PromQL writes them: `{code="200", path="/"}`; nothing when there are none.
pub(super) fn shown<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let list: Vec<_> = labels.into_iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    if list.is_empty() { String::new() } else { format!("{{{}}}", list.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Diagnostics, SourceMap};

    fn hold(yaml: &str, labels: &[(&str, &str)]) -> bool {
        let (mut map, mut diagnostics, scope) = (SourceMap::new(), Diagnostics::new(), Scope::default());
        let file = map.add("c.yaml", yaml);
        let node = crate::yaml::parse(&mut map, file, &mut diagnostics).expect("valid YAML");
        assert!(crate::shape::check(&node, &SHAPE, &mut diagnostics));
        let read =
            Conditions::read(&mut Reading::new(&map, &mut diagnostics, &scope), Some(&node)).expect("no mistake");
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        read.fill(&scope).expect("no variables").hold(&labels)
    }

    #[test]
    fn all_conditions_must_hold_and_a_missing_label_is_empty() {
        let labels = [("severity", "critical"), ("team", "api")];
        for (yaml, wanted) in [
            ("severity: critical", true),
            ("{ severity: critical, team: db }", false),
            ("severity: { one_of: [critical, warning] }", true),
            ("severity: { not: critical }", false),
            ("env: { not: test }", true),
            ("env: prod", false),
            ("team: { matches: '^a' }", true),
            ("team: { matches: '^a', not: [api, db] }", false),
        ] {
            assert_eq!(hold(yaml, &labels), wanted, "{yaml}");
        }
    }
}
