//! YAML as kustomize reads and writes it.
//!
//! Typing of plain scalars lives in `yaml/scalar.rs`, reading in `yaml/load.rs`, writing in `yaml/emit.rs`. No rule
//! about Kubernetes is here.
