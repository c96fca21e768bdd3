//! The chart, rendered by the real helm: scenarios, demo and benchmarks run under exactly its rights and its arguments.
//!
//! The pod is what it cannot have here, where no image is: the controller runs beside the cluster, with the account of the
//! chart and what its Deployment would start it with, but for addresses and directories.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::install::{self, PLATFORM, SYSTEM};
use crate::objects;

/// What decides whose rights are whose, and where, and which calls go first.
const RIGHTS: [&str; 10] = [
    "Namespace",
    // What it writes into, and may not make.
    "ConfigMap",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "FlowSchema",
];

/// The chart as it would be installed, with some values in some namespace.
pub struct Release {
    root: PathBuf,
    namespace: String,
    text: String,
    objects: Vec<Value>,
}

/// What the estate's platform sets: its own delivery as an administrator, and git servers and registries on this machine.
#[must_use]
pub fn values() -> Value {
    json!({
        "platformServiceAccount": {"createIn": [PLATFORM], "clusterRole": "cluster-admin"},
        "allowSourceHosts": ["127.0.0.1", "127.0.0.0/8"],
        "allowArtifactHosts": ["127.0.0.1"],
        "plainHttpProviders": true,
    })
}

impl Release {
    /// The estate's own, rendered once in a process.
    pub async fn estate() -> anyhow::Result<&'static Self> {
        static RENDERED: OnceCell<Result<Release, String>> = OnceCell::const_new();
        let render = || async {
            let rendered = Self::render(SYSTEM, &values(), &[]).await;
            rendered.map_err(|why| format!("{why:?}"))
        };
        let rendered = RENDERED.get_or_init(render).await;
        rendered.as_ref().map_err(|why| anyhow!("{why}"))
    }

    /// The estate's own, with so many replicas that share the work.
    pub async fn sharing(replicas: usize) -> anyhow::Result<Self> {
        let mut values = values();
        if let Some(values) = values.as_object_mut() {
            values.insert("sharding".to_owned(), json!({"enabled": true}));
            values.insert("replicas".to_owned(), json!(replicas));
        }
        Self::render(SYSTEM, &values, &[]).await
    }

    /// The estate's own, of another version, whose files lie there.
    pub async fn estate_of(root: &Path) -> anyhow::Result<Self> {
        Self::render_from(root, SYSTEM, &values(), &[]).await
    }

    /// Renders it; `more` are further flags of `helm template`.
    pub async fn render(namespace: &str, values: &Value, more: &[&str]) -> anyhow::Result<Self> {
        Self::render_from(&crate::root(), namespace, values, more).await
    }

    async fn render_from(
        root: &Path,
        namespace: &str,
        values: &Value,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let at = format!("--namespace={namespace}");
        let chart = root.join("charts/reeve").display().to_string();
        let fixed = ["template", "reeve", &chart, &at, "--values=-"];
        let args = [&fixed[..], more].concat();
        let (home, input) = (tempfile::tempdir()?, values.to_string());
        let kubeconfig = home.path().join("none");
        let text = install::run("helm", &args, Some(&input), &kubeconfig, home.path()).await?;
        Ok(Self {
            root: root.to_owned(),
            namespace: namespace.to_owned(),
            objects: documents(&text)?,
            text,
        })
    }

    /// Where the files of its version lie.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What helm printed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The namespace that it is installed in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Everything that would be installed.
    #[must_use]
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// The object of that kind and name.
    pub fn object(&self, kind: &str, name: &str) -> anyhow::Result<&Value> {
        let is = |object: &&Value| {
            objects::text(object, "/kind") == Some(kind)
                && objects::text(object, "/metadata/name") == Some(name)
        };
        let found = self.objects.iter().find(is);
        found.with_context(|| format!("the chart has no {kind} {name}"))
    }

    /// Accounts and rights, behind the namespaces that they lie in.
    #[must_use]
    pub fn rights(&self) -> Vec<Value> {
        let is = |object: &&Value| {
            objects::text(object, "/kind").is_some_and(|kind| RIGHTS.contains(&kind))
        };
        let rights: Vec<&Value> = self.objects.iter().filter(is).collect();
        let place =
            |object: &&Value| objects::text(object, "/metadata/namespace").map(str::to_owned);
        let own = self.namespace.clone();
        let places: BTreeSet<String> = rights.iter().filter_map(place).chain([own]).collect();
        let made = |name: &String| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let rights = rights.into_iter().cloned();
        places.iter().map(made).chain(rights).collect()
    }

    /// The account of the controller.
    pub fn account(&self) -> anyhow::Result<&str> {
        let deployment = self.object("Deployment", "reeve")?;
        objects::text(deployment, "/spec/template/spec/serviceAccountName")
            .context("its Deployment names no account")
    }

    /// What the Deployment starts the program with.
    pub fn arguments(&self) -> anyhow::Result<Vec<String>> {
        self.arguments_of("reeve")
    }

    /// The same of one of both Deployments.
    pub fn arguments_of(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let deployment = self.object("Deployment", name)?;
        let args = deployment.pointer("/spec/template/spec/containers/0/args");
        let args = args.context("its Deployment has no arguments")?;
        Ok(serde_json::from_value(args.clone())?)
    }
}

/// Puts a flag in the place of the one of the same name, or behind all.
pub fn put(arguments: &mut Vec<String>, flag: String) {
    let name = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
    let named = name(&flag);
    match arguments.iter_mut().find(|there| name(there) == named) {
        Some(there) => *there = flag,
        None => arguments.push(flag),
    }
}

fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let documents = yaml_serde::Deserializer::from_str(text);
    let objects: Vec<Value> = documents
        .map(Value::deserialize)
        .collect::<Result<_, _>>()?;
    Ok(objects
        .into_iter()
        .filter(|object| !object.is_null())
        .collect())
}

#[cfg(test)]
mod tests;
