//! `reeve plugin new`: a project that builds and passes its case, to begin with.
//!
//! The same small plugin in each language: it puts the annotations of its config on every manifest. A provider, in Rust, gives
//! git a login. Their files lie in `template/`; `NAME` in them becomes the plugin's name.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::build::Language;
use super::wit;
use crate::cli::ui::{CommandError, Ui};

/// Write a plugin to begin with
///
/// A directory with sources, the contract (wit/), a JSON Schema of the config, two cases and a README. Nothing that is there
/// is overwritten.
#[derive(Args)]
pub(super) struct NewArgs {
    /// Its name, and that of the directory: lower case, digits and dashes
    name: PluginDirectory,
    /// The language
    #[arg(long, value_enum, value_name = "LANG")]
    lang: Language,
    /// What it is to be
    #[arg(long, value_enum, value_name = "WORLD", default_value_t = Kind::Transformer)]
    world: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Changes manifests between rendering and policy
    Transformer,
    /// Speaks to a forge; in Rust only
    Provider,
}

/// Where a plugin goes: the last part is its name.
#[derive(Clone, Debug)]
struct PluginDirectory {
    path: PathBuf,
    name: String,
}

impl std::str::FromStr for PluginDirectory {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = PathBuf::from(text);
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        // What is a package's name in every language, and an object's in Kubernetes.
        let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
        if !begins || name.ends_with('-') || name.len() > 63 || !name.bytes().all(known) {
            return Err(
                "a name has lower-case letters, digits and dashes, and begins with a letter",
            );
        }
        Ok(Self { path, name })
    }
}

type Files = &'static [(&'static str, &'static str)];

/// What every transformer has.
const TRANSFORMER: Files = &[
    (
        "config-schema.json",
        include_str!("template/config-schema.json"),
    ),
    ("manifest.json", include_str!("template/manifest.json")),
    (
        "case/annotates/in.yaml",
        include_str!("template/case/annotates/in.yaml"),
    ),
    (
        "case/annotates/config.yaml",
        include_str!("template/case/annotates/config.yaml"),
    ),
    (
        "case/annotates/want.yaml",
        include_str!("template/case/annotates/want.yaml"),
    ),
    (
        "case/wrong-config/in.yaml",
        include_str!("template/case/annotates/in.yaml"),
    ),
    (
        "case/wrong-config/config.yaml",
        include_str!("template/case/wrong-config/config.yaml"),
    ),
    (
        "case/wrong-config/error",
        include_str!("template/case/wrong-config/error"),
    ),
];

/// What a provider has, in Rust.
const PROVIDER: Files = &[
    (
        "config-schema.json",
        include_str!("template/provider/config-schema.json"),
    ),
    (
        "manifest.json",
        include_str!("template/provider/manifest.json"),
    ),
    (
        "case/credential/operation.json",
        include_str!("template/provider/case/credential/operation.json"),
    ),
    (
        "case/credential/exchange.json",
        include_str!("template/provider/case/credential/exchange.json"),
    ),
    (
        "case/credential/want.json",
        include_str!("template/provider/case/credential/want.json"),
    ),
    (
        "case/wrong-config/operation.json",
        include_str!("template/provider/case/wrong-config/operation.json"),
    ),
    (
        "case/wrong-config/exchange.json",
        include_str!("template/provider/case/wrong-config/exchange.json"),
    ),
    (
        "case/wrong-config/error",
        include_str!("template/case/wrong-config/error"),
    ),
    ("Cargo.toml", include_str!("template/rust/Cargo.toml.in")),
    ("src/lib.rs", include_str!("template/provider/lib.rs")),
    (".gitignore", "/target/\n"),
];

const RUST: Files = &[
    ("Cargo.toml", include_str!("template/rust/Cargo.toml.in")),
    ("src/lib.rs", include_str!("template/rust/lib.rs")),
    (".gitignore", "/target/\n"),
];

const PYTHON: Files = &[
    ("plugin.py", include_str!("template/python/plugin.py")),
    (
        "requirements.txt",
        include_str!("template/python/requirements.txt"),
    ),
    (".gitignore", "/.venv/\n__pycache__/\n"),
];

const JS: Files = &[
    ("plugin.js", include_str!("template/js/plugin.js")),
    ("package.json", include_str!("template/js/package.json")),
    (".gitignore", "node_modules\n"),
];

const GO: Files = &[
    ("go.mod", include_str!("template/go/go.mod.in")),
    ("object.go", include_str!("template/go/object.go")),
    ("reeve.go", include_str!("template/go/reeve.go")),
    ("transform.go", include_str!("template/go/transform.go")),
    (
        ".gitignore",
        "# the component is committed: plugins are fetched from git\n",
    ),
];

/// What stands in a README for one language: the source, and what installs its tools.
struct Words {
    files: Files,
    source: &'static str,
    tools: &'static str,
}

fn words(language: Language) -> Words {
    match language {
        Language::Rust => Words {
            files: RUST,
            source: "src/lib.rs",
            tools: "rustup target add wasm32-unknown-unknown",
        },
        Language::Python => Words {
            files: PYTHON,
            source: "plugin.py",
            tools: "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
        },
        Language::Js => Words {
            files: JS,
            source: "plugin.js",
            tools: "npm install",
        },
        Language::Go => Words {
            files: GO,
            source: "transform.go",
            tools: "go version   # 1.24 or newer",
        },
    }
}

pub(super) fn run(args: &NewArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let PluginDirectory { path, name } = &args.name;
    if path.exists() {
        let message = format!("{} is there already", path.display());
        return Err(CommandError::new(message).hint("choose another name; nothing is overwritten"));
    }
    let words = words(args.lang);
    let (common, own, readme) = match (args.world, args.lang) {
        (Kind::Transformer, _) => (TRANSFORMER, words.files, include_str!("template/README.md")),
        (Kind::Provider, Language::Rust) => (
            PROVIDER,
            Files::default(),
            include_str!("template/provider/README.md"),
        ),
        (Kind::Provider, _) => {
            let message = "there is a provider to begin with in Rust only";
            return Err(CommandError::new(message)
                .hint("wit/ of another project is all that a provider in this language needs"));
        }
    };
    for (file, text) in common.iter().chain(own) {
        write(&path.join(file), &text.replace("NAME", name))?;
    }
    let readme = readme.replace("NAME", name).replace("SOURCE", words.source);
    write(
        &path.join("README.md"),
        &readme.replace("TOOLS", words.tools),
    )?;
    wit::write(&path.join("wit"))?;
    let at = path.display();
    ui.data(
        format!(
            "{at}/{} is where it begins; {at}/README.md tells how to go on\n",
            words.source
        )
        .as_bytes(),
    )
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let directory = path.parent().unwrap_or(path);
    let written = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(path, text));
    written.map_err(|why| CommandError::of(&format!("writing {} failed", path.display()), &why))
}
