//! What its token, stolen, is kept from: Leases of others, what another controller has, logins of the platform.

use super::*;

/// What would come of making a Lease where the release is.
async fn leased(client: &Client, name: &str) -> anyhow::Result<Result<(), String>> {
    let version = "coordination.k8s.io/v1";
    let api = objects::api(client.clone(), version, "Lease", Some(SYSTEM));
    let how = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let lease: DynamicObject = serde_json::from_value(json!({
        "apiVersion": version, "kind": "Lease", "metadata": {"name": name},
    }))?;
    let done = api.create(&how, &lease).await;
    Ok(done.map(drop).map_err(|why| why.to_string()))
}

#[test]
fn neither_token_fills_the_namespace_with_leases_so_that_nobody_can_read_them_all() {
    scenario(async {
        let estate = Estate::shared().await?;
        let landlord = plane::client(&estate.plane.kubeconfig_of(SYSTEM, LANDLORD).await?).await?;
        fenced(&landlord).await?;
        let controller = plane::client(&estate.plane.kubeconfig_of(SYSTEM, "reeve").await?).await?;
        let shards = ["reeve-leader", "reeve-shard-0", "reeve-shard-31"];
        for (client, work, raids) in [
            (
                &landlord,
                &["reeve-landlord"][..],
                ["reeve-leader", "reeve-shard-0", "any"],
            ),
            (
                &controller,
                &shards[..],
                ["reeve-landlord", "reeve-shard-32", "reeve-shard-007"],
            ),
        ] {
            for name in work {
                let done = leased(client, name).await?;
                let there = |why: &String| why.contains("already exists");
                ensure!(done.as_ref().err().is_none_or(there), "{name}: {done:?}");
            }
            for name in raids {
                let why = leased(client, name).await?.err();
                let why = why.with_context(|| format!("it makes Lease {name}"))?;
                ensure!(why.contains("and no others"), "{name}: {why}");
            }
        }
        Ok(())
    });
}

/// A second release, beside another controller, and the label that says what is the second's.
const LODGE: &str = "lodge";
const FOLLOWED: &str = "sharding.fluxcd.io/key";

/// What is made of a Tenant to be fetched, called and delivered; None: for whoever takes what has no label.
fn delivered(shard: Option<&str>) -> Vec<Value> {
    let (git, notify) = (
        "source.toolkit.fluxcd.io/v1",
        "notification.toolkit.fluxcd.io/v1",
    );
    let source = json!({"spec": {"interval": "1m", "url": "https://git.example/a"}});
    let called = json!({"spec": {
        "type": "github", "secretRef": {"name": "hook"},
        "resources": [{"kind": "GitRepository", "name": "rented"}],
    }});
    let mut all = vec![
        object(git, "GitRepository", Some(CONFIG), "rented", source),
        object(notify, "Receiver", Some(CONFIG), "rented", called),
        kustomization("rented", json!({"serviceAccountName": "flux"})),
    ];
    for one in &mut all {
        let labels = one.pointer_mut("/metadata/labels");
        if let (Some(labels), Some(shard)) = (labels.and_then(Value::as_object_mut), shard) {
            labels.insert(FOLLOWED.to_owned(), json!(shard));
        }
    }
    all
}

