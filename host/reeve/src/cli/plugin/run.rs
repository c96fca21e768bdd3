//! `reeve plugin run`: one call with a bundle of one's own.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use reeve_wasm::{Error, World};
use serde_json::Value;

use super::place::{LimitFlags, Place};
use super::{manifests, read};
use crate::cli::ui::{CommandError, Ui};

/// Call a plugin once
///
/// Reads manifests as YAML, calls the plugin as the controller would, and prints the manifests that come back. What it logs
/// goes to stderr. `reeve build DIR | reeve plugin run PLUGIN` shows what a Kustomization would become.
#[derive(Args)]
pub(super) struct RunArgs {
    /// The component
    component: PathBuf,
    /// The manifests; - for stdin
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Its config, YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitFlags,
}

pub(super) fn run(args: &RunArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let name = args.component.display().to_string();
    let config = match &args.config {
        Some(path) => manifests::one(path)?.to_string(),
        None => "{}".to_owned(),
    };
    let place = Place::open(
        &read(&args.component)?,
        &name,
        World::Transformer,
        &args.limits,
    )?;
    let given = given(args)?;
    let given = given.iter().map(Value::to_string).collect();
    match place.transform(given, &config) {
        Ok(done) => {
            done.log.iter().for_each(|line| ui.line(line));
            let made: Result<Vec<Value>, _> = done
                .manifests
                .iter()
                .map(|text| serde_json::from_str(text))
                .collect();
            let made = made.map_err(|why| CommandError::of("reading its answer failed", &why))?;
            ui.data(manifests::yaml(made)?.as_bytes())
        }
        Err(why) => {
            why.log().iter().for_each(|line| ui.line(line));
            Err(failed(&name, &why))
        }
    }
}

fn given(args: &RunArgs) -> Result<Vec<Value>, CommandError> {
    if args.file.as_os_str() != "-" {
        return manifests::at(&args.file);
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|why| CommandError::of("reading stdin failed", &why))?;
    manifests::parse(&bytes, "stdin")
}

fn failed(name: &str, why: &Error) -> CommandError {
    match why {
        Error::Refused(refusal) => CommandError::new(format!("{name} refuses: {refusal}")),
        _ => CommandError::of(&format!("calling {name} failed"), why),
    }
}
