//! Whatever is written, a build ends: in objects or in an error, soon, and without a panic.
//!
//! Random changes to the files of all cases, from a fixed start: 500 builds, or 60,000 where `REEVE_SOAK` is set. What such a
//! run once found is a row below.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "cases are files; the engine itself reads none"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reeve_kustomize::{Kind, Limits, MemoryTree, Options, ReadError, Stop, Tree, build, to_yaml};

fn one(file: &str, text: impl Into<Vec<u8>>) -> MemoryTree {
    let kustomization = format!("resources: [{file}]\n").into_bytes();
    [
        ("kustomization.yaml".to_owned(), kustomization),
        (file.to_owned(), text.into()),
    ]
    .into_iter()
    .collect()
}

fn error(tree: &MemoryTree) -> String {
    build(tree, "", &Options::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn nesting_ends_in_an_error_with_a_place() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "? ".repeat(100_000),
    ] {
        let error = error(&one("a.yaml", text));
        assert!(error.starts_with("a.yaml:1:"), "{error}");
    }
    let spaces: String = (0..3_000)
        .map(|i| format!("{}a:\n", " ".repeat(i)))
        .collect();
    assert!(error(&one("a.yaml", spaces)).contains("more than 200 levels of nesting"));
}

#[test]
fn a_bomb_of_anchors_is_bounded_in_every_place_that_reads_yaml() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..20 {
        bomb += &format!(
            "a{i}: &a{i} [{}]\n",
            vec![format!("*a{}", i - 1); 9].join(", ")
        );
    }
    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(1 << 20),
        "*a, ".repeat(100_000)
    );
    // Bounds below the default, to be quick; the default's own test is the YAML reader's.
    let options = Options {
        limits: Limits {
            nodes: 100_000,
            ..Limits::default()
        },
        ..Options::default()
    };
    let error = |tree: &MemoryTree| build(tree, "", &options).unwrap_err().to_string();
    for text in [bomb, long] {
        assert!(error(&one("a.yaml", text.clone())).contains("YAML nodes"));
        let kustomization: MemoryTree =
            [("kustomization.yaml", text.clone())].into_iter().collect();
        assert!(error(&kustomization).contains("YAML nodes"));
        let patch = "patches: [{path: p.yaml}]\n".to_owned();
        let patch: MemoryTree = [("kustomization.yaml", patch), ("p.yaml", text)]
            .into_iter()
            .collect();
        assert!(error(&patch).contains("YAML nodes"));
    }
}

#[test]
fn a_long_key_is_not_written_down_for_each_of_its_values() {
    // Else this would be 10 GB.
    let long = format!("? {}\n:\n{}", "k".repeat(100_000), "- x\n".repeat(100_000));
    let kustomization: MemoryTree = [("kustomization.yaml", long.as_str())]
        .into_iter()
        .collect();
    assert!(error(&kustomization).ends_with("unknown field"));
    let patch: MemoryTree = [
        ("kustomization.yaml", "patches: [{path: patch.yaml}]\n"),
        (
            "patch.yaml",
            &format!("-\n  {}", long.replace('\n', "\n  ")),
        ),
    ]
    .into_iter()
    .collect();
    assert!(error(&patch).contains("patch.yaml:2: operation 1: op is missing"));
}

#[test]
fn bases_that_multiply_are_bounded_by_the_files_read() {
    let mut tree = vec![(
        "d0/kustomization.yaml".to_owned(),
        "resources: []\n".to_owned(),
    )];
    for level in 1..60 {
        let below = level - 1;
        for side in ["l", "r"] {
            let text = format!("resources: [../../d{below}]\n");
            tree.push((format!("d{level}/{side}/kustomization.yaml"), text));
        }
        tree.push((
            format!("d{level}/kustomization.yaml"),
            "resources: [l, r]\n".to_owned(),
        ));
    }
    let tree: MemoryTree = tree.into_iter().collect();
    let error = build(&tree, "d59", &Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cycle") || error.contains("more than"),
        "{error}"
    );
}

