//! The admission webhook: it refuses at `kubectl apply` what the reconcile would, in the same words; it keeps its own
//! certificates; and without it nothing gets past.

mod certificates;

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use reeve_tests::chart::Release;
use reeve_tests::controller::Controller;
use reeve_tests::install::CONFIG;
use reeve_tests::plane::free_port;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

const KUSTOMIZATION: &str = "kustomize.toolkit.fluxcd.io/v1";
const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const RECEIVER: &str = "notification.toolkit.fluxcd.io/v1";
const OURS: &str = "reeve.dev/v1alpha1";
const WEBHOOKS: &str = "admissionregistration.k8s.io/v1";
/// Before what the webhook itself says.
const DENIED: &str = "denied the request: ";

/// An object, and words of why it is refused.
struct Row {
    says: &'static str,
    object: Value,
    words: &'static str,
}

/// Every one is refused for another reason. All are called `refused-N`.
fn rows(tenant: &str) -> Vec<Row> {
    let mut rows = kustomizations(tenant);
    rows.extend(others(tenant));
    rows.extend(bombs());
    rows
}

fn row(says: &'static str, object: Value, words: &'static str) -> Row {
    Row {
        says,
        object,
        words,
    }
}

fn kustomizations(tenant: &str) -> Vec<Row> {
    let ks = |field: &str, value: Value| {
        let mut object = kustomization(tenant);
        object["spec"][field] = value;
        object
    };
    let neighbours = json!({"kind": "GitRepository", "name": "neighbour", "namespace": CONFIG});
    vec![
        row(
            "no account",
            ks("serviceAccountName", Value::Null),
            "spec.serviceAccountName is missing",
        ),
        row(
            "a target elsewhere",
            ks("targetNamespace", json!("kube-system")),
            "spec.targetNamespace is kube-system",
        ),
        row(
            "a neighbour's source",
            ks("sourceRef", neighbours),
            "cross-namespace references have been blocked",
        ),
        row(
            "a path out of the source",
            ks("path", json!("./a/../../b")),
            "spec.path: it leads out of the source",
        ),
        row(
            "a field that nothing acts on",
            ks("decryption", json!({"provider": "sops"})),
            "spec.decryption is not supported yet",
        ),
    ]
}

fn others(tenant: &str) -> Vec<Row> {
    let of = |version: &str, kind: &str, spec: Value| {
        let metadata = match kind {
            "Policy" => json!({}),
            _ => json!({"namespace": tenant}),
        };
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    };
    let source =
        json!({"interval": "1h", "url": "https://git.example/x", "ref": {"branch": "a..b"}});
    let named = json!({"kind": "GitRepository", "name": "x"});
    let receiver = json!({
        "type": "github", "secretRef": {"name": "x"}, "resources": [named],
        "resourceFilter": "claims.sub == 'x'",
    });
    let neighbours = json!({"name": "neighbour", "namespace": CONFIG});
    let plugin = json!({
        "world": "transformer", "selector": {},
        "source": {"git": {"path": "a.wasm", "sourceRef": neighbours}},
    });
    let policy = json!({
        "rego": "package broken\n\ndeny contains x if {\n\tx := nosuch(1)\n}\n",
        "scope": {"namespaces": ["nobody"]},
    });
    vec![
        row(
            "a branch that is none",
            of(SOURCE, "GitRepository", source),
            "spec.ref.branch: it holds what git forbids",
        ),
        row(
            "a filter over what its callers do not bring",
            of(RECEIVER, "Receiver", receiver),
            "invalid resourceFilter expression: 1:1: undeclared reference to 'claims'",
        ),
        row(
            "a neighbour's component",
            of(OURS, "Plugin", plugin),
            "cross-namespace references have been blocked",
        ),
        row(
            "rules that do not compile",
            of(OURS, "Policy", policy),
            "cannot be put in force",
        ),
    ]
}

