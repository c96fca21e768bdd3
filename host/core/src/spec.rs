//! A Kustomization, parsed into what we will do.
//!
//! Every text of it becomes a type whose value is known to be usable, every limit and default is settled, and a field
//! that would change what happens but is not acted on is an error that names it, never ignored. It deliberately
//! doesn't judge whether the tenant may do this: that is `admit`, the next stage.

mod depend;
mod health;
mod kube_config;
mod overlay;
mod variables;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use reeve_api::kustomization::{
    CommonMetadata, DeletionPolicy, Kustomization, KustomizationSpec, SourceKind,
};
use reeve_api::name::{NamespaceName, NamespacedName, ObjectName, ServiceAccountName};
use reeve_api::reason::Reason;
use reeve_api::tenant::SourceOfTruth;
use reeve_kustomize::Overlay;

use crate::adoption;
use crate::caution::Caution;
use crate::cel;
use crate::deliver;
use crate::drift;
use crate::failure::{Explain, Turn};
use crate::ignore::Ignored;
use crate::ownership;
use crate::truth;
pub use depend::{Dependency, reference};
pub use health::{Health, Named};
pub use kube_config::KubeConfig;
pub use variables::{Substitution, VariablesFrom};

/// The shortest interval: whoever wants to be faster wants a Receiver.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// The longest interval: ten years of 365 days.
pub const LONGEST_INTERVAL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// The shortest timeout, and what Flux leaves of an interval for what follows it.
const TIMEOUT_FLOOR: Duration = Duration::from_secs(30);
/// The longest `spec.path`, in bytes: as long as Linux lets a path be.
const LONGEST_PATH: usize = 4096;

/// What to do for one Kustomization.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Which Kustomization.
    pub id: NamespacedName,
    /// Where its manifests come from.
    pub source: SourceRef,
    /// The directory in the source, clean: `""` is the root, no `.` or `..` is left in it.
    pub path: String,
    /// How often to look again when nothing happens.
    pub interval: Duration,
    /// How soon to look again after a failure.
    pub retry_interval: Duration,
    /// How long one run may take.
    pub timeout: Duration,
    /// Whether to delete what is no longer in git.
    pub prune: bool,
    /// How much of that may be deleted unasked.
    pub caution: Caution,
    /// Whether it may hold what another holds, even where that is refused otherwise.
    pub shares: bool,
    /// Whether what is there already is only reported.
    pub reports_adoption: bool,
    /// Whether what others change of it is only reported.
    pub reports_drift: bool,
    /// What it says of being delivered, and not applied.
    pub deliver: deliver::Wish,
    /// Which side is right where git and the cluster differ, if it says so itself.
    pub truth: Option<SourceOfTruth>,
    /// What becomes of the objects when the Kustomization is deleted.
    pub deletion_policy: DeletionPolicy,
    /// The ServiceAccount it names.
    pub service_account: Option<ServiceAccountName>,
    /// What says which other cluster it is carried out on; None: its own.
    pub kube_config: Option<KubeConfig>,
    /// The namespace that everything is moved to.
    pub target_namespace: Option<NamespaceName>,
    /// What is laid over the kustomization.yaml.
    pub overlay: Overlay,
    /// What is put into the manifests for their variables.
    pub substitution: Substitution,
    /// Labels and annotations for every object.
    pub common_metadata: CommonMetadata,
    /// Fields that are left to others.
    pub ignored: Ignored,
    /// Whether an object that cannot be changed is deleted and made anew.
    pub force: bool,
    /// What has to be ready before it is applied.
    pub depends_on: Vec<Dependency>,
    /// What has to be healthy before it is ready.
    pub health: Health,
    /// Whether to leave everything as it is.
    pub suspend: bool,
    /// Which generation of the object this is.
    pub generation: i64,
}

/// The source of a Kustomization.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceRef {
    /// Its kind. All but a `GitRepository` are kept by other controllers.
    pub kind: SourceKind,
    /// Its namespace: its own, or else the Kustomization's.
    pub namespace: NamespaceName,
    /// Its name.
    pub name: ObjectName,
}

impl SourceRef {
    /// The source of this kind that is called so.
    pub fn of(kind: SourceKind, id: &NamespacedName) -> Self {
        Self {
            kind,
            namespace: id.namespace.clone(),
            name: id.name.clone(),
        }
    }

