//! What is looked at counts as work, whether anything comes of it or not: else many patches over many objects would take
//! minutes to reach their bound.

use reeve_kustomize::{Limits, MemoryTree, Options, build};

#[test]
fn patches_pay_for_every_object_they_look_at() {
    let object = |n: usize| format!("---\nkind: A\napiVersion: v1\nmetadata: {{name: a{n}}}\n");
    let objects: String = (0..1_000).map(object).collect();
    let options = Options {
        limits: Limits {
            steps: 1_000_000,
            ..Limits::default()
        },
        ..Options::default()
    };
    let built = |patch: &str, count: usize| {
        let patches = patch.repeat(count);
        let tree: MemoryTree = [
            (
                "kustomization.yaml",
                format!("resources: [a.yaml]\npatches:\n{patches}"),
            ),
            ("a.yaml", objects.clone()),
        ]
        .into_iter()
        .collect();
        build(&tree, "", &options).map_err(|error| error.to_string())
    };
    // Each is far above the bound if looking counts, and far below if only doing does.
    for (patch, fine, many) in [
        (
            "- target: {kind: 'B+', name: '.*b', namespace: 'd.*b'}\n  patch: '[]'\n",
            10,
            100,
        ),
        (
            "- target: {labelSelector: 'a!=b,!c,d notin (e,f),g'}\n  patch: '[]'\n",
            50,
            200,
        ),
        ("- target: {kind: A}\n  patch: '[]'\n", 10, 50),
    ] {
        assert!(built(patch, fine).is_ok(), "{patch}");
        let error = built(patch, many).unwrap_err();
        assert!(error.contains("more than 1000000 steps"), "{error}");
    }
}
