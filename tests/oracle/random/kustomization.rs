//! A kustomization file with any of its fields.

use super::builtin;
use super::dice::Dice;
use super::generator;
use super::object::{Known, Made, object, quoted};
use super::patch;
use super::replacement;
use super::scalar::{flag, image_name, name, namespace, pairs, word};
use super::yaml::{Yaml, flow, map, plain, texts};

/// A file of a directory and its documents.
pub(super) type Files = Vec<(String, Vec<Yaml>)>;

/// What is to be made.
pub(super) struct Plan<'a> {
    pub(super) component: bool,
    /// Other directories, as this one names them.
    pub(super) bases: Vec<String>,
    pub(super) components: Vec<String>,
    /// The objects of the bases; those of this directory join them.
    pub(super) known: &'a mut Known,
}

/// The kustomization file and the files it names.
pub(super) fn directory(dice: &mut Dice, plan: Plan<'_>) -> (Yaml, Files) {
    let mut files = Files::new();
    let mut root = map([]);
    if plan.component {
        root.put("apiVersion", plain("kustomize.config.k8s.io/v1alpha1"));
        root.put("kind", plain("Component"));
    } else if dice.chance(50) {
        root.put("apiVersion", plain("kustomize.config.k8s.io/v1beta1"));
        root.put("kind", plain("Kustomization"));
    }
    if dice.chance(3) {
        root.put("metadata", map([("name", plain("x"))]));
    }
    let Plan {
        bases,
        components,
        known,
        component,
    } = plan;
    resources(dice, &bases, component, known, &mut root, &mut files);
    if !components.is_empty() {
        root.put("components", texts(components));
    }
    generator::fields(dice, known, &mut root, &mut files);
    names(dice, &mut root);
    labels(dice, &mut root);
    images(dice, &mut root);
    changes(dice, &known.here, &mut root, &mut files);
    builtin::fields(dice, known, &mut root, &mut files);
    configuration(dice, &mut root, &mut files);
    if root.len() == 0 {
        root.put("namePrefix", plain("p-"));
    }
    (root, files)
}

fn resources(
    dice: &mut Dice,
    bases: &[String],
    component: bool,
    known: &mut Known,
    root: &mut Yaml,
    files: &mut Files,
) {
    let mut listed: Vec<String> = bases.to_vec();
    let least = usize::from(bases.is_empty() && !component);
    let count = least + dice.below(3);
    for at in 0..count {
        let documents = (0..=dice.below(3)).map(|_| object(dice, known)).collect();
        let file = format!("file-{at}.yaml");
        files.push((file.clone(), wrapped(dice, documents)));
        listed.insert(dice.below(listed.len() + 1), file);
    }
    if listed.is_empty() {
        return;
    }
    if !bases.is_empty() && dice.chance(5) {
        listed.retain(|entry| !bases.contains(entry));
        root.put("bases", texts(bases.to_vec()));
    }
    if !listed.is_empty() {
        root.put("resources", texts(listed));
    }
}

/// The documents, or a list that holds them.
fn wrapped(dice: &mut Dice, documents: Vec<Yaml>) -> Vec<Yaml> {
    if !dice.chance(6) {
        return documents;
    }
    let list = map([("apiVersion", plain("v1")), ("kind", plain("List"))]);
    vec![list.with("items", Yaml::List(documents))]
}

fn names(dice: &mut Dice, root: &mut Yaml) {
    if dice.chance(20) {
        root.put("namespace", plain(namespace(dice)));
    }
    if dice.chance(20) {
        root.put("namePrefix", plain(dice.pick(&["dev-", "a.", "\"1-\""])));
    }
    if dice.chance(12) {
        root.put("nameSuffix", plain(dice.pick(&["-v2", "'-x'"])));
    }
}

fn labels(dice: &mut Dice, root: &mut Yaml) {
    if dice.chance(10) {
        root.put("commonLabels", pairs(dice, word));
    }
    if dice.chance(12) {
        root.put("commonAnnotations", pairs(dice, quoted));
    }
    if !dice.chance(18) {
        return;
    }
    let mut entry = map([("pairs", pairs(dice, word))]);
    for option in [
        "includeSelectors",
        "includeTemplates",
        "includeVolumeClaimTemplates",
    ] {
        if dice.chance(25) {
            entry.put(option, flag(dice));
        }
    }
    if dice.chance(25) {
        let path = dice.pick(&[
            "spec/labels",
            "spec/template/metadata/labels",
            "metadata/annotations",
        ]);
        let mut field = map([("path", plain(path)), ("create", flag(dice))]);
        if dice.chance(50) {
            field.put(
                "kind",
                plain(dice.pick(&["Widget", "Deployment", "Service"])),
            );
        }
        entry.put("fields", Yaml::List(vec![field]));
    }
    root.put("labels", Yaml::List(vec![entry]));
}

