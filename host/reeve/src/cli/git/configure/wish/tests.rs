//! What flags and answers come to.

use super::*;

fn gathered(args: &WishArgs, answers: Option<&str>) -> Result<Wish, CommandError> {
    Wish::gather(args, &mut Guide::scripted(answers), &mut Ui::new())
}

fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn flags_say_all_of_it_where_nobody_can_be_asked() {
    let dir = tempfile::tempdir().unwrap();
    let args = WishArgs {
        url: Some("https://git.example/acme/*".to_owned()),
        login: Some(LoginKind::Https),
        username: Some("ada".to_owned()),
        secret_file: Some(file(dir.path(), "password", "hunter2\n")),
        interval: Some("30s".parse().unwrap()),
        prove: Some("https://git.example/acme/web".to_owned()),
        ..WishArgs::default()
    };
    let wish = gathered(&args, None).unwrap();
    let entry = wish.draft.entry.unwrap();
    let user = "ada".to_owned();
    assert_eq!(entry.login, Some(Kind::Https { user }));
    assert_eq!(entry.polling, Some(Pace::Every("30s".parse().unwrap())));
    assert_eq!(wish.values.get(key::PASSWORD).unwrap().expose(), "hunter2");
    assert_eq!(wish.prove.as_deref(), Some("https://git.example/acme/web"));
}

#[test]
fn what_the_flags_leave_open_is_asked_step_by_step() {
    let dir = tempfile::tempdir().unwrap();
    let key = file(dir.path(), "key", "-----BEGIN\n");
    let hosts = file(dir.path(), "hosts", "h ssh-ed25519 AAAA\n");
    let answers = [
        "1",
        "git@git.example:acme/*",
        "1",
        &key.display().to_string(),
        "open sesame",
        &hosts.display().to_string(),
        "2",
        "1m",
        "Bot",
        "",
        "git@git.example:acme/web",
    ];
    let wish = gathered(
        &WishArgs::default(),
        Some(&answers.map(|a| format!("{a}\n")).concat()),
    );
    let wish = wish.unwrap();
    let entry = wish.draft.entry.unwrap();
    assert_eq!(entry.which, Which::Url("git@git.example:acme/*".to_owned()));
    let ssh = Kind::Ssh {
        known_hosts: Some("h ssh-ed25519 AAAA\n".to_owned()),
        passphrase: true,
    };
    assert_eq!(entry.login, Some(ssh));
    assert_eq!(entry.polling, Some(Pace::Every("1m".parse().unwrap())));
    assert_eq!(wish.values.len(), 2);
    assert_eq!(wish.draft.author.unwrap().name.as_deref(), Some("Bot"));
    assert_eq!(wish.prove.as_deref(), Some("git@git.example:acme/web"));
}

#[test]
fn an_app_and_a_token_are_asked_for_as_rigs_guide_does() {
    let dir = tempfile::tempdir().unwrap();
    let key = file(dir.path(), "key", "-----BEGIN\n")
        .display()
        .to_string();
    let github = [
        "2",
        "acme/web",
        "",
        "1",
        "12",
        "34",
        &*key,
        "3",
        "a-secret-of-a-hook",
        "",
        "",
    ];
    let gitlab = [
        "3",
        "acme/shop:web",
        "",
        "1",
        "glpat",
        "1",
        "",
        "bot@org.example",
    ];
    let app = Kind::App {
        app: 12,
        installation: 34,
    };
    for (answers, login, secrets) in [(&github[..], app, 2), (&gitlab[..], Kind::Token, 1)] {
        let answers: Vec<String> = answers.iter().map(|a| format!("{a}\n")).collect();
        let wish = gathered(&WishArgs::default(), Some(&answers.concat())).unwrap();
        assert_eq!(wish.draft.entry.unwrap().login, Some(login));
        assert_eq!(wish.values.len(), secrets);
        assert!(wish.prove.is_some());
    }
}

#[test]
fn what_is_missing_or_says_nothing_is_refused() {
    let url = || Some("https://git.example/x".to_owned());
    let login = |login| WishArgs {
        url: url(),
        login: Some(login),
        username: Some("ada".to_owned()),
        ..WishArgs::default()
    };
    let dash = || Some(PathBuf::from("-"));
    let nothing = WishArgs {
        url: url(),
        ..WishArgs::default()
    };
    let many = WishArgs {
        url: Some("https://git.example/*".to_owned()),
        interval: Some("1m".parse().unwrap()),
        ..WishArgs::default()
    };
    let twice = WishArgs {
        secret_file: dash(),
        passphrase_file: dash(),
        ..login(LoginKind::Ssh)
    };
    for (args, words) in [
        (
            WishArgs::default(),
            "--url, --github or --gitlab is not given",
        ),
        (nothing, "would say nothing"),
        (login(LoginKind::Https), "--secret-file is not given"),
        (login(LoginKind::App), "--app-id is not given"),
        (many, "--prove is not given"),
        (twice, "only one of the files"),
    ] {
        let why = gathered(&args, None).err().unwrap().to_string();
        assert!(why.contains(words), "{why}");
    }
    let piped = WishArgs {
        secret_file: dash(),
        ..login(LoginKind::Ssh)
    };
    let why = gathered(&piped, Some("\n")).err().unwrap().to_string();
    assert!(why.contains("your terminal"), "{why}");
}

#[test]
fn an_author_alone_needs_no_repository() {
    let args = WishArgs {
        author_email: Some("bot@org.example".to_owned()),
        ..WishArgs::default()
    };
    let wish = gathered(&args, None).unwrap();
    assert!(wish.draft.entry.is_none() && wish.prove.is_none());
}
