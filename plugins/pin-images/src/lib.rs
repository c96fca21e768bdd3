//! Puts the digest of a list on every image of a workload: `web:1.4` becomes `web:1.4@sha256:…`.
//!
//! A tag can be moved, a digest cannot: what was tested is what runs. The list comes in the config;
//! nothing is looked up, because a plugin reaches nothing. An image that is not on the list is
//! refused unless the config says otherwise.

mod config;
mod image;

use serde_json::Value;

use config::{Config, Unlisted};
use exports::reeve::plugin::transform::{Guest, Refusal};
use image::Image;
use pods::{List, Pod};
use reeve::plugin::log::{Level, log};
use reeve::plugin::types::{ObjectId, Objection};

wit_bindgen::generate!({ path: "../../wit", world: "transformer" });

struct PinImages;

impl Guest for PinImages {
    fn transform(manifests: Vec<String>, config: String) -> Result<Vec<String>, Refusal> {
        let config = Config::parse(&config).map_err(|message| Refusal {
            message,
            objects: Vec::new(),
        })?;
        let mut run = Run {
            config,
            pinned: 0,
            objections: Vec::new(),
        };
        let pinned = manifests
            .into_iter()
            .map(|text| run.manifest(text))
            .collect();
        if !run.objections.is_empty() {
            return Err(Refusal {
                message: "there are images without a digest that the list does not have".into(),
                objects: run.objections,
            });
        }
        log(Level::Info, &format!("pinned {} images", run.pinned));
        Ok(pinned)
    }
}

/// One call.
struct Run {
    config: Config,
    pinned: usize,
    objections: Vec<Objection>,
}

impl Run {
    /// A manifest with its images pinned. One without a pod comes back as it was, to the byte.
    fn manifest(&mut self, text: String) -> String {
        let Ok(mut manifest) = serde_json::from_str::<Value>(&text) else {
            // The host gives objects. What is none is not ours to judge.
            return text;
        };
        let mut object = None;
        let whole = id(&manifest);
        if let Some(mut pod) = pods::pod(&mut manifest) {
            object = Some(whole);
            for list in List::ALL {
                for (path, container) in pod.containers(list) {
                    self.field(
                        object.as_ref(),
                        &format!("{path}.image"),
                        container.get_mut("image"),
                    );
                }
            }
            self.volumes(object.as_ref(), &mut pod);
        }
        match object {
            Some(_) => manifest.to_string(),
            None => text,
        }
    }

    /// An image can be mounted too.
    fn volumes(&mut self, object: Option<&ObjectId>, pod: &mut Pod<'_>) {
        let path = pod.path;
        let volumes = pod.spec.get_mut("volumes").and_then(Value::as_array_mut);
        for (at, volume) in volumes.into_iter().flatten().enumerate() {
            let reference = volume.pointer_mut("/image/reference");
            self.field(
                object,
                &format!("{path}.volumes[{at}].image.reference"),
                reference,
            );
        }
    }

    /// Pins the image in one field, or objects to it.
    fn field(&mut self, object: Option<&ObjectId>, field: &str, value: Option<&mut Value>) {
        // One that is absent or no text is the API server's to refuse.
        let Some((text, value)) = value.and_then(|value| Some((value.as_str()?.to_owned(), value)))
        else {
            return;
        };
        let image = Image::parse(&text);
        if image.digest.is_some() {
            return;
        }
        if let Some(digest) = self.config.digest(&image) {
            *value = Value::String(format!("{text}@{digest}"));
            self.pinned += 1;
        } else if self.config.unlisted == Unlisted::Refuse {
            self.objections.extend(object.map(|object| Objection {
                object: object.clone(),
                field: field.to_owned(),
                message: format!("{text} is not in the list: add {image} with its digest"),
            }));
        }
    }
}

fn id(manifest: &Value) -> ObjectId {
    let text = |path: &str| {
        let value = manifest.pointer(path).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    ObjectId {
        api_version: text("/apiVersion"),
        kind: text("/kind"),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
    }
}

export!(PinImages);
