//! One value against one matcher.

use semver::{Version, VersionReq};
use serde_json::Value as Json;

use super::{canary, compare, equal, pattern};
use crate::model::{Literal, Matcher, Tally, Unit, Value};

/// Why nothing holds of a tally of none.
pub(crate) const NOBODY: &str = "there is none of which it could hold";

/// Whether a matcher holds of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// It makes no sense of this value, and so fails whichever way it is asked: text where a number must be.
    Broken,
    /// There is not enough to say: NaN.
    Unknown,
}

/// A truth and what should be said with the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) truth: Truth,
    pub(crate) note: Option<String>,
}

impl Judged {
    fn of(holds: bool) -> Self {
        Self { truth: if holds { Truth::Holds } else { Truth::Fails }, note: None }
    }

    fn broken(note: impl Into<String>) -> Self {
        Self { truth: Truth::Broken, note: Some(note.into()) }
    }

    fn unknown(note: impl Into<String>) -> Self {
        Self { truth: Truth::Unknown, note: Some(note.into()) }
    }

    /// Turns *holds* and *fails* round; the other two stay.
    pub(crate) fn negated(self) -> Self {
        let truth = match self.truth {
            Truth::Holds => Truth::Fails,
            Truth::Fails => Truth::Holds,
            Truth::Broken => Truth::Broken,
            Truth::Unknown => Truth::Unknown,
        };
        Self { truth, ..self }
    }
}

