//! Who uses which file: what the kustomization that is built reaches, and what of it others reach too.
//!
//! A directory without a kustomization file counts with all manifests below it. Nobody is asked but the tree and the
//! caller's list.

use std::collections::{BTreeMap, BTreeSet};

use reeve_kustomize::{Kind, Tree};

use crate::Repository;
use crate::kustomization::{Kustomization, join, names_in};
use crate::refused::Reason;

/// How many files and directories are looked at.
const LARGEST: usize = 200_000;
/// How deep directories lie in each other.
const DEEPEST: usize = 64;

/// What is used by whom.
pub(crate) struct Users {
    /// The kustomizations that are reached, the one that is built first.
    dirs: Vec<String>,
    /// All files that are reached.
    files: BTreeSet<String>,
    /// Those that others reach too, and who.
    shared: BTreeMap<String, String>,
}

/// Everything that is reached from somewhere.
#[derive(Default)]
struct Reach {
    dirs: Vec<String>,
    files: BTreeSet<String>,
    seen: BTreeSet<String>,
}

impl Users {
    /// Who uses what is reached from these directories.
    pub(crate) fn find(repository: &Repository<'_>, roots: &[&str]) -> Result<Self, Reason> {
        let tree = repository.tree;
        let mut own = Reach::default();
        for root in roots {
            own.follow(tree, root)?;
        }
        let mut shared = BTreeMap::new();
        let all = repository.all;
        let kustomizations = kustomizations(all)?;
        let foreign = kustomizations.iter().filter(|dir| !own.dirs.contains(dir));
        let others = repository.others.iter().filter_map(|dir| join("", dir));
        let others: Vec<String> = others.collect();
        for dir in foreign.chain(&others) {
            let mut theirs = Reach::default();
            theirs.follow(all, dir)?;
            let by = if dir.is_empty() { "." } else { dir };
            for file in theirs.files.intersection(&own.files) {
                shared.entry(file.clone()).or_insert_with(|| by.to_owned());
            }
        }
        Ok(Self {
            dirs: own.dirs,
            files: own.files,
            shared,
        })
    }

    /// The directories with kustomization files that are reached, the one that is built first.
    pub(crate) fn dirs(&self) -> &[String] {
        &self.dirs
    }

    /// All files that are reached.
    pub(crate) fn files(&self) -> impl Iterator<Item = &String> {
        self.files.iter()
    }

    /// Who else uses a file.
    pub(crate) fn other_user(&self, file: &str) -> Option<&str> {
        self.shared.get(file).map(String::as_str)
    }
}

impl Reach {
    fn follow(&mut self, tree: &dyn Tree, from: &str) -> Result<(), Reason> {
        let mut open = vec![from.to_owned()];
        while let Some(path) = open.pop() {
            if !self.seen.insert(path.clone()) {
                continue;
            }
            enough(self.seen.len())?;
            match tree.kind(&path) {
                Some(Kind::File) => {
                    self.files.insert(path);
                }
                Some(Kind::Dir) if Kustomization::is_in(tree, &path) => {
                    // The first that is named is the next that is looked at.
                    open.extend(names_in(tree, &path).into_iter().rev());
                    self.dirs.push(path);
                }
                Some(Kind::Dir) => {
                    let names = tree.list(&path).into_iter().rev();
                    let manifest = |path: &String| {
                        tree.kind(path) == Some(Kind::Dir)
                            || path.ends_with(".yaml")
                            || path.ends_with(".yml")
                    };
                    let below = names.filter_map(|name| join(&path, &name));
                    open.extend(below.filter(manifest));
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn enough(seen: usize) -> Result<(), Reason> {
    let (what, limit) = ("files and directories", LARGEST);
    match seen > limit {
        true => Err(Reason::Limit { what, limit }),
        false => Ok(()),
    }
}

/// The directories of the tree that have a kustomization file.
fn kustomizations(tree: &dyn Tree) -> Result<Vec<String>, Reason> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), 0)];
    let mut seen = 0;
    while let Some((dir, depth)) = open.pop() {
        if Kustomization::is_in(tree, &dir) {
            found.push(dir.clone());
        }
        let names = tree.list(&dir);
        seen += names.len();
        enough(seen)?;
        let (what, limit) = ("directories in each other", DEEPEST);
        if depth > limit {
            return Err(Reason::Limit { what, limit });
        }
        let paths = names.iter().filter_map(|name| join(&dir, name));
        // A link is looked at where it leads.
        let own = |path: &String| {
            tree.kind(path) == Some(Kind::Dir) && tree.real(path).as_ref() == Some(path)
        };
        open.extend(paths.filter(own).map(|path| (path, depth + 1)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::{MemoryTree, Options, Remotes};

    use super::*;

    fn users(files: &[(&str, &str)], path: &str, others: &[&str]) -> Users {
        let tree: MemoryTree = files.iter().copied().collect();
        let others: Vec<String> = others.iter().map(|&one| one.to_owned()).collect();
        let repository = Repository {
            tree: &tree,
            all: &tree,
            remotes: &Remotes::refused(),
            path,
            options: &Options::default(),
            others: &others,
            within: "",
        };
        Users::find(&repository, &[path]).unwrap()
    }

    const FILES: [(&str, &str); 6] = [
        ("base/kustomization.yaml", "resources: [web.yaml]\n"),
        ("base/web.yaml", "kind: A\n"),
        (
            "one/kustomization.yaml",
            "resources: [../base]\npatches: [{path: p.yaml}]\n",
        ),
        ("one/p.yaml", "kind: A\n"),
        ("two/kustomization.yaml", "resources: [../base]\n"),
        ("plain/a.yaml", "kind: A\n"),
    ];

    #[test]
    fn a_base_of_two_overlays_is_shared_and_a_patch_of_one_is_not() {
        let users = users(&FILES, "one", &[]);
        assert_eq!(users.dirs(), ["one", "base"]);
        assert_eq!(users.other_user("base/web.yaml"), Some("two"));
        assert_eq!(users.other_user("one/p.yaml"), None);
        assert_eq!(users.other_user("one/kustomization.yaml"), None);
    }

    #[test]
    fn a_kustomization_file_that_is_no_yaml_uses_all_that_it_seems_to_name() {
        let mut files = FILES.to_vec();
        files.retain(|(file, _)| !file.starts_with("two/"));
        files.push((
            "two/kustomization.yaml",
            "resources: [{{ base }}, \"../base\"\n",
        ));
        let users = users(&files, "one", &[]);
        assert_eq!(users.other_user("base/web.yaml"), Some("two"));
    }

    #[test]
    fn a_directory_that_somebody_else_builds_is_shared() {
        assert_eq!(users(&FILES, "plain", &[]).other_user("plain/a.yaml"), None);
        assert_eq!(
            users(&FILES, "plain", &["./"]).other_user("plain/a.yaml"),
            Some(".")
        );
        assert_eq!(
            users(&FILES, "one", &["one"]).other_user("one/p.yaml"),
            Some("one")
        );
    }
}
