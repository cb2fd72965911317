//! The `run` probe: earlier runs as evidence. A gate on what came before it: staging was a go, with the same version.

mod look;
mod search;

use std::time::Duration;

use super::{Compiling, Keys, Probe, ProbeKind, keyed, measure};
use crate::diag::Diagnostic;
use crate::model::{Decision, Expectation, Kind, Matcher, MeasureName, Op, Origin, Quantity, quantity};
use crate::shape::{Object, Shape, field};
use crate::template::{Expression, Place, Reference, Template};
use crate::yaml::Node;

/// The kind.
pub const KIND: ProbeKind = ProbeKind {
    name: "run",
    summary: "an earlier run of a checklist: its decision, its age, its inputs",
    manual: MANUAL,
    shape: Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]),
    measures: &[
        measure("decision", Kind::Text, "What the run comes to now: go, no-go, undecided or held."),
        measure("age", Kind::Duration, "The time since the run ended. What was signed later makes it no younger."),
        measure("count", Kind::Number, "How many runs are as wanted."),
        keyed("inputs", Kind::Json, Keys::Name, "The inputs of the run, by name; a secret one is not recorded."),
        measure("run", Kind::Text, "The name of the run."),
    ],
    speaks_for_itself: false,
    compile,
};

const DECISIONS: &[&str] = &["go", "no-go", "undecided", "held", "any"];

static OBJECT: Object = Object {
    name: "an earlier run",
    fields: &[
        field(
            "checklist",
            Shape::Template,
            "The checklist: the end of its path, such as `staging.yaml`, or its title.",
        ),
        field("decision", Shape::Word(DECISIONS), "What the run must come to: go (the default), another one, or any."),
        field("within", Shape::Duration, "How long ago the run may have ended."),
        field("same", Shape::OneOrMany(&Shape::Text), "Inputs that must have the same value as in this run."),
        field("at_least", Shape::Int(1, 1000), "How many such runs there must be; 1 when not given."),
        field("run", Shape::Template, "This very run, by its name."),
        field("record", Shape::Template, "The file of an exported record, instead of the store."),
        field(
            "allowed_signers",
            Shape::Template,
            "A file of those who may sign: every signature must be by one of them.",
        ),
    ],
    open: false,
};

const MANUAL: &str = "\
Looks for an earlier run, in the store of this one or in an exported record. Without `expect`, one as wanted must be \
there:

```yaml
- name: Staging was a go with this version
  run: { checklist: staging.yaml, within: 72h, same: version }

- name: Three rehearsals went well this week
  run: { checklist: rehearsal.yaml, within: 7d, at_least: 3 }

- name: The record that the test centre sent
  run: { record: from-test-centre.jsonl, checklist: Acceptance, allowed_signers: signers }
  expect: { inputs: { region: eu-west }, age: \"< 30d\" }
```

`requires` at the top of a checklist takes the same forms; they are looked at before everything else, and when one of \
them does not hold nothing else runs.

**Which run.** Of the runs of the checklist those count whose decision is `decision`, that ended no longer than \
`within` ago, and whose inputs named under `same` have the value that they have now. The other measures are those of \
the one that began last. With `decision: any`, that is the latest run whatever it came to. The decision is taken anew \
from the record: a signature that has lapsed since counts as missing. A later run that came to something else is \
remarked on.

**Not found** is a failure that says what came nearest: `no go of staging.yaml within 3d with the same version; the \
latest was a no-go 3h ago`.

