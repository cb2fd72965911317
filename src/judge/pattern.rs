//! Regular expressions, compiled once: a step that looks a thousand times asks for the same one each time.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;

/// How many patterns a thread keeps. Where a checklist has more, they are compiled anew from time to time.
const KEPT: usize = 64;

thread_local! {
    /// Each thread has its own, so that none waits for another. What is found never depends on what is kept.
    static KNOWN: RefCell<HashMap<String, Regex>> = RefCell::new(HashMap::new());
}

/// Tells whether a pattern is found in a text; nothing when it is not a valid one.
pub(super) fn is_match(pattern: &str, text: &str) -> Option<bool> {
    KNOWN.with_borrow_mut(|known| {
        if let Some(regex) = known.get(pattern) {
            return Some(regex.is_match(text));
        }
        let regex = Regex::new(pattern).ok()?;
        let found = regex.is_match(text);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(pattern.to_owned(), regex);
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_patterns_than_are_kept_are_still_told_apart() {
        for round in 0..2 {
            for n in 0..KEPT * 2 {
                let pattern = format!("^n{n}$");
                assert_eq!(is_match(&pattern, &format!("n{n}")), Some(true), "round {round}");
                assert_eq!(is_match(&pattern, &format!("n{}", n + 1)), Some(false), "round {round}");
            }
        }
        assert_eq!(is_match("(", "("), None);
    }
}
