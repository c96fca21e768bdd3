//! `reeve policy`: what a platform's author of policies types.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, ensure};
use reeve_tests::{binaries, controller, root};
use serde_json::Value;

use super::{files, text};

pub(super) fn policy(arguments: &[&str], directory: &Path, stdin: &str) -> anyhow::Result<Output> {
    let mut command = Command::new(controller::program()?);
    command.arg("policy").args(arguments).current_dir(directory);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut pipe = child.stdin.take().context("stdin is piped")?;
    pipe.write_all(stdin.as_bytes())?;
    drop(pipe);
    Ok(child.wait_with_output()?)
}

/// What a command printed, and whether it ended well.
fn told(arguments: &[&str], directory: &Path) -> anyhow::Result<(String, bool)> {
    let output = policy(arguments, directory, "")?;
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    ensure!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    Ok((said, output.status.success()))
}

const HEAD: &str = "# METADATA\n# title: No red\n# description: Red is not wanted.\n# custom: {hint: take blue}\npackage colours\n\n";

fn rules(body: &str) -> String {
    format!("{HEAD}{body}")
}

const RED: &str = "deny contains objection if {\n\tsome planned in input.objects\n\tplanned.object.data.colour == \"red\"\n\tobjection := {\"message\": sprintf(\"%s is red\", [planned.name]), \"object\": planned.id}\n}\n";
const TEST: &str = "package colours_test\n\ntest_red_is_denied if {\n\tcount(data.colours.deny) == 1 with input as {\"objects\": [{\"id\": \"a\", \"name\": \"a\", \"object\": {\"data\": {\"colour\": \"red\"}}}]}\n}\n";

