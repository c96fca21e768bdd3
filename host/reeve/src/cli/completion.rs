//! `reeve completion`: what a shell needs to complete commands.

use clap::Args;
use clap_complete::Shell;

use super::ui::{CommandError, Ui};

/// Print the completion script for a shell
///
/// For bash: `source <(reeve completion bash)`.
#[derive(Args)]
pub(super) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "reeve", &mut script);
    ui.data(&script)
}
