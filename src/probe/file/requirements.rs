//! Python requirements files: what is required, and what of it is not pinned to one version.
//!
//! The form is that of pip's requirements files and of PEP 508; `-r` and `-c` are followed. This module opens no file
//! itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The most files that may include each other.
const MAX_FILES: usize = 100;
/// The operators of versions, the longer before those that they begin with.
const OPERATORS: &[&str] = &["===", "==", "~=", "!=", "<=", ">=", "<", ">"];

/// What requirements files ask for.
#[derive(Debug, Default)]
pub(super) struct Requirements {
    list: Vec<Requirement>,
    /// By name: constraints that name one version.
    constrained: BTreeSet<String>,
    files: Vec<PathBuf>,
}

#[derive(Debug)]
struct Requirement {
    name: Option<String>,
    written: String,
    specifier: String,
    extras: Vec<String>,
    marker: Option<String>,
    url: Option<String>,
    hashes: usize,
    editable: bool,
    pinned: bool,
    file: String,
    line: usize,
}

/// Whether a file says what is installed, or only in which version.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Requirements,
    Constraints,
}

/// Reads a requirements file and those that it includes. `open` returns the text of a further file.
///
/// # Errors
/// Says which line is no requirement, or which file cannot be read.
pub(super) fn read(
    text: &str,
    path: &Path,
    open: &dyn Fn(&Path) -> Result<String, String>,
) -> Result<Requirements, String> {
    let mut all = Requirements::default();
    all.take(text, path, As::Requirements, open)?;
    // A constraint pins a requirement wherever the two stand.
    for one in &mut all.list {
        one.pinned |= one.name.as_ref().is_some_and(|name| all.constrained.contains(name));
    }
    Ok(all)
}

impl Requirements {
    /// Tells whether nothing is required.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Lists what is not pinned: as it is written, with its place.
    pub(super) fn unpinned(&self) -> Vec<String> {
        let loose = self.list.iter().filter(|one| !one.pinned);
        loose.map(|one| format!("{} ({}:{})", one.written, one.file, one.line)).collect()
    }

    /// Returns everything as JSON.
    pub(super) fn json(&self) -> Value {
        let one = |one: &Requirement| {
            json!({
                "name": one.name, "specifier": one.specifier, "extras": one.extras, "marker": one.marker,
                "url": one.url, "hashes": one.hashes, "editable": one.editable, "pinned": one.pinned,
                "file": one.file, "line": one.line,
            })
        };
        let files: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
        json!({ "requirements": self.list.iter().map(one).collect::<Vec<_>>(), "files": files })
    }

    fn take(
        &mut self,
        text: &str,
        path: &Path,
        what: As,
        open: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<(), String> {
        if self.files.iter().any(|file| file == path) {
            return Ok(());
        }
        if self.files.len() >= MAX_FILES {
            return Err(format!("more than {MAX_FILES} files include each other"));
        }
        self.files.push(path.to_owned());
        for (number, line) in logical_lines(text) {
            let place = || format!("{}:{number}", path.display());
            match option(&line) {
                Some(("-r" | "--requirement", file)) => self.include(file, path, what, open)?,
                Some(("-c" | "--constraint", file)) => self.include(file, path, As::Constraints, open)?,
                Some(("-e" | "--editable", rest)) => {
                    let read = requirement(rest, true).ok_or_else(|| format!("{} is no requirement", place()))?;
                    self.add(read, path, number, what);
                }
                // Where packages come from is not what is required.
                Some(_) => {}
                None => {
                    let read = requirement(&line, false).ok_or_else(|| format!("{} is no requirement", place()))?;
                    self.add(read, path, number, what);
                }
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        file: &str,
        from: &Path,
        what: As,
        open: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<(), String> {
        let file = file.trim_matches(['"', '\'']);
        if file.contains("://") {
            return Err(format!("{} includes a URL, which is not followed", from.display()));
        }
        let next = normal(&from.parent().unwrap_or(Path::new("")).join(file));
        let text = open(&next).map_err(|why| format!("{} includes {file}: {why}", from.display()))?;
        self.take(&text, &next, what, open)
    }

    fn add(&mut self, mut one: Requirement, path: &Path, line: usize, what: As) {
        one.file = path.display().to_string();
        one.line = line;
        match what {
            As::Requirements => self.list.push(one),
            As::Constraints if one.pinned => self.constrained.extend(one.name),
            As::Constraints => {}
        }
    }
}

/// Takes `.` and `..` out of a path, so that each file is read once.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if out.file_name().is_some() => drop(out.pop()),
            other => out.push(other),
        }
    }
    out
}

/// Returns the lines without comments, those that end with a backslash joined, each with the number of its first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (n, line) in text.lines().enumerate() {
        let comment = line.trim_start().starts_with('#');
        let (number, mut whole) = open.take().unwrap_or((n + 1, String::new()));
        if comment && !whole.is_empty() {
            // pip reads on behind a comment within a joined line.
            open = Some((number, whole));
            continue;
        }
        match line.strip_suffix('\\') {
            Some(start) if !comment => {
                whole.push_str(start);
                open = Some((number, whole));
            }
            _ => {
                whole.push_str(line);
                lines.push((number, whole));
            }
        }
    }
    lines.extend(open);
    let bare = |(number, line): (usize, String)| {
        let end = line.starts_with('#').then_some(0).or_else(|| line.find(" #").or_else(|| line.find("\t#")));
        (number, line[..end.unwrap_or(line.len())].trim().to_owned())
    };
    lines.into_iter().map(bare).filter(|(_, line)| !line.is_empty()).collect()
}

