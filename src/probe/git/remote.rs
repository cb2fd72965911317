//! Whether a commit is on the remote: as of the last fetch, or as the remote itself says now.

use std::path::{Path, PathBuf};

use super::program::Git;
use crate::model::{Found, Note, Value};
use crate::sys::World;
use crate::sys::net::{self, NoAddress};

/// The most references of a remote that are looked at.
const MOST: usize = 50_000;

/// Whether HEAD is on a remote, with a remark on how that is known.
pub(super) type Pushed = (Value, Option<Note>);

/// Looks among the remote-tracking branches.
pub(super) async fn as_fetched(git: &Git, shallow: bool) -> Result<Pushed, Found> {
    let holding = git.run(&["for-each-ref", "--contains=HEAD", "--format=%(refname:strip=2)", "refs/remotes"]).await?;
    let Some(holding) = holding.good() else {
        return Err(Found::could_not_look(format!("git for-each-ref: {}", holding.cause())));
    };
    if let Some(branch) = holding.lines().find(|name| !name.ends_with("/HEAD")).or(holding.lines().next()) {
        return Ok((Value::Bool(true), Some(Note::info(format!("HEAD is on {branch}, as of the last fetch")))));
    }
    let any = git.run(&["for-each-ref", "--count=1", "--format=%(refname)", "refs/remotes"]).await?;
    let value = match (any.good().is_some_and(|names| !names.is_empty()), shallow) {
        (false, _) => Value::NoData("no branch of a remote is known here; name one with remote".to_owned()),
        (true, true) => Value::NoData("the clone is shallow: the history of its remote's branches is cut".to_owned()),
        (true, false) => Value::Bool(false),
    };
    Ok((value, None))
}

/// Asks a remote: by its name, or by its URL. A path is taken from `base`, as git itself would.
pub(super) async fn as_asked(git: &Git, world: &World, remote: &str, head: &str, base: &Path) -> Result<Pushed, Found> {
    let mut url = url(git, remote).await?;
    let place = place(&url).map_err(Found::refused)?;
    if let Place::Path(path) = &place
        && path.is_relative()
    {
        url = base.join(path).display().to_string();
    }
    allow(world, place, base).await?;
    let listed = git.outside(&["ls-remote", "--heads", "--tags", "--quiet", &url]).await?;
    let shown = shown(&url);
    let Some(listed) = listed.good() else {
        return Err(Found::could_not_look(format!("the remote {shown} cannot be asked: {}", listed.cause())));
    };
    let tips: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once('\t')).take(MOST + 1).collect();
    if tips.is_empty() {
        return Ok((Value::Bool(false), Some(Note::info(format!("the remote {shown} is empty")))));
    }
    if tips.len() > MOST {
        return Err(Found::refused(format!("the remote {shown} has more than {MOST} branches and tags")));
    }
    if let Some((_, name)) = tips.iter().find(|(id, _)| *id == head) {
        return Ok((Value::Bool(true), Some(Note::info(format!("HEAD is {name} of {shown}")))));
    }
    beneath(git, &tips, head, &shown).await
}

/// Finds out whether a commit lies beneath one of the tips, as far as these are known here.
async fn beneath(git: &Git, tips: &[(&str, &str)], head: &str, shown: &str) -> Result<Pushed, Found> {
    let ids: String = tips.iter().map(|(id, _)| format!("{id}\n")).collect();
    let known = git.feed(&["cat-file", "--batch-check=%(objectname) %(objecttype)"], ids).await?;
    let Some(known) = known.good() else {
        return Err(Found::could_not_look(format!("git cat-file: {}", known.cause())));
    };
    let pairs = known.lines().filter_map(|line| line.split_once(' '));
    let here: Vec<&str> = pairs.filter(|(_, kind)| *kind != "missing").map(|(id, _)| id).collect();
    if !here.is_empty() {
        let range: String =
            std::iter::once(format!("{head}\n")).chain(here.iter().map(|id| format!("^{id}\n"))).collect();
        let left = git.feed(&["rev-list", "--max-count=1", "--stdin"], range).await?;
        let Some(left) = left.good() else {
            return Err(Found::could_not_look(format!("git rev-list: {}", left.cause())));
        };
        if left.is_empty() {
            return Ok((
                Value::Bool(true),
                Some(Note::info(format!("HEAD lies beneath a branch or a tag of {shown}"))),
            ));
        }
    }
    let unknown = tips.iter().filter(|(id, _)| !here.contains(id)).map(|(_, name)| *name).collect::<Vec<_>>();
    match unknown.first() {
        None => Ok((Value::Bool(false), None)),
        Some(first) => {
            let why = format!("{first} of {shown} is not known here, and may have HEAD beneath it; fetch first");
            Ok((Value::NoData(why), None))
        }
    }
}

