//! What was heard of the repositories of sources, kept until their next run tells it.
//!
//! A run notes where its login is from and what it fetched, a call of a webhook that it came. What of it is told, and when, is
//! `core::status`'s to say. It deliberately wakes nobody, and a restart loses it: the status has told it before.

use std::collections::BTreeSet;
use std::time::Duration;

use reeve_api::CALLED_FOR_MANY;
use reeve_api::name::NamespacedName;
use reeve_api::source::{
    Delivery, GitRepository, GitRepositoryStatus, LastFetch, LoginOrigin, PollingOrigin, Upstream,
};
use reeve_core::directories;
use reeve_core::gitconfig::DEFAULT_INTERVAL;
use reeve_core::index::{Standing, Target};
use reeve_core::schedule::rounded;
use reeve_core::status::{self, Frame, Heard, SourceOutcome, Told};
use reeve_core::webhook::is_commit;

use crate::context::Context;
use crate::git::Snapshot;
use crate::index::Known;
use crate::shards::Place;

/// The most Receivers of a source that are told.
const MOST_RECEIVERS: usize = 10;

/// Adds what was heard of a source to the story of its run.
pub(super) fn tell(
    ctx: &Context,
    object: &GitRepository,
    outcome: &SourceOutcome,
    frame: &Frame<'_>,
    told: &mut Told<GitRepositoryStatus>,
) {
    let Some(id) = named(object) else {
        return;
    };
    let upstream = object
        .status
        .as_ref()
        .and_then(|status| status.upstream.as_ref());
    let before = upstream.map(|upstream| upstream.receivers.as_slice());
    let before = before.unwrap_or_default();
    let mut heard = ctx.index.read(|known| {
        let heard = known.heard.get(&id).cloned().unwrap_or_default();
        let receivers = receivers(known, &id, before);
        Heard {
            called: receivers.iter().any(|receiver| lets_in(known, receiver))
                || known
                    .touch
                    .entry_of(&id)
                    .is_some_and(|by| by.hook.standing == Standing::Open),
            receivers: receivers.iter().map(NamespacedName::to_string).collect(),
            ..heard
        }
    });
    heard.login = own(object).or(heard.login);
    heard.unconfigured = unconfigured(ctx, &id);
    ctx.index.write(|known| {
        if known.sources.contains_key(&id) {
            known.heard.entry(id.clone()).or_default().told = true;
        }
    });
    let previous = object.status.clone().unwrap_or_default();
    status::tell_upstream(told, &previous, heard, outcome, frame);
    let (before, after) = (&previous.upstream, &told.status.upstream);
    if let (Some(before), Some(after)) = (before, after)
        && is_unheard(before, after)
    {
        doubt(ctx, &after.receivers);
    }
}

/// Whether something new was found of which no call told, where calls had told of what was new before.
fn is_unheard(before: &Upstream, after: &Upstream) -> bool {
    before.announced && !after.announced && before.head != after.head
}

/// These may be called no longer: their hooks are looked at now, however well they were a while ago. That is once, since nobody
/// expects a call before another one came.
fn doubt(ctx: &Context, receivers: &[String]) {
    let parsed = |name: &String| name.parse::<NamespacedName>().ok();
    for receiver in receivers.iter().filter_map(parsed) {
        let was_well = ctx.index.write(|known| known.hooks.remove(&receiver));
        if was_well.is_some() {
            ctx.queues.receivers.wake(receiver);
        }
    }
}

/// The directories of what is in store that no Kustomization names; None: that is not known.
fn unconfigured(ctx: &Context, id: &NamespacedName) -> Option<Vec<String>> {
    let (snapshot, paths) = ctx.index.read(|known| {
        let listed = known.kustomizations_listed;
        let stored = known.stored.get(id).filter(|_| listed)?;
        let users = known.touch.kustomizations_of(id);
        let users = users.filter_map(|user| known.kustomizations.get(user));
        let paths = users.map(|object| object.spec.path.clone().unwrap_or_default());
        Some((stored.snapshot.clone(), paths.collect::<BTreeSet<String>>()))
    })?;
    let files = snapshot.entries().filter(|entry| !entry.dir);
    let files = files.map(|entry| entry.path);
    let paths = paths.iter().map(String::as_str);
    Some(directories::unconfigured(files, paths))
}

/// A source's login is from there.
pub(super) fn login(ctx: &Context, id: &NamespacedName, login: LoginOrigin) {
    ctx.index.write(|known| {
        if known.sources.contains_key(id) {
            known.heard.entry(id.clone()).or_default().login = Some(login);
        }
    });
}

/// Git configuration says this of how a source's changes come to be known.
pub(super) fn polling(ctx: &Context, id: &NamespacedName, polling: PollingOrigin) {
    ctx.index.write(|known| {
        if known.sources.contains_key(id) {
            known.heard.entry(id.clone()).or_default().polling = Some(polling);
        }
    });
}

