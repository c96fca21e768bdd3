//! ValueAddTransformer: one text written into fields of selected objects, whole or as a part of a path.

use crate::error::{Error, Place};
use crate::file::Entry;
use crate::file::builtin::{ValueAdd, ValueTarget};
use crate::patch::select::Selection;
use crate::resource::Resource;
use crate::session::Session;
use crate::transform::namespace::{self, Move};
use crate::yaml::{Node, Scalar, Style};

/// Writes the text into the fields of all targets, as the kustomization in `dir` asks for.
pub(crate) fn apply(
    session: &Session<'_>,
    dir: &str,
    add: &ValueAdd,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let mut targets = add.targets.clone();
    if !add.targets_file.text.is_empty() {
        targets.extend(from_file(session, dir, &add.targets_file)?);
    }
    if targets.is_empty() {
        return Err(Error::invalid_at(&add.place, "targets is missing"));
    }
    let value = match (add.value.as_str(), dir.rsplit('/').next()) {
        ("", Some(name)) if !name.is_empty() => name,
        ("", _) => {
            let why = "value is missing, and the directory has no name here";
            return Err(Error::invalid_at(&add.place, why));
        }
        (value, _) => value,
    };
    for target in &targets {
        let charge = session.budget.steps(resources.len() as u64);
        charge.map_err(|why| Error::in_place(&target.place, why))?;
        let selection = target.selector.as_ref();
        let selection = selection
            .map(|s| Selection::new(s, &session.budget))
            .transpose();
        let selection = selection.map_err(|why| Error::invalid_at(&target.place, why))?;
        let meant = |r: &&mut Resource| selection.as_ref().is_none_or(|s| s.matches(r));
        for resource in resources.iter_mut().filter(meant) {
            write(session, value, target, resource).map_err(|why| {
                let why = format!("{}: {}: {why}", resource.id(), target.path);
                Error::invalid_at(&target.place, why)
            })?;
        }
    }
    Ok(())
}

/// The targets that a file of their own lists.
fn from_file(session: &Session<'_>, dir: &str, entry: &Entry) -> Result<Vec<ValueTarget>, Error> {
    let file = session.resolve(dir, entry)?;
    let bytes = session.read(&file, &entry.place)?;
    let documents = session.documents(&bytes, &file)?;
    let first = documents.into_iter().next().map(|d| d.node);
    ValueTarget::all(&first.unwrap_or_default(), &Place::of_file(&file))
}

fn write(
    session: &Session<'_>,
    value: &str,
    target: &ValueTarget,
    resource: &mut Resource,
) -> Result<(), String> {
    session.budget.text(value).map_err(|why| why.to_string())?;
    if target.path == "metadata/namespace" {
        let to = Move {
            namespace: Entry {
                text: value.to_owned(),
                place: target.place.clone(),
            },
            ..Move::default()
        };
        return namespace::move_one(session, &to, &[], resource);
    }
    let node = field(&mut resource.node, &target.path)?;
    let Node::Scalar(old) = node else {
        return Err(format!("must be a string, not {}", node.kind_name()));
    };
    let new = match target.position {
        0 => value.to_owned(),
        at => inserted(&old.text, at - 1, value),
    };
    session.budget.text(&new).map_err(|why| why.to_string())?;
    old.set_bare(new);
    Ok(())
}

/// The value at a path of fields, made where it is missing; `\/` is a slash within a field's name.
fn field<'a>(node: &'a mut Node, path: &str) -> Result<&'a mut Node, String> {
    let mut node = node;
    let steps = crate::fieldspec::split_all(path);
    for (index, step) in steps.iter().enumerate() {
        let kind = node.kind_name();
        let Node::Map(map) = node else {
            return Err(format!("{step} is looked for in {kind}, not in a mapping"));
        };
        let last = index + 1 == steps.len();
        let new = || if last { empty() } else { Node::empty_mapping() };
        node = map.get_or_insert_with(step, new);
        if node.is_null() {
            *node = new();
        }
    }
    Ok(node)
}

fn empty() -> Node {
    Node::Scalar(Scalar {
        style: Style::Plain,
        ..Scalar::string("")
    })
}

/// `path` with one more part at `at`; a leading slash stays in front, and what is too far comes last.
fn inserted(path: &str, at: usize, part: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    parts.insert(at.min(parts.len()), part);
    let joined = parts.join("/");
    if absolute {
        format!("/{joined}")
    } else {
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_into_a_path_where_it_is_wanted() {
        for (path, at, want) in [
            ("", 0, "X"),
            ("/", 0, "/X"),
            ("pie", 0, "X/pie"),
            ("/pie", 0, "/X/pie"),
            ("raw", 1, "raw/X"),
            ("/raw", 9, "/raw/X"),
            ("a/nice/warm/pie", 3, "a/nice/warm/X/pie"),
        ] {
            assert_eq!(inserted(path, at, "X"), want, "{path} {at}");
        }
    }
}
