//! Patches of both kinds for objects that are there, and the selectors that choose them.

use super::dice::Dice;
use super::object::{Made, quoted, widget};
use super::scalar::{any, image, name, number, pairs, trap, word};
use super::workload::{container, ports, volume};
use super::yaml::{Yaml, flow, map, plain, texts};

/// Kinds that have a pod template at `spec.template`.
const TEMPLATED: [&str; 4] = ["Deployment", "StatefulSet", "DaemonSet", "Job"];

/// An entry of `patches`.
pub(super) fn entry(
    dice: &mut Dice,
    known: &[Made],
    files: &mut Vec<(String, Vec<Yaml>)>,
) -> Option<Yaml> {
    let made = dice.one(known)?.clone();
    let json = dice.chance(45);
    let patch = if json {
        operations(dice, &made)
    } else {
        merge(dice, &made)
    };
    let mut entry = map([]);
    if dice.chance(25) {
        let file = format!("patch-{}.yaml", files.len());
        entry.put("path", plain(file.clone()));
        files.push((file, vec![patch]));
    } else {
        entry.put("patch", Yaml::Inline(vec![patch]));
    }
    if json || dice.chance(35) {
        entry.put("target", selector(dice, &made));
    }
    if dice.chance(10) {
        let option = dice.pick(&["allowNameChange", "allowKindChange"]);
        entry.put("options", map([(option, plain("true"))]));
    }
    Some(entry)
}

/// Says which objects are meant; `made` is among them, mostly.
pub(super) fn selector(dice: &mut Dice, made: &Made) -> Yaml {
    let mut target = map([]);
    if dice.chance(85) {
        target.put(
            "kind",
            plain(if dice.chance(10) { ".*" } else { made.kind }),
        );
    }
    if dice.chance(60) {
        let cut = &made.name.get(..2).unwrap_or_default();
        let pattern = if dice.chance(25) {
            format!("{cut}.*")
        } else {
            made.name.clone()
        };
        target.put("name", plain(pattern));
    }
    if let Some(namespace) = made.namespace.as_ref().filter(|_| dice.chance(30)) {
        target.put("namespace", plain(namespace.clone()));
    }
    if dice.chance(15) {
        let (group, version) = made.api.split_once('/').unwrap_or(("", made.api));
        target.put("version", plain(version));
        if !group.is_empty() {
            target.put("group", plain(group));
        }
    }
    if dice.chance(8) {
        let selectors = [
            "app=web",
            "app in (web, api)",
            "!tier",
            "app",
            "tier!=prod",
            "app notin (db)",
        ];
        target.put("labelSelector", plain(dice.pick(&selectors)));
    }
    if dice.chance(4) {
        target.put("annotationSelector", plain("note"));
    }
    if target.len() == 0 {
        target.put("kind", plain(made.kind));
    }
    target
}

/// A strategic merge for `made`.
pub(super) fn merge(dice: &mut Dice, made: &Made) -> Yaml {
    let mut meta = map([("name", plain(made.name.clone()))]);
    if let Some(namespace) = &made.namespace {
        meta.put("namespace", plain(namespace.clone()));
    }
    if dice.chance(20) {
        meta.put("labels", pairs(dice, word));
    }
    if dice.chance(20) {
        meta.put("annotations", pairs(dice, quoted));
    }
    let head = map([
        ("apiVersion", plain(made.api)),
        ("kind", plain(made.kind)),
        ("metadata", meta),
    ]);
    if dice.chance(4) {
        return head.with("$patch", plain("delete"));
    }
    merge_body(dice, made, head)
}

fn merge_body(dice: &mut Dice, made: &Made, head: Yaml) -> Yaml {
    match made.kind {
        kind if TEMPLATED.contains(&kind) => head.with("spec", templated(dice, kind)),
        "Pod" => head.with("spec", pod(dice)),
        "CronJob" => {
            let template = map([("template", map([("spec", pod(dice))]))]);
            head.with("spec", map([("jobTemplate", map([("spec", template)]))]))
        }
        "ConfigMap" => head.with("data", changed(dice, any)),
        "Secret" => head.with(dice.pick(&["stringData", "data"]), changed(dice, quoted)),
        "Service" => {
            let port = map([
                ("port", plain(dice.pick(&["80", "53", "81"]))),
                ("name", plain("x")),
            ]);
            head.with(
                "spec",
                map([("ports", Yaml::List(vec![directed(dice, port)]))]),
            )
        }
        "Widget" => head.with("spec", widget(dice)),
        "Role" | "ClusterRole" => {
            let rule = map([
                ("apiGroups", flow(texts(["apps"]))),
                ("verbs", flow(texts(["list"]))),
            ]);
            head.with("rules", Yaml::List(vec![rule]))
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            let subject = map([
                ("kind", plain("ServiceAccount")),
                ("name", plain(name(dice))),
            ]);
            head.with("subjects", Yaml::List(vec![subject]))
        }
        "ServiceAccount" => {
            let secret = map([("name", plain(name(dice)))]);
            head.with("imagePullSecrets", Yaml::List(vec![directed(dice, secret)]))
        }
        _ => head,
    }
}

