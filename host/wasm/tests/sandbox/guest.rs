//! Guests for tests: WebAssembly text to components, for any world.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reeve_wasm::provider::{Operation, Repository, Task};
use reeve_wasm::{Budget, Error, Module, Sandbox, Settings, World};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// How a world's function looks from a core module.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) world: World,
    interface: &'static str,
    function: &'static str,
    signature: &'static str,
    /// Functions that write an answer and say where it is: `$list` (where its texts are, how many), `$say` (where
    /// a text is, its length, how often), `$refuse` (where the message is, its length).
    answers: &'static str,
}

pub(crate) const CONTRACTS: &[Contract] = &[
    Contract {
        world: World::Transformer,
        interface: "reeve:plugin/transform@0.1.0",
        function: "transform",
        signature: "(param i32 i32 i32 i32) (result i32)",
        answers: r#"
  (func $list (param $at i32) (param $count i32) (result i32)
    (i32.store offset=4 (i32.const 16) (local.get $at))
    (i32.store offset=8 (i32.const 16) (local.get $count))
    (i32.const 16))
  (func $say (param $at i32) (param $length i32) (param $count i32) (result i32) (local $i i32) (local $to i32)
    (loop $more
      (local.set $to (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 8))))
      (i32.store (local.get $to) (local.get $at))
      (i32.store offset=4 (local.get $to) (local.get $length))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (local.get $count))))
    (call $list (i32.const 65536) (local.get $count)))
  (func $refuse (param $at i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 16) (i32.const 1))
    (i32.store offset=4 (i32.const 16) (local.get $at))
    (i32.store offset=8 (i32.const 16) (local.get $length))
    (i32.const 16))"#,
    },
    Contract {
        world: World::Provider,
        interface: "reeve:plugin/provide@0.1.0",
        function: "step",
        signature: "(param i32) (result i32)",
        // A request whose headers have these names, and nothing else in it.
        answers: r#"
  (func $list (param $at i32) (param $count i32) (result i32)
    (i32.store offset=32 (i32.const 16) (local.get $at))
    (i32.store offset=36 (i32.const 16) (local.get $count))
    (i32.const 16))
  (func $say (param $at i32) (param $length i32) (param $count i32) (result i32) (local $i i32) (local $to i32)
    (loop $more
      (local.set $to (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 28))))
      (i32.store (local.get $to) (local.get $at))
      (i32.store offset=4 (local.get $to) (local.get $length))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (local.get $count))))
    (call $list (i32.const 65536) (local.get $count)))
  (func $refuse (param $at i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 16) (i32.const 1))
    (i32.store offset=8 (i32.const 16) (local.get $at))
    (i32.store offset=12 (i32.const 16) (local.get $length))
    (i32.const 16))"#,
    },
];

pub(crate) const TRANSFORMER: &Contract = &CONTRACTS[0];

impl Contract {
    /// Puts the world's own words into a guest's text.
    pub(crate) fn fill(&self, text: &str) -> String {
        let (interface, function) = (self.interface, self.function);
        let export = format!(r#"(export "{interface}#{function}") {}"#, self.signature);
        let post_return = format!(r#"(export "cabi_post_{interface}#{function}") (param i32)"#);
        text.replace("{export}", &export)
            .replace("{post-return}", &post_return)
            .replace("{answers}", self.answers)
            .replace("{interface}", interface)
            .replace("{function}", function)
    }

    /// Calls a guest once, with something to work on, and says what it logged.
    pub(crate) async fn call(
        &self,
        module: &Module,
        budget: &Budget,
    ) -> Result<Vec<String>, Error> {
        self.call_as("acme", module, budget).await
    }

    pub(crate) async fn call_as(
        &self,
        tenant: &str,
        module: &Module,
        budget: &Budget,
    ) -> Result<Vec<String>, Error> {
        match self.world {
            World::Transformer => {
                let told = module.transform(tenant, manifests(), "{}", budget).await;
                told.map(|told| told.log)
            }
            World::Provider => {
                let told = module.step(tenant, &operation(), "", None, budget).await;
                told.map(|told| told.log)
            }
        }
    }

    pub(crate) async fn load(&self, sandbox: &Sandbox, text: &str) -> Module {
        sandbox
            .load("acme", &component(self, text), self.world)
            .await
            .expect("the guest loads")
    }
}

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

/// A component of `text`: either a core module with `{export}`, `{post-return}` and `{answers}` where
/// the world's own go, or a component as it is.
pub(crate) fn component(contract: &Contract, text: &str) -> Vec<u8> {
    let text = contract.fill(text);
    let mut bytes = wat::parse_str(&text).expect("the guest is WebAssembly text");
    if wasm_is_component(&bytes) {
        return bytes;
    }
    let resolve = self::contract();
    let package = resolve
        .packages
        .iter()
        .next()
        .map(|(id, _)| id)
        .expect("wit/ is one package");
    let world = resolve
        .select_world(&[package], Some(contract.world.name()))
        .expect("the world is in wit/");
    let strings = match text
        .lines()
        .find_map(|line| line.strip_prefix(";; strings: "))
    {
        None => StringEncoding::UTF8,
        Some("utf16") => StringEncoding::UTF16,
        Some("latin1+utf16") => StringEncoding::CompactUTF16,
        Some(other) => panic!("{other} is no encoding"),
    };
    embed_component_metadata(&mut bytes, &resolve, world, strings).expect("metadata embeds");
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
    TRANSFORMER.load(sandbox, text).await
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

/// What a provider is asked for.
pub(crate) fn operation() -> Operation {
    Operation {
        task: Task::GitCredential(false),
        repository: Repository {
            url: "https://git.example/acme/shop.git".to_owned(),
            host: "git.example".to_owned(),
            path: "acme/shop".to_owned(),
        },
        config: "{}".to_owned(),
        slots: vec!["token".to_owned()],
    }
}
