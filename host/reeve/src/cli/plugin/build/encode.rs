//! Core modules to components, and the sections that a component describes itself with.

use wit_component::ComponentEncoder;

use crate::cli::ui::CommandError;

/// The import module of WASI's first version.
pub(super) const WASI: &str = "wasi_snapshot_preview1";

/// A component of a core module that knows its world. Imports of WASI are answered by `adapter` where there is one, and
/// are an error where there is none.
pub(super) fn component(module: &[u8], adapter: Option<&[u8]>) -> Result<Vec<u8>, CommandError> {
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| match adapter {
            Some(adapter) => encoder.adapter(WASI, adapter),
            None => Ok(encoder),
        })
        .and_then(|mut encoder| encoder.encode());
    encoded.map_err(|why| {
        CommandError::new(format!("the module does not become a component: {why:#}")).hint(
            "a plugin imports reeve:plugin/log and nothing else: no files, no clock, no randomness",
        )
    })
}

/// Adds a custom section at the end of a component.
pub(super) fn section(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut content = Vec::new();
    length(&mut content, name.len());
    content.extend_from_slice(name.as_bytes());
    content.extend_from_slice(data);
    component.push(0);
    length(component, content.len());
    component.extend(content);
}

/// LEB128.
fn length(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