#[test]
fn the_shipped_policies_have_nothing_wrong_and_pass_their_tests_and_cases() -> anyhow::Result<()> {
    let folders: Vec<String> = std::fs::read_dir(root().join("policies"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .map(|path| path.display().to_string())
        .collect();
    let all = |verb: &[&'static str]| {
        let folders = folders.iter().map(String::as_str);
        let arguments: Vec<&str> = verb.iter().copied().chain(folders).collect();
        told(&arguments, &root())
    };
    let (said, well) = all(&["check"])?;
    ensure!(well && said == "11 policies, nothing is wrong\n", "{said}");
    let (said, well) = all(&["test", "--threshold", "95", "-o", "json"])?;
    ensure!(well, "{said}");
    let report: Value = serde_json::from_str(&said)?;
    ensure!(
        report["failed"] == 0 && report["below"] == 0 && report["passed"].as_u64() > Some(100),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_check_tells_the_place_of_everything_that_is_wrong_with_a_policy() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let bad = rules(
        "import data.lib\n\ndeny contains {\"message\": \"m\"} if {\n\tx := input.y\n\ttime.now_ns() > buton\n}\n",
    );
    files(
        dir.path(),
        &[
            ("bad/policy.rego", &bad),
            ("good/policy.rego", &rules(RED)),
            ("bad/a.json", "{"),
        ],
    )?;
    let (said, well) = told(&["check", "good"], dir.path())?;
    ensure!(well && said == "1 policy, nothing is wrong\n", "{said}");
    let (said, well) = told(&["check", "good", "bad"], dir.path())?;
    ensure!(
        !well && said.contains("bad/a.json:1:1: refused: it is not JSON"),
        "{said}"
    );
    std::fs::remove_file(dir.path().join("bad/a.json"))?;
    let (said, well) = told(&["check", "good", "bad", "-o", "json"], dir.path())?;
    ensure!(!well, "{said}");
    let (report, _) = said.split_once("error:").context("an error")?;
    let report: Value = serde_json::from_str(report)?;
    let faults = report["policies"][1]["faults"]
        .as_array()
        .context("faults")?;
    let faults: Vec<String> = faults
        .iter()
        .map(|one| {
            format!(
                "{} {}:{} {}",
                one["file"], one["line"], one["column"], one["kind"]
            )
        })
        .collect();
    let at = |place: &str, kind: &str| format!("\"bad/policy.rego\" {place} \"{kind}\"");
    ensure!(
        faults
            == [
                at("7:1", "unused"),
                at("10:5", "unused"),
                at("10:16", "unknown"),
                at("11:5", "refused"),
                at("11:21", "unbound")
            ],
        "{faults:#?}"
    );
    // OPA minds the same two, and the variable.
    if let Ok(opa) = binaries::find("opa") {
        let output = Command::new(opa)
            .args(["check", "--strict", "bad"])
            .current_dir(dir.path())
            .output()?;
        let opa = text(&output.stderr);
        ensure!(opa.contains("import data.lib unused"), "{opa}");
    }
    Ok(())
}

/// What `reeve policy test` is asked, what it says, and whether it ends well.
const TESTED: &[(&[&str], &str, bool)] = &[
    (
        &["good"],
        "good: 1 of 1 test passed, 100% covered\n1 passed, 0 failed\n",
        true,
    ),
    (
        &["none"],
        "there is neither a rule test_* nor a case",
        false,
    ),
    (&["good", "--run", "blue"], "error: no test ran", false),
    (&["good", "--run", "red_is"], "1 passed, 0 failed", true),
    (&["wrong"], "+ denies {\"message\":\"a is red\"", false),
    (
        &["half", "--threshold", "90"],
        "% covered, less than 90%",
        false,
    ),
    (&["half"], "not reached: half/policy.rego:13-15", true),
    (
        &["half", "--threshold", "90", "-o", "tap"],
        "not ok 2 - half: coverage",
        false,
    ),
    (
        &["wrong", "-o", "tap"],
        "not ok 1 - wrong/case/allow-red.yaml: case",
        false,
    ),
    (
        &["wrong", "-o", "junit"],
        "<testcase classname=\"wrong/case/allow-red.yaml\" name=\"case\"><failure",
        false,
    ),
];

#[test]
fn tests_and_cases_fail_a_policy_and_so_do_none_and_too_little_coverage() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let wrong = "input: {objects: [{id: a, name: a, object: {data: {colour: red}}}]}\nwant: []\n";
    files(
        dir.path(),
        &[
            ("good/policy.rego", &rules(RED)),
            ("good/policy_test.rego", TEST),
            ("none/policy.rego", &rules(RED)),
            ("wrong/policy.rego", &rules(RED)),
            ("wrong/case/allow-red.yaml", wrong),
            (
                "half/policy.rego",
                &rules(&format!(
                    "{RED}\nwarn contains {{\"message\": \"m\"}} if {{\n\tinput.x\n\tinput.y\n}}\n"
                )),
            ),
            ("half/policy_test.rego", TEST),
        ],
    )?;
    let at = dir.path();
    for (arguments, words, well) in TESTED {
        let arguments: Vec<&str> = ["test"].iter().chain(*arguments).copied().collect();
        let (said, ended) = told(&arguments, at)?;
        ensure!(
            said.contains(words) && ended == *well,
            "{arguments:?}: {said}"
        );
    }
    Ok(())
}

pub(super) const KUSTOMIZATION: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: web, namespace: acme}\nspec:\n  interval: 10m\n  prune: true\n  serviceAccountName: flux\n  targetNamespace: acme\n  sourceRef: {kind: GitRepository, name: web}\n";
const BUNDLE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: paint}\ndata: {colour: red}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: sky}\ndata: {colour: blue}\n";

