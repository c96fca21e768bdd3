//! Who has which of the watches: by the shares of tenants, and of one tenant's what is most urgent.
//!
//! Counted anew whenever somebody wants something else, and then for all whose share is another because of that. What is not
//! watched is listed (`patrol`). It deliberately knows no rule but whether one names a kind: the order is `core::ward`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_api::name::{NamespacedName, TenantName};
use reeve_core::inventory::ObjectId;
use reeve_core::ward::{Realm, Wish, chosen};

use super::posts::Post;
use super::{All, Kept, Sights, Unseen, Wanted};
use crate::context::Context;

impl All {
    /// Whose share of the watches is another because of what one wants from now on.
    pub(super) fn want(
        &mut self,
        id: &NamespacedName,
        wanted: Wanted,
        remembered: BTreeSet<ObjectId>,
    ) -> BTreeSet<TenantName> {
        let before = self.kept.get(id).map(|kept| &kept.wanted);
        let mut moved = BTreeSet::new();
        if before.is_none_or(|before| !before.is_about(&wanted)) {
            moved.extend(before.map(|before| before.tenant.clone()));
            moved.insert(wanted.tenant.clone());
        }
        match self.kept.get_mut(id) {
            Some(kept) if kept.is_for(&wanted) => kept.take_up(wanted),
            _ => {
                // What is watched for it already shows everything once more: the ward knows nothing yet.
                self.posts.leave(id);
                self.kept.insert(id.clone(), Kept::new(wanted, remembered));
            }
        }
        self.count(moved)
    }

    /// Counts what these tenants want. Whose share is another now.
    pub(super) fn count(&mut self, tenants: BTreeSet<TenantName>) -> BTreeSet<TenantName> {
        if tenants.is_empty() {
            return tenants;
        }
        for tenant in &tenants {
            let its = self.kept.values().map(|kept| &kept.wanted);
            let its = its.filter(|wanted| wanted.tenant == *tenant);
            let posts = its.flat_map(|wanted| {
                let realms = wanted.realms.keys();
                realms.map(move |realm| (wanted.account.as_str(), realm))
            });
            let posts: BTreeSet<(&str, &Realm)> = posts.collect();
            let number = posts.len();
            self.posts.count(tenant, number);
        }
        self.posts.share_out()
    }

    /// Has watched what of a tenant's is to be, and the rest listed.
    pub(super) fn distribute(
        &mut self,
        ctx: &Arc<Context>,
        tenant: &TenantName,
        retry: Option<&NamespacedName>,
    ) {
        let wishes = self.wishes(tenant);
        let plain = wishes.iter().map(|(post, (wish, _))| (post.clone(), *wish));
        let watched = chosen(&plain.collect(), self.posts.share(tenant));
        self.posts.end_but(tenant, &watched);
        for (post, (_, readers)) in wishes {
            if !watched.contains(&post) {
                continue;
            }
            for id in self.posts.man(ctx, tenant, &post, readers, retry) {
                if let Some(kept) = self.kept.get_mut(&id) {
                    kept.is_shown(&post.realm);
                }
            }
        }
        let Self { kept, posts } = self;
        for (id, kept) in kept.iter_mut() {
            if kept.wanted.tenant == *tenant {
                let beyond = posts.beyond(id, &kept.wanted);
                kept.patrol(ctx, (id, posts.serial()), &beyond);
            }
        }
    }

    /// What of a tenant's somebody wants watched, and who.
    pub(super) fn wishes(
        &self,
        tenant: &TenantName,
    ) -> BTreeMap<Post, (Wish, BTreeSet<NamespacedName>)> {
        let mut wishes: BTreeMap<Post, (Wish, BTreeSet<NamespacedName>)> = BTreeMap::new();
        let its = self.kept.iter();
        for (id, kept) in its.filter(|(_, kept)| kept.wanted.tenant == *tenant) {
            for (realm, word) in &kept.wanted.realms {
                let post = Post::of(&kept.wanted, realm);
                let watch = self.posts.state(&post);
                let (wish, readers) = wishes.entry(post).or_default();
                wish.watched |= watch.is_some();
                wish.refused |= watch.flatten().is_some() || kept.unlisted.contains_key(realm);
                wish.named |= word.named;
                wish.holds |= kept.ward.holds(realm);
                readers.insert(id.clone());
            }
        }
        wishes
    }

    /// Why one may not see something.
    pub(super) fn refused<'a>(&'a self, kept: &'a Kept, realm: &Realm) -> Option<&'a str> {
        let watch = self.posts.state(&Post::of(&kept.wanted, realm));
        let unlisted = kept.unlisted.get(realm).map(String::as_str);
        watch.flatten().or(unlisted)
    }

    pub(super) fn sights(&self, id: &NamespacedName) -> Sights {
        let mut sights = Sights::default();
        let Some(kept) = self.kept.get(id) else {
            return sights;
        };
        let beyond = self.posts.beyond(id, &kept.wanted);
        for (realm, word) in &kept.wanted.realms {
            let (realm, resource) = (realm.clone(), word.resource.clone());
            match self.refused(kept, &realm).map(str::to_owned) {
                Some(why) => sights.unseen.push(Unseen {
                    realm,
                    resource,
                    why,
                }),
                None if beyond.contains(&realm) => sights.listed.push((realm, resource)),
                None => {}
            }
        }
        sights
    }
}

impl Wanted {
    /// Whether the same is looked at for the same.
    fn is_about(&self, other: &Self) -> bool {
        (&self.tenant, &self.account) == (&other.tenant, &other.account)
            && self.realms.keys().eq(other.realms.keys())
    }
}
