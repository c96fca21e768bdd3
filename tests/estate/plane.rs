//! A real control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and KWOK,
//! which plays the kubelets, so that pods run and Deployments become ready.

mod access;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tempfile::TempDir;

use crate::binaries;
use crate::leftover;
use crate::pki::Authority;
use crate::process::Process;
use crate::secrecy::{self, Place};
use crate::wait;

pub use access::client;
use access::{write_kubeconfig, write_pki};

/// How many machines KWOK plays.
const NODES: usize = 2;

/// A control plane on free loopback ports; all of it ends when this is dropped.
pub struct Plane {
    dir: TempDir,
    port: u16,
    etcd_port: u16,
    authority: Authority,
    admin: Client,
    /// Whether the API server writes down who changes Jobs.
    audited: bool,
    parts: Mutex<Parts>,
}

/// Every change of a Job that the API server answered, with the Job as it was then: how often a hook was made can be counted.
const AUDIT: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  verbs: [create, patch, update, delete]
  resources: [{group: batch, resources: [jobs]}]
- level: None
";

#[derive(Default)]
struct Parts {
    etcd: Option<Process>,
    api: Option<Process>,
    rest: Vec<Process>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Whole,
    Audited,
    Bare,
}

/// A loopback port that was free a moment ago, and that this process hands out once. It lies below those that the kernel
/// gives to outgoing connections: one of these would take it before the program that it is meant for.
pub fn free_port() -> anyhow::Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for _ in 0..1000 {
        let port = rand::random_range(12_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            return Ok(port);
        }
    }
    bail!("no free port")
}

impl Plane {
    /// Starts everything and returns when objects can be made and pods will run.
    pub async fn start() -> anyhow::Result<Self> {
        Self::begin(Sort::Whole).await
    }

    /// The same, with a record of what becomes of Jobs: [`Plane::audit`].
    pub async fn start_audited() -> anyhow::Result<Self> {
        Self::begin(Sort::Audited).await
    }

    /// Starts etcd and the API server alone: objects can be made, and nothing becomes of them.
    pub async fn bare() -> anyhow::Result<Self> {
        Self::begin(Sort::Bare).await
    }

    async fn begin(sort: Sort) -> anyhow::Result<Self> {
        let (whole, audited) = (sort != Sort::Bare, sort == Sort::Audited);
        let dir = tempfile::Builder::new().prefix("estate-").tempdir()?;
        leftover::watch_over(dir.path());
        for part in ["pki", "etcd", "logs"] {
            std::fs::create_dir(dir.path().join(part))?;
        }
        let (port, etcd_port) = (free_port()?, free_port()?);
        let authority = Authority::new("estate")?;
        write_pki(dir.path(), &authority, port)?;
        std::fs::write(dir.path().join("audit.yaml"), AUDIT)?;
        let admin = client(&dir.path().join("kubeconfig")).await?;
        let plane = Self {
            dir,
            port,
            etcd_port,
            authority,
            admin,
            audited,
            parts: Mutex::default(),
        };
        if whole {
            secrecy::stands(plane.place());
        }
        plane
            .start_parts(whole)
            .await
            .map_err(|why| plane.explain(why))?;
        Ok(plane)
    }

