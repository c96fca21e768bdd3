//! A real forge: Gitea with its API, its webhooks and its own ssh server.
//!
//! A process of ours like the others: free loopback ports, everything in a temporary directory, gone on drop. What is
//! asked of it here is asked as its administrator, for arranging and for looking; what is tested asks for itself.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::plane::free_port;
use crate::process::Process;
use crate::{binaries, leftover, secrecy, wait};

/// Who it belongs to.
pub const OWNER: &str = "ada";
const PASSWORD: &str = "c0rrect-h0rse-battery";

/// A running Gitea with one user, who is its administrator.
pub struct Gitea {
    process: Process,
    dir: tempfile::TempDir,
    port: u16,
    ssh_port: u16,
    token: String,
    client: reqwest::Client,
}

impl Gitea {
    /// Starts one, with no repository in it. It calls webhooks wherever they are.
    pub async fn start() -> anyhow::Result<Self> {
        let (program, resources) = binaries::gitea()?;
        let dir = tempfile::Builder::new().prefix("gitea-").tempdir()?;
        leftover::watch_over(dir.path());
        std::fs::create_dir(dir.path().join("home"))?;
        let (port, ssh_port) = (free_port()?, free_port()?);
        let config = config(dir.path(), &resources, port, ssh_port);
        std::fs::write(dir.path().join("app.ini"), config)?;
        run(&program, dir.path(), &["migrate"])?;
        let account = ["--username", OWNER, "--password", PASSWORD];
        let mail = ["--email", "ada@example.com", "--must-change-password=false"];
        let create = ["admin", "user", "create", "--admin"];
        run(
            &program,
            dir.path(),
            &[&create[..], &account, &mail].concat(),
        )?;
        secrecy::used_as(OWNER, PASSWORD);
        let token = token(&program, dir.path(), "estate", "all")?;
        let mut serve = command(&program, dir.path());
        serve.arg("web");
        let process = Process::start("gitea", serve, dir.path())?;
        let gitea = Self {
            process,
            dir,
            port,
            ssh_port,
            token,
            client: reqwest::Client::builder().no_proxy().build()?,
        };
        gitea.wait().await?;
        Ok(gitea)
    }

