//! What the allocator keeps.
//!
//! glibc raises its bound between large blocks, which go back to the system when they are freed, and small ones, which
//! stay, with the first large block that is freed. A build reads a few large texts; the holes that they leave would count
//! against it to its end. What a large bundle leaves is given back when it is over. It deliberately sets nothing else.

/// From this size on a block goes back to the system when it is freed, in bytes: glibc's own start.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: i32 = 128 << 10;

/// Keeps the bound where it is. To be called before there are threads.
pub(crate) fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "glibc has no other way to say so")]
    // SAFETY: mallopt takes two numbers, and is called before any thread is there that could allocate meanwhile.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Gives the system back what is free. What a large bundle leaves behind in many small pieces would stay else.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "glibc has no other way to say so")]
    // SAFETY: malloc_trim takes a number, may be called from any thread at any time, and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}
