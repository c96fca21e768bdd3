//! Files outside of the tenant's repository, and programs: neither is reached.

use reeve_api::reason::Reason;
use serde_json::json;

use super::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    let all = paths()
        .into_iter()
        .chain(kustomizations())
        .chain(programs());
    all.map(Row::mighty).collect()
}

fn paths() -> Vec<Row> {
    vec![
        row(
            "a path out of the source",
            |d, _| d.set("path", json!("./../../..")),
            Reason::InvalidSpec,
            "spec.path: it leads out of the source",
        ),
        row(
            "a component out of the source",
            |d, _| d.set("components", json!(["../../../etc"])),
            Reason::BuildFailed,
            "../../../etc",
        ),
        row(
            "a component on another server",
            |d, _| d.set("components", json!(["https://127.0.0.1/elsewhere"])),
            Reason::InvalidSpec,
            "spec.components",
        ),
    ]
}

fn kustomizations() -> Vec<Row> {
    let failed = Reason::BuildFailed;
    vec![
        row(
            "a file out of the source",
            |d, _| {
                d.commit(
                    "kustomization.yaml",
                    "resources:\n- ../../../../etc/passwd\n",
                );
            },
            failed,
            "kustomization.yaml",
        ),
        row(
            "an absolute file",
            |d, _| d.commit("kustomization.yaml", "resources:\n- /etc/passwd\n"),
            failed,
            "/etc/passwd",
        ),
        row(
            "a file by its URL",
            |d, _| d.commit("kustomization.yaml", "resources:\n- file:///etc/passwd\n"),
            failed,
            "names a file of this machine",
        ),
        row(
            "a generator that reads the account's token",
            |d, _| d.commit("kustomization.yaml", READS_TOKEN),
            failed,
            "token",
        ),
    ]
}

fn programs() -> Vec<Row> {
    let failed = Reason::BuildFailed;
    vec![
        row(
            "a chart",
            |d, _| d.commit("kustomization.yaml", CHART),
            failed,
            "helm",
        ),
        row(
            "a function that is a program",
            |d, _| {
                d.commit("kustomization.yaml", "generators:\n- function.yaml\n");
                d.commit("function.yaml", PROGRAM);
            },
            failed,
            "functions in programs and containers are not run",
        ),
        row(
            "a function that is a container",
            |d, _| {
                d.commit("kustomization.yaml", "generators:\n- function.yaml\n");
                d.commit(
                    "function.yaml",
                    PROGRAM.replace(
                        "exec:\n        path: /bin/sh",
                        "container:\n        image: elsewhere",
                    ),
                );
            },
            failed,
            "functions in programs and containers are not run",
        ),
        row(
            "a base on a server that nobody allowed",
            |d, neighbour| {
                let base = format!("resources:\n- https://127.0.0.1/{neighbour}/base?ref=main\n");
                d.commit("kustomization.yaml", base);
            },
            Reason::AccessDenied,
            "127.0.0.1",
        )
        .of_revision(),
    ]
}

const READS_TOKEN: &str = "\
configMapGenerator:
- name: moved
  files:
  - token=../../../../var/run/secrets/kubernetes.io/serviceaccount/token
";
const CHART: &str = "\
helmCharts:
- name: moved
  repo: https://127.0.0.1/charts
";
const PROGRAM: &str = "\
apiVersion: example.com/v1
kind: Program
metadata:
  name: moved
  annotations:
    config.kubernetes.io/function: |
      exec:
        path: /bin/sh
";
