//! A GitRepository, parsed into what is wanted of which remote.
//!
//! It deliberately doesn't reach for the remote or a Secret: it says where, which reference, how often and with whose
//! credentials by name. The next stage is the shell's `git`, which resolves the reference and fetches it.

mod app;
mod paths;
mod range;

use std::time::Duration;

use reeve_api::name::{NamespacedName, ObjectName, RemoteUrl, Scheme};
use reeve_api::source::{
    GitProvider, GitRepository, GitRepositoryRef, GitRepositorySpec, GitRepositoryVerification,
};
use reeve_api::{GIT_CONFIG, POLLING, PROVIDER};

use crate::signature::Mode;
pub use crate::spec::Error;
use crate::spec::{identity, interval};
use crate::upkeep::key::Wish;
pub use app::{App, is_of_one};
pub use paths::Include;
pub use range::{NotARange, Range};

/// The longest time one git operation may take.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
/// The largest `spec.ignore`, in bytes.
const LONGEST_IGNORE: usize = 256 << 10;

/// What a GitRepository wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Which GitRepository.
    pub id: NamespacedName,
    /// Where the repository is.
    pub url: RemoteUrl,
    /// What of it.
    pub reference: Reference,
    /// How often to look for changes, unless git configuration says so.
    pub interval: Duration,
    /// Whether git configuration says how often.
    pub polled_as_configured: bool,
    /// How long one git operation may take.
    pub timeout: Duration,
    /// gitignore rules that replace the default exclusions.
    pub ignore: Option<String>,
    /// Whether to leave everything as it is.
    pub suspend: bool,
    /// The Secret with credentials, in the object's own namespace.
    pub secret: Option<ObjectName>,
    /// The key in it, where that is looked after.
    pub key: Option<Wish>,
    /// The provider plugin that has the credentials, where no Secret has them.
    pub provider: Option<ObjectName>,
    /// Whether that Secret holds a GitHub App, for which GitHub makes the credentials.
    pub app: bool,
    /// The Secret with the proxy, in the object's own namespace.
    pub proxy_secret: Option<ObjectName>,
    /// Who must have signed it.
    pub verify: Option<Verify>,
    /// The directories that are taken of it; all when there are none.
    pub sparse: Vec<String>,
    /// What is laid beside its files, in this order.
    pub include: Vec<Include>,
    /// Whether its submodules are wanted too, with theirs.
    pub submodules: bool,
    /// Which generation of the object this is.
    pub generation: i64,
}

/// What must be signed, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// What.
    pub mode: Mode,
    /// The Secret with the keys that are trusted, in the object's own namespace.
    pub secret: ObjectName,
}

/// Which commit of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The tip of a branch, by its short name.
    Branch(String),
    /// A tag, by its short name.
    Tag(String),
    /// The tag with the highest version in a range.
    Semver(Range),
    /// Any reference, by its full name.
    Name(String),
    /// One commit; with a branch, one of that branch.
    Commit {
        /// All 40 or 64 hexadecimal digits.
        commit: String,
        /// The branch it is expected on.
        branch: Option<String>,
    },
}

/// The text before the version in the name of a tag, if there is any: `prod` of `prod-v1.2`, nothing of `v1.2`. What looks like a
/// commit is a version too.
pub fn track(tag: &str) -> Option<&str> {
    let is_hex = |text: &str| text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if tag.len() >= 7 && is_hex(tag) {
        return None;
    }
    let between = |c: char| matches!(c, '-' | '_' | '.' | '/' | '+');
    let head = tag
        .split(|c: char| c.is_ascii_digit())
        .next()
        .unwrap_or(tag);
    let whole = head.len() == tag.len();
    let (kept, last) = head.rsplit_once(between).unwrap_or(("", head));
    let is_of_version = !whole && (matches!(last, "v" | "V") || is_hex(last));
    let track = if is_of_version { kept } else { head };
    let track = track.trim_matches(between);
    (!track.is_empty()).then_some(track)
}

