//! `generators`, `transformers` and `validators`: objects that say what to make, change or check.
//!
//! Each entry is an object itself, a file of them, or a kustomization that makes them. Only kustomize's own builtins run
//! (`file/builtin.rs`), by the same functions as the fields of a kustomization, and functions in WebAssembly (`function.rs`);
//! whatever would start a program, a container or helm is refused. Paths in such an object are seen from the kustomization that lists it.

use std::rc::Rc;

use crate::accumulate::{Accumulator, Trail, load};
use crate::error::{Error, Place};
use crate::file::builtin::{Builtin, Change, CloudAccount, Made};
use crate::file::{Entry, GeneratorOptions, Kustomization, NO_CHARTS};
use crate::function::Function;
use crate::generate;
use crate::origin;
use crate::patch::Names;
use crate::resource::Resource;
use crate::session::Session;
use crate::transform::{image, label, name, namespace, replacement, replica, value};
use crate::yaml::{Mapping, Node, Tag};
use crate::{patch, path};

/// What copying a value and comparing it with its copy counts.
const COMPARING: u64 = 3;

/// The label by which a validator may tell that it was there.
const VALIDATED_BY: &str = "validated-by";

/// Makes what `generators` ask for.
pub(crate) fn generate(
    session: &Session<'_>,
    kustomization: &Kustomization,
    trail: &mut Trail,
    all: &mut Accumulator,
) -> Result<(), Error> {
    let listed = listed(session, kustomization, &kustomization.generators, trail)?;
    for Listed { config, place, ask } in &listed {
        let made = match ask {
            Ask::Builtin(Builtin::Generate(made)) => make(session, &kustomization.file, made)?,
            Ask::Function(function) => function.generate(session, config)?,
            Ask::Builtin(Builtin::Transform(_)) => {
                let why = format!("{} makes nothing: list it in transformers", config.kind());
                return Err(Error::invalid_at(place, why));
            }
        };
        for mut resource in made {
            if session.metadata.tracked {
                resource.origin = Some(origin::of_config(session, config));
            }
            all.absorb(session, resource, place)?;
        }
    }
    Ok(())
}

/// Changes `resources` as `transformers` ask for.
pub(crate) fn transform(
    session: &Session<'_>,
    kustomization: &Kustomization,
    trail: &mut Trail,
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    for one in &listed(session, kustomization, &kustomization.transformers, trail)? {
        change(session, kustomization, one, resources)?;
        origin::note_config(session, &one.config, resources)?;
        resources.retain(|resource| !resource.is_gone());
    }
    Ok(())
}

/// Lets `validators` go over `resources`, which they must leave as they are.
pub(crate) fn validate(
    session: &Session<'_>,
    kustomization: &Kustomization,
    trail: &mut Trail,
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    for one in &listed(session, kustomization, &kustomization.validators, trail)? {
        let cost: u64 = resources.iter().map(|resource| resource.node.cost()).sum();
        let charge = session.budget.steps(COMPARING * cost);
        charge.map_err(|why| Error::in_place(&one.place, why))?;
        let before = resources.clone();
        change(session, kustomization, one, resources)?;
        let mut pairs = before.iter().zip(resources.iter());
        // What a function returns is read anew.
        let values_only = matches!(one.ask, Ask::Function(_));
        let changed = pairs.find(|(old, new)| !is_same(old, new, values_only));
        if changed.is_some() || before.len() != resources.len() {
            let what = changed.map_or_else(
                || "what there is".to_owned(),
                |(old, _)| old.id().to_string(),
            );
            let why = format!("a validator must not change anything, and this one changes {what}");
            return Err(Error::invalid_at(&one.place, why));
        }
    }
    Ok(())
}

/// One object that asks for something.
struct Listed {
    config: Resource,
    place: Place,
    ask: Ask,
}

/// What an object asks for.
enum Ask {
    Builtin(Builtin),
    Function(Function),
}

