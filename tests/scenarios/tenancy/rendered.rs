//! Ways in which what is rendered names another namespace, or another's owner: it is put right, or denied.
//!
//! The account may do everything everywhere: nothing but the render stage and policy stands in the way.

use reeve_api::reason::Reason;
use serde_json::json;

use super::{Row, own, row};

pub(super) fn rows() -> Vec<Row> {
    put_right()
        .into_iter()
        .chain(put_right_deeper())
        .chain(labelled())
        .chain(denied())
        .collect()
}

fn put_right() -> Vec<Row> {
    vec![
        own("a namespace in a manifest", |d, neighbour| {
            d.commit("moved.yaml", map(neighbour));
        }),
        own("a namespace with a space behind it", |d, _| {
            d.commit("moved.yaml", map("'kube-system '"));
        }),
        own("a namespace by a merge key", |d, _| {
            d.commit("moved.yaml", BY_MERGE_KEY);
        }),
        own("a namespace in an item of a List", |d, neighbour| {
            d.commit("moved.yaml", listed("List", neighbour));
        }),
        own(
            "a namespace in an item of a ConfigMapList",
            |d, neighbour| {
                d.commit("moved.yaml", listed("ConfigMapList", neighbour));
            },
        ),
        own("a namespace in kustomization.yaml", |d, neighbour| {
            let namespace = format!("namespace: {neighbour}\n");
            d.commit("moved.yaml", map("default"));
            d.commit("kustomization.yaml", format!("{RESOURCES}{namespace}"));
        }),
        own("a namespace by a patch", |d, neighbour| {
            d.commit("moved.yaml", map("default"));
            d.commit(
                "kustomization.yaml",
                format!("{RESOURCES}{}", patches(neighbour)),
            );
        }),
    ]
}

fn put_right_deeper() -> Vec<Row> {
    vec![
        own(
            "a namespace by a patch in the Kustomization",
            |d, neighbour| {
                d.commit("moved.yaml", map("default"));
                let operation =
                    json!([{"op": "replace", "path": "/metadata/namespace", "value": neighbour}]);
                let patch = json!({"patch": operation.to_string(), "target": {"kind": "ConfigMap", "name": "moved"}});
                d.set("patches", json!([patch]));
            },
        ),
        own("a namespace by a generator", |d, neighbour| {
            let generator = format!(
                "configMapGenerator:\n- name: moved\n  namespace: {neighbour}\n  literals: [a=b]\n  options:\n    disableNameSuffixHash: true\n"
            );
            let resources = RESOURCES.replace("- moved.yaml\n", "");
            d.commit("kustomization.yaml", format!("{resources}{generator}"));
        }),
        own("a namespace in a base", |d, neighbour| {
            d.commit("base/moved.yaml", map("default"));
            let base = format!("resources:\n- moved.yaml\nnamespace: {neighbour}\n");
            d.commit("base/kustomization.yaml", base);
            d.commit(
                "kustomization.yaml",
                RESOURCES.replace("moved.yaml", "base"),
            );
        }),
        own("a namespace by a component", |d, neighbour| {
            d.commit("moved.yaml", map("default"));
            let component = format!(
                "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nnamespace: {neighbour}\n"
            );
            d.commit("component/kustomization.yaml", component);
            d.commit(
                "kustomization.yaml",
                format!("{RESOURCES}components:\n- component\n"),
            );
        }),
    ]
}

