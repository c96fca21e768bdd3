//! The reference of the command line, written from its help.

use std::fmt::Write as _;
use std::path::Path;

/// As wide as help is printed at most.
const WIDTH: usize = 100;

/// The help of a verb and of those below it.
fn help(out: &mut String, of: &str, verb: &clap::Command) {
    let name = format!("{of}{}", verb.get_name());
    let mut shown = verb
        .clone()
        .bin_name(&name)
        .disable_version_flag(true)
        .term_width(WIDTH);
    let text = shown.render_long_help().to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let text = lines.join("\n");
    write!(out, "\n## {name}\n\n```text\n{}\n```\n", text.trim_end()).expect("a String takes it");
    let verbs = verb
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
    for verb in verbs {
        help(out, &format!("{name} "), verb);
    }
}

#[test]
fn the_reference_of_the_command_line_is_the_one_that_is_written_down() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/cli.md");
    let mut want = String::from(
        "# The command line\n\nWritten by a test from `reeve --help` and that of every verb.\n",
    );
    help(&mut want, "", &super::command());
    if std::env::var_os("REEVE_BLESS").is_some() {
        std::fs::write(&path, &want).expect("the page can be written");
    }
    let there = std::fs::read_to_string(&path).expect("the page is there");
    assert_eq!(there, want, "REEVE_BLESS=1 writes it anew");
}

#[test]
fn every_verb_and_flag_says_what_it_is() {
    fn silent(of: &str, verb: &clap::Command, found: &mut Vec<String>) {
        let name = format!("{of} {}", verb.get_name());
        if verb.get_about().is_none() {
            found.push(name.clone());
        }
        let arguments = verb.get_arguments().filter(|one| !one.is_hide_set());
        let mute = arguments.filter(|one| one.get_help().is_none());
        found.extend(mute.map(|one| format!("{name} {}", one.get_id())));
        for verb in verb.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            silent(&name, verb, found);
        }
    }
    let mut found = Vec::new();
    silent("", &super::command(), &mut found);
    assert!(found.is_empty(), "without a word: {found:?}");
}
