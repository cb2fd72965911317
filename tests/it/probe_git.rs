//! The probe `git` on real repositories: clean and not, pushed and not, shallow, hostile.

use std::path::PathBuf;
use std::process::Command;

use holdpoint::model::{Expectation, Found, Observation, Value};

use crate::support::probing::{Probing, cause, get, number, text};

/// A folder with repositories.
struct Ground(tempfile::TempDir);

impl Ground {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn git(&self, folder: &str, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=Tester", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]);
        command.args(["-c", "commit.gpgSign=false", "-c", "protocol.file.allow=always"]).args(args);
        command.current_dir(self.path(folder)).env("GIT_CONFIG_GLOBAL", "/dev/null").env("HOME", self.0.path());
        let output = command.output().expect("git runs");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    /// Makes a repository `work` with one commit, and a bare `remote.git` that has it.
    fn with_remote() -> Self {
        let ground = Self::new();
        std::fs::create_dir(ground.path("work")).expect("a folder");
        ground.git("work", &["init", "--quiet"]);
        ground.write("work/VERSION", "1.2.3\n");
        ground.commit("first");
        ground.git("", &["clone", "--quiet", "--bare", "work", "remote.git"]);
        ground.git("work", &["remote", "add", "origin", &ground.path("remote.git").display().to_string()]);
        ground.git("work", &["fetch", "--quiet", "origin"]);
        ground
    }

    fn commit(&self, message: &str) -> String {
        self.git("work", &["add", "--all"]);
        self.git("work", &["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git("work", &["rev-parse", "HEAD"])
    }

    async fn look(&self, folder: &str, wants: &[&str], rest: &str) -> Observation {
        let yaml = format!("{{ path: '{}'{rest} }}", self.path(folder).display());
        Probing::new().look("git", wants, &yaml).await
    }
}

fn is(look: &Observation, name: &str) -> bool {
    match get(look, name) {
        Value::Bool(value) => *value,
        other => panic!("{name}: {other:?} in {look:?}"),
    }
}

#[tokio::test]
async fn a_checkout_is_measured() {
    let ground = Ground::with_remote();
    let head = ground.git("work", &["rev-parse", "HEAD"]);
    let look = ground.look("work", &["describe"], "").await;
    assert_eq!((text(&look, "branch"), text(&look, "head")), ("main", head.as_str()));
    assert!(is(&look, "clean") && !is(&look, "shallow"));
    assert_eq!((number(&look, "changed"), text(&look, "describe")), (0.0, &head[..7]));
    assert!(matches!((get(&look, "tag"), get(&look, "tags")), (Value::Missing(_), Value::Missing(_))));
    ground.git("work", &["tag", "v1.2.3"]);
    let look = ground.look("work", &["describe"], "").await;
    assert_eq!((text(&look, "tag"), text(&look, "describe")), ("v1.2.3", "v1.2.3"));
    ground.git("work", &["tag", "-a", "-m", "x", "latest"]);
    let look = ground.look("work", &[], "").await;
    assert_eq!(get(&look, "tags"), &Value::Set(vec!["latest".into(), "v1.2.3".into()]));
    assert!(matches!(get(&look, "tag"), Value::NoData(why) if why.contains("2 tags")), "{look:?}");
    ground.git("work", &["checkout", "--quiet", "--detach"]);
    let look = ground.look("work", &[], "").await;
    assert!(matches!(get(&look, "branch"), Value::Missing(why) if why.contains("detached")), "{look:?}");
}

#[tokio::test]
async fn whatever_is_changed_is_not_clean() {
    let ground = Ground::with_remote();
    ground.write("work/new file", "x");
    ground.write("work/VERSION", "2\n");
    let look = ground.look("work", &[], "").await;
    assert!(!is(&look, "clean"));
    assert_eq!((number(&look, "changed"), look.evidence[0].text.as_str()), (2.0, " M VERSION\n?? new file\n"));
    // What the repository's own settings would hide is seen all the same.
    ground.git("work", &["checkout", "--quiet", "VERSION"]);
    ground.git("work", &["config", "status.showUntrackedFiles", "no"]);
    assert_eq!(number(&ground.look("work", &[], "").await, "changed"), 1.0);
    ground.write("work/.gitignore", "new file\n.gitignore\n");
    assert!(is(&ground.look("work", &[], "").await, "clean"), "what is ignored does not count");
}

#[tokio::test]
async fn what_lies_beneath_head_is_contained() {
    let ground = Ground::with_remote();
    let first = ground.git("work", &["rev-parse", "HEAD"]);
    ground.git("work", &["branch", "side"]);
    ground.commit("second");
    ground.git("work", &["checkout", "--quiet", "side"]);
    let other = ground.commit("third");
    ground.git("work", &["checkout", "--quiet", "main"]);
    for (wanted, is_in) in
        [(first.as_str(), true), (&first[..8], true), ("HEAD", true), (&other, false), ("side", false)]
    {
        let look = ground.look("work", &["contains"], &format!(", contains: '{wanted}'")).await;
        assert_eq!(is(&look, "contains"), is_in, "{wanted}");
    }
    let look = ground.look("work", &["contains"], ", contains: v9").await;
    assert!(matches!(get(&look, "contains"), Value::Missing(why) if why == "there is no v9 here"), "{look:?}");
    let look = ground.look("work", &["contains"], ", contains: '--help'").await;
    assert!(matches!(look.found, Found::CouldNotLook { .. }), "{look:?}");
}

#[tokio::test]
async fn pushed_is_told_by_the_last_fetch_or_by_the_remote() {
    let ground = Ground::with_remote();
    let remote = ground.path("remote.git").display().to_string();
    let ways = ["".to_owned(), ", remote: origin".to_owned(), format!(", remote: '{remote}'")];
    for way in &ways {
        let look = ground.look("work", &["pushed"], way).await;
        assert!(is(&look, "pushed") && look.notes.len() == 1, "{way}: {look:?}");
    }
    ground.commit("second");
    for way in &ways {
        assert!(!is(&ground.look("work", &["pushed"], way).await, "pushed"), "{way}");
    }
    // Somebody else pushes: the last fetch does not know, the remote does.
    ground.git("", &["clone", "--quiet", "remote.git", "other"]);
    ground.git("other", &["commit", "--quiet", "--allow-empty", "--message", "theirs"]);
    ground.git("other", &["push", "--quiet", "origin", "HEAD:main"]);
    let look = ground.look("work", &["pushed"], ", remote: origin").await;
    assert!(matches!(get(&look, "pushed"), Value::NoData(why) if why.contains("fetch first")), "{look:?}");
    ground.git("work", &["fetch", "--quiet", "origin"]);
    assert!(!is(&ground.look("work", &["pushed"], ", remote: origin").await, "pushed"));
    // A commit beneath the tip of the remote is on it.
    ground.git("work", &["checkout", "--quiet", "--detach", "origin/main~1"]);
    assert!(is(&ground.look("work", &["pushed"], ", remote: origin").await, "pushed"));
}

#[tokio::test]
async fn a_remote_that_does_not_answer_is_an_error() {
    let ground = Ground::with_remote();
    for (remote, why) in [
        ("nowhere", "has no remote"),
        ("/no/such/folder.git", "cannot be asked"),
        ("http://127.0.0.1:1/x.git", "cannot be asked"),
        ("ext::sh -c id", "behind a helper"),
        ("ftp://a/b", "over ftp://"),
        ("http://169.254.169.254/x.git", "link-local"),
    ] {
        let look = ground.look("work", &["pushed"], &format!(", remote: '{remote}'")).await;
        assert!(matches!(look.found, Found::CouldNotLook { .. }) && cause(&look).contains(why), "{remote}: {look:?}");
    }
    ground.git("work", &["remote", "remove", "origin"]);
    let look = ground.look("work", &["pushed"], "").await;
    assert!(matches!(get(&look, "pushed"), Value::NoData(why) if why.contains("no branch of a remote")), "{look:?}");
}

#[tokio::test]
async fn a_shallow_clone_does_not_say_what_it_does_not_know() {
    let ground = Ground::with_remote();
    let first = ground.git("work", &["rev-parse", "HEAD"]);
    ground.commit("second");
    ground.commit("third");
    ground.git("work", &["push", "--quiet", "origin", "main"]);
    let url = format!("file://{}", ground.path("remote.git").display());
    ground.git("", &["clone", "--quiet", "--depth", "1", &url, "cut"]);
    let look = ground.look("cut", &["contains", "pushed"], &format!(", contains: '{first}'")).await;
    assert!(is(&look, "shallow") && is(&look, "pushed"));
    assert!(matches!(get(&look, "contains"), Value::NoData(why) if why.contains("shallow")), "{look:?}");
    assert!(look.notes.iter().any(|n| n.text.contains("shallow")), "{look:?}");
}

#[tokio::test]
async fn the_version_file_is_held_against_the_tags() {
    let ground = Ground::with_remote();
    let tagged = async |rest: &str| ground.look("work", &["version", "version_tagged"], rest).await;
    let look = tagged(", version_file: VERSION").await;
    assert_eq!((text(&look, "version"), is(&look, "version_tagged")), ("1.2.3", false));
    ground.git("work", &["tag", "v1.2.3"]);
    assert!(is(&tagged(", version_file: VERSION").await, "version_tagged"));
    let look = tagged(", version_file: Cargo.toml").await;
    assert!(matches!(get(&look, "version_tagged"), Value::Missing(why) if why.contains("Cargo.toml")), "{look:?}");
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_an_error() {
    let ground = Ground::new();
    let look = ground.look("", &[], "").await;
    assert!(cause(&look).contains("no git repository"), "{look:?}");
    let look = ground.look("none", &[], "").await;
    assert!(cause(&look).contains("does not exist"), "{look:?}");
    std::fs::create_dir(ground.path("new")).expect("a folder");
    ground.git("new", &["init", "--quiet"]);
    let look = ground.look("new", &["pushed", "describe"], ", contains: HEAD").await;
    for name in ["head", "tag", "pushed", "describe", "contains"] {
        assert!(matches!(get(&look, name), Value::Missing(_)), "{name}: {look:?}");
    }
    assert!(is(&look, "clean") && text(&look, "branch") == "main");
}

#[tokio::test]
async fn a_hostile_repository_runs_nothing() {
    let ground = Ground::with_remote();
    let mark = ground.path("mark");
    let touch = format!("touch '{}'", mark.display());
    let script = ground.path("hook.sh");
    ground.write("hook.sh", &format!("#!/bin/sh\n{touch}\ncat\n"));
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let script = script.display().to_string();
    for hook in ["post-index-change", "reference-transaction", "fsmonitor-watchman"] {
        std::fs::copy(&script, ground.path(&format!("work/.git/hooks/{hook}"))).expect("a hook");
    }
    for (key, value) in [
        ("core.fsmonitor", &script),
        ("core.pager", &script),
        ("core.sshCommand", &script),
        ("core.askPass", &script),
        ("core.gitProxy", &script),
        ("credential.helper", &format!("!{touch}")),
        ("filter.evil.clean", &script),
        ("filter.evil.process", &script),
        ("filter.evil.required", &"true".to_owned()),
        ("diff.external", &script),
        ("remote.origin.uploadpack", &script),
        ("protocol.ext.allow", &"always".to_owned()),
        ("url.ext::sh -c touch% mark.insteadOf", &ground.path("remote.git").display().to_string()),
        ("alias.status", &format!("!{touch}")),
    ] {
        ground.git("work", &["config", key, value]);
    }
    ground.write("work/.git/info/attributes", "* filter=evil diff=evil\n");
    ground.write("work/VERSION", "9\n");
    let look = ground.look("work", &["describe"], ", remote: origin, contains: HEAD, version_file: VERSION").await;
    assert!(!mark.exists() && !ground.path("work/mark").exists(), "something was run: {look:?}");
    assert!(!is(&look, "clean") && is(&look, "pushed"), "{look:?}");
    assert!(look.notes.iter().any(|n| n.text.contains("filters")), "{look:?}");
    // The same settings do run commands when nothing is switched off: otherwise this proves nothing.
    let _ = Command::new("git").args(["status"]).current_dir(ground.path("work")).output().expect("git runs");
    assert!(mark.exists(), "the traps are set");
}

#[test]
fn what_a_key_asks_must_hold() {
    let implied = |wants: &[&str], yaml: &str| Probing::new().compile("git", wants, yaml).expect("valid").implied();
    assert!(implied(&[], ".").is_none());
    assert!(matches!(implied(&[], "{ path: ., contains: v1 }"), Some(Expectation::Measure { .. })));
    assert!(
        matches!(implied(&[], "{ path: ., contains: v1, remote: origin }"), Some(Expectation::All(all)) if all.len() == 2)
    );
    assert!(implied(&["contains"], "{ path: ., contains: v1 }").is_none());
    let said = Probing::new().compile("git", &[], "{ path: ., contain: v1 }").err().unwrap_or_default();
    assert!(said.iter().any(|m| m.starts_with("unknown-key")), "{said:?}");
}
