//! The type of a world's function, as text, and whether a component's is the same.
//!
//! wasmtime compares the types of what a component exports when it is called; a plugin that cannot be
//! called is better refused when it is loaded. The texts (`*.type`) are made from `wit/` by the test
//! below. Names of parameters don't count, those of fields and cases do.

use std::fmt::{self, Write};

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};

use crate::facts::World;
use crate::words::tame;

/// The interface, the function and its type.
fn contract(world: World) -> (&'static str, &'static str, &'static str) {
    match world {
        World::Transformer => (
            "reeve:plugin/transform@0.1.0",
            "transform",
            include_str!("transform.type"),
        ),
        World::Provider => (
            "reeve:plugin/provide@0.1.0",
            "step",
            include_str!("provide.type"),
        ),
    }
}

/// Says what is wrong with the type of what `component` exports for `world`, if anything.
pub(crate) fn check(engine: &Engine, component: &Component, world: World) -> Result<(), String> {
    let (interface, function, want) = contract(world);
    let kind = component.component_type();
    let Some(ComponentItem::ComponentInstance(instance)) =
        kind.get_export(engine, interface).map(|found| found.ty)
    else {
        return Err(format!("it exports no interface {interface}"));
    };
    let Some(ComponentItem::ComponentFunc(found)) =
        instance.get_export(engine, function).map(|found| found.ty)
    else {
        return Err(format!("its {interface} has no function {function}"));
    };
    let mut compared = Compared {
        rest: want.trim_end(),
        said: String::new(),
    };
    let same = write_function(&found, &mut compared).is_ok() && compared.rest.is_empty();
    if same {
        return Ok(());
    }
    // The end of what agreed, and where it parts: enough to find the place in the WIT.
    let from = compared.said.len().saturating_sub(80);
    let agreed = compared.said.get(from..).unwrap_or_default();
    Err(format!(
        "its function {function} has another type: after `{}` there should be `{}`",
        tame(agreed, 128),
        tame(compared.rest, 64),
    ))
}

/// Holds what is written against a text, and stops at the first difference: a type can be much
/// longer written down than it is.
struct Compared<'a> {
    rest: &'a str,
    said: String,
}

impl Write for Compared<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.rest = self.rest.strip_prefix(text).ok_or(fmt::Error)?;
        self.said.push_str(text);
        Ok(())
    }
}

fn write_function(function: &ComponentFunc, out: &mut impl Write) -> fmt::Result {
    out.write_str(if function.async_() {
        "async func"
    } else {
        "func"
    })?;
    write_list(out, "(", function.params().map(|(_, kind)| kind), ")")?;
    write_list(out, " -> (", function.results(), ")")
}

fn write_type(kind: &Type, out: &mut impl Write) -> fmt::Result {
    match kind {
        Type::Bool => out.write_str("bool"),
        Type::U8 => out.write_str("u8"),
        Type::U16 => out.write_str("u16"),
        Type::U32 => out.write_str("u32"),
        Type::U64 => out.write_str("u64"),
        Type::String => out.write_str("string"),
        Type::List(list) => write_list(out, "list<", [list.ty()], ">"),
        Type::Option(option) => write_list(out, "option<", [option.ty()], ">"),
        Type::Tuple(tuple) => write_list(out, "tuple<", tuple.types(), ">"),
        Type::Result(result) => {
            out.write_str("result<")?;
            write_payload(result.ok().as_ref(), out)?;
            out.write_str(", ")?;
            write_payload(result.err().as_ref(), out)?;
            out.write_str(">")
        }
        Type::Record(record) => {
            out.write_str("record {")?;
            for field in record.fields() {
                write!(out, " {}: ", field.name)?;
                write_type(&field.ty, out)?;
                out.write_str(",")?;
            }
            out.write_str(" }")
        }
        Type::Variant(variant) => {
            out.write_str("variant {")?;
            for case in variant.cases() {
                write!(out, " {}: ", case.name)?;
                write_payload(case.ty.as_ref(), out)?;
                out.write_str(",")?;
            }
            out.write_str(" }")
        }
        Type::Enum(cases) => {
            out.write_str("enum {")?;
            for name in cases.names() {
                write!(out, " {name},")?;
            }
            out.write_str(" }")
        }
        // No world has any other.
        _ => Err(fmt::Error),
    }
}

fn write_payload(kind: Option<&Type>, out: &mut impl Write) -> fmt::Result {
    match kind {
        Some(kind) => write_type(kind, out),
        None => out.write_str("_"),
    }
}

fn write_list(
    out: &mut impl Write,
    open: &str,
    kinds: impl IntoIterator<Item = Type>,
    close: &str,
) -> fmt::Result {
    out.write_str(open)?;
    for (i, kind) in kinds.into_iter().enumerate() {
        if i > 0 {
            out.write_str(", ")?;
        }
        write_type(&kind, out)?;
    }
    out.write_str(close)
}

#[cfg(test)]
mod tests;
