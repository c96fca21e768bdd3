//! Machine code is made of a component in another process, which may be stopped.
//!
//! A component can be made to keep its compiler busy, or to take all memory, and a thread cannot be
//! stopped: so the compiler is a process with limits of its own (`limits`) and a clock over it. What
//! it answers is bounded and framed (`frame`); why it ended without an answer is told in words. The
//! other end is [`compile_plugin`]. Compiling on a thread of this process is there for tests, and for
//! tools whose user brought the component.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use wasmtime::Engine;

use crate::budget::Settings;
use crate::engine;
use crate::error::Error;
use crate::words::{bytes, tame};

mod child;
mod frame;
mod limits;

pub use child::compile_plugin;
use frame::{Answer, Order};

/// What is read of a compiler's last words.
const WORDS: u64 = 4096;

/// Who makes machine code of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Compiler {
    /// A thread of this process. Nothing can stop it and it may take all memory: not for components
    /// that somebody else brought.
    #[default]
    Thread,
    /// A process for each compilation, which calls [`compile_plugin`].
    Process(Program),
}

/// A program that calls [`compile_plugin`].
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

/// Why there is no machine code.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The same component will fail the same way.
    Always(Error),
    /// It need not happen again.
    Now(Error),
}

/// Machine code of `component` for an engine with `settings`.
pub(crate) async fn compile(component: &[u8], settings: &Settings) -> Result<Vec<u8>, Failed> {
    let code = match &settings.compiler {
        Compiler::Thread => thread(component.to_vec(), settings).await?,
        Compiler::Process(program) => process(component, program, settings).await?,
    };
    let most = settings.code;
    if code.len() > most {
        let why = format!("it compiles to more than {} of machine code", bytes(most));
        return Err(Failed::Always(Error::Compile(why)));
    }
    Ok(code)
}

async fn thread(component: Vec<u8>, settings: &Settings) -> Result<Vec<u8>, Failed> {
    let reservation = engine::reservation(settings);
    let work = tokio::task::spawn_blocking(move || code(&component, reservation));
    match tokio::time::timeout(settings.compile, work).await {
        Ok(Ok(Ok(code))) => Ok(code),
        Ok(Ok(Err(why))) => Err(refused(&why)),
        Ok(Err(why)) if why.is_panic() => Err(Failed::Always(Error::Compile(
            "the compiler crashed on it".to_owned(),
        ))),
        Ok(Err(_)) => Err(Failed::Now(closing())),
        Err(_) => Err(slow(settings.compile)),
    }
}

/// What both kinds of compiler do.
fn code(component: &[u8], reservation: u64) -> Result<Vec<u8>, String> {
    let engine = Engine::new(&engine::compiling(reservation)).map_err(|why| format!("{why:#}"))?;
    engine
        .precompile_component(component)
        .map_err(|why| crate::trap::chain(&why))
}

async fn process(
    component: &[u8],
    program: &Program,
    settings: &Settings,
) -> Result<Vec<u8>, Failed> {
    let mut child = start(program).map_err(|why| {
        let why = format!(
            "its compiler {} does not start: {why}",
            program.path.display()
        );
        Failed::Now(Error::Engine(why))
    })?;
    let order = Order {
        parent: std::process::id(),
        reservation: engine::reservation(settings),
        memory: settings.compile_memory as u64,
        seconds: settings.compile_time.as_secs().max(1),
    };
    let talk = talk(&mut child, &order, component, settings.code as u64);
    let Ok(said) = tokio::time::timeout(settings.compile, talk).await else {
        // An error means that it has ended by itself meanwhile; reaped it is either way.
        let _ended = child.start_kill();
        let _status = child.wait().await;
        return Err(slow(settings.compile));
    };
    match said {
        Ok((Answer::Code(code), ..)) => Ok(code),
        Ok((Answer::Refused(why), ..)) => Err(refused(&why)),
        Ok((Answer::None, status, words)) => {
            tracing::warn!(%status, words = tame(&words, 512), "a plugin's compiler ended without an answer");
            Err(died(status, &words, settings))
        }
        Err(why) => Err(Failed::Now(Error::Engine(format!(
            "its compiler cannot be spoken to: {why}"
        )))),
    }
}

/// Nothing of ours is given to it but three pipes.
fn start(program: &Program) -> std::io::Result<Child> {
    Command::new(&program.path)
        .args(&program.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Says what is to be done, hears what came of it, and waits for the end.
async fn talk(
    child: &mut Child,
    order: &Order,
    component: &[u8],
    most: u64,
) -> std::io::Result<(Answer, ExitStatus, String)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let tell = async {
        if let Some(mut stdin) = stdin {
            // It may end before it has read all: then its status says more than our error.
            let _ended = async {
                stdin.write_all(&order.encode(component.len())).await?;
                stdin.write_all(component).await
            }
            .await;
        }
    };
    let hear = async {
        let answer = read(stdout, frame::HEAD as u64 + most).await?;
        Ok::<_, std::io::Error>(Answer::decode(answer))
    };
    let ((), answer, words) = tokio::join!(tell, hear, read(stderr, WORDS));
    let status = child.wait().await?;
    let words = String::from_utf8_lossy(&words?).into_owned();
    Ok((answer?, status, words))
}

/// At most `most` bytes; what comes after them finds nobody to read it.
async fn read(from: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Why it ended without an answer.
fn died(status: ExitStatus, words: &str, settings: &Settings) -> Failed {
    let always = |why: String| Failed::Always(Error::Compile(why));
    match limits::ended(status, words) {
        limits::End::Memory => always(format!(
            "compiling it takes more than {} of memory",
            bytes(settings.compile_memory)
        )),
        limits::End::Time => always(format!(
            "compiling it takes more than {:?} of processor time",
            settings.compile_time
        )),
        // By the system, for want of memory, or by somebody's hand.
        limits::End::Killed => Failed::Now(Error::Compile(
            "its compiler was killed, most likely because the machine's memory ran out".to_owned(),
        )),
        limits::End::Crashed => always(format!("the compiler crashed on it ({status})")),
    }
}

fn refused(why: &str) -> Failed {
    Failed::Always(Error::Compile(format!(
        "it does not compile: {}",
        tame(why, 512)
    )))
}

fn slow(patience: Duration) -> Failed {
    Failed::Now(Error::Compile(format!(
        "compiling it took longer than {patience:?}"
    )))
}

fn closing() -> Error {
    Error::Engine("it is being shut down".to_owned())
}
