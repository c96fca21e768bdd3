//! `reeve build` beside `kustomize build`: whole processes, one after the other, over the same trees.
//!
//! Both must print the same bytes, else nothing is measured. A small overlay shows what starting costs, a thousand objects
//! what patches and replacements cost, large CRDs what reading and writing costs; the last table shows how the time grows.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reeve_tests::binaries;
use reeve_tests::git::git;

use crate::spread::Spread;
use crate::usage;

/// Of how many objects the trees are by which the growth is shown.
const GROWTH: [usize; 4] = [100, 1_000, 3_000, 10_000];
const CRDS: usize = 12;
/// Fields of one CRD: about one MB of YAML.
const CRD_FIELDS: usize = 9_000;

pub(crate) fn bench() -> anyhow::Result<()> {
    let room = tempfile::tempdir()?;
    // As most trees are: a build may read the whole work tree.
    git(room.path(), ["init", "--quiet"])?;
    let ours = PathBuf::from(std::env::var_os("REEVE_BIN").context("REEVE_BIN names reeve")?);
    let theirs = binaries::find("kustomize")?;
    say(
        "| `reeve build` beside `kustomize build` | ours p50 | theirs p50 | faster | ours peak | theirs peak | memory |\n|---|---|---|---|---|---|---|",
    )?;
    let small = Tree::at(room.path(), "small")?.overlay()?;
    let thousand = Tree::at(room.path(), "thousand")?.objects(1_000)?;
    let crds = Tree::at(room.path(), "crds")?.crds()?;
    for (name, tree, rounds) in [
        ("a small overlay", &small, 40),
        ("1,000 objects, patches, replacements", &thousand, 3),
        ("12 MB of CRDs", &crds, 3),
    ] {
        compare(name, tree, &ours, &theirs, rounds)?;
    }
    say("\n| objects | time | for each | peak |\n|---|---|---|---|")?;
    for count in GROWTH {
        let tree = Tree::at(room.path(), &format!("growth-{count}"))?.objects(count)?;
        let side = measure(&ours, &tree, 3, &room.path().join("out"))?;
        let each = side.time / u32::try_from(count).unwrap_or(u32::MAX);
        let (time, mib) = (ms(side.time), side.peak_kib >> 10);
        say(&format!(
            "| {count} | {time} | {} us | {mib} MiB |",
            each.as_micros()
        ))?;
    }
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// What one of the two needed for a tree.
struct Side {
    time: Duration,
    peak_kib: i64,
}

fn measure(program: &Path, tree: &Path, rounds: usize, out: &Path) -> anyhow::Result<Side> {
    let mut times = Vec::new();
    let mut peak_kib = 0;
    for _ in 0..rounds {
        let used = usage::build(program, tree, out)?;
        times.push(used.took);
        peak_kib = peak_kib.max(used.peak_kib);
    }
    let time = Spread::of(times).p50;
    Ok(Side { time, peak_kib })
}

fn compare(
    name: &str,
    tree: &Path,
    ours: &Path,
    theirs: &Path,
    rounds: usize,
) -> anyhow::Result<()> {
    let beside = |file: &str| tree.with_extension(file);
    let (our_out, their_out) = (beside("ours"), beside("theirs"));
    let we = measure(ours, tree, rounds, &our_out)?;
    let they = measure(theirs, tree, rounds, &their_out)?;
    let same = std::fs::read(&our_out)? == std::fs::read(&their_out)?;
    ensure!(same, "{name}: the two do not print the same");
    let faster = they.time.as_secs_f64() / we.time.as_secs_f64().max(f64::EPSILON);
    let memory = we.peak_kib as f64 / they.peak_kib.max(1) as f64;
    let (our_peak, their_peak) = (we.peak_kib >> 10, they.peak_kib >> 10);
    say(&format!(
        "| {name} | {} | {} | {faster:.1} x | {our_peak} MiB | {their_peak} MiB | {memory:.2} |",
        ms(we.time),
        ms(they.time),
    ))?;
    Ok(())
}

/// A directory of files for both.
struct Tree(PathBuf);

impl Tree {
    fn at(room: &Path, name: &str) -> anyhow::Result<Self> {
        let directory = room.join(name);
        std::fs::create_dir_all(&directory)?;
        Ok(Self(directory))
    }

    fn file(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.0.join(name);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        std::fs::write(&path, text).with_context(|| format!("writing {name}"))
    }

    /// A base of two objects and a ConfigMap, and an overlay over it.
    fn overlay(self) -> anyhow::Result<PathBuf> {
        self.file("base/web.yaml", &deployment("web"))?;
        self.file("base/service.yaml", &service("web"))?;
        self.file(
            "base/kustomization.yaml",
            "resources: [web.yaml, service.yaml]\nconfigMapGenerator:\n- name: settings\n  literals: [colour=blue]\n",
        )?;
        self.file("overlay/kustomization.yaml", OVERLAY)?;
        Ok(self.0.join("overlay"))
    }

    /// `count` objects, half of them Deployments: a patch for every tenth, one for all, and a replacement into all.
    fn objects(self, count: usize) -> anyhow::Result<PathBuf> {
        let mut manifests = String::new();
        let mut patches = String::new();
        for number in 0..count / 2 {
            let name = format!("web-{number}");
            write!(
                manifests,
                "{}---\n{}---\n",
                deployment(&name),
                service(&name)
            )?;
            if number % 10 == 0 {
                let target = format!("{{kind: Deployment, name: {name}}}");
                write!(
                    patches,
                    "- target: {target}\n  patch: |-\n    - op: replace\n      path: /spec/replicas\n      value: 3\n"
                )?;
            }
        }
        self.file("all.yaml", &manifests)?;
        self.file(
            "source.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: source\ndata:\n  level: debug\n",
        )?;
        self.file(
            "kustomization.yaml",
            &format!("{MANY}{REPLACEMENTS}patches:\n{ALL_PATCH}{patches}"),
        )?;
        Ok(self.0)
    }

    /// About 12 MB of schemas.
    fn crds(self) -> anyhow::Result<PathBuf> {
        let mut list = String::from("resources:\n");
        for number in 0..CRDS {
            let file = format!("crd-{number}.yaml");
            self.file(&file, &crd(number)?)?;
            writeln!(list, "- {file}")?;
        }
        self.file(
            "kustomization.yaml",
            &format!("{list}commonLabels:\n  team: bench\n"),
        )?;
        Ok(self.0)
    }
}

const OVERLAY: &str = "\
resources: [../base]
namePrefix: prod-
namespace: shop
labels:
- pairs: {team: shop}
  includeSelectors: true
images:
- name: registry.example/web
  newTag: '2'
patches:
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
    spec:
      replicas: 3
";

const MANY: &str = "\
resources: [all.yaml, source.yaml]
namePrefix: prod-
namespace: shop
images:
- name: registry.example/web
  newTag: '2'
";

const ALL_PATCH: &str = "\
- target: {kind: Deployment}
  patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: all
    spec:
      template:
        spec:
          containers:
          - name: web
            env:
            - name: LEVEL
              value: none
";

const REPLACEMENTS: &str = "\
replacements:
- source: {kind: ConfigMap, name: source, fieldPath: data.level}
  targets:
  - select: {kind: Deployment}
    fieldPaths: ['spec.template.spec.containers.[name=web].env.[name=LEVEL].value']
";

fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 1\n  selector:\n    matchLabels:\n      \
         app: {name}\n  template:\n    metadata:\n      labels:\n        app: {name}\n    spec:\n      containers:\n      - name: web\n        \
         image: registry.example/web:1\n        env:\n        - name: LEVEL\n          value: info\n"
    )
}

fn service(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  selector:\n    app: {name}\n  ports:\n  - port: 80\n"
    )
}

fn crd(number: usize) -> anyhow::Result<String> {
    let mut text = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: things{number}.bench.example\nspec:\n  \
         group: bench.example\n  names:\n    kind: Thing{number}\n    plural: things{number}\n  scope: Namespaced\n  versions:\n  - name: v1\n    \
         served: true\n    storage: true\n    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n"
    );
    for field in 0..CRD_FIELDS {
        write!(
            text,
            "          field{field}:\n            description: what the field of number {field} is for, in a sentence as long as they are\n            \
             type: string\n"
        )?;
    }
    Ok(text)
}