    /// The source without its kind.
    pub fn key(&self) -> NamespacedName {
        NamespacedName {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// A spec that we do not act on as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The field (or this value of it) would change what happens, and nothing acts on it yet.
    #[error("{field}{} is not supported yet", .value.as_ref().map(|v| format!(": {v}")).unwrap_or_default())]
    Unsupported {
        /// Which field.
        field: &'static str,
        /// Which value of it, when others are supported.
        value: Option<String>,
    },
    /// An expression cannot be used.
    #[error("{field}: {why}")]
    Expression {
        /// Which.
        field: String,
        /// What is wrong with it, and where.
        why: cel::Error,
    },
    /// The field cannot be used.
    #[error("{field}: {why}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    pub(crate) fn unsupported(field: &'static str) -> Self {
        Self::Unsupported { field, value: None }
    }

    pub(crate) fn invalid(field: &'static str, why: impl fmt::Display) -> Self {
        Self::Invalid {
            field,
            why: why.to_string(),
        }
    }
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::Unsupported { .. } => Reason::Unsupported,
            Self::Expression { .. } => Reason::InvalidCelExpression,
            Self::Invalid {
                field: "spec.url", ..
            } => Reason::UrlInvalid,
            Self::Invalid { .. } => Reason::InvalidSpec,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Unsupported { .. } | Self::Expression { .. } | Self::Invalid { .. } => {
                Turn::Owner
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unsupported { field, value: None } => Some(format!("remove {field}")),
            Self::Unsupported {
                field,
                value: Some(_),
            } => Some(format!("change {field}")),
            Self::Expression { .. } | Self::Invalid { .. } => None,
        }
    }
}

impl Spec {
    /// Reads the object, or says which field stands in the way.
    pub fn parse(object: &Kustomization) -> Result<Self, Error> {
        let meta = &object.metadata;
        let id = identity(meta.namespace.as_deref(), meta.name.as_deref())?;
        let spec = &object.spec;
        refuse_unsupported(spec)?;
        let interval = interval("spec.interval", spec.interval.get())?;
        let retry_interval = match &spec.retry_interval {
            Some(set) => self::interval("spec.retryInterval", set.get())?,
            None => interval,
        };
        Ok(Self {
            source: source(spec, &id)?,
            path: clean_path(spec.path.as_deref().unwrap_or_default())?,
            interval,
            retry_interval,
            timeout: timeout(spec),
            prune: spec.prune,
            caution: meta
                .annotations
                .as_ref()
                .map(Caution::of)
                .unwrap_or_default(),
            shares: says(meta.annotations.as_ref(), ownership::SHARE, "allow"),
            reports_adoption: says(meta.annotations.as_ref(), adoption::ADOPT, "report"),
            reports_drift: says(meta.annotations.as_ref(), drift::DRIFT, "report"),
            deliver: deliver::Wish::parse(meta.annotations.as_ref())?,
            truth: truth::parse(meta.annotations.as_ref(), spec.kube_config.is_some())?,
            deletion_policy: spec.deletion_policy.unwrap_or_default(),
            service_account: service_account(spec)?,
            kube_config: kube_config::of(spec)?,
            target_namespace: target_namespace(spec)?,
            overlay: overlay::of(spec)?,
            substitution: variables::of(spec)?,
            common_metadata: spec.common_metadata.clone().unwrap_or_default(),
            ignored: Ignored::parse(&spec.ignore)
                .map_err(|why| Error::invalid("spec.ignore", why))?,
            force: spec.force,
            depends_on: depend::of(spec, &id)?,
            health: health::of(spec)?,
            suspend: spec.suspend,
            generation: meta.generation.unwrap_or_default(),
            id,
        })
    }

    /// Whether the objects are deleted with the Kustomization.
    pub fn prunes_on_deletion(&self) -> bool {
        // As Flux: whoever suspends a Kustomization and then deletes it wants to keep what it made.
        !self.suspend
            && match self.deletion_policy {
                DeletionPolicy::MirrorPrune => self.prune,
                DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
                DeletionPolicy::Orphan => false,
            }
    }
}

/// The object without what no longer matters once it is being deleted: a field that is not acted on must not keep what
/// was applied before it was set.
pub fn to_withdraw(object: &Kustomization) -> Kustomization {
    let spec = &object.spec;
    let kept = KustomizationSpec {
        build_metadata: Vec::new(),
        components: Vec::new(),
        decryption: None,
        depends_on: Vec::new(),
        health_check_exprs: Vec::new(),
        health_checks: Vec::new(),
        ignore: Vec::new(),
        patches_json_6902: Vec::new(),
        patches_strategic_merge: Vec::new(),
        post_build: None,
        wait: false,
        ..spec.clone()
    };
    let mut metadata = object.metadata.clone();
    if let Some(annotations) = &mut metadata.annotations {
        let counts =
            |name: &str| !name.starts_with(deliver::DELIVER) && name != truth::SOURCE_OF_TRUTH;
        annotations.retain(|name, _| counts(name));
    }
    Kustomization {
        metadata,
        spec: kept,
        status: None,
    }
}

