//! Says what is wrong with a query, and where. The parser gives no places and often no reason; both are found here, by
//! looking for the first word after which nothing can be valid, and for the smallest call with the same fault.

use std::ops::Range;

use promql_parser::parser;
use strsim::damerau_levenshtein;

use super::SyntaxError;
use super::parse::closing;
use super::tokens::{Token, TokenKind};

/// The longest query in which the place of a mistake is looked for: that parses many pieces of it.
const MAX_SEARCHED: usize = 8 << 10;

/// What the parser says when it knows no reason.
const NO_REASON: &str = "invalid promql query";

/// Says what is wrong with a query that the parser refused with `message`.
pub(super) fn explain(query: &str, tokens: &[Token], message: &str) -> SyntaxError {
    if query.len() > MAX_SEARCHED {
        return SyntaxError::new(reword(message), 0..query.len());
    }
    if let Some(name) = message.strip_prefix("unknown function with name '").and_then(|rest| rest.strip_suffix('\'')) {
        return unknown_function(query, tokens, name);
    }
    if message == NO_REASON {
        return unexpected(query, tokens);
    }
    let range = match message.starts_with("unexpected") {
        true => unexpected(query, tokens).range,
        false => narrow(query, tokens, message),
    };
    SyntaxError::new(reword(message), range)
}

/// Says the parser's own reason in the words of this program.
fn reword(message: &str) -> String {
    let message = message.trim_end_matches('.').replace('\'', "`");
    if message.starts_with("comparisons between scalars must use BOOL") {
        return "a comparison between two numbers needs `bool`: `1 < bool 2`".into();
    }
    let needs_range = message.contains("expected type matrix") || message.contains("expected type range vector");
    if needs_range && (message.contains("got vector") || message.contains("got instant vector")) {
        return format!("{message}; a range is missing, such as `x[5m]`");
    }
    message
}

fn unknown_function(query: &str, tokens: &[Token], name: &str) -> SyntaxError {
    let word = |t: &Token| t.kind == TokenKind::Word && &query[t.range.clone()] == name;
    let called = tokens.windows(2).find(|pair| word(&pair[0]) && &query[pair[1].range.clone()] == "(");
    let range = called.map_or(0..query.len(), |pair| pair[0].range.clone());
    let nearest = FUNCTIONS.iter().chain(AGGREGATIONS).map(|f| (damerau_levenshtein(name, f), f)).min();
    let message = match nearest {
        Some((distance, near)) if distance <= 1 + name.len() / 4 => {
            format!("PromQL has no function `{name}`; did you mean `{near}`?")
        }
        _ => format!("PromQL has no function `{name}`"),
    };
    SyntaxError::new(message, range)
}

/// Finds the smallest call that has the same fault on its own.
fn narrow(query: &str, tokens: &[Token], message: &str) -> Range<usize> {
    let mut best = 0..query.len();
    for (i, token) in tokens.iter().enumerate().filter(|(_, t)| t.kind == TokenKind::Open) {
        let Some(end) = matching(tokens, i) else { continue };
        let called = i > 0 && tokens[i - 1].kind == TokenKind::Word;
        let start = if called { tokens[i - 1].range.start } else { token.range.start };
        let range = start..tokens[end].range.end;
        if range.len() < best.len() && parser::parse(&query[range.clone()]).is_err_and(|e| e == message) {
            best = range;
        }
    }
    best
}

fn matching(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => {
                depth -= 1;
                if depth == 0 {
                    return Some(i);
                }
            }
            TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::Sign => {}
        }
    }
    None
}

/// Finds the first word after which nothing can be valid.
fn unexpected(query: &str, tokens: &[Token]) -> SyntaxError {
    let bad = first_bad(query, tokens);
    let Some(token) = tokens.get(bad) else {
        let end = tokens.last().map_or(0, |t| t.range.end);
        let last = tokens.last().map_or("", |t| &query[t.range.clone()]);
        let range = tokens.last().map_or(0..end, |t| t.range.clone());
        return SyntaxError::new(format!("something is missing after `{last}`"), range);
    };
    let text = &query[token.range.clone()];
    let before = bad.checked_sub(1).map_or("", |i| &query[tokens[i].range.clone()]);
    let message = match (text, before) {
        (text, "") => format!("a query cannot begin with `{text}`"),
        ("=", _) => "`=` stands only between braces; a comparison is `==`".into(),
        _ if token.kind == TokenKind::Number && before == "[" => {
            format!("`{text}` is not a duration; write one such as `5m`")
        }
        _ => format!("`{text}` cannot stand after `{before}`"),
    };
    SyntaxError::new(message, token.range.clone())
}

/// Finds by halving: what follows a prefix that cannot be completed cannot be completed either.
fn first_bad(query: &str, tokens: &[Token]) -> usize {
    let (mut good, mut bad) = (0, tokens.len() + 1);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if can_be_completed(query, &tokens[..middle.min(tokens.len())]) && middle <= tokens.len() {
            good = middle;
        } else {
            bad = middle;
        }
    }
    bad - 1
}

