//! `reeve build` beside `kustomize build`, and what it may reach.

use std::path::Path;

use anyhow::ensure;
use reeve_tests::git::{HttpServer, Repo, Served};
use reeve_tests::scenario;

use super::{Tool, files, kustomize, reeve, text};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

/// A base with two kinds, and an overlay.
fn overlay(root: &Path) -> anyhow::Result<()> {
    files(
        root,
        &[
            (
                "base/kustomization.yaml",
                "resources: [all.yaml]\nconfigMapGenerator:\n- name: gen\n  literals: [a=b]\n",
            ),
            (
                "base/all.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: x}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: a, image: a}]}}}\n",
            ),
            (
                "overlay/kustomization.yaml",
                "resources: [../base]\nnamePrefix: p-\nimages: [{name: a, newTag: v1}]\n",
            ),
            ("outside.yaml", MAP),
        ],
    )
}

const WAYS: [&[&str]; 6] = [
    &["build", "overlay"],
    &["build", "--reorder", "none", "overlay"],
    &["build", "--reorder=legacy", "overlay/"],
    &[
        "build",
        "overlay",
        "--load-restrictor",
        "LoadRestrictionsNone",
    ],
    &[
        "build",
        "overlay",
        "--load-restrictor=LoadRestrictionsRootOnly",
    ],
    &[
        "build",
        "base",
        "-e",
        "A=b",
        "--network",
        "--as-current-user",
    ],
];

#[test]
fn a_build_prints_and_writes_what_kustomize_does() -> anyhow::Result<()> {
    for in_repository in [false, true] {
        let dir = tempfile::tempdir()?;
        overlay(dir.path())?;
        if in_repository {
            std::fs::create_dir(dir.path().join(".git"))?;
        }
        for arguments in WAYS {
            let theirs = kustomize(arguments, dir.path())?;
            let ours = reeve(arguments, dir.path())?;
            ensure!(
                ours.status.success(),
                "{arguments:?}: {}",
                text(&ours.stderr)
            );
            ensure!(text(&theirs.stdout) == text(&ours.stdout), "{arguments:?}");
        }
        for output in ["file.yaml", "directory"] {
            ensure!(
                written(dir.path(), kustomize, "theirs", output)?
                    == written(dir.path(), reeve, "ours", output)?,
                "{output}"
            );
        }
    }
    Ok(())
}

/// The files that `build overlay -o` leaves below the directory `name`.
fn written(
    root: &Path,
    tool: Tool,
    name: &str,
    output: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let into = root.join(name);
    std::fs::create_dir(&into)?;
    std::fs::create_dir(into.join("directory"))?;
    let target = format!("{name}/{output}");
    let done = tool(&["build", "overlay", "-o", &target], root)?;
    ensure!(done.status.success(), "{}", text(&done.stderr));
    let mut found = Vec::new();
    for place in [into.clone(), into.join("directory")] {
        for entry in std::fs::read_dir(place)? {
            let path = entry?.path();
            if path.is_file() {
                let shown = path.strip_prefix(&into)?.display().to_string();
                found.push((shown, std::fs::read_to_string(&path)?));
            }
        }
    }
    found.sort();
    std::fs::remove_dir_all(into)?;
    Ok(found)
}

/// Kustomizations that lead out of the work tree, and the field that does.
const WAYS_OUT: [(&str, &str); 19] = [
    ("resources: [../../outside.yaml]\n", "resources[0]"),
    ("resources: [../../elsewhere]\n", "resources[0]"),
    ("resources: [link.yaml]\n", "resources[0]"),
    ("resources: [dir]\n", "resources[0]"),
    ("resources: [chain.yaml]\n", "resources[0]"),
    ("resources: [/etc/hostname]\n", "resources[0]"),
    ("resources: [\"file:///etc/hostname\"]\n", "resources[0]"),
    ("components: [dir]\n", "components[0]"),
    (
        "resources: [a.yaml]\npatches: [{path: link.yaml}]\n",
        "patches[0].path",
    ),
    (
        "configMapGenerator: [{name: x, files: [link.yaml]}]\n",
        "configMapGenerator[0].files[0]",
    ),
    ("crds: [link.yaml]\n", "crds[0]"),
    ("configurations: [chain.yaml]\n", "configurations[0]"),
    ("openapi: {path: link.yaml}\n", "openapi.path"),
    (
        "replacements: [{path: chain.yaml}]\n",
        "replacements[0].path",
    ),
    (
        "patchesStrategicMerge: [link.yaml]\n",
        "patchesStrategicMerge[0]",
    ),
    ("generators: [dir/m.yaml]\n", "generators[0]"),
    ("transformers: [dir]\n", "transformers[0]"),
    ("validators: [link.yaml]\n", "validators[0]"),
    (
        "secretGenerator: [{name: x, envs: [../../outside.yaml]}]\n",
        "secretGenerator[0].envs[0]",
    ),
];

