//! Who signed, row by row: keys and signatures that gpg and ssh-keygen made, in `tests/cases/signature`.
//!
//! All keys are of the first of January 2026, all signatures of the second, `commit` and `tag` are what they are of.

use super::*;
use std::collections::BTreeMap;
use std::path::Path;

use reeve_api::name::Secret;

const COMMIT: &str = "3c1b3bd0d4c1b6a2a2d6a3d6a1f1a7f5f0c5a111";
const TAGGED: &str = "2ca07ce1cf1b5bb08a0f164a54d8d9742cc0128c";
const THE_THIRD: &str = "2026-01-03T00:00:00Z";
const SPRING: &str = "2026-04-01T00:00:00Z";

#[expect(clippy::disallowed_methods, reason = "the files are the data of tests")]
fn case(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/signature");
    std::fs::read(folder.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn text(name: &str) -> String {
    String::from_utf8(case(name)).unwrap()
}

fn trusted(keys: &[&str]) -> Trusted {
    let data = keys.iter().map(|name| ((*name).to_owned(), case(name)));
    Trusted::read(&data.collect()).unwrap()
}

/// The commit with a signature where git puts it.
fn signed(name: &str) -> String {
    let signature = text(name).trim_end().replace('\n', "\n ");
    text("commit").replacen("\n\n", &format!("\ngpgsig {signature}\n\n"), 1)
}

fn of(mode: Mode, commit: &str, tag: Option<(&str, &str)>, keys: &Trusted, now: &str) -> String {
    let object = |id, text: &'static str| Object {
        id,
        bytes: text.as_bytes(),
    };
    let leaked = |text: &str| -> &'static str { text.to_owned().leak() };
    let id = if tag.is_some() { TAGGED } else { COMMIT };
    let tag = tag.map(|(name, text)| Tag {
        name: leaked(name),
        object: (!text.is_empty()).then(|| object(COMMIT, leaked(text))),
    });
    let now = now.parse().unwrap();
    match verify(mode, object(id, leaked(commit)), tag, keys, now) {
        Ok(verified) => verified.to_string(),
        Err(why) => {
            let told = crate::failure::Explained::of(&why);
            format!("{}: {}", told.reason, told.message)
        }
    }
}

/// What is told of a commit whose signature is `signature`.
fn told(signature: &str, keys: &[&str], now: &str) -> String {
    of(Mode::Head, &signed(signature), None, &trusted(keys), now)
}

#[test]
fn what_our_own_key_signs_is_verified_like_any_other() {
    let passphrase = Secret::new("opens");
    for name in ["secret.key", "secret-sub.key"] {
        let key = SigningKey::read(&text(name), Some(&passphrase)).unwrap();
        let sign = |at: &str| key.sign(&case("commit"), at.parse().unwrap());
        let header = sign(THE_THIRD).unwrap().trim_end().replace('\n', "\n ");
        let commit = text("commit").replacen("\n\n", &format!("\ngpgsig {header}\n\n"), 1);
        let judged =
            |commit: &str, keys: &[&str]| of(Mode::Head, commit, None, &trusted(keys), THE_THIRD);
        let good = judged(&commit, &["secret.asc"]);
        assert!(good.starts_with("verified signature of"), "{good}");
        assert!(good.contains(&key.fingerprint()), "{good}");
        let others = judged(&commit, &["ed.asc"]);
        assert!(!others.starts_with("verified"), "{others}");
        let changed = commit.replacen("author", "author x", 1);
        let told = judged(&changed, &["secret.asc"]);
        assert!(!told.starts_with("verified"), "{told}");
        // Before it was made it signs nothing.
        assert_eq!(sign("2025-06-01T00:00:00Z"), Err(Unusable::Unfit));
        assert!(!format!("{key:?}").contains("opens"));
    }
}

#[test]
fn a_key_that_signs_nothing_says_why_and_nothing_of_itself() {
    let (right, wrong) = (Secret::new("opens"), Secret::new("does not"));
    let key = text("secret.key");
    let twice = format!("{key}{key}");
    for (text, passphrase, want) in [
        (key.as_str(), Some(&wrong), Unusable::Locked),
        (&key, None, Unusable::Locked),
        (&twice, Some(&right), Unusable::Unread),
        (&key[..key.len() / 2], Some(&right), Unusable::Unread),
        ("hunter2", None, Unusable::Unread),
        ("", None, Unusable::Unread),
        (&text("secret.asc"), None, Unusable::Unread),
    ] {
        let told = SigningKey::read(text, passphrase).unwrap_err();
        assert_eq!(told, want, "{text:.30}");
    }
}

#[test]
fn what_a_trusted_key_signed_is_verified_and_nothing_else_is() {
    const GOOD: &str = "verified signature of\n\t- commit '3c1b";
    for (signature, keys, now, want) in [
        ("ed.sig", &["ed.asc"][..], THE_THIRD, GOOD),
        ("rsa.sig", &["rsa.asc"], THE_THIRD, GOOD),
        ("p256.sig", &["p256.asc"], THE_THIRD, GOOD),
        ("sub.sig", &["sub.asc"], THE_THIRD, GOOD),
        (
            "ed.sig",
            &["rsa.asc", "ed.asc", "ed25519.sshpub"],
            THE_THIRD,
            GOOD,
        ),
        (
            "ed.sig",
            &["rsa.asc"],
            THE_THIRD,
            "is not one of the trusted keys",
        ),
        (
            "ed.sig",
            &["ed25519.sshpub"],
            THE_THIRD,
            "PGP signature detected but no PGP public keys found in secret (keys with .asc suffix)",
        ),
        // expired
        ("aged.sig", &["aged.asc"], THE_THIRD, GOOD),
        ("aged.sig", &["aged.asc"], SPRING, "has expired"),
        ("aged.sig", &["aged-longer.asc"], SPRING, GOOD),
        ("aged.sig", &["aged-longer.asc", "aged.asc"], SPRING, GOOD),
        ("aged-sub.sig", &["aged-sub.asc"], THE_THIRD, GOOD),
        ("aged-sub.sig", &["aged-sub.asc"], SPRING, "has expired"),
        ("expiring.sig", &["ed.asc"], THE_THIRD, GOOD),
        (
            "expiring.sig",
            &["ed.asc"],
            SPRING,
            "its signature is refused: it has expired",
        ),
        // revoked
        ("gone.sig", &["gone.asc"], THE_THIRD, "which was revoked"),
        (
            "gone-sub.sig",
            &["gone-sub.asc"],
            THE_THIRD,
            "which was revoked",
        ),
        // at another time
        (
            "future.sig",
            &["ed.asc"],
            THE_THIRD,
            "it was made in the future",
        ),
        (
            "early.sig",
            &["ed.asc"],
            THE_THIRD,
            "was made after what it signed",
        ),
        (
            "ed.sig",
            &["ed.asc"],
            "2025-06-01T00:00:00Z",
            "it was made in the future",
        ),
        // weak
        (
            "sha1.sig",
            &["rsa.asc"],
            THE_THIRD,
            "SHA1, which is too weak",
        ),
        (
            "short.sig",
            &["short.asc"],
            THE_THIRD,
            "is too weak: RSA with 1024 bits",
        ),
        ("dsa.sig", &["dsa.asc"], THE_THIRD, "is too weak: DSA"),
        // odd
        (
            "text.sig",
            &["ed.asc"],
            THE_THIRD,
            "not of a document's bytes",
        ),
        (
            "noted.sig",
            &["ed.asc"],
            THE_THIRD,
            "a condition that is not known here",
        ),
        (
            "two.sig",
            &["ed.asc", "rsa.asc"],
            THE_THIRD,
            "more than one signature",
        ),
        ("tag-ed.sig", &["ed.asc"], THE_THIRD, "is of something else"),
        // SSH
        (
            "ssh-ed25519.sig",
            &["ed25519.sshpub"],
            THE_THIRD,
            "with key 'SHA256:",
        ),
        (
            "ssh-ecdsa.sig",
            &["ecdsa.sshpub"],
            THE_THIRD,
            "with key 'SHA256:",
        ),
        (
            "ssh-rsa.sig",
            &["rsa.sshpub"],
            THE_THIRD,
            "with key 'SHA256:",
        ),
        (
            "ssh-ed25519.sig",
            &["other.sshpub"],
            THE_THIRD,
            "is not one of the trusted keys",
        ),
        (
            "ssh-other.sig",
            &["ed25519.sshpub", "other.sshpub"],
            THE_THIRD,
            GOOD,
        ),
        (
            "ssh-ed25519.sig",
            &["ed.asc"],
            THE_THIRD,
            "SSH signature detected but no SSH public keys found in secret (keys with .sshpub suffix)",
        ),
        (
            "ssh-file.sig",
            &["ed25519.sshpub"],
            THE_THIRD,
            "for something else than git",
        ),
        (
            "ssh-tag.sig",
            &["ed25519.sshpub"],
            THE_THIRD,
            "is of something else",
        ),
    ] {
        let told = told(signature, keys, now);
        assert!(told.contains(want), "{signature} {keys:?} {now}: {told}");
        let verified = told.starts_with("verified");
        assert_eq!(
            verified,
            want == GOOD || want.starts_with("with key"),
            "{told}"
        );
        assert!(
            verified
                || told
                    .starts_with("InvalidCommitSignature: signature verification of commit '3c1b"),
            "{told}"
        );
    }
}

#[test]
fn who_signed_is_told_by_the_fingerprint_of_the_whole_certificate() {
    let print = |name: &str| {
        let certificates = openpgp::keys(&text(name)).unwrap();
        use pgp::types::KeyDetails as _;
        hex::encode_upper(certificates[0].primary_key.fingerprint().as_bytes())
    };
    for (signature, key) in [("ed.sig", "ed.asc"), ("sub.sig", "sub.asc")] {
        let want = format!(
            "verified signature of\n\t- commit '{COMMIT}' with key '{}'",
            print(key)
        );
        assert_eq!(told(signature, &[key], THE_THIRD), want);
    }
}

#[test]
fn a_change_of_any_byte_of_the_commit_ends_its_signature() {
    for (signature, key) in [("ed.sig", "ed.asc"), ("ssh-ed25519.sig", "ed25519.sshpub")] {
        let (whole, keys) = (signed(signature), trusted(&[key]));
        for (from, to) in [
            ("tree 4b8", "tree 5b8"),
            ("parent 2ca", "parent 3ca"),
            ("author Ada", "author Bob"),
            ("committer Ada", "committer Bob"),
            ("Say hello", "Say hallo"),
            ("hello\n", "hello"),
            ("hello\n", "hello\n\n"),
            ("\ngpgsig", "\nencoding latin1\ngpgsig"),
            ("-----\n\nSay", "-----\nencoding latin1\n\nSay"),
        ] {
            let other = whole.replacen(from, to, 1);
            if other == whole {
                // The signature of gpg ends in another line.
                assert!(from.contains("-----"), "{from} is not there");
                continue;
            }
            let told = of(Mode::Head, &other, None, &keys, THE_THIRD);
            assert!(told.contains("is of something else"), "{from}: {told}");
        }
    }
}

#[test]
fn a_commit_that_could_be_read_in_two_ways_is_refused() {
    let (whole, keys) = (signed("ed.sig"), trusted(&["ed.asc"]));
    let (head, _) = whole.split_once("\n\n").unwrap();
    let gpgsig = head.split_once("\ngpgsig ").unwrap().1;
    let tree = "tree 1111111111111111111111111111111111111111";
    for (other, want) in [
        (
            whole.replacen("\ngpgsig", &format!("\ngpgsig {gpgsig}\ngpgsig"), 1),
            "more than one signature",
        ),
        (
            whole.replacen("tree", &format!("{tree}\ntree"), 1),
            "each once",
        ),
        (
            whole.replacen("\ngpgsig", &format!("\n{tree}\ngpgsig"), 1),
            "each once",
        ),
        (
            whole.replacen("\ngpgsig", "\nauthor Eve <e> 0 +0000\ngpgsig", 1),
            "each once",
        ),
        (whole.replacen("tree 4b", "tree 4B", 1), "each once"),
        (whole.replacen("tree 4b", "tree b", 1), "each once"),
        (
            whole.replacen("author Ada", "author Ada\n ", 1),
            "each once",
        ),
        (
            whole.replacen("author Ada", "author\0Ada", 1),
            "a zero byte",
        ),
        (
            whole.replacen("author Ada", "\n\nauthor Ada", 1),
            "each once",
        ),
        (format!(" {whole}"), "no name or no value"),
        (
            whole.replacen("\ngpgsig", "\nodd\ngpgsig", 1),
            "no name or no value",
        ),
        ("tree".to_owned(), "have no end"),
        (String::new(), "have no end"),
        (text("commit"), "it is not signed"),
        (
            whole.replacen(
                "-----END PGP",
                &format!("{}-----END PGP", "A".repeat(70_000)),
                1,
            ),
            "longer than 64 KiB",
        ),
        (
            whole.replacen(
                "-----END PGP",
                &format!("{}-----END PGP", "A".repeat(300_000)),
                1,
            ),
            "longer than 64 KiB",
        ),
        (
            whole.replacen("SIGNATURE-----\n\n", "SIGNATURE-----\n more\n\n", 1),
            "one block of armor",
        ),
        (
            whole.replacen("BEGIN PGP", "BEGIN PRETTY", 1),
            "unsupported signature type: unknown",
        ),
        (
            whole.replacen("BEGIN PGP SIGNATURE", "BEGIN SIGNED MESSAGE", 1),
            "unsupported signature type: x509",
        ),
        (
            whole.replacen("gpgsig -", "gpgsig ä-", 1),
            "its signature is not text",
        ),
    ] {
        let told = of(Mode::Head, &other, None, &keys, THE_THIRD);
        assert!(told.contains(want), "{want}: {told}");
    }
    // The signature that the same commit has in a repository of the other hash is not signed, as git has it.
    let both = whole.replacen("\ngpgsig", "\ngpgsig-sha256 x\n y\ngpgsig", 1);
    let told = of(Mode::Head, &both, None, &keys, THE_THIRD);
    assert!(told.starts_with("verified"), "{told}");
}

#[test]
fn a_tag_is_signed_by_its_name_and_names_its_commit_itself() {
    let keys = trusted(&["ed.asc", "ed25519.sshpub"]);
    let whole = format!("{}{}", text("tag"), text("tag-ed.sig"));
    let by_ssh = format!("{}{}", text("tag"), text("ssh-tag.sig"));
    let unsigned = text("tag");
    let told = |name: &str, tag: &str| {
        of(
            Mode::Tag,
            &text("commit"),
            Some((name, tag)),
            &keys,
            THE_THIRD,
        )
    };
    for tag in [&whole, &by_ssh] {
        let told = told("v1.0.0", tag);
        assert!(
            told.starts_with(&format!(
                "verified signature of\n\t- tag 'v1.0.0@{COMMIT}' with key '"
            )),
            "{told}"
        );
    }
    const OTHER: &str = "1111111111111111111111111111111111111111";
    for (name, tag, want) in [
        (
            "v2.0.0",
            whole.clone(),
            "InvalidTagSignature: signature verification of tag 'v2.0.0@3c1b3bd0d4c1b6a2a2d6a3d6a1f1a7f5f0c5a111' failed: it was signed as tag 'v1.0.0'",
        ),
        (
            "v1.0.0",
            String::new(),
            "InvalidGitObject: cannot verify signature of tag 'v1.0.0' since it is not signed",
        ),
        (
            "v1.0.0",
            unsigned,
            "InvalidGitObject: cannot verify signature of tag 'v1.0.0@3c1b",
        ),
        (
            "v2.0.0",
            whole.replacen("tag v1", "tag v2", 1),
            "is of something else",
        ),
        (
            "v1.0.0",
            whole.replacen("The first", "The best", 1),
            "is of something else",
        ),
        (
            "v1.0.0",
            whole.replacen(TAGGED, OTHER, 1),
            "it is of another commit than its name",
        ),
        (
            "v1.0.0",
            whole.replacen("type commit", "type tag", 1),
            "it is of another tag",
        ),
        (
            "v1.0.0",
            whole.replacen("tagger", "gpgsig x\ntagger", 1),
            "four headers of a tag",
        ),
        (
            "v1.0.0",
            whole.replacen("\ntag v1.0.0\n", "\ntag v1.0.0\n more\n", 1),
            "goes on in the next line",
        ),
        ("v1.0.0", format!("{whole}more\n"), "one block of armor"),
        (
            "v1.0.0",
            format!("{whole}{}", text("other.sig")),
            "is not one of the trusted keys",
        ),
    ] {
        let told = told(name, &tag);
        assert!(told.contains(want), "{want}: {told}");
    }
}

#[test]
fn with_both_asked_for_one_is_not_enough() {
    let keys = trusted(&["ed.asc"]);
    let tag = format!("{}{}", text("tag"), text("tag-ed.sig"));
    let told = |commit: &str, tag| of(Mode::TagAndHead, commit, tag, &keys, THE_THIRD);
    let both = told(&signed("ed.sig"), Some(("v1.0.0", &tag)));
    let lines: Vec<&str> = both.lines().collect();
    assert!(
        lines[1].starts_with("\t- tag 'v1.0.0@") && lines[2].starts_with("\t- commit '2ca07"),
        "{both}"
    );
    let one = told(&text("commit"), Some(("v1.0.0", &tag)));
    assert!(
        one.starts_with("InvalidCommitSignature") && one.ends_with("it is not signed"),
        "{one}"
    );
    let unsigned = text("tag");
    let other = told(&signed("ed.sig"), Some(("v1.0.0", &unsigned)));
    assert!(other.starts_with("InvalidGitObject"), "{other}");
    let none = told(&signed("ed.sig"), None);
    assert!(none.starts_with("InvalidVerificationMode: cannot verify tag object's signature if a tag reference is not specified"), "{none}");
}

#[test]
fn a_signing_subkey_signs_for_nobody_else() {
    let certificate = |name| openpgp::keys(&text(name)).unwrap().remove(0);
    let payload = case("commit");
    let told = |certificate| {
        let now = THE_THIRD.parse().unwrap();
        openpgp::signer(text("sub.sig").trim(), &payload, &[certificate], now)
    };
    assert!(told(certificate("sub.asc")).is_ok());
    // Somebody else's certificate that says that the subkey is its own, in place of the one that can prove it.
    let mut thief = certificate("ed.asc");
    thief.public_subkeys = certificate("sub.asc").public_subkeys;
    let why = told(thief).unwrap_err().to_string();
    assert!(why.contains("no valid signature of its own"), "{why}");
    // One whose names nobody signed, and one that was told apart from its subkey's binding.
    let mut nameless = certificate("sub.asc");
    nameless.details.users.clear();
    let why = told(nameless).unwrap_err().to_string();
    assert!(why.contains("no valid signature of its own"), "{why}");
    let mut loose = certificate("sub.asc");
    loose.public_subkeys[0].signatures.clear();
    let why = told(loose).unwrap_err().to_string();
    assert!(why.contains("no valid signature of its own"), "{why}");
}

#[test]
fn a_secret_is_read_as_flux_reads_it() {
    let read = |entries: &[(&str, &str)]| {
        let data = entries
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        Trusted::read(&data.collect::<BTreeMap<_, _>>())
    };
    let (pgp, ssh) = (text("ed.asc"), text("ed25519.sshpub"));
    let several = format!("{pgp}\n{}", text("rsa.asc"));
    for (entries, keys) in [
        (&[("author.asc", pgp.as_str())][..], (1, 0)),
        (&[("anything", &pgp)], (1, 0)),
        (&[("ring.asc", &several)], (2, 0)),
        (&[("a.sshpub", &ssh)], (0, 1)),
        (
            &[("a.asc", &pgp), ("b.sshpub", &ssh), ("c.asc", "nonsense")],
            (1, 1),
        ),
    ] {
        let read = read(entries).unwrap();
        let found = (
            read.openpgp().map_or(0, <[_]>::len),
            read.ssh().map_or(0, <[_]>::len),
        );
        assert_eq!(found, keys, "{entries:?}");
    }
    for (entries, want) in [
        (&[][..], "it holds no public key"),
        (
            &[("a.asc", "nonsense")],
            "a.asc: it is no OpenPGP public key in armor",
        ),
        (
            &[("a.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----")],
            "it is a private key",
        ),
        (
            &[("a.asc", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA")],
            "has no end",
        ),
        (&[("a", ssh.as_str())], "no OpenPGP public key"),
        (
            &[("a.sshpub", &pgp)],
            "line 1: there is no kind of key in it",
        ),
        (&[("a.sshpub", "# nobody\n")], "no SSH public key"),
    ] {
        let why = read(entries).unwrap_err().to_string();
        assert!(why.contains(want), "{entries:?}: {why}");
    }
    let many = ssh.repeat(65);
    assert_eq!(read(&[("a.sshpub", &many)]).unwrap_err(), NoKeys::Many);
    let (one, other) = (read(&[("a.asc", &pgp)]), read(&[("b.asc", &pgp)]));
    assert_ne!(one.unwrap().digest(), other.unwrap().digest());
}

#[test]
fn a_line_of_ssh_keys_counts_when_it_says_and_for_what_it_says() {
    let key = text("ed25519.sshpub");
    let key = key.trim();
    let told = |line: &str| {
        let data = BTreeMap::from([("a.sshpub".to_owned(), line.as_bytes().to_vec())]);
        match Trusted::read(&data) {
            Ok(keys) => of(
                Mode::Head,
                &signed("ssh-ed25519.sig"),
                None,
                &keys,
                THE_THIRD,
            ),
            Err(why) => why.to_string(),
        }
    };
    for (line, want) in [
        (format!("{key} ada@example.com"), "verified"),
        (format!("# Ada\n\n\t{key}\n"), "verified"),
        (format!("ada@example.com {key}"), "verified"),
        (
            format!("\"ada@example.com,*@example.org\" namespaces=\"file,git\" {key}"),
            "verified",
        ),
        (
            format!("ada@example.com namespaces=\"file\" {key}"),
            "no SSH public key for git",
        ),
        (
            format!("ada valid-after=\"20260101\",valid-before=\"20270101Z\" {key}"),
            "verified",
        ),
        (
            format!("ada valid-before=\"202601030000\" {key}"),
            "does not count now",
        ),
        (
            format!("ada valid-after=20260103000001Z {key}"),
            "does not count now",
        ),
        (format!("ada valid-after=\"soon\" {key}"), "is not a time"),
        (
            format!("ada valid-before=\"20260101\" {key}\nada {key}"),
            "verified",
        ),
        (
            format!("ada cert-authority {key}"),
            "option cert-authority is not understood",
        ),
        (
            format!("cert-authority {key}"),
            "option cert-authority is not understood",
        ),
        (
            format!("command=\"a b\" {key}"),
            "option command is not understood",
        ),
        (
            format!("expiry-time=\"20200101\" {key}"),
            "option expiry-time is not understood",
        ),
        (format!("ada \"{key}"), "a quote has no end"),
        (text("weak.sshpub"), "RSA with 1024 bits is too weak"),
        ("ssh-ed25519 AAAA".to_owned(), "cannot be read"),
        ("ssh-dss AAAA".to_owned(), "cannot be read"),
    ] {
        let told = told(&line);
        assert!(told.contains(want), "{line}: {told}");
    }
}

#[test]
fn no_bit_of_what_a_signature_says_can_be_another_and_none_is_a_crash() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let armor = text("ed.sig");
    let inside = armor.lines().filter(|line| !line.starts_with('-'));
    let inside: String = inside.filter(|line| !line.starts_with('=')).collect();
    let packet = STANDARD.decode(inside).unwrap();
    let (keys, payload) = (openpgp::keys(&text("ed.asc")).unwrap(), case("commit"));
    let now: Timestamp = THE_THIRD.parse().unwrap();
    let told = |packet: &[u8]| {
        let inside = STANDARD.encode(packet);
        let armor = format!(
            "{}\n\n{inside}\n-----END PGP SIGNATURE-----",
            openpgp::BEGIN
        );
        openpgp::signer(&armor, &payload, &keys, now)
    };
    assert!(told(&packet).is_ok());
    for bit in 0..packet.len() * 8 {
        let mut other = packet.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let told = told(&other);
        // After its two bytes of header: version, type, algorithms, and what is signed with the data.
        let hashed = 2 + 4 + 2 + 29;
        assert!(
            told.is_err() || !(2..hashed).contains(&(bit / 8)),
            "bit {bit}: {told:?}"
        );
    }
    for length in 0..packet.len() {
        assert!(told(&packet[..length]).is_err(), "{length} bytes");
    }
}
