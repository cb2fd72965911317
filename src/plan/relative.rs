//! What relative limits are held against: `baseline`, `previous`, `start`, each of which must be there.

use std::collections::BTreeSet;

use super::builder::Builder;
use super::order::Order;
use super::{BaselinePlan, EarlierRun, PlanSection, PlanStep, Window};
use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::model::outline::{SectionOutline, Slot};
use crate::model::{Against, Expectation, Matcher, Quantity};
use crate::probe::{Along, ProbeKind};
use crate::template::Place;
use crate::yaml::{Data, Node};

/// What a step is held against, as far as it is known before the other steps are.
pub(super) struct Held {
    /// Where the baseline comes from; a step has no position yet.
    pub plan: Option<BaselinePlan>,
    /// What the probe is to ask along.
    pub along: Option<Along>,
    /// The same in words, for the record.
    pub words: Option<String>,
    /// The id of the step that measured it.
    pub step: Option<(String, Span)>,
}

impl Held {
    const NOTHING: Held = Held { plan: None, along: None, words: None, step: None };
}

impl Builder<'_, '_, '_> {
    /// Reads what a step is held against, and says when its comparators need something else.
    pub(super) fn held(&mut self, node: &Node, kind: &'static ProbeKind, judged: [Option<&Expectation>; 2]) -> Held {
        let mut words = BTreeSet::new();
        judged.into_iter().flatten().for_each(|expectation| collect(expectation, &mut words));
        let own = node.entry("baseline");
        let checklist = self.checklist;
        let (key, written) = match own {
            Some((key, written)) => (key, written),
            None if words.contains("baseline") => match checklist.node.entry("baseline") {
                Some((key, written)) => {
                    self.default_baseline_used = true;
                    (key, written)
                }
                None => {
                    let message = "there is no baseline to compare with";
                    let help =
                        "say where it comes from, such as `baseline: { step: ID }` or `baseline: { run: last-go }`";
                    let place = place_of_word(node, "baseline", self).unwrap_or(node.span);
                    self.reading.say(Diagnostic::error("nothing-to-compare", place, message).help(help));
                    return Held::NOTHING;
                }
            },
            None => return Held::NOTHING,
        };
        let unread = judged.iter().all(Option::is_none) && (node.get("expect").is_some() || node.get("warn").is_some());
        if own.is_some() && !words.contains("baseline") && !unread {
            let message = "no comparator of this step uses its baseline";
            let help = "use the word in one, such as `\"<= 1.2x baseline\"`, or remove the baseline";
            self.reading.say(Diagnostic::error("unused-key", key.span, message).help(help));
        }
        self.baseline(key, written, kind, if own.is_some() { key.span } else { crate::checklist::name_place(node) })
    }

    fn baseline(&mut self, key: &Node, written: &Node, kind: &'static ProbeKind, place: Span) -> Held {
        let entries = written.map().unwrap_or_default();
        let [(what, value)] = entries else {
            let message = match entries.len() {
                0 => "the baseline does not say where it comes from".to_owned(),
                count => format!("a baseline comes from one place, this one names {count}"),
            };
            let help = "write one of step, run, offset, promql, value";
            self.reading.say(Diagnostic::error("bad-baseline", key.span, message).help(help));
            return Held::NOTHING;
        };
        let asks = matches!(what.text(), Some("offset" | "promql"));
        if asks && kind.name != "promql" {
            let message = format!("a step of {} cannot ask for its baseline along with its own question", kind.name);
            let help = "that is for promql; use `step`, `run` or `value`";
            self.reading.say(Diagnostic::error("bad-baseline", place, message).help(help));
            return Held::NOTHING;
        }
        match what.text() {
            Some("step") => self.of_step(value),
            Some("run") => self.of_run(value),
            Some("offset") => self.of_offset(value),
            Some("promql") => match self.reading.template(value, Place::Promql) {
                Some(template) => Held {
                    words: Some(format!("the query {}", template.source().trim())),
                    along: Some(Along::Query(template)),
                    plan: Some(BaselinePlan::Probe),
                    step: None,
                },
                None => Held::NOTHING,
            },
            Some("value") => self.of_value(value),
            Some(_) | None => Held::NOTHING,
        }
    }

    fn of_step(&mut self, value: &Node) -> Held {
        let Some(id) = self.reading.known_text(value) else { return Held::NOTHING };
        Held { words: Some(format!("step {id}")), step: Some((id, value.span)), ..Held::NOTHING }
    }

    fn of_run(&mut self, value: &Node) -> Held {
        let Some(run) = self.reading.known_text(value) else { return Held::NOTHING };
        let (words, plan) = match run.as_str() {
            "last-go" => ("the last go".to_owned(), EarlierRun::LastGo),
            _ => (format!("run {run}"), EarlierRun::Id(run)),
        };
        Held { words: Some(words), plan: Some(BaselinePlan::Run(plan)), ..Held::NOTHING }
    }

    fn of_offset(&mut self, value: &Node) -> Held {
        let Some(offset) = self.reading.duration(value) else { return Held::NOTHING };
        if offset.is_zero() {
            let message = "the offset is nothing: the step would be compared with itself";
            self.reading.say(Diagnostic::error("bad-baseline", value.span, message).help("write a time such as 1d"));
        }
        let words = format!("{} earlier", crate::model::quantity::seconds(offset.as_secs_f64()));
        Held { words: Some(words), along: Some(Along::Offset(offset)), plan: Some(BaselinePlan::Probe), step: None }
    }

    fn of_value(&mut self, value: &Node) -> Held {
        let Some(text) = self.reading.known_text(value) else { return Held::NOTHING };
        match Quantity::parse(&text) {
            Ok(quantity) if quantity.value != 0.0 => Held {
                words: Some(format!("the value {}", text.trim())),
                plan: Some(BaselinePlan::Value(quantity)),
                ..Held::NOTHING
            },
            Ok(_) => {
                let message = "a baseline of zero is nothing to compare with";
                self.reading.say(Diagnostic::error("bad-baseline", value.span, message).help("write the limit itself"));
                Held::NOTHING
            }
            Err(error) => {
                self.reading.say(Diagnostic::error("bad-quantity", value.span, error.to_string()));
                Held::NOTHING
            }
        }
    }

    /// Says when a step that looks once is compared with a look of its own that there never is.
    pub(super) fn refuse_own_past(
        &mut self,
        node: &Node,
        judged: [Option<&Expectation>; 2],
        window: &Window,
        section: &SectionOutline,
    ) {
        let again = *window != Window::Once || section.at == Some(Slot::Checkpoint);
        let mut words = BTreeSet::new();
        judged.into_iter().flatten().for_each(|expectation| collect(expectation, &mut words));
        for word in words.iter().filter(|word| **word != "baseline" && !again) {
            let message = format!("the step looks once, so there is no {word} to compare with");
            let help =
                "look again: `consistently: { for: 1h, every: 5m }`, or a section of a soak with `at: checkpoint`";
            let place = place_of_word(node, word, self).unwrap_or(node.span);
            self.reading.say(Diagnostic::error("nothing-to-compare", place, message).help(help));
        }
    }
}

