//! What the landlord is kept from with its own token, although its role would let it.

mod tokens;

use anyhow::{Context as _, ensure};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use reeve_tests::install::{self, CONFIG, PLATFORM, SYSTEM};
use reeve_tests::landlord::LANDLORD;
use reeve_tests::plane::Plane;
use reeve_tests::{Estate, objects, plane, scenario, wait};
use serde_json::{Value, json};

use super::delivery::beside;
use super::{Manor, RBAC};

/// Asks what would come of applying an object, as that client.
pub(super) async fn tried(client: &Client, object: &Value) -> Result<(), String> {
    let text = |pointer| objects::text(object, pointer);
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    let api = objects::api(
        client.clone(),
        version.unwrap_or_default(),
        kind.unwrap_or_default(),
        text("/metadata/namespace"),
    );
    let how = PatchParams::apply("thief").force().dry_run();
    let name = text("/metadata/name").unwrap_or_default();
    let done = api.patch(name, &how, &Patch::Apply(object)).await;
    done.map(drop).map_err(|why| why.to_string())
}

fn object(version: &str, kind: &str, namespace: Option<&str>, name: &str, more: Value) -> Value {
    let labels = json!({
        "reeve.dev/tenant": "rented", "app.kubernetes.io/managed-by": "reeve-landlord",
    });
    let mut made = json!({
        "apiVersion": version, "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    });
    let (fields, more) = (made.as_object_mut(), more.as_object().cloned());
    if let (Some(fields), Some(more)) = (fields, more) {
        fields.extend(more);
    }
    made
}

fn binding(namespace: &str, name: &str, role: [&str; 2], subject: [&str; 2]) -> Value {
    let [kind, called] = role;
    let [at, account] = subject;
    let group = "rbac.authorization.k8s.io";
    let subject = json!({"kind": "ServiceAccount", "name": account, "namespace": at});
    let role = json!({"apiGroup": group, "kind": kind, "name": called});
    let more = json!({"roleRef": role, "subjects": [subject]});
    object(RBAC, "RoleBinding", Some(namespace), name, more)
}

fn grant(verbs: &[&str]) -> Value {
    let rule = json!({"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["flux"], "verbs": verbs});
    let more = json!({"rules": [rule]});
    object(RBAC, "Role", Some("rented"), "reeve-delivery", more)
}

/// What it is there for, in an onboarded namespace.
fn its_work() -> Vec<Value> {
    let home = [SYSTEM, "reeve"];
    let source = json!({"spec": {"interval": "1m", "url": "https://git.example/a"}});
    let (api, kind) = ("source.toolkit.fluxcd.io/v1", "GitRepository");
    vec![
        object("v1", "Namespace", None, "rented", json!({})),
        object("v1", "Namespace", None, "another", json!({})),
        object("v1", "ServiceAccount", Some("rented"), "flux", json!({})),
        binding(
            "rented",
            "reeve-admin",
            ["ClusterRole", "admin"],
            ["rented", "flux"],
        ),
        grant(&["impersonate"]),
        binding("rented", "reeve-delivery", ["Role", "reeve-delivery"], home),
        object(api, kind, Some(CONFIG), "rented", source),
        kustomization("rented", json!({"serviceAccountName": "flux"})),
    ]
}

fn kustomization(namespace: &str, more: Value) -> Value {
    let source = json!({"kind": "GitRepository", "name": "rented", "namespace": CONFIG});
    let mut spec = json!({"interval": "1h", "path": "./", "prune": true, "sourceRef": source});
    if let (Some(fields), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        fields.extend(more.clone());
    }
    let version = "kustomize.toolkit.fluxcd.io/v1";
    object(
        version,
        "Kustomization",
        Some(namespace),
        "rented",
        json!({"spec": spec}),
    )
}

/// What somebody tries, the object, and words of what stops it.
type Raid = (&'static str, Value, &'static str);

const FENCE: &str = "makes nothing in namespaces of the platform";
const ADMIN: [&str; 2] = ["ClusterRole", "admin"];

fn without_labels(mut object: Value) -> Value {
    if let Some(meta) = object
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)
    {
        meta.remove("labels");
    }
    object
}

/// What whoever has its token would try to have as a tenant's.
fn on_namespaces() -> Vec<Raid> {
    let named = |name: &str| object("v1", "Namespace", None, name, json!({}));
    let theirs = "takes over none";
    vec![
        (
            "one without a tenant",
            without_labels(named("nobodys")),
            theirs,
        ),
        (
            "one that is there becomes a tenant's",
            named("default"),
            theirs,
        ),
        ("one of Kubernetes'", named("kube-system"), FENCE),
        ("one of the platform", named(PLATFORM), FENCE),
    ]
}

/// What rights it would give, to itself or where nobody is onboarded.
fn on_rights() -> Vec<Raid> {
    let mine = |at: &str| binding(at, "mine", ADMIN, [at, "flux"]);
    let itself = [SYSTEM, LANDLORD];
    let everything = ["ClusterRole", "cluster-admin"];
    let everything = binding("rented", "mine", everything, ["rented", "flux"]);
    let acts = ["Role", "reeve-delivery"];
    let acts = binding("rented", "reeve-delivery", acts, itself);
    let listed = "binds only listed roles";
    let rented = "works only in namespaces that are labelled";
    let more = grant(&["impersonate", "create"]);
    let quota = json!({"spec": {"hard": {"pods": "0"}}});
    let mut two = grant(&["impersonate"]);
    if let Some(rules) = two.pointer_mut("/rules").and_then(Value::as_array_mut) {
        rules.extend(rules.first().cloned());
    }
    vec![
        ("in a namespace of nobody's", mine("default"), rented),
        ("in one of Kubernetes'", mine("kube-system"), FENCE),
        ("in one of the platform's", mine(PLATFORM), FENCE),
        ("the role of everything", everything, "forbidden"),
        (
            "for itself",
            binding("rented", "mine", ADMIN, itself),
            listed,
        ),
        ("to act as the account for itself", acts, listed),
        ("more than to act", more, "makes no role but that"),
        ("as two accounts", two, "makes no role but that"),
        (
            "in a binding of somebody else's",
            mine("rented"),
            "of its own names only",
        ),
        (
            "a quota of somebody else's",
            object("v1", "ResourceQuota", Some("rented"), "ours", quota),
            "of its own names only",
        ),
    ]
}

/// What it would have delivered.
fn on_deliveries() -> Vec<Raid> {
    let platform = json!({"serviceAccountName": "kustomize-controller"});
    let spec = json!({"spec": {"interval": "1m", "url": "https://git.example/evil"}});
    let (api, kind) = ("source.toolkit.fluxcd.io/v1", "GitRepository");
    let by_hand = object(api, kind, Some(CONFIG), "by-hand", spec.clone());
    let another = object(api, kind, Some(CONFIG), "another", spec.clone());
    let mut unmarked = object(api, kind, Some(CONFIG), "rented", spec);
    if let Some(labels) = unmarked.pointer_mut("/metadata/labels") {
        *labels = json!({"reeve.dev/tenant": "rented"});
    }
    let elsewhere = json!({
        "serviceAccountName": "flux",
        "sourceRef": {"kind": "GitRepository", "name": "by-hand", "namespace": CONFIG},
    });
    let patched = json!({
        "serviceAccountName": "flux", "patches": [{"patch": "{}", "target": {"kind": "Deployment"}}],
    });
    let resumed = json!({"serviceAccountName": "flux", "suspend": false});
    let afar = json!({"serviceAccountName": "flux", "targetNamespace": "default"});
    let signed = json!({"spec": {
        "interval": "1m", "url": "https://git.example/a",
        "verify": {"mode": "HEAD", "secretRef": {"name": "keys-of-a-thief"}},
    }});
    let more = "no more than is made of a Tenant";
    let nobody = "has nothing delivered but as an account";
    let sources = "changes sources of tenants only";
    let its_own = "makes of a Tenant one source";
    vec![
        ("from a source of its own naming", another, its_own),
        ("from one that nobody knows for its", unmarked, its_own),
        (
            "what is not the tenant's",
            kustomization("rented", elsewhere),
            "but from the source of that Tenant",
        ),
        (
            "into another namespace",
            kustomization("rented", afar),
            "but from the source of that Tenant",
        ),
        ("patched on its way", kustomization("rented", patched), more),
        ("begun again", kustomization("rented", resumed), more),
        (
            "signed by a thief",
            object(api, kind, Some(CONFIG), "rented", signed),
            more,
        ),
        ("as the platform", kustomization(PLATFORM, platform), FENCE),
        (
            "as nobody in particular",
            kustomization("rented", json!({})),
            nobody,
        ),
        (
            "from a source that was made by hand",
            without_labels(by_hand),
            sources,
        ),
    ]
}

/// The fence is up: the API server takes a moment to have read it.
pub(super) async fn fenced(client: &Client) -> anyhow::Result<()> {
    let unlabelled = without_labels(object("v1", "Namespace", None, "early", json!({})));
    wait::until(wait::PATIENCE, "the fence is up", || async {
        let denied = tried(client, &unlabelled).await.err()?;
        denied.contains("takes over none").then_some(())
    })
    .await
}

#[test]
fn the_landlords_token_makes_nothing_outside_of_what_is_onboarded() {
    scenario(async {
        let estate = Estate::shared().await?;
        let client = plane::client(&estate.plane.kubeconfig_of(SYSTEM, LANDLORD).await?).await?;
        fenced(&client).await?;
        let namespace = object("v1", "Namespace", None, "rented", json!({}));
        install::apply(&estate.plane, &namespace.to_string()).await?;
        let by_hand = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "by-hand", "namespace": CONFIG},
            "spec": {"interval": "1h", "url": "https://git.example/good", "suspend": true},
        });
        install::apply(&estate.plane, &by_hand.to_string()).await?;
        for object in its_work() {
            let done = tried(&client, &object).await;
            ensure!(done.is_ok(), "it cannot do its work: {object}: {done:?}");
        }
        let raids = [on_namespaces(), on_rights(), on_deliveries()];
        for (what, object, words) in raids.into_iter().flatten() {
            let why = tried(&client, &object).await.err();
            let why = why.with_context(|| format!("{what} is let through: {object}"))?;
            ensure!(why.contains(words), "{what}: no {words:?} in {why}");
        }
        let bindings = objects::api(client, RBAC, "RoleBinding", Some(SYSTEM));
        let gone = bindings.delete("reeve-own", &DeleteParams::default()).await;
        ensure!(gone.is_err(), "it takes the controller's rights");
        Ok(())
    });
}

