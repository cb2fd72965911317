//! Finding a program, and saying why one cannot be started.

use std::io::{Error, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for when no `PATH` is set.
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a command could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// One line for people.
    pub message: String,
    /// Whether another attempt may help: too many processes, a program that is being written.
    pub retry: bool,
}

impl StartError {
    pub(super) fn empty() -> Self {
        Self::lasting("the command is empty")
    }

    fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: false }
    }

    /// Words the error of starting a program that was found.
    pub(super) fn of(error: &Error, program: &str, path: &Path, cwd: Option<&Path>) -> Self {
        if let Some(cwd) = cwd
            && !cwd.is_dir()
        {
            let what = if cwd.exists() { "is not a folder" } else { "does not exist" };
            return Self::lasting(format!("the folder {} {what}", cwd.display()));
        }
        match error.kind() {
            // The program itself was seen a moment ago, so it is what its first line names that is missing.
            ErrorKind::NotFound if path.exists() => {
                Self::lasting(format!("{program} cannot be executed: its interpreter (see its first line) is missing"))
            }
            ErrorKind::NotFound => Self::lasting(format!("command not found: {program}")),
            ErrorKind::PermissionDenied => Self::lasting(format!("{program} may not be executed")),
            ErrorKind::InvalidInput => Self::lasting("the command holds a NUL character"),
            ErrorKind::ExecutableFileBusy => {
                Self { message: format!("{program} is being written to (text file busy)"), retry: true }
            }
            ErrorKind::ArgumentListTooLong => Self::lasting("the command and its environment are too long"),
            _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
                Self::lasting(format!("{program} is not a program of this machine, and has no `#!` line"))
            }
            _ => Self { message: format!("{program} could not be started: {error}"), retry: true },
        }
    }
}

/// Finds a program as a shell would: a name with a slash is a path, any other is looked up in `PATH`.
pub(super) fn find(program: &str, env: &[(String, String)], cwd: Option<&Path>) -> Result<PathBuf, StartError> {
    if program.is_empty() {
        return Err(StartError::empty());
    }
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value);
    let mut refused = None;
    for folder in path.split(':') {
        // An empty part of `PATH` means the current folder, for every shell.
        let folder = if folder.is_empty() { Path::new(".") } else { Path::new(folder) };
        let candidate = cwd.unwrap_or(Path::new("")).join(folder).join(program);
        match candidate.metadata() {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => {
                // The command changes to its folder first, and must not look for the program from there once more.
                return Ok(std::path::absolute(&candidate).unwrap_or(candidate));
            }
            Ok(found) if found.is_file() => refused = Some(candidate),
            Ok(_) | Err(_) => {}
        }
    }
    Err(match refused {
        Some(found) => StartError::lasting(format!("{} may not be executed", found.display())),
        None => StartError::lasting(format!("command not found: {program} is in no folder of PATH ({path})")),
    })
}
