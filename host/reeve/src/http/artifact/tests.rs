//! Who may read what.

use super::*;
use crate::http::tests::{Served, code_of};
use std::path::PathBuf;

/// A store in a directory, beside a file that is none of it.
struct Store {
    directory: tempfile::TempDir,
    served: Served,
}

const PATH: &str = "gitrepository/acme/web/0123abcd-9.tar.gz";

impl Store {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root: PathBuf = directory.path().join("store");
        std::fs::create_dir_all(root.join("gitrepository/acme/web/.hidden")).unwrap();
        std::fs::write(root.join(PATH), vec![7; 200_000]).unwrap();
        std::fs::write(root.join("gitrepository/acme/web/.hidden/x"), "hidden").unwrap();
        std::fs::write(directory.path().join("secret"), "s3cret").unwrap();
        // as trusting as can be: the router alone keeps who asks inside
        let open: Open = Arc::new(move |path| {
            let file = File::open(root.join(path)).ok()?;
            let found = file.metadata().ok()?;
            found.is_file().then_some((file, found.len()))
        });
        let served = Served::start(Artifacts::new(open).router()).await;
        Self { directory, served }
    }

    async fn ask(&self, request: &str) -> Vec<u8> {
        self.served.ask_bytes(request.as_bytes()).await
    }
}

#[tokio::test]
async fn an_artifact_is_read_by_who_knows_its_path() {
    let store = Store::start().await;
    let answer = store
        .ask(&format!("GET /{PATH} HTTP/1.1\r\nhost: x\r\n\r\n"))
        .await;
    let text = String::from_utf8_lossy(&answer);
    assert_eq!(code_of(&text), 200);
    assert!(answer.ends_with(&[7; 200_000]));
    assert!(text.to_lowercase().contains("content-length: 200000\r\n"));
    let again =
        format!("GET /{PATH} HTTP/1.1\r\nhost: x\r\nif-none-match: \"0123abcd-9.tar.gz\"\r\n\r\n");
    assert_eq!(
        code_of(&String::from_utf8_lossy(&store.ask(&again).await)),
        304
    );
    drop(store.directory);
}

#[tokio::test]
async fn nothing_else_is_read_or_listed() {
    let store = Store::start().await;
    for (method, path, want) in [
        ("GET", "/", 200),
        ("GET", "/gitrepository", 404),
        ("GET", "/gitrepository/", 404),
        ("GET", "/gitrepository/acme/web", 404),
        ("GET", "/gitrepository/acme/web/", 404),
        ("GET", "/gitrepository/acme/web/.hidden/x", 404),
        ("GET", "/../secret", 404),
        ("GET", "/gitrepository/../../secret", 404),
        ("GET", "/gitrepository/%2e%2e/%2e%2e/secret", 404),
        ("GET", "/gitrepository/..%2f..%2fsecret", 404),
        ("GET", "//secret", 404),
        ("GET", "/gitrepository\\..\\secret", 404),
        ("GET", "/./gitrepository/acme/web/0123abcd-9.tar.gz", 404),
        ("GET", "/gitrepository//acme/web/0123abcd-9.tar.gz", 404),
        ("GET", "/gitrepository/acme/web/0123abcd-9.tar.gz%00", 404),
        ("POST", "/gitrepository/acme/web/0123abcd-9.tar.gz", 405),
        ("DELETE", "/gitrepository/acme/web/0123abcd-9.tar.gz", 405),
        ("PUT", "/", 405),
    ] {
        let answer = store
            .ask(&format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
        let text = String::from_utf8_lossy(&answer);
        // a request line that isn't one at all is turned away before us
        let code = code_of(&text);
        assert!(
            code == want || (code == 400 && path.contains('\\')),
            "{method} {path}: {text}"
        );
        assert!(
            text.ends_with("\r\n\r\n"),
            "{method} {path} has a body: {text}"
        );
    }
    let long = format!("/{}", "a/".repeat(4000));
    let answer = store
        .ask(&format!("GET {long} HTTP/1.1\r\nhost: x\r\n\r\n"))
        .await;
    assert_eq!(code_of(&String::from_utf8_lossy(&answer)), 404);
}

#[tokio::test]
async fn a_head_says_how_large_it_is_and_sends_nothing() {
    let store = Store::start().await;
    let mut stream = store.served.connect().await;
    tokio::io::AsyncWriteExt::write_all(
        &mut stream,
        format!("HEAD /{PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
    )
    .await
    .unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer)
        .await
        .unwrap();
    assert_eq!(code_of(&answer), 200);
    assert!(
        answer.to_lowercase().contains("content-length: 200000\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}
