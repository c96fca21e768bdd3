//! YAML as kustomize reads and writes it.
//!
//! Typing of plain scalars lives in `yaml/scalar.rs`, the tree in `yaml/{node,mapping}.rs`, reading in `yaml/load.rs`, writing in
//! `yaml/emit.rs`, places of values in `yaml/layout.rs`, writing again
//! what was changed inside in `yaml/restyle.rs`. No rule about Kubernetes is here.

mod cursor;
mod emit;
mod fold;
mod key;
mod keys;
mod layout;
mod load;
mod look;
mod mapping;
mod node;
mod parse;
mod quote;
mod restyle;
mod scalar;
mod scan;
mod split;

pub(crate) use emit::{emit, emit_fields, emit_in_order};
pub(crate) use layout::{Entry, Layout, Shape};
pub use load::Marks;
pub(crate) use load::{Document, Reader};
pub(crate) use mapping::{Key, Mapping};
pub(crate) use node::{Node, text_cost};
pub(crate) use restyle::restyled;
pub(crate) use scalar::{
    Scalar, Style, Tag, Typing, Unprintable, go_json_number, go_yaml_number, needs_quotes, number,
    resolve,
};
