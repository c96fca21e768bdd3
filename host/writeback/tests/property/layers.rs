//! Random overlays: patches of both sorts, entries for images and replicas, generators, and a base that others may use too.
//!
//! What is built of them is always valid; which change is made of it, and what must not become of that, is here as well. Styles of
//! YAML are `scribe.rs`'s.

use std::collections::BTreeMap;

use reeve_kustomize::{MemoryTree, Object, Options, Remotes};
use reeve_writeback::{Change, Edits, Place, Refused, Repository, write};
use serde_json::{Value, json};

use crate::built;
use crate::scribe::Dice;

const WEB: &str = "# The shop.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web # as everybody calls it
spec:
  replicas: 1
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: web
          image: registry.example/web:v1 # pinned by hand
          env:
            - name: MODE
              value: plain
            # How much is told.
            - name: LEVEL
              value: \"info\"
        # Beside it.
        - name: proxy
          image: registry.example/proxy:v1
";
const MERGED: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
        - name: web
          env:
            - name: MODE # as here
              value: patched
";
const OPERATIONS: &str = "- op: replace
  path: /spec/template/spec/containers/0/env/1/value
  value: debug # for now
";

type Files = BTreeMap<String, String>;

/// One repository, and what somebody has changed on the cluster of what `prod` builds.
struct Layers {
    files: Files,
    before: Vec<Object>,
    live: Vec<Object>,
    /// How many fields were changed.
    changed: usize,
}

/// Plays one round; why it was refused, if it was. What is written is proven.
pub(crate) fn play(seed: u64) -> Result<Vec<Place>, Refused> {
    let layers = Layers::of(&mut Dice(seed));
    let told = || format!("seed {seed}\n{}", layers.shown());
    let edits = layers.write()?;
    let after = layers.after(&edits);
    let shown = |files: &Files| files.get("prod/kustomization.yaml").cloned();
    let built = all(&after, "prod").unwrap_or_else(|why| panic!("{}\n{why}", told()));
    let want = || format!("{}\n=====\n{:?}", told(), shown(&after));
    assert_eq!(built, layers.live, "{}", want());
    if layers.files.contains_key("stage/kustomization.yaml") {
        let (was, is) = (all(&layers.files, "stage"), all(&after, "stage"));
        assert_eq!(was.unwrap(), is.unwrap(), "{}", want());
    }
    let lost = layers.files.iter().map(|(file, old)| {
        let new = after.get(file).unwrap_or_else(|| panic!("{}", want()));
        lost(old, new)
    });
    let lost: usize = lost.sum();
    // A line for each value, and none where it is set in a new place.
    assert!(lost <= layers.changed, "{lost} lines: {}", want());
    Ok(edits.placed.into_iter().map(|one| one.place).collect())
}

impl Layers {
    fn of(dice: &mut Dice) -> Self {
        let files = files(dice);
        let before = all(&files, "prod").unwrap();
        let mut live = before.clone();
        let mut changed = 0;
        for (kind, pointer, value) in changes(dice) {
            let object = live.iter_mut().find(|one| one.kind() == kind);
            let Some(object) = object else { continue };
            let mut whole = Value::from(object.clone());
            *whole.pointer_mut(pointer).unwrap() = value;
            *object = Object::try_from(whole).unwrap();
            changed += 1;
        }
        Self {
            files,
            before,
            live,
            changed,
        }
    }

    fn write(&self) -> Result<Edits, Refused> {
        let tree = tree(&self.files);
        let options = Options::default();
        let repository = Repository {
            tree: &tree,
            all: &tree,
            remotes: &Remotes::refused(),
            path: "prod",
            options: &options,
            others: &[],
            within: "",
        };
        let both = self.before.iter().zip(&self.live);
        let changes = both.filter(|(applied, live)| applied != live);
        let changes = changes.map(|(applied, live)| Change {
            applied: applied.clone(),
            defaulted: None,
            live: live.clone(),
        });
        let changes: Vec<Change> = changes.collect();
        write(&repository, &changes)
    }

    fn after(&self, edits: &Edits) -> Files {
        let mut after = self.files.clone();
        for (file, bytes) in &edits.files {
            let text = String::from_utf8(bytes.clone().unwrap()).unwrap();
            after.insert(file.clone(), text);
        }
        after
    }

    fn shown(&self) -> String {
        let one = |(file, text): (&String, &String)| format!("--- {file}\n{text}");
        self.files.iter().map(one).collect()
    }
}

fn tree(files: &Files) -> MemoryTree {
    let files = files.iter();
    files
        .map(|(file, text)| (file.clone(), text.clone()))
        .collect()
}

