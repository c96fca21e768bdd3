//! The only printer: data to stdout, everything else to stderr, colour only on a terminal.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use reeve_core::failure::chain;
use reeve_core::text;
use reeve_core::veil::Veil;

/// A command that could not do what was asked.
#[derive(Debug)]
pub struct CommandError {
    message: String,
    hint: Option<String>,
    code: u8,
}

impl CommandError {
    /// With the causes of `error` written out after what was being done.
    pub(super) fn of(doing: &str, error: &(dyn Error + 'static)) -> Self {
        Self {
            message: format!("{doing}: {}", chain(error)),
            hint: None,
            code: 1,
        }
    }

    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: 1,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with what must not be told covered.
    #[must_use]
    pub(super) fn under(self, veil: &Veil) -> Self {
        Self {
            message: veil.cover(self.message),
            hint: self.hint.map(|hint| veil.cover(hint)),
            ..self
        }
    }

    /// Which code the process exits with instead of 1.
    #[must_use]
    pub(super) fn exits(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    pub(super) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CommandError {}

/// What a step of a command is, in Flux's signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Doing,
    Waiting,
    Done,
    Failed,
}

impl Sign {
    fn drawn(self) -> (&'static str, &'static str) {
        match self {
            Self::Doing => ("►", "\x1b[36m"),
            Self::Waiting => ("◎", "\x1b[33m"),
            Self::Done => ("✔", "\x1b[32m"),
            Self::Failed => ("✗", "\x1b[1;31m"),
        }
    }
}

/// The terminal.
pub(super) struct Ui {
    colour: bool,
}

impl Ui {
    pub(super) fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            colour: wanted && io::stderr().is_terminal(),
        }
    }

    /// Prints data. A reader that went away (`| head`) is no error.
    pub(super) fn data(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
                Err(CommandError::of("writing to stdout failed", &why))
            }
            _ => Ok(()),
        }
    }

    /// Prints a line that is neither data nor ours: what a guest or a tool says.
    pub(super) fn line(&mut self, text: &str) {
        // Where stderr is closed nobody reads it.
        let _closed = io::stderr()
            .lock()
            .write_all(format!("{text}\n").as_bytes());
    }

    /// Tells a step of what is being done, as `flux` does.
    pub(super) fn step(&mut self, sign: Sign, text: &str) {
        let (sign, colour) = sign.drawn();
        let (colour, plain) = if self.colour {
            (colour, "\x1b[0m")
        } else {
            ("", "")
        };
        self.line(&format!("{colour}{sign}{plain} {}", text::lines(text)));
    }

    /// Asks; the answer is typed behind it.
    pub(super) fn ask(&mut self, question: &str) {
        // Where stderr is closed nobody reads questions.
        let _closed = io::stderr()
            .lock()
            .write_all(format!("{} ", text::line(question)).as_bytes());
    }

    /// Says how far it is, on a terminal: each line takes the place of the one before, and an empty one takes it away.
    pub(super) fn progress(&mut self, text: &str) {
        let mut err = io::stderr().lock();
        if err.is_terminal() {
            // Where stderr is closed nobody looks.
            let _closed = err.write_all(format!("\r\x1b[K{text}").as_bytes());
        }
    }

    /// Prints what else there is to say.
    pub(super) fn note(&mut self, text: &str) {
        let (yellow, plain) = if self.colour {
            ("\x1b[33m", "\x1b[0m")
        } else {
            ("", "")
        };
        let line = format!("{yellow}note:{plain} {}\n", text::lines(text));
        // Where stderr is closed nobody reads notes.
        let _closed = io::stderr().lock().write_all(line.as_bytes());
    }

    /// Prints an error with its hint.
    pub(super) fn error(&mut self, why: &CommandError) {
        let (red, cyan, plain) = if self.colour {
            ("\x1b[1;31m", "\x1b[36m", "\x1b[0m")
        } else {
            ("", "", "")
        };
        let mut told = format!("{red}error:{plain} {}\n", text::lines(&why.message));
        if let Some(hint) = &why.hint {
            told.push_str(&format!("{cyan}hint:{plain} {}\n", text::lines(hint)));
        }
        // Where stderr is closed nobody reads errors.
        let _closed = io::stderr().lock().write_all(told.as_bytes());
    }
}
