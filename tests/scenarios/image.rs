//! The image, as `make image` makes it: the same every time, in a registry, and complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use reeve_tests::{controller, root};
use serde_json::Value;

use crate::command::registry::Registry;

/// Makes one of a program, and gives its digest.
fn make(program: &Path, into: &Path, more: &[&str]) -> anyhow::Result<String> {
    let out = Command::new(env!("CARGO_BIN_EXE_image"))
        .arg("--binary")
        .arg(program)
        .arg("--plugins")
        .arg(root().join("target/plugins"))
        .arg("--into")
        .arg(into)
        .args(["--revision", "0123abc"])
        .args(more)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .stdin(Stdio::null())
        .output()?;
    let why = String::from_utf8_lossy(&out.stderr).into_owned();
    ensure!(out.status.success(), "{why}");
    let said = String::from_utf8(out.stdout)?;
    let digest = said.split(' ').nth(1).context("it says which")?;
    Ok(digest.to_owned())
}

/// A program that is linked to something, and small.
fn shell() -> anyhow::Result<PathBuf> {
    fs::canonicalize("/bin/sh").context("/bin/sh")
}

/// The program without what debuggers read, which a release does not have either.
fn stripped(into: &Path) -> anyhow::Result<PathBuf> {
    let to = into.join("reeve");
    let mut command = Command::new("strip");
    command.arg("-o").arg(&to).arg(controller::program()?);
    ensure!(command.status().context("strip")?.success(), "strip failed");
    Ok(to)
}

#[test]
fn the_same_inputs_are_the_same_image_and_one_that_is_too_large_is_none() {
    let made = || {
        let dir = tempfile::tempdir()?;
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let digests = (make(&shell()?, &one, &[])?, make(&shell()?, &other, &[])?);
        ensure!(digests.0 == digests.1, "{digests:?}");
        // What lies there of another one is gone.
        make(&shell()?, &other, &["--version", "0.2.0"])?;
        make(&shell()?, &other, &[])?;
        ensure!(fs::read(one.join("reeve.tar"))? == fs::read(other.join("reeve.tar"))?);
        let blobs = |dir: &Path| anyhow::Ok(fs::read_dir(dir.join("oci/blobs/sha256"))?.count());
        ensure!(blobs(&one)? == 4 && blobs(&other)? == 4);
        let large = make(&shell()?, &one, &["--most-bytes", "1000"]);
        let why = format!("{:?}", large.err().context("it is taken")?);
        ensure!(why.contains("may take 1000"), "{why}");
        Ok(())
    };
    made().unwrap();
}

/// Runs the program with nothing there but the image.
fn inside(of: &Path) -> anyhow::Result<String> {
    let (mut told, root) = (Vec::new(), of.display());
    // As root, in a user namespace where the kernel lets us have one, or as root by a password that nobody asks for.
    for (program, words) in [
        ("chroot", vec![format!("{root}")]),
        (
            "unshare",
            vec!["--map-root-user".into(), format!("--root={root}")],
        ),
        (
            "sudo",
            vec!["-n".into(), "chroot".into(), format!("{root}")],
        ),
    ] {
        let mut command = Command::new(program);
        command.args(words).args(["/usr/bin/reeve", "--version"]);
        // Where these two lie is ours to know; the image has no use for it.
        command.env_clear().env("PATH", std::env::var("PATH")?);
        match command.stdin(Stdio::null()).output() {
            Ok(out) if out.status.success() => return Ok(String::from_utf8(out.stdout)?),
            Ok(out) => told.push(String::from_utf8_lossy(&out.stderr).into_owned()),
            Err(why) => told.push(format!("{program}: {why}")),
        }
    }
    anyhow::bail!(
        "nothing here may change its root; `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` lets unshare: {told:?}"
    )
}

/// What the bill says is in it.
fn is_billed(text: &str) -> anyhow::Result<()> {
    let bill: Value = serde_json::from_str(text)?;
    let components = bill["components"].as_array().context("it has components")?;
    let has = |name: &str| components.iter().any(|it| it["name"] == name);
    for name in ["gix", "kube", "regorus", "wasmtime", "stamp-labels"] {
        ensure!(has(name), "{name} is not in the bill");
    }
    for name in ["ctrlc", "reeve-tests", "serde_derive"] {
        ensure!(!has(name), "{name} is in the bill");
    }
    // No scanner knows what a file is: it looks for the package, by its version.
    let library = components.iter().find(|it| it["name"] == "libc6");
    let library = library.context("the C library has no package")?;
    let purl = library["purl"].as_str().unwrap_or_default();
    let version = library["version"].as_str().unwrap_or_default();
    ensure!(
        purl.starts_with("pkg:deb/") && !version.is_empty(),
        "{library}"
    );
    let is_crate = |it: &&Value| {
        let purl = it["purl"].as_str();
        purl.is_some_and(|purl| purl.starts_with("pkg:cargo/"))
    };
    let crates = components.iter().filter(is_crate);
    let mute = crates.filter(|it| it["licenses"].is_null());
    let mute: Vec<&Value> = mute.map(|it| &it["name"]).collect();
    ensure!(mute.is_empty(), "without a licence: {mute:?}");
    Ok(())
}

