//! What a run is told under: the lines that it logs, and its place in a trace. It deliberately sends nothing; `observe` does.

use reeve_api::name::NamespacedName;
use reeve_core::index::Target;

use crate::context::Context;
use crate::observe::span::{Attribute, Running};
use crate::observe::{Kind, Object, trace};

/// The run's place in a trace, where anybody is told of it: of what a push goes through.
pub(super) fn traced(ctx: &Context, kind: Kind, key: &impl std::fmt::Display) -> Option<Running> {
    if !ctx.tracer.is_on() {
        return None;
    }
    let target: fn(NamespacedName) -> Target = match kind {
        Kind::GitRepository => Target::Source,
        Kind::Kustomization => Target::Kustomization,
        _ => return None,
    };
    let key = key.to_string();
    let (namespace, name) = key.split_once('/')?;
    let id = NamespacedName::new(namespace, name).ok()?;
    let owner = ctx
        .index
        .read(|known| known.tenants.owner_of(&ctx.grounds, &id.namespace));
    let mut told: Vec<Attribute> = vec![
        ("kind", kind.as_str().to_owned()),
        ("namespace", namespace.to_owned()),
        ("name", name.to_owned()),
    ];
    // What is nobody's is told without.
    told.extend(owner.ok().map(|tenant| ("tenant", tenant.name.to_string())));
    ctx.tracer.run(&target(id), told)
}

/// Every line that a run logs says which object it is about, and which run it was.
pub(super) fn log_span(kind: Kind, key: &impl std::fmt::Display) -> tracing::Span {
    let key = key.to_string();
    let (namespace, name) = key.split_once('/').unwrap_or(("", &key));
    trace::span(
        Object {
            kind,
            namespace,
            name,
        },
        &format!("{:016x}", rand::random::<u64>()),
    )
}
