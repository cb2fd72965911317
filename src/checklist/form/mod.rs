//! The keys of a checklist: what may stand where, and what it means. Checking and the JSON schema come from here.
//!
//! [`step`] holds the keys of a step, [`template`] those of step templates, [`time`] those that spread a run over hours
//! and cells.

pub mod step;
pub mod template;
pub mod time;

use crate::shape::{Field, Object, Shape, field, required};

pub use step::{ON_NO_DATA, STEP};
use step::{RETRY, STEPS};

/// The whole file.
pub const CHECKLIST: Object = Object { name: "a checklist", fields: TOP, open: false };
/// A section.
pub const SECTION: Object = Object { name: "a section", fields: SECTION_KEYS, open: false };
/// The declaration of an input.
pub const INPUT: Object = Object { name: "an input", fields: INPUT_KEYS, open: false };

/// The types that an input may have.
pub const INPUT_TYPES: &[&str] = &["string", "int", "number", "bool", "url", "duration", "size", "list"];

pub(crate) const RISKS: &[&str] = &["low", "medium", "high", "critical"];
pub(crate) const ID: Shape = Shape::Text;
pub(crate) const IDS: Shape = Shape::OneOrMany(&Shape::Text);
pub(crate) const TEXTS: Shape = Shape::OneOrMany(&Shape::Text);
pub(crate) const SAYING: Shape = Shape::Template;

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
    field("baseline", time::BASELINE, "What relative limits are held against in steps that do not say it themselves."),
    field("matrix", time::MATRIX, "Runs the whole checklist once for each cell."),
    field("soak", Shape::Object(&time::SOAK), "Spreads the sections over hours."),
    field("requires", Shape::List(&Shape::Object(&time::EARLIER)), "Earlier runs that must be there."),
    field("guards", STEPS, "Steps watched beside everything else, for the whole run; one that trips stops the run."),
    required("sections", Shape::Filled(&Shape::Object(&SECTION)), "What is checked, in order."),
    field("on_go", STEPS, "Actions after a go."),
    field("on_no_go", STEPS, "Actions after a no-go."),
    field("always", STEPS, "Actions after every decision and after an interruption."),
    field("notify", Shape::List(&Shape::Any), "Who is told of the run; each item names one channel."),
    field("signoff", Shape::Object(&SIGNOFF), "Who must sign."),
    field(
        "templates",
        template::TEMPLATES,
        "Step templates by name, or a list of such and of files of them; used in steps with `uses`.",
    ),
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

const SIGNOFF: Object = Object {
    name: "the sign-off",
    open: false,
    fields: &[
        required("roles", Shape::List(&Shape::Object(&ROLE)), "The roles that must sign."),
        field("distinct", Shape::Bool, "Whether one person cannot fill two roles."),
        field("not_runner", Shape::Bool, "Whether whoever started the run cannot sign it."),
        field("valid_for", Shape::Duration, "After how long a signature lapses; never when not given."),
        field("allowed_signers", Shape::Template, "The file of those who may sign, in OpenSSH's format."),
    ],
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
    field(
        "at",
        Shape::Word(time::SLOTS),
        "When it is looked at in a soak: at the start (the default), a checkpoint, the end.",
    ),
    field("hold", time::HOLD, "Nothing of the section runs before people release it."),
    field("matrix", time::MATRIX, "Runs the section once for each cell."),
    field("priority", Shape::Word(RISKS), "How much it matters; shown where a step failed."),
    field("tags", TEXTS, "Words to select by."),
    required("steps", Shape::Filled(&step::ONE), "What is checked; side by side unless something orders them."),
];

/// Parts of the language that this version refuses rather than ignores: where they stand, and the key.
pub const NOT_YET: &[(Level, &str)] = &[(Level::Step, "from"), (Level::Step, "attach")];

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// At the top of the file.
    Top,
    /// In a step.
    Step,
}