/// Labels and annotations by which an object would count as somebody else's, or be left alone.
fn labelled() -> Vec<Row> {
    vec![
        own("a neighbour's owner labels", |d, neighbour| {
            let labels = format!(
                "  labels:\n    {OWNER}/name: {neighbour}\n    {OWNER}/namespace: {neighbour}\n"
            );
            d.commit("moved.yaml", map(neighbour).replace("\ndata:", &format!("\n{labels}data:")));
        }),
        own("a neighbour's owner labels for everything", |d, neighbour| {
            d.commit("moved.yaml", map(neighbour));
            let labels = json!({format!("{OWNER}/name"): neighbour, format!("{OWNER}/namespace"): neighbour});
            d.set("commonMetadata", json!({"labels": labels}));
        }),
        own("an object that belongs to an object of the cluster", |d, _| {
            let owner = "  finalizers: [example.com/never]\n  managedFields: []\n  resourceVersion: ''\n";
            d.commit("moved.yaml", map("kube-system").replace("\ndata:", &format!("\n{owner}data:")));
        }),
        row(
            "annotations that switch things off",
            |d, neighbour| {
                let annotations = format!(
                    "  annotations:\n    {OWNER}/reconcile: disabled\n    {OWNER}/ssa: Ignore\n    {OWNER}/prune: disabled\n"
                );
                d.commit("moved.yaml", map("default").replace("\ndata:", &format!("\n{annotations}data:")));
                d.commit("kustomization.yaml", format!("{RESOURCES}{}", transformer(neighbour)));
            },
            Reason::PolicyDenied,
            "ConfigMap/neighbour",
        )
        .of_revision()
        .mighty(),
    ]
}

/// What runs after the namespace was set is seen by policy.
fn denied() -> Vec<Row> {
    let denied = Reason::PolicyDenied;
    let rows = vec![
        row(
            "a namespace by a transformer of its own",
            |d, neighbour| {
                d.commit("moved.yaml", map("default"));
                d.commit(
                    "kustomization.yaml",
                    format!("{RESOURCES}{}", transformer(neighbour)),
                );
            },
            denied,
            "ConfigMap/neighbour",
        ),
        row(
            "a namespace by a replacement",
            |d, _| {
                d.commit("moved.yaml", map("default"));
                d.commit("kustomization.yaml", format!("{RESOURCES}{REPLACEMENT}"));
            },
            denied,
            "ConfigMap/kube-system/moved would be applied in namespace kube-system",
        ),
        row(
            "a namespace by an older kind of patch",
            |d, _| {
                d.commit("moved.yaml", map("default"));
                d.commit("kustomization.yaml", format!("{RESOURCES}{PATCH_6902}"));
            },
            denied,
            "ConfigMap/kube-system/moved would be applied in namespace kube-system",
        ),
        row(
            "a Kustomization in the platform's namespace",
            |d, _| {
                d.commit("moved.yaml", NESTED);
                d.commit(
                    "kustomization.yaml",
                    format!("{RESOURCES}{}", transformer("flux-system")),
                );
            },
            denied,
            "Kustomization/flux-system/moved would be applied in namespace flux-system",
        ),
    ];
    rows.into_iter()
        .map(|row| row.of_revision().mighty())
        .collect()
}

const OWNER: &str = "kustomize.toolkit.fluxcd.io";
const RESOURCES: &str = "resources:\n- settings.yaml\n- service.yaml\n- moved.yaml\n";
const BY_MERGE_KEY: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  <<: {namespace: kube-system}
  name: moved
data:
  a: b
";
const REPLACEMENT: &str = "\
replacements:
- sourceValue: kube-system
  targets:
  - select: {kind: ConfigMap, name: moved}
    fieldPaths: [metadata.namespace]
";
const PATCH_6902: &str = "\
patchesJson6902:
- target: {version: v1, kind: ConfigMap, name: moved}
  patch: |-
    - op: replace
      path: /metadata/namespace
      value: kube-system
";
const NESTED: &str = "\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: moved
spec:
  interval: 1h
  prune: true
  sourceRef:
    kind: GitRepository
    name: moved
";

fn map(namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: moved\n  namespace: {namespace}\ndata:\n  a: b\n"
    )
}

fn listed(kind: &str, namespace: &str) -> String {
    let item = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "moved", "namespace": namespace}});
    json!({"apiVersion": "v1", "kind": kind, "items": [item]}).to_string()
}

fn patches(namespace: &str) -> String {
    let operation = json!([{"op": "replace", "path": "/metadata/namespace", "value": namespace}]);
    format!("patches:\n- target: {{kind: ConfigMap, name: moved}}\n  patch: '{operation}'\n")
}

fn transformer(namespace: &str) -> String {
    format!(
        "transformers:\n- |-\n  apiVersion: builtin\n  kind: NamespaceTransformer\n  metadata:\n    name: elsewhere\n    namespace: {namespace}\n  fieldSpecs:\n  - path: metadata/namespace\n    create: true\n"
    )
}
