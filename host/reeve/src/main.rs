//! reeve: the multi-tenant GitOps controller for Kubernetes.

use std::process::ExitCode;

/// glibc's allocator keeps the holes that bursts of builds leave between what stays; this one gives them back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is free goes back to the system after a twentieth of a second; there is an arena for every two threads that a small machine
/// has, and a thread keeps nothing larger than a page for itself.
#[expect(
    unsafe_code,
    reason = "the allocator is told by a symbol, before there is a main"
)]
// SAFETY: jemalloc reads a pointer to a text that ends with a zero byte, and nothing else has this name.
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: &[u8; 84] =
    b"background_thread:true,dirty_decay_ms:50,muzzy_decay_ms:0,narenas:4,tcache_max:4096\0";

fn main() -> ExitCode {
    reeve::cli::main()
}
