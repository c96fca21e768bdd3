//! Edits of a kustomization file: what becomes of its text, line by line.
//!
//! That an edit means what `kustomize edit` means by it is seen with the real one, in `tests/scenarios/edit.rs`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]

use reeve_kustomize::Selector;
use reeve_kustomize::edit::{
    DataEdit, DataKind, DataSources, Edit, ImageEdit, PairField, PatchEdit, PathField, TextField,
    edit,
};

const HEAD: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn images(arguments: &[&str]) -> Edit {
    let parsed = arguments.iter().map(|one| ImageEdit::parse(one).unwrap());
    Edit::SetImages(parsed.collect())
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    owned.collect()
}

fn literals(name: &str, literals: &[&str]) -> DataEdit {
    DataEdit {
        kind: DataKind::ConfigMap,
        name: name.to_owned(),
        namespace: String::new(),
        new_namespace: String::new(),
        sources: DataSources {
            literals: strings(literals),
            ..DataSources::default()
        },
        secret_type: String::new(),
        behavior: String::new(),
        disable_name_suffix_hash: false,
    }
}

/// One edit and the lines it changes; what is not shown is kept to the byte.
fn becomes(says: &str, before: &str, change: &Edit, after: &str) {
    let got = edit(format!("{HEAD}{before}").as_bytes(), "k.yaml", change);
    let got = got.unwrap_or_else(|e| panic!("{says}: {e}")).text;
    assert_eq!(got, format!("{HEAD}{after}"), "{says}");
}

#[test]
fn an_image_is_set_where_it_stands() {
    becomes(
        "a new field is appended",
        "resources:\n- a.yaml # the app\n",
        &images(&["IMAGE_PLACEHOLDER=jakousa/app:1f2e"]),
        "resources:\n- a.yaml # the app\nimages:\n- name: IMAGE_PLACEHOLDER\n  newName: jakousa/app\n  newTag: 1f2e\n",
    );
    becomes(
        "only the tag's line changes, in its quotes",
        "images: # pinned\n  # by the release job\n  - name: web # the app\n    newTag: \"1.2\" # last\n  - name: db\n    newTag: 3\nresources: [a.yaml]\n",
        &images(&["web:1.3"]),
        "images: # pinned\n  # by the release job\n  - name: web # the app\n    newTag: \"1.3\" # last\n  - name: db\n    newTag: 3\nresources: [a.yaml]\n",
    );
    becomes(
        "a tag that looks like a number is quoted, a part that is * is kept",
        "images:\n- name: web\n  newName: r/web\n  newTag: a\n",
        &images(&["web=*:12"]),
        "images:\n- name: web\n  newName: r/web\n  newTag: \"12\"\n",
    );
    becomes(
        "a digest takes the place of a tag, the next key that of the first",
        "images:\n- newTag: a\n  name: web\n  # why\n",
        &images(&["web@sha256:12"]),
        "images:\n- name: web\n  digest: sha256:12\n  # why\n",
    );
    becomes(
        "new ones join a sorted list in their places, in its indentation",
        "images:\n  - name: b\n    newTag: x\n  # after b\n  - name: d\n    newTag: x\n",
        &images(&["e:1a", "c:1a", "a:1a"]),
        "images:\n  - name: a\n    newTag: 1a\n  - name: b\n    newTag: x\n  - name: c\n    newTag: 1a\n  # after b\n  - name: d\n    newTag: x\n  - name: e\n    newTag: 1a\n",
    );
    becomes(
        "brackets stay",
        "images: [{name: a, newTag: x}, {name: b, newTag: \"y\"}] # flow\n",
        &images(&["b:v2", "c:v3"]),
        "images: [{name: a, newTag: x}, {name: b, newTag: \"v2\"}, {name: c, newTag: v3}] # flow\n",
    );
}

#[test]
fn a_text_field_is_set_changed_and_removed() {
    let set = |text: &str| Edit::SetText(TextField::Namespace, text.to_owned());
    becomes("set", "# a\n", &set("x"), "# a\nnamespace: x\n");
    becomes(
        "changed",
        "namespace: a # b\n",
        &set("z"),
        "namespace: z # b\n",
    );
    becomes(
        "removed with its line",
        "# a\nnamespace: a # b\n# c\nnamePrefix: x-\n",
        &set(""),
        "# a\n# c\nnamePrefix: x-\n",
    );
    becomes(
        "no last newline",
        "namePrefix: x",
        &set("z"),
        "namePrefix: x\nnamespace: z\n",
    );
    becomes("a yes is quoted", "", &set("yes"), "namespace: \"yes\"\n");
    becomes("any case", "NameSpace: a\n", &set("b"), "NameSpace: b\n");
}

