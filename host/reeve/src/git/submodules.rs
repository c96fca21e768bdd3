//! The submodules of a commit: which there are, where each is from, and their files in their places.
//!
//! A commit names the commit of each submodule, and `.gitmodules` in it where that is from. They are found one after the
//! other, each of the same commit once, and theirs after them; how deep and how many is bounded, and so is what all of them
//! send. A commit is named by what it holds, and so are those of its submodules with it: who signed it, or has its artifact, has
//! theirs. What `.gitmodules` says is read, never acted upon: no command in it, and no name of it is a path here. Which
//! addresses there are is `core::submodule`'s to say.
//!
//! What it deliberately doesn't: know logins, or whether the host may be reached: whoever asks fetches each, as any repository.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use reeve_api::name::RemoteUrl;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::submodule;

use super::name::hostile;
use super::session::blocking;
use super::snapshot::{GITMODULES, is_asked_for, lost, names_of_submodules, read_again, root_of};
use super::wire::{in_bytes, printable};
use super::{Cause, Content, Error, Limits, Mirrors, Resolved, Snapshot};

/// The largest `.gitmodules`.
const MOST_BYTES: u64 = 256 << 10;

/// What goes for all submodules of one commit.
#[derive(Debug, Clone, Copy)]
pub struct Recursion<'a> {
    /// Whose threads do the work.
    pub mirrors: &'a Mirrors,
    /// When all of them must be there.
    pub deadline: Instant,
    /// What they may cost.
    pub limits: &'a Limits,
}

/// A submodule that is to be fetched.
#[derive(Debug, Clone)]
pub struct Submodule {
    /// Where it lies, from the root of the first repository.
    pub path: String,
    /// Where it is from.
    pub url: RemoteUrl,
    /// What it may cost: what those before it have left.
    pub limits: Limits,
    commit: ObjectId,
}

/// From where submodules are, and at which commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeSet<(String, ObjectId)>);

impl Origins {
    /// Whether one of them is from the same address, written in the same way.
    pub fn have_address_of(&self, submodule: &Submodule) -> bool {
        let address = submodule.url.without_userinfo();
        self.0.iter().any(|(known, _)| *known == address)
    }

    /// Whether one of them is the same commit from the same address.
    pub fn have(&self, submodule: &Submodule) -> bool {
        self.0.contains(&submodule.origin())
    }
}

impl Submodule {
    fn origin(&self) -> (String, ObjectId) {
        (self.url.without_userinfo(), self.commit)
    }

    /// What is to be fetched: one commit, whichever branch it is on.
    ///
    /// # Errors
    /// Never, but for a name of a commit that cannot be written.
    pub fn resolved(&self) -> Result<Resolved, Error> {
        Ok(Resolved::of(self.commit)?)
    }

    /// All files of it: what is ignored is said where all are together.
    pub fn content() -> Content {
        Content {
            ignore: Some(String::new()),
            ..Content::default()
        }
    }
}

/// A repository whose submodules are looked for.
struct Parent<W> {
    /// Where it lies, with a final `/`; empty for the first one.
    path: String,
    depth: usize,
    snapshot: Snapshot,
    url: RemoteUrl,
    way: W,
}

