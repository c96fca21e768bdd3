//! The architecture, executable: what the rooms may import, how long files and functions may be.
//!
//! Cheap and pure: these read the tree and nothing else. `host/README.md` says why each rule is.

mod layout;
mod size;
mod source;
mod tools;
mod walls;
