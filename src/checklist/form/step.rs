//! The keys of a step. Its probe is checked by the plan, which knows the kinds.

use super::time;
use super::{ID, IDS, RISKS, SAYING, TEXTS};
use crate::model::Mutation;
use crate::shape::{Field, Object, Shape, field, required};

/// A step; its probe is checked by the plan, which knows the kinds.
pub const STEP: Object = Object { name: "a step", fields: STEP_KEYS, open: true };

/// One step. It may hold steps itself, so the schema describes it once and points there.
pub(super) const ONE: Shape = Shape::Named("step", || &STEP);
/// Steps.
pub(super) const STEPS: Shape = Shape::List(&ONE);

const STEP_KEYS: &[Field] = &[
    required("name", SAYING, "The sentence on the checklist."),
    field("uses", Shape::Text, "A template that the step is made from: one of `templates`, or of the library."),
    field("with", Shape::Map(&Shape::Any), "The values of the template's parameters, by name."),
    field("id", ID, "Its name in `needs` and reports; derived from the sentence when not given."),
    field("expect", Shape::Expectation, "What must hold, else the step fails."),
    field("warn", Shape::Expectation, "What should hold, else the step warns."),
    field(
        "on_no_data",
        Shape::Word(ON_NO_DATA),
        "What no data means: inconclusive (the default), fail, warn, pass, or wait until there is some.",
    ),
    field("eventually", EVENTUALLY, "Passes as soon as it holds, within a time."),
    field(
        "consistently",
        Shape::Either(&[Shape::Object(&CONSISTENTLY), Shape::Duration]),
        "Must hold throughout a time.",
    ),
    field("baseline", time::BASELINE, "What the word `baseline` in its comparators stands for."),
    field("retry", RETRY, "Further attempts after errors of looking; a pass after one is marked flaky."),
    field("timeout", Shape::Duration, "How long one look may take."),
    field("source", Shape::Text, "The source to ask, by its name under `sources`."),
    field(
        "capture",
        Shape::Map(&Shape::Expression),
        "Values for later steps: name to an expression over the measures; used as {{ captured.NAME }}.",
    ),
    field("when", Shape::Expression, "An expression; when it is false the step is skipped."),
    field("needs", IDS, "Steps or sections that must have passed; otherwise the step is skipped."),
    field("required", Shape::Bool, "Whether a failure is a no-go (the default) or counts as a warning."),
    field("trial", Shape::Bool, "Whether the step is on probation: it never counts and is reported apart."),
    field("changes", Shape::Text, "What the step changes in the world: it then runs only with consent."),
    field("then", STEPS, "Steps that verify what the action did; for actions alone."),
    field(
        "fallback",
        STEPS,
        "Steps that run when the action, or what verifies it, did not come out well; for actions alone.",
    ),
    field(
        "blind_to",
        Shape::OneOrMany(&Shape::Word(MUTATIONS)),
        "Faults that the step is known not to notice, by their names in `holdpoint prove`.",
    ),
    field("ignore", Shape::OneOrMany(&Shape::Regex), "Patterns of expected noise, for logs and text."),
    field("why", SAYING, "Why the step is there; shown where it failed."),
    field("runbook", SAYING, "What to do when it fails; shown there."),
    field("owner", SAYING, "Who owns it."),
    field("contact", SAYING, "Whom to ask."),
    field("tags", TEXTS, "Words to select by."),
    field("priority", Shape::Word(RISKS), "How much it matters."),
    field(
        "evidence",
        Shape::Word(&["full", "summary", "none"]),
        "How much of what was seen is kept: summary when not given.",
    ),
];

const EVENTUALLY: Shape = Shape::Either(&[
    Shape::Object(&Object {
        name: "eventually",
        open: false,
        fields: &[
            required("within", Shape::Duration, "How long to wait for it."),
            field("every", Shape::Duration, "How often to look."),
            field("hold", Shape::Duration, "How long it must then hold in a row."),
        ],
    }),
    Shape::Duration,
]);
const CONSISTENTLY: Object = Object {
    name: "consistently",
    open: false,
    fields: &[
        field("for", Shape::Duration, "How long it must hold; required but for guards, which are watched to the end."),
        field("every", Shape::Duration, "How often to look."),
        field("tolerate", Shape::Duration, "The longest breach in a row that is forgiven."),
        field("failures", Shape::Int(0, 1_000_000), "How many looks may fail."),
        field(
            "min_samples",
            Shape::Int(1, 1_000_000),
            "How many looks must have held. Without it, one look that could not look is a warning.",
        ),
    ],
};

/// What no data may mean.
pub const ON_NO_DATA: &[&str] = &["inconclusive", "fail", "warn", "pass", "wait"];

pub(super) const RETRY: Shape = Shape::Either(&[Shape::Int(1, 100), Shape::Object(&RETRY_MAP)]);
const RETRY_MAP: Object = Object {
    name: "a retry",
    open: false,
    fields: &[
        field("attempts", Shape::Int(1, 100), "How often to try in all; 3 when not given."),
        field("delay", Shape::Duration, "How long to wait before the second attempt; 1s when not given."),
        field("backoff", Shape::Number, "By what factor the wait grows; 2 when not given."),
    ],
};

/// The faults that `holdpoint prove` puts on.
const MUTATIONS: &[&str] = &{
    let mut words = [""; Mutation::ALL.len()];
    let mut n = 0;
    while n < words.len() {
        words[n] = Mutation::ALL[n].word();
        n += 1;
    }
    words
};
