//! `reeve why`: why manifests are not applied, asked in the order in which people look.
//!
//! Everything is read with the rights of whoever asks, and what they may not read is told as such: a tenant that cannot see
//! its source still learns the rest. What the answers mean is `walk`'s to say. It deliberately asks no log, since whoever may
//! not read the controller's would be none the wiser.

mod walk;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::NamespacedName;
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use reeve_core::failure::chain;
use serde::Serialize;

use self::walk::{Called, Facts, Source, Step, Verdict, Warning, walk};
use super::connection::ConnectionArgs;
use super::get::{kustomization, named, namespace};
use super::provide_tls;
use super::text::{Form, table, written};
use super::ui::{CommandError, Ui};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::observe::Requests;

/// Say why manifests are not applied
#[derive(Args)]
pub(super) struct WhyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    #[command(name = "kustomization", aliases = ["kustomizations", "ks"])]
    Kustomization(KustomizationArgs),
}

/// Say why the manifests of a Kustomization are not applied
///
/// Looked at are, in this order: whether it is worked on at all, its events, what its last run came to, its source, whether the
/// newest revision of it is applied, how the source logs in, and the Receivers whose webhooks should call. The first that is wrong is the
/// answer, with what to do next. Read is with your own rights: what you may not read is told as unknown.
///
/// Example: `reeve why ks web -n acme`
#[derive(Args)]
struct KustomizationArgs {
    /// The one that is meant
    name: String,
    /// Where it is; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

/// What was found.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    namespace: String,
    name: String,
    /// In which of the steps something is wrong first.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<&'static str>,
    steps: Vec<Step>,
}

pub(super) fn run(args: &WhyArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    let What::Kustomization(args) = &args.what;
    let text = runtime.block_on(of_kustomization(args))?;
    ui.data(text.as_bytes())
}

async fn of_kustomization(args: &KustomizationArgs) -> Result<String, CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let id = named(namespace(args.namespace.as_deref(), &cluster), &args.name)?;
    let object = kustomization(&cluster, &id).await?;
    let source = source(&cluster, &id, &object).await;
    let facts = Facts {
        warnings: warnings(&cluster, &id).await,
        receivers: receivers(&cluster, &source).await,
        source,
        object,
    };
    let steps = walk(&facts, Clock::system().now());
    let wrong = steps.iter().find(|step| step.verdict == Verdict::Wrong);
    let answer = Answer {
        namespace: id.namespace.to_string(),
        name: id.name.to_string(),
        wrong: wrong.map(|step| step.step),
        steps,
    };
    written(args.form, &answer, || drawn(&answer))
}

/// What was warned of, oldest first; an error: nobody may look.
async fn warnings(cluster: &Cluster, id: &NamespacedName) -> Result<Vec<Warning>, String> {
    let found = cluster.happened(Some(id.namespace.as_str())).await;
    let found = found.map_err(|why| chain(&why))?;
    let is_about = |event: &&Event| {
        let about = &event.involved_object;
        about.kind.as_deref() == Some("Kustomization")
            && about.name.as_deref() == Some(id.name.as_str())
            && event.type_.as_deref() == Some("Warning")
    };
    let mut warnings: Vec<Warning> = found.iter().filter(is_about).map(warning).collect();
    warnings.sort_by_key(|warning| warning.at);
    Ok(warnings)
}

fn warning(event: &Event) -> Warning {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let micro = event.event_time.as_ref().map(|time| time.0);
    let at: Option<Timestamp> = last.or(micro);
    Warning {
        at,
        reason: event.reason.clone().unwrap_or_default(),
        message: event.message.clone().unwrap_or_default(),
    }
}

async fn source(cluster: &Cluster, id: &NamespacedName, object: &Kustomization) -> Source {
    let reference = &object.spec.source_ref;
    let kind = reference.kind.as_str();
    let at = reference.namespace.as_deref();
    let at = at.unwrap_or(id.namespace.as_str());
    let shown = format!("{kind} {at}/{}", reference.name);
    if reference.kind != SourceKind::GitRepository {
        return Source::Other(shown);
    }
    let found = cluster
        .one::<GitRepository>(Some(at), &reference.name)
        .await;
    match found {
        Ok(Some(found)) => Source::Git(shown, Box::new(found)),
        Ok(None) => Source::Missing(shown),
        Err(why) => Source::Unread(shown, chain(&why)),
    }
}

/// The Receivers whose calls are about the source, as its status has them.
async fn receivers(cluster: &Cluster, source: &Source) -> Vec<Called> {
    let Source::Git(_, object) = source else {
        return Vec::new();
    };
    let status = object.status.as_ref();
    let upstream = status.and_then(|status| status.upstream.as_ref());
    let named = upstream.map(|upstream| upstream.receivers.as_slice());
    let mut found = Vec::new();
    for id in named.unwrap_or_default() {
        let (namespace, name) = id.split_once('/').unwrap_or_default();
        let read = cluster.one::<Receiver>(Some(namespace), name).await;
        found.push(Called {
            id: id.clone(),
            read: read.map_err(|why| chain(&why)),
        });
    }
    found
}

fn drawn(answer: &Answer) -> String {
    let head = ["STEP", "IS", "WHAT IS SAID"].map(str::to_owned);
    let cells = |step: &Step| {
        let verdict = match step.verdict {
            Verdict::Fine => "✔",
            Verdict::Wrong => "✗",
            Verdict::Unknown => "?",
        };
        [step.step.to_owned(), verdict.to_owned(), step.says.clone()]
    };
    let rows = std::iter::once(head).chain(answer.steps.iter().map(cells));
    let mut out = table(&rows.collect::<Vec<_>>());
    let wrong = answer
        .steps
        .iter()
        .find(|step| step.verdict == Verdict::Wrong);
    out.push('\n');
    match wrong {
        None => out.push_str("nothing is wrong that can be seen from here\n"),
        Some(step) => {
            let next = step.next.as_deref().unwrap_or("mend what is said there");
            let next = reeve_core::text::line(next);
            out.push_str(&format!("{} is wrong; next: {next}\n", step.step));
        }
    }
    out
}
