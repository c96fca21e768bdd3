//! `flux logs` reads our log lines as it reads Flux's own.
//!
//! No kubelet of the estate can be asked for a pod's log. In front of the API server stands one that answers that
//! question with the controller's real log, and passes everything else on.

use std::net::Ipv4Addr;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use kube::Client;
use reeve_api::reason::Reason;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;
use tokio::net::TcpListener;

use crate::flux_cli::{has_line, run_with};

/// Passes a request on, unless it is for a log.
async fn pass(client: Client, log: std::path::PathBuf, request: Request) -> Response<Body> {
    let answer = async {
        if request.uri().path().ends_with("/log") {
            return anyhow::Ok(Response::new(Body::from(std::fs::read(&log)?)));
        }
        let (head, body) = request.into_parts();
        let mut passed =
            http::Request::new(axum::body::to_bytes(body, 1 << 20).await?.to_vec().into());
        *passed.method_mut() = head.method;
        *passed.uri_mut() = head
            .uri
            .path_and_query()
            .context("a path")?
            .as_str()
            .parse()?;
        if let Some(accept) = head.headers.get("accept") {
            passed.headers_mut().insert("accept", accept.clone());
        }
        let (head, body) = client.send(passed).await?.into_parts();
        Ok(Response::from_parts(head, Body::new(body)))
    };
    answer.await.unwrap_or_else(|why| {
        let mut refused = Response::new(Body::from(format!("{why:#}")));
        *refused.status_mut() = StatusCode::BAD_GATEWAY;
        refused
    })
}

/// A kubeconfig for the one in front.
async fn front(estate: &Estate) -> anyhow::Result<std::path::PathBuf> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let server = format!("http://{}", listener.local_addr()?);
    let (client, log) = (estate.admin(), estate.controller.log_path());
    let router =
        Router::new().fallback(move |request: Request| pass(client.clone(), log.clone(), request));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "front",
        "clusters": [{"name": "front", "cluster": {"server": server}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "front", "context": {"cluster": "front", "user": "nobody"}}],
    });
    let path = estate.plane.room("front")?.join("kubeconfig");
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}

/// What `flux logs` takes for a controller: a Deployment that says it is part of Flux, and its pod.
async fn deployment(estate: &Estate) -> anyhow::Result<()> {
    let api = objects::api(estate.admin(), "apps/v1", "Deployment", Some("flux-system"));
    let labels = json!({"app": "reeve"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "reeve", "namespace": "flux-system", "labels": {"app.kubernetes.io/part-of": "flux"}},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "manager", "image": "registry.example/reeve:1"}]},
        }},
    });
    let made = serde_json::from_value(deployment)?;
    api.create(&Default::default(), &made).await?;
    wait::for_object(&api, "reeve", "its pod runs", |deployment| {
        deployment.data.pointer("/status/readyReplicas") == Some(&json!(1))
    })
    .await?;
    Ok(())
}

#[test]
fn flux_logs_reads_what_the_controller_says() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("flux-logs").await?;
        let name = tenant.name();
        let broken = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken\n";
        let told = tenant
            .after(|draft| draft.commit("broken.yaml", broken))
            .await?;
        ensure!(told.ready.reason == Reason::BuildFailed.as_str());
        deployment(estate).await?;
        let kubeconfig = front(estate).await?;
        let logs = async |filter: &str| {
            let line = format!("flux logs --flux-namespace=flux-system {filter}");
            run_with(estate, &kubeconfig, &line).await
        };
        let all = logs(&format!("-n {name} --kind=Kustomization --name={name}")).await?;
        let who = format!("Kustomization/{name}.{name}");
        has_line(
            &all,
            &["info", &who, "Reconciliation finished in", "next run in"],
        )?;
        has_line(
            &all,
            &["error", &who, "Reconciliation failed after", "broken.yaml"],
        )?;
        let errors = logs(&format!("-A --level=error --name={name}")).await?;
        has_line(&errors, &["error", &who, "broken.yaml"])?;
        ensure!(
            !errors.contains("Reconciliation finished"),
            "only errors:\n{errors}"
        );
        Ok(())
    });
}
