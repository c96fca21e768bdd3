//! What was read of a Kustomization, its source and their Receivers, as answers in the order in which people look.
//!
//! Pure. It deliberately says nothing that the objects do not say: what failed and what to do about it is told in conditions.

use jiff::Timestamp;
use reeve_api::condition::{self, Condition, Type};
use reeve_api::kustomization::Kustomization;
use reeve_api::receiver::Receiver;
use reeve_api::source::{GitRepository, Upstream};
use serde::Serialize;

use crate::cli::text::age;

/// What was read.
pub(super) struct Facts {
    pub(super) object: Kustomization,
    /// Oldest first; an error: why nobody could look.
    pub(super) warnings: Result<Vec<Warning>, String>,
    pub(super) source: Source,
    /// Those whose calls are about the source.
    pub(super) receivers: Vec<Called>,
}

/// A Receiver.
pub(super) struct Called {
    /// `namespace/name`.
    pub(super) id: String,
    /// None: it is gone; an error: why it could not be read.
    pub(super) read: Result<Option<Receiver>, String>,
}

/// An event that warns.
pub(super) struct Warning {
    pub(super) at: Option<Timestamp>,
    pub(super) reason: String,
    pub(super) message: String,
}

/// The source, by its kind and name.
pub(super) enum Source {
    Git(String, Box<GitRepository>),
    Missing(String),
    /// And why it could not be read.
    Unread(String, String),
    /// It is of a kind that is none of ours.
    Other(String),
}

/// One step.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    pub(super) step: &'static str,
    pub(super) verdict: Verdict,
    pub(super) says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Verdict {
    Fine,
    Wrong,
    Unknown,
}

/// All steps.
pub(super) fn walk(facts: &Facts, now: Timestamp) -> Vec<Step> {
    let mut steps = vec![reached(facts), warned(facts, now), applied(facts)];
    match &facts.source {
        Source::Git(shown, object) => {
            let upstream = object
                .status
                .as_ref()
                .and_then(|status| status.upstream.clone());
            let upstream = upstream.unwrap_or_default();
            steps.push(fetched(shown, object));
            steps.push(newest(facts, object, &upstream));
            steps.push(login(object, &upstream));
            steps.push(webhook(&facts.receivers, object, &upstream, now));
        }
        Source::Missing(shown) => {
            let next = "apply it, or name another in spec.sourceRef";
            steps.push(wrong("source", format!("there is no {shown}"), next));
        }
        Source::Unread(shown, why) => {
            let says = format!("{shown} cannot be read with your rights: {why}");
            steps.push(unknown("source", says));
        }
        Source::Other(shown) => {
            steps.push(unknown(
                "source",
                format!("{shown} is another controller's"),
            ));
        }
    }
    steps
}

/// Whether anybody works on it.
fn reached(facts: &Facts) -> Step {
    let (meta, name) = (&facts.object.metadata, "worked on");
    let id = |verb: &str| {
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let object = meta.name.as_deref().unwrap_or_default();
        format!("`reeve {verb} kustomization {object} -n {namespace}`")
    };
    if meta.deletion_timestamp.is_some() {
        let next = "what holds it stands in its finalizers and in Ready";
        return wrong(name, "it is being deleted".to_owned(), next);
    }
    if facts.object.spec.suspend {
        return wrong(name, "it is suspended".to_owned(), &id("resume"));
    }
    let ready = ready(&facts.object);
    let seen = ready.and_then(|ready| ready.observed_generation);
    let is_seen = ready.is_some() && (seen.is_none() || seen >= meta.generation);
    match is_seen {
        true => fine(name, "its newest spec was looked at".to_owned()),
        false => {
            let says = "nobody has looked at its newest spec yet".to_owned();
            wrong(name, says, "`reeve check` says whether the controller runs")
        }
    }
}

fn warned(facts: &Facts, now: Timestamp) -> Step {
    let name = "events";
    let warnings = match &facts.warnings {
        Ok(warnings) => warnings,
        Err(why) => {
            return unknown(name, format!("they cannot be read with your rights: {why}"));
        }
    };
    let Some(last) = warnings.last() else {
        return fine(name, "none warns".to_owned());
    };
    let ago = last.at.map(|at| format!("{} ago", age(now, at)));
    let ago = ago.unwrap_or_else(|| "once".to_owned());
    let says = format!("{ago}: {}: {}", last.reason, last.message);
    match is(ready(&facts.object), "True") {
        true => fine(name, format!("it is Ready by now; {says}")),
        false => wrong(name, says, "mend what it says"),
    }
}

