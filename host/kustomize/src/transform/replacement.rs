//! `replacements`: a value of one object, or one that is written down, is copied to fields of others.
//!
//! Paths are `fieldpath.rs`; text that is a document of its own, into which a path may lead on, is
//! `replacement/structured.rs`.

mod structured;

use std::cell::Cell;
use std::rc::Rc;

use crate::error::Error;
use crate::fieldpath::{self, Make, Walk};
use crate::file::{FieldOptions, Replacement, ReplacementEntry, Source, Target};
use crate::options::Selector;
use crate::patch::select::{Identity, Selection};
use crate::resource::Resource;
use crate::session::Session;
use crate::yaml::{Node, Scalar, Tag, text_cost};

/// What copying a value to one place counts, beside its size.
const COPYING: u64 = 20;

/// Makes all replacements, one after the other; `dir` is where their files are seen from.
pub(crate) fn apply(
    session: &Session<'_>,
    dir: &str,
    entries: &[ReplacementEntry],
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    let mut loaded = Vec::new();
    for entry in entries {
        match entry {
            ReplacementEntry::Inline(one) => loaded.push((**one).clone()),
            ReplacementEntry::Path(entry) => {
                let file = session.resolve(dir, entry)?;
                let bytes = session.read(&file, &entry.place)?;
                loaded.extend(Replacement::parse(session, &bytes, &file)?);
            }
        }
    }
    for replacement in &loaded {
        replace(session, replacement, resources)?;
    }
    resources.retain(|resource| !resource.is_gone());
    Ok(())
}

fn replace(
    session: &Session<'_>,
    replacement: &Replacement,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let place = &replacement.place;
    let fail = |why: &str| Err(Error::invalid_at(place, why));
    let Some(targets) = &replacement.targets else {
        return fail("targets are missing");
    };
    let mut value = match (&replacement.source, &replacement.value) {
        (None, None) => return fail("source or sourceValue is missing"),
        (Some(_), Some(_)) => return fail("source and sourceValue cannot both be set"),
        (None, Some(text)) => Value {
            node: Node::Scalar(fieldpath::untyped(text)),
            lives_in: None,
        },
        (Some(source), None) => Value::find(session, source, resources)?,
    };
    for target in targets {
        let selectors = Selectors::new(session, target)?;
        let steps = resources.len() as u64 * selectors.cost();
        let charge = session.budget.steps(steps);
        charge.map_err(|why| Error::in_place(&target.place, why))?;
        for index in 0..resources.len() {
            let Some(resource) = resources.get_mut(index) else {
                continue;
            };
            if selectors.mean(resource) {
                copy(session, &mut value, target, index, resource)?;
            }
        }
    }
    Ok(())
}

/// What is copied.
struct Value<'a> {
    node: Node,
    /// The object and path it was read from. kustomize copies from there each time, so that a replacement that writes
    /// over its own source goes on with what it wrote.
    lives_in: Option<(usize, &'a Source)>,
}

impl<'a> Value<'a> {
    fn find(
        session: &Session<'_>,
        source: &'a Source,
        resources: &[Resource],
    ) -> Result<Self, Error> {
        let fail = |why: String| Error::invalid_at(&source.place, why);
        let charge = session.budget.steps(resources.len() as u64);
        charge.map_err(|why| Error::in_place(&source.place, why))?;
        let meant = |(index, r): (usize, &'_ Resource)| {
            r.any_identity(|id| is_source(source, id)).then_some(index)
        };
        let mut found = resources.iter().enumerate().filter_map(meant);
        let (index, more) = (found.next(), found.count());
        let Some((index, resource)) = index.and_then(|i| Some((i, resources.get(i)?))) else {
            let why = "selects no object: check its kind, name and namespace";
            return Err(fail(why.to_owned()));
        };
        if more > 0 {
            let why = format!("selects {} objects: name one of them", more + 1);
            return Err(fail(why));
        }
        let node = read(source, &resource.node).map_err(fail)?;
        // A copy of what was paid for, which is gone before the next is made.
        let charge = session.budget.steps(node.cost());
        charge.map_err(|why| Error::in_place(&source.place, why))?;
        let lives = source.options.delimiter.is_empty();
        let node = refined(&source.options, node).map_err(fail)?;
        Ok(Self {
            node,
            lives_in: lives.then_some((index, source)),
        })
    }

    /// Reads the value again if `resource` holds it.
    fn refresh(&mut self, index: usize, resource: &Resource) {
        if let Some((home, source)) = self.lives_in
            && home == index
            && let Ok(node) = read(source, &resource.node)
        {
            self.node = node.clone();
        }
    }

    /// Whether it is a mapping or a list in the object at `index`.
    fn is_part_of(&self, index: usize) -> bool {
        !self.node.is_scalar() && self.lives_in.is_some_and(|(home, _)| home == index)
    }

