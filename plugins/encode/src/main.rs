//! `encode IN.wasm OUT.wasm`: makes a component of a core module that wit-bindgen has described.
//!
//! Runs on the building machine. It adds no adapter, so a module that imports WASI fails here, not
//! in the sandbox.

use std::process::ExitCode;
use std::{env, fs};

use wit_component::ComponentEncoder;

fn main() -> ExitCode {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [from, to] = paths.as_slice() else {
        eprintln!("usage: encode IN.wasm OUT.wasm");
        return ExitCode::from(2);
    };
    match encode(from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{from} does not become a component: {why}");
            ExitCode::FAILURE
        }
    }
}

fn encode(from: &str, to: &str) -> Result<(), String> {
    let module = fs::read(from).map_err(|why| why.to_string())?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .map_err(|why| format!("{why:#}"))?;
    fs::write(to, component).map_err(|why| why.to_string())
}
