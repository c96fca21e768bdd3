//! What was pushed where, as a payload tells it, and which sources that is about.
//!
//! A repository is known by the end of its path (`acme/web`): a forge answers to many hosts, ports and schemes, and a Service
//! in the cluster is another one. Where a payload leaves something open, every source it may be about is meant. What it
//! deliberately doesn't: find the sources (`index`).

use std::collections::BTreeSet;
use std::fmt;

use reeve_api::receiver::ReceiverType;
use serde::Deserialize;

use crate::source::{Reference, Wanted};

/// A push, as a payload tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// `acme/web`, in lower case.
    repository: String,
    /// The full names of what moved; empty: nobody knows.
    references: BTreeSet<String>,
    /// Where it moved to, where only one did.
    after: Option<String>,
    /// Whether it is a pull request that is another, and nothing that moved in the repository itself.
    request: bool,
}

/// More references in one push than are told apart.
const MOST: usize = 256;

impl Push {
    /// The push that a payload tells of, if it tells of one.
    pub(super) fn read(kind: ReceiverType, event: Option<&str>, text: &str) -> Option<Self> {
        let is = |name: &str| event.is_some_and(|event| event.eq_ignore_ascii_case(name));
        match kind {
            ReceiverType::Github | ReceiverType::Gitea if is("push") => {
                let told: Hub = serde_json::from_str(text).ok()?;
                let moved = [(told.reference, told.after)];
                Self::of(&told.repository.full_name, moved)
            }
            ReceiverType::Github | ReceiverType::Gitea if is("pull_request") => {
                let told: Named = serde_json::from_str(text).ok()?;
                Self::of_request(&told.repository.full_name)
            }
            ReceiverType::Gitlab if is("Merge Request Hook") => {
                let told: LabNamed = serde_json::from_str(text).ok()?;
                Self::of_request(&told.project.path_with_namespace)
            }
            ReceiverType::Gitlab
                if ["Push Hook", "Tag Push Hook", "System Hook"]
                    .map(is)
                    .contains(&true) =>
            {
                let told: Lab = serde_json::from_str(text).ok()?;
                let what = told.object_kind.or(told.event_name)?;
                if !matches!(what.as_str(), "push" | "tag_push") {
                    return None;
                }
                let moved = [(told.reference, told.after)];
                Self::of(&told.project.path_with_namespace, moved)
            }
            ReceiverType::Bitbucket if is("repo:push") => {
                let told: Cloud = serde_json::from_str(text).ok()?;
                let moved = told.push.changes.into_iter().map(CloudChange::moved);
                let moved = moved.collect::<Option<Vec<_>>>()?;
                Self::of(&told.repository.full_name, moved)
            }
            ReceiverType::Bitbucket if is("repo:refs_changed") => {
                let told: Server = serde_json::from_str(text).ok()?;
                let repository = told.repository;
                let name = format!("{}/{}", repository.project.key, repository.slug);
                let changes = told.changes.into_iter();
                Self::of(&name, changes.map(|one| (one.reference.id, one.to_hash)))
            }
            _ => None,
        }
    }

    fn of(name: &str, moved: impl IntoIterator<Item = (String, Option<String>)>) -> Option<Self> {
        let repository = plain(name);
        if repository.is_empty() {
            return None;
        }
        let moved: Vec<_> = moved.into_iter().take(MOST + 1).collect();
        let known = moved.len() <= MOST && moved.iter().all(|(name, _)| name.starts_with("refs/"));
        let after = match moved.as_slice() {
            [(_, after)] => after.clone().filter(|after| is_commit(after)),
            _ => None,
        };
        let references = moved.into_iter().map(|(name, _)| name);
        Some(Self {
            repository,
            references: references.filter(|_| known).collect(),
            after: after.filter(|_| known),
            request: false,
        })
    }

    /// A pull request of a repository: which, the forge is asked.
    fn of_request(name: &str) -> Option<Self> {
        let known = Self::of(name, [])?;
        Some(Self {
            request: true,
            ..known
        })
    }

    /// Whether it is about a pull request.
    pub fn is_request(&self) -> bool {
        self.request
    }

    /// Whether a source may find something new by it.
    pub fn concerns(&self, source: &Wanted) -> bool {
        let path = source.url.plain_path();
        let path = path.map_or_else(|| plain(source.url.path()), |path| plain(&path));
        let ends = path.strip_suffix(&self.repository);
        let is_it = ends.is_some_and(|before| before.is_empty() || before.ends_with('/'));
        is_it && (self.references.is_empty() || self.moves(&source.reference))
    }

