//! Policy is asked: about the spec before a byte of the source is opened, and about the plan before anything is written.
//!
//! Which rules there are is looked up at the moment they are asked, so that a rule that comes into force while a run is
//! under way holds for what that run has yet to write. What rules say is `core::admit`'s, and told by `report`. While they
//! think, this thread is no worker of the runtime: another takes its place, and nobody else waits but who wants to be judged
//! too, of each tenant one at a time.

pub(super) mod aside;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::{NamespacedName, PolicyName};
use reeve_api::reason::Reason;
use reeve_api::source::GitRepository;
use reeve_core::admit::{
    self, AdmittedSpec, Altered, Answers, Circumstances, Denied, Hearing, Recollection, Rule,
    Rules, Sent, SourceFacts,
};
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_core::list;
use reeve_core::others::Seen;
use reeve_core::plan::{Admitted, Plan, Proposed};
use reeve_core::schedule::Next;
use reeve_core::signature;
use reeve_core::source::Verify;
use reeve_core::spec::{SourceRef, Spec};
use reeve_core::tenancy::Tenant;
use reeve_core::veil::Veil;
use serde_json::Value;
use tokio::task::block_in_place;
use tokio::time::Instant;

use super::{Wanted, cover, recall};
use crate::context::Context;
use crate::controller::{Review, report};
use crate::index::{InForce, Known, Passages, Stored};
use crate::others::Files;

/// How long a Kustomization waits in silence for policies to be read, and for their sources to be fetched: a replica that
/// starts needs most of it.
const READ: Duration = Duration::from_secs(4);
const FETCHED: Duration = Duration::from_secs(30);

/// The rules over one Kustomization, as they are now.
struct Over {
    rules: Rules,
    /// Those that are Policy objects, in the order they are asked.
    names: Vec<PolicyName>,
    source: Option<SourceFacts>,
}

/// Lets the spec pass, with the account as which it is carried out. `stored` is what it would be carried out with.
pub(super) async fn spec(
    ctx: &Context,
    object: &Kustomization,
    tenant: &Tenant,
    spec: Spec,
    stored: Option<&Stored<Files>>,
) -> Result<AdmittedSpec, Explained> {
    let shown = shown(object)?;
    let _place = ctx.judging.take(tenant.name.as_str()).await;
    let over = over(ctx, object, &spec.source, stored);
    let id = spec.id.clone();
    let before = passed(ctx, &id).spec;
    // Nothing is put into a spec.
    let around = over.around(ctx, tenant, Veil::nothing());
    let judged =
        block_in_place(|| admit::spec(&over.rules, &around, &shown, spec, before.as_ref()));
    let (admitted, passed) = judged.map_err(|why| denied(ctx, &over, &id, &why))?;
    if before.as_ref() != Some(&passed) {
        report::judged(ctx, &over.rules, passed.answers());
    }
    // What is let pass is judged again as a plan: that is what is told.
    ctx.index
        .write(|known| known.passed.entry(id).or_default().spec = Some(passed));
    Ok(admitted)
}

/// What would be said about the spec of an object that is not there yet. Nothing of it is kept, counted or told.
pub(super) fn review(
    ctx: &Context,
    object: &Kustomization,
    tenant: &Tenant,
    spec: Spec,
) -> Result<Review, Explained> {
    let shown = shown(object)?;
    let source = spec.source.clone();
    let (over, unknown) = ctx.index.read(|known| {
        let all = names(known, object).into_iter();
        let looked_at = |name: &PolicyName| known.in_force.contains_key(name);
        let (names, unknown) = all.partition::<Vec<_>, _>(looked_at);
        (asked(ctx, known, names, facts(known, &source)), unknown)
    });
    let around = over.around(ctx, tenant, Veil::nothing());
    let judged = admit::spec(&over.rules, &around, &shown, spec, None);
    let mut review = match &judged {
        Ok((_, passed)) => Review::warning(report::warnings(passed.answers())),
        Err(why) => Review {
            refused: Some(Explained::of(why)),
            ..Review::warning(report::warnings(why.answers()))
        },
    };
    let asked_later = unknown.iter().map(|name| {
        format!("this replica does not know policy {name}: it is asked when the Kustomization is reconciled")
    });
    review.warnings.extend(asked_later);
    Ok(review)
}

