//! Verbs that read policies do it in a process that a policy may end.
//!
//! What is known to end a reader of Rego is refused before anything is parsed; what nobody has thought of yet ends a process
//! that is started for it, with the same arguments, and here it is an error like any other. It deliberately sets no limit of
//! time: who waits at a terminal can stop it.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, ExitStatus};

use reeve_wasm::Program;

use super::ui::{CommandError, Ui};

/// What the process is told that is started for it.
pub(super) const VERB: &str = "supervised";
/// The code of a process of ours that panicked.
const PANICKED: i32 = 101;

/// Does what `arguments` say in another process; None where there is none to be had. Where that ends by what it reads, this
/// one exits with `code`.
pub(super) fn supervised(
    arguments: impl Iterator<Item = OsString>,
    code: u8,
    ui: &mut Ui,
) -> Option<ExitCode> {
    let started = Program::own(VERB).and_then(|own| {
        let mut command = Command::new(own.path);
        command.args(own.arguments).args(arguments);
        // With a backtrace wanted, a process whose memory runs out while it tells of a panic waits for itself for ever.
        command.env("RUST_BACKTRACE", "0").status()
    });
    let status = started.ok()?;
    let failed = match status.code() {
        Some(code) if code != PANICKED => {
            return Some(ExitCode::from(u8::try_from(code).unwrap_or(1)));
        }
        _ => ended(status).exits(code),
    };
    ui.error(&failed);
    Some(ExitCode::from(failed.code()))
}

fn ended(status: ExitStatus) -> CommandError {
    let why = match status.signal() {
        Some(libc::SIGKILL) => "it was killed, most likely because the memory ran out".to_owned(),
        Some(libc::SIGSEGV | libc::SIGBUS) => "it ran out of stack".to_owned(),
        _ => status.to_string(),
    };
    let message = format!("reading the policies ended the process that did it: {why}");
    CommandError::new(message).hint(
        "the controller puts no such policy in force; leave out files until it can be read, and report what it was",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_ended_is_an_error_of_its_own() {
        for (raw, want) in [
            (libc::SIGKILL, "the memory ran out"),
            (libc::SIGSEGV, "ran out of stack"),
            (libc::SIGABRT, "signal: 6"),
            (PANICKED << 8, "exit status: 101"),
        ] {
            let told = ended(ExitStatus::from_raw(raw));
            assert!(told.to_string().contains(want), "{told}");
            assert_eq!(told.code(), 1);
        }
    }
}
