//! One build's access to the tree: every file is read here, counted, and turned into nodes or resources.
//!
//! Which files are wanted is decided in `accumulate.rs`; where a path may lead in `path.rs`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;

use crate::budget::Budget;
use crate::error::{Error, Place, Why};
use crate::fetched::Remotes;
use crate::file::{self, BuildMetadata, Entry, Kustomization};
use crate::function::Functions;
use crate::options::Loads;
use crate::path;
use crate::pointer;
use crate::remote::{self, Reference, Wanted};
use crate::resource::{Resource, why_no_object};
use crate::schema::{Schemas, VERSION};
use crate::tree::{Kind, Tree};
use crate::yaml::{
    Document, Marks, Node, Reader, Scalar, Style, Tag, Typing, go_json_number, resolve,
};

/// One build.
pub(crate) struct Session<'a> {
    pub(crate) tree: &'a dyn Tree,
    pub(crate) budget: Budget,
    /// The directory that is built.
    pub(crate) root: String,
    /// What the build tells about itself.
    pub(crate) metadata: BuildMetadata,
    /// What is known of kinds.
    pub(crate) schemas: Rc<Schemas>,
    /// How many shared values there are.
    pub(crate) shares: Cell<u32>,
    /// Who runs functions, if anybody does.
    pub(crate) functions: Option<&'a dyn Functions>,
    /// From where files may be read.
    pub(crate) loads: Loads,
    /// What was fetched.
    pub(crate) remotes: &'a Remotes,
    /// What was not, and must be.
    pub(crate) wanted: &'a RefCell<Vec<Wanted>>,
}

/// How much may be fetched for one build.
const REMOTES: usize = 100;