fn says(annotations: Option<&BTreeMap<String, String>>, key: &str, value: &str) -> bool {
    annotations.and_then(|all| all.get(key)).map(String::as_str) == Some(value)
}

/// The namespace and name of an object as the API server sends it.
pub(crate) fn identity(
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<NamespacedName, Error> {
    let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
    Ok(NamespacedName {
        namespace: namespace
            .parse()
            .map_err(|why| Error::invalid("metadata.namespace", why))?,
        name: name
            .parse()
            .map_err(|why| Error::invalid("metadata.name", why))?,
    })
}

/// An interval within its bounds.
pub(crate) fn interval(field: &'static str, set: Duration) -> Result<Duration, Error> {
    if set < SHORTEST_INTERVAL {
        return Err(Error::invalid(
            field,
            format_args!("{set:?} is too short; the shortest is 1s"),
        ));
    }
    if set > LONGEST_INTERVAL {
        return Err(Error::invalid(
            field,
            "it is too long; the longest is 87600h",
        ));
    }
    Ok(set)
}

/// Every field that is accepted by the schema, set, and not acted on.
fn refuse_unsupported(spec: &KustomizationSpec) -> Result<(), Error> {
    match spec.decryption {
        Some(_) => Err(Error::unsupported("spec.decryption")),
        None => Ok(()),
    }
}

fn source(spec: &KustomizationSpec, id: &NamespacedName) -> Result<SourceRef, Error> {
    let reference = &spec.source_ref;
    if let Some(version) = &reference.api_version
        && !version.is_empty()
        && version.split('/').next() != Some(reeve_api::SOURCE_GROUP)
    {
        let (kind, group) = (reference.kind.as_str(), reeve_api::SOURCE_GROUP);
        let why = format!("kind {kind} is of group {group}");
        return Err(Error::invalid("spec.sourceRef.apiVersion", why));
    }
    let namespace = match reference.namespace.as_deref() {
        None | Some("") => id.namespace.clone(),
        Some(set) => set
            .parse()
            .map_err(|why| Error::invalid("spec.sourceRef.namespace", why))?,
    };
    let name = reference
        .name
        .parse()
        .map_err(|why| Error::invalid("spec.sourceRef.name", why))?;
    Ok(SourceRef {
        kind: reference.kind,
        namespace,
        name,
    })
}

/// An empty name counts as none: whether one is needed is a matter of policy.
fn service_account(spec: &KustomizationSpec) -> Result<Option<ServiceAccountName>, Error> {
    let set = spec
        .service_account_name
        .as_deref()
        .filter(|name| !name.is_empty());
    set.map(|name| {
        name.parse()
            .map_err(|why| Error::invalid("spec.serviceAccountName", why))
    })
    .transpose()
}

fn target_namespace(spec: &KustomizationSpec) -> Result<Option<NamespaceName>, Error> {
    let set = spec
        .target_namespace
        .as_deref()
        .filter(|name| !name.is_empty());
    set.map(|name| {
        name.parse()
            .map_err(|why| Error::invalid("spec.targetNamespace", why))
    })
    .transpose()
}

/// How long a run may take. As Flux: what is set, or the interval less 30 s for what follows it, and never under 30 s.
pub fn timeout(spec: &KustomizationSpec) -> Duration {
    let interval = spec.interval.get();
    let set = spec.timeout.as_ref().map(|set| set.get());
    set.unwrap_or_else(|| interval.saturating_sub(TIMEOUT_FLOOR))
        .clamp(TIMEOUT_FLOOR, LONGEST_INTERVAL)
}

/// The directory without `.`, `..`, doubled, leading and trailing slashes: as Flux has it, the root is the source's. One
/// that leads out of the source is refused.
pub(crate) fn clean_path(path: &str) -> Result<String, Error> {
    let refused = |why: &str| Err(Error::invalid("spec.path", why));
    if path.len() > LONGEST_PATH {
        return refused("it is longer than 4096 bytes");
    }
    if path.contains('\0') {
        return refused("it holds a NUL character");
    }
    if path.contains('\\') {
        return refused("it holds a backslash; directories are separated by /");
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return refused("it leads out of the source"),
            ".." => {}
            name => parts.push(name),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests;
