//! Flux's own kustomize-controller as a process beside the cluster, and Flux's own definitions: for scenarios that ask for them.
//!
//! It is started as `flux install` starts it, with the account and the rights that it has there; but without a Lease, which it
//! would look for in a pod's files. source-controller is not to be had (`tests/cluster/README.md`): what that does is for the
//! scenario to play.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::install::{self, PLATFORM};
use crate::plane::{Plane, free_port};
use crate::process::Process;
use crate::{binaries, wait};

/// What it, its account and its log are called.
const NAME: &str = "kustomize-controller";

/// A kustomize-controller that can be ended and started again.
pub struct KustomizeController {
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(&'static str, PathBuf)>,
    logs: PathBuf,
    health: u16,
    process: Mutex<Option<Process>>,
}

/// Makes Flux's definitions what the cluster has, as `flux install` does.
pub async fn define(plane: &Plane) -> anyhow::Result<()> {
    let (_, definitions) = tokio::task::spawn_blocking(binaries::kustomize_controller).await??;
    let from = format!("--filename={}", definitions.display());
    let how = ["--server-side", "--force-conflicts", "--field-manager=flux"];
    let args = [&["apply"][..], &how, &[from.as_str()]].concat();
    install::kubectl(plane, &args).await?;
    install::established(plane).await
}

/// The account, and the right to everything, which it needs to act as tenants' accounts.
fn account() -> Value {
    let group = "rbac.authorization.k8s.io";
    install::list(&[
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": PLATFORM},
        }),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("cluster-reconciler-{PLATFORM}")},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": PLATFORM}],
        }),
    ])
}

impl KustomizeController {
    /// Starts one, with these flags beside those that it has by `flux install`, and waits until it says that it is ready.
    pub async fn start(plane: &Plane, more: &[&str]) -> anyhow::Result<Self> {
        let (program, _) = tokio::task::spawn_blocking(binaries::kustomize_controller).await??;
        install::apply(plane, &account().to_string()).await?;
        let kubeconfig = plane.kubeconfig_of(PLATFORM, NAME).await?;
        let (metrics, health) = (free_port()?, free_port()?);
        let mut args = vec![
            "--watch-all-namespaces=true".to_owned(),
            "--log-level=info".to_owned(),
            "--log-encoding=json".to_owned(),
            format!("--metrics-addr=127.0.0.1:{metrics}"),
            format!("--health-addr=127.0.0.1:{health}"),
        ];
        args.extend(more.iter().map(|&flag| flag.to_owned()));
        let controller = Self {
            program,
            args,
            env: vec![
                ("KUBECONFIG", kubeconfig),
                ("HOME", plane.room("home")?),
                // It empties the one that it finds of what others of its kind have left there.
                ("TMPDIR", plane.room("flux")?),
                ("RUNTIME_NAMESPACE", PLATFORM.into()),
            ],
            logs: plane.logs(),
            health,
            process: Mutex::new(None),
        };
        controller.restart().await?;
        Ok(controller)
    }

    /// Starts it again, and waits until it says that it is ready.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.kill();
        let mut command = Command::new(&self.program);
        let env = self.env.iter().map(|(name, value)| (name, value));
        command.args(&self.args).envs(env);
        let process = Process::start(NAME, command, &self.logs)?;
        *self.lock() = Some(process);
        let url = format!("http://127.0.0.1:{}/readyz", self.health);
        let up = wait::until(Duration::from_secs(60), "Flux is ready", || async {
            let answer = reqwest::get(&url).await;
            let ready = answer.is_ok_and(|answer| answer.status().is_success());
            (ready || self.has_ended()).then_some(())
        });
        up.await.with_context(|| self.tail())?;
        if self.has_ended() {
            bail!("{NAME} ended before it was ready:\n{}", self.tail());
        }
        Ok(())
    }

    /// Ends it at once.
    pub fn kill(&self) {
        self.lock().take();
    }

    /// How many lines it has logged about objects of a namespace, over restarts.
    pub fn lines_about(&self, namespace: &str) -> anyhow::Result<usize> {
        let path = self.logs.join(format!("{NAME}.log"));
        let log = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let about = format!("\"namespace\":\"{namespace}\"");
        Ok(log.lines().filter(|line| line.contains(&about)).count())
    }

    /// The end of what it has logged.
    #[must_use]
    pub fn tail(&self) -> String {
        let process = self.lock();
        process
            .as_ref()
            .map_or_else(String::new, |process| process.tail(4000))
    }

    fn has_ended(&self) -> bool {
        let process = self.lock();
        process.as_ref().is_none_or(|it| it.ended().is_some())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