fn listed(
    session: &Session<'_>,
    kustomization: &Kustomization,
    entries: &[Entry],
    trail: &mut Trail,
) -> Result<Vec<Listed>, Error> {
    let mut all = Accumulator::default();
    let (inline, paths): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|e| is_inline(e));
    let mut places = Vec::new();
    for entry in inline {
        let found = objects(session, &kustomization.file, entry)?;
        places.extend(found.iter().map(|_| entry.place.clone()));
        all.append(found, &entry.place)?;
    }
    for entry in paths {
        let found = load(session, kustomization, entry, trail)?.resources;
        places.extend(found.iter().map(|config| Place {
            file: config.file.to_string(),
            line: Some(config.line).filter(|line| *line > 0),
            ..Place::default()
        }));
        all.append(found, &entry.place)?;
    }
    let dir = path::parent(&kustomization.file);
    let both = all.resources.into_iter().zip(places);
    both.map(|(config, place)| {
        let ask = match Function::read(session, dir, &config, &place)? {
            Some(function) => Ask::Function(function),
            None => {
                let charge = session.budget.fields(config.node.values(), &place.file);
                charge.map_err(|why| Error::in_place(&place, why))?;
                Ask::Builtin(read(&config, &place)?)
            }
        };
        Ok(Listed { config, place, ask })
    })
    .collect()
}

/// Whether an entry is an object rather than the path of one.
fn is_inline(entry: &Entry) -> bool {
    let text = entry.text.as_str();
    text.is_empty() || text.contains(['\n', '{']) || text.contains(": ")
}

/// The objects that an entry holds itself.
fn objects(session: &Session<'_>, file: &str, entry: &Entry) -> Result<Vec<Resource>, Error> {
    let documents = session.documents(entry.text.as_bytes(), "");
    let resources = documents.and_then(|documents| session.resources(documents, ""));
    let mut resources = resources.map_err(|error| {
        let line = error.place().line;
        let line = line.map_or(String::new(), |line| format!("line {line} of the text: "));
        Error::in_place(&entry.place, error.why().clone().prefixed(&line))
    })?;
    let file: Rc<str> = Rc::from(file);
    for resource in &mut resources {
        resource.file = file.clone();
        resource.line = entry.place.line.unwrap_or(0);
    }
    Ok(resources)
}

fn read(config: &Resource, place: &Place) -> Result<Builtin, Error> {
    let kind = config.kind();
    let refuse = |field: &str, why: String| Err(Error::invalid_at(&place.inside(field), why));
    if config.api_version() != "builtin" {
        let why = format!(
            "{kind} is a plugin, and plugins that are programs are not run: only builtin is known"
        );
        return refuse("apiVersion", why);
    }
    if kind == "HelmChartInflationGenerator" {
        return refuse("kind", NO_CHARTS.to_owned());
    }
    match Builtin::decode(kind, &config.node, place)? {
        Some(ask) => Ok(ask),
        None => refuse("kind", format!("there is no builtin {kind}")),
    }
}

fn make(session: &Session<'_>, file: &str, made: &Made) -> Result<Vec<Resource>, Error> {
    // `generatorOptions` is for the generators of the kustomization's own fields.
    let options = GeneratorOptions::default();
    let one = |kind, generator| generate::one(session, file, kind, generator, &options);
    match made {
        Made::ConfigMap(generator) => Ok(vec![one("ConfigMap", generator)?]),
        Made::Secret(generator) => Ok(vec![one("Secret", generator)?]),
        Made::ServiceAccount(account) => service_account(session, file, account),
    }
}

/// The service account of a cloud's account. kustomize writes it as text, which is read as YAML.
fn service_account(
    session: &Session<'_>,
    file: &str,
    account: &CloudAccount,
) -> Result<Vec<Resource>, Error> {
    let namespace = match account.namespace.as_str() {
        "" => String::new(),
        namespace => format!("\n  namespace: {namespace}"),
    };
    let text = format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  annotations:\n    \
         iam.gke.io/gcp-service-account: {}@{}.iam.gserviceaccount.com\n  name: {}\n{namespace}",
        account.account, account.project, account.name
    );
    let entry = Entry {
        text,
        place: account.place.clone(),
    };
    let objects = objects(session, file, &entry)?;
    let charge = session.budget.objects(objects.len() as u64);
    charge.map_err(|why| Error::in_place(&account.place, why))?;
    Ok(objects)
}

