//! Where a Kustomization is delivered to, if it is: by its own annotations, or as whoever is above it has it (its Tenant, the
//! environment that this is, its Project, the platform).
//!
//! What the platform says holds for whoever it says it for: nobody delivers what is to be elsewhere, or goes back to the
//! cluster, by an annotation. A repository of its own is a GitRepository of its own namespace.

use reeve_api::deliver::{GitDelivery, Proposal};
use reeve_api::name::{NamespacedName, ObjectName};
use reeve_api::reason::Reason;

use super::path::directory;
use super::wish::{DELIVER, PATH, TO, Wish};
use crate::failure::{Explained, Turn};

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which repository.
    pub target: Target,
    /// The directory in it, from its root.
    pub directory: String,
    /// How a change is proposed, where it isn't committed.
    pub propose: Option<Proposal>,
}

/// Which repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// That of a GitRepository of the Kustomization's namespace, with the login that it has, on the branch that it follows.
    Own(NamespacedName),
    /// The one that the platform gives, with the Secret of its own.
    Given(GitDelivery),
}

/// What is said for a Kustomization by somebody above it.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Where to.
    pub git: &'a GitDelivery,
    /// Who says so: `Tenant acme`.
    pub by: &'a str,
}

/// Where `id` is delivered to; None: it is applied. `platform` says that it is the platform's own, which may go back to the
/// cluster.
///
/// # Errors
/// When it says something else than whoever is above it, or nothing says which repository.
pub fn place(
    id: &NamespacedName,
    wish: &Wish,
    given: Option<Given<'_>>,
    platform: bool,
) -> Result<Option<Place>, Explained> {
    match (wish.git, &wish.to, given) {
        (Some(false), _, None) | (None, _, None) => Ok(None),
        (Some(false), _, Some(_)) if platform => Ok(None),
        (Some(false), _, Some(given)) => Err(denied(DELIVER, given)),
        (_, Some(_), Some(given)) if !platform => Err(denied(TO, given)),
        (_, Some(name), _) => Ok(Some(own(id, wish, name))),
        (_, None, Some(given)) => above(id, wish, given).map(Some),
        (Some(true), None, None) => {
            let message = format!(
                "metadata.annotations[{DELIVER}]: nothing says which repository it is delivered to"
            );
            let hint = format!(
                "name a GitRepository of namespace {} in the annotation {TO}",
                id.namespace
            );
            Err(Explained::new(Reason::InvalidSpec, Turn::Owner, message).with_hint(hint))
        }
    }
}

/// Whether what is delivered there is apart from the directory that it is built from, where both are on one branch of a repository:
/// else the next build would find what this one has made, and take over what people have written.
///
/// # Errors
/// When one of the two lies in the other.
pub fn apart(place: &Place, built: &str) -> Result<(), Explained> {
    let delivered = place.directory.as_str();
    if !is_below(delivered, built) && !is_below(built, delivered) {
        return Ok(());
    }
    let shown = |path: &str| match path {
        "" => "the root".to_owned(),
        path => format!("directory {path}"),
    };
    let message = format!(
        "it is built from {} of the branch that it is delivered to, and would be delivered to {} of it: one lies in the other",
        shown(built),
        shown(delivered)
    );
    let hint = format!(
        "deliver to another repository or branch, or to a directory beside the one in spec.path by the annotation {PATH}"
    );
    Err(Explained::new(Reason::InvalidSpec, Turn::Retry, message).with_hint(hint))
}

/// Whether a path is a directory, or lies in it; the root is `""`.
pub fn is_below(path: &str, directory: &str) -> bool {
    let rest = path.strip_prefix(directory);
    directory.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn own(id: &NamespacedName, wish: &Wish, name: &ObjectName) -> Place {
    let usual = || format!("{}/{}", id.namespace, id.name);
    Place {
        target: Target::Own(NamespacedName {
            namespace: id.namespace.clone(),
            name: name.clone(),
        }),
        directory: wish.path.clone().unwrap_or_else(usual),
        propose: wish.propose.then(Proposal::default),
    }
}

/// Below the prefix, in a directory of the namespace: whatever a tenant says, it stays there.
fn above(id: &NamespacedName, wish: &Wish, given: Given<'_>) -> Result<Place, Explained> {
    let prefix = given.git.path_prefix.as_deref().unwrap_or_default();
    let prefix = directory(prefix).map_err(|why| {
        let message = format!("deliver.git.pathPrefix of {}: {why}", given.by);
        Explained::new(Reason::InvalidSpec, Turn::Retry, message)
    })?;
    let usual = || id.name.to_string();
    let below = wish.path.clone().unwrap_or_else(usual);
    let namespace = id.namespace.as_str();
    let parts = [prefix.as_str(), namespace, &below];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    let propose = given.git.propose.clone();
    Ok(Place {
        target: Target::Given(given.git.clone()),
        directory: parts.collect::<Vec<_>>().join("/"),
        propose: propose.or_else(|| wish.propose.then(Proposal::default)),
    })
}

fn denied(annotation: &str, given: Given<'_>) -> Explained {
    let message = format!(
        "metadata.annotations[{annotation}]: {} says where this is delivered to",
        given.by
    );
    let hint = format!("take the annotation {annotation} away, or ask the platform");
    Explained::new(Reason::AccessDenied, Turn::Owner, message).with_hint(hint)
}
