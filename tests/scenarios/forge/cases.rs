//! The exchanges that lie beside each provider: which request it wants next, given what the forge answered.
//!
//! `plugins/<name>/case/<case>/{operation,exchange,want}.json`: `exchange` is a list of a request and its answer, `want` how
//! it ends, or `{"refused": "words"}`. Nothing is asked over a network. Each step runs twice, and must say the same.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use reeve::forge::json;
use reeve::forge::words::{Answer, Next};
use reeve_tests::scenario;
use reeve_wasm::{Budget, Error, Module, Sandbox, Settings, World};
use serde_json::Value;

fn folders(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = fs::read_dir(dir).with_context(|| format!("{}", dir.display()))?;
    let mut folders = Vec::new();
    for entry in read {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}", path.display()))
}

#[test]
fn every_provider_does_what_its_cases_say_twice_the_same() {
    scenario(async {
        let sandbox = Sandbox::new(Settings::default())?;
        let mut run = 0;
        for plugin in folders(&reeve_tests::root().join("plugins"))? {
            let cases = folders(&plugin.join("case")).unwrap_or_default();
            let exchanges: Vec<_> = cases
                .iter()
                .filter(|case| case.join("operation.json").is_file())
                .collect();
            let Some(name) = plugin.file_name().filter(|_| !exchanges.is_empty()) else {
                continue;
            };
            let built = reeve_tests::root().join("target/plugins").join(name);
            let bytes = fs::read(built.with_extension("wasm")).context("`make plugins`")?;
            let module = sandbox.load("acme", &bytes, World::Provider).await?;
            for case in exchanges {
                play(&module, case)
                    .await
                    .with_context(|| format!("{}", case.display()))?;
                run += 1;
            }
        }
        ensure!(run > 0, "no provider has a case");
        Ok(())
    });
}

async fn play(module: &Module, case: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(case.join("operation.json"))?;
    let operation = json::operation(&text)?;
    let (mut state, mut answer) = (String::new(), None);
    let budget = Budget::default();
    let exchange = read(&case.join("exchange.json"))?;
    let mut exchange = exchange.as_array().context("a list")?.iter();
    let want = read(&case.join("want.json"))?;
    loop {
        let step = || module.step("acme", &operation, &state, answer.as_ref(), &budget);
        let (got, again) = (step().await, step().await);
        ensure!(
            got == again,
            "the same input, another answer: {got:?} {again:?}"
        );
        let got = match got {
            Ok(step) => match step.next {
                Next::Done(done) => json::done(&done),
                Next::Request(request) => {
                    let shown = json::request(&request);
                    let Some(next) = exchange.next() else {
                        bail!("it asks further: {shown:#}");
                    };
                    ensure!(
                        shown == next["request"],
                        "it asks {shown:#}, not {:#}",
                        next["request"]
                    );
                    answer = Some(answered(&next["answer"])?);
                    state = request.state;
                    continue;
                }
            },
            Err(Error::Refused(refusal)) => serde_json::json!({"refused": refusal.to_string()}),
            Err(why) => bail!("{why}"),
        };
        ensure!(got == want, "it ends with {got:#}, not {want:#}");
        ensure!(exchange.next().is_none(), "it ends before its last request");
        return Ok(());
    }
}

fn answered(answer: &Value) -> anyhow::Result<Answer> {
    let headers = answer["headers"].as_object().into_iter().flatten();
    let headers =
        headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Ok(Answer {
        status: serde_json::from_value(answer["status"].clone())?,
        headers: headers.collect(),
        body: match &answer["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            body => body.to_string(),
        },
    })
}