/// Takes an option and its value from a line that begins with one.
fn option(line: &str) -> Option<(&str, &str)> {
    if !line.starts_with('-') {
        return None;
    }
    let end = line.find([' ', '=', '\t']).unwrap_or(line.len());
    // `-rbase.txt` is the same as `-r base.txt`.
    let end = if line.starts_with("--") { end } else { end.min(2) };
    Some((&line[..end], line[end..].trim_start_matches(['=', ' ', '\t']).trim()))
}

fn requirement(line: &str, editable: bool) -> Option<Requirement> {
    let (plain, options) = match line.find(" --") {
        Some(at) => (line[..at].trim(), &line[at..]),
        None => (line, ""),
    };
    let hashes = options.split_whitespace().filter(|word| word.starts_with("--hash")).count();
    let is_place = plain.starts_with(['.', '/']) || plain.contains("://") && !plain.contains(" @ ");
    let url_marker = if plain.contains("://") { " ;" } else { ";" };
    let (plain, marker) = match plain.split_once(url_marker) {
        Some((plain, marker)) => (plain.trim(), Some(marker.trim().to_owned())),
        None => (plain, None),
    };
    let made = |name: Option<&str>, extras: Vec<String>, specifier: &str, url: Option<&str>| {
        let pinned = hashes > 0 || url.map_or_else(|| is_exact(specifier), is_fixed);
        Requirement {
            name: name.map(canonical),
            written: shown(plain),
            specifier: specifier.to_owned(),
            extras,
            marker: marker.clone(),
            url: url.map(shown),
            hashes,
            editable,
            pinned,
            file: String::new(),
            line: 0,
        }
    };
    if is_place || editable {
        return Some(made(None, Vec::new(), "", Some(plain)));
    }
    let end = plain.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(plain.len());
    let (name, rest) = plain.split_at(end);
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !letter(name.chars().next()) || !letter(name.chars().last()) {
        return None;
    }
    let rest = rest.trim();
    let (extras, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']').map(|(extras, rest)| (list(extras), rest.trim()))?,
        None => (Vec::new(), rest),
    };
    if let Some(url) = rest.strip_prefix('@') {
        return Some(made(Some(name), extras, "", Some(url.trim())));
    }
    let specifier = rest.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(rest).trim();
    let valid = specifier.is_empty() || specifier.split(',').all(|part| version(part).is_some());
    valid.then(|| made(Some(name), extras, specifier, None))
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Takes an operator and a version apart.
fn version(part: &str) -> Option<(&'static str, &str)> {
    let part = part.trim();
    let operator = OPERATORS.iter().find(|operator| part.starts_with(**operator))?;
    let version = part[operator.len()..].trim();
    let fits = !version.is_empty() && version.chars().all(|c| c.is_ascii_alphanumeric() || ".*+!_-".contains(c));
    fits.then_some((*operator, version))
}

/// Tells whether a specifier lets one version through: `==1.2.3` or `===1.2.3`, and no `==1.2.*`.
fn is_exact(specifier: &str) -> bool {
    let exact =
        |part: &str| version(part).is_some_and(|(op, version)| matches!(op, "==" | "===") && !version.contains('*'));
    specifier.split(',').any(exact)
}