fn applied(facts: &Facts) -> Step {
    let name = "last run";
    let status = facts.object.status.as_ref();
    let revision = status.and_then(|status| status.last_applied_revision.as_deref());
    match ready(&facts.object) {
        Some(ready) if ready.status == "True" => {
            let revision = revision.unwrap_or("nothing");
            fine(name, format!("applied {revision}"))
        }
        Some(ready) if ready.status == "False" => {
            let says = format!("{}: {}", ready.reason, ready.message);
            wrong(name, says, "mend what it says")
        }
        Some(ready) => unknown(name, format!("it is under way: {}", ready.message)),
        None => unknown(name, "there was none".to_owned()),
    }
}

fn fetched(shown: &str, object: &GitRepository) -> Step {
    let name = "source";
    let id = |verb: &str| {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let name = object.metadata.name.as_deref().unwrap_or_default();
        format!("`reeve {verb} source git {name} -n {namespace}`")
    };
    if object.spec.suspend {
        return wrong(name, format!("{shown} is suspended"), &id("resume"));
    }
    match condition::find(of_source(object), Type::Ready) {
        Some(ready) if ready.status == "True" => fine(name, format!("{shown} was fetched")),
        Some(ready) if ready.status == "False" => {
            let says = format!("{shown}: {}: {}", ready.reason, ready.message);
            wrong(name, says, "mend what it says")
        }
        Some(ready) => unknown(name, format!("{shown}: {}", ready.message)),
        None => wrong(
            name,
            format!("nobody has looked at {shown} yet"),
            "`reeve check` says whether the controller runs",
        ),
    }
}

/// Whether what the repository has is what is applied.
fn newest(facts: &Facts, object: &GitRepository, upstream: &Upstream) -> Step {
    let name = "newest revision";
    let stored = object
        .status
        .as_ref()
        .and_then(|status| status.artifact.as_ref());
    let Some(stored) = stored.map(|artifact| artifact.revision.as_str()) else {
        return unknown(name, "nothing of the source is in store".to_owned());
    };
    if let Some(head) = upstream.head.as_deref().filter(|head| *head != stored) {
        let says = format!("the repository is at {head}, and in store is {stored}");
        return wrong(name, says, "what the source says stands in the way");
    }
    let status = facts.object.status.as_ref();
    match status.and_then(|status| status.last_applied_revision.as_deref()) {
        Some(applied) if applied == stored => fine(name, format!("{stored} is applied")),
        applied => {
            let says = format!(
                "in store is {stored}, and applied is {}",
                applied.unwrap_or("nothing")
            );
            wrong(name, says, "what the last run says stands in the way")
        }
    }
}

/// How the source logs in, and whether the forge has its key.
fn login(object: &GitRepository, upstream: &Upstream) -> Step {
    let name = "login";
    if let Some(step) = said(name, object, "DeployKeyReady") {
        return step;
    }
    match &upstream.login {
        None => unknown(name, "nobody has logged in yet".to_owned()),
        Some(login) => {
            let entry = login.entry.as_deref().zip(login.level.as_deref());
            let entry = entry.map(|(entry, level)| format!(": {entry} of {level}"));
            fine(name, format!("{}{}", login.from, entry.unwrap_or_default()))
        }
    }
}

/// Whether the forge calls.
fn webhook(
    receivers: &[Called],
    object: &GitRepository,
    upstream: &Upstream,
    now: Timestamp,
) -> Step {
    let name = "webhook";
    let polling = upstream.polling.as_ref();
    if let Some(problem) = polling.and_then(|polling| polling.problem.as_ref())
        && receivers.is_empty()
    {
        let next = "mend the entry's webhookSecret; `reeve git explain` says which entry it is";
        return wrong(name, problem.clone(), next);
    }
    if receivers.is_empty() {
        return unreceived(object, upstream, now);
    }
    let delivery = upstream.delivery.as_ref();
    let caller = delivery.map(|delivery| delivery.receiver.as_str());
    // One that was called and is open does what the others should.
    let works = |called: &Called| Some(called.id.as_str()) == caller && shut(called).is_none();
    if !receivers.iter().any(works)
        && let Some(step) = receivers.iter().find_map(shut)
    {
        return step;
    }
    match (delivery, unread(receivers)) {
        (Some(delivery), _) => {
            let (receiver, ago) = (&delivery.receiver, age(now, delivery.at.0));
            fine(name, format!("{receiver} was called {ago} ago"))
        }
        (None, Some(says)) => unknown(name, says),
        (None, None) => {
            let all: Vec<&str> = receivers.iter().map(|called| called.id.as_str()).collect();
            let next = "is the address of the Receiver's status at the forge, and can it be reached from there?";
            Step {
                next: Some(next.to_owned()),
                ..unknown(name, format!("{} was never called", all.join(", ")))
            }
        }
    }
}

