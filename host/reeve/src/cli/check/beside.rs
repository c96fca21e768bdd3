//! Whether controllers of Flux's are there that would work on the same objects: both would write to each of them for ever.
//!
//! Known by their Deployments, as `reeve migrate flux report` knows them, and by what these are started with. Before reeve is installed
//! nobody knows whom it will follow: then any of them is told. What either really does is deliberately not looked at.

use reeve_core::migrate;
use serde_json::Value;

use super::Finding;
use super::installed::{CONTROLLERS, is_ours};
use crate::cli::migrate::FLUX;
use crate::cluster::Cluster;

const APART: &str = "have reeve follow nothing but what is handed over (watchLabelSelector=sharding.fluxcd.io/key=reeve), and Flux pass over that: `reeve migrate flux report` says what is missing; or take Flux away before";

pub(super) async fn look(cluster: &Cluster) -> Vec<Finding> {
    let (flux, ours) = (
        cluster.deployments(FLUX).await,
        cluster.deployments(CONTROLLERS).await,
    );
    match (flux, ours) {
        (Ok(flux), Ok(ours)) => judge(flux, ours),
        (Err(why), _) | (_, Err(why)) => vec![Finding::unasked("listing Deployments", &why)],
    }
}

fn judge(mut flux: Vec<Value>, mut ours: Vec<Value>) -> Vec<Finding> {
    // Ours may bear Flux's label, for Flux's command line.
    flux.retain(|one| !is_ours(one));
    ours.retain(is_ours);
    let colliding = migrate::colliding(&flux, &ours);
    if colliding.is_empty() {
        let message = "no controller of Flux's works on the same objects";
        return vec![Finding::passed(message)];
    }
    let told = colliding.into_iter().map(|one| {
        let message = format!("{one} of Flux's would work on the same objects as reeve");
        Finding::failed(message, APART)
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Outcome;
    use super::*;

    fn deployment(name: &str, labels: Value, args: Value) -> Value {
        json!({
            "metadata": {"namespace": "flux-system", "name": name, "labels": labels},
            "spec": {"template": {"spec": {"containers": [{"args": args}]}}},
        })
    }

    #[test]
    fn a_flux_that_runs_beside_a_reeve_that_follows_everything_is_told() {
        let ours =
            |args: Value| deployment("reeve", json!({"app.kubernetes.io/name": "reeve"}), args);
        let passes = json!(["--watch-label-selector=!sharding.fluxcd.io/key"]);
        let flux = deployment("source-controller", json!({}), passes);
        let label = json!(["--watch-label-selector=sharding.fluxcd.io/key=reeve"]);
        for (theirs, ours, want) in [
            (vec![], vec![], Outcome::Passed),
            (vec![flux.clone()], vec![ours(label)], Outcome::Passed),
            (vec![flux.clone()], vec![ours(json!([]))], Outcome::Failed),
            (vec![flux], vec![], Outcome::Failed),
            // By its label it is a part of Flux.
            (
                vec![ours(json!([]))],
                vec![ours(json!([]))],
                Outcome::Passed,
            ),
        ] {
            let found = judge(theirs.clone(), ours.clone());
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].outcome, want, "{theirs:?} {ours:?}: {found:?}");
            let named = found[0]
                .message
                .starts_with("flux-system/source-controller");
            assert_eq!(named, want == Outcome::Failed, "{found:?}");
        }
    }
}
