//! What a component says about itself, read without compiling it.
//!
//! For people who want to know what they are given, and for a controller that checks a plugin's
//! config before it calls it. What is wrong with a component is `inspect`'s to say; whether it does
//! what it says nobody knows before it is called.

use std::fmt;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::inspect::inspect;
use crate::words::{bytes, tame};

/// The custom section that holds the JSON Schema of the plugin's config.
const SCHEMA: &str = "reeve:config-schema";
/// The custom section that says what the plugin asks for: hosts and secret slots.
const MANIFEST: &str = "reeve:manifest";
/// The largest of either, in bytes.
const SECTION: usize = 64 << 10;
/// Imports and exports that are listed; no world has more than a few.
const NAMES: usize = 1000;

/// Which contract a plugin implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum World {
    /// Changes manifests between rendering and policy.
    Transformer,
    /// Speaks to a forge: says which requests to make, and never makes one.
    Provider,
}

impl World {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Transformer, Self::Provider];

    /// Its name in `wit/world.wit`: `transformer`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transformer => "transformer",
            Self::Provider => "provider",
        }
    }

    /// Its name with its package: `reeve:plugin/transformer@0.1.0`.
    pub(crate) fn full_name(self) -> &'static str {
        match self {
            Self::Transformer => "reeve:plugin/transformer@0.1.0",
            Self::Provider => "reeve:plugin/provider@0.1.0",
        }
    }

    /// The interface that a component of it exports, without its version.
    fn export(self) -> &'static str {
        match self {
            Self::Transformer => "reeve:plugin/transform@",
            Self::Provider => "reeve:plugin/provide@",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a component says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// `sha256:` and the hex digest of its bytes.
    pub digest: String,
    /// Its size in bytes.
    pub size: usize,
    /// The worlds whose interface it exports, by name: whether its functions have the right types
    /// is known when it is loaded. Usually one.
    pub worlds: Vec<World>,
    /// What it imports, in its order.
    pub imports: Vec<String>,
    /// What it exports, in its order.
    pub exports: Vec<String>,
    /// The JSON Schema of its config, if it carries one.
    pub schema: Option<Value>,
    /// What it asks for, if it says so: hosts and secret slots.
    pub manifest: Option<Value>,
    /// How many instances of core modules it makes.
    pub instances: u32,
    /// Bytes of linear memory that its modules start with.
    pub memory: u64,
}

/// Reads what `component` says about itself, at most `most` bytes of it; the errors are those with
/// which it would not be loaded.
pub fn facts(component: &[u8], most: usize) -> Result<Facts, Error> {
    let facts = inspect(component, most)?;
    Ok(Facts {
        digest: digest(component),
        ..facts
    })
}

/// `sha256:` and the hex digest.
pub(crate) fn digest(component: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(component)))
}

impl Facts {
    pub(crate) fn import(&mut self, name: &str) -> Result<(), Error> {
        self.imports.push(tame(name, 128));
        few(&self.imports, "imports")
    }

    pub(crate) fn export(&mut self, name: &str) -> Result<(), Error> {
        for world in World::ALL {
            if name.starts_with(world.export()) && !self.worlds.contains(&world) {
                self.worlds.push(world);
            }
        }
        self.exports.push(tame(name, 128));
        few(&self.exports, "exports")
    }

    /// Takes a custom section of the outermost component, where it is one of ours.
    pub(crate) fn section(&mut self, name: &str, data: &[u8]) -> Result<(), Error> {
        let place = match name {
            SCHEMA => &mut self.schema,
            MANIFEST => &mut self.manifest,
            _ => return Ok(()),
        };
        if place.is_some() {
            return Err(refused(name, "is there twice"));
        }
        if data.len() > SECTION {
            let why = format!("is larger than {}", bytes(SECTION));
            return Err(refused(name, &why));
        }
        let object: Map<String, Value> = serde_json::from_slice(data).map_err(|why| {
            let why = format!("is no JSON object: {}", tame(&why.to_string(), 256));
            refused(name, &why)
        })?;
        *place = Some(Value::Object(object));
        Ok(())
    }
}

fn few(names: &[String], what: &str) -> Result<(), Error> {
    if names.len() > NAMES {
        return Err(Error::Compile(format!("it has more than {NAMES} {what}")));
    }
    Ok(())
}

fn refused(section: &str, why: &str) -> Error {
    Error::Compile(format!("its section {section} {why}"))
}