/// What may follow a prefix so that the innermost bracket can be closed.
const IN_PARENS: &[&str] = &["", " x", " 1", " x[5m]", "(x)", "(x[5m])", " (x)", " 5m", "\"a\"", " by (a)"];
const IN_BRACES: &[&str] = &["", "a=\"b\"", "=\"b\"", "\"b\""];
const IN_BRACKETS: &[&str] = &["5m", "", "m", "5m:", ":", ":5m"];
const AT_THE_END: &[&str] = &["", " x", "(x)", " (x) (x)", " (a) x", " (a) (x)", " 5m", " 1", "(1, x)", "()"];

fn can_be_completed(query: &str, tokens: &[Token]) -> bool {
    let Some(last) = tokens.last() else { return true };
    let mut open = Vec::new();
    for token in tokens {
        match token.kind {
            TokenKind::Open => open.push(closing(&query[token.range.clone()])),
            TokenKind::Close => {
                open.pop();
            }
            TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::Sign => {}
        }
    }
    let tails = match open.last() {
        None => AT_THE_END,
        Some(&")") => IN_PARENS,
        Some(&"]") => IN_BRACKETS,
        Some(_) => IN_BRACES,
    };
    let closed: String = open.iter().rev().copied().collect();
    let prefix = &query[..last.range.end];
    // `sum by (a` is completed by what `sum by (a)` still wants.
    tails.iter().any(|tail| ["", " x", "(x)", " (x)"].iter().any(|end| fits(&format!("{prefix}{tail}{closed}{end}"))))
}

/// A mistake that the parser can name comes after the grammar: as far as that is concerned, the query fits.
fn fits(query: &str) -> bool {
    match parser::parse(query) {
        Ok(_) => true,
        Err(message) => {
            let lexical = ["unexpected", "bad number", "unknown escape", "missing unit", "not a valid", "expect "];
            message != NO_REASON && !lexical.iter().any(|word| message.starts_with(word))
        }
    }
}

/// Functions of Prometheus 3, for near names.
const FUNCTIONS: &[&str] = &[
    "abs",
    "absent",
    "absent_over_time",
    "avg_over_time",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "count_over_time",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "delta",
    "deriv",
    "double_exponential_smoothing",
    "exp",
    "first_over_time",
    "floor",
    "histogram_avg",
    "histogram_count",
    "histogram_fraction",
    "histogram_quantile",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "hour",
    "idelta",
    "increase",
    "info",
    "irate",
    "label_join",
    "label_replace",
    "last_over_time",
    "ln",
    "log10",
    "log2",
    "mad_over_time",
    "max_over_time",
    "min_over_time",
    "minute",
    "month",
    "pi",
    "predict_linear",
    "present_over_time",
    "quantile_over_time",
    "rate",
    "resets",
    "round",
    "scalar",
    "sgn",
    "sort",
    "sort_by_label",
    "sort_by_label_desc",
    "sort_desc",
    "sqrt",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
    "time",
    "timestamp",
    "vector",
    "year",
];

const AGGREGATIONS: &[&str] = &[
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "limitk",
    "max",
    "min",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
];

#[cfg(test)]
mod tests {
    fn wrong(query: &str) -> (String, String) {
        let error = crate::promql::parse(query).expect_err(query);
        (query[error.range].to_owned(), error.message)
    }

    #[test]
    fn mistakes_have_a_place_and_a_reason() {
        for (query, place, part) in [
            ("hisogram_quantile(0.9, x)", "hisogram_quantile", "did you mean `histogram_quantile`?"),
            ("sum(rate(x[5m])", "(", "never closed"),
            ("sum(rate(x[5m))", ")", "] must come first"),
            ("up)", ")", "closes nothing"),
            ("up{a=\"b}", "\"b}", "no closing \""),
            ("up +", "+", "missing after `+`"),
            ("up = 1", "=", "`==`"),
            ("a b", "b", "cannot stand after `a`"),
            ("sum by (a) rate(x[5m])", "rate", "cannot stand after `)`"),
            ("sum by (a) (x) foo", "foo", "cannot stand after"),
            ("", "", "empty"),
            ("1 < 2", "1 < 2", "bool"),
            ("1 + rate(x)", "rate(x)", "a range is missing"),
            ("up{a=b}", "b", "expected string"),
            ("* up", "*", "cannot begin"),
            ("x offset inf", "inf", "not a duration"),
            ("x[1e300]", "1e300", "not a duration"),
            ("sum(a, ) + 1", "sum(a, )", "trailing commas"),
        ] {
            let (at, message) = wrong(query);
            assert!(message.contains(part), "{query}: {message}");
            assert_eq!(at, place, "{query}: {message}");
        }
    }
}
