//! All that an account has no right to, of what a run does: told at once, and not one refusal after the other.
//!
//! A dry run shows that an object may be written, so nobody is asked while all goes well. When one was refused, and before
//! the first write or hook for what comes later, the deletion of hooks with it, the API server's own authorizer is asked, as the account: once for each
//! verb, kind and namespace, and by name only where that is refused. What it does not answer counts as allowed: the write
//! itself will tell. It deliberately grants nothing and remembers nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::ApiResource;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_core::plan::{Admitted, Plan, Planned, Stage};
use serde_json::{Value, json};

use super::applied::ApplyError;
use super::prune::PruneError;
use super::tenant_client::TenantClient;
use super::wire::Address;

/// How long asking may take in all: who cannot be asked is told what was refused, and no more.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many rights are asked about, how many objects of one by name, and how many are told.
const ASKED: usize = 200;
const BY_NAME: usize = 20;
const TOLD: usize = 40;

/// A verb on a kind in a namespace, or (None) in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Right {
    namespace: Option<String>,
    group: String,
    resource: String,
    verb: &'static str,
}

/// What an account has no right to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Lacking {
    /// `system:serviceaccount:<namespace>:<name>`.
    account: String,
    rights: BTreeSet<Right>,
}

/// Where the objects are for which a right is needed.
type Needed = BTreeMap<Right, Vec<Address>>;

impl TenantClient {
    /// The same failure with all that the account has no right to, if that is why.
    pub(super) async fn with_rights(&self, plan: &Plan<Admitted>, why: ApplyError) -> ApplyError {
        match why {
            ApplyError::Refused { failures, done } if failures.are_by_rbac() => {
                let failures = failures.for_lack_of(self.lacking(plan).await);
                ApplyError::Refused { failures, done }
            }
            other => other,
        }
    }

    /// The same for what may not be deleted.
    pub(super) async fn with_rights_to_prune(
        &self,
        plan: &Plan<Admitted>,
        why: PruneError,
    ) -> PruneError {
        match why {
            PruneError::Refused {
                failures,
                done,
                left,
            } if failures.are_by_rbac() => PruneError::Refused {
                failures: failures.for_lack_of(self.lacking(plan).await),
                done,
                left,
            },
            other => other,
        }
    }

    /// What the account has no right to of what no dry run has shown yet: all, or what comes after the first stage, if that `is_shown`;
    /// and of what deleting the `leavers` among the hooks takes. Asked before anything is written; not where roles come first,
    /// since what they grant is not there yet.
    pub async fn foresee(
        &self,
        plan: &Plan<Admitted>,
        is_shown: bool,
        leavers: &[&Planned],
    ) -> Result<(), Explained> {
        let grants = |object: &Planned| object.id().group == "rbac.authorization.k8s.io";
        let first = plan.stages().next();
        let mut first = first.into_iter().flat_map(Stage::objects);
        if first.any(grants) || plan.hooks().any(grants) {
            return Ok(());
        }
        let later = plan.stages().skip(usize::from(is_shown));
        let later = later.flat_map(Stage::objects);
        let later: Vec<&Planned> = later.chain(plan.hooks()).collect();
        if later.is_empty() {
            return Ok(());
        }
        let needed = async {
            let mut needed = self.to_write(later).await;
            for hook in leavers {
                self.need(&mut needed, hook.id(), Some(hook.version()), &["delete"])
                    .await;
            }
            needed
        };
        let lacking = self.asked(needed).await;
        match lacking.is_empty() {
            true => Ok(()),
            false => Err(lacking.explained()),
        }
    }

    /// All that the account has no right to of what the plan does.
    async fn lacking(&self, plan: &Plan<Admitted>) -> Lacking {
        let needed = async {
            let mut needed = self.to_write(plan.objects()).await;
            for entry in plan.prune() {
                let version = Some(entry.version.as_str());
                self.need(&mut needed, &entry.id, version, &["get", "delete"])
                    .await;
            }
            let goes = |hook: &&Planned| hook.goes(true) || hook.goes(false);
            for hook in plan.hooks().filter(goes) {
                self.need(&mut needed, hook.id(), Some(hook.version()), &["delete"])
                    .await;
            }
            needed
        };
        self.asked(needed).await
    }

