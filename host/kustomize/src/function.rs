//! Functions that are WebAssembly components: `config.kubernetes.io/function: |- wasm: {path: …}` on an entry of
//! `generators`, `transformers` or `validators`.
//!
//! The engine finds the component, hands over the objects and its config, and takes objects back; whoever builds runs it
//! ([`Functions`]). Functions that are programs or containers are refused. Where nobody runs functions, so are these.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, Place, Why};
use crate::file::Entry;
use crate::path;
use crate::resource::Resource;
use crate::session::Session;

/// Under which an object's config names its function.
pub(crate) const ANNOTATIONS: [&str; 2] =
    ["config.kubernetes.io/function", "config.k8s.io/function"];
/// By which an object is known again that a function gives back. kustomize uses the same.
const ID: &str = "kustomize.config.k8s.io/id";
/// What calling a function counts as work, beside its objects.
const CALL: u64 = 1_000_000;

/// Who runs functions.
pub trait Functions: fmt::Debug + Send + Sync {
    /// Calls a function once. A call takes as long as its caller lets it; an error is one clause for the build's author.
    fn call(&self, call: Call<'_>) -> Result<Vec<String>, String>;
}

/// One call of a function.
#[derive(Debug)]
pub struct Call<'c> {
    /// What is called.
    pub component: &'c Component,
    /// The digest that its bytes must have, in hexadecimal.
    pub sha256: Option<&'c str>,
    /// The objects, each as JSON; none for a generator.
    pub items: Vec<String>,
    /// The object that asks for the call, as JSON: what KRM functions know as `functionConfig`.
    pub config: String,
}

/// Where a function's component is.
#[derive(Clone, PartialEq, Eq)]
pub enum Component {
    /// A file of the tree.
    File {
        /// Its path from the root.
        path: String,
        /// Its content.
        bytes: Arc<[u8]>,
    },
    /// What the caller knows by this name.
    Plugin(String),
    /// An artifact in a registry.
    Image(String),
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "File({path})"),
            Self::Plugin(name) => write!(f, "Plugin({name})"),
            Self::Image(reference) => write!(f, "Image({reference})"),
        }
    }
}

/// A function that an object asks for.
#[derive(Debug)]
pub(crate) struct Function {
    component: Component,
    sha256: Option<String>,
    place: Place,
}

