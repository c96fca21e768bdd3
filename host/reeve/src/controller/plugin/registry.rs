//! A component from a registry, with the pull secret of its plugin's namespace and, where keys are named, only if one of
//! them signed it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve_api::name::ObjectName;
use reeve_api::plugin::OciSource;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn, chain};
use reeve_core::plugin::PluginId;

use super::bytes::{LARGEST, Read};
use crate::context::Context;
use crate::oci::{self, Access, Login, PublicKey, Reference};

/// How long all of it may take.
const LONGEST: Duration = Duration::from_secs(60);
/// Under which key a Secret of type `kubernetes.io/dockerconfigjson` holds the logins.
const LOGINS: &str = ".dockerconfigjson";

/// The component that `source` names, and the keys of those who may have signed it.
pub(super) fn parse(
    ctx: &Context,
    source: &OciSource,
) -> Result<(Reference, Vec<PublicKey>), Explained> {
    let invalid = |field: &str, why: String| {
        let message = format!("spec.source.oci.{field}: {why}");
        Explained::new(Reason::InvalidSpec, Turn::Owner, message)
    };
    let text = match source.reference.strip_prefix("oci://") {
        Some(_) => source.reference.clone(),
        None => format!("oci://{}", source.reference),
    };
    let reference: Reference = text
        .parse()
        .map_err(|why| invalid("reference", format!("{why}")))?;
    if source.insecure && !ctx.plain_http {
        let why = "plain HTTP is not allowed: the controller runs without --plain-http-providers";
        return Err(invalid("insecure", why.to_owned()));
    }
    let keys = source.public_keys.iter().map(|pem| PublicKey::parse(pem));
    let keys: Result<Vec<_>, _> = keys.collect();
    let keys = keys.map_err(|why| invalid("publicKeys", chain(&why)))?;
    Ok((reference, keys))
}

/// Fetches the component that `source` names.
pub(super) async fn read(
    ctx: &Context,
    id: &PluginId,
    source: &OciSource,
) -> Result<Read, Explained> {
    let (reference, keys) = parse(ctx, source)?;
    let access = Access {
        egress: Arc::clone(&ctx.egress),
        login: login(ctx, id, source, &reference).await?,
        plain: source.insecure,
        deadline: Instant::now() + LONGEST,
    };
    let place = format!("{}/{}", reference.host, reference.name);
    let failed = |doing: &str, reason, why: &oci::Error| {
        let turn = match why.passes() {
            true => Turn::Ours,
            false => Turn::Retry,
        };
        let message = format!("{doing} {} failed: {}", source.reference, chain(why));
        Explained::new(reason, turn, message)
    };
    let most = usize::try_from(LARGEST).unwrap_or(usize::MAX);
    let pulled = oci::pull(&reference, &access, most).await;
    let pulled = pulled.map_err(|why| failed("fetching", Reason::PluginNotFound, &why))?;
    if !keys.is_empty() {
        let signed = oci::verify(&reference, &access, &pulled.digest, &keys).await;
        signed.map_err(|why| failed("verifying", Reason::VerificationError, &why))?;
    }
    Ok(Read {
        bytes: pulled.component,
        place,
        turn: Turn::Retry,
    })
}

/// Who we are there, by the plugin's pull secret.
async fn login(
    ctx: &Context,
    id: &PluginId,
    source: &OciSource,
    reference: &Reference,
) -> Result<Option<Login>, Explained> {
    let Some(named) = &source.pull_secret_ref else {
        return Ok(None);
    };
    let unusable = |why: String| {
        let message = format!("spec.source.oci.pullSecretRef {}: {why}", named.name);
        Explained::new(Reason::AuthenticationFailed, Turn::Retry, message)
    };
    let name: ObjectName = named
        .name
        .parse()
        .map_err(|why| unusable(format!("{why}")))?;
    let owner = ctx.secret_owner(ctx.home_of(id));
    let secret = ctx.cluster.secret(&owner, &name).await;
    let secret = secret.map_err(|why| Explained::of(&why))?;
    let logins = secret.get(LOGINS);
    let logins = logins.ok_or_else(|| unusable(format!("it has no key {LOGINS}")))?;
    Login::find(logins, &reference.host).map_err(|why| unusable(chain(&why)))
}