#[test]
fn beside_another_controller_the_landlords_token_leaves_nothing_to_that_one() {
    scenario(async {
        let estate = Estate::shared().await?;
        let values = json!({"watchLabelSelector": format!("{FOLLOWED}={LODGE}")});
        beside(&estate.plane, LODGE, values).await?;
        let account = format!("{LODGE}-landlord");
        let client = plane::client(&estate.plane.kubeconfig_of(SYSTEM, &account).await?).await?;
        fenced(&client).await?;
        let namespace = object("v1", "Namespace", None, "rented", json!({}));
        install::apply(&estate.plane, &namespace.to_string()).await?;
        for object in delivered(Some(LODGE)) {
            let done = tried(&client, &object).await;
            ensure!(done.is_ok(), "it cannot do its work: {object}: {done:?}");
        }
        let words = "fetched, called or delivered by another controller";
        for shard in [None, Some("another")] {
            for object in delivered(shard) {
                let why = tried(&client, &object).await.err();
                let why = why.with_context(|| format!("that one has it: {object}"))?;
                ensure!(why.contains(words), "{object}: {why}");
            }
        }

        // Nor is one that is there handed over.
        let mut there = object(
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            Some(CONFIG),
            "lodger",
            json!({"spec": {"interval": "1m", "url": "https://git.example/a", "suspend": true}}),
        );
        if let Some(labels) = there.pointer_mut("/metadata/labels") {
            *labels = json!({
                "reeve.dev/tenant": "lodger", "app.kubernetes.io/managed-by": "reeve-landlord",
                FOLLOWED: LODGE,
            });
        }
        install::apply(&estate.plane, &there.to_string()).await?;
        let sources = objects::api(
            client,
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            Some(CONFIG),
        );
        for shard in [Value::Null, json!("another")] {
            let over = json!({"metadata": {"labels": {FOLLOWED: shard}}});
            let why = patched(&sources, "lodger", &over).await.err();
            let why = why.with_context(|| format!("it hands it over: {over}"))?;
            ensure!(why.contains(words), "{over}: {why}");
        }
        Ok(())
    });
}

/// Waits until the source says this of itself.
async fn told(manor: &Manor, name: &str, reason: &str, words: &str) -> anyhow::Result<()> {
    let (version, kind) = ("source.toolkit.fluxcd.io/v1", "GitRepository");
    let sources = manor.api(version, kind, Some(CONFIG));
    wait::for_object(&sources, name, &format!("{reason}: {words}"), |source| {
        let ready = objects::condition(&source.data, "Ready").unwrap_or_default();
        ready.reason == reason && ready.message.contains(words)
    })
    .await?;
    Ok(())
}

#[test]
fn the_landlords_token_has_no_login_shown_to_a_server_that_no_tenant_names() {
    scenario(async {
        let manor = Manor::open().await?;
        let _repo = manor.repository("acme")?;
        let url = manor.estate.git.url("acme");
        let spec = json!({"namespaces": ["acme"], "source": {"url": url}});
        manor.tenant("acme", spec).await?;
        manor.told("acme", "Succeeded").await?;
        told(&manor, "acme", "Succeeded", "stored artifact").await?;

        let path = manor.estate.plane.kubeconfig_of(SYSTEM, LANDLORD).await?;
        let client = plane::client(&path).await?;
        let (version, kind) = ("source.toolkit.fluxcd.io/v1", "GitRepository");
        let sources = objects::api(client.clone(), version, kind, Some(CONFIG));
        let theirs = "https://thief.example/acme";
        let how = PatchParams::default();
        let led = json!({"spec": {"url": theirs, "secretRef": {"name": "login"}}});
        sources.patch("acme", &how, &Patch::Merge(&led)).await?;
        told(&manor, "acme", "AccessDenied", "not what its Tenant says").await?;
        let back = json!({"spec": {"url": url, "secretRef": null}});
        sources.patch("acme", &how, &Patch::Merge(&back)).await?;
        told(&manor, "acme", "Succeeded", "stored artifact").await?;

        // Its Tenant names no repository.
        manor
            .tenant("bare", json!({"namespaces": ["bare"]}))
            .await?;
        manor.told("bare", "Succeeded").await?;
        let spec = json!({"spec": {"interval": "1m", "url": theirs}});
        let mut made = object(version, kind, Some(CONFIG), "bare", spec);
        if let Some(tenant) = made.pointer_mut("/metadata/labels/reeve.dev~1tenant") {
            *tenant = json!("bare");
        }
        let how = PatchParams::apply("thief");
        sources.patch("bare", &how, &Patch::Apply(&made)).await?;
        told(&manor, "bare", "AccessDenied", "no Tenant of its name").await
    });
}
