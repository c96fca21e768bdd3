//! What is asked: a Policy that is a question, with the changed rules and all else of the Policy that they would stand in
//! for; and the GitRepository that has another revision of them.

use std::path::{Path, PathBuf};

use reeve_api::name::NamespacedName;
use serde_json::{Map, Value, json};

use super::ReplayArgs;
use super::stage::Pages;
use super::told::{Answer, Rules};
use crate::cli::policy::place::{self, Parameters};
use crate::cli::policy::subject::unfit;
use crate::cli::ui::CommandError;
use crate::cluster::Cluster;
use crate::reading::{self, Reader, Share, Unread};

/// By this label what belongs to one question is found.
pub(super) const LABEL: &str = "reeve.dev/replay";
/// What rules may have that are written into an object.
const WRITTEN: usize = 1 << 20;

/// What is asked.
pub(super) struct Draft {
    /// Of the Policy, and of the GitRepository if there is one.
    pub(super) name: String,
    pub(super) policy: Value,
    pub(super) source: Option<Source>,
    rules: Rules,
}

/// A GitRepository of the same repository at another revision.
pub(super) struct Source {
    pub(super) id: NamespacedName,
    pub(super) object: Value,
}

/// Fields of the spec that say where the rules are.
const ORIGINS: [&str; 5] = ["sourceRef", "path", "rego", "files", "shipped"];

impl Draft {
    pub(super) async fn of(args: &ReplayArgs, cluster: &Cluster) -> Result<Self, CommandError> {
        let name = format!("replay-{:016x}", rand::random::<u64>());
        let named = named(args, cluster).await?;
        let mut spec = named.clone().unwrap_or_default();
        ORIGINS
            .iter()
            .for_each(|field| drop(spec.shift_remove(*field)));
        let directory = Path::new(&args.source);
        let mut draft = Self {
            rules: Rules {
                policy: String::new(),
                compared_with: args.policy.as_ref().map(ToString::to_string),
                source: args.source.clone(),
                directory: PathBuf::new(),
            },
            name,
            policy: Value::Null,
            source: None,
        };
        if directory.is_dir() {
            let parameters = spec.get("parameters").cloned();
            draft.rules.directory = directory.to_owned();
            let policy = &mut draft.rules.policy;
            let files = files(directory, parameters.as_ref(), policy).await?;
            spec.insert("files".to_owned(), files);
        } else {
            draft
                .revision(args, named.as_ref(), cluster, &mut spec)
                .await?;
        }
        if let Some(policy) = &args.policy {
            draft.rules.policy = policy.to_string();
            spec.insert("comparedWith".to_owned(), json!(policy.as_str()));
        }
        // Whoever doesn't know what a replay is takes it for an audit, which stops nothing.
        spec.insert("mode".to_owned(), json!("audit"));
        spec.insert("replay".to_owned(), json!({}));
        draft.policy = json!({
            "apiVersion": "reeve.dev/v1alpha1",
            "kind": "Policy",
            "metadata": {"name": draft.name, "labels": {LABEL: draft.name}},
            "spec": spec,
        });
        Ok(draft)
    }

    /// The rules are of another revision of the Policy's own source.
    async fn revision(
        &mut self,
        args: &ReplayArgs,
        named: Option<&Map<String, Value>>,
        cluster: &Cluster,
        spec: &mut Map<String, Value>,
    ) -> Result<(), CommandError> {
        let revision = &args.source;
        let none = |why: &str| CommandError::new(format!("{revision} is no directory, and {why}"));
        if revision.starts_with(['.', '/']) {
            return Err(none("no name of a revision"));
        }
        let named = named.ok_or_else(|| {
            none("of which source it would be a revision nobody says").hint("give --policy")
        })?;
        let text = |field: &str| named.get("sourceRef")?.get(field)?.as_str();
        let Some(of) = text("name") else {
            return Err(none("the rules of the Policy come from no GitRepository"));
        };
        let namespace = text("namespace").unwrap_or(args.controller_namespace.as_str());
        let id = |name: &str| {
            NamespacedName::new(namespace, name)
                .map_err(|why| CommandError::of("the Policy's source has no usable name", &why))
        };
        let (of, own) = (id(of)?, id(&self.name)?);
        let found = cluster.git_repository(&of).await;
        let found = found
            .map_err(|why| CommandError::of(&format!("reading GitRepository {of} failed"), &why))?;
        let found =
            found.ok_or_else(|| CommandError::new(format!("there is no GitRepository {of}")))?;
        let mut wanted = found
            .get("spec")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        wanted.shift_remove("suspend");
        wanted.insert("ref".to_owned(), reference(revision));
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {
                "namespace": namespace, "name": self.name, "labels": {LABEL: self.name},
            },
            "spec": wanted,
        });
        let from = json!({"namespace": namespace, "name": self.name});
        spec.insert("sourceRef".to_owned(), from);
        if let Some(path) = named.get("path") {
            spec.insert("path".to_owned(), path.clone());
            self.rules.directory = PathBuf::from(path.as_str().unwrap_or_default());
        }
        self.source = Some(Source { id: own, object });
        Ok(())
    }

    /// What came of it.
    pub(super) fn answer(self, pages: Pages) -> Answer {
        Answer::new(self.rules, pages)
    }
}

