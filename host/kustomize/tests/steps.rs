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

/// What comes of a build of these files that may take a million steps.
fn within_a_million(files: Vec<(&str, String)>) -> Result<usize, String> {
    let options = Options {
        limits: Limits {
            steps: 1_000_000,
            ..Limits::default()
        },
        ..Options::default()
    };
    let tree: MemoryTree = files.into_iter().collect();
    let built = build(&tree, "", &options);
    built
        .map(|all| all.len())
        .map_err(|error| error.to_string())
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

/// A tree's files.
type Files = Vec<(&'static str, String)>;
/// What a tree is of, with so many of what is looked through.
type Shape = (&'static str, fn(usize) -> Files);

fn with(text: &str) -> String {
    format!("resources: [a.yaml]\n{text}")
}

fn maps(count: usize) -> String {
    lines(count, |n| {
        format!("---\nkind: A\napiVersion: v1\nmetadata: {{name: a{n}}}\nspec: {{a: b}}\n")
    })
}

fn images(count: usize) -> Files {
    let images = lines(count, |n| format!("- {{name: i{n}, newTag: x}}\n"));
    let items = lines(500, |n| format!("  - {{name: c{n}, image: j{n}}}\n"));
    let pod = "kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec:\n  containers:\n";
    vec![
        ("kustomization.yaml", with(&format!("images:\n{images}"))),
        ("a.yaml", format!("{pod}{items}")),
    ]
}

fn references(count: usize) -> Files {
    let fields = lines(count, |n| {
        format!("- {{kind: B{n}, fieldSpecs: [{{path: spec/a{n}}}]}}\n")
    });
    vec![
        ("kustomization.yaml", with("configurations: [c.yaml]\n")),
        ("c.yaml", format!("nameReference:\n{fields}")),
        ("a.yaml", maps(100)),
    ]
}

fn text(count: usize) -> Files {
    let paths = lines(count, |n| format!("    - data.t.k{n}\n"));
    let kustomization = format!(
        "replacements:\n- sourceValue: q\n  targets:\n  - select: {{kind: ConfigMap}}\n    fieldPaths:\n{paths}"
    );
    let keys = lines(300, |n| format!("    k{n}: d\n"));
    let map = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata:\n  t: |\n";
    vec![
        ("kustomization.yaml", with(&kustomization)),
        ("a.yaml", format!("{map}{keys}")),
    ]
}

fn validators(count: usize) -> Files {
    let all = lines(count, |n| {
        format!(
            "---\napiVersion: builtin\nkind: LabelTransformer\nmetadata: {{name: v{n}}}\nlabels: {{a: b}}\n\
             fieldSpecs: [{{path: metadata/labels}}]\n"
        )
    });
    vec![
        ("kustomization.yaml", with("validators: [v.yaml]\n")),
        ("v.yaml", all),
        ("a.yaml", maps(300)),
    ]
}

#[test]
fn what_is_looked_through_many_times_is_paid_for_each_time() {
    // How many are fine, and how many too many.
    let shapes: [(Shape, usize, usize); 4] = [
        (("images", images), 50, 600),
        (("references", references), 100, 1_000),
        (("text", text), 2, 100),
        (("validators", validators), 10, 200),
    ];
    for ((name, files), fine, many) in shapes {
        assert_eq!(within_a_million(files(fine)).err(), None, "{name}");
        let error = within_a_million(files(many)).unwrap_err();
        assert!(error.contains("steps"), "{name}: {error}");
    }
}

#[test]
fn a_long_list_is_merged_by_its_key_in_as_many_steps_as_it_has_items() {
    let count = 10_000;
    let pod = "kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n";
    let items = |more: &str| lines(count, |n| format!("  - name: c{n}{more}\n"));
    let backwards = lines(count, |n| format!("  - name: c{}\n", count - 1 - n));
    let texts = |letter: &str| lines(count, |n| format!("  - {letter}{n}\n"));
    let containers = format!("{pod}spec:\n  containers:\n{}", items(""));
    let finalizers = |letter: &str| format!("{pod}  finalizers:\n{}", texts(letter));
    for (object, patch) in [
        (
            &containers,
            format!("{pod}spec:\n  containers:\n{}", items("\n    image: x")),
        ),
        (
            &containers,
            format!("{pod}spec:\n  $setElementOrder/containers:\n{backwards}"),
        ),
        (&finalizers("a"), finalizers("b")),
    ] {
        let files = vec![
            (
                "kustomization.yaml",
                "resources: [a.yaml]\npatches: [{path: p.yaml}]\n".to_owned(),
            ),
            ("a.yaml", object.clone()),
            ("p.yaml", patch),
        ];
        assert_eq!(within_a_million(files), Ok(1));
    }
}
