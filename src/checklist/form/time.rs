//! The keys that spread a run over hours, cells and people: soak, matrix, hold points, earlier runs, baselines.

use super::{SAYING, TEXTS};
use crate::shape::{Field, Object, Shape, field, required};

/// When a section of a soak is looked at.
pub const SLOTS: &[&str] = &["start", "checkpoint", "end"];

/// The timetable of a soak.
pub const SOAK: Object = Object {
    name: "a soak",
    open: false,
    fields: &[
        required("for", Shape::Duration, "How long it goes."),
        field("every", Shape::Duration, "From one checkpoint to the next."),
        field(
            "grace",
            Shape::Duration,
            "How late a checkpoint still counts as observed in time; a quarter of `every`, at most 15m, when not given.",
        ),
        field(
            "missed",
            Shape::Word(&["backfill", "inconclusive"]),
            "What is done about a missed checkpoint: asked about the past where that can be (the default), or not.",
        ),
    ],
};

/// The keys of a matrix that are not axes.
pub const MATRIX_KEYS: &[Field] = &[
    field("rows", Shape::List(&Shape::Map(&Shape::Any)), "The cells, each with its values by name."),
    field(
        "order",
        Shape::Word(&["sequential", "parallel"]),
        "Whether the cells run one after another (the default) or side by side.",
    ),
    field(
        "on_failure",
        Shape::Word(&["stop", "continue"]),
        "Whether the cells after one that did not pass are blocked (the default for sequential ones) or run all the same.",
    ),
    field("pause", Shape::Duration, "How long to wait between cells."),
];
/// A matrix; every other key is an axis with its values.
pub const MATRIX: Shape = Shape::Object(&Object { name: "a matrix", open: true, fields: MATRIX_KEYS });

/// A hold point.
pub const HOLD: Shape = Shape::Either(&[
    Shape::Bool,
    Shape::Object(&Object {
        name: "a hold point",
        open: false,
        fields: &[required("sign", TEXTS, "The roles that must sign, as declared under `signoff`.")],
    }),
]);

/// An earlier run that must be there: what the probe `run` looks for.
pub const EARLIER: Object = Object {
    name: "a required run",
    open: true,
    fields: &[field("name", SAYING, "The sentence for it; made of the rest when not given.")],
};

/// Where the value of the word `baseline` comes from: exactly one of these.
pub const BASELINE: Shape = Shape::Object(&Object {
    name: "a baseline",
    open: false,
    fields: &[
        field("step", Shape::Text, "The id of a step that measured it earlier in this run."),
        field("run", Shape::Text, "The same step in an earlier run: `last-go`, or the name of a run."),
        field("offset", Shape::Duration, "The same query that much earlier."),
        field("promql", Shape::Template, "Another query, asked along with the step's own."),
        field("value", Shape::Text, "A value that is written down."),
    ],
});
