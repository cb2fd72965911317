//! What a channel may be told of.

use crate::model::Decision;

/// What a channel may be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum On {
    /// The run begins.
    Start,
    /// People are waited for: a hold point is reached, or the run ends with something that waits.
    Held,
    /// A checkpoint of a soak is done.
    Checkpoint,
    /// A required step failed, or could not look.
    Failure,
    /// The decision is no-go.
    NoGo,
    /// The decision is go.
    Go,
    /// The decision is undecided.
    Undecided,
    /// The run is over, whatever the decision.
    End,
}

impl On {
    /// All of them, in the order in which they may happen.
    pub const ALL: [Self; 8] =
        [Self::Start, Self::Held, Self::Checkpoint, Self::Failure, Self::NoGo, Self::Go, Self::Undecided, Self::End];

    /// The words of all.
    pub const WORDS: [&'static str; 8] = {
        let mut words = [""; 8];
        let mut n = 0;
        while n < words.len() {
            words[n] = Self::ALL[n].word();
            n += 1;
        }
        words
    };

    /// Returns the word that a checklist uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Held => "held",
            Self::Checkpoint => "checkpoint",
            Self::Failure => "failure",
            Self::NoGo => "no-go",
            Self::Go => "go",
            Self::Undecided => "undecided",
            Self::End => "end",
        }
    }

    /// Says what it is, for the manual.
    pub const fn doc(self) -> &'static str {
        match self {
            Self::Start => "the run begins",
            Self::Held => "people are waited for: at a hold point, for an answer, a consent or a signature",
            Self::Checkpoint => "a checkpoint of a soak is done",
            Self::Failure => {
                "required steps failed or could not look; those that fail within two seconds are told at once"
            }
            Self::NoGo => "the decision is no-go",
            Self::Go => "the decision is go",
            Self::Undecided => "the decision is undecided",
            Self::End => "the run is over, whatever the decision, and its reports are written",
        }
    }

    /// Finds one by its word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|on| on.word() == word)
    }

    /// Returns what a decision is told as.
    pub fn of(decision: Decision) -> Self {
        match decision {
            Decision::Go => Self::Go,
            Decision::NoGo => Self::NoGo,
            Decision::Undecided => Self::Undecided,
            Decision::Held => Self::Held,
        }
    }
}
