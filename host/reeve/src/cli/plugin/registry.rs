//! `reeve plugin push`, `pull`, `sign` and `verify`: the way to a registry from a terminal.
//!
//! Logins are flags, or Docker's config file; helpers that it names are not run. What lies in a registry is `crate::oci`'s.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use reeve_api::name::Secret;
use reeve_wasm::facts;

use super::place::{largest, runtime};
use super::read;
use crate::cli::provide_tls;
use crate::cli::reach::{everywhere, login};
use crate::cli::ui::{CommandError, Ui};
use crate::oci::{self, Access, Described, Login, PrivateKey, PublicKey, Pulled, Reference};

/// Push a component to a registry
///
/// As an artifact that wasm-pkg-tools and other tools know. Prints the reference with its digest: the same component has
/// the same digest each time.
#[derive(Args)]
pub(super) struct PushArgs {
    /// The component
    component: PathBuf,
    /// Where to: oci://HOST/NAME:TAG
    reference: Reference,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Fetch a component from a registry
#[derive(Args)]
pub(super) struct PullArgs {
    /// Where from: oci://HOST/NAME:TAG or oci://HOST/NAME@sha256:…
    reference: Reference,
    /// Write it to this file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Sign a component in a registry
///
/// As cosign does, so that `cosign verify --key` believes it. The key is ECDSA on P-256 or Ed25519: PKCS#8 in PEM, or one of
/// cosign's own with its password in $COSIGN_PASSWORD.
#[derive(Args)]
pub(super) struct SignArgs {
    /// What: oci://HOST/NAME@sha256:… signs that, oci://HOST/NAME:TAG what the tag is at now
    reference: Reference,
    /// The private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Check who signed a component in a registry
///
/// Exits 1 unless one of the keys signed it. Signatures are those of cosign, without a transparency log.
#[derive(Args)]
pub(super) struct VerifyArgs {
    /// What: oci://HOST/NAME:TAG or oci://HOST/NAME@sha256:…
    reference: Reference,
    /// A public key that is believed
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// How to get to a registry.
#[derive(Args)]
pub(super) struct RegistryFlags {
    /// Who to be; without it what $DOCKER_CONFIG or ~/.docker/config.json says
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,
    /// Read the password from stdin
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Speak http: for a registry on this machine
    #[arg(long)]
    plain_http: bool,
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "60s")]
    timeout: reeve_api::duration::Duration,
}

impl RegistryFlags {
    fn access(&self, reference: &Reference) -> Result<Access, CommandError> {
        provide_tls();
        let time: Duration = self.timeout.get();
        Ok(Access {
            egress: everywhere(),
            login: self.login(reference)?,
            plain: self.plain_http,
            deadline: Instant::now() + time,
        })
    }

    fn login(&self, reference: &Reference) -> Result<Option<Login>, CommandError> {
        if let Some(user) = &self.username {
            let mut password = String::new();
            std::io::stdin()
                .read_to_string(&mut password)
                .map_err(|why| CommandError::of("reading the password failed", &why))?;
            return Ok(Some(Login {
                user: user.clone(),
                password: Secret::new(password.trim_end_matches(['\r', '\n'])),
            }));
        }
        login(&reference.host)
    }
}

pub(super) fn push(args: &PushArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let name = args.component.display();
    let component = read(&args.component)?;
    let facts = facts(&component, largest())
        .map_err(|why| CommandError::of(&format!("{name} would be refused"), &why))?;
    let described = Described {
        imports: facts.imports,
        exports: facts.exports,
    };
    let access = args.registry.access(&args.reference)?;
    let work = oci::push(&args.reference, &access, &component, &described);
    let digest = runtime()?
        .block_on(work)
        .map_err(|why| failed("pushing", &args.reference, &why))?;
    say(&args.reference, digest, ui)
}

pub(super) fn pull(args: &PullArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let pulled = fetch(&args.reference, &args.registry)?;
    std::fs::write(&args.output, &pulled.component).map_err(|why| {
        CommandError::of(&format!("writing {} failed", args.output.display()), &why)
    })?;
    say(&args.reference, pulled.digest, ui)
}

pub(super) fn sign(args: &SignArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let password = std::env::var("COSIGN_PASSWORD").ok();
    let key = PrivateKey::parse(&text(&args.key)?, password.as_deref()).map_err(|why| {
        let error = CommandError::of(&format!("reading {} failed", args.key.display()), &why);
        error.hint("$COSIGN_PASSWORD is the password of an encrypted key")
    })?;
    let access = args.registry.access(&args.reference)?;
    let digest = runtime()?.block_on(async {
        let digest = oci::resolve(&args.reference, &access).await?;
        oci::sign(&args.reference, &access, &digest, &key).await?;
        Ok(digest)
    });
    let digest = digest.map_err(|why| failed("signing", &args.reference, &why))?;
    say(&args.reference, digest, ui)
}

pub(super) fn verify(args: &VerifyArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let mut keys = Vec::new();
    for path in &args.key {
        let key = PublicKey::parse(&text(path)?);
        keys.push(key.map_err(|why| {
            CommandError::of(&format!("reading {} failed", path.display()), &why)
        })?);
    }
    let access = args.registry.access(&args.reference)?;
    let digest = runtime()?.block_on(async {
        let digest = oci::resolve(&args.reference, &access).await?;
        oci::verify(&args.reference, &access, &digest, &keys).await?;
        Ok(digest)
    });
    let digest = digest.map_err(|why| failed("verifying", &args.reference, &why))?;
    say(&args.reference, digest, ui)
}

/// The component that a reference names.
pub(super) fn fetch(reference: &Reference, flags: &RegistryFlags) -> Result<Pulled, CommandError> {
    let access = flags.access(reference)?;
    let work = oci::pull(reference, &access, largest());
    runtime()?
        .block_on(work)
        .map_err(|why| failed("pulling", reference, &why))
}

/// The reference of exactly what was meant.
fn say(reference: &Reference, digest: String, ui: &mut Ui) -> Result<(), CommandError> {
    let exact = Reference {
        digest: Some(digest),
        ..reference.clone()
    };
    ui.data(format!("{exact}\n").as_bytes())
}

fn text(path: &Path) -> Result<String, CommandError> {
    Ok(String::from_utf8_lossy(&read(path)?).into_owned())
}

fn failed(doing: &str, reference: &Reference, why: &oci::Error) -> CommandError {
    let error = CommandError::of(&format!("{doing} {reference} failed"), why);
    match why {
        oci::Error::Login { .. } => {
            error.hint("log in with `docker login`, or with --username and --password-stdin")
        }
        oci::Error::Reach { .. } => error.hint("--plain-http is for a registry without TLS"),
        _ => error,
    }
}
