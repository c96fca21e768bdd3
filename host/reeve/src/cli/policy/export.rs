//! `reeve policy export`: the rules that are always in force, for the API server to ask as well.

use clap::{Args, ValueEnum};
use reeve_core::library::vap;

use super::subject::Ground;
use super::{json, yaml};
use crate::cli::ui::{CommandError, Ui};

/// Print the policies that are always in force as ValidatingAdmissionPolicies
///
/// The API server then refuses, at `kubectl apply`, a Kustomization that names no ServiceAccount, targets another namespace or
/// builds from a source that is not its tenant's, with the words of the reconcile. The reconcile relies on none of it. CEL
/// knows no Tenants: give --tenants and print them anew when Tenants change, else every namespace is a tenant of its own.
///
/// Example: `kubectl get tenants.reeve.dev -o yaml | reeve policy export --vap --tenants - | kubectl apply -f -`
#[derive(Args)]
pub(super) struct ExportArgs {
    /// As ValidatingAdmissionPolicies with their bindings, the one form there is
    #[arg(long, required = true)]
    vap: bool,
    #[command(flatten)]
    ground: Ground,
    /// How to print them
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Yaml)]
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A document each
    Yaml,
    /// One List
    Json,
}

pub(super) fn run(args: &ExportArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let grounds = args.ground.grounds();
    let (tenants, namespaces) = args.ground.tenants()?;
    let manifests = vap::manifests(&grounds, &tenants, &namespaces);
    let text = match args.form {
        Form::Yaml => yaml(&manifests)?,
        Form::Json => {
            json(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": manifests}))?
        }
    };
    ui.data(text.as_bytes())
}