/// Finds the steps that baselines name: each must have run before, and measure what is compared.
pub(super) fn settle(
    sections: &[PlanSection],
    steps: &mut [PlanStep],
    order: &Order<'_>,
    diagnostics: &mut Diagnostics,
) {
    for (at, section) in sections.iter().enumerate() {
        for step in section.steps.clone() {
            let Some((id, span)) = &order.places[step].baseline else { continue };
            let found = order.before((sections, at), step, (id, *span), steps, diagnostics);
            match found.as_slice() {
                [] => {}
                [one] if one.len() == 1 => {
                    refuse_other_measures(step, one.start, *span, steps, diagnostics);
                    steps[step].baseline = Some(BaselinePlan::Step(one.start));
                }
                _ => {
                    let message = format!("{id:?} stands for several steps, a baseline is the value of one");
                    diagnostics.push(Diagnostic::error("bad-baseline", *span, message).help("name a step"));
                }
            }
        }
    }
}

/// Says when the step that is compared with does not measure what is compared.
fn refuse_other_measures(step: usize, other: usize, place: Span, steps: &[PlanStep], diagnostics: &mut Diagnostics) {
    let judged = [&steps[step].outline.expect, &steps[step].outline.warn];
    let mut names = BTreeSet::new();
    judged.into_iter().flatten().for_each(|expectation| measures(expectation, &mut names));
    let kind = steps[other].kind;
    if let Some(name) = names.iter().find(|name| kind.measures.iter().all(|measure| measure.name != **name)) {
        let message =
            format!("{:?} is a step of {}, which has no measure {name:?}", steps[other].outline.id.as_str(), kind.name);
        let help = "name a step that measures the same thing";
        diagnostics.push(Diagnostic::error("bad-baseline", place, message).help(help));
    }
}

/// Collects the words that an expectation is relative to.
fn collect(expectation: &Expectation, words: &mut BTreeSet<&'static str>) {
    each(expectation, &mut |_, against| {
        words.insert(against.word());
    });
}

/// Collects the measures that are compared with a baseline.
fn measures(expectation: &Expectation, names: &mut BTreeSet<String>) {
    each(expectation, &mut |name, against| {
        if against == Against::Baseline {
            names.insert(name.to_owned());
        }
    });
}

fn each(expectation: &Expectation, f: &mut impl FnMut(&str, Against)) {
    match expectation {
        Expectation::Measure { name, matcher, .. } => against(matcher, &mut |word| f(name.name(), word)),
        Expectation::All(of) | Expectation::Any(of) => of.iter().for_each(|e| each(e, f)),
        Expectation::Not(inner) => each(inner, f),
        Expectation::That { .. } => {}
    }
}

fn against(matcher: &Matcher, f: &mut impl FnMut(Against)) {
    match matcher {
        Matcher::Relative(_, word) => f(*word),
        Matcher::OneOf(of) | Matcher::All(of) => of.iter().for_each(|m| against(m, f)),
        Matcher::Not(inner) | Matcher::Length(inner) => against(inner, f),
        _ => {}
    }
}

/// Finds the word in what the step expects.
fn place_of_word(node: &Node, word: &str, builder: &Builder<'_, '_, '_>) -> Option<Span> {
    let expected = ["expect", "warn"].into_iter().filter_map(|key| node.get(key));
    expected.filter_map(|node| find_word(node, word, builder)).next()
}

fn find_word(node: &Node, word: &str, builder: &Builder<'_, '_, '_>) -> Option<Span> {
    match &node.data {
        Data::Scalar { text, .. } => {
            let at = text.find(word)?;
            Some(node.place_of(builder.reading.sources, at..at + word.len()))
        }
        Data::List(items) => items.iter().find_map(|item| find_word(item, word, builder)),
        Data::Map(entries) => entries.iter().find_map(|(_, value)| find_word(value, word, builder)),
    }
}