const MADE: (&str, &str) = ("reeve.dev/made-by", "reeve-landlord");
const CONFIRMED: (&str, &str) = ("reeve.dev/confirm-delete", "1");

fn noted(name: &str, notes: &[(&str, &str)]) -> Value {
    let mut namespace = object("v1", "Namespace", None, name, json!({}));
    let notes: serde_json::Map<String, Value> = notes
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    if let Some(meta) = namespace
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)
    {
        meta.insert("annotations".to_owned(), Value::Object(notes));
    }
    namespace
}

/// What would come of a change of an object by the landlord.
pub(super) async fn patched(
    api: &Api<DynamicObject>,
    name: &str,
    change: &Value,
) -> Result<(), String> {
    let how = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let done = api.patch(name, &how, &Patch::Merge(change)).await;
    done.map(drop).map_err(|why| why.to_string())
}

const BELONGS: &str = "says of nothing to whom it belongs";

/// An owner that is not there: whatever belongs to it alone the garbage collector deletes.
fn orphaned() -> Value {
    json!({"metadata": {"ownerReferences": [{
        "apiVersion": "v1", "kind": "Namespace", "name": "nobody",
        "uid": "00000000-0000-0000-0000-000000000000",
    }]}})
}

/// It holds a Tenant, and changes nothing else of it.
async fn holds_tenants_only(plane: &Plane, client: Client) -> anyhow::Result<()> {
    let spec = json!({"spec": {"namespaces": ["fenced"]}});
    let tenant = object("reeve.dev/v1alpha1", "Tenant", None, "fenced", spec);
    install::apply(plane, &tenant.to_string()).await?;
    let tenants = objects::api(client, "reeve.dev/v1alpha1", "Tenant", None);
    let held = json!({"metadata": {"finalizers": ["reeve.dev/landlord"]}});
    let done = patched(&tenants, "fenced", &held).await;
    ensure!(done.is_ok(), "it cannot hold a Tenant: {done:?}");
    let only = "holds Tenants and lets them go";
    for (change, words) in [
        (json!({"spec": {"role": "edit"}}), only),
        (json!({"metadata": {"annotations": {"a": "b"}}}), only),
        (json!({"metadata": {"labels": {"a": "b"}}}), only),
        (
            json!({"metadata": {"finalizers": ["example.com/never"]}}),
            only,
        ),
        (orphaned(), BELONGS),
    ] {
        let why = patched(&tenants, "fenced", &change).await.err();
        let why = why.with_context(|| format!("it changes {change}"))?;
        ensure!(why.contains(words), "{why}");
    }
    Ok(())
}

