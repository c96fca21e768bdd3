//! The other end: a process that compiles one component and ends.
//!
//! It takes its own rights away before it reads a byte of the component. It opens nothing, starts
//! nothing, and knows nothing but what stands on its standard input.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use super::frame::{Answer, Order};
use super::{code, limits};

/// Compiles the component on standard input to standard output, and ends with the process that
/// asked for it. To be called first thing, before there are threads; see [`super::Compiler`].
#[must_use]
pub fn compile_plugin() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody is left to tell, or nobody who asked properly.
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer() -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    let (order, length) = Order::decode(&mut stdin)?;
    limits::hold(&order)?;
    let mut component = Vec::new();
    stdin.take(length).read_to_end(&mut component)?;
    if component.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let answer = Answer::encode(code(&component, order.reservation));
    let mut stdout = io::stdout().lock();
    stdout.write_all(&answer)?;
    stdout.flush()
}
