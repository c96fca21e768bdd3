//! `encode IN.wasm OUT.wasm [FOLDER]`: makes a component of a core module that wit-bindgen has
//! described, and puts into it what its folder says of it.
//!
//! Runs on the building machine. It adds no adapter, so a module that imports WASI fails here, not
//! in the sandbox.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use wit_component::ComponentEncoder;

/// The files of a plugin's folder that become custom sections of its component.
const SECTIONS: [(&str, &str); 2] = [
    ("config-schema.json", "reeve:config-schema"),
    ("manifest.json", "reeve:manifest"),
];

fn main() -> ExitCode {
    let paths: Vec<String> = env::args().skip(1).collect();
    let (from, to, folder) = match paths.as_slice() {
        [from, to] => (from, to, None),
        [from, to, folder] => (from, to, Some(Path::new(folder))),
        _ => {
            eprintln!("usage: encode IN.wasm OUT.wasm [FOLDER]");
            return ExitCode::from(2);
        }
    };
    match encode(from, to, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{from} does not become a component: {why}");
            ExitCode::FAILURE
        }
    }
}

fn encode(from: &str, to: &str, folder: Option<&Path>) -> Result<(), String> {
    let module = fs::read(from).map_err(|why| why.to_string())?;
    let mut component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .map_err(|why| format!("{why:#}"))?;
    for (file, name) in SECTIONS {
        let Some(path) = folder
            .map(|folder| folder.join(file))
            .filter(|path| path.exists())
        else {
            continue;
        };
        let text = fs::read(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        let json: serde_json::Value =
            serde_json::from_slice(&text).map_err(|why| format!("{}: {why}", path.display()))?;
        section(&mut component, name, json.to_string().as_bytes());
    }
    fs::write(to, component).map_err(|why| why.to_string())
}

/// Adds a custom section at the end.
fn section(component: &mut Vec<u8>, name: &str, data: &[u8]) {
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
