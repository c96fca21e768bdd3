//! `reeve plugin`: what a plugin's author types, with the toolchains and a registry that are real.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, ensure};
use reeve_tests::{controller, root};
use serde_json::Value;

use super::registry::Registry;
use super::{files, text};

/// With the caller's environment: toolchains need homes and caches.
pub(super) fn plugin(arguments: &[&str], directory: &Path) -> anyhow::Result<Output> {
    fed(arguments, directory, "")
}

fn fed(arguments: &[&str], directory: &Path, stdin: &str) -> anyhow::Result<Output> {
    let mut command = Command::new(controller::program()?);
    command.arg("plugin").args(arguments).current_dir(directory);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Logins of whoever runs the tests are none of theirs.
    command.env("DOCKER_CONFIG", directory);
    let mut child = command.spawn()?;
    child
        .stdin
        .take()
        .context("stdin is piped")?
        .write_all(stdin.as_bytes())?;
    Ok(child.wait_with_output()?)
}

/// What a command printed that must have succeeded.
pub(super) fn done(output: &Output) -> anyhow::Result<String> {
    ensure!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    Ok(text(&output.stdout))
}

/// A plugin that is shipped.
pub(super) fn shipped(name: &str) -> anyhow::Result<PathBuf> {
    let status = Command::new(root().join("plugins/build.sh"))
        .arg(name)
        .status()?;
    ensure!(status.success(), "plugins/build.sh {name}");
    Ok(root()
        .join("target/plugins")
        .join(name)
        .with_extension("wasm"))
}

pub(super) const MANIFESTS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\n";

#[test]
fn a_call_prints_manifests_on_stdout_and_the_log_on_stderr() -> anyhow::Result<()> {
    let component = shipped("stamp-labels")?;
    let component = component.to_str().context("UTF-8")?;
    let dir = tempfile::tempdir()?;
    files(
        dir.path(),
        &[
            ("config.yaml", "labels: {team: web}\n"),
            ("wrong.json", "{}"),
        ],
    )?;
    let output = fed(
        &["run", component, "--config", "config.yaml"],
        dir.path(),
        MANIFESTS,
    )?;
    let made = done(&output)?;
    ensure!(
        made.matches("team: web").count() == 2 && made.contains("\n---\n"),
        "{made}"
    );
    ensure!(text(&output.stderr).contains("info: stamped 1 labels on 2 manifests"));

    let refused = fed(
        &["run", component, "--config", "wrong.json"],
        dir.path(),
        MANIFESTS,
    )?;
    ensure!(refused.status.code() == Some(1) && refused.stdout.is_empty());
    // The component would refuse it too, but is not asked.
    let said = text(&refused.stderr);
    ensure!(
        said.contains(
            "the config is not what the component asks for: /: \"labels\" is a required property"
        ) && said.contains("hint: `reeve plugin inspect`"),
        "{said}"
    );

    let slow = [
        "run",
        component,
        "--config",
        "config.yaml",
        "--memory",
        "64Ki",
    ];
    let starved = fed(&slow, dir.path(), MANIFESTS)?;
    ensure!(starved.status.code() == Some(1), "64 KiB are enough?");
    ensure!(
        text(&starved.stderr).contains("64 KiB of memory"),
        "{}",
        text(&starved.stderr)
    );
    Ok(())
}

#[test]
fn a_component_tells_what_it_is_and_what_its_config_must_be() -> anyhow::Result<()> {
    let component = shipped("pin-images")?;
    let component = component.to_str().context("UTF-8")?;
    let told = done(&plugin(&["inspect", component, "-o", "json"], &root())?)?;
    let told: Value = serde_json::from_str(&told)?;
    ensure!(
        told["world"] == serde_json::json!(["transformer"]),
        "{told}"
    );
    ensure!(
        told["exports"] == serde_json::json!(["reeve:plugin/transform@0.1.0"]),
        "{told}"
    );
    ensure!(
        told["configSchema"]["required"] == serde_json::json!(["images"]),
        "{told}"
    );
    ensure!(told["manifest"]["description"].is_string(), "{told}");
    Ok(())
}

#[test]
fn a_new_plugin_brings_the_contract_and_overwrites_nothing() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    for lang in ["rust", "python", "js", "go"] {
        let name = format!("my-{lang}");
        done(&plugin(&["new", &name, "--lang", lang], dir.path())?)?;
        let made = dir.path().join(&name);
        for entry in std::fs::read_dir(root().join("wit"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "wit") {
                let copy = made.join("wit").join(path.file_name().context("a name")?);
                ensure!(
                    std::fs::read(&copy)? == std::fs::read(&path)?,
                    "{}",
                    copy.display()
                );
            }
        }
        let readme = std::fs::read_to_string(made.join("README.md"))?;
        ensure!(
            readme.contains(&format!("# {name}")) && !readme.contains("NAME"),
            "{readme}"
        );
        let again = plugin(&["new", &name, "--lang", lang], dir.path())?;
        ensure!(again.status.code() == Some(1), "{name} was written twice");
    }
    let wrong = plugin(&["new", "../Plugin", "--lang", "go"], dir.path())?;
    ensure!(wrong.status.code() == Some(2));
    let other = ["new", "forge", "--lang", "go", "--world", "provider"];
    let other = plugin(&other, dir.path())?;
    ensure!(other.status.code() == Some(1) && !dir.path().join("forge").exists());
    Ok(())
}

