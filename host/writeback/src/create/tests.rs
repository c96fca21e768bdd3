//! What becomes of many new objects at once, and what is asked of the tree for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reeve_kustomize::{Kind, MemoryTree, Overlay, ReadError, Tree};
use serde_json::json;

use super::*;

/// A tree that counts what it is asked.
struct Counted {
    tree: MemoryTree,
    asked: AtomicUsize,
}

impl Counted {
    fn count(&self) -> &MemoryTree {
        self.asked.fetch_add(1, Ordering::Relaxed);
        &self.tree
    }
}

impl Tree for Counted {
    fn kind(&self, path: &str) -> Option<Kind> {
        self.count().kind(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        self.count().read(path)
    }

    fn list(&self, dir: &str) -> Vec<String> {
        self.count().list(dir)
    }
}

fn map(namespace: &str, name: &str) -> Object {
    let metadata = json!({"name": name, "namespace": namespace});
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}});
    Object::try_from(object).unwrap()
}

fn new(live: &Object) -> New<'_> {
    New {
        live,
        lean: None,
        template: DEFAULT_TEMPLATE,
    }
}

fn text(map: &Object) -> String {
    to_yaml(std::slice::from_ref(map))
}

/// What becomes of these objects below `path`, which `builders` build with these options, and `others` too.
fn made(
    tree: &dyn Tree,
    path: &str,
    builders: &[(&str, &Options)],
    others: &[&str],
    lives: &[Object],
) -> Created {
    let remotes = Remotes::refused();
    let builder = |&(path, options)| Builder {
        path,
        remotes: &remotes,
        options,
    };
    let builders: Vec<Builder<'_>> = builders.iter().map(builder).collect();
    let others: Vec<String> = others.iter().map(|&one| one.to_owned()).collect();
    let repository = Repository {
        tree,
        all: tree,
        remotes: &remotes,
        path,
        options: &Options::default(),
        others: &others,
        within: path,
    };
    let news: Vec<New<'_>> = lives.iter().map(new).collect();
    create_all(&repository, &builders, &news)
}

/// What is said of each: nothing of one that has its file.
fn said(created: &Created) -> Vec<Option<&Reason>> {
    let each = created.each.iter();
    each.map(|one| one.as_ref().err().map(|why| &why.reason))
        .collect()
}

fn generated(namespace: Option<&str>) -> Options {
    Options {
        generate: true,
        overlay: Overlay {
            namespace: namespace.map(str::to_owned),
            ..Overlay::default()
        },
        ..Options::default()
    }
}

#[test]
fn a_file_is_refused_that_somebody_would_build_into_another_namespace() {
    let files = [("prod/web.yaml", text(&map("acme", "web")))];
    let tree: MemoryTree = files.into_iter().collect();
    let lives = [map("acme", "one"), map("acme-test", "two")];
    let (acme, plain) = (generated(Some("acme")), generated(None));
    // Whether the directory of the files or one around it is built.
    for path in ["prod", "prod/made"] {
        let fine = made(&tree, path, &[("prod", &plain)], &[], &lives);
        assert_eq!(said(&fine), [None, None], "{path}");
        let asked = [("prod", &plain), ("prod", &acme)];
        let refused = made(&tree, path, &asked, &[], &lives);
        assert_eq!(said(&refused), [None, Some(&Reason::Transformed)], "{path}");
        let file = format!("{path}/acme/configmap-one.yaml");
        assert_eq!(refused.files.keys().collect::<Vec<_>>(), [&file]);
    }
    // Who builds another directory has nothing to say.
    let other = made(&tree, "made", &[("prod", &acme)], &[], &lives);
    assert_eq!(said(&other), [None, None]);
}

#[test]
fn a_file_is_refused_that_gives_an_object_which_a_build_around_it_gives_already() {
    let files = [("kept/acme/configmap-one.yaml", text(&map("acme", "one")))];
    let tree: MemoryTree = files.into_iter().collect();
    let options = generated(None);
    let lives = [map("acme", "one"), map("acme", "two")];
    let created = made(&tree, "made", &[("", &options)], &[], &lives);
    assert_eq!(said(&created), [Some(&Reason::Present), None]);
}

