//! One look at a checkout: a few questions to git, each measured or told why not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::program::Git;
use super::{Filled, allow_path, remote, version};
use crate::model::{Evidence, Found, Measures, Note, Observation, Value};
use crate::sys::World;

/// The most changed files that stand in the evidence.
const MOST_FILES: usize = 500;

/// What is known of the checkout before anything is measured.
struct Tree {
    shallow: bool,
    /// The top of the tree; nothing in a repository without one.
    top: Option<PathBuf>,
    /// Where paths of remotes begin: the top, or in a repository without a tree the repository itself.
    base: PathBuf,
    /// The commit; nothing when there is none yet.
    head: Option<String>,
}

/// Looks at a checkout.
pub(super) async fn look(world: &World, asked: &Filled, timeout: Duration) -> Result<Observation, Found> {
    let folder = if asked.path.as_os_str().is_empty() { Path::new(".") } else { &asked.path };
    allow_path(world, folder.to_owned()).await?;
    let mut git = Git::new(world, folder, timeout);
    let tree = open(world, &git).await?;
    git.distrust().await?;
    let mut measures = Measures::new();
    let mut observation = Observation::new("", Found::Measures(Measures::new()));
    measures.plain("shallow", Value::Bool(tree.shallow));
    let head = tree.head.clone();
    measures.plain("head", head.map_or_else(|| Value::Missing("there is no commit yet".into()), Value::Text));
    measures.plain("branch", branch(&git).await?);
    clean(&git, &tree, &mut measures, &mut observation).await?;
    let tags = tags(&git, &tree, &mut measures).await?;
    if let Some(wanted) = &asked.contains {
        measures.plain("contains", contains(&git, &tree, wanted.trim()).await?);
    }
    if asked.describe {
        measures.plain("describe", describe(&git, &tree).await?);
    }
    if asked.pushed {
        let (value, note) = pushed(world, &git, &tree, asked.remote.as_deref()).await?;
        measures.plain("pushed", value);
        observation.notes.extend(note);
    }
    if let Some(file) = &asked.version_file {
        versions(world, &tree, file.trim(), &tags, &mut measures).await?;
    }
    if tree.shallow {
        observation.notes.push(Note::info("the clone is shallow: its history is cut"));
    }
    if git.has_filters() {
        let text = "the repository's own configuration defines filters, which are not run";
        observation.notes.push(Note::warning(format!("{text}: files that they filter count as changed")));
    }
    observation.found = Found::Measures(measures);
    Ok(observation)
}

/// Finds the repository, and asks the policy about where it really is.
async fn open(world: &World, git: &Git) -> Result<Tree, Found> {
    let said =
        git.run(&["rev-parse", "--is-inside-work-tree", "--is-shallow-repository", "--absolute-git-dir"]).await?;
    let Some(text) = said.good() else {
        let cause = match said.stderr.contains("not a git repository") {
            true => "there is no git repository here".to_owned(),
            false => format!("git cannot read the repository: {}", said.cause()),
        };
        return Err(Found::refused(cause));
    };
    let mut lines = text.lines();
    let (inside, shallow) = (lines.next() == Some("true"), lines.next() == Some("true"));
    let folder = PathBuf::from(lines.next().unwrap_or("/"));
    allow_path(world, folder.clone()).await?;
    let top = match inside {
        true => git.run(&["rev-parse", "--show-toplevel"]).await?.good().map(PathBuf::from),
        false => None,
    };
    if let Some(top) = &top {
        allow_path(world, top.clone()).await?;
    }
    let head = git.run(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).await?;
    let base = top.clone().unwrap_or(folder);
    Ok(Tree { shallow, top, base, head: head.good().map(str::to_owned) })
}

