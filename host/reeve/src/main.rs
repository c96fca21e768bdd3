//! reeve: the multi-tenant GitOps controller for Kubernetes.

use std::process::ExitCode;

fn main() -> ExitCode {
    reeve::cli::main()
}
