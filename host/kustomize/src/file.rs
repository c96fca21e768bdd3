//! The schema of a kustomization file.
//!
//! Every field is either read here, refused as not supported yet, or refused as unknown: nothing that is written in a
//! file is silently left out. Fields match regardless of case, as in kustomize. How values are taken from YAML is in
//! `file/decode.rs`; the next stage is `accumulate.rs`.

pub(crate) mod builtin;
mod config;
mod decode;
mod patch;
mod replacement;
mod var;

use crate::budget::Budget;
use crate::error::{Error, Place, Why};
use crate::fieldspec::{FieldSpec, Gvk};
use crate::options::OverlayImage;
use crate::order::Sort;
use crate::yaml::{Mapping, Marks, Node, Reader, Typing};
use decode::{Cursor, Fields};
pub(crate) use patch::{Patch, Replica};
pub(crate) use replacement::{FieldOptions, Replacement, ReplacementEntry, Source, Target};
pub(crate) use var::Var;

/// The names a kustomization file may have.
pub const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Fields that name charts, which nobody inflates here.
const CHARTS: [&str; 2] = ["helmCharts", "helmChartInflationGenerator"];

/// What to do instead of inflating charts.
pub(crate) const NO_CHARTS: &str = "helm charts are not inflated: commit what helm template prints and list it in \
                                    resources";

/// A text of the file and where it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// A kustomization file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kustomization {
    /// The file, relative to the tree's root.
    pub(crate) file: String,
    /// Whether it holds nothing but its kind.
    pub(crate) empty: bool,
    /// Whether it is a Component, which changes the objects of who lists it.
    pub(crate) component: bool,
    pub(crate) resources: Vec<Entry>,
    pub(crate) components: Vec<Entry>,
    pub(crate) configurations: Vec<Entry>,
    pub(crate) crds: Vec<Entry>,
    /// `openapi.path`.
    pub(crate) schema_path: Option<Entry>,
    /// `openapi.version`.
    pub(crate) schema_version: Option<Entry>,
    pub(crate) generators: Vec<Entry>,
    pub(crate) transformers: Vec<Entry>,
    pub(crate) validators: Vec<Entry>,
    /// How many of `resources` were written in that field and not in `bases`.
    pub(crate) proper_resources: usize,
    pub(crate) namespace: Entry,
    pub(crate) name_prefix: Entry,
    pub(crate) name_suffix: Entry,
    pub(crate) images: Vec<Image>,
    pub(crate) common_labels: Pairs,
    pub(crate) labels: Vec<Labels>,
    pub(crate) common_annotations: Pairs,
    pub(crate) config_maps: Vec<Generator>,
    pub(crate) secrets: Vec<Generator>,
    pub(crate) generator_options: GeneratorOptions,
    /// `patchesStrategicMerge`: texts and paths.
    pub(crate) merges: Vec<Entry>,
    pub(crate) patches: Vec<Patch>,
    /// `patchesJson6902`.
    pub(crate) operations: Vec<Patch>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) replacements: Vec<ReplacementEntry>,
    pub(crate) vars: Vec<Var>,
    pub(crate) metadata: BuildMetadata,
    /// An order that does not exist is an error where it is asked for: in the kustomization that is built.
    pub(crate) sort: Option<Result<Sort, Box<Error>>>,
}

/// `buildMetadata`: what a build tells about itself. Only that of the kustomization that is built counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BuildMetadata {
    /// Whether anything is listed: then every object knows where it came from.
    pub(crate) tracked: bool,
    /// `originAnnotations`.
    pub(crate) origins: bool,
    /// `transformerAnnotations`.
    pub(crate) transformers: bool,
    /// `managedByLabel`.
    pub(crate) managed_by: bool,
}

/// Names and values that are added to every object, and where they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) place: Place,
}

/// One entry of `images`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) set: OverlayImage,
    pub(crate) tag_suffix: String,
    pub(crate) place: Place,
}

/// One entry of `labels`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    pub(crate) pairs: Pairs,
    pub(crate) include_selectors: bool,
    pub(crate) include_templates: bool,
    pub(crate) include_volume_claim_templates: bool,
    pub(crate) fields: Vec<FieldSpec>,
}

/// What a generated object does to one of the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behavior {
    #[default]
    Create,
    Replace,
    Merge,
}

/// One entry of `configMapGenerator` or `secretGenerator`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generator {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) behavior: Behavior,
    pub(crate) files: Vec<Entry>,
    pub(crate) literals: Vec<Entry>,
    pub(crate) envs: Vec<Entry>,
    /// The type of a Secret.
    pub(crate) kind: String,
    pub(crate) options: GeneratorOptions,
    pub(crate) place: Place,
}

/// `generatorOptions`, or the `options` of one generator.
#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratorOptions {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) disable_name_suffix_hash: bool,
    pub(crate) immutable: bool,
}