    /// What it takes to apply these.
    async fn to_write<'p>(&self, objects: impl IntoIterator<Item = &'p Planned>) -> Needed {
        let mut needed = Needed::new();
        for object in objects {
            let verbs = &["get", "patch", "create"];
            self.need(&mut needed, object.id(), Some(object.version()), verbs)
                .await;
        }
        needed
    }

    /// Adds what one object takes. A kind that nobody serves takes nothing.
    async fn need(
        &self,
        needed: &mut Needed,
        id: &ObjectId,
        version: Option<&str>,
        verbs: &[&'static str],
    ) {
        let Ok(Some(at)) = self.locate(id, version).await else {
            return;
        };
        for verb in verbs {
            let right = Right {
                namespace: at.address.namespace.clone(),
                group: at.address.resource.group.clone(),
                resource: at.address.resource.plural.clone(),
                verb,
            };
            needed.entry(right).or_default().push(at.address.clone());
        }
    }

    async fn asked(&self, needed: impl Future<Output = Needed>) -> Lacking {
        let asking = async {
            let needed = needed.await;
            let each = needed.into_iter().take(ASKED);
            let each: Vec<_> = each
                .map(|(right, objects)| async move {
                    self.lacks(&right, &objects).await.then_some(right)
                })
                .collect();
            let asked = futures::stream::iter(each).buffered(self.concurrency);
            asked.filter_map(std::future::ready).collect().await
        };
        let rights = tokio::time::timeout(PATIENCE, asking).await;
        Lacking {
            account: self.account().to_owned(),
            rights: rights.unwrap_or_default(),
        }
    }

    /// Whether the account lacks the right for any of these objects.
    async fn lacks(&self, right: &Right, objects: &[Address]) -> bool {
        if self.may(right, None).await {
            return false;
        }
        for object in objects.iter().take(BY_NAME) {
            let lacks = match right.verb {
                // What is there already is not created.
                "create" => !matches!(self.wire.get(object).await, Ok(Some(_))),
                _ => !self.may(right, Some(&object.name)).await,
            };
            if lacks {
                return true;
            }
        }
        false
    }

    /// What the authorizer says.
    async fn may(&self, right: &Right, name: Option<&str>) -> bool {
        let Right {
            namespace,
            group,
            resource,
            verb,
        } = right;
        // Empty means the cluster, and any name.
        let (namespace, name) = (
            namespace.as_deref().unwrap_or_default(),
            name.unwrap_or_default(),
        );
        let about = json!({
            "group": group, "resource": resource, "verb": verb, "namespace": namespace, "name": name,
        });
        let question = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": about},
        });
        let answer = self.wire.create(&reviews(), &question).await;
        let said = answer.map(|answer| answer.pointer("/status/allowed").and_then(Value::as_bool));
        said.ok().flatten().unwrap_or(true)
    }
}

/// Where somebody asks what he may do himself.
pub(super) fn reviews() -> Address {
    Address {
        resource: ApiResource {
            group: "authorization.k8s.io".into(),
            version: "v1".into(),
            api_version: "authorization.k8s.io/v1".into(),
            kind: "SelfSubjectAccessReview".into(),
            plural: "selfsubjectaccessreviews".into(),
        },
        namespace: None,
        name: String::new(),
    }
}

impl Right {
    fn resource(&self) -> String {
        match self.group.as_str() {
            "" => self.resource.clone(),
            group => format!("{}.{group}", self.resource),
        }
    }
}

impl Lacking {
    pub(super) fn is_empty(&self) -> bool {
        self.rights.is_empty()
    }

    /// Roles that would grant it, and the command that shows the first of it.
    pub(super) fn hint(&self) -> Option<String> {
        let Right {
            namespace, verb, ..
        } = self.rights.first()?;
        let resource = self.rights.first()?.resource();
        let account = &self.account;
        let here = namespace.as_ref().map(|at| format!(" -n {at}"));
        let here = here.unwrap_or_default();
        Some(format!(
            "grant {account} {}; check with `kubectl auth can-i {verb} {resource}{here} --as {account}`",
            self.roles().join(", and ")
        ))
    }

