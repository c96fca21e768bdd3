//! What of a Kustomization has to be healthy before it is ready.
//!
//! As Flux: with `wait` it is all that is applied, and what `healthChecks` names is ignored. What it deliberately
//! doesn't: look at an object; which objects there are is `health`'s to say, once there is a plan.

use std::sync::Arc;

use reeve_api::kustomization::{KustomizationSpec, NamespacedObjectKindReference};
use reeve_api::name::NamespaceName;

use super::Error;
use crate::health::Judge;

/// The most objects that `spec.healthChecks` may name.
const MOST: usize = 500;
/// What an apiVersion left out stands for, as in Flux.
const USUAL: &str = "apps/v1";

/// What has to be healthy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// All that is applied.
    pub wait: bool,
    /// These; empty with `wait`.
    pub checks: Vec<Named>,
    /// How some kinds are judged.
    pub judges: Vec<Arc<Judge>>,
}

/// The most kinds that `spec.healthCheckExprs` may judge.
const MOST_JUDGES: usize = 50;

/// An object that is named for its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its group; empty for Kubernetes' core group.
    pub group: String,
    /// The version to speak of it in.
    pub version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace, if it is said.
    pub namespace: Option<NamespaceName>,
}

impl Health {
    /// Whether anything has to be.
    pub fn is_asked_for(&self) -> bool {
        self.wait || !self.checks.is_empty()
    }
}

pub(super) fn of(spec: &KustomizationSpec) -> Result<Health, Error> {
    let named = &spec.health_checks;
    if named.len() > MOST {
        let why = format_args!(
            "it names {} objects; at most {MOST} are looked at",
            named.len()
        );
        return Err(Error::invalid("spec.healthChecks", why));
    }
    let checks = (0..).zip(named).map(|(at, one)| read(at, one));
    let checks = checks.collect::<Result<_, _>>()?;
    Ok(Health {
        wait: spec.wait,
        checks: if spec.wait { Vec::new() } else { checks },
        judges: judges(spec)?,
    })
}

fn judges(spec: &KustomizationSpec) -> Result<Vec<Arc<Judge>>, Error> {
    let written = &spec.health_check_exprs;
    if written.len() > MOST_JUDGES {
        let why = format_args!(
            "it judges {} kinds; at most {MOST_JUDGES} are",
            written.len()
        );
        return Err(Error::invalid("spec.healthCheckExprs", why));
    }
    let read = (0..).zip(written).map(|(at, one)| {
        let read = Judge::parse(one).map(Arc::new);
        read.map_err(|(part, why)| Error::Expression {
            field: format!("spec.healthCheckExprs[{at}].{part}"),
            why,
        })
    });
    read.collect()
}

fn read(at: usize, one: &NamespacedObjectKindReference) -> Result<Named, Error> {
    let wrong = |field: &str, why: &str| {
        Error::invalid("spec.healthChecks", format_args!("[{at}].{field} {why}"))
    };
    let api_version = one.api_version.as_deref().filter(|set| !set.is_empty());
    let api_version = api_version.unwrap_or(USUAL);
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if version.is_empty() || version.contains('/') {
        return Err(wrong("apiVersion", "is no API version"));
    }
    if one.kind.is_empty() {
        return Err(wrong("kind", "is missing"));
    }
    if one.name.is_empty() {
        return Err(wrong("name", "is missing"));
    }
    let namespace = one.namespace.as_deref().filter(|set| !set.is_empty());
    let namespace = namespace.map(|set| {
        set.parse()
            .map_err(|_| wrong("namespace", "is no name of a namespace"))
    });
    Ok(Named {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: one.kind.clone(),
        name: one.name.clone(),
        namespace: namespace.transpose()?,
    })
}