    /// Its text; empty if it is no scalar.
    fn text(&self) -> &str {
        self.node.raw_text()
    }
}

fn is_source(source: &Source, id: &Identity<'_>) -> bool {
    let fits = |want: &str, is: &str| want.is_empty() || want == is;
    let effective = if id.namespace.is_empty() {
        "default"
    } else {
        id.namespace
    };
    fits(&source.name, id.name)
        && fits(&source.kind, id.kind)
        && fits(&source.group, id.group)
        && fits(&source.version, id.version)
        && fits(&source.namespace, effective)
}

fn read<'n>(source: &Source, node: &'n Node) -> Result<&'n Node, String> {
    let steps = fieldpath::split(&source.field_path);
    let shown = |why: &str| format!("fieldPath {}: {why}", source.field_path);
    let found = fieldpath::lookup(node, &steps).map_err(|why| shown(&why))?;
    let empty = |found: &Node| match found {
        Node::Map(map) => map.is_empty(),
        Node::Seq(items) => items.is_empty(),
        Node::Scalar(_) => found.is_null(),
    };
    found
        .filter(|found| !empty(found))
        .ok_or_else(|| shown("nothing is there"))
}

/// The part of the value that the source's options mean.
fn refined(options: &FieldOptions, node: &Node) -> Result<Node, String> {
    if options.delimiter.is_empty() {
        return Ok(node.clone());
    }
    let Node::Scalar(scalar) = node else {
        return Err(format!(
            "options.delimiter parts text, not {}",
            node.kind_name()
        ));
    };
    let part = usize::try_from(options.index)
        .ok()
        .and_then(|index| scalar.text.split(options.delimiter.as_str()).nth(index))
        .ok_or_else(|| format!("options.index: part {} is not there", options.index))?;
    Ok(Node::Scalar(Scalar {
        text: part.to_owned(),
        ..scalar.clone()
    }))
}

/// The selectors of a target, compiled.
struct Selectors<'a> {
    select: Selection,
    reject: Vec<(&'a Selector, Selection)>,
}

impl<'a> Selectors<'a> {
    fn new(session: &Session<'_>, target: &'a Target) -> Result<Self, Error> {
        let invalid = |why: String| Error::invalid_at(&target.place, why);
        let compile = |selector| Selection::new(selector, &session.budget).map_err(invalid);
        let Some(select) = &target.select else {
            return Err(invalid("select is missing".to_owned()));
        };
        let reject = target.reject.iter().map(|one| Ok((one, compile(one)?)));
        Ok(Self {
            select: compile(select)?,
            reject: reject.collect::<Result<_, Error>>()?,
        })
    }

    /// What looking at one object counts.
    fn cost(&self) -> u64 {
        let rejects = self.reject.iter().map(|(_, one)| one.cost());
        self.select.cost() + rejects.sum::<u64>()
    }

    fn mean(&self, resource: &Resource) -> bool {
        resource.any_identity(|id| self.select.fits(id))
            && self.select.fits_texts(resource)
            && !self.reject.iter().any(|(one, selection)| {
                // Text and identity reject on their own.
                let texts = !one.label_selector.is_empty() || !one.annotation_selector.is_empty();
                texts && selection.fits_texts(resource)
                    || has_identity(one) && resource.any_identity(|id| selection.fits(id))
            })
    }
}

fn has_identity(selector: &Selector) -> bool {
    let fields = [
        &selector.group,
        &selector.version,
        &selector.kind,
        &selector.name,
        &selector.namespace,
    ];
    fields.iter().any(|field| !field.is_empty())
}

/// Copies `value` to all fields of `target` in one object.
fn copy(
    session: &Session<'_>,
    value: &mut Value<'_>,
    target: &Target,
    index: usize,
    resource: &mut Resource,
) -> Result<(), Error> {
    for field_path in &target.field_paths {
        let failed = |why: &str| {
            let place = target.place.inside("fieldPaths");
            Error::invalid_at(&place, format!("{field_path}: {why}"))
        };
        let steps = fieldpath::split(field_path);
        if target.options.create && value.is_part_of(index) {
            // What is made is part of the value then.
            let walk = Walk {
                make: Some(Make::like(&value.node)),
                budget: &session.budget,
            };
            let made = walk.visit(&mut resource.node, &steps, false, &mut |_, _| Ok(()));
            if made.is_ok() {
                value.refresh(index, resource);
            }
        }
        let writer = Writer {
            session,
            value,
            options: &target.options,
            misfit: Cell::new(None),
        };
        let count = writer
            .write(&mut resource.node, &steps)
            .map_err(|why| failed(&format!("{why}, in {}", resource.id())))?;
        if count == 0 {
            let hint = "write it there, or set options.create";
            let why = format!("is not there, in {}: {hint}", resource.id());
            return Err(failed(&why));
        }
        if let Some(kind) = writer.misfit.take() {
            let why = format!(
                "{kind} is there, and the value is none, in {}: quote it there",
                resource.id()
            );
            resource.doubt = Some(Rc::new(failed(&why)));
        }
        value.refresh(index, resource);
    }
    Ok(())
}

