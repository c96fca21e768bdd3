//! What `reeve reconcile`, `suspend` and `resume` share: whom they mean, and what the controller says to a request.
//!
//! A request is an annotation with a text that nobody wrote before; it is answered when the status echoes that text and
//! `Ready` is about the newest spec. It deliberately changes nothing but that annotation and `spec.suspend`.

use std::time::Duration;

use clap::{Args, Subcommand};
use reeve_api::RECONCILE_REQUEST;
use reeve_api::name::NamespacedName;
use serde_json::{Value, json};

use super::connection::ConnectionArgs;
use super::get::named;
use super::ui::{CommandError, Sign, Ui};
use crate::clock::Clock;
use crate::cluster::{Cluster, Operated};

/// Which objects.
#[derive(Subcommand)]
pub(super) enum Which {
    /// Sources
    Source(SourceArgs),
    /// Kustomizations
    #[command(name = "kustomization", aliases = ["kustomizations", "ks"])]
    Kustomization(NamesArgs),
    /// Receivers
    #[command(name = "receiver", aliases = ["receivers"])]
    Receiver(NamesArgs),
}

#[derive(Args)]
pub(super) struct SourceArgs {
    #[command(subcommand)]
    source: Source,
}

#[derive(Subcommand)]
enum Source {
    /// GitRepositories
    #[command(name = "git", aliases = ["gitrepository", "gitrepositories"])]
    Git(NamesArgs),
}

/// Their names, and where they are.
#[derive(Args)]
pub(super) struct NamesArgs {
    /// The ones that are meant
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// All in the namespace
    #[arg(long)]
    all: bool,
    /// Where they are; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

impl Which {
    pub(super) fn kind(&self) -> Operated {
        match self {
            Self::Source(_) => Operated::GitRepository,
            Self::Kustomization(_) => Operated::Kustomization,
            Self::Receiver(_) => Operated::Receiver,
        }
    }

    pub(super) fn names(&self) -> &NamesArgs {
        match self {
            Self::Source(SourceArgs {
                source: Source::Git(names),
            })
            | Self::Kustomization(names)
            | Self::Receiver(names) => names,
        }
    }
}

impl NamesArgs {
    /// The objects that are meant. An error: there are none.
    pub(super) async fn ids(
        &self,
        cluster: &Cluster,
        kind: Operated,
    ) -> Result<Vec<NamespacedName>, CommandError> {
        let namespace = super::get::namespace(self.namespace.as_deref(), cluster);
        let kind_name = kind.as_str();
        let names = match self.all {
            false => self.names.clone(),
            true => cluster.names_of(kind, namespace).await.map_err(|why| {
                CommandError::of(&format!("listing {kind_name}s in {namespace} failed"), &why)
            })?,
        };
        if names.is_empty() {
            return Err(CommandError::new(format!(
                "there is no {kind_name} in namespace {namespace}"
            )));
        }
        names.iter().map(|name| named(namespace, name)).collect()
    }
}

/// As `flux` calls the kind in lists.
pub(super) fn called(kind: Operated) -> &'static str {
    match kind {
        Operated::GitRepository => "source git",
        Operated::Kustomization => "kustomization",
        Operated::Receiver => "receiver",
    }
}

/// An object that has to be there.
pub(super) async fn there(
    cluster: &Cluster,
    kind: Operated,
    id: &NamespacedName,
) -> Result<Value, CommandError> {
    let name = kind.as_str();
    let found = cluster.operated(kind, id).await;
    let found =
        found.map_err(|why| CommandError::of(&format!("reading {name} {id} failed"), &why))?;
    found.ok_or_else(|| {
        CommandError::new(format!("there is no {name} {id}"))
            .hint("check its name and --namespace; `reeve get kustomizations -A` and `kubectl get gitrepositories,receivers -A` list what you may see")
    })
}

pub(super) fn is_suspended(object: &Value) -> bool {
    object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true)
}

/// A text that asks for a run, and that nobody wrote before.
pub(super) fn token() -> String {
    Clock::system().now().to_string()
}

/// The annotation that asks for a run.
pub(super) fn request(token: &str) -> Value {
    json!({"metadata": {"annotations": {RECONCILE_REQUEST: token}}})
}

pub(super) async fn change(
    cluster: &Cluster,
    kind: Operated,
    id: &NamespacedName,
    change: &Value,
) -> Result<(), CommandError> {
    let changed = cluster.operate(kind, id, change).await;
    changed.map_err(|why| {
        let kind = kind.as_str();
        CommandError::of(&format!("changing {kind} {id} failed"), &why).hint(format!(
            "you need the right to patch it: `kubectl auth can-i patch {} -n {}`",
            format!("{kind}s").to_lowercase(),
            id.namespace
        ))
    })
}

