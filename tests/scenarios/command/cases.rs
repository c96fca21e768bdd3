//! `reeve plugin test`: cases that pass, and what is said of those that do not.

use std::path::Path;

use anyhow::{Context as _, ensure};
use reeve_tests::root;
use serde_json::Value;

use super::plugin::{MANIFESTS, done, plugin, shipped};
use super::{files, text};

#[test]
fn the_cases_of_the_shipped_plugins_pass_at_the_command_line() -> anyhow::Result<()> {
    for name in [
        "stamp-labels",
        "pin-images",
        "default-resources",
        "gitea-provider",
        "github-provider",
        "gitlab-provider",
    ] {
        let component = shipped(name)?;
        let cases = root().join("plugins").join(name).join("case");
        let component = component.to_str().context("UTF-8")?;
        let folder = cases.to_str().context("UTF-8")?;
        let told = done(&plugin(
            &["test", component, "--cases", folder, "-o", "json"],
            &root(),
        )?)?;
        let told: Value = serde_json::from_str(&told)?;
        let all = std::fs::read_dir(&cases)?.count();
        ensure!(
            all > 2 && told["failed"] == 0 && told["passed"] == all,
            "{name}: {told}"
        );
    }
    Ok(())
}

#[test]
fn a_case_that_fails_is_shown_with_its_difference_and_exits_1() -> anyhow::Result<()> {
    let component = shipped("stamp-labels")?;
    let component = component.to_str().context("UTF-8")?;
    let config = ("config.yaml", "labels: {team: web}\n");
    let right = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels: {team: web}\n  name: a\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b, labels: {team: web}}\n";
    for (want, shown) in [
        (("want.yaml", right), ""),
        (("want/all.yaml", right), ""),
        (("want.yaml", MANIFESTS), "+   labels:"),
        (
            ("error", "no such words"),
            "it was to fail with \"no such words\"",
        ),
    ] {
        tried(component, config, want, shown)?;
    }
    let wrong = ("config.yaml", "labels: {team: 7}\n");
    for (want, shown) in [
        (
            ("error", "/labels/team: value is not of type \"string\""),
            "",
        ),
        (
            ("error", "no such words"),
            "its error does not have the words",
        ),
        (("want.yaml", right), "/labels/team: value is not of type"),
        // The guest's own words, whatever its schema says.
        (
            ("want.json", r#"{"refused": "the config must be"}"#),
            "+ the config must be {\"labels\"",
        ),
    ] {
        tried(component, wrong, want, shown)?;
    }
    Ok(())
}

/// Runs one case with this config, and expects this; nothing where it passes.
fn tried(
    component: &str,
    config: (&str, &str),
    want: (&str, &str),
    shown: &str,
) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let case = |file: &str| format!("case/one/{file}");
    let (given, config_file, want_file) = (case("in/all.yaml"), case(config.0), case(want.0));
    files(
        dir.path(),
        &[
            (&given, MANIFESTS),
            (&config_file, config.1),
            (&want_file, want.1),
        ],
    )?;
    std::fs::copy(component, dir.path().join("stamp.wasm"))?;
    let output = plugin(&["test"], dir.path())?;
    let said = text(&output.stdout);
    let passes = shown.is_empty();
    ensure!(
        output.status.code() == Some(i32::from(!passes)),
        "{want:?}: {said}"
    );
    ensure!(said.contains(shown), "{want:?}: {said}");
    let sum = if passes {
        "1 passed, 0 failed"
    } else {
        "0 passed, 1 failed"
    };
    ensure!(said.contains(sum), "{want:?}: {said}");
    Ok(())
}

#[test]
fn a_case_of_a_provider_says_which_request_it_did_not_expect() -> anyhow::Result<()> {
    let component = shipped("gitea-provider")?;
    let from = root().join("plugins/gitea-provider/case/credential-asks-whose-the-token-is");
    let read = |name: &str| std::fs::read_to_string(from.join(name));
    let (operation, exchange, want) = (
        read("operation.json")?,
        read("exchange.json")?,
        read("want.json")?,
    );
    let elsewhere = exchange.replace("/user\"", "/users\"");
    let twice = format!("[{0},{0}]", exchange.trim().trim_matches(['[', ']']).trim());
    let wrong = operation.replace("\"config\": {}", "\"config\": {\"api\": 1}");
    let refused = ("error", "/api: value is not of type \"string\"");
    for (operation, exchange, want, shown) in [
        (&*operation, &*exchange, ("want.json", &*want), "1 passed"),
        (
            &operation,
            &elsewhere,
            ("want.json", &want),
            "-   \"url\": \"https://git.example/api/v1/users\"",
        ),
        (
            &operation,
            "[]",
            ("want.json", &want),
            "it asks for a request more",
        ),
        (
            &operation,
            &twice,
            ("want.json", &want),
            "it ends before this request",
        ),
        (
            &operation,
            &exchange,
            ("want.json", "{\"present\": \"1\"}"),
            "it ends otherwise",
        ),
        (
            &operation,
            &exchange,
            ("error", "no"),
            "it was to fail with \"no\"",
        ),
        (&wrong, "[]", refused, "1 passed"),
        (
            &wrong,
            "[]",
            ("error", "no such words"),
            "its error does not have the words",
        ),
    ] {
        played(&component, &[operation, exchange], want, shown)?;
    }
    Ok(())
}

/// Plays one case of this operation and exchange, and expects this to be said.
fn played(
    component: &Path,
    case: &[&str; 2],
    want: (&str, &str),
    shown: &str,
) -> anyhow::Result<()> {
    let [operation, exchange] = case;
    let dir = tempfile::tempdir()?;
    files(
        dir.path(),
        &[
            ("case/one/operation.json", operation),
            ("case/one/exchange.json", exchange),
            (&format!("case/one/{}", want.0), want.1),
        ],
    )?;
    std::fs::copy(component, dir.path().join("gitea.wasm"))?;
    let output = plugin(&["test"], dir.path())?;
    let said = text(&output.stdout);
    let passes = shown == "1 passed";
    ensure!(
        output.status.code() == Some(i32::from(!passes)) && said.contains(shown),
        "{shown}: {said}{}",
        text(&output.stderr)
    );
    Ok(())
}
