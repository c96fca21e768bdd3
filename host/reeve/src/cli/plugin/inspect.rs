//! `reeve plugin inspect`: what a component says of itself, and whether the controller would take it.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use reeve_wasm::{Facts, World, facts};
use serde::Serialize;
use serde_json::Value;

use super::place::{LimitFlags, Place, largest};
use super::registry::{RegistryFlags, fetch};
use super::{Form, data, read};
use crate::cli::ui::{CommandError, Ui};
use crate::oci::NotAReference;

/// Show what a component is
///
/// Its digest, world, imports and exports, what it says of its config and what it asks for, and how long it takes to
/// compile. A component that the controller would not take is refused with the controller's words.
#[derive(Args)]
pub(super) struct InspectArgs {
    /// The component, or where it lies in a registry: oci://HOST/NAME:TAG
    component: String,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Text)]
    form: Form,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// What is told.
#[derive(Serialize)]
struct Told {
    digest: String,
    size: usize,
    world: Vec<&'static str>,
    imports: Vec<String>,
    exports: Vec<String>,
    /// Instances of core modules.
    instances: u32,
    /// Bytes, at the start.
    memory: u64,
    #[serde(
        rename = "compileMilliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    compile: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<Value>,
    #[serde(rename = "configSchema", skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
}

pub(super) fn run(args: &InspectArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let name = &args.component;
    let component = match name.starts_with("oci://") {
        true => {
            let reference = name
                .parse()
                .map_err(|why| CommandError::of(name, &why as &NotAReference))?;
            fetch(&reference, &args.registry)?.component
        }
        false => read(Path::new(name))?,
    };
    let facts = facts(&component, largest())
        .map_err(|why| CommandError::of(&format!("{name} would be refused"), &why))?;
    // What it says of itself is told whether it compiles or not.
    let place = Place::open(&component, name, &LimitFlags::default());
    let told = Told::of(facts, place.as_ref().ok().map(|place| place.compiled));
    let text = match args.form {
        Form::Text => text(&told),
        form => data(&told, form)?,
    };
    ui.data(text.as_bytes())?;
    place.map(|_| ())
}

impl Told {
    fn of(facts: Facts, compiled: Option<Duration>) -> Self {
        Self {
            digest: facts.digest,
            size: facts.size,
            world: facts
                .worlds
                .iter()
                .map(|world| World::name(*world))
                .collect(),
            imports: facts.imports,
            exports: facts.exports,
            instances: facts.instances,
            memory: facts.memory,
            compile: compiled.map(|compiled| compiled.as_millis()),
            manifest: facts.manifest,
            schema: facts.schema,
        }
    }
}

fn text(told: &Told) -> String {
    let mut rows = vec![
        ("digest", told.digest.clone()),
        ("size", size(told.size as u64)),
        ("world", told.world.join(", ")),
        ("imports", told.imports.join("\n")),
        ("exports", told.exports.join("\n")),
        (
            "memory",
            format!(
                "{} at the start, in {} instances",
                size(told.memory),
                told.instances
            ),
        ),
    ];
    rows.extend(
        told.compile
            .map(|compile| ("compiles in", format!("{compile} ms"))),
    );
    let json = |value: &Option<Value>| value.as_ref().map(|value| format!("{value:#}"));
    rows.extend(json(&told.manifest).map(|text| ("manifest", text)));
    rows.extend(json(&told.schema).map(|text| ("config", text)));
    let mut out = String::new();
    for (name, value) in rows {
        let mut name = name;
        for line in value.lines() {
            out.push_str(&format!("{name:<12} {line}\n"));
            name = "";
        }
    }
    out
}

/// `70 KiB`, for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => {
            let tenths = bytes.saturating_mul(10) >> 20;
            format!("{}.{} MiB", tenths / 10, tenths % 10)
        }
    }
}
