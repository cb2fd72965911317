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
        named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
    }

    /// Names the host that this runs on.
    pub fn host(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
}
