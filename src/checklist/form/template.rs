//! The keys of step templates, and of files of them.

use super::INPUT_TYPES;
use crate::shape::{Field, Object, Shape, field, required};

/// What stands under `templates`: templates by name, or a list of such and of paths of files.
pub const TEMPLATES: Shape =
    Shape::Either(&[Shape::List(&Shape::Either(&[Shape::Map(&ONE), Shape::Text])), Shape::Map(&ONE)]);

/// A file of templates.
pub const FILE: Object = Object {
    name: "a file of templates",
    open: false,
    fields: &[
        required("holdpoint", Shape::Int(1, 1), "The version of the language: 1."),
        field("description", Shape::Text, "What the templates are for."),
        required("templates", TEMPLATES, "The templates by name, or a list of such and of further files."),
    ],
};

/// A template; the keys of its step are checked where it is used.
pub const TEMPLATE: Object = Object { name: "a template", open: true, fields: KEYS };

const ONE: Shape = Shape::Named("template", || &TEMPLATE);

const KEYS: &[Field] = &[
    field("help", Shape::Text, "What it is for, for people."),
    field("example", Shape::Text, "A step that uses it, as YAML; shown by `explain`."),
    field("params", Shape::Map(&PARAM_FORM), "What it takes, used as {{ params.NAME }}."),
    field("steps", Shape::List(&Shape::Object(&STEP)), "Several steps, each with an id, in place of the keys of one."),
];

/// A step of a template: its keys are checked where it is used, with the values put in.
const STEP: Object =
    Object { name: "a step", open: true, fields: &[field("id", Shape::Text, "Its name among the steps; required.")] };

const PARAM_FORM: Shape = Shape::Either(&[Shape::Object(&PARAM), Shape::List(&Shape::Text), Shape::Text]);

/// The declaration of a parameter.
pub const PARAM: Object = Object {
    name: "a parameter",
    open: false,
    fields: &[
        field(
            "type",
            Shape::Word(INPUT_TYPES),
            "What kind of value: string (the default), int, number, bool, url, duration, size, list.",
        ),
        field("default", Shape::Any, "The value when none is given."),
        field("pattern", Shape::Regex, "A regular expression that the value must match."),
        field("one_of", Shape::List(&Shape::Text), "The values allowed."),
        field("optional", Shape::Bool, "Whether it may have no value: what it stands alone in is then left out."),
        field("help", Shape::Text, "What it is, for people."),
    ],
};
