//! `git`: where a checkout stands. [`program`] runs git so that a tree of others does no harm, [`look`] measures,
//! [`remote`] finds out whether a commit was pushed, [`version`] reads version files.

mod look;
mod program;
mod remote;
mod version;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Compiling, Look, MeasureSpec, Probe, ProbeKind, measure};
use crate::model::{Expectation, Found, Kind, Literal, Matcher, MeasureName, Observation, Origin};
use crate::shape::{Object, Shape, field, required};
use crate::sys::World;
use crate::sys::policy::Touch;
use crate::template::{Place, Scope, Template, TemplateError};
use crate::yaml::Node;

/// The kind `git`.
pub const KIND: ProbeKind = ProbeKind {
    name: "git",
    summary: "a git checkout: branch, tags, clean or not, pushed or not",
    manual: MANUAL,
    shape: Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]),
    measures: MEASURES,
    speaks_for_itself: false,
    compile,
};

const MANUAL: &str = "\
Looks at a checkout with the program `git`. The short form is its folder:

```yaml
- name: The release is cut from a clean main
  git: .
  expect: { branch: main, clean: true, pushed: true }

- name: The tag is that of the version, and on the remote
  git: { path: ., version_file: Cargo.toml, remote: origin }
  expect: { tag: \"v{{ inputs.version }}\", version_tagged: true, pushed: true }

- name: The fix is in
  git: { path: ., contains: 4f2c1e9 }
```

What `contains`, `remote` and `version_file` ask must hold, also without `expect`.

**Clean** is a tree without changed, staged, untracked or conflicting files; what is ignored does not count. The files \
stand in the evidence. Submodules are compared by their commits, not by their files.

**Pushed** means that HEAD is on a branch of a remote: as of the last fetch, or with `remote` (a name or a URL) as the \
remote says now. When the remote has branches that are not known here, that may be nobody's to say: *no data*, fetch \
first.

**Versions** are read from `Cargo.toml`, `package.json`, `composer.json`, `pyproject.toml`, `Chart.yaml`, or a file \
with one line. `version_tagged` is whether a tag of HEAD is that version, with or without a `v`.

**Missing and no data.** A detached HEAD has no branch, a commit may have no tag, a commit or file that is asked for \
may not be there: *missing*. In a shallow clone, what lies beyond its history is *no data*.

**Errors.** A folder that is no repository, git that is not installed, does not end within `timeout` or cannot read \
the repository, and a remote that does not answer are *errors*.

The tree need not be trusted: hooks, file monitors, filters of the repository's own configuration and everything else \
in it that runs commands are switched off, nothing is written, and a remote is asked from outside of the repository. \
Files under such a filter count as changed; the report says so.
";

const OBJECT: Object = Object {
    name: "git",
    open: false,
    fields: &[
        required("path", Shape::Template, "The folder of the checkout, or one in it."),
        field("contains", Shape::Template, "A commit, tag or branch that must lie beneath HEAD."),
        field(
            "remote",
            Shape::Template,
            "A remote to ask whether HEAD is on it: its name or its URL. Without it, the last fetch counts.",
        ),
        field("version_file", Shape::Template, "A file that names the version, from the top of the tree."),
    ],
};

const MEASURES: &[MeasureSpec] = &[
    measure("branch", Kind::Text, "The branch that is checked out; missing when HEAD is detached."),
    measure("clean", Kind::Bool, "Whether nothing is changed, staged, untracked or in conflict."),
    measure("changed", Kind::Number, "How many files are."),
    measure("head", Kind::Text, "The commit that is checked out, as its whole id."),
    measure("tag", Kind::Text, "The tag of that commit; missing without one, no data with several."),
    measure("tags", Kind::Set, "All its tags; missing without one."),
    measure("contains", Kind::Bool, "Whether what `contains` names lies beneath HEAD, or is HEAD."),
    measure("pushed", Kind::Bool, "Whether HEAD is on a branch of a remote."),
    measure("describe", Kind::Text, "What `git describe --tags --always` says."),
    measure("version", Kind::Text, "The version that the version file names."),
    measure("version_tagged", Kind::Bool, "Whether a tag of HEAD is that version."),
    measure("shallow", Kind::Bool, "Whether the clone is shallow: its history is cut."),
];

