//! Standard output and error: data here, talk there. A closed pipe is harmless.

use std::io::{IsTerminal, Write};

/// Writes data to stdout.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has left wants no more.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Says a line on stderr.
pub(crate) fn say(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{text}");
}

/// Says on stderr exactly this.
pub(crate) fn tell(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Tells whether stderr is a terminal whose user wants colour.
pub(crate) fn colour() -> bool {
    colour_wanted() && std::io::stderr().is_terminal()
}

/// Tells whether stdout is a terminal whose user wants colour.
pub(crate) fn colour_of_stdout() -> bool {
    colour_wanted() && std::io::stdout().is_terminal()
}

fn colour_wanted() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    !no_color && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Returns the width of the terminal, 100 columns when there is none.
pub(crate) fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    size.map(|s| usize::from(s.ws_col)).filter(|&w| w >= 40).unwrap_or(100).min(160)
}