fn change(
    session: &Session<'_>,
    kustomization: &Kustomization,
    listed: &Listed,
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    let dir = path::parent(&kustomization.file);
    let change = match &listed.ask {
        Ask::Builtin(Builtin::Transform(change)) => change,
        Ask::Function(function) => {
            return function.transform(session, &listed.config, resources);
        }
        Ask::Builtin(Builtin::Generate(_)) => {
            let why = format!(
                "{} changes nothing: list it in generators",
                listed.config.kind()
            );
            return Err(Error::invalid_at(&listed.place, why));
        }
    };
    match change {
        Change::Pairs(pairs, fields) => label::add(session, pairs, fields, resources),
        Change::Hash => generate::add_hashes(resources),
        Change::Image(image, fields) => image::apply(session, image, fields, resources),
        Change::Name(ends, fields) => ends
            .iter()
            .try_for_each(|(text, end)| name::apply(session, text, *end, fields, resources)),
        Change::Namespace(to, fields) => namespace::apply(session, to, fields, resources),
        Change::Patch(one) => {
            patch::apply(session, dir, one, &mut Names::doubtful(), resources)?;
            patch::sweep(resources);
            Ok(())
        }
        Change::Operations(one) => {
            patch::apply_operations(session, dir, one, &mut Names::default(), resources)
        }
        Change::Merges(merges) => patch::apply_merges(session, dir, merges, resources),
        Change::Replacements(entries) => replacement::apply(session, dir, entries, resources),
        Change::Replicas(replica, fields) => replica::apply(session, replica, fields, resources),
        Change::Value(add) => value::apply(session, dir, add, resources),
    }
}

/// Whether an object is what it was, but for the label that a validator may leave where there is no other.
fn is_same(old: &Resource, new: &Resource, values_only: bool) -> bool {
    let mut node = new.node.clone();
    if let Some(metadata) = node.get_mut("metadata").and_then(Node::map_mut)
        && let Some(Node::Map(labels)) = metadata.get("labels")
        && labels.contains_key(VALIDATED_BY)
    {
        // kustomize makes the others anew, which is a change to it.
        if labels.len() > 1 && !values_only {
            return false;
        }
        if let Some(Node::Map(labels)) = metadata.get_mut("labels") {
            labels.shift_remove(VALIDATED_BY);
        }
        if metadata
            .get("labels")
            .and_then(Node::map)
            .is_some_and(Mapping::is_empty)
        {
            metadata.shift_remove("labels");
        }
    }
    let untouched = values_only || old.noted == new.noted;
    untouched && old.history == new.history && is_same_value(&old.node, &node, values_only)
}

fn is_same_value(a: &Node, b: &Node, values_only: bool) -> bool {
    match (a, b) {
        (Node::Scalar(a), Node::Scalar(b)) => {
            // What is set to what it is counts as a change, unless it had been set before.
            let (is, other) = (a.printed(), b.printed());
            (values_only || a.read == b.read)
                && is == other
                && (is == Tag::Null || a.text == b.text)
        }
        (Node::Seq(a), Node::Seq(b)) => {
            let mut pairs = a.iter().zip(b);
            a.len() == b.len() && pairs.all(|(a, b)| is_same_value(a, b, values_only))
        }
        (Node::Map(a), Node::Map(b)) => {
            let same =
                |key: &str, a: &Node| b.get(key).is_some_and(|b| is_same_value(a, b, values_only));
            a.len() == b.len() && a.iter().all(|(key, a)| same(key, a))
        }
        _ => false,
    }
}
