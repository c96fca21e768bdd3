//! Objects of many kinds, whose references name each other.

use super::dice::Dice;
use super::scalar::{any, flag, name, namespace, number, pairs, trap, variable, word};
use super::workload;
use super::yaml::{Yaml, flow, map, plain, texts};

/// An object that is somewhere in the tree, as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Made {
    pub(super) api: &'static str,
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
}

/// The objects that a directory knows of, and those that nobody else may make.
#[derive(Default)]
pub(super) struct Known {
    pub(super) here: Vec<Made>,
    pub(super) anywhere: Vec<Made>,
}

impl Known {
    /// Whether there is no such object. What has no namespace is in the one that is called default.
    pub(super) fn is_new(&self, made: &Made) -> bool {
        let namespace = |of: &Made| of.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let is = |old: &Made| {
            old.kind == made.kind && old.name == made.name && namespace(old) == namespace(made)
        };
        !self.anywhere.iter().any(is)
    }

    pub(super) fn push(&mut self, made: Made) {
        self.anywhere.push(made.clone());
        self.here.push(made);
    }
}

/// `apiVersion`, kind, and whether it lives in a namespace.
const KINDS: [(&str, &str, bool); 30] = [
    ("apps/v1", "Deployment", true),
    ("apps/v1", "Deployment", true),
    ("apps/v1", "Deployment", true),
    ("apps/v1", "StatefulSet", true),
    ("apps/v1", "DaemonSet", true),
    ("batch/v1", "Job", true),
    ("batch/v1", "CronJob", true),
    ("v1", "Pod", true),
    ("v1", "ConfigMap", true),
    ("v1", "ConfigMap", true),
    ("v1", "Secret", true),
    ("v1", "Secret", true),
    ("v1", "Service", true),
    ("v1", "Service", true),
    ("v1", "ServiceAccount", true),
    ("rbac.authorization.k8s.io/v1", "Role", true),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", true),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", false),
    ("networking.k8s.io/v1", "Ingress", true),
    ("networking.k8s.io/v1", "NetworkPolicy", true),
    ("policy/v1", "PodDisruptionBudget", true),
    ("autoscaling/v2", "HorizontalPodAutoscaler", true),
    ("v1", "PersistentVolumeClaim", true),
    ("v1", "PersistentVolume", false),
    ("storage.k8s.io/v1", "StorageClass", false),
    ("v1", "Namespace", false),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        false,
    ),
    ("apiregistration.k8s.io/v1", "APIService", false),
    ("example.com/v1", "Widget", true),
];

/// An object none of which is in `known` yet, which it joins.
pub(super) fn object(dice: &mut Dice, known: &mut Known) -> Yaml {
    let made = loop {
        let (api, kind, namespaced) = dice.one(&KINDS).copied().expect("because there are kinds");
        let namespace = (namespaced && dice.chance(35)).then(|| namespace(dice).to_owned());
        let made = Made {
            api,
            kind,
            name: name(dice).to_owned(),
            namespace,
        };
        // One in a hundred may be there twice, which is an error or not.
        if known.is_new(&made) || dice.chance(1) {
            break made;
        }
    };
    let mut meta = map([("name", plain(made.name.clone()))]);
    if let Some(namespace) = &made.namespace {
        meta.put("namespace", plain(namespace.clone()));
    }
    if dice.chance(70) {
        meta.put("labels", pairs(dice, word).with("app", plain(name(dice))));
    }
    if dice.chance(40) {
        let value = if dice.chance(50) { variable } else { quoted };
        meta.put("annotations", pairs(dice, value).with("note", word(dice)));
    }
    let head = map([
        ("apiVersion", plain(made.api)),
        ("kind", plain(made.kind)),
        ("metadata", meta),
    ]);
    let object = body(dice, made.kind, head);
    known.push(made);
    object
}

/// Annotations must be texts, or the object is none.
pub(super) fn quoted(dice: &mut Dice) -> Yaml {
    plain(dice.pick(&["\"010\"", "'true'", "plain", "\"a\\nb\"", "\"\"", "x y"]))
}

