//! Years of it, by a clock that is moved: replicas that look late, an API server that hears late, and every handshake
//! checked as a client would.

use std::collections::VecDeque;

use super::*;

const HOST: &str = "reeve-admission.reeve-system.svc";

fn start() -> Timestamp {
    "2026-02-03T04:05:06Z".parse().unwrap()
}

fn wanted(authority: Duration, names: &[&str]) -> Wanted {
    let names = names.iter().map(|&name| name.to_owned());
    Wanted::new(names, Lifetimes::of(authority))
}

/// What the Secret gives back.
fn reread(chain: &Chain) -> Result<Chain, Error> {
    let data = chain.written();
    Chain::read(|part| data.get(part).map(String::as_bytes))
}

/// Whether a client that trusts `bundle` believes what is served, for this name and at this time.
fn is_believed(bundle: &str, served: &CertifiedKey, host: &str, now: Timestamp) -> bool {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let host = ServerName::try_from(host.to_owned()).unwrap();
    let seconds = u64::try_from(now.as_second()).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let served = served.cert.first().unwrap();
    verifier
        .verify_server_cert(served, &[], &host, &[], now)
        .is_ok()
}

/// One that looks now and then, and serves what it saw last.
struct Replica {
    every: Duration,
    next: Timestamp,
    serves: CertifiedKey,
}

/// What the replicas share, and what the API server has heard of it by then.
struct World {
    wanted: Wanted,
    secret: Chain,
    /// Bundles that were patched in, and when the API server acts on them.
    bundles: VecDeque<(Timestamp, String)>,
    renewals: usize,
}

impl World {
    /// As the keeper does: a step is written and read again, then trusted, then served.
    fn look(&mut self, replica: &mut Replica, now: Timestamp, hears_after: Duration) {
        while let Some(next) = self.secret.next(&self.wanted, now).unwrap() {
            self.secret = reread(&next).unwrap();
            self.renewals += 1;
        }
        let trusted = self.secret.trusted();
        self.bundles.push_back((after(now, hears_after), trusted));
        replica.serves = self.secret.served().unwrap();
        replica.next = after(now, replica.every);
    }

    fn believes(&mut self, replica: &Replica, now: Timestamp) -> bool {
        while self.bundles.get(1).is_some_and(|(from, _)| *from <= now) {
            self.bundles.pop_front();
        }
        let (_, bundle) = self.bundles.front().unwrap();
        is_believed(bundle, &replica.serves, HOST, now)
    }
}

/// Three replicas, one of which looks as seldom as it may, over five lives of an authority.
fn no_call_fails(authority: Duration) {
    let wanted = wanted(authority, &[HOST]);
    let lifetimes = wanted.lifetimes;
    let secret = Chain::first(&wanted, start()).unwrap();
    let look = lifetimes.look();
    let replica = |every| Replica {
        every,
        next: start(),
        serves: secret.served().unwrap(),
    };
    let mut replicas = [
        replica(look),
        replica(look * 2),
        // Its looks fail for most of the time that a certificate has left when another follows.
        replica(lifetimes.serving / 4),
    ];
    let mut world = World {
        bundles: VecDeque::from([(start(), secret.trusted())]),
        wanted,
        secret,
        renewals: 0,
    };
    let mut now = start();
    let end = after(now, authority * 5);
    while now < end {
        for replica in &mut replicas {
            if replica.next <= now {
                world.look(replica, now, look);
            }
            assert!(world.believes(replica, now), "{now}: {:?}", world.secret);
        }
        assert!(world.secret.authorities.len() <= 3, "{:?}", world.secret);
        now = after(now, authority / 200);
    }
    assert!(world.renewals > 5 * 12, "{}", world.renewals);
}

#[test]
fn over_years_every_certificate_is_believed_at_all_times() {
    no_call_fails(Duration::from_secs(365 * 24 * 3600));
}

