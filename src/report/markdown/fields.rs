//! Steps as templates see them: a field is worded when a template asks for it, and documented where it is made.

use std::fmt::Write;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Serde, Value};

use crate::model::{Outcome, StepId};
use crate::report::view::{Place, RunView, Step, skip_word, weight_word};

/// A field of a step: its name, what it is, how it is made.
type Field = (&'static str, &'static str, fn(&Step<'_>) -> Value);

/// Every field of a step that a template may use.
const FIELDS: &[Field] = &[
    ("id", "the id within the checklist", |s| s.id().into()),
    ("name", "the sentence on the checklist", |s| s.name().into()),
    ("section", "the name of its section", |s| s.section().outline.name.as_str().into()),
    ("probe", "the kind of probe", |s| s.probe().into()),
    ("line", "the checklist line, `staging.yaml:41`", |s| s.line().into()),
    ("weight", "`required`, `optional` or `trial`", |s| weight_word(s.weight()).into()),
    ("outcome", "the outcome that counts, one word", |s| s.outcome().word().into()),
    ("mark", "a sign for the outcome", |s| mark(s.outcome()).into()),
    ("ticked", "whether it is settled: pass, warn or not applicable", |s| s.outcome().satisfies().into()),
    ("passed", "whether it is a plain pass", |s| (s.outcome() == Outcome::Pass).into()),
    ("reason", "why, in one line; empty for a plain pass", |s| s.reason().as_ref().into()),
    ("because", "the reason, unless the findings or what was observed say as much", |s| s.because().as_ref().into()),
    ("expected", "what must hold, in one line", |s| s.expected().into()),
    ("observed", "what was there, in one line", |s| s.observed().into()),
    ("findings", "each assertion: subject, expected, observed, outcome, line, value, limit", |s| {
        Value::from(Serde(s.finding_views()))
    }),
    ("request", "the resolved URL, query or command", |s| s.request().into()),
    ("through", "what was looked through, if not the service itself", |s| s.through().into()),
    ("window", "when it looks, `within 10m, every 5s`; empty for once", |s| s.window().into()),
    ("looks", "how many looks it took", |s| s.looks().into()),
    ("spark", "the numbers that it found over time, drawn as `▁▃█`; empty when they never changed", |s| {
        s.spark().into()
    }),
    ("range", "the least and the greatest of them: `0.8 … 2.1`; empty when they never changed", |s| s.range().into()),
    ("against", "what relative limits were held against: name, value, origin", |s| {
        Value::from(Serde(s.against_words()))
    }),
    ("took", "how long it took, in words", |s| s.took().into()),
    ("seconds", "how long it took, in seconds; none when it never ended", |s| s.seconds().into()),
    ("flaky", "whether it passed only after an error of looking was tried again", |s| s.flaky().into()),
    ("skip", "why it was not run, in a word; empty when it was", |s| s.skip().map_or("", skip_word).into()),
    ("changes", "what it changes in the world; empty when nothing", |s| s.changes().unwrap_or("").into()),
    ("then_of", "the action that it verifies; empty for others", |s| id(&s.record().outline.then_of)),
    ("fallback_for", "the action in whose place it acted; empty for others", |s| id(&s.record().outline.fallback_for)),
    ("instruction", "the task of a manual step that waits", |s| s.instruction().into()),
    ("notes", "remarks: level (`info`, `warning`), text", |s| Value::from(Serde(s.notes()))),
    ("warnings", "the texts of the remarks that a reader should see", |s| warnings(s)),
    ("evidence", "excerpts: title, text, left_out (bytes)", |s| evidence(s)),
    ("answered_by", "who answered last; empty when nobody", |s| s.answer().map_or("", |a| &a.by).into()),
    ("answers", "all answers: outcome, by, note", |s| Value::from(Serde(&s.record().answers))),
    ("why", "why the step is there", |s| word(&s.guidance().why)),
    ("runbook", "what to do when it fails", |s| word(&s.guidance().runbook)),
    ("owner", "who owns it", |s| word(&s.guidance().owner)),
    ("contact", "whom to ask", |s| word(&s.guidance().contact)),
    ("priority", "how important it is", |s| word(&s.guidance().priority)),
    ("tags", "words to select by", |s| Value::from(Serde(&s.guidance().tags))),
];

/// Makes a list of steps that are worded one by one, so that a long list takes no memory.
pub(super) fn list(view: &RunView, places: Arc<[Place]>) -> Value {
    Value::from_object(List { view: view.clone(), places })
}

/// Writes the manual page for writers of templates.
pub fn manual() -> String {
    let mut page = String::from(MANUAL);
    for (name, doc, _) in FIELDS {
        let _ = writeln!(page, "- `{name}`: {doc}");
    }
    page
}

/// What comes before the fields of a step on the manual page.
const MANUAL: &str = "\
A report template is a minijinja template. Whatever it puts out is escaped as Markdown; `| raw` opts out. An unknown \
variable is an error.

Filters of its own: `sign` (the sign for an outcome), `code` (between backticks), `block(indent)` (a fenced block), `link` (an address), `markdown` (text \
that is Markdown already).

Variables:

- `decision`: `go`, `no-go`, `undecided` or `held`; `mark`: a sign for it; `headline`: why, in one line; `reasons`: why, \
one line each
- `counts`: total, pass, warn, fail, error, inconclusive, pending, skipped, not_applicable, trial, actions; \
`counts_words`: the same in words
- `head`: run, name, path, digest, stage, service, description, owner, risk, estimates and links (name, value), tool, \
user, host, started, finished, took, interrupted, options, strict, inputs and versions (name, value, given, secret, \
from), roles (role, needs, members), appendix (title, text, columns, rows), events, record_digest. What is not known is \
empty text
- `attention`: the steps that need attention, the most urgent first; `trial`: steps on probation; `not_run`: steps that \
were not run
- `grid`: the cells of a matrix: columns, rows (name, outcomes); none without one
- `timetable`: the occasions of a soak: n, what, due, observed, outcome, counts; of a long one those that did not pass in \
time, and `timetable_left_out` the number of the others
- `margins`: what passed near its limit: id, step, subject, value, limit, share, crosses, thin
- `holds`: hold points: id, section, roles, state, by, how, at, note; `happened`: pauses, resumptions and clocks: at, what
- `waivers`: file, digest, list (step, reason, approved_by, from, until); none without
- `guards`, `sections`, `actions`: each with cell, id, name, description, part, line, counts, counts_words, trial (how many), steps (of a \
section, those that ran and are not on probation)
- `next`: what to do next: name, value (the command)

Fields of a step:

";

struct List {
    view: RunView,
    places: Arc<[Place]>,
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} steps", self.places.len())
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let place = *self.places.get(key.as_usize()?)?;
        Some(Value::from_object(One { view: self.view.clone(), place }))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.places.len())
    }
}

