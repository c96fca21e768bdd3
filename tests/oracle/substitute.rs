//! Variables in manifests, put in by the real Flux and by ours.
//!
//! Every row of `tests/cases/substitute`, and random texts: what Flux makes of them we make of them, and what it refuses we
//! refuse. A row that says `differs` is one in which we refuse more, or see it later than Flux does.

use std::fmt::Write as _;

use reeve_core::render::{Rendering, Size, render};
use reeve_core::spec::Spec;
use reeve_core::substitute::{Variables, substitute};
use reeve_kustomize::{MemoryTree, Object, Remotes, Stop, parse_yaml, to_yaml};
use serde_json::{Map, Value, json};

use crate::flux;
use crate::random::dice::Dice;
use crate::real::Flux;

/// How many random texts are made, and how many of them Flux is shown at once.
const TEXTS: usize = 600;
const AT_ONCE: usize = 50;

/// One object, and what its variables stand for.
struct Case {
    object: Value,
    variables: Value,
    always: bool,
}

impl Case {
    fn spec(&self) -> Value {
        let strategy = match self.always {
            true => "Always",
            false => "WithVariables",
        };
        json!({"substitute": self.variables, "substituteStrategy": strategy})
    }

    /// What Flux makes of it, with its labels.
    fn theirs(&self, flux: &Flux) -> Result<String, String> {
        let scratch = tempfile::tempdir().expect("there is room for a tree");
        let file = self.object.to_string();
        crate::real::write(scratch.path(), &[("in/a.yaml".to_owned(), file)]);
        flux.build(scratch.path(), &format!("postBuild: {}\n", self.spec()))
    }

    /// What we make of it, with the same labels.
    fn ours(&self) -> Result<String, String> {
        let spec = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "case", "namespace": "flux-system"},
            "spec": {"interval": "1h", "prune": true, "postBuild": self.spec(),
                "sourceRef": {"kind": "GitRepository", "name": "case"}},
        });
        let spec = serde_json::from_value(spec).expect("it is a Kustomization");
        let spec = Spec::parse(&spec).map_err(|why| why.to_string())?;
        let file = [("a.yaml".to_owned(), self.object.to_string())];
        let tree: MemoryTree = file.into_iter().collect();
        let built = render(
            &tree,
            &Remotes::refused(),
            &spec,
            None,
            Size::Any,
            &Stop::default(),
        );
        let Rendering::Bundle(bundle) = built.map_err(|why| why.to_string())? else {
            return Err("something is wanted from elsewhere".to_owned());
        };
        let mut variables = Variables::default();
        variables.put_over(&spec.substitution.own);
        let bundle = substitute(bundle, &variables, spec.substitution.always)
            .map_err(|why| reeve_core::failure::chain(&why))?
            .bundle;
        let objects: Vec<Object> = bundle.objects().iter().cloned().map(labelled).collect();
        Ok(to_yaml(&objects))
    }

    /// How the two differ, if they do.
    fn difference(&self, flux: &Flux) -> Option<String> {
        match (self.theirs(flux), self.ours()) {
            (Ok(theirs), Ok(ours)) if theirs == ours => None,
            (Err(_), Err(_)) => None,
            (theirs, ours) => Some(format!("flux: {theirs:?}\nours: {ours:?}")),
        }
    }
}

fn labelled(mut object: Object) -> Object {
    for (key, value) in Flux::LABELS {
        object.labels_mut().insert(key.to_owned(), value.into());
    }
    object
}

fn config_map(data: Map<String, Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

fn of_texts<'t>(texts: impl Iterator<Item = &'t String>, variables: &Value) -> Case {
    let data = (0..).zip(texts);
    let data = data.map(|(at, text)| (format!("k{at:03}"), json!(text)));
    Case {
        object: config_map(data.collect()),
        variables: variables.clone(),
        always: false,
    }
}

fn base() -> Value {
    json!({"region": "eu-west-1", "name": "Web", "empty": "", "path": "/usr/local/bin", "word": "aabcabb"})
}

fn of_row(row: &Value) -> Case {
    let own = row.get("variables").cloned();
    let (object, variables) = match row.get("object") {
        Some(object) => (object.clone(), own.unwrap_or_else(base)),
        None => {
            let mut all = base();
            for (name, value) in own
                .as_ref()
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                if let Some(all) = all.as_object_mut() {
                    all.insert(name.clone(), value.clone());
                }
            }
            let text = row.get("text").cloned().unwrap_or_default();
            let data = [("text".to_owned(), text)];
            (config_map(data.into_iter().collect()), all)
        }
    };
    Case {
        object,
        variables,
        always: row.get("always").is_some(),
    }
}

