//! What `kustomize build` does, in memory: bytes in, objects out.
//!
//! Pure: no file system but [`Tree`], no network, no clock, no environment. Knows nothing of controllers.

#![deny(missing_docs)]

mod accumulate;
mod budget;
mod built;
mod builtin;
mod config;
mod crd;
mod discover;
pub mod edit;
mod error;
mod fetched;
mod fieldpath;
mod fieldspec;
mod file;
mod function;
mod generate;
mod nearest;
mod object;
mod options;
mod order;
mod origin;
mod overlay;
mod patch;
mod path;
mod pattern;
pub mod pointer;
mod reference;
mod remote;
mod resource;
mod schema;
mod session;
mod target;
mod transform;
mod tree;
mod vars;
mod yaml;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::Value;

use accumulate::Accumulator;
use budget::Budget;
pub use built::{Built, Objects};
pub use error::{Error, Place, Why};
use fetched::Joined;
pub use fetched::Remotes;
pub use file::NAMES as KUSTOMIZATION_FILES;
use file::{BuildMetadata, Kustomization};
pub use function::{Call, Component, Functions, json_values};
pub use nearest::nearest;
pub use object::{Id, Object};
pub use options::{
    Limits, Loads, Options, Order, Overlay, OverlayImage, OverlayPatch, Selector, Stop,
};
use order::Sort;
pub use patch::label_selector::LabelSelector;
pub use remote::{Reference, Source, Wanted, parse as parse_reference};
use session::Session;
pub use target::Target;
pub use transform::image::split as split_image;
pub use tree::{Kind, MemoryTree, ReadError, Tree};
pub use yaml::Marks;
use yaml::{Reader, Typing};

/// Builds the kustomization at `path` of `tree` and returns its objects, in the order of `options`. Remote resources are
/// refused.
pub fn build(tree: &dyn Tree, path: &str, options: &Options) -> Result<Vec<Object>, Error> {
    match build_with(tree, &Remotes::refused(), path, options)? {
        Built::Objects(objects) => Ok(objects.collect()),
        Built::Wants(_) => Err(Error::invalid(path, "wants what is refused")),
    }
}

/// Builds the kustomization at `path` of `tree` with the remote resources that were fetched for it.
pub fn build_with(
    tree: &dyn Tree,
    remotes: &Remotes,
    path: &str,
    options: &Options,
) -> Result<Built, Error> {
    let joined = Joined { own: tree, remotes };
    let wanted = RefCell::new(Vec::new());
    let built = objects(&joined, remotes, &wanted, path, options);
    let mut wanted = wanted.into_inner();
    if !wanted.is_empty() {
        // Whatever else went wrong may be for want of it.
        for one in &mut wanted {
            one.place.file = remotes.named(&one.place.file);
        }
        return Ok(Built::Wants(wanted));
    }
    let named = |error: Error| error.map_texts(|text| remotes.named(text));
    built.map(Built::Objects).map_err(named)
}

fn objects(
    tree: &dyn Tree,
    remotes: &Remotes,
    wanted: &RefCell<Vec<Wanted>>,
    path: &str,
    options: &Options,
) -> Result<Objects, Error> {
    let root = path::join("", path).ok_or_else(|| {
        Error::new(
            "",
            Why::Outside {
                path: path.to_owned(),
            },
        )
    })?;
    if tree.kind(&root) != Some(Kind::Dir) {
        let left_out = tree.left_out(&root);
        let path = root;
        return Err(Error::new("", Why::Missing { path, left_out }));
    }
    let budget = Budget::new(options.limits).stopped_by(options.stop.clone());
    let mut session = Session {
        tree,
        budget,
        root,
        metadata: BuildMetadata::default(),
        schemas: Rc::default(),
        shares: Cell::new(0),
        loads: options.loads,
        functions: options.functions.as_deref(),
        remotes,
        wanted,
    };
    let mut kustomization = find(&session, options)?;
    // Flux asks for origins where no `resources` are listed, lest the file counts as empty.
    if options.generate && kustomization.proper_resources == 0 {
        kustomization.metadata.tracked = true;
        kustomization.metadata.origins = true;
    }
    if options.provenance {
        kustomization.metadata.tracked = true;
        kustomization.metadata.origins = true;
        kustomization.metadata.transformers = true;
    }
    kustomization.metadata.managed_by |= options.managed_by_label;
    let is_there = |component: &file::Entry| {
        let at = path::local(&session.root, component);
        at.is_ok_and(|at| session.tree.kind(&at).is_some())
    };
    overlay::lay(&options.overlay, &mut kustomization, is_there)?;
    session.metadata = kustomization.metadata;
    session.choose_schema(&kustomization)?;

    let mut trail = vec![session.root.clone()];
    let all = accumulate::accumulate(&session, &kustomization, &mut trail)?;
    let sort = match kustomization.sort {
        Some(sort) => sort.map_err(|error| *error)?,
        None => options.order.sort(),
    };
    finish(&session, all, &sort)
}

