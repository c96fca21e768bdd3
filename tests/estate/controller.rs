//! The controller as a process of its own, under its own account, on free ports and in a temporary
//! directory.
//!
//! `$REEVE_BIN` names the program; without it, cargo is asked for the one that belongs to this build.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::chart::{Release, put};
use crate::plane::{Plane, free_port};
use crate::process::Process;
use crate::wait;

/// A controller that can be ended and started again.
pub struct Controller {
    program: PathBuf,
    args: Vec<String>,
    around: Surroundings,
    name: &'static str,
    logs: PathBuf,
    ports: Ports,
    process: Mutex<Option<Process>>,
}

/// Where one runs, when that is not as usual.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// Where it finds the API server, when not where that is.
    pub server: Option<String>,
    /// Where its storage lies.
    pub storage: Option<PathBuf>,
    /// Programs, with their arguments, that run the next: the last one runs it.
    pub through: Vec<String>,
    /// Its environment, beside ours.
    pub env: Vec<(String, String)>,
    /// The program, when it is not the one under test.
    pub program: Option<PathBuf>,
}

#[derive(Clone, Copy)]
struct Ports {
    artifacts: u16,
    hooks: u16,
    metrics: u16,
    health: u16,
}

impl Controller {
    /// Starts one and waits until it says that it is ready. `more` are further flags, or others than the chart's.
    pub async fn start(plane: &Plane, more: &[&str]) -> anyhow::Result<Self> {
        Self::start_as("reeve", plane, more).await
    }

    /// As [`Controller::start`], under another name: with a token, a storage and a log of its own.
    pub async fn start_as(
        name: &'static str,
        plane: &Plane,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        Self::start_in(Surroundings::default(), name, plane, more).await
    }

    /// As [`Controller::start_as`], elsewhere.
    pub async fn start_in(
        around: Surroundings,
        name: &'static str,
        plane: &Plane,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        Self::start_of((Release::estate().await?, around), name, plane, more).await
    }

    /// As [`Controller::start_as`], of another release of the chart.
    pub async fn start_from(
        release: &Release,
        name: &'static str,
        plane: &Plane,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        Self::start_of((release, Surroundings::default()), name, plane, more).await
    }

    /// As [`Controller::start_from`], elsewhere.
    pub async fn start_of(
        (release, around): (&Release, Surroundings),
        name: &'static str,
        plane: &Plane,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let program = match &around.program {
            Some(program) => program.clone(),
            None => tokio::task::spawn_blocking(program).await??,
        };
        let (namespace, account) = (release.namespace(), release.account()?);
        let url = around.server.clone().unwrap_or_else(|| plane.url());
        let kubeconfig = plane.kubeconfig_by(namespace, account, &url).await?;
        let ports = Ports {
            artifacts: free_port()?,
            hooks: free_port()?,
            metrics: free_port()?,
            health: free_port()?,
        };
        let storage = match &around.storage {
            Some(storage) => storage.clone(),
            None => plane.room(&format!("storage-{name}"))?,
        };
        let mut args = release.arguments()?;
        // Only who says where is asked by the API server.
        args.retain(|flag| !flag.starts_with("--admission-"));
        let here = flags(&kubeconfig, &storage, ports);
        let more = more.iter().map(|&flag| flag.to_owned());
        for flag in here.into_iter().chain(more) {
            put(&mut args, flag);
        }
        let controller = Self {
            program,
            args,
            around,
            name,
            logs: plane.logs(),
            ports,
            process: Mutex::new(None),
        };
        controller.restart().await?;
        Ok(controller)
    }

