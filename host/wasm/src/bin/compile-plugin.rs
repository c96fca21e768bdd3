//! The compiling process alone, for this crate's tests; the controller starts itself instead
//! (`reeve compile-plugin`).

use std::process::ExitCode;

fn main() -> ExitCode {
    reeve_wasm::compile_plugin()
}
