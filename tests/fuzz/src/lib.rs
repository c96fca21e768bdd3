//! What the fuzzer's targets share: trees made of what it invents, a build that must end, and a question that must be
//! answered.

mod policy;

use std::sync::Arc;

pub use policy::{asks, judges};
use reeve_kustomize::{Kind, MemoryTree, Options, ReadError, Tree, build, to_yaml};

/// Begins a file in the text of a tree: the rest of the line is its path.
const FILE: &str = "=== ";

/// Builds `tree` in both ways and prints what comes of it.
pub fn ends(tree: &dyn Tree) {
    for generate in [false, true] {
        let options = Options {
            generate,
            ..Options::default()
        };
        match build(tree, "", &options) {
            Ok(objects) => drop(to_yaml(&objects)),
            Err(error) => assert!(!error.to_string().is_empty(), "an error says something"),
        }
    }
}

/// The tree that a text stands for: lines that begin with `=== ` name files, what follows is in them.
pub fn tree(text: &str) -> MemoryTree {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match (line.strip_prefix(FILE), files.last_mut()) {
            (Some(path), _) => files.push((path.trim().to_owned(), String::new())),
            (None, Some((_, content))) => content.push_str(line),
            (None, None) => files.push(("kustomization.yaml".to_owned(), line.to_owned())),
        }
    }
    files.into_iter().collect()
}

/// A kustomization file beside which there is every file and every directory that it names.
pub struct Everything(pub Vec<u8>);

const ROOT: &str = "kustomization.yaml";

impl Tree for Everything {
    fn kind(&self, path: &str) -> Option<Kind> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        match name {
            "kustomization.yaml" => Some(Kind::File),
            // One kustomization file is enough.
            "kustomization.yml" | "Kustomization" => None,
            _ if dir.matches('/').count() > 3 => None,
            _ if name.contains('.') => Some(Kind::File),
            _ => Some(Kind::Dir),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        let has = |word: &str| path.contains(word);
        let text = match path {
            ROOT => return Ok(Arc::from(self.0.clone())),
            _ if path.ends_with(ROOT) && (has("c") && !has("base")) => {
                "kind: Component\nconfigMapGenerator: [{name: made, literals: [a=b]}]\n"
            }
            _ if path.ends_with(ROOT) => "resources: [objects.yaml]\nnamePrefix: p-\n",
            _ if has("patch") || has("merge") => MERGE,
            _ if has("op") || path.ends_with(".json") => "[{op: add, path: /metadata/labels/x, value: y}]\n",
            _ if has("field") || has("config") => "images: [{path: spec/image, kind: Widget}]\n",
            _ if has("replace") => REPLACEMENT,
            _ if has("transform") => TRANSFORMER,
            _ if path.ends_with(".yaml") => OBJECTS,
            _ => "a=b\nc=d\n",
        };
        Ok(Arc::from(text.as_bytes()))
    }

    fn list(&self, _dir: &str) -> Vec<String> {
        Vec::new()
    }
}

const OBJECTS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec: {replicas: 1, template: {spec: {containers: [{name: main, image: 'nginx:1'}]}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: \"1\", json: '{\"a\": [1]}'}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: there}
spec: {ports: [{port: 80}], selector: {app: $(NAME)}}
";

const MERGE: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: main, env: [{name: A, value: b}]}, {name: side, $patch: delete}]}}}
";

const REPLACEMENT: &str = "
- source: {kind: Service, fieldPath: spec.ports.0.port}
  targets: [{select: {kind: ConfigMap}, fieldPaths: [data.port, data.json.a.0], options: {create: true}}]
";

const TRANSFORMER: &str = "
apiVersion: builtin
kind: PrefixTransformer
metadata: {name: any}
prefix: x-
fieldSpecs: [{path: metadata/name}]
";
