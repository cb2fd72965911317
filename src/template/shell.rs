//! Values in a shell command: where each stands, and how it stays one piece of text there.
//!
//! The command is read up to each value as a POSIX shell reads it. Bare and within quotes a value can be written so
//! that the shell gives it back unchanged. Everywhere else (within `$(…)`, backticks, `${…}`, arithmetic, a comment,
//! behind `<<`, directly behind a `\` or a `$`) no quoting is sure, so it is refused, as it is behind anything that
//! shells read differently.

use super::TemplateError;
use super::escape::refused;

/// Reads a command piece by piece.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    frames: Vec<Frame>,
    /// Why nothing that follows is sure any more.
    lost: Option<&'static str>,
    /// What the last character does to the next one.
    last: Last,
    /// The letters of the word that is being read, to find `case`.
    word: String,
}

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Single,
    Double,
    Comment,
    Backtick,
    Parameter,
    Arithmetic { depth: u32 },
    Command { depth: u32 },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    /// A word may begin, and so may a comment.
    #[default]
    Blank,
    /// Within a word.
    Word,
    /// A backslash that takes the next character.
    Backslash,
    /// A `$`.
    Dollar,
    /// The name of a variable, which the next character may continue.
    Name,
    /// A `<`.
    Less,
    /// A `(`.
    Paren,
    /// The `$(` of a substitution.
    Opened,
}

const HEREDOC: &str = "behind `<<`";
const UNSURE: &str = "behind what shells read differently";

