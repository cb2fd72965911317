//! A query as the engine evaluates it: names resolved, times in milliseconds, each node with its place.

use super::functions::Function;
use super::matcher::Matcher;

/// A part of a query.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it begins in the query as written, in bytes.
    pub(super) at: usize,
    pub(super) kind: Kind,
    /// Its value is the same at every step, so that it is evaluated only once.
    pub(super) fixed: bool,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Kind {
    Number(f64),
    Text(String),
    Vector(Selector),
    Matrix(Selector, i64),
    Subquery(Box<Subquery>),
    Call(Function, Vec<Node>),
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
    Negated(Box<Node>),
    Paren(Box<Node>),
}

/// What is looked up.
#[derive(Debug)]
pub(super) struct Selector {
    pub(super) matchers: Vec<Matcher>,
    pub(super) shift: Shift,
    pub(super) extent: Extent,
}

/// Which time is looked at instead of the step's own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shift {
    /// `offset`, in milliseconds.
    pub(super) offset: i64,
    /// `@`, in milliseconds.
    pub(super) at: Option<i64>,
}

impl Shift {
    /// Returns the time that is looked at, at a step.
    pub(super) fn time(self, step: i64) -> i64 {
        self.at.unwrap_or(step).saturating_sub(self.offset)
    }
}

/// How a range treats the samples around its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Only what is in it counts.
    Plain,
    /// The last sample before it stands for its beginning.
    Anchored,
    /// Both ends are interpolated.
    Smoothed,
}

#[derive(Debug)]
pub(super) struct Subquery {
    pub(super) inner: Node,
    pub(super) range: i64,
    /// The engine's own when not given.
    pub(super) step: Option<i64>,
    pub(super) shift: Shift,
}

#[derive(Debug)]
pub(super) struct Aggregate {
    pub(super) op: AggregateOp,
    pub(super) grouping: Grouping,
    pub(super) param: Option<Node>,
    pub(super) inner: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Quantile,
    CountValues,
    Topk,
    Bottomk,
    Limitk,
    LimitRatio,
}

/// Which labels make a group.
#[derive(Clone, Debug)]
pub(super) enum Grouping {
    /// Sorted.
    By(Vec<String>),
    Without(Vec<String>),
}

#[derive(Debug)]
pub(super) struct Binary {
    pub(super) op: Op,
    pub(super) left: Node,
    pub(super) right: Node,
    pub(super) matching: Matching,
    /// `bool`: 0 or 1 instead of filtering.
    pub(super) as_number: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    AtLeast,
    AtMost,
    And,
    Or,
    Unless,
}

impl Op {
    pub(super) fn is_comparison(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual | Self::Greater | Self::Less | Self::AtLeast | Self::AtMost)
    }
}

/// Which series of two vectors belong together.
#[derive(Debug)]
pub(super) struct Matching {
    pub(super) labels: MatchLabels,
    pub(super) card: Card,
    /// The labels that are taken from the "one" side.
    pub(super) include: Vec<String>,
    pub(super) fill_left: Option<f64>,
    pub(super) fill_right: Option<f64>,
}

#[derive(Debug)]
pub(super) enum MatchLabels {
    On(Vec<String>),
    Ignoring(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Card {
    OneToOne,
    ManyToOne,
    OneToMany,
}

impl Node {
    /// Looks through brackets.
    pub(super) fn bare(&self) -> &Self {
        match &self.kind {
            Kind::Paren(inner) => inner.bare(),
            Kind::Number(_)
            | Kind::Text(_)
            | Kind::Vector(_)
            | Kind::Matrix(..)
            | Kind::Subquery(_)
            | Kind::Call(..)
            | Kind::Aggregate(_)
            | Kind::Binary(_)
            | Kind::Negated(_) => self,
        }
    }

    /// Tells whether it gives one number and not one per series.
    pub(super) fn is_scalar(&self) -> bool {
        match &self.kind {
            Kind::Number(_) => true,
            Kind::Call(function, _) => function.gives_scalar(),
            Kind::Binary(binary) => binary.left.is_scalar() && binary.right.is_scalar(),
            Kind::Negated(inner) | Kind::Paren(inner) => inner.is_scalar(),
            Kind::Text(_) | Kind::Vector(_) | Kind::Matrix(..) | Kind::Subquery(_) | Kind::Aggregate(_) => false,
        }
    }
}
