//! Who a command is to a repository that it writes to: what its flags say, what the cluster has for it, or the user's own key.
//!
//! Secrets come from files or from stdin, never from the command line, where every process of the machine reads them; those of
//! the cluster are read with the rights of whoever asks. It deliberately speaks to no server and runs no agent or helper.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use reeve_api::name::{NamespaceName, ObjectName, RemoteUrl, Scheme};

use super::build::remote::own_keys;
use super::reach::everywhere;
use super::ui::CommandError;
use crate::cluster::{Cluster, SecretOwner};
use crate::git::credential::{self, Data};
use crate::git::{HostKeys, Proxy, Remote};

/// The largest secret, in bytes.
const LARGEST: u64 = 64 << 10;
/// What to do when a login is missing.
const HINT: &str =
    "--ssh-key, or --username with --password-file, say who you are to the repository";

/// Who to be to the repository.
#[derive(Args, Clone, Default)]
pub(super) struct LoginArgs {
    /// Private key, for repositories over ssh
    #[arg(long, value_name = "FILE", conflicts_with = "username")]
    ssh_key: Option<PathBuf>,
    /// Where the passphrase of the private key stands; - is stdin
    #[arg(long, value_name = "FILE", requires = "ssh_key")]
    passphrase_file: Option<PathBuf>,
    /// The keys that ssh servers may show, as `ssh-keyscan` writes them; without, those beside the login, those in
    /// /ssh/known_hosts, or else the published ones of github.com and gitlab.com
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
    /// User, for repositories over https
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,
    /// Where the user's password or token stands; - is stdin
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
}

/// What the cluster has for a repository: Secrets of one namespace.
pub(super) struct Kept<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) namespace: &'a NamespaceName,
    pub(super) secret: Option<&'a ObjectName>,
    pub(super) proxy: Option<&'a ObjectName>,
}

impl LoginArgs {
    /// The repository, with the login that the flags name, or else the one that is kept for it, or else the user's own.
    pub(super) async fn remote(
        &self,
        url: RemoteUrl,
        kept: Option<Kept<'_>>,
    ) -> Result<Arc<Remote>, CommandError> {
        let mut data = match (self.given()?, &kept) {
            (Some(given), _) => given,
            (None, Some(kept)) if kept.secret.is_some() => kept.login().await?,
            (None, _) if url.scheme() == Scheme::Ssh => own_keys(),
            (None, _) => Data::new(),
        };
        if let Some(path) = &self.known_hosts {
            data.insert("known_hosts".to_owned(), file(path)?);
        }
        let proxy = match &kept {
            Some(kept) => kept.proxy().await?,
            None => None,
        };
        reached(url, &data, proxy)
    }

    /// The same, with a private key that is mounted there where the flags name no login.
    pub(super) fn or_mounted(&self, identity: &Path) -> Self {
        let mounted = (!self.is_given() && identity.is_file()).then(|| identity.to_owned());
        Self {
            ssh_key: mounted.or_else(|| self.ssh_key.clone()),
            ..self.clone()
        }
    }

    /// Whether the flags name a login, which goes before any that is kept.
    pub(super) fn is_given(&self) -> bool {
        self.ssh_key.is_some() || self.username.is_some()
    }

    /// What the flags say; None: nothing.
    fn given(&self) -> Result<Option<Data>, CommandError> {
        let mut data = Data::new();
        let files = [
            ("identity", &self.ssh_key),
            ("password", &self.passphrase_file),
            ("password", &self.password_file),
        ];
        let stdin = files.iter().filter(|(_, path)| is_stdin(path.as_deref()));
        if stdin.count() > 1 {
            return Err(CommandError::new("only one secret can come from stdin"));
        }
        for (key, path) in files {
            if let Some(path) = path {
                data.insert(key.to_owned(), file(path)?);
            }
        }
        if let Some(name) = &self.username {
            data.insert("username".to_owned(), name.clone().into_bytes());
        }
        Ok((!data.is_empty()).then_some(data))
    }
}

