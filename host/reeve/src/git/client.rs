//! The HTTP client for one remote: our own trust, our own name resolution, no redirects, nothing from the environment.
//!
//! What it deliberately doesn't: speak git; `transport::http` does.

use std::sync::{Arc, OnceLock};

use reeve_api::name::Scheme;
use rustls::{ClientConfig, RootCertStore};

use super::egress::Resolver;
use super::{Cause, Egress, Remote, Tls};

/// A client for `remote` and nothing else; idle connections stay open for a while.
pub(super) fn build(remote: &Remote) -> Result<reqwest::Client, Cause> {
    let url = remote.url.without_userinfo();
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .http1_only()
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(std::time::Duration::from_secs(50))
        .dns_resolver(Arc::new(Resolver(Arc::clone(&remote.egress))))
        .tls_backend_preconfigured(tls(&remote.tls, &url)?);
    if remote.url.scheme() == Scheme::Https {
        builder = builder.https_only(true);
    }
    let failed = |_: reqwest::Error| Cause::Url {
        url: url.clone(),
        why: "no client can be made",
    };
    if let Some(proxy) = &remote.proxy {
        let mut through = reqwest::Proxy::all(proxy.address.clone()).map_err(failed)?;
        if let Some((user, password)) = &proxy.login {
            through = through.basic_auth(user, password.expose());
        }
        builder = builder.proxy(through);
    }
    builder.build().map_err(failed)
}

/// A client for any host that `egress` lets be reached: no redirects, no connection kept.
pub(crate) fn plain(egress: &Arc<Egress>, trust: &Tls) -> Result<reqwest::Client, Cause> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(Resolver(Arc::clone(egress))))
        .tls_backend_preconfigured(tls(trust, "")?);
    builder.build().map_err(|_| Cause::Url {
        url: String::new(),
        why: "no client can be made",
    })
}

fn tls(tls: &Tls, url: &str) -> Result<ClientConfig, Cause> {
    let failed = |why| Cause::Url {
        url: url.to_owned(),
        why,
    };
    let roots = if tls.ca.is_empty() {
        Arc::clone(system_roots())
    } else {
        let mut roots = RootCertStore::clone(system_roots());
        let (_, bad) = roots.add_parsable_certificates(tls.ca.iter().cloned());
        if bad > 0 {
            return Err(failed(
                "the Secret's CA holds something that is no certificate authority",
            ));
        }
        Arc::new(roots)
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| failed("TLS is not to be had"))?
        .with_root_certificates(roots);
    match &tls.client {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|_| failed("the Secret's client certificate and key do not fit together")),
    }
}

/// The authorities the system believes, read once.
fn system_roots() -> &'static Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        Arc::new(roots)
    })
}
