//! What the tenant's ServiceAccount has no right to. The last row would also change what it may: one
//! object that is refused keeps its whole stage from being written.

use reeve_api::reason::Reason;
use serde_json::json;

use super::{RED, Row, row};

pub(super) fn rows() -> Vec<Row> {
    own_rights()
        .into_iter()
        .chain(of_the_cluster())
        .chain(of_the_platform())
        .collect()
}

fn own_rights() -> Vec<Row> {
    let failed = Reason::ReconciliationFailed;
    vec![
        row(
            "a RoleBinding to more than it has",
            |d, _| d.commit("admin.yaml", MORE_THAN_IT_HAS),
            failed,
            "RoleBinding",
        ),
        row(
            "a ServiceAccount without any right",
            |d, _| {
                d.set("serviceAccountName", json!("default"));
                d.commit("settings.yaml", RED);
            },
            failed,
            "forbidden",
        ),
        row(
            "a ServiceAccount that does not exist",
            |d, _| {
                d.set("serviceAccountName", json!("nobody"));
                d.commit("settings.yaml", RED);
            },
            failed,
            "nobody",
        ),
        row(
            "the controller's own ServiceAccount",
            |d, _| {
                d.set("serviceAccountName", json!("reeve"));
                d.commit("settings.yaml", RED);
            },
            failed,
            "reeve",
        ),
        row(
            "a kind it may not write, beside a change that it may make",
            |d, _| {
                d.commit("quota.yaml", QUOTA);
                d.commit("settings.yaml", RED);
            },
            failed,
            "ResourceQuota",
        ),
    ]
}

fn of_the_cluster() -> Vec<Row> {
    let failed = Reason::ReconciliationFailed;
    vec![
        row(
            "a ClusterRoleBinding to itself",
            |d, _| {
                let binding = ADMIN_FOR_ITSELF.replace("NAMESPACE", d.namespace());
                d.commit("admin.yaml", binding);
            },
            failed,
            "ClusterRoleBinding",
        ),
        row(
            "a ClusterRole that may impersonate",
            |d, _| {
                d.commit(
                    "role.yaml",
                    IMPERSONATES.replace("NAMESPACE", d.namespace()),
                );
            },
            failed,
            "ClusterRole",
        ),
        row(
            "a PriorityClass",
            |d, _| d.commit("priority.yaml", PRIORITY_CLASS),
            failed,
            "PriorityClass",
        ),
        row(
            "a Namespace",
            |d, _| {
                d.commit(
                    "namespace.yaml",
                    NAMESPACE.replace("NAMESPACE", d.namespace()),
                );
            },
            failed,
            "Namespace",
        ),
        row(
            "a webhook that changes everything",
            |d, _| d.commit("webhook.yaml", WEBHOOK.replace("NAMESPACE", d.namespace())),
            failed,
            "MutatingWebhookConfiguration",
        ),
    ]
}

fn of_the_platform() -> Vec<Row> {
    let failed = Reason::ReconciliationFailed;
    vec![
        row(
            "a Tenant that says the neighbour's ground is its own",
            |d, neighbour| {
                let tenant = TENANT.replace("NAMESPACE", d.namespace());
                d.commit("tenant.yaml", tenant.replace("NEIGHBOUR", neighbour));
            },
            failed,
            "Tenant",
        ),
        row(
            "a Policy of its own",
            |d, _| d.commit("policy.yaml", POLICY.replace("NAMESPACE", d.namespace())),
            failed,
            "Policy",
        ),
    ]
}

const ADMIN_FOR_ITSELF: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: NAMESPACE-admin
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cluster-admin
subjects:
- kind: ServiceAccount
  name: flux
  namespace: NAMESPACE
";
const MORE_THAN_IT_HAS: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: more
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cluster-admin
subjects:
- kind: ServiceAccount
  name: flux
";
const IMPERSONATES: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: NAMESPACE-impersonates
rules:
- apiGroups: ['']
  resources: [users, groups, serviceaccounts]
  verbs: [impersonate]
";
const PRIORITY_CLASS: &str = "\
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata:
  name: first
value: 1000000
";
const QUOTA: &str = "\
apiVersion: v1
kind: ResourceQuota
metadata:
  name: more
spec:
  hard:
    pods: '1000'
";
const NAMESPACE: &str = "\
apiVersion: v1
kind: Namespace
metadata:
  name: NAMESPACE-two
";
const WEBHOOK: &str = "\
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: NAMESPACE
webhooks: []
";
const TENANT: &str = "\
apiVersion: reeve.dev/v1alpha1
kind: Tenant
metadata:
  name: NAMESPACE
spec:
  namespaces: [NAMESPACE, NEIGHBOUR]
";
const POLICY: &str = "\
apiVersion: reeve.dev/v1alpha1
kind: Policy
metadata:
  name: NAMESPACE
spec:
  shipped: pod-security
";