#[test]
fn with_lives_of_minutes_every_certificate_is_believed_at_all_times() {
    no_call_fails(Duration::from_secs(3600));
}

#[test]
fn a_chain_is_what_its_secret_says_and_no_spoiled_one_is_used() {
    let wanted = wanted(Duration::from_secs(3600), &[HOST]);
    let one = Chain::first(&wanted, start()).unwrap();
    let other = Chain::first(&wanted, start()).unwrap().written();
    let read = reread(&one).unwrap();
    assert_eq!(read.written(), one.written());
    assert!(read.next(&wanted, start()).unwrap().is_none());
    for part in [TRUSTED, AUTHORITY_KEY, CERTIFICATE, KEY] {
        let mut missing = one.written();
        missing.remove(part);
        let mut garbage = one.written();
        garbage.insert(part, "no PEM".to_owned());
        let mut foreign = one.written();
        foreign.insert(part, other[part].clone());
        for spoiled in [missing, garbage, foreign] {
            let read = Chain::read(|name| spoiled.get(name).map(String::as_bytes));
            let why = read.unwrap_err().to_string();
            assert!(!why.contains("PRIVATE"), "{why}");
        }
    }
}

#[test]
fn a_certificate_that_a_stranger_signed_under_the_name_of_our_authority_is_not_used() {
    let wanted = wanted(Duration::from_secs(3600), &[HOST]);
    let one = Chain::first(&wanted, start()).unwrap();
    let ours = one.authorities.last().unwrap();
    let der = CertificateDer::from_pem_slice(ours.pem.as_bytes()).unwrap();
    let parsed = parsed(TRUSTED, &der).unwrap();
    let called = parsed
        .subject()
        .iter_common_name()
        .next()
        .unwrap()
        .as_str()
        .unwrap();
    let stranger = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = params(
        Vec::new(),
        start(),
        after(start(), Duration::from_secs(3600)),
    )
    .unwrap();
    params.distinguished_name.push(DnType::CommonName, called);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let made = params.self_signed(&stranger).unwrap();
    let theirs = Authority::read(made.der()).unwrap();
    assert_eq!(theirs.subject, ours.subject);
    let forged = serving(&theirs, &stranger.serialize_pem(), &wanted, start()).unwrap();
    let mut spoiled = one.written();
    spoiled.insert(CERTIFICATE, forged.pem.clone());
    spoiled.insert(KEY, forged.key.clone());
    let read = Chain::read(|name| spoiled.get(name).map(String::as_bytes));
    assert!(read.unwrap_err().to_string().contains("has signed it"));
}

#[test]
fn who_is_called_otherwise_gets_another_certificate_and_addresses_are_names_too() {
    let life = Duration::from_secs(3600);
    let one = Chain::first(&wanted(life, &[HOST]), start()).unwrap();
    let both = wanted(life, &[HOST, "127.0.0.1", "0:0::1"]);
    let now = after(start(), Duration::from_secs(100));
    let other = reread(&one.next(&both, now).unwrap().unwrap()).unwrap();
    for (host, before) in [(HOST, true), ("127.0.0.1", false), ("::1", false)] {
        let believed =
            |chain: &Chain| is_believed(&chain.trusted(), &chain.served().unwrap(), host, now);
        assert_eq!(believed(&one), before, "{host}");
        assert!(believed(&other), "{host}");
    }
    assert_eq!(one.trusted(), other.trusted());
    assert!(other.next(&both, now).unwrap().is_none());
}

#[test]
fn who_comes_back_after_everything_has_ended_begins_anew() {
    let wanted = wanted(Duration::from_secs(3600), &[HOST]);
    let one = Chain::first(&wanted, start()).unwrap();
    let now = after(start(), Duration::from_secs(100 * 3600));
    let next = one.next(&wanted, now).unwrap().unwrap();
    let served = next.served().unwrap();
    assert!(is_believed(&next.trusted(), &served, HOST, now));
}
