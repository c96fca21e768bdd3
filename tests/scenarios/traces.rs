//! Traces: a collector is told of one push as one trace, and one that answers nobody costs nobody anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use reeve_tests::controller::{Controller, Surroundings};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario, wait};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// How long a push may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// A trace that a stranger would have us go on with.
const STRANGE: &str = "0af7651916cd43dd8448eb211c80319c";
/// What a push goes through.
const STEPS: [&str; 14] = [
    "hook",
    "wake",
    "reconcile",
    "fetch",
    "render",
    "transform",
    "plugin",
    "plan",
    "judge",
    "deliver",
    "dry-run",
    "apply",
    "health",
    "status",
];

/// A collector, as far as one is needed: what it was told, span by span.
struct Collector {
    url: String,
    told: Arc<Mutex<Vec<Value>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Collector {
    async fn start() -> anyhow::Result<Self> {
        let told: Arc<Mutex<Vec<Value>>> = Arc::default();
        let heard = Arc::clone(&told);
        let take = async move |body: Bytes| {
            let request: Value = serde_json::from_slice(&body).unwrap_or_default();
            let mut told = heard.lock().unwrap_or_else(PoisonError::into_inner);
            told.push(request);
            "{}"
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = Router::new().route("/v1/traces", post(take));
        let serving = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("it serves");
        });
        Ok(Self {
            url,
            told,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    fn requests(&self) -> Vec<Value> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.clone()
    }

    /// The spans of the trace that begins with a hook, if there is one.
    fn pushed(&self) -> Vec<Value> {
        let spans = |request: &Value| -> Vec<Value> {
            let spans = request.pointer("/resourceSpans/0/scopeSpans/0/spans");
            spans.and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let all: Vec<Value> = self.requests().iter().flat_map(spans).collect();
        let hook = all.iter().find(|span| span["name"] == "hook");
        let trace = hook.map(|hook| hook["traceId"].clone());
        let of = |span: &Value| Some(&span["traceId"]) == trace.as_ref();
        all.into_iter().filter(of).collect()
    }
}

fn attribute<'s>(span: &'s Value, key: &str) -> Option<&'s str> {
    let all = span["attributes"].as_array()?;
    let one = all.iter().find(|one| one["key"] == key)?;
    one.pointer("/value/stringValue")?.as_str()
}

fn text<'s>(span: &'s Value, key: &str) -> &'s str {
    span[key].as_str().unwrap_or_default()
}

/// A tenant whose manifests a plugin changes, and whose health is waited for.
async fn prepare(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let plugin = json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "ClusterPlugin",
        "metadata": {"name": format!("{}-stamp", tenant.name())},
        "spec": {
            "world": "transformer", "source": {"path": "stamp-labels.wasm"},
            "config": {"labels": {"team": "acme"}}, "selector": {"namespaces": [tenant.name()]},
        },
    });
    tenant.apply(&plugin).await?;
    tenant
        .change(|draft| draft.set("wait", json!(true)))
        .await?;
    let settings = tenant.api("v1", "ConfigMap");
    let stamped = |settings: &kube::api::DynamicObject| {
        let labels = settings.metadata.labels.as_ref();
        labels.is_some_and(|labels| labels.contains_key("team"))
    };
    wait::for_object(&settings, "settings", "the plugin has changed it", stamped).await?;
    Ok(())
}

/// A push, and its call with a trace that the caller names.
async fn push(tenant: &Tenant<'_>, colour: &str) -> anyhow::Result<String> {
    push_to(tenant, colour, &tenant.hook_url().await?).await
}

/// The same, with a call to that address.
async fn push_to(tenant: &Tenant<'_>, colour: &str, hook: &str) -> anyhow::Result<String> {
    let settings = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: {colour}\n"
    );
    let commit = tenant.commit([("settings.yaml", Some(settings))])?;
    let call = reqwest::Client::new()
        .post(hook)
        .header("traceparent", format!("00-{STRANGE}-b7ad6b7169203331-01"));
    call.send().await?.error_for_status()?;
    Ok(commit)
}

/// Waits until the trace of the push has all of its steps, with the Kustomization's run that applied the commit.
async fn traced(collector: &Collector, commit: &str) -> anyhow::Result<Vec<Value>> {
    let whole = || async {
        let spans = collector.pushed();
        let applied = spans.iter().any(|span| {
            attribute(span, "kind") == Some("Kustomization")
                && attribute(span, "revision").is_some_and(|it| it.ends_with(commit))
        });
        let names: BTreeSet<&str> = spans.iter().map(|span| text(span, "name")).collect();
        let all = STEPS.iter().all(|step| names.contains(step));
        (applied && all).then_some(())
    };
    let seen = wait::until(wait::PATIENCE, "the trace has all steps", whole).await;
    let spans = collector.pushed();
    seen.with_context(|| {
        let names = spans.iter().map(|span| text(span, "name"));
        format!("the trace has {:?}", names.collect::<Vec<_>>())
    })?;
    Ok(spans)
}

