//! What a write-back that stands alone knows when it begins anew: a person's commit is not taken back by a restart.

use super::*;

/// Somebody else's commit on top of the server's newest.
fn person(repo: &Repo, edit: impl FnOnce(&Repo) -> anyhow::Result<()>) -> anyhow::Result<()> {
    edit(repo.pull()?)?;
    repo.publish_all("By hand").map(drop)
}

fn replaced(repo: &Repo, from: &str, to: &str) -> anyhow::Result<()> {
    let text = at_head(repo, "follows.yaml")?;
    ensure!(text.contains(from), "{text}");
    repo.write("follows.yaml", format!("{}\n", text.replace(from, to)))?;
    Ok(())
}

#[test]
fn what_a_person_commits_is_not_taken_back_by_a_process_that_has_just_begun() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (name, repo) = ground(estate, "anew").await?;
        repo.write("kept.yaml", placed(&config_map("kept", "green"), &name))?;
        let follows = placed(&config_map("follows", "green"), &name);
        repo.publish("follows.yaml", format!("{follows}  size: small\n"))?;
        let mut map = green("follows", &name);
        map["data"]["size"] = json!("small");
        apply(estate, &map).await?;
        let api = objects::api(estate.admin(), "v1", "ConfigMap", Some(&name));
        let (config, url) = (maps(&name), estate.git.url(&name));
        paint(&api, "follows", "blue").await?;
        once(estate, &config, &[&url], 0).await?;
        ensure!(at_head(&repo, "follows.yaml")?.contains("colour: blue"));

        // Git alone has changed it since.
        person(&repo, |repo| replaced(repo, "size: small", "size: large"))?;
        let before = commits(&repo)?;
        for _ in 0..2 {
            let told = once(estate, &config, &[&url], 0).await?;
            ensure!(commits(&repo)? == before, "it is taken back: {told}");
            ensure!(told.contains("is left alone"), "{told}");
        }

        // Both have: what only git changed stays, and of the other it is told.
        person(&repo, |repo| replaced(repo, "colour: blue", "colour: grey"))?;
        paint(&api, "follows", "white").await?;
        once(estate, &config, &[&url], 0).await?;
        let text = at_head(&repo, "follows.yaml")?;
        ensure!(text.contains("colour: white"), "{text}");
        ensure!(text.contains("size: large"), "{text}");
        let log = git(repo.bare(), ["log", "-1", "--format=%B", "main"])?;
        let told = "kubernetes counts (white), the other had grey";
        ensure!(log.contains(told), "{log}");

        // What somebody has taken out of the files does not come back.
        person(&repo, |repo| repo.remove("follows.yaml").map(drop))?;
        let before = commits(&repo)?;
        let told = once(estate, &config, &[&url], 0).await?;
        ensure!(commits(&repo)? == before, "it is there again: {told}");
        ensure!(told.contains("taken it out of the files"), "{told}");
        Ok(())
    });
}
