//! A pod of a Deployment, run beside the cluster as its kubelet would run it: with the arguments, the environment and the volumes that
//! the API server says, and as its account.
//!
//! KWOK plays the kubelets here, so that pods count as running and nothing of them runs. What runs here is the program that the
//! image holds, in a root of its own with nothing but that, this machine's libraries, and what the pod mounts. It deliberately
//! pulls no image, and holds nobody to a user, to limits, or to mounts that are read-only.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{DynamicObject, ListParams};
use serde_json::Value;

use crate::disk::is_root;
use crate::objects::{self, text};
use crate::plane::Plane;
use crate::process::Process;
use crate::wait;

/// What goes into another root, and runs there what comes last: the root, the program, whatever is mounted and where, `--`, and what
/// `env` is told. All of it is gone with the process, whose mounts nobody else sees.
const SCRIPT: &str = r#"set -e
root=$1; shift
for dir in bin lib lib64 sbin usr; do
    if [ -L "/$dir" ]; then cp -P "/$dir" "$root/$dir"
    elif [ -d "/$dir" ]; then mkdir "$root/$dir"; mount --rbind "/$dir" "$root/$dir"; fi
done
for dir in dev proc; do mkdir "$root/$dir"; mount --rbind "/$dir" "$root/$dir"; done
if [ -d /etc/ssl ]; then mkdir -p "$root/etc/ssl"; mount --rbind /etc/ssl "$root/etc/ssl"; fi
: > "$root/reeve"; mount --bind "$1" "$root/reeve"; shift
while [ "$1" != -- ]; do mkdir -p "$root$2"; mount --bind "$1" "$root$2"; shift 2; done
shift
exec chroot "$root" env -i "$@"
"#;

/// Files by their names.
type Files = BTreeMap<String, Vec<u8>>;

/// A pod as the API server has it.
pub struct Pod {
    namespace: String,
    name: String,
    spec: Value,
}

