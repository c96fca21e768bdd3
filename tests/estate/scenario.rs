//! One runtime and one shared estate for all scenarios of a test process.
//!
//! A kube client lives on the runtime that made it, so all scenarios run on one that outlives them.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::Runtime;

use crate::{leftover, secrecy};

/// Runs one scenario to its end; a failure panics with its whole chain, as a test should.
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn scenario(story: impl Future<Output = anyhow::Result<()>>) {
    leftover::end_on_signals();
    secrecy::search_at_end();
    if let Err(why) = runtime().block_on(story) {
        panic!("{why:?}");
    }
}

/// The runtime that every scenario of this process shares.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        // Whoever starts first chooses the one TLS provider.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(2)
            .build()
            .expect("a runtime can be built")
    })
}
