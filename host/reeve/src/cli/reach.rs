//! How commands reach registries: every host, and as whom Docker's config file says. Helpers that it names are not run.

use std::path::PathBuf;
use std::sync::Arc;

use super::ui::CommandError;
use crate::git::{Egress, HostRule};
use crate::oci::Login;

/// Who runs a command reaches every host anyway.
pub(super) fn everywhere() -> Arc<Egress> {
    let all = ["0.0.0.0/0", "::/0"].iter();
    let all: Vec<HostRule> = all.filter_map(|net| net.parse().ok()).collect();
    Arc::new(Egress::new(all))
}

/// Who to be at `host`.
pub(super) fn login(host: &str) -> Result<Option<Login>, CommandError> {
    let Some(path) = docker_config().filter(|path| path.exists()) else {
        return Ok(None);
    };
    let failed = |why: &(dyn std::error::Error + 'static)| {
        CommandError::of(&format!("reading {} failed", path.display()), why)
    };
    let config = std::fs::read(&path).map_err(|why| failed(&why))?;
    Login::find(&config, host).map_err(|why| failed(&why))
}

fn docker_config() -> Option<PathBuf> {
    let named = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker"));
    Some(named.or_else(home)?.join("config.json"))
}
