//! Every world survives every hostile guest: `tests/guests/*.wat`, each with the error that it must
//! end in.

use std::fs;
use std::time::Duration;

use reeve_wasm::{Budget, Error, Sandbox, Settings};

use crate::guest::{self, ECHO, WORLDS};

struct Hostile {
    name: String,
    text: String,
    kind: String,
    words: String,
}

/// The second line of each file says how it must end: `;; ends: Kind "words"`.
fn hostile_guests() -> Vec<Hostile> {
    let folder = guest::root().join("tests/guests");
    let mut guests: Vec<Hostile> = fs::read_dir(&folder)
        .expect("tests/guests is there")
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "wat"))
        .map(|path| {
            let name = path
                .file_stem()
                .expect("it has a name")
                .to_string_lossy()
                .into_owned();
            let text = fs::read_to_string(&path).expect("it is text");
            let ends = text.lines().find_map(|line| line.strip_prefix(";; ends: "));
            let (kind, words) = ends
                .and_then(|ends| ends.split_once(' '))
                .unwrap_or_else(|| panic!("{name} does not say how it must end"));
            let (kind, words) = (kind.to_owned(), words.trim_matches('"').to_owned());
            Hostile {
                name,
                text,
                kind,
                words,
            }
        })
        .collect();
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    guests
}

fn kind(why: &Error) -> String {
    let debug = format!("{why:?}");
    debug
        .split([' ', '(', '{'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

async fn end_of(sandbox: &Sandbox, component: &[u8]) -> Error {
    let budget = Budget {
        deadline: Duration::from_millis(300),
        ..Budget::default()
    };
    let module = match sandbox.load(component).await {
        Ok(module) => module,
        Err(why) => return why,
    };
    module
        .transform(guest::manifests(), "{}", &budget)
        .await
        .expect_err("a hostile guest brings nothing")
}

async fn every_world_survives(settings: Settings) {
    let sandbox = guest::sandbox(settings);
    let neighbour = guest::load(&sandbox, ECHO).await;
    let mut wrong = Vec::new();
    for world in WORLDS {
        for hostile in hostile_guests() {
            let name = &hostile.name;
            let component = guest::component(world, &hostile.text);
            let patient = guest::patient();
            let (end, unaffected) = tokio::join!(
                end_of(&sandbox, &component),
                neighbour.transform(guest::manifests(), "{}", &patient),
            );
            wrong.extend(misjudged(&hostile, &end));
            assert_eq!(
                unaffected.expect(name).manifests,
                guest::manifests(),
                "beside {name}"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it should be with the error that a guest ended in.
fn misjudged(hostile: &Hostile, end: &Error) -> Option<String> {
    let told = end.to_string();
    let right = kind(end) == hostile.kind
        && told.contains(&hostile.words)
        && told.len() < 4096
        && !told.chars().any(char::is_control)
        && !end.is_ours();
    (!right).then(|| format!("{}: {}, {told:?}", hostile.name, kind(end)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_world_survives_every_hostile_guest() {
    every_world_survives(Settings::default()).await;
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
    let shown: Vec<&str> = WORLDS.iter().map(|world| world.name).collect();
    assert_eq!(worlds, shown);
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
        .precompile_component(&guest::component(&WORLDS[0], ECHO))
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
        let told = sandbox.load(bytes).await.expect_err(want);
        assert!(told.to_string().contains(want), "{told}");
    }
}

#[tokio::test]
async fn a_function_made_to_keep_the_compiler_busy_is_refused_before_it_starts() {
    let sandbox = guest::sandbox(Settings::default());
    let body = "(drop (i32.mul (i32.const 7) (i32.const 9)))".repeat(200_000);
    let component = guest::component(
        &WORLDS[0],
        &format!("(component (core module (func {body})))"),
    );
    let told = sandbox.load(&component).await.expect_err("too large");
    assert!(
        told.to_string()
            .contains("one of its functions is larger than 1 MiB"),
        "{told}"
    );
}
