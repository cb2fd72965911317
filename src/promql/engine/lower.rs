//! Makes the engine's tree of the parser's. The parser keeps no places, so the query's words are followed alongside:
//! every node takes the words that it was made of, in the order in which they were written.

use std::time::{Duration, SystemTime};

use promql_parser::label::{MatchOp as ParsedOp, Matcher as ParsedMatcher};
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinModifier, BinaryExpr, Call, Expr, LabelModifier, Offset, VectorMatchCardinality,
    VectorSelector,
};

use super::answer::QueryError;
use super::durations::Times;
use super::functions::{self, Function};
use super::labels::{NAME, is_label_name};
use super::matcher::{MatchOp, Matcher};
use super::tree::{
    Aggregate, AggregateOp, Binary, Card, Extent, Grouping, Kind, MatchLabels, Matching, Node, Op, Selector, Shift,
    Subquery,
};
use super::words::{self, SET_ASIDE, Word};

/// The times that a query as a whole is evaluated at, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
    /// Zero in an instant query.
    pub(super) step: i64,
}

/// Reads a query.
///
/// # Errors
/// When it is not valid, or uses what the engine does not have.
pub(super) fn read(query: &str, span: Span) -> Result<Node, QueryError> {
    if query.len() > super::super::parse::MAX_BYTES {
        return Err(QueryError::Invalid(format!("a query may have {} bytes", super::super::parse::MAX_BYTES)));
    }
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let times = Times { step: seconds(span.step), range: seconds(span.end - span.start) };
    let words = words::read(query, times)?;
    no_broken_text(&words.list)?;
    // The guard keeps away what the parser does not survive; it may look at patterns as plain values.
    super::super::parse(&words.text)?;
    let parsed = promql_parser::parser::parse(&words.text).map_err(QueryError::Invalid)?;
    let mut lowering = Lowering { words: &words.list, next: 0, span, extents: 0 };
    let mut node = lowering.node(&parsed)?;
    if lowering.extents != words.extents {
        let text = "anchored and smoothed modifiers can only be used behind a selector, once";
        return Err(QueryError::Invalid(text.into()));
    }
    let (_, wrap) = mark_fixed(&mut node);
    node.fixed = wrap;
    Ok(node)
}

