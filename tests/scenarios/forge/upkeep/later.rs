//! What is at the forge goes and changes by itself later: what was deleted while nobody ran is taken away, and a key that has grown
//! old is made anew.
//!
//! The controller is one of its own that is stopped, and its time of day jumps meanwhile. Gitea's doesn't.

use jiff::SignedDuration;
use reeve_tests::controller::Surroundings;
use reeve_tests::leftover;
use reeve_tests::skew::Skew;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use super::*;

/// An estate whose controller may be stopped, and its time of day.
struct Own {
    estate: Estate,
    skew: Skew,
    _dir: tempfile::TempDir,
}

impl Own {
    async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("later-").tempdir()?;
        leftover::watch_over(dir.path());
        let skew = Skew::new(dir.path())?;
        let around = Surroundings {
            env: skew.env(),
            ..Surroundings::default()
        };
        Ok(Self {
            estate: Estate::start_in(around).await?,
            skew,
            _dir: dir,
        })
    }

    /// The one of this process, for one at a time.
    async fn alone() -> anyhow::Result<(&'static Self, MutexGuard<'static, ()>)> {
        static OWN: OnceCell<Own> = OnceCell::const_new();
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let own = OWN.get_or_try_init(Self::start).await?;
        if own.estate.controller.pid().is_none() {
            own.estate.controller.restart().await?;
        }
        Ok((own, turn))
    }
}

impl Shop {
    /// Whether both are being deleted, and there all the same.
    async fn are_going(&self, receivers: &Api<DynamicObject>) -> anyhow::Result<bool> {
        let source = self.sources().get("shop").await?;
        let receiver = receivers.get("hook").await?;
        let mut both = [source, receiver].into_iter();
        Ok(both.all(|one| one.metadata.deletion_timestamp.is_some()))
    }
}

#[test]
fn what_went_while_nobody_ran_is_taken_away_at_the_forge_and_what_others_made_there_stays() {
    scenario(async {
        let (own, _turn) = Own::alone().await?;
        let shop = Shop::open_on(&own.estate, "downtime").await?;
        shop.elses_key().await?;
        shop.elses_hook().await?;
        shop.first_key().await?;
        let (receivers, url) = receiver(&shop).await?;
        let elses = (ELSEWHERE.to_owned(), false);
        let both = BTreeSet::from([elses.clone(), (url, true)]);
        shop.hooks_are("there is one more", &both).await?;

        own.estate.controller.kill();
        let how = DeleteParams::default();
        shop.sources().delete("shop", &how).await?;
        receivers.delete("hook", &how).await?;
        // Nobody is there to take anything away, and they wait for whoever does.
        ensure!(shop.are_going(&receivers).await?, "one waits for nobody");
        ensure!(shop.keys().await?.len() == 1, "{:?}", shop.keys().await?);
        shop.hooks_are("both are there", &both).await?;

        own.estate.controller.restart().await?;
        wait::until_gone(&shop.sources(), "shop").await?;
        wait::until_gone(&receivers, "hook").await?;
        ensure!(shop.keys().await?.is_empty(), "{:?}", shop.keys().await?);
        let all = shop.desk.gitea("keys").await?;
        ensure!(all[0]["title"] == ELSES, "{all}");
        let alone = BTreeSet::from([elses]);
        shop.hooks_are("somebody else's is there", &alone).await
    });
}

/// Longer than the shortest time after which a key may be made anew.
const OLD: SignedDuration = SignedDuration::from_mins(61);

impl Shop {
    /// Who Gitea's ssh server is said to be from now on.
    async fn change_known_hosts(&self, text: &str) -> anyhow::Result<()> {
        let secrets = self.tenant.api("v1", "Secret");
        let hosts = json!({"stringData": {"known_hosts": text}});
        change(&secrets, "shop-key", &hosts).await
    }

    /// Waits until a run that was asked for by this word has ended.
    async fn looked_over(&self, word: &str) -> anyhow::Result<DynamicObject> {
        change(&self.sources(), "shop", &annotated(ASKED, word)).await?;
        let handled = |source: &DynamicObject| {
            text(&source.data, "/status/lastHandledReconcileAt") == Some(word)
                && is(source, "Ready", "True", "")
        };
        wait::for_object(&self.sources(), "shop", "it was looked over", handled).await
    }
}

/// Another server's key in the place of the one there.
fn another_server(known_hosts: &str) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let (_, public) = keypair(&dir.path().join("server"), KeyKind::Ed25519, "")?;
    let (host, _) = known_hosts.split_once(' ').context("host and key")?;
    Ok(format!("{host} {}\n", public.trim()))
}

#[test]
fn a_key_that_has_grown_old_is_made_anew_by_itself_and_the_old_one_stays_until_the_new_one_opens() {
    scenario(async {
        let (own, _turn) = Own::alone().await?;
        let shop = Shop::open_on(&own.estate, "old-keys").await?;
        let first = shop.first_key().await?;
        let asks = json!({
            "metadata": {"annotations": {"reeve.dev/rotate-key-every": "1h"}},
            "spec": {"interval": "1s"},
        });
        change(&shop.sources(), "shop", &asks).await?;
        let source = shop.looked_over("young").await?;
        let public = first["identity.pub"].as_str().context("a public half")?;
        ensure!(
            text(&source.data, "/status/deployKey/publicKey") == Some(public),
            "it is not old"
        );

        // Nobody asks for anything from here on: an hour passes, and the new key opens nothing yet. A process may know that its clock
        // was set, and the next one believes what was written down.
        own.estate.controller.kill();
        let known_hosts = shop.desk.forge.gitea.known_hosts()?;
        shop.change_known_hosts(&another_server(&known_hosts)?)
            .await?;
        own.skew.jump(OLD)?;
        own.estate.controller.restart().await?;
        shop.source_says("DeployKeyReady", "False", "the old one stays")
            .await?;
        let (_, between) = shop.secret("shop-key").await?;
        ensure!(between["identity"] == first["identity"], "it has gone");
        let next = between["identity.next.pub"]
            .as_str()
            .context("the new one")?;
        let keys = shop.keys().await?;
        let has = |public: &str| keys.iter().any(|(_, key)| key.starts_with(public));
        ensure!(
            keys.len() == 2 && has(public) && has(next.trim()),
            "{keys:?}"
        );
        let private = |keys: &Value| keys["identity"].as_str().unwrap_or_default().to_owned();
        shop.desk.fetch(&private(&first))?;

        shop.change_known_hosts(&known_hosts).await?;
        let second = shop.replaced(&first, &Value::Null).await?;
        ensure!(second["identity.pub"] == *next, "it is a third one");
        shop.desk.fetch(&private(&second))?;
        ensure!(
            shop.desk.fetch(&private(&first)).is_err(),
            "it is gone from Gitea"
        );
        // One hour makes one key.
        shop.looked_over("young again").await?;
        let (_, after) = shop.secret("shop-key").await?;
        ensure!(after["identity"] == second["identity"], "another");
        Ok(())
    });
}
