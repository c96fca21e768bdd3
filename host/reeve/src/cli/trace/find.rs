//! What the cluster says of an object: who owns it, which Kustomization applies it, from which source, and what judged it.

use std::collections::BTreeMap;

use reeve_api::condition::{self, Type};
use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::NamespacedName;
use reeve_api::policy::Policy;
use reeve_api::source::GitRepository;
use reeve_core::admit::Rules;
use reeve_core::drift;
use reeve_core::inventory::ObjectId;
use reeve_core::tree;
use serde_json::Value;

use super::{Answer, Applied, Committed, Judged, Kustomized, Sourced, TraceArgs};
use crate::cli::diff::plugins::{self, Called};
use crate::cli::get::namespace;
use crate::cli::reach::everywhere;
use crate::cli::ui::{CommandError, Ui};
use crate::cluster::{CallError, Cluster, Sought};
use crate::observe::Requests;

/// So many owners are followed.
const OWNERS: usize = 8;

/// What was found out, and what is needed to find out more.
pub(super) struct Found {
    pub(super) answer: Answer,
    pub(super) known: Option<Known>,
}

/// A Kustomization that applies the object, and its source.
pub(super) struct Known {
    pub(super) cluster: Cluster,
    /// Whom it applies: what was asked about, or what owns that.
    pub(super) sought: Sought,
    pub(super) kustomization: Kustomization,
    pub(super) source: Option<GitRepository>,
    pub(super) plugins: Vec<Called>,
}

pub(super) async fn find(args: &TraceArgs, ui: &mut Ui) -> Result<Found, CommandError> {
    let (kind, name) = args.object.split_once('/').ok_or_else(|| {
        CommandError::new(format!("{:?} is not KIND/NAME", args.object))
            .hint("for example deployment/web")
    })?;
    let cluster = args.connection.connect(Requests::default()).await?;
    let cluster = cluster.reaching(everywhere());
    let at = namespace(args.namespace.as_deref(), &cluster);
    let failed = |why: CallError| CommandError::of(&format!("reading {kind}/{name} failed"), &why);
    let sought = cluster.seek(kind, at, name).await.map_err(failed)?;
    let sought = sought.ok_or_else(|| {
        CommandError::new(format!("there is no {kind}/{name} in namespace {at}"))
            .hint("check its name and --namespace")
    })?;
    let mut answer = Answer {
        object: sought.subject(),
        ..Answer::default()
    };
    let Some((sought, owner)) = applied(&cluster, sought, &mut answer).await else {
        return Ok(Found {
            answer,
            known: None,
        });
    };
    let known = told(args, cluster, sought, &owner, &mut answer, ui).await?;
    Ok(Found { answer, known })
}

/// The object that a Kustomization applies, up the owners; None: none does, and the answer says who else.
async fn applied(
    cluster: &Cluster,
    mut sought: Sought,
    answer: &mut Answer,
) -> Option<(Sought, NamespacedName)> {
    for _ in 0..OWNERS {
        if let Some(owner) = owner(&sought) {
            return Some((sought, owner));
        }
        if let Some(another) = another(&sought.object) {
            answer.applied = Applied::Another(another);
            return None;
        }
        let references = sought.object.pointer("/metadata/ownerReferences");
        let references = references.and_then(Value::as_array).into_iter().flatten();
        // One is its controller, as a rule the only one.
        let is_controller = |one: &&Value| one.get("controller") == Some(&Value::Bool(true));
        let reference = references
            .clone()
            .find(is_controller)
            .or_else(|| references.clone().next())?;
        let found = cluster.seek_owner(reference, &sought.namespace).await;
        match found {
            Ok(Some(next)) => {
                answer.owned_by.push(next.subject());
                sought = next;
            }
            Ok(None) => {
                answer
                    .notes
                    .push(format!("{}: what owns it is gone", sought.subject()));
                return None;
            }
            Err(why) => {
                let subject = sought.subject();
                answer
                    .notes
                    .push(format!("what owns {subject} cannot be read: {why}"));
                return None;
            }
        }
    }
    None
}

/// The Kustomization whose labels it has.
fn owner(sought: &Sought) -> Option<NamespacedName> {
    let labels = sought.object.pointer("/metadata/labels")?;
    let text = |key: &str| labels.get(key).and_then(Value::as_str);
    let (namespace, name) = (text(drift::OWNER_NAMESPACE), text(drift::OWNER));
    NamespacedName::new(namespace?, name?).ok()
}

