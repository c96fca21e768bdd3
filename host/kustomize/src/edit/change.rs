//! What each edit does to the values of a file.

use serde_json::{Map, Value, json};

use super::arguments::{Pairs, Replicas, is_annotation_key};
use super::fields::Fields;
use super::fix::{merged, set_merged};
use super::{Edit, ImageEdit, PairField, PatchEdit, PathField, TextField, data, glob};
use crate::error::Error;

/// Makes the edit; false when the file stays as it is.
pub(super) fn change(
    fields: &mut Fields<'_>,
    edit: &Edit,
    notes: &mut Vec<String>,
) -> Result<bool, Error> {
    match edit {
        Edit::SetImages(images) => set_images(fields, images)?,
        Edit::SetText(field, text) => fields.set(field.name(), text.as_str()),
        Edit::SetReplicas(replicas) => set_replicas(fields, replicas)?,
        Edit::SetPairs(field, pairs) => add_pairs(fields, *field, pairs, true)?,
        Edit::AddPairs {
            field,
            pairs,
            force,
        } => add_pairs(fields, *field, pairs, *force)?,
        Edit::AddLabels {
            pairs,
            force,
            templates,
        } => add_labels(fields, pairs, *force, *templates)?,
        Edit::RemovePairs {
            field,
            keys,
            lenient,
        } => remove_pairs(fields, *field, keys, *lenient)?,
        Edit::SetBuildMetadata(options) => fields.set("buildMetadata", options.clone()),
        Edit::AddBuildMetadata(options) => add_build_metadata(fields, options)?,
        Edit::RemoveBuildMetadata(options) => {
            let mut list = fields.list("buildMetadata")?;
            list.retain(|one| options.iter().all(|option| one != option));
            fields.set("buildMetadata", list);
        }
        Edit::AddPaths(field, paths) => return add_paths(fields, *field, paths, notes),
        Edit::AddBases(paths) => add_bases(fields, paths)?,
        Edit::RemovePaths(field, patterns) => return remove_paths(fields, *field, patterns),
        Edit::AddPatch(patch) => return add_patch(fields, patch, notes),
        Edit::RemovePatch(patch) => return remove_patch(fields, patch, notes),
        Edit::AddData(edit) => data::add(fields, edit)?,
        Edit::SetData(edit) => data::set(fields, edit)?,
        Edit::RemoveData {
            kind,
            names,
            namespace,
        } => data::remove(fields, *kind, names, namespace, notes)?,
        Edit::Fix => {}
    }
    Ok(true)
}

fn set_replicas(fields: &mut Fields<'_>, replicas: &Replicas) -> Result<(), Error> {
    let entries = replicas
        .iter()
        .map(|(name, count)| (name.as_str(), json!({"name": name, "count": count})));
    let list = fields.list("replicas")?;
    fields.set("replicas", set_named(list, entries.collect()));
    Ok(())
}

fn add_build_metadata(fields: &mut Fields<'_>, options: &[String]) -> Result<(), Error> {
    let mut list = fields.list("buildMetadata")?;
    for option in options {
        add_once(fields, "buildMetadata", &mut list, option)?;
    }
    fields.set("buildMetadata", list);
    Ok(())
}

fn add_bases(fields: &mut Fields<'_>, paths: &[String]) -> Result<(), Error> {
    let mut list = merged(fields, "resources")?;
    for path in paths {
        add_once(fields, "resources", &mut list, path)?;
    }
    set_merged(fields, "resources", list);
    Ok(())
}

impl TextField {
    fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::NamePrefix => "namePrefix",
            Self::NameSuffix => "nameSuffix",
        }
    }
}

impl PairField {
    fn name(self) -> &'static str {
        match self {
            Self::Labels => "commonLabels",
            Self::Annotations => "commonAnnotations",
        }
    }
}

