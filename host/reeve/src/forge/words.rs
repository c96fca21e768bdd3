//! What host and provider say to each other: `wit/provider.wit`, word by word.
//!
//! What it deliberately doesn't: judge. Everything here that a guest said is as the guest said it; `fill` and `grant`
//! judge it.

/// The repository that an operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its address without user or password.
    pub url: String,
    /// Its host.
    pub host: String,
    /// What follows the host, without slashes around it and without `.git`.
    pub path: String,
}

/// A public key that may read (or write) one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployKey {
    /// What it is called at the forge.
    pub title: String,
    /// One line in OpenSSH's form.
    pub public_key: String,
    /// Whether it may push too.
    pub writable: bool,
}

/// A call that the forge makes when something is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Whom the forge calls.
    pub url: String,
    /// The slot of the secret that the forge signs with.
    pub secret: String,
    /// `push`, `tag`, `pull-request`
    pub events: Vec<String>,
}

/// What a commit is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitState {
    /// Not known yet.
    Pending,
    /// All is well.
    Success,
    /// It was tried and is not well.
    Failure,
    /// It could not be tried.
    Error,
}

/// A mark beside a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// The commit, as hexadecimal digits.
    pub commit: String,
    /// What it is.
    pub state: CommitState,
    /// Who says so.
    pub context: String,
    /// One line for people.
    pub description: String,
    /// Where to read more; empty for nowhere.
    pub target_url: String,
}

/// A change that is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The branch that holds the change.
    pub head: String,
    /// The branch that it is proposed for.
    pub base: String,
    /// One line.
    pub title: String,
    /// The rest, in Markdown.
    pub body: String,
    /// Labels to set, by name.
    pub labels: Vec<String>,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// A user name and a password with which git may fetch, and push when `true`.
    GitCredential(bool),
    /// The key is there, once, as described.
    DeployKeyPresent(DeployKey),
    /// No key of this title is there.
    DeployKeyAbsent(String),
    /// The hook is there, once, as described.
    WebhookPresent(Webhook),
    /// No hook with this address is there.
    WebhookAbsent(String),
    /// Whether the hook with this address is there, active, and got through the last time.
    WebhookCheck(String),
    /// The status stands beside the commit.
    CommitStatus(CommitStatus),
    /// The request is open.
    PullRequest(PullRequest),
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What is wanted.
    pub task: Task,
    /// For which repository.
    pub repository: Repository,
    /// The plugin's `config` as JSON text.
    pub config: String,
    /// The secret slots that are filled.
    pub slots: Vec<String>,
}

/// A JSON Web Token that the host signs (RS256).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwt {
    /// The slot of the private key, in PEM.
    pub key: String,
    /// Further claims as a JSON object.
    pub claims: String,
    /// Seconds from now.
    pub lifetime: u32,
}

/// An HMAC (SHA-256) that the host makes, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hmac {
    /// The slot of the key.
    pub key: String,
    /// What is signed.
    pub text: String,
}

/// A piece of a text that the host puts together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// This, as it is.
    Text(String),
    /// What is in this slot.
    Secret(String),
    /// A signed token.
    Jwt(Jwt),
    /// A signature.
    Hmac(Hmac),
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// The parts, one after the other.
    Plain(Vec<Part>),
    /// `Basic` with the base64 of user, colon and password.
    Basic((Vec<Part>, Vec<Part>)),
}

/// A header of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: HeaderValue,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// `application/json`
    Json(Vec<Part>),
    /// `application/x-www-form-urlencoded`
    Form(Vec<(String, Vec<Part>)>),
}

/// A field of a JSON answer that is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretField {
    /// Where it is, as a JSON pointer.
    pub pointer: String,
    /// The slot that it is moved to.
    pub slot: String,
}

/// A request that the guest wants made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`
    pub method: String,
    /// The address.
    pub url: String,
    /// Headers.
    pub headers: Vec<Header>,
    /// What is sent, if anything.
    pub body: Option<Body>,
    /// What the host takes out of the answer before the guest sees it.
    pub secrets: Vec<SecretField>,
    /// What `step` is given next time.
    pub state: String,
}

/// What a forge answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200
    pub status: u16,
    /// Those that a guest may see, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text, without secrets.
    pub body: String,
}

/// A user name and a password, for git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user.
    pub username: String,
    /// The slot of the password.
    pub password: String,
    /// Until when it holds (RFC 3339); none for always.
    pub expires_at: Option<String>,
}

/// How a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookState {
    /// Whether it is there.
    pub present: bool,
    /// Whether the forge calls it.
    pub active: bool,
    /// What the forge says of the last delivery; empty when it says nothing.
    pub last_delivery: String,
}

/// A pull request that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestState {
    /// Its number at the forge.
    pub number: u64,
    /// Its page.
    pub url: String,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The credential.
    Credential(Credential),
    /// What was wanted is there; the forge's id of it.
    Present(String),
    /// What was not wanted is not there.
    Absent,
    /// The webhook's state.
    Webhook(WebhookState),
    /// The pull request.
    PullRequest(PullRequestState),
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A request.
    Request(Request),
    /// The end.
    Done(Done),
}
