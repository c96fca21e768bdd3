//! A repository on a server, and a clone of it to work in.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// A bare repository below a server's directory, with a work tree to fill it from.
pub struct Repo {
    bare: PathBuf,
    work: tempfile::TempDir,
    branch: String,
}

/// Runs `git` in `dir`, away from the configuration of whoever runs the tests, and gives what it prints.
pub fn git<S: AsRef<OsStr>>(
    dir: &Path,
    args: impl IntoIterator<Item = S>,
) -> anyhow::Result<String> {
    feed(dir, args, &[])
}

fn feed<S: AsRef<OsStr>>(
    dir: &Path,
    args: impl IntoIterator<Item = S>,
    input: &[u8],
) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    command.args(args).current_dir(dir);
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_AUTHOR_NAME", "Ada"),
        ("GIT_AUTHOR_EMAIL", "ada@example.com"),
        ("GIT_COMMITTER_NAME", "Ada"),
        ("GIT_COMMITTER_EMAIL", "ada@example.com"),
    ] {
        command.env(name, value);
    }
    let shown = format!("{command:?}");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .context("git cannot be run: `apt-get install git`")?;
    if let Some(mut stdin) = child.stdin.take() {
        // A git that wants no input closes it; that is no failure.
        std::io::Write::write_all(&mut stdin, input).ok();
    }
    let out = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "{shown} failed: {told}");
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// Puts a commit of these files, and of no others, on `main` of the bare repository `bare`, which is made when it is not there:
/// without a work tree, for many repositories. Gives the commit's id; `version` makes it another each time.
pub fn import(bare: &Path, files: &[(String, String)], version: usize) -> anyhow::Result<String> {
    let fresh = !bare.exists();
    if fresh {
        std::fs::create_dir_all(bare)?;
        git(bare, ["init", "--quiet", "--bare", "--initial-branch=main"])?;
    }
    let from = if fresh {
        ""
    } else {
        "from refs/heads/main^0\n"
    };
    let mut stream = format!(
        "commit refs/heads/main\ncommitter Ada <ada@example.com> {} +0000\ndata 1\nx\n{from}deleteall\n",
        1_700_000_000 + version
    );
    for (name, text) in files {
        let entry = format!("M 100644 inline {name}\ndata {}\n{text}\n", text.len());
        stream.push_str(&entry);
    }
    feed(
        bare,
        ["fast-import", "--quiet", "--force"],
        stream.as_bytes(),
    )?;
    git(bare, ["rev-parse", "main"])
}

impl Repo {
    /// An empty repository `<root>/<path>`, whose first branch is `main`.
    pub fn create(root: &Path, path: &str) -> anyhow::Result<Self> {
        Self::create_with(root, path, "main", &[])
    }

    /// The same with another branch, and further arguments for `git init`.
    pub fn create_with(
        root: &Path,
        path: &str,
        branch: &str,
        init: &[&str],
    ) -> anyhow::Result<Self> {
        let bare = root.join(path);
        std::fs::create_dir_all(&bare)?;
        let first = format!("--initial-branch={branch}");
        git(
            &bare,
            ["init", "--quiet", "--bare", first.as_str()]
                .iter()
                .chain(init),
        )?;
        let work = tempfile::tempdir()?;
        git(
            work.path(),
            ["init", "--quiet", first.as_str()].iter().chain(init),
        )?;
        git(
            work.path(),
            [
                OsStr::new("remote"),
                OsStr::new("add"),
                OsStr::new("origin"),
                bare.as_os_str(),
            ],
        )?;
        Ok(Self {
            bare,
            work,
            branch: branch.to_owned(),
        })
    }

    /// The bare repository on the server.
    #[must_use]
    pub fn bare(&self) -> &Path {
        &self.bare
    }