impl Kustomization {
    /// Reads the file `file`.
    pub(crate) fn parse(bytes: &[u8], file: &str, budget: &Budget) -> Result<Self, Error> {
        let mut marks = Marks::new();
        let reader = Reader {
            file,
            typing: Typing::Config,
            budget,
        };
        let Some(mut document) = reader.first(bytes, Some(&mut marks))? else {
            return Ok(Self {
                file: file.to_owned(),
                empty: true,
                ..Self::default()
            });
        };
        let charge = budget.fields(document.node.values(), file);
        charge.map_err(|why| Error::new(file, why))?;
        decode::unite(&mut document.node);
        let mut read = Self::decode(&Cursor::root(file, &marks, &document.node))?;
        let set = document.node.map().into_iter().flat_map(Mapping::iter);
        let mut set = set.filter(|(_, node)| !node.is_null());
        read.empty = set.all(|(key, _)| is_type_meta(key));
        Ok(read)
    }

    fn decode(root: &Cursor<'_>) -> Result<Self, Error> {
        let mut fields = root.fields()?;
        let mut read = Self {
            file: root.file().to_owned(),
            ..Self::default()
        };
        read.component = check_type_meta(&mut fields)?;
        if let Some(metadata) = fields.take("metadata") {
            let mut metadata = metadata.fields()?;
            for known in ["name", "namespace", "labels", "annotations"] {
                metadata.skip(known);
            }
            metadata.finish()?;
        }
        read.resources = fields.texts("resources")?;
        read.proper_resources = read.resources.len();
        read.resources.extend(fields.texts("bases")?);
        read.namespace = fields.entry("namespace")?;
        read.name_prefix = fields.entry("namePrefix")?;
        read.name_suffix = fields.entry("nameSuffix")?;
        read.components = fields.texts("components")?;
        read.configurations = fields.texts("configurations")?;
        read.crds = fields.texts("crds")?;
        if let Some(openapi) = fields.take("openapi") {
            let mut openapi = openapi.fields()?;
            read.schema_path = openapi.take("path").map(|c| c.entry()).transpose()?;
            read.schema_version = openapi.take("version").map(|c| c.entry()).transpose()?;
        }
        read.generators = fields.texts("generators")?;
        read.transformers = fields.texts("transformers")?;
        read.validators = fields.texts("validators")?;
        read.images = fields.list_of_set("images", Image::decode)?;
        read.images.extend(fields.list("imageTags", Image::decode)?);
        read.common_labels = fields.pairs("commonLabels")?;
        read.labels = fields.list_of_set("labels", Labels::decode)?;
        read.common_annotations = fields.pairs("commonAnnotations")?;
        read.config_maps = fields.list("configMapGenerator", |c| Generator::decode(c, false))?;
        read.secrets = fields.list("secretGenerator", |c| Generator::decode(c, true))?;
        if let Some(options) = fields.take("generatorOptions") {
            read.generator_options = GeneratorOptions::decode(options)?;
        }
        read.merges = fields.texts("patchesStrategicMerge")?;
        read.patches = fields.list("patches", Patch::decode)?;
        read.operations = fields.list("patchesJson6902", Patch::decode_operations)?;
        read.replicas = fields.list("replicas", Replica::decode)?;
        read.replacements = fields.list("replacements", ReplacementEntry::decode)?;
        read.vars = fields.list("vars", Var::decode)?;
        read.metadata = BuildMetadata::of(&fields.texts("buildMetadata")?);
        if let Some(sort) = fields.take("sortOptions") {
            read.sort = Some(decode_sort(&sort)?.map_err(Box::new));
        }
        fields.skip("helmGlobals");
        fields.refuse(&CHARTS, || Why::Invalid(NO_CHARTS.to_owned()))?;
        fields.finish()?;
        Ok(read)
    }
}

fn is_type_meta(key: &str) -> bool {
    key.eq_ignore_ascii_case("apiVersion") || key.eq_ignore_ascii_case("kind")
}

/// Whether it is a Component.
fn check_type_meta(fields: &mut Fields<'_>) -> Result<bool, Error> {
    let kind = fields.entry("kind")?;
    let version = fields.entry("apiVersion")?;
    let (component, wanted) = match kind.text.as_str() {
        "" | "Kustomization" => (false, "kustomize.config.k8s.io/v1beta1"),
        "Component" => (true, "kustomize.config.k8s.io/v1alpha1"),
        _ => {
            let why = "kind should be Kustomization or Component";
            return Err(Error::invalid_at(&kind.place, why));
        }
    };
    if version.text.is_empty() || version.text == wanted {
        return Ok(component);
    }
    let why = format!("apiVersion should be {wanted}");
    Err(Error::invalid_at(&version.place, why))
}

impl BuildMetadata {
    fn of(listed: &[Entry]) -> Self {
        let has = |word: &str| listed.iter().any(|entry| entry.text == word);
        Self {
            tracked: !listed.is_empty(),
            origins: has("originAnnotations"),
            transformers: has("transformerAnnotations"),
            managed_by: has("managedByLabel"),
        }
    }
}

impl Image {
    fn decode(cursor: Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let image = Self {
            set: OverlayImage {
                name: fields.text("name")?,
                new_name: fields.text("newName")?,
                new_tag: fields.text("newTag")?,
                digest: fields.text("digest")?,
            },
            tag_suffix: fields.text("tagSuffix")?,
            place: cursor.place(),
        };
        fields.finish()?;
        Ok(image)
    }
}