impl Scanner {
    /// Reads on in what stands in the checklist.
    pub(super) fn read(&mut self, text: &str) {
        // A line that is continued is one line, except where the backslash is text.
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let verbatim = matches!(self.frames.last(), Some(Frame::Single | Frame::Comment));
            if c == '\\' && chars.peek() == Some(&'\n') && !verbatim && self.last != Last::Backslash {
                chars.next();
                continue;
            }
            self.take(c);
        }
    }

    /// Writes a value so that the shell gives it back, or says that there is no way to.
    pub(super) fn write(&mut self, out: &mut String, value: &str, rest: &str) -> Result<(), TemplateError> {
        if let Some(place) = self.refusal() {
            return Err(refused(format!(
                "a value cannot be quoted for the shell {place}; pass it as an environment variable instead: \
                 `exec: {{ command: …, env: {{ NAME: … }} }}`, and write \"$NAME\" in the command"
            )));
        }
        match self.frames.last() {
            Some(Frame::Single) => out.push_str(&value.replace('\'', r"'\''")),
            Some(Frame::Double) => {
                if self.last == Last::Name {
                    // Ends the name of the variable before it.
                    out.push_str("\"\"");
                }
                for c in value.chars() {
                    if matches!(c, '"' | '$' | '`' | '\\') {
                        out.push('\\');
                    }
                    out.push(c);
                }
            }
            Some(_) | None => {
                // `{{ n }}>file` would name a file descriptor, `$NAME{{ x }}` another variable.
                let plain = is_plain(value) && !rest.starts_with(['<', '>']) && self.last != Last::Name;
                match plain {
                    true => out.push_str(value),
                    false => {
                        out.push('\'');
                        out.push_str(&value.replace('\'', r"'\''"));
                        out.push('\'');
                    }
                }
            }
        }
        self.last = Last::Word;
        Ok(())
    }

    /// Names the place where no value may stand.
    fn refusal(&self) -> Option<&'static str> {
        if self.lost.is_some() {
            return self.lost;
        }
        // What is open around quotes counts as much as what is open last.
        let open = self.frames.iter().find_map(|frame| match frame {
            Frame::Single | Frame::Double => None,
            Frame::Comment => Some("in a comment"),
            Frame::Backtick => Some("between backticks"),
            Frame::Parameter => Some("in `${…}`"),
            Frame::Arithmetic { .. } => Some("in arithmetic"),
            Frame::Command { .. } => Some("in `$(…)`"),
        });
        open.or(match self.last {
            Last::Backslash => Some("directly behind a backslash"),
            Last::Dollar => Some("directly behind a `$`"),
            Last::Blank | Last::Word | Last::Name | Last::Less | Last::Paren | Last::Opened => None,
        })
    }

    fn take(&mut self, c: char) {
        if self.lost.is_some() {
            return;
        }
        match self.frames.last().copied() {
            None => self.command(c),
            Some(Frame::Command { depth }) => self.substitution(c, depth),
            Some(Frame::Single) => {
                if c == '\'' {
                    self.close();
                }
            }
            Some(Frame::Double) => self.double(c),
            Some(Frame::Comment) => {
                if c == '\n' {
                    self.frames.pop();
                    self.last = Last::Blank;
                }
            }
            Some(Frame::Backtick) => match c {
                '`' => self.close(),
                '\'' | '"' | '\\' | '#' => self.lost = Some("behind backticks with quotes in them; write `$(…)`"),
                _ => {}
            },
            Some(Frame::Parameter) => match c {
                '}' => self.close(),
                '\'' | '"' | '\\' | '$' | '`' | '{' | '\n' => self.lost = Some("behind `${…}` with quotes in it"),
                _ => {}
            },
            Some(Frame::Arithmetic { depth }) => self.arithmetic(c, depth),
        }
    }

    fn close(&mut self) {
        self.frames.pop();
        self.last = Last::Word;
    }

    fn open(&mut self, frame: Frame) {
        self.frames.push(frame);
        self.word.clear();
        self.last = Last::Blank;
    }

    /// Takes a character outside quotes.
    fn command(&mut self, c: char) {
        let (last, word) = (self.last, std::mem::take(&mut self.word));
        self.last = match (last, c) {
            (Last::Backslash, _) => Last::Word,
            (_, '\\') => Last::Backslash,
            (Last::Dollar, '\'') => return self.lost = Some("behind `$'`"),
            (Last::Dollar, '(') => return self.open_command(),
            (Last::Dollar, '{') => return self.open(Frame::Parameter),
            (Last::Dollar, '[') => return self.lost = Some(UNSURE),
            (_, '\'') => return self.open(Frame::Single),
            (_, '"') => return self.open(Frame::Double),
            (_, '`') => return self.open(Frame::Backtick),
            (Last::Blank | Last::Less | Last::Paren | Last::Opened, '#') => return self.open(Frame::Comment),
            (Last::Less, '<') => return self.lost = Some(HEREDOC),
            (Last::Paren, '(') => return self.lost = Some("behind `((`"),
            (_, '<') => Last::Less,
            (_, '(') => Last::Paren,
            (_, ')' | ';' | '&' | '|' | '>' | ' ' | '\t' | '\n') => Last::Blank,
            (Last::Dollar | Last::Name, c) => self.dollar(last, c),
            (_, '$') => Last::Dollar,
            (_, c) => {
                self.word = word;
                self.word.push(c);
                Last::Word
            }
        };
    }

    /// Takes the character behind a `$` or within the name of a variable.
    fn dollar(&self, last: Last, c: char) -> Last {
        match (last, c) {
            (_, c) if c == '_' || c.is_ascii_alphanumeric() => Last::Name,
            (Last::Name, '$') => Last::Dollar,
            _ => Last::Word,
        }
    }

    fn open_command(&mut self) {
        self.open(Frame::Command { depth: 0 });
        self.last = Last::Opened;
    }

    /// Takes a character within `$(…)`, outside quotes.
    fn substitution(&mut self, c: char, depth: u32) {
        let set = |frames: &mut Vec<Frame>, frame| {
            frames.pop();
            frames.push(frame);
        };
        if self.last == Last::Opened && c == '(' {
            set(&mut self.frames, Frame::Arithmetic { depth: 1 });
            self.last = Last::Blank;
            return;
        }
        let escaped = self.last == Last::Backslash;
        let dollar = self.last == Last::Dollar;
        if self.word == "case" && !c.is_alphanumeric() {
            // Its patterns have closing brackets of their own.
            self.lost = Some("behind a `case` in `$(…)`");
            return;
        }
        if !escaped && c == ')' && depth == 0 {
            self.close();
            self.word.clear();
            return;
        }
        match c {
            '(' if !escaped && !dollar => set(&mut self.frames, Frame::Command { depth: depth + 1 }),
            ')' if !escaped => set(&mut self.frames, Frame::Command { depth: depth - 1 }),
            _ => {}
        }
        self.command(c);
    }

    /// Takes a character between double quotes.
    fn double(&mut self, c: char) {
        self.last = match (self.last, c) {
            (Last::Backslash, _) => Last::Word,
            (_, '\\') => Last::Backslash,
            (_, '"') => return self.close(),
            (_, '`') => return self.open(Frame::Backtick),
            (Last::Dollar, '(') => return self.open_command(),
            (Last::Dollar, '{') => return self.open(Frame::Parameter),
            (Last::Dollar, '[') => return self.lost = Some(UNSURE),
            (Last::Dollar | Last::Name, c) => self.dollar(self.last, c),
            (_, '$') => Last::Dollar,
            _ => Last::Word,
        };
    }

    /// Takes a character within `$((…))`.
    fn arithmetic(&mut self, c: char, depth: u32) {
        let depth = match c {
            '(' => depth + 1,
            ')' if depth == 0 => return self.close(),
            ')' => depth - 1,
            '\'' | '"' | '`' | '\\' | '#' | '{' | ';' | '&' | '\n' => {
                return self.lost = Some("behind `$((` that may be more than arithmetic");
            }
            _ => depth,
        };
        self.frames.pop();
        self.frames.push(Frame::Arithmetic { depth });
    }
}

/// Tells whether a value means itself without quotes, wherever a word may stand.
fn is_plain(value: &str) -> bool {
    const RESERVED: &[&str] =
        &["case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until", "while"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+".contains(c);
    !value.is_empty() && value.chars().all(plain) && !RESERVED.contains(&value)
}