/// Refuses a text whose escapes are no UTF-8: the parser takes each of them for a character.
fn no_broken_text(words: &[Word]) -> Result<(), QueryError> {
    for word in words.iter().filter(|w| w.text.starts_with(['"', '\'']) && w.text.contains('\\')) {
        let broken = word.text.match_indices('\\').any(|(i, _)| {
            let escape = &word.text.as_bytes()[i + 1..];
            matches!(escape, [b'x', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', ..] | [b'2' | b'3', b'0'..=b'7', ..])
        });
        if broken {
            return Err(QueryError::Invalid(format!("invalid label name {}", word.text)));
        }
    }
    Ok(())
}

struct Lowering<'a> {
    words: &'a [Word],
    next: usize,
    span: Span,
    /// How many selectors are anchored or smoothed.
    extents: usize,
}

impl Lowering<'_> {
    fn peek(&self) -> &str {
        self.words.get(self.next).map_or("", |w| &w.text)
    }

    fn peek_is(&self, text: &str) -> bool {
        self.peek().eq_ignore_ascii_case(text)
    }

    fn eat(&mut self, text: &str) -> bool {
        let fits = self.peek_is(text);
        self.next += usize::from(fits);
        fits
    }

    /// Leaves out a pair of brackets with all that is in it.
    fn skip_brackets(&mut self) {
        let mut depth = 0_usize;
        while self.next < self.words.len() {
            match self.peek() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.next += 1;
            if depth == 0 {
                return;
            }
        }
    }

    fn node(&mut self, expr: &Expr) -> Result<Node, QueryError> {
        let at = self.words.get(self.next).map_or(0, |w| w.at);
        // The parser leaves a `+` out.
        while self.eat("+") {}
        let kind = match expr {
            Expr::Paren(paren) => {
                self.eat("(");
                let inner = self.node(&paren.expr)?;
                self.eat(")");
                Kind::Paren(Box::new(inner))
            }
            Expr::Unary(unary) => {
                self.eat("-");
                Kind::Negated(Box::new(self.node(&unary.expr)?))
            }
            Expr::NumberLiteral(number) => {
                while self.eat("-") || self.eat("+") {}
                self.next += 1;
                Kind::Number(number.val)
            }
            Expr::StringLiteral(text) => {
                self.next += 1;
                Kind::Text(text.val.clone())
            }
            Expr::VectorSelector(selector) => Kind::Vector(self.selector(selector, None)?.0),
            Expr::MatrixSelector(matrix) => {
                let (selector, range) = self.selector(&matrix.vs, Some(matrix.range))?;
                Kind::Matrix(selector, range)
            }
            Expr::Subquery(subquery) => {
                let inner = self.node(&subquery.expr)?;
                self.skip_brackets();
                self.suffix();
                Kind::Subquery(Box::new(Subquery {
                    inner,
                    range: milliseconds(subquery.range)?,
                    step: subquery.step.map(milliseconds).transpose()?,
                    shift: self.shift(subquery.offset.as_ref(), subquery.at.as_ref())?,
                }))
            }
            Expr::Call(call) => self.call(call)?,
            Expr::Aggregate(aggregate) => self.aggregate(aggregate)?,
            Expr::Binary(binary) => self.binary(binary)?,
            Expr::Extension(_) => return Err(QueryError::Invalid("the query has a part that is not PromQL".into())),
        };
        Ok(Node { at, kind, fixed: false })
    }

    fn selector(&mut self, parsed: &VectorSelector, range: Option<Duration>) -> Result<(Selector, i64), QueryError> {
        if !self.peek_is("{") {
            self.next += 1;
        }
        if self.peek_is("{") {
            self.skip_brackets();
        }
        let mut extent = self.suffix();
        if range.is_some() {
            self.skip_brackets();
            extent = extent.or(self.suffix());
        }
        self.extents += usize::from(extent.is_some());
        if !parsed.matchers.or_matchers.is_empty() {
            return Err(QueryError::Invalid("matchers cannot be joined by `or`; write two selectors".into()));
        }
        let named = parsed.name.iter().map(|name| Matcher::new(NAME, MatchOp::Equal, name));
        let wanted = parsed.matchers.matchers.iter().filter(|m| m.name != SET_ASIDE);
        let matchers = named.chain(wanted.map(matcher)).collect::<Result<_, String>>();
        let selector = Selector {
            matchers: matchers.map_err(QueryError::Invalid)?,
            shift: self.shift(parsed.offset.as_ref(), parsed.at.as_ref())?,
            extent: extent.unwrap_or(Extent::Plain),
        };
        let range = range.map(milliseconds).transpose()?;
        if range == Some(0) {
            return Err(QueryError::Invalid("duration must be greater than 0".into()));
        }
        Ok((selector, range.unwrap_or(0)))
    }

    /// Takes the words of `offset`, `@`, `anchored` and `smoothed` and returns what the last two say.
    fn suffix(&mut self) -> Option<Extent> {
        let mut extent = None;
        loop {
            if self.eat("offset") {
                let _ = self.eat("-") || self.eat("+");
                self.next += 1;
            } else if self.eat("@") {
                let _ = self.eat("-") || self.eat("+");
                self.next += 1;
                if self.peek_is("(") {
                    self.skip_brackets();
                }
            } else if self.eat("anchored") {
                extent = Some(Extent::Anchored);
            } else if self.eat("smoothed") {
                extent = Some(Extent::Smoothed);
            } else {
                return extent;
            }
        }
    }

    fn shift(&self, offset: Option<&Offset>, at: Option<&AtModifier>) -> Result<Shift, QueryError> {
        let offset = match offset {
            None => 0,
            Some(Offset::Pos(duration)) => milliseconds(*duration)?,
            Some(Offset::Neg(duration)) => -milliseconds(*duration)?,
        };
        let at = match at {
            None => None,
            Some(AtModifier::Start) => Some(self.span.start),
            Some(AtModifier::End) => Some(self.span.end),
            Some(AtModifier::At(time)) => Some(match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => milliseconds(after)?,
                Err(before) => -milliseconds(before.duration())?,
            }),
        };
        Ok(Shift { offset, at })
    }

    fn call(&mut self, call: &Call) -> Result<Kind, QueryError> {
        self.next += 1;
        self.eat("(");
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args.args {
            args.push(unwrapped(self.node(arg)?));
            self.eat(",");
        }
        self.eat(")");
        let seconds = |ms: i64| Kind::Number(ms as f64 / 1000.0);
        match functions::find(call.func.name) {
            Some(Function::Start) => Ok(seconds(self.span.start)),
            Some(Function::End) => Ok(seconds(self.span.end)),
            Some(Function::Step) => Ok(seconds(self.span.step)),
            Some(Function::Range) => Ok(seconds(self.span.end - self.span.start)),
            Some(function) => Ok(Kind::Call(function, args)),
            None => Err(QueryError::Invalid(format!("the function {}() is not supported", call.func.name))),
        }
    }

    fn aggregate(&mut self, parsed: &AggregateExpr) -> Result<Kind, QueryError> {
        let name = self.peek().to_ascii_lowercase();
        self.next += 1;
        self.grouping_words();
        self.eat("(");
        let param = match &parsed.param {
            None => None,
            Some(param) => {
                let node = unwrapped(self.node(param)?);
                self.eat(",");
                Some(node)
            }
        };
        let inner = unwrapped(self.node(&parsed.expr)?);
        self.eat(")");
        self.grouping_words();
        let op = aggregate_op(&name).or_else(|| aggregate_op(&parsed.op.to_string()));
        let op = op.ok_or_else(|| QueryError::Invalid(format!("the aggregation {name} is not supported")))?;
        let grouping = match &parsed.modifier {
            None => Grouping::By(Vec::new()),
            Some(LabelModifier::Include(labels)) => Grouping::By(sorted(&labels.labels)),
            Some(LabelModifier::Exclude(labels)) => Grouping::Without(sorted(&labels.labels)),
        };
        let number = param.as_ref().is_some_and(Node::is_scalar);
        if matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio) && !number {
            return Err(QueryError::Invalid(format!("{name} needs a number as its first argument")));
        }
        Ok(Kind::Aggregate(Box::new(Aggregate { op, grouping, param, inner })))
    }

    fn grouping_words(&mut self) {
        if self.eat("by") || self.eat("without") {
            self.skip_brackets();
        }
    }

    fn binary(&mut self, parsed: &BinaryExpr) -> Result<Kind, QueryError> {
        let left = self.node(&parsed.lhs)?;
        self.next += 1;
        while ["bool", "on", "ignoring", "group_left", "group_right", "fill", "fill_left", "fill_right"]
            .iter()
            .any(|word| self.peek_is(word))
        {
            self.next += 1;
            let takes_labels = !self.words[self.next - 1].text.eq_ignore_ascii_case("bool");
            if takes_labels && self.peek_is("(") {
                self.skip_brackets();
            }
        }
        let right = self.node(&parsed.rhs)?;
        let sign = parsed.op.to_string();
        let op = op_of(&sign).ok_or_else(|| QueryError::Invalid(format!("the operator {sign} is not supported")))?;
        let set = matches!(op, Op::And | Op::Or | Op::Unless);
        let fill = parsed.modifier.as_ref().map(|m| (m.fill_values.lhs, m.fill_values.rhs)).unwrap_or_default();
        if set && fill != (None, None) {
            return Err(QueryError::Invalid(format!("filling in missing series not allowed for set operator {sign}")));
        }
        let as_number = parsed.return_bool();
        Ok(Kind::Binary(Box::new(Binary { op, left, right, matching: matching(parsed.modifier.as_ref()), as_number })))
    }
}

