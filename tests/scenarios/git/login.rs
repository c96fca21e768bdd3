//! Who we are to a server, and who it is to us.

use std::sync::Arc;

use reeve::git::credential::proxy_from_secret;
use reeve::git::{Egress, Remote};
use reeve_api::reason::Reason;
use reeve_kustomize::Tree as _;
use reeve_tests::git::{
    Auth, Fault, HttpServer, KeyKind, PasswordServer, Proxy, ProxyKind, Served, SshOptions,
    SshServer,
};
use reeve_tests::pki::Authority;
use reeve_tests::scenario;

use super::{Bench, data, files, main, plain, remote, remote_of};

#[test]
fn a_user_and_a_token_are_let_in_and_strangers_are_not() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let basic = Auth::Basic("ada".into(), "hunter2".into());
        let bearer = Auth::Bearer("b3arer-t0ken".into());
        let user = [("username", "ada"), ("password", "hunter2")];
        let token = [("bearerToken", "b3arer-t0ken")];
        for (auth, good, bad) in [
            (
                basic,
                &user[..],
                &[("username", "ada"), ("password", "hunter2-not")][..],
            ),
            (
                bearer,
                &token[..],
                &[("bearerToken", "b3arer-t0ken-not")][..],
            ),
        ] {
            let served = Served {
                auth,
                ..Served::default()
            };
            let server = HttpServer::start(bench.root(), served).await?;
            let url = server.url("app.git");
            assert_eq!(
                files(&bench.fetch(&remote(&url, good), &main()).await?),
                ["app.yaml"]
            );
            assert!(
                server.seen().iter().all(|seen| seen.credential),
                "no request without it"
            );

            let refused = bench.failure(&remote(&url, bad)).await;
            assert_eq!(refused.reason, Reason::AuthenticationFailed);
            assert!(
                refused.message.contains("authentication failed for http"),
                "{refused}"
            );
            let unknown = bench.failure(&remote(&url, &[])).await;
            assert_eq!(unknown.reason, Reason::AuthenticationFailed);
            assert!(
                unknown.message.contains("authentication required for http"),
                "{unknown}"
            );
        }
        Ok(())
    });
}

#[test]
fn a_user_in_the_url_is_the_fallback() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let auth = Auth::Basic("ada".into(), "hunter2".into());
        let server = HttpServer::start(
            bench.root(),
            Served {
                auth,
                ..Served::default()
            },
        )
        .await?;
        let url = server.url("app.git").replace("://", "://ada:hunter2@");
        bench.fetch(&remote(&url, &[]), &main()).await?;
        let wrong = url.replace("ada:", "eve:");
        assert_eq!(
            bench.failure(&remote(&wrong, &[])).await.reason,
            Reason::AuthenticationFailed
        );
        Ok(())
    });
}

#[test]
fn a_token_that_expires_stops_the_next_fetch_and_a_new_one_goes_on() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let auth = Auth::Bearer("b3arer-t0ken".into());
        let server = HttpServer::start(
            bench.root(),
            Served {
                auth,
                ..Served::default()
            },
        )
        .await?;
        let remote = remote(&server.url("app.git"), &[("bearerToken", "b3arer-t0ken")]);
        bench.fetch(&remote, &main()).await?;
        repo.publish("app.yaml", "changed")?;
        server.fault(Fault::Expired);
        let refused = bench.failure(&remote).await;
        assert_eq!(refused.reason, Reason::AuthenticationFailed);
        assert!(
            refused.message.contains("it answered 401 Unauthorized"),
            "{refused}"
        );
        assert!(refused.hint.is_some_and(|hint| hint.contains("expired")));
        server.fault(Fault::None);
        bench.fetch(&remote, &main()).await?;
        Ok(())
    });
}

#[test]
fn a_server_is_believed_by_the_secrets_authority_only() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let (ours, other) = (Authority::new("ours")?, Authority::new("other")?);
        let tls = Some(ours.server(&["127.0.0.1", "localhost"])?);
        let server = HttpServer::start(
            bench.root(),
            Served {
                tls,
                ..Served::default()
            },
        )
        .await?;
        let url = server.url("app.git");
        for key in ["ca.crt", "caFile"] {
            bench
                .fetch(&remote(&url, &[(key, &ours.pem())]), &main())
                .await?;
        }
        // Where both stand, the newer one counts.
        bench
            .fetch(
                &remote(&url, &[("ca.crt", &ours.pem()), ("caFile", &other.pem())]),
                &main(),
            )
            .await?;
        for secret in [&[][..], &[("ca.crt", other.pem().as_str())][..]] {
            let refused = bench.failure(&remote(&url, secret)).await;
            assert_eq!(refused.reason, Reason::GitOperationFailed);
            assert!(refused.message.contains("certificate"), "{refused}");
        }
        Ok(())
    });
}

