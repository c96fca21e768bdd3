//! Pods and what makes them, with the references, images and lists that merges, names and replacements are about.

use super::dice::Dice;
use super::scalar::{self, any, image, name, number, pairs, trap, variable, word};
use super::yaml::{Yaml, flow, map, plain, texts};

/// The spec of a kind that makes pods.
pub(super) fn spec(dice: &mut Dice, kind: &str) -> Yaml {
    match kind {
        "Pod" => pod(dice),
        "CronJob" => {
            let job = map([("spec", template(dice, map([])))]);
            map([("schedule", plain("\"*/5 * * * *\"")), ("jobTemplate", job)])
        }
        "Job" => template(dice, map([])),
        "DaemonSet" => {
            let spec = map([("selector", selector(dice))]);
            template(dice, spec)
        }
        _ => scaled(dice, kind),
    }
}

fn scaled(dice: &mut Dice, kind: &str) -> Yaml {
    let mut spec = map([("selector", selector(dice))]);
    if dice.chance(70) {
        spec.put("replicas", number(dice));
    }
    if kind == "Deployment" && dice.chance(30) {
        let rolling = map([("maxSurge", plain("25%")), ("maxUnavailable", number(dice))]);
        let strategy = map([("type", plain("RollingUpdate")), ("rollingUpdate", rolling)]);
        spec.put("strategy", strategy);
    }
    if kind == "StatefulSet" {
        spec.put("serviceName", plain(name(dice)));
        if dice.chance(50) {
            let claim = map([
                ("metadata", map([("name", plain("data"))])),
                ("spec", map([("storageClassName", plain(name(dice)))])),
            ]);
            spec.put("volumeClaimTemplates", Yaml::List(vec![claim]));
        }
    }
    template(dice, spec)
}

fn selector(dice: &mut Dice) -> Yaml {
    let labels = map([("app", plain(name(dice)))]);
    map([(
        "matchLabels",
        if dice.chance(50) {
            flow(labels)
        } else {
            labels
        },
    )])
}

fn template(dice: &mut Dice, spec: Yaml) -> Yaml {
    let mut template = map([]);
    if dice.chance(70) {
        let mut meta = map([("labels", map([("app", plain(name(dice)))]))]);
        if dice.chance(40) {
            meta.put("annotations", pairs(dice, variable));
        }
        template.put("metadata", meta);
    }
    template.put("spec", pod(dice));
    spec.with("template", template)
}

fn pod(dice: &mut Dice) -> Yaml {
    let mut spec = map([]);
    let mut containers = vec![container(dice, "main")];
    if dice.chance(40) {
        containers.push(container(dice, "side"));
    }
    spec.put("containers", Yaml::List(containers));
    if dice.chance(25) {
        spec.put("initContainers", Yaml::List(vec![container(dice, "init")]));
    }
    if dice.chance(30) {
        spec.put("serviceAccountName", plain(name(dice)));
    }
    if dice.chance(15) {
        let secret = map([("name", plain(name(dice)))]);
        spec.put("imagePullSecrets", Yaml::List(vec![secret]));
    }
    if dice.chance(50) {
        let count = 1 + dice.below(3);
        let volumes = (0..count).map(|at| volume(dice, at)).collect();
        spec.put("volumes", Yaml::List(volumes));
    }
    if dice.chance(15) {
        spec.put("nodeSelector", pairs(dice, word));
    }
    if dice.chance(15) {
        let toleration = map([("key", plain("dedicated")), ("operator", plain("Exists"))]);
        spec.put("tolerations", Yaml::List(vec![flow(toleration)]));
    }
    if dice.chance(15) {
        let constraint = map([
            ("topologyKey", plain("zone")),
            ("whenUnsatisfiable", plain("DoNotSchedule")),
            ("labelSelector", selector(dice)),
        ]);
        spec.put("topologySpreadConstraints", Yaml::List(vec![constraint]));
    }
    if dice.chance(10) {
        spec.put("affinity", affinity(dice));
    }
    spec
}

fn affinity(dice: &mut Dice) -> Yaml {
    let term = map([
        ("labelSelector", selector(dice)),
        ("topologyKey", plain("host")),
    ]);
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    map([("podAntiAffinity", map([(required, Yaml::List(vec![term]))]))])
}

pub(super) fn container(dice: &mut Dice, name: &str) -> Yaml {
    let mut of = map([("name", plain(name)), ("image", image(dice))]);
    if dice.chance(40) {
        of.put("env", environment(dice));
    }
    if dice.chance(20) {
        of.put("envFrom", Yaml::List(vec![source(dice)]));
    }
    if dice.chance(40) {
        of.put("ports", ports(dice));
    }
    if dice.chance(25) {
        of.put(
            "args",
            Yaml::List(vec![plain("--flag"), variable(dice), trap_text(dice)]),
        );
    }
    if dice.chance(20) {
        of.put("command", flow(texts(["sh", "-c"])));
    }
    if dice.chance(25) {
        let limits = map([("cpu", plain("100m")), ("memory", plain("\"1Gi\""))]);
        of.put("resources", map([("limits", flow(limits))]));
    }
    if dice.chance(25) {
        let mounts = map([("name", plain("v0")), ("mountPath", plain("/data"))]);
        of.put("volumeMounts", Yaml::List(vec![mounts]));
    }
    of
}

fn trap_text(dice: &mut Dice) -> Yaml {
    if dice.chance(30) {
        trap(dice)
    } else {
        word(dice)
    }
}

fn environment(dice: &mut Dice) -> Yaml {
    let mut items = Vec::new();
    for key in ["MODE", "SECRET", "FIELD"] {
        if !dice.chance(50) {
            continue;
        }
        let mut item = map([("name", plain(key))]);
        match dice.below(4) {
            0 => item.put("value", any(dice)),
            1 => item.put("value", variable(dice)),
            _ => {
                let kind = dice.pick(&["configMapKeyRef", "secretKeyRef"]);
                let key = map([("name", plain(name(dice))), ("key", plain("a"))]);
                item.put("valueFrom", map([(kind, flow(key))]));
            }
        }
        items.push(item);
    }
    Yaml::List(items)
}

fn source(dice: &mut Dice) -> Yaml {
    let kind = dice.pick(&["configMapRef", "secretRef"]);
    map([(kind, map([("name", plain(name(dice)))]))])
}

pub(super) fn ports(dice: &mut Dice) -> Yaml {
    let mut first = map([("containerPort", plain("80"))]);
    if dice.chance(50) {
        first.put("name", plain("http"));
    }
    if dice.chance(50) {
        first.put("protocol", plain(dice.pick(&["TCP", "UDP"])));
    }
    let mut ports = vec![first];
    if dice.chance(40) {
        ports.push(flow(map([
            ("containerPort", scalar::number(dice)),
            ("protocol", plain("UDP")),
        ])));
    }
    Yaml::List(ports)
}

pub(super) fn volume(dice: &mut Dice, at: usize) -> Yaml {
    let of = map([("name", plain(format!("v{at}")))]);
    let named = |key: &str, name: &str| map([(key, plain(name))]);
    let name = name(dice);
    match dice.below(5) {
        0 => of.with("configMap", named("name", name)),
        1 => of.with("secret", named("secretName", name)),
        2 => of.with("persistentVolumeClaim", named("claimName", name)),
        3 => of.with("emptyDir", map([])),
        _ => {
            let one = map([("configMap", named("name", name))]);
            let two = map([("secret", named("name", name))]);
            of.with("projected", map([("sources", Yaml::List(vec![one, two]))]))
        }
    }
}