fn matching(modifier: Option<&BinModifier>) -> Matching {
    let labels = match modifier.and_then(|m| m.matching.as_ref()) {
        Some(LabelModifier::Include(labels)) => MatchLabels::On(sorted(&labels.labels)),
        Some(LabelModifier::Exclude(labels)) => MatchLabels::Ignoring(sorted(&labels.labels)),
        None => MatchLabels::Ignoring(Vec::new()),
    };
    let (card, include) = match modifier.map(|m| &m.card) {
        Some(VectorMatchCardinality::ManyToOne(labels)) => (Card::ManyToOne, labels.labels.clone()),
        Some(VectorMatchCardinality::OneToMany(labels)) => (Card::OneToMany, labels.labels.clone()),
        Some(VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany) | None => {
            (Card::OneToOne, Vec::new())
        }
    };
    let fill = modifier.map(|m| m.fill_values.clone()).unwrap_or_default();
    Matching { labels, card, include, fill_left: fill.lhs, fill_right: fill.rhs }
}

fn matcher(parsed: &ParsedMatcher) -> Result<Matcher, String> {
    let (op, pattern) = match &parsed.op {
        ParsedOp::Equal => (MatchOp::Equal, None),
        ParsedOp::NotEqual => (MatchOp::NotEqual, None),
        ParsedOp::Re(pattern) => (MatchOp::Fits, Some(pattern)),
        ParsedOp::NotRe(pattern) => (MatchOp::FitsNot, Some(pattern)),
    };
    Matcher::new(&parsed.name, op, &parsed.value).or_else(|error| {
        // The parser mends patterns that only Go understands.
        let mended = pattern.and_then(|p| p.as_str().strip_prefix("^(?:")?.strip_suffix(")$").map(str::to_owned));
        mended.map_or(Err(error), |mended| Matcher::new(&parsed.name, op, &mended))
    })
}

