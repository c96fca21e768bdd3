//! What plugins are configured with, read from the objects that they name: as whoever owns the namespace, or on a laptop as who
//! asks. Putting it together is `core::plugin`'s.

use reeve_api::name::ObjectName;
use reeve_api::plugin::{ConfigKind, ConfigReference};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::plugin::Part;

use crate::cluster::{Cluster, SecretError, SecretOwner};

/// A part of a config, and whether it is from a Secret.
pub(crate) struct Found {
    pub(crate) part: Part,
    pub(crate) is_secret: bool,
}

/// The parts of a config, in their order.
pub(crate) async fn parts(
    cluster: &Cluster,
    owner: &SecretOwner,
    from: &[ConfigReference],
) -> Result<Vec<Found>, Explained> {
    let mut parts = Vec::new();
    for reference in from {
        let is_secret = reference.kind == ConfigKind::Secret;
        let part = part(cluster, owner, reference).await?;
        parts.extend(part.map(|part| Found { part, is_secret }));
    }
    Ok(parts)
}

async fn part(
    cluster: &Cluster,
    owner: &SecretOwner,
    reference: &ConfigReference,
) -> Result<Option<Part>, Explained> {
    let namespace = owner.namespace();
    let place = format!("{} {namespace}/{}", reference.kind.as_str(), reference.name);
    let name: ObjectName = reference.name.parse().map_err(|why| {
        let message = format!("spec.configFrom: {why}");
        Explained::new(Reason::InvalidSpec, Turn::Owner, message)
    })?;
    let entries: Result<Vec<(String, String)>, SecretError> = match reference.kind {
        ConfigKind::ConfigMap => {
            let texts = cluster.config_map(owner, &name).await;
            texts.map(|texts| texts.into_iter().collect())
        }
        ConfigKind::Secret => cluster.secret(owner, &name).await.map(|secret| {
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
