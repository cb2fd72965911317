//! Takes `time() - x < 120` apart: what is measured, and what must hold of it. Only then can *false* and *no data* be
//! told apart, because PromQL answers both with nothing.

use std::ops::Range;

use promql_parser::parser::Expr;

use super::Query;
use super::parse::without_parens;
use super::tokens::{Token, TokenKind};
use crate::model::Op;

/// A comparison against a constant, taken apart. The places point into the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What is measured.
    pub measured: Range<usize>,
    /// How it must compare; turned round when the constant stands on the left.
    pub op: Op,
    /// What it is compared with.
    pub limit: Range<usize>,
    /// The constant.
    pub value: f64,
}

/// Takes the comparison at the top of a query apart.
///
/// Nothing when there is none, when it has `bool`, and when neither side is a constant: a comparison of two vectors
/// stays whole.
pub fn split_comparison(query: &Query) -> Option<Split> {
    let binary = match without_parens(&query.expr) {
        Expr::Binary(binary) if op_of(&binary.op.to_string()).is_some() && !binary.return_bool() => binary,
        _ => return None,
    };
    let op = op_of(&binary.op.to_string())?;
    let inner = inside_parens(query.text(), &query.tokens);
    let at = root_comparison(query.text(), inner)?;
    let sides = (span(&inner[..at])?, span(&inner[at + 1..])?);
    match (number(&binary.lhs), number(&binary.rhs)) {
        (None, Some(value)) if !value.is_nan() => Some(Split { measured: sides.0, op, limit: sides.1, value }),
        (Some(value), None) if !value.is_nan() => {
            Some(Split { measured: sides.1, op: turned(op), limit: sides.0, value })
        }
        _ => None,
    }
}

/// Computes an expression that has no selector: `2 * 60`, `-1e3`.
pub fn constant(text: &str) -> Option<f64> {
    if let Ok(plain) = text.trim().parse::<f64>() {
        return Some(plain);
    }
    number(&super::parse(text).ok()?.expr)
}

fn op_of(sign: &str) -> Option<Op> {
    match sign {
        "<" => Some(Op::Less),
        "<=" => Some(Op::AtMost),
        ">" => Some(Op::Greater),
        ">=" => Some(Op::AtLeast),
        "==" => Some(Op::Equal),
        "!=" => Some(Op::NotEqual),
        _ => None,
    }
}

fn turned(op: Op) -> Op {
    match op {
        Op::Less => Op::Greater,
        Op::AtMost => Op::AtLeast,
        Op::Greater => Op::Less,
        Op::AtLeast => Op::AtMost,
        Op::Equal | Op::NotEqual => op,
    }
}

fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::NumberLiteral(literal) => Some(literal.val),
        Expr::Paren(paren) => number(&paren.expr),
        Expr::Unary(unary) => number(&unary.expr).map(|v| -v),
        Expr::Binary(binary) => {
            let (left, right) = (number(&binary.lhs)?, number(&binary.rhs)?);
            match binary.op.to_string().as_str() {
                "+" => Some(left + right),
                "-" => Some(left - right),
                "*" => Some(left * right),
                "/" => Some(left / right),
                "%" => Some(left % right),
                "^" => Some(left.powf(right)),
                _ => None,
            }
        }
        Expr::Aggregate(_)
        | Expr::Subquery(_)
        | Expr::StringLiteral(_)
        | Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::Call(_)
        | Expr::Extension(_) => None,
    }
}

/// Leaves out parentheses around the whole.
fn inside_parens<'a>(text: &str, mut tokens: &'a [Token]) -> &'a [Token] {
    while let [first, .., _] = tokens {
        if &text[first.range.clone()] != "(" || closes_at(tokens) != Some(tokens.len() - 1) {
            break;
        }
        tokens = &tokens[1..tokens.len() - 1];
    }
    tokens
}

fn closes_at(tokens: &[Token]) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|token| {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::Sign => {}
        }
        depth == 0
    })
}

/// Finds the comparison that is computed last: comparisons are computed from left to right, so the last one.
fn root_comparison(text: &str, tokens: &[Token]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut found = None;
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Sign if depth == 0 && op_of(&text[token.range.clone()]).is_some() => found = Some(i),
            TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::Sign => {}
        }
    }
    found
}

fn span(tokens: &[Token]) -> Option<Range<usize>> {
    Some(tokens.first()?.range.start..tokens.last()?.range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(query: &str) -> Option<(&str, &'static str, f64)> {
        let split = split_comparison(&crate::promql::parse(query).expect(query))?;
        Some((&query[split.measured], split.op.sign(), split.value))
    }

    #[test]
    fn comparisons_against_constants_are_taken_apart() {
        assert_eq!(split("time() - x < 120"), Some(("time() - x", "<", 120.0)));
        assert_eq!(split("0.05 >= a / b"), Some(("a / b", "<=", 0.05)));
        assert_eq!(split("( (up{a=\"<\"}) == 1 )"), Some(("(up{a=\"<\"})", "==", 1.0)));
        assert_eq!(split("x > 2 * 60 # why\n"), Some(("x", ">", 120.0)));
        assert_eq!(split("x != -(1)"), Some(("x", "!=", -1.0)));
        assert_eq!(split("x > 1 < 5"), Some(("x > 1", "<", 5.0)));
        assert_eq!(split("(a) + (b) > 1"), Some(("(a) + (b)", ">", 1.0)));
    }

    #[test]
    fn everything_else_stays_whole() {
        for query in
            ["x", "a > b", "x > bool 5", "x > 5 or y", "sum(x > 5)", "a > on (b) c", "x > NaN", "x > scalar(y)"]
        {
            assert_eq!(split(query), None, "{query}");
        }
    }
}
