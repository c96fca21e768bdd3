//! One thread that starts all processes, and never ends.
//!
//! Linux ends a process with the *thread* that started it (`PR_SET_PDEATHSIG`), and a runtime's threads come and go: one that
//! blocks in place hands its work to another, and ends when it has been idle for some seconds. This deliberately knows
//! nothing of what is started.

use std::io;
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;

/// A process that is to be started, and who waits for it.
struct Start {
    command: Command,
    /// What sees it end.
    runtime: Handle,
    to: SyncSender<io::Result<Child>>,
}

/// None: the thread could not be had.
static STARTER: LazyLock<Option<Sender<Start>>> = LazyLock::new(|| {
    let (to, from) = channel::<Start>();
    let work = move || {
        for mut start in from {
            let entered = start.runtime.enter();
            let child = start.command.spawn();
            drop(entered);
            // Who has gone meanwhile needs no process: dropping it ends it.
            let _unheard = start.to.send(child);
        }
    };
    let named = thread::Builder::new().name("starts processes".to_owned());
    named.spawn(work).ok().map(|_| to)
});

/// Starts it from a thread that lives as long as this program.
pub(super) fn start(command: Command) -> io::Result<Child> {
    let none = || io::Error::other("there is no thread to start it from");
    let (to, from) = sync_channel(1);
    let runtime = Handle::try_current().map_err(io::Error::other)?;
    let start = Start {
        command,
        runtime,
        to,
    };
    let starter = STARTER.as_ref().ok_or_else(none)?;
    starter.send(start).map_err(|_| none())?;
    from.recv().map_err(|_| none())?
}