#[test]
fn a_file_is_refused_where_somebody_takes_all_that_lies_there() {
    let tree: MemoryTree = [("README.md", "")].into_iter().collect();
    let lives = [map("acme", "one"), map("other", "two")];
    let shared = |file: &str, by: &str| Reason::Shared {
        file: file.to_owned(),
        by: by.to_owned(),
    };
    let (one, two) = (
        "made/acme/configmap-one.yaml",
        "made/other/configmap-two.yaml",
    );
    let created = made(&tree, "made", &[], &["made/acme", "app"], &lives);
    assert_eq!(said(&created), [Some(&shared(one, "made/acme")), None]);
    let created = made(&tree, "made", &[], &[""], &lives);
    let want = [Some(shared(one, ".")), Some(shared(two, "."))];
    assert_eq!(said(&created), [want[0].as_ref(), want[1].as_ref()]);
}

#[test]
fn whoever_lists_what_it_builds_takes_no_new_file() {
    let list = "resources: [a.yaml]\n".to_owned();
    let files = [
        ("kustomization.yaml", list),
        ("a.yaml", text(&map("acme", "a"))),
    ];
    let tree: MemoryTree = files.into_iter().collect();
    let options = generated(Some("elsewhere"));
    let lives = [map("acme", "one")];
    let created = made(&tree, "made", &[("", &options)], &[""], &lives);
    assert_eq!(said(&created), [None]);
}

#[test]
fn one_list_has_all_that_fit_and_what_does_not_stops_no_other() {
    let list = "namespace: acme # all of it\nresources:\n- a.yaml # the first\n".to_owned();
    let files = [
        ("made/kustomization.yaml", list),
        ("made/a.yaml", text(&map("acme", "a"))),
    ];
    let tree: MemoryTree = files.into_iter().collect();
    let lives = [
        map("acme", "one"),
        map("other", "two"),
        map("acme", "three"),
        map("acme", "a"),
        map("acme", "four"),
    ];
    let created = made(&tree, "made", &[], &[], &lives);
    let said = said(&created);
    let refused = said.iter().filter(|one| one.is_some()).count();
    assert_eq!((said.len(), refused), (5, 2));
    assert_eq!(said.get(1), Some(&Some(&Reason::Transformed)));
    assert_eq!(said.get(3), Some(&Some(&Reason::Present)));
    let list = created.files.get("made/kustomization.yaml").unwrap();
    let list = String::from_utf8(list.clone().unwrap()).unwrap();
    assert_eq!(
        list,
        "namespace: acme # all of it\nresources:\n- a.yaml # the first\n- acme/configmap-one.yaml\n- acme/configmap-three.yaml\n- acme/configmap-four.yaml\n"
    );
    assert_eq!(created.files.len(), 4);
}

#[test]
fn many_objects_cost_each_the_same_however_much_is_there() {
    const THERE: usize = 300;
    let number = |at: usize| format!("map-{at:04}");
    let mut files: Vec<(String, String)> = (0..THERE)
        .map(|at| (number(at), map("acme", &number(at))))
        .map(|(name, map)| (format!("made/acme/{name}.yaml"), text(&map)))
        .collect();
    let listed = |files: &[(String, String)]| {
        let names = files
            .iter()
            .map(|(file, _)| file.trim_start_matches("made/"));
        let names: Vec<String> = names.map(|name| format!("- {name}\n")).collect();
        format!("resources:\n{}", names.concat())
    };
    let list = listed(&files);
    let lives = |count: usize| -> Vec<Object> {
        let names = (THERE..THERE + count).map(number);
        names.map(|name| map("acme", &name)).collect()
    };
    let options = generated(None);
    let asked = |files: &[(String, String)], builders: &[(&str, &Options)], count: usize| {
        let tree = Counted {
            tree: files.iter().cloned().collect(),
            asked: AtomicUsize::new(0),
        };
        let created = made(&tree, "made", builders, &[], &lives(count));
        assert!(created.each.iter().all(Result::is_ok), "{count}");
        tree.asked.load(Ordering::Relaxed)
    };
    let check = |what: &str, files: &[(String, String)], builders: &[(&str, &Options)]| {
        let (few, many) = (asked(files, builders, 20), asked(files, builders, 120));
        // Once per object and file that is there it were 30,000.
        let more = many.saturating_sub(few);
        assert!(more < 100 * 20, "{what}: {more} more for 100 objects");
    };
    check("nobody builds them", &files, &[]);
    check("all that lies there is built", &files, &[("", &options)]);
    files.push(("made/kustomization.yaml".to_owned(), list));
    check("they are listed", &files, &[("", &options)]);
}
