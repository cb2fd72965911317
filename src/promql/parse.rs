//! Checks a query. The grammar is that of the `promql-parser` crate; what it does not survive is kept away from it.

use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, Expr, Function, register_extra_functions};

use super::mistake;
use super::tokens::{Token, TokenKind, tokens};

/// The longest query, in bytes.
pub const MAX_BYTES: usize = 64 << 10;
/// The most operators and brackets: the parser's tree is walked by recursion, so it must not grow without bound.
pub const MAX_NODES: usize = 400;

/// A query that is valid.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    /// The tree; patterns on labels may stand in it as plain values, see [`Query::exact`].
    pub(super) expr: Expr,
    exact: OnceLock<Expr>,
    pub(super) tokens: Vec<Token>,
}

/// What a query gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One number.
    Scalar,
    /// One number a series.
    Vector,
    /// Several numbers a series: not what can be compared.
    Matrix,
    /// A text.
    Text,
}

/// Why a query is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where in the query, in bytes.
    pub range: Range<usize>,
}

impl SyntaxError {
    pub(super) fn new(message: impl Into<String>, range: Range<usize>) -> Self {
        Self { message: message.into(), range }
    }
}

impl Query {
    /// Returns the query as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Tells what the query gives.
    pub fn answer(&self) -> Answer {
        match self.expr.value_type() {
            ValueType::Scalar => Answer::Scalar,
            ValueType::Vector => Answer::Vector,
            ValueType::Matrix => Answer::Matrix,
            ValueType::String => Answer::Text,
        }
    }

    /// Tells whether the query is nothing but a selector, so that its samples have times of their own.
    pub fn is_selector(&self) -> bool {
        matches!(without_parens(&self.expr), Expr::VectorSelector(_))
    }

    /// Returns the tree with its patterns on labels, which are compiled only now.
    pub(super) fn exact(&self) -> &Expr {
        // What was valid with plain values is valid with patterns: these were checked by themselves.
        self.exact.get_or_init(|| parser::parse(&self.text).unwrap_or_else(|_| self.expr.clone()))
    }

    /// Returns both sides of a query whose top level is a division.
    pub fn division(&self) -> Option<(String, String)> {
        match without_parens(self.exact()) {
            Expr::Binary(binary) if binary.op.to_string() == "/" => {
                Some((binary.lhs.to_string(), binary.rhs.to_string()))
            }
            _ => None,
        }
    }
}