/// Few bytes that would end the process that reads them, or hold it up.
fn bombs() -> Vec<Row> {
    let of = |rules: &str| {
        let rego = format!("package bomb\n\ndeny contains {{\"message\": \"m\"}} if {rules}\n");
        let spec = json!({"rego": rego, "scope": {"namespaces": ["nobody"]}});
        json!({"apiVersion": OURS, "kind": "Policy", "metadata": {}, "spec": spec})
    };
    let brackets = "[".repeat(5_000);
    let calls = "abs(".repeat(5_000);
    vec![
        row(
            "brackets that the parser reads again and again",
            of(&brackets),
            "reading it takes too long",
        ),
        row(
            "calls as deep as no stack is",
            of(&calls),
            "it is nested deeper than 100 levels",
        ),
        row(
            "a function that never ends",
            of("f(1)\n\nf(x) := f(x + 1)"),
            "rule data.bomb.f is recursive: data.bomb.f -> data.bomb.f",
        ),
    ]
}

/// One that is refused by nobody.
fn kustomization(tenant: &str) -> Value {
    json!({
        "apiVersion": KUSTOMIZATION, "kind": "Kustomization",
        "metadata": {"name": "good", "namespace": tenant},
        "spec": {
            "interval": "1h", "path": "./", "prune": true,
            "serviceAccountName": "flux", "targetNamespace": tenant,
            "sourceRef": {"kind": "GitRepository", "name": tenant, "namespace": CONFIG},
        },
    })
}

fn api(estate: &Estate, object: &Value) -> Api<DynamicObject> {
    let text = |pointer| objects::text(object, pointer);
    objects::api(
        estate.admin(),
        text("/apiVersion").unwrap_or_default(),
        text("/kind").unwrap_or_default(),
        text("/metadata/namespace"),
    )
}

/// What is said when it is created; None: it was. On trial it is not stored.
pub(super) async fn refusal(
    estate: &Estate,
    object: &Value,
    dry_run: bool,
) -> anyhow::Result<Option<String>> {
    let params = PostParams {
        dry_run,
        ..PostParams::default()
    };
    let typed: DynamicObject = serde_json::from_value(object.clone())?;
    said(api(estate, object).create(&params, &typed).await)
}

fn said<T>(answer: kube::Result<T>) -> anyhow::Result<Option<String>> {
    match answer {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => match status.message.split_once(DENIED) {
            Some((_, said)) => Ok(Some(said.to_owned())),
            None => bail!("refused by somebody else: {}", status.message),
        },
        Err(why) => Err(why.into()),
    }
}

/// Flags with which a controller answers at a port.
fn flags(port: u16) -> [String; 2] {
    [
        format!("--admission-addr=127.0.0.1:{port}"),
        "--admission-hosts=127.0.0.1".to_owned(),
    ]
}

/// An estate whose API server asks its controller.
pub(super) async fn estate() -> anyhow::Result<Estate> {
    estate_with(free_port()?, &[]).await
}

/// The same with more flags of the controller.
async fn estate_with(port: u16, more: &[&str]) -> anyhow::Result<Estate> {
    let flags = flags(port);
    let mut all: Vec<&str> = flags.iter().map(String::as_str).collect();
    all.extend(more);
    let estate = Estate::start_with(&all).await?;
    ask_at(&estate, port).await?;
    until_asked(&estate).await?;
    Ok(estate)
}

/// Has the API server ask at that port, as the chart's configuration says but for the Service: no proxy serves one here.
async fn ask_at(estate: &Estate, port: u16) -> anyhow::Result<()> {
    let release = Release::estate().await?;
    let mut configuration = release
        .object("ValidatingWebhookConfiguration", "reeve")?
        .clone();
    let url = format!("https://127.0.0.1:{port}/validate");
    configuration["webhooks"][0]["clientConfig"] = json!({"url": url});
    let params = PatchParams::apply("estate").force();
    let api = api(estate, &configuration);
    api.patch("reeve", &params, &Patch::Apply(&configuration))
        .await?;
    Ok(())
}

/// One that is refused whoever is asked.
fn hopeless() -> Value {
    let mut object = kustomization("default");
    object["spec"]["path"] = json!("../..");
    object
}

async fn until_asked(estate: &Estate) -> anyhow::Result<()> {
    let object = hopeless();
    wait::until(wait::PATIENCE, "the webhook is asked", || async {
        refusal(estate, &object, true).await.ok().flatten()
    })
    .await
    .map(drop)
}

