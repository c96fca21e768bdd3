//! `reeve plugin run` for a provider: one operation at a forge that is there.
//!
//! The forge room of the controller makes the requests, with the hosts that are granted here and the secrets that lie in files.
//! What is printed is what `want.json` of a case holds: of a secret no more than the name of its slot.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use reeve_api::name::Secret;
use reeve_core::failure::Explain as _;
use serde_json::Value;

use super::place::Place;
use super::{Form, data, manifests, read};
use crate::cli::provide_tls;
use crate::cli::reach::everywhere;
use crate::cli::ui::{CommandError, Ui};
use crate::clock::Clock;
use crate::forge::{Cause, Grant, HostPattern, Limits, Provider, Slot, Slots, json};
use crate::git::Tls;

/// What a provider is asked, and what it is granted.
#[derive(Args)]
pub(super) struct ProviderFlags {
    /// Of a provider: the operation, as operation.json of a case has it
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub(super) operation: Option<PathBuf>,
    /// Of a provider: a host that it may have asked, perhaps with its port; once for each
    #[arg(long, value_name = "HOST", requires = "operation")]
    grant_host: Vec<HostPattern>,
    /// Of a provider: a secret that it may name, in a file; a line end after it is not part of it
    #[arg(long, value_name = "NAME=@FILE", requires = "operation")]
    slot: Vec<SlotFlag>,
    /// Of a provider: let it be sent over http too
    #[arg(long, requires = "operation")]
    plain_http: bool,
}

/// `NAME=@FILE`: on a command line others would read the secret itself.
#[derive(Debug, Clone)]
struct SlotFlag {
    name: String,
    file: PathBuf,
}

impl FromStr for SlotFlag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once("=@") {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok(Self {
                name: name.to_owned(),
                file: file.into(),
            }),
            _ => Err("write NAME=@FILE: a secret is read from a file"),
        }
    }
}

/// Carries out the operation that lies at `asked`.
pub(super) fn run(
    flags: &ProviderFlags,
    asked: &Path,
    config: Option<Value>,
    (place, name): (&Place, &str),
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let operation = json::operation(&manifests::one(asked)?.to_string());
    let mut operation = operation
        .map_err(|why| CommandError::of(&format!("reading {} failed", asked.display()), &why))?;
    if let Some(config) = config {
        operation.config = config.to_string();
    }
    let config = serde_json::from_str(&operation.config).unwrap_or_default();
    place
        .fits(&config)
        .map_err(|why| super::run::failed(name, &why.into()))?;
    let provider = flags.provider(place, name, ui)?;
    match place.ask(&provider, operation) {
        Ok(outcome) => {
            outcome.log.iter().for_each(|line| ui.line(line));
            ui.data(data(&json::done(&outcome.done), Form::Json)?.as_bytes())
        }
        Err(why) => {
            why.log.iter().for_each(|line| ui.line(line));
            let error = match &why.source {
                Cause::Refused(refusal) => CommandError::new(format!("{name} refuses: {refusal}")),
                _ => CommandError::of(&format!("calling {name} failed"), &*why),
            };
            Err(match why.hint() {
                Some(hint) => error.hint(hint),
                None => error,
            })
        }
    }
}

impl ProviderFlags {
    fn provider(&self, place: &Place, name: &str, ui: &mut Ui) -> Result<Provider, CommandError> {
        provide_tls();
        let asks = place.asks()?;
        let mut slots = Slots::new();
        for SlotFlag { name, file } in &self.slot {
            if !asks.slots().contains_key(name) {
                let known: Vec<&str> = asks.slots().keys().map(String::as_str).collect();
                ui.note(&format!(
                    "slot {name} is not filled: the component asks for {}",
                    if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    }
                ));
            }
            slots.insert(
                name.clone(),
                Slot {
                    value: secret(file)?,
                    hosts: self.grant_host.clone(),
                },
            );
        }
        Ok(Provider {
            name: name.to_owned(),
            whose: String::new(),
            asks,
            grant: Arc::new(Grant {
                hosts: self.grant_host.clone(),
                http: self.plain_http,
            }),
            slots,
            egress: everywhere(),
            tls: Tls::default(),
            limits: Limits::default(),
            clock: Clock::system(),
            pauses: Arc::default(),
            answers: Arc::default(),
        })
    }
}

fn secret(file: &Path) -> Result<Secret, CommandError> {
    let wrong = || CommandError::new(format!("{} does not hold text", file.display()));
    let text = String::from_utf8(read(file)?).map_err(|_| wrong())?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}