    async fn wait(&self) -> anyhow::Result<()> {
        let health = self.url("api/healthz");
        let up = || async {
            if let Some(status) = self.process.ended() {
                return Some(Err(status));
            }
            let answer = self.client.get(&health).send().await.ok()?;
            let ssh = TcpStream::connect(("127.0.0.1", self.ssh_port)).is_ok();
            (answer.status().is_success() && ssh).then_some(Ok(()))
        };
        match wait::until(wait::PATIENCE, "Gitea answers", up).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("Gitea ended with {status}: {}", self.log()),
            Err(why) => Err(why.context(self.log())),
        }
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.tail(64 << 10)
    }

    /// The address of something below it: `api/v1`, `ada/shop.git`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Host and port, as grants name it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The address of a repository over ssh.
    #[must_use]
    pub fn ssh_url(&self, path: &str) -> String {
        format!("ssh://git@127.0.0.1:{}/{path}", self.ssh_port)
    }

    /// What `ssh-keyscan` says of it.
    pub fn known_hosts(&self) -> anyhow::Result<String> {
        let key = self.dir.path().join("data/ssh/gitea.rsa.pub");
        let key = std::fs::read_to_string(key)?;
        Ok(format!("[127.0.0.1]:{} {}\n", self.ssh_port, key.trim()))
    }

    /// A further access token of the owner's: `write:repository,read:user`.
    pub fn token(&self, name: &str, scopes: &str) -> anyhow::Result<String> {
        let (program, _) = binaries::gitea()?;
        token(&program, self.dir.path(), name, scopes)
    }

    /// Asks its API as the administrator: `repos/ada/shop/hooks`. What is no JSON is null.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let url = self.url(&format!("api/v1/{path}"));
        let mut request = self.client.request(method, url);
        request = request.header("authorization", format!("token {}", self.token));
        if let Some(body) = body {
            request = request.header("content-type", "application/json");
            request = request.body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// What its API has at `path`.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, body) = self.ask(Method::GET, path, None).await?;
        ensure!(status.is_success(), "{path}: {status} {body}");
        Ok(body)
    }

    /// A private repository of the owner's, with a first commit on `main`.
    pub async fn create_repo(&self, name: &str) -> anyhow::Result<()> {
        let wanted = json!({
            "name": name, "private": true, "auto_init": true, "default_branch": "main",
        });
        let (status, body) = self.ask(Method::POST, "user/repos", Some(wanted)).await?;
        ensure!(status == StatusCode::CREATED, "{name}: {status} {body}");
        Ok(())
    }

    /// Writes a file of one of the owner's repositories as somebody, whether it is there or not, and gives the commit's id. A branch
    /// that is not there begins at `main`.
    pub async fn put(
        &self,
        repo: &str,
        branch: &str,
        file: &str,
        content: &str,
        whose: &str,
    ) -> anyhow::Result<String> {
        let repo = format!("{OWNER}/{repo}");
        self.put_in(&repo, branch, file, content, whose).await
    }

    /// The same of any repository: `eve/shop`.
    pub async fn put_in(
        &self,
        repo: &str,
        branch: &str,
        file: &str,
        content: &str,
        whose: &str,
    ) -> anyhow::Result<String> {
        use base64::Engine as _;
        let known = format!("repos/{repo}/branches/{branch}");
        let (place, from) = match self.get(&known).await {
            Ok(_) => ("branch", branch),
            Err(_) => ("new_branch", "main"),
        };
        let path = format!("repos/{repo}/contents/{file}");
        let (_, before) = self
            .ask(Method::GET, &format!("{path}?ref={from}"), None)
            .await?;
        let content = base64::engine::general_purpose::STANDARD.encode(content);
        let message = format!("Write {file}");
        let wanted = json!({
            "content": content, "message": message, "branch": from, place: branch,
            "sha": before.get("sha"),
        });
        let there = before.get("sha").is_some();
        let method = if there { Method::PUT } else { Method::POST };
        let path = format!("{path}?sudo={whose}");
        let (status, body) = self.ask(method, &path, Some(wanted)).await?;
        ensure!(status.is_success(), "{path}: {status} {body}");
        let commit = body.pointer("/commit/sha").and_then(Value::as_str);
        Ok(commit.context("a commit has an id")?.to_owned())
    }

    /// Gives somebody else, who may read it, a fork of one of the owner's repositories.
    pub async fn fork(&self, repo: &str, whose: &str) -> anyhow::Result<()> {
        let account = json!({
            "username": whose, "email": format!("{whose}@example.com"), "password": PASSWORD,
            "must_change_password": false,
        });
        let may_read = json!({"permission": "read"});
        let about = format!("repos/{OWNER}/{repo}");
        for (method, path, wanted) in [
            (Method::POST, "admin/users".to_owned(), account),
            (
                Method::PUT,
                format!("{about}/collaborators/{whose}"),
                may_read,
            ),
            (
                Method::POST,
                format!("{about}/forks?sudo={whose}"),
                json!({}),
            ),
        ] {
            let (status, body) = self.ask(method, &path, Some(wanted)).await?;
            // Somebody may be there already.
            let there = status == StatusCode::UNPROCESSABLE_ENTITY && path == "admin/users";
            ensure!(status.is_success() || there, "{path}: {status} {body}");
        }
        Ok(())
    }

    /// Writes a file of a repository's branch, and gives the commit's id.
    pub async fn write(&self, repo: &str, branch: &str, file: &str) -> anyhow::Result<String> {
        let path = format!("repos/{OWNER}/{repo}/contents/{file}");
        let known = format!("repos/{OWNER}/{repo}/branches/{branch}");
        let place = match self.get(&known).await {
            Ok(_) => "branch",
            Err(_) => "new_branch",
        };
        let message = format!("Write {file}");
        let wanted = json!({"content": "eA==", "message": message, place: branch});
        let (status, body) = self.ask(Method::POST, &path, Some(wanted)).await?;
        ensure!(status == StatusCode::CREATED, "{path}: {status} {body}");
        let commit = body.pointer("/commit/sha").and_then(Value::as_str);
        Ok(commit.context("a commit has an id")?.to_owned())
    }

    /// Makes something of a repository: `keys`, `hooks`.
    pub async fn make(&self, repo: &str, what: &str, wanted: Value) -> anyhow::Result<()> {
        let path = format!("repos/{OWNER}/{repo}/{what}");
        let (status, body) = self.ask(Method::POST, &path, Some(wanted)).await?;
        ensure!(status.is_success(), "{path}: {status} {body}");
        Ok(())
    }

    /// Has what is pushed to one of the owner's repositories judged by this script; None: by nobody.
    pub fn hook(&self, repo: &str, script: Option<&str>) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let repo = repo.to_lowercase();
        let dir = format!("repositories/{OWNER}/{repo}.git/hooks/pre-receive.d");
        let file = self.dir.path().join(dir).join("estate");
        match script {
            Some(script) => {
                std::fs::write(&file, script)?;
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
            }
            None => std::fs::remove_file(&file)?,
        }
        Ok(())
    }

    /// Puts this text into a file of `main`, over the one whose id is `over`; gives the ids of the commit and of the file.
    pub async fn put_over(
        &self,
        repo: &str,
        file: &str,
        text: &str,
        over: Option<&str>,
    ) -> anyhow::Result<(String, String)> {
        let path = format!("repos/{OWNER}/{repo}/contents/{file}");
        let mut wanted = json!({
            "content": STANDARD.encode(text), "message": format!("Put {file}"), "branch": "main",
        });
        if let (Some(over), Some(fields)) = (over, wanted.as_object_mut()) {
            fields.insert("sha".to_owned(), json!(over));
        }
        let method = match over {
            Some(_) => Method::PUT,
            None => Method::POST,
        };
        let (status, body) = self.ask(method, &path, Some(wanted)).await?;
        ensure!(status.is_success(), "{path}: {status} {body}");
        let id = |pointer| {
            let id = body.pointer(pointer).and_then(Value::as_str);
            id.map(str::to_owned).context("what was put has an id")
        };
        Ok((id("/commit/sha")?, id("/content/sha")?))
    }
}

