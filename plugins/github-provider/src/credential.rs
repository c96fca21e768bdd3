//! A git credential: the installation's token until it ends, or the access token.

use provider::{Credential, Done, Next, Operation, Refusal, no};

use crate::auth::Auth;

/// The user that GitHub's documentation names for any token; it looks at the password alone.
const USER: &str = "x-access-token";

pub(crate) fn step(
    auth: &Auth,
    operation: &Operation,
    ends: Option<String>,
) -> Result<Next, Refusal> {
    let url = &operation.repository.url;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(no(
            "a token serves git over https only: change the repository's URL, or use a deploy key",
        ));
    }
    Ok(Next::Done(Done::Credential(Credential {
        username: USER.to_owned(),
        password: auth.slot().to_owned(),
        expires_at: ends,
    })))
}
