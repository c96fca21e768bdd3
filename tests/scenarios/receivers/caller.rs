//! Somebody who calls hooks, as a forge does or as rudely as can be, and a tenant's Receivers.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use kube::api::DynamicObject;
use reeve_tests::git::{HttpServer, Served};
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, secrecy, wait};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(super) const API: &str = "notification.toolkit.fluxcd.io/v1";

pub(super) fn secret() -> String {
    let secret = format!("{:032x}", rand::random::<u128>());
    secrecy::used(&secret);
    secret
}

/// The HMAC-SHA256 of some bytes.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// A healthy tenant whose source lies on a git server of its own, so that what is fetched can be counted.
pub(super) struct Watched<'e> {
    pub(super) tenant: Tenant<'e>,
    pub(super) server: HttpServer,
    estate: &'e Estate,
}

impl<'e> Watched<'e> {
    pub(super) async fn start(estate: &'e Estate, name: &str) -> anyhow::Result<Self> {
        let tenant = estate.healthy_tenant(name).await?;
        let server = HttpServer::start(estate.repositories(), Served::default()).await?;
        let url = json!(server.url(tenant.name()));
        tenant.change(|draft| draft.set_source("url", url)).await?;
        tenant
            .push(&[("README.md", Some("From its own server.\n"))])
            .await?;
        tenant.reconcile(None).await?;
        Ok(Self {
            tenant,
            server,
            estate,
        })
    }

    pub(super) fn name(&self) -> &str {
        self.tenant.name()
    }

    /// Makes a Receiver beside the source, for the source, and returns the address of its hook.
    pub(super) async fn receiver(
        &self,
        kind: &str,
        data: &[(&str, &str)],
        more: Value,
    ) -> anyhow::Result<String> {
        let name = format!("{}-{kind}", self.name());
        let mut spec = json!({
            "type": kind, "resources": [{"kind": "GitRepository", "name": self.name()}],
        });
        if !data.is_empty() {
            let data: serde_json::Map<String, Value> = data
                .iter()
                .map(|(key, value)| ((*key).to_owned(), json!(value)))
                .collect();
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "namespace": CONFIG}, "stringData": data,
            });
            self.tenant.apply(&secret).await?;
            spec["secretRef"] = json!({"name": name});
        }
        let more = more.as_object().cloned().unwrap_or_default();
        for (field, value) in more {
            spec[field] = value;
        }
        let receiver = json!({
            "apiVersion": API, "kind": "Receiver",
            "metadata": {"name": name, "namespace": CONFIG}, "spec": spec,
        });
        self.tenant.apply(&receiver).await?;
        let receivers = objects::api(self.estate.admin(), API, "Receiver", Some(CONFIG));
        let has_path =
            |one: &DynamicObject| objects::text(&one.data, "/status/webhookPath").is_some();
        let told = wait::for_object(&receivers, &name, "the Receiver has a path", has_path);
        let told = told.await?;
        let path = objects::text(&told.data, "/status/webhookPath").unwrap_or_default();
        Ok(self.estate.controller.hook_url(path))
    }

    /// How often it was asked for its references, and for objects, since this was last called.
    pub(super) fn asked(&self) -> (usize, usize) {
        let seen = self.server.seen();
        let with = |words: &str| {
            let body =
                |one: &reeve_tests::git::Seen| String::from_utf8_lossy(&one.body).into_owned();
            seen.iter().filter(|one| body(one).contains(words)).count()
        };
        (with("command=ls-refs"), with("command=fetch"))
    }

    /// A push to a branch, as GitHub and Gitea tell it.
    pub(super) fn push(&self, repository: &str, branch: &str, after: &str) -> String {
        let push = json!({
            "ref": format!("refs/heads/{branch}"), "after": after,
            "repository": {"full_name": repository}, "number": rand::random::<u32>(),
        });
        push.to_string()
    }
}

/// One call, and what has to be answered.
pub(super) struct Call {
    pub(super) says: &'static str,
    pub(super) url: String,
    pub(super) method: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// What it says of the body's length, where that is not so.
    pub(super) announced: Option<usize>,
    pub(super) want: u16,
}

impl Call {
    /// Sends it as it is; the status and the whole answer.
    pub(super) async fn send(&self) -> anyhow::Result<(u16, String)> {
        let rest = self.url.strip_prefix("http://").context("a URL")?;
        let (host, path) = rest.split_once('/').context("a path")?;
        let mut stream = TcpStream::connect(host).await?;
        let length = self.announced.unwrap_or(self.body.len());
        let mut head = format!(
            "{} /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\nconnection: close\r\n",
            self.method
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&self.body).await?;
        let mut answer = Vec::new();
        // Longer than any payload may take.
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(60), read)
            .await
            .context("no answer")??;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((code.context("no status")?, answer))
    }

    /// Sends it, and holds the answer against what is wanted; it tells no secret either.
    pub(super) async fn check(&self) -> anyhow::Result<()> {
        let (code, answer) = self.send().await.context(self.says)?;
        ensure!(code == self.want, "{}: {answer}", self.says);
        let leaks = secrecy::leaks(self.says, &answer);
        ensure!(leaks.is_empty(), "{leaks:?}");
        Ok(())
    }
}
