//! What a rollout makes of an object: other images, another number of replicas, or a patch. One object in, the wanted one out.
//!
//! A patch is put on as kustomize puts on those of `patches`. It deliberately asks nobody whether the cluster would take it.

use clap::{ArgGroup, Args};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn, chain};
use reeve_kustomize::{MemoryTree, Object, Options, build, parse_data, to_yaml};
use serde_json::{Map, Value};

use crate::cli::ui::CommandError;

/// The largest patch, in bytes.
const LARGEST: u64 = 1 << 20;
/// Where kinds keep the spec of their pods.
const PODS: [&str; 3] = [
    "/spec/jobTemplate/spec/template/spec",
    "/spec/template/spec",
    "/spec",
];
/// The patch that is put on, and what it is put on.
const KUSTOMIZATION: &str =
    "resources: [object.yaml]\npatches:\n- path: patch.yaml\n  target: {name: \".*\"}\n";

/// What is to be another.
#[derive(Args, Default)]
#[command(group = ArgGroup::new("wish").required(true).multiple(true).args(["images", "replicas", "patch"]))]
pub(super) struct WishArgs {
    /// Run this image: of this container, or of the only one
    #[arg(long = "image", value_name = "[CONTAINER=]IMAGE")]
    pub(super) images: Vec<String>,
    /// Run so many
    #[arg(long, value_name = "N")]
    pub(super) replicas: Option<u32>,
    /// Put this patch on, as kustomize does: a strategic merge patch, or a list of JSON6902 operations
    #[arg(long, value_name = "JSON|FILE", allow_hyphen_values = true)]
    pub(super) patch: Option<String>,
}

/// What is to be another, read.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    images: Vec<(Option<String>, String)>,
    replicas: Option<u32>,
    patch: Option<Value>,
}

impl Wish {
    pub(super) fn read(args: &WishArgs) -> Result<Self, CommandError> {
        let images = args.images.iter().map(|text| image(text));
        let patch = args.patch.as_deref().map(patch);
        Ok(Self {
            images: images.collect::<Result<_, _>>()?,
            replicas: args.replicas,
            patch: patch.transpose()?,
        })
    }

    /// What is wanted of it.
    pub(super) fn of(&self, object: &Object) -> Result<Object, Explained> {
        let mut value = Value::from(object.clone());
        for (container, image) in &self.images {
            set_image(&mut value, container.as_deref(), image)?;
        }
        if let Some(replicas) = self.replicas {
            let spec = value.get_mut("spec").and_then(Value::as_object_mut);
            let spec = spec.ok_or_else(|| refused("it has no spec, and so no replicas"))?;
            spec.insert("replicas".to_owned(), replicas.into());
        }
        let wanted = Object::try_from(value).map_err(|_| refused("it is no object"))?;
        match &self.patch {
            Some(patch) => patched(&wanted, patch),
            None => Ok(wanted),
        }
    }
}

/// What cannot be made of it.
pub(super) fn refused(message: impl Into<String>) -> Explained {
    Explained::new(Reason::BuildFailed, Turn::Owner, message)
}

/// `CONTAINER=IMAGE`, or `IMAGE`: no image has a `=` in its name.
fn image(text: &str) -> Result<(Option<String>, String), CommandError> {
    let (container, image) = match text.split_once('=') {
        Some((container, image)) => (Some(container.to_owned()), image),
        None => (None, text),
    };
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if image.is_empty() || image.contains(odd) || container.as_deref() == Some("") {
        let message = format!("--image {text:?} is not [CONTAINER=]IMAGE");
        return Err(CommandError::new(message).hint("for example web=registry.example/web:2"));
    }
    Ok((container, image.to_owned()))
}