fn templated(dice: &mut Dice, kind: &str) -> Yaml {
    let mut spec = map([]);
    if dice.chance(30) && kind != "Job" {
        let gone = dice.chance(20);
        let count = if gone { plain("null") } else { number(dice) };
        spec.put("replicas", count);
    }
    if kind == "Deployment" && dice.chance(15) {
        spec.put("strategy", strategy(dice));
    }
    if dice.chance(85) {
        spec.put("template", map([("spec", pod(dice))]));
    }
    spec
}

/// Values of keys, some of which take the key away.
fn changed(dice: &mut Dice, value: fn(&mut Dice) -> Yaml) -> Yaml {
    let mut data = map([]);
    for key in ["a", "b", "LEVEL"] {
        match dice.below(4) {
            0 => data.put(key, plain("null")),
            1 | 2 => data.put(key, value(dice)),
            _ => {}
        }
    }
    if dice.chance(5) {
        data.put("$patch", plain("replace"));
    }
    data
}

fn strategy(dice: &mut Dice) -> Yaml {
    let recreate = map([("type", plain("Recreate"))]);
    match dice.below(3) {
        0 => recreate.with("rollingUpdate", plain("null")),
        1 => recreate.with("$retainKeys", flow(texts(["type"]))),
        _ => recreate.with("$patch", plain("replace")),
    }
}

/// The item as it is, or with what takes its namesake away or its place.
fn directed(dice: &mut Dice, item: Yaml) -> Yaml {
    match dice.below(12) {
        0 => item.with("$patch", plain("delete")),
        1 => item.with("$patch", plain("replace")),
        _ => item,
    }
}

fn pod(dice: &mut Dice) -> Yaml {
    let mut spec = map([]);
    if dice.chance(70) {
        let name = dice.pick(&["main", "side", "new"]);
        let mut of = map([("name", plain(name))]);
        if dice.chance(40) {
            of.put(
                "image",
                if dice.chance(10) {
                    plain("null")
                } else {
                    image(dice)
                },
            );
        }
        if dice.chance(40) {
            let variable = map([("name", plain("MODE")), ("value", any(dice))]);
            of.put("env", Yaml::List(vec![directed(dice, variable)]));
        }
        if dice.chance(30) {
            of.put("ports", ports(dice));
        }
        if dice.chance(15) {
            of.put("args", flow(texts(["one", "two"])));
        }
        let mut containers = vec![directed(dice, of)];
        if dice.chance(15) {
            containers.push(container(dice, "last"));
        }
        if dice.chance(5) {
            containers.push(map([("$patch", plain("replace"))]));
        }
        spec.put("containers", Yaml::List(containers));
    }
    if dice.chance(30) {
        let at = dice.below(3);
        let of = volume(dice, at);
        spec.put("volumes", Yaml::List(vec![directed(dice, of)]));
    }
    if dice.chance(15) {
        let toleration = map([("key", plain("x")), ("effect", plain("NoSchedule"))]);
        spec.put("tolerations", Yaml::List(vec![toleration]));
    }
    if dice.chance(15) {
        spec.put("serviceAccountName", plain(name(dice)));
    }
    if dice.chance(4) {
        let order = texts(["side", "main"]);
        spec.put("$setElementOrder/containers", order);
    }
    if dice.chance(10) {
        spec.put("nodeSelector", pairs(dice, word));
    }
    spec
}

