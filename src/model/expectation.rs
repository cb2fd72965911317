//! What must hold: the compiled form of `expect` and `warn`, plain data that is kept in the record,
//! so that a run can be judged again without its checklist.

use serde::{Deserialize, Serialize};

use super::{Against, Kind, MeasureName, Origin, Quantity};

/// What must hold of the measures of one look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// One measure against one matcher.
    Measure {
        /// The measure.
        name: MeasureName,
        /// Its kind, for wording.
        kind: Kind,
        /// What it must be.
        matcher: Matcher,
        /// Where that is written.
        origin: Origin,
    },
    /// An expression over all measures.
    That {
        /// The expression.
        expression: String,
        /// Where it is written.
        origin: Origin,
    },
    /// All of these must hold.
    All(Vec<Expectation>),
    /// At least one of these must hold.
    Any(Vec<Expectation>),
    /// This must not hold.
    Not(Box<Expectation>),
}

/// What one value must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matcher {
    /// `< 500ms`
    Compare(Op, Quantity),
    /// `between 2s and 5s`, both ends included.
    Between(Quantity, Quantity),
    /// `within 10% of x`: the share and the centre.
    Within(f64, Quantity),
    /// `1.9 ± 0.1`: the centre and the greatest distance.
    Around(Quantity, Quantity),
    /// `<= 1.5x baseline`, `> previous`, `within 10% of start`: held against a value that was there before.
    Relative(Relation, Against),
    /// Two recorded vectors: the observed one is not worse than the other by this share or more.
    NotWorse(Worse, f64),
    /// `200`, `ok`, `true`: equal by value.
    Equals(Literal),
    /// `2xx`: a class of HTTP statuses, by its first digit.
    StatusClass(u8),
    /// `[200, 204]` or `one_of:`: one of these holds.
    OneOf(Vec<Matcher>),
    /// Text that contains this, or a list or set that has this member.
    Contains(Literal),
    /// Text that begins with this.
    StartsWith(String),
    /// Text that ends with this.
    EndsWith(String),
    /// Text in which this regular expression finds something.
    Matches(String),
    /// A version that satisfies this requirement, as Cargo writes them: `>=1.2, <2`.
    Semver(String),
    /// The length of a text (in characters), list, set or object satisfies this.
    Length(Box<Matcher>),
    /// It is there, whatever it is.
    Exists,
    /// It is not there.
    Absent,
    /// It is there and has no content: empty text, list, object or set.
    Empty,
    /// Every member holds: for sets of yes and no, the whole.
    Every,
    /// No member holds, or the set is empty.
    NoneOf,
    /// At least one member holds.
    Some,
    /// All of these hold.
    All(Vec<Matcher>),
    /// This does not hold.
    Not(Box<Matcher>),
}

/// Which way is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worse {
    /// Greater values: latency, errors.
    Higher,
    /// Lesser values: throughput, availability.
    Lower,
    /// Any difference.
    Either,
}

/// How a value stands to one that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// `<= 1.5x`: compared with so many times the other.
    Compare(Op, f64),
    /// `between 0.9x and 1.1x`: between so many times the other, both ends included.
    Between(f64, f64),
    /// `within 10% of`: no farther than this share of the other.
    Within(f64),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Less than.
    #[serde(rename = "<")]
    Less,
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// Greater than.
    #[serde(rename = ">")]
    Greater,
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
    /// Equal.
    #[serde(rename = "==")]
    Equal,
    /// Not equal.
    #[serde(rename = "!=")]
    NotEqual,
}

impl Op {
    /// Returns the sign.
    pub fn sign(self) -> &'static str {
        match self {
            Op::Less => "<",
            Op::AtMost => "<=",
            Op::Greater => ">",
            Op::AtLeast => ">=",
            Op::Equal => "==",
            Op::NotEqual => "!=",
        }
    }

    /// Compares. NaN compares as nothing: every comparison with it is false, `!=` too.
    pub fn holds(self, left: f64, right: f64) -> bool {
        if left.is_nan() || right.is_nan() {
            return false;
        }
        match self {
            Op::Less => left < right,
            Op::AtMost => left <= right,
            Op::Greater => left > right,
            Op::AtLeast => left >= right,
            Op::Equal => left == right,
            Op::NotEqual => left != right,
        }
    }
}

/// A value to be equal to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Literal {
    /// A number, with its unit.
    Quantity(Quantity),
    /// Text. Against a number it is equal when it reads as the same number.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A JSON value: a list, an object, null.
    Json(serde_json::Value),
}
