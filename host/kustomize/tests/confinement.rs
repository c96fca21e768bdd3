//! Nothing outside of the root is ever read: every field that names a file, with every way out of a directory there is.
//!
//! The tree has symbolic links and follows them as a disk does; a read that ends outside is counted. That a real disk is
//! no different is seen in `tests/scenarios/command`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reeve_kustomize::{Kind, Loads, Options, ReadError, Remotes, Tree, build, build_with};

/// Files and links of a disk whose directory `repo` is the root.
#[derive(Default)]
struct Disk {
    files: BTreeMap<&'static str, String>,
    links: BTreeMap<&'static str, &'static str>,
    outside: AtomicUsize,
}

const ROOT: &str = "repo";

impl Disk {
    /// Where a path of the root really leads, links followed; nothing where there are too many.
    fn follow(&self, path: &str) -> Option<String> {
        let mut left: Vec<String> = format!("{ROOT}/{path}")
            .split('/')
            .rev()
            .map(str::to_owned)
            .collect();
        let mut done: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(part),
            }
            let Some(target) = self.links.get(done.join("/").as_str()) else {
                continue;
            };
            links += 1;
            if links > 8 {
                return None;
            }
            done.pop();
            left.extend(target.split('/').rev().map(str::to_owned));
        }
        Some(done.join("/"))
    }

    fn inside(&self, path: &str) -> Option<String> {
        let real = self.follow(path)?;
        if real == ROOT {
            return Some(String::new());
        }
        real.strip_prefix("repo/").map(str::to_owned)
    }

    fn is_dir(&self, real: &str) -> bool {
        self.files.keys().any(|file| {
            file.strip_prefix(real)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

impl Tree for Disk {
    fn kind(&self, path: &str) -> Option<Kind> {
        self.inside(path)?;
        let real = self.follow(path)?;
        match self.files.contains_key(real.as_str()) {
            true => Some(Kind::File),
            false => self.is_dir(&real).then_some(Kind::Dir),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        let real = self.follow(path).unwrap_or_default();
        if self.inside(path).is_none() {
            self.outside.fetch_add(1, Ordering::Relaxed);
        }
        let found = self.files.get(real.as_str());
        found
            .map(|text| text.as_bytes().into())
            .ok_or_else(|| ReadError {
                path: path.to_owned(),
                why: "no such file".to_owned(),
            })
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let real = self
            .inside(dir)
            .map(|_| self.follow(dir).unwrap_or_default());
        let below = real.map(|real| format!("{real}/"));
        let names = self.files.keys().chain(self.links.keys());
        let mut names: Vec<String> = names
            .filter_map(|name| name.strip_prefix(below.as_deref()?))
            .filter_map(|rest| rest.split('/').next())
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn real(&self, path: &str) -> Option<String> {
        self.inside(path)
    }
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: secret}\ndata: {a: hunter2}\n";

/// Every field that names a file or a directory: the kustomization with `PATH` in it, and the field that is told.
const FIELDS: [(&str, &str); 27] = [
    ("resources: ['PATH']", "resources[0]"),
    ("bases: ['PATH']", "bases[0]"),
    ("components: ['PATH']", "components[0]"),
    ("crds: ['PATH']", "crds[0]"),
    ("configurations: ['PATH']", "configurations[0]"),
    ("openapi: {path: 'PATH'}", "openapi.path"),
    ("patches: [{path: 'PATH'}]", "patches[0].path"),
    (
        "patchesStrategicMerge: ['PATH']",
        "patchesStrategicMerge[0]",
    ),
    (
        "patchesJson6902: [{path: 'PATH', target: {version: v1, kind: ConfigMap, name: own}}]",
        "patchesJson6902[0].path",
    ),
    ("replacements: [{path: 'PATH'}]", "replacements[0].path"),
    (
        "configMapGenerator: [{name: a, files: ['PATH']}]",
        "configMapGenerator[0].files[0]",
    ),
    (
        "configMapGenerator: [{name: a, files: ['key=PATH']}]",
        "configMapGenerator[0].files[0]",
    ),
    (
        "configMapGenerator: [{name: a, envs: ['PATH']}]",
        "configMapGenerator[0].envs[0]",
    ),
    (
        "configMapGenerator: [{name: a, env: 'PATH'}]",
        "configMapGenerator[0].env",
    ),
    (
        "secretGenerator: [{name: a, files: ['PATH']}]",
        "secretGenerator[0].files[0]",
    ),
    (
        "secretGenerator: [{name: a, files: ['key=PATH']}]",
        "secretGenerator[0].files[0]",
    ),
    (
        "secretGenerator: [{name: a, envs: ['PATH']}]",
        "secretGenerator[0].envs[0]",
    ),
    (
        "secretGenerator: [{name: a, env: 'PATH'}]",
        "secretGenerator[0].env",
    ),
    ("generators: ['PATH']", "generators[0]"),
    ("transformers: ['PATH']", "transformers[0]"),
    ("validators: ['PATH']", "validators[0]"),
    (
        "generators: [g.yaml]\n# {kind: ConfigMapGenerator, files: ['PATH']}",
        "files[0]",
    ),
    (
        "generators: [g.yaml]\n# {kind: SecretGenerator, envs: ['PATH']}",
        "envs[0]",
    ),
    (
        "transformers: [g.yaml]\n# {kind: PatchTransformer, path: 'PATH'}",
        "path",
    ),
    (
        "transformers: [g.yaml]\n# {kind: PatchStrategicMergeTransformer, paths: ['PATH']}",
        "paths[0]",
    ),
    (
        "transformers: [g.yaml]\n# {kind: PatchJson6902Transformer, path: 'PATH', target: {version: v1, kind: ConfigMap, name: own}}",
        "path",
    ),
    (
        "transformers: [g.yaml]\n# {kind: ReplacementTransformer, replacements: [{path: 'PATH'}]}",
        "replacements[0].path",
    ),
];

/// Every way out: what is written, and what of it is told.
const WAYS: [&str; 13] = [
    "../../outside/secret.yaml",
    "../../outside",
    "below/../../../outside/secret.yaml",
    "/outside/secret.yaml",
    "/repo/app/own.yaml",
    "file:///outside/secret.yaml",
    "FILE:///outside/secret.yaml",
    "link.yaml",
    "link",
    "link/secret.yaml",
    "chain.yaml",
    "chain/secret.yaml",
    "turn/link.yaml",
];

/// The disk with a kustomization that asks for `way` in `field`; behind the `#` stands the configuration of a builtin.
fn disk(field: &str, way: &str) -> Disk {
    let text = field.replace("PATH", way);
    let (kustomization, builtin) = text.split_once("\n# ").unwrap_or((&text, "{}"));
    let builtin = builtin.trim_start_matches('{');
    let head = if kustomization.contains("resources") || kustomization.contains("bases") {
        ""
    } else {
        "resources: [own.yaml]\n"
    };
    let own = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n".to_owned();
    Disk {
        files: BTreeMap::from([
            (
                "repo/app/kustomization.yaml",
                format!("{head}{kustomization}\n"),
            ),
            ("repo/app/own.yaml", own),
            (
                "repo/app/g.yaml",
                format!("{{apiVersion: builtin, metadata: {{name: g}}, {builtin}\n"),
            ),
            ("repo/app/below/x", String::new()),
            ("repo/other/x", String::new()),
            ("outside/secret.yaml", MAP.to_owned()),
            (
                "outside/kustomization.yaml",
                "resources: [secret.yaml]\n".to_owned(),
            ),
        ]),
        links: BTreeMap::from([
            ("repo/app/link.yaml", "../../outside/secret.yaml"),
            ("repo/app/link", "../../outside"),
            ("repo/app/chain.yaml", "../other/chain.yaml"),
            ("repo/other/chain.yaml", "../app/link/secret.yaml"),
            ("repo/app/chain", "../other/chain"),
            ("repo/other/chain", "../../outside"),
            ("repo/app/turn", "../other"),
            ("repo/other/link.yaml", "../../outside/secret.yaml"),
        ]),
        outside: AtomicUsize::new(0),
    }
}

#[test]
fn no_field_reads_what_lies_outside_and_each_refusal_says_where() {
    let mut wrong = Vec::new();
    for (field, told) in FIELDS {
        for way in WAYS {
            for loads in [Loads::Tree, Loads::Kustomization] {
                for remotes in [Remotes::refused(), Remotes::wanted()] {
                    let disk = disk(field, way);
                    let options = Options {
                        loads,
                        ..Options::default()
                    };
                    let built = build_with(&disk, &remotes, "app", &options);
                    let said = match built {
                        Ok(built) => format!("{built:?}"),
                        Err(why) => why.to_string(),
                    };
                    let file = if field.contains("g.yaml") {
                        "app/g.yaml:"
                    } else {
                        "app/kustomization.yaml:"
                    };
                    let placed = said.contains(file) && said.contains(&format!("{told}: "));
                    let refused = said.contains("lies outside of the repository")
                        || said.contains("names a file of this machine");
                    let read = disk.outside.load(Ordering::Relaxed);
                    if !placed || !refused || read > 0 || said.contains("hunter2") {
                        wrong.push(format!("{field} {way} {loads:?}: read {read}: {said}"));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of them:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn links_that_stay_inside_are_followed_and_loops_end() {
    let mut disk = disk("resources: [inner.yaml, dir]", "");
    disk.links.extend([
        ("repo/app/inner.yaml", "own.yaml"),
        ("repo/app/dir", "../base"),
        ("repo/app/loop.yaml", "loop.yaml"),
    ]);
    disk.files.insert(
        "repo/base/kustomization.yaml",
        "resources: [b.yaml]\n".to_owned(),
    );
    disk.files.insert("repo/base/b.yaml", MAP.to_owned());
    assert_eq!(build(&disk, "app", &Options::default()).unwrap().len(), 2);
    disk.files.insert(
        "repo/app/kustomization.yaml",
        "resources: [loop.yaml]\n".to_owned(),
    );
    let told = build(&disk, "app", &Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("app/kustomization.yaml:1:13: resources[0]: "),
        "{told}"
    );
}

#[test]
fn a_kustomization_file_that_leads_out_is_none() {
    let mut disk = disk("resources: [own.yaml]", "");
    disk.files.remove("repo/app/kustomization.yaml");
    disk.links.insert(
        "repo/app/kustomization.yaml",
        "../../outside/kustomization.yaml",
    );
    let told = build(&disk, "app", &Options::default())
        .unwrap_err()
        .to_string();
    assert!(told.contains("has no kustomization file"), "{told}");
    assert_eq!(disk.outside.load(Ordering::Relaxed), 0);
}
