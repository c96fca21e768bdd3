//! What the example of Rig's documentation and each sentence about it come to, and how addresses are compared.

use std::time::Duration;

use reeve_api::name::{Secret, TenantName};

use super::*;

mod above_tests;
mod draft_tests;
mod file_tests;

/// The example of Rig's documentation, with the indentation and the one colon that it has lost there.
const EXAMPLE: &str = include_str!("example.yaml");

fn file(text: &str) -> File {
    parse(text.as_bytes(), Holds::Secrets).unwrap()
}

fn level(name: LevelName, text: &str) -> Level {
    let file = file(text);
    Level { name, file }
}

fn project() -> LevelName {
    LevelName::Project("acme".parse().unwrap())
}

fn tenant() -> LevelName {
    LevelName::Tenant("web".parse::<TenantName>().unwrap())
}

fn place(url: &str) -> Place {
    Place::of(&address(url).unwrap()).unwrap()
}

fn asked(text: &str, url: &str) -> Resolved {
    resolve(&[level(LevelName::Global, text)], &place(url))
}

/// Which entry of which level.
fn from<T>(part: Option<&Part<T>>) -> String {
    part.map_or_else(
        || "nothing".to_owned(),
        |part| {
            let entry = part.entry.as_ref().map(|entry| entry.at.clone());
            format!("{} of {}", entry.unwrap_or_default(), part.level)
        },
    )
}

fn text(secret: &str) -> Hidden {
    Hidden::Text(Secret::new(secret))
}

fn every(seconds: u64) -> Polling {
    Polling::Every(Duration::from_secs(seconds))
}

fn polling(resolved: &Resolved) -> Option<Polling> {
    resolved.polling.as_ref().map(|part| part.value.clone())
}

fn credentials(resolved: &Resolved) -> Option<Credentials> {
    let auth = resolved.auth.as_ref();
    auth.map(|part| part.value.credentials.clone())
}

fn example_key() -> Credentials {
    Credentials::Ssh {
        key: text("<pem-encoded-private-key>"),
        password: None,
        known_hosts: None,
    }
}

#[test]
fn the_example_will_pull_every_20_seconds() {
    let first = asked(EXAMPLE, "git@github.com:myorg/myrepository.git");
    assert_eq!(polling(&first), Some(every(20)));
    assert_eq!(credentials(&first), Some(example_key()));
    assert_eq!(from(first.auth.as_ref()), "auths[0] of global");
    let author = first.author.unwrap().value;
    assert_eq!(author.email.as_deref(), Some("rigbot@myorg.com"));
}

#[test]
fn the_example_matches_its_second_repository_and_enables_webhook() {
    let second = asked(EXAMPLE, "git@github.com:myorg/myrepository2.git");
    assert_eq!(polling(&second), Some(Polling::Webhook(text("secret123"))));
    assert_eq!(from(second.polling.as_ref()), "gitHubAuths[0] of global");
    assert_eq!(credentials(&second), Some(example_key()));
    assert_eq!(from(second.auth.as_ref()), "auths[1] of global");
}

#[test]
fn the_example_uses_github_authentication_and_pulls_every_60_seconds() {
    let third = asked(EXAMPLE, "https://github.com/myorg/myrepository3.git");
    let app = Credentials::GitHubApp {
        app: 1234,
        installation: 12345,
        key: Hidden::Path("/path/to/private/key/id_rsa".into()),
    };
    assert_eq!(credentials(&third), Some(app));
    assert_eq!(polling(&third), Some(every(60)));
}

#[test]
fn the_example_uses_gitlab_authentication_and_enables_webhook() {
    let url = "git@gitlab.com:mygroup/subgroup1/subgroup2/myproject.git";
    let fourth = asked(EXAMPLE, url);
    let token = Credentials::GitLabToken(text("MY_ACCESS_TOKEN"));
    assert_eq!(credentials(&fourth), Some(token));
    assert_eq!(polling(&fourth), Some(Polling::Webhook(text("secret123"))));
    let login = login(&address(url).unwrap(), &fourth.auth.unwrap()).unwrap();
    let path = "mygroup/subgroup1/subgroup2/myproject.git";
    assert_eq!(login.url.to_string(), format!("https://gitlab.com/{path}"));
    let (user, password) = ("oauth2".to_owned(), text("MY_ACCESS_TOKEN"));
    assert_eq!(login.way, Way::Web { user, password });
}

