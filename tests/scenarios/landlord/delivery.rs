//! What the controller's stolen token is kept from although its roles would let it: the specs of its own kinds, Secrets that others
//! read, policies, and what the API server shows its webhook.

use anyhow::{Context as _, ensure};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use reeve_tests::chart::Release;
use reeve_tests::install::{self, CONFIG, SYSTEM};
use reeve_tests::landlord::LANDLORD;
use reeve_tests::plane::{self, Plane};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::fence::fenced;

const GIT: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
const NOTIFY: &str = "notification.toolkit.fluxcd.io/v1";
const WEBHOOKS: (&str, &str) = (
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
);
/// A second controller of another name, with everything on that Secrets and labels are made for.
const KEYED: &str = "keyed";
const MINE: (&str, &str) = ("sharding.fluxcd.io/key", "keyed");

/// The shared estate, and its controller's own token, once the fences are up.
async fn stolen() -> anyhow::Result<(&'static Estate, Client)> {
    let estate = Estate::shared().await?;
    let landlord = plane::client(&estate.plane.kubeconfig_of(SYSTEM, LANDLORD).await?).await?;
    // All fences are read at once.
    fenced(&landlord).await?;
    let client = plane::client(&estate.plane.kubeconfig_of(SYSTEM, "reeve").await?).await?;
    Ok((estate, client))
}

/// What would come of a change, by whoever the API is asked as.
async fn patched(api: &Api<DynamicObject>, name: &str, change: &Value) -> Result<(), String> {
    let how = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let done = api.patch(name, &how, &Patch::Merge(change)).await;
    done.map(drop).map_err(|why| why.to_string())
}

/// Everything that is tried is refused, in these words.
async fn refused(
    api: &Api<DynamicObject>,
    name: &str,
    raids: &[(Value, &str)],
) -> anyhow::Result<()> {
    for (change, words) in raids {
        let why = patched(api, name, change).await.err();
        let why = why.with_context(|| format!("{name} is changed: {change}"))?;
        ensure!(why.contains(words), "{change}: no {words:?} in {why}");
    }
    Ok(())
}

fn meta(more: Value) -> Value {
    json!({"metadata": more})
}

fn nobody() -> Value {
    json!([{
        "apiVersion": "v1", "kind": "Namespace", "name": "nobody",
        "uid": "00000000-0000-0000-0000-000000000000",
    }])
}

/// One of each of its own kinds, which nobody works on.
fn held() -> [Value; 3] {
    let one = |version: &str, kind: &str, spec: Value| {
        json!({
            "apiVersion": version, "kind": kind,
            "metadata": {
                "name": "held", "namespace": CONFIG, "labels": {"kept": "yes"},
                "annotations": {"kept": "yes"},
            },
            "spec": spec,
        })
    };
    let source = json!({"kind": "GitRepository", "name": "held"});
    [
        one(
            GIT,
            "GitRepository",
            json!({"interval": "1h", "url": "https://git.example/good", "suspend": true}),
        ),
        one(
            KUSTOMIZE,
            "Kustomization",
            json!({"interval": "1h", "path": "./", "prune": true, "sourceRef": source, "suspend": true}),
        ),
        one(
            NOTIFY,
            "Receiver",
            json!({"type": "generic", "secretRef": {"name": "held"}, "resources": [source], "suspend": true}),
        ),
    ]
}