    /// A role for each namespace.
    fn roles(&self) -> Vec<String> {
        let mut places: BTreeMap<&Option<String>, Kinds<'_>> = BTreeMap::new();
        for right in self.rights.iter().take(TOLD) {
            let kinds = places.entry(&right.namespace).or_default();
            let verbs = kinds.entry((&right.group, &right.resource)).or_default();
            verbs.push(right.verb);
        }
        let each = places.into_iter();
        each.map(|(place, kinds)| role(place.as_deref(), kinds))
            .collect()
    }

    /// Why nothing was written.
    fn explained(&self) -> Explained {
        // A role is not in the object itself: it may be granted at any time.
        let why = Explained::new(Reason::ReconciliationFailed, Turn::Retry, self.to_string());
        match self.hint() {
            Some(hint) => why.with_hint(hint),
            None => why,
        }
    }
}

/// The verbs on each kind, by group and plural.
type Kinds<'r> = BTreeMap<(&'r str, &'r str), Vec<&'r str>>;

fn role(namespace: Option<&str>, kinds: Kinds<'_>) -> String {
    let rules = kinds.into_iter().map(|((group, resource), verbs)| {
        let verbs = verbs.join(", ");
        format!("{{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verbs}]}}")
    });
    let rules = rules.collect::<Vec<_>>().join(", ");
    match namespace {
        Some(namespace) => format!("a Role in {namespace} with rules: [{rules}]"),
        None => format!("a ClusterRole with rules: [{rules}]"),
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account.strip_prefix("system:serviceaccount:") {
            Some(account) => write!(f, "ServiceAccount {} may not:", account.replace(':', "/"))?,
            None => write!(f, "{} may not:", self.account)?,
        }
        for (nth, right) in self.rights.iter().take(TOLD).enumerate() {
            let comma = if nth > 0 { "," } else { "" };
            write!(f, "{comma} {} {}", right.verb, right.resource())?;
            match &right.namespace {
                Some(namespace) => write!(f, " in {namespace}")?,
                None => f.write_str(" in the cluster")?,
            }
        }
        match self.rights.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(verb: &'static str, resource: &str, namespace: Option<&str>) -> Right {
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        Right {
            namespace: namespace.map(str::to_owned),
            group: group.to_owned(),
            resource: resource.to_owned(),
            verb,
        }
    }

    fn lacking(rights: impl IntoIterator<Item = Right>) -> Lacking {
        Lacking {
            account: "system:serviceaccount:acme:x".to_owned(),
            rights: rights.into_iter().collect(),
        }
    }

    #[test]
    fn all_that_is_lacking_is_told_in_one_sentence_with_the_roles_that_grant_it() {
        let lacking = lacking([
            right("delete", "configmaps", Some("acme")),
            right("patch", "deployments.apps", Some("acme")),
            right("create", "deployments.apps", Some("acme")),
            right("patch", "clusterroles.rbac.authorization.k8s.io", None),
        ]);
        assert_eq!(
            lacking.to_string(),
            "ServiceAccount acme/x may not: patch clusterroles.rbac.authorization.k8s.io in the cluster, \
             delete configmaps in acme, create deployments.apps in acme, patch deployments.apps in acme"
        );
        assert_eq!(
            lacking.hint().unwrap(),
            "grant system:serviceaccount:acme:x \
             a ClusterRole with rules: [{apiGroups: [\"rbac.authorization.k8s.io\"], resources: [clusterroles], verbs: [patch]}], and \
             a Role in acme with rules: [{apiGroups: [\"\"], resources: [configmaps], verbs: [delete]}, \
             {apiGroups: [\"apps\"], resources: [deployments], verbs: [create, patch]}]; check with \
             `kubectl auth can-i patch clusterroles.rbac.authorization.k8s.io --as system:serviceaccount:acme:x`"
        );
        let why = lacking.explained();
        assert_eq!(
            (why.reason, why.turn),
            (Reason::ReconciliationFailed, Turn::Retry)
        );
    }

    #[test]
    fn a_thousand_rights_are_one_bounded_message() {
        let many = (0..1000).map(|nth| right("get", &format!("kind{nth}.example"), Some("acme")));
        let lacking = lacking(many);
        let told = lacking.to_string();
        assert!(told.ends_with(" and 960 more"), "{told}");
        assert!(told.len() < 3000 && lacking.hint().unwrap().len() < 6000);
        assert_eq!(Lacking::default().hint(), None);
    }
}
