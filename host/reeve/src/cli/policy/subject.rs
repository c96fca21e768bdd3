//! What policies are asked about on a laptop: a document, or a Kustomization and the manifests rendered for it.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use reeve_api::name::NamespaceName;
use reeve_api::tenant;
use reeve_core::admit::trial::{self, Trial};
use reeve_core::admit::{Circumstances, Rule, Rules, SourceFacts};
use reeve_core::failure::Explained;
use reeve_core::signature::Signature;
use reeve_core::tenancy::{Grounds, Tenants};
use reeve_core::veil::Veil;
use reeve_kustomize::Object;
use serde_json::Value;

use super::place::{self, Parameters, Source};
use crate::cli::grounds::GroundArgs;
use crate::cli::ui::CommandError;
use crate::clock::Clock;
use crate::cluster::marked;

/// Which policies are asked about what.
#[derive(Args)]
#[command(group = ArgGroup::new("subject").required(true).args(["input", "kustomization"]))]
pub(super) struct Subject {
    /// Policies: directories, the files of one, or the names of some that are shipped
    #[arg(long = "policy", value_name = "DIR|FILE|NAME")]
    policies: Vec<PathBuf>,
    #[command(flatten)]
    parameters: Parameters,
    /// The whole document that policies read, YAML or JSON; - for stdin
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Make the document of this Kustomization and the manifests that were rendered for it. Without the flags that say more,
    /// nothing is known of its source but the name, nothing was applied before, and so nothing is pruned
    #[arg(long, value_name = "FILE", requires = "bundle")]
    kustomization: Option<PathBuf>,
    /// The manifests that were rendered for the Kustomization; - for stdin
    #[arg(requires = "kustomization", conflicts_with = "input")]
    bundle: Option<PathBuf>,
    /// Where its source is fetched from
    #[arg(long, value_name = "URL", requires = "kustomization")]
    source_url: Option<String>,
    /// What its source has in store: main@sha1:<commit>
    #[arg(long, value_name = "REVISION", requires = "source_url")]
    revision: Option<String>,
    /// The signature of that was checked and is right
    #[arg(long, requires = "source_url")]
    verified: bool,
    /// What of that was signed by which key, where a rule asks: commit=<fingerprint> or tag=<fingerprint>
    #[arg(long, value_name = "OBJECT=KEY", requires = "verified")]
    signature: Vec<Signature>,
    /// The manifests that were applied for it before, a file or all files of a directory: what is in them alone is pruned
    #[arg(long, value_name = "DIR|FILE", requires = "kustomization")]
    previous: Option<PathBuf>,
    /// Have the named policies tolerate what is as it was applied before, as with spec.ratchet
    #[arg(long, requires = "previous")]
    ratchet: bool,
    #[command(flatten)]
    ground: Ground,
}

/// What the platform says about its ground.
#[derive(Args)]
pub(super) struct Ground {
    #[command(flatten)]
    own: GroundArgs,
    /// The Tenants and the labels of namespaces, as `kubectl get tenants.reeve.dev,namespaces -o yaml` prints them; without, every
    /// namespace is a tenant of its own
    #[arg(long, value_name = "FILE")]
    tenants: Option<PathBuf>,
}

impl Subject {
    /// The policies that are named.
    pub(super) fn sources(&self) -> Result<Vec<Source>, CommandError> {
        place::open(&self.policies, &self.parameters)
    }

    /// The policies that are named, as rules that are enforced.
    pub(super) fn rules(&self) -> Result<Vec<Rule>, CommandError> {
        let sources = self.sources()?;
        let compiled = sources.iter().map(|source| {
            let policy = source.compile().map_err(|errors| unfit(source, &errors))?;
            Ok(Rule {
                ratchet: self.ratchet,
                ..Rule::enforced(policy)
            })
        });
        compiled.collect()
    }