impl Recursion<'_> {
    /// The same commit as `snapshot`, which is from `url`, with the files of its submodules that `content` asks for.
    ///
    /// `get` fetches one. It is told the way to the repository that names it, which is whatever `get` gave for that one, and
    /// `way` for the first.
    ///
    /// # Errors
    /// When one can't be had, is refused, or is one too many.
    pub async fn complete<W, F, Fut>(
        self,
        snapshot: Snapshot,
        url: &RemoteUrl,
        way: W,
        content: Content,
        get: F,
    ) -> Result<Snapshot, Explained>
    where
        W: Clone,
        F: Fn(Submodule, W) -> Fut,
        Fut: Future<Output = Result<(Snapshot, W), Explained>>,
    {
        let mut left = self.limits.pack_bytes;
        let mut found = BTreeMap::new();
        let mut origins = Origins::default();
        let mut parents = VecDeque::from([Parent {
            path: String::new(),
            depth: 0,
            snapshot: snapshot.clone(),
            url: url.clone(),
            way,
        }]);
        while let Some(parent) = parents.pop_front() {
            let named = self.named(&parent, &content).await;
            for mut submodule in named.map_err(|why| Explained::of(&why))? {
                if found.len() >= self.limits.submodules {
                    return Err(too_many(self.limits));
                }
                let (path, url) = (submodule.path.clone(), submodule.url.clone());
                submodule.limits.pack_bytes = left;
                origins.0.insert(submodule.origin());
                let got = get(submodule, parent.way.clone()).await;
                let (snapshot, way) = got.map_err(|why| of(&path, &url, why))?;
                let came = snapshot.received().map_or(0, |received| received.bytes);
                left = left.saturating_sub(came);
                parents.push_back(Parent {
                    path: format!("{path}/"),
                    depth: parent.depth + 1,
                    snapshot: snapshot.clone(),
                    url,
                    way,
                });
                found.insert(path, snapshot);
            }
        }
        let content = Content { origins, ..content };
        self.together(snapshot, content, found).await
    }

    /// The submodules that a repository names, of those that are asked for.
    async fn named<W>(
        &self,
        parent: &Parent<W>,
        content: &Content,
    ) -> Result<Vec<Submodule>, Error> {
        let links = parent.snapshot.submodules().iter();
        let links = links.map(|(path, commit)| (format!("{}{path}", parent.path), path, *commit));
        let links =
            links.filter(|(whole, ..)| is_asked_for(&content.sparse, whole.as_bytes(), true));
        let links: Vec<(String, String, ObjectId)> = links
            .map(|(whole, path, commit)| (whole, path.clone(), commit))
            .collect();
        if links.is_empty() {
            return Ok(Vec::new());
        }
        if parent.depth >= self.limits.submodule_depth {
            return Err(Cause::TooMuch {
                what: "submodules are nested deeper",
                cap: self.limits.submodule_depth.to_string(),
            }
            .into());
        }
        let (snapshot, file) = (
            parent.snapshot.clone(),
            format!("{}{GITMODULES}", parent.path),
        );
        let read = move |_, _| entries(&snapshot, &file);
        let doing = "reading the names of submodules";
        let entries = blocking(self.mirrors.permits(), self.deadline, doing, read).await?;
        let named = links.into_iter().map(|(whole, path, commit)| {
            let url = entries.address(&path, &parent.url)?;
            Ok(Submodule {
                path: whole,
                url,
                limits: self.limits.clone(),
                commit,
            })
        });
        let named: Result<Vec<Submodule>, Cause> = named.collect();
        Ok(named?)
    }

    async fn together(
        self,
        snapshot: Snapshot,
        content: Content,
        found: BTreeMap<String, Snapshot>,
    ) -> Result<Snapshot, Explained> {
        if found.is_empty() {
            return Ok(snapshot);
        }
        let content = Content {
            submodules: found,
            incomplete: false,
            ..content
        };
        let limits = self.limits.clone();
        let read = move |_, terms| read_again(&snapshot, &content, &limits, &terms);
        let doing = "putting submodules into their places";
        let read = blocking(self.mirrors.permits(), self.deadline, doing, read).await;
        read.map_err(|why| Explained::of(&Error::from(why)))
    }
}

fn too_many(limits: &Limits) -> Explained {
    let why = Cause::TooMuch {
        what: "the commit has more submodules",
        cap: limits.submodules.to_string(),
    };
    Explained::of(&Error::from(why))
}

const LOGIN: &str = "a submodule has the login of the repository that names it where it is on the same server, and else the one that git configuration has for its address";
const PLACE: &str =
    "where a submodule is from, .gitmodules says; which commit of it, the commit does";

/// Why one could not be had. What is wrong with its address is for the next commit to correct, not for the object.
fn of(path: &str, url: &RemoteUrl, why: Explained) -> Explained {
    let address = url.without_userinfo();
    let message = format!("submodule {path:?} of {address}: {}", why.message);
    let turn = match why.turn {
        Turn::Owner => Turn::NextRevision,
        turn => turn,
    };
    // What is said of the object's own fields is about its own repository.
    let others = why.hint.filter(|hint| !hint.contains("spec."));
    let hint = match why.reason {
        Reason::AuthenticationFailed => LOGIN.to_owned(),
        _ => others.unwrap_or_else(|| PLACE.to_owned()),
    };
    Explained::new(why.reason, turn, message).with_hint(hint)
}

/// What a `.gitmodules` says.
#[derive(Debug)]
struct Entries {
    /// Which file.
    file: String,
    /// The name and the address, by the path.
    by_path: BTreeMap<String, (String, Option<String>)>,
}

