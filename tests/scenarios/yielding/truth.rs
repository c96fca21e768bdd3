//! Which side is right: an environment says it for its tenants, a Kustomization for itself, and both go before any rule.

use super::*;

const TRUTH: &str = "reeve.dev/source-of-truth";

/// The tenant is of an environment of the Project.
async fn is_of(tenant: &Tenant<'_>, project: &str, environment: &str) -> anyhow::Result<()> {
    let name = tenant.name();
    tenant
        .apply(&json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
            "spec": {"namespaces": [name], "sources": [name], "project": project, "environment": environment},
        }))
        .await
}

/// A WriteBack that looks at once, and may write all Deployments.
async fn looks(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    tenant
        .apply(&json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "WriteBack",
            "metadata": {"name": "back", "namespace": tenant.name()},
            "spec": {
                "sourceRef": {"name": tenant.name(), "namespace": CONFIG}, "serviceAccountName": "flux",
                "debounce": "100ms", "rules": [{"resources": ["deployments"], "syncTo": "git"}],
            },
        }))
        .await
}

async fn refuses(tenant: &Tenant<'_>, words: &str) -> anyhow::Result<()> {
    let backs = tenant.api("reeve.dev/v1alpha1", "WriteBack");
    let what = format!("it refuses something: {words}");
    wait::for_object(&backs, "back", &what, |back| {
        let refused = back.data["status"]["refused"].as_array();
        let mut reasons = refused.into_iter().flatten();
        reasons.any(|one| {
            one["reason"]
                .as_str()
                .is_some_and(|why| why.contains(words))
        })
    })
    .await?;
    Ok(())
}

#[test]
fn two_environments_of_a_project_have_another_side_that_is_right() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (staging, production) = (
            estate.healthy_tenant("truth-staging").await?,
            estate.healthy_tenant("truth-production").await?,
        );
        let name = estate.unique("truth");
        let project = async |of_staging: &str| {
            let environments = json!([
                {"name": "staging", "sourceOfTruth": of_staging},
                {"name": "production", "sourceOfTruth": "git"},
            ]);
            staging
                .apply(&json!({
                    "apiVersion": "reeve.dev/v1alpha1", "kind": "Project", "metadata": {"name": name},
                    "spec": {"environments": environments},
                }))
                .await
        };
        project("cluster").await?;
        for (tenant, environment) in [(&staging, "staging"), (&production, "production")] {
            is_of(tenant, &name, environment).await?;
            rolled_out(tenant, 1, 1).await?;
            is(tenant, 1, 1).await?;
        }

        // Without any rule: what is changed on the cluster stays, and what git alone changes is applied.
        set_image(&staging, "keel", 2).await?;
        rolled_out(&staging, 1, 0).await?;
        is(&staging, 2, 0).await?;

        // Whatever a rule says: it is put right, and not written.
        looks(&production).await?;
        set_image(&production, "keel", 2).await?;
        is(&production, 1, 1).await?;
        refuses(&production, "whose source of truth is git").await?;

        // Another word of the environment is taken up by itself.
        project("git").await?;
        is(&staging, 1, 0).await?;

        // The Kustomization's own word goes before it, and one that is none is told.
        production.annotate(TRUTH, Some("both")).await?;
        production
            .told_of(Reason::InvalidSpec, "it is `git` or `cluster`")
            .await?;
        production.annotate(TRUTH, Some("cluster")).await?;
        production
            .told_of(Reason::ReconciliationSucceeded, "Applied revision")
            .await?;
        set_image(&production, "keel", 3).await?;
        rolled_out(&production, 1, 0).await?;
        is(&production, 3, 0).await?;
        Ok(())
    });
}
