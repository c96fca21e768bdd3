//! `reeve git`: how repositories are, what git configuration makes of them, and how that is changed.

mod configure;
mod explain;
mod status;

use clap::{Args, Subcommand};
use reeve_api::plugin::ConfigKind;
use reeve_api::tenant::GitConfigReference;
use reeve_core::failure::Explained;

use super::provide_tls;
use super::ui::{CommandError, Ui};

/// Show how repositories are reached and what git configuration makes of them, and configure it
#[derive(Args)]
pub(super) struct GitArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Status(Box<status::StatusArgs>),
    Explain(Box<explain::ExplainArgs>),
    Configure(Box<configure::ConfigureArgs>),
}

pub(super) fn run(args: &GitArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    match &args.what {
        What::Explain(args) => {
            let text = runtime.block_on(explain::explain(args, ui))?;
            ui.data(text.as_bytes())
        }
        What::Status(args) => runtime.block_on(status::status(args, ui)),
        What::Configure(args) => configure::configure(args, &runtime, ui),
    }
}

/// A failure with what to do about it.
fn told(doing: &str, why: &Explained) -> CommandError {
    let told = CommandError::of(doing, why);
    match &why.hint {
        Some(hint) => told.hint(hint.clone()),
        None => told,
    }
}

/// `secret/NAME` or `configmap/NAME`.
pub(super) fn reference(text: &str) -> Result<GitConfigReference, String> {
    let form = "write secret/NAME or configmap/NAME";
    let (kind, name) = text.split_once('/').ok_or(form)?;
    let kind = match kind.to_ascii_lowercase().as_str() {
        "secret" => ConfigKind::Secret,
        "configmap" => ConfigKind::ConfigMap,
        _ => return Err(form.to_owned()),
    };
    let name = name.parse().map_err(|why| format!("{why}"))?;
    Ok(GitConfigReference {
        kind,
        name,
        key: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_platforms_configuration_lies_is_a_kind_and_a_name() {
        let read = reference("configmap/reeve-git").unwrap();
        assert_eq!(read.kind, ConfigKind::ConfigMap);
        assert_eq!((read.name.as_str(), read.key()), ("reeve-git", "git.yaml"));
        assert_eq!(reference("Secret/x").unwrap().kind, ConfigKind::Secret);
        for wrong in ["", "reeve-git", "secret/", "pod/x", "secret/A_b"] {
            assert!(reference(wrong).is_err(), "{wrong}");
        }
    }
}
