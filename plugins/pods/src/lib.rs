//! Finds the pods in Kubernetes' own workloads, and the containers in them.
//!
//! Not a plugin: what several of them need. It knows the kinds of Kubernetes itself; where another
//! kind keeps a pod is its own affair, and such a kind is left alone.

use serde_json::{Map, Value};

/// The pod of a workload.
pub struct Pod<'a> {
    /// Where it is in the manifest: `spec.template.spec`.
    pub path: &'static str,
    /// Its spec.
    pub spec: &'a mut Map<String, Value>,
}

/// The lists of containers that a pod has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum List {
    Init,
    Main,
    Ephemeral,
}

impl List {
    pub const ALL: [Self; 3] = [Self::Init, Self::Main, Self::Ephemeral];

    /// Its field.
    pub fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Main => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

/// The pod in `manifest`, if it is of a kind that has one and has it.
pub fn pod(manifest: &mut Value) -> Option<Pod<'_>> {
    let path = path(manifest)?;
    let spec = path
        .split('.')
        .try_fold(manifest, |value, key| value.get_mut(key))?;
    Some(Pod {
        path,
        spec: spec.as_object_mut()?,
    })
}

/// Where the kind of `manifest` keeps its pod.
fn path(manifest: &Value) -> Option<&'static str> {
    let kind = manifest.get("kind")?.as_str()?;
    let version = manifest.get("apiVersion")?.as_str()?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    Some(match (group, kind) {
        ("", "Pod") => "spec",
        ("", "PodTemplate") => "template.spec",
        ("", "ReplicationController")
        | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("batch", "Job") => "spec.template.spec",
        ("batch", "CronJob") => "spec.jobTemplate.spec.template.spec",
        _ => return None,
    })
}

impl Pod<'_> {
    /// The containers of one list, each with its path in the manifest.
    pub fn containers(
        &mut self,
        list: List,
    ) -> impl Iterator<Item = (String, &mut Map<String, Value>)> {
        let path = self.path;
        let containers = self
            .spec
            .get_mut(list.field())
            .and_then(Value::as_array_mut);
        containers
            .into_iter()
            .flatten()
            .enumerate()
            .filter_map(move |(at, container)| {
                let path = format!("{path}.{}[{at}]", list.field());
                Some((path, container.as_object_mut()?))
            })
    }
}