#[test]
fn the_provider_specific_configuration_is_split_into_two_fields_auth_and_polling() {
    for (fields, auth, polls) in [
        ("", false, false),
        ("  auth: {accessToken: t}\n", true, false),
        ("  polling: {pullingIntervalSeconds: 5}\n", false, true),
        (
            "  auth: {accessToken: t}\n  polling: {webhookSecret: s}\n",
            true,
            true,
        ),
    ] {
        let text = format!("gitLabAuths:\n- groupsProject: g:p\n{fields}");
        let found = asked(&text, "https://gitlab.com/g/p");
        let has = (found.auth.is_some(), found.polling.is_some());
        assert_eq!(has, (auth, polls), "{text}");
    }
}

#[test]
fn auth_controls_authentication_and_polling_controls_pull_or_push() {
    let text = "
auths: [{url: 'https://github.com/o/r', pullingInterval: 7s, credentials: {https: {username: u, password: p}}}]
gitHubAuths:
- orgRepo: o/r
  auth: {appID: 1, installationID: 2, privateKey: k}
";
    let only_auth = asked(text, "https://github.com/o/r");
    assert_eq!(from(only_auth.auth.as_ref()), "gitHubAuths[0] of global");
    assert_eq!(polling(&only_auth), Some(every(7)));
    let text = text.replace(
        "auth: {appID: 1, installationID: 2, privateKey: k}",
        "polling: {pullingIntervalSeconds: 9}",
    );
    let only_polling = asked(&text, "https://github.com/o/r");
    assert_eq!(from(only_polling.auth.as_ref()), "auths[0] of global");
    assert_eq!(polling(&only_polling), Some(every(9)));
}

#[test]
fn it_first_searches_the_provider_specific_configuration_choosing_first_that_matches_if_any() {
    let text = "
auths: [{url: 'https://github.com/o/*', pullingInterval: 7s}]
gitHubAuths:
- {orgRepo: o/other, polling: {pullingIntervalSeconds: 1}}
- {orgRepo: o/r, polling: {pullingIntervalSeconds: 2}}
- {orgRepo: o/r, polling: {pullingIntervalSeconds: 3}}
";
    let found = asked(text, "git@github.com:o/r.git");
    assert_eq!(from(found.polling.as_ref()), "gitHubAuths[1] of global");
    assert_eq!(polling(&found), Some(every(2)));
    let none = asked(text, "git@github.com:o/third.git");
    assert_eq!(from(none.polling.as_ref()), "auths[0] of global");
    assert_eq!(polling(&none), Some(every(7)));
}

#[test]
fn a_missing_part_is_provided_from_the_first_matching_general_git_config() {
    let text = "
auths:
- {url: 'https://github.com/o/other', credentials: {https: {username: zero, password: p}}}
- {url: 'https://github.com/o/*', credentials: {https: {username: one, password: p}}}
- {url: 'https://github.com/o/r', pullingInterval: 9s, credentials: {https: {username: two, password: p}}}
gitHubAuths:
- {orgRepo: o/r}
- {orgRepo: o/r, auth: {appID: 1, installationID: 2, privateKey: k}}
";
    let found = asked(text, "https://github.com/o/r");
    // Neither a second provider's entry nor a second general one is looked at.
    assert_eq!(from(found.auth.as_ref()), "auths[1] of global");
    assert_eq!(found.polling, None);
    let why = found.auth.unwrap().why;
    assert!(
        why.contains("gitHubAuths[0] matches first and has no auth"),
        "{why}"
    );
}

#[test]
fn a_project_overwrites_the_global_configuration_and_a_tenant_overwrites_both() {
    let of = |user: &str| {
        format!(
            "auths: [{{url: 'https://h/r', credentials: {{https: {{username: {user}, password: p}}}}}}]"
        )
    };
    let environment = LevelName::Environment {
        project: "acme".parse().unwrap(),
        name: "staging".parse().unwrap(),
    };
    let mut levels = vec![
        level(tenant(), &of("tenant")),
        level(environment, &of("environment")),
        level(project(), &of("project")),
        level(LevelName::Global, &of("global")),
    ];
    for want in ["tenant", "environment", "project", "global"] {
        let found = resolve(&levels, &place("https://h/r.git"));
        let Some(Credentials::Https { user, .. }) = credentials(&found) else {
            panic!("{found:?}");
        };
        assert_eq!(user, want);
        levels.remove(0);
    }
    assert_eq!(resolve(&levels, &place("https://h/r")).auth, None);
}

