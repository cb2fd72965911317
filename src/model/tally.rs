//! How many of how many: three of four pods are ready, none of two alerts fires.

use serde::{Deserialize, Serialize};

/// How many of how many something holds of, and of which of them where they have names.
///
/// The counts are the truth; the names are for people and for `contains`, and a record may keep fewer of them. Of
/// nothing, nothing is said: whatever is asked of a tally of none, it does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Of how many it holds.
    pub count: u64,
    /// How many there are.
    pub of: u64,
    /// Those of which it holds, as far as they are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The others, as far as they are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
}

impl Tally {
    /// Counts members that have no names. There are never fewer of them than of those that count.
    pub fn counted(count: u64, of: u64) -> Self {
        Self { count, of: of.max(count), names: Vec::new(), others: Vec::new() }
    }

    /// Counts named members, each with whether it holds of it.
    pub fn named(members: impl IntoIterator<Item = (String, bool)>) -> Self {
        let mut tally = Self::default();
        for (name, holds) in members {
            tally.of += 1;
            tally.count += u64::from(holds);
            if holds { &mut tally.names } else { &mut tally.others }.push(name);
        }
        tally
    }

    /// Returns the share of those of which it holds; nothing of none.
    pub fn share(&self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }

    /// Tells whether it holds of the member of this name; nothing when its name is not among those known.
    pub fn holds_of(&self, name: &str) -> Option<bool> {
        if self.names.iter().any(|known| known == name) {
            return Some(true);
        }
        let all = self.names.len() as u64 == self.count && (self.count > 0 || !self.others.is_empty());
        (all || self.others.iter().any(|known| known == name)).then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_counted_with_their_names() {
        let tally = Tally::named([("a".to_owned(), true), ("b".to_owned(), false)]);
        assert_eq!((tally.count, tally.of, tally.share()), (1, 2, Some(0.5)));
        assert_eq!(
            (tally.holds_of("a"), tally.holds_of("b"), tally.holds_of("c")),
            (Some(true), Some(false), Some(false))
        );
    }

    #[test]
    fn of_nobody_and_of_those_without_names_nothing_is_known() {
        assert_eq!(Tally::counted(0, 0).share(), None);
        assert_eq!(Tally::counted(3, 2).share(), Some(1.0));
        assert_eq!(Tally::counted(2, 3).holds_of("a"), None);
        assert_eq!(Tally::counted(0, 3).holds_of("a"), None);
    }
}
