//! The file and line that an object is built from, what went over it, and what plugins made of it.
//!
//! The source is fetched at the commit that was applied and built as a run builds it. What cannot be found out is noted, and the
//! rest is told: who may not fetch a repository still learns which it is.

use std::sync::Arc;

use reeve_core::adoption::changed;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::failure::Explained;
use reeve_core::spec::Spec;
use reeve_core::veil::Veil;
use reeve_core::whence;
use reeve_kustomize::{Object, Tree};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::find::Known;
use super::{Answer, Origin, Plugged, TraceArgs};
use crate::cli::build::explain::{by, provenance};
use crate::cli::build::remote::Remote;
use crate::cli::diff::{build, plugins, with_variables};
use crate::cli::policy::subject::told as explained;
use crate::cli::ui::{CommandError, Ui};
use crate::cluster::Sought;

/// Adds what the source says of the object.
pub(super) fn add(
    runtime: &Runtime,
    args: &TraceArgs,
    known: &Known,
    answer: &mut Answer,
    ui: &mut Ui,
) {
    answer.plugins = known
        .plugins
        .iter()
        .map(|one| Plugged {
            name: one.shown(),
            changed: None,
        })
        .collect();
    if let Err(why) = built(runtime, args, known, answer, ui) {
        answer.notes.push(format!("the file: {why}"));
    }
}

fn built(
    runtime: &Runtime,
    args: &TraceArgs,
    known: &Known,
    answer: &mut Answer,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let spec = Spec::parse(&known.kustomization);
    let mut spec = spec.map_err(|why| explained(Explained::of(&why)))?;
    spec.overlay.origins = true;
    spec.overlay.transformers = true;
    // What was fetched is gone with who fetched it.
    let (tree, _fetcher) = tree(args, known, answer, &mut spec)?;
    let bundle = build::made(tree.as_ref(), &spec, ui)?;
    let (bundle, veil) = runtime.block_on(with_variables(&known.cluster, &spec, bundle))?;
    match object(&bundle, &known.sought) {
        Some(object) => answer.origin = Some(origin(tree.as_ref(), &spec, object)?),
        None => answer.notes.push(
            "the file: the build does not make it; a plugin does, or it was applied from another revision".to_owned(),
        ),
    }
    let called = called(runtime, args, known, bundle, &veil);
    let called = called.map_err(|why| why.under(&veil))?;
    for (name, fields) in called {
        let mut all = answer.plugins.iter_mut();
        if let Some(one) = all.find(|one| super::short(&one.name) == name) {
            one.changed = Some(fields);
        }
    }
    Ok(())
}

/// The files: a directory on the disk, or what the source had in the commit that was applied.
fn tree(
    args: &TraceArgs,
    known: &Known,
    answer: &mut Answer,
    spec: &mut Spec,
) -> Result<(Arc<dyn Tree>, Option<Remote>), CommandError> {
    if let Some(path) = &args.path {
        let (disk, below) = build::directory(path)?;
        spec.path = below;
        let shown = path.display();
        answer
            .notes
            .push(format!("whether {shown} has what was applied"));
        return Ok((Arc::new(disk), None));
    }
    let Some(source) = &known.source else {
        return Err(CommandError::new(
            "without its source it is not known; --path builds a directory of yours",
        ));
    };
    let Some(commit) = &mut answer.commit else {
        return Err(CommandError::new("nothing was applied yet"));
    };
    let ignore = source.spec.ignore.as_deref();
    let remote = Remote::open(&[])?;
    let fetched = remote.at(source.spec.url.as_str(), &commit.id, ignore)?;
    if let Some(told) = fetched.told {
        commit.author = Some(told.author);
        commit.at = told.at.map(|at| at.to_string());
        commit.subject = Some(told.subject);
    }
    Ok((fetched.tree, Some(remote)))
}

/// The object that was sought. Where the build gives it no namespace it is in that of the Kustomization.
fn object<'b>(bundle: &'b Bundle<Rendered>, sought: &Sought) -> Option<&'b Object> {
    let mut all = bundle.objects().iter();
    all.find(|one| {
        let id = one.id();
        let here = id.namespace.is_empty() || id.namespace == sought.namespace;
        id.kind == sought.kind && id.group == sought.group && id.name == sought.name && here
    })
}

fn origin(tree: &dyn Tree, spec: &Spec, object: &Object) -> Result<Origin, CommandError> {
    let (from, changes) = provenance(object)?;
    let file = from.get("path").and_then(Value::as_str);
    let is_elsewhere = from.get("repo").is_some();
    let file = file.filter(|_| !is_elsewhere);
    let path = file.and_then(|file| whence::path(&spec.path, file));
    let id = object.id();
    let line = path.as_ref().and_then(|path| {
        let bytes = tree.read(path).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        whence::line(&text, &id.kind, &id.name)
    });
    let mut changed_by: Vec<String> = changes.iter().map(by).collect();
    // A transformer that touches several kinds of field is noted for each.
    changed_by.dedup();
    Ok(Origin {
        from: path.unwrap_or_else(|| by(&from)),
        line,
        changed_by,
    })
}

/// What each plugin whose component is given changes of the object, by their names.
fn called(
    runtime: &Runtime,
    args: &TraceArgs,
    known: &Known,
    mut bundle: Bundle<Rendered>,
    veil: &Veil,
) -> Result<Vec<(String, Vec<String>)>, CommandError> {
    let configured = plugins::configured(&args.plugins, &known.plugins, &known.cluster);
    let mut all = Vec::new();
    for one in runtime.block_on(configured)? {
        let name = one.0.clone();
        let before = object(&bundle, &known.sought).map(fields);
        bundle = plugins::call(vec![one], bundle, veil)?;
        let after = object(&bundle, &known.sought).map(fields);
        let what = match (before, after) {
            (Some(before), Some(after)) => changed(&before, &after),
            (None, Some(_)) => vec!["all of it: the plugin makes it".to_owned()],
            (_, None) => Vec::new(),
        };
        all.push((name, what));
    }
    Ok(all)
}

/// The object, but for what only this build has in it.
fn fields(object: &Object) -> Value {
    let mut fields = Value::Object(object.fields().clone());
    let annotations = fields.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !crate::cli::build::explain::is_provenance(key));
    }
    fields
}
