//! What can be seen of the controller from outside: log lines, metrics, and the happenings both come from.
//!
//! A fact worth telling is one value, a [`happening`]: it is logged and counted in one place, so the two cannot
//! disagree. The third teller, the Kubernetes event, is decided with the status in `core::status` and written by
//! `controller::report`.
//!
//! What it deliberately doesn't: go on with a trace that others began, or hold a label whose values nobody bounds.

pub mod drift;
pub mod happening;
mod landlord;
pub mod metric;
mod policies;
mod process;
mod requests;
mod shares;
pub mod span;
mod stage;
pub mod trace;
mod workqueue;
pub mod writeback;

use std::fmt;

pub use drift::WatchState;
pub use happening::Happening;
pub use landlord::Standing;
pub use metric::Metrics;
pub use policies::Force;
pub use requests::{Errand, Requests};
pub use stage::{Stage, Stages};
pub(crate) use workqueue::WorkQueue;

/// The kinds of object the controller acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A source.
    GitRepository,
    /// What is applied.
    Kustomization,
    /// A webhook.
    Receiver,
    /// A party.
    Tenant,
    /// A group of parties.
    Project,
    /// A tenant's component.
    Plugin,
    /// A component of the platform's.
    ClusterPlugin,
    /// Rules of the platform's.
    Policy,
    /// What is committed of what changes on the cluster.
    WriteBack,
}

/// The kinds that have a queue of runs.
const CONTROLLERS: [Kind; 7] = [
    Kind::GitRepository,
    Kind::Kustomization,
    Kind::Receiver,
    Kind::Tenant,
    Kind::ClusterPlugin,
    Kind::Policy,
    Kind::WriteBack,
];

impl Kind {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GitRepository => "GitRepository",
            Self::Kustomization => "Kustomization",
            Self::Receiver => "Receiver",
            Self::Tenant => "Tenant",
            Self::Project => "Project",
            Self::Plugin => "Plugin",
            Self::ClusterPlugin => "ClusterPlugin",
            Self::Policy => "Policy",
            Self::WriteBack => "WriteBack",
        }
    }

    /// The API group it is in.
    pub fn group(self) -> &'static str {
        match self {
            Self::GitRepository => reeve_api::SOURCE_GROUP,
            Self::Kustomization => reeve_api::KUSTOMIZE_GROUP,
            Self::Receiver => reeve_api::NOTIFICATION_GROUP,
            Self::Tenant
            | Self::Project
            | Self::Plugin
            | Self::ClusterPlugin
            | Self::Policy
            | Self::WriteBack => reeve_api::REEVE_GROUP,
        }
    }

    /// The controller that acts on it, as logs and metrics name it.
    pub fn controller(self) -> &'static str {
        match self {
            Self::GitRepository => "gitrepository",
            Self::Kustomization => "kustomization",
            Self::Receiver => "receiver",
            Self::Tenant => "tenant",
            Self::Project => "project",
            Self::Plugin => "plugin",
            Self::ClusterPlugin => "clusterplugin",
            Self::Policy => "policy",
            Self::WriteBack => "writeback",
        }
    }
}

/// The object that something happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Object<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for the platform's own kinds.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if !self.namespace.is_empty() {
            write!(f, "/{}", self.namespace)?;
        }
        write!(f, "/{}", self.name)
    }
}
