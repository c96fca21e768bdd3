//! `reeve policy schema`: the shape of what policies read.

use reeve_core::admit;

use super::json;
use crate::cli::ui::{CommandError, Ui};

pub(super) fn run(ui: &mut Ui) -> Result<(), CommandError> {
    ui.data(json(&admit::schema())?.as_bytes())
}
