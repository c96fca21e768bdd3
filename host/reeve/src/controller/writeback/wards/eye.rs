//! One watch: what it shows is shown to every WriteBack that reads it.
//!
//! By the rules of each, and with what is known of the Kustomization that has applied an object. It deliberately keeps nothing of
//! its own, so that it may be begun anew at any time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_core::drift::owner;
use reeve_core::inventory::ObjectId;
use reeve_core::ward::Realm;
use serde_json::Value;

use super::super::since::agreed_now;
use super::posts::Post;
use super::{Wards, quiet};
use crate::cluster::{Glance, Scene};
use crate::context::Context;

/// How soon it is tried again to watch what was refused: rights come and go.
const AGAIN: Duration = Duration::from_secs(600);

/// One watch.
pub(super) struct Eye {
    ctx: Arc<Context>,
    post: Post,
    serial: u64,
}

impl Eye {
    pub(super) fn new(ctx: &Arc<Context>, post: &Post, serial: u64) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            post: post.clone(),
            serial,
        }
    }

    /// Watches, as long as nobody ends it.
    pub(super) async fn watch(self) {
        let scene = scene(&self.post.account, &self.post.realm);
        let wards = &self.ctx.wards;
        loop {
            let see = |glance: Glance| self.see(&glance);
            let why = self.ctx.cluster.glance_at(&scene, see).await;
            let why = Some(why.to_string());
            let readers = wards.refuse(&self.post, self.serial, why);
            // They tell what cannot be seen.
            self.ctx.queues.writebacks.wake_all(readers);
            tokio::time::sleep(AGAIN).await;
            wards.refuse(&self.post, self.serial, None);
        }
    }

    fn see(&self, glance: &Glance) {
        // Asked of the index before what is watched is locked.
        let agreed = agreed(&self.ctx, &self.post.realm, glance);
        let waiting = self
            .ctx
            .wards
            .see(&self.post, self.serial, glance, agreed.as_ref());
        for id in waiting {
            tokio::spawn(quiet(Arc::clone(&self.ctx), id));
        }
    }
}

impl Wards {
    /// A watch shows something. For whom somebody has to wait for quiet from now on.
    fn see(
        &self,
        post: &Post,
        serial: u64,
        glance: &Glance,
        agreed: Option<&(ObjectId, String)>,
    ) -> Vec<NamespacedName> {
        let mut all = self.lock();
        let mut waiting = Vec::new();
        for id in all.posts.readers(post, serial) {
            let kept = all.kept.get_mut(&id);
            if kept.is_some_and(|kept| kept.see(&post.realm, glance, agreed)) {
                waiting.push(id);
            }
        }
        waiting
    }

    /// A watch is refused, or tried again. Who reads it.
    fn refuse(&self, post: &Post, serial: u64, why: Option<String>) -> BTreeSet<NamespacedName> {
        let mut all = self.lock();
        all.posts.refuse(post, serial, why);
        all.posts.readers(post, serial)
    }
}

/// What is looked at as an account.
pub(super) fn scene(account: &str, realm: &Realm) -> Scene {
    Scene {
        account: Some(account.to_owned()),
        namespace: realm.namespace.clone(),
        group: realm.group.clone(),
        kind: realm.kind.clone(),
        labels: String::new(),
    }
}

/// At which revision the Kustomization that an object is of and the cluster were the same.
pub(super) fn agreed(ctx: &Context, realm: &Realm, glance: &Glance) -> Option<(ObjectId, String)> {
    let Glance::There(object) = glance else {
        return None;
    };
    let owner = owner(object)?;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let text = |pointer| text(pointer).unwrap_or_default().to_owned();
    let id = ObjectId {
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        group: realm.group.clone(),
        kind: realm.kind.clone(),
    };
    let revision = ctx.index.read(|known| agreed_now(known, &owner, &id))?;
    Some((id, revision))
}
