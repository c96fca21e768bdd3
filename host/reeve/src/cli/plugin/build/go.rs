//! Go: the toolchain itself, and nothing else. TinyGo is not needed.
//!
//! Go compiles for WASI (`GOOS=wasip1`), whose calls its runtime makes while it starts: the time, randomness for its maps,
//! the environment. An adapter answers them inside of the component (`wasi.wat`), so that none is left outside. Its clock
//! counts calls and its randomness is a constant: the same input brings the same output.

use std::path::Path;
use std::process::Command;

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::{Project, encode, tool};
use crate::cli::plugin::{read, wit};
use crate::cli::ui::{CommandError, Ui};

/// What answers WASI, as text.
const ADAPTER: &str = include_str!("wasi.wat");

pub(super) fn build(project: &Project<'_>, ui: &mut Ui) -> Result<Vec<u8>, CommandError> {
    let go = tool::find("go", &["/usr/local/go/bin".into()]).ok_or_else(|| {
        CommandError::new("there is no go here").hint("install Go 1.24 or newer and put it on PATH")
    })?;
    let output = project.scratch.join("module.wasm");
    let mut command = Command::new(go);
    command
        .args([
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-buildmode=c-shared",
            "-ldflags=-s -w",
            "-o",
        ])
        .arg(&output)
        .arg(".")
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("GOWORK", "off")
        .current_dir(project.directory);
    tool::run(&mut command, ui)?;
    let mut module = read(&output)?;
    describe(&mut module, project.wit)?;
    let adapter = wat::parse_str(ADAPTER)
        .map_err(|why| CommandError::of("the adapter for WASI cannot be read", &why))?;
    encode::component(&module, Some(&adapter))
}

/// Writes into a module which world it implements: other languages' generators do.
fn describe(module: &mut Vec<u8>, contract: &Path) -> Result<(), CommandError> {
    let failed = |why: anyhow::Error| {
        CommandError::new(format!(
            "the contract in {} cannot be read: {why:#}",
            contract.display()
        ))
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(contract).map_err(failed)?;
    let world = resolve
        .select_world(&[package], Some(wit::WORLD))
        .map_err(failed)?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8).map_err(failed)
}
