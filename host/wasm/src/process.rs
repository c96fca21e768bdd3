//! A process of our own for one kind of work, which may be stopped.
//!
//! What somebody else brought can keep a thread busy for ever, take all memory, or end the whole process, and a thread
//! cannot be stopped: so such work is done in a process with limits of its own (`limits`). It is asked question after
//! question, and what it answers is bounded and framed (`frame`); why it ended without an answer is told in words. The
//! other end is [`serve`]. It deliberately knows neither what is asked nor for how long to wait: whoever asks does, and
//! dropping a process ends it.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::words::tame;

mod frame;
mod limits;
mod serve;
mod starter;

use frame::Preamble;
pub use limits::accompany;
pub use serve::serve;

/// What is read of a process's last words.
const WORDS: u64 = 4096;
/// How long a process that says nothing more may take to end, and its last words to arrive.
const PARTING: Duration = Duration::from_secs(1);

/// A program that calls [`serve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// This process's own program, started with `argument`; on Linux the very file that runs, even
    /// if another lies at its path by now.
    pub fn own(argument: &str) -> std::io::Result<Self> {
        let path = if cfg!(target_os = "linux") {
            PathBuf::from("/proc/self/exe")
        } else {
            std::env::current_exe()?
        };
        Ok(Self {
            path,
            arguments: vec![argument.into()],
        })
    }
}

/// What a process may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Bytes of address space.
    pub memory: u64,
    /// Processor time for each question, in whole seconds.
    pub time: Duration,
    /// Whether everything else on the machine goes before it.
    pub gives_way: bool,
}

/// Has a process give way to everything else, while it is asked. There is no way back.
#[derive(Debug, Clone, Copy)]
pub struct Brake(Option<u32>);

impl Brake {
    /// From here on.
    pub fn pull(self) {
        if let Some(id) = self.0 {
            limits::slow(id);
        }
    }
}

/// A process that is asked. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    to: Option<ChildStdin>,
    from: Option<ChildStdout>,
    words: Option<JoinHandle<String>>,
    /// What is said before the first question.
    preamble: Option<Vec<u8>>,
}

/// How a process ended that gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was refused memory.
    Memory,
    /// It had used up its processor time.
    Time,
    /// There was no more room on its stack.
    Stack,
    /// Somebody killed it, and not for its time.
    Killed,
    /// It crashed.
    Crashed,
    /// What it answered is no answer.
    Garbled,
}

/// That a process ended without an answer. Says so in a few words, which hold none of its own.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub how: End,
    status: Option<ExitStatus>,
    words: String,
}

impl Ended {
    /// What it wrote before it ended, on one line and bounded; for a log.
    pub fn last_words(&self) -> String {
        tame(&self.words, 512)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.how, self.status) {
            (End::Garbled, _) => f.write_str("its answer cannot be read"),
            (_, Some(status)) => write!(f, "{status}"),
            (_, None) => f.write_str("it ended"),
        }
    }
}

impl Process {
    /// Nothing of ours is given to it but three pipes. It ends with this program at the latest.
    pub fn start(program: &Program, rights: Rights) -> std::io::Result<Self> {
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = starter::start(command)?;
        let preamble = Preamble {
            parent: std::process::id(),
            memory: rights.memory,
            seconds: rights.time.as_secs().max(1),
            gives_way: rights.gives_way,
        };
        let errors = child.stderr.take();
        Ok(Self {
            to: child.stdin.take(),
            from: child.stdout.take(),
            words: Some(tokio::spawn(last_words(errors))),
            child,
            preamble: Some(preamble.encode()),
        })
    }

    /// For as long as it is not waited for: its id may be another's then.
    pub fn brake(&self) -> Brake {
        Brake(self.child.id())
    }

    /// Puts a question, given in parts, and hears at most `most` bytes. After an error, or when this is dropped before it
    /// is done, nothing more can be asked.
    pub async fn ask(&mut self, question: &[&[u8]], most: u64) -> Result<Vec<u8>, Ended> {
        self.put(question, most, false).await
    }

    /// The same when nothing more will be asked.
    pub async fn ask_last(&mut self, question: &[&[u8]], most: u64) -> Result<Vec<u8>, Ended> {
        self.put(question, most, true).await
    }

    async fn put(&mut self, question: &[&[u8]], most: u64, last: bool) -> Result<Vec<u8>, Ended> {
        let (Some(mut to), Some(mut from)) = (self.to.take(), self.from.take()) else {
            return Err(self.end(Some(End::Garbled)).await);
        };
        let begin = self.preamble.take().unwrap_or_default();
        let length: u64 = question.iter().map(|part| part.len() as u64).sum();
        let (told, heard) = {
            let tell = async move {
                to.write_all(&begin).await?;
                to.write_all(&length.to_le_bytes()).await?;
                for part in question {
                    to.write_all(part).await?;
                }
                to.flush().await?;
                Ok::<_, std::io::Error>((!last).then_some(to))
            };
            let mut tell = std::pin::pin!(tell);
            let mut hear = std::pin::pin!(heard(&mut from, most));
            tokio::select! {
                biased;
                // It may end before it has read all: then its status says more than our error.
                told = &mut tell => (told.ok(), hear.await),
                heard = &mut hear => (None, heard),
            }
        };
        match (heard, told) {
            (Ok(answer), Some(to)) => {
                (self.to, self.from) = (to, Some(from));
                Ok(answer)
            }
            (Ok(_), None) => Err(self.end(Some(End::Garbled)).await),
            (Err(how), _) => Err(self.end(how).await),
        }
    }

    /// Ends it: what it answered means nothing to whoever asked.
    pub async fn misunderstood(mut self) -> Ended {
        self.end(Some(End::Garbled)).await
    }

    /// Ends it, and waits until it is gone.
    pub async fn kill(mut self) {
        // An error means that it has ended by itself meanwhile; reaped it is either way.
        let _ended = self.child.start_kill();
        let _status = self.child.wait().await;
    }

    /// Sees it end, or ends it: `how`, where its answer has told already.
    async fn end(&mut self, how: Option<End>) -> Ended {
        let status = match how {
            None => timeout(PARTING, self.child.wait()).await.ok(),
            Some(_) => None,
        };
        let status = status.and_then(Result::ok);
        if status.is_none() {
            let _ended = self.child.start_kill();
            let _status = self.child.wait().await;
        }
        let words = match self.words.take() {
            Some(words) => timeout(PARTING, words).await,
            None => Ok(Ok(String::new())),
        };
        let words = words.ok().and_then(Result::ok).unwrap_or_default();
        let by_status = || status.map(|status| limits::ended(status, &words));
        Ended {
            how: how.or_else(by_status).unwrap_or(End::Garbled),
            status,
            words,
        }
    }
}

/// An answer; None: it is silent for ever.
async fn heard(from: &mut ChildStdout, most: u64) -> Result<Vec<u8>, Option<End>> {
    let mut head = [0; frame::HEAD];
    let read = from.read_exact(&mut head).await;
    read.map_err(|_| None)?;
    let length = frame::length(&head).filter(|length| *length <= most);
    let length = length.ok_or(Some(End::Garbled))?;
    let mut answer = Vec::new();
    let read = from.take(length).read_to_end(&mut answer).await;
    match read {
        Ok(_) if answer.len() as u64 == length => Ok(answer),
        _ => Err(None),
    }
}

/// The first of what it writes; what comes after finds nobody to read it.
async fn last_words(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What was read before an error is worth as much.
        let _cut = from.take(WORDS).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
