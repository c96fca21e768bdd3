//! `namePrefix` and `nameSuffix`.
//!
//! CRDs, APIServices and Namespaces keep their names. Who refers to a renamed object is told in `reference.rs`.

use crate::error::Error;
use crate::fieldspec::{FieldSpec, Make};
use crate::file::Entry;
use crate::resource::{Resource, set_text};
use crate::session::Session;
use crate::yaml::Node;

/// The field that is the object's own name.
const NAME: &str = "metadata/name";

/// Which end of a name the text comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Front,
    Back,
}

/// Puts the text before or behind every name in `fields`.
pub(crate) fn apply(
    session: &Session<'_>,
    entry: &Entry,
    end: End,
    fields: &[FieldSpec],
    resources: &mut [Resource],
) -> Result<(), Error> {
    if entry.text.is_empty() {
        return Ok(());
    }
    let charge = session
        .budget
        .steps((resources.len() * fields.len()) as u64);
    charge.map_err(|why| Error::in_place(&entry.place, why))?;
    let text = entry.text.as_str();
    for resource in resources.iter_mut().filter(|r| !keeps_its_name(r)) {
        let kind = resource.original_kind().to_owned();
        for spec in fields {
            if !spec
                .gvk
                .selects(resource.group(), resource.version(), &kind)
            {
                continue;
            }
            if spec.path == NAME {
                remember(session, entry, end, resource)?;
            }
            let mut set = |node: &mut Node| rename(session, node, end, text);
            spec.apply(resource, Some(Make::Text), &session.budget, &mut set)
                .map_err(|why| resource.error(&why))?;
        }
    }
    Ok(())
}

fn remember(
    session: &Session<'_>,
    entry: &Entry,
    end: End,
    resource: &mut Resource,
) -> Result<(), Error> {
    for text in [&entry.text, resource.name()] {
        let charge = session.budget.text(text);
        charge.map_err(|why| Error::in_place(&entry.place, why))?;
    }
    match end {
        End::Front => resource.history_mut().prefixes.push(entry.text.clone()),
        End::Back => resource.history_mut().suffixes.push(entry.text.clone()),
    }
    resource.store_previous();
    Ok(())
}

fn rename(session: &Session<'_>, node: &mut Node, end: End, text: &str) -> Result<(), String> {
    if !node.is_scalar() {
        return Err(format!("must be a string, not {}", node.kind_name()));
    }
    let old = node.raw_text();
    let new = match end {
        End::Front => format!("{text}{old}"),
        End::Back => format!("{old}{text}"),
    };
    session.budget.text(&new).map_err(|why| why.to_string())?;
    set_text(node, new);
    Ok(())
}

fn keeps_its_name(resource: &Resource) -> bool {
    match resource.original_kind() {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => resource.group() == "apiregistration.k8s.io",
        _ => false,
    }
}
