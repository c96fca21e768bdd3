//! An object that nobody can read is told so on itself.
//!
//! What its spec says is unknown, so nothing is done by it and nothing is undone: no fetch, no apply, no prune. One that
//! is being deleted is let go.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use reeve_api::condition::{self, Status, Type};
use reeve_api::reason::Reason;
use reeve_core::failure::chain;
use reeve_core::status::{Event, EventType, MAX_EVENT_MESSAGE, bounded};
use serde_json::{Value, json};

use super::kind::{self, Reported, observed};
use crate::cluster::{Subject, Undecodable};
use crate::context::Context;

/// Marks an object that cannot be decoded.
pub(in crate::controller) async fn undecodable<K: Reported>(ctx: &Context, bad: &Undecodable) {
    let subject = Subject::of_bad(kube::core::ApiResource::erase::<K>(&()), bad);
    if bad.meta.deletion_timestamp.is_some() {
        let finalizers = bad.meta.finalizers.clone().unwrap_or_default();
        let gone = ctx
            .cluster
            .remove_finalizer(&subject, &finalizers, K::MANAGER)
            .await;
        match gone {
            Ok(_) => leave_behind::<K>(ctx, bad),
            Err(why) => tracing::warn!(error = chain(&why), "removing the finalizer failed"),
        }
        return;
    }
    let message = unreadable(&bad.why);
    let before = bad.object.data.get("status").cloned().unwrap_or_default();
    let (after, news) = stalled(ctx, bad, &before, &message);
    let names = observed(&bad.meta);
    tracing::error!(object = %names.of(K::KIND), "{message}");
    if let Err(why) = ctx
        .cluster
        .write_status(&subject, &before, &after, K::MANAGER)
        .await
    {
        tracing::warn!(error = chain(&why), "writing the status failed");
        return;
    }
    if news {
        tell::<K>(ctx, bad, &message);
    }
}

/// What is said of an object that nobody can read.
pub(in crate::controller) fn unreadable(why: &dyn std::fmt::Display) -> String {
    format!("the object cannot be read: {why}")
}

/// Says what stays, when an object goes whose spec nobody can read: as whom it would be deleted is in there too.
fn leave_behind<K: Reported>(ctx: &Context, bad: &Undecodable) {
    let entries = bad.object.data.pointer("/status/inventory/entries");
    let ids = entries.and_then(Value::as_array).into_iter().flatten();
    let ids: Vec<&str> = ids
        .filter_map(|entry| entry["id"].as_str())
        .take(20)
        .collect();
    if ids.is_empty() {
        return;
    }
    let message = format!(
        "let go without pruning, since the object cannot be read: {}; left as they are: {}",
        bad.why,
        ids.join(", ")
    );
    tracing::warn!("{message}");
    tell::<K>(ctx, bad, &message);
}

/// The status with the news in it, and whether it is any.
fn stalled(ctx: &Context, bad: &Undecodable, before: &Value, message: &str) -> (Value, bool) {
    let known = before.get("conditions").cloned().unwrap_or_default();
    let mut conditions: Vec<Condition> = serde_json::from_value(known).unwrap_or_default();
    let news =
        condition::find(&conditions, Type::Stalled).is_none_or(|told| told.message != message);
    let generation = bad.meta.generation.unwrap_or_default();
    let _was_there = condition::remove(&mut conditions, Type::Reconciling);
    for (r#type, status) in [(Type::Ready, Status::False), (Type::Stalled, Status::True)] {
        let made = condition::new(
            r#type,
            status,
            Reason::InvalidSpec,
            message,
            generation,
            ctx.clock.now(),
        );
        condition::set(&mut conditions, made);
    }
    let mut after = if before.is_object() {
        before.clone()
    } else {
        json!({})
    };
    if let Some(fields) = after.as_object_mut() {
        fields.insert("conditions".to_owned(), json!(conditions));
        fields.insert("observedGeneration".to_owned(), json!(generation));
    }
    (after, news)
}

fn tell<K: Reported>(ctx: &Context, bad: &Undecodable, message: &str) {
    let event = Event {
        type_: EventType::Warning,
        reason: Reason::InvalidSpec,
        message: bounded(message, MAX_EVENT_MESSAGE),
        metadata: Default::default(),
    };
    kind::tell::<K>(ctx, &bad.meta, event);
}
