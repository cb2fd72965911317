//! Numbers and times written as Go writes them: labels, warnings and errors of Prometheus carry them.

/// Writes a number as `%g` does: the fewest digits, an exponent when that is below -4 or above 5.
pub(super) fn go_g(v: f64) -> String {
    if let Some(word) = not_finite(v) {
        return word.into();
    }
    let exponent = exponent_of(&format!("{v:e}"));
    if (-4..6).contains(&exponent) { format!("{v}") } else { with_exponent(&format!("{v:e}")) }
}

/// Writes a number as `%.2g` does: at most two digits.
pub(super) fn go_g2(v: f64) -> String {
    if let Some(word) = not_finite(v) {
        return word.into();
    }
    let text = format!("{v:.1e}");
    let exponent = exponent_of(&text);
    if !(-4..2).contains(&exponent) {
        return with_exponent(&text.replace(".0e", "e"));
    }
    let text = format!("{v:.*}", usize::try_from(1 - exponent).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Writes a number without exponent, as the values that `count_values` puts into labels.
pub(super) fn go_f(v: f64) -> String {
    not_finite(v).map_or_else(|| format!("{v}"), str::to_owned)
}

/// Writes a number as OpenMetrics does in labels: always told apart from an integer.
pub(super) fn open_metrics(v: f64) -> String {
    if let Some(word) = not_finite(v) {
        return word.into();
    }
    let text = go_g(v);
    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
}

fn not_finite(v: f64) -> Option<&'static str> {
    match v {
        v if v.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

fn exponent_of(text: &str) -> i32 {
    text.rsplit_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0)
}

/// Writes `1e7` as `1e+07`.
fn with_exponent(text: &str) -> String {
    let (digits, _) = text.rsplit_once('e').unwrap_or((text, ""));
    let exponent = exponent_of(text);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Writes a time as `2006-01-02T15:04:05Z`.
pub(super) fn utc(ms: i64) -> String {
    let date = super::dates::Date::of(ms.div_euclid(1000));
    let (year, month, day) = (date.year, date.month, date.day);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", date.hour, date.minute, date.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_go() {
        for (v, text) in [
            (1.5, "1.5"),
            (-1.0, "-1"),
            (0.00001, "1e-05"),
            (1_234_567.0, "1.234567e+06"),
            (123_456.0, "123456"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(go_g(v), text);
        }
        for (v, text) in [(10.25, "10"), (0.05, "0.05"), (0.123, "0.12"), (1234.0, "1.2e+03"), (2.0, "2"), (0.0, "0")] {
            assert_eq!(go_g2(v), text);
        }
        assert_eq!(go_f(1e22), "10000000000000000000000");
        assert_eq!((open_metrics(1.0), open_metrics(0.5)), ("1.0".into(), "0.5".into()));
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(utc(1_703_462_400_000), "2023-12-25T00:00:00Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59Z");
    }
}
