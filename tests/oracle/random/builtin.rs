//! `generators`, `transformers`, `validators`, and the files of `configurations`.

use super::dice::Dice;
use super::generator;
use super::kustomization::{Files, image};
use super::object::{Known, Made, quoted};
use super::patch;
use super::replacement;
use super::scalar::{flag, namespace, pairs, word};
use super::yaml::{Yaml, flow, map, plain};

/// Adds the three fields.
pub(super) fn fields(dice: &mut Dice, known: &mut Known, root: &mut Yaml, files: &mut Files) {
    if dice.chance(4) {
        let kind = dice.pick(&["ConfigMap", "Secret"]);
        let mut made = generator::entry(dice, kind, known, files);
        made.put("metadata", map([("name", plain("made"))]));
        let head = head(&format!("{kind}Generator"), made);
        list("generators", head, dice, root, files);
    }
    if dice.chance(9)
        && let Some(transformer) = transformer(dice, &known.here, files)
    {
        list("transformers", transformer, dice, root, files);
    }
    if dice.chance(3) {
        let labels = pairs(dice, word);
        let body = map([
            ("metadata", map([("name", plain("check"))])),
            ("labels", labels),
        ]);
        let spec = map([("path", plain("metadata/labels"))]);
        let spec = if dice.chance(80) {
            spec.with("kind", plain("Nothing"))
        } else {
            spec
        };
        let validator = head(
            "LabelTransformer",
            body.with("fieldSpecs", Yaml::List(vec![spec])),
        );
        list("validators", validator, dice, root, files);
    }
}

fn head(kind: &str, mut body: Yaml) -> Yaml {
    body.put("apiVersion", plain("builtin"));
    body.put("kind", plain(kind));
    body
}

fn list(field: &str, object: Yaml, dice: &mut Dice, root: &mut Yaml, files: &mut Files) {
    let entry = if dice.chance(50) {
        Yaml::Inline(vec![object])
    } else {
        let file = format!("{field}.yaml");
        files.push((file.clone(), vec![object]));
        plain(file)
    };
    root.put(field, Yaml::List(vec![entry]));
}

fn transformer(dice: &mut Dice, known: &[Made], files: &mut Files) -> Option<Yaml> {
    let body = map([("metadata", map([("name", plain("change"))]))]);
    let with_specs = |body: Yaml, path: &str, create: &str| {
        let spec = map([("path", plain(path)), ("create", plain(create))]);
        body.with("fieldSpecs", Yaml::List(vec![spec]))
    };
    Some(match dice.below(9) {
        0 => {
            let body = with_specs(body, "metadata/name", "false").with("prefix", plain("pre-"));
            let kind = dice.pick(&["PrefixTransformer", "PrefixSuffixTransformer"]);
            head(kind, body)
        }
        1 => {
            let body =
                with_specs(body, "metadata/labels", "true").with("labels", pairs(dice, word));
            head("LabelTransformer", body)
        }
        2 => {
            let body = with_specs(body, "metadata/annotations", "true");
            head(
                "AnnotationsTransformer",
                body.with("annotations", pairs(dice, quoted)),
            )
        }
        3 => namespace_transformer(dice),
        4 => {
            let body = with_specs(body, "spec/template/spec/containers[]/image", "true");
            head("ImageTagTransformer", body.with("imageTag", image(dice)))
        }
        5 => head("HashTransformer", body),
        6 => {
            let entry = patch::entry(dice, known, files)?;
            head("PatchTransformer", joined(body, entry))
        }
        7 => {
            let entry = replacement::entry(dice, known, files)?;
            head(
                "ReplacementTransformer",
                body.with("replacements", Yaml::List(vec![entry])),
            )
        }
        _ => {
            let replica = replacement::replica(dice, known)?;
            let body = with_specs(body, "spec/replicas", "true");
            head("ReplicaCountTransformer", body.with("replica", replica))
        }
    })
}

fn joined(mut body: Yaml, entry: Yaml) -> Yaml {
    if let Yaml::Map(entries) = entry {
        for (key, value) in entries {
            body.put(&key, value);
        }
    }
    body
}

fn namespace_transformer(dice: &mut Dice) -> Yaml {
    let mut body = map([(
        "metadata",
        map([("name", plain("x")), ("namespace", plain(namespace(dice)))]),
    )]);
    if dice.chance(50) {
        body.put("unsetOnly", flag(dice));
    }
    if dice.chance(60) {
        let subjects = dice.pick(&["defaultOnly", "allServiceAccounts", "none"]);
        body.put("setRoleBindingSubjects", plain(subjects));
    }
    let spec = map([
        ("path", plain("metadata/namespace")),
        ("create", plain("true")),
    ]);
    head(
        "NamespaceTransformer",
        body.with("fieldSpecs", Yaml::List(vec![spec])),
    )
}

/// A file of `configurations`.
pub(super) fn configuration(dice: &mut Dice) -> Yaml {
    let spec = |path: &str, kind: &str| map([("path", plain(path)), ("kind", plain(kind))]);
    let mut all = map([]);
    if dice.chance(50) {
        let fields = Yaml::List(vec![spec("spec/configRef/name", "Widget")]);
        let reference = map([
            ("kind", plain("ConfigMap")),
            ("version", plain("v1")),
            ("fieldSpecs", fields),
        ]);
        all.put("nameReference", Yaml::List(vec![reference]));
    }
    for (list, path, kind) in [
        ("images", "spec/image", "Widget"),
        ("varReference", "spec/text", "Widget"),
        ("commonLabels", "spec/labels", "Widget"),
        ("commonAnnotations", "spec/notes", "Widget"),
        ("namespace", "spec/space", "Widget"),
        ("namePrefix", "metadata/name", "Deployment"),
        ("nameSuffix", "spec/text", "Widget"),
        ("replicas", "spec/size", "Widget"),
        ("templateLabels", "spec/labels", "Widget"),
    ] {
        if dice.chance(20) {
            let field = spec(path, kind);
            let create = path != "metadata/name" && dice.chance(60);
            let field = if create {
                field.with("create", flag(dice))
            } else {
                field
            };
            all.put(
                list,
                Yaml::List(vec![if dice.chance(40) { flow(field) } else { field }]),
            );
        }
    }
    all
}