/// What it would change of any of them.
fn on_its_own() -> Vec<(Value, &'static str)> {
    let holds = "holds them and lets them go, and changes nothing else of them";
    let notes = "notes on its own kinds only that they were called";
    vec![
        (json!({"spec": {"suspend": false}}), holds),
        (meta(json!({"labels": {"kept": null}})), holds),
        (meta(json!({"labels": {"stolen": "yes"}})), holds),
        (meta(json!({"ownerReferences": nobody()})), holds),
        (meta(json!({"finalizers": ["example.com/never"]})), holds),
        (meta(json!({"annotations": {"kept": "no"}})), notes),
        (meta(json!({"annotations": {"kept": null}})), notes),
        (
            meta(json!({"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}})),
            notes,
        ),
    ]
}

#[test]
fn the_controllers_token_changes_no_spec_no_label_and_no_owner_of_what_it_works_for() {
    scenario(async {
        let (estate, client) = stolen().await?;
        for object in held() {
            install::apply(&estate.plane, &object.to_string()).await?;
            let text = |pointer| objects::text(&object, pointer).unwrap_or_default();
            let api = objects::api(
                client.clone(),
                text("/apiVersion"),
                text("/kind"),
                Some(CONFIG),
            );
            for work in [
                meta(json!({"finalizers": ["finalizers.fluxcd.io"]})),
                meta(json!({"finalizers": null})),
                meta(
                    json!({"annotations": {"reeve.dev/called-at": "now", "reeve.dev/called-by": "a/b"}}),
                ),
                meta(
                    json!({"annotations": {"reeve.dev/called-for": "many", "reeve.dev/called-in": null}}),
                ),
            ] {
                let done = patched(&api, "held", &work).await;
                ensure!(done.is_ok(), "it cannot do its work: {work}: {done:?}");
            }
            refused(&api, "held", &on_its_own()).await?;
        }
        let url = json!({"spec": {"url": "https://thief.example/a"}});
        let sources = objects::api(client, GIT, "GitRepository", Some(CONFIG));
        refused(&sources, "held", &[(url, "changes nothing else of them")]).await
    });
}

#[test]
fn the_controllers_token_deletes_no_policy_but_a_replay() {
    scenario(async {
        let (estate, client) = stolen().await?;
        let policy = |name: &str, more: Value| {
            let mut spec = json!({"shipped": "pod-security", "scope": {"namespaces": ["nobodys"]}});
            if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
                spec.extend(more.clone());
            }
            json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name},
                "spec": spec,
            })
        };
        for one in [
            policy("kept", json!({"mode": "audit"})),
            policy("asked", json!({"mode": "audit", "replay": {}})),
        ] {
            install::apply(&estate.plane, &one.to_string()).await?;
        }
        let policies = objects::api(client, "reeve.dev/v1alpha1", "Policy", None);
        let how = DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        };
        policies.delete("asked", &how).await?;
        let why = policies.delete("kept", &how).await.err();
        let why = why.context("it deletes a policy")?.to_string();
        ensure!(why.contains("deletes no policy but a replay"), "{why}");
        let off = json!({"spec": {"mode": "audit"}});
        refused(&policies, "kept", &[(off, "forbidden")]).await
    });
}

fn secret(name: &str, kind: &str, data: &Value) -> anyhow::Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind, "data": data,
        "metadata": {
            "name": name, "namespace": SYSTEM, "labels": {"owner": "helm"},
            "annotations": {"kubernetes.io/service-account.name": LANDLORD},
        },
    }))?)
}

/// What would come of making a Secret.
async fn made(
    client: &Client,
    name: &str,
    kind: &str,
    data: &Value,
) -> anyhow::Result<Result<(), String>> {
    let api = objects::api(client.clone(), "v1", "Secret", Some(SYSTEM));
    let how = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let done = api.create(&how, &secret(name, kind, data)?).await;
    Ok(done.map(drop).map_err(|why| why.to_string()))
}

const TOKEN: &str = "kubernetes.io/service-account-token";
const HELM: &str = "helm.sh/release.v1";
const FORGED: &str = "sh.helm.release.v1.reeve.v99";
const BY_TYPE: &str = "makes no token of an account";
const BY_NAME: &str = "makes and changes no Secrets but those of its certificates";

#[test]
fn the_controllers_token_is_no_way_to_the_token_of_another_account_nor_to_helms_releases() {
    scenario(async {
        let (_estate, client) = stolen().await?;
        let certificates = json!({"ca.crt": "YQ==", "tls.key": "YQ=="});
        let release = json!({"release": "YQ=="});
        let work = made(&client, "reeve-admission", "Opaque", &certificates).await?;
        let there = |why: &String| why.contains("already exists");
        ensure!(work.as_ref().err().is_none_or(there), "{work:?}");
        for (name, kind, data, words) in [
            ("stolen", TOKEN, json!({}), BY_TYPE),
            ("reeve-admission", TOKEN, json!({}), BY_TYPE),
            (FORGED, HELM, release.clone(), BY_TYPE),
            (FORGED, "Opaque", release.clone(), BY_NAME),
            ("reeve-admission", "Opaque", release, BY_NAME),
            ("stolen", "Opaque", certificates, BY_NAME),
        ] {
            let why = made(&client, name, kind, &data).await?.err();
            let why = why.with_context(|| format!("it makes {name} of type {kind}: {data}"))?;
            let there = name == "reeve-admission" && why.contains("already exists");
            ensure!(there || why.contains(words), "{name}: {why}");
        }
        Ok(())
    });
}

