//! What runs would say about an object that is not there yet, by the functions that the runs call.
//!
//! As far as that can be known without fetching anything. It deliberately does nothing: no finalizer, no status, no count.

use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespacedName, PluginName};
use reeve_api::plugin::{ClusterPlugin, Plugin};
use reeve_api::policy::Policy;
use reeve_api::reason::Reason;
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use reeve_core::failure::{Explained, Turn};
use reeve_core::plugin::PluginId;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{kustomization, plugin, policy, receiver, report, source};
use crate::context::Context;
use crate::observe::Kind;

/// What would be said.
#[derive(Debug, Default)]
pub(crate) struct Review {
    /// Why nothing would be done by it.
    pub(crate) refused: Option<Explained>,
    /// What its owner would be told all the same.
    pub(crate) warnings: Vec<String>,
}

impl Review {
    /// It passes, with these words.
    pub(super) fn warning(warnings: Vec<String>) -> Self {
        Self {
            refused: None,
            warnings,
        }
    }

    /// Whether it is refused because of what others have written, which this replica may not have heard of yet.
    pub(crate) fn is_hearsay(&self) -> bool {
        let reason = self.refused.as_ref().map(|why| why.reason);
        matches!(reason, Some(Reason::PolicyDenied | Reason::AccessDenied))
    }
}

/// Looks at an object of that kind.
pub(crate) fn review(ctx: &Context, kind: Kind, object: &Value) -> Review {
    if ctx.follows(kind).is_some_and(|label| !label.is_on(object)) {
        // It is another controller's.
        return Review::default();
    }
    let said = match kind {
        Kind::Kustomization => {
            decode::<Kustomization>(object).and_then(|it| kustomization::review(ctx, &it))
        }
        Kind::GitRepository => {
            nothing(decode::<GitRepository>(object).and_then(|it| source::parse(&it).map(drop)))
        }
        Kind::Receiver => {
            nothing(decode::<Receiver>(object).and_then(|it| receiver::parse(&it).map(drop)))
        }
        Kind::Plugin => nothing(decode(object).and_then(|it| of_tenant(ctx, &it))),
        Kind::ClusterPlugin => nothing(decode(object).and_then(|it| of_platform(ctx, &it))),
        // A Policy is read in a process: `review_policy`. What a WriteBack may is asked of its account.
        Kind::Policy | Kind::Tenant | Kind::Project | Kind::WriteBack => Ok(Review::default()),
    };
    said.unwrap_or_else(refused)
}

/// Looks at a Policy.
pub(crate) async fn review_policy(ctx: &Context, object: &Value) -> Review {
    let said = match decode::<Policy>(object) {
        Ok(object) => policy::review(ctx, &object).await,
        Err(why) => Err(why),
    };
    said.unwrap_or_else(refused)
}

fn refused(why: Explained) -> Review {
    Review {
        refused: Some(why),
        warnings: Vec::new(),
    }
}

fn decode<K: DeserializeOwned>(object: &Value) -> Result<K, Explained> {
    reeve_api::decode(object).map_err(|why| {
        let message = report::unreadable_object(&why);
        Explained::new(Reason::InvalidSpec, Turn::Owner, message)
    })
}

fn nothing(said: Result<(), Explained>) -> Result<Review, Explained> {
    said.map(|()| Review::default())
}

fn of_tenant(ctx: &Context, object: &Plugin) -> Result<(), Explained> {
    let meta = &object.metadata;
    let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
    match NamespacedName::new(namespace.unwrap_or_default(), name.unwrap_or_default()) {
        Ok(id) => plugin::review(ctx, &PluginId::Tenant(id), &object.spec.component()),
        // The API server admits no other names.
        Err(_) => Ok(()),
    }
}

fn of_platform(ctx: &Context, object: &ClusterPlugin) -> Result<(), Explained> {
    match object
        .metadata
        .name
        .as_deref()
        .unwrap_or_default()
        .parse::<PluginName>()
    {
        Ok(name) => plugin::review(ctx, &PluginId::Platform(name), &object.spec.component()),
        Err(_) => Ok(()),
    }
}