/// The same where no Receiver is for it: an entry of git configuration may be called.
fn unreceived(object: &GitRepository, upstream: &Upstream, now: Timestamp) -> Step {
    let name = "webhook";
    let polling = upstream.polling.as_ref();
    let every = polling.and_then(|polling| polling.every.as_ref());
    let every = every.unwrap_or(&object.spec.interval);
    let hook = polling.and_then(|polling| polling.hook.as_ref());
    match (hook, &upstream.delivery) {
        (None, _) => {
            let says = format!("no Receiver is for it; changes are found every {every}");
            fine(name, says)
        }
        (Some(_), Some(delivery)) => {
            let (entry, ago) = (&delivery.receiver, age(now, delivery.at.0));
            fine(name, format!("{entry} was called {ago} ago"))
        }
        (Some(path), None) => {
            let next = "is this path at the forge, and can it be reached from there?";
            Step {
                next: Some(next.to_owned()),
                ..unknown(name, format!("{path} was never called"))
            }
        }
    }
}

/// What keeps a Receiver from being called, if it says that something does.
fn shut(called: &Called) -> Option<Step> {
    let (name, id) = ("webhook", &called.id);
    let Ok(Some(receiver)) = &called.read else {
        return None;
    };
    if receiver.spec.suspend {
        let (namespace, own) = id.split_once('/').unwrap_or_default();
        let next = format!("`reeve resume receiver {own} -n {namespace}`");
        return Some(wrong(name, format!("{id} is suspended"), &next));
    }
    let conditions = receiver.status.as_ref()?.conditions.as_slice();
    let known = [Type::Ready, Type::WebhookReady].map(|of| condition::find(conditions, of));
    let mut known = known.into_iter().flatten();
    let failed = known.find(|known| known.status == "False")?;
    let says = format!("{id}: {}: {}", failed.reason, failed.message);
    Some(wrong(name, says, "mend what it says"))
}

/// Which Receiver could not be looked at, if there is one.
fn unread(receivers: &[Called]) -> Option<String> {
    let unread = |called: &Called| {
        let why = called.read.as_ref().err()?;
        Some(format!(
            "{} cannot be read with your rights: {why}",
            called.id
        ))
    };
    receivers.iter().find_map(unread)
}

