//! Which variables a Kustomization puts into its manifests, and where they come from.
//!
//! It deliberately reads none: the ConfigMaps and Secrets are the shell's to read, as the tenant.

use reeve_api::kustomization::{KustomizationSpec, PostBuild, SubstituteKind, SubstituteStrategy};
use reeve_api::name::ObjectName;

use super::Error;
use crate::substitute::Variables;

/// The most objects that variables may come from: each is read at every run.
const MOST: usize = 64;

/// What is put into the manifests after they are built.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Substitution {
    /// Objects whose entries are variables; a later one goes over an earlier one.
    pub from: Vec<VariablesFrom>,
    /// The variables of the spec itself, over all others.
    pub own: Variables,
    /// Whether expressions are looked for even if there is no variable.
    pub always: bool,
}

/// A ConfigMap or a Secret beside the Kustomization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariablesFrom {
    /// Which of the two.
    pub kind: SubstituteKind,
    /// Its name.
    pub name: ObjectName,
    /// Whether it may be missing.
    pub optional: bool,
}

impl Substitution {
    /// Whether there is nothing to do.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What the spec asks for.
pub(super) fn of(spec: &KustomizationSpec) -> Result<Substitution, Error> {
    let Some(PostBuild {
        substitute,
        substitute_from,
        substitute_strategy,
    }) = &spec.post_build
    else {
        return Ok(Substitution::default());
    };
    let mut own = Variables::default();
    own.add(substitute.clone())
        .map_err(|why| Error::invalid("spec.postBuild.substitute", why))?;
    let field = "spec.postBuild.substituteFrom";
    if substitute_from.len() > MOST {
        let why = format_args!("more than {MOST} objects are named");
        return Err(Error::invalid(field, why));
    }
    let from = substitute_from.iter().map(|reference| {
        Ok::<_, Error>(VariablesFrom {
            kind: reference.kind,
            name: reference
                .name
                .parse()
                .map_err(|why| Error::invalid(field, why))?,
            optional: reference.optional,
        })
    });
    Ok(Substitution {
        from: from.collect::<Result<_, Error>>()?,
        own,
        always: *substitute_strategy == Some(SubstituteStrategy::Always),
    })
}
