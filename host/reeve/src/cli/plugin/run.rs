//! `reeve plugin run`: one call with a bundle of one's own; a provider's operation is `provider`'s.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use reeve_wasm::{Error, Transformed, World};
use serde_json::{Value, json};

use super::place::{Failed, LimitFlags, Place};
use super::provider::{self, ProviderFlags};
use super::{manifests, read};
use crate::cli::ui::{CommandError, Ui};

/// Call a plugin once
///
/// Reads manifests as YAML, calls the plugin as the controller would, and prints the manifests that come back. What it logs
/// goes to stderr. `reeve build DIR | reeve plugin run PLUGIN` shows what a Kustomization would become.
///
/// A provider is given --operation instead: the requests that it wants are made as the controller makes them, to the hosts
/// and with the secrets that are named here, and how it ended is printed as JSON. Of a secret only the slot's name is.
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
    provider: ProviderFlags,
    #[command(flatten)]
    limits: LimitFlags,
}

pub(super) fn run(args: &RunArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let name = args.component.display().to_string();
    let config = args.config.as_deref().map(manifests::one).transpose()?;
    let place = Place::open(&read(&args.component)?, &name, &args.limits)?;
    let wrong = |what: &str, hint: &str| {
        Err(CommandError::new(format!("{name} is a {}{what}", place.world())).hint(hint))
    };
    match (place.world(), &args.provider.operation) {
        (World::Transformer, None) => {}
        (World::Transformer, Some(_)) => {
            return wrong(
                ", and takes manifests",
                "--operation is what a provider is asked",
            );
        }
        (World::Provider, None) => {
            return wrong("", "--operation names a file with what it is asked");
        }
        (World::Provider, Some(asked)) => {
            return provider::run(&args.provider, asked, config, (&place, &name), ui);
        }
    }
    match transform(args, &place, &config.unwrap_or_else(|| json!({})))? {
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
    Ok(place.transform(given, config))
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

pub(in crate::cli) fn failed(name: &str, why: &Failed) -> CommandError {
    let calling = || CommandError::of(&format!("calling {name} failed"), why);
    match why {
        Failed::Call(Error::Refused(refusal)) => {
            CommandError::new(format!("{name} refuses: {refusal}"))
        }
        Failed::Call(_) | Failed::Unusable(_) => calling(),
        Failed::Config(_) => {
            calling().hint("`reeve plugin inspect` shows the schema that the component carries")
        }
    }
}
