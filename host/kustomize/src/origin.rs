//! Where an object came from and what was done to it: `buildMetadata`.
//!
//! kustomize writes this into annotations while it works; here it lies beside the object, and becomes annotations at the
//! end, if they were asked for.

use std::rc::Rc;

use serde_json::Value;

use crate::error::{Error, Place};
use crate::path;
use crate::remote::Source;
use crate::resource::Resource;
use crate::session::Session;
use crate::yaml::{self, text_cost};

/// The origin of an object that was read from a file.
pub(crate) fn of_file(session: &Session<'_>, file: &str) -> String {
    if let Some((source, inner)) = session.remotes.origin(file) {
        let mut text = format!("path: {}", line(inner));
        if let Source::Repository { url, reference, .. } = source {
            text.push_str(&format!(
                "repo: {}",
                line(&crate::path::without_userinfo(url))
            ));
            if !reference.is_empty() {
                text.push_str(&format!("ref: {}", line(reference)));
            }
        }
        return text;
    }
    let shown = path::relative(&session.root, file);
    format!("path: {}", line(&shown))
}

/// The origin of what a field of a kustomization file does: `kind` is the name of the builtin behind it.
pub(crate) fn of_builtin(session: &Session<'_>, file: &str, kind: &str) -> String {
    let shown = path::relative(&session.root, file);
    let text = line(&shown);
    format!("configuredIn: {text}configuredBy:\n  apiVersion: builtin\n  kind: {kind}\n")
}

/// The origin of what the object `config` asks for.
pub(crate) fn of_config(session: &Session<'_>, config: &Resource) -> String {
    let mut origin = of_builtin(session, &config.file, config.kind());
    for (key, text) in [("name", config.name()), ("namespace", config.namespace())] {
        if !text.is_empty() {
            origin.push_str(&format!("  {key}: {}", line(text)));
        }
    }
    origin
}

fn line(text: &str) -> String {
    let mut out = String::new();
    yaml::emit(&Value::from(text), &mut out);
    out
}

/// Notes on all `resources` that the builtin `kind` went over them, whether it changed them or not.
pub(crate) fn note(
    session: &Session<'_>,
    file: &str,
    kind: &str,
    resources: &mut [Resource],
) -> Result<(), Error> {
    if !session.metadata.tracked {
        return Ok(());
    }
    note_text(
        session,
        file,
        of_builtin(session, file, kind).into(),
        resources,
    )
}

/// Notes on all `resources` that the builtin which `config` asks for went over them.
pub(crate) fn note_config(
    session: &Session<'_>,
    config: &Resource,
    resources: &mut [Resource],
) -> Result<(), Error> {
    if !session.metadata.tracked {
        return Ok(());
    }
    let text = of_config(session, config).into();
    note_text(session, &config.file, text, resources)
}

fn note_text(
    session: &Session<'_>,
    file: &str,
    text: Rc<str>,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let place = Place::of_file(file);
    let cost = text_cost(&text) * resources.len() as u64;
    session
        .budget
        .nodes(cost)
        .map_err(|why| Error::in_place(&place, why))?;
    for resource in resources {
        // What has no origin, the transformer is taken for its maker.
        if resource.origin.is_none() {
            resource.origin = Some(text.to_string());
        } else if session.metadata.transformers {
            resource.transformations.push(text.clone());
        }
        // kustomize writes its note beside the object's own annotations, which become text and share no value any more.
        resource.set_texts("annotations", &[]);
    }
    Ok(())
}

/// The annotation that lists `transformations`.
pub(crate) fn listed(transformations: &[Rc<str>]) -> String {
    let mut out = String::new();
    for one in transformations {
        for (index, line) in one.lines().enumerate() {
            out.push_str(if index == 0 { "- " } else { "  " });
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}
