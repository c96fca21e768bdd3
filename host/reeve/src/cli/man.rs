//! `reeve man`: the manual pages, one for each command, written from its help.
//!
//! Written here and not by a crate: of roff it takes four macros and the escaping of three signs. What it deliberately doesn't:
//! say anything that `--help` doesn't say.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Arg, Args, Command};

use super::text::counted;
use super::ui::{CommandError, Sign, Ui};

/// Write the manual pages
///
/// One for each command, into a directory: `reeve man ~/.local/share/man/man1`, and then `man reeve-get`. Without a directory the
/// page of the whole program is printed: `reeve man | man -l -`.
#[derive(Args)]
pub(super) struct ManArgs {
    /// The directory, which is made if it is not there
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let command = super::command();
    let Some(directory) = &args.directory else {
        return ui.data(page("reeve", &command).as_bytes());
    };
    let failed = |why: std::io::Error| {
        CommandError::of(
            &format!("writing into {} failed", directory.display()),
            &why,
        )
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let pages = pages(&command);
    for (name, text) in &pages {
        std::fs::write(directory.join(format!("{name}.1")), text).map_err(failed)?;
    }
    let written = counted(pages.len(), "page", "pages");
    ui.step(
        Sign::Done,
        &format!("{written} written to {}", directory.display()),
    );
    Ok(())
}

/// The name and the text of every page.
fn pages(command: &Command) -> Vec<(String, String)> {
    fn below(name: String, command: &Command, pages: &mut Vec<(String, String)>) {
        let text = page(&name, command);
        for verb in verbs(command) {
            below(format!("{name}-{}", verb.get_name()), verb, pages);
        }
        pages.push((name, text));
    }
    let mut pages = Vec::new();
    below("reeve".to_owned(), command, &mut pages);
    pages
}

fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    let verbs = command.get_subcommands();
    verbs.filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
}

fn page(name: &str, command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string);
    let about = about.unwrap_or_default();
    let long = command.get_long_about().map(ToString::to_string);
    let spoken = name.replace('-', " ");
    let mut shown = command.clone().bin_name(spoken).disable_version_flag(true);
    let usage = shown.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let version = env!("CARGO_PKG_VERSION");
    let mut out = Page::default();
    out.raw(&format!(
        ".TH \"{}\" 1 \"\" \"reeve {}\"",
        escaped(&name.to_uppercase()),
        escaped(version)
    ));
    out.section("NAME");
    out.text(&format!("{name} - {about}"));
    out.section("SYNOPSIS");
    out.text(usage);
    out.section("DESCRIPTION");
    out.paragraphs(long.as_deref().unwrap_or(&about));
    out.section("OPTIONS");
    for argument in command.get_arguments().filter(|one| !one.is_hide_set()) {
        out.option(argument);
    }
    out.item("-h, --help");
    out.text("Print help");
    let below: Vec<&Command> = verbs(command).collect();
    if !below.is_empty() {
        out.section("COMMANDS");
        for verb in below {
            out.item(&format!("{name}-{}(1)", verb.get_name()));
            let about = verb.get_about().map(ToString::to_string);
            out.text(&about.unwrap_or_default());
        }
    }
    if let Some((above, _)) = name.rsplit_once('-') {
        out.section("SEE ALSO");
        out.text(&format!("{above}(1)"));
    }
    out.0
}

/// A page that is written.
#[derive(Default)]
struct Page(String);

impl Page {
    fn raw(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn section(&mut self, name: &str) {
        self.raw(&format!(".SH {name}"));
    }

    /// What the next text is about.
    fn item(&mut self, of: &str) {
        self.raw(".TP");
        self.raw(&format!("\\fB{}\\fR", escaped(of)));
    }

    fn text(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.raw(&line_of(line));
        }
    }

    fn paragraphs(&mut self, text: &str) {
        for paragraph in text.split("\n\n") {
            self.raw(".PP");
            self.text(paragraph);
        }
    }

    fn option(&mut self, argument: &Arg) {
        self.item(&called(argument));
        let help = argument.get_long_help().or_else(|| argument.get_help());
        self.text(&help.map(ToString::to_string).unwrap_or_default());
        for value in argument.get_possible_values() {
            if value.is_hide_set() {
                continue;
            }
            let help = value.get_help().map(ToString::to_string);
            let mut told = format!("{}:", value.get_name());
            if let Some(help) = help {
                // Without it the name says it all.
                let _infallible = write!(told, " {help}");
            }
            self.raw(".br");
            self.text(told.trim_end_matches(':'));
        }
        let defaults = argument.get_default_values().iter();
        let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
        if !defaults.is_empty() && argument.get_action().takes_values() {
            self.raw(".br");
            self.text(&format!("[default: {}]", defaults.join(",")));
        }
        if let Some(name) = argument.get_env() {
            self.raw(".br");
            self.text(&format!("[env: {}]", name.to_string_lossy()));
        }
    }
}

/// An argument as it is typed.
fn called(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let names = names.iter().map(|name| format!("<{name}>"));
    let values = match argument.get_action().takes_values() {
        true => names.collect::<Vec<_>>().join(" "),
        false => String::new(),
    };
    if argument.is_positional() {
        return values;
    }
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    format!("{} {values}", flags.join(", "))
        .trim_end()
        .to_owned()
}

/// A line of text, which is none that roff acts upon.
fn line_of(text: &str) -> String {
    let text = escaped(text);
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

/// What roff would read as something else.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '"' => out.push_str("\\(dq"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every<'c>(name: String, command: &'c Command, all: &mut Vec<(String, &'c Command)>) {
        for verb in verbs(command) {
            every(format!("{name}-{}", verb.get_name()), verb, all);
        }
        all.push((name, command));
    }

    #[test]
    fn every_command_has_a_page_with_all_of_its_options() {
        let command = super::super::command();
        let pages = pages(&command);
        let mut all = Vec::new();
        every("reeve".to_owned(), &command, &mut all);
        assert!(all.len() > 20, "{} commands", all.len());
        assert_eq!(pages.len(), all.len());
        for (name, command) in all {
            let page = pages.iter().find(|(of, _)| *of == name);
            let (_, page) = page.unwrap_or_else(|| panic!("no page for {name}"));
            let about = command.get_about().unwrap().to_string();
            assert!(page.contains(&escaped(&about)), "{name}: {page}");
            for argument in command.get_arguments().filter(|one| !one.is_hide_set()) {
                let item = format!("\\fB{}\\fR", escaped(&called(argument)));
                assert!(
                    !called(argument).is_empty() && page.contains(&item),
                    "{name}: {item}"
                );
            }
            for verb in verbs(command) {
                let below = format!("{name}-{}(1)", verb.get_name());
                assert!(page.contains(&escaped(&below)), "{name}: {below}");
            }
        }
    }

    #[test]
    fn only_macros_begin_with_a_dot() {
        for (name, page) in pages(&super::super::command()) {
            for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
                let known = [".TH ", ".SH ", ".TP", ".PP", ".br"];
                assert!(
                    known.iter().any(|it| line.starts_with(it)),
                    "{name}: {line}"
                );
            }
        }
        assert_eq!(line_of(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(escaped("a\\b-c\"d"), "a\\eb\\-c\\(dqd");
    }
}