#[test]
fn paths_are_added_behind_the_last_and_removed_with_their_lines() {
    let add = |paths: &[&str]| Edit::AddPaths(PathField::Resources, strings(paths));
    let remove = |paths: &[&str]| Edit::RemovePaths(PathField::Resources, strings(paths));
    becomes(
        "added, but what is there",
        "resources:\n  # first\n  - a.yaml # a\n\n# the rest\nnamespace: x\n",
        &add(&["b.yaml", "a.yaml"]),
        "resources:\n  # first\n  - a.yaml # a\n  - b.yaml\n\n# the rest\nnamespace: x\n",
    );
    becomes(
        "an empty list",
        "resources: # none yet\nnamespace: x\n",
        &add(&["b.yaml"]),
        "resources: # none yet\n- b.yaml\nnamespace: x\n",
    );
    becomes(
        "empty brackets",
        "resources: []\n",
        &add(&["b.yaml"]),
        "resources:\n- b.yaml\n",
    );
    becomes(
        "brackets",
        "resources: [a.yaml]\n",
        &add(&["b.yaml"]),
        "resources: [a.yaml, b.yaml]\n",
    );
    becomes(
        "bases are resources by now",
        "bases:\n- ../base # ours\nnamespace: x\n",
        &add(&["b.yaml"]),
        "resources:\n- ../base # ours\n- b.yaml\nnamespace: x\n",
    );
    becomes(
        "removed by pattern",
        "resources:\n- a/x.yaml\n# b\n- b.yaml # gone\n- c.yaml\n",
        &remove(&["b*", "a/*"]),
        "resources:\n# b\n- c.yaml\n",
    );
    becomes(
        "removed as a whole",
        "# top\nresources:\n- a.yaml\n# end\nnamespace: x\n",
        &remove(&["*.yaml"]),
        "# top\n# end\nnamespace: x\n",
    );
    becomes(
        "nothing to remove",
        "resources:   [ a ]",
        &remove(&["x"]),
        "resources:   [ a ]",
    );
}

#[test]
fn labels_patches_and_replicas_are_edited() {
    let label = |force| Edit::AddPairs {
        field: PairField::Labels,
        pairs: pairs(&[("b", "2")]),
        force,
    };
    becomes(
        "labels",
        "commonLabels:\n  a: x # keep\nnamespace: n\n",
        &label(false),
        "commonLabels:\n  a: x # keep\n  b: \"2\"\nnamespace: n\n",
    );
    becomes(
        "forced",
        "commonLabels: {b: x}\n",
        &label(true),
        "commonLabels: {b: \"2\"}\n",
    );
    becomes(
        "labels without selectors",
        "labels:\n- includeSelectors: true\n  pairs:\n    a: b\n",
        &Edit::AddLabels {
            pairs: pairs(&[("c", "d")]),
            force: false,
            templates: false,
        },
        "labels:\n- includeSelectors: true\n  pairs:\n    a: b\n- pairs:\n    c: d\n",
    );
    becomes(
        "a patch",
        "patches:\n- path: a.yaml\n",
        &Edit::AddPatch(PatchEdit {
            patch: "- op: remove\n  path: /a\n".to_owned(),
            target: Selector {
                kind: "Deployment".to_owned(),
                ..Selector::default()
            },
            ..PatchEdit::default()
        }),
        "patches:\n- path: a.yaml\n- patch: |\n    - op: remove\n      path: /a\n  target:\n    kind: Deployment\n",
    );
    becomes(
        "replicas",
        "replicas:\n- name: a\n  count: 1 # one\n",
        &Edit::SetReplicas(vec![("a".to_owned(), 3)]),
        "replicas:\n- name: a\n  count: 3 # one\n",
    );
}

#[test]
fn generated_data_are_edited() {
    becomes(
        "a config map",
        "configMapGenerator:\n- name: a\n  # its values\n  literals:\n  - x=1 # one\n  - y=2\n",
        &Edit::SetData(literals("a", &["y=3"])),
        "configMapGenerator:\n- name: a\n  # its values\n  literals:\n  - x=1 # one\n  - y=3\n",
    );
    becomes(
        "another one",
        "configMapGenerator:\n- name: a\n  literals:\n  - x=1\n",
        &Edit::AddData(literals("b", &["y=3"])),
        "configMapGenerator:\n- name: a\n  literals:\n  - x=1\n- literals:\n  - y=3\n  name: b\n",
    );
    becomes(
        "the last key goes and another one comes, at the end of the file",
        "configMapGenerator:\n- name: a\n  env: x.env\nsecretGenerator:\n- name: b\n  env: y.env",
        &Edit::SetText(TextField::Namespace, "web".to_owned()),
        "configMapGenerator:\n- name: a\n  envs:\n  - x.env\nsecretGenerator:\n- name: b\n\n  envs:\n  - y.env\nnamespace: web\n",
    );
}