/// The patch that is given, or that stands in a file.
fn patch(text: &str) -> Result<Value, CommandError> {
    let is_given = text.trim_start().starts_with(['{', '[']);
    let bytes = match is_given {
        true => text.as_bytes().to_vec(),
        false => file(text)?,
    };
    let what = if is_given { "--patch" } else { text };
    let read = parse_data(&bytes, what);
    let mut read = read.map_err(|why| CommandError::of("reading the patch failed", &why))?;
    match (read.pop(), read.is_empty()) {
        (Some(patch @ (Value::Object(_) | Value::Array(_))), true) => Ok(patch),
        _ => Err(CommandError::new(format!("{what} is not one patch"))
            .hint("an object that is merged, or a list of JSON6902 operations")),
    }
}

fn file(path: &str) -> Result<Vec<u8>, CommandError> {
    use std::io::Read as _;
    let failed = |why: std::io::Error| {
        CommandError::of(&format!("reading the patch {path} failed"), &why)
            .hint("--patch is a file, or JSON that begins with { or [")
    };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(failed)?;
    opened
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(CommandError::new(format!("{path} is larger than 1 MiB"))),
        false => Ok(bytes),
    }
}

fn set_image(object: &mut Value, container: Option<&str>, image: &str) -> Result<(), Explained> {
    let has_pods = |at: &&str| object.pointer(&format!("{at}/containers")).is_some();
    let pods = PODS.into_iter().find(has_pods);
    let pods = pods.ok_or_else(|| refused("it has no containers"))?;
    let names = names(object, &format!("{pods}/containers"));
    let wanted = match (container, names.as_slice()) {
        (Some(name), _) => name.to_owned(),
        (None, [only]) => only.clone(),
        (None, several) => {
            let message = format!("it has several containers: {}", several.join(", "));
            return Err(refused(message).with_hint("--image CONTAINER=IMAGE says which is meant"));
        }
    };
    for list in ["containers", "initContainers"] {
        let items = object.pointer_mut(&format!("{pods}/{list}"));
        let items = items.and_then(Value::as_array_mut).into_iter().flatten();
        for item in items.filter_map(Value::as_object_mut) {
            if item.get("name").and_then(Value::as_str) == Some(wanted.as_str()) {
                item.insert("image".to_owned(), image.into());
                return Ok(());
            }
        }
    }
    let message = format!("it has no container {wanted}, but {}", names.join(", "));
    Err(refused(message))
}

fn names(object: &Value, list: &str) -> Vec<String> {
    let items = object.pointer(list).and_then(Value::as_array);
    let names = items.into_iter().flatten().map(|item| item.get("name"));
    let names = names.map(|name| name.and_then(Value::as_str).unwrap_or_default().to_owned());
    names.collect()
}

fn patched(object: &Object, patch: &Value) -> Result<Object, Explained> {
    let patch = match patch {
        Value::Object(fields) => Value::Object(completed(object, fields)?),
        other => other.clone(),
    };
    let tree: MemoryTree = [
        ("kustomization.yaml", KUSTOMIZATION.to_owned()),
        ("object.yaml", to_yaml(std::slice::from_ref(object))),
        ("patch.yaml", patch.to_string()),
    ]
    .into_iter()
    .collect();
    let built = build(&tree, "", &Options::default());
    let mut built = built.map_err(|why| refused(format!("the patch: {}", chain(&why))))?;
    match (built.pop(), built.is_empty()) {
        (Some(wanted), true) if wanted.id() == object.id() => Ok(wanted),
        _ => Err(refused("the patch makes another object of it, or none")),
    }
}

/// The patch, saying whom it is for.
fn completed(object: &Object, patch: &Map<String, Value>) -> Result<Map<String, Value>, Explained> {
    let mut patch = patch.clone();
    put(&mut patch, "apiVersion", object.api_version())?;
    put(&mut patch, "kind", object.kind())?;
    let metadata = patch.entry("metadata").or_insert_with(|| Map::new().into());
    let metadata = metadata.as_object_mut();
    let metadata = metadata.ok_or_else(|| refused("the patch's metadata is no mapping"))?;
    put(metadata, "name", object.name())?;
    if !object.namespace().is_empty() {
        put(metadata, "namespace", object.namespace())?;
    }
    Ok(patch)
}

