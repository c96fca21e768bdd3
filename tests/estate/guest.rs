//! Guests that the platform would never install on purpose, put where the controller finds plugins.
//!
//! Their texts lie in `tests/guests` (those that end badly, which the sandbox's own tests hold to
//! their ends too) and in `tests/scenarios/guests` (those that work, and want what they must not have).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, anyhow};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const EXPORT: &str =
    r#"(export "reeve:plugin/transform@0.1.0#transform") (param i32 i32 i32 i32) (result i32)"#;
const POST_RETURN: &str =
    r#"(export "cabi_post_reeve:plugin/transform@0.1.0#transform") (param i32)"#;

/// Endless.
pub const LOOPS: &str = "scenarios/loops.wasm";
/// Ends at an instruction that cannot be executed.
pub const TRAPS: &str = "scenarios/traps.wasm";
/// Answers with one ConfigMap in `kube-system`, whatever it was given.
pub const MOVES: &str = "scenarios/moves.wasm";
/// Answers with one ConfigMap that holds a password it was shown, or refuses with it when it has a config.
pub const COPIES: &str = "scenarios/copies.wasm";

/// Encodes the guests into the controller's plugin directory, once a process.
pub fn install() -> anyhow::Result<()> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| write_all().map_err(|why| format!("{why:#}")));
    installed.clone().map_err(|why| anyhow!("{why}"))
}

fn write_all() -> anyhow::Result<()> {
    let tests = crate::root().join("tests");
    for (component, folder) in [
        (LOOPS, "guests"),
        (TRAPS, "guests"),
        (MOVES, "scenarios/guests"),
        (COPIES, "scenarios/guests"),
    ] {
        let target = crate::root().join("target/plugins").join(component);
        let name = target.file_stem().context("a guest has a name")?;
        let text: PathBuf = tests.join(folder).join(name).with_extension("wat");
        let bytes = encode(&text).with_context(|| format!("{}", text.display()))?;
        put(&target, &bytes).with_context(|| format!("{}", target.display()))?;
    }
    Ok(())
}

/// Complete or not at all: another process may be reading it.
fn put(target: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let dir = target.parent().context("a file lies in a directory")?;
    std::fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.persist(target)?;
    Ok(())
}

fn encode(text: &Path) -> anyhow::Result<Vec<u8>> {
    let text = std::fs::read_to_string(text)?;
    let text = text
        .replace("{export}", EXPORT)
        .replace("{post-return}", POST_RETURN);
    let mut module = wat::parse_str(&text)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(crate::root().join("wit"))?;
    let world = resolve.select_world(&[package], Some("transformer"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&module)?.encode()
}
