//! What is gone with the definition of its kind was deleted by nobody.
//!
//! Whoever deletes a definition deletes all objects of its kind, knowingly or not: a policy would hold nobody back from then on.
//! So before an object that holds others back counts as deleted, the API server is asked whether the kind's definition is still
//! the one under which it was seen. If not, what was known of it stays as it was, also when the kind comes back without it:
//! until an object of its name is made again, or this process ends. It deliberately asks of no other kind.

use std::marker::PhantomData;
use std::time::Duration;

use kube::core::ObjectMeta;
use reeve_core::failure::chain;

use super::Followed;
use crate::cluster::Definition;
use crate::context::Context;

/// How long until the API server is asked again that gave no answer.
const PAUSE: Duration = Duration::from_secs(3);

/// The definition under which objects were seen.
pub(super) struct Defined<K> {
    uid: Option<String>,
    /// Whether that one is known to be gone.
    left: bool,
    kind: PhantomData<fn() -> K>,
}

impl<K> Default for Defined<K> {
    fn default() -> Self {
        Self {
            uid: None,
            left: false,
            kind: PhantomData,
        }
    }
}

impl<K: Followed> Defined<K> {
    /// All there are were seen.
    pub(super) async fn learn(&mut self, ctx: &Context) {
        if K::HOLDS_BACK {
            self.uid = asked::<K>(ctx).await.map(|now| now.uid);
            self.left = false;
        }
    }

    /// An object was seen. A watch may outlive the definition it was begun under, and go on with what is made under the next
    /// one: an object that is younger than that belongs to it.
    pub(super) async fn saw(&mut self, ctx: &Context, meta: &ObjectMeta) {
        if !self.left {
            return;
        }
        let Some(now) = asked::<K>(ctx).await else {
            return;
        };
        let born = meta.creation_timestamp.as_ref().map(|born| born.0);
        if !now.going && now.made.is_some() && born >= now.made {
            self.uid = Some(now.uid);
            self.left = false;
        }
    }

    /// Whether what is gone was deleted by itself. Waits for the API server: until it has answered, nothing is gone.
    pub(super) async fn still_is(&mut self, ctx: &Context) -> bool {
        if !K::HOLDS_BACK {
            return true;
        }
        let now = asked::<K>(ctx).await;
        let same = |uid: &String| now.as_ref().is_some_and(|now| now.uid == *uid);
        let still = now.as_ref().is_some_and(|now| !now.going) && self.uid.iter().all(same);
        if !still {
            self.left = true;
            tracing::warn!(
                kind = %K::kind(&()),
                "the definition of a kind was deleted, and its objects with it: what they say holds until they are made again, or this process ends"
            );
        }
        still
    }
}

async fn asked<K: Followed>(ctx: &Context) -> Option<Definition> {
    loop {
        match ctx.cluster.definition::<K>().await {
            Ok(definition) => return definition,
            Err(why) => tracing::warn!(
                kind = %K::kind(&()),
                error = chain(&why),
                "reading the definition of a kind failed, it is tried again"
            ),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