#[test]
fn flux_makes_of_every_row_what_is_written_there() {
    let Some(flux) = flux() else { return };
    let mut told = String::new();
    for file in ["functions.yaml", "objects.yaml", "refused.yaml"] {
        let path = reeve_tests::root()
            .join("tests/cases/substitute")
            .join(file);
        let text = std::fs::read(path).expect("the rows are there");
        let rows = parse_yaml(&text, file).expect("the rows are YAML");
        assert!(!rows.is_empty(), "{file}");
        for row in rows {
            let differs = row.get("differs").is_some();
            match of_row(&row).difference(&flux) {
                Some(how) if !differs => {
                    let _ = writeln!(told, "{file}: {}\n{how}", row["says"]);
                }
                None if differs => {
                    let _ = writeln!(told, "{file}: {}: nothing differs", row["says"]);
                }
                _ => {}
            }
        }
    }
    assert!(told.is_empty(), "{told}");
}

#[test]
fn random_texts_come_out_as_flux_has_them() {
    let Some(flux) = flux() else { return };
    let variables = json!({
        "a": "abcabc", "b": "x/y/z.tar.gz", "n": "2", "m": "-3", "e": "", "star": "*b", "u": "Grüße",
        "t": "yes", "w": "two words", "h": "#no: comment", "d": "$b",
    });
    let mut dice = Dice::new(7);
    let texts: Vec<String> = (0..TEXTS).map(|_| text(&mut dice, 0)).collect();
    let one = |text: &String| of_texts(std::iter::once(text), &variables);
    let (fine, refused): (Vec<_>, Vec<_>) = texts.iter().partition(|text| one(text).ours().is_ok());
    assert!(
        fine.len() > TEXTS / 4 && refused.len() > 20,
        "{} {}",
        fine.len(),
        refused.len()
    );
    let mut differ = Vec::new();
    for texts in fine.chunks(AT_ONCE) {
        if of_texts(texts.iter().copied(), &variables)
            .difference(&flux)
            .is_some()
        {
            let each = texts
                .iter()
                .filter_map(|text| Some((text, one(text).difference(&flux)?)));
            differ.extend(each.map(|(text, how)| format!("{text:?}\n{how}")));
        }
    }
    for text in refused.iter().take(60) {
        let how = one(text).difference(&flux);
        differ.extend(how.map(|how| format!("{text:?}\n{how}")));
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// A text with expressions, most of which can be read.
fn text(dice: &mut Dice, depth: usize) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(3) {
        if dice.chance(60) && depth < 3 {
            text += &expression(dice, depth);
        } else {
            text += dice.pick(&[
                "a", "b ", "-", "1", "$", "$$", "/", "\\", "x{y", ".", "*", "é", "c",
            ]);
        }
    }
    text
}

fn expression(dice: &mut Dice, depth: usize) -> String {
    let name = match dice.chance(95) {
        true => dice.pick(&["a", "b", "n", "m", "e", "star", "u", "t", "w", "h", "d"]),
        false => dice.pick(&["none", "", "a-b", "9"]),
    };
    let argument = |dice: &mut Dice| match dice.below(4) {
        0 => expression_of(dice, depth),
        1 => dice.pick(&["0", "1", "2", "0-1", "99", "-1"]).to_owned(),
        2 => dice
            .pick(&[
                "*", "?", "a*", "*/", "[a-c]", "[^a]", "*.", "\\*", "[", "b?c",
            ])
            .to_owned(),
        _ => dice
            .pick(&["a", "bc", "x", "tar", "ü", "", "$$", "\\/"])
            .to_owned(),
    };
    match dice.below(13) {
        0 | 1 => format!("${{{name}}}"),
        2 => format!("${{#{name}}}"),
        3 => format!("${{{name}{}}}", dice.pick(&[",", ",,", "^", "^^", ",^"])),
        4 | 5 => {
            let mark = dice.pick(&[":=", ":-", "=", ":?", ":+", "-"]);
            format!("${{{name}{mark}{}}}", text(dice, depth + 1))
        }
        6 => format!("${{{name}:{}}}", argument(dice)),
        7 => format!("${{{name}:{}:{}}}", argument(dice), argument(dice)),
        8 | 9 => {
            let mark = dice.pick(&["#", "##", "%", "%%"]);
            format!("${{{name}{mark}{}}}", argument(dice))
        }
        10 | 11 => {
            let mark = dice.pick(&["/", "//", "/#", "/%"]);
            format!("${{{name}{mark}{}/{}}}", argument(dice), argument(dice))
        }
        _ => format!("$${{{name}}}"),
    }
}

fn expression_of(dice: &mut Dice, depth: usize) -> String {
    match depth < 3 {
        true => expression(dice, depth + 1),
        false => "a".to_owned(),
    }
}
