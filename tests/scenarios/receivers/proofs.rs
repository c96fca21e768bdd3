//! Each type of Receiver whose calls are signed, or show a token: whatever proves nothing is answered by its code, has nothing
//! fetched, and is told to nobody.
//!
//! Tokens of issuers and GitLab's signatures are the parent's. A row tells of a push that is there, so that whoever were let in
//! would have it fetched.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_lc_rs::hmac;
use futures::future::{join_all, try_join_all};
use reeve_tests::{Estate, scenario, secrecy};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::caller::{Call, Watched, secret};
use super::{MEBIBYTE, all};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

const HASHES: [Hash; 3] = [Hash::Sha1, Hash::Sha256, Hash::Sha512];

/// What proves a call.
#[derive(Clone, Copy)]
enum Proof {
    /// The HMAC of the payload, in hexadecimal, behind this.
    Signed(Hash, &'static str),
    /// The token itself.
    Shown,
}

/// A type of Receiver, and how those call for whom it is.
struct Sender {
    kind: &'static str,
    header: &'static str,
    proof: Proof,
    /// What happened.
    event: Option<(&'static str, &'static str)>,
    /// The header that names the delivery.
    delivery: Option<&'static str>,
    /// Whether its payload tells which branch was pushed.
    tells: bool,
}

static SENDERS: [Sender; 7] = [
    Sender {
        kind: "github",
        header: "x-hub-signature-256",
        proof: Proof::Signed(Hash::Sha256, "sha256="),
        event: Some(("x-github-event", "push")),
        delivery: Some("x-github-delivery"),
        tells: true,
    },
    Sender {
        kind: "gitea",
        header: "x-gitea-signature",
        proof: Proof::Signed(Hash::Sha256, ""),
        event: Some(("x-gitea-event", "push")),
        delivery: Some("x-gitea-delivery"),
        tells: true,
    },
    Sender {
        kind: "bitbucket",
        header: "x-hub-signature",
        proof: Proof::Signed(Hash::Sha256, "sha256="),
        event: Some(("x-event-key", "repo:push")),
        delivery: Some("x-request-uuid"),
        tells: true,
    },
    Sender {
        kind: "gitlab",
        header: "x-gitlab-token",
        proof: Proof::Shown,
        event: Some(("x-gitlab-event", "Push Hook")),
        delivery: Some("idempotency-key"),
        tells: true,
    },
    Sender {
        kind: "nexus",
        header: "x-nexus-webhook-signature",
        proof: Proof::Signed(Hash::Sha1, ""),
        event: None,
        delivery: Some("x-nexus-webhook-delivery"),
        tells: false,
    },
    Sender {
        kind: "generic-hmac",
        header: "x-signature",
        proof: Proof::Signed(Hash::Sha512, "sha512="),
        event: None,
        delivery: None,
        tells: false,
    },
    Sender {
        kind: "harbor",
        header: "authorization",
        proof: Proof::Shown,
        event: None,
        delivery: None,
        tells: false,
    },
];

fn digits(hash: Hash, key: &str, body: &[u8]) -> String {
    let algorithm = match hash {
        Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha512 => hmac::HMAC_SHA512,
    };
    let key = hmac::Key::new(algorithm, key.as_bytes());
    hex::encode(hmac::sign(&key, body).as_ref())
}

/// A push as all of them tell it, each in its own words.
fn push(repository: &str, branch: &str, after: &str) -> String {
    let tip = json!({"type": "branch", "name": branch, "target": {"hash": after}});
    let push = json!({
        "ref": format!("refs/heads/{branch}"), "after": after, "object_kind": "push",
        "repository": {"full_name": repository}, "project": {"path_with_namespace": repository},
        "push": {"changes": [{"new": tip}]}, "number": rand::random::<u32>(),
    });
    push.to_string()
}

/// Somebody who calls the Receiver of one type.
struct Caller {
    sender: &'static Sender,
    url: String,
    key: String,
    other: String,
}

impl Caller {
    async fn new(watched: &Watched<'_>, sender: &'static Sender) -> anyhow::Result<Self> {
        let key = secret();
        let token = [("token", key.as_str())];
        let url = watched.receiver(sender.kind, &token, Value::Null).await?;
        let other = secret();
        Ok(Self {
            sender,
            url,
            key,
            other,
        })
    }