fn body(dice: &mut Dice, kind: &str, head: Yaml) -> Yaml {
    match kind {
        "ConfigMap" => head.with("data", data(dice)),
        "Secret" => secret(dice, head),
        "Service" => head.with("spec", service(dice)),
        "ServiceAccount" => account(dice, head),
        "Role" | "ClusterRole" => head.with("rules", rules(dice)),
        "RoleBinding" | "ClusterRoleBinding" => binding(dice, kind, head),
        "Ingress" => head.with("spec", ingress(dice)),
        "NetworkPolicy" => head.with("spec", network_policy(dice)),
        "PodDisruptionBudget" => {
            let labels = map([("matchLabels", flow(map([("app", plain(name(dice)))])))]);
            head.with(
                "spec",
                map([("minAvailable", number(dice)), ("selector", labels)]),
            )
        }
        "HorizontalPodAutoscaler" => head.with("spec", autoscaler(dice)),
        "StorageClass" => head.with("provisioner", plain("example.com/disk")),
        "PersistentVolumeClaim" | "PersistentVolume" => head.with("spec", volume(dice, kind)),
        "ValidatingWebhookConfiguration" | "APIService" => served(dice, kind, head),
        "Namespace" => head,
        "Widget" => head.with("spec", widget(dice)),
        _ => head.with("spec", workload::spec(dice, kind)),
    }
}

fn volume(dice: &mut Dice, kind: &str) -> Yaml {
    let spec = map([("storageClassName", plain(name(dice)))]);
    if kind == "PersistentVolumeClaim" {
        let spec = spec.with("volumeName", plain(name(dice)));
        return spec.with("accessModes", flow(texts(["ReadWriteOnce"])));
    }
    let claim = map([
        ("kind", plain("PersistentVolumeClaim")),
        ("name", plain(name(dice))),
    ]);
    spec.with("claimRef", claim)
}

/// What a Service answers for.
fn served(dice: &mut Dice, kind: &str, head: Yaml) -> Yaml {
    let service = map([
        ("name", plain(name(dice))),
        ("namespace", plain(namespace(dice))),
    ]);
    if kind == "APIService" {
        let spec = map([("service", flow(service)), ("version", plain("v1"))]);
        return head.with("spec", spec);
    }
    let hook = map([
        ("name", plain("a.example.com")),
        ("clientConfig", map([("service", service)])),
    ]);
    head.with("webhooks", Yaml::List(vec![hook]))
}

pub(super) fn data(dice: &mut Dice) -> Yaml {
    let mut data = map([]);
    for key in ["a", "LEVEL", "b.properties", "c-d"] {
        if key == "a" || dice.chance(50) {
            data.put(key, any(dice));
        }
    }
    data
}

fn secret(dice: &mut Dice, mut head: Yaml) -> Yaml {
    if dice.chance(50) {
        head.put("type", plain("Opaque"));
    }
    if dice.chance(30) {
        head.put("stringData", data(dice));
    }
    head.with(
        "data",
        map([("a", plain("YQ==")), ("b", plain("c2VjcmV0"))]),
    )
}

fn service(dice: &mut Dice) -> Yaml {
    let mut port = map([("port", plain("80")), ("targetPort", number(dice))]);
    if dice.chance(40) {
        port.put("name", plain("http"));
        port.put("protocol", plain("TCP"));
    }
    let mut ports = vec![port];
    if dice.chance(30) {
        ports.push(map([
            ("port", plain("53")),
            ("protocol", plain("UDP")),
            ("name", plain("dns")),
        ]));
    }
    let spec = map([("ports", Yaml::List(ports))]);
    if dice.chance(85) {
        spec.with("selector", map([("app", plain(name(dice)))]))
    } else {
        spec
    }
}

fn account(dice: &mut Dice, head: Yaml) -> Yaml {
    if !dice.chance(40) {
        return head;
    }
    let secret = map([("name", plain(name(dice)))]);
    head.with("imagePullSecrets", Yaml::List(vec![flow(secret)]))
}

