//! What an object listed in `generators`, `transformers` or `validators` asks for.
//!
//! Only kustomize's own kinds, of `apiVersion: builtin`, are known. As in kustomize, a field of such an object that nobody
//! knows is not looked at. Who lists which objects and what comes of them is `builtin.rs`.

use super::decode::{Cursor, Fields};
use super::patch::{self, Patch, Replica};
use super::{Entry, Generator, Image, Pairs, ReplacementEntry, decode_field_spec};
use crate::error::{Error, Place};
use crate::fieldspec::FieldSpec;
use crate::options::Selector;
use crate::transform::name::End;
use crate::transform::namespace::{Move, Subjects};
use crate::yaml::Node;

/// One builtin and what it is to do.
#[derive(Clone, Debug)]
pub(crate) enum Builtin {
    Generate(Made),
    Transform(Change),
}

/// A builtin that makes objects.
#[derive(Clone, Debug)]
pub(crate) enum Made {
    ConfigMap(Generator),
    Secret(Generator),
    ServiceAccount(CloudAccount),
}

/// A builtin that changes objects.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Labels and annotations.
    Pairs(Pairs, Vec<FieldSpec>),
    Hash,
    Image(Image, Vec<FieldSpec>),
    Name(Vec<(Entry, End)>, Vec<FieldSpec>),
    Namespace(Move, Vec<FieldSpec>),
    Patch(Patch),
    /// JSON operations.
    Operations(Patch),
    /// Strategic merges: texts and paths.
    Merges(Vec<Entry>),
    Replacements(Vec<ReplacementEntry>),
    Replicas(Replica, Vec<FieldSpec>),
    Value(ValueAdd),
}

/// A service account that stands for an account of a cloud.
#[derive(Clone, Debug)]
pub(crate) struct CloudAccount {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) account: String,
    pub(crate) project: String,
    pub(crate) place: Place,
}

/// A text that is written into fields.
#[derive(Clone, Debug)]
pub(crate) struct ValueAdd {
    /// The directory's name if empty.
    pub(crate) value: String,
    pub(crate) targets: Vec<ValueTarget>,
    pub(crate) targets_file: Entry,
    pub(crate) place: Place,
}

/// A field that the text is written into.
#[derive(Clone, Debug)]
pub(crate) struct ValueTarget {
    pub(crate) selector: Option<Selector>,
    pub(crate) path: String,
    /// The part of the path in the field before which the text comes, from 1; 0 if it is all of the field.
    pub(crate) position: usize,
    pub(crate) place: Place,
}

impl Builtin {
    /// Reads a builtin of this kind; nothing if there is none.
    pub(crate) fn decode(kind: &str, node: &Node, place: &Place) -> Result<Option<Self>, Error> {
        let cursor = Cursor::loose(node, place);
        let mut fields = cursor.fields()?;
        let change = match kind {
            "ConfigMapGenerator" | "SecretGenerator" => {
                return generator(kind, &cursor).map(Some);
            }
            "IAMPolicyGenerator" => {
                return cloud_account(&mut fields, place).map(Some);
            }
            "AnnotationsTransformer" => {
                Change::Pairs(fields.pairs("annotations")?, specs(&mut fields)?)
            }
            "LabelTransformer" => Change::Pairs(fields.pairs("labels")?, specs(&mut fields)?),
            "HashTransformer" => Change::Hash,
            "ImageTagTransformer" => {
                let image = fields.take("imageTag").map(Image::decode).transpose()?;
                Change::Image(image.unwrap_or_default(), specs(&mut fields)?)
            }
            "NamespaceTransformer" => namespace(&mut fields)?,
            "PatchJson6902Transformer" => operations(&mut fields, place)?,
            "PatchStrategicMergeTransformer" => merges(&mut fields, place)?,
            "PatchTransformer" => Change::Patch(Patch::decode(cursor)?),
            "PrefixTransformer" => names(&mut fields, place, &[("prefix", End::Front)])?,
            "SuffixTransformer" => names(&mut fields, place, &[("suffix", End::Back)])?,
            "PrefixSuffixTransformer" => {
                let both = [("prefix", End::Front), ("suffix", End::Back)];
                names(&mut fields, place, &both)?
            }
            "ReplacementTransformer" => {
                Change::Replacements(fields.list("replacements", ReplacementEntry::decode)?)
            }
            "ReplicaCountTransformer" => {
                let replica = fields.take("replica").map(Replica::decode).transpose()?;
                Change::Replicas(replica.unwrap_or_default(), specs(&mut fields)?)
            }
            "ValueAddTransformer" => value_add(&mut fields, place)?,
            _ => return Ok(None),
        };
        Ok(Some(Self::Transform(change)))
    }
}

impl ValueTarget {
    /// The targets in a file of their own.
    pub(crate) fn all(node: &Node, place: &Place) -> Result<Vec<Self>, Error> {
        if node.is_null() {
            return Ok(Vec::new());
        }
        let mut fields = Cursor::loose(node, place).fields()?;
        fields.list("targets", Self::decode)
    }

