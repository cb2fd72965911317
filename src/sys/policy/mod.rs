//! What a checklist may touch. [`Policy`] is asked wherever something outside is about to be touched: before a name is
//! looked up, when an address is connected to, before a program starts, before a file is opened.
//!
//! Without a policy file everything may be touched but link-local addresses and the metadata services of clouds
//! ([`address`]): no checklist needs them, and a checklist from elsewhere would find credentials there. The file is read
//! by `crate::policy`.

pub mod address;
pub mod commands;
pub mod files;
pub mod hosts;
pub mod listed;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

pub use commands::CommandPattern;
pub use files::Tree;
pub use hosts::HostPattern;
pub use listed::{Listed, Refusal, Rule};

use super::env::Env;

/// What may be touched. The default is that of a run without a policy file.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The file as the user named it.
    pub file: Option<String>,
    /// Kinds of probes.
    pub probes: Listed<String>,
    /// Kinds of sources, and names of them.
    pub sources: Listed<String>,
    /// Commands.
    pub commands: Listed<CommandPattern>,
    /// Hosts.
    pub hosts: Listed<HostPattern>,
    /// Files to read.
    pub files: Listed<Tree>,
    /// The rule that refuses every step that changes the world.
    pub no_changes: Option<Rule>,
}

/// Something outside that a step is known to touch before it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touch {
    /// A host, with its port if it is known.
    Host(String, Option<u16>),
    /// A command: the program and its arguments.
    Command(Vec<String>),
    /// A file or a folder.
    Path(PathBuf),
}

impl Touch {
    /// Reads `host:port`; a text without a port is a host.
    pub fn host(text: &str) -> Self {
        let text = text.trim();
        match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
                Ok(port) => Self::Host(host.to_owned(), Some(port)),
                Err(_) => Self::Host(text.to_owned(), None),
            },
            _ => Self::Host(text.to_owned(), None),
        }
    }

    /// Takes the host and the port of a URL.
    pub fn of_url(url: &url::Url) -> Option<Self> {
        Some(Self::Host(url.host_str()?.to_owned(), url.port_or_known_default()))
    }

    /// Takes what a path or a glob stands for: of a glob, the folder in which it begins to look.
    pub fn of_files(written: &str) -> Self {
        Self::Path(base(written).into())
    }
}

/// Returns the folder in which a glob begins to look; a path that is none, as it is.
fn base(written: &str) -> &str {
    match written.find(['*', '?', '[', '{']) {
        None => written,
        Some(at) => written[..at].rfind('/').map_or(".", |slash| &written[..=slash]),
    }
}

impl Policy {
    /// Tells whether nothing is ruled but what holds without a policy file.
    pub fn is_default(&self) -> bool {
        self.file.is_none()
    }

    /// Judges a kind of probe.
    ///
    /// # Errors
    /// Says by which rule it is refused.
    pub fn allow_probe(&self, kind: &str) -> Result<(), Refusal> {
        self.probes.judge(&format!("the probe {kind}"), |p| p == kind, |p| p == kind)
    }

    /// Judges a source by its kind and its name.
    ///
    /// # Errors
    /// Says by which rule it is refused.
    pub fn allow_source(&self, kind: &str, name: &str) -> Result<(), Refusal> {
        let what = if kind == name { format!("the source {name}") } else { format!("the {kind} source {name}") };
        self.sources.judge(&what, |p| p == kind || p == name, |p| p == kind)
    }

    /// Judges a step that changes the world.
    ///
    /// # Errors
    /// Says by which rule it is refused.
    pub fn allow_changes(&self, what: &str) -> Result<(), Refusal> {
        self.no_changes.as_ref().map_or(Ok(()), |rule| Err(rule.denies(what)))
    }

    /// Judges a host before its name is looked up. Where addresses are listed, [`Policy::allow_address`] has the last
    /// word; whoever connects must ask it too, for every address.
    ///
    /// # Errors
    /// Says by which rule it is refused.
    pub fn allow_host(&self, host: &str, port: Option<u16>) -> Result<(), Refusal> {
        hosts::by_name(&self.hosts, host, port)
    }

    /// Judges an address that `host` turned out to have, at the moment of connecting. A port that is not known counts as
    /// one that fits.
    ///
    /// # Errors
    /// Says by which rule it is refused.
    pub fn allow_address(&self, host: &str, ip: IpAddr, port: Option<u16>) -> Result<(), Refusal> {
        hosts::by_address(&self.hosts, host, ip, port)
    }

