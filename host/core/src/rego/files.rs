//! The files of a policy, gathered out of a tree of any kind: a revision of a repository, a directory on a laptop.
//!
//! Which files belong to it and how much of them is read is said here, once for all who read. It deliberately opens
//! nothing: paths and readers come in.

use std::collections::BTreeMap;
use std::io::Read;

use reeve_kustomize::pointer;

use super::sources::{FILE_LIMIT, TOTAL_LIMIT};

/// A policy's files by their path below its directory.
#[derive(Debug, Default)]
pub struct Gathered {
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

/// Why files are no policy's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There are too many.
    #[error("there are more than {FILE_LIMIT} files")]
    Many,
    /// They are too large.
    #[error("its files have more than {} MiB", TOTAL_LIMIT >> 20)]
    Large,
    /// One stands for what lies elsewhere.
    #[error("{0} {why}", why = pointer::WHY)]
    Pointer(String),
    /// There is nothing to compile.
    #[error("there is no .rego file")]
    NoModule,
    /// One could not be read.
    #[error("reading {path} failed: {why}")]
    Unread {
        /// Which one.
        path: String,
        /// What went wrong.
        why: String,
    },
}

impl Gathered {
    /// Whether a file is one of the policy's: rules, their tests and data; of what begins with a dot nothing. Cases beside
    /// the rules are documents of their own, and no data.
    pub fn wants(path: &str) -> bool {
        let known = [".rego", ".json", ".yaml", ".yml"];
        !is_hidden(path) && !in_case(path) && known.iter().any(|ending| path.ends_with(ending))
    }

    /// Whether a file is a case: a document in a directory `case`.
    pub fn is_case(path: &str) -> bool {
        let known = [".json", ".yaml", ".yml"];
        !is_hidden(path) && in_case(path) && known.iter().any(|ending| path.ends_with(ending))
    }

    /// Takes a file that belongs to it.
    pub fn add(&mut self, path: &str, content: impl Read) -> Result<(), Unfit> {
        if self.files.len() == FILE_LIMIT {
            return Err(Unfit::Many);
        }
        let left = TOTAL_LIMIT.saturating_sub(self.bytes);
        let mut bytes = Vec::new();
        let read = content.take(left as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|why| Unfit::Unread {
            path: path.to_owned(),
            why: why.to_string(),
        })?;
        if bytes.len() > left {
            return Err(Unfit::Large);
        }
        if pointer::is_one(&bytes) {
            return Err(Unfit::Pointer(path.to_owned()));
        }
        self.bytes += bytes.len();
        self.files.insert(path.to_owned(), bytes);
        Ok(())
    }

    /// All of them, if there is something to compile.
    pub fn whole(self) -> Result<BTreeMap<String, Vec<u8>>, Unfit> {
        match self.files.keys().any(|path| path.ends_with(".rego")) {
            true => Ok(self.files),
            false => Err(Unfit::NoModule),
        }
    }
}

fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.'))
}

/// A file that is called `case` is in none.
fn in_case(path: &str) -> bool {
    let directories = path
        .rsplit_once('/')
        .map_or("", |(directories, _)| directories);
    directories.split('/').any(|part| part == "case")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_tests_and_data_belong_to_a_policy_and_cases_lie_beside() {
        for (path, wanted, case) in [
            ("policy.rego", true, false),
            ("a/policy_test.rego", true, false),
            ("a/limits.yml", true, false),
            ("README.md", false, false),
            ("case/allow.yaml", false, true),
            ("a/case/b/deny.json", false, true),
            ("a/case/policy.rego", false, false),
            ("case.yaml", true, false),
            (".git/a.rego", false, false),
            ("a/.hidden.yaml", false, false),
            (".x/case/a.yaml", false, false),
        ] {
            assert_eq!(
                (Gathered::wants(path), Gathered::is_case(path)),
                (wanted, case),
                "{path}"
            );
        }
    }

    #[test]
    fn what_stands_for_a_file_that_lies_elsewhere_is_none_of_a_policys() {
        let text = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
        let mut gathered = Gathered::default();
        let told = gathered.add("data.json", text.as_bytes()).unwrap_err();
        let told = told.to_string();
        assert!(told.starts_with("data.json is a Git LFS pointer"), "{told}");
    }

    #[test]
    fn no_more_is_read_than_a_policy_may_have() {
        let mut gathered = Gathered::default();
        gathered
            .add("a.json", vec![0; TOTAL_LIMIT - 2].as_slice())
            .unwrap();
        assert_eq!(
            gathered.add("b.json", std::io::repeat(0)),
            Err(Unfit::Large)
        );
        gathered.add("c.json", [0; 2].as_slice()).unwrap();
        assert_eq!(gathered.add("d.json", [0; 1].as_slice()), Err(Unfit::Large));
        assert_eq!(gathered.whole(), Err(Unfit::NoModule));
        let mut gathered = Gathered::default();
        for number in 0..FILE_LIMIT {
            gathered
                .add(&format!("{number}.rego"), [].as_slice())
                .unwrap();
        }
        assert_eq!(gathered.add("more.rego", [].as_slice()), Err(Unfit::Many));
        assert_eq!(gathered.whole().unwrap().len(), FILE_LIMIT);
    }
}