#[test]
fn a_build_reads_nothing_from_outside() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    overlay(root)?;
    files(
        root,
        &[
            ("repo/app/kustomization.yaml", ""),
            ("repo/app/a.yaml", MAP),
            ("elsewhere/kustomization.yaml", "resources: [m.yaml]\n"),
            ("elsewhere/m.yaml", MAP),
        ],
    )?;
    std::fs::create_dir(root.join("repo/.git"))?;
    std::os::unix::fs::symlink("../../outside.yaml", root.join("repo/app/link.yaml"))?;
    std::os::unix::fs::symlink("../../elsewhere", root.join("repo/app/dir"))?;
    std::os::unix::fs::symlink("link.yaml", root.join("repo/app/chain.yaml"))?;
    for (content, field) in WAYS_OUT {
        files(root, &[("repo/app/kustomization.yaml", content)])?;
        let done = reeve(&["build", "repo/app"], root)?;
        let said = text(&done.stderr);
        ensure!(
            !done.status.success(),
            "{content} was built: {}",
            text(&done.stdout)
        );
        ensure!(
            said.contains("app/kustomization.yaml:") && said.contains(field),
            "{content}: {said}"
        );
    }
    Ok(())
}

#[test]
fn files_beside_a_kustomization_are_lifted_by_the_load_restrictor_only() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    files(
        root,
        &[
            ("x.yaml", MAP),
            ("app/kustomization.yaml", "resources: [../x.yaml]\n"),
        ],
    )?;
    let refused = reeve(&["build", "app"], root)?;
    ensure!(
        text(&refused.stderr).contains("not in or below"),
        "{}",
        text(&refused.stderr)
    );
    let none = ["build", "app", "--load-restrictor", "LoadRestrictionsNone"];
    ensure!(reeve(&none, root)?.status.success());
    // A root lifts it up to itself, unless it is asked for.
    ensure!(
        reeve(&["build", "app", "--root", "."], root)?
            .status
            .success()
    );
    let narrow = reeve(&["build", "app", "--root", "app"], root)?;
    ensure!(text(&narrow.stderr).contains("outside"));
    let only = "--load-restrictor=LoadRestrictionsRootOnly";
    let both = reeve(&["build", "app", "--root", ".", only], root)?;
    ensure!(text(&both.stderr).contains("not in or below"));
    let neither = [none.as_slice(), &["--root", "."]].concat();
    ensure!(text(&reeve(&neither, root)?.stderr).contains("exclude each other"));
    Ok(())
}

#[test]
fn what_git_keeps_for_itself_is_no_part_of_the_work_tree() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    files(
        root,
        &[
            (".git/config", "[a]\n"),
            (".git/base/kustomization.yaml", "resources: [x.yaml]\n"),
            (".git/base/x.yaml", MAP),
        ],
    )?;
    for field in [
        "resources: [.git/base]",
        "resources: [.git/base/x.yaml]",
        "resources: [.git/nobody]",
        "configMapGenerator: [{name: a, files: [.git/config]}]",
        "configMapGenerator: [{name: a, envs: [.git/config]}]",
        "patches: [{path: .git/config}]",
        "openapi: {path: .git/config}",
    ] {
        let text_of = format!("{field}\n");
        files(root, &[("kustomization.yaml", text_of.as_str())])?;
        let refused = reeve(&["build"], root)?;
        let said = text(&refused.stderr);
        ensure!(
            said.contains("outside of the repository"),
            "{field}: {said}"
        );
    }
    Ok(())
}

#[test]
fn what_runs_programs_is_refused_by_name() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    overlay(dir.path())?;
    for flag in [
        "--enable-helm",
        "--enable-exec",
        "--enable-alpha-plugins",
        "--enable-star",
        "--enable-helm=true",
    ] {
        let done = reeve(&["build", flag, "overlay"], dir.path())?;
        let said = text(&done.stderr);
        let name = flag.trim_end_matches("=true");
        ensure!(
            !done.status.success() && said.contains(name),
            "{flag}: {said}"
        );
    }
    Ok(())
}

#[test]
fn flags_that_ask_for_no_program_are_let_pass_as_scripts_give_them() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    overlay(dir.path())?;
    let plain = reeve(&["build", "overlay"], dir.path())?;
    let flags = "--enable-helm=false --enable-exec=false --enable-alpha-plugins=F --stack-trace --network \
                 --network-name host --mount type=bind -e A=b --env C --as-current-user=true --helm-command helm3 \
                 --helm-api-versions v1 --helm-kube-version 1.30 --helm-debug";
    let mut arguments = vec!["build", "overlay"];
    arguments.extend(flags.split_whitespace());
    for tool in [reeve as Tool, kustomize] {
        let done = tool(&arguments, dir.path())?;
        let said = text(&done.stderr);
        ensure!(
            done.status.success() && done.stdout == plain.stdout,
            "{said}"
        );
    }
    let wrong = reeve(&["build", "--enable-helm=maybe", "overlay"], dir.path())?;
    ensure!(text(&wrong.stderr).contains("--enable-helm"));
    Ok(())
}