impl Pod {
    /// The only one of a Deployment, once that is as it is wanted.
    pub async fn of(plane: &Plane, namespace: &str, deployment: &str) -> anyhow::Result<Self> {
        let all = objects::api(plane.admin(), "apps/v1", "Deployment", Some(namespace));
        let found = wait::for_object(&all, deployment, "its one pod runs", is_current).await?;
        let labels = found.data.pointer("/spec/selector/matchLabels");
        let labels = labels.and_then(Value::as_object).into_iter().flatten();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        let pods = objects::api(plane.admin(), "v1", "Pod", Some(namespace));
        let selected = ListParams::default().labels(&labels.join(","));
        let only = || async {
            let mut pods = pods.list(&selected).await.ok()?.items;
            pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
            let one = pods.pop()?;
            pods.is_empty().then_some(one)
        };
        let pod = wait::until(wait::PATIENCE, "it has one pod", only).await?;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: pod.metadata.name.context("a pod has a name")?,
            spec: pod.data.get("spec").cloned().unwrap_or_default(),
        })
    }

    /// Runs its first container. Each time its volumes hold what is there then.
    pub async fn start(&self, plane: &Plane, program: &Path) -> anyhow::Result<Process> {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let at = plane.room(&format!("pods/{}-{run}", self.name))?;
        let root = at.join("root");
        std::fs::create_dir(&root)?;
        let container = self.spec.pointer("/containers/0");
        let container = container.context("a pod has a container")?;
        ensure!(
            container.get("command").is_none(),
            "it is the image that says what is run"
        );
        let mut command = Command::new("unshare");
        if !is_root()? {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "sh", "-c", SCRIPT, "pod"]);
        command.arg(&root).arg(program);
        for (volume, path) in self.mounts(plane, container, &at).await? {
            command.arg(volume).arg(path);
        }
        command.arg("--");
        if let Some(dir) = text(container, "/workingDir") {
            command.arg(format!("--chdir={dir}"));
        }
        command.args(environment(plane, container)?).arg("/reeve");
        command.args(list(container, "/args").filter_map(Value::as_str));
        let name = format!("{}-{run}", self.name);
        Process::start(&name, command, &plane.logs()).context("starting unshare")
    }

    /// What is mounted and where, the shortest paths first, since others lie in these.
    async fn mounts(
        &self,
        plane: &Plane,
        container: &Value,
        at: &Path,
    ) -> anyhow::Result<Vec<(PathBuf, String)>> {
        let mut mounts = Vec::new();
        for mount in list(container, "/volumeMounts") {
            let (name, path) = (text(mount, "/name"), text(mount, "/mountPath"));
            let (name, path) = (name.context("a name")?, path.context("a path")?);
            ensure!(
                mount.get("subPath").is_none(),
                "no part of a volume is mounted"
            );
            let dir = at.join("volumes").join(name);
            if !dir.exists() {
                self.fill(plane, name, &dir).await?;
            }
            mounts.push((dir, path.to_owned()));
        }
        mounts.sort_by_key(|(_, path)| path.len());
        Ok(mounts)
    }

    /// Makes a volume's directory, as the kubelet lays it out: what is in it goes by a link, so that all of it changes at once.
    async fn fill(&self, plane: &Plane, name: &str, dir: &Path) -> anyhow::Result<()> {
        let mut all = list(&self.spec, "/volumes");
        let volume = all.find(|one| text(one, "/name") == Some(name));
        let volume = volume.with_context(|| format!("there is no volume {name}"))?;
        std::fs::create_dir_all(dir)?;
        if volume.get("emptyDir").is_some() {
            return Ok(());
        }
        let mut files = Files::new();
        match volume.get("projected") {
            Some(projected) => {
                for source in list(projected, "/sources") {
                    files.extend(self.source(plane, source).await?);
                }
            }
            None => files = self.source(plane, volume).await?,
        }
        std::fs::create_dir(dir.join("..first"))?;
        symlink("..first", dir.join("..data"))?;
        for (file, bytes) in files {
            std::fs::write(dir.join("..first").join(&file), bytes)?;
            symlink(format!("..data/{file}"), dir.join(&file))?;
        }
        Ok(())
    }

    /// What one source of a volume holds.
    async fn source(&self, plane: &Plane, source: &Value) -> anyhow::Result<Files> {
        for (field, kind) in [("secret", "Secret"), ("configMap", "ConfigMap")] {
            if let Some(how) = source.get(field) {
                return self.kept(plane, kind, how).await;
            }
        }
        if let Some(path) = text(source, "/serviceAccountToken/path") {
            let account = text(&self.spec, "/serviceAccountName").unwrap_or("default");
            let token = plane.token_of(&self.namespace, account).await?;
            return Ok(Files::from([(path.to_owned(), token.into_bytes())]));
        }
        if let Some(told_of) = source.get("downwardAPI") {
            let told = |item: &Value| match text(item, "/fieldRef/fieldPath") {
                Some("metadata.namespace") => Ok(self.namespace.clone()),
                Some("metadata.name") => Ok(self.name.clone()),
                field => bail!("nobody tells a pod its {field:?} here"),
            };
            let files = list(told_of, "/items").map(|item| {
                let path = text(item, "/path").context("an item has a path")?;
                anyhow::Ok((path.to_owned(), told(item)?.into_bytes()))
            });
            return files.collect();
        }
        bail!("no such volume is made here: {source}")
    }

    /// What a Secret or a ConfigMap holds; nothing where it may be missing and is.
    async fn kept(&self, plane: &Plane, kind: &str, how: &Value) -> anyhow::Result<Files> {
        // Of a volume a Secret is named otherwise than of a source.
        let name = text(how, "/name").or_else(|| text(how, "/secretName"));
        let name = name.with_context(|| format!("a {kind} has a name"))?;
        let all = objects::api(plane.admin(), "v1", kind, Some(&self.namespace));
        let Some(found) = all.get_opt(name).await? else {
            let is_optional = how.get("optional") == Some(&Value::Bool(true));
            ensure!(is_optional, "there is no {kind} {name}");
            return Ok(Files::new());
        };
        let mut files = Files::new();
        let data = found.data.get("data").and_then(Value::as_object);
        for (key, value) in data.into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            let bytes = match kind {
                "Secret" => STANDARD.decode(value)?,
                _ => value.as_bytes().to_vec(),
            };
            files.insert(key.clone(), bytes);
        }
        if how.get("items").is_none() {
            return Ok(files);
        }
        let chosen = list(how, "/items").filter_map(|item| {
            let (key, path) = (text(item, "/key")?, text(item, "/path")?);
            Some((path.to_owned(), files.get(key)?.clone()))
        });
        Ok(chosen.collect())
    }
}

/// What every container is told, and what its pod says.
fn environment(plane: &Plane, container: &Value) -> anyhow::Result<Vec<String>> {
    let url = plane.url();
    let address = url.strip_prefix("https://").unwrap_or(&url);
    let (host, port) = address.split_once(':').context("an address has a port")?;
    let mut all = vec![
        "PATH=/usr/bin:/bin".to_owned(),
        format!("KUBERNETES_SERVICE_HOST={host}"),
        format!("KUBERNETES_SERVICE_PORT={port}"),
    ];
    for one in list(container, "/env") {
        let (name, value) = (text(one, "/name"), text(one, "/value"));
        ensure!(
            one.get("valueFrom").is_none(),
            "no such value is made here: {one}"
        );
        all.push(format!(
            "{}={}",
            name.context("a variable has a name")?,
            value.unwrap_or_default()
        ));
    }
    Ok(all)
}

fn list<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    let all = value.pointer(pointer).and_then(Value::as_array);
    all.into_iter().flatten()
}

/// Whether a Deployment of one pod is as it was wanted last.
fn is_current(deployment: &DynamicObject) -> bool {
    let status = |field: &str| deployment.data.pointer("/status")?.get(field)?.as_i64();
    let is_one = |field: &str| status(field) == Some(1);
    status("observedGeneration") == deployment.metadata.generation
        && is_one("replicas")
        && is_one("updatedReplicas")
        && is_one("availableReplicas")
}
