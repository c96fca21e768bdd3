//! What must not be left when this process ends without unwinding: on `exit`, and on Ctrl-C in a test
//! run. (When it is killed, the kernel ends the children; directories stay.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use crate::{process, secrecy};

static ROOMS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn rooms() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    ROOMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes `dir` when this process ends, should it still be there.
#[expect(
    unsafe_code,
    reason = "atexit: there is no other way to be called by `exit`"
)]
pub fn watch_over(dir: &Path) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler is a plain function that unwinds into nobody: it calls nothing that panics.
        unsafe { libc::atexit(clear) };
    });
    rooms().insert(dir.to_owned());
}

/// Ends this process on Ctrl-C and SIGTERM by `exit`, so that what is watched over goes too.
pub fn end_on_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody who has set a handler already knows what to do.
        drop(ctrlc::set_handler(|| std::process::exit(130)));
    });
}

extern "C" fn clear() {
    let clean = secrecy::end();
    process::end_all();
    for dir in std::mem::take(&mut *rooms()) {
        drop(std::fs::remove_dir_all(dir));
    }
    if !clean {
        fail();
    }
}

#[expect(
    unsafe_code,
    reason = "_exit: what `exit` was called with can no longer be changed"
)]
fn fail() -> ! {
    // SAFETY: plain system call; everything that had to end has ended.
    unsafe { libc::_exit(101) }
}
