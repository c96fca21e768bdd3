//! `configMapGenerator` and `secretGenerator`, whose names others refer to.

use super::dice::Dice;
use super::kustomization::Files;
use super::object::{Known, Made, quoted};
use super::scalar::{flag, name, namespace, pairs, word};
use super::yaml::{Yaml, flow, map, plain, texts};

const LITERALS: [&str; 10] = [
    "a=1",
    "\"b=two words\"",
    "c-d=yes",
    "LEVEL=",
    "'e=\"quoted\"'",
    "f=a=b",
    "\"g=010\"",
    "h='x'",
    "\"i=line\\nline\"",
    "j=é",
];

/// Adds both fields and `generatorOptions`.
pub(super) fn fields(dice: &mut Dice, known: &mut Known, root: &mut Yaml, files: &mut Files) {
    let mut any = false;
    for (field, kind) in [
        ("configMapGenerator", "ConfigMap"),
        ("secretGenerator", "Secret"),
    ] {
        if !dice.chance(22) {
            continue;
        }
        any = true;
        let count = 1 + dice.below(2);
        let all = (0..count)
            .map(|_| entry(dice, kind, known, files))
            .collect();
        root.put(field, Yaml::List(all));
    }
    if dice.chance(if any { 30 } else { 3 }) {
        root.put("generatorOptions", options(dice));
    }
}

/// One generator. What it makes joins `known`, or changes what is there.
pub(super) fn entry(
    dice: &mut Dice,
    kind: &'static str,
    known: &mut Known,
    files: &mut Files,
) -> Yaml {
    let mut entry = map([]);
    let old: Vec<Made> = known
        .here
        .iter()
        .filter(|made| made.kind == kind)
        .cloned()
        .collect();
    match dice.one(&old).cloned() {
        Some(made) if dice.chance(60) => {
            entry.put("name", plain(made.name));
            if let Some(namespace) = made.namespace {
                entry.put("namespace", plain(namespace));
            }
            entry.put("behavior", plain(dice.pick(&["merge", "merge", "replace"])));
        }
        _ => create(dice, kind, known, &mut entry),
    }
    sources(dice, &mut entry, files);
    if kind == "Secret" && dice.chance(20) {
        entry.put("type", plain(dice.pick(&["Opaque", "example.com/x"])));
    }
    if dice.chance(25) {
        entry.put("options", options(dice));
    }
    entry
}

fn create(dice: &mut Dice, kind: &'static str, known: &mut Known, entry: &mut Yaml) {
    let made = loop {
        let namespace = dice.chance(15).then(|| namespace(dice).to_owned());
        let made = Made {
            api: "v1",
            kind,
            name: name(dice).to_owned(),
            namespace,
        };
        if known.is_new(&made) || dice.chance(5) {
            break made;
        }
    };
    entry.put("name", plain(made.name.clone()));
    if let Some(namespace) = &made.namespace {
        entry.put("namespace", plain(namespace.clone()));
    }
    if dice.chance(10) {
        entry.put("behavior", plain("create"));
    }
    known.push(made);
}

fn sources(dice: &mut Dice, entry: &mut Yaml, files: &mut Files) {
    if dice.chance(75) {
        let start = dice.below(LITERALS.len());
        let some = LITERALS.iter().cycle().skip(start).take(1 + dice.below(4));
        entry.put("literals", texts(some.copied()));
    }
    if dice.chance(25) {
        let file = format!("env-{}.env", files.len());
        let text = "# a comment\nONE=1\n\nTWO=two words\nTHREE=\"quoted\"\n  FOUR=x=y\nEMPTY=\n";
        files.push((file.clone(), vec![plain(text)]));
        let list = flow(texts([file.clone()]));
        let (field, value) = if dice.chance(80) {
            ("envs", list)
        } else {
            ("env", plain(file))
        };
        entry.put(field, value);
    }
    if dice.chance(25) {
        let file = format!("text-{}.txt", files.len());
        let text = [
            "one\ntwo\n",
            "no end",
            "trailing \n",
            "",
            "é\r\n",
            "a: b\nc: [1]\n",
        ];
        files.push((file.clone(), vec![plain(dice.pick(&text))]));
        let listed = if dice.chance(50) {
            format!("key.txt={file}")
        } else {
            file
        };
        entry.put("files", texts([listed]));
    }
}

fn options(dice: &mut Dice) -> Yaml {
    let mut options = map([]);
    if dice.chance(50) {
        options.put("disableNameSuffixHash", flag(dice));
    }
    if dice.chance(30) {
        options.put("labels", pairs(dice, word));
    }
    if dice.chance(30) {
        options.put("annotations", pairs(dice, quoted));
    }
    if dice.chance(20) {
        options.put("immutable", flag(dice));
    }
    options
}
