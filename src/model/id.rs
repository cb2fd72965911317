//! Names of things: steps, sections, runs.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Wraps a name that is known to be well formed.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name! {
    /// Names a step, unique within its checklist: kebab-case.
    StepId
}
name! {
    /// Names a section, unique within its checklist: kebab-case.
    SectionId
}
name! {
    /// Names a run: the start time and a random tail, so that names sort by age.
    RunId
}

/// Turns a sentence into a kebab-case name: `Error rate < 5 %` becomes `error-rate-5`.
///
/// Letters and digits of any script are kept in lower case; everything else separates words.
/// The result may be empty when the sentence has neither.
pub fn kebab(sentence: &str) -> String {
    let mut out = String::with_capacity(sentence.len());
    for c in sentence.chars() {
        if c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    while out.ends_with('-') {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_becomes_kebab_case() {
        assert_eq!(kebab("  Error rate stays < 5 %! "), "error-rate-stays-5");
        assert_eq!(kebab("Größe prüfen"), "größe-prüfen");
        assert_eq!(kebab("!!!"), "");
    }
}
