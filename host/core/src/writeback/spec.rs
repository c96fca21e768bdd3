//! A WriteBack, parsed into what we will do.
//!
//! Whether its tenant may use the source, and what the account may read, is asked elsewhere.

use std::fmt::Display;
use std::time::Duration;

use reeve_api::kustomization::SourceKind;
use reeve_api::name::{NamespacedName, ObjectName, ServiceAccountName};
use reeve_api::writeback::{self, PullRequestTemplate, WriteBack, WriteBackSpec};
use reeve_kustomize::Object;
use reeve_writeback::{DEFAULT_TEMPLATE, file_of};
use serde_json::json;

use super::rule::Rules;
use crate::spec::{self, Error, SourceRef};

/// The longest that is waited for things to settle: what waits longer is forgotten by people.
const LONGEST_DEBOUNCE: Duration = Duration::from_secs(3600);
/// The branch of requests where none is named.
const BRANCH: &str = "reeve/{namespace}/{name}";

/// What to do for one WriteBack.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Which WriteBack.
    pub id: NamespacedName,
    /// The repository.
    pub source: SourceRef,
    /// The branch that is written to, or that requests are made against; else the one that the source follows.
    pub branch: Option<String>,
    /// The directory below which files are written, clean: `""` is the root.
    pub path: String,
    /// How often to look at everything.
    pub interval: Duration,
    /// For how long nothing must change any more before it is written.
    pub debounce: Duration,
    /// Who the commits are by.
    pub author: Author,
    /// The Secret with what they are signed with.
    pub signing: Option<ObjectName>,
    /// The ServiceAccount it names.
    pub service_account: Option<ServiceAccountName>,
    /// How a change gets there.
    pub propose: Propose,
    /// Which side wins for which objects.
    pub rules: Rules,
    /// The names of new objects' files.
    pub template: String,
    /// Which generation of the object this is.
    pub generation: i64,
}

/// Who commits are by, as far as it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: Option<String>,
    /// The address.
    pub email: Option<String>,
}

/// How a change gets to its branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Propose {
    /// It is committed there.
    Commit,
    /// Somebody is asked to merge it.
    Request(Request),
}

/// What a pull request looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its branch.
    pub branch: String,
    /// Its title, if it is not the commit's.
    pub title: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// Who is asked to look at it.
    pub reviewers: Vec<String>,
}

impl Spec {
    /// Reads the object, or says which field stands in the way.
    pub fn parse(object: &WriteBack) -> Result<Self, Error> {
        let meta = &object.metadata;
        let id = spec::identity(meta.namespace.as_deref(), meta.name.as_deref())?;
        let spec = &object.spec;
        let debounce = spec.debounce.get();
        if debounce > LONGEST_DEBOUNCE {
            return Err(Error::invalid("spec.debounce", "it is longer than an hour"));
        }
        let path = spec::clean_path(spec.path.as_deref().unwrap_or_default())?;
        let is_gits = |part: &str| part.to_ascii_lowercase().starts_with(".git");
        if path.split('/').any(is_gits) {
            let why = "it leads into what is git's own, or the forge's";
            return Err(Error::invalid("spec.path", why));
        }
        let branch = spec.branch.as_deref();
        Ok(Self {
            source: source(spec, &id)?,
            branch: branch
                .map(|name| branch_name("spec.branch", name))
                .transpose()?,
            interval: spec::interval("spec.interval", spec.interval.get())?,
            debounce,
            author: author(spec)?,
            signing: signing(spec)?,
            service_account: service_account(spec)?,
            propose: propose(spec, &id)?,
            rules: Rules::parse(&spec.rules).map_err(|why| Error::invalid("spec.rules", why))?,
            template: template(spec)?,
            generation: meta.generation.unwrap_or_default(),
            path,
            id,
        })
    }