struct One {
    view: RunView,
    place: Place,
}

impl std::fmt::Debug for One {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.view.step(self.place).map_or("", |s| s.id()))
    }
}

impl Object for One {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let (_, _, make) = FIELDS.iter().find(|(name, _, _)| *name == key)?;
        Some(make(&self.view.step(self.place)?))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Iter(Box::new(FIELDS.iter().map(|(name, _, _)| Value::from(*name))))
    }
}

fn word(text: &Option<String>) -> Value {
    text.as_deref().unwrap_or("").into()
}

fn id(id: &Option<StepId>) -> Value {
    id.as_ref().map_or("", StepId::as_str).into()
}

fn warnings(step: &Step<'_>) -> Value {
    let warnings = step.notes().iter().filter(|n| n.level == crate::model::observation::NoteLevel::Warning);
    warnings.map(|n| Value::from(n.text.as_str())).collect()
}

fn evidence(step: &Step<'_>) -> Value {
    let items = step.evidence().iter();
    items
        .map(|e| minijinja::context! { title => e.title.as_str(), text => e.text.as_str(), left_out => e.left_out })
        .collect()
}

/// Returns the sign for the word of an outcome.
pub(super) fn sign(word: &str) -> &'static str {
    Outcome::ALL.into_iter().find(|outcome| outcome.word() == word).map_or("", mark)
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "✅",
        Outcome::Warn => "⚠️",
        Outcome::Fail => "❌",
        Outcome::Error => "🚫",
        Outcome::Inconclusive => "❔",
        Outcome::Pending => "⏸",
        Outcome::Skipped => "⏭",
        Outcome::NotApplicable => "➖",
    }
}
