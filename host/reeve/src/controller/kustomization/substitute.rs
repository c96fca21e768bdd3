//! The variables of a Kustomization, read, and put into what was built.
//!
//! Read as the very account that applies it: Flux reads them with its own rights, and whoever may make a Kustomization
//! reads every Secret beside it. They are read at each run. Of those that come from Secrets the index remembers what must
//! not be told, and nothing else is kept. What is put where is `core::substitute`'s.

use reeve_api::kustomization::SubstituteKind;
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::drift::Place;
use reeve_core::failure::{Explain as _, Explained, Turn};
use reeve_core::index::Target;
use reeve_core::spec::{Spec, VariablesFrom};
use reeve_core::substitute::{self, Variables};
use reeve_core::veil::Veil;
use tokio::time::Instant;

use super::Wanted;
use crate::cluster::{SecretError, SecretOwner};
use crate::context::Context;

/// What was built, with its variables put in.
pub(super) async fn variables(
    ctx: &Context,
    wanted: &Wanted,
    bundle: Bundle<Rendered>,
    deadline: Instant,
) -> Result<Bundle<Rendered>, Explained> {
    let spec = &wanted.spec;
    let owner = SecretOwner::account_of(spec);
    watch(ctx, &owner, spec);
    if spec.substitution.is_none() {
        // What was applied before may hold what must not be told.
        cover(ctx, wanted, Veil::default());
        return Ok(bundle);
    }
    let reading = read(ctx, &owner, spec);
    let (variables, veil) = tokio::time::timeout_at(deadline, reading)
        .await
        .map_err(|_| late())??;
    cover(ctx, wanted, veil);
    let always = spec.substitution.always;
    // It computes, as a build does.
    let work = move || substitute::substitute(bundle, &variables, always);
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| crashed())?
        .map_err(|why| Explained::of(&why))
}

/// Whoever reads first covers: another revision is built beside this one with the same variables.
fn cover(ctx: &Context, wanted: &Wanted, veil: Veil) {
    let id = wanted.spec.id.clone();
    let all = ctx
        .index
        .write(|known| known.veils.entry(id).or_default().draw(veil));
    drop(wanted.veil.set(all));
}

/// What they come from is watched as whom it is read, if it says that it is to wake who names it.
fn watch(ctx: &Context, owner: &SecretOwner, spec: &Spec) {
    let (account, namespace) = (owner.account(), owner.namespace().as_str());
    let from = spec.substitution.from.iter();
    let places = from.map(|from| Place::of_named(account.as_deref(), namespace, kind(from)));
    let target = Target::Kustomization(spec.id.clone());
    ctx.drift.names(target, places.collect());
}

/// The variables, and those of their values that must not be told.
async fn read(
    ctx: &Context,
    owner: &SecretOwner,
    spec: &Spec,
) -> Result<(Variables, Veil), Explained> {
    let (mut variables, mut secret) = (Variables::default(), Vec::new());
    for from in &spec.substitution.from {
        let entries = match entries(ctx, owner, from).await {
            Ok(entries) => entries,
            Err(SecretError::Missing { .. }) if from.optional => continue,
            Err(why) => {
                return Err(Explained {
                    hint: why.hint(),
                    ..refused(why.turn(), why.to_string())
                });
            }
        };
        if from.kind == SubstituteKind::Secret {
            secret.extend(entries.iter().map(|(_, value)| value.replace('\n', "")));
        }
        variables.add(entries).map_err(|why| {
            let place = format!("{} {}", kind(from), from.name);
            refused(Turn::Retry, format!("{place}: {why}"))
        })?;
    }
    variables.put_over(&spec.substitution.own);
    Ok((variables, Veil::of(secret)))
}

/// What is no text is left out: no manifest could hold it.
async fn entries(
    ctx: &Context,
    owner: &SecretOwner,
    from: &VariablesFrom,
) -> Result<Vec<(String, String)>, SecretError> {
    match from.kind {
        SubstituteKind::ConfigMap => {
            let texts = ctx.cluster.config_map(owner, &from.name).await?;
            Ok(texts.into_iter().collect())
        }
        SubstituteKind::Secret => {
            let secret = ctx.cluster.secret(owner, &from.name).await?;
            let text = |key: &str| Some((key.to_owned(), secret.text(key)?.to_owned()));
            Ok(secret.keys().filter_map(text).collect())
        }
    }
}

fn kind(from: &VariablesFrom) -> &'static str {
    match from.kind {
        SubstituteKind::ConfigMap => "ConfigMap",
        SubstituteKind::Secret => "Secret",
    }
}

fn refused(turn: Turn, why: String) -> Explained {
    let message = format!("spec.postBuild.substituteFrom: {why}");
    Explained::new(Reason::BuildFailed, turn, message)
}

fn late() -> Explained {
    refused(
        Turn::Retry,
        "reading it took longer than spec.timeout".to_owned(),
    )
}

fn crashed() -> Explained {
    let message = "putting variables in crashed; this is a fault of reeve's, the log has where";
    Explained::new(Reason::BuildFailed, Turn::NextRevision, message)
}
