//! From a path as it is written to a path in the tree.
//!
//! The one place that decides what may be reached: nothing absolute, nothing above the root. Addresses of other
//! repositories are `remote.rs`'s. The next stage is `session.rs`, which reads.

use crate::error::{Error, Place, Why};
use crate::fetched;
use crate::file::Entry;

/// The clean path of `entry`, which was written in a file of the directory `dir` and is no address.
pub(crate) fn local(dir: &str, entry: &Entry) -> Result<String, Error> {
    let written = entry.text.as_str();
    let refuse = |why| Err(Error::in_place(&entry.place, why));
    if written.is_empty() {
        return refuse(Why::Invalid("is empty".to_owned()));
    }
    if written.contains(['\n', '\0']) {
        return refuse(Why::Invalid("is no path".to_owned()));
    }
    if is_remote(written) {
        return refuse(Why::Remote {
            url: without_userinfo(written),
        });
    }
    let file = written
        .get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("file://"));
    if written.starts_with('/') || file || written.contains('\\') {
        return refuse(Why::Outside {
            path: written.to_owned(),
        });
    }
    join(dir, written).map_or_else(
        || {
            refuse(Why::Outside {
                path: written.to_owned(),
            })
        },
        Ok,
    )
}

/// `dir/path` without `.` and `..`; nothing if it leaves the root.
pub(crate) fn join(dir: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = dir.split('/').filter(|p| !p.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                // What was fetched has a root of its own.
                parts.pop().filter(|name| !fetched::is_top(name))?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The directory a file lies in.
pub(crate) fn parent(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// Whether `dir` is `other` or contains it.
pub(crate) fn contains(dir: &str, other: &str) -> bool {
    dir.is_empty()
        || other
            .strip_prefix(dir)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Two list items that became one by wrong indentation: `../../base - ../../other`.
pub(crate) fn is_ambiguous(path: &str) -> bool {
    path.split('/')
        .any(|part| part != ".." && part.contains(".."))
}

/// `to` as seen from the directory `from`.
pub(crate) fn relative(from: &str, to: &str) -> String {
    let parts = |p: &str| -> Vec<String> {
        p.split('/')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (from, to) = (parts(from), parts(to));
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.iter().skip(same).map(|_| "..".to_owned());
    up.chain(to.into_iter().skip(same))
        .collect::<Vec<_>>()
        .join("/")
}

fn is_remote(path: &str) -> bool {
    let lower = path.to_lowercase();
    let schemes = [
        "git::", "gh:", "ssh://", "git://", "https://", "http://", "s3::", "oci://", "hg::",
    ];
    let hosts = [
        "github.com",
        "gitlab.com",
        "bitbucket.org",
        "gitee.com",
        "git@",
    ];
    schemes.iter().any(|s| lower.starts_with(s))
        || hosts.iter().any(|host| {
            lower.strip_prefix(host).is_some_and(|rest| host.ends_with('@') || rest.starts_with(['/', ':']))
        })
        || ["?ref=", "?version=", "?timeout=", "?submodules=", "?depth=", "&ref="].iter().any(|q| lower.contains(q))
        || lower.contains(".git//")
        || lower.contains("_git/")
        // scp form: user@host:path
        || lower.split_once(':').is_some_and(|(host, _)| {
            host.split_once('@').is_some_and(|(user, name)| {
                !user.is_empty() && !user.contains('/') && name.contains('.') && !name.contains('/')
            })
        })
}

/// The address without what may be a password.
pub(crate) fn without_userinfo(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(s, r)| (s, r));
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(authority_end).unwrap_or((rest, ""));
    let host = match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') || !scheme.is_empty() => host,
        _ => authority,
    };
    let tail = tail.split_once('?').map_or_else(
        || tail.to_owned(),
        |(path, query)| {
            let kept: Vec<&str> = query
                .split('&')
                .filter(|pair| {
                    ["ref=", "version="]
                        .iter()
                        .any(|known| pair.starts_with(known))
                })
                .collect();
            if kept.is_empty() {
                path.to_owned()
            } else {
                format!("{path}?{}", kept.join("&"))
            }
        },
    );
    let scheme = if scheme.is_empty() {
        String::new()
    } else {
        format!("{scheme}://")
    };
    format!("{scheme}{host}{tail}")
}

/// A place in the field `field` of what the caller laid over.
pub(crate) fn overlay_place(field: String) -> Place {
    Place {
        field: Some(field),
        ..Place::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(dir: &str, path: &str) -> Result<String, Why> {
        let entry = Entry {
            text: path.to_owned(),
            place: Place::default(),
        };
        local(dir, &entry).map_err(|e| e.why().clone())
    }

    #[test]
    fn paths_stay_below_the_root() {
        assert_eq!(resolved("a/b", "../c/./d.yaml").unwrap(), "a/c/d.yaml");
        assert_eq!(resolved("a", "..").unwrap(), "");
        for path in [
            "../../x",
            "/etc/passwd",
            "file:///etc/passwd",
            "a/../../../x",
            "..\\x",
            "file://x",
        ] {
            assert!(
                matches!(resolved("a", path), Err(Why::Outside { .. })),
                "{path}"
            );
        }
    }

    #[test]
    fn remote_resources_are_refused_by_name_and_without_their_password() {
        for (path, url) in [
            (
                "github.com/org/repo//path?ref=v1",
                "github.com/org/repo//path?ref=v1",
            ),
            (
                "https://user:secret@host.example/x.yaml",
                "https://host.example/x.yaml",
            ),
            (
                "https://host.example/x.yaml?token=secret&ref=a",
                "https://host.example/x.yaml?ref=a",
            ),
            (
                "git::https://host.example/r.git",
                "git::https://host.example/r.git",
            ),
            (
                "git@host.example:org/repo.git",
                "git@host.example:org/repo.git",
            ),
            (
                "ssh://git@host.example/org/repo",
                "ssh://host.example/org/repo",
            ),
            (
                "deploy@host.example:org/repo",
                "deploy@host.example:org/repo",
            ),
            ("../base?ref=main", "../base?ref=main"),
            ("GitHub.com/org/repo", "GitHub.com/org/repo"),
        ] {
            assert_eq!(
                resolved("a", path),
                Err(Why::Remote {
                    url: url.to_owned()
                }),
                "{path}"
            );
        }
        assert_eq!(
            resolved("", "github.company/x.yaml").unwrap(),
            "github.company/x.yaml"
        );
    }

    #[test]
    fn a_path_is_seen_from_another() {
        assert_eq!(relative("a/b", "a/c/x.yaml"), "../c/x.yaml");
        assert_eq!(relative("", "c/x.yaml"), "c/x.yaml");
        assert_eq!(relative("a", "a/x.yaml"), "x.yaml");
    }

    #[test]
    fn containment_is_by_whole_names() {
        assert!(contains("", "a") && contains("a", "a") && contains("a", "a/b"));
        assert!(!contains("a", "ab") && !contains("a/b", "a"));
    }
}
