//! The keys of a checklist: what may stand where, and what it means. Checking and the JSON schema come from here.

use crate::shape::{Field, Object, Shape, field, required};

/// The whole file.
pub const CHECKLIST: Object = Object { name: "a checklist", fields: TOP, open: false };
/// A section.
pub const SECTION: Object = Object { name: "a section", fields: SECTION_KEYS, open: false };
/// A step; its probe is checked by the plan, which knows the kinds.
pub const STEP: Object = Object { name: "a step", fields: STEP_KEYS, open: true };
/// The declaration of an input.
pub const INPUT: Object = Object { name: "an input", fields: INPUT_KEYS, open: false };

/// The types that an input may have.
pub const INPUT_TYPES: &[&str] = &["string", "int", "number", "bool", "url", "duration", "size", "list"];

const RISKS: &[&str] = &["low", "medium", "high", "critical"];
const ID: Shape = Shape::Text;
const STEPS: Shape = Shape::List(&Shape::Object(&STEP));
const IDS: Shape = Shape::OneOrMany(&Shape::Text);
const TEXTS: Shape = Shape::OneOrMany(&Shape::Text);
const SAYING: Shape = Shape::Template;

const TOP: &[Field] = &[
    required("holdpoint", Shape::Int(1, 1), "The version of the language: 1."),
    required("name", SAYING, "The title."),
    field(
        "stage",
        Shape::Text,
        "Where in the process this stands: pre-deploy, staging, promotion, stability, post-deploy, or another kebab-case word.",
    ),
    field("service", SAYING, "The service that it is about."),
    field("description", SAYING, "What it is for; shown in the report."),
    field("owner", SAYING, "Who keeps the checklist."),
    field("risk", Shape::Word(RISKS), "How much is at stake."),
    field("estimates", Shape::Map(&Shape::Text), "How long things are expected to take, by name."),
    field("links", Shape::Map(&SAYING), "Links shown in the report, by name."),
    field("inputs", Shape::Map(&INPUT_FORM), "Declared variables, used as {{ inputs.NAME }}."),
    field("sources", Shape::Map(&Shape::Any), "The back ends that are asked about the service, by name."),
    field("defaults", Shape::Object(&DEFAULTS), "Settings for all steps."),
    required("sections", Shape::Filled(&Shape::Object(&SECTION)), "What is checked, in order."),
    field("on_go", STEPS, "Actions after a go."),
    field("on_no_go", STEPS, "Actions after a no-go."),
    field("always", STEPS, "Actions after every decision and after an interruption."),
    field("signoff", Shape::Object(&SIGNOFF), "Who must sign."),
    field("appendix", Shape::List(&Shape::Object(&APPENDIX)), "Texts and tables carried into the report."),
];

const INPUT_FORM: Shape = Shape::Either(&[Shape::Object(&INPUT), Shape::List(&Shape::Text), Shape::Text]);

const INPUT_KEYS: &[Field] = &[
    field(
        "type",
        Shape::Word(INPUT_TYPES),
        "What kind of value: string (the default), int, number, bool, url, duration, size, list.",
    ),
    field("default", Shape::Any, "The value when none is given."),
    field("env", Shape::Text, "The environment variable that gives the value."),
    field("pattern", Shape::Regex, "A regular expression that the value must match."),
    field("one_of", Shape::List(&Shape::Text), "The values allowed."),
    field("secret", Shape::Bool, "Whether the value is masked in everything that leaves the process."),
    field("optional", Shape::Bool, "Whether it may have no value; a step that uses it then needs a `when`."),
    field("help", Shape::Text, "What it is, for people."),
];

const DEFAULTS: Object = Object {
    name: "the defaults",
    open: false,
    fields: &[
        field("timeout", Shape::Duration, "How long one look may take; 10s when not given."),
        field("retry", RETRY, "Further attempts after errors of looking."),
        field("every", Shape::Duration, "How often steps that wait look again."),
        field("on_no_data", Shape::Word(ON_NO_DATA), "What no data means."),
        field("source", Shape::Text, "The source that steps ask when they name none."),
    ],
};