    fn decode(cursor: Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let selector = fields.take("selector");
        let selector = selector.map(|s| patch::selector(&s)).transpose()?;
        let position = fields.integer("filePathPosition")?;
        let target = Self {
            selector,
            path: fields.text("fieldPath")?,
            position: usize::try_from(position).map_err(|_| {
                Error::invalid_at(&cursor.place(), "filePathPosition cannot be negative")
            })?,
            place: cursor.place(),
        };
        if target.path.is_empty() {
            return Err(Error::invalid_at(&target.place, "fieldPath is missing"));
        }
        Ok(target)
    }
}

fn specs(fields: &mut Fields<'_>) -> Result<Vec<FieldSpec>, Error> {
    fields.list("fieldSpecs", decode_field_spec)
}

/// A generator, which may say its name and namespace in `metadata` only.
fn generator(kind: &str, cursor: &Cursor<'_>) -> Result<Builtin, Error> {
    let secret = kind == "SecretGenerator";
    let mut generator = Generator::decode_any(cursor, secret)?;
    if let Some(metadata) = cursor.fields()?.take("metadata") {
        let mut metadata = metadata.fields()?;
        let (name, namespace) = (metadata.text("name")?, metadata.text("namespace")?);
        if generator.name.is_empty() {
            generator.name = name;
        }
        if generator.namespace.is_empty() {
            generator.namespace = namespace;
        }
    }
    Ok(Builtin::Generate(if secret {
        Made::Secret(generator)
    } else {
        Made::ConfigMap(generator)
    }))
}

fn cloud_account(fields: &mut Fields<'_>, place: &Place) -> Result<Builtin, Error> {
    if fields.text("cloud")? != "gke" {
        return Err(Error::invalid_at(place, "cloud must be gke"));
    }
    let mut account = CloudAccount {
        name: String::new(),
        namespace: String::new(),
        account: String::new(),
        project: String::new(),
        place: place.clone(),
    };
    if let Some(own) = fields.take("kubernetesService") {
        let mut own = own.fields()?;
        account.name = own.text("name")?;
        account.namespace = own.text("namespace")?;
    }
    if let Some(cloud) = fields.take("serviceAccount") {
        let mut cloud = cloud.fields()?;
        account.account = cloud.text("name")?;
        account.project = cloud.text("projectId")?;
    }
    Ok(Builtin::Generate(Made::ServiceAccount(account)))
}

fn namespace(fields: &mut Fields<'_>) -> Result<Change, Error> {
    let subjects = fields.entry("setRoleBindingSubjects")?;
    let mut to = Move {
        unset_only: fields.flag("unsetOnly")?,
        subjects: match subjects.text.as_str() {
            "" | "defaultOnly" => Subjects::Default,
            "allServiceAccounts" => Subjects::ServiceAccounts,
            "none" => Subjects::None,
            _ => {
                let why = "must be defaultOnly, allServiceAccounts or none";
                return Err(Error::invalid_at(&subjects.place, why));
            }
        },
        ..Move::default()
    };
    if let Some(metadata) = fields.take("metadata") {
        to.namespace = metadata.fields()?.entry("namespace")?;
    }
    Ok(Change::Namespace(to, specs(fields)?))
}

fn operations(fields: &mut Fields<'_>, place: &Place) -> Result<Change, Error> {
    let target = fields.take("target");
    let patch = Patch {
        inline: fields.text("jsonOp")?,
        path: fields.text("path")?,
        target: target.map(|t| patch::selector(&t)).transpose()?,
        is_operations: true,
        place: place.clone(),
        ..Patch::default()
    };
    let why = match (
        &patch.target,
        patch.inline.is_empty(),
        patch.path.is_empty(),
    ) {
        (Some(target), ..) if target.name.is_empty() => "target.name is needed",
        (None, ..) => "target.name is needed",
        (_, true, true) => "one of jsonOp and path is needed",
        (_, false, false) => "jsonOp and path cannot both be set",
        _ => return Ok(Change::Operations(patch)),
    };
    Err(Error::invalid_at(place, why))
}

fn merges(fields: &mut Fields<'_>, place: &Place) -> Result<Change, Error> {
    let mut all = fields.texts("paths")?;
    let text = fields.entry("patches")?;
    if !text.text.is_empty() {
        all.push(text);
    }
    if all.is_empty() {
        return Err(Error::invalid_at(place, "paths or patches is needed"));
    }
    Ok(Change::Merges(all))
}

fn names(
    fields: &mut Fields<'_>,
    place: &Place,
    ends: &[(&'static str, End)],
) -> Result<Change, Error> {
    let mut entries = Vec::new();
    for (name, end) in ends {
        entries.push((fields.entry(name)?, *end));
    }
    let Some(specs) = fields.take("fieldSpecs") else {
        return Err(Error::invalid_at(place, "fieldSpecs is missing"));
    };
    Ok(Change::Name(entries, specs.list(decode_field_spec)?))
}

fn value_add(fields: &mut Fields<'_>, place: &Place) -> Result<Change, Error> {
    Ok(Change::Value(ValueAdd {
        value: fields.text("value")?.trim().to_owned(),
        targets: fields.list("targets", ValueTarget::decode)?,
        targets_file: fields.entry("targetFilePath")?,
        place: place.clone(),
    }))
}
