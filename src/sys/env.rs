//! Environment variables, user and host.

use std::collections::BTreeMap;

/// The environment that a run sees.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: BTreeMap<String, String>,
}

impl Env {
    /// Takes the environment of this process. Variables that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self { variables: variables.collect() }
    }

    /// Makes an environment of these variables alone.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect() }
    }

    /// Looks a variable up; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// Walks over all variables.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Names the user who runs this.
    pub fn user(&self) -> String {
        let named = self.get("USER").or_else(|| self.get("LOGNAME")).map(str::to_owned);
        let uid = rustix::process::getuid().as_raw();
        named.or_else(|| name_in_passwd(uid)).unwrap_or_else(|| format!("uid {uid}"))
    }

    /// Names the host that this runs on.
    pub fn host(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
}

/// Says which process this is, for others that wait for it: its command, its number and its host.
pub fn this_process() -> String {
    let word = std::env::args().nth(1).filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
    let command =
        word.filter(|word| !word.starts_with('-')).map_or("holdpoint".into(), |word| format!("holdpoint {word}"));
    format!("`{command}`, process {} on {}", std::process::id(), Env::default().host())
}

/// Looks a user's name up in `/etc/passwd`: a CI job often runs without `USER`.
fn name_in_passwd(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let uid = uid.to_string();
    let line = text.lines().find(|line| line.split(':').nth(2) == Some(uid.as_str()))?;
    line.split(':').next().map(str::to_owned)
}