/// The rights and fences of another release, of that name, beside the estate's own.
pub(super) async fn beside(plane: &Plane, name: &str, more: Value) -> anyhow::Result<()> {
    let mut values = json!({"fullnameOverride": name, "createNamespaces": false});
    json_patch(&mut values, &more);
    let release = Release::render(SYSTEM, &values, &[]).await?;
    let file = plane.room(name)?.join("rights.json");
    std::fs::write(&file, install::list(&release.rights()).to_string())?;
    let file = format!("--filename={}", file.display());
    let manager = format!("--field-manager={name}");
    let how = ["apply", "--server-side", &manager, "--force-conflicts"];
    install::kubectl(plane, &[&how[..], &[file.as_str()]].concat()).await?;
    Ok(())
}

/// The other controller's token.
async fn keyed(plane: &Plane) -> anyhow::Result<Client> {
    let (label, value) = MINE;
    let values = json!({
        "landlord": {"enabled": false}, "git": {"generateKeys": true},
        "watchLabelSelector": format!("{label}={value}"),
    });
    beside(plane, KEYED, values).await?;
    let client = plane::client(&plane.kubeconfig_of(SYSTEM, KEYED).await?).await?;
    wait::until(wait::PATIENCE, "its fence is up", || async {
        let told = made(&client, FORGED, "Opaque", &json!({"release": "YQ=="})).await;
        told.ok()?.err()?.contains(BY_NAME).then_some(())
    })
    .await?;
    Ok(client)
}

#[test]
fn with_the_right_to_make_keys_the_token_changes_nothing_but_keys() {
    scenario(async {
        let estate = Estate::shared().await?;
        let client = keyed(&estate.plane).await?;
        let pair = json!({"identity": "YQ==", "identity.pub": "YQ=="});
        let work = made(&client, "fresh", "Opaque", &pair).await?;
        ensure!(work.is_ok(), "it makes no key: {work:?}");
        for (data, kind, words) in [
            (pair.clone(), TOKEN, BY_TYPE),
            (pair, HELM, BY_TYPE),
            (
                json!({"identity": "YQ==", "release": "YQ=="}),
                "Opaque",
                BY_NAME,
            ),
        ] {
            let why = made(&client, "fresh", kind, &data).await?.err();
            let why = why.with_context(|| format!("it makes {kind}: {data}"))?;
            ensure!(why.contains(words), "{kind}: {why}");
        }

        let there = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": SYSTEM},
            "data": {"identity": "YQ==", "known_hosts": "YQ=="},
        });
        install::apply(&estate.plane, &there.to_string()).await?;
        // It replaces them, and nobody lets it patch.
        let api = objects::api(client, "v1", "Secret", Some(SYSTEM));
        let replaced = async |change: &Value| {
            let mut all = serde_json::to_value(&api.get("login").await?)?;
            json_patch(&mut all, change);
            let object: DynamicObject = serde_json::from_value(all)?;
            let how = PostParams {
                dry_run: true,
                ..PostParams::default()
            };
            let done = api.replace("login", &how, &object).await;
            anyhow::Ok(done.map(drop).map_err(|why| why.to_string()))
        };
        let work =
            replaced(&json!({"data": {"identity": "Yg==", "identity.next": "Yw=="}})).await?;
        ensure!(work.is_ok(), "it puts no other key in: {work:?}");
        let says = "says of no Secret whose it is";
        for (change, words) in [
            (json!({"data": {"known_hosts": "Yg=="}}), BY_NAME),
            (json!({"data": {"known_hosts": null}}), BY_NAME),
            (json!({"data": {"username": "Yg=="}}), BY_NAME),
            (meta(json!({"labels": {"owner": "helm"}})), says),
            (meta(json!({"ownerReferences": nobody()})), says),
            (meta(json!({"annotations": {"a": "b"}})), says),
        ] {
            let why = replaced(&change).await?.err();
            let why = why.with_context(|| format!("it changes {change}"))?;
            ensure!(why.contains(words), "{change}: {why}");
        }
        Ok(())
    });
}

