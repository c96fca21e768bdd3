//! `reeve edit` beside `kustomize edit`: every edit on every file leaves the same values behind, or both refuse it.

use anyhow::ensure;
use reeve_kustomize::parse_yaml;
use serde_json::{Map, Value};

use super::{Tool, files, kustomize, reeve, text};

const HEAD: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";

/// Kustomization files, without their head.
const FILES: [&str; 9] = [
    "",
    "bases:\n- ../b\n- ./a.yaml\n",
    "images:\n- name: a\n  newName: x/a\n  newTag: v1\n- name: c\n  newTag: \"1\"\n  tagSuffix: s\n- name: e\n  digest: sha256:1\nimageTags:\n- name: z\n  newTag: q\n",
    "commonLabels:\n  a: b\n  c: d\nlabels:\n- pairs:\n    x: yy\n  includeSelectors: true\ncommonAnnotations: {p: q}\n",
    "resources:\n- a.yaml\n- b.yaml\n- d/c.yaml\ncomponents: [comp]\ntransformers:\n- t.yaml\ngenerators: [g.yaml]\n",
    "configMapGenerator:\n- name: cm\n  literals: [k=v, l=w]\n- name: ns\n  namespace: foo\n  literals:\n  - k=v\n- name: e\n  env: a.env\nsecretGenerator:\n- name: s\n  type: Opaque\n  literals:\n  - p=1\n  - q=2\n",
    "patches:\n- path: p.yaml\n- path: p.yaml\n  target: {kind: Deployment}\n- patch: |-\n    - op: remove\n      path: /x\n  target:\n    name: a\n",
    "patchesStrategicMerge:\n- p.yaml\n- |-\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\npatchesJson6902:\n- path: p.yaml\n  target: {version: v1, kind: A, name: b}\ncommonLabels: {a: b}\nbases: [d]\nimageTags: [{name: a, newTag: b}]\n",
    "buildMetadata: [originAnnotations]\nnamespace: ns\nnamePrefix: p-\nreplicas:\n- name: x\n  count: 1\n",
];

