//! What is made of a Tenant, and whether it may be: the landlord's decisions.
//!
//! A namespace is made in only when it bears the Tenant's label: one that was there before bears it once somebody has had it
//! adopted. What is made is the smallest that onboards: the namespace, the account with its role, the right of the delivery
//! to act as that account and as no other, and what the spec asks for beside that. What goes with a Tenant that is deleted is
//! `parting`'s to say. It deliberately makes no Secret. What is done with it is `reeve::landlord`'s.

pub mod import;
mod made;
pub mod parting;
mod said;

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::name::{NamespaceName, ObjectName, ServiceAccountName, TenantName};
use reeve_api::reason::Reason;
use reeve_api::tenant::Tenant;
use reeve_api::{CONFIRM_DELETE, MADE_BY, TENANT_LABEL};

use crate::failure::{Explained, Failure, Turn};
use crate::labelled::Labelled;
use crate::tenancy::Lost;

pub use made::{GRANT, Made, Wanted, delivered, fresh, home, namespace, within};
pub use said::{is_as_said, is_made};

/// The label of what the landlord has made, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "reeve-landlord");
/// The ClusterRole by which readers look.
const VIEW: &str = "view";
/// The longest name of a Tenant that something can be made of: it is the value of a label.
const NAME: usize = 63;

/// What the platform has said to its landlord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Where the GitRepositories and Receivers of tenants are made.
    pub config_namespace: Option<NamespaceName>,
    /// Where the account of the delivery lies.
    pub home: NamespaceName,
    /// The account of the delivery, which is let act as the tenants' accounts.
    pub delivery: ServiceAccountName,
    /// The ClusterRoles that tenants may be given.
    pub roles: BTreeSet<ObjectName>,
    /// The ClusterRole with the right to run commands in pods, and no other.
    pub exec: ObjectName,
    /// The label of what the delivery follows, where another controller has what is without it.
    pub label: Option<Labelled>,
}

/// A namespace, as it was last seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the landlord has made it.
    pub made: bool,
    /// The uid of the Tenant with which somebody has confirmed that it may go.
    pub confirmed: Option<String>,
    /// Whether it is being deleted.
    pub going: bool,
}

impl Seen {
    /// A namespace with these labels and annotations.
    pub fn new(
        labels: BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
        going: bool,
    ) -> Self {
        let (made, by) = MADE_BY;
        Self {
            labels,
            made: annotations.get(made).is_some_and(|value| value == by),
            confirmed: annotations.get(CONFIRM_DELETE).cloned(),
            going,
        }
    }

    /// The Tenant whose it is said to be.
    pub fn tenant(&self) -> Option<&str> {
        self.labels.get(TENANT_LABEL).map(String::as_str)
    }
}

/// Whether anything can be made of the Tenant at all.
pub fn judge(terms: &Terms, name: &TenantName, tenant: &Tenant) -> Result<(), Failure> {
    let refused = |message: String, hint: String| {
        Err(Explained::new(Reason::InvalidSpec, Turn::Owner, message).with_hint(hint))
    };
    if name.as_str().len() > NAME {
        let message = format!("the name of a Tenant has {NAME} characters at most");
        return refused(message, "make one with a shorter name".to_owned());
    }
    let role = &tenant.spec.role;
    if !terms.roles.contains(role) {
        let roles: Vec<&str> = terms.roles.iter().map(ObjectName::as_str).collect();
        let message = format!("spec.role: the landlord may not give the ClusterRole {role}");
        let hint = format!(
            "name one of {}, or have the platform list it in landlord.roles",
            roles.join(", ")
        );
        return refused(message, hint);
    }
    if !tenant.spec.readers.is_empty() && !terms.roles.iter().any(|role| role.as_str() == VIEW) {
        let message = format!("spec.readers: the landlord may not give the ClusterRole {VIEW}");
        let hint = format!("have the platform list {VIEW} in landlord.roles");
        return refused(message, hint);
    }
    if tenant.spec.source.is_some() && terms.config_namespace.is_none() {
        let message = "spec.source: there is no configuration namespace to make a source in";
        let hint = "have the platform name one in configNamespaces, or make the source by hand";
        return refused(message.to_owned(), hint.to_owned());
    }
    Ok(())
}

/// Whether the landlord may make and change things in `namespace` for `tenant`: it is not there yet, or is the tenant's by its
/// label.
pub fn claim(
    tenant: &TenantName,
    namespace: &NamespaceName,
    there: Option<&Seen>,
) -> Result<(), Failure> {
    if namespace.as_str().starts_with("kube-") {
        let message = format!("namespace {namespace} is Kubernetes' own");
        let why = Explained::new(Reason::NamespaceTaken, Turn::OwnerOrPolicy, message);
        return Err(why.with_hint("remove it from spec.namespaces"));
    }
    let Some(there) = there else { return Ok(()) };
    if there.going {
        let message = format!("namespace {namespace} is being deleted");
        return Err(Explained::new(
            Reason::OnboardingFailed,
            Turn::Dependency,
            message,
        ));
    }
    let message = match there.tenant() {
        Some(whose) if whose == tenant.as_str() => return Ok(()),
        Some(whose) => format!("namespace {namespace} was made or adopted for Tenant {whose}"),
        None => {
            format!("namespace {namespace} was there before Tenant {tenant} and is not adopted")
        }
    };
    let why = Explained::new(Reason::NamespaceNotAdopted, Turn::OwnerOrPolicy, message);
    Err(why.with_hint(format!(
        "`reeve tenant adopt {namespace} --tenant {tenant}` has it adopted, with all that is in it"
    )))
}

/// What is said of a namespace that somebody else has.
pub fn taken(lost: &Lost) -> Explained {
    let owner = match &lost.owner {
        Some(owner) => format!("Tenant {owner}"),
        None => "the platform".to_owned(),
    };
    let message = format!("namespace {} belongs to {owner}", lost.namespace);
    Explained::new(Reason::NamespaceTaken, Turn::OwnerOrPolicy, message)
        .with_hint("remove it from spec.namespaces, or from the other Tenant")
}

/// What is said of a namespace that was made for a Tenant and has become the platform's since: the landlord may do nothing there.
pub fn outgrown(tenant: &TenantName, namespace: &NamespaceName) -> Explained {
    let message = format!(
        "namespace {namespace} has become the platform's: what was made there of Tenant {tenant} stays, the controller's right to act as its account among it"
    );
    Explained::new(Reason::NamespaceTaken, Turn::OwnerOrPolicy, message).with_hint(format!(
        "the platform's: delete RoleBinding {GRANT} in it, take its label {TENANT_LABEL} off, and remove it from spec.namespaces"
    ))
}

#[cfg(test)]
mod tests;
