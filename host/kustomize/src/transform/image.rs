//! `images`: another name, tag or digest for an image, wherever containers are.
//!
//! Found twice, as kustomize does: in every list named `containers` or `initContainers` at any depth, and in the given
//! fields. A CRD is left alone.

use crate::budget::Budget;
use crate::error::{Error, Why};
use crate::fieldspec::FieldSpec;
use crate::file::Image;
use crate::pattern::{Pattern, Plain};
use crate::resource::{Resource, set_text};
use crate::session::Session;
use crate::yaml::Node;

/// Changes one image in all `resources`.
pub(crate) fn apply(
    session: &Session<'_>,
    image: &Image,
    fields: &[FieldSpec],
    resources: &mut [Resource],
) -> Result<(), Error> {
    let steps = resources.len() * (1 + fields.len());
    let charge = session.budget.steps(steps as u64);
    charge.map_err(|why| Error::in_place(&image.place, why))?;
    let named = Named::new(&image.set.name, &session.budget);
    let Some(named) = named.map_err(|why| Error::in_place(&image.place, why))? else {
        return Ok(());
    };
    let mut set = |node: &mut Node| update(session, node, &named, image);
    for resource in resources
        .iter_mut()
        .filter(|r| r.kind() != "CustomResourceDefinition")
    {
        let found = find_containers(&mut resource.node, &session.budget, &mut set);
        found.map_err(|why| resource.error(&why))?;
        for spec in fields {
            spec.apply(resource, None, &session.budget, &mut set)
                .map_err(|why| resource.error(&why))?;
        }
    }
    Ok(())
}

/// The images of a name. kustomize takes it for a regular expression; one that is none matches nothing.
enum Named {
    Plain(Plain),
    Pattern(Pattern),
}

impl Named {
    fn new(name: &str, budget: &Budget) -> Result<Option<Self>, Why> {
        if let Some(plain) = Plain::new(name) {
            return Ok(Some(Self::Plain(plain)));
        }
        let tail = "(:[a-zA-Z0-9_.{}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{}-]*)?";
        let pattern = Pattern::new(&format!("^{name}{tail}$"), budget)?;
        Ok(pattern.map(Self::Pattern))
    }

    fn fits(&self, image: &str) -> bool {
        match self {
            Self::Plain(name) => name.strip(image).is_some_and(is_tail),
            Self::Pattern(pattern) => pattern.fits(image),
        }
    }
}

/// Whether this is nothing, or a tag, a digest, or both: what `tail` above fits.
fn is_tail(text: &str) -> bool {
    let is_word = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.{}-".contains(&b))
    };
    let (tag, digest) = match text.split_once('@') {
        Some((tag, digest)) => (tag, Some(digest)),
        None => (text, None),
    };
    let is_digest = |digest: &str| {
        digest.split_once(':').is_some_and(|(algorithm, hash)| {
            let is_part =
                |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
            algorithm.split(['.', '+', '_', '-']).all(is_part) && is_word(hash)
        })
    };
    (tag.is_empty() || tag.strip_prefix(':').is_some_and(is_word)) && digest.is_none_or(is_digest)
}

fn find_containers(
    node: &mut Node,
    budget: &Budget,
    set: &mut dyn FnMut(&mut Node) -> Result<(), String>,
) -> Result<(), String> {
    match node {
        Node::Map(map) => {
            let charge = budget.steps(map.len() as u64);
            charge.map_err(|why| why.to_string())?;
            for (key, value) in map.iter_mut() {
                find_containers(value, budget, set)?;
                if let ("containers" | "initContainers", Node::Seq(items)) = (key.as_str(), value) {
                    let images = items.iter_mut().filter_map(|item| item.get_mut("image"));
                    images.into_iter().try_for_each(&mut *set)?;
                }
            }
            Ok(())
        }
        Node::Seq(items) => items
            .iter_mut()
            .try_for_each(|item| find_containers(item, budget, set)),
        Node::Scalar(_) => Ok(()),
    }
}

