//! The nouns of the cluster: the kinds reeve watches, as Rust types, and the CRDs generated from them.
//!
//! Flux's `GitRepository`, `Kustomization` and `Receiver` are spoken verbatim: every field of their `v1` schema
//! exists here, also those that nothing acts on yet, so that a manifest written for Flux is accepted unchanged.
//! [`Tenant`](tenant::Tenant), [`Project`](tenant::Project), [`Plugin`](plugin::Plugin) and
//! [`ClusterPlugin`](plugin::ClusterPlugin) are our own.
//!
//! | Kind | Served as | Written by |
//! |---|---|---|
//! | [`GitRepository`](source::GitRepository) | `source.toolkit.fluxcd.io/v1`, `v1beta2`, `v1beta1` | platform and tenants |
//! | [`Kustomization`](kustomization::Kustomization) | `kustomize.toolkit.fluxcd.io/v1`, `v1beta2`, `v1beta1` | platform and tenants |
//! | [`Receiver`](receiver::Receiver) | `notification.toolkit.fluxcd.io/v1`, `v1beta2`, `v1beta1` | platform and tenants |
//! | [`Tenant`](tenant::Tenant), [`Project`](tenant::Project) | `reeve.dev/v1alpha1` | the platform |
//! | [`Plugin`](plugin::Plugin) | `reeve.dev/v1alpha1` | platform and tenants |
//! | [`ClusterPlugin`](plugin::ClusterPlugin) | `reeve.dev/v1alpha1` | the platform |
//! | [`WriteBack`](writeback::WriteBack) | `reeve.dev/v1alpha1` | platform and tenants |
//!
//! What is written in a doc comment of a field here is what `kubectl explain` shows, so it speaks to who writes the
//! manifest.
//!
//! This crate holds no client, reads no file and takes no decision. What a spec *means* (which fields are acted
//! on, which combination is refused) is the next stage, `reeve_core::spec` and `reeve_core::source`.
//!
//! An object arrives from the API server as plain JSON and is decoded on its own with [`decode`], so that one
//! that cannot be read is told so by name and never stops the others.
#![deny(missing_docs)]
#![expect(
    clippy::duplicated_attributes,
    reason = "each printer column of a kind repeats the names of its settings"
)]
#![expect(
    unreachable_pub,
    reason = "the schema derive declares a second, unreachable copy of each public struct"
)]

mod crd;
mod decode;
mod legacy;

pub mod condition;
pub mod deliver;
pub mod duration;
pub mod kustomization;
pub mod meta;
pub mod name;
pub mod plugin;
pub mod policy;
pub mod reason;
pub mod receiver;
pub mod size;
pub mod source;
pub mod tenant;
pub mod upkeep;
pub mod url;
pub mod writeback;

pub use crate::crd::crds;
pub use crate::decode::{Undecodable, decode};

/// The API group of `GitRepository`.
pub const SOURCE_GROUP: &str = "source.toolkit.fluxcd.io";
/// The API group of `Kustomization`; also the prefix of the owner labels on every applied object.
pub const KUSTOMIZE_GROUP: &str = "kustomize.toolkit.fluxcd.io";
/// The API group of `Receiver`.
pub const NOTIFICATION_GROUP: &str = "notification.toolkit.fluxcd.io";
/// The API group of the kinds that are ours alone.
pub const REEVE_GROUP: &str = "reeve.dev";

/// The annotation of an object that was deleted to be made anew.
pub const REPLACED: &str = "reeve.dev/replaced";

/// The label that says whose a namespace is, and which Tenant something was made of: the Tenant's name. On a namespace that was
/// there before it is put by whoever has it adopted.
pub const TENANT_LABEL: &str = "reeve.dev/tenant";
/// The annotation on the binding by which the delivery may act in a tenant's namespace: the uid of the definition of Tenants that
/// its Tenant was last seen under.
pub const DEFINED_BY: &str = "reeve.dev/definition";
/// The annotation on a namespace that the landlord has made, and its value: only such a one is ever deleted with its Tenant.
pub const MADE_BY: (&str, &str) = ("reeve.dev/made-by", "reeve-landlord");
/// The annotation on a namespace by which somebody confirms that it may be deleted with all that is in it: the uid of the Tenant
/// that is deleted. Who has the landlord's token cannot put it there.
pub const CONFIRM_DELETE: &str = "reeve.dev/confirm-delete";
/// The finalizer on a Tenant that takes along what was made of it.
pub const LANDLORD_FINALIZER: &str = "reeve.dev/landlord";
/// The annotation on an object, and its value, by which it is taken out of write-back: what others change of it is drift again.
pub const WRITE_BACK: (&str, &str) = ("reeve.dev/write-back", "disabled");
/// The annotation on an object in which whoever changes it says why. It goes into the commit's message, and into no file.
pub const CHANGE_REASON: &str = "reeve.dev/reason";
/// The annotation in which an audit says which user has changed it. It goes where the reason goes.
pub const CHANGED_BY: &str = "reeve.dev/changed-by";
/// The annotation on a GitRepository in a configuration namespace: the directories below which the tenant that it is for writes to a
/// repository of several tenants, with commas between them.
pub const WRITE_BACK_PATHS: &str = "reeve.dev/write-back-paths";
/// The finalizer on every object that is looked after, the same as Flux's.
pub const FINALIZER: &str = "finalizers.fluxcd.io";
/// The annotation by which a GitRepository names the provider plugin that has its credential, or puts its deploy key at the
/// forge, a Receiver the one that puts its webhooks there, and a Kustomization the one that proposes what it delivers: a Plugin of
/// its namespace, else a ClusterPlugin.
pub const PROVIDER: &str = "reeve.dev/provider";
/// Its value where no plugin of one's own is meant, but who git configuration says that we are to the forge.
pub const GIT_CONFIG: &str = "git-config";
/// The annotation by which a GitRepository says, with the value [`GIT_CONFIG`], that git configuration has it asked for changes as
/// often as its entries say, and not as `spec.interval` does.
pub const POLLING: &str = "reeve.dev/polling";
/// The label by which Flux's controllers share objects, and whose they are that have this value: ours.
pub const SHARD: &str = "sharding.fluxcd.io/key";
/// The value of [`SHARD`] on what Flux has handed over.
pub const SHARD_OURS: &str = "reeve";
/// The annotation on an object that is being handed over: what `spec.suspend` was before.
pub const MIGRATING: &str = "reeve.dev/migrating";
/// The annotation on an object that was handed over by one of Flux's shards: which, so that it can go back there.
pub const FLUX_SHARD: &str = "reeve.dev/flux-shard";
/// The annotation whose change asks for a reconcile now; its value is echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUEST: &str = "reconcile.fluxcd.io/requestedAt";
/// The annotation in which a replica that took a hook's call tells the one that works for the object. It asks for a run, and for
/// nothing to be done again.
pub const CALLED_AT: &str = "reeve.dev/called-at";
/// The annotation beside it with the Receiver that was called, as `namespace/name`.
pub const CALLED_BY: &str = "reeve.dev/called-by";
/// The annotation beside it with what the call told: the commit that is there now, or [`CALLED_FOR_MANY`].
pub const CALLED_FOR: &str = "reeve.dev/called-for";
/// Its value where nobody knows what was told, since there were more calls than could be looked into.
pub const CALLED_FOR_MANY: &str = "many";
/// The annotation beside it with the trace that the call began, as a `traceparent` has it; only where somebody is told of traces.
pub const CALLED_IN: &str = "reeve.dev/called-in";