impl Entries {
    /// Where the submodule at `path` is, of a repository that is at `parent`.
    fn address(&self, path: &str, parent: &RemoteUrl) -> Result<RemoteUrl, Cause> {
        let Some((name, url)) = self.by_path.get(path) else {
            return Err(Cause::Submodule {
                place: format!("submodule {path:?}"),
                why: format!("{} does not say where it is from", self.file),
            });
        };
        let found = submodule::address(parent, url.as_deref().unwrap_or_default());
        found.map_err(|why| refused(&self.file, name, &why.to_string()))
    }
}

fn refused(file: &str, name: &str, why: &str) -> Cause {
    Cause::Submodule {
        place: format!("entry {:?} of {file}", printable(name)),
        why: why.to_owned(),
    }
}

/// Reads `.gitmodules` at the root of a commit.
fn entries(snapshot: &Snapshot, file: &str) -> Result<Entries, Cause> {
    let text = text(snapshot, file)?;
    let mut read: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    let meta = gix::config::file::Metadata::api();
    let parsed = gix::config::File::from_bytes_no_includes(&text, meta, Default::default());
    let parsed =
        parsed.map_err(|_| unread(file, "it is not written as git writes its configuration"))?;
    for section in parsed.sections_by_name("submodule").into_iter().flatten() {
        let Some(name) = section.header().subsection_name() else {
            continue;
        };
        let name = name.to_string();
        let value = |key: &str| section.value(key).map(|value| value.to_string());
        let (path, url) = (value("path"), value("url"));
        // As git reads it: what is said later holds.
        let entry = read.entry(name).or_default();
        entry.0 = path.or_else(|| entry.0.take());
        entry.1 = url.or_else(|| entry.1.take());
    }
    let mut by_path = BTreeMap::new();
    for (name, (path, url)) in read {
        let Some(path) = path else {
            continue;
        };
        let path = path.strip_suffix('/').unwrap_or(&path).to_owned();
        let why = odd_name(&name).or_else(|| odd_path(snapshot, &path));
        if let Some(why) = why {
            return Err(refused(file, &name, why));
        }
        if by_path.insert(path, (name.clone(), url)).is_some() {
            return Err(refused(file, &name, "another entry has the same path"));
        }
    }
    Ok(Entries {
        file: file.to_owned(),
        by_path,
    })
}

/// Why git would not take a name: it makes a directory of it.
fn odd_name(name: &str) -> Option<&'static str> {
    let mut parts = name.split(['/', '\\']);
    if name.is_empty() {
        return Some("its name is empty");
    }
    parts
        .any(|part| part == "..")
        .then_some("its name leads out by `..`")
}

/// Why nothing can be at a path.
fn odd_path(snapshot: &Snapshot, path: &str) -> Option<&'static str> {
    if path.starts_with('-') {
        return Some("its path begins with `-`, as an option of git does");
    }
    if path.starts_with('/') {
        return Some("its path does not begin in the repository");
    }
    if path
        .split('/')
        .any(|part| hostile(part.as_bytes()).is_some())
    {
        return Some(
            "its path has a part that is empty, leads out, or that some file system reads as .git",
        );
    }
    let through = snapshot.leads_through_a_link(path);
    through.then_some("its path leads through a symbolic link")
}

/// The bytes of the file, which must be one.
fn text(snapshot: &Snapshot, file: &str) -> Result<Vec<u8>, Cause> {
    let repository = snapshot.repository()?;
    let (commit, _) = snapshot.signable();
    let (root, _) = root_of(&repository, commit)?;
    let (kind, id) = names_of_submodules(&repository, root)?.ok_or_else(|| {
        unread(
            file,
            "it is not there, and there are submodules that it should name",
        )
    })?;
    if !matches!(kind, EntryKind::Blob | EntryKind::BlobExecutable) {
        return Err(unread(file, "it is no file"));
    }
    if repository.find_header(id).map_err(lost)?.size() > MOST_BYTES {
        let why = format!("it is larger than {}", in_bytes(MOST_BYTES));
        return Err(unread(file, &why));
    }
    Ok(repository.find_object(id).map_err(lost)?.detach().data)
}

fn unread(file: &str, why: &str) -> Cause {
    Cause::Submodule {
        place: file.to_owned(),
        why: why.to_owned(),
    }
}
