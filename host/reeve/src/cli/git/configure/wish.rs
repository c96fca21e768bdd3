//! What is to be configured: what the flags say, and on a terminal what they leave open, asked step by step in the order of
//! Rig's guide.
//!
//! Secrets come from files, from stdin or unseen from the terminal, never from the command line, where every process of the
//! machine reads them. It deliberately reads nothing of a cluster.

use std::collections::BTreeMap;
use std::io::{BufRead, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use reeve_api::duration::{Duration, NotADuration};
use reeve_api::name::Secret;
use reeve_core::gitconfig::draft::{Draft, Entry, Kind, Pace, Which, key};
use reeve_core::gitconfig::{Author, TooShort, hook_token};

use super::guide::Guide;
use crate::cli::ui::{CommandError, Ui};

/// The largest secret, in bytes: no entry may name a larger one.
const LARGEST: u64 = 64 << 10;

/// Which repositories, who we are to them, and how their changes come to be known.
#[derive(Args, Default)]
pub(super) struct WishArgs {
    /// Repositories by their address; in its path * stands for anything: `git@git.example:acme/*`
    #[arg(long, value_name = "PATTERN", conflicts_with_all = ["github", "gitlab"])]
    url: Option<String>,
    /// Repositories of GitHub
    #[arg(long, value_name = "ORG/REPO", conflicts_with = "gitlab")]
    github: Option<String>,
    /// Repositories of GitLab
    #[arg(long, value_name = "GROUPS:PROJECT")]
    gitlab: Option<String>,
    /// The address of a GitHub or GitLab of your own
    #[arg(long, value_name = "URL", conflicts_with = "url")]
    forge: Option<String>,
    /// How one logs in; without, as it was
    #[arg(long, value_enum)]
    login: Option<LoginKind>,
    /// The user, for https
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Where the private key, the password or the token stands; - is stdin
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Where the passphrase of the private key stands; - is stdin
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The keys that the ssh server may show, as `ssh-keyscan` writes them, once they are checked
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
    /// The GitHub App
    #[arg(long, value_name = "ID")]
    app_id: Option<u64>,
    /// Its installation
    #[arg(long, value_name = "ID")]
    installation_id: Option<u64>,
    /// How often they are asked for changes; without, as it was
    #[arg(long, value_name = "TIME", conflicts_with = "webhook_secret_file")]
    interval: Option<Duration>,
    /// Where the secret of the forge's webhook stands; - is stdin
    #[arg(long, value_name = "FILE")]
    webhook_secret_file: Option<PathBuf>,
    /// The name of who commits
    #[arg(long, value_name = "NAME")]
    author_name: Option<String>,
    /// The address of who commits
    #[arg(long, value_name = "EMAIL")]
    author_email: Option<String>,
    /// The repository that is fetched to prove it; without, the one that is configured
    #[arg(long, value_name = "URL")]
    prove: Option<String>,
}

/// How one logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LoginKind {
    /// A private key
    Ssh,
    /// A user and a password or token
    Https,
    /// An installation of a GitHub App
    App,
    /// An access token of GitLab
    Token,
}

/// What is to be configured.
pub(super) struct Wish {
    pub(super) draft: Draft,
    /// What is secret of it, by the keys of the Secret that is to hold it.
    pub(super) values: BTreeMap<&'static str, Secret>,
    /// The repository that is to prove it.
    pub(super) prove: Option<String>,
}

impl Wish {
    /// What the flags say, and answers to what they leave open.
    pub(super) fn gather<R: BufRead>(
        args: &WishArgs,
        guide: &mut Guide<R>,
        ui: &mut Ui,
    ) -> Result<Self, CommandError> {
        one_stdin(args, guide.is_there())?;
        let mut asked = Asked {
            args,
            guide,
            ui,
            values: BTreeMap::new(),
        };
        let entry = match asked.which()? {
            Some(which) => Some(asked.entry(which)?),
            None => None,
        };
        let author = asked.author()?;
        let prove = match &entry {
            Some(entry) => Some(asked.proof(&entry.which)?),
            None => None,
        };
        if entry.is_none() && author.is_none() {
            return Err(CommandError::new("nothing is to be configured"));
        }
        let values = asked.values;
        Ok(Self {
            draft: Draft { entry, author },
            values,
            prove,
        })
    }
}