**Damaged.** Every run is verified before it counts: its chain of digests, its signatures, for an exported record also \
its head. One that was changed is an *error* that names it, and never a match. Whoever can write a file can make up a \
whole record, digests and all: for one that comes from elsewhere name the `allowed_signers` (in OpenSSH's format). One \
of them must then have signed all that was found, and every signature must be by one of them.
";

/// What a run must be like to count, templates unfilled.
struct EarlierRuns {
    checklist: Option<Template>,
    run: Option<Template>,
    record: Option<Template>,
    allowed_signers: Option<Template>,
    decision: Option<Decision>,
    within: Option<Duration>,
    /// The inputs that must be the same, each with the expression that gives its value now.
    same: Vec<(String, Expression)>,
    at_least: usize,
    /// Whether all runs are to be counted, and not only as many as are needed.
    counts: bool,
    /// The inputs that expectations use.
    inputs: Vec<String>,
    origin: Origin,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let wants = compiling.wants;
    let reading = &mut *compiling.reading;
    let short = node.text().is_some();
    if !short && ["checklist", "run", "record"].iter().all(|key| node.get(key).is_none()) {
        let diagnostic = Diagnostic::error("missing-key", node.span, "nothing says which earlier run is meant");
        reading.say(diagnostic.help("give the `checklist`, a `run` by its name, or the file of a `record`"));
        return None;
    }
    if let (Some((_, _)), Some((key, _))) = (node.entry("record"), node.entry("run")) {
        let message = "a record is one run already: remove `run`, or `record`";
        reading.say(Diagnostic::error("bad-value", key.span, message));
        return None;
    }
    let mut template = |key: &str| match node.get(key) {
        Some(node) => reading.template(node, Place::Plain).map(Some),
        None => Some(None),
    };
    let (run, record, allowed_signers) = (template("run")?, template("record")?, template("allowed_signers")?);
    let checklist = if short { Some(reading.template(node, Place::Plain)?) } else { template("checklist")? };
    let within = match node.get("within") {
        Some(node) => Some(reading.duration(node)?),
        None => None,
    };
    let same = node.get("same").map_or(&[][..], |node| node.list().unwrap_or(std::slice::from_ref(node)));
    let same = same.iter().filter_map(|item| {
        let name = item.text()?.to_owned();
        let reference = Reference { root: "inputs".to_owned(), name: Some(name.clone()) };
        reading.references.push((reference, item.span));
        // A name that is no expression is no input either: that is said with the other unknown names.
        let value = Expression::parse(&format!("inputs.{name}")).ok()?;
        Some((name, value))
    });
    let same = same.collect();
    let at_least = node.get("at_least").and_then(Node::number).map_or(1, |count| count as usize);
    Some(Box::new(EarlierRuns {
        checklist,
        run,
        record,
        allowed_signers,
        decision: decision(node),
        within,
        same,
        at_least,
        counts: wants.any("count"),
        inputs: wants.keys("inputs").into_iter().map(str::to_owned).collect(),
        origin: reading.origin(node),
    }))
}

/// Reads the decision; nothing for any.
fn decision(node: &Node) -> Option<Decision> {
    match node.get("decision").and_then(Node::text) {
        None | Some("go") => Some(Decision::Go),
        Some("no-go") => Some(Decision::NoGo),
        Some("undecided") => Some(Decision::Undecided),
        Some("held") => Some(Decision::Held),
        Some(_) => None,
    }
}

impl EarlierRuns {
    /// Says what is looked for: `a go of staging.yaml within 3d with the same version`.
    fn wish(&self, what: &str) -> String {
        let mut wish = self.decision.map_or("run", Decision::word).to_owned();
        wish.push_str(&format!(" of {what}"));
        if let Some(within) = self.within {
            wish.push_str(&format!(" within {}", quantity::seconds(within.as_secs_f64())));
        }
        if !self.same.is_empty() {
            let names: Vec<_> = self.same.iter().map(|(name, _)| name.as_str()).collect();
            wish.push_str(&format!(" with the same {}", names.join(" and ")));
        }
        wish
    }

    /// Names what is looked through, templates unfilled.
    fn what(&self) -> String {
        let named = [&self.checklist, &self.run, &self.record].into_iter().flatten();
        named.map(Template::source).next().unwrap_or_default().to_owned()
    }

    /// One as wanted must be there, or as many as were asked for.
    fn asks(&self) -> Expectation {
        let measure = |name, kind, matcher| Expectation::Measure {
            name: MeasureName::plain(name),
            kind,
            matcher,
            origin: self.origin.clone(),
        };
        let there = measure("run", Kind::Text, Matcher::Exists);
        match self.at_least {
            0 | 1 => there,
            count => {
                let enough = Matcher::Compare(Op::AtLeast, Quantity::number(count as f64));
                Expectation::All(vec![there, measure("count", Kind::Number, enough)])
            }
        }
    }
}