    fn proof(&self, key: &str, body: &[u8]) -> String {
        match self.sender.proof {
            Proof::Signed(hash, before) => format!("{before}{}", digits(hash, key, body)),
            Proof::Shown => key.to_owned(),
        }
    }

    /// A call as it should be.
    fn right(&self, says: &'static str, body: impl Into<Vec<u8>>, want: u16) -> Call {
        let body = body.into();
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            (self.sender.header, self.proof(&self.key, &body)),
        ];
        let event = self.sender.event.map(|(name, value)| (name, value.into()));
        headers.extend(event);
        let id = format!("{:032x}", rand::random::<u128>());
        headers.extend(self.sender.delivery.map(|name| (name, id)));
        Call {
            says,
            url: self.url.clone(),
            method: "POST",
            headers,
            body,
            announced: None,
            want,
        }
    }

    /// The same with these in place of its proof.
    fn proved_by(&self, says: &'static str, body: &str, proofs: &[&str]) -> Call {
        let mut call = self.right(says, body, 400);
        call.headers.retain(|(name, _)| *name != self.sender.header);
        let proofs = proofs.iter().map(|proof| (*proof).to_owned());
        let proofs = proofs.map(|proof| (self.sender.header, proof));
        call.headers.extend(proofs);
        call
    }

    /// Calls whose proof is none.
    fn unproved(&self, body: &str) -> Vec<Call> {
        let right = self.proof(&self.key, body.as_bytes());
        let wrong = self.proof(&self.other, body.as_bytes());
        let half = right.get(..right.len() / 2).unwrap_or_default();
        let mut calls = vec![
            self.proved_by("another key", body, &[&wrong]),
            self.proved_by("no proof", body, &[]),
            self.proved_by("an empty proof", body, &[""]),
            self.proved_by("half a proof", body, &[half]),
            self.proved_by("two proofs, the first right", body, &[&right, &wrong]),
            self.proved_by("two proofs, the second right", body, &[&wrong, &right]),
        ];
        let Proof::Signed(hash, before) = self.sender.proof else {
            let bearer = format!("Bearer {}", self.key);
            calls.push(self.proved_by("another scheme", body, &[&bearer]));
            let signed = digits(Hash::Sha256, &self.key, body.as_bytes());
            calls.push(self.proved_by("a signature", body, &[&signed]));
            return calls;
        };
        for other in HASHES.into_iter().filter(|other| *other != hash) {
            let digits = digits(other, &self.key, body.as_bytes());
            let confused = format!("{before}{digits}");
            calls.push(self.proved_by("another hash by this name", body, &[&confused]));
        }
        let digits = digits(hash, &self.key, body.as_bytes());
        let named = match before {
            "" => format!("sha256={digits}"),
            _ => digits.clone(),
        };
        calls.push(self.proved_by("another form", body, &[&named]));
        for name in ["none=", "md5=", "SHA-3=", "="] {
            let unknown = format!("{name}{digits}");
            calls.push(self.proved_by("a hash that is not taken", body, &[&unknown]));
        }
        calls.push(self.proved_by("the token itself", body, &[&self.key]));
        let mut altered = self.right("a payload that was changed", body, 400);
        altered.body.push(b' ');
        calls.push(altered);
        calls
    }