#[test]
fn bytes_files_objects_and_depth_have_bounds() {
    let limits = |limits: Limits| Options {
        limits,
        ..Options::default()
    };
    let pod = |name: &str| format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}}}\n");
    let two = one("a.yaml", format!("{}---\n{}", pod("a"), pod("b")));
    let all = Limits::default();
    for (options, want) in [
        (
            limits(Limits { bytes: 64, ..all }),
            "a.yaml: more than 64 bytes read",
        ),
        (
            limits(Limits { files: 1, ..all }),
            "a.yaml: more than 1 files read",
        ),
        (
            limits(Limits { objects: 1, ..all }),
            "a.yaml: more than 1 objects",
        ),
        (
            limits(Limits { depth: 0, ..all }),
            "kustomization.yaml: more than 0 kustomizations inside of each other",
        ),
    ] {
        assert_eq!(build(&two, "", &options).unwrap_err().to_string(), want);
    }
}

#[test]
fn json_patches_that_copy_themselves_are_bounded() {
    let mut patch = "patches:\n- target: {kind: Pod}\n  patch: |\n".to_owned();
    for i in 0..40 {
        patch += &format!("    - {{op: copy, from: /spec, path: /spec/c{i}}}\n");
    }
    let kustomization = format!("resources: [a.yaml]\n{patch}");
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {a: [1, 2, 3]}}".to_owned();
    let tree: MemoryTree = [("kustomization.yaml", kustomization), ("a.yaml", pod)]
        .into_iter()
        .collect();
    let error = error(&tree);
    assert!(error.contains("more than"), "{error}");
}

#[test]
fn replacements_that_feed_on_themselves_are_bounded() {
    let replacement = |path: &str, to: &str, options: &str| {
        format!(
            "- source: {{kind: Pod, fieldPath: {path}}}\n  targets:\n  - select: {{kind: Pod}}\n    \
             fieldPaths: [{to}]\n    options: {{{options}}}\n"
        )
    };
    let nested = (0..300).map(|_| replacement("spec", "spec.a.b", "create: true"));
    let wide = (0..60).map(|i| replacement("spec", &format!("spec.c{i}"), "create: true"));
    let long = (0..60).map(|_| replacement("spec.x", "spec.x", "delimiter: '-', index: 99"));
    let text = (0..60).map(|i| replacement("spec.t", &format!("spec.t.b{i}"), "create: true"));
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {x: x-x, t: '{\"a\": {}}'}}";
    let all: [Vec<String>; 4] = [
        nested.collect(),
        wide.collect(),
        long.collect(),
        text.collect(),
    ];
    let options = Options {
        limits: Limits {
            nodes: 20_000,
            ..Limits::default()
        },
        ..Options::default()
    };
    for replacements in all {
        let kustomization = format!(
            "resources: [a.yaml]\nreplacements:\n{}",
            replacements.concat()
        );
        let tree: MemoryTree = [
            ("kustomization.yaml", kustomization),
            ("a.yaml", pod.to_owned()),
        ]
        .into_iter()
        .collect();
        let error = build(&tree, "", &options).unwrap_err().to_string();
        assert!(error.contains("more than"), "{error}");
    }
}

#[test]
fn replacements_pay_for_what_they_build_and_not_for_what_they_look_at() {
    let map = |at| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{at}}}\ndata: {{a: b-c, s: d}}\n"
        )
    };
    let replacement = |at| {
        let options = if at % 2 == 0 {
            ""
        } else {
            "    options: {delimiter: '-', index: 1}\n"
        };
        format!(
            "- source: {{name: m{at}, fieldPath: data.s}}\n  targets:\n  - select: {{kind: ConfigMap}}\n    \
             fieldPaths: [data.a]\n{options}"
        )
    };
    let all: String = (0..100).map(map).collect();
    let replacements: String = (0..100).map(replacement).collect();
    let kustomization = format!("resources: [all.yaml]\nreplacements:\n{replacements}");
    let tree: MemoryTree = [("kustomization.yaml", kustomization), ("all.yaml", all)]
        .into_iter()
        .collect();
    let limits = Limits {
        nodes: 5_000,
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    assert_eq!(build(&tree, "", &options).unwrap().len(), 100);
}

