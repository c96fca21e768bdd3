//! Where a policy's rules come from: the object itself, the controller's library, a GitRepository of the platform's.
//!
//! Every read is bounded. What is read is compiled and tested by another process first (`reading`), and is nothing before
//! that; only what was built into this program is not.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_api::name::{NamespaceName, NamespacedName, PolicyName};
use reeve_api::policy::{Policy, PolicySource, PolicySpec, TestResults};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::{library, rego};
use serde_json::Value;

use super::{unfit, unread};
use crate::context::Context;
use crate::controller::Review;
use crate::git::Snapshot;
use crate::reading::{self, Share, Unread};

/// How long the admission webhook waits for a policy to be read; its own answer may take a second more.
const PATIENCE: Duration = Duration::from_secs(3);

/// Rules that compile and pass their tests.
pub(super) struct Fit {
    pub(super) policy: rego::Policy,
    pub(super) tests: Option<TestResults>,
}

/// The files of a policy, by their path below its directory.
type Files = BTreeMap<String, Vec<u8>>;

/// Where rules come from.
enum Origin<'a> {
    Git(&'a PolicySource),
    /// They are there.
    Here(Files),
}

fn origin(spec: &PolicySpec) -> Result<Origin<'_>, Explained> {
    let files = (!spec.files.is_empty()).then_some(&spec.files);
    match (&spec.source_ref, &spec.rego, files, &spec.shipped) {
        (Some(source), None, None, None) => Ok(Origin::Git(source)),
        (None, Some(rego), None, None) => Ok(Origin::Here(one(rego))),
        (None, None, Some(files), None) => Ok(Origin::Here(written(files))),
        (None, None, None, Some(shipped)) => Ok(Origin::Here(one(library_of(shipped)?))),
        _ => {
            let message = "exactly one of spec.sourceRef, spec.rego, spec.files and spec.shipped says where the rules are";
            Err(Explained::new(Reason::InvalidSpec, Turn::Owner, message))
        }
    }
}

/// Reads, compiles and tests.
pub(super) async fn read(
    ctx: &Context,
    name: &PolicyName,
    object: &Policy,
) -> Result<Fit, Explained> {
    let spec = &object.spec;
    may_be_called(name)?;
    let files = match origin(spec)? {
        Origin::Git(source) => from_git(ctx, source, spec.path.as_deref()).await?,
        Origin::Here(files) => files,
    };
    let parameters = Value::Object(spec.parameters.clone());
    let rules = reading::Rules {
        name: name.as_str(),
        files: &files,
        parameters: &parameters,
    };
    let tests = match library::is_built_in(&files) {
        true => None,
        false => {
            let read = ctx.reader.read(rules, Share::Runs).await;
            read.map_err(|why| unread(name, &why))?
        }
    };
    let owned = name.clone();
    let load = move || rego::Policy::load(owned.as_str(), &files, &parameters);
    let loaded = tokio::task::spawn_blocking(load).await;
    let policy = loaded.map_err(|crash| unfit(name, &crash))?;
    let policy = policy.map_err(|errors| unfit(name, &reading::listed(errors.iter())))?;
    Ok(Fit { policy, tests })
}

/// What [`read`] would say about rules that need not be fetched; of others, whether they may be.
pub(super) async fn review(
    ctx: &Context,
    name: &PolicyName,
    object: &Policy,
) -> Result<Review, Explained> {
    may_be_called(name)?;
    let files = match origin(&object.spec)? {
        Origin::Git(source) => return granted(ctx, source).map(|_| Review::default()),
        Origin::Here(files) => files,
    };
    let rules = reading::Rules {
        name: name.as_str(),
        files: &files,
        parameters: &Value::Object(object.spec.parameters.clone()),
    };
    let read = ctx.reader.read(rules, Share::Admission);
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(_)) => Ok(Review::default()),
        Ok(Err(Unread::Interrupted(_))) | Err(_) => Ok(Review::warning(vec![format!(
            "policy {name} was not read yet: its status says whether it is put in force"
        )])),
        Ok(Err(why)) => Err(unread(name, &why)),
    }
}

/// Nobody could tell what one says from what a rule says that is always in force, if they had one name.
fn may_be_called(name: &PolicyName) -> Result<(), Explained> {
    match library::named(name.as_str()) {
        Some(shipped) if shipped.always => {
            let message = format!("{name} is the name of a rule that is always in force");
            let why = Explained::new(Reason::InvalidSpec, Turn::Owner, message);
            Err(why.with_hint("give the Policy another name"))
        }
        _ => Ok(()),
    }
}

fn one(rego: &str) -> Files {
    Files::from([(library::MODULE.to_owned(), rego.as_bytes().to_vec())])
}

fn written(files: &BTreeMap<String, String>) -> Files {
    let bytes = |(path, text): (&String, &String)| (path.clone(), text.clone().into_bytes());
    files.iter().map(bytes).collect()
}