/// Operations for `made`, as YAML or as JSON.
pub(super) fn operations(dice: &mut Dice, made: &Made) -> Yaml {
    let json = dice.chance(40);
    let count = if dice.chance(60) {
        1
    } else {
        2 + dice.below(2)
    };
    let all: Vec<Yaml> = (0..count).map(|_| operation(dice, made, json)).collect();
    if json {
        flow(Yaml::List(all))
    } else {
        Yaml::List(all)
    }
}

fn operation(dice: &mut Dice, made: &Made, json: bool) -> Yaml {
    let key = |key: &str| {
        if json {
            format!("\"{key}\"")
        } else {
            key.to_owned()
        }
    };
    let text = |text: &str| {
        plain(if json {
            format!("\"{text}\"")
        } else {
            text.to_owned()
        })
    };
    let ops = [
        "add", "add", "add", "add", "replace", "replace", "replace", "replace", "remove", "test",
        "copy", "move",
    ];
    let op = dice.pick(&ops);
    let mut entries = vec![
        (key("op"), text(op)),
        (key("path"), text(pointer(dice, made, op))),
    ];
    match op {
        "remove" => {}
        "copy" | "move" => entries.push((key("from"), text(pointer(dice, made, "remove")))),
        "test" => entries.push((key("value"), text(made.kind))),
        _ if json => {
            let values = [
                "1",
                "\"x\"",
                "true",
                "null",
                "[1, \"a\"]",
                "{\"k\": \"v\"}",
                "1.5",
                "\"010\"",
                "1e3",
            ];
            entries.push((key("value"), plain(dice.pick(&values))));
        }
        _ => {
            let value = match dice.below(4) {
                0 => trap(dice),
                1 => any(dice),
                2 => map([("name", word(dice)), ("size", trap(dice))]),
                _ => word(dice),
            };
            entries.push((key("value"), value));
        }
    }
    Yaml::Map(entries)
}

/// A place that such an object has, mostly; never the whole of its annotations, in which kustomize keeps notes.
fn pointer(dice: &mut Dice, made: &Made, op: &str) -> &'static str {
    if op == "test" && dice.chance(90) {
        return "/kind";
    }
    if op == "add" && dice.chance(30) {
        return dice.pick(&[
            "/metadata/annotations/new",
            "/metadata/annotations/a~1b",
            "/metadata/annotations/note",
        ]);
    }
    let unsure = op == "add" || dice.chance(8);
    let places: &[&str] = match (made.kind, unsure) {
        (kind, true) if TEMPLATED.contains(&kind) => &[
            "/spec/replicas",
            "/spec/template/spec/containers/-",
            "/spec/template/spec/containers/0/args",
            "/spec/template/spec/volumes",
            "/spec/template/spec/containers/0/env/0",
            "/metadata/labels/app",
        ],
        (kind, false) if TEMPLATED.contains(&kind) => &[
            "/spec/template/spec/containers/0/image",
            "/spec/template/spec/containers/0/name",
            "/spec/template/spec/containers/-1",
        ],
        ("ConfigMap", true) => &["/data/LEVEL", "/data/b.properties", "/data"],
        ("ConfigMap", false) => &["/data/a", "/data"],
        ("Secret", true) => &["/data/c", "/type", "/stringData"],
        ("Secret", false) => &["/data/a", "/data/b"],
        ("Service", true) => &["/spec/ports/-", "/spec/ports/0", "/spec/sessionAffinity"],
        ("Service", false) => &["/spec/ports/0/port", "/spec/ports/0", "/spec/ports/-1"],
        ("Widget", true) => &["/spec/size", "/spec/text", "/spec/new"],
        ("Widget", false) => &["/spec"],
        ("RoleBinding" | "ClusterRoleBinding", true) => &["/subjects/-", "/subjects/0/note"],
        ("RoleBinding" | "ClusterRoleBinding", false) => &["/subjects/0/name", "/roleRef/name"],
        ("Role" | "ClusterRole", true) => &["/rules/0/verbs/-", "/rules/-"],
        ("Role" | "ClusterRole", false) => &["/rules/0/resources/0", "/rules/0/verbs"],
        ("Ingress", false) => &["/spec/rules/0/host", "/spec/rules/0/http"],
        ("CronJob", false) => &[
            "/spec/schedule",
            "/spec/jobTemplate/spec/template/spec/containers/0/image",
        ],
        (_, true) => &["/metadata/labels", "/spec", "/metadata/annotations/x"],
        (_, false) => &["/metadata/labels"],
    };
    dice.pick(places)
}