    /// Whether files of that directory may be written.
    pub fn reaches(&self, directory: &str) -> bool {
        let below = directory.strip_prefix(self.path.as_str());
        self.path.is_empty() || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn source(spec: &WriteBackSpec, id: &NamespacedName) -> Result<SourceRef, Error> {
    let set = &spec.source_ref;
    let invalid = |field| move |why| Error::invalid(field, why);
    let namespace = match set.namespace.as_deref() {
        None | Some("") => id.namespace.clone(),
        Some(set) => set.parse().map_err(invalid("spec.sourceRef.namespace"))?,
    };
    Ok(SourceRef {
        kind: match set.kind {
            writeback::WriteBackSourceKind::GitRepository => SourceKind::GitRepository,
        },
        namespace,
        name: set.name.parse().map_err(invalid("spec.sourceRef.name"))?,
    })
}

/// A branch as git takes it (`git check-ref-format`), and nothing that a URL or a shell would take for more.
fn branch_name(field: &'static str, name: &str) -> Result<String, Error> {
    let refused = |why: &str| Err(Error::invalid(field, why));
    let odd =
        |c: char| !(c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '+' | '#' | '='));
    if name.is_empty() || name.len() > 255 || name == "HEAD" {
        return refused("it is no name of a branch");
    }
    if name.contains(odd) || name.contains("..") {
        return refused("it holds a character that is in no branch's name");
    }
    let wrong = |part: &str| {
        part.is_empty()
            || part.starts_with(['.', '-'])
            || part.ends_with('.')
            || part.ends_with(".lock")
    };
    match name.split('/').any(wrong) || name.starts_with("refs/") {
        true => refused("it is no name of a branch: write it as main or team/main"),
        false => Ok(name.to_owned()),
    }
}

/// Who wrote something goes into a commit's header: one line, and no brackets.
fn author(spec: &WriteBackSpec) -> Result<Author, Error> {
    let author = spec.author.clone().unwrap_or_default();
    for (field, text) in [
        ("spec.author.name", &author.name),
        ("spec.author.email", &author.email),
    ] {
        let Some(text) = text else { continue };
        let odd = |c: char| c.is_control() || matches!(c, '<' | '>');
        if text.trim().is_empty() || text.contains(odd) {
            return Err(Error::invalid(
                field,
                "it is empty, or holds <, > or a line's end",
            ));
        }
        if field == "spec.author.email" && !text.contains('@') {
            return Err(Error::invalid(field, "it is no address"));
        }
    }
    Ok(Author {
        name: author.name,
        email: author.email,
    })
}

fn signing(spec: &WriteBackSpec) -> Result<Option<ObjectName>, Error> {
    let invalid = |why| Error::invalid("spec.signing.secretRef.name", why);
    let set = spec.signing.as_ref();
    set.map(|set| set.secret_ref.name.parse().map_err(invalid))
        .transpose()
}

fn service_account(spec: &WriteBackSpec) -> Result<Option<ServiceAccountName>, Error> {
    let invalid = |why| Error::invalid("spec.serviceAccountName", why);
    let set = spec.service_account_name.as_deref();
    let set = set.filter(|name| !name.is_empty());
    set.map(|name| name.parse().map_err(invalid)).transpose()
}

fn propose(spec: &WriteBackSpec, id: &NamespacedName) -> Result<Propose, Error> {
    let set = spec.pull_request.clone();
    match spec.propose {
        writeback::Propose::Commit if set.is_some() => Err(Error::invalid(
            "spec.pullRequest",
            "it is set, and spec.propose is not pullRequest",
        )),
        writeback::Propose::Commit => Ok(Propose::Commit),
        writeback::Propose::PullRequest => {
            let set = set.unwrap_or_default();
            let branch = request_branch(&set, id)?;
            if spec.branch.as_deref() == Some(branch.as_str()) {
                let why = "it is the branch that requests are made against";
                return Err(Error::invalid("spec.pullRequest.branch", why));
            }
            let PullRequestTemplate {
                labels,
                reviewers,
                title,
                ..
            } = set;
            for (field, texts) in [
                ("spec.pullRequest.labels", labels.iter()),
                ("spec.pullRequest.reviewers", reviewers.iter()),
                ("spec.pullRequest.title", title.as_slice().iter()),
            ] {
                plain(field, texts)?;
            }
            Ok(Propose::Request(Request {
                branch,
                title,
                labels,
                reviewers,
            }))
        }
    }
}

fn plain<'t>(
    field: &'static str,
    mut texts: impl Iterator<Item = &'t String>,
) -> Result<(), Error> {
    let odd = |text: &String| text.trim().is_empty() || text.chars().any(char::is_control);
    match texts.any(odd) {
        true => Err(Error::invalid(
            field,
            "a text is empty, or of several lines",
        )),
        false => Ok(()),
    }
}

fn request_branch(set: &PullRequestTemplate, id: &NamespacedName) -> Result<String, Error> {
    const FIELD: &str = "spec.pullRequest.branch";
    let template = set.branch.as_deref().unwrap_or(BRANCH);
    let branch = template
        .replace("{namespace}", id.namespace.as_str())
        .replace("{name}", id.name.as_str());
    if branch.contains(['{', '}']) {
        let why = "it holds a word in braces that is neither {namespace} nor {name}";
        return Err(Error::invalid(FIELD, why));
    }
    branch_name(FIELD, &branch)
}

/// One that makes a path of plain names; what comes of others is refused object by object.
fn template(spec: &WriteBackSpec) -> Result<String, Error> {
    let set = spec.new_objects.as_ref();
    let template = set.and_then(|set| set.path.as_deref());
    let template = template.unwrap_or(DEFAULT_TEMPLATE);
    let invalid = |why: &dyn Display| Error::invalid("spec.newObjects.path", why);
    let object = json!({"apiVersion": "example.io/v1", "kind": "Thing",
        "metadata": {"name": "name", "namespace": "namespace"}});
    let object = Object::try_from(object).unwrap_or_default();
    file_of(template, &object).map_err(|refused| invalid(&refused.reason))?;
    // Two objects of a name must not be one file.
    for word in ["{kind}", "{name}"] {
        if !template.contains(word) {
            return Err(invalid(&format_args!("{word} is missing in it")));
        }
    }
    Ok(template.to_owned())
}

#[cfg(test)]
mod tests;
