//! Compares what a query gave with what a script expects.

use holdpoint::promql::engine::{Answer, Labels, QueryError, Sample, Value, is_stale};

use super::script::{At, Described, Eval, Notes};

/// How much two numbers may differ, relative to their sum.
const TOLERANCE: f64 = 1e-6;

/// Checks the result of an evaluation.
///
/// # Errors
/// Says what is not as expected.
pub(crate) fn check(eval: &Eval, result: &Result<Answer, QueryError>) -> Result<(), String> {
    let answer = match (result, &eval.fails) {
        (Err(error), Some(message)) => {
            let fits = message.fits(&error.to_string());
            return if fits { Ok(()) } else { Err(format!("failed with {error:?}, expected {message:?}")) };
        }
        (Err(error), None) => return Err(format!("failed: {error}")),
        (Ok(answer), Some(_)) => return Err(format!("did not fail: {answer:?}")),
        (Ok(answer), None) => answer,
    };
    check_notes("warning", &eval.warnings, &answer.warnings)?;
    check_notes("info", &eval.infos, &answer.infos)?;
    match &answer.value {
        Value::Text(text) if eval.text.as_ref() == Some(text) => Ok(()),
        Value::Text(text) => Err(format!("gave the text {text:?}")),
        Value::Scalar(v) => check_scalar(eval, *v),
        Value::Vector(points) => {
            let points: Vec<_> = points.iter().map(|p| (&p.labels, p.value)).collect();
            check_vector(eval, &points)
        }
        Value::Matrix(series) => {
            let times = match (eval.at, eval.samples) {
                (_, Some(times)) => times,
                (At::Range { from, to, step }, None) => (from, to, step),
                (At::Instant(_), None) => return Err("gave a range vector".into()),
            };
            if eval.number.is_some() {
                return Err("gave series where a number is expected".into());
            }
            let all = series.iter().map(|s| (&s.labels, s.samples.as_slice())).collect::<Vec<_>>();
            check_matrix(eval, &all, times)
        }
    }
}

/// Checks one step of a range query against an instant one's expectations.
///
/// # Errors
/// Says what is not as expected.
pub(crate) fn check_step(eval: &Eval, answer: &Answer, t: i64) -> Result<(), String> {
    let Value::Matrix(series) = &answer.value else { return Err("gave no series".into()) };
    let points = series.iter().filter_map(|s| Some((&s.labels, s.samples.iter().find(|s| s.t == t)?.v)));
    let points: Vec<_> = points.collect();
    match (eval.number, points.as_slice()) {
        (Some(_), [(_, v)]) => check_scalar(eval, *v),
        _ => check_vector(eval, &points),
    }
}

fn check_notes(kind: &str, expected: &Notes, found: &[String]) -> Result<(), String> {
    if expected.none && !found.is_empty() {
        return Err(format!("has a {kind}: {found:?}"));
    }
    if expected.wanted.is_empty() {
        return Ok(());
    }
    if let Some(missing) = expected.wanted.iter().find(|m| !found.iter().any(|f| m.fits(f))) {
        return Err(format!("lacks the {kind} {missing:?}, has {found:?}"));
    }
    match found.iter().find(|f| !expected.wanted.iter().any(|m| m.fits(f))) {
        Some(extra) => Err(format!("has the {kind} {extra:?}")),
        None => Ok(()),
    }
}

fn check_scalar(eval: &Eval, v: f64) -> Result<(), String> {
    match eval.number {
        Some(wanted) if nearly_equal(wanted, v, TOLERANCE) => Ok(()),
        wanted => Err(format!("gave {v}, expected {wanted:?}")),
    }
}

fn check_vector(eval: &Eval, points: &[(&Labels, f64)]) -> Result<(), String> {
    if eval.number.is_some() {
        return Err(format!("gave series where a number is expected: {points:?}"));
    }
    for (i, (labels, v)) in points.iter().enumerate() {
        let place = place(eval, labels)?;
        if eval.ordered && place != i {
            return Err(format!("{labels} is at place {i}, expected at {place}"));
        }
        let wanted = eval.expected[place].values.first().and_then(|v| v.number);
        if !wanted.is_some_and(|wanted| nearly_equal(wanted, *v, TOLERANCE)) {
            return Err(format!("{labels} is {v}, expected {wanted:?}"));
        }
    }
    all_found(eval, &points.iter().map(|(labels, _)| *labels).collect::<Vec<_>>())
}

fn check_matrix(eval: &Eval, series: &[(&Labels, &[Sample])], (from, to, step): (i64, i64, i64)) -> Result<(), String> {
    if !series.is_sorted_by(|a, b| a.0 <= b.0) {
        return Err("the series are not in the order of their labels".into());
    }
    for (labels, samples) in series {
        let place = place(eval, labels)?;
        let all = eval.expected[place].values.iter().enumerate();
        let wanted: Vec<_> = all.filter_map(|(i, v)| Some((from + step * i as i64, v.number?))).collect();
        if wanted.iter().any(|(t, _)| *t > to) {
            return Err(format!("more values are expected of {labels} than there are steps"));
        }
        let same = wanted.len() == samples.len()
            && wanted.iter().zip(*samples).all(|((t, v), s)| *t == s.t && nearly_equal(*v, s.v, TOLERANCE));
        if !same {
            return Err(format!("{labels} is {samples:?}, expected {wanted:?}"));
        }
    }
    all_found(eval, &series.iter().map(|(labels, _)| *labels).collect::<Vec<_>>())
}

fn place(eval: &Eval, labels: &Labels) -> Result<usize, String> {
    // Of two lines about the same series the last one counts.
    let found = eval.expected.iter().rposition(|e| e.labels == *labels);
    found.ok_or_else(|| format!("{labels} is not expected"))
}

fn all_found(eval: &Eval, found: &[&Labels]) -> Result<(), String> {
    let empty = |e: &Described| e.values.iter().all(|v| v.number.is_none());
    match eval.expected.iter().find(|e| !empty(e) && !found.contains(&&e.labels)) {
        Some(missing) => Err(format!("{} is missing", missing.labels)),
        None => Ok(()),
    }
}

/// Tells whether two numbers are the same but for rounding; NaN is the same as NaN.
pub(crate) fn nearly_equal(a: f64, b: f64, tolerance: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < tolerance * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < tolerance
}
