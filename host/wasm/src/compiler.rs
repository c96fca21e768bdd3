//! Machine code is made of a component in another process, which may be stopped.
//!
//! A component can be made to keep its compiler busy, or to take all memory: so the compiler is a process with limits of
//! its own (`process`) and a clock over it. Compiling on a thread of this process is there for tests, and for
//! tools whose user brought the component.

use std::process::ExitCode;
use std::time::Duration;

use wasmtime::Engine;

use crate::budget::Settings;
use crate::engine;
use crate::error::Error;
use crate::process::{End, Ended, Process, Program, Rights, serve};
use crate::words::{bytes, tame};

/// What an answer ends with: before it stands machine code, or why there is none.
const CODE: u8 = 1;
const REFUSED: u8 = 2;

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
    let rights = Rights {
        memory: settings.compile_memory as u64,
        time: settings.compile_time,
        gives_way: true,
    };
    let mut process = Process::start(program, rights).map_err(|why| {
        let why = format!(
            "its compiler {} does not start: {why}",
            program.path.display()
        );
        Failed::Now(Error::Engine(why))
    })?;
    let reservation = engine::reservation(settings).to_le_bytes();
    let question = [reservation.as_slice(), component];
    let asked = process.ask_last(&question, settings.code as u64 + 1);
    let Ok(said) = tokio::time::timeout(settings.compile, asked).await else {
        process.kill().await;
        return Err(slow(settings.compile));
    };
    match said {
        Ok(answer) => answered(answer),
        Err(ended) => {
            let words = ended.last_words();
            tracing::warn!(how = %ended, words, "a plugin's compiler ended without an answer");
            Err(died(&ended, settings))
        }
    }
}

/// Compiles components on standard input to standard output, and ends with the process that
/// asks for it. To be called first thing, before there are threads; see [`Compiler`].
#[must_use]
pub fn compile_plugin() -> ExitCode {
    serve(|question| {
        let said = match question.split_first_chunk() {
            Some((reservation, component)) => code(component, u64::from_le_bytes(*reservation)),
            None => Err("nothing was asked".to_owned()),
        };
        let (kind, mut answer) = match said {
            Ok(code) => (CODE, code),
            Err(why) => (REFUSED, why.into_bytes()),
        };
        answer.push(kind);
        answer
    })
}

fn answered(mut answer: Vec<u8>) -> Result<Vec<u8>, Failed> {
    match answer.pop() {
        Some(CODE) => Ok(answer),
        Some(REFUSED) => Err(refused(&String::from_utf8_lossy(&answer))),
        _ => Err(Failed::Now(Error::Engine(
            "its compiler cannot be understood".to_owned(),
        ))),
    }
}

/// Why it ended without an answer.
fn died(ended: &Ended, settings: &Settings) -> Failed {
    let always = |why: String| Failed::Always(Error::Compile(why));
    match ended.how {
        End::Memory => always(format!(
            "compiling it takes more than {} of memory",
            bytes(settings.compile_memory)
        )),
        End::Time => always(format!(
            "compiling it takes more than {:?} of processor time",
            settings.compile_time
        )),
        // By the system, for want of memory, or by somebody's hand.
        End::Killed => Failed::Now(Error::Compile(
            "its compiler was killed, most likely because the machine's memory ran out".to_owned(),
        )),
        End::Stack | End::Crashed | End::Garbled => {
            always(format!("the compiler crashed on it ({ended})"))
        }
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