#[test]
fn a_file_is_fixed_in_place() {
    becomes(
        "deprecated fields",
        "bases:\n- ../a # base\nimageTags:\n- name: a\n  newTag: b\npatchesStrategicMerge:\n- p.yaml # why\n- |-\n  kind: A\n  metadata: {name: b}\ncommonLabels:\n  a: b\n",
        &Edit::Fix,
        "resources:\n- ../a # base\nimages:\n- name: a\n  newTag: b\npatches:\n- path: p.yaml # why\n- patch: |-\n    kind: A\n    metadata: {name: b}\nlabels:\n- includeSelectors: true\n  pairs:\n    a: b\n",
    );
    let bare = edit(b"namespace: x\n", "k.yaml", &Edit::Fix).unwrap().text;
    assert_eq!(bare, format!("namespace: x\n{HEAD}"));
    let empty = edit(b"", "k.yaml", &Edit::Fix).unwrap().text;
    assert_eq!(empty, HEAD);
}

#[test]
fn the_ways_of_a_file_are_kept() {
    let change = images(&["a=b:c"]);
    let got = edit(
        b"\xEF\xBB\xBFkind: Kustomization\r\nnamespace: x\r\n",
        "k",
        &change,
    )
    .unwrap();
    let want = "\u{feff}kind: Kustomization\r\nnamespace: x\r\napiVersion: kustomize.config.k8s.io/v1beta1\r\nimages:\r\n- name: a\r\n  newName: b\r\n  newTag: c\r\n";
    assert_eq!(got.text, want);
    becomes(
        "names beyond ASCII",
        "resources:\n- \u{fc}ber.yaml # \u{2764}\n- b.yaml\n",
        &Edit::RemovePaths(PathField::Resources, strings(&["b.yaml"])),
        "resources:\n- \u{fc}ber.yaml # \u{2764}\n",
    );
}

#[test]
fn what_stands_between_brackets_keeps_its_lines() {
    let add = |path: &str| Edit::AddPaths(PathField::Resources, strings(&[path]));
    let remove = |path: &str| Edit::RemovePaths(PathField::Resources, strings(&[path]));
    let lines = "resources: [\n  a.yaml, # one\n  b.yaml,\n  c.yaml\n]\n";
    for (says, change, after) in [
        (
            "one more",
            add("d.yaml"),
            "resources: [\n  a.yaml, # one\n  b.yaml,\n  c.yaml, d.yaml\n]\n",
        ),
        (
            "one less, in the middle",
            remove("b.yaml"),
            "resources: [\n  a.yaml, # one\n  c.yaml\n]\n",
        ),
        (
            "one less, at the end",
            remove("c.yaml"),
            "resources: [\n  a.yaml, # one\n  b.yaml\n]\n",
        ),
    ] {
        becomes(says, lines, &change, after);
    }
    let lines = "resources: [\n  a.yaml,\n  b.yaml,\n  c.yaml,\n]\n";
    for (says, change, after) in [
        (
            "one more on a line of its own",
            add("d.yaml"),
            "resources: [\n  a.yaml,\n  b.yaml,\n  c.yaml,\n  d.yaml,\n]\n",
        ),
        (
            "one less at the front",
            remove("a.yaml"),
            "resources: [\n  b.yaml,\n  c.yaml,\n]\n",
        ),
        (
            "two less",
            Edit::RemovePaths(PathField::Resources, strings(&["a.yaml", "b.yaml"])),
            "resources: [\n  c.yaml,\n]\n",
        ),
    ] {
        becomes(says, lines, &change, after);
    }
    becomes(
        "a new one ahead of the others, and a tag in its place",
        "images: [\n  {name: b, newTag: \"1\"},\n  {name: c,\n   newTag: \"1\"}]\n",
        &images(&["a=r/a:2", "c:3"]),
        "images: [\n  {name: a, newName: r/a, newTag: \"2\"},\n  {name: b, newTag: \"1\"},\n  {name: c,\n   newTag: \"3\"}]\n",
    );
    becomes(
        "a key goes, another one comes",
        "images: [{name: b, # old\n  newTag: x, newName: r/b}]\n",
        &images(&["b=r/c@sha256:12"]),
        "images: [{name: b, # old\n  newName: r/c, digest: sha256:12}]\n",
    );
}

