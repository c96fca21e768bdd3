//! Which Kustomizations have to be ready before this one is applied.
//!
//! What it deliberately doesn't: look whether they are, or may be depended on; that is `depend`'s and `tenancy`'s.

use reeve_api::kustomization::{DependencyReference, KustomizationSpec};
use reeve_api::name::NamespacedName;

use super::Error;
use crate::cel::Expression;

/// The most Kustomizations that one may depend on.
const MOST: usize = 100;

/// A Kustomization that has to be ready first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Which.
    pub id: NamespacedName,
    /// What says whether it is ready, in the place of Flux's own rules.
    pub ready: Option<Expression>,
}

pub(super) fn of(spec: &KustomizationSpec, id: &NamespacedName) -> Result<Vec<Dependency>, Error> {
    let named = &spec.depends_on;
    if named.len() > MOST {
        let why = format_args!(
            "it names {} Kustomizations; at most {MOST} are looked at",
            named.len()
        );
        return Err(Error::invalid("spec.dependsOn", why));
    }
    let read = (0..).zip(named).map(|(at, one)| read(at, one, id));
    read.collect()
}

fn read(at: usize, one: &DependencyReference, of: &NamespacedName) -> Result<Dependency, Error> {
    let wrong = |why: String| Error::invalid("spec.dependsOn", format_args!("[{at}]{why}"));
    let id =
        reference(one, of).ok_or_else(|| wrong(" is no name of a Kustomization".to_owned()))?;
    if id == *of {
        return Err(wrong(": it cannot depend on itself".to_owned()));
    }
    let ready = one.ready_expr.as_deref().filter(|set| !set.is_empty());
    let ready = ready.map(|source| Expression::parse(source, Some(&["self", "dep"])));
    let ready = ready.transpose().map_err(|why| Error::Expression {
        field: format!("spec.dependsOn[{at}].readyExpr"),
        why,
    })?;
    Ok(Dependency { id, ready })
}

/// Which Kustomization is meant; None: there can be none of that name.
pub fn reference(one: &DependencyReference, of: &NamespacedName) -> Option<NamespacedName> {
    let namespace = one.namespace.as_deref().filter(|set| !set.is_empty());
    let namespace = namespace.unwrap_or(of.namespace.as_str());
    NamespacedName::new(namespace, one.name.as_str()).ok()
}
