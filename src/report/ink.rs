//! Signs and colours for terminals. Without colour the sign and the word say the same.

use crate::model::{Decision, Outcome};

/// Whether a terminal gets colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// ANSI colours.
    Colour,
    /// None.
    Plain,
}

/// A colour of the terminal's own palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Good.
    Green,
    /// Worth a look.
    Yellow,
    /// Wrong.
    Red,
    /// Nothing is known.
    Magenta,
    /// Waits.
    Cyan,
    /// Unimportant.
    Dim,
    /// A heading.
    Bold,
}

impl Ink {
    /// Chooses colour or none.
    pub fn of(colour: bool) -> Self {
        if colour { Ink::Colour } else { Ink::Plain }
    }

    /// Colours text.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        match self {
            Ink::Plain => text.to_owned(),
            Ink::Colour => format!("\u{1b}[{}m{text}\u{1b}[0m", code(tone)),
        }
    }

    /// Writes an outcome with its sign: `✗ fail`.
    pub fn outcome(self, outcome: Outcome) -> String {
        self.paint(tone(outcome), &format!("{} {outcome}", sign(outcome)))
    }

    /// Writes a decision as a banner: ` NO-GO `.
    pub fn decision(self, decision: Decision) -> String {
        let word = decision.word().to_uppercase();
        let tone = match decision {
            Decision::Go => Tone::Green,
            Decision::NoGo => Tone::Red,
            Decision::Undecided => Tone::Magenta,
            Decision::Held => Tone::Cyan,
        };
        match self {
            Ink::Plain => word,
            Ink::Colour => format!("\u{1b}[1;7;{}m {word} \u{1b}[0m", code(tone)),
        }
    }
}

/// Returns the sign of an outcome, one column wide.
pub fn sign(outcome: Outcome) -> char {
    match outcome {
        Outcome::Pass => '✓',
        Outcome::Warn => '!',
        Outcome::Fail => '✗',
        Outcome::Error => '⊘',
        Outcome::Inconclusive => '?',
        Outcome::Pending => '…',
        Outcome::Skipped | Outcome::NotApplicable => '-',
    }
}

/// Returns the colour of an outcome.
pub fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Pass => Tone::Green,
        Outcome::Warn => Tone::Yellow,
        Outcome::Fail => Tone::Red,
        Outcome::Error | Outcome::Inconclusive => Tone::Magenta,
        Outcome::Pending => Tone::Cyan,
        Outcome::Skipped | Outcome::NotApplicable => Tone::Dim,
    }
}

fn code(tone: Tone) -> u8 {
    match tone {
        Tone::Green => 32,
        Tone::Yellow => 33,
        Tone::Red => 31,
        Tone::Magenta => 35,
        Tone::Cyan => 36,
        Tone::Dim => 2,
        Tone::Bold => 1,
    }
}
