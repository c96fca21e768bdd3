//! What a tenant may not do, said once. Each row starts from a healthy tenant and changes one thing;
//! each reads the reason, the words, and that nothing at all was written: not in the tenant's
//! namespace, not in its neighbour's, not anywhere else under its name. Where an object is only put right,
//! it lies in the tenant's own namespace and nowhere else.

mod files;
mod kinds;
mod references;
mod rendered;
mod rights;
mod spec;

use futures::StreamExt as _;
use kube::api::{Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::install::{CONFIG, PLATFORM};
use reeve_tests::tenant::{Draft, Tenant};
use reeve_tests::{Estate, guest, objects, scenario, wait};
use serde_json::{Value, json};

/// One attempt of a healthy tenant to get where it must not, and what comes of it.
struct Row {
    says: &'static str,
    /// The change; the text is the neighbour's name, which is also its namespace and its source.
    change: fn(&mut Draft, &str),
    comes: Outcome,
    /// Whether the tenant's account may do everything everywhere, so that nothing but reeve stands in the way.
    mighty: bool,
}

/// What comes of an attempt.
enum Outcome {
    /// It is refused, and nothing at all is written.
    Refused {
        reason: Reason,
        /// Words of the message, by which the tenant knows what to mend.
        words: &'static str,
        /// Whether it is what is wrong with the spec, which stalls until that changes.
        stalls: bool,
    },
    /// The object comes to lie in the tenant's own namespace, as its own.
    Own,
}

impl Row {
    /// With an account that may do everything everywhere.
    fn mighty(self) -> Self {
        Self {
            mighty: true,
            ..self
        }
    }

    /// What is wrong is wrong with the revision: another one is another matter.
    fn of_revision(mut self) -> Self {
        if let Outcome::Refused { stalls, .. } = &mut self.comes {
            *stalls = false;
        }
        self
    }
}

/// An attempt that is refused for this reason, with these words.
fn row(
    says: &'static str,
    change: fn(&mut Draft, &str),
    reason: Reason,
    words: &'static str,
) -> Row {
    let stalls = matches!(
        reason,
        Reason::PolicyDenied | Reason::AccessDenied | Reason::Unsupported | Reason::InvalidSpec
    );
    Row {
        says,
        change,
        comes: Outcome::Refused {
            reason,
            words,
            stalls,
        },
        mighty: false,
    }
}

/// An attempt that ends in the tenant's own namespace, with an account that could do otherwise.
fn own(says: &'static str, change: fn(&mut Draft, &str)) -> Row {
    Row {
        says,
        change,
        comes: Outcome::Own,
        mighty: true,
    }
}

fn table() -> Vec<Row> {
    [
        spec::rows(),
        rights::rows(),
        rendered::rows(),
        kinds::rows(),
        references::rows(),
        files::rows(),
        plugins(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const RED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";

fn plugins() -> Vec<Row> {
    let failed = Reason::PluginFailed;
    vec![
        row(
            "a plugin that never returns",
            |d, _| d.plugin(guest::LOOPS),
            failed,
            "was not done after",
        ),
        row(
            "a plugin that panics",
            |d, _| d.plugin(guest::TRAPS),
            failed,
            "panic",
        ),
        row(
            "a plugin that is not there",
            |d, _| d.plugin("scenarios/missing.wasm"),
            failed,
            "scenarios/missing.wasm",
        ),
        row(
            "a plugin that moves an object to kube-system",
            |d, _| d.plugin(guest::MOVES),
            Reason::PolicyDenied,
            "ConfigMap/kube-system/moved would be applied in namespace kube-system",
        )
        .of_revision()
        .mighty(),
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

/// Where nothing of a tenant's may come to lie, beside its neighbour's.
const ELSEWHERE: [&str; 4] = ["default", "kube-system", PLATFORM, CONFIG];

/// Plays one row, on a tenant of its own.
async fn hold(estate: &Estate, neighbour: &Tenant<'_>, row: &Row) -> anyhow::Result<()> {
    let tenant = estate.healthy_tenant("acme").await?;
    if row.mighty {
        tenant.apply(&everything(tenant.name())).await?;
    }
    let commit = tenant
        .change(|draft| (row.change)(draft, neighbour.name()))
        .await?;
    if commit.is_some() {
        tenant.call_hook().await?;
    }
    let changes = match row.comes {
        Outcome::Refused {
            reason,
            words,
            stalls,
        } => {
            refused(&tenant, reason, words, stalls).await?;
            tenant.changes().await?
        }
        Outcome::Own => {
            let commit = commit.unwrap_or_default();
            tenant
                .told_of(Reason::ReconciliationSucceeded, &commit)
                .await?;
            lies_at_home(&tenant).await?;
            Vec::new()
        }
    };
    for (whose, changes) in [
        ("the tenant's", changes),
        ("the neighbour's", neighbour.changes().await?),
    ] {
        anyhow::ensure!(
            changes.is_empty(),
            "{whose} objects changed:\n{}",
            changes.join("\n")
        );
    }
    // What has no owner label would not be in either stock.
    for namespace in ELSEWHERE.into_iter().chain([neighbour.name()]) {
        let maps = objects::api(estate.admin(), "v1", "ConfigMap", Some(namespace));
        let moved = maps.get_opt("moved").await?;
        anyhow::ensure!(moved.is_none(), "{namespace} was written to");
    }
    Ok(())
}

async fn refused(
    tenant: &Tenant<'_>,
    reason: Reason,
    words: &str,
    wanted: bool,
) -> anyhow::Result<()> {
    let told = tenant.told_of(reason, words).await?;
    let stalled = objects::condition(&told.kustomization, "Stalled");
    let stalls = stalled.is_some_and(|stalled| stalled.status == "True");
    anyhow::ensure!(
        stalls == wanted,
        "Stalled is {stalls}: {:#}",
        told.kustomization
    );
    Ok(())
}

/// The object that was to lie elsewhere lies here, and is nobody else's.
async fn lies_at_home(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let moved = tenant.api("v1", "ConfigMap").get("moved").await?;
    let owner = ["name", "namespace"].map(|what| {
        let label = format!("/metadata/labels/kustomize.toolkit.fluxcd.io~1{what}");
        let object = serde_json::to_value(&moved).unwrap_or_default();
        objects::text(&object, &label).map(str::to_owned)
    });
    let own = Some(tenant.name().to_owned());
    anyhow::ensure!(owner == [own.clone(), own], "it bears {owner:?}");
    Ok(())
}

/// Every right there is, for the tenant's account.
pub(super) fn everything(namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": format!("everything-for-{namespace}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": namespace}],
    })
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