async fn branch(git: &Git) -> Result<Value, Found> {
    let said = git.run(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await?;
    match (said.good(), said.code) {
        (Some(branch), _) => Ok(Value::Text(branch.to_owned())),
        (None, 1) => Ok(Value::Missing("HEAD is detached: no branch is checked out".to_owned())),
        (None, _) => Err(Found::could_not_look(format!("git symbolic-ref: {}", said.cause()))),
    }
}

async fn clean(git: &Git, tree: &Tree, measures: &mut Measures, seen: &mut Observation) -> Result<(), Found> {
    if tree.top.is_none() {
        for name in ["clean", "changed"] {
            measures.plain(name, Value::Missing("the repository has no tree of files (it is bare)".to_owned()));
        }
        return Ok(());
    }
    let args = ["status", "--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=dirty"];
    let said = git.run(&args).await?;
    if said.code != 0 {
        return Err(Found::could_not_look(format!("git status: {}", said.cause())));
    }
    let changed = changes(&said.stdout);
    measures.plain("clean", Value::Bool(changed.is_empty()));
    measures.plain("changed", Value::Number(changed.len() as f64));
    if !changed.is_empty() {
        let mut text = changed.iter().take(MOST_FILES).map(|line| format!("{line}\n")).collect::<String>();
        if changed.len() > MOST_FILES {
            text.push_str(&format!("and {} more\n", changed.len() - MOST_FILES));
        }
        seen.evidence.push(Evidence { title: "changed files".into(), text, left_out: 0 });
    }
    Ok(())
}

/// Reads what `status -z` says: an entry each, and of a renamed file its old name as one more.
fn changes(said: &str) -> Vec<String> {
    let mut entries = said.split('\0').filter(|entry| !entry.is_empty());
    let mut out = Vec::new();
    while let Some(entry) = entries.next() {
        let moved = entry.get(..2).is_some_and(|code| code.contains(['R', 'C']));
        let old = if moved { entries.next() } else { None };
        out.push(old.map_or_else(|| entry.to_owned(), |old| format!("{entry} (was {old})")));
    }
    out
}

async fn tags(git: &Git, tree: &Tree, measures: &mut Measures) -> Result<Vec<String>, Found> {
    let mut tags: Vec<String> = Vec::new();
    if tree.head.is_some() {
        let said = git.run(&["for-each-ref", "--points-at=HEAD", "--format=%(refname:strip=2)", "refs/tags"]).await?;
        let Some(names) = said.good() else {
            return Err(Found::could_not_look(format!("git for-each-ref: {}", said.cause())));
        };
        tags.extend(names.lines().map(str::to_owned));
    }
    let missing = || Value::Missing("no tag is known of this commit".to_owned());
    measures.plain(
        "tag",
        match tags.as_slice() {
            [] => missing(),
            [one] => Value::Text(one.clone()),
            several => Value::NoData(format!("the commit has {} tags: {}", several.len(), several.join(", "))),
        },
    );
    measures.plain("tags", if tags.is_empty() { missing() } else { Value::Set(tags.clone()) });
    Ok(tags)
}

async fn contains(git: &Git, tree: &Tree, wanted: &str) -> Result<Value, Found> {
    if wanted.is_empty() || wanted.starts_with('-') {
        return Err(Found::refused(format!("{wanted:?} is no commit, tag or branch")));
    }
    let Some(head) = &tree.head else { return Ok(Value::Missing("there is no commit yet".to_owned())) };
    let cut = || Value::NoData(format!("the clone is shallow, so nobody knows whether {wanted} lies beneath HEAD"));
    let found = git.run(&["rev-parse", "--verify", "--quiet", &format!("{wanted}^{{commit}}")]).await?;
    let Some(commit) = found.good() else {
        return Ok(if tree.shallow { cut() } else { Value::Missing(format!("there is no {wanted} here")) });
    };
    let said = git.run(&["merge-base", "--is-ancestor", commit, head]).await?;
    match said.code {
        0 => Ok(Value::Bool(true)),
        1 if tree.shallow => Ok(cut()),
        1 => Ok(Value::Bool(false)),
        _ => Err(Found::could_not_look(format!("git merge-base: {}", said.cause()))),
    }
}

async fn describe(git: &Git, tree: &Tree) -> Result<Value, Found> {
    if tree.head.is_none() {
        return Ok(Value::Missing("there is no commit yet".to_owned()));
    }
    let said = git.run(&["describe", "--tags", "--always"]).await?;
    match said.good() {
        Some(text) => Ok(Value::Text(text.to_owned())),
        None => Err(Found::could_not_look(format!("git describe: {}", said.cause()))),
    }
}

async fn pushed(world: &World, git: &Git, tree: &Tree, remote: Option<&str>) -> Result<remote::Pushed, Found> {
    let Some(head) = &tree.head else { return Ok((Value::Missing("there is no commit yet".to_owned()), None)) };
    match remote {
        Some(remote) => remote::as_asked(git, world, remote, head, &tree.base).await,
        None => remote::as_fetched(git, tree.shallow).await,
    }
}

async fn versions(
    world: &World,
    tree: &Tree,
    file: &str,
    tags: &[String],
    measures: &mut Measures,
) -> Result<(), Found> {
    let Some(top) = &tree.top else {
        let bare = || Value::Missing("the repository has no tree of files (it is bare)".to_owned());
        measures.plain("version", bare());
        measures.plain("version_tagged", bare());
        return Ok(());
    };
    let path = top.join(file);
    allow_path(world, path.clone()).await?;
    let read = tokio::task::spawn_blocking(move || version::read(&path)).await;
    let version = read.map_err(|e| Found::could_not_look(format!("the look broke off: {e}")))?;
    let tagged = match &version {
        Value::Text(version) => Value::Bool(tags.iter().any(|tag| version::is_tag_of(tag, version))),
        other => other.clone(),
    };
    measures.plain("version", version);
    measures.plain("version_tagged", tagged);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_file_is_one_change() {
        let said = "R  new\0old\0?? a b\0 M c\0";
        assert_eq!(changes(said), ["R  new (was old)", "?? a b", " M c"]);
        assert!(changes("").is_empty());
    }
}
