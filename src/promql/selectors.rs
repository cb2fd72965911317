//! Lists what a query looks up, so that an empty answer can be explained.

use std::convert::Infallible;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};

use super::Query;

/// One selector of a query: a metric's name and conditions on its labels.
#[derive(Clone, Debug)]
pub struct Selector {
    /// The metric's name, if it is fixed.
    pub metric: Option<String>,
    /// The conditions on the metric's name, where it is not fixed before the brace.
    pub naming: Vec<Matching>,
    /// The conditions on labels.
    pub matching: Vec<Matching>,
    /// The selector as PromQL, without offset and range.
    pub text: String,
    /// Whether it looks at another time than the query's.
    pub shifted: bool,
    /// Whether its conditions are alternatives, which no Prometheus knows.
    pub alternatives: bool,
}

/// A condition on a label.
#[derive(Clone, Debug)]
pub struct Matching {
    matcher: Matcher,
}

impl Matching {
    /// Returns the label's name.
    pub fn label(&self) -> &str {
        &self.matcher.name
    }

    /// Returns the value or pattern as written.
    pub fn value(&self) -> &str {
        &self.matcher.value
    }

    /// Returns the operator: `=`, `!=`, `=~` or `!~`.
    pub fn sign(&self) -> &'static str {
        match self.matcher.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Re(_) => "=~",
            MatchOp::NotRe(_) => "!~",
        }
    }

    /// Tells whether a value satisfies the condition; a label that is not there has the empty value.
    pub fn holds(&self, value: &str) -> bool {
        self.matcher.is_match(value)
    }
}

/// Lists the selectors of a query, each once, in the order of writing.
pub fn selectors(query: &Query) -> Vec<Selector> {
    let mut visitor = Collect(Vec::new());
    // The visitor cannot fail.
    let _ = walk_expr(&mut visitor, query.exact());
    visitor.0
}

struct Collect(Vec<Selector>);

impl ExprVisitor for Collect {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        let found = match expr {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector(matrix) => &matrix.vs,
            Expr::Aggregate(_)
            | Expr::Unary(_)
            | Expr::Binary(_)
            | Expr::Paren(_)
            | Expr::Subquery(_)
            | Expr::NumberLiteral(_)
            | Expr::StringLiteral(_)
            | Expr::Call(_)
            | Expr::Extension(_) => return Ok(true),
        };
        let selector = of(found);
        if self.0.iter().all(|s| s.text != selector.text) {
            self.0.push(selector);
        }
        Ok(true)
    }
}

fn of(selector: &VectorSelector) -> Selector {
    let bare = VectorSelector { offset: None, at: None, ..selector.clone() };
    let name_of = |m: &&Matcher| m.name == "__name__" && m.op == MatchOp::Equal;
    let matchers = &selector.matchers.matchers;
    let metric = selector.name.clone().or_else(|| matchers.iter().find(name_of).map(|m| m.value.clone()));
    let (naming, matching): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.name == "__name__");
    let conditions = |list: Vec<&Matcher>| list.into_iter().map(|m| Matching { matcher: m.clone() }).collect();
    let shifted = selector.offset.is_some() || selector.at.is_some();
    let alternatives = !selector.matchers.or_matchers.is_empty();
    let (naming, matching) = (conditions(naming), conditions(matching));
    Selector { metric, naming, matching, text: bare.to_string(), shifted, alternatives }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_listed_once_without_range_and_offset() {
        let query = r#"sum(rate(a{b="c",d=~"5.."}[5m] offset 1h)) / sum(rate(a{b="c",d=~"5.."}[5m])) + {__name__="z"}"#;
        let found = selectors(&crate::promql::parse(query).expect("valid"));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].text, r#"a{b="c",d=~"5.."}"#);
        assert_eq!(found[0].metric.as_deref(), Some("a"));
        assert!(found[0].matching[1].holds("503") && !found[0].matching[1].holds("5030"));
        assert_eq!(found[1].metric.as_deref(), Some("z"));
    }
}