impl Session<'_> {
    /// A number for a value that several places share.
    pub(crate) fn next_share(&self) -> u32 {
        self.shares.set(self.shares.get().wrapping_add(1).max(1));
        self.shares.get()
    }

    /// The bytes of a file that `place` asks for.
    pub(crate) fn read(&self, path: &str, place: &Place) -> Result<Arc<[u8]>, Error> {
        match self.tree.kind(path) {
            Some(Kind::File) => {}
            Some(Kind::Dir) => {
                return Err(Error::invalid_at(
                    place,
                    format!("{path} is a directory, not a file"),
                ));
            }
            None => return Err(self.missing(path, place)),
        }
        let bytes = self
            .tree
            .read(path)
            .map_err(|e| Error::new(&e.path, Why::Unreadable(e.why)))?;
        if pointer::is_one(&bytes) {
            return Err(Error::new(path, Why::Syntax(pointer::WHY.to_owned())).at_line(1));
        }
        self.budget
            .file(bytes.len() as u64)
            .map_err(|why| Error::new(path, why))?;
        Ok(bytes)
    }

    /// Nothing lies at `path`, which is named at `place`.
    pub(crate) fn missing(&self, path: &str, place: &Place) -> Error {
        let left_out = self.tree.left_out(path);
        let path = path.to_owned();
        Error::in_place(place, Why::Missing { path, left_out })
    }

    /// The bytes of the file that `entry` names from the directory `dir`.
    pub(crate) fn read_entry(&self, dir: &str, entry: &Entry) -> Result<Arc<[u8]>, Error> {
        self.read(&self.resolve(dir, entry)?, &entry.place)
    }

    /// The clean path in the tree of what `entry` names in a file of the directory `dir`.
    pub(crate) fn resolve(&self, dir: &str, entry: &Entry) -> Result<String, Error> {
        match remote::parse(&entry.text) {
            Ok(Some(reference)) => return self.fetched(reference, entry),
            Ok(None) => {}
            Err(_) if !self.remotes.are_allowed() => {}
            Err(why) => return Err(Error::invalid_at(&entry.place, why)),
        }
        let target = path::local(dir, entry)?;
        let outside = || {
            let path = entry.text.clone();
            Error::in_place(&entry.place, Why::Outside { path })
        };
        let real = self.tree.real(&target).ok_or_else(outside)?;
        match self.tree.kind(&target) {
            // As kustomize does: what lies beside a directory lies beside what a link to it leads to.
            Some(Kind::Dir) => Ok(real),
            Some(Kind::File) if self.loads == Loads::Kustomization => {
                let own = self.tree.real(dir).ok_or_else(outside)?;
                if path::contains(&own, &real) {
                    return Ok(target);
                }
                let why = format!("security; file {target} is not in or below {}", shown(&own));
                Err(Error::invalid_at(&entry.place, why))
            }
            _ => Ok(target),
        }
    }

    /// Where something that was fetched lies; what was not is wanted from now on.
    fn fetched(&self, reference: Reference, entry: &Entry) -> Result<String, Error> {
        if let Some(path) = self.remotes.path(&reference) {
            return Ok(path);
        }
        let url = path::without_userinfo(&entry.text);
        if self.remotes.are_allowed() {
            let mut wanted = self.wanted.borrow_mut();
            if wanted.len() + self.remotes.sources().count() >= REMOTES {
                let (what, limit) = ("remote resources", REMOTES as u64);
                return Err(Error::in_place(&entry.place, Why::Limit { what, limit }));
            }
            let twice = |other: &Wanted| other.reference.source == reference.source;
            if !wanted.iter().any(twice) {
                let place = entry.place.clone();
                wanted.push(Wanted { reference, place });
            }
        }
        Err(Error::in_place(&entry.place, Why::Remote { url }))
    }

    /// Whether something must be fetched before the build can go to its end.
    pub(crate) fn lacks(&self) -> bool {
        !self.wanted.borrow().is_empty()
    }

    /// The kustomization file of `dir`, if there is one.
    pub(crate) fn kustomization_file(&self, dir: &str) -> Result<Option<String>, Error> {
        let candidates = file::NAMES.iter().filter_map(|name| path::join(dir, name));
        let found: Vec<String> = candidates
            .filter(|p| self.tree.kind(p) == Some(Kind::File))
            .collect();
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [one, other, ..] => {
                let why = format!("{other} is there too: keep one of them");
                Err(Error::invalid(one, why))
            }
        }
    }

    /// Reads a kustomization file.
    pub(crate) fn kustomization(&self, file: &str) -> Result<Kustomization, Error> {
        let bytes = self.read(
            file,
            &Place {
                file: file.to_owned(),
                ..Place::default()
            },
        )?;
        Kustomization::parse(&bytes, file, &self.budget)
    }

    /// The documents of a text, typed as manifests are.
    pub(crate) fn documents(&self, bytes: &[u8], file: &str) -> Result<Vec<Document>, Error> {
        Reader {
            file,
            typing: Typing::Manifest,
            budget: &self.budget,
        }
        .documents(bytes)
    }

    /// The first document of a file that holds OpenAPI definitions, as JSON or YAML.
    pub(crate) fn document(&self, bytes: &[u8], file: &str) -> Result<Value, Error> {
        if bytes.first() == Some(&b'{') {
            // Every value but the first stands behind one of these.
            let values = bytes.iter().filter(|b| b"{[,:".contains(b)).count();
            self.budget
                .nodes(values as u64)
                .map_err(|why| Error::new(file, why))?;
            return serde_json::from_slice(bytes).map_err(|e| {
                let why = e.to_string();
                let why = why.split(" at line ").next().unwrap_or_default();
                let why = Error::new(file, Why::Syntax(format!("is no JSON: {why}")));
                let (line, column) = (u32::try_from(e.line()), u32::try_from(e.column()));
                why.at(line.unwrap_or(0), column.unwrap_or(0))
            });
        }
        let documents = self.documents(bytes, file)?;
        let Some(first) = documents.into_iter().next() else {
            return Ok(Value::Null);
        };
        let value = first.node.into_value();
        value.map_err(|why| Error::invalid(file, why.to_string()).at_line(first.line))
    }

    /// Takes the schema that `kustomization` names, unless one that came before it named another.
    pub(crate) fn choose_schema(&self, kustomization: &Kustomization) -> Result<(), Error> {
        let (path, version) = (&kustomization.schema_path, &kustomization.schema_version);
        let document = match path {
            None => None,
            Some(entry) => {
                let file = self.resolve(path::parent(&kustomization.file), entry)?;
                Some((self.read(&file, &entry.place)?, file, &entry.place))
            }
        };
        if self.schemas.is_decided() {
            return Ok(());
        }
        match (document, version) {
            (Some(_), Some(version)) => {
                let why = "is there beside path: only one can be";
                Err(Error::invalid_at(&version.place, why))
            }
            (Some((bytes, file, place)), None) => {
                let document = self.document(&bytes, &file)?;
                let decided = self.schemas.decide(&document);
                decided.map_err(|why| Error::invalid(&file, why).at_line(1).by_way_of(place))
            }
            (None, Some(version)) if version.text == VERSION => {
                self.schemas.decide_builtin();
                Ok(())
            }
            (None, Some(version)) if !version.text.is_empty() => {
                let why = format!("is not built in: only {VERSION} is");
                Err(Error::invalid_at(&version.place, why))
            }
            (None, _) => Ok(()),
        }
    }

    /// The objects of a manifest, lists expanded.
    pub(crate) fn objects(&self, bytes: &[u8], file: &str) -> Result<Vec<Resource>, Error> {
        let documents = self.documents(bytes, file)?;
        let resources = self.resources(documents, file)?;
        self.budget
            .objects(resources.len() as u64)
            .map_err(|why| Error::new(file, why))?;
        Ok(resources)
    }

    /// The objects of documents, lists expanded.
    pub(crate) fn resources(
        &self,
        mut documents: Vec<Document>,
        file: &str,
    ) -> Result<Vec<Resource>, Error> {
        if let [only] = documents.as_mut_slice()
            && matches!(
                only.node.get("kind").map_or("", Node::text),
                "List" | "ResourceList"
            )
            && only.node.get("items").is_some()
        {
            let line = only.line;
            let items = take_items(&mut only.node).unwrap_or_default();
            documents = items
                .into_iter()
                .map(|node| Document { node, line })
                .collect();
        }
        let name: Rc<str> = Rc::from(file);
        let mut queue: VecDeque<Document> = documents.into();
        let mut resources = Vec::new();
        while let Some(mut document) = queue.pop_front() {
            if is_nothing(&document.node) {
                continue;
            }
            lend_name(&mut document.node);
            check_object(&document, file)?;
            let is_list = document
                .node
                .get("kind")
                .map_or("", Node::text)
                .ends_with("List");
            if !is_list || document.node.get("items").is_none() {
                let schemas = self.schemas.clone();
                let (name, line) = (name.clone(), document.line);
                resources.push(Resource::new(document.node, schemas, name, line));
                continue;
            }
            let line = document.line;
            let items = take_items(&mut document.node)
                .ok_or_else(|| Error::invalid(file, "items must be a list").at_line(line))?;
            queue.extend(items.into_iter().map(|mut node| {
                node.each_scalar(&mut |scalar| {
                    *scalar = through_json(std::mem::take(scalar));
                    scalar.read = true;
                });
                Document { node, line }
            }));
        }
        Ok(resources)
    }
}