/// Only one thing can come from stdin.
fn one_stdin(args: &WishArgs, is_terminal: bool) -> Result<(), CommandError> {
    let files = [
        &args.secret_file,
        &args.passphrase_file,
        &args.webhook_secret_file,
        &args.known_hosts,
    ];
    let of_stdin = |file: &&&Option<PathBuf>| file.as_deref() == Some(Path::new("-"));
    match files.iter().filter(of_stdin).count() {
        0 => Ok(()),
        1 if is_terminal => Err(CommandError::new("stdin is your terminal")
            .hint("leave the flag out, and you are asked; or pipe the secret into the command")),
        1 => Ok(()),
        _ => Err(CommandError::new("only one of the files can be stdin")),
    }
}

/// What was asked so far.
struct Asked<'a, R> {
    args: &'a WishArgs,
    guide: &'a mut Guide<R>,
    ui: &'a mut Ui,
    values: BTreeMap<&'static str, Secret>,
}

impl<R: BufRead> Asked<'_, R> {
    /// Which repositories; None: only who commits is configured.
    fn which(&mut self) -> Result<Option<Which>, CommandError> {
        let args = self.args;
        let forge = args.forge.clone();
        Ok(Some(match (&args.url, &args.github, &args.gitlab) {
            (Some(url), _, _) => Which::Url(url.clone()),
            (_, Some(name), _) => Which::GitHub {
                name: name.clone(),
                forge,
            },
            (_, _, Some(name)) => Which::GitLab {
                name: name.clone(),
                forge,
            },
            (None, None, None) if args.author_name.is_some() || args.author_email.is_some() => {
                return Ok(None);
            }
            (None, None, None) => {
                let kinds = [
                    "by their address, at any server",
                    "a repository of GitHub, with an App",
                    "a repository of GitLab, with an access token",
                ];
                let flag = "--url, --github or --gitlab";
                match self.choose(flag, "Which repositories?", &kinds)? {
                    0 => Which::Url(self.needs(flag, "Address, such as git@git.example:acme/*:")?),
                    1 => Which::GitHub {
                        name: self.needs(flag, "Organisation and repository, such as acme/web:")?,
                        forge: self
                            .optional("--forge", "Address of a GitHub of your own (or none):")?,
                    },
                    _ => Which::GitLab {
                        name: self.needs(flag, "Groups and project, such as acme/shop:web:")?,
                        forge: self
                            .optional("--forge", "Address of a GitLab of your own (or none):")?,
                    },
                }
            }
        }))
    }

    fn entry(&mut self, which: Which) -> Result<Entry, CommandError> {
        let login = match self.kind(&which)? {
            Some(kind) => Some(self.login(kind)?),
            None => None,
        };
        let polling = self.polling(&which)?;
        if login.is_none() && polling.is_none() {
            let why = CommandError::new("the entry would say nothing");
            return Err(why.hint("give --login, --interval or --webhook-secret-file"));
        }
        Ok(Entry {
            which,
            login,
            polling,
        })
    }

    /// How one logs in; None: as it was.
    fn kind(&mut self, which: &Which) -> Result<Option<LoginKind>, CommandError> {
        if self.args.login.is_some() || !self.guide.is_there() {
            return Ok(self.args.login);
        }
        let (kinds, shown): (&[LoginKind], &[&str]) = match which {
            Which::Url(_) => (
                &[LoginKind::Ssh, LoginKind::Https],
                &[
                    "with a private key, over ssh",
                    "with a user and a password or token, over https",
                    "as it was",
                ],
            ),
            Which::GitHub { .. } => (&[LoginKind::App], &["as a GitHub App", "as it was"]),
            Which::GitLab { .. } => (&[LoginKind::Token], &["with an access token", "as it was"]),
        };
        let chosen = self.choose("--login", "How does one log in?", shown)?;
        Ok(kinds.get(chosen).copied())
    }

    fn login(&mut self, kind: LoginKind) -> Result<Kind, CommandError> {
        match kind {
            LoginKind::Ssh => {
                self.private_key("File with the private key:")?;
                let passphrase = self.passphrase()?;
                let known_hosts = self.known_hosts()?;
                Ok(Kind::Ssh {
                    known_hosts,
                    passphrase,
                })
            }
            LoginKind::Https => {
                let user = match &self.args.username {
                    Some(user) => user.clone(),
                    None => self.needs("--username", "User:")?,
                };
                self.secret(key::PASSWORD, "Password or token:")?;
                Ok(Kind::Https { user })
            }
            LoginKind::App => {
                let app = self.number(
                    self.args.app_id,
                    "--app-id",
                    "App ID, of the App's settings:",
                )?;
                let installation = self.number(
                    self.args.installation_id,
                    "--installation-id",
                    "Installation ID, the last part of the address of the installation's page:",
                )?;
                self.private_key("File with the App's private key:")?;
                Ok(Kind::App { app, installation })
            }
            LoginKind::Token => {
                self.secret(key::TOKEN, "Access token, of the group's settings:")?;
                Ok(Kind::Token)
            }
        }
    }

    fn private_key(&mut self, question: &str) -> Result<(), CommandError> {
        let path = match &self.args.secret_file {
            Some(path) => path.clone(),
            None => self.needs("--secret-file", question)?.into(),
        };
        let text = read(&path)?;
        self.values.insert(key::PRIVATE_KEY, Secret::new(text));
        Ok(())
    }

    /// Whether the key has one.
    fn passphrase(&mut self) -> Result<bool, CommandError> {
        let flag = "--passphrase-file";
        let text = match &self.args.passphrase_file {
            Some(path) => Some(line_of(&read(path)?)),
            None if self.guide.is_there() => {
                self.guide
                    .hidden(self.ui, flag, "Its passphrase (or none):")?
            }
            None => None,
        };
        let is_there = text.is_some();
        self.values.extend(text.map(|text| (key::PASSPHRASE, text)));
        Ok(is_there)
    }

    fn known_hosts(&mut self) -> Result<Option<String>, CommandError> {
        let path = match &self.args.known_hosts {
            Some(path) => Some(path.clone()),
            None => {
                let question = "File with the keys of the server, as ssh-keyscan writes them (none: those of the level):";
                self.optional("--known-hosts", question)?.map(PathBuf::from)
            }
        };
        path.map(|path| read(&path)).transpose()
    }

    /// A secret of one line.
    fn secret(&mut self, key: &'static str, question: &str) -> Result<(), CommandError> {
        let flag = "--secret-file";
        let secret = match &self.args.secret_file {
            Some(path) => line_of(&read(path)?),
            None => {
                let typed = self.guide.hidden(self.ui, flag, question)?;
                typed.ok_or_else(|| CommandError::new("it is empty"))?
            }
        };
        self.values.insert(key, secret);
        Ok(())
    }

    /// What proves the calls of a webhook: what anybody finds by trying is not kept.
    fn webhook(&mut self, secret: Secret) -> Result<(), CommandError> {
        let wrong = |why: TooShort| {
            CommandError::new(why.to_string()).hint("make one: head -c 32 /dev/urandom | base64")
        };
        hook_token(secret.expose().as_bytes()).map_err(wrong)?;
        self.values.insert(key::WEBHOOK, secret);
        Ok(())
    }

    fn polling(&mut self, which: &Which) -> Result<Option<Pace>, CommandError> {
        if let Some(every) = &self.args.interval {
            return Ok(Some(Pace::Every(every.clone())));
        }
        if let Some(path) = &self.args.webhook_secret_file {
            let secret = line_of(&read(path)?);
            self.webhook(secret)?;
            return Ok(Some(Pace::Webhook));
        }
        if !self.guide.is_there() {
            return Ok(None);
        }
        let all = [
            "as it was",
            "they are asked every so often",
            "the forge calls a webhook",
        ];
        let shown: &[&str] = match which {
            Which::Url(_) => all.get(..2).unwrap_or_default(),
            Which::GitHub { .. } | Which::GitLab { .. } => &all,
        };
        let flag = "--interval";
        Ok(
            match self.choose(flag, "How do changes come to be known?", shown)? {
                0 => None,
                1 => {
                    let every = self.needs(flag, "How often, such as 1m:")?;
                    let wrong =
                        |why: NotADuration| CommandError::of("that is no length of time", &why);
                    Some(Pace::Every(every.parse::<Duration>().map_err(wrong)?))
                }
                _ => {
                    let flag = "--webhook-secret-file";
                    let typed = self.guide.hidden(self.ui, flag, "Secret of the webhook:")?;
                    let secret = typed.ok_or_else(|| CommandError::new("it is empty"))?;
                    self.webhook(secret)?;
                    Some(Pace::Webhook)
                }
            },
        )
    }

    fn author(&mut self) -> Result<Option<Author>, CommandError> {
        let args = self.args;
        let given = args.author_name.is_some() || args.author_email.is_some();
        let (name, email) = match given {
            true => (args.author_name.clone(), args.author_email.clone()),
            false => (
                self.optional("--author-name", "Name of who commits (none: as it was):")?,
                self.optional("--author-email", "Email of who commits (none: as it was):")?,
            ),
        };
        Ok((name.is_some() || email.is_some()).then_some(Author { name, email }))
    }

    /// The repository that proves it.
    fn proof(&mut self, which: &Which) -> Result<String, CommandError> {
        if let Some(url) = self.args.prove.clone().or_else(|| which.address()) {
            return Ok(url);
        }
        self.needs(
            "--prove",
            "Address of a repository among them, which is fetched to prove it:",
        )
    }

    fn number(
        &mut self,
        given: Option<u64>,
        flag: &str,
        question: &str,
    ) -> Result<u64, CommandError> {
        if let Some(given) = given {
            return Ok(given);
        }
        let answer = self.needs(flag, question)?;
        let number = answer.parse::<u64>();
        number.map_err(|why| CommandError::of("that is no number", &why))
    }

    fn choose(
        &mut self,
        flag: &str,
        question: &str,
        choices: &[&str],
    ) -> Result<usize, CommandError> {
        self.guide.choose(self.ui, flag, question, choices)
    }

    fn needs(&mut self, flag: &str, question: &str) -> Result<String, CommandError> {
        self.guide.needs(self.ui, flag, question)
    }

    /// An answer that may be none; where nobody can be asked it is none.
    fn optional(&mut self, flag: &str, question: &str) -> Result<Option<String>, CommandError> {
        match self.guide.is_there() {
            true => self.guide.ask(self.ui, flag, question),
            false => Ok(None),
        }
    }
}

/// A text without the end of its line.
fn line_of(text: &str) -> Secret {
    Secret::new(text.trim_end_matches(['\r', '\n']))
}

/// A text of a file, or of stdin; never told of in an error.
fn read(path: &Path) -> Result<String, CommandError> {
    let shown = path.display();
    let failed = |why: std::io::Error| CommandError::of(&format!("reading {shown} failed"), &why);
    let mut text = String::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().take(LARGEST + 1).read_to_string(&mut text),
        false => {
            let file = std::fs::File::open(path).map_err(failed)?;
            file.take(LARGEST + 1).read_to_string(&mut text)
        }
    };
    let length = u64::try_from(read.map_err(failed)?).unwrap_or(u64::MAX);
    if text.trim().is_empty() || length > LARGEST {
        let why = format!("{shown} is empty, or larger than 64 KiB");
        return Err(CommandError::new(why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
