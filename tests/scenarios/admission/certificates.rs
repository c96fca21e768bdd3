//! The webhook's certificates: made by whoever comes first, shared by all, and followed by others in time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reeve_tests::controller::Controller;
use reeve_tests::install::SYSTEM;
use reeve_tests::plane::free_port;
use reeve_tests::{Estate, objects, scenario, secrecy};

use super::{ask_at, bundle, decoded, estate_with, flags, hopeless, refusal, until_asked};

/// Certificates end at whole seconds: with less, a machine that is held up for one of them would miss the next.
const LIFETIME: Duration = Duration::from_secs(96);

#[test]
fn certificates_follow_one_another_without_a_call_that_fails() {
    scenario(async {
        let port = free_port()?;
        let lifetime = format!("--admission-authority-lifetime={}", LIFETIME.as_secs());
        let estate = estate_with(port, &["--leader-elect=false", &lifetime]).await?;
        let object = hopeless();
        let url = format!("https://127.0.0.1:{port}/validate");
        let (mut bundles, mut served) = (BTreeSet::new(), BTreeSet::new());
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let mut by_the_first = None;
        loop {
            ensure!(
                begun.elapsed() < LIFETIME,
                "{} bundles, {} certificates",
                bundles.len(),
                served.len()
            );
            ticks.tick().await;
            let said = refusal(&estate, &object, true).await?;
            ensure!(said.is_some(), "not asked after {:?}", begun.elapsed());
            let bundle = bundle(&estate).await?;
            let certificate = secret(&estate, "tls.crt").await?;
            for key in ["tls.key", "ca.key"] {
                // The first line says what kind of key it is: it is the same in all of them.
                let pem = String::from_utf8(secret(&estate, key).await?)?;
                pem.lines()
                    .skip(2)
                    .filter(|line| !line.starts_with('-'))
                    .for_each(secrecy::used);
            }
            let roots = reqwest::Certificate::from_pem_bundle(&bundle)?;
            let client = reqwest::Client::builder().tls_certs_only(roots).build()?;
            let answer = client.post(&url).body("{}").send().await;
            let answer = answer.with_context(|| format!("after {:?}", begun.elapsed()))?;
            ensure!(answer.status() == 400, "{}", answer.status());
            bundles.insert(bundle);
            served.insert(certificate);
            if bundles.len() > 1 && served.len() > *by_the_first.get_or_insert(served.len()) {
                // What a second authority has signed is served.
                return Ok(());
            }
        }
    });
}

async fn secret(estate: &Estate, key: &str) -> anyhow::Result<Vec<u8>> {
    let api = objects::api(estate.admin(), "v1", "Secret", Some(SYSTEM));
    let secret = api.get("reeve-admission").await?;
    decoded(&secret.data, &format!("/data/{key}"))
}

#[test]
fn replicas_that_begin_at_once_share_one_authority() {
    scenario(async {
        let estate = Estate::start_with(&[]).await?;
        let ports = [free_port()?, free_port()?];
        let [one, other] = ports.map(flags);
        let one: Vec<&str> = one.iter().map(String::as_str).collect();
        let other: Vec<&str> = other.iter().map(String::as_str).collect();
        ask_at(&estate, ports[0]).await?;
        let _replicas = tokio::try_join!(
            Controller::start_as("reeve-one", &estate.plane, &one),
            Controller::start_as("reeve-other", &estate.plane, &other),
        )?;
        for port in ports {
            ask_at(&estate, port).await?;
            until_asked(&estate).await?;
        }
        let trusted = reqwest::Certificate::from_pem_bundle(&bundle(&estate).await?)?;
        ensure!(trusted.len() == 1, "{} authorities", trusted.len());
        for port in ports {
            let roots = trusted.clone();
            let client = reqwest::Client::builder().tls_certs_only(roots).build()?;
            let url = format!("https://127.0.0.1:{port}/validate");
            let answer = client.post(url).body("{}").send().await?;
            ensure!(answer.status() == 400, "{}", answer.status());
        }
        Ok(())
    });
}
