//! From label values to series.

use std::collections::{BTreeMap, HashMap};

use crate::promql::engine::{Labels, Matcher};

/// The series that have a label value, in ascending order, by name and value.
#[derive(Debug, Default)]
pub(super) struct Index {
    postings: HashMap<Box<str>, BTreeMap<Box<str>, Vec<u32>>>,
}

impl Index {
    /// Adds a series whose number is higher than those before it.
    pub(super) fn add(&mut self, labels: &Labels, number: u32) {
        for (name, value) in labels.iter() {
            if !self.postings.contains_key(name) {
                self.postings.insert(name.into(), BTreeMap::new());
            }
            let Some(values) = self.postings.get_mut(name) else { continue };
            match values.get_mut(value) {
                Some(numbers) => numbers.push(number),
                None => {
                    values.insert(value.into(), vec![number]);
                }
            }
        }
    }

    /// Returns the values that a label has.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.postings.get(name).into_iter().flat_map(|values| values.keys().map(|value| &**value))
    }

    /// Returns the series that may fit, in ascending order, and whether the matcher at each place need not be asked any
    /// more. Nothing when the index cannot narrow them down.
    pub(super) fn candidates(&self, matchers: &[Matcher]) -> (Option<Vec<u32>>, Vec<bool>) {
        let mut settled = vec![false; matchers.len()];
        let mut lists: Vec<Vec<u32>> = Vec::new();
        for (matcher, settled) in matchers.iter().zip(&mut settled) {
            // A matcher that takes the empty value takes series without the label, which no list holds.
            if !matcher.fits("") {
                lists.push(self.fitting(matcher));
                *settled = true;
            }
        }
        lists.sort_by_key(Vec::len);
        let mut lists = lists.into_iter();
        let first = lists.next();
        let narrowed = first.map(|first| lists.fold(first, |found, list| intersection(&found, &list)));
        (narrowed, settled)
    }

    fn fitting(&self, matcher: &Matcher) -> Vec<u32> {
        let Some(values) = self.postings.get(&*matcher.name) else { return Vec::new() };
        let mut found: Vec<u32> = match matcher.values() {
            Some(wanted) => wanted.into_iter().filter_map(|value| values.get(value)).flatten().copied().collect(),
            None => values.iter().filter(|(value, _)| matcher.fits(value)).flat_map(|(_, n)| n).copied().collect(),
        };
        // A series has one value of a label, but a matcher may list a value twice.
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn intersection(few: &[u32], many: &[u32]) -> Vec<u32> {
    few.iter().copied().filter(|number| many.binary_search(number).is_ok()).collect()
}