#[test]
fn a_server_that_wants_a_client_certificate_gets_the_secrets() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let authority = Authority::new("ours")?;
        let served = Served {
            tls: Some(authority.server(&["127.0.0.1"])?),
            client_ca: Some(authority.pem()),
            ..Served::default()
        };
        let server = HttpServer::start(bench.root(), served).await?;
        let url = server.url("app.git");
        let (ca, client) = (authority.pem(), authority.client("ada", None)?);
        for (cert, key) in [("tls.crt", "tls.key"), ("certFile", "keyFile")] {
            let secret = [
                ("ca.crt", ca.as_str()),
                (cert, &client.cert),
                (key, &client.key),
            ];
            bench.fetch(&remote(&url, &secret), &main()).await?;
        }
        let refused = bench.failure(&remote(&url, &[("ca.crt", &ca)])).await;
        assert_eq!(refused.reason, Reason::GitOperationFailed);
        Ok(())
    });
}

fn through(
    remote: Remote,
    proxy: &Proxy,
    login: Option<(&str, &str)>,
) -> anyhow::Result<Arc<Remote>> {
    let url = proxy.url();
    let mut secret = vec![("address", url.as_str())];
    if let Some((user, password)) = login {
        secret.extend([("username", user), ("password", password)]);
    }
    let proxy = Some(proxy_from_secret(&data(&secret))?);
    let egress = Arc::new(Egress::new(vec!["127.0.0.1/32".parse()?]));
    Ok(Arc::new(Remote {
        proxy,
        egress,
        ..remote
    }))
}

#[test]
fn a_proxy_is_used_and_logged_in_to() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let authority = Authority::new("ours")?;
        let tls = Some(authority.server(&["127.0.0.1"])?);
        let clear = plain(&bench).await?;
        let secure = HttpServer::start(
            bench.root(),
            Served {
                tls,
                ..Served::default()
            },
        )
        .await?;
        let ssh = SshServer::start(bench.root(), SshOptions::default())?;
        let (identity, known) = (
            ssh.user_key(KeyKind::Ed25519, "")?,
            ssh.known_hosts(&KeyKind::ALL)?,
        );
        let pem = authority.pem();
        let remotes = || {
            [
                remote_of(&clear.url("app.git"), &[]),
                remote_of(&secure.url("app.git"), &[("ca.crt", &pem)]),
                remote_of(
                    &ssh.url("app.git"),
                    &[("identity", &identity), ("known_hosts", &known)],
                ),
            ]
        };
        for kind in [ProxyKind::Http, ProxyKind::Socks5] {
            for login in [None, Some(("ada", "pr0xy-pass"))] {
                let own = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
                let proxy = Proxy::start(kind, own).await?;
                for remote in remotes() {
                    let bench = Bench::new()?;
                    let before = proxy.used();
                    let remote = through(remote, &proxy, login)?;
                    let fetched = bench.fetch(&remote, &main()).await?;
                    assert_eq!(files(&fetched), ["app.yaml"], "{kind:?} {remote:?}");
                    assert!(
                        proxy.used() > before,
                        "{kind:?} {remote:?} went past the proxy"
                    );
                }
            }
            let proxy = Proxy::start(kind, Some(("ada".into(), "pr0xy-pass".into()))).await?;
            for remote in remotes() {
                let remote = through(remote, &proxy, Some(("ada", "pr0xy-pass-not")))?;
                bench.failure(&remote).await;
            }
        }
        Ok(())
    });
}

#[test]
fn each_kind_of_key_logs_in_over_ssh_and_each_kind_of_host_key_is_recognised() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        let url = server.url("app.git");
        for kind in KeyKind::ALL {
            for passphrase in ["", "hunter2"] {
                let identity = server.user_key(kind, passphrase)?;
                // The server has a key of every kind; known is one.
                let known = server.known_hosts(&[kind])?;
                let mut secret = vec![("identity", identity.as_str()), ("known_hosts", &known)];
                secret.push(("identity.pub", "whatever"));
                if !passphrase.is_empty() {
                    let shut = bench.failure(&remote(&url, &secret)).await;
                    assert_eq!(shut.reason, Reason::AuthenticationFailed);
                    secret.push(("password", passphrase));
                }
                bench.fetch(&remote(&url, &secret), &main()).await?;
            }
        }
        let (identity, hashed) = (
            server.user_key(KeyKind::Ed25519, "")?,
            server.hashed_known_hosts(&KeyKind::ALL)?,
        );
        assert!(hashed.starts_with("|1|"));
        bench
            .fetch(
                &remote(&url, &[("identity", &identity), ("known_hosts", &hashed)]),
                &main(),
            )
            .await?;
        Ok(())
    });
}

