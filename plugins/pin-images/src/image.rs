//! What an image's name means: `nginx` is `docker.io/library/nginx:latest`.

use std::fmt;

/// An image's name with what was left out filled in, so that two ways to write it are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    repository: String,
    tag: String,
    /// `sha256:…`, when it is pinned.
    pub digest: Option<String>,
}

impl Image {
    /// Reads any text: whether it is a good name is for those to say who pull it.
    pub fn parse(text: &str) -> Self {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (text, None),
        };
        // A colon before the last slash is a port's.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (name, "latest"),
        };
        Self {
            repository: repository(name),
            tag: tag.to_owned(),
            digest,
        }
    }
}

/// Containers' runtimes take a first part without dot, colon or `localhost` as a path at Docker Hub.
fn repository(name: &str) -> String {
    let host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    match name.split_once('/') {
        Some(("index.docker.io", rest)) => format!("docker.io/{rest}"),
        Some(("docker.io", rest)) if !rest.contains('/') => format!("docker.io/library/{rest}"),
        Some((first, _)) if host(first) => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}
