//! The landlord as a process of its own, under its own account and with what its Deployment would start it with.
//!
//! Only scenarios that onboard have one: in all others namespaces are made by hand, with `install::grant`.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::chart::{Release, put};
use crate::controller::program;
use crate::plane::{Plane, free_port};
use crate::process::Process;
use crate::wait;

/// What it and its account are called.
pub const LANDLORD: &str = "reeve-landlord";

/// A landlord, until it is dropped.
pub struct Landlord {
    process: Process,
    port: u16,
}

impl Landlord {
    /// Starts one of the estate's own release.
    pub async fn start(plane: &Plane) -> anyhow::Result<Self> {
        Self::start_from(Release::estate().await?, plane).await
    }

    /// As [`Landlord::start`], of another release of the chart. Waits until it says that it is ready.
    pub async fn start_from(release: &Release, plane: &Plane) -> anyhow::Result<Self> {
        let landlord = Self::launch(release, plane).await?;
        landlord.is_ready().await?;
        Ok(landlord)
    }

    /// As [`Landlord::start_from`], and waits for nothing.
    pub async fn launch(release: &Release, plane: &Plane) -> anyhow::Result<Self> {
        let program = tokio::task::spawn_blocking(program).await??;
        let kubeconfig = plane.kubeconfig_of(release.namespace(), LANDLORD).await?;
        let port = free_port()?;
        let mut args = release.arguments_of(LANDLORD)?;
        put(&mut args, format!("--kubeconfig={}", kubeconfig.display()));
        put(&mut args, format!("--health-addr=127.0.0.1:{port}"));
        let mut command = Command::new(program);
        command.args(args).env_remove("KUBECONFIG");
        let process = Process::start(LANDLORD, command, &plane.logs())?;
        Ok(Self { process, port })
    }

    /// Waits until it says that it is ready.
    pub async fn is_ready(&self) -> anyhow::Result<()> {
        let process = &self.process;
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        let ready = wait::until(Duration::from_secs(60), "the landlord is ready", || async {
            let ready = reqwest::get(&url).await;
            let ready = ready.is_ok_and(|answer| answer.status().is_success());
            (ready || process.ended().is_some()).then_some(())
        });
        ready.await.with_context(|| process.tail(4000))?;
        if process.ended().is_some() {
            bail!(
                "the landlord ended before it was ready:\n{}",
                process.tail(4000)
            );
        }
        Ok(())
    }

    /// What it serves Prometheus.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let answer = reqwest::get(&url).await?.error_for_status()?;
        Ok(answer.text().await?)
    }

    /// The end of what it has logged.
    #[must_use]
    pub fn tail(&self) -> String {
        self.process.tail(4000)
    }
}
