//! Durations that are written as expressions, such as `[5m * 2]` or `offset -(step() / 2)`. They are computed before
//! the parser sees them, because its grammar has only plain durations.

use super::super::SyntaxError;
use super::super::tokens::{Token, TokenKind};

/// How deep a duration's brackets may nest.
const MAX_DEPTH: usize = 50;

/// What a duration's expression may refer to, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// What `step()` gives.
    pub(super) step: f64,
    /// What `range()` gives.
    pub(super) range: f64,
}

/// Computes a duration in seconds.
///
/// # Errors
/// Says what is wrong and where.
pub(super) fn seconds(query: &str, tokens: &[Token], times: Times) -> Result<f64, SyntaxError> {
    let mut reader = Reader { query, tokens, next: 0, times, depth: 0 };
    let value = reader.sum(0)?;
    match reader.tokens.get(reader.next) {
        None => in_range(value).ok_or_else(|| reader.wrong("a duration that is out of range")),
        Some(_) => Err(reader.unexpected()),
    }
}

/// Returns how many tokens at the beginning are the duration after `offset`: one operand, with a sign perhaps.
pub(super) fn operand_length(query: &str, tokens: &[Token]) -> Option<usize> {
    let text = |i: usize| tokens.get(i).map(|t: &Token| &query[t.range.clone()]);
    let signed = usize::from(matches!(text(0), Some("+" | "-")));
    let first = tokens.get(signed)?;
    let open = match (first.kind, text(signed)) {
        (TokenKind::Number, _) => return Some(signed + 1),
        (TokenKind::Word, Some(name)) if is_function(name) && text(signed + 1) == Some("(") => signed + 1,
        (TokenKind::Open, Some("(")) => signed,
        _ => return None,
    };
    let mut depth = 0_usize;
    for i in open..tokens.len() {
        match text(i) {
            Some("(") => depth += 1,
            Some(")") => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(i + 1);
        }
    }
    None
}

/// Reads a plain number of seconds or a duration such as `1h30m`.
pub(super) fn plain_seconds(text: &str) -> Option<f64> {
    let text = text.replace('_', "").to_ascii_lowercase();
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(|n| n as f64);
    }
    if let Ok(number) = text.parse::<f64>() {
        return Some(number);
    }
    const UNITS: [(&str, f64); 7] =
        [("ms", 0.001), ("y", 31_536_000.0), ("w", 604_800.0), ("d", 86_400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
    let mut rest = text.as_str();
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let (unit, factor) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        sum += number.parse::<f64>().ok()? * factor;
        rest = &after[unit.len()..];
    }
    Some(sum)
}

fn is_function(name: &str) -> bool {
    matches!(name, "step" | "range" | "min" | "max" | "min_of" | "max_of")
}

/// Ten digits of seconds are 300 years.
fn in_range(value: f64) -> Option<f64> {
    (value.abs() < 1e10).then_some(value)
}

struct Reader<'a> {
    query: &'a str,
    tokens: &'a [Token],
    next: usize,
    times: Times,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.next).map(|t| &self.query[t.range.clone()])
    }

    fn eat(&mut self, text: &str) -> bool {
        let fits = self.peek() == Some(text);
        self.next += usize::from(fits);
        fits
    }

    fn wrong(&self, what: &str) -> SyntaxError {
        let place = self.tokens.get(self.next).or(self.tokens.last()).map_or(0..0, |t| t.range.clone());
        SyntaxError { message: what.to_owned(), range: place }
    }

    fn unexpected(&self) -> SyntaxError {
        self.wrong("a duration such as `5m` or `step() * 2` is expected here")
    }

    /// Reads operators that bind at least as strongly as `floor`: 0 for `+ -`, 1 for `* / %`, 2 for `^`.
    fn sum(&mut self, floor: u8) -> Result<f64, SyntaxError> {
        let mut left = self.signed()?;
        while let Some((strength, sign)) = self.peek().and_then(operator).filter(|(strength, _)| *strength >= floor) {
            self.next += 1;
            // Only `^` binds to the right.
            let right = self.sum(if sign == '^' { strength } else { strength + 1 })?;
            left = match sign {
                '+' => left + right,
                '-' => left - right,
                '*' => left * right,
                '/' if right == 0.0 => return Err(self.wrong("division by zero")),
                '/' => left / right,
                '%' if right == 0.0 => return Err(self.wrong("modulo by zero")),
                '%' => left % right,
                _ => left.powf(right),
            };
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<f64, SyntaxError> {
        let mut negative = false;
        while let Some(sign @ ("+" | "-")) = self.peek() {
            negative ^= sign == "-";
            self.next += 1;
        }
        if !negative {
            return self.operand();
        }
        // A sign binds less than `^` and more than `*`.
        let value = self.operand()?;
        if self.eat("^") {
            return Ok(-value.powf(self.sum(2)?));
        }
        Ok(-value)
    }

    fn operand(&mut self) -> Result<f64, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong("the duration has too many brackets"));
        }
        let value = match self.peek().map(str::to_owned).as_deref() {
            Some("(") => {
                self.next += 1;
                let value = self.sum(0)?;
                self.close()?;
                value
            }
            Some(name) if is_function(name) => {
                self.next += 1;
                self.call(name)?
            }
            Some(text) => {
                let value = plain_seconds(text).ok_or_else(|| self.unexpected())?;
                self.next += 1;
                value
            }
            None => return Err(self.unexpected()),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn call(&mut self, name: &str) -> Result<f64, SyntaxError> {
        if !self.eat("(") {
            return Err(self.unexpected());
        }
        let value = match name {
            "step" => self.times.step,
            "range" => self.times.range,
            _ => {
                let first = self.sum(0)?;
                if !self.eat(",") {
                    return Err(self.unexpected());
                }
                let second = self.sum(0)?;
                if name.starts_with("min") { first.min(second) } else { first.max(second) }
            }
        };
        self.close()?;
        Ok(value)
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        if self.eat(")") { Ok(()) } else { Err(self.unexpected()) }
    }
}

fn operator(text: &str) -> Option<(u8, char)> {
    let sign = text.chars().next().filter(|_| text.len() == 1)?;
    match sign {
        '+' | '-' => Some((0, sign)),
        '*' | '/' | '%' => Some((1, sign)),
        '^' => Some((2, sign)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tokens::tokens;
    use super::*;

    fn computed(text: &str) -> Result<f64, String> {
        let times = Times { step: 15.0, range: 600.0 };
        seconds(text, &tokens(text).expect("tokens"), times).map_err(|e| e.message)
    }

    #[test]
    fn expressions_are_computed_in_seconds() {
        for (text, value) in [
            ("5m", 300.0),
            ("1h30m", 5400.0),
            ("100ms", 0.1),
            ("2 * 5m + 1", 601.0),
            ("-2 ^ 2", -4.0),
            ("2 ^ 3 ^ 2", 512.0),
            ("10 - 3 - 2", 5.0),
            ("-(5m)", -300.0),
            ("step() * 2", 30.0),
            ("max(range() / 2, 1m)", 300.0),
            ("min_of(5, 7 % 4)", 3.0),
        ] {
            assert_eq!(computed(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5m 3", "foo", "5 /", "(5", "5 / 0", "5 % 0", "step(", "min(1)", "1e300", "step() step()"] {
            assert!(computed(text).is_err(), "{text}");
        }
        assert!(computed(&"(".repeat(5000)).is_err());
    }
}
