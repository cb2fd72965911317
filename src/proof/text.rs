//! What a matcher asks of texts, lists and presence: which worse values it must notice.

use crate::model::{Literal, Matcher};

/// Tells whether it asks for presence alone: any value that is there will do.
pub fn asks_presence(matcher: &Matcher) -> bool {
    match matcher {
        Matcher::Not(inner) => **inner == Matcher::Absent,
        Matcher::All(list) | Matcher::OneOf(list) => list.iter().all(asks_presence),
        other => *other == Matcher::Exists,
    }
}

/// Tells whether absence is what it asks for, or one of the things that will do.
pub fn takes_absence(matcher: &Matcher) -> bool {
    match matcher {
        Matcher::Not(inner) => **inner == Matcher::Exists,
        Matcher::All(list) => list.iter().all(takes_absence),
        Matcher::OneOf(list) => list.iter().any(takes_absence),
        other => *other == Matcher::Absent,
    }
}

/// Tells whether emptiness is what it asks for, or one of the things that will do.
pub fn takes_emptiness(matcher: &Matcher) -> bool {
    match matcher {
        Matcher::Empty | Matcher::NoneOf => true,
        Matcher::Length(inner) => super::number::meets(0.0, inner) == Some(true),
        Matcher::Equals(Literal::Text(text)) => text.is_empty(),
        Matcher::Equals(Literal::Json(json)) => match json {
            serde_json::Value::Array(items) => items.is_empty(),
            serde_json::Value::Object(fields) => fields.is_empty(),
            other => other.is_null() || other == "",
        },
        Matcher::Not(inner) => **inner == Matcher::Exists,
        Matcher::All(list) => list.iter().all(takes_emptiness),
        Matcher::OneOf(list) => list.iter().any(takes_emptiness),
        other => *other == Matcher::Absent,
    }
}

/// Tells whether it asks for a certain text or member, so that another one must be noticed.
pub fn asks_text(matcher: &Matcher) -> bool {
    asks(matcher, false, &|m| {
        matches!(
            m,
            Matcher::Equals(Literal::Text(_) | Literal::Json(_))
                | Matcher::Contains(_)
                | Matcher::StartsWith(_)
                | Matcher::EndsWith(_)
                | Matcher::Matches(_)
                | Matcher::Semver(_)
        )
    })
}

/// Tells whether it asks for the whole of a text, so that half of it must be noticed.
pub fn asks_whole(matcher: &Matcher) -> bool {
    asks(matcher, false, &|m| {
        matches!(m, Matcher::Equals(Literal::Text(_)) | Matcher::EndsWith(_) | Matcher::Semver(_))
    })
}

/// Walks down to what is asked for and not only excluded: of all one is enough, of alternatives every one must.
fn asks(matcher: &Matcher, negated: bool, is: &dyn Fn(&Matcher) -> bool) -> bool {
    match matcher {
        Matcher::Not(inner) => asks(inner, !negated, is),
        Matcher::All(list) if negated => list.iter().all(|one| asks(one, negated, is)),
        Matcher::OneOf(list) if !negated => !list.is_empty() && list.iter().all(|one| asks(one, negated, is)),
        Matcher::All(list) | Matcher::OneOf(list) => list.iter().any(|one| asks(one, negated, is)),
        other => !negated && is(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(text: &str) -> Matcher {
        Matcher::Contains(Literal::Text(text.into()))
    }

    #[test]
    fn what_is_only_excluded_is_not_asked_for() {
        let not = |m| Matcher::Not(Box::new(m));
        assert!(asks_text(&contains("ok")) && !asks_text(&not(contains("error"))));
        assert!(asks_text(&Matcher::All(vec![not(contains("error")), contains("ok")])));
        assert!(!asks_text(&Matcher::OneOf(vec![Matcher::Exists, contains("ok")])));
        assert!(asks_text(&not(not(contains("ok")))));
        assert!(!asks_whole(&contains("ok")) && asks_whole(&Matcher::EndsWith("</html>".into())));
    }

    #[test]
    fn emptiness_is_taken_by_what_asks_for_it() {
        let length = |limit| Matcher::Length(Box::new(Matcher::Compare(crate::model::Op::AtMost, limit)));
        assert!(takes_emptiness(&length(crate::model::Quantity::number(3.0))));
        assert!(takes_emptiness(&Matcher::Empty) && !takes_emptiness(&Matcher::Exists));
        assert!(!takes_emptiness(&Matcher::Not(Box::new(contains("error")))));
        assert!(asks_presence(&Matcher::Exists) && !asks_presence(&contains("x")));
        assert!(takes_absence(&Matcher::OneOf(vec![contains("x"), Matcher::Absent])));
    }
}
