//! `reeve crds`: the definitions of the kinds, as they are installed.

use clap::{Args, ValueEnum};

use super::ui::{CommandError, Ui};

/// Print the CustomResourceDefinitions
///
/// Generated from the same types that the controller decodes with: `reeve crds | kubectl apply --server-side -f -`.
#[derive(Args)]
pub(super) struct CrdsArgs {
    /// How to print them
    #[arg(long, short, value_enum, default_value_t = Output::Yaml)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// A document each
    Yaml,
    /// One List
    Json,
}

pub(super) fn run(args: &CrdsArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let crds = reeve_api::crds();
    let failed = |why: serde_json::Error| CommandError::of("printing the definitions failed", &why);
    let text = match args.output {
        Output::Json => {
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": crds});
            format!("{}\n", serde_json::to_string_pretty(&list).map_err(failed)?)
        }
        Output::Yaml => {
            let mut objects = Vec::new();
            for crd in &crds {
                let value = serde_json::to_value(crd).map_err(failed)?;
                let object = reeve_kustomize::Object::try_from(value)
                    .map_err(|_| CommandError::new("a definition is not an object"))?;
                objects.push(object);
            }
            reeve_kustomize::to_yaml(&objects)
        }
    };
    ui.data(text.as_bytes())
}
