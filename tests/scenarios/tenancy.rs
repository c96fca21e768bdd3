//! What a tenant may not do, said once. Each row starts from a healthy tenant and changes one thing;
//! each reads the reason, the words, and that nothing at all was written: not in the tenant's
//! namespace, not in its neighbour's, not anywhere else under its name.

use futures::StreamExt as _;
use kube::api::{Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::tenant::{Draft, Tenant};
use reeve_tests::{Estate, guest, objects, scenario, wait};
use serde_json::{Value, json};

/// One change to a healthy tenant, and what it is told.
struct Row {
    says: &'static str,
    /// The change; the text is the neighbour's name, which is also its namespace and its source.
    change: fn(&mut Draft, &str),
    want: Reason,
    /// Words of the message, by which the tenant knows what to mend.
    words: &'static str,
    stalls: bool,
}

fn row(says: &'static str, change: fn(&mut Draft, &str), want: Reason, words: &'static str) -> Row {
    // What is wrong with the spec stalls until it changes; what is wrong with a revision does not.
    let stalls = matches!(
        want,
        Reason::PolicyDenied | Reason::AccessDenied | Reason::Unsupported
    );
    Row {
        says,
        change,
        want,
        words,
        stalls,
    }
}

fn table() -> Vec<Row> {
    [policy(), rights(), plugins(), sources(), fields()]
        .into_iter()
        .flatten()
        .collect()
}

/// What the policies in force for every tenant deny.
fn policy() -> Vec<Row> {
    let denied = Reason::PolicyDenied;
    vec![
        row(
            "a Kustomization without a ServiceAccount",
            |d, _| d.set("serviceAccountName", Value::Null),
            denied,
            "spec.serviceAccountName is missing",
        ),
        row(
            "a target in a neighbour's namespace",
            |d, neighbour| d.set("targetNamespace", json!(neighbour)),
            denied,
            "spec.targetNamespace is neighbour",
        ),
        row(
            "a target in the cluster's own namespace",
            |d, _| d.set("targetNamespace", json!("kube-system")),
            denied,
            "spec.targetNamespace is kube-system",
        ),
        row(
            "no target at all",
            |d, _| d.set("targetNamespace", Value::Null),
            denied,
            "spec.targetNamespace is missing",
        ),
        Row {
            stalls: false,
            ..row(
                "a plugin that moves an object to kube-system",
                |d, _| d.plugin(guest::MOVES),
                denied,
                "ConfigMap/kube-system/moved would be applied in namespace kube-system",
            )
        },
    ]
}

/// What the tenant's ServiceAccount has no right to. The last row would also change what it may: one
/// object that is refused keeps its whole stage from being written.
fn rights() -> Vec<Row> {
    let failed = Reason::ReconciliationFailed;
    vec![
        row(
            "a ClusterRoleBinding to itself",
            |d, _| {
                let binding = ADMIN_FOR_ITSELF.replace("NAMESPACE", d.namespace());
                d.commit("admin.yaml", binding);
            },
            failed,
            "ClusterRoleBinding",
        ),
        row(
            "a RoleBinding to more than it has",
            |d, _| d.commit("admin.yaml", MORE_THAN_IT_HAS),
            failed,
            "RoleBinding",
        ),
        row(
            "a kind its ServiceAccount may not write",
            |d, _| d.commit("priority.yaml", PRIORITY_CLASS),
            failed,
            "PriorityClass",
        ),
        row(
            "a ServiceAccount without any right",
            |d, _| {
                d.set("serviceAccountName", json!("default"));
                d.commit("settings.yaml", RED);
            },
            failed,
            "forbidden",
        ),
        row(
            "a ServiceAccount that does not exist",
            |d, _| {
                d.set("serviceAccountName", json!("nobody"));
                d.commit("settings.yaml", RED);
            },
            failed,
            "nobody",
        ),
        row(
            "a kind it may not write, beside a change that it may make",
            |d, _| {
                d.commit("quota.yaml", QUOTA);
                d.commit("settings.yaml", RED);
            },
            failed,
            "ResourceQuota",
        ),
    ]
}

const RED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";
const ADMIN_FOR_ITSELF: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: NAMESPACE-admin
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cluster-admin
subjects:
- kind: ServiceAccount
  name: flux
  namespace: NAMESPACE
";
const MORE_THAN_IT_HAS: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: more
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cluster-admin
subjects:
- kind: ServiceAccount
  name: flux
";
const PRIORITY_CLASS: &str = "\
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata:
  name: first
value: 1000000
";
const QUOTA: &str = "\
apiVersion: v1
kind: ResourceQuota
metadata:
  name: more
spec:
  hard:
    pods: '1000'
";

fn plugins() -> Vec<Row> {
    vec![
        row(
            "a plugin that never returns",
            |d, _| d.plugin(guest::LOOPS),
            Reason::PluginFailed,
            "was not done after",
        ),
        row(
            "a plugin that panics",
            |d, _| d.plugin(guest::TRAPS),
            Reason::PluginFailed,
            "panic",
        ),
        row(
            "a plugin that is not there",
            |d, _| d.plugin("scenarios/missing.wasm"),
            Reason::PluginFailed,
            "scenarios/missing.wasm",
        ),
    ]
}

fn sources() -> Vec<Row> {
    let denied = Reason::AccessDenied;
    let words = "cross-namespace references have been blocked";
    vec![
        row(
            "a source in a neighbour's namespace",
            |d, neighbour| {
                let source =
                    json!({"kind": "GitRepository", "name": neighbour, "namespace": neighbour});
                d.set("sourceRef", source);
            },
            denied,
            words,
        ),
        row(
            "a neighbour's source in the platform's namespace for sources",
            |d, neighbour| {
                let namespace = reeve_tests::install::CONFIG;
                let source =
                    json!({"kind": "GitRepository", "name": neighbour, "namespace": namespace});
                d.set("sourceRef", source);
            },
            denied,
            words,
        ),
    ]
}

fn fields() -> Vec<Row> {
    let unsupported = Reason::Unsupported;
    vec![
        row(
            "a field that nothing acts on yet",
            |d, _| {
                d.set("dependsOn", json!([{"name": "other"}]));
                d.commit("settings.yaml", RED);
            },
            unsupported,
            "spec.dependsOn",
        ),
        row(
            "another cluster",
            |d, _| d.set("kubeConfig", json!({"secretRef": {"name": "elsewhere"}})),
            unsupported,
            "spec.kubeConfig",
        ),
        row(
            "a field deep in the spec",
            |d, _| d.set("postBuild", json!({"substitute": {"colour": "red"}})),
            unsupported,
            "spec.postBuild",
        ),
    ]
}

/// Rows that are played at once: most of a row is waiting.
const AT_ONCE: usize = 4;

#[test]
fn a_tenant_is_held_to_its_own_ground() {
    scenario(async {
        guest::install()?;
        let estate = Estate::shared().await?;
        let neighbour = estate.healthy_tenant("neighbour").await?;
        let neighbour = &neighbour;
        let played = table().into_iter().map(|row| async move {
            let held = hold(estate, neighbour, &row).await;
            held.err().map(|why| format!("{}: {why:?}", row.says))
        });
        let verdicts: Vec<Option<String>> = futures::stream::iter(played)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let wrong: Vec<String> = verdicts.into_iter().flatten().collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        Ok(())
    });
}

/// Plays one row, on a tenant of its own.
async fn hold(estate: &Estate, neighbour: &Tenant<'_>, row: &Row) -> anyhow::Result<()> {
    let tenant = estate.healthy_tenant("acme").await?;
    let commit = tenant
        .change(|draft| (row.change)(draft, neighbour.name()))
        .await?;
    if commit.is_some() {
        tenant.call_hook().await?;
    }
    let told = tenant.told_of(row.want, row.words).await?;
    let stalled = objects::condition(&told.kustomization, "Stalled");
    let stalls = stalled.is_some_and(|stalled| stalled.status == "True");
    anyhow::ensure!(
        stalls == row.stalls,
        "Stalled is {stalls}: {:#}",
        told.kustomization
    );
    for (whose, changes) in [
        ("the tenant's", tenant.changes().await?),
        ("the neighbour's", neighbour.changes().await?),
    ] {
        anyhow::ensure!(
            changes.is_empty(),
            "{whose} objects changed:\n{}",
            changes.join("\n")
        );
    }
    // What has no owner label would not be in either stock.
    let maps = objects::api(estate.admin(), "v1", "ConfigMap", Some("kube-system"));
    anyhow::ensure!(
        maps.get_opt("moved").await?.is_none(),
        "kube-system was written to"
    );
    Ok(())
}

#[test]
fn a_denied_tenant_is_healthy_again_when_the_change_is_taken_back() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("repents").await?;
        tenant
            .change(|draft| draft.set("targetNamespace", json!("kube-system")))
            .await?;
        tenant.told_of(Reason::PolicyDenied, "kube-system").await?;
        let target = json!(tenant.name());
        tenant
            .change(|draft| draft.set("targetNamespace", target))
            .await?;
        tenant
            .told_of(
                Reason::ReconciliationSucceeded,
                "Applied revision: main@sha1:",
            )
            .await?;
        assert_eq!(tenant.changes().await?, Vec::<String>::new());
        Ok(())
    });
}

