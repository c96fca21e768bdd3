//! A directory as the tree of a build: read when asked for, and never beyond its root.
//!
//! Symbolic links are followed, as kustomize follows them, as long as what they lead to lies below the root. What git
//! keeps for itself in `.git` is no part of a work tree.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use reeve_kustomize::{Kind, ReadError, Tree};

use crate::cli::ui::CommandError;

/// The largest file.
const LARGEST: u64 = 64 << 20;

/// Where git keeps what it knows, credentials among it.
const GIT: &str = ".git";

/// A directory and what lies below it.
pub(in crate::cli) struct Disk {
    root: PathBuf,
    /// Whether `.git` is as any other directory.
    whole: bool,
    /// What was looked at: the same path is asked about several times, and no build lasts long.
    seen: Mutex<HashMap<String, Option<(Kind, PathBuf)>>>,
}

impl Disk {
    /// `root` is canonical.
    pub(in crate::cli) fn new(root: PathBuf) -> Self {
        Self {
            root,
            whole: false,
            seen: Mutex::default(),
        }
    }

    /// Every directory there is, those that git keeps for itself too.
    pub(super) fn everything() -> Self {
        let all = Self::new(PathBuf::from("/"));
        Self { whole: true, ..all }
    }

    /// Whether a real path is of the tree.
    fn holds(&self, real: &Path) -> bool {
        let below = real.strip_prefix(&self.root);
        below.is_ok_and(|below| self.whole || !below.iter().any(|name| name == GIT))
    }

    /// What lies at a path, and where it really is; nothing where that is not below the root.
    fn look(&self, path: &str) -> Option<(Kind, PathBuf)> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.get(path) {
            return known.clone();
        }
        let found = self.find(path);
        seen.insert(path.to_owned(), found.clone());
        found
    }

    fn find(&self, path: &str) -> Option<(Kind, PathBuf)> {
        let real = self.root.join(path).canonicalize().ok()?;
        let meta = fs::metadata(&real).ok()?;
        let kind = match (meta.is_dir(), meta.is_file()) {
            (true, _) => Kind::Dir,
            (_, true) => Kind::File,
            // A pipe or a device is no file to read from.
            _ => return None,
        };
        self.holds(&real).then_some((kind, real))
    }
}

impl Tree for Disk {
    fn kind(&self, path: &str) -> Option<Kind> {
        self.look(path).map(|(kind, _)| kind)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        let failed = |why: String| ReadError {
            path: path.to_owned(),
            why,
        };
        let (_, real) = self
            .look(path)
            .ok_or_else(|| failed("no such file".to_owned()))?;
        let read = || {
            let mut bytes = Vec::new();
            fs::File::open(&real)?
                .take(LARGEST + 1)
                .read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        let bytes = read().map_err(|why| failed(why.to_string()))?;
        if bytes.len() as u64 > LARGEST {
            return Err(failed(format!("it is larger than {} MiB", LARGEST >> 20)));
        }
        Ok(bytes.into())
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let Some((Kind::Dir, real)) = self.look(dir) else {
            return Vec::new();
        };
        let entries = fs::read_dir(real).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| self.whole || name != GIT)
            .collect();
        names.sort();
        names
    }

    fn left_out(&self, path: &str) -> Option<&'static str> {
        match self.root.join(path).canonicalize() {
            Ok(real) if self.holds(&real) => {
                let meta = fs::metadata(real).ok()?;
                let special = !meta.is_dir() && !meta.is_file();
                special.then_some("is a pipe, a socket or a device")
            }
            Err(why) if why.raw_os_error() == Some(libc::ELOOP) => {
                Some("is a symbolic link that leads back to itself")
            }
            _ => None,
        }
    }

    fn real(&self, path: &str) -> Option<String> {
        match self.look(path) {
            Some((_, real)) => {
                let below = real.strip_prefix(&self.root).ok()?;
                below.to_str().map(str::to_owned)
            }
            // Nor is told what there is in it.
            None if !self.holds(&self.root.join(path)) => None,
            // What is not there leads nowhere, nor does what cannot be read; what else was not found leads out.
            None => (fs::symlink_metadata(self.root.join(path)).is_err()
                || self.left_out(path).is_some())
            .then(|| path.to_owned()),
        }
    }
}

/// The directory at `path`, without symbolic links on the way.
pub(in crate::cli) fn directory(path: &Path) -> Result<PathBuf, CommandError> {
    let real = path.canonicalize();
    let real =
        real.map_err(|why| CommandError::of(&format!("reading {} failed", path.display()), &why))?;
    if real.is_dir() {
        return Ok(real);
    }
    let message = format!("{} is not a directory", path.display());
    Err(CommandError::new(message).hint("give the directory of the kustomization file"))
}

/// The git work tree that `directory` is in.
pub(in crate::cli) fn work_tree(directory: &Path) -> Option<PathBuf> {
    let mut around = directory.ancestors();
    around
        .find(|dir| dir.join(GIT).exists())
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_from_what_lies_outside() -> std::io::Result<()> {
        let room = tempfile::tempdir()?;
        let root = room.path().canonicalize()?.join("repo");
        fs::create_dir(&root)?;
        symlink("itself", root.join("itself"))?;
        symlink("/dev/null", root.join("out"))?;
        let _socket = UnixListener::bind(root.join("socket"))?;
        let disk = Disk::new(root);
        let told = |path: &str| (disk.real(path), disk.kind(path), disk.left_out(path));
        for path in ["itself", "socket"] {
            let (real, kind, left_out) = told(path);
            assert_eq!((real.as_deref(), kind), (Some(path), None));
            assert!(left_out.is_some(), "{path}");
        }
        assert_eq!(told("out"), (None, None, None));
        let missing = (Some("missing".to_owned()), None, None);
        assert_eq!(told("missing"), missing);
        Ok(())
    }

    #[test]
    fn what_git_keeps_for_itself_lies_outside_however_it_is_reached() -> std::io::Result<()> {
        let room = tempfile::tempdir()?;
        let root = room.path().canonicalize()?;
        for dir in [".git/hooks", "sub/.git", ".github"] {
            fs::create_dir_all(root.join(dir))?;
            fs::write(root.join(dir).join("config"), "a: b\n")?;
        }
        symlink(".git/config", root.join("link"))?;
        let disk = Disk::new(root);
        for path in [
            ".git",
            ".git/config",
            ".git/none",
            "sub/.git/config",
            "link",
        ] {
            assert_eq!((disk.real(path), disk.kind(path)), (None, None), "{path}");
            assert!(disk.read(path).is_err(), "{path}");
        }
        assert_eq!(disk.list(""), [".github", "link", "sub"]);
        assert_eq!(disk.kind(".github/config"), Some(Kind::File));
        Ok(())
    }
}
