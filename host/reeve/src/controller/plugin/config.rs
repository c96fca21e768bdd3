//! What a plugin is configured with: objects of its own namespace, and its spec over them.
//!
//! Read as whoever owns the namespace, so that nobody is given what they may not read. Putting it together and holding
//! it against the component's schema is `core::plugin`'s.

use reeve_api::name::ObjectName;
use reeve_api::plugin::{Component, ConfigKind, ConfigReference};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::plugin::{Part, PluginId, combine};
use serde_json::Value;

use crate::cluster::SecretError;
use crate::context::Context;
use crate::schemas::CheckError;

/// The whole config, as JSON. It is held against the schema in the turn of `whose`.
pub(super) async fn of(
    ctx: &Context,
    id: &PluginId,
    whose: &str,
    component: &Component,
    schema: Option<&Value>,
) -> Result<String, Explained> {
    let mut parts = Vec::new();
    for reference in &component.config_from {
        parts.extend(part(ctx, id, reference).await?);
    }
    let turn = match parts.is_empty() {
        true => Turn::Owner,
        // What is wrong may lie in another object.
        false => Turn::Retry,
    };
    let invalid = |why: String| Explained::new(Reason::InvalidSpec, turn, why);
    let config = combine(parts, &component.config).map_err(|why| invalid(why.to_string()))?;
    let Some(schema) = schema else {
        return Ok(config);
    };
    let value: Value = serde_json::from_str(&config).map_err(|why| invalid(why.to_string()))?;
    let fits = ctx.schemas.check(whose, schema.clone(), value).await;
    fits.map_err(|why| {
        // What took too long, or crashed, may do better the next time.
        let turn = match why {
            CheckError::Refused(_) => turn,
            CheckError::Late(_) | CheckError::Crashed => Turn::Retry,
        };
        Explained::new(Reason::InvalidSpec, turn, format!("spec.config: {why}"))
            .with_hint("`reeve plugin inspect` shows the schema that the component carries")
    })?;
    Ok(config)
}

async fn part(
    ctx: &Context,
    id: &PluginId,
    reference: &ConfigReference,
) -> Result<Option<Part>, Explained> {
    let namespace = ctx.home_of(id);
    let place = format!("{} {namespace}/{}", reference.kind.as_str(), reference.name);
    let name: ObjectName = reference.name.parse().map_err(|why| {
        let message = format!("spec.configFrom: {why}");
        Explained::new(Reason::InvalidSpec, Turn::Owner, message)
    })?;
    let owner = ctx.secret_owner(namespace);
    let entries: Result<Vec<(String, String)>, SecretError> = match reference.kind {
        ConfigKind::ConfigMap => {
            let texts = ctx.cluster.config_map(&owner, &name).await;
            texts.map(|texts| texts.into_iter().collect())
        }
        ConfigKind::Secret => ctx.cluster.secret(&owner, &name).await.map(|secret| {
            let keys = secret.keys();
            keys.filter_map(|key| Some((key.to_owned(), secret.text(key)?.to_owned())))
                .collect()
        }),
    };
    let entries = match entries {
        Ok(entries) => entries,
        Err(SecretError::Missing { .. }) if reference.optional => return Ok(None),
        Err(why) => return Err(Explained::of(&why)),
    };
    let Some(key) = &reference.key else {
        return Ok(Some(Part::Entries(entries)));
    };
    let found = entries.into_iter().find(|(name, _)| name == key);
    match found {
        Some((_, text)) => {
            let place = format!("{place}, key {key}");
            Ok(Some(Part::Document { place, text }))
        }
        None if reference.optional => Ok(None),
        None => {
            let message = format!("{place} has no key {key} (or one that is not text)");
            Err(Explained::new(Reason::NotFound, Turn::Retry, message))
        }
    }
}