/// Looks through the parentheses around an expression.
pub(super) fn without_parens(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

/// Makes functions known that Prometheus 2 has and Prometheus 3 has not.
static OLD_FUNCTIONS: LazyLock<()> = LazyLock::new(|| {
    let arguments = vec![ValueType::Matrix, ValueType::Scalar, ValueType::Scalar];
    // Refused only when the library knows the name by itself.
    let _ = register_extra_functions(vec![Function::new("holt_winters", arguments, 0, ValueType::Vector, false)]);
});

/// Checks a query.
///
/// # Errors
/// Says what is wrong and where.
pub fn parse(query: &str) -> Result<Query, SyntaxError> {
    if query.len() > MAX_BYTES {
        return Err(SyntaxError::new(
            format!("a query may have {MAX_BYTES} bytes, this one has {}", query.len()),
            0..0,
        ));
    }
    let tokens = tokens(query)?;
    if tokens.is_empty() {
        return Err(SyntaxError::new("the query is empty", 0..query.len()));
    }
    brackets(query, &tokens)?;
    let nodes = tokens.iter().filter(|t| matches!(t.kind, TokenKind::Open | TokenKind::Sign)).count();
    if nodes > MAX_NODES {
        return Err(SyntaxError::new(
            format!("a query may have {MAX_NODES} operators and brackets, this one has {nodes}"),
            0..query.len(),
        ));
    }
    durations(query, &tokens)?;
    LazyLock::force(&OLD_FUNCTIONS);
    let quick = with_plain_values(query, &tokens).and_then(|plain| parser::parse(&plain).ok());
    match quick.map_or_else(|| parser::parse(query), Ok) {
        Ok(expr) => Ok(Query { text: query.to_owned(), expr, exact: OnceLock::new(), tokens }),
        Err(message) => Err(mistake::explain(query, &tokens, &message)),
    }
}

/// Writes `a=~"x"` as `a= "x"`, places unchanged: the parser compiles every pattern, which takes ten times as long as all
/// the rest. Nothing when the patterns cannot be checked apart from it, or when they decide whether the query is valid.
fn with_plain_values(query: &str, tokens: &[Token]) -> Option<String> {
    let mut plain = query.to_owned();
    for (i, token) in tokens.iter().enumerate() {
        let sign = match &query[token.range.clone()] {
            // A selector without a metric is valid only when a matcher of it excludes the empty value.
            "{" if i == 0 || tokens[i - 1].kind != TokenKind::Word => return None,
            "=~" => "= ",
            "!~" => "!=",
            _ => continue,
        };
        let pattern = tokens.get(i + 1).filter(|t| t.kind == TokenKind::Text)?;
        let quoted = &query[pattern.range.clone()];
        let text = quoted.get(1..quoted.len().checked_sub(1)?)?;
        if text.contains('\\') || regex_syntax::Parser::new().parse(text).is_err() {
            return None;
        }
        plain.replace_range(token.range.clone(), sign);
    }
    Some(plain)
}

/// Finds brackets that do not belong together.
fn brackets(query: &str, tokens: &[Token]) -> Result<(), SyntaxError> {
    let mut open: Vec<&Token> = Vec::new();
    for token in tokens {
        let text = &query[token.range.clone()];
        match token.kind {
            TokenKind::Open => open.push(token),
            TokenKind::Close => match open.pop() {
                Some(last) if closing(&query[last.range.clone()]) == text => {}
                Some(last) => {
                    let opened = &query[last.range.clone()];
                    let wanted = closing(opened);
                    let message = format!("{text} closes a {opened}; {wanted} must come first");
                    return Err(SyntaxError::new(message, token.range.clone()));
                }
                None => return Err(SyntaxError::new(format!("{text} closes nothing"), token.range.clone())),
            },
            TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::Sign => {}
        }
    }
    match open.pop() {
        None => Ok(()),
        Some(token) => {
            let text = &query[token.range.clone()];
            Err(SyntaxError::new(format!("{text} is never closed; {} is missing", closing(text)), token.range.clone()))
        }
    }
}

/// Finds bare numbers that stand for a duration and are none: the parser does not survive them.
fn durations(query: &str, tokens: &[Token]) -> Result<(), SyntaxError> {
    let text = |t: &Token| &query[t.range.clone()];
    for (i, token) in tokens.iter().enumerate() {
        let mut before = tokens[..i].iter().rev().map(text).skip_while(|t| matches!(*t, "+" | "-"));
        let wanted = before.next().is_some_and(|t| matches!(t, "[" | ":") || t.eq_ignore_ascii_case("offset"));
        if !wanted || !matches!(token.kind, TokenKind::Number | TokenKind::Word) {
            continue;
        }
        let word = text(token).replace('_', "");
        let hexadecimal = word.to_ascii_lowercase().strip_prefix("0x").map(str::len);
        // Ten digits of seconds are 300 years.
        let too_long =
            word.parse::<f64>().is_ok_and(|n| !(0.0..1e10).contains(&n)) || hexadecimal.is_some_and(|n| n > 8);
        if too_long {
            let message = format!("`{}` is not a duration; write one such as `5m`", text(token));
            return Err(SyntaxError::new(message, token.range.clone()));
        }
    }
    Ok(())
}

pub(super) fn closing(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_queries_say_what_they_give() {
        for (query, answer) in [
            ("1 + 1", Answer::Scalar),
            ("time() - x", Answer::Vector),
            ("sum by (le) (rate(x_bucket{a=~\"b.*\"}[5m] offset 1h))", Answer::Vector),
            ("x[5m]", Answer::Matrix),
            ("max_over_time(rate(x[1m])[1h:5m])", Answer::Vector),
            ("\"text\"", Answer::Text),
            ("holt_winters(x[1h], 0.5, 0.5)", Answer::Vector),
            ("{\"http.requests\", a=\"b\"}", Answer::Vector),
        ] {
            assert_eq!(parse(query).map(|q| q.answer()), Ok(answer), "{query}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]
        #[test]
        fn no_text_does_harm(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..14)) {
            let query = words.concat();
            match parse(&query) {
                Err(error) => {
                    assert!(query.get(error.range.clone()).is_some(), "{query}: {error:?}");
                    assert!(!error.message.is_empty());
                }
                Ok(parsed) => {
                    let places = super::super::split_comparison(&parsed).map(|s| [s.measured, s.limit]);
                    let odd = super::super::oddities(&parsed).into_iter().map(|o| o.range);
                    for range in places.into_iter().flatten().chain(odd) {
                        assert!(query.get(range.clone()).is_some_and(|part| !part.is_empty()), "{query}: {range:?}");
                    }
                    assert!(super::super::selectors(&parsed).iter().all(|s| !s.text.is_empty()));
                    parsed.division();
                }
            }
        }
    }

    const WORDS: &[&str] = &[
        "x",
        " ",
        "rate",
        "sum",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "5m",
        "1",
        "1e",
        "0x",
        ".",
        ",",
        "\"a\"",
        "'",
        "`",
        "\\",
        "=~",
        "=",
        "!",
        "!=",
        "<",
        ">",
        " by ",
        " on ",
        " offset ",
        "-",
        "+",
        "@",
        ":",
        "ü",
        "\n",
        "#",
        "99999999999999999y",
        " bool ",
        "inf",
        " and ",
        "^",
        "%",
        "start()",
        "\"[\"",
        "topk",
        "histogram_quantile",
        "{{",
        "}}",
        "_",
        "\u{0}",
    ];

    #[test]
    fn deep_and_long_queries_are_refused_or_read_without_harm() {
        for query in ["(".repeat(100_000), "-".repeat(60_000), format!("{}x", "x+".repeat(30_000))] {
            assert!(parse(&query).is_err());
        }
        assert!(parse(&format!("{}x{}", "(".repeat(MAX_NODES), ")".repeat(MAX_NODES))).is_ok());
        assert!(parse(&format!("{}x", "x+".repeat(MAX_NODES))).is_ok());
    }
}
