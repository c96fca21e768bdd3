//! What whoever asks may do: to install reeve, and to work with it. The API server's authorizer says it.

use super::Finding;
use crate::cluster::{Cluster, Right};

const FLUX: [(&str, &str); 3] = [
    ("source.toolkit.fluxcd.io", "gitrepositories"),
    ("kustomize.toolkit.fluxcd.io", "kustomizations"),
    ("notification.toolkit.fluxcd.io", "receivers"),
];

/// What the charts need.
const INSTALLED: [(&str, &str); 5] = [
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("", "namespaces"),
    ("apps", "deployments"),
];

/// What one has to be allowed to install it.
pub(super) async fn install(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (group, resource) in INSTALLED {
        let right = Right {
            verb: "create",
            group,
            resource,
            namespace: None,
        };
        findings.push(match cluster.may(right).await {
            Ok(true) => Finding::passed(format!("you may create {resource}")),
            Ok(false) => Finding::failed(
                format!("you may not create {resource}"),
                "install as an administrator of the cluster (cluster-admin)",
            ),
            Err(why) => Finding::unasked("asking what you may do", &why),
        });
    }
    findings
}

/// What one may do with it in a namespace. Nobody needs all of it: what is not allowed is no failure.
pub(super) async fn work(cluster: &Cluster, namespace: &str) -> Vec<Finding> {
    let flux = FLUX.iter().flat_map(|(group, resource)| {
        let verbs = ["list", "watch", "patch"].iter();
        verbs.map(move |verb| (*verb, *group, *resource))
    });
    let mut findings = Vec::new();
    for (verb, group, resource) in flux.chain([("list", "", "events")]) {
        let right = Right {
            verb,
            group,
            resource,
            namespace: Some(namespace),
        };
        let what = format!("{verb} {resource} in {namespace}");
        findings.push(match cluster.may(right).await {
            Ok(true) => Finding::passed(format!("you may {what}")),
            Ok(false) => Finding::skipped(format!("you may not {what}")),
            Err(why) => Finding::unasked("asking what you may do", &why),
        });
    }
    findings
}
