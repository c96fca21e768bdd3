//! What becomes of a file when an entry is drafted into it.

use super::super::draft::{Draft, Entry, Kind, Pace, Refused, Which, amend};
use super::super::*;

const BEFORE: &str = "
known_hosts: h ssh-ed25519 AAAA
auths:
- url: https://git.example/acme/web
  pullingInterval: 20s
  credentials:
    https: {username: ada, password: {valueFrom: {secretKeyRef: {name: old, key: password}}}}
- url: https://git.example/*
  credentials:
    https: {username: bob, password: {valueFrom: {secretKeyRef: {name: other, key: password}}}}
";

fn https(url: &str) -> Draft {
    Draft {
        entry: Some(Entry {
            which: Which::Url(url.to_owned()),
            login: Some(Kind::Https {
                user: "eve".to_owned(),
            }),
            polling: None,
        }),
        author: None,
    }
}

fn amended(before: Option<&str>, draft: &Draft) -> Result<draft::Amended, Refused> {
    let before = before.map(str::as_bytes);
    amend(before, Holds::References, draft, &"fresh".parse().unwrap())
}

/// Which entry gives the login of a repository, and the Secret that it names.
fn login(text: &str, url: &str) -> (String, String) {
    let level = Level {
        name: LevelName::Global,
        file: parse(text.as_bytes(), Holds::References).unwrap(),
    };
    let place = Place::of(&address(url).unwrap()).unwrap();
    let auth = resolve(&[level], &place).auth.unwrap();
    let secret = match auth.value.credentials {
        Credentials::Https {
            password: hidden, ..
        }
        | Credentials::Ssh { key: hidden, .. }
        | Credentials::GitHubApp { key: hidden, .. }
        | Credentials::GitLabToken(hidden) => hidden,
    };
    let Hidden::Key { secret, key } = secret else {
        panic!("no reference");
    };
    (auth.entry.unwrap().at, format!("{secret} {key}"))
}

#[test]
fn an_entry_for_one_repository_comes_before_all_others_and_one_for_many_after_them() {
    for (url, at) in [
        ("https://git.example/acme/db", "auths[0]"),
        ("https://git.example/acme/*", "auths[2]"),
    ] {
        let after = amended(Some(BEFORE), &https(url)).unwrap();
        assert_eq!(after.at.as_deref(), Some(at), "{}", after.text);
        assert!(!after.replaced && after.freed.is_empty());
        assert!(after.text.contains("known_hosts"), "{}", after.text);
    }
    let after = amended(Some(BEFORE), &https("https://git.example/acme/db")).unwrap();
    let fresh = ("auths[0]".to_owned(), "fresh password".to_owned());
    assert_eq!(login(&after.text, "https://git.example/acme/db"), fresh);
    let other = ("auths[2]".to_owned(), "other password".to_owned());
    assert_eq!(login(&after.text, "https://git.example/x"), other);
}

#[test]
fn an_entry_that_is_there_keeps_what_is_not_asked_for_and_frees_its_secret() {
    let url = "https://git.example/acme/web";
    let after = amended(Some(BEFORE), &https(url)).unwrap();
    assert!(after.replaced);
    assert_eq!(after.freed, ["old".parse::<ObjectName>().unwrap()]);
    assert!(after.text.contains("20s"), "{}", after.text);
    assert_eq!(login(&after.text, url).1, "fresh password");
    let again = amended(Some(&after.text), &https(url)).unwrap();
    assert_eq!(again.text, after.text);
    assert!(again.freed.is_empty(), "it is still named");
}

#[test]
fn every_kind_of_login_and_polling_makes_a_file_that_can_be_read() {
    let every = Pace::Every("30s".parse().unwrap());
    let ssh = Kind::Ssh {
        known_hosts: Some("h ssh-ed25519 AAAA".to_owned()),
        passphrase: true,
    };
    let app = Kind::App {
        app: 1,
        installation: 2,
    };
    let (github, gitlab) = (
        Which::GitHub {
            name: "acme/web".to_owned(),
            forge: None,
        },
        Which::GitLab {
            name: "acme/shop:web".to_owned(),
            forge: Some("https://lab.example".to_owned()),
        },
    );
    for (which, login, polling, url, secret) in [
        (
            Which::Url("git@git.example:acme/*".to_owned()),
            ssh,
            every.clone(),
            "git@git.example:acme/web",
            "fresh private_key",
        ),
        (
            github,
            app,
            Pace::Webhook,
            "https://github.com/acme/web",
            "fresh private_key",
        ),
        (
            gitlab,
            Kind::Token,
            every,
            "https://lab.example/acme/shop/web",
            "fresh accessToken",
        ),
    ] {
        let draft = Draft {
            entry: Some(Entry {
                which,
                login: Some(login),
                polling: Some(polling),
            }),
            author: None,
        };
        for before in [
            None,
            Some("rig: {client: {git: {}}}"),
            Some("# nothing yet\n"),
        ] {
            let after = amended(before, &draft).unwrap();
            assert_eq!(self::login(&after.text, url).1, secret, "{}", after.text);
            assert_eq!(
                after.text.contains("rig"),
                before.is_some_and(|text| text.contains("rig"))
            );
        }
    }
}

#[test]
fn an_author_alone_makes_no_entry() {
    let author = |name: Option<&str>, email: &str| Draft {
        entry: None,
        author: Some(Author {
            name: name.map(str::to_owned),
            email: Some(email.to_owned()),
        }),
    };
    let after = amended(None, &author(Some("Bot"), "a@org.example")).unwrap();
    let then = amended(Some(&after.text), &author(None, "b@org.example")).unwrap();
    let file = parse(then.text.as_bytes(), Holds::References).unwrap();
    let told = file.author.unwrap();
    assert_eq!(told.name.as_deref(), Some("Bot"));
    assert_eq!(told.email.as_deref(), Some("b@org.example"));
    assert!(file.general.is_empty() && then.at.is_none());
}

#[test]
fn what_fits_no_entry_and_what_could_not_be_read_is_refused() {
    let mut token = https("https://git.example/x");
    if let Some(entry) = &mut token.entry {
        entry.login = Some(Kind::Token);
    }
    let mut hooked = https("https://git.example/x");
    if let Some(entry) = &mut hooked.entry {
        entry.polling = Some(Pace::Webhook);
    }
    for draft in [token, hooked] {
        assert!(matches!(amended(None, &draft), Err(Refused::Unfit(_))));
    }
    let nowhere = amended(None, &https("nowhere"));
    assert!(matches!(nowhere, Err(Refused::After(_))), "{nowhere:?}");
    let broken = amended(Some("auths: {}"), &https("https://git.example/x"));
    assert!(matches!(broken, Err(Refused::Before(_))), "{broken:?}");
}

#[test]
fn the_address_of_one_repository_is_known_and_that_of_many_is_not() {
    for (which, want) in [
        (
            Which::Url("git@git.example:a/b".to_owned()),
            Some("git@git.example:a/b"),
        ),
        (Which::Url("https://git.example/a/*".to_owned()), None),
        (
            Which::GitHub {
                name: "acme/web".to_owned(),
                forge: None,
            },
            Some("https://github.com/acme/web"),
        ),
        (
            Which::GitLab {
                name: "acme/shop:web".to_owned(),
                forge: Some("https://lab.example/".to_owned()),
            },
            Some("https://lab.example/acme/shop/web"),
        ),
    ] {
        assert_eq!(which.address().as_deref(), want);
    }
}
