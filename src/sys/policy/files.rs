//! Which files may be read: trees, compared after every symbolic link and every `..` is followed.

use std::io;
use std::path::{Component, Path, PathBuf};

/// A folder with all that is in it, or one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Takes a path as the root of a tree. Blocks.
    ///
    /// # Errors
    /// Says why it cannot be told where the path leads.
    pub fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { root: settled(path)? })
    }

    pub(super) fn holds(&self, settled: &Path) -> bool {
        settled.starts_with(&self.root)
    }
}

/// Follows a path to where it leads: links, `.` and `..` resolved. What does not exist is taken as it is written,
/// behind what does. Blocks.
pub(super) fn settled(path: &Path) -> io::Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    let mut found = PathBuf::from("/");
    for part in whole.components() {
        match part {
            Component::RootDir | Component::Prefix(_) | Component::CurDir => {}
            // What stands before is resolved already, so that its parent is the true one.
            Component::ParentDir => {
                found.pop();
            }
            Component::Normal(name) => match found.join(name).canonicalize() {
                Ok(real) => found = real,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // A link that leads nowhere yet may lead somewhere later.
                    if found.join(name).is_symlink() {
                        return Err(io::Error::other("a symbolic link leads nowhere"));
                    }
                    found.push(name);
                }
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => found.push(name),
                Err(error) => return Err(error),
            },
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_dots_do_not_lead_out_of_a_tree() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("in/deep")).expect("folders");
        std::fs::create_dir_all(at("out")).expect("a folder");
        std::fs::write(at("out/secret"), "x").expect("a file");
        std::os::unix::fs::symlink(at("out"), at("in/link")).expect("a link");
        std::os::unix::fs::symlink(at("in/deep"), at("out/back")).expect("a link");
        std::os::unix::fs::symlink("/nowhere/at/all", at("in/dangling")).expect("a link");
        let tree = Tree::new(&at("in")).expect("a tree");
        let holds = |name: &str| settled(&at(name)).is_ok_and(|path| tree.holds(&path));
        assert!(holds("in") && holds("in/deep/x") && holds("in/none/at/all") && holds("out/back/x"));
        assert!(holds("in/deep/../deep") && holds("out/../in/x"));
        for bad in
            ["out/secret", "in/../out/secret", "in/link/secret", "in/none/../../out/secret", "inside", "in/dangling"]
        {
            assert!(!holds(bad), "{bad}");
        }
    }
}
