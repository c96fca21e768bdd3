//! `reeve edit add …`

use clap::{Args, Subcommand};
use reeve_kustomize::Selector;
use reeve_kustomize::edit::{
    DataEdit, DataKind, Edit, PairField, PatchEdit, PathField, metadata_options, pairs,
};

use super::{DataName, files, wrong};
use crate::cli::ui::{CommandError, Ui};

#[derive(Subcommand)]
pub(super) enum Add {
    /// Add resources: files, directories, patterns or addresses
    Resource {
        /// What to add
        #[arg(required = true)]
        paths: Vec<String>,
        /// Do not look whether they are there
        #[arg(long)]
        no_verify: bool,
    },
    /// Add components: directories, patterns or addresses
    Component {
        /// What to add
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Add bases, separated by commas, to the resources
    Base {
        /// Directories
        paths: String,
    },
    /// Add files of transformers
    Transformer {
        /// Files or patterns
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Add files of generators
    Generator {
        /// Files or patterns
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Add files of transformer configurations
    Configuration {
        /// Files or patterns
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Add a patch
    Patch(PatchArgs),
    /// Add common labels: KEY:VALUE
    Label(LabelArgs),
    /// Add common annotations: KEY:VALUE
    Annotation {
        /// The annotations
        #[arg(required = true)]
        annotations: Vec<String>,
        /// Replace what is there
        #[arg(short, long)]
        force: bool,
    },
    /// Add a generated ConfigMap, or values to one
    Configmap {
        #[command(flatten)]
        data: AddData,
        /// What it does to one of the same name
        #[arg(long, value_parser = ["create", "merge", "replace"])]
        behavior: Option<String>,
    },
    /// Add a generated Secret, or values to one
    Secret {
        #[command(flatten)]
        data: AddData,
        /// Its type
        #[arg(long = "type", default_value = "Opaque")]
        kind: String,
    },
    /// Add options to buildMetadata, separated by commas
    Buildmetadata {
        /// originAnnotations, transformerAnnotations, managedByLabel
        options: String,
    },
}

#[derive(Args)]
pub(super) struct LabelArgs {
    /// The labels
    #[arg(required = true)]
    labels: Vec<String>,
    /// Replace what is there
    #[arg(short, long)]
    force: bool,
    /// Add to `labels`, which leaves selectors alone
    #[arg(long)]
    without_selector: bool,
    /// Label templates too
    #[arg(long, requires = "without_selector")]
    include_templates: bool,
}

/// A patch, and for which objects it is.
#[derive(Args)]
pub(super) struct PatchArgs {
    /// Its file
    #[arg(long, conflicts_with = "patch")]
    path: Option<String>,
    /// Its text
    #[arg(long, allow_hyphen_values = true)]
    patch: Option<String>,
    /// API group of the target
    #[arg(long)]
    group: Option<String>,
    /// API version of the target
    #[arg(long)]
    version: Option<String>,
    /// Kind of the target
    #[arg(long)]
    kind: Option<String>,
    /// Name of the target
    #[arg(long)]
    name: Option<String>,
    /// Namespace of the target
    #[arg(long)]
    namespace: Option<String>,
    /// Annotations of the target
    #[arg(long)]
    annotation_selector: Option<String>,
    /// Labels of the target
    #[arg(long)]
    label_selector: Option<String>,
}

#[derive(Args)]
pub(super) struct AddData {
    #[command(flatten)]
    data: DataName,
    /// Files, or keys and their files
    #[arg(long, value_name = "[KEY=]PATH", value_delimiter = ',')]
    from_file: Vec<String>,
    /// A file of lines that are keys and values
    #[arg(long, value_name = "PATH", conflicts_with_all = ["from_file", "from_literal"])]
    from_env_file: Option<String>,
    /// Give its name no hash
    #[arg(long = "disableNameSuffixHash")]
    disable_name_suffix_hash: bool,
}

impl LabelArgs {
    fn edit(self) -> Result<Edit, CommandError> {
        let pairs = pairs(&self.labels).map_err(wrong)?;
        let (force, templates) = (self.force, self.include_templates);
        Ok(match self.without_selector {
            true => Edit::AddLabels {
                pairs,
                force,
                templates,
            },
            false => Edit::AddPairs {
                field: PairField::Labels,
                pairs,
                force,
            },
        })
    }
}

impl PatchArgs {
    pub(super) fn patch(self) -> PatchEdit {
        PatchEdit {
            path: self.path.unwrap_or_default(),
            patch: self.patch.unwrap_or_default(),
            target: Selector {
                group: self.group.unwrap_or_default(),
                version: self.version.unwrap_or_default(),
                kind: self.kind.unwrap_or_default(),
                name: self.name.unwrap_or_default(),
                namespace: self.namespace.unwrap_or_default(),
                label_selector: self.label_selector.unwrap_or_default(),
                annotation_selector: self.annotation_selector.unwrap_or_default(),
            },
        }
    }
}

/// The edit, or nothing where no file matches.
pub(super) fn edit(verb: Add, ui: &mut Ui) -> Result<Option<Edit>, CommandError> {
    Ok(match verb {
        Add::Resource { paths, no_verify } => {
            let paths = match no_verify {
                true => paths,
                false => files::expand_or_remote(paths)?,
            };
            listed(PathField::Resources, others(paths)?)
        }
        Add::Component { paths } => listed(
            PathField::Components,
            others(files::expand_or_remote(paths)?)?,
        ),
        Add::Base { paths } => Some(bases(&paths)?),
        Add::Transformer { paths } => listed(PathField::Transformers, files::expand(&paths, ui)?),
        Add::Generator { paths } => listed(PathField::Generators, files::expand(&paths, ui)?),
        Add::Configuration { paths } => {
            listed(PathField::Configurations, files::expand(&paths, ui)?)
        }
        Add::Patch(args) => {
            let patch = args.patch();
            if patch.path.is_empty() && patch.patch.is_empty() {
                return Err(CommandError::new("give the patch with --path or --patch"));
            }
            Some(Edit::AddPatch(patch))
        }
        Add::Label(args) => Some(args.edit()?),
        Add::Annotation { annotations, force } => Some(Edit::AddPairs {
            field: PairField::Annotations,
            pairs: pairs(&annotations).map_err(wrong)?,
            force,
        }),
        Add::Configmap { data, behavior } => {
            let mut edit = add_data(data, DataKind::ConfigMap, ui)?;
            edit.behavior = behavior.unwrap_or_default();
            Some(Edit::AddData(edit))
        }
        Add::Secret { data, kind } => {
            let mut edit = add_data(data, DataKind::Secret, ui)?;
            edit.secret_type = kind;
            Some(Edit::AddData(edit))
        }
        Add::Buildmetadata { options } => Some(Edit::AddBuildMetadata(
            metadata_options(&options).map_err(wrong)?,
        )),
    })
}

fn listed(field: PathField, paths: Vec<String>) -> Option<Edit> {
    (!paths.is_empty()).then_some(Edit::AddPaths(field, paths))
}

/// All but the kustomization file itself, which a pattern may match.
fn others(paths: Vec<String>) -> Result<Vec<String>, CommandError> {
    let own = files::kustomization()?;
    Ok(paths.into_iter().filter(|path| *path != own).collect())
}

fn bases(paths: &str) -> Result<Edit, CommandError> {
    let paths: Vec<String> = paths.split(',').map(str::to_owned).collect();
    let missing = paths
        .iter()
        .find(|path| !std::path::Path::new(path).exists());
    match missing {
        Some(path) => Err(CommandError::new(format!("{path} does not exist"))),
        None => Ok(Edit::AddBases(paths)),
    }
}

fn add_data(args: AddData, kind: DataKind, ui: &mut Ui) -> Result<DataEdit, CommandError> {
    let mut edit = args.data.edit(kind);
    for source in args.from_file {
        match source.split_once('=') {
            None => edit.sources.files.extend(files::expand(&[source], ui)?),
            Some((key, pattern)) => {
                let found = files::expand(&[pattern.to_owned()], ui)?;
                let [path] = found.as_slice() else {
                    let why = format!("{pattern} is {} files, not one", found.len());
                    return Err(CommandError::new(why));
                };
                edit.sources.files.push(format!("{key}={path}"));
            }
        }
    }
    if let Some(path) = args.from_env_file {
        if !std::path::Path::new(&path).is_file() {
            return Err(CommandError::new(format!("{path} is no file")));
        }
        edit.sources.envs.push(path);
    }
    let sources = &edit.sources;
    if sources.files.is_empty() && sources.literals.is_empty() && sources.envs.is_empty() {
        return Err(CommandError::new(
            "there is nothing to add: give --from-literal, --from-file or --from-env-file",
        ));
    }
    edit.disable_name_suffix_hash = args.disable_name_suffix_hash;
    Ok(edit)
}