/// Merges as the API server would; null takes away.
fn json_patch(into: &mut Value, change: &Value) {
    let Some(change) = change.as_object() else {
        *into = change.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in change {
        let Some(fields) = into.as_object_mut() else {
            return;
        };
        match value {
            Value::Null => drop(fields.remove(key)),
            value => json_patch(fields.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}

#[test]
fn beside_another_controller_the_token_writes_nothing_that_is_that_ones() {
    scenario(async {
        let estate = Estate::shared().await?;
        let client = keyed(&estate.plane).await?;
        let (label, value) = MINE;
        for (name, labels) in [
            ("theirs", json!({"kept": "yes"})),
            ("mine", json!({label: value})),
        ] {
            let [mut source, ..] = held();
            json_patch(&mut source, &meta(json!({"name": name, "labels": null})));
            json_patch(&mut source, &meta(json!({"labels": labels})));
            install::apply(&estate.plane, &source.to_string()).await?;
        }
        let api = objects::api(client, GIT, "GitRepository", Some(CONFIG));
        let artifact = json!({
            "digest": format!("sha256:{:064}", 0), "path": "a", "revision": "main@sha1:0",
            "url": "https://thief.example/a.tar.gz", "lastUpdateTime": "2026-01-01T00:00:00Z",
        });
        let told = json!({"status": {"artifact": artifact}});
        let how = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        api.patch_status("mine", &how, &Patch::Merge(&told)).await?;
        let holds = meta(json!({"finalizers": ["finalizers.fluxcd.io"]}));
        let done = patched(&api, "mine", &holds).await;
        ensure!(done.is_ok(), "it cannot do its work: {done:?}");

        let theirs = "changes nothing of what another controller has";
        let forged = api.patch_status("theirs", &how, &Patch::Merge(&told)).await;
        let why = forged.err().context("it forges an artifact")?.to_string();
        ensure!(why.contains(theirs), "{why}");
        let called = meta(json!({"annotations": {"reeve.dev/called-at": "now"}}));
        refused(&api, "theirs", &[(called, theirs)]).await
    });
}

/// A webhook of the other controller's name; nobody serves what it asks about.
fn webhook() -> Value {
    let (version, kind) = WEBHOOKS;
    json!({
        "apiVersion": version, "kind": kind,
        "metadata": {"name": KEYED},
        "webhooks": [{
            "name": "admission.reeve.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Ignore",
            "clientConfig": {"service": {"name": "keyed-admission", "namespace": SYSTEM, "path": "/validate"}},
            "rules": [{
                "apiGroups": ["nobody.example"], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["things"],
            }],
        }],
    })
}

#[test]
fn the_controllers_token_has_the_api_server_show_its_webhook_nothing_else() {
    scenario(async {
        let estate = Estate::shared().await?;
        let client = keyed(&estate.plane).await?;
        install::apply(&estate.plane, &webhook().to_string()).await?;
        let (version, kind) = WEBHOOKS;
        let api = objects::api(client, version, kind, None);
        let there = serde_json::to_value(api.get(KEYED).await?)?;
        let changed = |at: &str, value: Value| {
            let mut webhooks = there["webhooks"].clone();
            if let Some(place) = webhooks.pointer_mut(at) {
                json_patch(place, &value);
            }
            json!({"webhooks": webhooks})
        };
        let trusted = changed("/0/clientConfig", json!({"caBundle": "Cg=="}));
        let work = patched(&api, KEYED, &trusted).await;
        ensure!(work.is_ok(), "it cannot do its work: {work:?}");

        let rule = json!([{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["secrets"],
        }]);
        let thief = json!({"service": null, "url": "https://thief.example/"});
        let mut two = there["webhooks"].clone();
        if let Some(all) = two.as_array_mut() {
            let mut second = all.first().cloned().unwrap_or_default();
            json_patch(&mut second, &json!({"name": "second.reeve.dev"}));
            all.push(second);
        }
        let says = "says of its webhook whom the API server trusts, and nothing else";
        let raids = [
            changed("/0", json!({"rules": rule})),
            changed("/0/clientConfig", thief),
            changed(
                "/0/clientConfig",
                json!({"service": {"namespace": "default"}}),
            ),
            changed("/0", json!({"failurePolicy": "Fail"})),
            changed("/0", json!({"timeoutSeconds": 30})),
            changed(
                "/0",
                json!({"matchConditions": [{"name": "a", "expression": "true"}]}),
            ),
            json!({"webhooks": two}),
            json!({"webhooks": []}),
            meta(json!({"ownerReferences": nobody()})),
            meta(json!({"labels": {"a": "b"}})),
        ];
        let raids: Vec<(Value, &str)> = raids.into_iter().map(|raid| (raid, says)).collect();
        refused(&api, KEYED, &raids).await
    });
}
