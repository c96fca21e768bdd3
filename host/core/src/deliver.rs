//! Delivery to git: which files an admitted plan is written as, where, and what becomes of those that lie there.
//!
//! For whoever applies what is in a repository: another agent, and nobody here. One file an object, under a name that only the
//! object gives, in a directory of the Kustomization's own; each begins with a line that says whose it is ([`Owner`]). What
//! bears that line and is not wanted any more is removed; what bears none and holds one of the objects is taken over, and told;
//! a kustomization file lists what is delivered; all else stays. Nothing of a Secret is ever written: such a plan is refused as a whole, since half of one is no state that
//! anybody wrote.
//!
//! It deliberately reads and writes no repository: the shell's `controller::kustomization::commit` does, and makes a commit of
//! what [`settle`] says.
//!
//! ```
//! use reeve_core::deliver::{Files, Owner, Refused};
//! use reeve_core::plan::{Admitted, Plan};
//! use reeve_core::veil::Veil;
//! fn write(plan: &Plan<Admitted>, owner: &Owner, veil: &Veil) -> Result<Files, Refused> {
//!     Files::of(plan, owner, veil)
//! }
//! ```
//!
//! What no rule has seen is no files:
//!
//! ```compile_fail
//! use reeve_core::deliver::{Files, Owner, Refused};
//! use reeve_core::plan::{Plan, Proposed};
//! use reeve_core::veil::Veil;
//! fn write(plan: &Plan<Proposed>, owner: &Owner, veil: &Veil) -> Result<Files, Refused> {
//!     Files::of(plan, owner, veil)
//! }
//! ```

mod claim;
mod files;
mod listing;
mod message;
mod path;
mod place;
mod settle;
mod wish;

use std::fmt;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;

use crate::failure::{Explain, Turn};
pub use claim::{Claim, claims, unclaimed};
pub use files::Files;
pub use listing::is_listing;
pub use message::{Told, body, branch, is_branch_of, message, title};
pub use path::{NotADirectory, directory};
pub use place::{Given, Place, Target, apart, is_below, place};
pub use settle::{Adopted, Settled, Size, is_read, settle};
pub use wish::{DELIVER, PATH, PROPOSE, TO, Wish};

/// What every first line of ours begins with.
pub(crate) const MARK: &str = "# Delivered by reeve for Kustomization ";

/// Whose a file is: its first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    line: String,
    id: NamespacedName,
}

impl Owner {
    /// A Kustomization of the cluster of this name, if clusters are told apart.
    pub fn new(id: &NamespacedName, cluster: Option<&str>) -> Self {
        let of = cluster.map(|name| format!(" of cluster {name}"));
        let of = of.unwrap_or_default();
        Self {
            line: format!("{MARK}{id}{of}. What is changed here is written over."),
            id: id.clone(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// A plan that is not delivered. Never holds a value of a manifest but its identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A Secret would be readable in git.
    #[error("{0} is not delivered: whoever can read the repository could read it")]
    Secret(String),
    /// A value of a Secret stands in another object.
    #[error("{0} is not delivered: it holds a value that comes from a Secret")]
    Veiled(String),
    /// Two objects have one file.
    #[error("{one} and {other} would be the same file {path}")]
    Twice {
        /// Which file.
        path: String,
        /// An object.
        one: String,
        /// Another.
        other: String,
    },
    /// A file of another Kustomization is where one of ours is to be.
    #[error("{path} is there, and says that it is {whose}")]
    Held {
        /// Which file.
        path: String,
        /// What its first line says.
        whose: String,
    },
    /// Something else is where a file of ours is to be.
    #[error("{path} is there, and does not hold {subject} alone")]
    InTheWay {
        /// Which file.
        path: String,
        /// What should be in it.
        subject: String,
    },
    /// A file holds one of the objects and others.
    #[error("{path} holds {subject} and more: it cannot be taken over")]
    Mixed {
        /// Which file.
        path: String,
        /// Which object.
        subject: String,
    },
    /// A kustomization file there would have an agent apply something else.
    #[error("{path} {why}")]
    Kustomized {
        /// Which file.
        path: String,
        /// What about it.
        why: &'static str,
    },
    /// There is more in the directory than is read.
    #[error("the directory holds more than {most}")]
    TooMuch {
        /// How much is read.
        most: &'static str,
    },
}

impl Explain for Refused {
    fn reason(&self) -> Reason {
        Reason::DeliveryFailed
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Secret(_) | Self::Veiled(_) | Self::Twice { .. } => Turn::NextRevision,
            // It is the repository's turn that is written to, and nothing tells of that.
            Self::Held { .. }
            | Self::InTheWay { .. }
            | Self::Mixed { .. }
            | Self::Kustomized { .. }
            | Self::TooMuch { .. } => Turn::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Secret(_) => {
                "deliver a SealedSecret or an ExternalSecret instead, or apply the Secrets by a Kustomization of their own that is not delivered"
            }
            Self::Veiled(_) => {
                "refer to the Secret in the manifest, or take the variable out of a ConfigMap"
            }
            Self::Twice { .. } => "rename one of the two objects",
            Self::Held { .. } => {
                "give this Kustomization another directory: reeve.dev/deliver-path"
            }
            Self::InTheWay { .. } => "move the file away, or deliver to another directory",
            Self::Mixed { .. } => {
                "give each object of the file a file of its own, or take the object out of it"
            }
            Self::Kustomized { .. } => {
                "let it list resources and nothing else, or deliver to a directory of its own: reeve.dev/deliver-path"
            }
            Self::TooMuch { .. } => "deliver to a directory of its own: reeve.dev/deliver-path",
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests;
