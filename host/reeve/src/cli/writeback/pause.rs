//! Takes one object out of write-back, or lets it in again: an annotation, written with the rights of whoever asks.

use clap::Args;
use reeve_api::WRITE_BACK;
use serde_json::{Value, json};

use crate::cli::connection::ConnectionArgs;
use crate::cli::get::namespace;
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::cluster::CallError;
use crate::observe::Requests;

/// Which object.
#[derive(Args)]
pub(super) struct OneArgs {
    /// The object: deployment/web
    #[arg(value_name = "KIND/NAME")]
    object: String,
    /// Where it is; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Takes it out, or lets it in.
pub(super) async fn set(args: &OneArgs, out: bool, ui: &mut Ui) -> Result<(), CommandError> {
    let (kind, name) = args.object.split_once('/').ok_or_else(|| {
        CommandError::new(format!("{:?} is not KIND/NAME", args.object))
            .hint("for example deployment/web")
    })?;
    let cluster = args.connection.connect(Requests::default()).await?;
    let at = namespace(args.namespace.as_deref(), &cluster);
    let failed = |doing: &str, why: &CallError| {
        CommandError::of(&format!("{doing} {kind}/{name} failed"), why)
    };
    let sought = cluster.seek(kind, at, name).await;
    let sought = sought.map_err(|why| failed("reading", &why))?;
    let sought = sought.ok_or_else(|| {
        CommandError::new(format!("there is no {kind}/{name} in namespace {at}"))
            .hint("check its name and --namespace")
    })?;
    let (key, word) = WRITE_BACK;
    let value = if out { Value::from(word) } else { Value::Null };
    let change = json!({"metadata": {"annotations": {key: value}}});
    let changed = cluster.change_sought(&sought, &change).await;
    changed.map_err(|why| failed("annotating", &why))?;
    let (subject, done) = (sought.subject(), if out { "paused" } else { "resumed" });
    ui.step(Sign::Done, &format!("write-back of {subject} {done}"));
    Ok(())
}
