//! Deploy keys at a forge that bear the name of this cluster and of an object that is nowhere any more.
//!
//! Whoever forces an object's finalizer away leaves its key at the forge, and no record of it. Its title says whose it was: that of a
//! cluster with a name says of which cluster, too. Whoever may add keys can write any title, so nothing but that one key depends on
//! it. What it deliberately doesn't: judge a title without the name of a cluster, which may be any cluster's, or of an object that is
//! there, whose key this may be by another cluster of the same name or by a run that is about to record it.

use std::time::{Duration, Instant};

use reeve_api::name::NamespacedName;
use reeve_api::source::GitRepository;
use sha2::{Digest as _, Sha256};

use super::key::NAMED;

/// How often a repository's keys are looked through where nothing of them is news.
pub const EVERY: Duration = Duration::from_secs(6 * 60 * 60);
/// More than this are not taken away at once.
pub const MOST: usize = 20;

/// What the titles of this cluster's keys begin with.
pub fn prefix(cluster: &str) -> String {
    format!("reeve {cluster} ")
}

/// The object whose key a title says that it is; None: it is no title of this cluster's, or one that was cut.
pub fn named(cluster: &str, title: &str) -> Option<NamespacedName> {
    let rest = title.strip_prefix(&prefix(cluster))?;
    let (id, key) = rest.split_once(' ')?;
    let is_key = key.starts_with("SHA256:") && !key.contains(char::is_whitespace);
    let is_whole = id.chars().count() < NAMED;
    (is_key && is_whole && id.contains('/')).then(|| id.parse().ok())?
}

/// Whether an object has something to do with the key of this title, by which `id` is named: it is that object, or has recorded
/// the key, as those do that share one.
pub fn is_had(object: &GitRepository, id: &NamespacedName, title: &str) -> bool {
    let meta = &object.metadata;
    let is_it = meta.namespace.as_deref() == Some(id.namespace.as_str())
        && meta.name.as_deref() == Some(id.name.as_str());
    let record = object.status.as_ref().and_then(|it| it.deploy_key.as_ref());
    let mut keys = record.into_iter().flat_map(|record| &record.at_forge);
    is_it || keys.any(|key| key.title == title)
}

/// When a repository is first looked through of which nothing was news since this process began: all of them at once would
/// be more than a forge lets ask.
pub fn first(repository: &str, now: Instant) -> Instant {
    let hash = Sha256::digest(repository.as_bytes());
    let tenth = hash.first().copied().unwrap_or_default();
    now + EVERY * u32::from(tenth) / 256
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_whole_title_of_this_cluster_names_an_object() {
        let long = format!("reeve prod acme/{} SHA256:abc", "a".repeat(NAMED));
        for (title, want) in [
            ("reeve prod acme/web SHA256:abc", Some("acme/web")),
            ("reeve acme/web SHA256:abc", None),
            ("reeve test acme/web SHA256:abc", None),
            ("reeve prod-2 acme/web SHA256:abc", None),
            ("reeve prod web SHA256:abc", None),
            ("reeve prod acme/web", None),
            ("reeve prod acme/web mine", None),
            ("reeve prod acme/web SHA256:abc of ada", None),
            ("reeve prod acme/WEB SHA256:abc", None),
            ("key of reeve prod acme/web SHA256:abc", None),
            (&long, None),
        ] {
            let told = named("prod", title).map(|id| id.to_string());
            assert_eq!(told.as_deref(), want, "{title}");
        }
    }

    #[test]
    fn a_key_of_an_object_that_lives_or_that_another_shares_is_had() {
        let title = "reeve prod acme/web SHA256:abc";
        let id = named("prod", title).unwrap();
        let object = |namespace: &str, name: &str, recorded: &str| {
            let entry = json!({
                "provider": "forge", "repository": "ssh://git.example/acme/web", "title": recorded,
            });
            let object = json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"interval": "1m", "url": "https://x"},
                "status": {"deployKey": {"atForge": [entry]}},
            });
            serde_json::from_value::<GitRepository>(object).unwrap()
        };
        let other = "reeve prod acme/web SHA256:def";
        for (object, want) in [
            (object("acme", "web", other), true),
            (object("acme", "again", title), true),
            (object("acme", "again", other), false),
            (object("shop", "web", other), false),
        ] {
            assert_eq!(is_had(&object, &id, title), want);
        }
    }
}
