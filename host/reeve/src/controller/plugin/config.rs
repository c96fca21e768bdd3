//! What a plugin is configured with: objects of its own namespace, and its spec over them.
//!
//! Read as whoever owns the namespace, so that nobody is given what they may not read. Putting it together and holding
//! it against the component's schema is `core::plugin`'s.

use reeve_api::plugin::Component;
use reeve_api::reason::Reason;
use reeve_core::drift::Place;
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::plugin::{Part, PluginId, combine};
use serde_json::Value;

use crate::configs;
use crate::context::Context;
use crate::schemas::CheckError;

/// A config, as JSON.
pub(super) struct Config {
    pub(super) whole: String,
    /// With a word for each value from a Secret, if there are such: for what is told to whoever proposes something.
    pub(super) hidden: Option<String>,
}

/// The whole config. It is held against the schema in the turn of `whose`.
pub(super) async fn of(
    ctx: &Context,
    id: &PluginId,
    whose: &str,
    component: &Component,
    schema: Option<&Value>,
) -> Result<Config, Explained> {
    let owner = ctx.secret_owner(ctx.home_of(id));
    let parts = configs::parts(&ctx.cluster, &owner, &component.config_from).await?;
    let turn = match parts.is_empty() {
        true => Turn::Owner,
        // What is wrong may lie in another object.
        false => Turn::Retry,
    };
    let invalid = |why: String| Explained::new(Reason::InvalidSpec, turn, why);
    let hidden = parts.iter().map(|found| match found.is_secret {
        true => found.part.hidden(),
        false => found.part.clone(),
    });
    let hides = parts.iter().any(|found| found.is_secret);
    let hidden: Option<Vec<Part>> = hides.then(|| hidden.collect());
    let whole = parts.into_iter().map(|found| found.part).collect();
    let combined = |parts| combine(parts, &component.config);
    let whole = combined(whole).map_err(|why| invalid(why.to_string()))?;
    let hidden = hidden.map(combined).transpose();
    let config = Config {
        hidden: hidden.map_err(|why| invalid(why.to_string()))?,
        whole,
    };
    let Some(schema) = schema else {
        return Ok(config);
    };
    let value: Value =
        serde_json::from_str(&config.whole).map_err(|why| invalid(why.to_string()))?;
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

/// What it comes from is watched as whom it is read, if it says that it is to wake who names it.
pub(super) fn watch(ctx: &Context, id: &PluginId, component: &Component) {
    let home = ctx.home_of(id);
    let account = ctx.secret_owner(home).account();
    let from = component.config_from.iter();
    let places = from
        .map(|from| Place::of_named(account.as_deref(), home.as_str(), from.kind.as_str()))
        .collect();
    ctx.drift.names(Target::Plugin(id.clone()), places);
}
