//! The files of a tree, one after another in the order of their paths, each read once.
//!
//! `.gitignore` files are respected as git does: within a repository up to its root, elsewhere those of the tree. A
//! symbolic link is not followed: what it leads to is part of the tree itself, or none of its business. `.git` is left
//! alone.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use globset::GlobMatcher;
use ignore::overrides::{Override, OverrideBuilder};
use ignore::{DirEntry, WalkBuilder};

use crate::probe::file::look::{cause, open};
use crate::probe::paths;
use crate::sys::Policy;

/// The most files and folders of a tree.
const MAX_ENTRIES: usize = 1_000_000;
/// How much of a file tells whether it is binary, in bytes.
const HEAD: usize = 8 << 10;

/// A tree that is to be walked.
pub(super) struct Tree<'a> {
    /// A file, a folder or a glob.
    pub(super) path: &'a str,
    /// Patterns, as in a `.gitignore`, of what is left out.
    pub(super) exclude: &'a [String],
    /// Whether `.gitignore` files are respected.
    pub(super) gitignore: bool,
    /// The largest file that is read, in bytes.
    pub(super) max_size: u64,
    /// Which files may be read.
    pub(super) policy: &'a Policy,
    /// Set when nobody waits any more.
    pub(super) flag: &'a AtomicBool,
}

/// What a walk comes across.
pub(super) enum Entry<'a> {
    /// A text.
    Text(&'a Path, &'a [u8]),
    /// A file that is no text.
    Binary(&'a Path),
    /// A file that is larger than is read.
    Large(&'a Path),
    /// A symbolic link.
    Link(&'a Path),
    /// Something odd, such as a line of a `.gitignore` that is no pattern.
    Remark(String),
}

impl Tree<'_> {
    /// Walks over the files. Returns whether there is anything at the path.
    pub(super) fn walk(&self, each: &mut dyn FnMut(Entry<'_>)) -> Result<bool, String> {
        let (root, glob) = self.root()?;
        let found = match std::fs::metadata(&root) {
            Ok(meta) => meta,
            Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Ok(false);
            }
            Err(e) => return Err(cause(&root, &e)),
        };
        if found.is_file() {
            self.file(&root, found.len(), each)?;
            return Ok(true);
        }
        let mut any = glob.is_none();
        for (n, entry) in self.walker(&root)?.build().enumerate() {
            if self.flag.load(Ordering::Relaxed) {
                return Err("nobody waits for it any more".into());
            }
            if n > MAX_ENTRIES {
                return Err(format!("the tree has more than {MAX_ENTRIES} files and folders"));
            }
            let entry = entry.map_err(|e| format!("cannot walk the tree: {e}"))?;
            if let Some(error) = entry.error() {
                each(Entry::Remark(format!("not understood: {error}")));
            }
            if glob.as_ref().is_none_or(|glob| glob.is_match(bare(entry.path()))) {
                any |= self.entry(&entry, each)?;
            }
        }
        Ok(any)
    }

    /// Returns where the walk begins, and of a glob its pattern.
    fn root(&self) -> Result<(PathBuf, Option<GlobMatcher>), String> {
        let plain = Path::new(self.path);
        if plain.exists() || !paths::is_glob(self.path) {
            return Ok((plain.to_owned(), None));
        }
        let (fixed, matcher) = paths::split(self.path).map_err(|error| format!("bad glob: {error}"))?;
        let fixed = if fixed.as_os_str().is_empty() { PathBuf::from(".") } else { fixed };
        Ok((fixed, Some(matcher)))
    }

    fn walker(&self, root: &Path) -> Result<WalkBuilder, String> {
        let repository = root.canonicalize().is_ok_and(|full| full.ancestors().any(|at| at.join(".git").exists()));
        let mut walker = WalkBuilder::new(root);
        walker
            .hidden(false)
            .ignore(false)
            .git_global(false)
            .git_exclude(false)
            .git_ignore(self.gitignore)
            .require_git(repository)
            .parents(repository)
            .follow_links(false)
            .overrides(excluding(root, self.exclude)?)
            .sort_by_file_path(Path::cmp)
            .filter_entry(|entry| entry.file_name() != ".git");
        Ok(walker)
    }

    /// Takes one entry of the tree. Returns whether it is more than a folder.
    fn entry(&self, entry: &DirEntry, each: &mut dyn FnMut(Entry<'_>)) -> Result<bool, String> {
        let Some(kind) = entry.file_type() else { return Ok(false) };
        if entry.path_is_symlink() && entry.depth() > 0 {
            each(Entry::Link(entry.path()));
            return Ok(true);
        }
        if !kind.is_file() {
            return Ok(false);
        }
        let size = entry.metadata().map_err(|e| format!("cannot read {}: {e}", entry.path().display()))?.len();
        self.file(entry.path(), size, each)?;
        Ok(true)
    }

    fn file(&self, path: &Path, size: u64, each: &mut dyn FnMut(Entry<'_>)) -> Result<(), String> {
        self.policy.allow_path(path).map_err(|refusal| refusal.message)?;
        if size > self.max_size {
            each(Entry::Large(path));
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(size as usize + 1);
        open(path)?.take(self.max_size + 1).read_to_end(&mut bytes).map_err(|e| cause(path, &e))?;
        if bytes.len() as u64 > self.max_size {
            each(Entry::Large(path));
            return Ok(());
        }
        match text(bytes) {
            Some(text) => each(Entry::Text(path, &text)),
            None => each(Entry::Binary(path)),
        }
        Ok(())
    }
}

/// Returns a path as a glob sees it: without the `./` of a walk that begins here.
fn bare(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

/// Checks a pattern of what is left out.
///
/// # Errors
/// Says in one line what is wrong with it.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    excluding(Path::new("."), &[pattern.to_owned()]).map(drop)
}

fn excluding(root: &Path, patterns: &[String]) -> Result<Override, String> {
    let mut builder = OverrideBuilder::new(root);
    for pattern in patterns {
        // Of an override, what begins with `!` is left out.
        builder.add(&format!("!{pattern}")).map_err(|e| e.to_string())?;
    }
    builder.build().map_err(|e| e.to_string())
}

/// Returns the bytes of a text: UTF-8 and its kin as they are, UTF-16 as UTF-8; nothing for what is no text.
fn text(bytes: Vec<u8>) -> Option<Vec<u8>> {
    let wide = |of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| of([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok().map(String::into_bytes)
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ if bytes[..bytes.len().min(HEAD)].contains(&0) => None,
        _ => Some(bytes),
    }
}
