//! What a build costs, in what it allocates: it does not grow faster than what is built, and little of it is held at once.
//!
//! Counted, not timed: the counts are the same on every machine.
#![expect(unsafe_code, reason = "an allocator that counts is one by contract")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use reeve_kustomize::{Built, Limits, MemoryTree, Options, Remotes, build, build_with, to_yaml};

struct Counting;

thread_local! {
    /// How often memory was asked for, how many bytes are held, and how many were at most.
    static USED: Cell<(u64, i64, i64)> = const { Cell::new((0, 0, 0)) };
}

fn count(times: u64, bytes: i64) {
    // A thread that ends has no counter any more, and nobody who asks.
    let _ended = USED.try_with(|used| {
        let (all, held, most) = used.get();
        let held = held + bytes;
        used.set((all + times, held, most.max(held)));
    });
}

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: everything is the system's allocator; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size().cast_signed() as i64);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -(layout.size().cast_signed() as i64));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(block, layout) }
    }
}

/// How often `work` asked for memory, and how many bytes it held at most.
fn cost(work: impl FnOnce()) -> (u64, i64) {
    let (before, held, _) = USED.get();
    USED.set((before, held, held));
    work();
    let (after, _, most) = USED.get();
    (after - before, most - held)
}

fn maps(count: usize) -> String {
    let map = |at| {
        format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{at}}}\ndata: {{a: b}}\n")
    };
    (0..count).map(map).collect()
}

/// Components over 50 objects, each of which renames all.
fn components(count: usize) -> MemoryTree {
    let list: String = (0..count).map(|at| format!("- c{at}\n")).collect();
    let mut files = vec![
        ("all.yaml".to_owned(), maps(50)),
        (
            "kustomization.yaml".to_owned(),
            format!("resources: [all.yaml]\ncomponents:\n{list}"),
        ),
    ];
    files.extend((0..count).map(|at| {
        let text = "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nnamePrefix: p\n";
        (format!("c{at}/kustomization.yaml"), text.to_owned())
    }));
    files.into_iter().collect()
}

#[test]
fn twice_as_many_components_cost_twice_as_much() {
    let cost_of = |count| {
        let tree = components(count);
        cost(|| assert_eq!(build(&tree, "", &Options::default()).unwrap().len(), 50)).0
    };
    // The first build also makes what all builds share.
    cost_of(1);
    let (some, twice) = (cost_of(20), cost_of(40));
    assert!(twice < some * 5 / 2, "{some} allocations, then {twice}");
}

#[test]
fn bases_that_multiply_reach_a_bound_after_a_few_allocations_a_file() {
    let files: u64 = 2_000;
    let mut tree = vec![("d25/a.yaml".to_owned(), maps(1))];
    for level in 0..25 {
        let below = level + 1;
        for side in ["", "b"] {
            let text =
                format!("resources: [../d{below}, ../d{below}b]\nnameSuffix: x{level}{side}\n");
            tree.push((format!("d{level}{side}/kustomization.yaml"), text));
        }
    }
    for side in ["", "b"] {
        let text = format!("resources: [../d25/a.yaml]\nnamePrefix: x{side}\n");
        tree.push((format!("d25{side}/kustomization.yaml"), text));
    }
    let tree: MemoryTree = tree.into_iter().collect();
    let limits = Limits {
        files,
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    let build = || build(&tree, "d0", &options).unwrap_err().to_string();
    assert_eq!(build(), "d24/kustomization.yaml: more than 2000 files read");
    let (times, _) = cost(|| drop(build()));
    assert!(times < 160 * files, "{times} allocations for {files} files");
}

#[test]
fn building_and_printing_hold_at_most_25_times_what_is_read() {
    let text = maps(1_000);
    let read = text.len();
    let kustomization = "resources: [all.yaml]\nnamePrefix: p-\n".to_owned();
    let tree: MemoryTree = [("all.yaml", text), ("kustomization.yaml", kustomization)]
        .into_iter()
        .collect();
    let print = || -> usize {
        match build_with(&tree, &Remotes::refused(), "", &Options::default()) {
            Ok(Built::Objects(objects)) => objects.map(|object| to_yaml(&[object]).len()).sum(),
            other => panic!("{other:?}"),
        }
    };
    let (_, most) = cost(|| assert!(print() > read / 2));
    assert!(most < 25 * read as i64, "{most} bytes for {read}");
}

#[test]
fn twice_as_many_merges_into_one_object_cost_twice_as_much() {
    let cost_of = |count: usize| {
        let merge = |n| format!("- {{name: a, behavior: merge, literals: [k{n}=v]}}\n");
        let merges: String = (0..count).map(merge).collect();
        let text = format!("configMapGenerator:\n- {{name: a, literals: [a=b]}}\n{merges}");
        let tree: MemoryTree = [("kustomization.yaml", text)].into_iter().collect();
        cost(|| assert_eq!(build(&tree, "", &Options::default()).unwrap().len(), 1)).0
    };
    // The first build also makes what all builds share.
    cost_of(1);
    let (some, twice) = (cost_of(200), cost_of(400));
    assert!(twice < some * 5 / 2, "{some} allocations, then {twice}");
}

#[test]
fn what_is_read_into_fields_is_bounded_as_what_is_held_of_it() {
    let nodes = 50_000;
    let options = Options {
        limits: Limits {
            nodes,
            ..Limits::default()
        },
        ..Options::default()
    };
    let long = "d".repeat(1_000);
    for (dir, field, most) in [
        ("", "configMapGenerator:\n- name: a\n  literals:\n", 12_000),
        ("", "resources:\n", 15_000),
        (long.as_str(), "resources:\n", 2_000),
    ] {
        let held = |count: usize| {
            let items: String = (0..count).map(|n| format!("  - {n}=\n")).collect();
            let file = format!("{dir}/kustomization.yaml");
            let tree: MemoryTree = [(file, format!("{field}{items}"))].into_iter().collect();
            let mut said = String::new();
            let (_, held) = cost(|| {
                let built = build(&tree, dir, &options);
                said = built
                    .err()
                    .map_or_else(String::new, |error| error.to_string());
            });
            (held, said)
        };
        let (within, said) = held(most);
        assert!(!said.contains("YAML nodes"), "{said}");
        assert!(within < 256 * nodes as i64, "{within} bytes for {most}");
        let (beyond, said) = held(4 * most);
        assert!(
            said.contains("YAML nodes") && said.contains("64 bytes"),
            "{said}"
        );
        assert!(beyond < 256 * nodes as i64, "{beyond} bytes");
    }
}
