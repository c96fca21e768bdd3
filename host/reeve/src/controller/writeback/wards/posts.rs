//! Which watches there are: one of a kind and namespace for all WriteBacks of an account that are about it.
//!
//! Whoever joins a watch has it begun anew, since it has seen nothing yet; for the others nothing is news that was none. It
//! deliberately says for nobody which of his are watched: that is `core::ward`'s, by the share of his tenant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_api::name::{NamespacedName, TenantName};
use reeve_core::ward::{Realm, shares};
use tokio::task::AbortHandle;

use super::Wanted;
use super::eye::Eye;
use crate::context::Context;

/// How many watches there are at most of all WriteBacks, and of those of a tenant: a task each here, and a watcher at the API
/// server; a hundred share a connection. A tenant has as many as it wants while there are enough for all, and else what is
/// left for each.
const MOST: usize = 4096;
const MOST_OF_TENANT: usize = 256;

/// As whom something is watched, and what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Post {
    pub(super) account: String,
    pub(super) realm: Realm,
}

/// The watches there are.
#[derive(Debug, Default)]
pub(super) struct Posts {
    watches: BTreeMap<Post, Watch>,
    /// How many each tenant wants, and how many it may have.
    wanted: BTreeMap<TenantName, usize>,
    shares: BTreeMap<TenantName, usize>,
    /// The number of the last one who was sent to look: what an earlier one still says counts no more.
    last: u64,
}

#[derive(Debug)]
struct Watch {
    tenant: TenantName,
    task: AbortHandle,
    serial: u64,
    readers: BTreeSet<NamespacedName>,
    refused: Option<String>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Post {
    pub(super) fn of(wanted: &Wanted, realm: &Realm) -> Self {
        Self {
            account: wanted.account.clone(),
            realm: realm.clone(),
        }
    }
}

impl Posts {
    /// Ends all of them.
    pub(super) fn clear(&mut self) {
        self.watches.clear();
        self.wanted.clear();
        self.shares.clear();
    }

    /// A number that nobody else has.
    pub(super) fn serial(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// So many a tenant wants.
    pub(super) fn count(&mut self, tenant: &TenantName, number: usize) {
        match number {
            0 => self.wanted.remove(tenant),
            number => self.wanted.insert(tenant.clone(), number),
        };
    }

    /// Gives each tenant its share of what there may be. Whose is another now.
    pub(super) fn share_out(&mut self) -> BTreeSet<TenantName> {
        let now = shares(&self.wanted, MOST, MOST_OF_TENANT);
        let before = std::mem::replace(&mut self.shares, now);
        let is_same = |tenant: &&TenantName| before.get(*tenant) == self.shares.get(*tenant);
        let all = before.keys().chain(self.shares.keys());
        all.filter(|tenant| !is_same(tenant)).cloned().collect()
    }

    /// How many a tenant may have.
    pub(super) fn share(&self, tenant: &TenantName) -> usize {
        self.shares.get(tenant).copied().unwrap_or_default()
    }

    /// Whether that is watched, and why it may not be.
    pub(super) fn state(&self, post: &Post) -> Option<Option<&str>> {
        let watch = self.watches.get(post)?;
        Some(watch.refused.as_deref())
    }

    /// What one wants, and is not watched for it.
    pub(super) fn beyond(&self, id: &NamespacedName, wanted: &Wanted) -> BTreeSet<Realm> {
        let realms = wanted.realms.keys();
        let beyond = realms.filter(|realm| self.is_beyond(id, wanted, realm));
        beyond.cloned().collect()
    }

    /// Whether that is not watched for it.
    pub(super) fn is_beyond(&self, id: &NamespacedName, wanted: &Wanted, realm: &Realm) -> bool {
        let watch = self.watches.get(&Post::of(wanted, realm));
        watch.is_none_or(|watch| !watch.readers.contains(id))
    }

    /// Nothing is watched for it any more.
    pub(super) fn leave(&mut self, id: &NamespacedName) {
        self.watches.retain(|_, watch| {
            watch.readers.remove(id);
            !watch.readers.is_empty()
        });
    }

    /// Ends what of a tenant's is not among these.
    pub(super) fn end_but(&mut self, tenant: &TenantName, these: &BTreeSet<Post>) {
        self.watches
            .retain(|post, watch| watch.tenant != *tenant || these.contains(post));
    }

    /// Has something watched for these. `retry`: if it was refused to that one, it is tried again now. Who is shown everything from
    /// its beginning on, and was shown nothing before.
    pub(super) fn man(
        &mut self,
        ctx: &Arc<Context>,
        tenant: &TenantName,
        post: &Post,
        readers: BTreeSet<NamespacedName>,
        retry: Option<&NamespacedName>,
    ) -> Vec<NamespacedName> {
        let tenant = tenant.clone();
        let mut before = BTreeSet::new();
        if let Some(watch) = self.watches.get_mut(post) {
            let is_tried =
                watch.refused.is_some() && retry.is_some_and(|id| watch.readers.contains(id));
            if readers.is_subset(&watch.readers) && !is_tried {
                (watch.tenant, watch.readers) = (tenant, readers);
                return Vec::new();
            }
            before.clone_from(&watch.readers);
        }
        let serial = self.serial();
        let task = tokio::spawn(Eye::new(ctx, post, serial).watch()).abort_handle();
        let joined = readers.difference(&before).cloned().collect();
        let watch = Watch {
            tenant,
            task,
            serial,
            readers,
            refused: None,
        };
        self.watches.insert(post.clone(), watch);
        joined
    }

    /// Who reads what the one with this number shows; nobody if that is another by now.
    pub(super) fn readers(&self, post: &Post, serial: u64) -> BTreeSet<NamespacedName> {
        let watch = self.watches.get(post);
        let watch = watch.filter(|watch| watch.serial == serial);
        watch.map(|watch| watch.readers.clone()).unwrap_or_default()
    }

    /// It may not be watched, or is tried again.
    pub(super) fn refuse(&mut self, post: &Post, serial: u64, why: Option<String>) {
        let watch = self.watches.get_mut(post);
        if let Some(watch) = watch.filter(|watch| watch.serial == serial) {
            watch.refused = why;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantName {
        name.parse().unwrap()
    }

    #[test]
    fn who_comes_later_has_its_share_and_whose_is_another_is_told() {
        let mut posts = Posts::default();
        posts.count(&tenant("greedy"), 5000);
        assert_eq!(posts.share_out(), [tenant("greedy")].into());
        assert_eq!(posts.share(&tenant("greedy")), MOST_OF_TENANT);
        posts.count(&tenant("small"), 90);
        assert_eq!(
            posts.share_out(),
            [tenant("small")].into(),
            "there are enough"
        );
        let others: Vec<TenantName> = (0..60).map(|n| tenant(&format!("other-{n}"))).collect();
        for other in &others {
            posts.count(other, 90);
        }
        let moved = posts.share_out();
        assert!(moved.contains(&tenant("greedy")), "{moved:?}");
        assert!(others.iter().all(|one| posts.share(one) > 60));
        let all: usize = posts.shares.values().sum();
        assert!(all <= MOST, "{all}");
        assert!(posts.share(&tenant("small")) >= 64 && posts.share(&tenant("greedy")) >= 64);
        for other in &others {
            posts.count(other, 0);
        }
        posts.share_out();
        assert_eq!(posts.share(&tenant("greedy")), MOST_OF_TENANT);
        assert_eq!(posts.share(&others[0]), 0);
    }
}