/// A value as matchers see it: JSON text and bools are text and bools, but remember that they are JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen<'a> {
    Number(f64),
    Text { text: &'a str, json: bool },
    Bool(bool),
    Json(&'a Json),
    Set(&'a [String]),
    Tally(&'a Tally),
}

impl<'a> Seen<'a> {
    /// Sees a value that is there and is not a vector of series.
    pub(crate) fn new(value: &'a Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Seen::Number(*number)),
            Value::Text(text) => Some(Seen::Text { text, json: false }),
            Value::Bool(flag) => Some(Seen::Bool(*flag)),
            Value::Json(value) => Some(Seen::json(value)),
            Value::Set(members) => Some(Seen::Set(members)),
            Value::Tally(tally) => Some(Seen::Tally(tally)),
            Value::Series(_) | Value::Missing(_) | Value::NoData(_) => None,
        }
    }

    fn json(value: &'a Json) -> Self {
        match value {
            Json::String(text) => Seen::Text { text, json: true },
            Json::Bool(flag) => Seen::Bool(*flag),
            Json::Null | Json::Number(_) | Json::Array(_) | Json::Object(_) => Seen::Json(value),
        }
    }

    fn form(self) -> &'static str {
        match self {
            Seen::Number(_) | Seen::Json(Json::Number(_)) => "a number",
            Seen::Text { .. } | Seen::Json(Json::String(_)) => "text",
            Seen::Bool(_) | Seen::Json(Json::Bool(_)) => "true or false",
            Seen::Json(Json::Null) => "null",
            Seen::Json(Json::Array(_)) => "a list",
            Seen::Json(Json::Object(_)) => "an object",
            Seen::Set(_) => "a set",
            Seen::Tally(_) => "a tally",
        }
    }

    /// Returns the number that this is: of a tally, its count. Text is never taken for one.
    pub(crate) fn number(self) -> Option<f64> {
        match self {
            Seen::Number(number) => Some(number),
            Seen::Json(value) => value.as_f64(),
            Seen::Tally(tally) => Some(tally.count as f64),
            Seen::Text { .. } | Seen::Bool(_) | Seen::Set(_) => None,
        }
    }

    /// Returns how long this is: characters of a text, members of everything else.
    pub(crate) fn length(self) -> Option<usize> {
        match self {
            Seen::Text { text, .. } => Some(text.chars().count()),
            Seen::Json(Json::Array(items)) => Some(items.len()),
            Seen::Json(Json::Object(fields)) => Some(fields.len()),
            Seen::Set(members) => Some(members.len()),
            Seen::Number(_) | Seen::Bool(_) | Seen::Json(_) | Seen::Tally(_) => None,
        }
    }
}

/// Tells whether a matcher holds of a value that is there.
pub(crate) fn judge(seen: Seen<'_>, matcher: &Matcher) -> Judged {
    if seen.number().is_some_and(f64::is_nan) {
        return Judged::unknown("NaN compares as nothing");
    }
    if let Seen::Tally(tally) = seen {
        return of_tally(tally, matcher);
    }
    match matcher {
        Matcher::Compare(op, limit) => number(seen, |v| op.holds(v, limit.value)),
        Matcher::Between(low, high) => number(seen, |v| compare::between(v, *low, *high)),
        Matcher::Within(share, centre) => number(seen, |v| compare::within(v, *share, *centre)),
        Matcher::Around(centre, distance) => number(seen, |v| compare::around(v, *centre, *distance)),
        Matcher::Relative(_, against) => Judged::unknown(format!("there is no {against} to hold it against")),
        Matcher::NotWorse(worse, effect) => match seen {
            Seen::Json(vectors) => canary::judge(vectors, *worse, *effect).0,
            _ => Judged::broken(format!("{}, not two vectors", seen.form())),
        },
        Matcher::StatusClass(class) => number(seen, |v| compare::in_class(v, *class)),
        Matcher::Equals(literal) => equals(seen, literal),
        Matcher::OneOf(of) => one_of(seen, of),
        Matcher::Contains(literal) => contains(seen, literal),
        Matcher::StartsWith(start) => text(seen, |t| Judged::of(t.starts_with(start.as_str()))),
        Matcher::EndsWith(end) => text(seen, |t| Judged::of(t.ends_with(end.as_str()))),
        Matcher::Matches(pattern) => text(seen, |t| match pattern::is_match(pattern, t) {
            Some(found) => Judged::of(found),
            None => Judged::unknown("the pattern is not valid"),
        }),
        Matcher::Semver(requirement) => text(seen, |t| semver(t, requirement)),
        Matcher::Length(inner) => match seen.length() {
            Some(length) => judge(Seen::Number(length as f64), inner),
            None => Judged::broken(format!("{} has no length", seen.form())),
        },
        Matcher::Exists => Judged::of(true),
        Matcher::Absent => Judged::of(false),
        Matcher::Empty => match seen.length() {
            Some(length) => Judged::of(length == 0),
            None => Judged::broken(format!("{} is never empty", seen.form())),
        },
        Matcher::Every => members(seen, every),
        Matcher::NoneOf => members(seen, |m| Judged::of(m.iter().all(|member| *member == Some(false)))),
        Matcher::Some => members(seen, |m| Judged::of(m.iter().any(|member| *member != Some(false)))),
        Matcher::All(of) => all(seen, of),
        Matcher::Not(inner) => judge(seen, inner).negated(),
    }
}

/// Counts are held against counts, shares against shares. Of none, nothing holds, whichever way it is asked.
fn of_tally(tally: &Tally, matcher: &Matcher) -> Judged {
    match matcher {
        Matcher::All(of) => return all(Seen::Tally(tally), of),
        Matcher::OneOf(of) => return one_of(Seen::Tally(tally), of),
        Matcher::Not(inner) => return of_tally(tally, inner).negated(),
        _ => {}
    }
    let Some(share) = tally.share() else {
        return match matcher {
            Matcher::Exists | Matcher::Absent | Matcher::Every | Matcher::NoneOf | Matcher::Some => {
                Judged::unknown(NOBODY)
            }
            // A count that 0 does not reach is missed for certain; one that it does reach says nothing.
            other => match judge(Seen::Number(0.0), other).truth {
                Truth::Holds | Truth::Unknown => Judged::unknown(NOBODY),
                Truth::Fails | Truth::Broken => Judged::broken(NOBODY),
            },
        };
    };
    match matcher {
        Matcher::Every => Judged::of(tally.count == tally.of),
        Matcher::NoneOf => Judged::of(tally.count == 0),
        Matcher::Some => Judged::of(tally.count > 0),
        Matcher::Contains(literal) => match part(literal).map(|name| tally.holds_of(&name)) {
            Some(Some(holds)) => Judged::of(holds),
            Some(None) => Judged::unknown("not all names are known"),
            None => Judged::broken("the members of a tally are text"),
        },
        other if is_share(other) => judge(Seen::Number(share), other),
        other => judge(Seen::Number(tally.count as f64), other),
    }
}

/// Returns the number that a limit is held against: of a tally its count, or its share when the limit is one.
pub(crate) fn held_against(seen: Seen<'_>, matcher: &Matcher) -> Option<f64> {
    match seen {
        Seen::Tally(tally) if is_share(matcher) => tally.share(),
        seen => seen.number(),
    }
}

fn is_share(matcher: &Matcher) -> bool {
    compare::unit_of(matcher).is_some_and(|limit| limit.unit == Unit::Percent)
}

/// Tells whether a matcher holds of a value that is not there. Only matchers of presence can say; nothing for others.
pub(crate) fn of_absent(matcher: &Matcher) -> Option<bool> {
    if let Matcher::Not(inner) = matcher {
        return of_absent(inner).map(|holds| !holds);
    }
    if let Matcher::All(of) = matcher {
        return of.iter().try_fold(true, |so_far, m| of_absent(m).map(|holds| so_far && holds));
    }
    if let Matcher::OneOf(of) = matcher {
        let holds: Vec<_> = of.iter().map(of_absent).collect();
        let known = holds.iter().all(Option::is_some);
        return if holds.contains(&Some(true)) { Some(true) } else { known.then_some(false) };
    }
    if *matcher == Matcher::Exists {
        return Some(false);
    }
    (*matcher == Matcher::Absent).then_some(true)
}

fn number(seen: Seen<'_>, holds: impl Fn(f64) -> bool) -> Judged {
    match seen.number() {
        Some(number) => Judged::of(holds(number)),
        None => Judged::broken(format!("{}, not a number", seen.form())),
    }
}

fn text(seen: Seen<'_>, judge: impl Fn(&str) -> Judged) -> Judged {
    match seen {
        Seen::Text { text, .. } => judge(text),
        Seen::Number(_) | Seen::Bool(_) | Seen::Json(_) | Seen::Set(_) | Seen::Tally(_) => {
            Judged::broken(format!("{}, not text", seen.form()))
        }
    }
}

/// A value of another form than the literal is not equal to it, and the form is said: `"5" (text)`.
fn equals(seen: Seen<'_>, literal: &Literal) -> Judged {
    let mut judged = Judged::of(equal::equal(seen, literal));
    let wanted = match literal {
        Literal::Quantity(_) => "a number",
        Literal::Text(_) => "text",
        Literal::Bool(_) => "true or false",
        Literal::Json(value) => Seen::json(value).form(),
    };
    if judged.truth == Truth::Fails && seen.form() != wanted && !matches!(seen, Seen::Set(_) | Seen::Json(Json::Null)) {
        judged.note = Some(seen.form().to_owned());
    }
    judged
}

fn contains(seen: Seen<'_>, literal: &Literal) -> Judged {
    match seen {
        Seen::Text { text, .. } => match part(literal) {
            Some(part) => Judged::of(text.contains(&part)),
            None => Judged::broken("text contains only text"),
        },
        Seen::Json(Json::Array(items)) => Judged::of(items.iter().any(|item| equal::equal(Seen::json(item), literal))),
        Seen::Json(Json::Object(fields)) => match part(literal) {
            Some(key) => Judged::of(fields.contains_key(&key)),
            None => Judged::broken("the keys of an object are text"),
        },
        Seen::Set(members) => match part(literal) {
            Some(part) => Judged::of(members.contains(&part)),
            None => Judged::broken("the members of a set are text"),
        },
        Seen::Number(_) | Seen::Bool(_) | Seen::Json(_) | Seen::Tally(_) => {
            Judged::broken(format!("{} contains nothing", seen.form()))
        }
    }
}

/// Returns a literal as the part of a text.
fn part(literal: &Literal) -> Option<String> {
    match literal {
        Literal::Text(text) => Some(text.clone()),
        Literal::Quantity(quantity) => Some(super::words::exact(*quantity)),
        Literal::Bool(flag) => Some(flag.to_string()),
        Literal::Json(Json::String(text)) => Some(text.clone()),
        Literal::Json(_) => None,
    }
}

/// Reads a version, with or without a leading `v`, and compares it with Cargo's rules.
fn semver(text: &str, requirement: &str) -> Judged {
    let Ok(requirement) = VersionReq::parse(requirement) else {
        return Judged::unknown("the version requirement is not valid");
    };
    let text = text.trim();
    match Version::parse(text.strip_prefix(['v', 'V']).unwrap_or(text)) {
        Ok(version) => Judged::of(requirement.matches(&version)),
        Err(error) => Judged::broken(format!("not a version: {error}")),
    }
}

/// Hands over the members of a set, list or object as yes, no or a mere name.
fn members(seen: Seen<'_>, judge: impl Fn(&[Option<bool>]) -> Judged) -> Judged {
    let of_json = |value: &Json| match value {
        Json::Bool(flag) => Some(*flag),
        Json::String(text) => yes_or_no(text),
        Json::Null | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
    };
    match seen {
        Seen::Set(members) => judge(&members.iter().map(|m| yes_or_no(m)).collect::<Vec<_>>()),
        Seen::Json(Json::Array(items)) => judge(&items.iter().map(of_json).collect::<Vec<_>>()),
        Seen::Json(Json::Object(fields)) => judge(&fields.values().map(of_json).collect::<Vec<_>>()),
        Seen::Number(_) | Seen::Text { .. } | Seen::Bool(_) | Seen::Json(_) | Seen::Tally(_) => {
            Judged::broken(format!("{}, not a set", seen.form()))
        }
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        _ => None,
    }
}

/// Of nothing, *all* says nothing; of mere names, nobody knows the whole.
fn every(members: &[Option<bool>]) -> Judged {
    if members.is_empty() {
        return Judged::unknown("there is none of which all could hold");
    }
    if members.contains(&Some(false)) {
        return Judged::of(false);
    }
    match members.contains(&None) {
        true => Judged::unknown("a member is neither yes nor no"),
        false => Judged::of(true),
    }
}

fn all(seen: Seen<'_>, of: &[Matcher]) -> Judged {
    let rank = |truth| match truth {
        Truth::Broken => 3,
        Truth::Fails => 2,
        Truth::Unknown => 1,
        Truth::Holds => 0,
    };
    let judged = of.iter().map(|matcher| judge(seen, matcher));
    judged.reduce(|a, b| if rank(b.truth) > rank(a.truth) { b } else { a }).unwrap_or_else(nothing_asked)
}

fn one_of(seen: Seen<'_>, of: &[Matcher]) -> Judged {
    let rank = |truth| match truth {
        Truth::Holds => 3,
        Truth::Unknown => 2,
        Truth::Fails => 1,
        Truth::Broken => 0,
    };
    let judged = of.iter().map(|matcher| judge(seen, matcher));
    judged.reduce(|a, b| if rank(b.truth) > rank(a.truth) { b } else { a }).unwrap_or_else(nothing_asked)
}

fn nothing_asked() -> Judged {
    Judged::unknown("nothing is asked of it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Op, Quantity};
    use serde_json::json;

    fn truth(value: &Value, matcher: &Matcher) -> Truth {
        judge(Seen::new(value).expect("a value that is there"), matcher).truth
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn set(members: &[&str]) -> Value {
        Value::Set(members.iter().map(|m| (*m).to_owned()).collect())
    }

    fn says(text: &str) -> Literal {
        Literal::Text(text.into())
    }

    #[test]
    fn a_tally_of_none_holds_nothing_and_shares_are_of_the_whole() {
        use Truth::{Broken, Fails, Holds, Unknown};
        let limit = |op, text: &str| Matcher::Compare(op, Quantity::parse(text).expect(text));
        let not = |m| Matcher::Not(Box::new(m));
        let of = |count, of, matcher: Matcher| truth(&Value::Tally(Tally::counted(count, of)), &matcher);
        let table = [
            (of(3, 3, Matcher::Every), Holds),
            (of(2, 3, Matcher::Every), Fails),
            (of(0, 3, Matcher::NoneOf), Holds),
            (of(1, 3, Matcher::NoneOf), Fails),
            (of(1, 3, Matcher::Some), Holds),
            (of(0, 3, Matcher::Some), Fails),
            (of(2, 3, limit(Op::AtLeast, "2")), Holds),
            (of(2, 3, limit(Op::AtLeast, "60%")), Holds),
            (of(2, 3, limit(Op::AtLeast, "70%")), Fails),
            (of(2, 3, Matcher::Equals(Literal::Quantity(Quantity::number(2.0)))), Holds),
            (of(2, 3, not(Matcher::Every)), Holds),
            (of(0, 0, Matcher::Every), Unknown),
            (of(0, 0, Matcher::NoneOf), Unknown),
            (of(0, 0, not(Matcher::Some)), Unknown),
            (of(0, 0, limit(Op::AtMost, "0")), Unknown),
            (of(0, 0, limit(Op::AtLeast, "1")), Broken),
            (of(0, 0, not(limit(Op::AtLeast, "1"))), Broken),
            (of(0, 0, Matcher::All(vec![Matcher::NoneOf, limit(Op::AtMost, "5")])), Unknown),
        ];
        for (n, (got, wanted)) in table.into_iter().enumerate() {
            assert_eq!(got, wanted, "row {n}");
        }
        let named = Value::Tally(Tally::named([("a".to_owned(), true), ("b".to_owned(), false)]));
        assert_eq!(truth(&named, &Matcher::Contains(says("a"))), Holds);
        assert_eq!(truth(&named, &Matcher::Contains(says("b"))), Fails);
        assert_eq!(of(1, 2, Matcher::Contains(says("a"))), Unknown);
    }

    #[test]
    fn every_matcher_has_values_that_hold_and_values_that_do_not() {
        use Truth::{Broken, Fails, Holds, Unknown};
        let five = || Quantity::number(5.0);
        let over = || Matcher::Compare(Op::Greater, five());
        let not = |m| Matcher::Not(Box::new(m));
        let table = [
            (Value::Number(6.0), over(), Holds),
            (Value::Number(5.0), over(), Fails),
            (Value::Number(f64::NAN), over(), Unknown),
            (Value::Number(f64::NAN), not(over()), Unknown),
            (Value::Number(f64::NAN), Matcher::Exists, Unknown),
            (Value::Number(f64::INFINITY), over(), Holds),
            (Value::Json(json!(6)), over(), Holds),
            (Value::Json(json!("6")), over(), Broken),
            (Value::Json(json!("6")), not(over()), Broken),
            (Value::Number(204.0), Matcher::StatusClass(2), Holds),
            (Value::Number(304.0), Matcher::OneOf(vec![Matcher::StatusClass(2), Matcher::StatusClass(3)]), Holds),
            (Value::Number(404.0), Matcher::OneOf(vec![Matcher::StatusClass(2), Matcher::StatusClass(3)]), Fails),
            (Value::Json(json!("5")), Matcher::Equals(Literal::Quantity(five())), Fails),
            (Value::Json(json!(5.0)), Matcher::Equals(Literal::Quantity(five())), Holds),
            (Value::Json(json!(5)), Matcher::Equals(says("5")), Fails),
            (Value::Json(json!(null)), Matcher::Equals(Literal::Json(json!(null))), Holds),
            (Value::Bool(true), Matcher::Equals(Literal::Bool(true)), Holds),
            (Value::Bool(false), Matcher::Equals(Literal::Bool(true)), Fails),
            (text("abc"), Matcher::Contains(says("b")), Holds),
            (text("abc"), Matcher::Contains(says("x")), Fails),
            (set(&["a", "b"]), Matcher::Contains(says("b")), Holds),
            (set(&["ab"]), Matcher::Contains(says("b")), Fails),
            (Value::Json(json!([1, 2])), Matcher::Contains(Literal::Quantity(Quantity::number(2.0))), Holds),
            (Value::Json(json!({"a": 0})), Matcher::Contains(says("a")), Holds),
            (Value::Json(json!(7)), Matcher::Contains(says("7")), Broken),
            (text("abc"), Matcher::StartsWith("ab".into()), Holds),
            (text("abc"), Matcher::StartsWith("b".into()), Fails),
            (text("abc"), Matcher::EndsWith("bc".into()), Holds),
            (text("abc"), Matcher::EndsWith("b".into()), Fails),
            (text("a1"), Matcher::Matches(r"^a\d$".into()), Holds),
            (text("a"), Matcher::Matches(r"^a\d$".into()), Fails),
            (Value::Number(1.0), Matcher::Matches("1".into()), Broken),
            (text("v1.4.2"), Matcher::Semver(">=1.4, <2".into()), Holds),
            (text("2.0.0"), Matcher::Semver(">=1.4, <2".into()), Fails),
            (text("latest"), Matcher::Semver(">=1.4, <2".into()), Broken),
            (text("äöü"), Matcher::Length(Box::new(Matcher::Equals(Literal::Quantity(Quantity::number(3.0))))), Holds),
            (Value::Json(json!([])), Matcher::Length(Box::new(over())), Fails),
            (Value::Number(3.0), Matcher::Length(Box::new(over())), Broken),
            (text(""), Matcher::Exists, Holds),
            (text(""), Matcher::Absent, Fails),
            (text(""), Matcher::Empty, Holds),
            (text(" "), Matcher::Empty, Fails),
            (set(&[]), Matcher::Empty, Holds),
            (Value::Json(json!({})), Matcher::Empty, Holds),
            (Value::Json(json!(0)), Matcher::Empty, Broken),
            (set(&["true", "yes"]), Matcher::Every, Holds),
            (set(&["true", "no"]), Matcher::Every, Fails),
            (set(&["true", "pod-1"]), Matcher::Every, Unknown),
            (set(&[]), Matcher::Every, Unknown),
            (Value::Json(json!({"a": true, "b": false})), Matcher::Every, Fails),
            (set(&[]), Matcher::NoneOf, Holds),
            (set(&["false"]), Matcher::NoneOf, Holds),
            (set(&["HighErrorRate"]), Matcher::NoneOf, Fails),
            (set(&["false", "true"]), Matcher::Some, Holds),
            (set(&[]), Matcher::Some, Fails),
            (text("x"), Matcher::Every, Broken),
            (Value::Number(6.0), Matcher::All(vec![over(), not(over())]), Fails),
            (text("abc"), not(Matcher::Contains(says("x"))), Holds),
            (text("abc"), Matcher::All(vec![]), Unknown),
        ];
        for (value, matcher, expected) in table {
            assert_eq!(truth(&value, &matcher), expected, "{value:?} against {matcher:?}");
        }
    }

    #[test]
    fn only_presence_can_be_judged_of_what_is_not_there() {
        let not = |m| Matcher::Not(Box::new(m));
        let ok = || Matcher::Equals(says("ok"));
        let table = [
            (Matcher::Absent, Some(true)),
            (Matcher::Exists, Some(false)),
            (not(Matcher::Exists), Some(true)),
            (not(Matcher::Absent), Some(false)),
            (ok(), None),
            (not(ok()), None),
            (Matcher::Empty, None),
            (Matcher::OneOf(vec![ok(), Matcher::Absent]), Some(true)),
            (Matcher::OneOf(vec![ok(), Matcher::Exists]), None),
            (Matcher::All(vec![Matcher::Exists, ok()]), None),
        ];
        for (matcher, expected) in table {
            assert_eq!(of_absent(&matcher), expected, "{matcher:?}");
        }
    }

    #[test]
    fn another_form_is_said() {
        let five = Matcher::Equals(Literal::Quantity(Quantity::number(5.0)));
        let judged = judge(Seen::new(&Value::Json(json!("5"))).expect("there"), &five);
        assert_eq!(judged.note.as_deref(), Some("text"));
    }
}