/// Waits until the request is answered, and tells what came of it.
pub(super) async fn answered(
    cluster: &Cluster,
    kind: Operated,
    id: &NamespacedName,
    token: &str,
    limit: Duration,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let name = kind.as_str();
    ui.step(Sign::Waiting, &format!("waiting for {name} reconciliation"));
    let mut last = String::new();
    let look = |object: Option<&Value>| {
        let Some(object) = object else {
            return Some(Err("it was deleted meanwhile".to_owned()));
        };
        last = text(ready(object), "message").to_owned();
        answer(kind, object, token)
    };
    let found = cluster.look_until(kind, id, limit, look).await;
    let found = found.map_err(|why| {
        CommandError::of(&format!("watching {name} {id} failed"), &why).hint(
            "you need the rights to list and watch it; what was asked for is done all the same",
        )
    })?;
    match found {
        Some(Ok(done)) => {
            ui.step(Sign::Done, &done);
            Ok(())
        }
        Some(Err(why)) => Err(CommandError::new(format!(
            "{name} {id} reconciliation failed: {why}"
        ))),
        None => Err(late(name, id, limit, &last)),
    }
}

fn late(kind: &str, id: &NamespacedName, limit: Duration, last: &str) -> CommandError {
    let limit = reeve_api::duration::Duration::from(limit);
    let said = match last {
        "" => "nothing was said of it yet".to_owned(),
        last => format!("the last word was: {last}"),
    };
    CommandError::new(format!(
        "{kind} {id} was not reconciled within {limit}; {said}"
    ))
    .hint("`reeve check` says whether the controller runs; --timeout waits longer")
}

/// What came of a request; None: nothing yet.
fn answer(kind: Operated, object: &Value, token: &str) -> Option<Result<String, String>> {
    if is_suspended(object) {
        return Some(Err("it was suspended meanwhile".to_owned()));
    }
    let ready = handled(object, token)?;
    match text(Some(ready), "status") {
        "True" => Some(Ok(done(kind, object))),
        "False" => Some(Err(text(Some(ready), "message").to_owned())),
        _ => None,
    }
}

/// The condition that says what came of a request; None: no run for it has told of the newest spec yet.
pub(super) fn handled<'v>(object: &'v Value, token: &str) -> Option<&'v Value> {
    let handled = object.pointer("/status/lastHandledReconcileAt");
    if handled.and_then(Value::as_str) != Some(token) {
        return None;
    }
    let ready = ready(object)?;
    let number = |value: Option<&Value>| value.and_then(Value::as_i64);
    let seen = number(ready.get("observedGeneration"));
    let is_older = seen.is_some() && seen < number(object.pointer("/metadata/generation"));
    (!is_older).then_some(ready)
}

/// In `flux`'s words.
fn done(kind: Operated, object: &Value) -> String {
    let at = |pointer: &str| {
        let text = object.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    match kind {
        Operated::GitRepository => format!("fetched revision {}", at("/status/artifact/revision")),
        Operated::Kustomization => {
            format!("applied revision {}", at("/status/lastAppliedRevision"))
        }
        // Its path is for the forge alone.
        Operated::Receiver => "Receiver is ready".to_owned(),
    }
}

pub(super) fn ready(object: &Value) -> Option<&Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let mut ready = conditions.iter();
    ready.find(|one| text(Some(one), "type") == "Ready")
}

pub(super) fn text<'v>(object: Option<&'v Value>, key: &str) -> &'v str {
    let text = object.and_then(|object| object.get(key)?.as_str());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(handled: &str, ready: Value) -> Value {
        json!({
            "metadata": {"generation": 3}, "spec": {},
            "status": {
                "lastHandledReconcileAt": handled, "conditions": [ready],
                "lastAppliedRevision": "main@sha1:1",
            },
        })
    }

    fn ready(status: &str, generation: i64) -> Value {
        json!({"type": "Ready", "status": status, "message": "why", "observedGeneration": generation})
    }

    #[test]
    fn a_request_is_answered_when_it_is_echoed_and_ready_is_about_the_newest_spec() {
        let done = Some(Ok("applied revision main@sha1:1".to_owned()));
        let failed = Some(Err("why".to_owned()));
        for (says, handled, ready, want) in [
            ("another request", "before", ready("True", 3), None),
            ("an older spec", "ours", ready("True", 2), None),
            ("under way", "ours", ready("Unknown", 3), None),
            ("applied", "ours", ready("True", 3), done),
            ("failed", "ours", ready("False", 3), failed),
        ] {
            let told = answer(Operated::Kustomization, &object(handled, ready), "ours");
            assert_eq!(told, want, "{says}");
        }
    }

    #[test]
    fn what_is_suspended_meanwhile_is_not_waited_for() {
        let mut object = object("before", ready("True", 3));
        object["spec"]["suspend"] = json!(true);
        let told = answer(Operated::Kustomization, &object, "ours");
        assert!(matches!(told, Some(Err(why)) if why.contains("suspended")));
    }

    #[test]
    fn the_path_of_a_receiver_is_not_told() {
        let mut object = object("ours", ready("True", 3));
        object["status"]["webhookPath"] = json!("/hook/abc");
        let told = answer(Operated::Receiver, &object, "ours");
        assert_eq!(told, Some(Ok("Receiver is ready".to_owned())));
    }
}
