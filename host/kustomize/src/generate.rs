//! ConfigMaps and Secrets out of files, literals and env files.
//!
//! The names' hashes are in `generate/hash.rs`; they are added at the very end of a build, when the content is final.

mod hash;
mod source;

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Place};
use crate::file::{Generator, GeneratorOptions, Kustomization};
use crate::resource::{Resource, field_mapping};
use crate::session::Session;
use crate::yaml::{Mapping, Node, Scalar, Style, text_cost};
use crate::{origin, path};
pub(crate) use hash::suffix as hash_suffix;
use source::Pair;

/// What base64 is broken at.
const LINE: usize = 70;

/// What the generators of a kustomization make, each with the place of its generator: ConfigMaps first, then Secrets.
pub(crate) fn generate<'k>(
    session: &Session<'_>,
    kustomization: &'k Kustomization,
) -> Result<Vec<(Resource, &'k Place)>, Error> {
    let kinds = [
        ("ConfigMap", &kustomization.config_maps),
        ("Secret", &kustomization.secrets),
    ];
    let mut made = Vec::new();
    for (kind, generators) in kinds {
        for generator in generators {
            let options = &kustomization.generator_options;
            let resource = one(session, &kustomization.file, kind, generator, options)?;
            made.push((resource, &generator.place));
        }
    }
    Ok(made)
}

/// What one generator in `file` makes, with the `options` of all generators.
pub(crate) fn one(
    session: &Session<'_>,
    file: &str,
    kind: &str,
    generator: &Generator,
    options: &GeneratorOptions,
) -> Result<Resource, Error> {
    session
        .budget
        .objects(1)
        .map_err(|why| Error::in_place(&generator.place, why))?;
    let options = generator.options.or(options);
    let pairs = source::pairs(session, path::parent(file), generator)?;
    let charge = session.budget.nodes(cost(&pairs, &options));
    charge.map_err(|why| Error::in_place(&generator.place, why))?;

    let mut node = Node::empty_mapping();
    let secret = kind == "Secret";
    fill_head(&mut node, kind, generator);
    if secret {
        let of = if generator.kind.is_empty() {
            "Opaque"
        } else {
            &generator.kind
        };
        set(&mut node, "type", Node::set(of));
        field_mapping(&mut node, "data");
    }
    fill_data(&mut node, secret, pairs);
    apply_options(&mut node, &options);
    let mut resource = Resource::new(
        node,
        session.schemas.clone(),
        Rc::from(file),
        generator.place.line.unwrap_or(0),
    );
    resource.generated = true;
    resource.needs_hash = !options.disable_name_suffix_hash;
    resource.behavior = generator.behavior;
    if session.metadata.tracked {
        let builtin = format!("{kind}Generator");
        resource.origin = Some(origin::of_builtin(session, file, &builtin));
    }
    Ok(resource)
}

/// What the data of a generator counts, and what every one of them gets.
fn cost(pairs: &[Pair], options: &GeneratorOptions) -> u64 {
    // Written out, a byte may take four.
    let data = pairs.iter().map(|pair| 1 + pair.value.len() as u64 / 16);
    let texts = options.labels.iter().chain(&options.annotations);
    let texts = texts.map(|(key, value)| text_cost(key) + text_cost(value));
    data.sum::<u64>() + texts.sum::<u64>()
}

fn set(node: &mut Node, key: &str, value: Node) {
    if let Some(map) = node.map_mut() {
        map.insert(key.to_owned(), value);
    }
}

fn fill_head(node: &mut Node, kind: &str, generator: &Generator) {
    set(node, "apiVersion", Node::string("v1"));
    set(node, "kind", Node::string(kind));
    let metadata = field_mapping(node, "metadata");
    metadata.insert("name".to_owned(), Node::set(generator.name.as_str()));
    if !generator.namespace.is_empty() {
        metadata.insert(
            "namespace".to_owned(),
            Node::set(generator.namespace.as_str()),
        );
    }
}

fn fill_data(node: &mut Node, secret: bool, pairs: Vec<Pair>) {
    for Pair { key, value } in pairs {
        let (field, text) = match String::from_utf8(value) {
            Ok(text) if !secret => ("data", text),
            Ok(text) => ("data", base64_lines(text.as_bytes())),
            Err(e) => (
                if secret { "data" } else { "binaryData" },
                base64_lines(e.as_bytes()),
            ),
        };
        field_mapping(node, field).insert(key, data(text));
    }
}