/// What a condition of the source says, if it is there.
fn said(name: &'static str, object: &GitRepository, r#type: &str) -> Option<Step> {
    let known = condition::find(of_source(object), r#type)?;
    let says = format!("{}: {}", known.reason, known.message);
    Some(match known.status.as_str() {
        "True" => fine(name, says),
        "False" => wrong(name, says, "mend what it says"),
        _ => unknown(name, says),
    })
}

fn of_source(object: &GitRepository) -> &[Condition] {
    let status = object.status.as_ref();
    let conditions = status.map(|status| status.conditions.as_slice());
    conditions.unwrap_or_default()
}

fn ready(object: &Kustomization) -> Option<&Condition> {
    condition::find(&object.status.as_ref()?.conditions, Type::Ready)
}

fn is(condition: Option<&Condition>, status: &str) -> bool {
    condition.is_some_and(|condition| condition.status == status)
}

fn fine(step: &'static str, says: String) -> Step {
    Step {
        step,
        verdict: Verdict::Fine,
        says,
        next: None,
    }
}

fn unknown(step: &'static str, says: String) -> Step {
    Step {
        verdict: Verdict::Unknown,
        ..fine(step, says)
    }
}

fn wrong(step: &'static str, says: String, next: &str) -> Step {
    Step {
        verdict: Verdict::Wrong,
        next: Some(next.to_owned()),
        ..fine(step, says)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-22T18:00:00Z";

    fn ready(status: &str) -> Value {
        json!([{"type": "Ready", "status": status, "reason": "BuildFailed", "message": "why",
            "lastTransitionTime": NOW, "observedGeneration": 2}])
    }

    fn facts(kustomization: Value, source: Value) -> Facts {
        let mut object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "web", "namespace": "acme", "generation": 2},
            "spec": {"interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "web"}},
            "status": {"conditions": ready("True"), "lastAppliedRevision": "main@sha1:1"},
        });
        let mut git = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "web", "namespace": "acme"},
            "spec": {"url": "https://git.example/web", "interval": "1m"},
            "status": {
                "conditions": ready("True"),
                "artifact": {"digest": "sha256:0", "lastUpdateTime": NOW, "path": "p", "revision": "main@sha1:1", "url": "u"},
                "upstream": {"head": "main@sha1:1", "login": {"from": "Secret key"}},
            },
        });
        for (target, change) in [(&mut object, kustomization), (&mut git, source)] {
            for (pointer, value) in change.as_object().unwrap() {
                let (parent, field) = pointer.rsplit_once('/').unwrap();
                target.pointer_mut(parent).unwrap()[field] = value.clone();
            }
        }
        Facts {
            object: serde_json::from_value(object).unwrap(),
            warnings: Ok(Vec::new()),
            receivers: Vec::new(),
            source: Source::Git(
                "GitRepository acme/web".to_owned(),
                Box::new(serde_json::from_value(git).unwrap()),
            ),
        }
    }

    fn wrongs(facts: &Facts) -> Vec<&'static str> {
        let steps = walk(facts, NOW.parse().unwrap()).into_iter();
        let wrong = steps.filter(|step| step.verdict == Verdict::Wrong);
        wrong.map(|step| step.step).collect()
    }

    #[test]
    fn each_thing_that_is_wrong_is_found_in_its_step() {
        let condition = |name: &str| {
            json!([{"type": name, "status": "False", "reason": "R", "message": "m", "lastTransitionTime": NOW},
                {"type": "Ready", "status": "True", "reason": "R", "message": "m", "lastTransitionTime": NOW}])
        };
        let none = json!({});
        for (object, source, want) in [
            (none.clone(), none.clone(), vec![]),
            (
                json!({"/spec/suspend": true}),
                none.clone(),
                vec!["worked on"],
            ),
            (
                json!({"/metadata/generation": 3}),
                none.clone(),
                vec!["worked on"],
            ),
            (
                json!({"/status/conditions": ready("False")}),
                none.clone(),
                vec!["last run"],
            ),
            (
                json!({"/status/lastAppliedRevision": "main@sha1:0"}),
                none.clone(),
                vec!["newest revision"],
            ),
            (none.clone(), json!({"/spec/suspend": true}), vec!["source"]),
            (
                none.clone(),
                json!({"/status/conditions": ready("False")}),
                vec!["source"],
            ),
            (
                none.clone(),
                json!({"/status/upstream/head": "main@sha1:2"}),
                vec!["newest revision"],
            ),
            (
                none.clone(),
                json!({"/status/conditions": condition("DeployKeyReady")}),
                vec!["login"],
            ),
        ] {
            assert_eq!(
                wrongs(&facts(object.clone(), source.clone())),
                want,
                "{object} {source}"
            );
        }
    }

    /// A Receiver `acme/<name>` with this spec and these conditions.
    fn called(name: &str, suspend: bool, conditions: &[(&str, &str)]) -> Called {
        let conditions = conditions.iter().map(|(name, status)| {
            json!({"type": name, "status": status, "reason": "R", "message": "m", "lastTransitionTime": NOW})
        });
        let receiver = json!({
            "apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver",
            "metadata": {"name": name, "namespace": "acme"},
            "spec": {"type": "gitea", "suspend": suspend, "resources": [], "secretRef": {"name": "s"}},
            "status": {"conditions": conditions.collect::<Vec<_>>()},
        });
        Called {
            id: format!("acme/{name}"),
            read: Ok(Some(serde_json::from_value(receiver).unwrap())),
        }
    }

    /// What is said of the webhook.
    fn told(receivers: Vec<Called>, caller: Option<&str>) -> (Verdict, String) {
        let delivery = caller.map(|caller| json!({"at": NOW, "receiver": caller}));
        let mut facts = facts(json!({}), json!({"/status/upstream/delivery": delivery}));
        facts.receivers = receivers;
        let last = walk(&facts, NOW.parse().unwrap()).pop().unwrap();
        assert_eq!(last.step, "webhook");
        (last.verdict, last.says)
    }

    #[test]
    fn how_the_webhook_is_stands_on_the_receiver() {
        let well = [("Ready", "True"), ("WebhookReady", "True")];
        let broken = [("Ready", "True"), ("WebhookReady", "False")];
        let open = || called("open", false, &well);
        for (receivers, caller, verdict, says) in [
            (vec![], None, Verdict::Fine, "found every 1m"),
            (
                vec![open()],
                None,
                Verdict::Unknown,
                "acme/open was never called",
            ),
            (vec![open()], Some("acme/open"), Verdict::Fine, "was called"),
            (
                vec![called("web", false, &broken)],
                None,
                Verdict::Wrong,
                "acme/web: R: m",
            ),
            (
                vec![called("web", false, &[("Ready", "False")])],
                Some("acme/web"),
                Verdict::Wrong,
                "acme/web: R: m",
            ),
            (
                vec![called("web", true, &well)],
                Some("acme/web"),
                Verdict::Wrong,
                "acme/web is suspended",
            ),
            (
                vec![called("old", true, &well), open()],
                Some("acme/open"),
                Verdict::Fine,
                "acme/open was called",
            ),
        ] {
            let (is, told) = told(receivers, caller);
            assert!(
                is == verdict && told.contains(says),
                "{says}: {is:?} {told}"
            );
        }
        let hidden = Called {
            id: "acme/hidden".to_owned(),
            read: Err("forbidden".to_owned()),
        };
        let (is, told) = told(vec![hidden], None);
        assert!(
            is == Verdict::Unknown && told.contains("forbidden"),
            "{told}"
        );
    }

    #[test]
    fn the_hook_of_an_entry_is_looked_at_where_no_receiver_is() {
        let entry = "gitHubAuths (acme/*) of global";
        for (polling, caller, verdict, says) in [
            (json!({"every": "20s"}), None, Verdict::Fine, "every 20s"),
            (
                json!({"hook": "/hook/0"}),
                None,
                Verdict::Unknown,
                "/hook/0 was never called",
            ),
            (
                json!({"hook": "/hook/0"}),
                Some(entry),
                Verdict::Fine,
                "gitHubAuths (acme/*) of global was called",
            ),
            (
                json!({"problem": "no such Secret"}),
                None,
                Verdict::Wrong,
                "no such Secret",
            ),
        ] {
            let delivery = caller.map(|caller| json!({"at": NOW, "receiver": caller}));
            let facts = facts(
                json!({}),
                json!({"/status/upstream/polling": polling, "/status/upstream/delivery": delivery}),
            );
            let last = walk(&facts, NOW.parse().unwrap()).pop().unwrap();
            assert_eq!((last.step, last.verdict), ("webhook", verdict), "{says}");
            assert!(last.says.contains(says), "{}", last.says);
        }
    }

    #[test]
    fn an_event_that_warned_is_the_answer_until_it_is_ready_again() {
        let warned = |status: &str| {
            let mut facts = facts(json!({"/status/conditions": ready(status)}), json!({}));
            facts.warnings = Ok(vec![Warning {
                at: Some(NOW.parse().unwrap()),
                reason: "BuildFailed".to_owned(),
                message: "no such file".to_owned(),
            }]);
            facts
        };
        assert_eq!(wrongs(&warned("False")), ["events", "last run"]);
        assert!(wrongs(&warned("True")).is_empty());
    }

    #[test]
    fn what_may_not_be_read_is_told_as_unknown_and_what_is_not_there_as_wrong() {
        let mut facts = facts(json!({}), json!({}));
        facts.warnings = Err("forbidden".to_owned());
        for (source, want) in [
            (
                Source::Unread("x".to_owned(), "forbidden".to_owned()),
                vec![],
            ),
            (Source::Other("OCIRepository acme/web".to_owned()), vec![]),
            (Source::Missing("x".to_owned()), vec!["source"]),
        ] {
            facts.source = source;
            assert_eq!(wrongs(&facts), want);
            let steps = walk(&facts, NOW.parse().unwrap());
            assert_eq!(
                steps.get(1).map(|step| step.verdict),
                Some(Verdict::Unknown)
            );
        }
    }
}
