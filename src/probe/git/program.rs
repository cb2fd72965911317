//! Running `git` in a tree that nobody needs to trust.
//!
//! What stands in a repository's own configuration can make git run commands: hooks, file monitors, filters, pagers,
//! transports. A checklist looks at checkouts of others, so every look switches them off:
//!
//! - `core.hooksPath`, `core.fsmonitor`, `core.pager`, `core.askPass`, `gc.auto`, `log.showSignature` are overruled;
//! - filters (`filter.NAME.clean`, `process`, `smudge`) that the repository itself defines are emptied by name: `status`
//!   would run them. Those of the user and the system (as Git LFS installs them) stay;
//! - submodules are compared by their commits alone: `status` would start git inside of them;
//! - nothing is fetched on demand (`GIT_NO_LAZY_FETCH`), nothing is written to the index (`GIT_OPTIONAL_LOCKS=0`), no
//!   replacement objects count (`GIT_NO_REPLACE_OBJECTS`), and nobody is asked for a password;
//! - a remote is asked from outside of the repository, so that none of its configuration counts, over `https`, `http`,
//!   `ssh`, `git` and files alone, without redirects. `ext::` and other helpers are refused.
//!
//! With all that switched off it does no harm that the tree belongs to somebody else, as it often does in containers:
//! `safe.directory` is set for these commands alone.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::model::Found;
use crate::model::quantity::seconds;
use crate::sys::World;
use crate::sys::process::{self, End, Invocation};

/// How much of an output is kept of its beginning, and as much of its end.
const KEEP: usize = 4 << 20;

const SETTINGS: &[&str] = &[
    "safe.directory=*",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.ignoreStat=false",
    "core.pager=cat",
    "core.askPass=",
    "core.attributesFile=/dev/null",
    "gc.auto=0",
    "maintenance.auto=false",
    "log.showSignature=false",
    "protocol.ext.allow=never",
    "http.followRedirects=false",
];

const VARIABLES: &[(&str, &str)] = &[
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh"),
    ("GIT_ASKPASS", "true"),
    ("SSH_ASKPASS", "true"),
    ("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
    ("LC_ALL", "C"),
];

/// The program, in a folder, until a time.
pub(super) struct Git {
    folder: PathBuf,
    env: Vec<(String, String)>,
    filters: Vec<String>,
    until: Instant,
    given: Duration,
}

/// What git said.
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Git {
    /// Prepares to look at a folder.
    pub(super) fn new(world: &World, folder: &Path, timeout: Duration) -> Self {
        let mut env = process::minimal_env(&world.env);
        env.extend(VARIABLES.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        // The keys of whoever runs this, for remotes over SSH.
        env.extend(world.env.get("SSH_AUTH_SOCK").map(|socket| ("SSH_AUTH_SOCK".to_owned(), socket.to_owned())));
        // A timeout beyond what the clock can hold is as good as a year.
        let timeout = timeout.min(Duration::from_secs(31_536_000));
        let until = Instant::now() + timeout;
        Self { folder: folder.to_owned(), env, filters: Vec::new(), until, given: timeout }
    }

    /// Empties the filters that the repository itself defines.
    pub(super) async fn distrust(&mut self) -> Result<(), Found> {
        let listed = self.run(&["config", "--local", "--includes", "--list", "--name-only", "-z"]).await?;
        if listed.code != 0 {
            return Err(Found::could_not_look(format!("git cannot read its configuration: {}", listed.cause())));
        }
        let worktree = self.run(&["config", "--worktree", "--includes", "--list", "--name-only", "-z"]).await?;
        for name in listed.stdout.split('\0').chain(worktree.stdout.split('\0')) {
            let Some((driver, _)) = name.strip_prefix("filter.").and_then(|rest| rest.rsplit_once('.')) else {
                continue;
            };
            if driver.contains(['=', '\n']) {
                // No setting can be written for it on a command line.
                let cause = format!("the repository defines a filter with an odd name: {driver:?}");
                return Err(Found::refused(cause));
            }
            for key in ["clean", "smudge", "process"] {
                self.filters.push(format!("filter.{driver}.{key}="));
            }
            self.filters.push(format!("filter.{driver}.required=false"));
        }
        self.filters.sort();
        self.filters.dedup();
        Ok(())
    }

    /// Tells whether filters were emptied.
    pub(super) fn has_filters(&self) -> bool {
        !self.filters.is_empty()
    }

    /// Runs git in the folder.
    pub(super) async fn run(&self, args: &[&str]) -> Result<Said, Found> {
        self.call(&self.folder, &[], args, None).await
    }

    /// Runs git in the folder with a text on its standard input.
    pub(super) async fn feed(&self, args: &[&str], input: String) -> Result<Said, Found> {
        self.call(&self.folder, &[], args, Some(input)).await
    }

    /// Runs git outside of every repository.
    pub(super) async fn outside(&self, args: &[&str]) -> Result<Said, Found> {
        let nowhere = [("GIT_DIR".to_owned(), "/dev/null".to_owned())];
        self.call(Path::new("/"), &nowhere, args, None).await
    }

    async fn call(
        &self,
        folder: &Path,
        variables: &[(String, String)],
        args: &[&str],
        input: Option<String>,
    ) -> Result<Said, Found> {
        let mut argv = vec!["git".to_owned(), "--no-pager".to_owned()];
        for setting in SETTINGS.iter().copied().chain(self.filters.iter().map(String::as_str)) {
            argv.extend(["-c".to_owned(), setting.to_owned()]);
        }
        argv.extend(args.iter().map(|arg| (*arg).to_owned()));
        let invocation = Invocation {
            argv,
            env: self.env.iter().chain(variables).cloned().collect(),
            cwd: Some(folder.to_owned()),
            stdin: input.map(String::into_bytes),
            timeout: self.until.saturating_duration_since(Instant::now()),
            keep: KEEP,
        };
        let word = args.first().copied().unwrap_or_default();
        // This is no command of the checklist's: nothing of it decides what is run.
        let ended = process::run(&invocation).await;
        let ended = ended.map_err(|error| Found::CouldNotLook { cause: error.message, retry: error.retry })?;
        let code = match ended.end {
            End::Exited(code) => code,
            End::Signalled(signal) => {
                let cause = format!("git {word} was ended by {}", process::signal_name(signal));
                return Err(Found::could_not_look(cause));
            }
            End::TimedOut => {
                let after = seconds(self.given.as_secs_f64());
                return Err(Found::could_not_look(format!("git {word} did not end within {after}")));
            }
        };
        let Some(stdout) = ended.stdout.whole() else {
            let cause = format!("git {word} says more than can be read: {} bytes", ended.stdout.total());
            return Err(Found::refused(cause));
        };
        let stderr = String::from_utf8_lossy(ended.stderr.head()).into_owned();
        Ok(Said { code, stdout: String::from_utf8_lossy(&stdout).into_owned(), stderr })
    }
}

impl Said {
    /// Returns the output without its last newline, when git ended well.
    pub(super) fn good(&self) -> Option<&str> {
        (self.code == 0).then(|| self.stdout.trim_end_matches('\n'))
    }

    /// Says in one line why git did not end well.
    pub(super) fn cause(&self) -> String {
        let line = self.stderr.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it did not say why");
        let line = line.trim_start_matches("fatal: ").trim_start_matches("error: ");
        line.chars().take(300).collect()
    }
}
