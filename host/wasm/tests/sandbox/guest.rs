//! Guests for tests: WebAssembly text to components, for any world.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reeve_wasm::{Budget, Module, Sandbox, Settings};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A world, and how its export looks from a core module.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    export: &'static str,
    post_return: &'static str,
}

pub(crate) const WORLDS: &[World] = &[World {
    name: "transformer",
    export: r#"(export "reeve:plugin/transform@0.1.0#transform") (param i32 i32 i32 i32) (result i32)"#,
    post_return: r#"(export "cabi_post_reeve:plugin/transform@0.1.0#transform") (param i32)"#,
}];

/// Answers with what it was given.
pub(crate) const ECHO: &str = r#"(module
  (import "reeve:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 512) "echoed")
  (global $next (mut i32) (i32.const 1024))
  (func (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32) (param $new i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get $new)))
    (local.get $at))
  (func {export}
    (call $log (i32.const 1) (i32.const 512) (i32.const 6))
    (i32.store offset=4 (i32.const 16) (local.get 0))
    (i32.store offset=8 (i32.const 16) (local.get 1))
    (i32.const 16)))"#;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The contract, parsed.
pub(crate) fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join("wit")).expect("wit/ parses");
    resolve
}

/// A component of `text`: either a core module with `{export}` and `{post-return}` where the
/// world's function goes, or a component as it is.
pub(crate) fn component(world: &World, text: &str) -> Vec<u8> {
    let text = text
        .replace("{export}", world.export)
        .replace("{post-return}", world.post_return);
    let mut bytes = wat::parse_str(&text).expect("the guest is WebAssembly text");
    if wasm_is_component(&bytes) {
        return bytes;
    }
    let resolve = contract();
    let package = resolve
        .packages
        .iter()
        .next()
        .map(|(id, _)| id)
        .expect("wit/ is one package");
    let world = resolve
        .select_world(&[package], Some(world.name))
        .expect("the world is in wit/");
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)
        .expect("metadata embeds");
    ComponentEncoder::default()
        .module(&bytes)
        .and_then(|mut encoder| encoder.encode())
        .expect("the guest encodes to a component")
}

/// The layer field of a WebAssembly header: 0 for a core module, 1 for a component.
fn wasm_is_component(bytes: &[u8]) -> bool {
    bytes.get(6) == Some(&1)
}

pub(crate) async fn load(sandbox: &Sandbox, text: &str) -> Module {
    sandbox
        .load(&component(&WORLDS[0], text))
        .await
        .expect("the guest loads")
}

pub(crate) fn sandbox(settings: Settings) -> Sandbox {
    Sandbox::new(settings).expect("a sandbox starts")
}

/// For guests that are expected to finish: this machine may be busy.
pub(crate) fn patient() -> Budget {
    Budget {
        deadline: Duration::from_secs(60),
        ..Budget::default()
    }
}

pub(crate) fn manifests() -> Vec<String> {
    let kinds = ["Service", "Deployment", "Certificate", "Ingress"];
    kinds
        .map(|kind| format!(r#"{{"apiVersion":"v1","kind":"{kind}","metadata":{{"name":"web"}}}}"#))
        .to_vec()
}
