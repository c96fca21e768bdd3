//! Builds that use what is not in their tree: what they want, what becomes of it, and that it stays in its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

use std::sync::Arc;

use reeve_kustomize::{
    Built, MemoryTree, Options, Reference, Remotes, build, build_with, parse_reference, to_yaml,
};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

fn tree(files: &[(&str, &str)]) -> MemoryTree {
    files.iter().copied().collect()
}

fn reference(text: &str) -> Reference {
    parse_reference(text).unwrap().unwrap()
}

/// Builds `own` with `others`, each the files behind one address, which are handed over when they are wanted.
fn built(own: &[(&str, &str)], others: &[(&str, &[(&str, &str)])]) -> Result<String, String> {
    let own = tree(own);
    let mut remotes = Remotes::wanted();
    for _round in 0..10 {
        let done = build_with(&own, &remotes, "app", &Options::default());
        match done.map_err(|e| e.to_string())? {
            Built::Objects(objects) => return Ok(to_yaml(&objects.collect::<Vec<_>>())),
            Built::Wants(wanted) => {
                for one in wanted.into_iter().map(|wanted| wanted.reference) {
                    let found = others
                        .iter()
                        .find(|(text, _)| reference(text).source == one.source);
                    let (_, files) =
                        found.ok_or_else(|| format!("{:?} is not there", one.source))?;
                    remotes.insert(one.source, Arc::new(tree(files)));
                }
            }
        }
    }
    Err("it never ends".to_owned())
}

#[test]
fn a_base_and_what_it_names_in_turn_come_from_elsewhere() {
    let text = built(
        &[(
            "app/kustomization.yaml",
            "namePrefix: x-\nbases:\n- github.com/org/catalog/operator/stable?ref=main\nresources:\n- https://host.example/map.yaml\n",
        )],
        &[
            (
                "github.com/org/catalog?ref=main",
                &[
                    (
                        "operator/stable/kustomization.yaml",
                        "resources:\n- ../base\n- github.com/org/other//b?ref=v1\nnameSuffix: -s\n",
                    ),
                    (
                        "operator/base/kustomization.yaml",
                        "resources: [map.yaml]\n",
                    ),
                    ("operator/base/map.yaml", MAP),
                ],
            ),
            (
                "https://host.example/map.yaml",
                &[(
                    "map.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: f}\n",
                )],
            ),
            (
                "https://github.com/org/other?ref=v1",
                &[
                    (
                        "b/kustomization.yaml",
                        "resources: [x.yaml]\nbuildMetadata: [originAnnotations]\n",
                    ),
                    (
                        "b/x.yaml",
                        "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\n",
                    ),
                ],
            ),
        ],
    );
    let names: Vec<String> = text
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("  name: ").map(str::to_owned))
        .collect();
    assert_eq!(names, ["x-f", "x-a-s", "x-b-s"]);
}

#[test]
fn what_was_fetched_has_a_root_of_its_own() {
    let own = &[
        (
            "app/kustomization.yaml",
            "resources:\n- github.com/o/r//a?ref=v1\n",
        ),
        ("secret.yaml", MAP),
    ];
    let fails = |file: &str, content: &str| {
        let files = [("a/kustomization.yaml", content), (file, MAP)];
        built(own, &[("github.com/o/r?ref=v1", &files)]).unwrap_err()
    };
    assert_eq!(
        fails("b.yaml", "resources: [../../secret.yaml]\n"),
        "https://github.com/o/r?ref=v1//a/kustomization.yaml:1:13: resources[0]: ../../secret.yaml lies outside of the repository"
    );
    let missing = fails("b.yaml", "resources: [c.yaml]\n");
    assert!(
        missing.ends_with("https://github.com/o/r?ref=v1//a/c.yaml does not exist"),
        "{missing}"
    );
    let cycle = fails("b.yaml", "resources:\n- github.com/o/r//a?ref=v1\n");
    assert!(
        cycle.contains("cycle: https://github.com/o/r?ref=v1//a -> "),
        "{cycle}"
    );
}

#[test]
fn no_path_that_is_written_leads_to_what_was_fetched() {
    let own = &[(
        "app/kustomization.yaml",
        "resources:\n- github.com/o/r?ref=v1\n- \"../\\0000/x.yaml\"\n",
    )];
    let files: &[(&str, &str)] = &[
        ("kustomization.yaml", "resources: [x.yaml]\n"),
        ("x.yaml", MAP),
    ];
    let error = built(own, &[("github.com/o/r?ref=v1", files)]).unwrap_err();
    assert!(error.contains("is no path"), "{error}");
}

#[test]
fn a_plain_build_refuses_and_shows_no_password() {
    let own = tree(&[(
        "kustomization.yaml",
        "resources: [\"https://u:hunter2@host.example/x.yaml?t=hunter3\"]\n",
    )]);
    let error = build(&own, "", &Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("host.example/x.yaml is refused") && !error.contains("hunter"),
        "{error}"
    );
}

#[test]
fn not_more_than_a_hundred_are_fetched() {
    let list: String = (0..101).map(|i| format!("- github.com/o/r{i}\n")).collect();
    let own = tree(&[("kustomization.yaml", &format!("resources:\n{list}"))]);
    match build_with(&own, &Remotes::wanted(), "", &Options::default()) {
        Ok(Built::Wants(wanted)) => assert_eq!(wanted.len(), 100),
        other => panic!("{other:?}"),
    }
}
