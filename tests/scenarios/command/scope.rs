//! `reeve policy eval` about kinds that no API server is there to explain, and what it exits with.

use anyhow::ensure;

use super::policy::{KUSTOMIZATION, policy};
use super::{files, text};

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

/// What is asked, and the code that the answer exits with.
const CODES: &[(&str, &str, i32)] = &[
    ("blue.json", "colours", 0),
    ("red.json", "colours", 1),
    // What cannot be evaluated denies.
    ("blue.json", "broken", 1),
    ("none.json", "colours", 2),
    ("torn.json", "colours", 2),
    // Nothing came on stdin.
    ("-", "colours", 2),
    ("red.json", "nobodys", 2),
    ("red.json", "bad", 2),
];

const RED: &str = "# METADATA\n# title: No red\n# description: Red is not wanted.\npackage colours\n\ndeny contains {\"message\": \"red\"} if input.objects[_].object.data.colour == \"red\"\n";
const BROKEN: &str = "# METADATA\n# title: Broken\n# description: An object is no text.\npackage broken\n\ndeny contains {\"message\": \"m\"} if lower(input.objects[0].object) == \"a\"\n";

#[test]
fn a_denial_exits_otherwise_than_an_answer_that_could_not_be_had() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let input = |colour: &str| {
        format!(
            "{{\"phase\": \"plan\", \"objects\": [{{\"id\": \"a\", \"name\": \"a\", \"object\": {{\"data\": {{\"colour\": \"{colour}\"}}}}}}]}}"
        )
    };
    files(
        dir.path(),
        &[
            ("colours/policy.rego", RED),
            ("broken/policy.rego", BROKEN),
            ("bad/policy.rego", "package colours\n\ndeny contains if {\n"),
            ("blue.json", &input("blue")),
            ("red.json", &input("red")),
            ("torn.json", "{"),
            ("web.yaml", KUSTOMIZATION),
        ],
    )?;
    for (input, policies, code) in CODES {
        let arguments = ["eval", "--only", "--policy", policies, "--input", input];
        let output = policy(&arguments, dir.path(), "")?;
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        ensure!(
            output.status.code() == Some(*code),
            "{input} {policies}: {said}"
        );
    }
    // A build that failed has written nothing, and the shell goes on.
    let piped = [
        "eval",
        "--only",
        "--policy",
        "colours",
        "--kustomization",
        "web.yaml",
        "-",
    ];
    let output = policy(&piped, dir.path(), "")?;
    let said = text(&output.stderr);
    ensure!(output.status.code() == Some(2), "{said}");
    ensure!(said.contains("nothing came on stdin"), "{said}");
    Ok(())
}
