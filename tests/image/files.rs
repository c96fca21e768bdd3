//! What is in the image: a base that changes with the machine that builds, and reeve itself.
//!
//! No shell, no package manager and no program but reeve. What it is linked to is asked of the machine's own loader, so that
//! a program that is linked statically brings nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Args;

/// Whom the process runs as: the chart says the same.
pub(super) const USER: u32 = 65532;

/// Something in the image.
pub(super) enum Node {
    /// Whose it is, and what may be done with it.
    Directory {
        mode: u32,
        owner: u32,
    },
    File {
        mode: u32,
        content: Vec<u8>,
    },
}

/// Files by their paths, without a leading slash; directories come before what is in them.
#[derive(Default)]
pub(super) struct Files(BTreeMap<String, Node>);

impl Files {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The same with one file more, which anybody may read.
    pub(super) fn with(mut self, path: &str, content: &[u8]) -> anyhow::Result<Self> {
        self.put(path, 0o644, content.to_vec())?;
        Ok(self)
    }

    fn put(&mut self, path: &str, mode: u32, content: Vec<u8>) -> anyhow::Result<()> {
        let parts: Vec<&str> = path.split('/').collect();
        let plain = parts.iter().all(|part| !["", ".", ".."].contains(part));
        ensure!(plain, "{path} is no path in an image");
        for (at, _) in path.match_indices('/') {
            let above = path.get(..at).unwrap_or_default();
            self.directory(above, 0o755, 0);
        }
        self.0.insert(path.to_owned(), Node::File { mode, content });
        Ok(())
    }

    fn directory(&mut self, path: &str, mode: u32, owner: u32) {
        let entry = self.0.entry(path.to_owned());
        entry.or_insert(Node::Directory { mode, owner });
    }
}

/// What a program is linked to, the authorities of the web, and who is who.
pub(super) fn base(libraries: &[String]) -> anyhow::Result<Files> {
    let mut files = Files::default();
    for library in libraries {
        let content = std::fs::read(library).with_context(|| library.clone())?;
        files.put(library.trim_start_matches('/'), 0o755, content)?;
    }
    let users = format!("root:x:0:0:root:/:/nologin\nreeve:x:{USER}:{USER}:reeve:/data:/nologin\n");
    files.put("etc/passwd", 0o644, users.into_bytes())?;
    let groups = format!("root:x:0:\nreeve:x:{USER}:\n");
    files.put("etc/group", 0o644, groups.into_bytes())?;
    let names = "hosts: files dns\n";
    files.put("etc/nsswitch.conf", 0o644, names.into())?;
    let bundle = "etc/ssl/certs/ca-certificates.crt";
    files.put(bundle, 0o644, authorities().into_bytes())?;
    files.directory("tmp", 0o1777, 0);
    files.directory("data", 0o700, USER);
    Ok(files)
}

/// reeve and what it ships.
pub(super) fn own(args: &Args) -> anyhow::Result<Files> {
    let mut files = Files::default();
    let program = std::fs::read(&args.binary);
    let program = program.with_context(|| args.binary.display().to_string())?;
    files.put("usr/bin/reeve", 0o755, program)?;
    let place = || args.plugins.display().to_string();
    for entry in std::fs::read_dir(&args.plugins).with_context(place)? {
        let path = entry.with_context(place)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".wasm") {
            let content = std::fs::read(&path).with_context(|| path.display().to_string())?;
            files.put(&format!("plugins/{name}"), 0o644, content)?;
        }
    }
    ensure!(
        files.0.contains_key("plugins"),
        "no plugin is in {}: `make plugins` builds them",
        place()
    );
    Ok(files)
}

/// The libraries that a program is loaded with, and the loader; none where it needs none.
pub(super) fn libraries(binary: &Path) -> anyhow::Result<Vec<String>> {
    let out = Command::new("ldd")
        .arg(binary)
        .stdin(Stdio::null())
        .output();
    let out = out.context("ldd cannot be run")?;
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    if !out.status.success() {
        let said = [out.stdout, out.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if said.contains("not a dynamic executable") {
            return Ok(Vec::new());
        }
        bail!("ldd {}: {}", binary.display(), said.trim());
    }
    linked(&told)
}

fn linked(told: &str) -> anyhow::Result<Vec<String>> {
    let mut libraries = Vec::new();
    for line in told.lines().map(str::trim) {
        let place = line.split_once(" => ").map_or(line, |(_, place)| place);
        ensure!(!place.starts_with("not found"), "{line}");
        if place.starts_with('/') {
            libraries.extend(place.split(' ').next().map(str::to_owned));
        }
    }
    Ok(libraries)
}

/// Mozilla's list, of the version in Cargo.lock, as a bundle.
fn authorities() -> String {
    let mut bundle = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        bundle.push_str("-----BEGIN CERTIFICATE-----\n");
        for (at, letter) in STANDARD.encode(certificate).chars().enumerate() {
            if at > 0 && at % 64 == 0 {
                bundle.push('\n');
            }
            bundle.push(letter);
        }
        bundle.push_str("\n-----END CERTIFICATE-----\n");
    }
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_that_lie_somewhere_and_one_that_is_missing_is_an_error() {
        let told = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibm.so.6 => /lib/x/libm.so.6 (0x7f)\n\t/lib64/ld.so.2 (0x7f)\n";
        let found = linked(told).expect("all are there");
        assert_eq!(found, ["/lib/x/libm.so.6", "/lib64/ld.so.2"]);
        assert!(linked("\tlibz.so.1 => not found\n").is_err());
    }

    #[test]
    fn directories_come_before_what_is_in_them_and_no_path_leads_elsewhere() {
        let files = Files::default().with("a/b/c", b"x").expect("a path");
        let paths: Vec<&str> = files.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c"]);
        for path in ["/a", "a/../b", "a//b", ""] {
            assert!(Files::default().with(path, b"").is_err(), "{path}");
        }
    }

    #[test]
    fn authorities_are_certificates_as_openssl_writes_them() {
        let bundle = authorities();
        assert!(bundle.matches("BEGIN CERTIFICATE").count() > 50);
        assert!(bundle.lines().all(|line| line.len() <= 64));
    }
}