/// The object as rules are shown it.
pub(super) fn shown(object: &Kustomization) -> Result<Value, Explained> {
    serde_json::to_value(object).map_err(|why| {
        Explained::new(
            Reason::InvalidSpec,
            Turn::Owner,
            format!("the object cannot be shown to policy: {why}"),
        )
    })
}

/// Lets the plan pass. What was applied before is looked for only where a rule asks for it, and the plan or a rule is
/// another than it was; `wanted` is what the run works from, and until when. What is under the veil is in no answer.
pub(super) async fn plan(
    ctx: &Arc<Context>,
    object: &Kustomization,
    tenant: &Tenant,
    spec: &AdmittedSpec,
    proposed: Plan<Proposed>,
    wanted: Option<(&Wanted, Instant)>,
    veil: &Veil,
) -> Result<Plan<Admitted>, Explained> {
    let id = &spec.id;
    let before = passed(ctx, id).plan;
    let stored = wanted.map(|(wanted, _)| &wanted.stored);
    let look = || over(ctx, object, &spec.source, stored);
    let mut over = look();
    let (mut proposed, mut applied) = (proposed, None);
    if spec.is_judged() && over.rules.want_previous() {
        if let Some(before) = &before {
            // What was applied is known by its digest, without reading it.
            let applied = recall::digest(ctx, object, spec);
            let around = over.around(ctx, tenant, veil);
            match admit::again(&over.rules, &around, spec, proposed, applied, before) {
                Hearing::Passed(plan) => return Ok(plan),
                Hearing::Open(plan) => proposed = plan,
            }
        }
        applied = recall::find(ctx, object, spec, &proposed, wanted).await;
    }
    let _place = ctx.judging.take(tenant.name.as_str()).await;
    // A rule may have come into force meanwhile.
    over = look();
    // What was rendered once more has its own secrets.
    let veil = cover::by_now(ctx, wanted.map(|(wanted, _)| wanted), veil);
    let around = over.around(ctx, tenant, &veil);
    let (applied, before) = (applied.as_ref(), before.as_ref());
    let judge = || admit::plan(&over.rules, &around, spec, proposed, applied, before);
    match block_in_place(judge) {
        Ok((plan, passed)) => {
            if before != Some(&passed) {
                report::judged(ctx, &over.rules, passed.answers());
                if record(ctx, &over, id, passed.answers()) {
                    report::warned(ctx, object, passed.answers());
                }
            }
            let was_denied = ctx.index.write(|known| {
                let passages = known.passed.entry(id.clone()).or_default();
                passages.plan = Some(passed);
                passages.denied.take().is_some()
            });
            if was_denied {
                recall::forget_denied(ctx, object, spec);
            }
            Ok(plan)
        }
        Err(why) => {
            if let Some(rendered) = why.rendered() {
                recall::keep_denied(ctx, object, spec, rendered).await;
            }
            Err(denied(ctx, &over, id, &why))
        }
    }
}

/// Lets be sent what `spec.ignore` and WriteBacks have made of objects of the plan, by the rules as they are now.
pub(super) async fn altered(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    plan: &Plan<Admitted>,
    kept: BTreeMap<ObjectId, Sent>,
) -> Result<Altered, Explained> {
    let spec = &wanted.spec;
    let look = || over(ctx, object, &spec.source, Some(&wanted.stored));
    let (mut over, mut applied) = (look(), None);
    if spec.is_judged() && over.rules.want_previous() {
        applied = recall::read(ctx, object, spec).await;
    }
    let _place = ctx.judging.take(wanted.tenant.name.as_str()).await;
    over = look();
    let subjects = list::in_part(kept.keys().map(ObjectId::subject), 5, ", ");
    let (keeper, hint) = match kept.values().any(Sent::is_left) {
        true => ("a WriteBack", "mend the field on the cluster, or in git"),
        false => (
            "spec.ignore",
            "take the field out of spec.ignore, or mend it on the cluster",
        ),
    };
    let around = over.around(ctx, &wanted.tenant, wanted.veil());
    let judged =
        block_in_place(|| admit::altered(&over.rules, &around, spec, plan, kept, applied.as_ref()));
    match judged {
        Ok((altered, passed)) => {
            report::judged(ctx, &over.rules, passed.answers());
            Ok(altered)
        }
        Err(why) => {
            let told = denied(ctx, &over, &spec.id, &why);
            Err(Explained {
                message: format!(
                    "{}; {keeper} keeps fields of {subjects} as they are on the cluster, and what would be sent with them is denied",
                    told.message
                ),
                ..told
            }
            .with_hint(hint))
        }
    }
}

