//! Values and timestamps of samples.

/// Reads a value: a decimal number, `NaN`, `+Inf`, `-Inf` in any spelling that Prometheus takes.
pub(super) fn value(text: &str) -> Option<f64> {
    if let Some(whole) = whole(text.as_bytes()) {
        return Some(whole);
    }
    let number: f64 = text.parse().ok()?;
    // What is too large for a number is not infinite.
    let said = number.is_finite() || number.is_nan() || text.contains(['i', 'I']);
    said.then_some(number)
}

/// Reads short whole numbers, which most values are.
fn whole(digits: &[u8]) -> Option<f64> {
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut number = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number as f64)
}

/// Reads a timestamp of the text format: whole milliseconds since 1970.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Reads a timestamp of OpenMetrics: seconds since 1970, with a fraction perhaps. Returns milliseconds.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let seconds = value(text)?;
    let millis = (seconds * 1000.0).round();
    (millis.abs() < 9.2e18).then_some(millis as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_prometheus_reads_them() {
        for (text, number) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("17", 17.0),
            ("123456789012345678", 123_456_789_012_345_678.0),
            ("1.5e-3", 0.0015),
            (".5", 0.5),
            ("1.", 1.0),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("Infinity", f64::INFINITY),
        ] {
            assert_eq!(value(text).map(f64::to_bits), Some(f64::to_bits(number)), "{text}");
        }
        assert!(value("NaN").is_some_and(f64::is_nan) && value("nan").is_some_and(f64::is_nan));
        for text in ["", "x", "1_000", "0x1p3", "1e999", "1,5", "--1"] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps_are_milliseconds_or_seconds() {
        assert_eq!(milliseconds("1395066363000"), Some(1_395_066_363_000));
        assert_eq!((milliseconds("-5"), milliseconds("1.5")), (Some(-5), None));
        assert_eq!(seconds("1395066363.123"), Some(1_395_066_363_123));
        assert_eq!((seconds("NaN"), seconds("1e300"), seconds("+Inf")), (None, None, None));
    }
}