    /// Asks the rules.
    pub(super) fn ask(&self, rules: &Rules) -> Result<Trial, CommandError> {
        if let (Some(kustomization), Some(bundle)) = (&self.kustomization, &self.bundle) {
            return self.ask_of(rules, kustomization, bundle);
        }
        let Some(input) = &self.input else {
            return Err(CommandError::new("there is nothing to ask about"));
        };
        Ok(trial::of_document(rules, place::document(input)?))
    }

    fn ask_of(
        &self,
        rules: &Rules,
        kustomization: &Path,
        bundle: &Path,
    ) -> Result<Trial, CommandError> {
        let kustomization = place::document(kustomization)?;
        let grounds = self.ground.grounds();
        let namespace = kustomization
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let namespace = namespace.parse::<NamespaceName>().map_err(|why| {
            CommandError::new(format!("metadata.namespace of the Kustomization: {why}"))
        })?;
        let (tenants, _) = self.ground.tenants()?;
        let tenant = tenants.owner_of(&grounds, &namespace).map_err(told)?;
        let source = self.source_facts();
        let around = Circumstances {
            tenant: &tenant,
            grounds: &grounds,
            source: source.as_ref(),
            now: Clock::system().now(),
            veil: Veil::nothing(),
        };
        let manifests = objects(place::written(bundle)?, bundle)?;
        let previous = self.previous(bundle)?;
        trial::of_manifests(rules, &around, &kustomization, manifests, previous).map_err(told)
    }

    fn source_facts(&self) -> Option<SourceFacts> {
        Some(SourceFacts {
            url: self.source_url.clone()?,
            revision: self.revision.clone(),
            verified: self.verified.then(|| self.signature.clone()),
        })
    }

    /// What was applied before, where somebody says.
    fn previous(&self, bundle: &Path) -> Result<Option<Vec<Object>>, CommandError> {
        let Some(path) = &self.previous else {
            return Ok(None);
        };
        if path == bundle && path.as_os_str() == "-" {
            let both = "--previous and the manifests cannot both come from stdin";
            return Err(CommandError::new(both));
        }
        let documents = match path.is_dir() {
            true => place::documents_below(path)?,
            false => place::documents(path)?,
        };
        objects(documents, path).map(Some)
    }

    /// The file that is asked about, for those who read reports.
    pub(super) fn file(&self) -> String {
        let file = self.bundle.as_ref().or(self.input.as_ref());
        match file.filter(|file| file.as_os_str() != "-") {
            Some(file) => file.display().to_string(),
            None => "stdin".to_owned(),
        }
    }
}

/// The objects of documents. A list is its items, as in a build: in one of its own, a Secret would not be known as one.
fn objects(documents: Vec<Value>, path: &Path) -> Result<Vec<Object>, CommandError> {
    let refused = |what: &str| CommandError::new(format!("{what} in {}", path.display()));
    let mut waiting = VecDeque::from(documents);
    let mut objects = Vec::new();
    while let Some(mut document) = waiting.pop_front() {
        match items(&mut document) {
            Some(Value::Array(items)) => waiting.extend(items),
            Some(Value::Null) => {}
            Some(_) => return Err(refused("the items of a list are no list")),
            None => {
                let object = Object::try_from(document);
                objects.push(object.map_err(|_| refused("a document or an item is no object"))?);
            }
        }
    }
    Ok(objects)
}

/// What a list holds; None of what is none.
fn items(document: &mut Value) -> Option<Value> {
    let kind = document.get("kind").and_then(Value::as_str);
    let is_list = kind.is_some_and(|kind| kind.ends_with("List"));
    let items = document.get_mut("items").filter(|_| is_list);
    items.map(Value::take)
}

/// A policy that does not compile.
pub(in crate::cli) fn unfit(source: &Source, errors: &[reeve_core::rego::Error]) -> CommandError {
    let lines: Vec<String> = errors.iter().map(|error| source.told(error)).collect();
    CommandError::new(format!(
        "{} is no policy: {}",
        source.name,
        lines.join("\n")
    ))
}