/// Not later than when an exception for the Kustomization ends: nothing else would wake it then.
pub(super) fn no_later(ctx: &Context, object: &Kustomization, next: Next) -> Next {
    let namespace = object.namespace().unwrap_or_default();
    let Ok(id) = NamespacedName::new(namespace.as_str(), object.name_any().as_str()) else {
        return next;
    };
    let now = ctx.clock.now();
    let rules = ctx
        .index
        .read(|known| rules(ctx, known, &names(known, object)));
    match rules.next_end(&id, now) {
        Some(end) => next.no_later(end, now),
        None => next,
    }
}

fn passed(ctx: &Context, id: &NamespacedName) -> Passages {
    let passed = ctx.index.read(|known| known.passed.get(id).cloned());
    passed.unwrap_or_default()
}

fn denied(ctx: &Context, over: &Over, id: &NamespacedName, why: &Denied) -> Explained {
    record(ctx, over, id, why.answers());
    // What passed before is judged again after this: else nobody would hear that it passes.
    ctx.index.write(|known| {
        let before = known.passed.remove(id).and_then(|before| before.denied);
        let rendered = why.rendered().map(Recollection::digest);
        if let Some(denied) = rendered.or(before) {
            let denied = Some(denied);
            let passages = Passages {
                denied,
                ..Passages::default()
            };
            known.passed.insert(id.clone(), passages);
        }
    });
    report::judged(ctx, &over.rules, why.answers());
    report::denied(ctx, why);
    Explained::of(why)
}

fn record(ctx: &Context, over: &Over, id: &NamespacedName, answers: &Answers) -> bool {
    let now = ctx.clock.now();
    ctx.index.write(|known| {
        known.reports.record(id, &over.rules, answers, now);
        known.said.record(id, &over.names, answers)
    })
}

/// How a Kustomization waits for policies.
pub(super) enum Awaited {
    /// They are most likely known in a moment: saying that it waits, or is denied, would make everything flap at each start.
    Silently(Next),
    /// It takes longer than that.
    Aloud(Explained),
}

/// Whether this process does not know all policies yet, or has not read one of those over the Kustomization: it is about
/// to, and wakes us then. Until then nothing may be let pass.
pub(super) fn awaits_policies(
    ctx: &Context,
    id: &NamespacedName,
    object: &Kustomization,
) -> Option<Awaited> {
    let now = ctx.clock.now();
    let (pending, listed, fetched, waited) = ctx.index.read(|known| {
        let mut pending = names(known, object);
        pending.retain(|name| !known.in_force.contains_key(name));
        let source = |name| known.touch.source_of_policy(name);
        let is_fetched =
            |name| source(name).is_none_or(|source| !known.is_about_to_look_at(source));
        let fetched = pending.iter().all(is_fetched);
        (
            pending,
            known.policies_listed,
            fetched,
            known.awaiting.contains_key(id),
        )
    });
    if listed && pending.is_empty() && !waited {
        return None;
    }
    let since = ctx
        .index
        .write(|known| match listed && pending.is_empty() {
            true => {
                known.awaiting.remove(id);
                None
            }
            false => Some(*known.awaiting.entry(id.clone()).or_insert(now)),
        })?;
    let patience = if fetched { READ } else { FETCHED };
    let waited = ctx.clock.passed(since);
    Some(match patience.checked_sub(waited) {
        Some(rest) if !rest.is_zero() => Awaited::Silently(Next::After(rest)),
        // What does nothing needs nobody to let it.
        _ if object.spec.suspend => Awaited::Silently(Next::Watch),
        _ => Awaited::Aloud(still_reading(&pending)),
    })
}

fn still_reading(pending: &[PolicyName]) -> Explained {
    let named: Vec<&str> = pending.iter().take(5).map(PolicyName::as_str).collect();
    let (what, hint) = match named.first() {
        None => ("the policies have not been listed".to_owned(), None),
        Some(first) => (
            format!("policy {} has not been read", named.join(", ")),
            Some(format!("look at `kubectl describe policy {first}`")),
        ),
    };
    let message = format!("{what} yet, and nothing is done before it is known what it says");
    Explained {
        hint,
        ..Explained::new(Reason::DependencyNotReady, Turn::Dependency, message)
    }
}