/// A value on its way to the places of one path.
struct Writer<'a> {
    session: &'a Session<'a>,
    value: &'a Value<'a>,
    options: &'a FieldOptions,
    /// Set when something was written that cannot be printed: what was there. It may be written over yet.
    misfit: Cell<Option<&'static str>>,
}

impl Writer<'_> {
    /// How many places it was written to.
    fn write(&self, node: &mut Node, steps: &[String]) -> Result<usize, String> {
        if let Some(count) = structured::write(self, node, steps)? {
            return Ok(count);
        }
        self.walk(node, steps)
    }

    fn walk(&self, node: &mut Node, steps: &[String]) -> Result<usize, String> {
        // A value that is copied into itself nests deeper each time.
        let limit = self.session.budget.limits().nesting;
        if steps.len() as u64 + self.value.node.depth() > limit {
            return Err(format!("more than {limit} levels of nesting"));
        }
        let walk = Walk {
            make: self.options.create.then(|| Make::like(&self.value.node)),
            budget: &self.session.budget,
        };
        let mut shared = Vec::new();
        let count = walk.visit(node, steps, false, &mut |place, fresh| {
            self.set(place, fresh)?;
            if let (Node::Scalar(scalar), Some(number)) = (&*place, place.shared()) {
                shared.push((number, scalar.clone()));
            }
            Ok(())
        })?;
        if !shared.is_empty() {
            let steps = node.cost() * shared.len() as u64;
            let charge = self.session.budget.steps(steps);
            charge.map_err(|why| why.to_string())?;
        }
        for (number, scalar) in shared {
            node.share(number, &scalar);
        }
        Ok(count)
    }

    fn set(&self, place: &mut Node, fresh: bool) -> Result<(), String> {
        let before = place.cost();
        let cost = self.value.node.cost();
        let charge = self.session.budget.steps(COPYING + cost + before);
        charge.map_err(|why| why.to_string())?;
        let delimiter = self.options.delimiter.as_str();
        let text = match place {
            Node::Scalar(old) if !delimiter.is_empty() => {
                let old = if old.tag == Tag::Null {
                    ""
                } else {
                    old.text.as_str()
                };
                joined(old, self.value.text(), delimiter, self.options.index)
            }
            _ if !delimiter.is_empty() => {
                let why = "options.delimiter parts text, not";
                return Err(format!("{why} {}", place.kind_name()));
            }
            _ => self.value.text().to_owned(),
        };
        // What was there is gone then: what is paid for is what it grows by.
        let after = if place.is_scalar() {
            text_cost(&text)
        } else {
            cost
        };
        let charge = self.session.budget.nodes(after.saturating_sub(before));
        charge.map_err(|why| why.to_string())?;
        match place {
            Node::Scalar(scalar) if fresh => scalar.set_bare(text),
            Node::Scalar(scalar) => {
                scalar.text = text;
                if scalar.printable().is_err() {
                    self.misfit.set(Some(place.kind_name()));
                }
            }
            other => *other = self.value.node.clone(),
        }
        Ok(())
    }
}

/// `old` with one of its parts replaced by `new`, or with `new` before or behind all.
fn joined(old: &str, new: &str, delimiter: &str, index: i64) -> String {
    let Ok(index) = usize::try_from(index) else {
        return [new, delimiter, old].concat();
    };
    // Not as a list of parts: a text of nothing but delimiters would take many times its size.
    let before = old.split(delimiter).take(index);
    let begin = before.map(|part| part.len() + delimiter.len()).sum();
    let Some((head, rest)) = old.split_at_checked(begin) else {
        return [old, delimiter, new].concat();
    };
    let tail = rest.find(delimiter).and_then(|end| rest.get(end..));
    [head, new, tail.unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_part_is_replaced_as_if_the_parts_were_listed() {
        let listed = |old: &str, index: usize| {
            let mut parts: Vec<&str> = old.split("--").collect();
            match parts.get_mut(index) {
                Some(part) => *part = "new",
                None => parts.push("new"),
            }
            parts.join("--")
        };
        for old in ["", "a", "--", "a--b", "a--b--c", "--b--", "----", "a---b"] {
            for index in 0..5 {
                let told = joined(old, "new", "--", i64::try_from(index).unwrap());
                assert_eq!(told, listed(old, index), "{old} {index}");
            }
            assert_eq!(joined(old, "new", "--", -1), format!("new--{old}"));
        }
    }
}