fn put(fields: &mut Map<String, Value>, name: &str, value: &str) -> Result<(), Explained> {
    let there = fields.entry(name).or_insert_with(|| value.into());
    match there.as_str() == Some(value) {
        true => Ok(()),
        false => Err(refused(format!("the patch is for another {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object() -> Object {
        let container = |name: &str| json!({"name": name, "image": format!("{name}:1"), "ports": [{"containerPort": 80}]});
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "acme"},
            "spec": {"replicas": 1, "template": {"spec": {
                "containers": [container("web"), container("log")], "initContainers": [container("init")],
            }}},
        });
        Object::try_from(object).unwrap()
    }

    fn wish(
        images: &[&str],
        replicas: Option<u32>,
        patch: Option<&str>,
    ) -> Result<Wish, CommandError> {
        Wish::read(&WishArgs {
            images: images.iter().map(|&text| text.to_owned()).collect(),
            replicas,
            patch: patch.map(str::to_owned),
        })
    }

    #[test]
    fn images_and_replicas_are_set_and_nothing_else() {
        let wish = wish(&["log=log:2", "init=init:2"], Some(3), None).unwrap();
        let mut want = Value::from(object());
        want["spec"]["replicas"] = json!(3);
        let pods = &mut want["spec"]["template"]["spec"];
        pods["containers"][1]["image"] = json!("log:2");
        pods["initContainers"][0]["image"] = json!("init:2");
        assert_eq!(Value::from(wish.of(&object()).unwrap()), want);
    }

    #[test]
    fn a_patch_is_put_on_as_kustomize_does() {
        let merge = r#"{"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}"#;
        let operations = r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:2"}]"#;
        let mut want = Value::from(object());
        want["spec"]["template"]["spec"]["containers"][0]["image"] = json!("web:2");
        for patch in [merge, operations] {
            let wish = wish(&[], None, Some(patch)).unwrap();
            assert_eq!(Value::from(wish.of(&object()).unwrap()), want, "{patch}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("patch.yaml");
        std::fs::write(&path, "spec:\n  replicas: 2\n").unwrap();
        let wish = wish(&[], None, path.to_str()).unwrap();
        let patched = wish.of(&object()).unwrap();
        assert_eq!(patched.get("/spec/replicas"), Some(&json!(2)));
    }

    #[test]
    fn what_is_not_said_clearly_is_refused() {
        for (images, patch, says) in [
            (&["web:2"][..], None, "several containers: web, log"),
            (&["db=db:2"], None, "no container db, but web, log"),
            (
                &[],
                Some(r#"{"metadata": {"name": "api"}}"#),
                "another name",
            ),
            (&[], Some(r#"{"kind": "Job"}"#), "another kind"),
            (&[], Some(r#"{"metadata": 1}"#), "no mapping"),
            (&[], Some(r#"{"$patch": "delete"}"#), "or none"),
            (
                &[],
                Some(r#"[{"op": "remove", "path": "/spec/x"}]"#),
                "the patch: ",
            ),
        ] {
            let told = wish(images, None, patch)
                .unwrap()
                .of(&object())
                .unwrap_err();
            assert!(told.message.contains(says), "{says}: {told}");
        }
        for images in ["", "web=", "=web:1", "a b"] {
            assert!(wish(&[images], None, None).is_err(), "{images:?}");
        }
        for patch in ["{", "[1]{", "/nowhere/patch.yaml"] {
            assert!(wish(&[], None, Some(patch)).is_err(), "{patch:?}");
        }
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let map = Object::try_from(map).unwrap();
        for wish in [wish(&["a:1"], None, None), wish(&[], Some(1), None)] {
            assert!(wish.unwrap().of(&map).is_err());
        }
    }
}