/// For errors.
impl Session<'_> {
    /// The line of a field that cannot be printed, in the document of a file that begins in line `from`: the file is read
    /// once more. Nothing if the value came from elsewhere.
    pub(crate) fn line_of(&self, file: &str, from: u32, field: &str) -> Option<u32> {
        let above = usize::try_from(from).ok()?.checked_sub(1)?;
        let bytes = self.tree.read(file).ok()?;
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let start: usize = lines.by_ref().take(above).map(<[u8]>::len).sum();
        let reader = Reader {
            file,
            typing: Typing::Manifest,
            budget: &self.budget,
        };
        let mut marks = Marks::new();
        let document = reader.first(bytes.get(start..)?, Some(&mut marks)).ok()??;
        let why = document.node.printable().err()?;
        let (line, _) = marks.get(field).filter(|_| why.field == field)?;
        Some(from + line - 1)
    }
}

fn shown(dir: &str) -> &str {
    if dir.is_empty() { "." } else { dir }
}

fn is_nothing(node: &Node) -> bool {
    match node {
        Node::Map(map) => map.is_empty(),
        Node::Seq(items) => items.is_empty(),
        Node::Scalar(_) => node.is_null(),
    }
}

/// The items of a list; none of a null, nothing of what is no list.
fn take_items(list: &mut Node) -> Option<Vec<Node>> {
    match list.get_mut("items").map(std::mem::take)? {
        Node::Seq(items) => Some(items),
        other if other.is_null() => Some(Vec::new()),
        _ => None,
    }
}

/// What kustomize has of an item of a list, which goes a way through JSON: all text is quoted, and numbers are written anew.
fn through_json(scalar: Scalar) -> Scalar {
    let quoted = |text: String| Scalar {
        style: Style::Quoted,
        ..Scalar::string(text)
    };
    let text = match (scalar.printed(), scalar.clone().into_value()) {
        (Tag::Null, _) => return Scalar::default(),
        (Tag::Str, _) => return quoted(scalar.text),
        (_, Ok(Value::String(text))) => return quoted(text),
        (_, Ok(Value::Number(number))) => match number.as_f64() {
            Some(float) if number.is_f64() => go_json_number(float),
            _ => number.to_string(),
        },
        (_, Ok(value)) => value.to_string(),
        // It is refused when it is printed.
        (_, Err(_)) => return scalar,
    };
    Scalar::new(resolve(&text, Typing::Manifest), text)
}

/// What says of an object that it is run at a time, and may have another name each time.
const HOOKS: [&str; 2] = ["argocd.argoproj.io/hook", "reeve.dev/hook"];

/// A hook with a `generateName` and no name goes under that until somebody makes its name.
fn lend_name(node: &mut Node) {
    let text = |path: &[&str]| node.at(path).map_or("", Node::text);
    let generated = text(&["metadata", "generateName"]);
    let is_hook = |key: &&str| !text(&["metadata", "annotations", key]).is_empty();
    if generated.is_empty() || !text(&["metadata", "name"]).is_empty() || !HOOKS.iter().any(is_hook)
    {
        return;
    }
    let name = Node::set(generated.to_owned());
    if let Some(metadata) = node.get_mut("metadata").and_then(Node::map_mut) {
        metadata.insert("name", name);
    }
}

fn check_object(document: &Document, file: &str) -> Result<(), Error> {
    let fail = |why: &str| Err(Error::invalid(file, why).at_line(document.line));
    if file::is_kustomization(&document.node) {
        return fail("is a kustomization file, not a manifest: list its directory");
    }
    why_no_object(&document.node).map_or(Ok(()), fail)
}
