//! Every world survives every hostile guest: `tests/guests/*.wat`, each with the error that it must
//! end in, where need be for each world.

use std::fs;
use std::time::Duration;

use reeve_wasm::{Budget, Compiler, Error, Program, Sandbox, Settings, World};

use crate::guest::{self, CONTRACTS, Contract, ECHO, TRANSFORMER};

struct Hostile {
    name: String,
    text: String,
}

fn hostile_guests() -> Vec<Hostile> {
    let folder = guest::root().join("tests/guests");
    let mut guests: Vec<Hostile> = fs::read_dir(&folder)
        .expect("tests/guests is there")
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "wat"))
        .map(|path| Hostile {
            name: path
                .file_stem()
                .expect("it has a name")
                .to_string_lossy()
                .into_owned(),
            text: fs::read_to_string(&path).expect("it is text"),
        })
        .collect();
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    guests
}

impl Hostile {
    /// A line says how it must end: `;; ends: Kind "words"`, or `;; ends as a provider: Kind "words"` where that
    /// differs; `well` when it is no harm to that world.
    fn must_end(&self, contract: &Contract) -> String {
        let own = format!(";; ends as a {}: ", contract.world);
        let line = |prefix: &str| self.text.lines().find_map(|line| line.strip_prefix(prefix));
        let ends = line(&own).or_else(|| line(";; ends: "));
        contract.fill(ends.unwrap_or_else(|| panic!("{} does not say how it must end", self.name)))
    }
}

fn kind(why: &Error) -> String {
    let debug = format!("{why:?}");
    debug
        .split([' ', '(', '{'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

async fn end_of(sandbox: &Sandbox, contract: &Contract, component: &[u8]) -> Result<(), Error> {
    let budget = Budget {
        deadline: Duration::from_millis(300),
        ..Budget::default()
    };
    let module = sandbox.load("mallory", component, contract.world).await?;
    contract.call(&module, &budget).await.map(drop)
}

async fn every_world_survives(settings: Settings) {
    let sandbox = guest::sandbox(settings);
    let neighbour = guest::load(&sandbox, ECHO).await;
    let mut wrong = Vec::new();
    for contract in CONTRACTS {
        for hostile in hostile_guests() {
            let name = &hostile.name;
            let component = guest::component(contract, &hostile.text);
            let patient = guest::patient();
            let (end, unaffected) = tokio::join!(
                end_of(&sandbox, contract, &component),
                neighbour.transform("acme", guest::manifests(), "{}", &patient),
            );
            let misjudged = misjudged(&end, &hostile.must_end(contract));
            wrong.extend(misjudged.map(|why| format!("{name} as a {}: {why}", contract.world)));
            assert_eq!(
                unaffected.expect(name).manifests,
                guest::manifests(),
                "beside {name}"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it should be with how a guest ended.
fn misjudged(end: &Result<(), Error>, want: &str) -> Option<String> {
    let Err(why) = end else {
        return (want != "well").then(|| format!("it ended well, want {want}"));
    };
    let told = why.to_string();
    let right = want
        .split_once(' ')
        .is_some_and(|(want, words)| kind(why) == want && told.contains(words.trim_matches('"')));
    let tame = told.len() < 4096 && !told.chars().any(char::is_control);
    (!right || !tame || why.is_ours()).then(|| format!("{}, {told:?}, want {want}", kind(why)))
}

/// The program that compiles, as a process of its own.
pub(crate) fn process() -> Compiler {
    Compiler::Process(Program {
        path: env!("CARGO_BIN_EXE_compile-plugin").into(),
        arguments: Vec::new(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_world_survives_every_hostile_guest() {
    every_world_survives(Settings {
        compiler: process(),
        ..Settings::default()
    })
    .await;
}

#[tokio::test]
async fn every_world_survives_every_hostile_guest_without_a_pool_and_on_one_thread() {
    every_world_survives(Settings {
        pool: false,
        ..Settings::default()
    })
    .await;
}

#[test]
fn every_world_of_the_contract_is_shown_the_hostile_guests() {
    let contract = guest::contract();
    let worlds: Vec<&str> = contract
        .worlds
        .iter()
        .map(|(_, world)| world.name.as_str())
        .collect();
    let shown: Vec<&str> = CONTRACTS.iter().map(|known| known.world.name()).collect();
    assert_eq!(worlds, shown);
    assert_eq!(World::ALL.map(World::name).as_slice(), shown);
}

#[tokio::test]
async fn what_is_no_component_is_refused_in_words() {
    let settings = Settings {
        component: 1 << 20,
        ..Settings::default()
    };
    let sandbox = guest::sandbox(settings);
    let module = wat::parse_str("(module)").expect("text");
    let native = wasmtime::Engine::default()
        .precompile_component(&guest::component(TRANSFORMER, ECHO))
        .expect("machine code");
    for (bytes, want) in [
        (b"".as_slice(), "it is not a WebAssembly component"),
        (b"apiVersion: v1", "it is not a WebAssembly component"),
        (b"\0asm\x0d\0\x01\0\xff\xff", "it is broken: "),
        (module.as_slice(), "it is a core module, not a component"),
        (
            native.as_slice(),
            "it is machine code that was compiled elsewhere",
        ),
        (
            &vec![0; (1 << 20) + 1],
            "it has 1048577 bytes, more than 1 MiB",
        ),
    ] {
        let told = sandbox
            .load("acme", bytes, World::Transformer)
            .await
            .expect_err(want);
        assert!(told.to_string().contains(want), "{told}");
    }
}

#[tokio::test]
async fn a_function_made_to_keep_the_compiler_busy_is_refused_before_it_starts() {
    let sandbox = guest::sandbox(Settings::default());
    let body = "(drop (i32.mul (i32.const 7) (i32.const 9)))".repeat(200_000);
    let component = guest::component(
        TRANSFORMER,
        &format!("(component (core module (func {body})))"),
    );
    let told = sandbox
        .load("acme", &component, World::Transformer)
        .await
        .expect_err("too large");
    assert!(
        told.to_string()
            .contains("one of its functions is larger than 1 MiB"),
        "{told}"
    );
}
