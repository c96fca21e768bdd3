//! One random tree: directories that build on each other, and how the last of them is built.

use super::dice::Dice;
use super::kustomization::{Files, Plan, directory};
use super::object::{Known, Made};
use super::yaml::{Yaml, write};

/// A tree and how to build it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The files and their documents. What is no YAML is one plain text.
    pub(super) files: Files,
    /// The directory that is built.
    pub(crate) top: String,
    pub(crate) legacy_order: bool,
    pub(crate) managed_by_label: bool,
}

impl Case {
    /// The case of this number.
    pub(crate) fn new(number: u64) -> Self {
        let mut dice = Dice::new(number);
        let dice = &mut dice;
        let mut files = Files::new();
        // The directories that nobody builds on yet, and the objects in them.
        let mut free: Vec<(String, Vec<Made>)> = Vec::new();
        let mut known = Known::default();
        let last = dice.below(3);
        let component = dice.chance(20);
        for at in 0..=last {
            let top = at == last;
            let below = if top || dice.chance(40) {
                std::mem::take(&mut free)
            } else {
                Vec::new()
            };
            let bases = below.iter().map(|(dir, _)| format!("../{dir}")).collect();
            known.here = below.into_iter().flat_map(|(_, objects)| objects).collect();
            let plan = Plan {
                component: false,
                bases,
                components: if top && component {
                    vec!["../c".to_owned()]
                } else {
                    Vec::new()
                },
                known: &mut known,
            };
            add(&mut files, &format!("d{at}"), directory(dice, plan));
            free.push((format!("d{at}"), std::mem::take(&mut known.here)));
        }
        if component {
            known.here = free.pop().map(|(_, objects)| objects).unwrap_or_default();
            let plan = Plan {
                component: true,
                bases: Vec::new(),
                components: Vec::new(),
                known: &mut known,
            };
            add(&mut files, "c", directory(dice, plan));
        }
        Self {
            files,
            top: format!("d{last}"),
            legacy_order: dice.chance(20),
            managed_by_label: dice.chance(5),
        }
    }

    /// The tree as bytes.
    pub(crate) fn tree(&self) -> Vec<(String, String)> {
        let text = |documents: &Vec<Yaml>| match documents.as_slice() {
            [Yaml::Plain(text)] => text.clone(),
            documents => write(documents),
        };
        let files = self.files.iter();
        files
            .map(|(name, documents)| (name.clone(), text(documents)))
            .collect()
    }
}

fn add(files: &mut Files, dir: &str, (root, more): (Yaml, Files)) {
    files.push((format!("{dir}/kustomization.yaml"), vec![root]));
    files.extend(
        more.into_iter()
            .map(|(name, documents)| (format!("{dir}/{name}"), documents)),
    );
}