impl Reference {
    /// Where the next version is looked for, as far as another place is no next version of the same: the branch or full name,
    /// and of a tag what stands before its version.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Branch(name) | Self::Name(name) => Some(name.clone()),
            Self::Tag(name) => track(name).map(|track| format!("tag {track}")),
            Self::Semver(_) | Self::Commit { .. } => None,
        }
    }

    /// The branch or full name, where it is neither a tag nor a commit: where the next version is looked for.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Branch(name) | Self::Name(name) => Some(name),
            Self::Tag(_) | Self::Semver(_) | Self::Commit { .. } => None,
        }
    }
}

impl Wanted {
    /// Reads the object, or says which field stands in the way.
    pub fn parse(object: &GitRepository) -> Result<Self, Error> {
        let (meta, spec) = (&object.metadata, &object.spec);
        let id = identity(meta.namespace.as_deref(), meta.name.as_deref())?;
        refuse_unsupported(spec)?;
        let secret = |field, reference: &Option<reeve_api::meta::LocalObjectReference>| {
            let parsed = reference.as_ref().map(|named| named.name.parse());
            parsed.transpose().map_err(|why| Error::invalid(field, why))
        };
        if spec
            .ignore
            .as_ref()
            .is_some_and(|rules| rules.len() > LONGEST_IGNORE)
        {
            return Err(Error::invalid("spec.ignore", "it is longer than 256 KiB"));
        }
        let timeout = spec.timeout.get();
        if timeout < Duration::from_secs(1) || timeout > LONGEST_TIMEOUT {
            let why = format_args!("{timeout:?} is not between 1s and 1h");
            return Err(Error::invalid("spec.timeout", why));
        }
        // The error of a URL holds none of its text: it may hold a password.
        let url = RemoteUrl::parse(&spec.url).map_err(|why| Error::invalid("spec.url", why))?;
        let provider = provider(object, &url)?;
        let app = app::is_asked_for(spec, &url)?;
        let key = Wish::parse(object, &url)?;
        let generated = key.as_ref().map(|key| key.secret.clone());
        Ok(Self {
            provider,
            app,
            reference: reference(spec.reference.as_ref())?,
            interval: interval("spec.interval", spec.interval.get())?,
            polled_as_configured: polled(object)?,
            timeout,
            ignore: spec.ignore.clone(),
            suspend: spec.suspend,
            secret: secret("spec.secretRef.name", &spec.secret_ref)?.or(generated),
            key,
            url,
            proxy_secret: secret("spec.proxySecretRef.name", &spec.proxy_secret_ref)?,
            verify: spec.verify.as_ref().map(Verify::parse).transpose()?,
            sparse: paths::directories(&spec.sparse_checkout)?,
            include: paths::includes(&spec.include)?,
            submodules: spec.recurse_submodules,
            generation: meta.generation.unwrap_or_default(),
            id,
        })
    }
}

impl Verify {
    /// Reads the field, or says what stands in the way.
    pub fn parse(set: &GitRepositoryVerification) -> Result<Self, Error> {
        let secret = set.secret_ref.name.parse();
        Ok(Self {
            mode: set.mode.into(),
            secret: secret.map_err(|why| Error::invalid("spec.verify.secretRef.name", why))?,
        })
    }
}

/// Whether the object has git configuration say how often its repository is asked.
fn polled(object: &GitRepository) -> Result<bool, Error> {
    let annotations = object.metadata.annotations.as_ref();
    match annotations
        .and_then(|all| all.get(POLLING))
        .map(String::as_str)
    {
        None => Ok(false),
        Some(GIT_CONFIG) => Ok(true),
        Some(_) => Err(Error::invalid(
            "metadata.annotations[reeve.dev/polling]",
            "the one value that it has is git-config",
        )),
    }
}