#[test]
fn a_push_is_one_trace_from_the_hook_to_what_is_told() {
    scenario(async {
        let collector = Collector::start().await?;
        let endpoint = format!("--otlp-endpoint={}", collector.url);
        let estate = Estate::start_with(&["--leader-elect=false", &endpoint]).await?;
        let tenant = estate.healthy_tenant("traced").await?;
        prepare(&tenant).await?;
        let commit = push(&tenant, "red").await?;
        let spans = traced(&collector, &commit).await?;

        let by_id: BTreeMap<&str, &Value> = spans
            .iter()
            .map(|span| (text(span, "spanId"), span))
            .collect();
        ensure!(by_id.len() == spans.len(), "an id stands for two");
        let parent = |span: &Value| by_id.get(text(span, "parentSpanId")).copied();
        for (step, below) in [
            ("wake", None),
            ("fetch", Some("reconcile")),
            ("render", Some("reconcile")),
            ("plugin", Some("transform")),
            ("dry-run", Some("deliver")),
            ("apply", Some("deliver")),
            ("status", Some("reconcile")),
        ] {
            let found = spans.iter().filter(|span| text(span, "name") == step);
            for span in found {
                let parent = parent(span).with_context(|| format!("{step} hangs below nothing"))?;
                let is = text(parent, "name");
                ensure!(below.is_none_or(|below| below == is), "{step} below {is}");
                let time = |span: &Value, key| text(span, key).parse::<u64>();
                ensure!(time(span, "startTimeUnixNano")? <= time(span, "endTimeUnixNano")?);
            }
        }
        let applied = spans.iter().find(|span| {
            text(span, "name") == "reconcile" && attribute(span, "kind") == Some("Kustomization")
        });
        let applied = applied.context("the Kustomization's run")?;
        for key in ["tenant", "namespace", "name"] {
            ensure!(
                attribute(applied, key) == Some(tenant.name()),
                "{key}: {applied}"
            );
        }
        let all = Value::Array(collector.requests()).to_string();
        ensure!(
            !all.contains(STRANGE),
            "a stranger's trace was gone on with"
        );
        ensure!(
            !all.contains("/hook/") && !all.contains("http://"),
            "an address was told"
        );
        ensure!(all.contains("reeve-controller"));
        let taken = ["reeve_trace_spans_total", "result=\"exported\""];
        ensure!(estate.controller.sample(&taken).await? > 0.0);
        Ok(())
    });
}

#[test]
fn a_push_is_one_trace_where_another_replica_was_called_than_the_one_that_works() {
    scenario(async {
        let collector = Collector::start().await?;
        let endpoint = format!("--otlp-endpoint={}", collector.url);
        let flags = [endpoint.as_str()];
        let estate = Estate::start_with(&flags).await?;
        let tenant = estate.healthy_tenant("passed").await?;
        prepare(&tenant).await?;
        let around = Surroundings {
            env: vec![("HOSTNAME".to_owned(), "stands-by".to_owned())],
            ..Surroundings::default()
        };
        let other = Controller::start_in(around, "reeve-other", &estate.plane, &flags).await?;
        let hook = tenant.hook_url().await?;
        let (_, digest) = hook.split_once("/hook/").context("a path")?;
        let hook = other.hook_url(&format!("/hook/{digest}"));
        let takes_calls = || async {
            let unknown = reqwest::Client::new().post(other.hook_url("/hook/none"));
            let code = unknown.send().await.ok()?.status().as_u16();
            (code == 404).then_some(())
        };
        wait::until(wait::PATIENCE, "it knows all Receivers", takes_calls).await?;

        let commit = push_to(&tenant, "red", &hook).await?;
        let spans = traced(&collector, &commit).await?;
        let of_other = |span: &&Value| told_by(&collector, span).as_deref() == Some("stands-by");
        let names: Vec<&str> = spans
            .iter()
            .filter(of_other)
            .map(|span| text(span, "name"))
            .collect();
        ensure!(names == ["hook"], "of who stands by: {names:?}");
        let all = Value::Array(collector.requests()).to_string();
        ensure!(
            !all.contains(STRANGE),
            "a stranger's trace was gone on with"
        );
        Ok(())
    });
}

/// Which process has told of the span.
fn told_by(collector: &Collector, span: &Value) -> Option<String> {
    let requests = collector.requests();
    let tells = |request: &&Value| {
        let spans = request.pointer("/resourceSpans/0/scopeSpans/0/spans");
        let mut spans = spans.and_then(Value::as_array).into_iter().flatten();
        spans.any(|one| one["spanId"] == span["spanId"])
    };
    let request = requests.iter().find(tells)?;
    let process = request.pointer("/resourceSpans/0/resource")?;
    attribute(process, "service.instance.id").map(str::to_owned)
}

/// A controller that tells a collector which does not take anything; a push comes through all the same, and it is said once.
async fn unheard(endpoint: &str) -> anyhow::Result<()> {
    let endpoint = format!("--otlp-endpoint={endpoint}");
    let estate = Estate::start_with(&["--leader-elect=false", &endpoint]).await?;
    let tenant = estate.healthy_tenant("unheard").await?;
    for colour in ["red", "blue"] {
        let begun = Instant::now();
        let commit = push(&tenant, colour).await?;
        tenant.applied(&commit).await?;
        ensure!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    }
    let lost = ["reeve_trace_spans_total", "result=\"dropped\""];
    let lost = || async {
        let lost = estate.controller.sample(&lost).await.ok()?;
        (lost > 0.0).then_some(())
    };
    wait::until(wait::PATIENCE, "what nobody takes is dropped", lost).await?;
    let commit = push(&tenant, "green").await?;
    tenant.applied(&commit).await?;
    let log = estate.controller.log()?;
    let said = log.lines().filter(|line| line.contains("traces are lost"));
    ensure!(said.count() == 1, "it is said once");
    let ended = estate.controller.stop(SOON).context("it runs")?;
    ensure!(ended.success(), "{ended}");
    Ok(())
}

#[test]
fn a_collector_that_is_dead_delays_nothing() {
    scenario(async {
        let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = nobody.local_addr()?;
        drop(nobody);
        unheard(&format!("http://{address}")).await
    });
}

#[test]
fn a_collector_that_hangs_delays_nothing() {
    scenario(async {
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}", silent.local_addr()?);
        let holding = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = silent.accept().await {
                held.push(stream);
            }
        });
        let _holding = AbortOnDropHandle::new(holding);
        unheard(&endpoint).await
    });
}
