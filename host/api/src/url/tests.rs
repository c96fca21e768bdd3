//! Tables: what is a repository's URL, what is not, and what is printed.

use super::*;

#[test]
fn a_url_is_taken_apart_as_it_was_meant() {
    for (text, want) in [
        (
            "https://git.example/acme/web.git",
            (Scheme::Https, None, "git.example", 443, "/acme/web.git"),
        ),
        (
            "https://Git.Example:8443/x/",
            (Scheme::Https, None, "git.example", 8443, "/x/"),
        ),
        (
            "http://127.0.0.1:3000/x",
            (Scheme::Http, None, "127.0.0.1", 3000, "/x"),
        ),
        (
            "http://[::1]:3000/x",
            (Scheme::Http, None, "::1", 3000, "/x"),
        ),
        (
            "https://dev.example/o/My%20Project/_git/x",
            (
                Scheme::Https,
                None,
                "dev.example",
                443,
                "/o/My%20Project/_git/x",
            ),
        ),
        (
            "ssh://git@git.example/~me/x",
            (Scheme::Ssh, Some("git"), "git.example", 22, "/~me/x"),
        ),
        (
            "ssh://git@host:2222/x",
            (Scheme::Ssh, Some("git"), "host", 2222, "/x"),
        ),
        (
            "ssh://git@127.0.0.1:2222/srv/x.git",
            (Scheme::Ssh, Some("git"), "127.0.0.1", 2222, "/srv/x.git"),
        ),
        (
            "ssh://git@host:/x",
            (Scheme::Ssh, Some("git"), "host", 22, "/x"),
        ),
        ("ssh://host/x", (Scheme::Ssh, None, "host", 22, "/x")),
        (
            "ssh://a%40b@host/x",
            (Scheme::Ssh, Some("a@b"), "host", 22, "/x"),
        ),
        // However an IPv4 address is written, it is that address.
        (
            "http://2130706433/x",
            (Scheme::Http, None, "127.0.0.1", 80, "/x"),
        ),
        (
            "http://0x7f.1/x",
            (Scheme::Http, None, "127.0.0.1", 80, "/x"),
        ),
        (
            "ssh://git@0177.0.0.1/x",
            (Scheme::Ssh, Some("git"), "127.0.0.1", 22, "/x"),
        ),
    ] {
        let url = RemoteUrl::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(
            (url.scheme(), url.user(), url.host(), url.port(), url.path()),
            want,
            "{text}"
        );
        assert!(!url.is_scp(), "{text}");
    }
}

#[test]
fn a_group_in_the_place_of_the_port_is_the_short_form() {
    for (text, path) in [
        (
            "ssh://git@code.vt.edu:it-common-platform/tenants/x.git",
            "it-common-platform/tenants/x.git",
        ),
        ("ssh://git@host:group", "group"),
        ("ssh://git@host:2b/x", "2b/x"),
        ("ssh://git@[::1]:group/x", "group/x"),
    ] {
        let url = RemoteUrl::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(
            (url.is_scp(), url.port(), url.path()),
            (true, 22, path),
            "{text}"
        );
        assert_eq!(url.to_string(), text, "printed as it was written");
    }
    // Over http there is no short form.
    assert_eq!(RemoteUrl::parse("https://host:group/x"), Err(NotAUrl::Port));
}