async fn until_nobody_is_asked(estate: &Estate) -> anyhow::Result<()> {
    let object = hopeless();
    wait::until(wait::PATIENCE, "the webhook is not asked", || async {
        let said = refusal(estate, &object, true).await;
        matches!(said, Ok(None)).then_some(())
    })
    .await
}

async fn ready(estate: &Estate, object: &Value) -> anyhow::Result<String> {
    let name = objects::text(object, "/metadata/name").unwrap_or_default();
    let seen = wait::for_object(&api(estate, object), name, "it is told of", |object| {
        objects::condition(&object.data, "Ready").is_some_and(|ready| ready.status == "False")
    })
    .await?;
    let ready = objects::condition(&seen.data, "Ready").unwrap_or_default();
    Ok(ready.message)
}

#[test]
fn what_a_reconcile_would_refuse_is_refused_at_apply_in_its_words_and_without_the_webhook_nothing_gets_past()
 {
    scenario(async {
        let port = free_port()?;
        let estate = estate_with(port, &["--leader-elect=false"]).await?;
        let tenant = estate.healthy_tenant("asked").await?;
        let mut told = Vec::new();
        for (at, row) in rows(tenant.name()).into_iter().enumerate() {
            let mut object = row.object;
            object["metadata"]["name"] = json!(format!("refused-{at}"));
            let said = refusal(&estate, &object, false).await?;
            let said = said.with_context(|| format!("{} is let through", row.says))?;
            ensure!(said.contains(row.words), "{}: {said}", row.says);
            told.push((object, said));
        }
        let good = kustomization(tenant.name());
        ensure!(refusal(&estate, &good, true).await?.is_none());
        let mut parked = told[0].0.clone();
        parked["spec"]["suspend"] = json!(true);
        ensure!(refusal(&estate, &parked, true).await?.is_none());
        let count = ["reeve_admission_duration_seconds_count", "denied"];
        ensure!(estate.controller.sample(&count).await? > 0.0);

        rude_callers_are_turned_away(&estate, port).await?;
        nothing_gets_past(&estate, &told).await?;

        // What was stored meanwhile can be asked to run, and go; but not become another wrong one.
        ask_at(&estate, port).await?;
        until_asked(&estate).await?;
        let stored = tenant.kustomizations();
        let patch = |body: Value| {
            let stored = stored.clone();
            async move {
                let (params, body) = (PatchParams::default(), Patch::Merge(body));
                said(stored.patch("refused-0", &params, &body).await)
            }
        };
        let asks = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        ensure!(patch(asks).await?.is_none());
        ensure!(patch(json!({"spec": {"interval": "2h"}})).await?.is_some());
        stored.delete("refused-0", &DeleteParams::default()).await?;
        wait::until_gone(&stored, "refused-0").await
    });
}

async fn rude_callers_are_turned_away(estate: &Estate, port: u16) -> anyhow::Result<()> {
    let roots = reqwest::Certificate::from_pem_bundle(&bundle(estate).await?)?;
    let client = reqwest::Client::builder().tls_certs_only(roots).build()?;
    let url = format!("https://127.0.0.1:{port}");
    for (path, body, code) in [
        ("validate", "{}".to_owned(), 400),
        ("validate", " ".repeat((8 << 20) + 1), 413),
        ("elsewhere", "{}".to_owned(), 404),
    ] {
        let answer = client.post(format!("{url}/{path}")).body(body);
        let answer = answer.send().await?.status();
        ensure!(answer == code, "{path}: {answer}");
    }
    Ok(())
}

/// Nobody answers any more: everything that was refused is stored, and nothing of it is done, in the same words.
async fn nothing_gets_past(estate: &Estate, told: &[(Value, String)]) -> anyhow::Result<()> {
    ask_at(estate, free_port()?).await?;
    until_nobody_is_asked(estate).await?;
    for (object, said) in told {
        ensure!(refusal(estate, object, false).await?.is_none(), "{said}");
        let ready = ready(estate, object).await.context(said.clone())?;
        ensure!(ready.starts_with(said), "'{said}' and then '{ready}'");
    }
    let written = objects::api(estate.admin(), "v1", "ConfigMap", None);
    for at in 0..told.len() {
        let label = format!("kustomize.toolkit.fluxcd.io/name=refused-{at}");
        let list = written.list(&ListParams::default().labels(&label)).await?;
        ensure!(list.items.is_empty(), "{label}");
    }
    Ok(())
}

