//! The ways in which what was measured is changed to prove that a step notices.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A change of what a look found after which the step must no longer pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutation {
    /// What is looked at, or looked through, does not answer.
    Unreachable,
    /// There is no data.
    NoData,
    /// The field, the header or the file is not there.
    Missing,
    /// Empty text, an empty list, no series.
    Empty,
    /// Not a number.
    Nan,
    /// A JSON value of another type.
    WrongType,
    /// The server answers with status 500.
    #[serde(rename = "status-500")]
    Status500,
    /// The command ends with exit code 1.
    #[serde(rename = "exit-1")]
    Exit1,
    /// A number right behind its limit.
    JustAcross,
    /// A number far behind its limit, also infinitely far.
    FarAcross,
    /// Yes for no, no for yes.
    Flipped,
    /// Other text.
    OtherText,
    /// None of what is counted: no lines, no samples, no files.
    Zero,
    /// Cut in half.
    Truncated,
    /// What should not be there is there.
    Appears,
}

impl Mutation {
    /// Every mutation, in the order of the manual.
    pub const ALL: [Mutation; 15] = [
        Mutation::Unreachable,
        Mutation::NoData,
        Mutation::Missing,
        Mutation::Empty,
        Mutation::Nan,
        Mutation::WrongType,
        Mutation::Status500,
        Mutation::Exit1,
        Mutation::JustAcross,
        Mutation::FarAcross,
        Mutation::Flipped,
        Mutation::OtherText,
        Mutation::Zero,
        Mutation::Truncated,
        Mutation::Appears,
    ];

    /// Returns the word used in checklists and documents.
    pub const fn word(self) -> &'static str {
        match self {
            Mutation::Unreachable => "unreachable",
            Mutation::NoData => "no-data",
            Mutation::Missing => "missing",
            Mutation::Empty => "empty",
            Mutation::Nan => "nan",
            Mutation::WrongType => "wrong-type",
            Mutation::Status500 => "status-500",
            Mutation::Exit1 => "exit-1",
            Mutation::JustAcross => "just-across",
            Mutation::FarAcross => "far-across",
            Mutation::Flipped => "flipped",
            Mutation::OtherText => "other-text",
            Mutation::Zero => "zero",
            Mutation::Truncated => "truncated",
            Mutation::Appears => "appears",
        }
    }

    /// Finds a mutation by its word.
    pub fn find(word: &str) -> Option<Mutation> {
        Mutation::ALL.into_iter().find(|mutation| mutation.word() == word)
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_written_form() {
        for mutation in Mutation::ALL {
            let written = serde_json::to_string(&mutation).expect("serialises");
            assert_eq!(written, format!("\"{mutation}\""));
            assert_eq!(Mutation::find(mutation.word()), Some(mutation));
        }
    }
}
