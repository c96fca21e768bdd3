//! What the controller takes from itself before it reads anything: what it has no use for, and a pod cannot take from it.
//!
//! It leaves no core file, in which the Secrets would be that it has just read, and neither it nor what it starts gains rights
//! by what is started. The processes that compile and read for it have narrower limits of their own (`reeve_wasm`). It deliberately
//! bounds no memory: that is the pod's, which is ended as a whole.

use std::io;

use nix::sys::resource::{Resource, setrlimit};

/// From here on, and for good.
pub(super) fn confine() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_no_new_privs()?;
    Ok(())
}