/// Who else manages it, as labels and annotations of others say.
fn another(object: &Value) -> Option<String> {
    let read = |of: &str, key: &str| {
        let all = object.pointer("/metadata").and_then(|meta| meta.get(of))?;
        all.get(key)?.as_str().map(str::to_owned)
    };
    let helm_release = || {
        let name = read("labels", "helm.toolkit.fluxcd.io/name")?;
        let namespace = read("labels", "helm.toolkit.fluxcd.io/namespace")?;
        Some(format!("HelmRelease {namespace}/{name} of Flux"))
    };
    let helm = || {
        let name = read("annotations", "meta.helm.sh/release-name")?;
        let namespace = read("annotations", "meta.helm.sh/release-namespace").unwrap_or_default();
        Some(format!("release {name} of Helm in namespace {namespace}"))
    };
    let argo = || {
        let id = read("annotations", "argocd.argoproj.io/tracking-id")?;
        Some(format!("Argo CD ({id})"))
    };
    let tenant = || {
        let name = read("labels", reeve_api::TENANT_LABEL)?;
        Some(format!("the landlord, for Tenant {name}"))
    };
    helm_release().or_else(helm).or_else(argo).or_else(tenant)
}

/// What there is to say of the Kustomization and its source.
async fn told(
    args: &TraceArgs,
    cluster: Cluster,
    sought: Sought,
    owner: &NamespacedName,
    answer: &mut Answer,
    ui: &mut Ui,
) -> Result<Option<Known>, CommandError> {
    let (namespace, name) = (owner.namespace.as_str(), owner.name.as_str());
    let read = cluster.one::<Kustomization>(Some(namespace), name).await;
    let kustomization = match read {
        Ok(Some(kustomization)) => kustomization,
        Ok(None) => {
            answer.applied = Applied::Gone(owner.to_string());
            return Ok(None);
        }
        Err(why) => {
            let doing = format!("reading Kustomization {owner}, which applies it, failed");
            return Err(CommandError::of(&doing, &why));
        }
    };
    answer.applied = Applied::Kustomization;
    answer.kustomization = Some(kustomized(
        owner,
        &kustomization,
        &sought,
        &mut answer.notes,
    ));
    let source = source(&cluster, owner, &kustomization, answer).await;
    let labels = kustomization.metadata.labels.clone().unwrap_or_default();
    let plugins = plugins::called(
        &args.controller_namespace,
        &cluster,
        (&owner.namespace, &labels),
        ui,
    );
    let plugins = plugins.await;
    let is_platforms = args.ground.grounds(&[], &[]).is_platform(&owner.namespace);
    if !is_platforms {
        judged(&cluster, owner, &labels, &sought, answer).await;
    }
    Ok(Some(Known {
        cluster,
        sought,
        kustomization,
        source,
        plugins,
    }))
}

fn kustomized(
    id: &NamespacedName,
    object: &Kustomization,
    sought: &Sought,
    notes: &mut Vec<String>,
) -> Kustomized {
    let status = object.status.as_ref();
    let conditions = status.map(|status| status.conditions.as_slice());
    let ready = condition::find(conditions.unwrap_or_default(), Type::Ready);
    let own = ObjectId {
        namespace: sought.namespace.clone(),
        name: sought.name.clone(),
        group: sought.group.clone(),
        kind: sought.kind.clone(),
    };
    let all = tree::known(object).unwrap_or_default();
    let leaf = all
        .into_iter()
        .find(|one| one.id == own && one.version.is_some());
    let leaf = leaf.map(|one| one.seen(&tree::there(false), None));
    if leaf.is_none() {
        notes.push(format!(
            "the inventory of Kustomization {id} does not have it: its labels were copied, or it was left behind"
        ));
    }
    Kustomized {
        name: id.to_string(),
        ready: ready.map_or_else(|| "Unknown".to_owned(), |ready| ready.status.clone()),
        message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
        revision: status.and_then(|status| status.last_applied_revision.clone()),
        action: leaf.as_ref().map(|leaf| leaf.action),
        fields: leaf.map(|leaf| leaf.fields).unwrap_or_default(),
    }
}

async fn source(
    cluster: &Cluster,
    owner: &NamespacedName,
    kustomization: &Kustomization,
    answer: &mut Answer,
) -> Option<GitRepository> {
    let reference = &kustomization.spec.source_ref;
    let at = reference
        .namespace
        .as_deref()
        .filter(|text| !text.is_empty());
    let at = at.unwrap_or(owner.namespace.as_str());
    let kind = reference.kind.as_str();
    let name = format!("{kind}/{at}/{}", reference.name);
    let revision = answer
        .kustomization
        .as_ref()
        .and_then(|one| one.revision.as_deref());
    answer.commit = revision.map(|revision| Committed {
        id: commit(revision).to_owned(),
        author: None,
        at: None,
        subject: None,
    });
    if reference.kind != SourceKind::GitRepository {
        answer.source = Some(Sourced { name, url: None });
        return None;
    }
    let found = cluster
        .one::<GitRepository>(Some(at), &reference.name)
        .await;
    let found = match found {
        Ok(Some(found)) => Some(found),
        Ok(None) => {
            answer.notes.push(format!("{name} is gone"));
            None
        }
        Err(why) => {
            answer.notes.push(format!("{name} cannot be read: {why}"));
            None
        }
    };
    // As it is told, without what may be a password.
    let url = found.as_ref().and_then(|found| found.spec.url.parse().ok());
    let url = url.map(|url| url.to_string());
    answer.source = Some(Sourced { name, url });
    found
}