/// What no data may mean.
pub const ON_NO_DATA: &[&str] = &["inconclusive", "fail", "warn", "pass", "wait"];

const RETRY: Shape = Shape::Either(&[Shape::Int(1, 100), Shape::Object(&RETRY_MAP)]);
const RETRY_MAP: Object = Object {
    name: "a retry",
    open: false,
    fields: &[
        field("attempts", Shape::Int(1, 100), "How often to try in all; 3 when not given."),
        field("delay", Shape::Duration, "How long to wait before the second attempt; 1s when not given."),
        field("backoff", Shape::Number, "By what factor the wait grows; 2 when not given."),
    ],
};

const SIGNOFF: Object = Object {
    name: "the sign-off",
    open: false,
    fields: &[required("roles", Shape::List(&Shape::Object(&ROLE)), "The roles that must sign.")],
};
const ROLE: Object = Object {
    name: "a role",
    open: false,
    fields: &[
        required("role", Shape::Text, "The name of the role."),
        field("needs", Shape::Int(1, 100), "How many of its members must sign; 1 when not given."),
        field("members", TEXTS, "Who may sign; anybody when not given."),
    ],
};
const APPENDIX: Object = Object {
    name: "an appendix",
    open: false,
    fields: &[
        required("title", SAYING, "The heading."),
        field("text", SAYING, "Markdown text."),
        field("table", Shape::Object(&TABLE), "A table."),
    ],
};
const TABLE: Object = Object {
    name: "a table",
    open: false,
    fields: &[
        required("columns", Shape::List(&Shape::Text), "The headings."),
        required("rows", Shape::List(&Shape::List(&SAYING)), "The rows, each as long as the headings."),
    ],
};

const SECTION_KEYS: &[Field] = &[
    required("name", SAYING, "The title."),
    field("id", ID, "Its name in `needs` and reports; derived from the title when not given."),
    field("description", SAYING, "What it is for."),
    field("when", Shape::Expression, "An expression; when it is false the section is skipped."),
    field("needs", IDS, "Steps or sections that must have passed; otherwise the section is skipped."),
    field("sequential", Shape::Bool, "Whether the steps run one after another."),
    field("stop_on_failure", Shape::Bool, "Whether what follows is skipped when the section does not pass."),
    field("priority", Shape::Word(RISKS), "How much it matters; shown where a step failed."),
    field("tags", TEXTS, "Words to select by."),
    required(
        "steps",
        Shape::Filled(&Shape::Object(&STEP)),
        "What is checked; side by side unless something orders them.",
    ),
];

const STEP_KEYS: &[Field] = &[
    required("name", SAYING, "The sentence on the checklist."),
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
        required("for", Shape::Duration, "How long it must hold."),
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

/// Parts of the language that this version refuses rather than ignores: where they stand, and the key.
pub const NOT_YET: &[(Level, &str)] = &[
    (Level::Top, "baseline"),
    (Level::Top, "matrix"),
    (Level::Top, "soak"),
    (Level::Top, "requires"),
    (Level::Top, "guards"),
    (Level::Top, "notify"),
    (Level::Top, "templates"),
    (Level::Signoff, "distinct"),
    (Level::Signoff, "not_runner"),
    (Level::Signoff, "valid_for"),
    (Level::Section, "matrix"),
    (Level::Section, "at"),
    (Level::Section, "hold"),
    (Level::Step, "baseline"),
    (Level::Step, "uses"),
    (Level::Step, "from"),
    (Level::Step, "then"),
    (Level::Step, "attach"),
    (Level::Step, "metrics"),
    (Level::Step, "dns"),
    (Level::Step, "tls"),
    (Level::Step, "kubernetes"),
    (Level::Step, "docker"),
    (Level::Step, "targets"),
    (Level::Step, "alerts"),
    (Level::Step, "rules"),
    (Level::Step, "grafana"),
    (Level::Step, "git"),
];

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// At the top of the file.
    Top,
    /// Under `signoff`.
    Signoff,
    /// In a section.
    Section,
    /// In a step.
    Step,
}
