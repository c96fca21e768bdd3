//! Questions on a terminal, a line each. Where nobody sits there, the error names the flag that answers.
//!
//! What is secret is typed unseen: `stty` switches the terminal's echo off and on again. It deliberately knows no question of
//! its own.

use std::io::{BufRead, IsTerminal as _, Read as _, StdinLock};
use std::process::{Command, Stdio};

use reeve_api::name::Secret;

use crate::cli::ui::{CommandError, Ui};

/// The longest answer, in bytes.
const LONGEST: u64 = 64 << 10;
/// How often a question is asked whose answer is none.
const TRIES: usize = 3;

/// Who is asked.
pub(super) struct Guide<R> {
    input: Option<R>,
    /// Whether there is an echo to switch off.
    echoes: bool,
}

impl Guide<StdinLock<'static>> {
    /// Whoever sits at the terminal, if somebody does and may be asked.
    pub(super) fn of_terminal(may_ask: bool) -> Self {
        let stdin = std::io::stdin();
        let asks = may_ask && stdin.is_terminal();
        Self {
            input: asks.then(|| stdin.lock()),
            echoes: true,
        }
    }
}

impl<R: BufRead> Guide<R> {
    /// Whether anybody can be asked.
    pub(super) fn is_there(&self) -> bool {
        self.input.is_some()
    }

    /// The answer; None: an empty line.
    pub(super) fn ask(
        &mut self,
        ui: &mut Ui,
        flag: &str,
        question: &str,
    ) -> Result<Option<String>, CommandError> {
        let Some(input) = &mut self.input else {
            return Err(missing(flag));
        };
        ui.ask(question);
        line(input)
    }

    /// The answer, which has to be one.
    pub(super) fn needs(
        &mut self,
        ui: &mut Ui,
        flag: &str,
        question: &str,
    ) -> Result<String, CommandError> {
        for _ in 0..TRIES {
            if let Some(answer) = self.ask(ui, flag, question)? {
                return Ok(answer);
            }
        }
        Err(missing(flag))
    }

    /// Which of these; counted from 0.
    pub(super) fn choose(
        &mut self,
        ui: &mut Ui,
        flag: &str,
        question: &str,
        choices: &[&str],
    ) -> Result<usize, CommandError> {
        if self.is_there() {
            ui.line(question);
            for (at, choice) in choices.iter().enumerate() {
                ui.line(&format!("  {}) {choice}", at + 1));
            }
        }
        for _ in 0..TRIES {
            let answer = self.ask(ui, flag, &format!("1-{}:", choices.len()))?;
            let number = answer.and_then(|answer| answer.parse::<usize>().ok());
            let chosen = number.and_then(|number| number.checked_sub(1));
            if let Some(chosen) = chosen.filter(|chosen| *chosen < choices.len()) {
                return Ok(chosen);
            }
        }
        Err(missing(flag))
    }

    /// The answer, which nobody sees; None: an empty line.
    pub(super) fn hidden(
        &mut self,
        ui: &mut Ui,
        flag: &str,
        question: &str,
    ) -> Result<Option<Secret>, CommandError> {
        let Some(input) = &mut self.input else {
            return Err(missing(flag));
        };
        let quiet = match self.echoes {
            true => Some(Quiet::begin(flag)?),
            false => None,
        };
        ui.ask(question);
        let answer = line(input);
        drop(quiet);
        ui.line("");
        Ok(answer?.map(Secret::new))
    }

    /// Whether it is said to be so.
    pub(super) fn agrees(&mut self, ui: &mut Ui, question: &str) -> Result<bool, CommandError> {
        let answer = self.ask(ui, "--yes", &format!("{question} (y/N)"))?;
        let answer = answer.unwrap_or_default().to_lowercase();
        Ok(matches!(answer.as_str(), "y" | "yes"))
    }
}

fn missing(flag: &str) -> CommandError {
    CommandError::new(format!("{flag} is not given"))
        .hint("on a terminal, and without --yes, you are asked for what is not given")
}

/// A line without its end; None: it is empty.
fn line(input: &mut impl BufRead) -> Result<Option<String>, CommandError> {
    let failed = |why: std::io::Error| CommandError::of("reading the answer failed", &why);
    let mut text = String::new();
    let read = input.take(LONGEST).read_line(&mut text).map_err(failed)?;
    if read == 0 {
        return Err(CommandError::new("there are no more answers"));
    }
    let text = text.trim_end_matches(['\r', '\n']);
    Ok((!text.trim().is_empty()).then(|| text.to_owned()))
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Quiet;

impl Quiet {
    fn begin(flag: &str) -> Result<Self, CommandError> {
        let failed = |why: std::io::Error| {
            CommandError::of("the terminal would show what you type", &why)
                .hint(format!("give it in a file: {flag}"))
        };
        stty("-echo").map_err(failed)?;
        Ok(Self)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing more can be done; `stty echo` or `reset` does it by hand.
        let _restored = stty("echo");
    }
}

fn stty(mode: &str) -> std::io::Result<()> {
    let mut command = Command::new("stty");
    command.arg(mode).stdin(Stdio::inherit());
    let ended = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match ended.success() {
        true => Ok(()),
        false => Err(std::io::Error::other("stty failed")),
    }
}

#[cfg(test)]
impl<'t> Guide<&'t [u8]> {
    /// Whoever has written these lines; None: nobody is there.
    pub(super) fn scripted(lines: Option<&'t str>) -> Self {
        Self {
            input: lines.map(str::as_bytes),
            echoes: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_nothing_is_asked_again_and_not_for_ever() {
        let mut ui = Ui::new();
        let mut guide = Guide::scripted(Some("\n9\n2\n\nada\nhunter2\ny\n"));
        let chosen = guide.choose(&mut ui, "--x", "which?", &["a", "b"]).unwrap();
        assert_eq!(chosen, 1);
        assert_eq!(guide.needs(&mut ui, "--x", "who?").unwrap(), "ada");
        let secret = guide.hidden(&mut ui, "--x", "what?").unwrap().unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert!(guide.agrees(&mut ui, "so?").unwrap());
        let end = guide.ask(&mut ui, "--x", "more?").unwrap_err();
        assert!(end.to_string().contains("no more answers"), "{end}");
        let mut mute = Guide::scripted(Some("\n\n\n\n"));
        assert!(mute.needs(&mut ui, "--x", "who?").is_err());
    }

    #[test]
    fn where_nobody_sits_the_flag_is_named() {
        let mut ui = Ui::new();
        let mut guide = Guide::scripted(None);
        let why = guide
            .choose(&mut ui, "--url", "which?", &["a"])
            .unwrap_err();
        assert_eq!(why.to_string(), "--url is not given");
        assert!(guide.hidden(&mut ui, "--secret-file", "what?").is_err());
    }
}