    /// Where what was told on this plane is found.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            logs: self.logs(),
            kubeconfig: self.kubeconfig(),
        }
    }

    async fn start_parts(&self, whole: bool) -> anyhow::Result<()> {
        self.start_etcd()?;
        self.start_api()?;
        if !whole {
            return self.ready().await;
        }
        // These wait for the API server by themselves, the managers for ten seconds only.
        let rest = vec![self.start_scheduler()?, self.start_kwok()?];
        self.lock().rest = rest;
        self.ready().await?;
        let managers = self.start_managers()?;
        self.lock().rest.push(managers);
        self.nodes().await
    }

    /// The address clients use.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// Where the parts' logs, and others' that want to lie beside them, are.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    /// Where the API server writes down who changes Jobs, a line of JSON each.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.logs().join("audit.jsonl")
    }

    /// A directory for a part of the estate that is not ours.
    pub fn room(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// A client with all rights.
    #[must_use]
    pub fn admin(&self) -> Client {
        self.admin.clone()
    }

    /// The process id of the API server, for benchmarks.
    pub fn api_pid(&self) -> Option<u32> {
        self.lock().api.as_ref().map(Process::id)
    }

    /// Processor time that the API server has used.
    pub fn api_processor(&self) -> Option<Duration> {
        self.lock().api.as_ref()?.processor()
    }

    /// The authority that signed the API server's certificate.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A token of a ServiceAccount's, for a day.
    pub async fn token_of(&self, namespace: &str, account: &str) -> anyhow::Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin(), namespace);
        let request =
            serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 86400}}))?;
        let granted = accounts
            .create_token_request(account, &Default::default(), &request)
            .await
            .with_context(|| format!("a token for {namespace}/{account}"))?;
        let token = granted.status.and_then(|status| status.token);
        let token = token.context("the API server answers with a token")?;
        secrecy::used(&token);
        Ok(token)
    }

    /// A kubeconfig for a ServiceAccount, with a token that the API server made.
    pub async fn kubeconfig_of(&self, namespace: &str, account: &str) -> anyhow::Result<PathBuf> {
        self.kubeconfig_by(namespace, account, &self.url()).await
    }

    /// The same for one that reaches the API server at `url`.
    pub async fn kubeconfig_by(
        &self,
        namespace: &str,
        account: &str,
        url: &str,
    ) -> anyhow::Result<PathBuf> {
        let token = self.token_of(namespace, account).await?;
        let path = self
            .dir
            .path()
            .join(format!("kubeconfig-{namespace}-{account}"));
        write_kubeconfig(&path, url, &self.authority.pem(), &json!({"token": token}))?;
        Ok(path)
    }

    /// Ends etcd at once, in the middle of whatever it does.
    pub fn stop_etcd(&self) {
        self.lock().etcd.take();
    }

    /// Starts etcd again, on the same port and data, and waits until the API server says that it is ready.
    pub async fn restart_etcd(&self) -> anyhow::Result<()> {
        self.start_etcd()?;
        self.ready().await?;
        self.restart_kwok()
    }

    /// Ends the API server at once, in the middle of whatever it does.
    pub fn stop_api(&self) {
        self.lock().api.take();
    }

    /// From now on the API server answers nobody, and ends no connection either.
    pub fn stall_api(&self) {
        if let Some(api) = &self.lock().api {
            api.signal(libc::SIGSTOP);
        }
    }

    /// It goes on where it was.
    pub fn resume_api(&self) {
        if let Some(api) = &self.lock().api {
            api.signal(libc::SIGCONT);
        }
    }

    /// Starts the API server again, on the same port and data.
    pub async fn restart_api(&self) -> anyhow::Result<()> {
        self.start_api()?;
        self.ready().await?;
        self.restart_kwok()
    }

    /// A Pod whose status KWOK could not write it gives up for good, unless it was a refused connection: the answer of an API
    /// server without its store is none. A kubelet would go on; one of these that has just started takes every Pod up.
    fn restart_kwok(&self) -> anyhow::Result<()> {
        let mut parts = self.lock();
        let Some(at) = parts.rest.iter().position(|part| part.name() == "kwok") else {
            return Ok(());
        };
        drop(parts.rest.remove(at));
        drop(parts);
        let kwok = self.start_kwok()?;
        self.lock().rest.push(kwok);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.parts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn run(&self, name: &str, args: &[String]) -> anyhow::Result<Process> {
        let mut command = Command::new(binaries::find(name)?);
        command.args(args).current_dir(self.dir.path());
        Process::start(name, command, &self.logs()).with_context(|| format!("starting {name}"))
    }

    fn start_etcd(&self) -> anyhow::Result<()> {
        let listen = format!("http://127.0.0.1:{}", self.etcd_port);
        let process = self.run(
            "etcd",
            &[
                "--name=estate".into(),
                "--data-dir=etcd".into(),
                // The data is thrown away: durability would only cost.
                "--unsafe-no-fsync".into(),
                format!("--listen-client-urls={listen}"),
                format!("--advertise-client-urls={listen}"),
                "--listen-peer-urls=http://127.0.0.1:0".into(),
                "--initial-advertise-peer-urls=http://127.0.0.1:0".into(),
                "--initial-cluster=estate=http://127.0.0.1:0".into(),
                "--heartbeat-interval=10".into(),
                "--election-timeout=100".into(),
                "--log-level=warn".into(),
            ],
        )?;
        self.lock().etcd = Some(process);
        Ok(())
    }

    fn start_api(&self) -> anyhow::Result<()> {
        let mut args = self.api_args();
        if self.audited {
            args.push("--audit-policy-file=audit.yaml".into());
            args.push(format!("--audit-log-path={}", self.audit().display()));
        }
        self.lock().api = Some(self.run("kube-apiserver", &args)?);
        Ok(())
    }

    fn api_args(&self) -> Vec<String> {
        vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={}", self.port),
            "--advertise-address=127.0.0.1".into(),
            "--endpoint-reconciler-type=none".into(),
            "--tls-cert-file=pki/server.crt".into(),
            "--tls-private-key-file=pki/server.key".into(),
            "--client-ca-file=pki/ca.crt".into(),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
            "--service-account-key-file=pki/sa.pub".into(),
            "--service-account-signing-key-file=pki/sa.key".into(),
            "--authorization-mode=RBAC".into(),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
            "--allow-privileged=true".into(),
        ]
    }

    fn start_scheduler(&self) -> anyhow::Result<Process> {
        self.run(
            "kube-scheduler",
            &[
                "--kubeconfig=kubeconfig".into(),
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
            ],
        )
    }

    fn start_managers(&self) -> anyhow::Result<Process> {
        self.run(
            "kube-controller-manager",
            &[
                "--kubeconfig=kubeconfig".into(),
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                "--use-service-account-credentials=false".into(),
                "--service-account-private-key-file=pki/sa.key".into(),
                "--root-ca-file=pki/ca.crt".into(),
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
            ],
        )
    }

    fn start_kwok(&self) -> anyhow::Result<Process> {
        let stages = binaries::kwok_stages()?;
        let mut config = String::new();
        for stage in [
            "node/fast/node-initialize",
            "node/heartbeat-with-lease/node-heartbeat-with-lease",
            "pod/fast/pod-ready",
            "pod/fast/pod-complete",
            "pod/fast/pod-delete",
        ] {
            let path = stages.join(format!("{stage}.yaml"));
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
            config.push_str(&text);
            config.push_str("\n---\n");
        }
        std::fs::write(self.dir.path().join("kwok.yaml"), config)?;
        self.run(
            "kwok",
            &[
                "--kubeconfig=kubeconfig".into(),
                "--config=kwok.yaml".into(),
                "--manage-all-nodes=true".into(),
                "--node-ip=127.0.0.1".into(),
                "--cidr=10.244.0.0/16".into(),
                "--node-lease-duration-seconds=40".into(),
            ],
        )
    }

    /// Waits until the API server says it is ready.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        wait::until(
            Duration::from_secs(60),
            "the API server is ready",
            || async {
                let request = http::Request::get("/readyz").body(Vec::new()).ok()?;
                let answer = self.admin.request_text(request).await;
                (answer.is_ok_and(|text| text == "ok") || self.dead().is_some()).then_some(())
            },
        )
        .await?;
        match self.dead() {
            Some(name) => bail!("{name} ended {:?} after the start", begun.elapsed()),
            None => Ok(()),
        }
    }

    fn dead(&self) -> Option<String> {
        let parts = self.lock();
        let all = parts.etcd.iter().chain(&parts.api).chain(&parts.rest);
        all.filter(|part| part.ended().is_some())
            .map(|part| part.name().to_owned())
            .next()
    }

    async fn nodes(&self) -> anyhow::Result<()> {
        let nodes: Api<Node> = Api::all(self.admin());
        for n in 1..=NODES {
            let name = format!("node-{n}");
            let node = json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {
                    "name": name,
                    "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
                    "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "kwok"},
                },
            });
            nodes
                .patch(&name, &PatchParams::apply("estate"), &Patch::Apply(&node))
                .await?;
        }
        Ok(())
    }

    /// Adds the tail of every part's log to an error about them.
    fn explain(&self, why: anyhow::Error) -> anyhow::Error {
        let parts = self.lock();
        let all = parts.etcd.iter().chain(&parts.api).chain(&parts.rest);
        let logs: Vec<String> = all
            .map(|part| format!("--- {}\n{}", part.name(), part.tail(1500)))
            .collect();
        why.context(logs.join("\n"))
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        secrecy::falls(&self.logs());
    }
}
