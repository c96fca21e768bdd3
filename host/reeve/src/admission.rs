//! The validating admission webhook: what a run would refuse is refused at `kubectl apply`, in the same words.
//!
//! A courtesy, and no wall: nothing relies on its having been asked, since every run judges for itself. So whatever it
//! cannot tell (a kind it does not know, a replica that has not heard of the tenants yet) it lets through. What is said
//! about an object is `controller::review`'s, by the very functions that the runs call; nothing is counted, kept or told
//! because of it, so that a dry run is one. It answers on every replica, over TLS with a certificate of its own making.

mod chain;
mod keeper;
mod request;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use reeve_api::name::NamespaceName;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::context::Context;
use crate::controller::{self, Review};
use crate::observe::Kind;
use crate::observe::happening::Reviewed;
pub use chain::Lifetimes;
use request::{Asked, answer};

/// The largest request that is read: an object and the one before it, each as large as the API server takes, and more.
const MAX_BODY: usize = 8 << 20;
/// How long an answer may take; the API server waits for five seconds.
const DEADLINE: Duration = Duration::from_secs(4);
/// How many are read and judged at a time: each may be large, and others are at work here.
const AT_A_TIME: usize = 8;
/// How long to wait before something is refused because of what the watches have told: who applies a Tenant and what is in
/// its namespaces together is quicker than they are.
const HEARSAY: Duration = Duration::from_millis(300);

/// Where the certificate is kept, and for whom it is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The names and addresses by which API servers reach the webhook.
    pub hosts: Vec<String>,
    /// The namespace of the Secret.
    pub home: NamespaceName,
    /// The Secret.
    pub secret: String,
    /// The ValidatingWebhookConfiguration that says whom the API server trusts.
    pub configuration: String,
    /// How long authorities and certificates last.
    pub lifetimes: Lifetimes,
}

/// TLS with the certificate as it is at the time, and what keeps that, for as long as it is polled.
pub(crate) fn tls(
    ctx: &Context,
    settings: Settings,
) -> (
    Arc<rustls::ServerConfig>,
    impl Future<Output = ()> + Send + use<>,
) {
    let served = Arc::new(keeper::Served::default());
    let keeper = keeper::Keeper {
        cluster: ctx.cluster.clone(),
        clock: ctx.clock.clone(),
        home: settings.home,
        secret: settings.secret,
        configuration: settings.configuration,
        wanted: chain::Wanted::new(settings.hosts, settings.lifetimes),
        served: Arc::clone(&served),
    };
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(served);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    (Arc::new(config), keeper.keep())
}

/// What it answers.
pub(crate) fn router(ctx: Arc<Context>) -> Router {
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    Router::new()
        .route("/validate", post(validate))
        .with_state(Desk { ctx, room })
}

#[derive(Clone)]
struct Desk {
    ctx: Arc<Context>,
    room: Arc<Semaphore>,
}

/// What is no question, or comes when there is no room: the API server takes it for "not asked".
struct Unheard(StatusCode, &'static str);

async fn validate(State(desk): State<Desk>, request: Request) -> Response {
    let answered = timeout(DEADLINE, desk.answer(request)).await;
    let answered = answered.unwrap_or(Err(Unheard(
        StatusCode::SERVICE_UNAVAILABLE,
        "it took too long",
    )));
    match answered {
        Ok(answer) => ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response(),
        Err(Unheard(code, says)) => (code, says).into_response(),
    }
}

impl Desk {
    async fn answer(&self, request: Request) -> Result<serde_json::Value, Unheard> {
        let begun = Instant::now();
        let room = Arc::clone(&self.room).acquire_owned().await;
        let body = to_bytes(request.into_body(), MAX_BODY).await;
        let body = body.map_err(|_| {
            let says = "the request is larger than 8 MiB, or ended early";
            Unheard(StatusCode::PAYLOAD_TOO_LARGE, says)
        })?;
        let asked = Asked::parse(&body).ok_or(Unheard(
            StatusCode::BAD_REQUEST,
            "this is no AdmissionReview of admission.k8s.io/v1",
        ))?;
        let asked = Arc::new(asked);
        let mut review = self.look(&asked).await;
        if review.is_hearsay() {
            sleep(HEARSAY).await;
            review = self.look(&asked).await;
        }
        drop(room);
        self.ctx.metrics.tell(&Reviewed {
            kind: asked.kind.map_or("other", |kind| kind.as_str()),
            refused: review.refused.as_ref().map(|why| why.message.as_str()),
            warned: !review.warnings.is_empty(),
            took: begun.elapsed(),
        });
        Ok(answer(&asked, &review))
    }

    /// A rule may think for as long as it is let: not on a thread that others wait for.
    async fn look(&self, asked: &Arc<Asked>) -> Review {
        let Some(kind) = asked.kind.filter(|_| asked.wants_something_new()) else {
            return Review::default();
        };
        if kind == Kind::Policy {
            return controller::review_policy(&self.ctx, &asked.object).await;
        }
        let (ctx, asked) = (Arc::clone(&self.ctx), Arc::clone(asked));
        let work = move || controller::review(&ctx, kind, &asked.object);
        match tokio::task::spawn_blocking(work).await {
            Ok(review) => review,
            Err(why) => {
                tracing::error!(error = %why, "judging an object at its admission crashed");
                Review::default()
            }
        }
    }
}
