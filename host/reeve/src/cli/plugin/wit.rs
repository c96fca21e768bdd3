//! The contract, as it is written into projects and given to their tools.

use std::path::Path;

use crate::cli::ui::CommandError;

/// The files of `wit/`.
pub(super) const FILES: [(&str, &str); 5] = [
    ("world.wit", include_str!("../../../../../wit/world.wit")),
    ("types.wit", include_str!("../../../../../wit/types.wit")),
    (
        "transform.wit",
        include_str!("../../../../../wit/transform.wit"),
    ),
    (
        "provider.wit",
        include_str!("../../../../../wit/provider.wit"),
    ),
    ("log.wit", include_str!("../../../../../wit/log.wit")),
];
/// The world that templates implement.
pub(super) const WORLD: &str = "transformer";

/// Writes the contract into a folder.
pub(super) fn write(folder: &Path) -> Result<(), CommandError> {
    let failed = |why: std::io::Error| {
        CommandError::of(&format!("writing {} failed", folder.display()), &why)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text).map_err(failed)?;
    }
    Ok(())
}
