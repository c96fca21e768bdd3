//! Looks at a component before a byte of it is compiled.
//!
//! Refuses what is not a component, what asks for imports that nobody gets, and what is shaped to
//! keep a compiler busy. A cheap look at sizes, not a proof: the compiler still validates
//! everything, on one thread and with a deadline (`cache`).

use wasmparser::{ComponentInstance, Instance, Parser, Payload};
use wasmtime::Engine;

use crate::engine::INSTANCES;
use crate::error::Error;
use crate::facts::Facts;
use crate::words::{bytes, tame};

/// The largest function, in bytes: compile time grows faster than a function's size. CPython's
/// interpreter loop has about 150 KiB.
const FUNCTION: usize = 1 << 20;
/// Functions over all modules of a component.
const FUNCTIONS: u64 = 200_000;
/// How deep modules and components may lie in components. Instances multiply with every level:
/// wit-component makes one, a composition two.
const DEPTH: usize = 5;
/// Payloads that are looked at: sections and functions.
const PARTS: usize = 1 << 20;
/// How many unwanted imports are named.
const NAMED: usize = 8;
/// Bytes in a page of memory.
pub(crate) const PAGE: u64 = 1 << 16;

/// What may be imported: the interfaces of our own package. Which of them the world has is checked
/// when it is linked.
const OURS: &str = "reeve:plugin/";

/// Says why `component` is not even compiled, if so; else what it says about itself, without its
/// digest.
pub(crate) fn inspect(component: &[u8], most: usize) -> Result<Facts, Error> {
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

/// What was seen so far.
#[derive(Default)]
struct Seen {
    depth: usize,
    parts: usize,
    functions: u64,
    modules: u32,
    components: u32,
    memory: u64,
    asked: Vec<String>,
    facts: Facts,
}

fn walk(component: &[u8]) -> Result<Facts, Error> {
    let mut seen = Seen::default();
    for payload in Parser::new(0).parse_all(component) {
        seen.take(payload.map_err(broken)?)?;
        seen.judge()?;
    }
    if !seen.asked.is_empty() {
        seen.asked.truncate(NAMED);
        return Err(Error::Imports { asked: seen.asked });
    }
    Ok(Facts {
        size: component.len(),
        instances: seen.modules,
        memory: seen.memory,
        ..seen.facts
    })
}

impl Seen {
    fn take(&mut self, payload: Payload<'_>) -> Result<(), Error> {
        self.parts += 1;
        match payload {
            Payload::Version { .. } => self.depth += 1,
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if self.depth == 1 => {
                for import in imports {
                    let name = import.map_err(broken)?.name.name;
                    self.facts.import(name)?;
                    if !name.starts_with(OURS) {
                        self.asked.push(tame(name, 128));
                    }
                }
            }
            Payload::ComponentExportSection(exports) if self.depth == 1 => {
                for export in exports {
                    self.facts.export(export.map_err(broken)?.name.name)?;
                }
            }
            Payload::CustomSection(section) if self.depth == 1 => {
                self.facts.section(section.name(), section.data())?;
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let pages = memory.map_err(broken)?.initial;
                    self.memory = self.memory.saturating_add(pages.saturating_mul(PAGE));
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    let made = matches!(instance.map_err(broken)?, Instance::Instantiate { .. });
                    self.modules += u32::from(made);
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    let made = matches!(
                        instance.map_err(broken)?,
                        ComponentInstance::Instantiate { .. }
                    );
                    self.components += u32::from(made);
                }
            }
            Payload::CodeSectionStart { count, .. } => self.functions += u64::from(count),
            Payload::CodeSectionEntry(body) if body.range().len() > FUNCTION => {
                return refuse(format!(
                    "one of its functions is larger than {}",
                    bytes(FUNCTION)
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), Error> {
        if self.depth > DEPTH {
            refuse(format!("components lie in it deeper than {DEPTH}"))
        } else if self.modules > INSTANCES || self.components > INSTANCES {
            refuse(format!(
                "it makes more than {INSTANCES} instances of its modules"
            ))
        } else if self.functions > FUNCTIONS || self.parts > PARTS {
            refuse(format!("it has more than {FUNCTIONS} functions"))
        } else {
            Ok(())
        }
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::Compile(why.into()))
}

fn broken(why: wasmparser::BinaryReaderError) -> Error {
    Error::Compile(format!("it is broken: {}", tame(&why.to_string(), 256)))
}