/// How often a source asks its repository. What git configuration says of it was heard by the run, else told by an earlier one;
/// as long as nobody could read it, it is asked as if nothing stood there.
pub(super) fn interval(ctx: &Context, object: &GitRepository) -> Duration {
    let said = object.spec.interval.get();
    let annotations = object.metadata.annotations.as_ref();
    let polling = annotations.and_then(|all| all.get(reeve_api::POLLING));
    if polling.is_none_or(|value| value != reeve_api::GIT_CONFIG) {
        return said;
    }
    let heard = named(object).and_then(|id| {
        let heard = |known: &Known| known.heard.get(&id)?.polling.clone();
        ctx.index.read(heard)
    });
    let told = || object.status.as_ref()?.upstream.as_ref()?.polling.clone();
    let polling = heard.or_else(told);
    let every = polling.and_then(|polling| polling.every);
    every.map_or_else(|| said.min(DEFAULT_INTERVAL), |every| every.get())
}

fn named(object: &GitRepository) -> Option<NamespacedName> {
    let meta = &object.metadata;
    NamespacedName::new(meta.namespace.as_deref()?, meta.name.as_deref()?).ok()
}

/// This was fetched for a source, if something was.
pub(super) fn fetched(ctx: &Context, id: &NamespacedName, snapshot: &Snapshot) {
    let Some(received) = snapshot.received() else {
        return;
    };
    let fetch = LastFetch {
        at: status::whole(ctx.clock.now()),
        bytes: i64::try_from(received.bytes).unwrap_or(i64::MAX),
        objects: i64::try_from(received.objects).unwrap_or(i64::MAX),
        revision: snapshot.revision().to_string(),
        took: rounded(received.took).into(),
    };
    ctx.index.write(|known| {
        if known.sources.contains_key(id) {
            known.heard.entry(id.clone()).or_default().fetch = Some(fetch);
        }
    });
}

/// A call of a Receiver was about this, and named the commit that is there now, if it did.
pub(super) fn called(
    ctx: &Context,
    receiver: &NamespacedName,
    target: &Target,
    commit: Option<&str>,
) {
    let Target::Source(id) = target else {
        return;
    };
    let at = status::whole(ctx.clock.now());
    ctx.index.write(|known| {
        let by = known.touch.entry(receiver);
        let receiver = by.map_or_else(|| receiver.to_string(), |by| by.entry.to_string());
        let delivery = Delivery { at, receiver };
        if known.sources.contains_key(id) {
            let heard = known.heard.entry(id.clone()).or_default();
            heard.delivery = Some(delivery);
            if let Some(commit) = commit {
                heard.announced = Some(commit.to_owned());
                heard.missed = false;
            }
        }
    });
}

/// The Receiver that was called for this last, as `namespace/name`.
pub(super) fn caller(ctx: &Context, target: &Target) -> Option<String> {
    let Target::Source(id) = target else {
        return None;
    };
    ctx.index.read(|known| {
        let delivery = known.heard.get(id)?.delivery.as_ref()?;
        Some(delivery.receiver.clone())
    })
}

/// A call about something that another replica works for is about to be passed on, and told this commit, or nobody knows what.
pub(super) fn owe(ctx: &Context, target: &Target, commit: Option<&str>, of_many: bool) {
    let Target::Source(id) = target else {
        return;
    };
    let told = match of_many {
        true => Some(CALLED_FOR_MANY),
        false => commit,
    };
    let Some(told) = told.filter(|_| !ctx.shards.are_mine(&Place::of_source(&ctx.grounds, id)))
    else {
        return;
    };
    ctx.index.write(|known| {
        if known.sources.contains_key(id) {
            known.relays.insert(id.clone(), told.to_owned());
        }
    });
}

/// What is to be passed on of the calls about this, once.
pub(super) fn relay(ctx: &Context, target: &Target) -> Option<String> {
    let Target::Source(id) = target else {
        return None;
    };
    ctx.index.write(|known| known.relays.remove(id))
}

/// Another replica took a call about this, and says that it was of that Receiver or entry, and told that: told is one whose calls
/// are about it. Whoever may write the object may say anything there; of that counts what a call can tell.
pub(super) fn passed_on(ctx: &Context, target: &Target, receiver: &str, told: Option<&str>) {
    let Target::Source(id) = target else {
        return;
    };
    let by = ctx.index.read(|known| {
        let entry = known.touch.entry_of(id);
        if let Some(entry) = entry.filter(|by| by.entry.to_string() == receiver) {
            return Some(entry.hook.receiver.clone());
        }
        let receiver = receiver.parse::<NamespacedName>().ok()?;
        let wakes = known.touch.sources_woken_by(&receiver).contains(id);
        wakes.then_some(receiver)
    });
    let Some(by) = by else {
        return;
    };
    match told {
        Some(CALLED_FOR_MANY) => missed(ctx, target),
        told => called(ctx, &by, target, told.filter(|text| is_commit(text))),
    }
}

