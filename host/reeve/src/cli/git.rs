//! `reeve git`: what git configuration makes of a repository.

mod explain;

use clap::{Args, Subcommand};
use reeve_api::plugin::ConfigKind;
use reeve_api::tenant::GitConfigReference;

use super::provide_tls;
use super::ui::{CommandError, Ui};

/// Show what git configuration makes of repositories
#[derive(Args)]
pub(super) struct GitArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Explain(explain::ExplainArgs),
}

pub(super) fn run(args: &GitArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    let text = match &args.what {
        What::Explain(args) => runtime.block_on(explain::explain(args, ui))?,
    };
    ui.data(text.as_bytes())
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
