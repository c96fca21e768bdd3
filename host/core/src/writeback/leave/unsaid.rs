//! What is left alone where the API server refuses to say what applying would make of an object: some of what git has cannot be
//! changed into from what is there.
//!
//! Then an object is made anew, if that was allowed, and what others have changed of it would be gone before anybody had written it
//! back. So it is asked first, of what git says over what is there: what the server fills in differs in nothing by that. It
//! deliberately doesn't say whether the rest can be applied then; a dry run without what is left does.

use serde_json::Value;

use super::{Leave, Yielding};
use crate::overlay::laid_over;

impl Yielding {
    /// What is left alone of an object of which no dry run can be made: `wanted` as git has it, `live` as it is.
    pub fn leave_unsaid(&self, resource: &str, id: &str, wanted: &Value, live: &Value) -> Leave {
        if self.is_none() {
            return Leave::default();
        }
        let would = laid_over(live, wanted);
        self.leave(resource, id, wanted, live, &would)
    }
}