fn images(dice: &mut Dice, root: &mut Yaml) {
    if !dice.chance(18) {
        return;
    }
    let mut all = Vec::new();
    for _ in 0..=dice.below(2) {
        all.push(image(dice));
    }
    root.put(
        if dice.chance(8) {
            "imageTags"
        } else {
            "images"
        },
        Yaml::List(all),
    );
}

/// An entry of `images`.
pub(super) fn image(dice: &mut Dice) -> Yaml {
    let mut of = map([("name", image_name(dice))]);
    match dice.below(6) {
        0 => of.put("digest", plain("sha256:ddeeff")),
        1 => of.put(
            "newName",
            plain(dice.pick(&["other/app", "registry.example/x:1", "a"])),
        ),
        2 => of.put("tagSuffix", plain("-alpine")),
        3 => {
            of.put("newName", plain("other/app"));
            of.put("newTag", plain("\"1.10\""));
        }
        _ => of.put("newTag", plain(dice.pick(&["v2", "'1.0'", "\"010\""]))),
    }
    of
}

fn changes(dice: &mut Dice, known: &[Made], root: &mut Yaml, files: &mut Files) {
    if dice.chance(40) {
        let all = (0..=dice.below(3)).filter_map(|_| patch::entry(dice, known, files));
        root.put("patches", Yaml::List(all.collect()));
    }
    if dice.chance(7) {
        older_merges(dice, known, root, files);
    }
    if dice.chance(7) {
        older_operations(dice, known, root);
    }
    if dice.chance(20) {
        let all = (0..=dice.below(2)).filter_map(|_| replacement::entry(dice, known, files));
        root.put("replacements", Yaml::List(all.collect()));
    }
    if dice.chance(8)
        && let Some(entry) = replacement::replica(dice, known)
    {
        root.put("replicas", Yaml::List(vec![entry]));
    }
    if dice.chance(8) {
        let names: &[&str] = if dice.chance(60) {
            &["SOME_VAR"]
        } else {
            &["SOME_VAR", "OTHER"]
        };
        let all = names
            .iter()
            .filter_map(|name| replacement::var(dice, known, name));
        root.put("vars", Yaml::List(all.collect()));
    }
}

fn older_merges(dice: &mut Dice, known: &[Made], root: &mut Yaml, files: &mut Files) {
    let mut all = Vec::new();
    for _ in 0..=dice.below(2) {
        let Some(made) = dice.one(known).cloned() else {
            return;
        };
        let merge = patch::merge(dice, &made);
        if dice.chance(50) {
            all.push(Yaml::Inline(vec![merge]));
        } else {
            let file = format!("merge-{}.yaml", files.len());
            files.push((file.clone(), vec![merge]));
            all.push(plain(file));
        }
    }
    root.put("patchesStrategicMerge", Yaml::List(all));
}

fn older_operations(dice: &mut Dice, known: &[Made], root: &mut Yaml) {
    let Some(made) = dice.one(known).cloned() else {
        return;
    };
    let (group, version) = made.api.split_once('/').unwrap_or(("", made.api));
    let mut target = map([
        ("version", plain(version)),
        ("kind", plain(made.kind)),
        ("name", plain(made.name.clone())),
    ]);
    if !group.is_empty() {
        target.put("group", plain(group));
    }
    let patch = Yaml::Inline(vec![patch::operations(dice, &made)]);
    root.put(
        "patchesJson6902",
        Yaml::List(vec![map([("target", target), ("patch", patch)])]),
    );
}

fn configuration(dice: &mut Dice, root: &mut Yaml, files: &mut Files) {
    if dice.chance(8) {
        files.push(("config.yaml".to_owned(), vec![builtin::configuration(dice)]));
        root.put("configurations", texts(["config.yaml"]));
    }
    if dice.chance(8) {
        let order = dice.pick(&["fifo", "legacy"]);
        let mut options = map([("order", plain(order))]);
        if order == "legacy" && dice.chance(50) {
            let lists = map([("orderFirst", texts(["Service", "Deployment"]))]);
            options.put(
                "legacySortOptions",
                lists.with("orderLast", flow(texts([name(dice), "Secret"]))),
            );
        }
        root.put("sortOptions", options);
    }
    if dice.chance(8) {
        let notes = [
            "originAnnotations",
            "transformerAnnotations",
            "managedByLabel",
        ];
        let some = notes.into_iter().filter(|_| dice.chance(50));
        let some: Vec<_> = some.collect();
        root.put("buildMetadata", flow(texts(some)));
    }
}