/// What `reeve policy eval` is asked, what it says, and whether it ends well.
const ASKED: &[(&[&str], &str, bool)] = &[
    (
        &["--kustomization", "web.yaml", "bundle.yaml"],
        "0 denied, 0 warned; 3 policies asked",
        true,
    ),
    (
        &[
            "--kustomization",
            "web.yaml",
            "bundle.yaml",
            "--policy",
            "colours",
        ],
        "denied  colours  acme_paint__ConfigMap\n        paint is red\n        hint: take blue\n1 denied, 0 warned; 4 policies asked",
        false,
    ),
    (
        &["--kustomization", "web.yaml", "astray.yaml"],
        "ConfigMap/other/sky would be applied in namespace other",
        false,
    ),
    (
        &["--kustomization", "web.yaml", "list.yaml"],
        "ConfigMap/other/listed would be applied in namespace other",
        false,
    ),
    (
        &["--kustomization", "nobodys.yaml", "bundle.yaml"],
        "spec.serviceAccountName is missing",
        false,
    ),
    (
        &["--input", "input.json", "--only", "--policy", "colours"],
        "denied  colours  a\n        a is red",
        false,
    ),
    (
        &["--input", "input.json", "--policy", "colours"],
        "denied  service-account",
        false,
    ),
    (
        &[
            "--input",
            "input.json",
            "--only",
            "--policy",
            "required-labels",
        ],
        "denied  required-labels",
        false,
    ),
    (
        &[
            "--kustomization",
            "web.yaml",
            "bundle.yaml",
            "--policy",
            "colours",
            "-o",
            "markdown",
        ],
        "| denied | colours | acme\\_paint\\_\\_ConfigMap |",
        false,
    ),
    (
        &[
            "--kustomization",
            "web.yaml",
            "bundle.yaml",
            "--policy",
            "colours",
            "-o",
            "yaml",
        ],
        "message: paint is red",
        false,
    ),
];

#[test]
fn a_bundle_is_judged_on_a_laptop_as_the_controller_judges_it() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let astray = BUNDLE.replace("name: sky", "name: sky, namespace: other");
    let nobodys = KUSTOMIZATION.replace("  serviceAccountName: flux\n", "");
    files(
        dir.path(),
        &[
            ("colours/policy.rego", &rules(RED)),
            ("web.yaml", KUSTOMIZATION),
            ("nobodys.yaml", &nobodys),
            ("bundle.yaml", BUNDLE),
            ("astray.yaml", &astray),
            (
                "list.yaml",
                "apiVersion: v1\nkind: ConfigMapList\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: listed, namespace: other}\n",
            ),
            (
                "input.json",
                "{\"phase\": \"plan\", \"objects\": [{\"id\": \"a\", \"name\": \"a\", \"object\": {\"data\": {\"colour\": \"red\"}}}]}",
            ),
        ],
    )?;
    for (arguments, words, well) in ASKED {
        let arguments: Vec<&str> = ["eval"].iter().chain(*arguments).copied().collect();
        let (said, ended) = told(&arguments, dir.path())?;
        ensure!(
            said.contains(words) && ended == *well,
            "{arguments:?}: {said}"
        );
    }
    let sarif = [
        "eval",
        "--kustomization",
        "web.yaml",
        "-",
        "--policy",
        "colours",
        "-o",
        "sarif",
    ];
    let output = policy(&sarif, dir.path(), BUNDLE)?;
    let sarif: Value = serde_json::from_slice(&output.stdout)?;
    let result = &sarif["runs"][0]["results"][0];
    ensure!(
        result["ruleId"] == "colours" && result["level"] == "error",
        "{sarif:#}"
    );
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array();
    ensure!(rules.is_some_and(|rules| rules.iter().any(|rule| rule["id"] == "colours")));
    Ok(())
}

/// Minds what is applied while it is not as it was, and what is deleted.
const CHANGED: &str = "deny contains objection if {\n\tsome planned in input.objects\n\tplanned.object != planned.previous\n\tobjection := {\"message\": sprintf(\"%s is another\", [planned.name])}\n}\n\ndeny contains {\"message\": sprintf(\"%s goes\", [planned.name])} if {\n\tsome planned in input.objects\n\tplanned.action == \"prune\"\n}\n\ndeny contains {\"message\": \"not signed\"} if not input.source.verified\n\ndeny contains {\"message\": \"not ours\"} if not startswith(input.source.url, \"https://git.example/\")\n";

