//! Whether somebody still waits for what a thread does.
//!
//! What it deliberately doesn't: stop the thread; that looks at the flag itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Somebody waits for what a thread does; its flag is set when this is dropped.
pub(super) struct Waits(Arc<AtomicBool>);

impl Waits {
    pub(super) fn new() -> (Self, Arc<AtomicBool>) {
        let stop = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&stop)), stop)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