    /// Starts it again with the same flags, ports and storage, and waits until it is ready.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.kill();
        let mut words = self.around.through.iter().map(OsStr::new);
        let first = words.next().unwrap_or(self.program.as_os_str());
        let mut command = Command::new(first);
        command.args(words);
        if !self.around.through.is_empty() {
            command.arg(&self.program);
        }
        let env = self.around.env.iter().map(|(name, value)| (name, value));
        command.args(&self.args).envs(env).env_remove("KUBECONFIG");
        let process = Process::start(self.name, command, &self.logs)
            .with_context(|| format!("starting {}", self.program.display()))?;
        *self.lock() = Some(process);
        self.ready().await
    }

    /// Waits until `/readyz` answers that it is ready, or says how it ended.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{}/readyz", self.ports.health);
        wait::until(
            Duration::from_secs(60),
            "the controller is ready",
            || async {
                let ready = reqwest::get(&url)
                    .await
                    .is_ok_and(|answer| answer.status().is_success());
                (ready || self.ended()).then_some(())
            },
        )
        .await
        .with_context(|| self.tail())?;
        if self.ended() {
            bail!("the controller ended before it was ready:\n{}", self.tail());
        }
        Ok(())
    }

    fn ended(&self) -> bool {
        self.lock()
            .as_ref()
            .is_none_or(|process| process.ended().is_some())
    }

    /// Ends it at once (SIGKILL), in the middle of whatever it does.
    pub fn kill(&self) {
        self.lock().take();
    }

    /// From now on it does nothing at all, and knows nothing of it (SIGSTOP).
    pub fn pause(&self) {
        if let Some(process) = self.lock().as_ref() {
            process.signal(libc::SIGSTOP);
        }
    }

    /// It goes on where it was.
    pub fn resume(&self) {
        if let Some(process) = self.lock().as_ref() {
            process.signal(libc::SIGCONT);
        }
    }

    /// Asks it to end (SIGTERM) and waits up to `patience` for it.
    pub fn stop(&self, patience: Duration) -> Option<std::process::ExitStatus> {
        let process = self.lock().take()?;
        Some(process.stop(patience))
    }

    /// The address of a webhook, from a Receiver's `status.webhookPath`.
    #[must_use]
    pub fn hook_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.hooks)
    }

    /// Its metrics, as Prometheus would read them.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.ports.metrics);
        Ok(reqwest::get(url).await?.error_for_status()?.text().await?)
    }

    /// The sum of its samples whose name and labels hold all of these words.
    pub async fn sample(&self, words: &[&str]) -> anyhow::Result<f64> {
        Ok(sum(&self.metrics().await?, words))
    }

    /// Its process; none while it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        Some(self.lock().as_ref()?.id())
    }

    /// Resident memory in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> Option<u64> {
        self.lock().as_ref()?.resident_kib()
    }

    /// The most memory that was ever resident, in KiB, since it was last started.
    #[must_use]
    pub fn peak_kib(&self) -> Option<u64> {
        self.lock().as_ref()?.peak_kib()
    }

    /// Processor time that it has used since it was last started.
    #[must_use]
    pub fn processor(&self) -> Option<Duration> {
        self.lock().as_ref()?.processor()
    }

    /// Everything it has logged, over restarts.
    pub fn log(&self) -> anyhow::Result<String> {
        let path = self.log_path();
        std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))
    }

    /// The log's lines that are JSON objects.
    pub fn log_lines(&self) -> anyhow::Result<Vec<Value>> {
        Ok(self
            .log()?
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Where the log lies.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.logs.join(format!("{}.log", self.name))
    }

    fn tail(&self) -> String {
        let process = self.lock();
        process
            .as_ref()
            .map_or_else(String::new, |process| process.tail(4000))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The sum of the samples in `metrics` whose name and labels hold all of these words.
#[must_use]
pub fn sum(metrics: &str, words: &[&str]) -> f64 {
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    let meant = samples.filter(|line| words.iter().all(|word| line.contains(word)));
    meant
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// What of the Deployment's arguments is another beside the cluster.
fn flags(kubeconfig: &Path, storage: &Path, ports: Ports) -> [String; 9] {
    let plugins = crate::root().join("target/plugins");
    [
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--storage-path={}", storage.display()),
        format!("--storage-addr=127.0.0.1:{}", ports.artifacts),
        format!("--storage-adv-addr=127.0.0.1:{}", ports.artifacts),
        format!("--receiver-addr=127.0.0.1:{}", ports.hooks),
        format!("--receiver-url=http://127.0.0.1:{}", ports.hooks),
        format!("--metrics-addr=127.0.0.1:{}", ports.metrics),
        format!("--health-addr=127.0.0.1:{}", ports.health),
        format!("--plugins-dir={}", plugins.display()),
    ]
}

/// The program under test: `$REEVE_BIN`, else the one of this build, brought up to date by cargo.
///
/// # Errors
/// When it is not there and cannot be built.
pub fn program() -> anyhow::Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PROGRAM.get_or_init(|| find_or_build().map_err(|why| format!("{why:#}"))) {
        Ok(path) => Ok(path.clone()),
        Err(why) => bail!("{why}"),
    }
}

fn find_or_build() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("REEVE_BIN") {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "$REEVE_BIN names {}, which is no file",
            path.display()
        );
        return Ok(path);
    }
    // target/<profile>/demo, or target/<profile>/deps/scenarios-<hash>.
    let exe = std::env::current_exe().context("where this program lies")?;
    let dir = exe.parent().context("a program lies in a directory")?;
    let profile = if dir.ends_with("deps") {
        dir.parent().unwrap_or(dir)
    } else {
        dir
    };
    let target = profile
        .parent()
        .context("the profile's directory lies in the target directory")?;
    // The whole workspace is selected so that features unify as they did for this program.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--bin", "reeve"]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    command
        .current_dir(crate::root())
        .env("CARGO_TARGET_DIR", target);
    let out = command
        .stdin(Stdio::null())
        .output()
        .context("starting cargo")?;
    ensure!(
        out.status.success(),
        "building reeve failed:\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let path = profile.join("reeve");
    ensure!(path.is_file(), "cargo built no {}", path.display());
    Ok(path)
}
