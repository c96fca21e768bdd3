//! Real git servers: smart HTTP through `git http-backend`, ssh through OpenSSH's `sshd`, and proxies before them.
//!
//! Each listens on a free loopback port, serves bare repositories below one directory, and is gone when it is dropped.
//! [`Repo`] writes to those repositories with the `git` program, as a developer would; the product itself never runs it.

mod auth;
mod fault;
mod http;
mod keys;
mod password;
mod proxy;
mod repo;
mod signer;
mod ssh;

pub use auth::Auth;
pub use fault::Fault;
pub use http::{HttpServer, Seen, Served};
pub use keys::{KeyKind, keypair};
pub use password::PasswordServer;
pub use proxy::{Proxy, ProxyKind};
pub use repo::{Repo, git, import};
pub use signer::{Signer, Signing};
pub use ssh::{SshOptions, SshServer};