/// What an archive holds at a path.
fn in_archive(archive: &Path, path: &str) -> anyhow::Result<Option<Value>> {
    let mut tar = tar::Archive::new(fs::File::open(archive)?);
    for entry in tar.entries()? {
        let entry = entry?;
        if entry.path()? == Path::new(path) {
            return Ok(Some(serde_json::from_reader(entry)?));
        }
    }
    Ok(None)
}

/// What containerd calls the image of an archive, which kind and k3d hand to its `ctr images import`: with a layout in it, it never
/// looks at the names that are for docker, and what names no repository it calls after the day.
fn name_in_containerd(archive: &Path) -> anyhow::Result<String> {
    ensure!(in_archive(archive, "oci-layout")?.is_some(), "no layout");
    let index = in_archive(archive, "index.json")?.context("no index")?;
    let annotations = &index["manifests"][0]["annotations"];
    let text = |key: &str| annotations[key].as_str().map(str::to_owned);
    let named = text("io.containerd.image.name").filter(|name| !name.is_empty());
    let reference = text("org.opencontainers.image.ref.name");
    Ok(match (named, reference) {
        (Some(name), _) => name,
        (None, Some(name)) if name.contains(['/', ':', '@']) => name,
        (None, other) => format!("import-2026-11-23:{}", other.unwrap_or_default()),
    })
}

#[test]
fn a_node_that_has_loaded_the_archive_has_the_image_that_the_charts_pods_ask_for() {
    let loaded = || {
        let dir = tempfile::tempdir()?;
        make(&shell()?, dir.path(), &[])?;
        let archive = dir.path().join("reeve.tar");
        let rendered = fs::read_to_string(root().join("tests/cases/chart/usual.yaml"))?;
        let mut lines = rendered.lines().map(str::trim);
        let asked = lines.find_map(|line| line.strip_prefix("image: "));
        let asked = asked.context("no pod has an image")?.trim_matches('"');
        // As whoever names no registry means it.
        let meant = format!("docker.io/library/{asked}");
        let name = name_in_containerd(&archive)?;
        ensure!(name == meant, "{name}, and pods ask for {meant}");
        let docker =
            in_archive(&archive, "manifest.json")?.context("docker load knows no other")?;
        ensure!(docker[0]["RepoTags"][0] == asked, "{docker}");
        Ok(())
    };
    loaded().unwrap();
}

#[test]
fn the_image_is_taken_by_a_registry_runs_as_nobody_and_needs_nothing_beside_it() {
    let taken = || {
        let (registry, dir) = (Registry::start()?, tempfile::tempdir()?);
        let into = dir.path().join("image");
        let digest = make(&stripped(dir.path())?, &into, &[])?;
        let reference = format!("{}/platform/reeve:0.1.0", registry.host());
        let layout = into.join("oci").display().to_string();
        registry.crane(&["push", &layout, &reference])?;
        // What container engines load.
        let archive = into.join("reeve.tar").display().to_string();
        registry.crane(&["validate", "--tarball", &archive])?;
        let there = registry.crane(&["digest", &reference])?;
        ensure!(there.trim() == digest, "{there} is not {digest}");

        let config: Value = serde_json::from_str(&registry.crane(&["config", &reference])?)?;
        let config = &config["config"];
        ensure!(config["User"] == "65532:65532", "{config}");
        ensure!(config["Entrypoint"][0] == "/usr/bin/reeve", "{config}");
        let revision = &config["Labels"]["org.opencontainers.image.revision"];
        ensure!(revision == "0123abc", "{config}");

        let (tar, root) = (dir.path().join("all.tar"), dir.path().join("root"));
        let to = tar.display().to_string();
        registry.crane(&["export", &reference, &to])?;
        tar::Archive::new(fs::File::open(&tar)?).unpack(&root)?;
        let said = inside(&root)?;
        ensure!(said.starts_with("reeve 0.1.0"), "{said}");
        ensure!(root.join("plugins/stamp-labels.wasm").is_file());
        is_billed(&fs::read_to_string(
            root.join("usr/share/reeve/sbom.cdx.json"),
        )?)
    };
    taken().unwrap();
}