#[test]
fn an_address_that_cannot_be_fetched_is_named_with_the_field_that_asks_for_it() -> anyhow::Result<()>
{
    let dir = tempfile::tempdir()?;
    let overlay = "resources:\n- ../base\n";
    let base = "resources:\n- a.yaml\n- https://127.0.0.1:1/b.yaml\n";
    let all = [
        ("base/a.yaml", MAP),
        ("base/kustomization.yaml", base),
        ("overlay/kustomization.yaml", overlay),
    ];
    files(dir.path(), &all)?;
    let done = reeve(&["build", "overlay"], dir.path())?;
    let said = text(&done.stderr);
    let want = "building overlay failed: base/kustomization.yaml:3:3: resources[1]: remote resource https://127.0.0.1:1/b.yaml";
    ensure!(!done.status.success() && said.contains(want), "{said}");
    Ok(())
}

#[test]
fn a_directory_without_a_kustomization_is_built_where_that_is_asked_for() -> anyhow::Result<()> {
    let empty = tempfile::tempdir()?;
    let done = reeve(&["build"], empty.path())?;
    ensure!(
        !done.status.success(),
        "a directory without a kustomization was built"
    );
    files(empty.path(), &[("a.yaml", MAP)])?;
    let done = reeve(&["build", "--generate"], empty.path())?;
    ensure!(
        text(&done.stdout).contains("name: a"),
        "{}",
        text(&done.stderr)
    );
    Ok(())
}

#[test]
fn an_object_is_explained_by_its_file_and_what_went_over_it() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    overlay(dir.path())?;
    let done = reeve(&["build", "overlay", "--explain"], dir.path())?;
    let said = text(&done.stdout);
    ensure!(done.status.success(), "{}", text(&done.stderr));
    for line in [
        "  from ../base/all.yaml",
        "  from ConfigMapGenerator in ../base/kustomization.yaml",
        "  then PrefixTransformer in kustomization.yaml",
        "  then ImageTagTransformer in kustomization.yaml",
    ] {
        ensure!(
            said.lines().any(|own| own == line),
            "no {line:?} in\n{said}"
        );
    }
    let json = reeve(&["build", "overlay", "--explain=json"], dir.path())?;
    let told: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    ensure!(told.as_array().is_some_and(|all| all.len() == 4), "{told}");
    Ok(())
}

const ADDRESS: &str =
    "github.com/ibm-cloud-architecture/eda-gitops-catalog/kafka-strimzi/operator/overlay/stable";

/// A repository with an overlay over a base, on `main` and at the tag `v1`.
fn catalog(served: &Path) -> anyhow::Result<Repo> {
    let repo = Repo::create(served, "ibm-cloud-architecture/eda-gitops-catalog")?;
    repo.write(
        "kafka-strimzi/operator/base/kustomization.yaml",
        "resources: [map.yaml]\n",
    )?;
    repo.write("kafka-strimzi/operator/base/map.yaml", MAP)?;
    repo.write(
        "kafka-strimzi/operator/overlay/stable/kustomization.yaml",
        "bases: [../../base]\nnameSuffix: -stable\n",
    )?;
    repo.commit("catalog")?;
    repo.tag("v1", Some("first"))?;
    repo.push()?;
    Ok(repo)
}

/// `reeve build` beside the server that it fetches from.
async fn build(root: &Path, mirror: &str, target: &str) -> anyhow::Result<(String, String, bool)> {
    let (root, mirror, target) = (root.to_owned(), mirror.to_owned(), target.to_owned());
    let run = move || reeve(&["build", &mirror, &target], &root);
    let done = tokio::task::spawn_blocking(run).await??;
    Ok((
        text(&done.stdout),
        text(&done.stderr),
        done.status.success(),
    ))
}

#[test]
fn a_base_on_a_forge_is_fetched_and_said_not_to_be_pinned() {
    scenario(async {
        let served = tempfile::tempdir()?;
        let repo = catalog(served.path())?;
        let head = repo.run(["rev-parse", "HEAD"])?;
        let server = HttpServer::start(served.path(), Served::default()).await?;
        let mirror = format!(
            "--remote-base-mirror=https://github.com/={}",
            server.url("")
        );
        let dir = tempfile::tempdir()?;
        for (reference, pinned) in [("main", false), ("v1", true), (head.trim(), true)] {
            let content = format!("bases:\n- {ADDRESS}?ref={reference}\n- ../base\n");
            files(
                dir.path(),
                &[
                    ("app/kustomization.yaml", &content),
                    ("base/kustomization.yaml", "resources: [b.yaml]\n"),
                    (
                        "base/b.yaml",
                        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n",
                    ),
                ],
            )?;
            let (out, said, built) = build(dir.path(), &mirror, "app").await?;
            ensure!(built, "{said}");
            ensure!(
                out.contains("name: a-stable") && out.contains("name: b\n"),
                "{out}"
            );
            ensure!(said.contains("not pinned") != pinned, "{reference}: {said}");
        }
        let url = format!("{ADDRESS}?ref=v1");
        let (out, said, _) = build(dir.path(), &mirror, &url).await?;
        ensure!(out.contains("name: a-stable"), "{said}");
        let done = reeve(&["build", "--no-remote-bases", "app"], dir.path())?;
        ensure!(text(&done.stderr).contains("bases[0]") && !done.status.success());
        Ok(())
    });
}