/// Calls were turned away that may have been about this.
pub(super) fn missed(ctx: &Context, target: &Target) {
    let Target::Source(id) = target else {
        return;
    };
    ctx.index.write(|known| {
        if known.sources.contains_key(id) {
            known.heard.entry(id.clone()).or_default().missed = true;
        }
    });
}

/// The login that an object names itself. What levels give was noted by the run.
fn own(object: &GitRepository) -> Option<LoginOrigin> {
    let annotations = object.metadata.annotations.as_ref();
    let provider = annotations.and_then(|all| all.get(reeve_api::PROVIDER));
    let provider = provider.filter(|name| *name != reeve_api::GIT_CONFIG);
    let from = match (&object.spec.secret_ref, provider) {
        (Some(secret), _) => format!("Secret {}", secret.name),
        (None, Some(provider)) => format!("provider {provider}"),
        (None, None) => return None,
    };
    Some(LoginOrigin {
        from,
        ..LoginOrigin::default()
    })
}

/// The Receivers whose calls wake a source; and of those that were told before, the ones that have not had their first run since
/// this process leads, or are not listed yet: nobody can say of them that they no longer do.
fn receivers(known: &Known, id: &NamespacedName, before: &[String]) -> Vec<NamespacedName> {
    let target = Target::Source(id.clone());
    let naming = known.touch.receivers_naming(&target).into_iter();
    let wakes = |receiver: &NamespacedName| {
        let woken = known.touch.woken_by(receiver);
        woken.is_some_and(|(_, woken)| woken.iter().flatten().any(|one| *one == target))
    };
    let is_open = |receiver: &NamespacedName| {
        let may_be_there = !known.receivers_listed || known.receivers.contains_key(receiver);
        may_be_there && known.touch.woken_by(receiver).is_none()
    };
    let told = before.iter();
    let told = told.filter_map(|told| told.parse::<NamespacedName>().ok());
    let all: BTreeSet<NamespacedName> = naming.filter(wakes).chain(told.filter(is_open)).collect();
    all.into_iter().take(MOST_RECEIVERS).collect()
}

/// Whether a Receiver lets calls in. Of one that has not had its first run nobody can say that it doesn't.
fn lets_in(known: &Known, receiver: &NamespacedName) -> bool {
    let standing = known.touch.standing(receiver);
    standing.is_none_or(|standing| standing == Standing::Open)
}

#[cfg(test)]
mod tests {
    use reeve_api::name::ServiceAccountName;
    use reeve_core::tenancy::Grounds;
    use serde_json::{Value, json};

    use super::*;
    use crate::index::Index;

    fn object(annotations: Value, secret: Value) -> GitRepository {
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "web", "namespace": "acme", "annotations": annotations},
            "spec": {"url": "https://git.example/acme/web", "interval": "1m", "secretRef": secret},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_hook_is_doubted_once_where_something_is_found_that_no_call_told() {
        let upstream = |announced: bool, head: &str| Upstream {
            announced,
            head: Some(head.to_owned()),
            ..Upstream::default()
        };
        for (before, after, want) in [
            (upstream(true, "a"), upstream(false, "b"), true),
            (upstream(true, "a"), upstream(true, "b"), false),
            (upstream(false, "a"), upstream(false, "b"), false),
            // Nobody calls any more, and nothing is new.
            (upstream(true, "a"), upstream(false, "a"), false),
        ] {
            assert_eq!(is_unheard(&before, &after), want, "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_an_object_names_itself_is_told_by_its_name() {
        let provider = json!({(reeve_api::PROVIDER): "forge"});
        for (annotations, secret, want) in [
            (json!({}), json!({"name": "key"}), Some("Secret key")),
            (provider, Value::Null, Some("provider forge")),
            (json!({}), Value::Null, None),
        ] {
            let told = own(&object(annotations, secret));
            assert_eq!(told.map(|told| told.from).as_deref(), want);
        }
    }

    #[test]
    fn a_receiver_that_was_told_stays_until_it_is_known_not_to_be_there() {
        let account = || "flux".parse::<ServiceAccountName>().unwrap();
        let index = Index::new(&Grounds {
            platform_namespaces: BTreeSet::new(),
            config_namespaces: BTreeSet::new(),
            platform_service_account: account(),
            tenant_service_account: account(),
            remote_bases: Vec::new(),
            remote_clusters: Vec::new(),
        });
        let id: NamespacedName = "acme/web".parse().unwrap();
        let before = ["acme/hook".to_owned()];
        let told = || index.read(|known| receivers(known, &id, &before));
        let want: NamespacedName = "acme/hook".parse().unwrap();
        assert_eq!(told(), std::slice::from_ref(&want));
        let lets_in = || index.read(|known| super::lets_in(known, &want));
        assert!(lets_in(), "nobody can say that it doesn't");
        index.write(|known| known.receivers_listed = true);
        assert!(told().is_empty());
    }
}