/// Whom the API server trusts, as PEM.
async fn bundle(estate: &Estate) -> anyhow::Result<Vec<u8>> {
    let api = objects::api(
        estate.admin(),
        WEBHOOKS,
        "ValidatingWebhookConfiguration",
        None,
    );
    let configuration = api.get("reeve").await?;
    decoded(&configuration.data, "/webhooks/0/clientConfig/caBundle")
}

fn decoded(object: &Value, pointer: &str) -> anyhow::Result<Vec<u8>> {
    use base64::Engine as _;
    let text = objects::text(object, pointer).context("there is none")?;
    Ok(base64::engine::general_purpose::STANDARD.decode(text)?)
}

/// Minds a path, and warns of another.
const PATHS: &str = r#"# METADATA
# title: Paths
# description: Some paths are not wanted.
package platform.paths

deny contains {"message": "spec.path is forbidden"} if input.kustomization.spec.path == "./forbidden"

warn contains {"message": "spec.path is old"} if input.kustomization.spec.path == "./old"
"#;

#[test]
fn a_replica_that_stands_by_answers_too_and_warnings_reach_who_applies() {
    scenario(async {
        let first = free_port()?;
        let estate = estate_with(first, &[]).await?;
        let tenant = estate.healthy_tenant("standing").await?;
        let policy = json!({
            "apiVersion": OURS, "kind": "Policy", "metadata": {"name": tenant.name()},
            "spec": {"rego": PATHS, "scope": {"namespaces": [tenant.name()]}},
        });
        tenant.apply(&policy).await?;
        let mut forbidden = kustomization(tenant.name());
        forbidden["spec"]["path"] = json!("./forbidden");
        let until_refused = || async {
            wait::until(wait::PATIENCE, "the policy is asked", || async {
                refusal(&estate, &forbidden, true).await.ok().flatten()
            })
            .await
        };
        let said = until_refused().await?;
        ensure!(said.contains("spec.path is forbidden"), "{said}");

        let second = free_port()?;
        let flags = flags(second);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let other = Controller::start_as("reeve-standing", &estate.plane, &flags).await?;
        ask_at(&estate, second).await?;
        until_refused().await?;
        ensure!(other.sample(&["reeve_leader"]).await? == 0.0, "it leads");
        let count = ["reeve_admission_duration_seconds_count", "denied"];
        wait::until(wait::PATIENCE, "the other one is asked", || async {
            let _asked = refusal(&estate, &forbidden, true).await;
            (other.sample(&count).await.ok()? > 0.0).then_some(())
        })
        .await?;

        let mut old = kustomization(tenant.name());
        old["spec"]["path"] = json!("./old");
        let path = format!(
            "/apis/{KUSTOMIZATION}/namespaces/{}/kustomizations?dryRun=All",
            tenant.name()
        );
        let warning = warning(&estate, &path, &old).await?;
        let want = format!("policy {} warns: spec.path is old", tenant.name());
        ensure!(warning.contains(&want), "{warning}");

        // Its turn to lead: it forgets what it learned, and knows all of it again.
        estate.controller.stop(Duration::from_secs(30));
        wait::until(wait::PATIENCE, "the other one leads", || async {
            (other.sample(&["reeve_leader"]).await.ok()? > 0.0).then_some(())
        })
        .await?;
        until_refused().await.map(drop)
    });
}

/// The headers that kubectl shows as warnings.
pub(super) async fn warning(estate: &Estate, path: &str, object: &Value) -> anyhow::Result<String> {
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(kube::client::Body::from(object.to_string().into_bytes()))?;
    let answer = estate.admin().send(request).await?;
    let headers = answer.headers().get_all("warning").iter();
    let texts: Vec<&str> = headers.filter_map(|value| value.to_str().ok()).collect();
    Ok(texts.join("\n"))
}
