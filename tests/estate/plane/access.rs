//! Who may reach a control plane: its certificates, and kubeconfigs for those that have one or a token.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use crate::pki::{self, Authority, Pair};

pub(super) fn write_pki(dir: &Path, authority: &Authority, port: u16) -> anyhow::Result<()> {
    let server = authority.server(&[
        "127.0.0.1",
        "10.96.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ])?;
    let admin = authority.client("admin", Some("system:masters"))?;
    let (private, public) = pki::signing_key()?;
    for (name, text) in [
        ("ca.crt", &authority.pem()),
        ("server.crt", &server.cert),
        ("server.key", &server.key),
        ("sa.key", &private),
        ("sa.pub", &public),
    ] {
        std::fs::write(dir.join("pki").join(name), text)?;
    }
    let Pair { cert, key } = admin;
    let user = json!({
        "client-certificate-data": STANDARD.encode(cert),
        "client-key-data": STANDARD.encode(key),
    });
    write_kubeconfig(
        &dir.join("kubeconfig"),
        &format!("https://127.0.0.1:{port}"),
        &authority.pem(),
        &user,
    )
}

pub(super) fn write_kubeconfig(
    path: &Path,
    url: &str,
    ca: &str,
    user: &serde_json::Value,
) -> anyhow::Result<()> {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "estate",
        "clusters": [{"name": "estate", "cluster": {
            "server": url, "certificate-authority-data": STANDARD.encode(ca),
        }}],
        "users": [{"name": "estate", "user": user}],
        "contexts": [{"name": "estate", "context": {"cluster": "estate", "user": "estate"}}],
    });
    // JSON is YAML, and every client reads it: whole, also while another controller's is written.
    let written = || {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
        serde_json::to_writer_pretty(&mut file, &config)?;
        file.persist(path)?;
        Ok::<_, std::io::Error>(())
    };
    written().with_context(|| format!("{}", path.display()))
}

/// A client from a kubeconfig file.
pub async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    config.read_timeout = None;
    Ok(Client::try_from(config)?)
}