fn milliseconds(duration: Duration) -> Result<i64, QueryError> {
    // Rounds what came from a number of seconds.
    let ms = (duration.as_nanos() + 500) / 1_000_000;
    // 10,000 years: sums of a few of them still fit.
    i64::try_from(ms)
        .ok()
        .filter(|ms| *ms < 315_360_000_000_000)
        .ok_or_else(|| QueryError::Invalid(format!("duration out of range: {} seconds", duration.as_secs())))
}

fn sorted(labels: &[String]) -> Vec<String> {
    let mut labels = labels.to_vec();
    labels.sort();
    labels
}

/// Takes brackets off an argument.
fn unwrapped(mut node: Node) -> Node {
    while let Kind::Paren(inner) = node.kind {
        node = *inner;
    }
    node
}

fn aggregate_op(name: &str) -> Option<AggregateOp> {
    Some(match name {
        "sum" => AggregateOp::Sum,
        "avg" => AggregateOp::Avg,
        "count" => AggregateOp::Count,
        "min" => AggregateOp::Min,
        "max" => AggregateOp::Max,
        "group" => AggregateOp::Group,
        "stddev" => AggregateOp::Stddev,
        "stdvar" => AggregateOp::Stdvar,
        "quantile" => AggregateOp::Quantile,
        "count_values" => AggregateOp::CountValues,
        "topk" => AggregateOp::Topk,
        "bottomk" => AggregateOp::Bottomk,
        "limitk" => AggregateOp::Limitk,
        "limit_ratio" => AggregateOp::LimitRatio,
        _ => return None,
    })
}

fn op_of(sign: &str) -> Option<Op> {
    Some(match sign {
        "+" => Op::Add,
        "-" => Op::Sub,
        "*" => Op::Mul,
        "/" => Op::Div,
        "%" => Op::Mod,
        "^" => Op::Pow,
        "atan2" => Op::Atan2,
        "==" => Op::Equal,
        "!=" => Op::NotEqual,
        ">" => Op::Greater,
        "<" => Op::Less,
        ">=" => Op::AtLeast,
        "<=" => Op::AtMost,
        "and" => Op::And,
        "or" => Op::Or,
        "unless" => Op::Unless,
        _ => return None,
    })
}

/// Marks the largest parts whose value is the same at every step. Returns whether this node's is, and whether it gains
/// by being evaluated once.
fn mark_fixed(node: &mut Node) -> (bool, bool) {
    match &mut node.kind {
        Kind::Number(_) | Kind::Text(_) => (true, false),
        Kind::Vector(selector) => (selector.shift.at.is_some(), selector.shift.at.is_some()),
        Kind::Matrix(selector, _) => (selector.shift.at.is_some(), false),
        Kind::Subquery(subquery) => {
            let (same, _) = mark_fixed(&mut subquery.inner);
            subquery.inner.fixed = same;
            (subquery.shift.at.is_some(), subquery.shift.at.is_some())
        }
        Kind::Paren(inner) | Kind::Negated(inner) => mark_fixed(inner),
        Kind::Aggregate(aggregate) => {
            let (param_same, param_gains) = aggregate.param.as_mut().map_or((true, false), mark_fixed);
            let (same, gains) = mark_fixed(&mut aggregate.inner);
            if same && param_same {
                return (true, true);
            }
            aggregate.inner.fixed = gains;
            if let Some(param) = &mut aggregate.param {
                param.fixed = param_gains;
            }
            (false, false)
        }
        Kind::Binary(binary) => {
            let (left, right) = (mark_fixed(&mut binary.left), mark_fixed(&mut binary.right));
            if left.0 && right.0 {
                return (true, true);
            }
            binary.left.fixed = left.1;
            binary.right.fixed = right.1;
            (false, false)
        }
        Kind::Call(function, args) => {
            let marks: Vec<_> = args.iter_mut().map(mark_fixed).collect();
            if !function.looks_at_the_step(args.len()) && marks.iter().all(|(same, _)| *same) {
                return (true, true);
            }
            for (arg, (_, gains)) in args.iter_mut().zip(marks) {
                arg.fixed = gains;
            }
            (false, false)
        }
    }
}

