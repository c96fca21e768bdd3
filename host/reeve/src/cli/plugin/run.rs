//! `reeve plugin run`: one call with a bundle of one's own.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use reeve_wasm::{Error, Transformed};
use serde_json::{Value, json};

use super::place::{Failed, LimitFlags, Place};
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
        Some(path) => manifests::one(path)?,
        None => json!({}),
    };
    let place = Place::open(&read(&args.component)?, &name, &args.limits)?;
    match transform(args, &place, &config)? {
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

fn transform(
    args: &RunArgs,
    place: &Place,
    config: &Value,
) -> Result<Result<Transformed, Failed>, CommandError> {
    let given = given(args)?;
    if let Err(why) = place.fits(config) {
        return Ok(Err(why.into()));
    }
    let given = given.iter().map(Value::to_string).collect();
    Ok(place.transform(given, config).map_err(Failed::from))
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

fn failed(name: &str, why: &Failed) -> CommandError {
    let calling = || CommandError::of(&format!("calling {name} failed"), why);
    match why {
        Failed::Call(Error::Refused(refusal)) => {
            CommandError::new(format!("{name} refuses: {refusal}"))
        }
        Failed::Call(_) => calling(),
        Failed::Config(_) => {
            calling().hint("`reeve plugin inspect` shows the schema that the component carries")
        }
    }
}
