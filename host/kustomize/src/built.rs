//! What a build comes to: its objects, or what it lacks.
//!
//! A value of the build and one of an object are much alike in size. So each object is made when it is asked for, and its
//! value is gone then. Whatever could go wrong has been looked at before the first.

use std::vec;

use crate::error::Error;
use crate::object::Object;
use crate::remote::Wanted;
use crate::resource::Resource;
use crate::session::Session;
use crate::yaml::Node;

/// What became of a build that may use what is not in its tree.
#[derive(Clone, Debug)]
pub enum Built {
    /// The objects.
    Objects(Objects),
    /// What must be fetched first. What lies behind that is not known yet, so there may be more next time.
    Wants(Vec<Wanted>),
}

/// The objects of a build in their order, each made when it is asked for: who needs one at a time never holds all.
#[derive(Clone, Debug)]
pub struct Objects {
    nodes: vec::IntoIter<Node>,
}

impl Objects {
    pub(crate) fn of(session: &Session<'_>, resources: Vec<Resource>) -> Result<Self, Error> {
        let settled = |resource: Resource| resource.settled(session);
        let nodes: Vec<Node> = resources
            .into_iter()
            .map(settled)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            nodes: nodes.into_iter(),
        })
    }
}

impl Iterator for Objects {
    type Item = Object;

    fn next(&mut self) -> Option<Object> {
        let value = self.nodes.next()?.value();
        Some(Object::try_from(value).expect("because what is no mapping was refused"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.nodes.size_hint()
    }
}

impl ExactSizeIterator for Objects {}