#[test]
fn a_file_in_json_stays_json() {
    let before = "{\n  \"kind\": \"Kustomization\",\n  \"apiVersion\": \"kustomize.config.k8s.io/v1beta1\",\n  \"resources\": [\n    \"a.yaml\",\n    \"b.yaml\"\n  ]\n}\n";
    let text = |change: &Edit| edit(before.as_bytes(), "k", change).unwrap().text;
    let added = text(&Edit::AddPaths(PathField::Resources, strings(&["c.yaml"])));
    assert_eq!(
        added,
        before.replace("\"b.yaml\"", "\"b.yaml\",\n    \"c.yaml\"")
    );
    let removed = text(&Edit::RemovePaths(
        PathField::Resources,
        strings(&["a.yaml"]),
    ));
    assert_eq!(removed, before.replace("\"a.yaml\",\n    ", ""));
    let image = text(&images(&["a=b:1"]));
    let new = "  ],\n  \"images\": [{\"name\": \"a\", \"newName\": \"b\", \"newTag\": \"1\"}]\n}";
    assert_eq!(image, before.replace("  ]\n}", new));
}

#[test]
fn what_is_not_meant_keeps_its_words() {
    let set = |key: &str| Edit::SetPairs(PairField::Labels, vec![(key.to_owned(), "x".to_owned())]);
    becomes(
        "a word that is a boolean to kustomize, in braces",
        "commonLabels: {a: y, b: n}\n",
        &set("c"),
        "commonLabels: {a: y, b: n, c: x}\n",
    );
    becomes(
        "and on a line of its own",
        "commonLabels:\n  a: y\n  b: Off\n",
        &set("b"),
        "commonLabels:\n  a: y\n  b: x\n",
    );
    becomes(
        "in an image whose tag changes",
        "images:\n- newName: y\n  name: a\n  newTag: on\n",
        &images(&["a=*:2"]),
        "images:\n- newName: y\n  name: a\n  newTag: \"2\"\n",
    );
}

#[test]
fn a_document_that_is_ended_gets_new_fields_before_its_end() {
    let set = Edit::SetText(TextField::Namespace, "shop".to_owned());
    becomes(
        "a new field",
        "resources:\n- a.yaml\n... # the end\n",
        &set,
        "resources:\n- a.yaml\nnamespace: shop\n... # the end\n",
    );
    becomes(
        "a new item",
        "resources:\n- a.yaml\n...",
        &Edit::AddPaths(PathField::Resources, strings(&["b.yaml"])),
        "resources:\n- a.yaml\n- b.yaml\n...",
    );
}

#[test]
fn what_cannot_be_edited_safely_is_refused_by_field() {
    for (before, change, field) in [
        (
            "images: &a\n- name: x\n  newTag: y\ncrds: *a\n",
            images(&["x:z"]),
            "k.yaml",
        ),
        (
            "commonLabels: *a\nmetadata: &a {x: y}\n",
            images(&["x:z"]),
            "k.yaml",
        ),
        (
            "images:\n- &a\n  name: x\n  newTag: y\n- *a\n",
            images(&["x:z"]),
            "k.yaml",
        ),
        (
            "resources: [a.yaml, # gone\n  b.yaml]\n",
            Edit::RemovePaths(PathField::Resources, strings(&["b.yaml"])),
            "resources",
        ),
        ("images: 3\n", images(&["x:z"]), "images"),
        (
            "namespace: a\nnamespace: b\n",
            Edit::SetText(TextField::Namespace, "c".into()),
            "twice",
        ),
        ("imagez: []\n", images(&["x:z"]), "imagez"),
        ("a: [\n", images(&["x:z"]), "k.yaml"),
        ("a: b\n---\na: b\n", images(&["x:z"]), "one document"),
        (
            "commonLabels: {b: x}\n",
            Edit::AddPairs {
                field: PairField::Labels,
                pairs: pairs(&[("b", "2")]),
                force: false,
            },
            "--force",
        ),
    ] {
        let got = edit(format!("{HEAD}{before}").as_bytes(), "k.yaml", &change);
        let error = match got {
            Ok(edited) => panic!("{before} became {}", edited.text),
            Err(error) => error.to_string(),
        };
        assert!(
            error.starts_with("k.yaml:") && error.contains(field),
            "{before}: {error}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_built_after_an_edit_is_said_to_be_such() {
    let set = Edit::SetText(TextField::Namespace, "shop".to_owned());
    for (before, note) in [
        (
            "nameSuffix: {a: b}\n",
            "the file cannot be built like this: k.yaml:3:1: nameSuffix: ",
        ),
        (
            "images:\n- newTag: [a]\n  name: b\n",
            "the file cannot be built like this: k.yaml:4:3: images[0].newTag: ",
        ),
    ] {
        let edited = edit(format!("{HEAD}{before}").as_bytes(), "k.yaml", &set).unwrap();
        let notes = edited.notes;
        assert!(notes.len() == 1 && notes[0].starts_with(note), "{notes:?}");
    }
    let edited = edit(format!("{HEAD}namePrefix: a-\n").as_bytes(), "k.yaml", &set).unwrap();
    assert_eq!(edited.notes, Vec::<String>::new());
}