impl Labels {
    fn decode(cursor: Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let labels = Self {
            pairs: fields.pairs("pairs")?,
            include_selectors: fields.flag("includeSelectors")?,
            include_templates: fields.flag("includeTemplates")?,
            include_volume_claim_templates: fields.flag("includeVolumeClaimTemplates")?,
            fields: fields.list("fields", decode_field_spec)?,
        };
        fields.finish()?;
        Ok(labels)
    }
}

fn decode_field_spec(cursor: Cursor<'_>) -> Result<FieldSpec, Error> {
    let mut fields = cursor.fields()?;
    let path = fields.text("path")?;
    let group = fields.text("group")?;
    let version = fields.text("version")?;
    let kind = fields.text("kind")?;
    let create = fields.flag("create")?;
    fields.finish()?;
    if path.is_empty() {
        return Err(Error::in_place(
            &cursor.place(),
            Why::Invalid("path is missing".to_owned()),
        ));
    }
    Ok(FieldSpec::new(Gvk::new(group, version, kind), create, path))
}

impl Generator {
    fn decode(cursor: Cursor<'_>, secret: bool) -> Result<Self, Error> {
        let generator = Self::decode_any(&cursor, secret)?;
        if generator.name.is_empty() {
            return Err(Error::invalid_at(&generator.place, "name is missing"));
        }
        Ok(generator)
    }

    /// The same, whatever its name.
    fn decode_any(cursor: &Cursor<'_>, secret: bool) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let mut generator = Self {
            name: fields.text("name")?,
            namespace: fields.text("namespace")?,
            files: fields.texts("files")?,
            literals: fields.texts("literals")?,
            envs: fields.texts("envs")?,
            place: cursor.place(),
            ..Self::default()
        };
        generator.behavior = match fields.text("behavior")?.as_str() {
            "replace" => Behavior::Replace,
            "merge" => Behavior::Merge,
            // Whatever else is written there, as in kustomize: repositories have `add`.
            _ => Behavior::Create,
        };
        let env = fields.entry("env")?;
        if !env.text.is_empty() && !cursor.is_loose() {
            generator.envs.push(env);
        }
        if secret {
            generator.kind = fields.text("type")?;
        }
        if let Some(options) = fields.take("options") {
            generator.options = GeneratorOptions::decode(options)?;
        }
        fields.finish()?;
        Ok(generator)
    }
}

impl GeneratorOptions {
    fn decode(cursor: Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let options = Self {
            labels: fields.pairs("labels")?.pairs,
            annotations: fields.pairs("annotations")?.pairs,
            disable_name_suffix_hash: fields.flag("disableNameSuffixHash")?,
            immutable: fields.flag("immutable")?,
        };
        fields.finish()?;
        Ok(options)
    }

    /// The options of one generator, with those of all generators where it says nothing.
    pub(crate) fn or(&self, all: &Self) -> Self {
        let or = |own: &[(String, String)], all: &[(String, String)]| {
            let mut pairs = own.to_vec();
            pairs.extend(
                all.iter()
                    .filter(|(k, _)| own.iter().all(|(o, _)| o != k))
                    .cloned(),
            );
            pairs
        };
        Self {
            labels: or(&self.labels, &all.labels),
            annotations: or(&self.annotations, &all.annotations),
            disable_name_suffix_hash: self.disable_name_suffix_hash || all.disable_name_suffix_hash,
            immutable: self.immutable || all.immutable,
        }
    }
}

/// An order, or why it is none.
fn decode_sort(cursor: &Cursor<'_>) -> Result<Result<Sort, Error>, Error> {
    let mut fields = cursor.fields()?;
    let order = fields.entry("order")?;
    let legacy = fields.take("legacySortOptions");
    fields.finish()?;
    let invalid = |place: &Place, why: &str| Err(Error::in_place(place, Why::Invalid(why.into())));
    let lists = legacy
        .map(|legacy| {
            let mut lists = legacy.fields()?;
            let texts = |entries: Vec<Entry>| entries.into_iter().map(|e| e.text).collect();
            let first = texts(lists.texts("orderFirst")?);
            let last = texts(lists.texts("orderLast")?);
            lists.finish()?;
            Ok::<_, Error>((legacy.place(), first, last))
        })
        .transpose()?;
    Ok(match (order.text.as_str(), lists) {
        ("legacy", None) => Ok(Sort::legacy()),
        ("legacy", Some((_, first, last))) => Ok(Sort::Legacy { first, last }),
        ("fifo", None) => Ok(Sort::Fifo),
        ("fifo", Some((place, ..))) => invalid(&place, "needs order: legacy"),
        _ => invalid(&cursor.place(), "order must be fifo or legacy"),
    })
}

/// Whether a document is a kustomization file's content rather than an object.
pub(crate) fn is_kustomization(node: &Node) -> bool {
    let version = node.get("apiVersion").map_or("", Node::text);
    version.starts_with("kustomize.config.k8s.io/")
}