/// The commit of a revision.
pub(super) fn commit(revision: &str) -> &str {
    match revision.rsplit_once(':') {
        Some((_, commit)) => commit,
        None => revision,
    }
}

/// The policies that are asked about it, with what they said of it last.
async fn judged(
    cluster: &Cluster,
    owner: &NamespacedName,
    labels: &BTreeMap<String, String>,
    sought: &Sought,
    answer: &mut Answer,
) {
    let mut all: Vec<(String, &'static str)> = Rules::shipped()
        .iter()
        .map(|rule| (rule.name.clone(), rule.mode.as_str()))
        .collect();
    let own = sought.object.pointer("/metadata/labels").cloned();
    let own: BTreeMap<String, String> = own
        .and_then(|own| serde_json::from_value(own).ok())
        .unwrap_or_default();
    match cluster.all::<Policy>(None).await {
        Ok(policies) => all.extend(policies.into_iter().filter_map(|policy| {
            let spec = &policy.spec;
            let (group, kind) = (sought.group.as_str(), sought.kind.as_str());
            let mut objects = spec.scope.objects.iter();
            let picks = spec.scope.objects.is_empty()
                || objects.any(|one| one.picks(group, kind, &sought.namespace, Some(&own)));
            let asked = spec.replay.is_none()
                && picks
                && spec.scope.selects(owner.namespace.as_str(), labels);
            asked.then(|| Some((policy.metadata.name.clone()?, spec.mode.as_str())))?
        })),
        Err(why) => answer.notes.push(format!("Policies cannot be read: {why}")),
    }
    let report = match cluster.report_of(&owner.namespace).await {
        Ok(report) => report.unwrap_or_default(),
        Err(why) => {
            answer
                .notes
                .push(format!("what policies said cannot be read: {why}"));
            Value::Null
        }
    };
    answer.policies = all
        .into_iter()
        .map(|(name, mode)| Judged {
            says: said(&report, &name, owner, sought),
            name,
            mode,
        })
        .collect();
}

/// What a report says that the policy said of the object.
fn said(report: &Value, policy: &str, owner: &NamespacedName, sought: &Sought) -> String {
    let results = report.get("results").and_then(Value::as_array);
    let text = |one: &Value, pointer: &str| {
        let text = one.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let is_about = |one: &&Value| {
        text(one, "/policy") == policy
            && text(one, "/properties/kustomization") == owner.to_string()
            && text(one, "/resources/0/kind") == sought.kind
            && text(one, "/resources/0/namespace") == sought.namespace
            && text(one, "/resources/0/name") == sought.name
    };
    let told: Vec<String> = results
        .into_iter()
        .flatten()
        .filter(is_about)
        .map(|one| format!("{}: {}", text(one, "/result"), text(one, "/message")))
        .collect();
    match told.is_empty() {
        true => "no objection is told".to_owned(),
        false => told.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sought(object: Value) -> Sought {
        Sought {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: "acme".to_owned(),
            name: "settings".to_owned(),
            object,
        }
    }

    #[test]
    fn who_else_manages_an_object_is_named_by_its_marks() {
        for (meta, want) in [
            (
                json!({"labels": {"helm.toolkit.fluxcd.io/name": "db", "helm.toolkit.fluxcd.io/namespace": "acme"}}),
                Some("HelmRelease acme/db of Flux"),
            ),
            (
                json!({"annotations": {"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": "acme"}}),
                Some("release db of Helm in namespace acme"),
            ),
            (
                json!({"annotations": {"argocd.argoproj.io/tracking-id": "web:apps"}}),
                Some("Argo CD (web:apps)"),
            ),
            (
                json!({"labels": {"reeve.dev/tenant": "acme"}}),
                Some("the landlord, for Tenant acme"),
            ),
            (json!({"labels": {"app": "web"}}), None),
        ] {
            let told = another(&json!({"metadata": meta}));
            assert_eq!(told.as_deref(), want);
        }
    }

    #[test]
    fn a_report_is_read_for_this_object_and_this_policy_alone() {
        let owner = NamespacedName::new("acme", "web").unwrap();
        let line = |policy: &str, name: &str| {
            json!({
                "policy": policy, "result": "warn", "message": format!("{name} is wrong"),
                "resources": [{"kind": "ConfigMap", "namespace": "acme", "name": name}],
                "properties": {"kustomization": "acme/web"},
            })
        };
        let report = json!({"results": [line("colours", "settings"), line("colours", "other"), line("sizes", "settings")]});
        let object = sought(json!({}));
        assert_eq!(
            said(&report, "colours", &owner, &object),
            "warn: settings is wrong"
        );
        assert_eq!(
            said(&report, "names", &owner, &object),
            "no objection is told"
        );
        assert_eq!(
            said(&Value::Null, "colours", &owner, &object),
            "no objection is told"
        );
    }
}