impl Function {
    /// What `config` asks for, if it asks for a function. Paths are seen from the directory `dir`.
    pub(crate) fn read(
        session: &Session<'_>,
        dir: &str,
        config: &Resource,
        place: &Place,
    ) -> Result<Option<Self>, Error> {
        let text = |key: &'static str| Some((key, config.metadata_text("annotations", key)?));
        let Some((key, text)) = ANNOTATIONS.into_iter().find_map(text) else {
            return Ok(None);
        };
        let place = place.inside("metadata.annotations");
        let refuse = |why: &str| Error::invalid_at(&place, format!("{key}: {why}"));
        let asked = session.document(text.as_bytes(), "");
        let asked = asked.map_err(|_| refuse("is not YAML"))?;
        let Some(wasm) = asked.get("wasm").and_then(Value::as_object) else {
            return Err(refuse(
                "functions in programs and containers are not run; one in WebAssembly is named by 'wasm: {path: …}'",
            ));
        };
        let known = ["path", "plugin", "image", "sha256"];
        if let Some(other) = wasm.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(refuse(&format!("unknown field wasm.{other}")));
        }
        let field = |name: &str| wasm.get(name).and_then(Value::as_str);
        let component = match (field("path"), field("plugin"), field("image")) {
            (Some(at), None, None) => file(session, dir, at, &place)?,
            (None, Some(name), None) => Component::Plugin(name.to_owned()),
            (None, None, Some(reference)) => Component::Image(reference.to_owned()),
            _ => return Err(refuse("wasm names exactly one of path, plugin and image")),
        };
        let sha256 = field("sha256").map(str::to_owned);
        let is_hex =
            |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if wasm.contains_key("sha256") && !sha256.as_ref().is_some_and(is_hex) {
            return Err(refuse("wasm.sha256 is 64 hexadecimal digits, in quotes"));
        }
        if let Component::Image(reference) = &component
            && sha256.is_none()
            && !is_exact(reference)
        {
            return Err(refuse(
                "wasm.image has no digest, and a tag may mean another component tomorrow: write oci://HOST/NAME@sha256:… or add wasm.sha256",
            ));
        }
        Ok(Some(Self {
            component,
            sha256,
            place,
        }))
    }

    /// What it makes of nothing.
    pub(crate) fn generate(
        &self,
        session: &Session<'_>,
        config: &Resource,
    ) -> Result<Vec<Resource>, Error> {
        let made = self.call(session, config, Vec::new())?;
        let charge = session.budget.objects(made.len() as u64);
        charge.map_err(|why| Error::in_place(&self.place, why))?;
        Ok(made)
    }

    /// Has it change `resources`. What it gives back with the id of one stays that one; the others are new.
    pub(crate) fn transform(
        &self,
        session: &Session<'_>,
        config: &Resource,
        resources: &mut Vec<Resource>,
    ) -> Result<(), Error> {
        let mut items = Vec::with_capacity(resources.len());
        for (at, resource) in resources.iter().enumerate() {
            let mut known = resource.clone();
            let metadata = known.metadata_mut();
            let annotations =
                metadata.get_or_insert_with("annotations", crate::yaml::Node::empty_mapping);
            if let Some(annotations) = annotations.map_mut() {
                annotations.insert(ID, crate::yaml::Node::string(at.to_string()));
            }
            items.push(self.json(&known)?);
        }
        let mut left: Vec<Option<Resource>> =
            std::mem::take(resources).into_iter().map(Some).collect();
        let mut seen = BTreeSet::new();
        for mut given in self.call(session, config, items)? {
            let id = take_id(&mut given);
            let at = id.and_then(|id| id.parse::<usize>().ok());
            match at
                .filter(|at| seen.insert(*at))
                .and_then(|at| left.get_mut(at))
            {
                Some(old) => {
                    let Some(mut old) = old.take() else { continue };
                    old.node = given.node;
                    resources.push(old);
                }
                None => {
                    let charge = session.budget.objects(1);
                    charge.map_err(|why| Error::in_place(&self.place, why))?;
                    resources.push(given);
                }
            }
        }
        Ok(())
    }

    fn call(
        &self,
        session: &Session<'_>,
        config: &Resource,
        items: Vec<String>,
    ) -> Result<Vec<Resource>, Error> {
        let failed = |why: Why| Error::in_place(&self.place, why);
        let Some(functions) = session.functions else {
            let why = "functions are not run here".to_owned();
            return Err(failed(Why::Function(why)));
        };
        let size: usize = items.iter().map(String::len).sum();
        let charge = session.budget.steps(CALL.saturating_add(size as u64));
        charge.map_err(failed)?;
        let call = Call {
            component: &self.component,
            sha256: self.sha256.as_deref(),
            items,
            config: self.json(config)?,
        };
        let given = functions
            .call(call)
            .map_err(|why| failed(Why::Function(why)))?;
        let mut resources = Vec::with_capacity(given.len());
        for text in given {
            let room = session.budget.aside(|left| left.nodes(json_values(&text)));
            room.and_then(|room| room)
                .map_err(|why| failed(returned(&why)))?;
            // JSON's own escapes are not all YAML's.
            let value: Value = serde_json::from_str(&text).map_err(|_| {
                failed(Why::Function(
                    "the function returned what is not JSON".to_owned(),
                ))
            })?;
            let text = value.to_string();
            let documents = session.documents(text.as_bytes(), "");
            let found = documents.and_then(|documents| session.resources(documents, ""));
            let found = found.map_err(|error| failed(returned(error.why())))?;
            resources.extend(found);
        }
        for resource in &mut resources {
            resource.file = config.file.clone();
            resource.line = config.line;
        }
        Ok(resources)
    }

    fn json(&self, resource: &Resource) -> Result<String, Error> {
        let value = resource.node.clone().into_value();
        let value = value.map_err(|why| resource.unprintable(&why))?;
        Ok(value.to_string())
    }
}

