//! An OCI image layout on the disk: blobs by digest, a config, a manifest and an index; and the same as one tar, with the file
//! beside it by which `docker load` finds its way.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tar::{Builder, EntryType};

use super::files::{Files, USER};
use super::layer::{digest, header, pack};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What stands on an image.
pub(super) struct About<'a> {
    pub(super) version: &'a str,
    pub(super) revision: &'a str,
    pub(super) epoch: u32,
}

/// One that is being written.
pub(super) struct Layout {
    into: PathBuf,
    layers: Vec<Value>,
    diff_ids: Vec<String>,
    history: Vec<&'static str>,
    size: u64,
}

impl Layout {
    /// Begins an empty one.
    pub(super) fn begin(into: &Path) -> anyhow::Result<Self> {
        let oci = into.join("oci");
        if oci.exists() {
            fs::remove_dir_all(&oci).with_context(|| oci.display().to_string())?;
        }
        fs::create_dir_all(oci.join("blobs/sha256")).with_context(|| oci.display().to_string())?;
        Ok(Self {
            into: into.to_owned(),
            layers: Vec::new(),
            diff_ids: Vec::new(),
            history: Vec::new(),
            size: 0,
        })
    }

    /// Adds a layer.
    pub(super) fn layer(
        &mut self,
        files: &Files,
        epoch: u32,
        what: &'static str,
    ) -> anyhow::Result<()> {
        let layer = pack(files, epoch)?;
        let descriptor = self.blob(LAYER, &layer.compressed)?;
        self.size += descriptor["size"].as_u64().unwrap_or_default();
        self.layers.push(descriptor);
        self.diff_ids.push(layer.diff_id);
        self.history.push(what);
        Ok(())
    }

    /// What its layers take together, compressed.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Writes what is left, and gives the image's digest.
    pub(super) fn finish(self, about: &About<'_>) -> anyhow::Result<String> {
        let config = self.blob(CONFIG, &bytes(&self.config(about)?)?)?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": self.layers,
            "annotations": labels(about),
        });
        let mut descriptor = self.blob(MANIFEST, &bytes(&manifest)?)?;
        let digest = descriptor["digest"].as_str().unwrap_or_default().to_owned();
        // containerd takes a bare version for no name and makes one of the day's date; kind and k3d load by it.
        descriptor["annotations"] = json!({
            "org.opencontainers.image.ref.name": about.version,
            "io.containerd.image.name": format!("docker.io/library/{}", name(about)),
        });
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]});
        self.write("index.json", &bytes(&index)?)?;
        let version = json!({"imageLayoutVersion": "1.0.0"});
        self.write("oci-layout", &bytes(&version)?)?;
        self.archive(&config, about)?;
        Ok(digest)
    }

    /// How it is started: as nobody, with nothing of a shell.
    fn config(&self, about: &About<'_>) -> anyhow::Result<Value> {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => bail!("images are not made for {other}"),
        };
        let created = jiff::Timestamp::from_second(about.epoch.into())?.to_string();
        let history = self
            .history
            .iter()
            .map(|what| json!({"created": created, "created_by": what}));
        Ok(json!({
            "created": created, "architecture": architecture, "os": "linux",
            "config": {
                "User": format!("{USER}:{USER}"),
                "Env": ["PATH=/usr/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
                "Entrypoint": ["/usr/bin/reeve"], "Cmd": ["--help"],
                "WorkingDir": "/", "Labels": labels(about),
            },
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
            "history": history.collect::<Vec<Value>>(),
        }))
    }

    /// All of it as one file.
    fn archive(&self, config: &Value, about: &About<'_>) -> anyhow::Result<()> {
        let place = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap_or_default();
            format!("blobs/{}", digest.replace(':', "/"))
        };
        let layers: Vec<String> = self.layers.iter().map(place).collect();
        let docker =
            json!([{"Config": place(config), "RepoTags": [name(about)], "Layers": layers}]);
        let oci = self.into.join("oci");
        let mut names = vec!["index.json".to_owned(), "oci-layout".to_owned()];
        for blob in fs::read_dir(oci.join("blobs/sha256"))? {
            let blob = blob?.file_name();
            names.push(format!("blobs/sha256/{}", blob.to_string_lossy()));
        }
        names.sort();
        let file = fs::File::create(self.into.join("reeve.tar"))?;
        let mut tar = Builder::new(std::io::BufWriter::new(file));
        let mut add = |name: &str, content: &[u8]| -> anyhow::Result<()> {
            let mut header = header(0o644, 0, about.epoch, EntryType::Regular);
            header.set_size(content.len().try_into()?);
            Ok(tar.append_data(&mut header, name, content)?)
        };
        for name in names {
            add(&name, &fs::read(oci.join(&name))?)?;
        }
        add("manifest.json", &bytes(&docker)?)?;
        tar.into_inner()?.into_inner()?.sync_all()?;
        Ok(())
    }

    fn blob(&self, media_type: &str, content: &[u8]) -> anyhow::Result<Value> {
        let digest = digest(content);
        self.write(&format!("blobs/{}", digest.replace(':', "/")), content)?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": content.len()}))
    }

    fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.into.join("oci").join(name);
        fs::write(&path, content).with_context(|| path.display().to_string())
    }
}

/// As the chart's pods ask for it, where values name no registry.
fn name(about: &About<'_>) -> String {
    format!("reeve:{}", about.version)
}

fn labels(about: &About<'_>) -> Value {
    json!({
        "org.opencontainers.image.title": "reeve",
        "org.opencontainers.image.description": "The multi-tenant GitOps controller for Kubernetes",
        "org.opencontainers.image.version": about.version,
        "org.opencontainers.image.revision": about.revision,
        "org.opencontainers.image.licenses": "Apache-2.0",
    })
}

fn bytes(value: &Value) -> anyhow::Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}
