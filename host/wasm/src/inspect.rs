//! Looks at a component before a byte of it is compiled.
//!
//! Refuses what is not a component, what asks for imports that nobody gets, and what is shaped to keep a compiler busy. A cheap look at
//! sizes, not a proof: the compiler still validates everything, on one thread and with a deadline (`cache`).

use wasmparser::{Encoding, Parser, Payload};
use wasmtime::Engine;

use crate::error::Error;
use crate::words::{bytes, tame};

/// The largest function, in bytes: compile time grows faster than a function's size. CPython's interpreter loop has about 150 KiB.
const FUNCTION: usize = 1 << 20;
/// Functions over all modules of a component.
const FUNCTIONS: u64 = 200_000;
/// How deep components may lie in components.
const DEPTH: usize = 16;
/// Payloads that are looked at: sections and functions.
const PARTS: usize = 1 << 20;
/// How many unwanted imports are named.
const NAMED: usize = 8;

/// What may be imported: the interfaces of our own package. Which of them the world has is checked when it is linked.
const OURS: &str = "reeve:plugin/";

/// Says why `component` is not even compiled, if so.
pub(crate) fn inspect(component: &[u8], most: usize) -> Result<(), Error> {
    if component.len() > most {
        return refuse(format!(
            "it has {} bytes, more than {}",
            component.len(),
            bytes(most)
        ));
    }
    if Engine::detect_precompiled(component).is_some() {
        return refuse(
            "it is machine code that was compiled elsewhere; give the .wasm component itself",
        );
    }
    if Parser::is_core_wasm(component) {
        return refuse(
            "it is a core module, not a component; plugins/README.md tells how to encode it",
        );
    }
    if !Parser::is_component(component) {
        return refuse("it is not a WebAssembly component");
    }
    walk(component)
}

fn walk(component: &[u8]) -> Result<(), Error> {
    let mut asked = Vec::new();
    let (mut depth, mut functions, mut parts) = (0usize, 0u64, 0usize);
    for payload in Parser::new(0).parse_all(component) {
        parts += 1;
        match payload.map_err(broken)? {
            Payload::Version {
                encoding: Encoding::Component | Encoding::Module,
                ..
            } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    let name = import.map_err(broken)?.name.name;
                    if !name.starts_with(OURS) {
                        asked.push(tame(name, 128));
                    }
                }
            }
            Payload::CodeSectionStart { count, .. } => functions += u64::from(count),
            Payload::CodeSectionEntry(body) if body.range().len() > FUNCTION => {
                return refuse(format!(
                    "one of its functions is larger than {}",
                    bytes(FUNCTION)
                ));
            }
            _ => {}
        }
        if depth > DEPTH {
            return refuse(format!("components lie in it deeper than {DEPTH}"));
        }
        if functions > FUNCTIONS || parts > PARTS {
            return refuse(format!("it has more than {FUNCTIONS} functions"));
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    asked.truncate(NAMED);
    Err(Error::Imports { asked })
}

fn refuse(why: impl Into<String>) -> Result<(), Error> {
    Err(Error::Compile(why.into()))
}

fn broken(why: wasmparser::BinaryReaderError) -> Error {
    Error::Compile(format!("it is broken: {}", tame(&why.to_string(), 256)))
}
