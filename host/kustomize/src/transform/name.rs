//! `namePrefix` and `nameSuffix`.
//!
//! CRDs, APIServices and Namespaces keep their names. Who refers to a renamed object is told in `reference.rs`.

use crate::error::Error;
use crate::file::Entry;
use crate::resource::Resource;

/// Puts the prefix before every name.
pub(crate) fn prefix(prefix: &Entry, resources: &mut [Resource]) -> Result<(), Error> {
    rename(
        prefix,
        resources,
        |text, name| format!("{text}{name}"),
        |resource, text| {
            resource.prefixes.push(text);
        },
    )
}

/// Puts the suffix behind every name.
pub(crate) fn suffix(suffix: &Entry, resources: &mut [Resource]) -> Result<(), Error> {
    rename(
        suffix,
        resources,
        |text, name| format!("{name}{text}"),
        |resource, text| {
            resource.suffixes.push(text);
        },
    )
}

fn rename(
    entry: &Entry,
    resources: &mut [Resource],
    new_name: impl Fn(&str, &str) -> String,
    remember: impl Fn(&mut Resource, String),
) -> Result<(), Error> {
    if entry.text.is_empty() {
        return Ok(());
    }
    for resource in resources.iter_mut().filter(|r| !keeps_its_name(r)) {
        remember(resource, entry.text.clone());
        resource.store_previous();
        if resource.name().is_empty() {
            return Err(resource.error("metadata.name is missing"));
        }
        resource.set_name(&new_name(&entry.text, resource.name()));
    }
    Ok(())
}

fn keeps_its_name(resource: &Resource) -> bool {
    match resource.original_kind() {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => resource.group() == "apiregistration.k8s.io",
        _ => false,
    }
}