/// Edits; words are parted by one space, `~` stands for one in a word.
const EDITS: &str = "\
set image IMAGE_PLACEHOLDER=jakousa/dwk-4-gitops-app:1f2e3d
set image a=n:2 b:3 c@sha256:9 e=*:*@*
set image a=*:v9 d=x:*
set image nginx
set namespace x
set namespace 
set nameprefix pre-
set namesuffix -- -suf
set replicas x=3 y=2
set replicas x=y
set label a:1 z:true
set annotation p:r s:\"t:u\"
set annotation p~q:r
set buildmetadata managedByLabel,originAnnotations
set buildmetadata nonsense
set configmap cm --from-literal=k=9
set configmap ns --namespace=foo --new-namespace=bar
set configmap cm --from-literal=nope=9
set secret s --from-literal=q=7
add resource a.yaml b.yaml
add resource *.yaml
add resource d
add resource nope.yaml
add resource --no-verify nope.yaml
add base d
add base nope
add component comp
add label n:m
add label a:m
add label -f a:m
add label --without-selector w:1 x:2
add label --without-selector --include-templates w:1
add label --include-templates w:1
add annotation p:x
add annotation -f p:x q:y
add patch --path p.yaml
add patch --path p.yaml --kind Deployment
add patch --patch {op:~remove} --name a
add configmap cm --from-literal=n=1 --from-literal=o=2
add configmap cm --from-literal=k=1
add configmap new --from-file=f.txt --from-file=k=f.txt
add configmap new --from-env-file=a.env --behavior=merge --namespace q
add configmap new --from-literal=a=b --disableNameSuffixHash
add configmap new
add secret s --from-literal=z=9
add secret t --from-file=f.txt --type=kubernetes.io/x
add transformer t.yaml u.yaml
add generator g.yaml
add configuration t.yaml
add buildmetadata managedByLabel
add buildmetadata originAnnotations
remove resource a.yaml
remove resource *.yaml d/*
remove component comp
remove label a
remove label a,nope -i
remove label
remove annotation p
remove configmap cm
remove configmap cm,zz
remove configmap ns --namespace=foo
remove secret s
remove patch --path p.yaml
remove patch --path p.yaml --kind Deployment
remove buildmetadata originAnnotations
remove transformer t.yaml
fix";

#[test]
fn an_edit_means_what_kustomize_means_by_it() -> anyhow::Result<()> {
    for content in FILES {
        for line in EDITS.lines() {
            let theirs = edited(line, content, kustomize)?;
            let ours = edited(line, content, reeve)?;
            ensure!(
                theirs == ours,
                "edit {line}\n{content}\nkustomize: {theirs:#?}\nreeve: {ours:#?}"
            );
        }
    }
    Ok(())
}

/// The values behind an edit, or nothing when it is refused: then the file must be as it was.
fn edited(line: &str, content: &str, tool: Tool) -> anyhow::Result<Option<Map<String, Value>>> {
    let dir = tempfile::tempdir()?;
    let before = format!("{HEAD}{content}");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let mut there: Vec<(&str, &str)> = vec![("kustomization.yaml", &before), ("a.env", "x=1\n")];
    there.extend([
        ("d/kustomization.yaml", HEAD),
        ("d/c.yaml", map),
        ("comp/x", ""),
    ]);
    there.extend(
        [
            "a.yaml", "b.yaml", "p.yaml", "t.yaml", "u.yaml", "g.yaml", "f.txt",
        ]
        .map(|name| (name, map)),
    );
    files(dir.path(), &there)?;
    let words: Vec<String> = line.split(' ').map(|word| word.replace('~', " ")).collect();
    let mut arguments = vec!["edit"];
    arguments.extend(words.iter().map(String::as_str));
    let done = tool(&arguments, dir.path())?;
    let after = std::fs::read_to_string(dir.path().join("kustomization.yaml"))?;
    if !done.status.success() {
        ensure!(
            after == before,
            "edit {line} failed and changed the file: {after}"
        );
        return Ok(None);
    }
    let values = parse_yaml(after.as_bytes(), "kustomization.yaml")?.pop();
    let Some(Value::Object(mut values)) = values else {
        anyhow::bail!(
            "edit {line} left no mapping: {after}\n{}",
            text(&done.stderr)
        );
    };
    values.retain(|_, value| *value != Value::Array(Vec::new()));
    values.values_mut().for_each(sort);
    Ok(Some(values))
}

/// kustomize sorts images and replicas by name and shuffles literals; ours stay where they are.
fn sort(list: &mut Value) {
    let Some(items) = list.as_array_mut() else {
        return;
    };
    for item in items.iter_mut() {
        if let Some(literals) = item.get_mut("literals").and_then(Value::as_array_mut) {
            literals.sort_by_key(ToString::to_string);
        }
    }
    if items.iter().all(|item| {
        item.get("newTag").is_some()
            || item.get("digest").is_some()
            || item.get("count").is_some()
            || item.get("newName").is_some()
    }) {
        items.sort_by_key(|item| item["name"].to_string());
    }
}

#[test]
fn a_workflow_that_sets_an_image_needs_another_program_name_only() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let before = "# The app, as it runs.\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - deployment.yaml # one replica\nimages:\n  # set by the pipeline, do not edit\n  - name: IMAGE_PLACEHOLDER\n    newName: jakousa/dwk-4-gitops-app\n    newTag: 0a1b2c # last release\n";
    files(dir.path(), &[("kustomization.yaml", before)])?;
    let image = "IMAGE_PLACEHOLDER=jakousa/dwk-4-gitops-app:9f8e7d";
    let done = reeve(&["edit", "set", "image", image], dir.path())?;
    ensure!(done.status.success(), "{}", text(&done.stderr));
    let after = std::fs::read_to_string(dir.path().join("kustomization.yaml"))?;
    ensure!(after == before.replace("0a1b2c", "9f8e7d"), "{after}");
    Ok(())
}
