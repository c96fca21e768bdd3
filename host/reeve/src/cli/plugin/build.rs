//! `reeve plugin build`: sources to a component, whichever toolchain is there.
//!
//! One file a language says what it calls and what is missing; nothing is installed here. What comes out is given the
//! sections that the plugin's folder describes it with, and is looked at as the controller would.

mod encode;
mod go;
mod javascript;
mod python;
mod rust;
mod tool;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use reeve_wasm::{Facts, facts};
use serde_json::Value;

use super::place::largest;
use super::{read, wit};
use crate::cli::ui::{CommandError, Ui};

/// Build a plugin to a component
///
/// Finds the toolchain of the language, says what is missing and how to install it, and writes NAME.wasm into the
/// directory. config-schema.json and manifest.json beside the sources are put into the component. No WASI is left in it.
#[derive(Args)]
pub(super) struct BuildArgs {
    /// The directory of the plugin
    #[arg(default_value = ".", value_name = "DIR")]
    directory: PathBuf,
    /// Write to this file [default: DIR/NAME.wasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    Python,
    /// JavaScript
    Js,
    Go,
}

impl Language {
    /// The file that tells, in the order in which they are looked for.
    const MARKS: [(&str, Self); 4] = [
        ("Cargo.toml", Self::Rust),
        ("package.json", Self::Js),
        ("go.mod", Self::Go),
        ("plugin.py", Self::Python),
    ];

    fn of(directory: &Path) -> Result<Self, CommandError> {
        let found = Self::MARKS
            .iter()
            .find(|(mark, _)| directory.join(mark).exists());
        found.map(|(_, language)| *language).ok_or_else(|| {
            let message = format!(
                "{} has no Cargo.toml, package.json, go.mod or plugin.py",
                directory.display()
            );
            CommandError::new(message)
                .hint("`reeve plugin new NAME --lang LANG` writes a plugin to begin with")
        })
    }
}

/// The files of a plugin's folder that become custom sections of its component.
const SECTIONS: [(&str, &str); 2] = [
    ("config-schema.json", "reeve:config-schema"),
    ("manifest.json", "reeve:manifest"),
];

pub(super) fn run(args: &BuildArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let directory = args.directory.canonicalize().map_err(|why| {
        CommandError::of(
            &format!("{} cannot be opened", args.directory.display()),
            &why,
        )
    })?;
    let name = directory
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| directory.join(format!("{name}.wasm")));
    let facts = build(&directory, &output, ui)?;
    ui.data(format!("{}  {}\n", facts.digest, output.display()).as_bytes())
}

fn build(directory: &Path, output: &Path, ui: &mut Ui) -> Result<Facts, CommandError> {
    let failed = |why: std::io::Error| CommandError::of("preparing to build failed", &why);
    let scratch = tempfile::tempdir().map_err(failed)?;
    let own = directory.join("wit");
    let contract = match own.is_dir() {
        true => own,
        false => {
            let contract = scratch.path().join("wit");
            wit::write(&contract)?;
            contract
        }
    };
    let project = Project {
        directory,
        wit: &contract,
        scratch: scratch.path(),
    };
    let mut component = match Language::of(directory)? {
        Language::Rust => rust::build(&project, ui)?,
        Language::Python => python::build(&project, ui)?,
        Language::Js => javascript::build(&project, ui)?,
        Language::Go => go::build(&project, ui)?,
    };
    for (file, section) in SECTIONS {
        let path = directory.join(file);
        if path.exists() {
            let json: Value = serde_json::from_slice(&read(&path)?).map_err(|why| {
                CommandError::of(&format!("reading {} failed", path.display()), &why)
            })?;
            encode::section(&mut component, section, json.to_string().as_bytes());
        }
    }
    let facts = facts(&component, largest())
        .map_err(|why| CommandError::of("it was built, but would be refused", &why))?;
    std::fs::write(output, &component)
        .map_err(|why| CommandError::of(&format!("writing {} failed", output.display()), &why))?;
    Ok(facts)
}

/// What is built, and where there is room for what lies between.
struct Project<'a> {
    directory: &'a Path,
    /// The contract: the plugin's own copy, or ours.
    wit: &'a Path,
    /// Goes away with the build.
    scratch: &'a Path,
}
