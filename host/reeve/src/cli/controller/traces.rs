//! The flags of traces: who is told, and of how many.

use std::sync::Arc;

use clap::Args;
use url::Url;

use crate::cli::CommandError;
use crate::git::{self, Egress, HostRule, Tls};
use crate::observe::Metrics;
use crate::observe::span::{Collector, Tracer};

/// Who is told what a push goes through.
#[derive(Args)]
pub(super) struct TraceArgs {
    /// Collector of OpenTelemetry that is told what each push goes through, by OTLP over HTTP: its address, to which /v1/traces is
    /// added. Without it there are no traces
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true, value_parser = endpoint)]
    otlp_endpoint: Option<Url>,
    /// Which part of all traces --otlp-endpoint is told of, from 0 to 1
    #[arg(long, value_name = "RATIO", env = "OTEL_TRACES_SAMPLER_ARG", hide_env_values = true, default_value_t = 1.0, value_parser = ratio)]
    trace_ratio: f64,
}

impl TraceArgs {
    /// What traces are begun by, and the work of sending them, which ends when nobody holds the former any more.
    pub(super) fn tracer(
        &self,
        metrics: &Metrics,
        cluster: Option<&str>,
    ) -> Result<(Tracer, Option<impl Future<Output = ()> + Send + use<>>), CommandError> {
        let Some(url) = self.otlp_endpoint.clone() else {
            return Ok((Tracer::default(), None));
        };
        let collector = Collector {
            client: client(&url)?,
            url,
            process: process(cluster),
        };
        let (tracer, sending) = Tracer::new(collector, self.trace_ratio, metrics);
        Ok((tracer, Some(sending)))
    }
}

/// A client for this one host, wherever it lies: the platform has named it.
fn client(url: &Url) -> Result<reqwest::Client, CommandError> {
    let host = url.host_str().unwrap_or_default();
    let rules: Vec<HostRule> = host.parse::<HostRule>().into_iter().collect();
    let egress = Arc::new(Egress::new(rules));
    git::plain_client(&egress, &Tls::default())
        .map_err(|why| CommandError::of("making a client for --otlp-endpoint failed", &why))
}

/// What is told of this process.
fn process(cluster: Option<&str>) -> Vec<(&'static str, String)> {
    let mut told = vec![
        ("service.name", "reeve-controller".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let pod = std::env::var("HOSTNAME").ok();
    told.extend(pod.map(|pod| ("service.instance.id", pod)));
    told.extend(cluster.map(|cluster| ("k8s.cluster.name", cluster.to_owned())));
    told
}

/// The collector's address, made whole. What would stand in it as a login is refused: flags are read by many.
fn endpoint(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|why| why.to_string())?;
    let plain = url.username().is_empty() && url.password().is_none();
    let whole = url.query().is_none() && url.fragment().is_none() && url.host().is_some();
    if !(matches!(url.scheme(), "http" | "https") && plain && whole) {
        return Err(
            "it is https:// or http://, a host, perhaps a path, and nothing else".to_owned(),
        );
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio: f64 = text.parse().map_err(|_| "it is a number".to_owned())?;
    match (0.0..=1.0).contains(&ratio) {
        true => Ok(ratio),
        false => Err("it is a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collectors_address_is_made_whole_and_holds_no_login() {
        let whole = |text| endpoint(text).map(String::from);
        assert_eq!(
            whole("http://otel:4318").as_deref(),
            Ok("http://otel:4318/v1/traces")
        );
        assert_eq!(
            whole("https://otel.example/base/").as_deref(),
            Ok("https://otel.example/base/v1/traces")
        );
        for wrong in [
            "otel:4318",
            "http://me:secret@otel:4318",
            "http://otel?token=1",
            "grpc://otel:4317",
            "",
        ] {
            let why = endpoint(wrong).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn a_ratio_is_a_part_of_all() {
        assert_eq!(ratio("0.25"), Ok(0.25));
        for wrong in ["-0.1", "1.1", "NaN", "all"] {
            assert!(ratio(wrong).is_err(), "{wrong}");
        }
    }
}