/// Tells whether a name may be a label's: any text that is not empty, as in Prometheus 3.
pub(super) fn may_be_label(name: &str) -> bool {
    !name.is_empty() && (is_label_name(name) || !name.contains('\u{FFFD}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(query: &str) -> Node {
        read(query, Span { start: 1000, end: 61_000, step: 10_000 }).unwrap_or_else(|e| panic!("{query}: {e}"))
    }

    /// Lists the places of all nodes, the outermost first.
    fn places(node: &Node, out: &mut Vec<usize>) {
        out.push(node.at);
        match &node.kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Vector(_) | Kind::Matrix(..) => {}
            Kind::Subquery(subquery) => places(&subquery.inner, out),
            Kind::Paren(inner) | Kind::Negated(inner) => places(inner, out),
            Kind::Call(_, args) => args.iter().for_each(|arg| places(arg, out)),
            Kind::Aggregate(aggregate) => {
                aggregate.param.iter().for_each(|param| places(param, out));
                places(&aggregate.inner, out);
            }
            Kind::Binary(binary) => {
                places(&binary.left, out);
                places(&binary.right, out);
            }
        }
    }

    #[test]
    fn every_node_knows_its_place() {
        for (query, wanted) in [
            ("rate(x[5m])", vec![0, 5]),
            ("- - 1 + -x", vec![0, 0, 8, 9]),
            ("sum by (a, b) (x{c=\"(\"} offset -5m) > bool on (a) group_left () y @ start()", vec![0, 0, 15, 64]),
            ("topk((3), ((x))) without (b) / 2", vec![0, 0, 6, 12, 31]),
            ("max_over_time(rate(x[1m] @ 5 offset 3s)[1h:5m] offset 1m) or z", vec![0, 0, 14, 14, 19, 61]),
            ("a + on (b) fill_left (0) c * d", vec![0, 0, 25, 25, 29]),
            ("quantile_over_time(0.5, {__name__=\"x\"}[step() * 2] anchored)", vec![0, 19, 24]),
            ("+a - ((b))", vec![0, 1, 5, 6, 7]),
        ] {
            let mut found = Vec::new();
            places(&tree(query), &mut found);
            assert_eq!(found, wanted, "{query}");
        }
    }

    #[test]
    fn what_does_not_change_is_evaluated_once() {
        let fixed = |query: &str| tree(query).fixed;
        assert!(fixed("x @ 5") && fixed("sum(rate(x[1m] @ 5)) + y @ start()") && fixed("1 + 1"));
        assert!(!fixed("x") && !fixed("x + y @ 5") && !fixed("predict_linear(x[1m] @ 5, 1)") && !fixed("time()"));
        let Kind::Binary(binary) = tree("x + y @ 5").kind else { panic!("no binary") };
        assert!(!binary.left.fixed && binary.right.fixed);
    }

    #[test]
    fn times_of_the_query_are_filled_in() {
        let Kind::Number(n) = tree("range()").kind else { panic!("no number") };
        assert_eq!(n, 60.0);
        let Kind::Vector(selector) = tree("x @ end() offset step()").kind else { panic!("no selector") };
        assert_eq!(selector.shift.time(5), 51_000);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let refused = |query: &str| read(query, Span { start: 0, end: 0, step: 0 }).expect_err(query).to_string();
        assert!(refused("start_timestamp(x)").contains("start_timestamp() is not supported"));
        assert_eq!(refused(r#"count_values("a\xc5z", x)"#), r#"invalid label name "a\xc5z""#);
        assert!(refused("x{a=\"b\" or c=\"d\"}").contains("two selectors"));
        assert!(refused("sum(x").contains("never closed"));
        for query in ["rate(x[5m]) smoothed", "sum_over_time(x[5m:1m] anchored)", "rate(x[5m] anchored smoothed)"] {
            assert!(refused(query).contains("behind a selector"), "{query}");
        }
    }
}
