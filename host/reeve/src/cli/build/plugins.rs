//! The flags for what runs programs in kustomize: charts, functions, plugins.
//!
//! No program is run here. So a flag that asks for one is refused by its name, and one that only says how to run it means
//! nothing and is let pass: scripts give all of them with values that turn them off.

use clap::Args;

use crate::cli::ui::CommandError;

#[derive(Args)]
pub(super) struct PluginFlags {
    /// Refused unless it is false: charts are not inflated
    #[arg(long, value_parser = switch, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", value_name = "BOOL")]
    enable_helm: Option<bool>,
    /// Refused unless it is false: no program is run
    #[arg(long, value_parser = switch, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", value_name = "BOOL")]
    enable_exec: Option<bool>,
    /// Refused unless it is false: no plugin but kustomize's builtins is run
    #[arg(long, value_parser = switch, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", value_name = "BOOL")]
    enable_alpha_plugins: Option<bool>,
    /// Refused unless it is false: no script is run
    #[arg(long, value_parser = switch, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", value_name = "BOOL")]
    enable_star: Option<bool>,
    #[arg(long, hide = true)]
    helm_command: Option<String>,
    #[arg(long, hide = true)]
    helm_api_versions: Vec<String>,
    #[arg(long, hide = true)]
    helm_kube_version: Option<String>,
    #[arg(long, hide = true, value_parser = switch, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true")]
    helm_debug: Option<bool>,
    #[arg(long, hide = true, value_parser = switch, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true")]
    network: Option<bool>,
    #[arg(long, hide = true)]
    network_name: Option<String>,
    #[arg(long, hide = true)]
    mount: Vec<String>,
    #[arg(short = 'e', long = "env", hide = true)]
    env: Vec<String>,
    #[arg(long, hide = true, value_parser = switch, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true")]
    as_current_user: Option<bool>,
}

impl PluginFlags {
    pub(super) fn refuse(&self) -> Result<(), CommandError> {
        let plugins = "no plugin but kustomize's builtins is run";
        let asked = [
            ("--enable-helm", self.enable_helm, "charts are not inflated"),
            ("--enable-exec", self.enable_exec, "no program is run"),
            ("--enable-alpha-plugins", self.enable_alpha_plugins, plugins),
            ("--enable-star", self.enable_star, "no script is run"),
        ];
        let mut asked = asked.into_iter().filter(|(_, on, _)| *on == Some(true));
        let Some((flag, _, why)) = asked.next() else {
            return Ok(());
        };
        let error = CommandError::new(format!("{flag} is not supported: {why}"));
        Err(error.hint("leave it out, or render that part before and commit what comes out"))
    }
}

/// A boolean as kustomize's flags are given: alone, or behind `=` in one of Go's spellings.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err("it is neither true nor false".to_owned()),
    }
}