fn rules(dice: &mut Dice) -> Yaml {
    let rule = map([
        ("apiGroups", flow(texts(["\"\""]))),
        ("resources", flow(texts(["configmaps", "secrets"]))),
        ("verbs", flow(texts(["get"]))),
    ]);
    let rule = if dice.chance(50) {
        rule.with("resourceNames", texts([name(dice), name(dice)]))
    } else {
        rule
    };
    Yaml::List(vec![rule])
}

fn binding(dice: &mut Dice, kind: &str, head: Yaml) -> Yaml {
    let role = if kind == "RoleBinding" && dice.chance(50) {
        "Role"
    } else {
        "ClusterRole"
    };
    let group = plain("rbac.authorization.k8s.io");
    let role = map([
        ("apiGroup", group.clone()),
        ("kind", plain(role)),
        ("name", plain(name(dice))),
    ]);
    let mut subjects = Vec::new();
    for _ in 0..=dice.below(2) {
        let mut subject = map([("kind", plain("ServiceAccount"))]);
        subject.put(
            "name",
            plain(if dice.chance(30) {
                "default"
            } else {
                name(dice)
            }),
        );
        if dice.chance(60) {
            subject.put("namespace", plain(namespace(dice)));
        }
        subjects.push(subject);
    }
    if dice.chance(20) {
        subjects.push(map([
            ("apiGroup", group),
            ("kind", plain("Group")),
            ("name", plain("devs")),
        ]));
    }
    head.with("roleRef", role)
        .with("subjects", Yaml::List(subjects))
}

fn ingress(dice: &mut Dice) -> Yaml {
    let service = map([
        ("name", plain(name(dice))),
        ("port", map([("number", plain("80"))])),
    ]);
    let path = map([
        ("path", plain("/")),
        ("pathType", plain("Prefix")),
        ("backend", map([("service", service)])),
    ]);
    let rule = map([
        ("host", variable(dice)),
        ("http", map([("paths", Yaml::List(vec![path]))])),
    ]);
    let spec = map([("rules", Yaml::List(vec![rule]))]);
    if !dice.chance(40) {
        return spec;
    }
    let tls = map([
        ("secretName", plain(name(dice))),
        ("hosts", texts(["a.example.com", "'*.b'"])),
    ]);
    spec.with("tls", Yaml::List(vec![tls]))
}

fn network_policy(dice: &mut Dice) -> Yaml {
    let labels = |dice: &mut Dice| map([("matchLabels", map([("app", plain(name(dice)))]))]);
    let from = map([(
        "from",
        Yaml::List(vec![map([("podSelector", labels(dice))])]),
    )]);
    map([
        ("podSelector", labels(dice)),
        ("ingress", Yaml::List(vec![from])),
    ])
}

fn autoscaler(dice: &mut Dice) -> Yaml {
    let kind = dice.pick(&["Deployment", "StatefulSet"]);
    let target = map([
        ("apiVersion", plain("apps/v1")),
        ("kind", plain(kind)),
        ("name", plain(name(dice))),
    ]);
    map([
        ("scaleTargetRef", target),
        ("minReplicas", number(dice)),
        ("maxReplicas", plain("9")),
    ])
}

/// What nobody has a schema of.
pub(super) fn widget(dice: &mut Dice) -> Yaml {
    let mut spec = map([]);
    for key in ["size", "text", "on"] {
        if dice.chance(60) {
            spec.put(
                key,
                if dice.chance(50) {
                    trap(dice)
                } else {
                    any(dice)
                },
            );
        }
    }
    if dice.chance(50) {
        let item = |dice: &mut Dice| {
            map([
                ("name", word(dice)),
                ("value", trap(dice)),
                ("on", flag(dice)),
            ])
        };
        spec.put("items", Yaml::List(vec![item(dice), item(dice)]));
    }
    if dice.chance(40) {
        spec.put("configRef", map([("name", plain(name(dice)))]));
    }
    if dice.chance(30) {
        spec.put("image", plain("nginx:1.0"));
    }
    if dice.chance(20) {
        spec.put(
            "nested",
            Yaml::List(vec![flow(texts(["a", "1"])), texts(["b"])]),
        );
    }
    spec
}