/// Go's durations end at 292 years; the pattern of the kinds' schemas does not know that.
const BEYOND_MEASURE: &str = "9999999999h";

#[test]
fn an_object_that_cannot_be_read_stalls_alone() {
    scenario(async {
        let estate = Estate::shared().await?;
        let broken = estate.healthy_tenant("broken").await?;
        let neighbour = estate.healthy_tenant("unmoved").await?;
        for api in [broken.kustomizations(), broken.sources()] {
            let patch = json!({"spec": {"interval": BEYOND_MEASURE}});
            api.patch(
                broken.name(),
                &PatchParams::default(),
                &Patch::Merge(&patch),
            )
            .await?;
            let seen = wait::for_object(&api, broken.name(), "it is Stalled", |object| {
                let stalled = objects::condition(&object.data, "Stalled").unwrap_or_default();
                stalled.status == "True" && stalled.reason == Reason::InvalidSpec.as_str()
            })
            .await?;
            let ready = objects::condition(&seen.data, "Ready").unwrap_or_default();
            assert_eq!(ready.status, "False");
            assert!(
                ready.message.contains("interval"),
                "the field is named: {}",
                ready.message
            );
        }
        // The neighbour goes on, by the same watches.
        neighbour.push(&[("settings.yaml", Some(RED))]).await?;
        assert_eq!(
            broken.changes().await?,
            Vec::<String>::new(),
            "nothing was pruned"
        );

        for api in [broken.sources(), broken.kustomizations()] {
            let patch = json!({"spec": {"interval": "1h"}});
            api.patch(
                broken.name(),
                &PatchParams::default(),
                &Patch::Merge(&patch),
            )
            .await?;
        }
        broken
            .told_of(Reason::ReconciliationSucceeded, "Applied revision")
            .await?;
        broken.push(&[("settings.yaml", Some(RED))]).await?;
        Ok(())
    });
}