/// Tells whether a URL or a path names one content for ever: what lies in the tree itself, a file with its digest, a
/// commit.
fn is_fixed(url: &str) -> bool {
    if !url.contains("://") || url.starts_with("file:") {
        return true;
    }
    let (address, fragment) = url.split_once('#').unwrap_or((url, ""));
    let digest = ["sha256=", "sha384=", "sha512="].iter().any(|kind| fragment.contains(kind));
    let commit =
        address.rsplit_once('@').is_some_and(|(_, at)| at.len() >= 40 && at.chars().all(|c| c.is_ascii_hexdigit()));
    digest || commit
}

/// Returns the name under which a package is known, however it is written (PEP 503).
fn canonical(name: &str) -> String {
    let mut out = String::new();
    for c in name.to_ascii_lowercase().chars() {
        let joint = matches!(c, '.' | '_' | '-');
        if !(joint && out.ends_with('-')) {
            out.push(if joint { '-' } else { c });
        }
    }
    out
}

/// Shows a requirement without the credentials of a URL.
fn shown(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let host = rest.find('/').unwrap_or(rest.len());
    match rest[..host].rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read_all(files: &[(&str, &str)]) -> Result<Requirements, String> {
        let files: BTreeMap<PathBuf, String> =
            files.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned())).collect();
        let open = |path: &Path| files.get(path).cloned().ok_or_else(|| "no such file".to_owned());
        read(&files[Path::new("requirements.txt")], Path::new("requirements.txt"), &open)
    }

    fn unpinned(text: &str) -> Vec<String> {
        read_all(&[("requirements.txt", text)]).expect("readable").unpinned()
    }

    #[test]
    fn pinned_and_unpinned_are_told_apart() {
        let commit = "a".repeat(40);
        let pinned = [
            "flask==3.0.0",
            "Flask == 3.0.0  # why",
            "requests[security,socks]==2.32.3 ; python_version >= '3.8'",
            "numpy (==2.1.0)",
            "a>=1,==1.2.3",
            "local===1.0+abc",
            "b==1.0 \\\n    --hash=sha256:0123 \\\n    --hash=sha256:4567",
            "c --hash=sha256:0123",
            &format!("d @ git+https://git.example.com/d.git@{commit}"),
            "e @ https://files.example.com/e-1.0.whl#sha256=0123",
            "./packages/f",
            "-e .",
        ];
        for line in pinned {
            assert_eq!(unpinned(line), [""; 0], "{line}");
        }
        for line in [
            "flask",
            "flask>=3",
            "flask~=3.0",
            "flask==3.*",
            "flask!=2",
            "g @ https://files.example.com/g-1.0.whl",
            "-e git+https://git.example.com/h.git@main#egg=h",
            "requests[socks]",
        ] {
            assert_eq!(unpinned(line).len(), 1, "{line}");
        }
        assert_eq!(unpinned("# note\n\nflask>=3,<4 # loose\n"), ["flask>=3,<4 (requirements.txt:3)"]);
    }

    #[test]
    fn includes_and_constraints_are_followed_once() {
        let all = read_all(&[
            (
                "requirements.txt",
                "-r more/base.txt\n--requirement=more/base.txt\n-c pins.txt\nFlask_Login\n--index-url https://u:p@pypi.example.com/simple\n",
            ),
            ("more/base.txt", "-r ../requirements.txt\njinja2>=3\n"),
            ("pins.txt", "flask-login==0.6.3\njinja2>=2\n"),
        ]);
        let all = all.expect("readable");
        assert_eq!(all.unpinned(), ["jinja2>=3 (more/base.txt:2)"]);
        assert_eq!(all.json()["requirements"][1]["name"], "flask-login");
    }

    #[test]
    fn what_is_no_requirement_is_said() {
        for (files, why) in [
            (vec![("requirements.txt", "flask==3.0\n<html>\n")], "requirements.txt:2 is no requirement"),
            (vec![("requirements.txt", "flask = 3.0")], "is no requirement"),
            (vec![("requirements.txt", "-r nowhere.txt")], "includes nowhere.txt: no such file"),
            (vec![("requirements.txt", "-r https://x.example.com/r.txt")], "includes a URL"),
        ] {
            let error = read_all(&files).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
        assert!(read_all(&[("requirements.txt", "# nothing\n")]).expect("readable").is_empty());
    }

    #[test]
    fn credentials_are_not_shown() {
        let shown = unpinned("p @ https://user:s3cr3t@files.example.com/p.whl");
        assert!(shown[0].contains("***@files.example.com") && !shown[0].contains("s3cr3t"), "{shown:?}");
    }
}