    /// Leaves of the addresses of a host those that may be connected to.
    ///
    /// # Errors
    /// Says why none is left.
    pub fn admitted(
        &self,
        host: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
        port: Option<u16>,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        let (mut left, mut refused) = (Vec::new(), None);
        for address in addresses {
            match self.allow_address(host, address.ip(), port) {
                Ok(()) => left.push(address),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        match refused {
            Some(refusal) if left.is_empty() => Err(refusal),
            _ => Ok(left),
        }
    }

    /// Judges a URL by its host and port.
    ///
    /// # Errors
    /// Says by which rule it is refused.
    pub fn allow_url(&self, url: &url::Url) -> Result<(), Refusal> {
        url.host_str().map_or(Ok(()), |host| self.allow_host(host, url.port_or_known_default()))
    }

    /// Judges a command by its words.
    ///
    /// # Errors
    /// Says by which rule it is refused.
    pub fn allow_command(&self, argv: &[String]) -> Result<(), Refusal> {
        let mut what: String = argv.join(" ").chars().take(120).collect();
        what.insert_str(0, "the command ");
        self.commands.judge(&what, |p| p.denies(argv), |p| p.allows(argv))
    }

    /// Judges the environment that a command gets: where commands are listed, a checklist must not set what decides
    /// which program a name stands for, or what it loads.
    ///
    /// # Errors
    /// Says which variable is refused, and by which rule.
    pub fn allow_environment(&self, variables: &[(String, String)], own: &Env) -> Result<(), Refusal> {
        let Some((rule, _)) = &self.commands.allow else { return Ok(()) };
        let set = |name: &str, value: &str| own.get(name) != Some(value);
        // Without a PATH of its own the process passes the usual one on.
        let usual = |name: &str| name == "PATH" && own.get(name).is_none();
        match variables.iter().find(|(name, value)| commands::steers(name) && set(name, value) && !usual(name)) {
            None => Ok(()),
            Some((name, _)) => Err(rule.denies(&format!("{name} is set anew, and could make a command run another"))),
        }
    }

    /// Judges the folder that a command is to run in: where commands are listed, a checklist must not choose where a
    /// program that is named from there, or a line for a shell, begins.
    ///
    /// # Errors
    /// Says by which rule the folder is refused.
    pub fn allow_folder(&self, argv: &[String], folder: Option<&Path>) -> Result<(), Refusal> {
        let (Some((rule, _)), Some(folder)) = (&self.commands.allow, folder) else { return Ok(()) };
        let from_there = argv.first().is_some_and(|program| program.contains('/') && !program.starts_with('/'));
        let is_line = argv.get(1).is_some_and(|flag| flag == "-c");
        match from_there || is_line {
            true => Err(rule.denies(&format!("in the folder {} the command could be another", folder.display()))),
            false => Ok(()),
        }
    }

    /// Judges a file that is to be read, or a folder. Blocks: the path is followed to where it leads.
    ///
    /// # Errors
    /// Says by which rule it is refused, or that it cannot be told where it leads.
    pub fn allow_path(&self, path: &Path) -> Result<(), Refusal> {
        if self.files.is_open() {
            return Ok(());
        }
        let what = format!("the path {}", path.display());
        let settled = files::settled(path);
        let settled = settled.map_err(|e| Refusal { message: format!("refused: {what} cannot be followed: {e}") })?;
        self.files.judge(&what, |tree| tree.holds(&settled), |tree| tree.holds(&settled))
    }

    /// Judges files that a path or a glob stands for: where it begins to look, and each file that it found. Blocks.
    ///
    /// # Errors
    /// Says by which rule one is refused.
    pub fn allow_files(&self, written: &str, found: &[PathBuf]) -> Result<(), Refusal> {
        if self.files.is_open() {
            return Ok(());
        }
        self.allow_path(Path::new(base(written)))?;
        found.iter().try_for_each(|path| self.allow_path(path))
    }

    /// Judges what a step is known to touch. Blocks for a path.
    ///
    /// # Errors
    /// Says by which rule it is refused.
    pub fn allow(&self, touch: &Touch) -> Result<(), Refusal> {
        match touch {
            Touch::Host(host, port) => self.allow_host(host, *port),
            Touch::Command(argv) => self.allow_command(argv),
            Touch::Path(path) => self.allow_path(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_with_and_without_ports() {
        let host = |host: &str, port| Touch::Host(host.to_owned(), port);
        assert_eq!(Touch::host("a.test:80"), host("a.test", Some(80)));
        assert_eq!(Touch::host("[::1]:80"), host("[::1]", Some(80)));
        assert_eq!(Touch::host("::1"), host("::1", None));
        assert_eq!(Touch::host("a.test"), host("a.test", None));
    }

    #[test]
    fn a_command_list_keeps_the_path_as_it_is() {
        let allow =
            Some((listed::tests::rule("commands.allow: git"), vec![CommandPattern::new(&["git"]).expect("one")]));
        let policy = Policy { commands: Listed { allow, deny: Vec::new() }, ..Policy::default() };
        let own = Env::of([("PATH".to_owned(), "/bin".to_owned())]);
        let with = |name: &str, value: &str| policy.allow_environment(&[(name.into(), value.into())], &own).is_ok();
        assert!(with("PATH", "/bin") && with("TOKEN", "x"));
        assert!(!with("PATH", "/tmp") && !with("LD_PRELOAD", "/tmp/x.so"));
        assert!(Policy::default().allow_environment(&[("PATH".into(), "/tmp".into())], &own).is_ok());
        let within = |argv: &[&str]| {
            let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
            policy.allow_folder(&argv, Some(Path::new("/tmp"))).is_ok()
        };
        assert!(within(&["git", "log"]) && within(&["/bin/ls"]));
        assert!(!within(&["./check.sh"]) && !within(&["/bin/sh", "-c", "./check.sh"]));
    }
}
