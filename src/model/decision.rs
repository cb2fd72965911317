//! Whether a run may go ahead.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether what the checklist guards may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Everything required holds.
    Go,
    /// Something required is wrong.
    NoGo,
    /// Something required could not be told, or the run was cut short.
    Undecided,
    /// Something waits for a person.
    Held,
}

impl Decision {
    /// Returns the word used in every document.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Go => "go",
            Decision::NoGo => "no-go",
            Decision::Undecided => "undecided",
            Decision::Held => "held",
        }
    }

    /// Returns the exit status of the process: 0 go, 1 no-go, 3 undecided, 4 held. 2 is for usage and invalid checklists.
    pub fn exit_status(self) -> u8 {
        match self {
            Decision::Go => 0,
            Decision::NoGo => 1,
            Decision::Undecided => 3,
            Decision::Held => 4,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