    /// The work tree.
    #[must_use]
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// Runs `git` in the work tree.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<String> {
        git(self.work.path(), args)
    }

    /// Puts a file into the work tree.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> anyhow::Result<&Self> {
        let file = self.work.path().join(path);
        if let Some(dir) = file.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
        Ok(self)
    }

    /// Takes a file or directory out of the work tree.
    pub fn remove(&self, path: &str) -> anyhow::Result<&Self> {
        let file = self.work.path().join(path);
        if file.is_dir() {
            std::fs::remove_dir_all(file)?;
        } else {
            std::fs::remove_file(file)?;
        }
        Ok(self)
    }

    /// Commits everything, and gives the commit's id.
    pub fn commit(&self, message: &str) -> anyhow::Result<String> {
        self.run(["add", "--all", "--force", "."])?;
        self.run(["commit", "--quiet", "--allow-empty", "-m", message])?;
        self.run(["rev-parse", "HEAD"])
    }

    /// Pushes the current branch and all tags.
    pub fn push(&self) -> anyhow::Result<&Self> {
        self.run(["push", "--quiet", "--force", "origin", "HEAD"])?;
        self.run(["push", "--quiet", "--force", "--tags", "origin"])?;
        Ok(self)
    }

    /// Takes over what the server's `main` is now, and nothing else.
    pub fn pull(&self) -> anyhow::Result<&Self> {
        self.run(["fetch", "--quiet", "origin", "main"])?;
        self.run(["reset", "--quiet", "--hard", "FETCH_HEAD"])?;
        Ok(self)
    }

    /// Writes one file, commits and pushes, and gives the commit's id.
    pub fn publish(&self, path: &str, content: impl AsRef<[u8]>) -> anyhow::Result<String> {
        self.write(path, content)?;
        self.publish_all(&format!("Write {path}"))
    }

    /// Commits whatever is in the work tree, pushes, and gives the commit's id.
    pub fn publish_all(&self, message: &str) -> anyhow::Result<String> {
        let commit = self.commit(message)?;
        self.push()?;
        Ok(commit)
    }

    /// Commits the opposite of `commit`, pushes, and gives the new commit's id.
    pub fn revert(&self, commit: &str) -> anyhow::Result<String> {
        self.run(["revert", "--no-edit", commit])?;
        self.push()?;
        self.run(["rev-parse", "HEAD"])
    }

    /// Goes to a branch, made when it isn't there.
    pub fn checkout(&self, branch: &str) -> anyhow::Result<&Self> {
        let full = format!("refs/heads/{branch}");
        let there = self
            .run(["rev-parse", "--quiet", "--verify", full.as_str()])
            .is_ok();
        let how: &[&str] = if there { &[] } else { &["-b"] };
        self.run(["checkout", "--quiet"].iter().chain(how).chain([&branch]))?;
        Ok(self)
    }

    /// The first branch's name.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Tags the current commit; with a message the tag is an object of its own.
    pub fn tag(&self, name: &str, message: Option<&str>) -> anyhow::Result<&Self> {
        match message {
            Some(message) => self.run(["tag", "--annotate", "-m", message, name])?,
            None => self.run(["tag", name])?,
        };
        Ok(self)
    }

    /// Commits a tree that no work tree could hold, straight into the server's branch: small files of these names, one
    /// a line.
    pub fn publish_raw(&self, names: &[u8]) -> anyhow::Result<String> {
        let blob = feed(&self.bare, ["hash-object", "-w", "--stdin"], b"x")?;
        let tree = self.hash_tree(names, &blob)?;
        let commit = git(&self.bare, ["commit-tree", "-m", "raw", tree.as_str()])?;
        let branch = format!("refs/heads/{}", self.branch);
        git(&self.bare, ["update-ref", branch.as_str(), commit.as_str()])?;
        Ok(commit)
    }

    /// Commits a file under a mode of these very digits, straight into a branch of the server's, and gives the commit's id.
    pub fn publish_mode(&self, branch: &str, mode: &str) -> anyhow::Result<String> {
        let blob = feed(&self.bare, ["hash-object", "-w", "--stdin"], b"x")?;
        let mut tree = format!("{mode} odd.yaml\0").into_bytes();
        tree.extend(hex::decode(blob)?);
        let args = ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"];
        let tree = feed(&self.bare, args, &tree)?;
        let commit = git(&self.bare, ["commit-tree", "-m", "odd", tree.as_str()])?;
        let branch = format!("refs/heads/{branch}");
        git(&self.bare, ["update-ref", branch.as_str(), commit.as_str()])?;
        Ok(commit)
    }

    /// Writes a commit object byte by byte to the server's repository, and gives its id.
    pub fn hash_commit(&self, bytes: &str) -> anyhow::Result<String> {
        let args = [
            "hash-object",
            "-t",
            "commit",
            "-w",
            "--stdin",
            "--literally",
        ];
        feed(&self.bare, args, bytes.as_bytes())
    }

    /// Writes a tree object byte by byte: `git mktree` would refuse most of the names.
    fn hash_tree(&self, names: &[u8], blob: &str) -> anyhow::Result<String> {
        let mut tree = Vec::new();
        for name in names
            .split(|byte| *byte == b'\n')
            .filter(|name| !name.is_empty())
        {
            tree.extend_from_slice(b"100644 ");
            tree.extend_from_slice(name);
            tree.push(0);
            tree.extend(hex::decode(blob)?);
        }
        let args = ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"];
        feed(&self.bare, args, &tree)
    }
}