pub(in crate::cli) fn told(why: Explained) -> CommandError {
    let told = CommandError::new(why.message);
    match why.hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

impl Ground {
    pub(super) fn grounds(&self) -> Grounds {
        self.own.grounds(&[], &[])
    }

    /// The Tenants that are known, and all namespaces that they name.
    pub(super) fn tenants(&self) -> Result<(Tenants, BTreeSet<NamespaceName>), CommandError> {
        let documents = self.tenants.as_deref().map(place::documents).transpose()?;
        known(documents.unwrap_or_default())
    }
}

/// The Tenants of these documents, which may be lists, and all namespaces that they name. Whose a namespace is its label says before
/// anything else, as to the controller.
fn known(documents: Vec<Value>) -> Result<(Tenants, BTreeSet<NamespaceName>), CommandError> {
    let (mut tenants, mut namespaces) = (Tenants::default(), BTreeSet::new());
    for document in documents {
        let list = document.get("items").and_then(Value::as_array).cloned();
        for one in list.unwrap_or_else(|| vec![document]) {
            if one.get("kind").and_then(Value::as_str) == Some("Namespace") {
                if let Some((namespace, whose)) = marked(&one) {
                    let _moved = tenants.mark(&namespace, Some(whose));
                }
                continue;
            }
            let tenant: tenant::Tenant = serde_json::from_value(one)
                .map_err(|why| CommandError::of("reading the tenants failed", &why))?;
            tenants.apply(&tenant);
            namespaces.extend(tenant.spec.namespaces);
        }
    }
    Ok((tenants, namespaces))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(documents: Vec<Value>) -> Result<Vec<String>, String> {
        let objects = objects(documents, Path::new("m.yaml")).map_err(|why| why.to_string())?;
        let told = objects
            .iter()
            .map(|one| format!("{} {}", one.kind(), one.name()));
        Ok(told.collect())
    }

    #[test]
    fn a_namespace_is_the_tenants_whose_label_it_bears_and_not_the_oldests() {
        let tenant = |name: &str, created: &str| {
            json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant",
                "metadata": {"name": name, "creationTimestamp": created},
                "spec": {"namespaces": [name, "shared"]},
            })
        };
        let labelled = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "shared", "labels": {"reeve.dev/tenant": "young"}},
        });
        let all = [
            tenant("old", "2026-01-01T00:00:00Z"),
            tenant("young", "2026-02-01T00:00:00Z"),
            labelled,
        ];
        let shared: NamespaceName = "shared".parse().unwrap();
        let whose = |documents: Vec<Value>| {
            let (tenants, _) = known(documents).unwrap();
            tenants.declared(&shared).map(ToString::to_string)
        };
        assert_eq!(whose(all[..2].to_vec()).as_deref(), Some("old"));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
        assert_eq!(whose(vec![list]).as_deref(), Some("young"));
    }

    #[test]
    fn a_list_is_its_items_as_in_a_build() {
        let named = |kind: &str, name: &str| json!({"kind": kind, "metadata": {"name": name}});
        let list = |kind: &str, items: Value| json!({"kind": kind, "items": items});
        let secrets = list(
            "SecretList",
            json!([named("Secret", "a"), named("Secret", "b")]),
        );
        let nested = list("List", json!([secrets, named("Pod", "c")]));
        let documents = vec![
            nested,
            list("List", Value::Null),
            named("AllowList", "d"),
            list("Basket", json!([1])),
        ];
        let want = ["AllowList d", "Basket ", "Pod c", "Secret a", "Secret b"];
        assert_eq!(told(documents), Ok(want.map(str::to_owned).to_vec()));
        for (items, why) in [
            (json!({}), "the items of a list are no list in m.yaml"),
            (json!([1]), "a document or an item is no object in m.yaml"),
        ] {
            assert_eq!(told(vec![list("List", items)]), Err(why.to_owned()));
        }
    }
}