/// What is done once, over everything.
fn finish(session: &Session<'_>, all: Accumulator, sort: &Sort) -> Result<Objects, Error> {
    let mut resources = all.resources;
    generate::add_hashes(&mut resources)?;
    reference::follow(session, &all.config, &mut resources)?;
    vars::resolve(session, &all.config, &all.vars, &mut resources)?;
    for resource in &resources {
        resource::why_no_object(&resource.node).map_or(Ok(()), |why| Err(resource.error(why)))?;
    }
    resources.retain(|resource| !resource.is_local());
    if let Some((second, twice)) = resource::first_conflict(&resources) {
        return Err(second.conflict(format!("at the end of the build, {twice}")));
    }
    sort.apply(&mut resources);
    if session.metadata.managed_by {
        transform::label::managed_by(session, &mut resources)?;
    }
    Objects::of(session, resources)
}

/// The kustomization at the root of the session, read or made.
fn find(session: &Session<'_>, options: &Options) -> Result<Kustomization, Error> {
    let root = &session.root;
    match session.kustomization_file(root)? {
        Some(file) => {
            let kustomization = session.kustomization(&file)?;
            if kustomization.empty && !options.generate {
                return Err(Error::invalid(
                    &file,
                    "the kustomization file is empty: list something in it",
                ));
            }
            Ok(kustomization)
        }
        None if options.generate => discover::discover(session, root),
        None => {
            let shown = if root.is_empty() { "." } else { root };
            Err(Error::invalid(shown, "has no kustomization file"))
        }
    }
}

/// Reads all documents of `bytes` with the types kustomize gives them; `file` is for the error's place only. Documents
/// that are empty are left out.
pub fn parse_yaml(bytes: &[u8], file: &str) -> Result<Vec<Value>, Error> {
    documents(bytes, file, Typing::Manifest)
}

/// Reads all documents of `bytes` that are data and no input of kustomize, with the types that OPA gives it: a date is the text
/// that it was written as, and a whole number as a key is its digits. A key that stands there twice is an error, as is one
/// of another type. `file` is for the error's place only. Documents that are empty are left out.
pub fn parse_data(bytes: &[u8], file: &str) -> Result<Vec<Value>, Error> {
    documents(bytes, file, Typing::Data)
}

/// Reads the one document of `bytes` with the types kustomize gives it, and tells where each of its fields was written. Null if
/// there is none; more than one is an error.
pub fn parse_marked(bytes: &[u8], file: &str) -> Result<(Value, Marks), Error> {
    let budget = Budget::new(Limits::default());
    let reader = Reader {
        file,
        typing: Typing::Manifest,
        budget: &budget,
    };
    let mut marks = Marks::new();
    let mut documents = reader.marked_documents(bytes, &mut marks)?.into_iter();
    let Some(document) = documents.next() else {
        return Ok((Value::Null, marks));
    };
    if let Some(second) = documents.next() {
        return Err(Error::invalid(file, "has more than one document").at_line(second.line));
    }
    let value = document.node.into_value();
    let invalid = |why: yaml::Unprintable| Error::invalid(file, why.to_string());
    let value = value.map_err(|why| invalid(why).at_line(document.line))?;
    Ok((value, marks))
}

/// Reads the first document of `bytes` as Flux reads what it has put variables into: with the types of YAML 1.1, where
/// `yes` is true. `file` is for the error's place only; null if there is none.
pub fn read_yaml(bytes: &[u8], file: &str) -> Result<Value, Error> {
    let budget = Budget::new(Limits::default());
    let reader = Reader {
        file,
        typing: Typing::Config,
        budget: &budget,
    };
    let Some(document) = reader.first(bytes, None)? else {
        return Ok(Value::Null);
    };
    let value = document.node.into_value();
    value.map_err(|why| Error::invalid(file, why.to_string()).at_line(document.line))
}

/// Writes the objects as kustomize prints them: keys sorted, `---` between documents.
pub fn to_yaml(objects: &[Object]) -> String {
    let mut out = String::new();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        yaml::emit_fields(object.fields(), &mut out);
    }
    out
}

fn documents(bytes: &[u8], file: &str, typing: Typing) -> Result<Vec<Value>, Error> {
    let budget = Budget::new(Limits::default());
    let nodes = Reader {
        file,
        typing,
        budget: &budget,
    }
    .documents(bytes)?;
    nodes
        .into_iter()
        .map(|document| {
            let value = document.node.into_value();
            let invalid = |why: yaml::Unprintable| Error::invalid(file, why.to_string());
            value.map_err(|why| invalid(why).at_line(document.line))
        })
        .collect()
}