fn names(known: &Known, object: &Kustomization) -> Vec<PolicyName> {
    let namespace = object.namespace().unwrap_or_default();
    let Ok(namespace) = namespace.parse() else {
        // The API server admits no other.
        return Vec::new();
    };
    known.touch.policies_over(&namespace, object.labels())
}

/// With what is known of `stored`, which a run works from even if something else has come into store meanwhile.
fn over(
    ctx: &Context,
    object: &Kustomization,
    source: &SourceRef,
    stored: Option<&Stored<Files>>,
) -> Over {
    ctx.index.read(|known| {
        let facts = match stored {
            Some(stored) if source.kind == SourceKind::GitRepository => {
                let object = known.sources.get(&source.key());
                Some(facts_of(stored, object.map(|it| &**it)))
            }
            Some(stored) => facts(known, source).map(|facts| SourceFacts {
                revision: Some(stored.artifact.revision.to_string()),
                ..facts
            }),
            None => facts(known, source),
        };
        asked(ctx, known, names(known, object), facts)
    })
}

fn asked(
    ctx: &Context,
    known: &Known,
    names: Vec<PolicyName>,
    source: Option<SourceFacts>,
) -> Over {
    Over {
        rules: rules(ctx, known, &names),
        names,
        source,
    }
}

fn rules(ctx: &Context, known: &Known, names: &[PolicyName]) -> Rules {
    let rules = names.iter().filter_map(|name| {
        // One that is gone since is asked no more.
        let policy = known.policies.get(name)?;
        Some(rule(name, policy, known.in_force.get(name)))
    });
    ctx.rules.and(rules)
}

pub(in crate::controller) fn rule(
    name: &PolicyName,
    policy: &reeve_api::policy::Policy,
    now: Option<&InForce>,
) -> Rule {
    let compiled = match now {
        Some(now) => now.ready.clone().map_err(|why| why.message),
        None => Err("it has not been looked at".to_owned()),
    };
    Rule {
        name: name.to_string(),
        mode: policy.spec.mode,
        objects: policy.spec.scope.objects.clone(),
        ratchet: policy.spec.ratchet,
        policy: compiled,
    }
}

/// What is known of a source: of what it has in store, since that is what is applied, whatever its object says by now.
pub(super) fn facts(known: &Known, source: &SourceRef) -> Option<SourceFacts> {
    if source.kind != SourceKind::GitRepository {
        return elsewhere(known, source);
    }
    let source = &source.key();
    let object = known.sources.get(source)?;
    if let Some(stored) = known.stored.get(source) {
        return Some(facts_of(stored, Some(object)));
    }
    // Of a source that this replica leaves to another, what that one has told. Whoever may write a status could vouch for
    // themselves in it; but nothing is applied from what is not in store, and of that no status is believed.
    let told = object.status.as_ref();
    let told = told.filter(|_| !known.looked_at.contains(source));
    let artifact = told.and_then(|status| status.artifact.as_ref());
    Some(SourceFacts {
        url: object.spec.url.to_string(),
        revision: artifact.map(|artifact| artifact.revision.clone()),
        verified: artifact.and_then(|_| signature::told(object)),
    })
}

/// The same of one that another controller keeps. What that one has verified is not known here: nothing of it counts as signed.
fn elsewhere(known: &Known, source: &SourceRef) -> Option<SourceFacts> {
    let Seen::There(told) = known.elsewhere.seen(source) else {
        return None;
    };
    Some(SourceFacts {
        url: told.origin()?,
        revision: told.revision().map(|revision| revision.to_string()),
        verified: None,
    })
}

/// It is verified when it was found to be as its spec asks now, by this process.
fn facts_of<S>(stored: &Stored<S>, object: Option<&GitRepository>) -> SourceFacts {
    let asked = object.and_then(|object| Verify::parse(object.spec.verify.as_ref()?).ok());
    let verified = stored.verified.as_ref().zip(asked);
    let verified = verified.filter(|(by, asked)| by.is_as(asked));
    SourceFacts {
        url: stored.wanted.url.clone(),
        revision: Some(stored.artifact.revision.to_string()),
        verified: verified.map(|(verdict, _)| verdict.by.signatures().to_vec()),
    }
}

impl Over {
    fn around<'a>(
        &'a self,
        ctx: &'a Context,
        tenant: &'a Tenant,
        veil: &'a Veil,
    ) -> Circumstances<'a> {
        Circumstances {
            tenant,
            grounds: &ctx.grounds,
            source: self.source.as_ref(),
            now: ctx.clock.now(),
            veil,
        }
    }
}