fn token(program: &Path, dir: &Path, name: &str, scopes: &str) -> anyhow::Result<String> {
    let args = ["admin", "user", "generate-access-token", "--raw"];
    let whose = [
        "--username",
        OWNER,
        "--token-name",
        name,
        "--scopes",
        scopes,
    ];
    let said = run(program, dir, &[&args[..], &whose].concat())?;
    // On a busy machine it tells of slow statements beside it.
    let is_token = |line: &&str| line.len() == 40 && line.bytes().all(|c| c.is_ascii_hexdigit());
    let token = said.lines().map(str::trim).find(is_token);
    let token = token.with_context(|| format!("Gitea made no token: {said}"))?;
    let token = token.to_owned();
    secrecy::used(&token);
    Ok(token)
}

fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("--config").arg(dir.join("app.ini"));
    command.current_dir(dir).env("HOME", dir.join("home"));
    // Tests run as whoever runs them, in a container as root.
    command.env("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true");
    command
}

fn run(program: &Path, dir: &Path, args: &[&str]) -> anyhow::Result<String> {
    let mut command = command(program, dir);
    let out = command.args(args).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "gitea failed: {said}{wrong}");
    Ok(said)
}

/// Its usual queues look for what is pushed, and for whom to call, after up to two seconds each, and then wait for more of it for 100 ms:
/// these do neither.
fn config(dir: &Path, resources: &Path, port: u16, ssh_port: u16) -> String {
    let (dir, resources) = (dir.display(), resources.display());
    format!(
        "RUN_MODE = prod\nWORK_PATH = {dir}\n\
         [server]\nPROTOCOL = http\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {port}\n\
         ROOT_URL = http://127.0.0.1:{port}/\nSTATIC_ROOT_PATH = {resources}\n\
         APP_DATA_PATH = {dir}/data\nOFFLINE_MODE = true\n\
         START_SSH_SERVER = true\nSSH_LISTEN_HOST = 127.0.0.1\nSSH_DOMAIN = 127.0.0.1\n\
         SSH_PORT = {ssh_port}\nSSH_LISTEN_PORT = {ssh_port}\nBUILTIN_SSH_SERVER_USER = git\n\
         [database]\nDB_TYPE = sqlite3\nPATH = {dir}/gitea.db\n\
         [repository]\nROOT = {dir}/repositories\nDEFAULT_BRANCH = main\n\
         [security]\nINSTALL_LOCK = true\n\
         [queue]\nTYPE = channel\nBATCH_LENGTH = 1\n\
         [webhook]\nALLOWED_HOST_LIST = *\nDELIVER_TIMEOUT = 5\n\
         [log]\nMODE = console\nLEVEL = Info\n"
    )
}