    /// The commit that is now where a source looks, if it is known.
    pub fn commit(&self) -> Option<&str> {
        self.after.as_deref()
    }

    fn moves(&self, reference: &Reference) -> bool {
        let moved = |name: String| self.references.contains(&name);
        let tags = || {
            self.references
                .iter()
                .any(|name| name.starts_with("refs/tags/"))
        };
        match reference {
            Reference::Branch(branch) => moved(format!("refs/heads/{branch}")),
            Reference::Tag(tag) => moved(format!("refs/tags/{tag}")),
            Reference::Semver(_) => tags(),
            Reference::Name(name) => {
                // Forges tell of no other references than branches and tags.
                let told = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
                !told || moved(name.clone())
            }
            Reference::Commit {
                branch: Some(branch),
                ..
            } => moved(format!("refs/heads/{branch}")),
            // It may have been pushed only now, to anywhere.
            Reference::Commit { branch: None, .. } => true,
        }
    }
}

impl fmt::Display for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        for name in self.references.iter().take(3) {
            write!(f, " {name}")?;
        }
        match self.references.len() {
            0..=3 => Ok(()),
            more => write!(f, " and {} more", more - 3),
        }
    }
}

/// A repository's path as it is compared.
fn plain(path: &str) -> String {
    let path = path.trim_matches('/').to_lowercase();
    path.strip_suffix(".git").unwrap_or(&path).to_owned()
}

/// Whether it is a commit, and not the zeros of something deleted.
pub fn is_commit(text: &str) -> bool {
    let hex = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    hex && matches!(text.len(), 40 | 64) && text.bytes().any(|byte| byte != b'0')
}

#[derive(Deserialize)]
struct Hub {
    #[serde(rename = "ref")]
    reference: String,
    after: Option<String>,
    repository: FullName,
}

#[derive(Deserialize)]
struct Named {
    repository: FullName,
}

#[derive(Deserialize)]
struct LabNamed {
    project: LabProject,
}

#[derive(Deserialize)]
struct FullName {
    full_name: String,
}

#[derive(Deserialize)]
struct Lab {
    object_kind: Option<String>,
    event_name: Option<String>,
    #[serde(rename = "ref")]
    reference: String,
    after: Option<String>,
    project: LabProject,
}

#[derive(Deserialize)]
struct LabProject {
    path_with_namespace: String,
}

#[derive(Deserialize)]
struct Cloud {
    push: CloudPush,
    repository: FullName,
}

#[derive(Deserialize)]
struct CloudPush {
    changes: Vec<CloudChange>,
}

#[derive(Deserialize)]
struct CloudChange {
    new: Option<CloudTip>,
    old: Option<CloudTip>,
}

#[derive(Deserialize)]
struct CloudTip {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    target: Option<CloudTarget>,
}

#[derive(Deserialize)]
struct CloudTarget {
    hash: Option<String>,
}

impl CloudChange {
    /// What moved, and where to; None: it is nothing that is known.
    fn moved(self) -> Option<(String, Option<String>)> {
        let gone = |old| CloudTip {
            target: None,
            ..old
        };
        let tip = self.new.or_else(|| self.old.map(gone))?;
        let folder = match tip.kind.as_str() {
            "branch" | "named_branch" => "heads",
            "tag" | "annotated_tag" => "tags",
            _ => return None,
        };
        let after = tip.target.and_then(|target| target.hash);
        Some((format!("refs/{folder}/{}", tip.name), after))
    }
}

#[derive(Deserialize)]
struct Server {
    changes: Vec<ServerChange>,
    repository: ServerRepository,
}

#[derive(Deserialize)]
struct ServerChange {
    #[serde(rename = "ref")]
    reference: ServerRef,
    #[serde(rename = "toHash")]
    to_hash: Option<String>,
}

#[derive(Deserialize)]
struct ServerRef {
    id: String,
}

#[derive(Deserialize)]
struct ServerRepository {
    slug: String,
    project: ServerProject,
}

