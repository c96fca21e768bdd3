//! The plugins that are shipped, built as their users build them and run as the controller runs
//! them.
//!
//! `plugins/<name>/case/<case>/{in,config,want}.json`: `in` and `want` are lists of manifests, or
//! `want` is `{"refused": "words"}`. Adding a case is adding a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use reeve_wasm::{Error, Settings, World};
use serde_json::Value;

use crate::guest;

/// The component of a shipped plugin, built when its sources are newer.
pub(crate) fn built(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let status = Command::new(guest::root().join("plugins/build.sh")).status();
        assert!(
            status.expect("plugins/build.sh starts").success(),
            "plugins/build.sh failed"
        );
    });
    guest::root()
        .join("target/plugins")
        .join(format!("{name}.wasm"))
}

fn shipped() -> Vec<PathBuf> {
    let mut plugins: Vec<PathBuf> = fs::read_dir(guest::root().join("plugins"))
        .expect("plugins/ is there")
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| {
            let manifest = fs::read_to_string(path.join("Cargo.toml"));
            manifest.is_ok_and(|manifest| manifest.contains("cdylib"))
        })
        .collect();
    plugins.sort();
    plugins
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

#[tokio::test]
async fn every_plugin_does_what_its_cases_say_twice_the_same() {
    let sandbox = guest::sandbox(Settings::default());
    for plugin in shipped() {
        let name = plugin
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(plugin.join("README.md").exists(), "{name} has no README.md");
        let bytes = fs::read(built(&name)).expect("it is built");
        let facts = reeve_wasm::facts(&bytes, usize::MAX);
        if facts.is_ok_and(|facts| facts.worlds == [World::Provider]) {
            // Its cases are exchanges with a forge: `reeve plugin test` plays them.
            continue;
        }
        let module = sandbox
            .load("acme", &bytes, World::Transformer)
            .await
            .unwrap_or_else(|why| panic!("{name}: {why}"));
        let cases = fs::read_dir(plugin.join("case"))
            .unwrap_or_else(|why| panic!("{name} has no case/: {why}"));
        let mut run = 0;
        for case in cases {
            let case = case.expect("it is readable").path();
            let given = json(&case.join("in.json"));
            let given: Vec<String> = given
                .as_array()
                .expect("a list")
                .iter()
                .map(Value::to_string)
                .collect();
            let config = json(&case.join("config.json")).to_string();
            let want = json(&case.join("want.json"));
            let got = module
                .transform("acme", given.clone(), &config, &guest::patient())
                .await;
            let again = module
                .transform("acme", given, &config, &guest::patient())
                .await;
            assert_eq!(
                got,
                again,
                "{}: the same input, another answer",
                case.display()
            );
            compare(&case, got.map(|told| told.manifests), &want);
            run += 1;
        }
        assert!(run > 0, "{name} has no case");
    }
}

fn compare(case: &Path, got: Result<Vec<String>, Error>, want: &Value) {
    match (got, want) {
        (Ok(got), Value::Array(want)) => {
            // As text, so that the order of keys counts, but not how it is spaced.
            let respaced =
                |text: &String| serde_json::from_str::<Value>(text).map(|value| value.to_string());
            let got: Result<Vec<String>, _> = got.iter().map(respaced).collect();
            let want: Vec<String> = want.iter().map(Value::to_string).collect();
            assert_eq!(got.expect("JSON"), want, "{}", case.display());
        }
        (Err(Error::Refused(refusal)), Value::Object(want)) => {
            assert_eq!(Some(refusal.to_string().as_str()), want["refused"].as_str());
        }
        (got, want) => panic!("{}: got {got:?}, want {want}", case.display()),
    }
}