    /// Calls that are proved, and are none all the same.
    fn unfit(&self, body: &str) -> Vec<Call> {
        let mut calls = vec![
            self.right("invalid UTF-8", b"{\"ref\": \"\xff\xfe\"}".to_vec(), 400),
            self.right("no JSON", "ref=refs/heads/main", 400),
        ];
        let mut large = self.right("a payload too large", "", 413);
        large.announced = Some(3 * MEBIBYTE + 1);
        let mut slow = self.right("a payload that never ends", body, 408);
        slow.announced = Some(body.len() + 1);
        let mut put = self.right("a method nobody calls with", body, 405);
        put.method = "PUT";
        calls.extend([large, slow, put]);
        // Where the proof is of whatever is sent, it may be anything.
        if self.sender.kind != "generic-hmac" {
            for content in ["text/plain", "application/xml", "multipart/form-data"] {
                let mut other = self.right("a type nobody sends", body, 415);
                other.headers.retain(|(name, _)| *name != "content-type");
                other.headers.push(("content-type", content.to_owned()));
                calls.push(other);
            }
        }
        calls
    }

    /// A call that is right is let in once, and by another name no second time where its payload is signed.
    async fn once(&self, body: &str) -> anyhow::Result<()> {
        let mut call = self.right("what is right", body, 200);
        call.check().await?;
        let Some(delivery) = self.sender.delivery else {
            return Ok(());
        };
        (call.says, call.want) = ("the same once more", 409);
        call.check().await?;
        if matches!(self.sender.proof, Proof::Signed(..)) {
            call.headers.retain(|(name, _)| *name != delivery);
            call.headers.push((delivery, "renamed".to_owned()));
            call.check().await?;
        }
        Ok(())
    }
}

/// A header that never ends has its connection ended.
async fn dribbles(url: &str) -> anyhow::Result<()> {
    let rest = url.strip_prefix("http://").context("a URL")?;
    let (host, path) = rest.split_once('/').context("a path")?;
    let mut stream = TcpStream::connect(host).await?;
    let head = format!("POST /{path} HTTP/1.1\r\nhost: {host}\r\nx-slow: ");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(40), read).await;
    read.context("the connection is kept")??;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let fits = answer.is_empty() || answer.starts_with("HTTP/1.1 408");
    ensure!(fits, "{answer}");
    Ok(())
}

#[test]
fn of_no_type_that_asks_for_a_proof_a_call_without_one_fetches_anything() {
    scenario(async {
        let estate = Estate::shared().await?;
        let watched = Watched::start(estate, "unproved").await?;
        let callers = SENDERS.iter().map(|sender| Caller::new(&watched, sender));
        let callers = try_join_all(callers).await?;
        let news = [("README.md", Some("Nobody has told of it.\n"))];
        let commit = watched.tenant.commit(news)?;
        let body = push(watched.name(), "main", &commit);
        watched.asked();

        let body = body.as_str();
        let hostile = callers.iter().map(|caller| async move {
            let mut calls = caller.unproved(body);
            calls.extend(caller.unfit(body));
            all(&calls).await.context(caller.sender.kind)
        });
        let (slow, done) = tokio::join!(dribbles(&callers[0].url), join_all(hostile));
        slow?;
        done.into_iter().collect::<anyhow::Result<()>>()?;
        let (telling, others): (Vec<_>, Vec<_>) =
            callers.iter().partition(|caller| caller.sender.tells);
        for caller in telling {
            let elsewhere = push(watched.name(), "other", &"e".repeat(40));
            let once = caller.once(&elsewhere).await;
            once.context(caller.sender.kind)?;
        }
        ensure!(watched.asked() == (0, 0), "nothing was fetched");

        for caller in others {
            let own = push(watched.name(), "main", &commit);
            caller.once(&own).await.context(caller.sender.kind)?;
        }
        watched.tenant.applied(&commit).await?;
        let (looks, fetches) = watched.asked();
        ensure!(looks >= 1 && fetches == 1, "{looks} {fetches}");

        let place = estate.plane.place();
        let leaks = tokio::task::spawn_blocking(move || secrecy::search(&place)).await??;
        ensure!(leaks.is_empty(), "{leaks:#?}");
        Ok(())
    });
}