/// The provider plugin that the object names. Beside a Secret it has another task: to put the key of ssh at the forge.
fn provider(object: &GitRepository, url: &RemoteUrl) -> Result<Option<ObjectName>, Error> {
    const FIELD: &str = "metadata.annotations[reeve.dev/provider]";
    let annotations = object.metadata.annotations.as_ref();
    let Some(name) = annotations.and_then(|all| all.get(PROVIDER)) else {
        return Ok(None);
    };
    if object.spec.secret_ref.is_some() && url.scheme() != Scheme::Ssh {
        let why = "credentials come from spec.secretRef or from a provider, not from both";
        return Err(Error::invalid(FIELD, why));
    }
    if name == GIT_CONFIG {
        // Its levels are asked for whoever names no login, and no plugin of the object's own is meant.
        return Ok(None);
    }
    let name = name.parse().map_err(|why| Error::invalid(FIELD, why))?;
    Ok(Some(name))
}

/// Every field that is accepted by the schema, set, and not acted on.
fn refuse_unsupported(spec: &GitRepositorySpec) -> Result<(), Error> {
    let set = [
        ("spec.accessFrom", spec.access_from.is_some()),
        (
            "spec.serviceAccountName",
            spec.service_account_name.is_some(),
        ),
    ];
    let provider = match spec.provider {
        None | Some(GitProvider::Generic | GitProvider::Github) => None,
        Some(GitProvider::Aws) => Some("aws"),
        Some(GitProvider::Azure) => Some("azure"),
    };
    if let Some(value) = provider.map(str::to_owned) {
        return Err(Error::Unsupported {
            field: "spec.provider",
            value: Some(value),
        });
    }
    match set.into_iter().find(|(_, set)| *set) {
        Some((field, _)) => Err(Error::unsupported(field)),
        None => Ok(()),
    }
}

/// Flux's precedence, highest first: commit, name, semver, tag, branch; `master` when there is nothing.
fn reference(set: Option<&GitRepositoryRef>) -> Result<Reference, Error> {
    let master = || Reference::Branch("master".to_owned());
    let Some(set) = set else { return Ok(master()) };
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let branch = filled(&set.branch);
    if let Some(branch) = &branch {
        check_name("spec.ref.branch", branch)?;
    }
    if let Some(commit) = filled(&set.commit) {
        let digits = commit
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !digits || !matches!(commit.len(), 40 | 64) {
            let why = "it is not a full commit: 40 or 64 lower-case hexadecimal digits";
            return Err(Error::invalid("spec.ref.commit", why));
        }
        return Ok(Reference::Commit { commit, branch });
    }
    if let Some(name) = filled(&set.name) {
        check_name("spec.ref.name", &name)?;
        if !name.starts_with("refs/") {
            let why = "it is not a full name, as refs/heads/main or refs/pull/420/head";
            return Err(Error::invalid("spec.ref.name", why));
        }
        return Ok(Reference::Name(name));
    }
    if let Some(range) = filled(&set.semver) {
        let range = range
            .parse()
            .map_err(|why| Error::invalid("spec.ref.semver", why))?;
        return Ok(Reference::Semver(range));
    }
    if let Some(tag) = filled(&set.tag) {
        check_name("spec.ref.tag", &tag)?;
        return Ok(Reference::Tag(tag));
    }
    Ok(branch.map_or_else(master, Reference::Branch))
}

/// git's own rules for the name of a reference (git-check-ref-format), so that none is read as anything else.
fn check_name(field: &'static str, name: &str) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::invalid(field, why));
    if name.len() > 255 {
        return refused("it is longer than 255 bytes");
    }
    if name.starts_with('-') {
        return refused("it begins with -");
    }
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    if name.contains(forbidden) || name.contains("..") || name.contains("@{") || name == "@" {
        return refused("it holds what git forbids in a name: .., @{, blanks or one of ~^:?*[\\");
    }
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    if !name.split('/').all(part) || name.ends_with('.') {
        return refused("a part of it is empty, begins or ends with a dot, or ends with .lock");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
