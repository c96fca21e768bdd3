//! What a process takes from itself, and how one looks that met a limit.
//!
//! | Taken | How |
//! |---|---|
//! | memory | address space; first to go when the machine runs out |
//! | time | seconds of processor for each question; the controller's own work goes before |
//! | files | none can be opened, written or left as a core; those that were inherited are closed |
//! | processes | none can be started (root can, but to start a program it would have to open it) |
//! | rights | no new ones by starting a program |
//! | life | killed when its parent ends |

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};

use super::End;
use super::frame::Preamble;
use crate::lane::YIELD;

/// Takes from this process what its work does not need.
pub(super) fn hold(preamble: &Preamble) -> io::Result<()> {
    leave_with(preamble.parent)?;
    close_the_rest()?;
    go_first();
    if preamble.gives_way {
        give_way();
    }
    let limits = [
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_FSIZE, 0, 0),
        // From here on the three pipes are all that is ever open.
        (Resource::RLIMIT_NOFILE, 0, 0),
        (Resource::RLIMIT_NPROC, 0, 0),
        (Resource::RLIMIT_AS, preamble.memory, preamble.memory),
    ];
    for (resource, soft, hard) in limits {
        setrlimit(resource, soft, hard)?;
    }
    Ok(())
}

/// From here on it may use its processor time once more.
pub(super) fn begin(preamble: &Preamble) -> io::Result<()> {
    let used = getrusage(UsageWho::RUSAGE_SELF)?;
    let used = used.user_time().tv_sec() + used.system_time().tv_sec();
    let used = u64::try_from(used).unwrap_or_default();
    // What cannot be raised again stays as it is; nobody here asks the kernel to wait beyond the first.
    let (_, most) = getrlimit(Resource::RLIMIT_CPU)?;
    let end = used.saturating_add(preamble.seconds).min(most);
    Ok(setrlimit(Resource::RLIMIT_CPU, end, most)?)
}

/// On Linux the kernel kills us when the parent ends; elsewhere our processor time does.
fn leave_with(parent: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        nix::sys::prctl::set_no_new_privs()?;
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    }
    // It may have ended before the kernel was asked.
    if nix::unistd::getppid().as_raw().cast_unsigned() == parent {
        Ok(())
    } else {
        Err(io::Error::other("nobody waits for the answer"))
    }
}

/// Closes what a careless parent of our parent left open.
fn close_the_rest() -> io::Result<()> {
    let open: Vec<i32> = std::fs::read_dir("/dev/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect();
    for descriptor in open {
        // The one that listed them is closed by now.
        let _closed = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// Ends this process when the one that started it ends, and has it go first when memory runs out; nothing else is taken
/// from it. For what a person waits for, who can stop it.
pub fn accompany() {
    let parent = nix::unistd::getppid().as_raw().cast_unsigned();
    // Where the kernel knows of no such thing, the terminal still ends both.
    let _alone = leave_with(parent);
    go_first();
}

/// The controller's own work goes before.
fn give_way() {
    #[expect(unsafe_code, reason = "nothing safe wraps nice(2)")]
    // SAFETY: it takes a number and changes nothing but this process's priority.
    unsafe {
        libc::nice(YIELD);
    }
}

/// The same for a process of ours.
pub(super) fn slow(id: u32) {
    #[expect(unsafe_code, reason = "nothing safe wraps setpriority(2)")]
    // SAFETY: it takes numbers and changes nothing but a priority; who may not, or whose process is gone, is told an error
    // that means nothing to us.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, id, YIELD);
    }
}

/// When memory runs out, this goes first.
fn go_first() {
    // Not everywhere, and not needed: a courtesy, not a limit.
    let _elsewhere = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// How a process ended, by its status and its last words.
pub(super) fn ended(status: ExitStatus, words: &str) -> End {
    match status.signal() {
        Some(libc::SIGXCPU) => End::Time,
        Some(libc::SIGKILL) => End::Killed,
        // What Rust says when an allocation fails.
        _ if words.contains("memory allocation of") => End::Memory,
        // What it says at the end of a thread's stack; at the end of another there are no words.
        _ if words.contains("overflowed its stack") => End::Stack,
        Some(libc::SIGSEGV | libc::SIGBUS) => End::Stack,
        _ => End::Crashed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_process_ended_says_which_limit_it_met() {
        for (raw, words, want) in [
            (libc::SIGXCPU, "", End::Time),
            (libc::SIGKILL, "", End::Killed),
            (
                libc::SIGABRT,
                "memory allocation of 65536 bytes failed\n",
                End::Memory,
            ),
            (
                libc::SIGABRT,
                "thread 'main' has overflowed its stack\n",
                End::Stack,
            ),
            (libc::SIGABRT, "", End::Crashed),
            (libc::SIGSEGV, "", End::Stack),
            (101 << 8, "thread 'main' panicked", End::Crashed),
        ] {
            assert_eq!(
                ended(ExitStatus::from_raw(raw), words),
                want,
                "{raw} {words}"
            );
        }
    }
}
