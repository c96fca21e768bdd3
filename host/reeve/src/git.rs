//! Git: from a URL and a reference to the files of one commit.
//!
//! Two steps. [`resolve`] asks the server which commit a reference means (one small exchange, no objects); [`fetch`]
//! brings that commit into a bare mirror, shallow and incremental, and gives its files as a [`Snapshot`], which is the
//! tree the kustomize engine reads. Everything is bounded: bytes, objects, files, wall-clock time; and every connection
//! goes to an address that [`Egress`] has seen and allowed.
//!
//! And one step back: [`push()`](push::push) makes a commit on top of a branch and sends it, never over what others sent; and a
//! branch that nobody but us has put anything on may [go](push::remove).
//!
//! What it deliberately doesn't: start a process, read the environment, git's configuration or a credential helper,
//! follow a redirect to another host, or know Kubernetes. Secrets come in as bytes and stay in memory. The next stage
//! is `store`, which archives a snapshot, and `render`, which reads it.

mod blob;
mod branch;
mod client;
pub mod commit;
pub mod credential;
pub mod egress;
mod error;
mod fetch;
mod head;
mod heard;
pub(crate) mod identity;
mod ignore;
mod kept;
mod known_hosts;
mod mirror;
mod name;
mod opened;
mod private_key;
pub mod push;
mod remote;
mod resolve;
mod session;
mod shelf;
mod snapshot;
mod submodules;
mod transport;
mod verify;
mod wire;

pub(crate) use client::plain as plain_client;
pub use credential::{Credential, Maker};
pub use egress::{Egress, HostRule};
pub use error::{Cause, Error};
pub use fetch::fetch;
pub use head::head;
pub use kept::kept;
pub use known_hosts::{HostKeys, KnownHosts};
pub(crate) use name::{LONGEST_PATH, hostile as hostile_name};
pub use remote::{Proxy, Remote, Tls};
pub use resolve::{Resolved, resolve};
pub use shelf::Mirrors;
pub use snapshot::{Content, Entry, Laid, NotLaid, Received, Snapshot, Told};
pub use submodules::{Origins, Recursion, Submodule};
pub use verify::{Unverified, verify};

/// What one source may cost. Each limit that is hit names itself and its value in the error.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes received for one list of references.
    pub refs_bytes: u64,
    /// Bytes received for one pack.
    pub pack_bytes: u64,
    /// Objects in one pack.
    pub objects: u32,
    /// Bytes of any single object in a pack, unpacked: what one allocation may take.
    pub object_bytes: u64,
    /// Bytes of all objects in a pack together, unpacked.
    pub unpacked_bytes: u64,
    /// Bytes of objects that are held at once while those are put together that a pack has as differences to others.
    pub unpacking_bytes: u64,
    /// Files of one commit, after the ignore rules.
    pub files: usize,
    /// Directories below each other.
    pub depth: usize,
    /// Bytes of all paths of one commit, before the ignore rules.
    pub path_bytes: usize,
    /// Bytes of all `.sourceignore` files of one commit.
    pub rules_bytes: usize,
    /// Bytes of one file that is read or archived.
    pub file_bytes: u64,
    /// Submodules of one commit, those of submodules among them. Their packs together may be as large as one.
    pub submodules: usize,
    /// Submodules within each other.
    pub submodule_depth: usize,
}

/// What ignored files may add to a listing before it is given up.
const IGNORED_FACTOR: usize = 10;

impl Limits {
    /// Entries of one commit, before the ignore rules.
    fn listed(&self) -> usize {
        self.files.saturating_mul(IGNORED_FACTOR)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            refs_bytes: 32 << 20,
            pack_bytes: 1 << 30,
            objects: 1_000_000,
            object_bytes: 128 << 20,
            unpacked_bytes: 16 << 30,
            unpacking_bytes: 512 << 20,
            files: 100_000,
            depth: 100,
            path_bytes: 64 << 20,
            rules_bytes: 4 << 20,
            file_bytes: 50 << 20,
            submodules: 100,
            submodule_depth: 10,
        }
    }
}
