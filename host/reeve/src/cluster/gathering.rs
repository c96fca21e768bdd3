//! What `reeve support bundle` reads, as the API server writes it, with the rights of whoever asks.
//!
//! A closed list, on which Secrets are not, and no way to name another path. What is listed is listed by pages, so many objects at
//! most, and of a log the end. It deliberately takes nothing out: `core::scrub` does.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::Cluster;
use super::refusal::CallError;

/// Objects on one page of a list.
const PAGE: usize = 250;
/// The most objects of a list.
const MOST: usize = 5_000;
/// The most lines of a log, and the most bytes.
const LINES: usize = 5_000;
const BYTES: usize = 2 << 20;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// A kind of ours: its group, version and plural, and whether it lies in namespaces.
    Ours(&'static str, &'static str, &'static str, bool),
    Events,
    Nodes,
}

impl Listed {
    /// All kinds of ours.
    pub(crate) const OURS: [Self; 9] = [
        Self::Ours(reeve_api::SOURCE_GROUP, "v1", "gitrepositories", true),
        Self::Ours(reeve_api::KUSTOMIZE_GROUP, "v1", "kustomizations", true),
        Self::Ours(reeve_api::NOTIFICATION_GROUP, "v1", "receivers", true),
        Self::Ours(reeve_api::REEVE_GROUP, "v1alpha1", "plugins", true),
        Self::Ours(reeve_api::REEVE_GROUP, "v1alpha1", "clusterplugins", false),
        Self::Ours(reeve_api::REEVE_GROUP, "v1alpha1", "policies", false),
        Self::Ours(reeve_api::REEVE_GROUP, "v1alpha1", "tenants", false),
        Self::Ours(reeve_api::REEVE_GROUP, "v1alpha1", "projects", false),
        Self::Ours(reeve_api::REEVE_GROUP, "v1alpha1", "writebacks", true),
    ];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours(_, _, plural, _) => plural,
            Self::Events => "events",
            Self::Nodes => "nodes",
        }
    }

    /// Whether anything of it can be of a namespace.
    pub(crate) fn is_namespaced(self) -> bool {
        match self {
            Self::Ours(_, _, _, namespaced) => namespaced,
            Self::Events => true,
            Self::Nodes => false,
        }
    }

    fn path(self, namespace: Option<&str>) -> String {
        let within = namespace
            .filter(|_| self.is_namespaced())
            .map(|namespace| format!("namespaces/{}/", encoded(namespace)));
        let within = within.unwrap_or_default();
        match self {
            Self::Ours(group, version, plural, _) => {
                format!("/apis/{group}/{version}/{within}{plural}")
            }
            Self::Events => format!("/api/v1/{within}events"),
            Self::Nodes => "/api/v1/nodes".to_owned(),
        }
    }
}

/// Objects, and whether those are all.
pub(crate) struct Gathered {
    pub(crate) items: Vec<Value>,
    pub(crate) cut_off: bool,
}

/// A container of a pod.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) name: String,
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Cluster {
    /// All of that, in a namespace or everywhere.
    pub(crate) async fn gather(
        &self,
        what: Listed,
        namespace: Option<&str>,
    ) -> Result<Gathered, CallError> {
        self.gathered(&what.path(namespace), "").await
    }

    /// The pods with these labels.
    pub(crate) async fn gather_pods(
        &self,
        namespace: &str,
        labels: &str,
    ) -> Result<Gathered, CallError> {
        let path = format!("/api/v1/namespaces/{}/pods", encoded(namespace));
        let which = format!("&labelSelector={}", encoded(labels));
        self.gathered(&path, &which).await
    }

    /// Who holds which Lease.
    pub(crate) async fn gather_leases(&self, namespace: &str) -> Result<Gathered, CallError> {
        let namespace = encoded(namespace);
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        self.gathered(&path, "").await
    }

    /// The end of a container's log; of the one before it was last started, if there was one.
    pub(crate) async fn log_of(
        &self,
        container: &Container,
        previous: bool,
    ) -> Result<String, CallError> {
        let Container {
            namespace,
            pod,
            name,
        } = container;
        let (namespace, pod, name) = (encoded(namespace), encoded(pod), encoded(name));
        let path = format!(
            "/api/v1/namespaces/{namespace}/pods/{pod}/log?container={name}&previous={previous}&tailLines={LINES}&limitBytes={BYTES}"
        );
        let log = self.own.impatient().read(&path, "*/*").await?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// The metrics of a pod, through the API server.
    pub(crate) async fn metrics_of(
        &self,
        container: &Container,
        port: u16,
    ) -> Result<String, CallError> {
        let (namespace, pod) = (encoded(&container.namespace), encoded(&container.pod));
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics");
        let text = self.own.impatient().read(&path, "*/*").await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    async fn gathered(&self, path: &str, which: &str) -> Result<Gathered, CallError> {
        let mut items = Vec::new();
        let first = format!("{path}?limit={PAGE}{which}");
        let mut page = first.clone();
        loop {
            let (found, next) = self.own.impatient().page(&page).await?;
            items.extend(found);
            match next {
                None => break,
                Some(_) if items.len() >= MOST => {
                    let cut_off = true;
                    return Ok(Gathered { items, cut_off });
                }
                Some(next) => page = format!("{first}&continue={next}"),
            }
        }
        let cut_off = false;
        Ok(Gathered { items, cut_off })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_listed_is_a_secret_and_a_namespace_is_only_a_name() {
        let all = Listed::OURS.into_iter();
        for what in all.chain([Listed::Events, Listed::Nodes]) {
            assert!(!what.path(None).contains("secret"), "{what:?}");
            let path = what.path(Some("a/../../secrets"));
            assert!(!path.contains(".."), "{path}");
        }
        let path = Listed::OURS.first().map(|what| what.path(Some("acme")));
        let want = "/apis/source.toolkit.fluxcd.io/v1/namespaces/acme/gitrepositories";
        assert_eq!(path.as_deref(), Some(want));
    }
}