/// The spec of the Policy that the rules would stand in for.
async fn named(
    args: &ReplayArgs,
    cluster: &Cluster,
) -> Result<Option<Map<String, Value>>, CommandError> {
    let Some(name) = &args.policy else {
        return Ok(None);
    };
    let found = cluster.policy(name.as_str()).await;
    let found =
        found.map_err(|why| CommandError::of(&format!("reading Policy {name} failed"), &why))?;
    let found = found.ok_or_else(|| CommandError::new(format!("there is no Policy {name}")))?;
    Ok(found.get("spec").and_then(Value::as_object).cloned())
}

/// The files of a directory, which compile, as they are written into a Policy.
async fn files(
    directory: &Path,
    parameters: Option<&Value>,
    name: &mut String,
) -> Result<Value, CommandError> {
    let sources = place::open(&[directory.to_owned()], &Parameters::default())?;
    let source = sources.into_iter().next();
    let source = source.ok_or_else(|| CommandError::new("there is no policy"))?;
    let parameters = parameters.unwrap_or(&source.parameters);
    may_be_read(&source, parameters).await?;
    source
        .compile_with(parameters)
        .map_err(|errors| unfit(&source, &errors))?;
    let bytes: usize = source.files.values().map(Vec::len).sum();
    if bytes > WRITTEN {
        let why = format!(
            "the files of {} have {bytes} bytes, at most {WRITTEN} fit into a Policy",
            source.name
        );
        return Err(CommandError::new(why).hint("push them to a branch, and give that as --source"));
    }
    let mut files = Map::new();
    for (path, bytes) in &source.files {
        let text = str::from_utf8(bytes);
        let text = text.map_err(|why| CommandError::of(&format!("reading {path} failed"), &why))?;
        files.insert(path.clone(), json!(text));
    }
    name.clone_from(&source.name);
    Ok(Value::Object(files))
}

/// Whether reading it ends whoever does: what the controller does first, it does here.
async fn may_be_read(source: &place::Source, parameters: &Value) -> Result<(), CommandError> {
    let reader = Reader::own()
        .map_err(|why| CommandError::of("finding this program's own file failed", &why))?;
    let rules = reading::Rules {
        name: &source.name,
        files: &source.files,
        parameters,
    };
    match reader.read(rules, Share::Runs).await {
        // What is wrong with it is told with its places.
        Ok(_) | Err(Unread::Unfit(_)) => Ok(()),
        Err(why) => Err(CommandError::of(
            &format!("{} is not read", source.name),
            &why,
        )),
    }
}

/// As a GitRepository names it.
fn reference(revision: &str) -> Value {
    let is_commit = matches!(revision.len(), 40 | 64)
        && revision
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_commit {
        json!({"commit": revision})
    } else if revision.starts_with("refs/") {
        json!({"name": revision})
    } else {
        json!({"branch": revision})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_a_commit_a_whole_reference_or_a_branch() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for (revision, field) in [
            (commit, "commit"),
            ("refs/tags/v1", "name"),
            ("next", "branch"),
            ("feature/red", "branch"),
            ("0123", "branch"),
        ] {
            assert_eq!(reference(revision), json!({field: revision}));
        }
    }
}
