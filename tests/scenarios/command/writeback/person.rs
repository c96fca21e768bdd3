//! What a person commits beside what `reeve writeback run` does.

use super::*;

#[test]
fn what_a_person_commits_to_what_follows_the_cluster_stays_until_that_changes_the_same() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (name, repo) = ground(estate, "sides").await?;
        let follows = placed(&config_map("follows", "green"), &name);
        repo.publish("follows.yaml", format!("{follows}  size: small\n"))?;
        let mut map = green("follows", &name);
        map["data"]["size"] = json!("small");
        apply(estate, &map).await?;
        let api = objects::api(estate.admin(), "v1", "ConfigMap", Some(&name));
        let dir = tempfile::tempdir()?;
        files(dir.path(), &[("config.yaml", &*maps(&name))])?;
        let url = estate.git.url(&name);
        let line = [
            "writeback",
            "run",
            &url,
            "--interval=1h",
            "--debounce=100ms",
        ];
        let running = started(estate, dir.path(), &line)?;
        let has = |words: &'static str| {
            move |text: Option<&str>| text.is_some_and(|text| text.contains(words))
        };
        paint(&api, "follows", "blue").await?;
        committed(&repo, "follows.yaml", has("colour: blue")).await?;
        let of_a_person = |from: &str, to: &str| {
            repo.pull()?;
            let text = at_head(&repo, "follows.yaml")?;
            repo.publish("follows.yaml", format!("{}\n", text.replace(from, to)))
        };
        let log = || git(repo.bare(), ["log", "-1", "--format=%B", "main"]);

        of_a_person("size: small", "size: large")?;
        paint(&api, "follows", "black").await?;
        committed(&repo, "follows.yaml", has("colour: black")).await?;
        let text = at_head(&repo, "follows.yaml")?;
        ensure!(text.contains("size: large"), "it is taken back: {text}");
        ensure!(!log()?.contains("Changed on both sides"), "{}", log()?);

        of_a_person("colour: black", "colour: grey")?;
        paint(&api, "follows", "white").await?;
        committed(&repo, "follows.yaml", has("colour: white")).await?;
        let told = "kubernetes counts (white), the other had grey";
        ensure!(log()?.contains(told), "{}", log()?);
        let text = at_head(&repo, "follows.yaml")?;
        ensure!(text.contains("size: large"), "{text}");
        let ended = running.stop(Duration::from_secs(30));
        ensure!(
            ended.code() == Some(0),
            "{ended}: {}",
            running.tail(64 << 10)
        );
        Ok(())
    });
}
