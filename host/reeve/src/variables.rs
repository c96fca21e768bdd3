//! The variables of a Kustomization, read from what it names: as the account that applies it, or on a laptop as who asks.
//!
//! What of them must not be told is told with them. What is put where is `core::substitute`'s.

use reeve_api::kustomization::SubstituteKind;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explain as _, Explained, Turn};
use reeve_core::spec::{Spec, VariablesFrom};
use reeve_core::substitute::Variables;
use reeve_core::veil::{INSTEAD, Veil};

use crate::cluster::{Cluster, SecretError, SecretOwner};

/// What variables that come from Secrets stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// For what is in them.
    Read,
    /// For one and the same word: what is made of them is told to somebody who may not read them, and nothing that is told of it
    /// may be another for another value.
    Hidden,
}

/// The variables, and those of their values that must not be told.
pub(crate) async fn read(
    cluster: &Cluster,
    owner: &SecretOwner,
    spec: &Spec,
    secrets: Secrets,
) -> Result<(Variables, Veil), Explained> {
    let (mut variables, mut secret) = (Variables::default(), Vec::new());
    for from in &spec.substitution.from {
        let entries = match entries(cluster, owner, from).await {
            Ok(entries) => entries,
            Err(SecretError::Missing { .. }) if from.optional => continue,
            Err(why) => {
                return Err(Explained {
                    hint: why.hint(),
                    ..refused(why.turn(), why.to_string())
                });
            }
        };
        let added = match from.kind {
            SubstituteKind::Secret => {
                let entries = shown(entries, secrets);
                secret.extend(entries.iter().map(|(_, value)| value.replace('\n', "")));
                variables.add_secret(entries)
            }
            SubstituteKind::ConfigMap => variables.add(entries),
        };
        added.map_err(|why| {
            let place = format!("{} {}", kind(from), from.name);
            refused(Turn::Retry, format!("{place}: {why}"))
        })?;
    }
    variables.put_over(&spec.substitution.own);
    Ok((variables, Veil::of(secret)))
}

fn shown(mut entries: Vec<(String, String)>, secrets: Secrets) -> Vec<(String, String)> {
    if secrets == Secrets::Hidden {
        for (_, value) in &mut entries {
            INSTEAD.clone_into(value);
        }
    }
    entries
}

/// What is no text is left out: no manifest could hold it.
async fn entries(
    cluster: &Cluster,
    owner: &SecretOwner,
    from: &VariablesFrom,
) -> Result<Vec<(String, String)>, SecretError> {
    match from.kind {
        SubstituteKind::ConfigMap => {
            let texts = cluster.config_map(owner, &from.name).await?;
            Ok(texts.into_iter().collect())
        }
        SubstituteKind::Secret => {
            let secret = cluster.secret(owner, &from.name).await?;
            let text = |key: &str| Some((key.to_owned(), secret.text(key)?.to_owned()));
            Ok(secret.keys().filter_map(text).collect())
        }
    }
}

/// The kind of what they come from.
pub(crate) fn kind(from: &VariablesFrom) -> &'static str {
    match from.kind {
        SubstituteKind::ConfigMap => "ConfigMap",
        SubstituteKind::Secret => "Secret",
    }
}

/// Why they cannot be had.
pub(crate) fn refused(turn: Turn, why: String) -> Explained {
    let message = format!("spec.postBuild.substituteFrom: {why}");
    Explained::new(Reason::BuildFailed, turn, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_somebody_who_may_not_read_secrets_all_their_values_are_one_word() {
        let of = |values: [&str; 2]| {
            let keys = ["user", "password"].map(str::to_owned);
            let values = values.map(str::to_owned);
            keys.into_iter().zip(values).collect::<Vec<_>>()
        };
        let one = of(["ada", "hunter2"]);
        assert_eq!(shown(one.clone(), Secrets::Read), one);
        let hidden = shown(one, Secrets::Hidden);
        assert_eq!(hidden, shown(of(["", "another"]), Secrets::Hidden));
        assert!(hidden.iter().all(|(_, value)| value == INSTEAD));
    }
}
