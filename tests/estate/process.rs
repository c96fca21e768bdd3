//! Child processes that cannot outlive us.
//!
//! Each is spawned by one keeper thread with a parent-death signal, so that the kernel ends it when
//! this process goes, however it goes. Dropping a [`Process`] ends it too, by its own id.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A running child, ended on drop.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Mutex<Child>,
}

/// The ids of the children that were started and not yet waited for.
static LIVE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn live() -> MutexGuard<'static, BTreeSet<u32>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends every child there still is and waits for it: for the end of this process, when nothing is
/// dropped any more.
#[expect(unsafe_code, reason = "kill(2) and waitpid(2) of our own children")]
pub(crate) fn end_all() {
    for id in std::mem::take(&mut *live()) {
        // SAFETY: plain system calls; a child that is in the set was not waited for, so the id is
        // still its own.
        unsafe {
            libc::kill(id.cast_signed(), libc::SIGKILL);
            libc::waitpid(id.cast_signed(), std::ptr::null_mut(), 0);
        }
    }
}

type Job = (Command, Sender<io::Result<Child>>);

/// The thread that spawns. `PR_SET_PDEATHSIG` fires when the *thread* that forked ends, so it has to
/// be one that lives as long as the process.
fn keeper() -> &'static Sender<Job> {
    static KEEPER: OnceLock<Sender<Job>> = OnceLock::new();
    KEEPER.get_or_init(|| {
        let (jobs, inbox) = channel::<Job>();
        std::thread::Builder::new()
            .name("keeper".into())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    // The asker may have gone; then nobody needs the child, and it is killed by drop.
                    drop(answer.send(command.spawn()));
                }
            })
            .expect("a thread can be started");
        jobs
    })
}

#[expect(
    unsafe_code,
    reason = "prctl between fork and exec: async-signal-safe, no allocation"
)]
fn die_with_parent(command: &mut Command) {
    // SAFETY: the closure makes one system call and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
}

impl Process {
    /// Starts `command`; what it prints goes to `<logs>/<name>.log`, appended.
    pub fn start(name: &str, mut command: Command, logs: &Path) -> io::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let out = OpenOptions::new().create(true).append(true).open(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0);
        die_with_parent(&mut command);
        let (answer, child) = channel();
        keeper().send((command, answer)).map_err(io::Error::other)?;
        let child = child.recv().map_err(io::Error::other)??;
        live().insert(child.id());
        Ok(Self {
            name: name.to_owned(),
            log,
            child: Mutex::new(child),
        })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.lock().id()
    }

    /// What it was called when started.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        let mut child = self.lock();
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() {
            live().remove(&child.id());
        }
        ended
    }

    /// Sends `signal` to it alone.
    #[expect(unsafe_code, reason = "kill(2) of our own child")]
    pub fn signal(&self, signal: i32) {
        let child = self.lock();
        // SAFETY: plain system call; the child is not yet reaped, so the id is still its own.
        unsafe { libc::kill(child.id().cast_signed(), signal) };
    }

    /// Ends it at once and waits until it is gone.
    pub fn kill(&self) {
        let mut child = self.lock();
        drop(child.kill());
        live().remove(&child.id());
        drop(child.wait());
    }

    /// Asks it to end, and waits up to `patience` before killing it.
    pub fn stop(&self, patience: Duration) -> ExitStatus {
        self.signal(libc::SIGTERM);
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.ended() {
                return status;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.kill();
        ExitStatus::from_raw(libc::SIGKILL)
    }

    /// The last `bytes` of what it printed.
    #[must_use]
    pub fn tail(&self, bytes: u64) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(&self.log)?;
            let from = file.metadata()?.len().saturating_sub(bytes);
            file.seek(SeekFrom::Start(from))?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        read().unwrap_or_else(|why| format!("(no log: {why})"))
    }

    /// Resident memory in KiB, as the kernel counts it.
    #[must_use]
    pub fn resident_kib(&self) -> Option<u64> {
        self.counted("VmRSS:")
    }

    /// The most memory that was ever resident, in KiB.
    #[must_use]
    pub fn peak_kib(&self) -> Option<u64> {
        self.counted("VmHWM:")
    }

    /// Processor time that it has used.
    #[must_use]
    pub fn processor(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
        // Its name, which may hold anything, ends with the last bracket; time is in hundredths of a second.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11);
        let mut next = || times.next()?.parse::<u64>().ok();
        Some(Duration::from_millis(10 * (next()? + next()?)))
    }

    fn counted(&self, what: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with(what))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
