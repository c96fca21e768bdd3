//! The config: which image has which digest, and what becomes of the others.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::image::Image;

/// What becomes of an image that is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlisted {
    Refuse,
    Allow,
}

#[derive(Debug)]
pub struct Config {
    digests: BTreeMap<String, String>,
    pub unlisted: Unlisted,
}

impl Config {
    /// The config, or what is wrong with it and how it should be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Map<String, Value> = serde_json::from_str(text)
            .map_err(|why| format!("the config is no JSON object: {why}"))?;
        if let Some(unknown) = config
            .keys()
            .find(|key| !["images", "unlisted"].contains(&key.as_str()))
        {
            return Err(format!(
                "the config has {unknown:?}: only images and unlisted are known"
            ));
        }
        let unlisted = match config.get("unlisted").map(Value::as_str) {
            None | Some(Some("refuse")) => Unlisted::Refuse,
            Some(Some("allow")) => Unlisted::Allow,
            Some(_) => return Err("unlisted must be refuse or allow".into()),
        };
        let Some(Value::Object(images)) = config.get("images") else {
            return Err(r#"the config must have {"images": {"web:1.4": "sha256:…"}}"#.into());
        };
        let mut digests = BTreeMap::new();
        for (name, digest) in images {
            let digest = digest
                .as_str()
                .filter(|text| is_digest(text))
                .ok_or_else(|| {
                    format!("the digest of {name} must be sha256: and 64 hexadecimal digits")
                })?;
            let image = Image::parse(name);
            if image.digest.is_some() {
                return Err(format!("{name} has a digest already: list it by its tag"));
            }
            if digests
                .insert(image.to_string(), digest.to_owned())
                .is_some()
            {
                return Err(format!("{image} is listed twice"));
            }
        }
        Ok(Self { digests, unlisted })
    }

    /// The digest that `image` is to have.
    pub fn digest(&self, image: &Image) -> Option<&str> {
        self.digests.get(&image.to_string()).map(String::as_str)
    }
}

fn is_digest(text: &str) -> bool {
    let hex = |digits: &str| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    text.strip_prefix("sha256:").is_some_and(hex)
}
