//! Replacements and vars: values that go from one object to another.

use super::dice::Dice;
use super::object::Made;
use super::patch::selector;
use super::scalar::{number, word};
use super::yaml::{Yaml, flow, map, plain, texts};

/// Fields that any object may have.
const COMMON: [&str; 5] = [
    "metadata.name",
    "metadata.labels.app",
    "metadata.annotations.note",
    "metadata.annotations.[example.com/part]",
    "metadata.labels",
];

/// An entry of `replacements`.
pub(super) fn entry(
    dice: &mut Dice,
    known: &[Made],
    files: &mut Vec<(String, Vec<Yaml>)>,
) -> Option<Yaml> {
    let from = dice.one(known)?.clone();
    let mut entry = map([]);
    if dice.chance(10) {
        entry.put("sourceValue", word(dice));
    } else {
        entry.put("source", source(dice, &from));
    }
    let count = 1 + dice.below(2);
    let targets = (0..count).filter_map(|_| target(dice, known)).collect();
    entry.put("targets", Yaml::List(targets));
    if !dice.chance(15) {
        return Some(entry);
    }
    let file = format!("replacement-{}.yaml", files.len());
    files.push((
        file.clone(),
        vec![if dice.chance(50) {
            Yaml::List(vec![entry])
        } else {
            entry
        }],
    ));
    Some(map([("path", plain(file))]))
}

fn source(dice: &mut Dice, from: &Made) -> Yaml {
    let mut source = map([
        ("kind", plain(from.kind)),
        ("name", plain(from.name.clone())),
    ]);
    if let Some(namespace) = &from.namespace {
        source.put("namespace", plain(namespace.clone()));
    }
    if dice.chance(20) {
        let (group, version) = from.api.split_once('/').unwrap_or(("", from.api));
        source.put("version", plain(version));
        if !group.is_empty() {
            source.put("group", plain(group));
        }
    }
    if dice.chance(75) {
        let any = dice.chance(15);
        source.put(
            "fieldPath",
            plain(if any {
                path(dice, from)
            } else {
                sure_path(dice, from)
            }),
        );
    }
    if dice.chance(8) {
        source.put("options", part(dice));
    }
    source
}

/// Which part of a text.
fn part(dice: &mut Dice) -> Yaml {
    let delimiter = dice.pick(&["'-'", "/", "':'", "'.'", "e"]);
    let options = map([("delimiter", plain(delimiter))]);
    if dice.chance(60) {
        return options.with("index", plain(dice.pick(&["0", "0", "0", "1", "-1", "2"])));
    }
    options
}

fn target(dice: &mut Dice, known: &[Made]) -> Option<Yaml> {
    let to = dice.one(known)?.clone();
    let mut target = map([("select", selector(dice, &to))]);
    if dice.chance(15)
        && let Some(other) = dice.one(known)
    {
        target.put("reject", Yaml::List(vec![selector(dice, &other.clone())]));
    }
    let count = 1 + dice.below(2);
    let paths: Vec<_> = (0..count).map(|_| path(dice, &to)).collect();
    if dice.chance(90) {
        target.put("fieldPaths", texts(paths));
    }
    let mut options = if dice.chance(8) { part(dice) } else { map([]) };
    if dice.chance(75) {
        options.put("create", plain("true"));
    }
    if options.len() > 0 {
        target.put(
            "options",
            if dice.chance(50) {
                flow(options)
            } else {
                options
            },
        );
    }
    Some(target)
}

/// A field that such an object has, mostly.
fn path(dice: &mut Dice, of: &Made) -> &'static str {
    if dice.chance(2) {
        return "metadata.namespace";
    }
    if dice.chance(35) {
        return dice.pick(&COMMON);
    }
    match of.kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => dice.pick(&[
            "spec.template.spec.containers.[name=main].image",
            "spec.template.spec.containers.0.image",
            "spec.template.spec.containers.*.image",
            "spec.template.spec.containers.[name=main].env.[name=MODE].value",
            "spec.template.spec.containers.*.env.*.name",
            "spec.template.metadata.labels.app",
            "spec.template.spec.serviceAccountName",
            "spec.template.spec.volumes.[name=v0].configMap.name",
            "spec.selector.matchLabels",
        ]),
        "Pod" => dice.pick(&[
            "spec.containers.[name=main].image",
            "spec.containers.0.ports.0.containerPort",
        ]),
        "ConfigMap" => dice.pick(&[
            "data.a",
            "data.LEVEL",
            "data.[b.properties]",
            "data.b\\.properties",
        ]),
        "Secret" => dice.pick(&["data.a", "type", "stringData.a"]),
        "Service" => dice.pick(&[
            "spec.ports.0.port",
            "spec.selector.app",
            "spec.ports.[port=80].targetPort",
        ]),
        "Ingress" => dice.pick(&[
            "spec.rules.0.host",
            "spec.rules.*.host",
            "spec.tls.0.secretName",
        ]),
        "RoleBinding" | "ClusterRoleBinding" => dice.pick(&[
            "subjects.0.name",
            "roleRef.name",
            "subjects.[kind=ServiceAccount].name",
        ]),
        "Widget" => dice.pick(&[
            "spec.size",
            "spec.text",
            "spec.items.*.value",
            "spec.items.1.name",
            "spec.new.deep",
        ]),
        _ => dice.pick(&["metadata.name", "metadata.labels.tier"]),
    }
}

/// A field that such an object has.
fn sure_path(dice: &mut Dice, of: &Made) -> &'static str {
    let own = match of.kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => dice.pick(&[
            "spec.template.spec.containers.[name=main].image",
            "spec.template.spec.containers.0.name",
        ]),
        "ConfigMap" | "Secret" => "data.a",
        "Service" => dice.pick(&["spec.ports.0.port", "spec.ports.[port=80].targetPort"]),
        "RoleBinding" | "ClusterRoleBinding" => dice.pick(&["roleRef.name", "subjects.0.name"]),
        "Ingress" => "spec.rules.0.host",
        _ => "metadata.name",
    };
    if dice.chance(60) {
        own
    } else {
        dice.pick(&["metadata.name", "kind", "metadata.name", "apiVersion"])
    }
}

/// An entry of `vars`, of a name that is used here and there.
pub(super) fn var(dice: &mut Dice, known: &[Made], name: &str) -> Option<Yaml> {
    let of = dice.one(known)?.clone();
    let mut object = map([("kind", plain(of.kind)), ("name", plain(of.name.clone()))]);
    object.put("apiVersion", plain(of.api));
    if let Some(namespace) = of.namespace.as_ref().filter(|_| dice.chance(80)) {
        object.put("namespace", plain(namespace.clone()));
    }
    let var = map([("name", plain(name)), ("objref", object)]);
    if dice.chance(50) {
        return Some(var);
    }
    let path = if dice.chance(10) {
        "spec.replicas"
    } else {
        sure_path(dice, &of)
    };
    let field = map([("fieldPath", plain(path))]);
    // A bracket in the path would end the brackets around it.
    Some(var.with(
        "fieldref",
        if path.contains('[') {
            field
        } else {
            flow(field)
        },
    ))
}

/// An entry of `replicas`.
pub(super) fn replica(dice: &mut Dice, known: &[Made]) -> Option<Yaml> {
    let scaled: Vec<_> = known
        .iter()
        .filter(|m| ["Deployment", "StatefulSet"].contains(&m.kind))
        .collect();
    let of = dice.one(&scaled)?.name.clone();
    Some(map([("name", plain(of)), ("count", number(dice))]))
}
