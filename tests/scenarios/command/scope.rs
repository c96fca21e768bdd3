//! `reeve policy eval` about kinds that no API server is there to explain.

use anyhow::ensure;

use super::files;
use super::policy::{KUSTOMIZATION, policy};

#[test]
fn what_nobody_on_a_laptop_knows_of_a_kind_is_told_beside_the_answer() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let widget = "apiVersion: acme.example/v1\nkind: Widget\nmetadata: {name: one}\n";
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.acme.example}\nspec:\n  group: acme.example\n  names: {kind: Widget, plural: widgets}\n  scope: Cluster\n";
    files(
        dir.path(),
        &[
            ("web.yaml", KUSTOMIZATION),
            (
                "none.yaml",
                &KUSTOMIZATION.replace("  targetNamespace: acme\n", ""),
            ),
            ("bundle.yaml", widget),
            ("defined.yaml", &format!("{definition}---\n{widget}")),
        ],
    )?;
    let unknown = "nobody here knows whether Widget.acme.example lies in a namespace";
    for (kustomization, bundle, words) in [
        ("web.yaml", "bundle.yaml", Some("shown it as lying in one")),
        (
            "none.yaml",
            "bundle.yaml",
            Some("shown it as lying in none"),
        ),
        ("web.yaml", "defined.yaml", None),
    ] {
        let arguments = [
            "eval",
            "--kustomization",
            kustomization,
            bundle,
            "--policy",
            "no-cluster-scope",
        ];
        let output = policy(&arguments, dir.path(), "")?;
        let beside = String::from_utf8_lossy(&output.stderr);
        let is_told = words.is_some_and(|words| beside.contains(words));
        ensure!(
            beside.contains(unknown) == words.is_some() && is_told == words.is_some(),
            "{kustomization} {bundle}: {beside}"
        );
    }
    Ok(())
}
