//! Git configuration in levels: which login, polling and author the repositories of a tenant have when they name none.
//!
//! The platform, a Project, an environment of it and a Tenant have a file each, in Rig's words (`client.git`). [`parse`] reads
//! one, [`resolve`] says for a repository which entry of which level gives which part, and [`tenant_of`] and [`levels_of`]
//! say whose levels are above a source at all. [`draft::amend`] changes a
//! file. It deliberately reads no cluster and opens no file: what an entry holds only by
//! reference stays one. The next stage is the shell's `levels`, which reads the files and what they refer to.

mod above;
mod agent;
pub mod draft;
mod fields;
mod file;
mod hook;
mod login;
mod place;
mod resolve;
mod shared;

use std::fmt;
use std::time::Duration;

use reeve_api::name::{ObjectName, Secret, TenantName};

pub use above::{Named, levels_of, tenant_of};
pub(crate) use agent::authority;
pub use agent::{Agent, agent};
pub use file::{Author, Credentials, File, Forge, Provider, parse};
pub use hook::{GUESSABLE, HookEntry, TooShort, hook_entry, hook_token};
pub use login::{Login, Way, is_own, login};
pub use place::{NotAPlace, Pattern, Place, address, is_same, may_be_same, spelled};
pub use resolve::{Auth, Chosen, Looked, Part, Polling, Resolved, resolve};
pub use shared::{Asker, Deed, may};

pub use crate::strict::Error;

/// How often a repository is asked for changes when no level says so.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(180);

/// Whose configuration it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LevelName {
    /// The platform's, for everybody.
    Global,
    /// A Project's.
    Project(ObjectName),
    /// That of an environment of a Project.
    Environment {
        /// The Project.
        project: ObjectName,
        /// The environment.
        name: ObjectName,
    },
    /// A Tenant's.
    Tenant(TenantName),
}

impl fmt::Display for LevelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Project(name) => write!(f, "Project {name}"),
            Self::Environment { project, name } => {
                write!(f, "environment {name} of Project {project}")
            }
            Self::Tenant(name) => write!(f, "Tenant {name}"),
        }
    }
}

/// A level: whose it is, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Whose.
    pub name: LevelName,
    /// What.
    pub file: File,
}

/// A secret of an entry: the text itself, or where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hidden {
    /// It stands in the file.
    Text(Secret),
    /// It lies in a Secret beside the file.
    Key {
        /// The Secret's name.
        secret: ObjectName,
        /// The key in it.
        key: String,
    },
    /// It lies in a file of the controller, by its path.
    Path(String),
}

/// What kind of object a file lies in: whether secrets may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A Secret, or a file that nobody else reads.
    Secrets,
    /// A ConfigMap.
    References,
}

#[cfg(test)]
mod tests;