impl PathField {
    fn name(self) -> &'static str {
        match self {
            Self::Resources => "resources",
            Self::Components => "components",
            Self::Transformers => "transformers",
            Self::Generators => "generators",
            Self::Configurations => "configurations",
        }
    }
}

fn set_images(fields: &mut Fields<'_>, images: &[ImageEdit]) -> Result<(), Error> {
    let list = merged(fields, "images")?;
    let entries = images.iter().map(|image| {
        let old = list.iter().find(|one| name_of(one) == image.name);
        let entry = image.entry(old.and_then(Value::as_object));
        (image.name.as_str(), Value::Object(entry))
    });
    let images = set_named(list.clone(), entries.collect());
    set_merged(fields, "images", images);
    Ok(())
}

fn name_of(value: &Value) -> &str {
    let name = value.get("name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// The list with an entry for each name: in the place of the one that is there; else where it belongs in a list that is
/// sorted, as kustomize leaves it, or at the end. Of several that are there, the first stays.
fn set_named(mut list: Vec<Value>, entries: Vec<(&str, Value)>) -> Vec<Value> {
    for (name, entry) in entries {
        if let Some(at) = list.iter().position(|one| name_of(one) == name) {
            let mut index = 0;
            list.retain(|one| {
                index += 1;
                index <= at + 1 || name_of(one) != name
            });
            if let Some(slot) = list.get_mut(at) {
                *slot = entry;
            }
            continue;
        }
        let at = match list.is_sorted_by_key(|one| name_of(one).to_owned()) {
            true => list.partition_point(|one| name_of(one) < name),
            false => list.len(),
        };
        list.insert(at, entry);
    }
    list
}

fn add_pairs(
    fields: &mut Fields<'_>,
    field: PairField,
    pairs: &Pairs,
    force: bool,
) -> Result<(), Error> {
    let name = field.name();
    let mut map = fields.mapping(name)?;
    for (key, value) in pairs {
        if field == PairField::Annotations && !is_annotation_key(key) {
            return Err(fields.invalid(name, format!("{key} is no key of an annotation")));
        }
        put(fields, name, &mut map, (key, value), force)?;
    }
    fields.set(name, map);
    Ok(())
}

fn put(
    fields: &Fields<'_>,
    name: &str,
    map: &mut Map<String, Value>,
    (key, value): (&str, &str),
    force: bool,
) -> Result<(), Error> {
    if map.contains_key(key) && !force {
        return Err(fields.invalid(name, format!("{key} is there already: use --force")));
    }
    map.insert(key.to_owned(), Value::from(value));
    Ok(())
}

fn add_labels(
    fields: &mut Fields<'_>,
    pairs: &Pairs,
    force: bool,
    templates: bool,
) -> Result<(), Error> {
    let mut labels = fields.list("labels")?;
    let flag = |label: &Value, name: &str| label.get(name) == Some(&Value::Bool(true));
    let alike = labels.iter().position(|label| {
        !flag(label, "includeSelectors") && flag(label, "includeTemplates") == templates
    });
    let at = alike.unwrap_or_else(|| {
        let label = match templates {
            true => json!({"includeTemplates": true, "pairs": {}}),
            false => json!({"pairs": {}}),
        };
        labels.push(label);
        labels.len() - 1
    });
    let Some(label) = labels.get_mut(at).and_then(Value::as_object_mut) else {
        return Err(fields.invalid("labels", "must be a list of mappings"));
    };
    let old = label.entry("pairs").or_insert_with(|| json!({}));
    if old.is_null() {
        *old = json!({});
    }
    let Some(map) = old.as_object_mut() else {
        return Err(fields.invalid("labels", "pairs must be a mapping"));
    };
    for (key, value) in pairs {
        put(fields, "labels", map, (key, value), force)?;
    }
    fields.set("labels", labels);
    Ok(())
}

fn remove_pairs(
    fields: &mut Fields<'_>,
    field: PairField,
    keys: &[String],
    lenient: bool,
) -> Result<(), Error> {
    let name = field.name();
    if !fields.has(name) && !lenient {
        return Err(fields.invalid(name, "is not there"));
    }
    let mut map = fields.mapping(name)?;
    for key in keys {
        if map.shift_remove(key).is_none() && !lenient {
            return Err(fields.invalid(name, format!("{key} is not there")));
        }
    }
    fields.set(name, map);
    Ok(())
}

fn add_once(
    fields: &Fields<'_>,
    name: &str,
    list: &mut Vec<Value>,
    text: &str,
) -> Result<(), Error> {
    if list.iter().any(|one| one == text) {
        return Err(fields.invalid(name, format!("{text} is there already")));
    }
    list.push(Value::from(text));
    Ok(())
}

fn add_paths(
    fields: &mut Fields<'_>,
    field: PathField,
    paths: &[String],
    notes: &mut Vec<String>,
) -> Result<bool, Error> {
    if paths.is_empty() {
        return Ok(false);
    }
    let mut list = merged(fields, field.name())?;
    for path in paths {
        if list.iter().any(|one| one == path) {
            notes.push(format!("{path} is already in {}", field.name()));
        } else {
            list.push(Value::from(path.as_str()));
        }
    }
    set_merged(fields, field.name(), list);
    Ok(true)
}

fn remove_paths(
    fields: &mut Fields<'_>,
    field: PathField,
    patterns: &[String],
) -> Result<bool, Error> {
    let name = field.name();
    let mut list = merged(fields, name)?;
    if let Some(broken) = patterns.iter().find(|p| glob::matches(p, "").is_none()) {
        return Err(fields.invalid(name, format!("{broken} is no pattern")));
    }
    let before = list.len();
    list.retain(|one| {
        let path = one.as_str().unwrap_or_default();
        let hit = |pattern: &String| glob::matches(pattern, path) == Some(true);
        !patterns.iter().any(hit)
    });
    let changed = list.len() < before;
    if changed {
        set_merged(fields, name, list);
    }
    Ok(changed)
}

impl PatchEdit {
    fn entry(&self) -> Value {
        let mut entry = Map::new();
        for (field, text) in [("patch", &self.patch), ("path", &self.path)] {
            if !text.is_empty() {
                entry.insert(field.to_owned(), Value::from(text.as_str()));
            }
        }
        let target = &self.target;
        let fields = [
            ("group", &target.group),
            ("version", &target.version),
            ("kind", &target.kind),
            ("name", &target.name),
            ("namespace", &target.namespace),
            ("annotationSelector", &target.annotation_selector),
            ("labelSelector", &target.label_selector),
        ];
        let set = fields.into_iter().filter(|(_, text)| !text.is_empty());
        let set: Map<String, Value> = set
            .map(|(field, text)| (field.to_owned(), Value::from(text.as_str())))
            .collect();
        if !set.is_empty() {
            entry.insert("target".to_owned(), Value::Object(set));
        }
        Value::Object(entry)
    }
}

fn add_patch(
    fields: &mut Fields<'_>,
    patch: &PatchEdit,
    notes: &mut Vec<String>,
) -> Result<bool, Error> {
    let mut list = fields.list("patches")?;
    let entry = patch.entry();
    if list.contains(&entry) {
        notes.push("the patch is already in patches".to_owned());
        return Ok(false);
    }
    list.push(entry);
    fields.set("patches", list);
    Ok(true)
}

fn remove_patch(
    fields: &mut Fields<'_>,
    patch: &PatchEdit,
    notes: &mut Vec<String>,
) -> Result<bool, Error> {
    let mut list = fields.list("patches")?;
    let (before, entry) = (list.len(), patch.entry());
    list.retain(|one| *one != entry);
    if list.len() == before {
        notes.push("the patch is not in patches".to_owned());
        return Ok(false);
    }
    fields.set("patches", list);
    Ok(true)
}
