//! The login that a forge makes for the App of an entry: made from where the command runs, by the provider that comes with the
//! controller, in the controller's sandbox.
//!
//! What it deliberately doesn't: keep the token. It opens the one repository, for reading, and ends by itself. The provider lies in a
//! file beside the controller and not in this program: where, a flag says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reeve_api::name::{RemoteUrl, Secret};
use reeve_core::failure::Explained;
use reeve_core::gitconfig::Agent;
use reeve_wasm::{Budget, Module, World, facts};

use crate::cli::git::told;
use crate::cli::plugin::place::{largest, sandbox};
use crate::cli::reach::everywhere;
use crate::cli::ui::CommandError;
use crate::clock::Clock;
use crate::forge::words::{Operation, Task};
use crate::forge::{Asks, Grant, HostPattern, Limits, Provider, Slot, Slots, repository};
use crate::git::Tls;
use crate::git::credential::Data;

/// By whom it is called.
const CALLER: &str = "you";

/// The login for the repository at `url`, made with the App's key.
pub(super) async fn login(
    agent: &Agent,
    key: &Secret,
    url: &RemoteUrl,
    dir: Option<&Path>,
) -> Result<Data, CommandError> {
    let (module, asks) = load(agent.component, dir).await?;
    let provider = provider(agent, key, asks)?;
    let address = url.without_userinfo();
    let repository = repository(&address)
        .ok_or_else(|| CommandError::new("the address that is to prove it names no repository"))?;
    let operation = Operation {
        task: Task::GitCredential(false),
        repository,
        config: agent.config.clone(),
        slots: Vec::new(),
    };
    let budget = Budget::default();
    let asked = provider.ask(&module, CALLER, &budget, operation);
    let failed = "having a token made by the forge failed, and nothing was changed";
    let outcome = asked
        .await
        .map_err(|why| told(failed, &Explained::of(&why)))?;
    let login = outcome.credential;
    let login = login.ok_or_else(|| CommandError::new(format!("{failed}: it made none")))?;
    let entry = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let user = entry("username", &login.user);
    Ok([user, entry("password", login.password.expose())].into())
}

/// The provider as the controller loads it.
async fn load(component: &str, dir: Option<&Path>) -> Result<(Module, Asks), CommandError> {
    let place = place(component, dir, std::env::current_exe().ok().as_deref());
    let bytes = std::fs::read(&place).map_err(|why| {
        let message = format!(
            "a GitHub App is proven by the provider that comes with the controller, and reading {} failed",
            place.display()
        );
        CommandError::of(&message, &why).hint(
            "name its directory with --plugins-dir: the controller's own, or target/plugins after `make plugins`",
        )
    })?;
    let failed = |why: reeve_wasm::Error| {
        CommandError::of(&format!("loading {} failed", place.display()), &why)
    };
    let facts = facts(&bytes, largest()).map_err(failed)?;
    let asks = Asks::parse(facts.manifest.as_ref());
    let asks =
        asks.map_err(|why| CommandError::of(&format!("loading {} failed", place.display()), &why))?;
    let sandbox = sandbox(&Budget::default())?;
    let module = sandbox.load(CALLER, &bytes, World::Provider).await;
    Ok((module.map_err(failed)?, asks))
}

/// Where the provider lies: where it is said, or beside this program, as in the controller's image.
fn place(component: &str, dir: Option<&Path>, program: Option<&Path>) -> PathBuf {
    let beside = program.and_then(Path::parent);
    let dir = match (dir, beside) {
        (Some(dir), _) => dir.to_owned(),
        (None, Some(beside)) => beside.join("plugins"),
        (None, None) => PathBuf::from("plugins"),
    };
    dir.join(format!("{component}.wasm"))
}

/// What it is granted: what the controller grants it for the entry.
fn provider(agent: &Agent, key: &Secret, asks: Asks) -> Result<Provider, CommandError> {
    let pattern = |host: &str| {
        let host = host.parse::<HostPattern>();
        host.map_err(|why| CommandError::of("the forge's host cannot be asked", &why))
    };
    let api = pattern(&agent.api)?;
    let mut slots = Slots::new();
    let slot = Slot {
        value: Secret::new(key.expose().trim_end()),
        hosts: vec![api.clone()],
    };
    slots.insert(agent.slot.to_owned(), slot);
    Ok(Provider {
        name: agent.component.to_owned(),
        whose: String::new(),
        asks: Arc::new(asks),
        grant: Arc::new(Grant {
            hosts: vec![api, pattern(&agent.host)?],
            http: is_plain(&agent.config),
        }),
        slots,
        egress: everywhere(),
        tls: Tls::default(),
        limits: Limits::default(),
        clock: Clock::system(),
        pauses: Arc::default(),
        answers: Arc::default(),
    })
}

/// Whether the entry itself says that the API is spoken to in the clear.
fn is_plain(config: &str) -> bool {
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    let api = config.get("api").and_then(serde_json::Value::as_str);
    api.is_some_and(|api| api.starts_with("http://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_lies_where_it_is_said_or_beside_the_program() {
        let path = |text: &'static str| Some(Path::new(text));
        for (dir, program, want) in [
            (path("/x"), path("/bin/reeve"), "/x/p.wasm"),
            (None, path("/bin/reeve"), "/bin/plugins/p.wasm"),
            (None, path("/reeve"), "/plugins/p.wasm"),
            (None, None, "plugins/p.wasm"),
        ] {
            assert_eq!(place("p", dir, program), Path::new(want));
        }
    }

    #[test]
    fn an_api_is_spoken_to_in_the_clear_only_where_the_entry_says_so() {
        assert!(is_plain(r#"{"api": "http://git.example/api/v3"}"#));
        for config in [r#"{"api": "https://git.example/api/v3"}"#, "{}", "x"] {
            assert!(!is_plain(config), "{config}");
        }
    }
}