#[derive(Deserialize)]
struct ServerProject {
    key: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn source(url: &str, reference: Value) -> Wanted {
        let object = json!({
            "metadata": {"name": "web", "namespace": "acme"},
            "spec": {"url": url, "interval": "1m", "ref": reference},
        });
        Wanted::parse(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn hub(reference: &str) -> Push {
        let text = json!({"ref": reference, "repository": {"full_name": "Acme/Web"}});
        Push::read(ReceiverType::Github, Some("push"), &text.to_string()).unwrap()
    }

    #[test]
    fn a_repository_is_the_same_however_its_url_is_written() {
        let push = hub("refs/heads/main");
        for (url, want) in [
            ("https://github.com/acme/web", true),
            ("https://github.com/acme/web.git", true),
            ("https://GitHub.com/Acme/Web.git/", true),
            ("https://user:password@github.com:443/acme/web", true),
            ("ssh://git@github.com/acme/web.git", true),
            ("ssh://git@ssh.github.com:443/acme/web.git", true),
            ("ssh://git@github.com:acme/web.git", true),
            ("http://gitea.gitea.svc:3000/sub/acme/web", true),
            ("https://github.com/acme/%77eb", true),
            ("https://bitbucket.example/scm/acme/web.git", true),
            ("https://github.com/acme/webs", false),
            ("https://github.com/not-acme/web", false),
            ("https://github.com/acme/web/sub", false),
            ("https://github.com/other/acme-web", false),
        ] {
            let source = source(url, json!({"branch": "main"}));
            assert_eq!(push.concerns(&source), want, "{url}");
        }
    }

    #[test]
    fn only_what_was_pushed_is_looked_for() {
        let url = "https://github.com/acme/web";
        for (reference, moved, want) in [
            (json!({"branch": "main"}), "refs/heads/main", true),
            (json!({"branch": "main"}), "refs/heads/mai", false),
            (json!({"branch": "main"}), "refs/tags/main", false),
            (json!({"branch": "feature/a"}), "refs/heads/feature/a", true),
            (json!({}), "refs/heads/master", true),
            (json!({}), "refs/heads/main", false),
            (json!({"tag": "v1"}), "refs/tags/v1", true),
            (json!({"tag": "v1"}), "refs/heads/v1", false),
            (json!({"semver": ">=1.0.0"}), "refs/tags/v1.2.3", true),
            (json!({"semver": ">=1.0.0"}), "refs/heads/main", false),
            (json!({"name": "refs/heads/main"}), "refs/heads/main", true),
            (
                json!({"name": "refs/heads/main"}),
                "refs/heads/other",
                false,
            ),
            (
                json!({"name": "refs/pull/1/head"}),
                "refs/heads/other",
                true,
            ),
            (json!({"commit": "a".repeat(40)}), "refs/heads/other", true),
            (
                json!({"commit": "a".repeat(40), "branch": "main"}),
                "refs/heads/other",
                false,
            ),
            // A name that is none tells nothing.
            (json!({"branch": "main"}), "main", true),
        ] {
            let source = source(url, reference.clone());
            assert_eq!(hub(moved).concerns(&source), want, "{reference} {moved}");
        }
    }

    #[test]
    fn a_pull_request_concerns_its_repository_and_moves_nothing() {
        let hub = json!({"action": "opened", "repository": {"full_name": "Acme/Web"}});
        let lab = json!({
            "object_kind": "merge_request", "project": {"path_with_namespace": "acme/web"},
        });
        for (kind, event, text) in [
            (ReceiverType::Github, "pull_request", &hub),
            (ReceiverType::Gitea, "pull_request", &hub),
            (ReceiverType::Gitlab, "Merge Request Hook", &lab),
        ] {
            let told = Push::read(kind, Some(event), &text.to_string()).unwrap();
            assert!(told.is_request() && told.commit().is_none(), "{event}");
            let at = |path: &str| source(&format!("https://git.example/{path}"), json!({}));
            assert!(told.concerns(&at("acme/web")), "{event}");
            assert!(!told.concerns(&at("acme/other")), "{event}");
        }
        assert!(!super::Push::of("a/b", []).unwrap().is_request());
    }

    #[test]
    fn a_deleted_branch_has_no_commit() {
        for (after, want) in [
            (json!("a".repeat(40)), Some("a".repeat(40))),
            (json!("0".repeat(40)), None),
            (json!("main"), None),
            (json!(null), None),
        ] {
            let text = json!({
                "ref": "refs/heads/main", "after": after, "repository": {"full_name": "a/b"},
            });
            let push = Push::read(ReceiverType::Gitea, Some("push"), &text.to_string());
            assert_eq!(push.unwrap().commit().map(str::to_owned), want);
        }
    }
}