#[test]
fn an_object_of_the_deepest_nesting_needs_no_large_stack() {
    let deep = |from: usize| {
        (from..195)
            .map(|i| format!("{}a:\n", " ".repeat(i)))
            .collect::<String>()
    };
    let head = "apiVersion: v1\nkind: Pod\nmetadata:\n name: a\nspec:\n";
    let pod = format!("{head}{}", deep(1));
    let indented: String = format!("{head}{}", deep(1))
        .lines()
        .map(|l| format!("    {l}\n"))
        .collect();
    let kustomization = format!(
        "resources: [a.yaml]\nnamespace: ns\nnamePrefix: p\ncommonLabels: {{a: b}}\nimages: [{{name: x, newTag: v1}}]\n\
         patches:\n- target: {{kind: Pod}}\n  patch: |\n    - {{op: test, path: /kind, value: Pod}}\n- patch: |\n{indented}"
    );
    let tree: MemoryTree = [("kustomization.yaml", kustomization), ("a.yaml", pod)]
        .into_iter()
        .collect();
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let built =
        small.spawn(move || build(&tree, "", &Options::default()).map(|o| to_yaml(&o).len()));
    assert!(built.unwrap().join().unwrap().unwrap() > 195);
}

fn files(dir: &Path, root: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, root, found);
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            found.push((name, fs::read(&path).unwrap()));
        }
    }
}

/// A small generator of numbers; the same start gives the same run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n.max(1) as u64).unwrap()
    }
}

fn spoil(bytes: &mut Vec<u8>, dice: &mut Dice) {
    const BITS: [&str; 24] = [
        "- ",
        ": ",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "!!int ",
        "|\n",
        ">-\n",
        "\n",
        "  ",
        "#",
        "'",
        "\"",
        "---\n",
        "...\n",
        "<<: ",
        "%YAML 1.2\n",
        "\t",
        "? ",
        "\u{feff}",
        "null",
    ];
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(4) {
            0 if at < bytes.len() => {
                bytes.remove(at);
            }
            1 if at < bytes.len() => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
            2 => {
                let end = (at + dice.below(40)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = dice.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => {
                bytes.splice(at..at, BITS[dice.below(BITS.len())].bytes());
            }
        }
    }
}

#[test]
fn spoiled_repositories_end_in_objects_or_an_error() {
    let count = if std::env::var_os("REEVE_SOAK").is_some() {
        60_000
    } else {
        500
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/render");
    let mut cases: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|e| e.unwrap().path().join("in"))
        .collect();
    cases.sort();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut built, mut refused) = (0, 0);
    for _ in 0..count {
        let case = &cases[dice.below(cases.len())];
        let mut tree = Vec::new();
        files(case, case, &mut tree);
        let spoiled = dice.below(tree.len());
        spoil(&mut tree[spoiled].1, &mut dice);
        let tree: MemoryTree = tree.into_iter().collect();
        match build(
            &tree,
            "",
            &Options {
                generate: true,
                ..Options::default()
            },
        ) {
            Ok(_) => built += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(
        built > 0 && refused > 0,
        "{built} built, {refused} refused: too much of one"
    );
}

/// A tree whose reader says stop while the given file is read.
struct Impatient {
    tree: MemoryTree,
    at: &'static str,
    stop: Stop,
}

impl Tree for Impatient {
    fn kind(&self, path: &str) -> Option<Kind> {
        self.tree.kind(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        if path == self.at {
            self.stop.now();
        }
        self.tree.read(path)
    }

    fn list(&self, dir: &str) -> Vec<String> {
        self.tree.list(dir)
    }
}

#[test]
fn a_build_ends_where_it_stands_when_its_caller_says_stop() {
    let tree: MemoryTree = [
        ("kustomization.yaml", "resources: [a.yaml, b.yaml]\n"),
        ("a.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: a}}"),
        ("b.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: b}}"),
    ]
    .into_iter()
    .collect();
    for (at, want) in [
        ("a.yaml", Some("a.yaml: the build was stopped")),
        ("b.yaml", Some("b.yaml: the build was stopped")),
        ("no such file", None),
    ] {
        let stop = Stop::default();
        let options = Options {
            stop: stop.clone(),
            ..Options::default()
        };
        let tree = Impatient {
            tree: tree.clone(),
            at,
            stop,
        };
        let got = build(&tree, "", &options).map_err(|error| error.to_string());
        assert_eq!(got.err().as_deref(), want);
    }
}