impl Kept<'_> {
    async fn login(&self) -> Result<Data, CommandError> {
        match self.secret {
            Some(name) => self.read(name).await,
            None => Ok(Data::new()),
        }
    }

    async fn proxy(&self) -> Result<Option<Proxy>, CommandError> {
        let Some(name) = self.proxy else {
            return Ok(None);
        };
        let data = self.read(name).await?;
        let proxy = credential::proxy_from_secret(&data);
        let failed = |why| CommandError::of(&format!("Secret {}/{name}", self.namespace), &why);
        proxy.map(Some).map_err(failed)
    }

    async fn read(&self, name: &ObjectName) -> Result<Data, CommandError> {
        let owner = SecretOwner::connected(self.namespace);
        let data = self.cluster.secret(&owner, name).await;
        let data = data.map_err(|why| {
            CommandError::of("the repository's login could not be had", &why).hint(HINT)
        })?;
        Ok(data.into_inner())
    }
}

/// The repository, reached with what is in `data`.
pub(super) fn reached(
    url: RemoteUrl,
    data: &Data,
    proxy: Option<Proxy>,
) -> Result<Arc<Remote>, CommandError> {
    let hosts = HostKeys::Usual(PathBuf::from(HostKeys::USUAL)).read();
    let hosts = hosts
        .map_err(|why| CommandError::of(&format!("reading {} failed", HostKeys::USUAL), &why))?;
    let login = credential::from_secret(&url, data, &hosts);
    let (credential, tls) =
        login.map_err(|why| CommandError::of(&format!("the login for {url}"), &why).hint(HINT))?;
    Ok(Arc::new(Remote {
        url,
        credential,
        tls,
        proxy,
        egress: everywhere(),
    }))
}

fn is_stdin(path: Option<&Path>) -> bool {
    path == Some(Path::new("-"))
}

/// What stands in a file, or comes from stdin.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    let read = match is_stdin(Some(path)) {
        true => std::io::stdin()
            .lock()
            .take(LARGEST + 1)
            .read_to_end(&mut bytes),
        false => std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)),
    };
    let shown = path.display();
    read.map_err(|why| CommandError::of(&format!("reading {shown} failed"), &why))?;
    match bytes.len() as u64 > LARGEST {
        true => Err(CommandError::new(format!("{shown} is larger than 64 KiB"))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::Credential;

    #[test]
    fn what_the_flags_say_is_read_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "hunter2\n").unwrap();
        let args = LoginArgs {
            username: Some("ada".to_owned()),
            password_file: Some(path.clone()),
            ..LoginArgs::default()
        };
        let data = args.given().unwrap().unwrap();
        let url: RemoteUrl = "https://git.example/acme/web".parse().unwrap();
        let remote = reached(url, &data, None).unwrap();
        let Credential::Basic { user, password } = &remote.credential else {
            panic!("{remote:?}");
        };
        assert_eq!((user.as_str(), password.expose()), ("ada", "hunter2"));
        assert_eq!(LoginArgs::default().given().unwrap(), None);
        std::fs::write(&path, "x".repeat(70_000)).unwrap();
        let told = args.given().unwrap_err().to_string();
        assert!(told.contains("larger than 64 KiB"), "{told}");
    }

    #[test]
    fn a_key_that_is_mounted_is_used_where_nothing_else_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (mounted, own) = (dir.path().join("identity"), PathBuf::from("own"));
        let none = LoginArgs::default();
        assert_eq!(none.or_mounted(&mounted).ssh_key, None);
        std::fs::write(&mounted, "key").unwrap();
        assert_eq!(none.or_mounted(&mounted).ssh_key, Some(mounted.clone()));
        let args = LoginArgs {
            ssh_key: Some(own.clone()),
            ..LoginArgs::default()
        };
        assert_eq!(args.or_mounted(&mounted).ssh_key, Some(own));
    }

    #[test]
    fn an_ssh_server_that_nobody_knows_is_refused_before_it_is_spoken_to() {
        let data: Data = [("identity".to_owned(), b"key".to_vec())].into();
        let url = |text: &str| reeve_core::gitconfig::address(text).unwrap();
        let why = reached(url("ssh://git@git.example/web"), &data, None).unwrap_err();
        assert!(
            why.to_string().contains("'known_hosts' is required"),
            "{why}"
        );
        assert!(reached(url("git@github.com:acme/web.git"), &data, None).is_ok());
    }
}
