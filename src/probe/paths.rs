//! Files by path or glob: what a checklist means when it names one.

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{GlobBuilder, GlobMatcher};

/// The most entries of folders that one glob may lead through.
const MAX_ENTRIES: usize = 1_000_000;
/// The deepest folder that `**` goes into.
const MAX_DEPTH: usize = 64;

/// Tells whether a path is a pattern for several files.
pub fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '[', '{'])
}

/// Checks a pattern.
///
/// # Errors
/// Says in one line what is wrong with it.
pub fn check(pattern: &str) -> Result<(), String> {
    matcher(pattern).map(drop)
}

/// Lists the files and other things, folders apart, that match a glob, sorted. Links to files are taken; links to
/// folders are not followed by `**`.
///
/// # Errors
/// Says which folder cannot be read. A folder that does not exist holds no file.
pub fn matching(pattern: &str, cancelled: &AtomicBool) -> Result<Vec<PathBuf>, String> {
    let matcher = matcher(pattern)?;
    let (fixed, free) = parts(pattern);
    let depth = if free.iter().any(|part| part.contains("**")) { MAX_DEPTH } else { free.len() };
    let mut walk = Walk { matcher, cancelled, found: Vec::new(), entries: 0 };
    walk.folder(&fixed, depth)?;
    walk.found.sort();
    Ok(walk.found)
}

/// Returns the folder in which everything lies that a glob may match, and what it matches there.
///
/// # Errors
/// Says in one line what is wrong with the pattern.
pub fn split(pattern: &str) -> Result<(PathBuf, GlobMatcher), String> {
    Ok((parts(pattern).0, matcher(pattern)?))
}

/// Takes a pattern apart: the folder before the first part that is free, and the free parts.
fn parts(pattern: &str) -> (PathBuf, Vec<String>) {
    let mut fixed = PathBuf::new();
    let mut free = Vec::new();
    for part in Path::new(pattern).components() {
        let text = part.as_os_str().to_string_lossy();
        match free.is_empty() && !is_glob(&text) {
            true if part == Component::CurDir => {}
            true => fixed.push(part),
            false => free.push(text.into_owned()),
        }
    }
    (fixed, free)
}

/// Lists the regular files of a folder, without those of its folders, sorted.
///
/// # Errors
/// Says why the folder cannot be read.
pub fn of_folder(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let fault = |e: std::io::Error| format!("cannot read the folder {}: {e}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if std::fs::metadata(&path).is_ok_and(|m| m.is_file()) {
            found.push(path);
        }
        if found.len() > MAX_ENTRIES {
            return Err(format!("the folder {} holds more than {MAX_ENTRIES} files", folder.display()));
        }
    }
    found.sort();
    Ok(found)
}

fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    let plain = pattern.strip_prefix("./").unwrap_or(pattern);
    // The library walks into alternatives by recursion.
    if plain.len() > 4096 || plain.matches('{').count() > 16 {
        return Err("a pattern may have 4096 bytes and 16 alternatives".to_owned());
    }
    let glob = GlobBuilder::new(plain).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|e| e.kind().to_string())
}

struct Walk<'a> {
    matcher: GlobMatcher,
    cancelled: &'a AtomicBool,
    found: Vec<PathBuf>,
    entries: usize,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), String> {
        let opened = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let fault = |e: &std::io::Error| format!("cannot read the folder {}: {e}", opened.display());
        let entries = match std::fs::read_dir(opened) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => return Ok(()),
            Err(e) => return Err(fault(&e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| fault(&e))?;
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(format!("the pattern leads through more than {MAX_ENTRIES} files and folders"));
            }
            if self.cancelled.load(Ordering::Relaxed) {
                return Err("nobody waits for it any more".into());
            }
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(|e| fault(&e))?;
            let into = kind.is_dir() || kind.is_symlink() && depth < MAX_DEPTH && path.is_dir();
            match into {
                true if depth > 1 => self.folder(&path, depth - 1)?,
                true => {}
                false if self.matcher.is_match(&path) => self.found.push(path),
                false => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_find_files_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("a/b")).expect("folders");
        for name in ["x.log", "y.log", "y.txt", "a/z.log", "a/b/w.log"] {
            std::fs::write(at(name), "").expect("written");
        }
        let find = |pattern: &str| {
            let whole = at(pattern);
            let found = matching(whole.to_str().expect("text"), &AtomicBool::new(false)).expect("readable");
            let names = found.iter().map(|p| p.strip_prefix(folder.path()).expect("inside").display().to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(find("*.log"), "x.log y.log");
        assert_eq!(find("*/*.log"), "a/z.log");
        assert_eq!(find("**/*.log"), "a/b/w.log a/z.log x.log y.log");
        assert_eq!(find("{x,y}.*"), "x.log y.log y.txt");
        assert_eq!(find("nope/*.log"), "");
        assert!(check("a[").is_err());
        assert_eq!(of_folder(folder.path()).expect("readable").len(), 3);
    }
}
