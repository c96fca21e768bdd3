//! What a server is told in a fetch, in one go: these commits are wanted, those are here.
//!
//! It deliberately negotiates no further: what is here is a handful of commits, and whichever of them the server does not know it
//! passes over.

use gix::ObjectId;
use gix_protocol::fetch::{Arguments, Negotiate, Response, negotiate};

/// The whole negotiation: this is wanted, these are here, done.
pub(in crate::git) struct Asked {
    pub(in crate::git) wants: Vec<ObjectId>,
    pub(in crate::git) have: Vec<ObjectId>,
    /// Whether the contents of files are not to come along.
    pub(in crate::git) without_files: bool,
}

impl Negotiate for Asked {
    fn mark_complete_and_common_ref(&mut self) -> gix::error::Result<negotiate::Action> {
        Ok(negotiate::Action::MustNegotiate {
            remote_ref_target_known: Vec::new(),
        })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        if self.without_files && arguments.can_use_filter() {
            arguments.filter("blob:none");
        }
        self.wants.iter().for_each(|id| arguments.want(id));
        true
    }

    fn one_round(
        &mut self,
        _state: &mut negotiate::one_round::State,
        arguments: &mut Arguments,
        _previous: Option<&Response>,
    ) -> gix::error::Result<(negotiate::Round, bool)> {
        self.have.iter().for_each(|id| arguments.have(id));
        let round = negotiate::Round {
            haves_sent: self.have.len(),
            in_vain: 0,
            haves_to_send: self.have.len(),
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}
