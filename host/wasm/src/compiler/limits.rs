//! What a compiling process takes from itself, and how one looks that met a limit.
//!
//! | Taken | How |
//! |---|---|
//! | memory | address space; first to go when the machine runs out |
//! | time | seconds of processor; the controller's own work goes before |
//! | files | none can be opened, written or left as a core; those that were inherited are closed |
//! | processes | none can be started (root can, but to start a program it would have to open it) |
//! | rights | no new ones by starting a program |
//! | life | killed when its parent ends |

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::sys::resource::{Resource, setrlimit};

use super::frame::Order;
use crate::lane::YIELD;

/// How a process ended that gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was refused memory.
    Memory,
    /// It used up its processor time.
    Time,
    /// Somebody killed it, and not for its time.
    Killed,
    /// It crashed.
    Crashed,
}

/// Takes from this process what compiling does not need.
pub(super) fn hold(order: &Order) -> io::Result<()> {
    leave_with(order.parent)?;
    close_the_rest()?;
    yield_to_others();
    let limits = [
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_FSIZE, 0, 0),
        // From here on the three pipes are all that is ever open.
        (Resource::RLIMIT_NOFILE, 0, 0),
        (Resource::RLIMIT_NPROC, 0, 0),
        (Resource::RLIMIT_AS, order.memory, order.memory),
        // The second is what the kernel adds before it stops asking.
        (Resource::RLIMIT_CPU, order.seconds, order.seconds + 1),
    ];
    for (resource, soft, hard) in limits {
        setrlimit(resource, soft, hard)?;
    }
    Ok(())
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

/// The controller's own work goes before, and when memory runs out the compiler goes first.
fn yield_to_others() {
    // Not everywhere, and not needed: a courtesy, not a limit.
    let _elsewhere = std::fs::write("/proc/self/oom_score_adj", "1000");
    #[expect(unsafe_code, reason = "nothing safe wraps nice(2)")]
    // SAFETY: it takes a number and changes nothing but this process's priority.
    unsafe {
        libc::nice(YIELD);
    }
}

/// How a process ended, by its status and its last words.
pub(super) fn ended(status: ExitStatus, words: &str) -> End {
    match status.signal() {
        Some(libc::SIGXCPU) => End::Time,
        Some(libc::SIGKILL) => End::Killed,
        // What Rust says when an allocation fails.
        _ if words.contains("memory allocation of") => End::Memory,
        _ => End::Crashed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_compiler_ended_says_which_limit_it_met() {
        for (raw, words, want) in [
            (libc::SIGXCPU, "", End::Time),
            (libc::SIGKILL, "", End::Killed),
            (
                libc::SIGABRT,
                "memory allocation of 65536 bytes failed\n",
                End::Memory,
            ),
            (libc::SIGABRT, "", End::Crashed),
            (libc::SIGSEGV, "", End::Crashed),
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
