//! Which files of a commit are part of the artifact: Flux's ignore rules.
//!
//! Git's own files never are. If neither `spec.ignore` nor any `.sourceignore` says anything, Flux's default
//! exclusions apply; as soon as one does, they don't. The order is Flux's: `.sourceignore` from the root down, then
//! `spec.ignore`, and **the last pattern that matches a path or one of its parents decides**. (Git's rule that nothing
//! below an excluded directory can come back is not Flux's.)
//!
//! What it deliberately doesn't: walk the tree; `snapshot` does.

use std::path::{Path, PathBuf};

use ::ignore::Match;
use ::ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The file in which a repository says what to leave out.
pub(super) const FILE: &str = ".sourceignore";

const VCS: &str = ".git/\n.gitignore\n.gitmodules\n.gitattributes\n";

const DEFAULTS: &str = "\
*.jpg
*.jpeg
*.gif
*.png
*.wmv
*.flv
*.tar.gz
*.zip
.github/
.circleci/
.travis.yml
.gitlab-ci.yml
appveyor.yml
.drone.yml
cloudbuild.yaml
codeship-services.yml
codeship-steps.yml
**/.goreleaser.yml
**/.sops.yaml
**/.flux.yaml
";

/// Patterns in all files together: what matching one path may cost.
const MAX_PATTERNS: usize = 5_000;

/// The rules over one commit.
#[derive(Debug)]
pub(super) struct Rules {
    layers: Vec<Layer>,
}

/// The patterns of one file, which reach only what lies below its directory.
#[derive(Debug)]
struct Layer {
    /// The directory with a final `/`; empty for the root.
    below: String,
    patterns: Gitignore,
}

/// Rules that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A pattern is malformed.
    #[error("{file}: {why}")]
    Pattern {
        /// The file it is in, or `spec.ignore`.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// There are more patterns than are looked at.
    #[error("more than {MAX_PATTERNS} ignore patterns")]
    TooMany,
}

impl Rules {
    /// The rules of `spec.ignore` and of the `.sourceignore` files (their directory, their text), root first.
    pub(super) fn new(spec: Option<&str>, files: &[(String, String)]) -> Result<Self, Error> {
        let mut texts: Vec<(&str, String, &str)> = Vec::new();
        for (dir, text) in files {
            let file = if dir.is_empty() {
                FILE.to_owned()
            } else {
                format!("{dir}/{FILE}")
            };
            texts.push((dir, file, text));
        }
        texts.extend(spec.map(|text| ("", "spec.ignore".to_owned(), text)));
        let patterns: usize = texts.iter().map(|(.., text)| lines(text).count()).sum();
        match patterns {
            0 => texts = vec![("", "the defaults".to_owned(), DEFAULTS)],
            1..=MAX_PATTERNS => {}
            _ => return Err(Error::TooMany),
        }
        texts.insert(0, ("", "the defaults".to_owned(), VCS));
        let layers = texts
            .into_iter()
            .map(|(dir, file, text)| Layer::new(dir, &file, text));
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
        })
    }

    /// What asks them of one path after the other.
    pub(super) fn sieve(&self) -> Sieve<'_> {
        Sieve {
            rules: self,
            dir: String::new(),
            above: vec![None; self.layers.len()],
        }
    }
}

/// The number of the pattern that decides, and whether it leaves out.
type Verdict = (usize, bool);

/// Asks rules of one path after the other. What they say of a directory is not asked again for each file in it.
#[derive(Debug)]
pub(super) struct Sieve<'a> {
    rules: &'a Rules,
    /// The directory of the path before.
    dir: String,
    /// What each layer says of that.
    above: Vec<Option<Verdict>>,
}

impl Sieve<'_> {
    /// Whether the file or directory at `path` is left out.
    pub(super) fn excluded(&mut self, path: &str, is_dir: bool) -> bool {
        let layers = &self.rules.layers;
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        if dir != self.dir {
            self.above = layers.iter().map(|layer| layer.decides(dir)).collect();
            dir.clone_into(&mut self.dir);
        }
        let mut said = layers.iter().zip(&self.above).rev();
        let decides = said.find_map(|(layer, above)| layer.matches(path, is_dir).max(*above));
        decides.is_some_and(|(_, excluded)| excluded)
    }
}