fn library_of(name: &str) -> Result<&'static str, Explained> {
    let shipped = library::named(name).ok_or_else(|| {
        let all: Vec<&str> = library::LIBRARY.iter().map(|one| one.name).collect();
        let message = format!(
            "no policy named {name} is shipped; there are {}",
            all.join(", ")
        );
        Explained::new(Reason::NotFound, Turn::Owner, message)
    })?;
    Ok(shipped.source)
}

/// The revision that the policy's source has now; None where it comes from none, or that has nothing.
pub(super) fn revision(ctx: &Context, name: &PolicyName) -> Option<String> {
    ctx.index.read(|known| {
        let source = known.touch.source_of_policy(name)?;
        Some(known.stored.get(source)?.artifact.revision.to_string())
    })
}

/// Whether its source had an artifact before this process started and has not been looked at since: it is about to be,
/// and wakes us then.
pub(super) fn awaits_source(ctx: &Context, name: &PolicyName) -> bool {
    ctx.index.read(|known| {
        let source = known.touch.source_of_policy(name);
        source.is_some_and(|source| known.is_about_to_look_at(source))
    })
}

async fn from_git(
    ctx: &Context,
    source: &PolicySource,
    path: Option<&str>,
) -> Result<Files, Explained> {
    let source = granted(ctx, source)?;
    let stored = ctx.stored(&source)?;
    let path = path.unwrap_or_default();
    let directory = directory(path);
    let place = format!("'{path}' of GitRepository {source}");
    let snapshot = stored.snapshot;
    let read = tokio::task::spawn_blocking(move || files(&snapshot, &directory)).await;
    let read = read.unwrap_or_else(|crash| Err(crash.to_string()));
    read.map_err(|why| {
        let message = format!("reading the policy in {place} failed: {why}");
        Explained::new(Reason::InvalidPath, Turn::NextRevision, message).with_hint(
            "spec.path names a directory of the repository, from its root, with *.rego in it",
        )
    })
}

/// Without what says nothing: `./rules/` is `rules`.
fn directory(path: &str) -> String {
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

/// The rules, tests and data below a directory.
fn files(snapshot: &Snapshot, directory: &str) -> Result<Files, String> {
    let mut files = rego::Gathered::default();
    for entry in snapshot.entries().filter(|entry| !entry.dir) {
        let below = below(entry.path, directory);
        let Some(below) = below.filter(|path| rego::Gathered::wants(path)) else {
            continue;
        };
        let (_, content) = snapshot.open(entry.path).map_err(|why| why.to_string())?;
        files.add(below, content).map_err(|why| why.to_string())?;
    }
    files.whole().map_err(|why| why.to_string())
}

fn below<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    match directory {
        "" => Some(path),
        _ => path.strip_prefix(directory)?.strip_prefix('/'),
    }
}

/// The source, which is the platform's: what it holds decides over all tenants.
fn granted(ctx: &Context, source: &PolicySource) -> Result<NamespacedName, Explained> {
    let invalid = |why: String| {
        let message = format!("spec.sourceRef: {why}");
        Explained::new(Reason::InvalidSpec, Turn::Owner, message)
    };
    let namespace: NamespaceName = match source.namespace.as_deref() {
        Some(named) => named.parse().map_err(|why| invalid(format!("{why}")))?,
        None => ctx.home.clone(),
    };
    let name = source.name.parse();
    let source = NamespacedName {
        namespace,
        name: name.map_err(|why| invalid(format!("{why}")))?,
    };
    if source.namespace == ctx.home || ctx.grounds.is_platform(&source.namespace) {
        return Ok(source);
    }
    let message = format!(
        "can't access GitRepository {source}: policies come from the platform's own namespaces"
    );
    Err(Explained::new(Reason::AccessDenied, Turn::Owner, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_policy_is_called_like_a_rule_that_is_always_in_force() {
        for shipped in library::LIBRARY {
            let named = may_be_called(&shipped.name.parse().unwrap());
            assert_eq!(named.is_err(), shipped.always, "{}", shipped.name);
        }
        assert!(may_be_called(&"pods".parse().unwrap()).is_ok());
    }

    #[test]
    fn rules_come_from_one_place() {
        let written = |path: &str| (path.to_owned(), "package a\n".to_owned());
        let files = PolicySpec {
            files: BTreeMap::from([written("a.rego"), written("lib/b.rego")]),
            ..PolicySpec::default()
        };
        let Ok(Origin::Here(found)) = origin(&files) else {
            panic!("files are written in the object");
        };
        assert!(found.keys().eq(["a.rego", "lib/b.rego"]));
        let both = PolicySpec {
            shipped: Some("pod-security".to_owned()),
            ..files
        };
        assert!(origin(&both).is_err());
        assert!(origin(&PolicySpec::default()).is_err());
    }
}
