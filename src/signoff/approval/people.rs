//! Who is who among the signers, and who fills which role.

use crate::event::Signature;
use crate::record::RunRecord;

/// Returns what a signer is called: as in the file of allowed signers, else by their key.
pub fn who(signature: &Signature) -> &str {
    if signature.by.is_empty() { &signature.key } else { &signature.by }
}

/// Tells whether a signer is whoever started the run or took it up again: the same user, or a name whose part before
/// the `@` is that user.
pub fn is_runner(record: &RunRecord, signature: &Signature) -> bool {
    let mut runners = vec![record.header.user.as_str()];
    runners.extend(record.resumptions.iter().map(|(_, resumption)| resumption.by.as_str()));
    let local = signature.by.split('@').next().unwrap_or_default();
    runners.iter().any(|runner| *runner == signature.user || *runner == signature.by || *runner == local)
}

/// The people behind signatures: one who signs under one name with two keys is one person, and so is one who signs
/// with one key under two names.
pub(super) struct People {
    person: Vec<usize>,
    names: Vec<String>,
}

impl People {
    pub(super) fn among<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Self {
        let signatures: Vec<&Signature> = signatures.collect();
        let mut person: Vec<usize> = (0..signatures.len()).collect();
        for (n, later) in signatures.iter().enumerate() {
            for (m, earlier) in signatures[..n].iter().enumerate() {
                let same = earlier.key == later.key || (!later.by.is_empty() && earlier.by == later.by);
                let (from, to) = (person[n], person[m]);
                if same && from != to {
                    person.iter_mut().filter(|p| **p == from).for_each(|p| *p = to);
                }
            }
        }
        Self { person, names: signatures.iter().map(|signature| who(signature).to_owned()).collect() }
    }

    /// Returns the person behind a signature.
    pub(super) fn of(&self, signature: usize) -> usize {
        self.person[signature]
    }

    /// Returns what a person is called: as where they signed first.
    pub(super) fn name(&self, person: usize) -> &str {
        &self.names[person]
    }
}

/// Gives each role as many people as it needs, from those who agreed in it. When people must be distinct, so that as
/// many places as possible are filled (by augmenting paths: Kuhn's algorithm).
pub(super) fn fill(candidates: &[Vec<usize>], needs: &[usize], distinct: bool) -> Vec<Vec<usize>> {
    let mut filled: Vec<Vec<usize>> = vec![Vec::new(); candidates.len()];
    if !distinct {
        for (role, people) in candidates.iter().enumerate() {
            for person in people {
                if filled[role].len() < needs[role] && !filled[role].contains(person) {
                    filled[role].push(*person);
                }
            }
        }
        return filled;
    }
    for role in 0..candidates.len() {
        while filled[role].len() < needs[role] {
            let mut tried = Vec::new();
            if !place(role, candidates, &mut filled, &mut tried) {
                break;
            }
        }
    }
    filled
}

/// Finds one more person for a role; somebody who fills another may move here when another is found there.
fn place(role: usize, candidates: &[Vec<usize>], filled: &mut [Vec<usize>], tried: &mut Vec<usize>) -> bool {
    for person in &candidates[role] {
        if tried.contains(person) || filled[role].contains(person) {
            continue;
        }
        tried.push(*person);
        let elsewhere = filled.iter().position(|people| people.contains(person));
        let free = match elsewhere {
            None => true,
            Some(other) => {
                place(other, candidates, filled, tried) && {
                    filled[other].retain(|p| p != person);
                    true
                }
            }
        };
        if free {
            filled[role].push(*person);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The most places that can be filled, by trying everything.
    fn most(candidates: &[Vec<usize>], needs: &[usize], used: &mut Vec<usize>, role: usize) -> usize {
        let Some(people) = candidates.get(role) else { return 0 };
        if needs[role] == 0 {
            return most(candidates, needs, used, role + 1);
        }
        let mut best = most(candidates, needs, used, role + 1);
        for person in people {
            if used.contains(person) {
                continue;
            }
            used.push(*person);
            let mut less = needs.to_vec();
            less[role] -= 1;
            best = best.max(1 + most(candidates, &less, used, role));
            used.pop();
        }
        best
    }

    #[test]
    fn somebody_moves_to_where_they_are_needed() {
        let filled = fill(&[vec![0, 1], vec![0]], &[1, 1], true);
        assert_eq!(filled, [vec![1], vec![0]]);
        assert_eq!(fill(&[vec![0], vec![0]], &[1, 1], true), [vec![0], vec![]]);
        assert_eq!(fill(&[vec![0], vec![0]], &[1, 1], false), [vec![0], vec![0]]);
        assert_eq!(fill(&[vec![0, 0]], &[2], false), [vec![0]]);
    }

    proptest! {
        #[test]
        fn as_many_places_as_possible_are_filled(
            candidates in prop::collection::vec(prop::collection::vec(0_usize..4, 0..4), 1..4),
            needs in prop::collection::vec(0_usize..3, 4),
        ) {
            let filled = fill(&candidates, &needs, true);
            let count: usize = filled.iter().map(Vec::len).sum();
            prop_assert_eq!(count, most(&candidates, &needs, &mut Vec::new(), 0));
            let mut people: Vec<_> = filled.iter().flatten().collect();
            people.sort();
            people.dedup();
            prop_assert_eq!(people.len(), count);
            for (role, people) in filled.iter().enumerate() {
                prop_assert!(people.len() <= needs[role] && people.iter().all(|p| candidates[role].contains(p)));
            }
        }
    }
}