impl Layer {
    fn new(dir: &str, file: &str, text: &str) -> Result<Self, Error> {
        let mut builder = GitignoreBuilder::new("");
        for (number, line) in lines(text) {
            let failed = |why: ::ignore::Error| Error::Pattern {
                file: file.to_owned(),
                why: format!("line {}: {why}", number + 1),
            };
            // The "file" a pattern comes from holds its number, which tells which of two matches was later.
            builder
                .add_line(Some(PathBuf::from(number.to_string())), line)
                .map_err(failed)?;
        }
        let patterns = builder.build().map_err(|why| Error::Pattern {
            file: file.to_owned(),
            why: why.to_string(),
        })?;
        let below = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        Ok(Self { below, patterns })
    }

    /// What the last of these patterns that matches the directory `path` or one of its parents says about it.
    fn decides(&self, path: &str) -> Option<Verdict> {
        let ends = path.match_indices('/').map(|(at, _)| at);
        let dirs = ends.chain([path.len()]).filter_map(|end| path.get(..end));
        dirs.filter_map(|dir| self.matches(dir, true)).max()
    }

    /// What the last of these patterns that matches this very path says about it.
    fn matches(&self, path: &str, is_dir: bool) -> Option<Verdict> {
        let path = path
            .strip_prefix(self.below.as_str())
            .filter(|rest| !rest.is_empty())?;
        let (glob, excluded) = match self.patterns.matched(path, is_dir) {
            Match::None => return None,
            Match::Ignore(glob) => (glob, true),
            Match::Whitelist(glob) => (glob, false),
        };
        let number = glob.from().and_then(Path::to_str)?.parse().ok()?;
        Some((number, excluded))
    }
}

/// The lines that hold a pattern, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(spec: Option<&str>, files: &[(&str, &str)], path: &str) -> bool {
        let files: Vec<_> = files
            .iter()
            .map(|(d, t)| ((*d).to_owned(), (*t).to_owned()))
            .collect();
        Rules::new(spec, &files)
            .unwrap()
            .sieve()
            .excluded(path, false)
    }

    #[test]
    fn the_defaults_are_flux_s() {
        for path in [
            "a/x.jpg",
            "x.tar.gz",
            ".github/workflows/ci.yaml",
            ".gitlab-ci.yml",
            "a/.sops.yaml",
            ".git/config",
            ".gitignore",
            "a/.gitattributes",
            "a/.flux.yaml",
        ] {
            assert!(left_out(None, &[], path), "{path}");
        }
        for path in ["a/x.yaml", "jpg", ".sourceignore", "x.tar", "README.md"] {
            assert!(!left_out(None, &[], path), "{path}");
        }
    }

    #[test]
    fn a_pattern_of_ones_own_replaces_the_defaults_but_not_git_s_files() {
        assert!(!left_out(Some("/docs\n"), &[], "a/x.jpg"));
        assert!(left_out(Some("/docs\n"), &[], "docs/x.md"));
        assert!(left_out(Some("/docs\n"), &[], ".gitignore"));
        assert!(!left_out(None, &[("", "/docs\n")], "a/x.jpg"));
        assert!(
            left_out(None, &[("", "# nothing\n\n")], "a/x.jpg"),
            "a file without patterns says nothing"
        );
    }

    #[test]
    fn a_whitelist_of_one_directory_works_as_in_flux() {
        let spec = Some("/*\n!/deploy\n");
        assert!(left_out(spec, &[], "README.md"));
        assert!(left_out(spec, &[], "src/main.rs"));
        assert!(!left_out(spec, &[], "deploy/a/b.yaml"));
    }

    #[test]
    fn the_last_pattern_that_matches_a_path_or_its_parents_decides() {
        assert!(!left_out(Some("a/\n!a/keep.yaml\n"), &[], "a/keep.yaml"));
        assert!(left_out(Some("!a/keep.yaml\na/\n"), &[], "a/keep.yaml"));
    }

    #[test]
    fn a_sourceignore_reaches_only_below_its_directory_and_spec_overrules_it() {
        let files = [("", "*.md\n"), ("apps", "/x.yaml\n!README.md\n")];
        assert!(left_out(None, &files, "README.md"));
        assert!(left_out(None, &files, "apps/x.yaml"));
        assert!(!left_out(None, &files, "apps/deep/x.yaml"));
        assert!(!left_out(None, &files, "x.yaml"));
        assert!(!left_out(None, &files, "apps/README.md"));
        assert!(!left_out(Some("!x.yaml\n"), &files, "apps/x.yaml"));
    }

    #[test]
    fn too_many_and_broken_patterns_are_refused() {
        assert!(matches!(
            Rules::new(Some(&"x\n".repeat(6000)), &[]),
            Err(Error::TooMany)
        ));
        let broken = Rules::new(Some("ok\n[z-a]\n"), &[])
            .unwrap_err()
            .to_string();
        assert!(broken.starts_with("spec.ignore: line 2"), "{broken}");
    }
}
