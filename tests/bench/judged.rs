//! A new revision of policies: a thousand Kustomizations are judged anew, and without one nothing is.
//!
//! Each Kustomization has a namespace and four objects of its own. What is measured is what the controller asks `admit` at
//! a reconcile, of the spec and of the plan, with the whole shipped library in force; fetching, rendering and applying are
//! not in it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reeve_core::admit::{self, AdmittedSpec, Circumstances, Passed, Rules};
use reeve_core::library::LIBRARY;
use reeve_core::plan::{Inventory, Plan, Proposed, Scopes};
use reeve_core::rego::Policy;
use reeve_core::render::{Rendering, Size, render};
use reeve_core::spec::Spec;
use reeve_core::tenancy::{Grounds, Tenant};
use reeve_core::veil::Veil;
use reeve_kustomize::{MemoryTree, Remotes, Stop};
use serde_json::{Value, json};

use crate::policies::{deployment, object, say};

const KUSTOMIZATIONS: usize = 1_000;

/// One Kustomization, what it wants applied, and what passed of it last.
struct One {
    tenant: Tenant,
    kustomization: Value,
    spec: Spec,
    plan: Plan<Proposed>,
    passed: Option<(Passed, Passed)>,
}

pub(crate) fn bench() -> anyhow::Result<()> {
    let (first, second) = (rules(1)?, rules(2)?);
    let mut all = (0..KUSTOMIZATIONS)
        .map(one)
        .collect::<Result<Vec<_>, _>>()?;
    round(&first, &mut all)?;
    let thought: Vec<_> = all.iter().map(|one| one.passed.clone()).collect();
    let unchanged = round(&first, &mut all)?;
    // Whoever is asked again takes another time to answer.
    ensure!(
        all.iter().map(|one| &one.passed).eq(&thought),
        "what is unchanged is judged again"
    );
    let anew = round(&second, &mut all)?;
    ensure!(
        all.iter()
            .zip(&thought)
            .all(|(one, before)| one.passed != *before),
        "a new revision judges all anew"
    );
    say(&format!(
        "\n| {KUSTOMIZATIONS} Kustomizations of 4 objects, {} shipped policies, 1 thread | |\n|---|---|\n\
         | judged by a new revision | {:.2} s |\n| nothing changed, and nothing judged | {:.2} s |",
        LIBRARY.len(),
        anew.as_secs_f64(),
        unchanged.as_secs_f64()
    ))?;
    Ok(())
}

/// The whole library, with parameters by which two revisions differ.
fn rules(revision: u32) -> anyhow::Result<Rules> {
    let parameters = json!({
        "revision": revision,
        "allowed": ["ConfigMap", "Service", "Deployment.apps"],
        "registries": ["registry.example/acme"],
        "labels": {"team": "", "cost-centre": "[0-9]{4}"},
    });
    let compiled = LIBRARY
        .iter()
        .map(|shipped| Policy::compile(shipped.name, shipped.source)?.given(&parameters));
    Ok(Rules::new(compiled.collect::<Result<_, _>>()?))
}

fn one(number: usize) -> anyhow::Result<One> {
    let namespace = format!("team-{number}");
    let kustomization = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"namespace": namespace, "name": "shop", "generation": 1},
        "spec": {"serviceAccountName": "flux", "targetNamespace": namespace, "interval": "10m", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "shop"}},
    });
    let spec = Spec::parse(&serde_json::from_value(kustomization.clone())?)?;
    let planned = [
        deployment(number),
        deployment(number + KUSTOMIZATIONS),
        object(
            number,
            "",
            "Service",
            &json!({"spec": {"ports": [{"port": 80}]}}),
        ),
        object(
            number,
            "",
            "ConfigMap",
            &json!({"data": {"colour": "blue"}}),
        ),
    ];
    let mut files = Vec::new();
    for (at, planned) in planned.iter().enumerate() {
        let manifest = planned.get("object").context("a manifest")?;
        files.push((format!("{at}.yaml"), manifest.to_string()));
    }
    let tree: MemoryTree = files.into_iter().collect();
    let built = render(
        &tree,
        &Remotes::refused(),
        &spec,
        None,
        Size::Any,
        &Stop::default(),
    )?;
    let Rendering::Bundle(bundle) = built else {
        bail!("nothing is to be fetched");
    };
    let (scopes, before) = (Scopes::default(), Inventory::default());
    let plan = Plan::propose(bundle.settled(), &scopes, &before, &spec)?;
    Ok(One {
        tenant: Tenant::of_namespace(&namespace.parse()?),
        kustomization,
        spec,
        plan,
        passed: None,
    })
}

fn round(rules: &Rules, all: &mut [One]) -> anyhow::Result<Duration> {
    let grounds = Grounds {
        platform_namespaces: BTreeSet::new(),
        config_namespaces: BTreeSet::new(),
        platform_service_account: "platform".parse()?,
        tenant_service_account: "flux".parse()?,
        remote_bases: Vec::new(),
        remote_clusters: Vec::new(),
    };
    let begun = Instant::now();
    for one in all {
        let around = Circumstances {
            tenant: &one.tenant,
            grounds: &grounds,
            source: None,
            now: jiff::Timestamp::UNIX_EPOCH,
            veil: Veil::nothing(),
        };
        let (of_spec, of_plan) = one.passed.take().unzip();
        let spec = one.spec.clone();
        let admitted: (AdmittedSpec, Passed) =
            match admit::spec(rules, &around, &one.kustomization, spec, of_spec.as_ref()) {
                Ok(admitted) => admitted,
                Err(denied) => bail!("the spec is {denied}"),
            };
        let (spec, of_spec) = admitted;
        let plan = one.plan.clone();
        match admit::plan(rules, &around, &spec, plan, None, of_plan.as_ref()) {
            Ok((_, of_plan)) => one.passed = Some((of_spec, of_plan)),
            Err(denied) => bail!("the plan is {denied}"),
        }
    }
    Ok(begun.elapsed())
}