#[test]
fn a_new_plugin_builds_and_passes_its_cases() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    for (lang, world) in [
        ("rust", "transformer"),
        ("rust", "provider"),
        ("go", "transformer"),
    ] {
        let name = format!("my-{lang}-{world}");
        done(&plugin(
            &["new", &name, "--lang", lang, "--world", world],
            dir.path(),
        )?)?;
        let made = dir.path().join(&name);
        let first = done(&plugin(&["build"], &made)?)?;
        let told = done(&plugin(&["test"], &made)?)?;
        ensure!(told.contains("2 passed, 0 failed"), "{lang}: {told}");
        let again = done(&plugin(&["build"], &made)?)?;
        ensure!(
            first == again,
            "{lang}: two builds of the same sources differ"
        );
    }
    Ok(())
}

#[test]
fn what_a_build_lacks_is_said_with_the_command_that_installs_it() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    for (lang, hint) in [
        ("python", ".venv/bin/pip install -r requirements.txt"),
        ("js", "`npm install`"),
    ] {
        let name = format!("my-{lang}");
        done(&plugin(&["new", &name, "--lang", lang], dir.path())?)?;
        let mut command = Command::new(controller::program()?);
        command
            .args(["plugin", "build", &name])
            .current_dir(dir.path());
        let output = command.env("PATH", "").stdin(Stdio::null()).output()?;
        let said = text(&output.stderr);
        ensure!(
            output.status.code() == Some(1) && said.contains(hint),
            "{lang}: {said}"
        );
    }
    Ok(())
}

#[test]
fn a_plugin_goes_through_a_registry_unchanged_and_its_signature_counts() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    let dir = tempfile::tempdir()?;
    let component = shipped("stamp-labels")?;
    let given = component.to_str().context("UTF-8")?;
    let tagged = format!("oci://{}/acme/stamp:0.1.0", registry.host());
    let reach = |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.push("--plain-http");
        plugin(&all, dir.path())
    };

    let pushed = done(&reach(&["push", given, &tagged])?)?;
    ensure!(
        pushed == done(&reach(&["push", given, &tagged])?)?,
        "another digest the second time"
    );
    let exact = pushed.trim();
    done(&reach(&["pull", exact, "-o", "back.wasm"])?)?;
    ensure!(std::fs::read(dir.path().join("back.wasm"))? == std::fs::read(&component)?);
    let digest = registry.crane(&["digest", &format!("{}/acme/stamp:0.1.0", registry.host())])?;
    ensure!(exact.ends_with(digest.trim()), "crane calls it {digest}");
    registry.crane(&[
        "validate",
        "--remote",
        &format!("{}/acme/stamp:0.1.0", registry.host()),
    ])?;

    for kind in [
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..],
        &["ed25519"],
    ] {
        let name = kind[0];
        super::registry::key(dir.path(), name, kind)?;
        let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
        let unsigned = reach(&["verify", &tagged, "--key", &public])?;
        ensure!(
            unsigned.status.code() == Some(1),
            "{name}: nobody signed it with this key"
        );
        ensure!(text(&unsigned.stderr).contains("is not signed by a key that is believed"));
        done(&reach(&["sign", exact, "--key", &private])?)?;
        done(&reach(&["verify", &tagged, "--key", &public])?)?;
    }
    // The signature is about what was signed, not about whatever the tag is at.
    let other = shipped("pin-images")?;
    done(&reach(&[
        "push",
        other.to_str().context("UTF-8")?,
        &tagged,
    ])?)?;
    let moved = reach(&["verify", &tagged, "--key", "EC.pub"])?;
    ensure!(
        moved.status.code() == Some(1),
        "the tag was moved to what nobody signed"
    );
    done(&reach(&["verify", exact, "--key", "EC.pub"])?)?;
    Ok(())
}

#[test]
fn what_lies_spoilt_in_a_registry_is_not_taken() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    let dir = tempfile::tempdir()?;
    let component = shipped("stamp-labels")?;
    let tagged = format!("oci://{}/acme/stamp:0.1.0", registry.host());
    let given = component.to_str().context("UTF-8")?;
    done(&plugin(
        &["push", given, &tagged, "--plain-http"],
        dir.path(),
    )?)?;
    registry.spoil(&std::fs::read(&component)?)?;
    let pulled = plugin(
        &["pull", &tagged, "-o", "back.wasm", "--plain-http"],
        dir.path(),
    )?;
    ensure!(pulled.status.code() == Some(1) && !dir.path().join("back.wasm").exists());
    // This registry looks at its blobs itself; one that lies is in the tests of `oci`.
    let told = text(&pulled.stderr);
    ensure!(told.contains("does not have the component"), "{told}");
    Ok(())
}

#[test]
fn an_image_that_is_no_plugin_is_refused_by_what_it_is() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    let dir = tempfile::tempdir()?;
    let image = format!("{}/acme/image:1", registry.host());
    files(dir.path(), &[("file", "text")])?;
    let archive = dir.path().join("layer.tar");
    let status = Command::new("tar")
        .arg("cf")
        .arg(&archive)
        .arg("-C")
        .arg(dir.path())
        .arg("file")
        .status()?;
    ensure!(status.success());
    registry.crane(&[
        "append",
        "-f",
        archive.to_str().context("UTF-8")?,
        "-t",
        &image,
        "--oci-empty-base",
    ])?;
    let from = format!("oci://{image}");
    let pulled = plugin(
        &["pull", &from, "-o", "back.wasm", "--plain-http"],
        dir.path(),
    )?;
    ensure!(pulled.status.code() == Some(1));
    ensure!(
        text(&pulled.stderr).contains("is no plugin"),
        "{}",
        text(&pulled.stderr)
    );
    Ok(())
}