#[test]
fn a_level_without_an_explicit_configuration_inherits_part_by_part() {
    let levels = [
        level(tenant(), "auths: [{url: 'https://h/r', pullingInterval: 5s}]"),
        level(project(), "author: {name: Acme}"),
        level(
            LevelName::Global,
            "auths: [{url: 'https://h/*', pullingInterval: 1h, credentials: {https: {username: u, password: p}}}]
author: {name: Platform}",
        ),
    ];
    let found = resolve(&levels, &place("https://h/r"));
    assert_eq!(from(found.polling.as_ref()), "auths[0] of Tenant web");
    assert_eq!(from(found.auth.as_ref()), "auths[0] of global");
    assert_eq!(from(found.author.as_ref()), " of Project acme");
    let general = |looked: &Looked| looked.general.is_some();
    let looked: Vec<bool> = found.looked.iter().map(general).collect();
    assert_eq!(looked, [true, false, true]);
}

/// An entry's address, a repository's, and whether the one means the other.
const PLACES: &str = "
    git@h.example:o/r.git     | ssh://git@h.example/o/r   | yes
    git@h.example:o/r.git     | https://h.example/o/r.git | yes
    https://h.example/o/r     | ssh://me@h.example/o/r/   | yes
    ssh://h.example:22/o/r    | https://H.example:443/o/r | yes
    https://h.example/o/r     | https://h.example:8443/o/r | no
    https://h.example:8443/o/r | https://h.example:8443/o/r | yes
    https://h.example/o/r     | http://h.example/o/r      | no
    http://h.example/o/r      | http://h.example/o/r      | yes
    http://h.example/o/r      | https://h.example/o/r     | yes
    https://h.example/o/r     | https://h.example/o/R     | yes
    https://h.example/O/r     | https://h.example/o/R.GIT | yes
    https://h.example/o/r     | https://h.example/o/%72   | yes
    https://h.example/o/%72   | https://h.example/o/r     | yes
    https://h.example/o/r     | https://h.example/o/r/.git | yes
    https://h.example/o/My%20R | https://h.example/o/my%20%72.git/ | yes
    https://h.example/o/r     | https://h.example/o/rr    | no
    https://h.example/o/r     | https://h.example./o/r    | yes
    https://h.example./o/r    | ssh://git@h.example/o/r   | yes
    https://h.example/o/*     | https://h.example/o/a/b   | yes
    https://h.example/o/*     | https://h.example/oo/a    | no
    git@h.example:o/*         | https://evil.example/h.example/o/a | no
    https://*.h.example/o/*   | https://a.h.example/o/a   | yes
    https://*.h.example/o/*   | https://a.b.h.example/o/a | yes
    https://*.h.example/o/*   | https://h.example/o/a     | no
    https://*.h.example/o/*   | https://evilh.example/o/a | no
    https://*.h.example/o/*   | https://evil.example/a.h.example/o/a | no
";

#[test]
fn addresses_are_compared_normalised_so_that_scp_ssh_and_https_forms_are_one() {
    for row in PLACES.lines().filter(|row| row.contains('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [entry, url, want] = cells[..] else {
            panic!("{row}")
        };
        let text = format!("auths: [{{url: '{entry}', pullingInterval: 5s}}]");
        let found = asked(&text, url).polling.is_some();
        assert_eq!(found, want == "yes", "{row}");
    }
}

/// With a narrow entry below a wide one, no spelling of the narrow one's repository is given the wide one's.
#[test]
fn a_narrow_entry_is_not_stepped_around_by_another_spelling() {
    let narrow = level(
        tenant(),
        "auths: [{url: 'https://h.example/o/secret', credentials: {https: {username: narrow, password: p}}}]",
    );
    let wide = level(
        LevelName::Global,
        "auths: [{url: 'https://h.example/*', credentials: {https: {username: wide, password: p}}}]",
    );
    let levels = [narrow, wide];
    // Where it is refused, nobody can say which one is meant.
    for (path, is_one) in [
        ("o/secret", true),
        ("o/%73ecret", true),
        ("O/Secret", true),
        ("o/secret.git", true),
        ("o/secret.GIT/", true),
        ("o/./secret", false),
        ("o//secret", false),
        ("o/x/..;/secret", false),
        ("o/secret;x", false),
        ("o%2fsecret", false),
        ("o/%2573ecret", false),
        ("o/secret.git.git", false),
        ("o/secret.git/.git", false),
    ] {
        let url = format!("https://h.example/{path}");
        let place = address(&url).ok().and_then(|url| Place::of(&url).ok());
        assert_eq!(place.is_some(), is_one, "{url}");
        let Some(place) = place else { continue };
        let found = resolve(&levels, &place);
        assert_eq!(from(found.auth.as_ref()), "auths[0] of Tenant web", "{url}");
    }
}

#[test]
fn a_forge_of_ones_own_is_named_by_its_address() {
    let text = "gitLabAuths: [{groupsProject: 'g/*:p', url: 'https://git.example:8443', auth: {accessToken: t}}]";
    assert!(
        asked(text, "https://git.example:8443/G/sub/P.git")
            .auth
            .is_some()
    );
    for other in ["https://gitlab.com/g/sub/p", "https://git.example/g/sub/p"] {
        assert_eq!(asked(text, other).auth, None, "{other}");
    }
}

const BOTH: &str = "
known_hosts: h ssh-ed25519 AAAA
auths:
- {url: 'bot@h:s/*', credentials: {ssh: {private_key: k, private_key_password: w}}}
- {url: 'http://h/*', credentials: {https: {username: u, password: p}}}
- {url: 'ssh://h:2222/*', credentials: {https: {username: u, password: p}}}
";

#[test]
fn a_repository_is_spoken_to_as_its_credentials_want_it() {
    for (url, want) in [
        ("https://h/s/r.git", "ssh://bot@h/s/r.git"),
        ("ssh://root@h/s/r.git", "ssh://bot@h/s/r.git"),
        ("git@h:w/r.git", "https://h/w/r.git"),
        ("https://h/w/r.git", "https://h/w/r.git"),
        ("http://h/w/r.git", "http://h/w/r.git"),
    ] {
        let (found, url) = (asked(BOTH, url), address(url).unwrap());
        let login = login(&url, &found.auth.unwrap()).unwrap();
        assert_eq!(login.url.to_string(), want, "{url}");
    }
    let url = "ssh://git@h:2222/w/r";
    let auth = asked(BOTH, url).auth.unwrap();
    let told = login(&address(url).unwrap(), &auth).unwrap_err();
    assert!(told.message.contains("auths[2]"), "{told}");
}

#[test]
fn a_key_without_known_hosts_is_not_used() {
    let text = BOTH.replace("known_hosts: h", "# h");
    let url = "git@h:s/r";
    let auth = asked(&text, url).auth.unwrap();
    let told = login(&address(url).unwrap(), &auth).unwrap_err();
    assert!(told.message.contains("no known_hosts"), "{told}");
    assert!(told.hint.unwrap().contains("ssh-keyscan h"));
    // Those of a level above will do, those of one below are not asked.
    let above = level(LevelName::Global, "known_hosts: from above");
    let levels = [
        level(tenant(), "known_hosts: from below"),
        level(project(), &text),
        above,
    ];
    let auth = resolve(&levels, &place(url)).auth.unwrap();
    assert_eq!(auth.value.known_hosts.as_deref(), Some("from above"));
}

#[test]
fn a_github_app_is_a_login_that_its_forge_makes_over_https() {
    for url in [
        "https://github.com/myorg/myrepository3.git",
        "git@github.com:myorg/myrepository3.git",
    ] {
        let auth = asked(EXAMPLE, url).auth.unwrap();
        let login = login(&address(url).unwrap(), &auth).unwrap();
        let over_https = "https://github.com/myorg/myrepository3.git";
        assert_eq!(login.url.to_string(), over_https);
        let Way::Made(agent) = login.way else {
            panic!("{:?}", login.way);
        };
        assert_eq!(agent.component, "github-provider");
        assert_eq!(
            agent.secret,
            Hidden::Path("/path/to/private/key/id_rsa".into())
        );
        assert_eq!(agent.api, "api.github.com");
    }
}

#[test]
fn an_address_with_a_login_has_its_own() {
    for (url, own) in [
        ("https://u:p@h/r", true),
        ("https://token@h/r", true),
        ("ssh://u:p@h/r", true),
        ("ssh://git@h/r", false),
        ("https://h/r", false),
    ] {
        assert_eq!(is_own(&address(url).unwrap()), own, "{url}");
    }
}