#[test]
fn an_unknown_or_changed_host_key_is_refused_before_anything_is_sent() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        let other = SshServer::start(bench.root(), SshOptions::default())?;
        let identity = server.user_key(KeyKind::Ed25519, "")?;
        let elsewhere = other.known_hosts(&KeyKind::ALL)?;
        let port = |server: &SshServer| format!("127.0.0.1]:{}", server.port());
        let changed = elsewhere.replace(&port(&other), &port(&server));
        for (known, told) in [
            (&elsewhere, "is not in known_hosts"),
            (&changed, "is not the one in known_hosts"),
        ] {
            let secret = [
                ("identity", identity.as_str()),
                ("known_hosts", known.as_str()),
            ];
            let refused = bench
                .failure(&remote(&server.url("app.git"), &secret))
                .await;
            assert_eq!(refused.reason, Reason::AuthenticationFailed);
            assert!(refused.message.contains(told), "{refused}");
            assert!(
                refused.message.contains("it offered ssh-ed25519 SHA256:"),
                "{refused}"
            );
            assert!(
                refused
                    .hint
                    .is_some_and(|hint| hint.contains("ssh-keyscan"))
            );
        }
        assert!(!server.log().contains("Accepted"), "nobody logged in");
        Ok(())
    });
}

#[test]
fn a_key_that_the_server_does_not_know_is_refused() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        let stranger = SshServer::start(bench.root(), SshOptions::default())?;
        let known = server.known_hosts(&KeyKind::ALL)?;
        for kind in KeyKind::ALL {
            let identity = stranger.user_key(kind, "")?;
            let secret = [("identity", identity.as_str()), ("known_hosts", &known)];
            let refused = bench
                .failure(&remote(&server.url("app.git"), &secret))
                .await;
            assert_eq!(refused.reason, Reason::AuthenticationFailed);
            assert!(
                refused.message.contains("neither key nor password"),
                "{refused}"
            );
        }
        let known = [("identity", "not a key"), ("known_hosts", known.as_str())];
        let refused = bench.failure(&remote(&server.url("app.git"), &known)).await;
        assert!(
            refused
                .message
                .starts_with("failed to configure authentication options"),
            "{refused}"
        );
        Ok(())
    });
}

#[test]
fn a_login_is_kept_for_the_next_question_unless_the_host_is_no_longer_trusted() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        let identity = server.user_key(KeyKind::Ed25519, "")?;
        let known = server.known_hosts(&KeyKind::ALL)?;
        let secret = [("identity", identity.as_str()), ("known_hosts", &known)];
        let url = server.url("app.git");
        for content in ["one", "two", "three"] {
            repo.publish("app.yaml", content)?;
            let snapshot = bench.fetch(&remote(&url, &secret), &main()).await?;
            assert_eq!(*snapshot.read("app.yaml")?, *content.as_bytes());
        }
        assert_eq!(server.log().matches("Accepted publickey").count(), 1);
        let revoked = known.lines().map(|line| format!("@revoked {line}\n"));
        let revoked = format!("{known}{}", revoked.collect::<String>());
        let secret = [("identity", identity.as_str()), ("known_hosts", &revoked)];
        let refused = bench.failure(&remote(&url, &secret)).await;
        assert!(
            refused.message.contains("is revoked in known_hosts"),
            "{refused}"
        );
        Ok(())
    });
}

#[test]
fn a_password_logs_in_over_ssh_where_there_is_no_key() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let server = PasswordServer::start(bench.root(), "ada", "hunter2").await?;
        let known = server.known_hosts();
        let good = [("password", "hunter2"), ("known_hosts", known)];
        let bad = [("password", "hunter2-not"), ("known_hosts", known)];
        let url = server.url("ada", "app.git");
        assert_eq!(
            files(&bench.fetch(&remote(&url, &good), &main()).await?),
            ["app.yaml"]
        );
        for (url, secret) in [(url, bad), (server.url("eve", "app.git"), good)] {
            let refused = bench.failure(&remote(&url, &secret)).await;
            assert_eq!(refused.reason, Reason::AuthenticationFailed);
        }
        Ok(())
    });
}

#[test]
fn a_path_over_ssh_is_a_path_and_never_a_command() {
    scenario(async {
        let bench = Bench::new()?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        let (identity, known) = (
            server.user_key(KeyKind::Ed25519, "")?,
            server.known_hosts(&KeyKind::ALL)?,
        );
        let secret = [
            ("identity", identity.as_str()),
            ("known_hosts", known.as_str()),
        ];
        for path in [
            "$(touch$IFS'x')",
            "$(touch${IFS}pwned)",
            "a;touch${IFS}pwned",
            "a|b",
            "a&b",
            "no/such.git",
        ] {
            let url = server.url(path);
            if url.parse::<reeve_api::name::RemoteUrl>().is_ok() {
                let refused = bench.failure(&remote(&url, &secret)).await;
                assert!(
                    refused.message.contains("repository not found"),
                    "{refused}"
                );
            }
        }
        assert!(!bench.root().join("pwned").exists());
        Ok(())
    });
}