#[test]
fn the_landlords_token_deletes_no_namespace_that_nobody_has_confirmed_and_changes_no_tenant() {
    scenario(async {
        let estate = Estate::shared().await?;
        let client = plane::client(&estate.plane.kubeconfig_of(SYSTEM, LANDLORD).await?).await?;
        fenced(&client).await?;
        let theirs = [
            ("only-made", vec![MADE]),
            ("only-confirmed", vec![CONFIRMED]),
            ("neither", vec![]),
            ("both", vec![MADE, CONFIRMED]),
        ];
        for (name, notes) in &theirs {
            install::apply(&estate.plane, &noted(name, notes).to_string()).await?;
        }
        let namespaces = objects::api(client.clone(), "v1", "Namespace", None);
        let never = json!({"metadata": {"finalizers": ["example.com/never"]}});
        for (change, words) in [
            (orphaned(), BELONGS),
            (never, "has nothing wait for anybody"),
        ] {
            let why = patched(&namespaces, "neither", &change).await.err();
            let why = why.with_context(|| format!("it changes {change}"))?;
            ensure!(why.contains(words), "{why}");
        }
        let how = DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        };
        for (name, notes) in &theirs {
            let gone = namespaces.delete(name, &how).await.err();
            let gone = gone.map(|why| why.to_string());
            match &gone {
                None => ensure!(notes.len() == 2, "{name} is deleted"),
                Some(why) => ensure!(
                    notes.len() < 2 && why.contains("deletes only namespaces that it has made"),
                    "{name}: {why}"
                ),
            }
        }
        for (what, object) in [
            ("it confirms", noted("only-made", &[MADE, CONFIRMED])),
            (
                "it has made it",
                noted("only-confirmed", &[MADE, CONFIRMED]),
            ),
            ("it confirms beforehand", noted("unborn", &[CONFIRMED])),
        ] {
            let why = tried(&client, &object).await.err();
            let why = why.with_context(|| format!("{what}: {object}"))?;
            ensure!(why.contains("confirms nothing"), "{what}: {why}");
        }
        holds_tenants_only(&estate.plane, client).await?;
        Ok(())
    });
}