#[test]
fn what_is_not_a_url_of_a_repository_is_refused_with_a_reason() {
    let long = format!("https://host/{}", "a".repeat(MAX_URL));
    for (text, why) in [
        ("", NotAUrl::Scheme),
        ("ext::sh -c 'touch /tmp/x'", NotAUrl::Control),
        ("ext::sh", NotAUrl::Scheme),
        ("ext::https://host/x", NotAUrl::Scheme),
        ("-uhttp://x", NotAUrl::Scheme),
        ("--upload-pack=touch", NotAUrl::Scheme),
        ("file:///etc", NotAUrl::Scheme),
        ("/etc/passwd", NotAUrl::Scheme),
        ("git://host/x", NotAUrl::Scheme),
        ("HTTPS://host/x", NotAUrl::Scheme),
        ("git@host:group/x", NotAUrl::Scheme),
        ("https:/host/x", NotAUrl::Scheme),
        ("ssh://-oProxyCommand=x/y", NotAUrl::Host),
        ("ssh://-oProxyCommand/y", NotAUrl::Host),
        ("ssh://git@-oProxyCommand/y", NotAUrl::Host),
        ("ssh://-oProxyCommand=x@host/y", NotAUrl::User),
        ("ssh://%2doProxyCommand=x@host/y", NotAUrl::User),
        ("ssh://git@host/../x", NotAUrl::DotDot),
        ("ssh://git@host:../x", NotAUrl::DotDot),
        ("https://host/a/..", NotAUrl::DotDot),
        ("https://host/a/%2e%2E/b", NotAUrl::DotDot),
        ("https://host/a/.%252e/b", NotAUrl::DotDot),
        ("https://host/a/%2e%2e%2fb", NotAUrl::DotDot),
        ("https://host/a%0ab", NotAUrl::DotDot),
        ("https://host/a%zz", NotAUrl::DotDot),
        // A servlet container drops what begins with `;` before it goes up.
        ("https://host/team/..;/other/x", NotAUrl::DotDot),
        ("https://host/team/..;a=b/other/x", NotAUrl::DotDot),
        ("https://host/team/%2e.%3b/other/x", NotAUrl::DotDot),
        ("https://host/team/.%252e%253bx/other/x", NotAUrl::DotDot),
        ("ssh://git@host/team/..;/other/x", NotAUrl::DotDot),
        ("https://host/a/;x/b", NotAUrl::DotDot),
        ("https://host/a/x;y", NotAUrl::Path),
        ("https://host/a/x%3By", NotAUrl::Path),
        // And every server leaves these out, so that they would be second names.
        ("https://host/a/./b", NotAUrl::DotDot),
        ("https://host/a/%2e/b", NotAUrl::DotDot),
        ("https://host/a//b", NotAUrl::DotDot),
        ("https://host//a", NotAUrl::DotDot),
        ("https://host/a//", NotAUrl::DotDot),
        ("https://host/a%2f%2fb", NotAUrl::DotDot),
        ("https://host/a\\..\\b", NotAUrl::DotDot),
        ("https://host/a\\b", NotAUrl::Path),
        ("ssh://git@host/-x", NotAUrl::Path),
        ("ssh://git@host:-x", NotAUrl::Path),
        ("ssh://git@host/x'y", NotAUrl::Path),
        ("https://host/x\ny", NotAUrl::Control),
        ("https://host/x\0", NotAUrl::Control),
        ("https://ho\u{202e}st/x", NotAUrl::Host),
        ("https://host/x\u{85}", NotAUrl::Control),
        ("https://１２７.0.0.1/x", NotAUrl::Host),
        ("https://gıt.example/x", NotAUrl::Host),
        ("https://%31%32%37.0.0.1/x", NotAUrl::Host),
        ("https://host%00.example/x", NotAUrl::Host),
        ("https://999.999.999.999/x", NotAUrl::Host),
        ("https:///x", NotAUrl::Host),
        ("https://user@/x", NotAUrl::Host),
        ("https://[::1/x", NotAUrl::Host),
        ("https://[::1]x/x", NotAUrl::Host),
        ("https://[fe80::1%25eth0]/x", NotAUrl::Host),
        ("https://host:0/x", NotAUrl::Port),
        ("https://host:65536/x", NotAUrl::Port),
        ("ssh://git@host:99999999999/x", NotAUrl::Port),
        ("https://us%00er@host/x", NotAUrl::User),
        ("https://user:%zz@host/x", NotAUrl::User),
        ("https://host", NotAUrl::NoPath),
        ("https://host//", NotAUrl::NoPath),
        ("ssh://git@host", NotAUrl::NoPath),
        ("https://host/x?token=y", NotAUrl::Query),
        ("https://host/x#y", NotAUrl::Query),
        ("https://user:pa?ss@host/x", NotAUrl::Query),
        (long.as_str(), NotAUrl::TooLong),
    ] {
        assert_eq!(RemoteUrl::parse(text), Err(why), "{text:?}");
    }
}

#[test]
fn a_password_is_never_printed() {
    for (text, shown) in [
        ("http://user:hunter2@host/x", "http://***@host/x"),
        ("https://hunter2@host/x", "https://***@host/x"),
        ("https://:hunter2@host/x", "https://***@host/x"),
        (
            "https://us:er:hunter2@host:8443/x",
            "https://***@host:8443/x",
        ),
        ("https://user@hunter2@host/x", "https://***@host/x"),
        ("ssh://git:hunter2@host/x", "ssh://git:***@host/x"),
        ("ssh://:hunter2@host/x", "ssh://***@host/x"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("https://user:hunter2@[::1]:1/x", "https://***@[::1]:1/x"),
        ("https://user:hunter2@host", "***"),
        ("https://user:hunter2@host/../x", "***"),
    ] {
        let text = UrlText::from(text);
        assert_eq!(format!("{text:?}"), shown);
        match text.parse() {
            Ok(url) => {
                assert_eq!(format!("{url:?} {url}"), format!("{shown} {shown}"));
                assert!(!url.without_userinfo().contains('@'), "{shown}");
            }
            Err(why) => assert!(!format!("{why} {why:?}").contains("hunter2"), "{shown}"),
        }
    }
    let url = RemoteUrl::parse("http://us%3aer:p%40ss@host/x").unwrap();
    assert_eq!(
        (url.user(), url.password().map(Secret::expose)),
        (Some("us:er"), Some("p@ss"))
    );
    assert_eq!(format!("{:?} {0}", Secret::new("hunter2")), "*** ***");
}

#[test]
fn what_is_printed_is_read_as_the_same_place() {
    for text in [
        "ssh://git@host:2222/x",
        "https://git.example/a/b.git",
        "ssh://git@[::1]:group/x",
        "http://127.1/x",
    ] {
        let url = RemoteUrl::parse(text).unwrap();
        assert_eq!(RemoteUrl::parse(&url.to_string()), Ok(url), "{text}");
    }
}

/// No text, however broken, is more than refused.
#[test]
fn no_text_makes_the_parser_panic() {
    let parts = [
        "ssh://", "https://", "http", ":", "/", "@", "%", "%2", "..", "-", "[", "]", "ä", "\0",
        "x", "::", "0", "'", "git",
    ];
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..state % 9 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(parts[(state >> 33) as usize % parts.len()]);
        }
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        if let Ok(url) = RemoteUrl::parse(&text) {
            assert!(
                !url.path().split('/').any(|part| part == "..") && !url.host().starts_with('-'),
                "{text:?}"
            );
        }
    }
}

/// Policies are told it, and what they say stands in conditions.
#[test]
fn a_text_is_told_without_its_password() {
    for (text, told) in [
        ("https://ada:pw@git.example/a", "https://***@git.example/a"),
        ("https://git.example/a", "https://git.example/a"),
        ("no URL with a pw in it", "***"),
    ] {
        assert_eq!(UrlText::from(text).to_string(), told);
    }
}