fn update(
    session: &Session<'_>,
    node: &mut Node,
    named: &Named,
    image: &Image,
) -> Result<(), String> {
    if !node.is_scalar() {
        return Err(format!("image must be a string, not {}", node.kind_name()));
    }
    // Comparing ends at the first letter that differs, an expression goes through all of them.
    let cost = match named {
        Named::Plain(_) => 1,
        Named::Pattern(pattern) => pattern.cost() + node.raw_text().len() as u64 / 4,
    };
    let charge = session.budget.steps(cost);
    charge.map_err(|why| why.to_string())?;
    if named.fits(node.raw_text()) {
        let new = replaced(node.raw_text(), image);
        session.budget.text(&new).map_err(|why| why.to_string())?;
        set_text(node, new);
    }
    Ok(())
}

fn replaced(written: &str, image: &Image) -> String {
    let (name, mut tag, mut digest) = split(written);
    let set = &image.set;
    if !set.new_tag.is_empty() || !set.digest.is_empty() {
        (tag, digest) = (set.new_tag.clone(), set.digest.clone());
    } else if !image.tag_suffix.is_empty() {
        tag.push_str(&image.tag_suffix);
        digest.clear();
    }
    let mut new = if set.new_name.is_empty() {
        name
    } else {
        set.new_name.clone()
    };
    for (mark, part) in [(':', tag), ('@', digest)] {
        if !part.is_empty() {
            new.push(mark);
            new.push_str(&part);
        }
    }
    new
}

/// Name, tag and digest of `[host[:port]/]name[:tag][@digest]`.
pub fn split(image: &str) -> (String, String, String) {
    let after_host = image.find('/').filter(|at| *at > 0).unwrap_or(0);
    let search = image.get(after_host..).unwrap_or_default();
    let (named, digest) = match search.find('@') {
        Some(at) => image
            .split_at_checked(after_host + at)
            .unwrap_or((image, "")),
        None => (image, ""),
    };
    let named_search = named.get(after_host..).unwrap_or_default();
    let (name, tag) = match named_search.find(':') {
        Some(at) => named
            .split_at_checked(after_host + at)
            .unwrap_or((named, "")),
        None => (named, ""),
    };
    let part = |text: &str, mark: char| text.strip_prefix(mark).unwrap_or(text).to_owned();
    (name.to_owned(), part(tag, ':'), part(digest, '@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_as_the_expression_that_it_is() {
        let budget = Budget::new(crate::options::Limits::default());
        let tails = [
            "",
            ":",
            ":1.2",
            ":{v}",
            ":a b",
            ":a:b",
            "@",
            "@sha256:ab",
            ":1@sha256:ab",
            "@a+b.c:",
            "@a+:b",
            "@a..b:c",
            "@sha256",
            "1",
            "/x",
            "@a:b@c:d",
            "\n",
        ];
        for name in ["web", "r.io/web", "r-io/web"] {
            let expression = Named::new(&format!("(?:{name})"), &budget);
            let expression = expression.unwrap().unwrap();
            let plain = Named::new(name, &budget).unwrap().unwrap();
            assert!(matches!(
                (&expression, &plain),
                (Named::Pattern(_), Named::Plain(_))
            ));
            for tail in tails {
                for image in ["web", "r.io/web", "r-io/web"].map(|name| format!("{name}{tail}")) {
                    assert_eq!(
                        plain.fits(&image),
                        expression.fits(&image),
                        "{name}: {image}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_image_is_split_into_name_tag_and_digest() {
        for (image, name, tag, digest) in [
            ("nginx", "nginx", "", ""),
            ("nginx:1", "nginx", "1", ""),
            ("nginx@sha256:x", "nginx", "", "sha256:x"),
            ("nginx:1@sha256:x", "nginx", "1", "sha256:x"),
            ("host:5000/nginx", "host:5000/nginx", "", ""),
            ("nginx:1.2", "nginx", "1.2", ""),
            ("host:5000/a/b", "host:5000/a/b", "", ""),
            (
                "host:5000/a/b:1@sha256:12",
                "host:5000/a/b",
                "1",
                "sha256:12",
            ),
            (
                "host:5000/nginx:1@sha256:x",
                "host:5000/nginx",
                "1",
                "sha256:x",
            ),
        ] {
            assert_eq!(
                split(image),
                (name.into(), tag.into(), digest.into()),
                "{image}"
            );
        }
    }
}
