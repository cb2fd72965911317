//! Whether two queries say the same, however they are written.

use super::SyntaxError;
use super::parse::{parse, without_parens};

/// Tells whether two queries are the same once parsed: blanks, line breaks, comments, parentheses around the whole, quotes
/// and the forms of numbers and durations do not count. The second is that of a server: what it knows and the parser here
/// does not is compared word for word.
///
/// # Errors
/// Says what is wrong with the first when it is not valid.
pub fn same(one: &str, other: &str) -> Result<bool, SyntaxError> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words(one) == words(other) {
        return Ok(true);
    }
    let one = parse(one)?;
    let Ok(other) = parse(other) else { return Ok(false) };
    Ok(without_parens(one.exact()) == without_parens(other.exact()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_counts() {
        for (one, other, wanted) in [
            ("sum(x) by (a, b)", "sum by(a,b)(x)", true),
            ("rate(x[300s])", "rate(x[5m])", true),
            ("(up == 0)", "up==0", true),
            ("x{a='b'} > 1e3 # much", "x{a=\"b\"} > 1000", true),
            ("x{a=~\"b|c\"}", "x{a=~'b|c'}", true),
            ("x{a=~\"b|c\"}", "x{a=~\"b|d\"}", false),
            ("x{a=~\"b\"}", "x{a=\"b\"}", false),
            ("x > 1", "x >= 1", false),
            ("a + b * c", "(a + b) * c", false),
            ("x offset 5m", "x", false),
            ("new_function(x)", "new_function( x )", false),
        ] {
            match one.starts_with("new") {
                true => assert!(same(one, other).is_err()),
                false => assert_eq!(same(one, other), Ok(wanted), "{one} and {other}"),
            }
        }
        assert_eq!(same("new_function(x)", "new_function(x)"), Ok(true));
    }
}