/// A checkout to look at, ready to be filled in.
struct Git {
    path: Template,
    contains: Option<Template>,
    remote: Option<Template>,
    version_file: Option<Template>,
    /// What is taken only if it is wanted.
    pushed: bool,
    describe: bool,
    implied: Vec<&'static str>,
    origin: Origin,
}

/// The same, filled in.
struct Filled {
    path: PathBuf,
    contains: Option<String>,
    remote: Option<String>,
    version_file: Option<String>,
    pushed: bool,
    describe: bool,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let place = if node.text().is_some() { node } else { node.get("path")? };
    let path = compiling.reading.template(place, Place::Plain)?;
    let wants = compiling.wants;
    // What a key asks must hold, unless the step says itself what of it must.
    let asked = [("contains", "contains"), ("remote", "pushed"), ("version_file", "version_tagged")];
    let judged = |measure: &str| wants.any(measure) || measure == "version_tagged" && wants.any("version");
    let implied = asked.into_iter().filter(|(key, measure)| node.get(key).is_some() && !judged(measure));
    let implied: Vec<_> = implied.map(|(_, measure)| measure).collect();
    Some(Box::new(Git {
        path,
        contains: compiling.reading.template_at(node, "contains", Place::Plain),
        remote: compiling.reading.template_at(node, "remote", Place::Plain),
        version_file: compiling.reading.template_at(node, "version_file", Place::Plain),
        pushed: wants.any("pushed") || node.get("remote").is_some(),
        describe: wants.any("describe"),
        implied,
        origin: compiling.reading.origin(node),
    }))
}

#[async_trait]
impl Probe for Git {
    fn describe(&self) -> String {
        format!("look at the checkout {}", self.path.source())
    }

    fn implied(&self) -> Option<Expectation> {
        let one = |measure: &&'static str| Expectation::Measure {
            name: MeasureName::plain(measure),
            kind: Kind::Bool,
            matcher: Matcher::Equals(Literal::Bool(true)),
            origin: self.origin.clone(),
        };
        let mut all: Vec<_> = self.implied.iter().map(one).collect();
        if all.len() > 1 { Some(Expectation::All(all)) } else { all.pop() }
    }

    fn touches(&self, scope: &Scope) -> Vec<Touch> {
        self.path.render(scope).map(|path| Touch::Path(path.trim().into())).into_iter().collect()
    }

    fn grace(&self) -> std::time::Duration {
        crate::sys::process::GRACE + std::time::Duration::from_secs(2)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let filled = match self.fill(look) {
            Ok(filled) => filled,
            Err(error) => return Observation::new(self.describe(), Found::refused(error.message)),
        };
        let request = format!("git in {}", filled.path.display());
        match look::look(look.world, &filled, look.timeout).await {
            Ok(observation) => Observation { request, ..observation },
            Err(found) => Observation::new(request, found),
        }
    }
}

impl Git {
    fn fill(&self, look: &Look<'_>) -> Result<Filled, TemplateError> {
        let optional = |template: &Option<Template>| template.as_ref().map(|t| t.render(look.scope)).transpose();
        Ok(Filled {
            path: PathBuf::from(self.path.render(look.scope)?.trim()),
            contains: optional(&self.contains)?,
            remote: optional(&self.remote)?,
            version_file: optional(&self.version_file)?,
            pushed: self.pushed,
            describe: self.describe,
        })
    }
}

/// Asks the policy about a path.
async fn allow_path(world: &World, path: PathBuf) -> Result<(), Found> {
    let policy = Arc::clone(&world.policy);
    let judged = tokio::task::spawn_blocking(move || policy.allow_path(&path)).await;
    match judged {
        Ok(judged) => judged.map_err(|refusal| Found::refused(refusal.message)),
        Err(error) => Err(Found::could_not_look(format!("the look broke off: {error}"))),
    }
}
