//! Queries that are valid and yet cannot mean what they say. Only what is certain from the query alone is said: how
//! often a target is scraped, for one, is not known here.

use std::convert::Infallible;
use std::ops::Range;

use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, LabelModifier};
use promql_parser::util::{ExprVisitor, walk_expr};

use super::parse::without_parens;
use super::{Query, selectors};

/// Something odd about a valid query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// What is odd and what to write instead.
    pub message: String,
    /// Where in the query, in bytes.
    pub range: Range<usize>,
}

/// Lists what is odd about a query.
pub fn oddities(query: &Query) -> Vec<Oddity> {
    let mut visitor = Find { query, found: Vec::new() };
    // The visitor cannot fail.
    let _ = walk_expr(&mut visitor, &query.expr);
    for matching in selectors(query).iter().flat_map(|s| &s.matching) {
        if matching.sign() == "=" && looks_like_a_pattern(matching.value()) {
            let (label, value) = (matching.label(), matching.value());
            visitor.say(
                value,
                format!("`{label}=\"{value}\"` compares letter by letter; a pattern is `{label}=~\"{value}\"`"),
            );
        }
    }
    visitor.found
}

/// `5..` and `a.*`, but not an address or a version.
fn looks_like_a_pattern(value: &str) -> bool {
    value.contains(".*") || value.contains(".+") || (value.ends_with("..") && value.len() > 2) || value.contains('|')
}

struct Find<'a> {
    query: &'a Query,
    found: Vec<Oddity>,
}

impl Find<'_> {
    fn say(&mut self, near: &str, message: String) {
        let text = self.query.text();
        let range = text.find(near).map_or(0..text.len(), |at| at..at + near.len());
        self.found.push(Oddity { message, range });
    }
}

impl ExprVisitor for Find<'_> {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        let Expr::Call(call) = expr else { return Ok(true) };
        if call.func.name != "histogram_quantile" {
            return Ok(true);
        }
        let [share, buckets] = call.args.args.as_slice() else { return Ok(true) };
        if let Expr::NumberLiteral(number) = without_parens(share)
            && !(0.0..=1.0).contains(&number.val)
        {
            let message =
                format!("histogram_quantile takes a share from 0 to 1; {} always gives an infinity", number.val);
            self.say("histogram_quantile", message);
        }
        if let Expr::Aggregate(aggregate) = without_parens(buckets)
            && drops_le(aggregate.modifier.as_ref())
            && classic_buckets(&aggregate.expr)
        {
            let message = "histogram_quantile needs the label `le`, and this aggregation drops it: add `by (le)`";
            self.say("histogram_quantile", message.to_owned());
        }
        Ok(true)
    }
}

fn drops_le(modifier: Option<&LabelModifier>) -> bool {
    match modifier {
        None => true,
        Some(LabelModifier::Include(labels)) => !labels.labels.iter().any(|l| l == "le"),
        Some(LabelModifier::Exclude(labels)) => labels.labels.iter().any(|l| l == "le"),
    }
}

/// Native histograms need no `le`; the name tells which kind it is.
fn classic_buckets(expr: &Expr) -> bool {
    struct Names(bool);
    impl ExprVisitor for Names {
        type Error = Infallible;
        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
            let selector = match expr {
                Expr::VectorSelector(selector) => selector,
                Expr::MatrixSelector(matrix) => &matrix.vs,
                _ => return Ok(true),
            };
            self.0 |= selector.name.as_deref().is_some_and(|n| n.ends_with("_bucket"))
                || selector
                    .matchers
                    .matchers
                    .iter()
                    .any(|m| m.name == "__name__" && m.op == MatchOp::Equal && m.value.ends_with("_bucket"));
            Ok(true)
        }
    }
    let mut names = Names(false);
    let _ = walk_expr(&mut names, expr);
    names.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(query: &str) -> Vec<String> {
        oddities(&crate::promql::parse(query).expect(query)).into_iter().map(|o| o.message).collect()
    }

    #[test]
    fn what_cannot_work_is_said() {
        assert!(odd("histogram_quantile(0.9, sum by (job) (rate(x_bucket[5m])))")[0].contains("by (le)"));
        assert!(odd("histogram_quantile(95, sum by (le) (rate(x_bucket[5m])))")[0].contains("share"));
        assert!(odd(r#"x{status="5.."}"#)[0].contains(r#"status=~"5..""#));
    }

    #[test]
    fn what_is_in_order_is_not() {
        for query in [
            "histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))",
            "histogram_quantile(0.9, sum without (pod) (rate(x_bucket[5m])))",
            "histogram_quantile(0.9, sum(rate(native[5m])))",
            r#"x{instance="10.0.0.1:9090",version="1.2.3"}"#,
        ] {
            assert_eq!(odd(query), Vec::<String>::new(), "{query}");
        }
    }
}