fn all(files: &Files, path: &str) -> Result<Vec<Object>, reeve_kustomize::Error> {
    built(&tree(files), path)
}

/// A base, an overlay with layers of some sorts, and perhaps another one of the same base.
fn files(dice: &mut Dice) -> Files {
    let mut files = Files::new();
    let mut add = |file: &str, text: &str| files.insert(file.to_owned(), text.to_owned());
    add("base/web.yaml", WEB);
    add(
        "base/kustomization.yaml",
        "resources: [web.yaml] # all of it\n",
    );
    if dice.chance(50) {
        add("stage/kustomization.yaml", "resources: [../base]\n");
    }
    let mut sections = vec!["resources:\n  - ../base # shared\n".to_owned()];
    if dice.chance(40) {
        let entry = "images:\n  - name: registry.example/web # ours\n    newTag: v2\n";
        sections.push(entry.to_owned());
    }
    if dice.chance(40) {
        let entry = dice.pick(&[
            "  - {name: web, count: 2}",
            "  - count: 2 # two\n    name: web",
        ]);
        sections.push(format!("replicas:\n{entry}\n"));
    }
    let mut patches = Vec::new();
    if dice.chance(50) {
        add("prod/merged.yaml", MERGED);
        patches.push(patch(dice, "merged.yaml", MERGED, ""));
    }
    if dice.chance(50) {
        add("prod/operations.yaml", OPERATIONS);
        let target = "    target: {kind: Deployment, name: web}\n";
        patches.push(patch(dice, "operations.yaml", OPERATIONS, target));
    }
    if !patches.is_empty() {
        sections.push(format!("patches:\n{}", patches.concat()));
    }
    if dice.chance(50) {
        let from = match dice.chance(50) {
            true => "    literals:\n      - colour=green # for now\n      - size=big\n",
            false => {
                add(
                    "prod/settings.env",
                    "# What is set.\ncolour=green\nsize=big\n",
                );
                "    envs: [settings.env]\n"
            }
        };
        sections.push(format!(
            "configMapGenerator:\n  - name: settings\n{from}    options: {{disableNameSuffixHash: true}}\n"
        ));
    }
    let at = dice.below(sections.len());
    sections.rotate_left(at);
    let text = format!("# Ours.\n{}# The end.\n", sections.concat());
    add("prod/kustomization.yaml", &text);
    files
}

/// The entry of a patch: its file, or its text.
fn patch(dice: &mut Dice, file: &str, text: &str, target: &str) -> String {
    match dice.chance(50) {
        true => format!("  - path: {file} # beside it\n{target}"),
        false => {
            let lines: Vec<String> = text.lines().map(|line| format!("      {line}\n")).collect();
            format!("  - patch: |-\n{}{target}", lines.concat())
        }
    }
}

/// One or two fields that are set to something that nobody has set anywhere: of which kind, where, and to what.
fn changes(dice: &mut Dice) -> Vec<(&'static str, &'static str, Value)> {
    const CONTAINERS: [&str; 5] = [
        "/spec/template/spec/containers/0/image",
        "/spec/template/spec/containers/1/image",
        "/spec/template/spec/containers/0/env/0/value",
        "/spec/template/spec/containers/0/env/1/value",
        "/spec/replicas",
    ];
    let value = |at: usize| match at {
        0 => json!("registry.example/web:v7"),
        1 => json!("registry.example/proxy:v8"),
        2 => json!("swift"),
        3 => json!("silent"),
        _ => json!(9),
    };
    let mut places = vec![dice.below(CONTAINERS.len())];
    let more = dice.below(CONTAINERS.len());
    if dice.chance(40) && !places.contains(&more) {
        places.push(more);
    }
    let places = places.into_iter();
    let mut changes: Vec<_> = places
        .map(|at| ("Deployment", CONTAINERS[at], value(at)))
        .collect();
    if dice.chance(40) {
        changes.push(("ConfigMap", "/data/colour", json!("blue")));
    }
    changes
}

/// How many lines of the old text are not in the new one any more, in their order.
fn lost(old: &str, new: &str) -> usize {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // kept[b]: how many of the lines so far stay among the first b of the new ones.
    let mut kept = vec![0usize; new.len() + 1];
    for line in &old {
        let mut diagonal = 0;
        for (at, other) in new.iter().enumerate() {
            let above = kept[at + 1];
            kept[at + 1] = match line == other {
                true => diagonal + 1,
                false => above.max(kept[at]),
            };
            diagonal = above;
        }
    }
    old.len() - kept[new.len()]
}