/// What is asked beyond the bundle and its source, what is said, and whether it ends well.
const BEFORE: &[(&[&str], &str, bool)] = &[
    (&["--policy", "changed"], "not signed", false),
    (
        &[
            "--verified",
            "--policy",
            "changed",
            "--previous",
            "bundle.yaml",
        ],
        "0 denied",
        true,
    ),
    (
        &[
            "--verified",
            "--policy",
            "changed",
            "--previous",
            "other.yaml",
        ],
        "sky is another",
        false,
    ),
    (
        &["--verified", "--policy", "changed", "--previous", "before"],
        "old goes",
        false,
    ),
    (
        &["--policy", "colours", "--previous", "before"],
        "paint is red",
        false,
    ),
    (
        &["--policy", "colours", "--previous", "before", "--ratchet"],
        "tolerated: it is as it was when it was last applied\n0 denied, 0 warned, 1 tolerated; 4 policies asked",
        true,
    ),
];

#[test]
fn sources_and_what_was_applied_before_can_be_given_on_a_laptop() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ratcheted = RED.replace(
        "planned.id}",
        "sprintf(\"%s/%s/%s\", [planned.kind, planned.namespace, planned.name])}",
    );
    files(
        dir.path(),
        &[
            ("colours/policy.rego", &rules(&ratcheted)),
            ("changed/policy.rego", &rules(CHANGED)),
            ("web.yaml", KUSTOMIZATION),
            ("bundle.yaml", BUNDLE),
            ("before/a.yaml", BUNDLE),
            (
                "before/b/old.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old}\n",
            ),
            ("other.yaml", &BUNDLE.replace("blue", "grey")),
        ],
    )?;
    for (more, words, well) in BEFORE {
        let arguments = ["eval", "--kustomization", "web.yaml", "bundle.yaml"];
        let source = [
            "--source-url",
            "https://git.example/web",
            "--revision",
            "main@sha1:1",
        ];
        let arguments: Vec<&str> = arguments
            .into_iter()
            .chain(source)
            .chain(more.iter().copied())
            .collect();
        let (said, ended) = told(&arguments, dir.path())?;
        ensure!(
            said.contains(words) && ended == *well,
            "{arguments:?}: {said}"
        );
    }
    Ok(())
}

#[test]
fn a_field_that_the_input_does_not_have_fails_a_check_with_the_one_that_is_meant()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let typo = rules("deny contains {\"message\": \"m\"} if input.kustomisation.spec.prune\n");
    files(dir.path(), &[("typo/policy.rego", &typo)])?;
    let (said, well) = told(&["check", "typo"], dir.path())?;
    let words = "typo/policy.rego:7:41: unknown: input has no field kustomisation: did you mean input.kustomization?";
    ensure!(!well && said.contains(words), "{said}");
    Ok(())
}

#[test]
fn why_a_policy_denies_and_why_not_can_be_read_off() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let blue = BUNDLE.replace("red", "blue");
    files(
        dir.path(),
        &[
            ("colours/policy.rego", &rules(RED)),
            ("web.yaml", KUSTOMIZATION),
            ("red.yaml", BUNDLE),
            ("blue.yaml", &blue),
        ],
    )?;
    let why = |bundle: &str| {
        told(
            &[
                "explain",
                "--policy",
                "colours",
                "--kustomization",
                "web.yaml",
                bundle,
            ],
            dir.path(),
        )
    };
    let (said, _) = why("red.yaml")?;
    for words in [
        "colours: 1 denial, 0 warnings\n  paint is red\n",
        "colours/policy.rego:7 data.colours.deny\n",
        "      8  held           some planned in input.objects\n",
        "      9  held at times  planned.object.data.colour == \"red\"\n",
        "gives          objection",
    ] {
        ensure!(said.contains(words), "{words}: {said}");
    }
    let (said, well) = why("blue.yaml")?;
    for words in [
        "colours: 0 denials, 0 warnings\n",
        "      9  stopped        planned.object.data.colour == \"red\"\n",
        "     10  not reached    objection := {",
    ] {
        ensure!(well && said.contains(words), "{words}: {said}");
    }
    Ok(())
}

#[test]
fn the_schema_of_what_policies_read_is_the_one_beside_them() {
    let room = tempfile::tempdir().expect("a room");
    let (said, ended_well) = told(&["schema"], room.path()).expect("it runs");
    let kept = std::fs::read_to_string(root().join("policies/input.schema.json"));
    assert!(ended_well && kept.is_ok_and(|kept| kept == said), "{said}");
}
