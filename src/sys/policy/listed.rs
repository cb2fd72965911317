//! What is allowed and what is denied, each with the place where a policy says so.

use crate::model::Origin;

/// A rule of a policy: where it is written, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where.
    pub origin: Origin,
    /// What: `hosts.deny: 10.0.0.0/8`.
    pub text: String,
}

/// Why something may not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// One line for people, with the rule.
    pub message: String,
}

/// Two lists of one part of a policy. What is denied is refused, allowed or not; without a list of what is allowed all
/// of the rest is.
#[derive(Clone, Debug)]
pub struct Listed<P> {
    /// What is allowed, with the rule that says so.
    pub allow: Option<(Rule, Vec<P>)>,
    /// What is denied, each with its rule.
    pub deny: Vec<(Rule, P)>,
}

impl<P> Default for Listed<P> {
    fn default() -> Self {
        Self { allow: None, deny: Vec::new() }
    }
}

impl Rule {
    /// Says that the rule denies something.
    pub fn denies(&self, what: &str) -> Refusal {
        Refusal { message: format!("refused by {} ({}): {what}", self.origin, self.text) }
    }

    /// Says that the rule does not list something.
    pub fn lacks(&self, what: &str) -> Refusal {
        Refusal { message: format!("refused by {} ({}): {what} is not listed", self.origin, self.text) }
    }
}

impl Refusal {
    /// Says that something is refused without any rule, because it is guarded.
    pub fn of_guarded(what: &str, words: &str) -> Self {
        let how = "only a policy that lists it under hosts.allow allows it";
        Self { message: format!("refused: {what} is {words}; {how}") }
    }
}

impl<P> Listed<P> {
    /// Tells whether anything is written.
    pub fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    /// Judges something by what fits it.
    ///
    /// # Errors
    /// Says by which rule it is refused.
    pub fn judge(&self, what: &str, denied: impl Fn(&P) -> bool, allowed: impl Fn(&P) -> bool) -> Result<(), Refusal> {
        if let Some((rule, _)) = self.deny.iter().find(|(_, pattern)| denied(pattern)) {
            return Err(rule.denies(what));
        }
        match &self.allow {
            Some((rule, patterns)) if !patterns.iter().any(allowed) => Err(rule.lacks(what)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes a rule of a text.
    pub(crate) fn rule(text: &str) -> Rule {
        Rule { origin: Origin { file: "policy.yaml".into(), line: 3, column: 1 }, text: text.to_owned() }
    }

    #[test]
    fn what_is_denied_is_refused_even_if_it_is_allowed() {
        let both = Listed { allow: Some((rule("probes.allow: a"), vec!["a", "b"])), deny: vec![(rule("no b"), "b")] };
        let judge = |word: &str| both.judge(word, |p| *p == word, |p| *p == word).map_err(|r| r.message);
        assert_eq!(judge("a"), Ok(()));
        assert_eq!(judge("b"), Err("refused by policy.yaml:3 (no b): b".to_owned()));
        assert_eq!(judge("c"), Err("refused by policy.yaml:3 (probes.allow: a): c is not listed".to_owned()));
        assert!(Listed::<u8>::default().judge("x", |_| true, |_| false).is_ok());
    }
}
