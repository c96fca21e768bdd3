//! The other end: a process that answers, and ends with whoever asks.
//!
//! It takes its own rights away before it reads a byte of a question. It opens nothing, starts nothing, and knows nothing
//! but what stands on its standard input.

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::frame::{self, Preamble};
use super::limits;

/// Answers questions on standard input until there are no more. To be called first thing, before there are threads; see
/// [`super::Process`].
#[must_use]
pub fn serve(mut work: impl FnMut(&[u8]) -> Vec<u8>) -> ExitCode {
    match answers(&mut work) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody is left to tell, or nobody who asked properly.
        Err(_) => ExitCode::FAILURE,
    }
}

fn answers(work: &mut impl FnMut(&[u8]) -> Vec<u8>) -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    let preamble = Preamble::decode(&mut stdin)?;
    limits::hold(&preamble)?;
    while let Some(question) = frame::question(&mut stdin)? {
        limits::begin(&preamble)?;
        let answer = work(&question);
        drop(question);
        let mut stdout = io::stdout().lock();
        stdout.write_all(&frame::head(answer.len() as u64))?;
        stdout.write_all(&answer)?;
        stdout.flush()?;
    }
    Ok(())
}
