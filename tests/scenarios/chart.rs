//! The charts, by the real helm on the real API server: what they render, what they install and leave behind, and what the
//! controller may do under their rights. That every other scenario runs under the same rights is `estate::chart`'s.

mod release;
mod render;
mod rights;
mod upgrade;

use reeve_tests::chart;
use serde_json::{Value, json};

/// The estate's values with some others; objects are merged as helm would.
fn with(more: &Value) -> Value {
    let mut values = chart::values();
    merge(&mut values, more);
    values
}

fn merge(into: &mut Value, more: &Value) {
    match (into.as_object_mut(), more.as_object()) {
        (Some(fields), Some(more)) => {
            for (key, value) in more {
                merge(fields.entry(key).or_insert(Value::Null), value);
            }
        }
        _ => *into = more.clone(),
    }
}

/// Every switch on, and every list that says something, with something in it.
fn everything() -> Value {
    let policies = [
        ("allowed-kinds", json!({"allowed": ["ConfigMap"]})),
        (
            "allowed-registries",
            json!({"registries": ["registry.example"]}),
        ),
        (
            "ingress-hosts",
            json!({"domains": {"acme": ["*.acme.example"]}}),
        ),
        ("no-cluster-scope", json!({"allowed": ["Namespace"]})),
        ("no-privilege-escalation", json!({"clusterRoles": ["view"]})),
        (
            "pod-security",
            json!({"templates": {"Rollout.argoproj.io": "spec.template"}}),
        ),
        ("protected-objects", json!({"kinds": ["Secret"]})),
        ("required-labels", json!({"labels": {"team": "[a-z]+"}})),
    ];
    let scope = json!({"namespaces": ["acme"], "objects": [{"group": "", "kind": "Pod"}]});
    let policy = |(name, parameters): (&str, Value)| {
        let policy = json!({
            "enabled": true, "mode": "warn", "ratchet": true, "parameters": parameters, "scope": scope,
        });
        (name.to_owned(), policy)
    };
    let policies: serde_json::Map<String, Value> = policies.into_iter().map(policy).collect();
    let on = json!({"enabled": true});
    let mut values = with(&json!({
        "image": {"repository": "registry.example/reeve", "pullSecrets": ["pull"]},
        "replicas": 3, "sharding": {"enabled": true}, "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "podLabels": {"team": "platform"}, "podAnnotations": {"a": "b"},
        "impersonateIn": ["default"], "landlord": {"replicas": 2, "roles": ["view", "edit"]}, "tenantRoles": {"view": true, "edit": true},
        "remoteBases": ["https://git.example/acme/*"], "allowRemoteClusters": ["api.example"],
        "clusterName": "prod", "watchLabelSelector": "sharding.fluxcd.io/key=reeve", "traces": {"endpoint": "http://otel:4318", "ratio": 0.25}, "receiver": {"url": "https://hooks.example", "trustedProxies": ["10.244.0.0/16", "fd00::1"]},
        "git": {"knownHosts": "hosts", "generateKeys": true, "config": {
            "author": {"email": "bot@git.example"},
            "auths": [{"url": "git@git.example:acme/*", "pullingInterval": "20s",
                "credentials": {"ssh": {"private_key": "a\nkey\n", "known_hosts": "git.example ssh-ed25519 AAAA"}}}],
        }},
        "cluster": {"git": {
            "url": "ssh://git@git.example/acme/clusters.git", "branch": "live", "path_prefix": "east", "propose": true,
            "credentials": {"ssh": {"private_key": "a\nkey\n", "private_key_password": "words", "known_hosts": "git.example ssh-ed25519 AAAA"}},
        }},
        "remoteBaseMirrors": {"https://git.example/": "https://mirror.example/"},
        "tenantLimits": {
            "reconcilesPerMinute": 60, "renderMillisecondsPerMinute": 30_000, "writesPerMinute": 1000,
            "objects": 5000, "kustomizations": 100,
        },
        "concurrency": {"kustomizations": 4, "sources": 4},
        "extraArgs": ["--admission-authority-lifetime=86400"],
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "ingress": {"enabled": true, "className": "nginx", "tlsSecret": "hooks", "annotations": {"a": "b"}},
        "networkPolicy": {"apiServers": ["10.0.0.1/32", "fd00::1/128"]},
        "metrics": {"podMonitor": on, "serviceMonitor": on, "alerts": on, "dashboard": on},
    }));
    values["policies"] = Value::Object(policies);
    values
}
