//! `reeve edit remove …`

use clap::Subcommand;
use reeve_kustomize::edit::{DataKind, Edit, PairField, PathField, metadata_options};

use super::add::PatchArgs;
use super::wrong;
use crate::cli::ui::CommandError;

#[derive(Subcommand)]
pub(super) enum Remove {
    /// Remove resources, by path or pattern
    Resource {
        /// Paths or patterns
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Remove components, by path or pattern
    Component {
        /// Paths or patterns
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Remove files of transformers, by path or pattern
    Transformer {
        /// Paths or patterns
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Remove the patches that are exactly this
    Patch(PatchArgs),
    /// Remove common labels, their keys separated by commas
    Label {
        /// The keys
        keys: String,
        /// Let pass what is not there
        #[arg(short, long)]
        ignore_non_existence: bool,
    },
    /// Remove common annotations, their keys separated by commas
    Annotation {
        /// The keys
        keys: String,
        /// Let pass what is not there
        #[arg(short, long)]
        ignore_non_existence: bool,
    },
    /// Remove generated ConfigMaps, their names separated by commas
    Configmap {
        /// The names
        names: String,
        /// Their namespace
        #[arg(long, default_value = "", hide_default_value = true)]
        namespace: String,
    },
    /// Remove generated Secrets, their names separated by commas
    Secret {
        /// The names
        names: String,
        /// Their namespace
        #[arg(long, default_value = "", hide_default_value = true)]
        namespace: String,
    },
    /// Remove options from buildMetadata, separated by commas
    Buildmetadata {
        /// originAnnotations, transformerAnnotations, managedByLabel
        options: String,
    },
}

pub(super) fn edit(verb: Remove) -> Result<Edit, CommandError> {
    Ok(match verb {
        Remove::Resource { paths } => Edit::RemovePaths(PathField::Resources, paths),
        Remove::Component { paths } => Edit::RemovePaths(PathField::Components, paths),
        Remove::Transformer { paths } => Edit::RemovePaths(PathField::Transformers, paths),
        Remove::Patch(args) => Edit::RemovePatch(args.patch()),
        Remove::Label {
            keys,
            ignore_non_existence,
        } => pairs(PairField::Labels, &keys, ignore_non_existence)?,
        Remove::Annotation {
            keys,
            ignore_non_existence,
        } => pairs(PairField::Annotations, &keys, ignore_non_existence)?,
        Remove::Configmap { names, namespace } => data(DataKind::ConfigMap, &names, namespace),
        Remove::Secret { names, namespace } => data(DataKind::Secret, &names, namespace),
        Remove::Buildmetadata { options } => {
            Edit::RemoveBuildMetadata(metadata_options(&options).map_err(wrong)?)
        }
    })
}

fn pairs(field: PairField, keys: &str, lenient: bool) -> Result<Edit, CommandError> {
    let keys: Vec<String> = keys.split(',').map(str::to_owned).collect();
    if keys.iter().any(String::is_empty) {
        return Err(CommandError::new("a key between the commas is empty"));
    }
    Ok(Edit::RemovePairs {
        field,
        keys,
        lenient,
    })
}

fn data(kind: DataKind, names: &str, namespace: String) -> Edit {
    Edit::RemoveData {
        kind,
        names: names.split(',').map(str::to_owned).collect(),
        namespace,
    }
}