/// At most how many values JSON holds: counted by what opens and parts them, before a byte is taken for any.
pub fn json_values(json: &str) -> u64 {
    let (mut count, mut quoted, mut escaped) = (1, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

/// Whatever is wrong with an answer is the function's failure. A build that was stopped has not failed.
fn returned(why: &Why) -> Why {
    match why {
        Why::Stopped => Why::Stopped,
        why => Why::Function(format!("the function returned: {why}")),
    }
}

/// Whether it names one artifact for ever.
fn is_exact(reference: &str) -> bool {
    let digest = reference.rsplit_once("@sha256:").map(|(_, digest)| digest);
    digest.is_some_and(|digest| digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn file(session: &Session<'_>, dir: &str, at: &str, place: &Place) -> Result<Component, Error> {
    let entry = Entry {
        text: at.to_owned(),
        place: place.clone(),
    };
    let bytes = session.read_entry(dir, &entry)?;
    let path = path::join(dir, at).unwrap_or_else(|| at.to_owned());
    Ok(Component::File { path, bytes })
}

/// Takes the id off that an object came back with, and what it would leave behind.
fn take_id(resource: &mut Resource) -> Option<String> {
    let metadata = resource.metadata_mut();
    let annotations = metadata.get_mut("annotations")?.map_mut()?;
    let id = annotations.shift_remove(ID)?.text().to_owned();
    if annotations.is_empty() {
        metadata.shift_remove("annotations");
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::{Call, Component, Functions, ID};
    use crate::{MemoryTree, Options, build};

    /// Does what its config's `does` says, and notes what it was called with.
    #[derive(Debug, Default)]
    struct Fake(Mutex<Vec<(String, usize)>>);

    impl Functions for Fake {
        fn call(&self, call: Call<'_>) -> Result<Vec<String>, String> {
            let mut called = self.0.lock().unwrap();
            called.push((format!("{:?}", call.component), call.items.len()));
            let config: Value = serde_json::from_str(&call.config).unwrap();
            let mut items: Vec<Value> = call
                .items
                .iter()
                .map(|item| serde_json::from_str(item).unwrap())
                .collect();
            match config["does"].as_str().unwrap() {
                "label" => items.iter_mut().for_each(|item| {
                    item["metadata"]["labels"] = json!({"by": "function"});
                }),
                "add" => items.push(
                    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "made"}}),
                ),
                "drop" => {
                    items.pop();
                }
                "reverse" => items.reverse(),
                "garble" => return Ok(vec!["[1".to_owned()]),
                "refuse" => return Err("function f.wasm failed: no".to_owned()),
                _ => {}
            }
            Ok(items.iter().map(Value::to_string).collect())
        }
    }

    fn app(list: &str, wasm: &str, does: &str) -> MemoryTree {
        let kustomization =
            format!("resources: [a.yaml, b.yaml]\nnamePrefix: dev-\n{list}: [f/f.yaml]\n");
        let function = format!(
            "apiVersion: example.com/v1\nkind: F\nmetadata:\n  name: f\n  annotations:\n    config.kubernetes.io/function: |\n      {wasm}\ndoes: {does}\n"
        );
        let map = |name: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations: {{kept: 'yes'}}\n"
            )
        };
        [
            ("kustomization.yaml", kustomization.as_str()),
            ("f/f.yaml", function.as_str()),
            ("f/f.wasm", "component"),
            ("a.yaml", map("a").as_str()),
            ("b.yaml", map("b").as_str()),
        ]
        .into_iter()
        .collect()
    }

    const BY_PATH: &str = "wasm: {path: f/f.wasm}";

    fn built(
        tree: &MemoryTree,
        functions: Option<Arc<dyn Functions>>,
    ) -> Result<Vec<Value>, String> {
        let options = Options {
            functions,
            ..Options::default()
        };
        match build(tree, "", &options) {
            Ok(objects) => Ok(objects.into_iter().map(Value::from).collect()),
            Err(why) => Err(why.to_string()),
        }
    }

    fn names(objects: &[Value]) -> String {
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        objects.iter().map(name).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn a_function_makes_changes_drops_and_orders_objects() {
        for (list, does, want) in [
            ("generators", "add", "dev-a,dev-b,dev-made"),
            ("transformers", "label", "dev-a,dev-b"),
            ("transformers", "add", "dev-a,dev-b,made"),
            ("transformers", "drop", "dev-a"),
            ("transformers", "reverse", "dev-b,dev-a"),
            ("validators", "nothing", "dev-a,dev-b"),
        ] {
            let fake = Arc::new(Fake::default());
            let objects = built(&app(list, BY_PATH, does), Some(fake.clone())).unwrap();
            assert_eq!(names(&objects), want, "{list} {does}");
            let labelled = objects
                .iter()
                .all(|o| o["metadata"]["labels"]["by"] == "function");
            assert_eq!(labelled, does == "label", "{list} {does}");
            assert!(
                objects
                    .iter()
                    .all(|o| o["metadata"]["annotations"].get(ID).is_none())
            );
            assert_eq!(objects[0]["metadata"]["annotations"]["kept"], "yes");
            let items = if list == "generators" { 0 } else { 2 };
            let called = fake.0.lock().unwrap().clone();
            assert_eq!(called, [("File(f/f.wasm)".to_owned(), items)]);
        }
    }

    #[test]
    fn what_is_wrong_with_a_function_is_told_by_file_and_field() {
        for (list, wasm, does, want) in [
            (
                "transformers",
                BY_PATH,
                "refuse",
                "function f.wasm failed: no",
            ),
            (
                "transformers",
                BY_PATH,
                "garble",
                "the function returned what is not JSON",
            ),
            (
                "validators",
                BY_PATH,
                "label",
                "a validator must not change anything",
            ),
            (
                "transformers",
                "wasm: {path: ../../f.wasm}",
                "label",
                "lies outside of the repository",
            ),
            (
                "transformers",
                "wasm: {path: none.wasm}",
                "label",
                "none.wasm does not exist",
            ),
            (
                "transformers",
                "wasm: {path: a, plugin: b}",
                "label",
                "exactly one of path, plugin and image",
            ),
            (
                "transformers",
                "wasm: {}",
                "label",
                "exactly one of path, plugin and image",
            ),
            (
                "transformers",
                "wasm: {image: a/b}",
                "label",
                "wasm.image has no digest, and a tag may mean another component tomorrow",
            ),
            (
                "transformers",
                "wasm: {path: f/f.wasm, sha256: ab}",
                "label",
                "64 hexadecimal digits",
            ),
            (
                "transformers",
                "wasm: {file: f/f.wasm}",
                "label",
                "unknown field wasm.file",
            ),
            (
                "transformers",
                "exec: {path: ./f}",
                "label",
                "programs and containers are not run",
            ),
            (
                "transformers",
                "container: {image: f}",
                "label",
                "programs and containers are not run",
            ),
        ] {
            let told = built(&app(list, wasm, does), Some(Arc::new(Fake::default()))).unwrap_err();
            assert!(told.contains(want), "{wasm} {does}: {told}");
            assert!(
                told.contains("f.yaml") && told.contains("metadata.annotations")
                    || list == "validators",
                "{told}"
            );
        }
        let told = built(&app("transformers", BY_PATH, "label"), None).unwrap_err();
        assert!(told.contains("functions are not run here"), "{told}");
    }

    #[test]
    fn a_plugin_is_named_and_not_read() {
        let component = Component::Plugin("stamp".to_owned());
        let fake = Arc::new(Fake::default());
        built(
            &app("transformers", "wasm: {plugin: stamp}", "label"),
            Some(fake.clone()),
        )
        .unwrap();
        assert_eq!(fake.0.lock().unwrap()[0].0, format!("{component:?}"));
    }
}
