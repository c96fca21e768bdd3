//! `reeve edit set …`

use clap::{Args, Subcommand};
use reeve_kustomize::edit::{
    DataKind, Edit, ImageEdit, PairField, TextField, metadata_options, pairs,
};

use super::{DataName, wrong};
use crate::cli::ui::CommandError;

#[derive(Subcommand)]
pub(super) enum Set {
    /// Set images: NAME=NEW:TAG, NAME=NEW@DIGEST, NAME=NEW, NAME:TAG, NAME@DIGEST
    ///
    /// `*` in the place of the new name, tag or digest keeps what the file has.
    Image {
        /// The images
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Set the namespace
    Namespace {
        /// The namespace
        namespace: String,
    },
    /// Set what goes before every name
    Nameprefix {
        /// The prefix
        #[arg(allow_hyphen_values = true)]
        prefix: String,
    },
    /// Set what goes behind every name
    Namesuffix {
        /// The suffix
        #[arg(allow_hyphen_values = true)]
        suffix: String,
    },
    /// Set how many replicas there are: NAME=COUNT
    Replicas {
        /// The names and counts
        #[arg(required = true)]
        replicas: Vec<String>,
    },
    /// Set common labels: KEY:VALUE
    Label {
        /// The labels
        #[arg(required = true)]
        labels: Vec<String>,
    },
    /// Set common annotations: KEY:VALUE
    Annotation {
        /// The annotations
        #[arg(required = true)]
        annotations: Vec<String>,
    },
    /// Set values or the namespace of a generated ConfigMap
    Configmap(SetData),
    /// Set values or the namespace of a generated Secret
    Secret(SetData),
    /// Set the options of buildMetadata, separated by commas
    Buildmetadata {
        /// originAnnotations, transformerAnnotations, managedByLabel
        options: String,
    },
}

#[derive(Args)]
pub(super) struct SetData {
    #[command(flatten)]
    data: DataName,
    /// The namespace it gets
    #[arg(long, default_value = "", hide_default_value = true)]
    new_namespace: String,
}

pub(super) fn edit(verb: Set) -> Result<Edit, CommandError> {
    Ok(match verb {
        Set::Image { images } => {
            let images = images.iter().map(|image| ImageEdit::parse(image));
            Edit::SetImages(images.collect::<Result<_, _>>().map_err(wrong)?)
        }
        Set::Namespace { namespace } => Edit::SetText(TextField::Namespace, namespace),
        Set::Nameprefix { prefix } => Edit::SetText(TextField::NamePrefix, prefix),
        Set::Namesuffix { suffix } => Edit::SetText(TextField::NameSuffix, suffix),
        Set::Replicas { replicas } => {
            let replicas = replicas.iter().map(|one| replica(one));
            Edit::SetReplicas(replicas.collect::<Result<_, _>>()?)
        }
        Set::Label { labels } => Edit::SetPairs(PairField::Labels, pairs(&labels).map_err(wrong)?),
        Set::Annotation { annotations } => {
            Edit::SetPairs(PairField::Annotations, pairs(&annotations).map_err(wrong)?)
        }
        Set::Configmap(args) => data(args, DataKind::ConfigMap)?,
        Set::Secret(args) => data(args, DataKind::Secret)?,
        Set::Buildmetadata { options } => {
            Edit::SetBuildMetadata(metadata_options(&options).map_err(wrong)?)
        }
    })
}

fn replica(argument: &str) -> Result<(String, i64), CommandError> {
    let parsed = argument
        .split_once('=')
        .and_then(|(name, count)| Some((name.to_owned(), count.parse().ok()?)));
    parsed.ok_or_else(|| CommandError::new(format!("{argument} is not NAME=COUNT")))
}

fn data(args: SetData, kind: DataKind) -> Result<Edit, CommandError> {
    if args.data.from_literal.is_empty() && args.new_namespace.is_empty() {
        return Err(CommandError::new(
            "there is nothing to set: give --from-literal or --new-namespace",
        ));
    }
    let mut edit = args.data.edit(kind);
    edit.new_namespace = args.new_namespace;
    Ok(Edit::SetData(edit))
}