/// Finds the URL of a remote.
async fn url(git: &Git, remote: &str) -> Result<String, Found> {
    let remote = remote.trim();
    if remote.is_empty() || remote.starts_with('-') {
        return Err(Found::refused(format!("{remote:?} is no remote")));
    }
    let named = git.run(&["config", "--get", &format!("remote.{remote}.url")]).await?;
    let found = named.good().filter(|url| !url.is_empty());
    match found {
        Some(url) if url.starts_with('-') => Err(Found::refused(format!("{url:?} is no URL of a remote"))),
        Some(url) => Ok(url.to_owned()),
        None if remote.contains(['/', ':']) => Ok(remote.to_owned()),
        None => Err(Found::refused(format!("the repository has no remote {remote:?}"))),
    }
}

/// Where a remote is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Host(String, u16),
    Path(PathBuf),
}

/// Asks the policy about a remote, by its host or its path.
async fn allow(world: &World, place: Place, base: &Path) -> Result<(), Found> {
    match place {
        Place::Host(host, port) => match net::resolve(&world.policy, &host, port).await {
            Ok(_) => Ok(()),
            Err(NoAddress::Refused(refusal)) => Err(Found::refused(refusal.message)),
            Err(NoAddress::Unknown(cause)) => Err(Found::could_not_look(format!("the remote: {cause}"))),
        },
        Place::Path(path) => super::allow_path(world, base.join(path)).await,
    }
}

/// Reads the URL of a remote as git does: `scheme://`, `user@host:path`, or a path.
fn place(url: &str) -> Result<Place, String> {
    if let Some((scheme, rest)) = url.split_once("://") {
        let port = match scheme {
            "https" => 443,
            "http" => 80,
            "ssh" | "git+ssh" | "ssh+git" => 22,
            "git" => 9418,
            "file" => return Ok(Place::Path(rest.into())),
            other => return Err(format!("a remote over {other}:// is not asked")),
        };
        let parsed = url::Url::parse(url).map_err(|e| format!("the remote is no URL: {e}"))?;
        let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or("the remote names no host")?;
        return Ok(Place::Host(host.trim_matches(['[', ']']).to_owned(), parsed.port().unwrap_or(port)));
    }
    if url.contains("::") {
        return Err("a remote behind a helper is not asked".to_owned());
    }
    match url.split_once(':') {
        Some((host, _)) if !host.contains('/') => {
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            Ok(Place::Host(host.to_owned(), 22))
        }
        _ => Ok(Place::Path(url.into())),
    }
}

/// Shows a URL without the credentials that it may carry.
fn shown(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(parsed) if url.contains("://") => crate::sys::http::shown(&parsed),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_are_hosts_or_paths() {
        let host = |name: &str, port| Ok(Place::Host(name.to_owned(), port));
        assert_eq!(place("https://u:p@git.test/a.git"), host("git.test", 443));
        assert_eq!(place("ssh://git@git.test:2222/a"), host("git.test", 2222));
        assert_eq!(place("git@git.test:a/b.git"), host("git.test", 22));
        assert_eq!(place("/srv/a.git"), Ok(Place::Path("/srv/a.git".into())));
        assert_eq!(place("../a.git"), Ok(Place::Path("../a.git".into())));
        assert_eq!(place("file:///srv/a.git"), Ok(Place::Path("/srv/a.git".into())));
        for bad in ["ext::sh -c id", "ftp://x/y", "https:///x"] {
            assert!(place(bad).is_err() || !matches!(place(bad), Ok(Place::Path(_))), "{bad}");
        }
        assert_eq!(shown("https://u:p@git.test/a"), "https://git.test/a");
    }
}