/// A value of `data`. Lines are written as a block.
fn data(text: impl Into<String>) -> Node {
    let mut node = Node::set(text);
    if let Node::Scalar(scalar) = &mut node
        && scalar.text.contains('\n')
    {
        scalar.style = Style::Quoted;
    }
    node
}

fn apply_options(node: &mut Node, options: &GeneratorOptions) {
    for (field, pairs) in [
        ("labels", &options.labels),
        ("annotations", &options.annotations),
    ] {
        if pairs.is_empty() {
            continue;
        }
        // kustomize writes them in quotes, whatever they are.
        let quoted = |text: &String| {
            let style = Style::Quoted;
            Node::Scalar(Scalar {
                style,
                ..Scalar::string(text)
            })
        };
        let texts = pairs.iter().map(|(k, v)| (k.clone(), quoted(v))).collect();
        if let Some(metadata) = node.get_mut("metadata").and_then(Node::map_mut) {
            metadata.insert(field.to_owned(), Node::mapping(texts));
        }
    }
    if options.immutable {
        set(node, "immutable", Node::boolean(true));
    }
}

/// Base64 as kustomize writes it: lines of 70, each ended, unless it is shorter than one.
fn base64_lines(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    if text.len() < LINE {
        return text;
    }
    let mut lines = String::with_capacity(text.len() + text.len() / LINE + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest
            .split_at_checked(LINE.min(rest.len()))
            .unwrap_or((rest, ""));
        lines.push_str(line);
        lines.push('\n');
        rest = tail;
    }
    lines
}

/// Puts the data of `old` below that of `new`: `behavior: merge`. The data of `old` goes over, so that a thousand merges
/// copy nothing a thousand times; `tidy` tells that an earlier merge has left it, whose values are as they are to be.
pub(crate) fn merge_data(old: &mut Resource, new: &mut Resource, tidy: bool) -> Result<(), Error> {
    let mut values = take_texts(&mut old.node, "data", tidy);
    if new.api_version() == "v1" && new.kind() == "Secret" {
        encode_strings(old, &mut values)?;
    }
    values.extend(take_texts(&mut new.node, "data", false).into_pairs());
    let mut binary = take_texts(&mut old.node, "binaryData", tidy);
    binary.extend(take_texts(&mut new.node, "binaryData", false).into_pairs());
    let Some(map) = new.node.map_mut() else {
        return Ok(());
    };
    for (field, values) in [("data", values), ("binaryData", binary)] {
        if values.is_empty() {
            map.shift_remove(field);
        } else {
            map.insert(field.to_owned(), Node::mapping(values));
        }
    }
    Ok(())
}

/// Adds the `stringData` of a Secret to its data.
fn encode_strings(old: &Resource, values: &mut Mapping) -> Result<(), Error> {
    let strings = match old.node.get("stringData") {
        None => return Ok(()),
        Some(null) if null.is_null() => return Ok(()),
        Some(Node::Map(strings)) => strings,
        Some(_) => return Err(old.error("stringData must be a mapping")),
    };
    for (key, value) in strings.iter() {
        if !value.is_scalar() {
            return Err(old.error(&format!("stringData.{key} must be a string")));
        }
        values.insert(key.clone(), data(base64_lines(value.text().as_bytes())));
    }
    Ok(())
}

/// The values of a field, taken out of it, each as data is written.
fn take_texts(node: &mut Node, field: &str, tidy: bool) -> Mapping {
    let Some(Node::Map(map)) = node.get_mut(field) else {
        return Mapping::new();
    };
    let mut values = std::mem::take(map);
    if !tidy {
        for value in values.values_mut() {
            *value = data(value.text());
        }
    }
    values
}

/// Adds the hashes of their content to the names of generated resources.
pub(crate) fn add_hashes(resources: &mut [Resource]) -> Result<(), Error> {
    for resource in resources.iter_mut().filter(|r| r.needs_hash) {
        let suffix = hash_suffix(&resource.node);
        let suffix = suffix.map_err(|why| resource.unprintable(&why))?;
        resource.store_previous();
        let name = format!("{}-{suffix}", resource.name());
        resource.set_name(&name);
    }
    Ok(())
}
