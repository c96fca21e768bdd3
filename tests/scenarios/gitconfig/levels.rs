//! Which level it is that gives a login, from when on, and what becomes of one that cannot be read.

use super::*;

#[test]
fn a_tenants_level_goes_before_its_environments_its_projects_and_the_platforms() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("levelled").await?;
        let users = ["global", "project", "environment", "tenant"];
        let logins = users.map(basic);
        let server = private(estate, Auth::Open).await?;
        let of = |index: usize| {
            let (user, (_, password)) = (users[index], &logins[index]);
            entry(&server, user, password)
        };
        let named = |user: &str| {
            let name = format!("{}-{user}", tenant.name());
            json!({"kind": "Secret", "name": name})
        };
        everybody_may(estate, &of(0)).await?;
        for (index, user) in users.iter().enumerate().skip(1) {
            let text = format!("auths:\n{}", of(index));
            let name = format!("{}-{user}", tenant.name());
            tenant.apply(&files(&name, &text)).await?;
        }
        let project = async |own: Value, environment: Value| {
            let environments = json!([{"name": "staging", "gitConfig": environment}]);
            let spec = json!({"gitConfig": own, "environments": environments});
            let spec = without_nulls(&spec);
            tenant
                .apply(&json!({"apiVersion": TENANT_API, "kind": "Project", "metadata": {"name": tenant.name()}, "spec": spec}))
                .await
        };
        let of_project = json!({"project": tenant.name(), "environment": "staging"});
        project(named("project"), named("environment")).await?;
        let mut whole = of_project.clone();
        whole["gitConfig"] = named("tenant");
        declare(&tenant, &whole).await?;
        server.lets_in_only(logins[3].0.clone());
        is_fetched_from(&tenant, &server.url(tenant.name())).await?;
        // Each change of what is above it is taken up by itself.
        for (index, user) in users.iter().enumerate().take(3).rev() {
            server.lets_in_only(logins[index].0.clone());
            let done = async {
                match *user {
                    "environment" => declare(&tenant, &of_project).await,
                    "project" => project(named("project"), Value::Null).await,
                    _ => project(Value::Null, Value::Null).await,
                }
            };
            arrives_when(&tenant, user, done).await?;
        }
        // A Project that is gone is not passed over.
        let gone = projects(estate);
        gone.delete(tenant.name(), &kube::api::DeleteParams::default())
            .await?;
        tenant
            .source_told_of(Reason::AccessDenied, "which does not exist")
            .await?;
        Ok(())
    });
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let set = fields.iter().filter(|(_, value)| !value.is_null());
            set.map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        value => value.clone(),
    }
}

#[test]
fn a_secret_that_a_level_names_is_rotated_without_a_word_to_anybody() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("rotated").await?;
        let ((old, password), (new, next)) = (basic("ada"), basic("ada"));
        let server = private(estate, old).await?;
        let login = with_a_secret(&tenant, &server, &password).await?;
        let at = server.url(tenant.name());
        arrives_when(&tenant, "before", is_fetched_from(&tenant, &at)).await?;

        // Its interval is an hour, and it has nothing to try again.
        server.lets_in_only(new);
        let rotated = secret(&login, &[("password", &next)]);
        arrives_when(&tenant, "after", tenant.apply(&rotated)).await?;

        server.lets_in_only(Auth::Basic("ada".to_owned(), self::password()));
        tenant.call_hook().await?;
        let words = format!(
            "(the login is given by auths[0] ({}) of Tenant",
            server.url("*")
        );
        tenant
            .source_told_of(Reason::AuthenticationFailed, &words)
            .await?;
        Ok(())
    });
}

/// Gives a tenant a level with an entry for everything at a server, whose password is in a Secret of its own. Returns its name.
async fn with_a_secret(
    tenant: &Tenant<'_>,
    server: &HttpServer,
    password: &str,
) -> anyhow::Result<String> {
    let (level, login) = (
        format!("{}-level", tenant.name()),
        format!("{}-login", tenant.name()),
    );
    let reference = json!({"valueFrom": {"secretKeyRef": {"name": login, "key": "password"}}});
    let https = json!({"username": "ada", "password": reference});
    let file = json!({"auths": [{"url": server.url("*"), "credentials": {"https": https}}]});
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": level, "namespace": SYSTEM},
        "data": {"git.yaml": file.to_string()},
    });
    tenant.apply(&map).await?;
    tenant
        .apply(&secret(&login, &[("password", password)]))
        .await?;
    let config = json!({"gitConfig": {"kind": "ConfigMap", "name": level}});
    declare(tenant, &config).await?;
    Ok(login)
}

#[test]
fn a_secret_that_only_a_submodule_is_fetched_with_wakes_the_source_when_it_changes() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("sublogin").await?;
        let ((old, password), (new, next)) = (basic("ada"), basic("ada"));
        let server = private(estate, old).await?;
        let login = with_a_secret(&tenant, &server, &password).await?;
        let base = format!("{}-base", tenant.name());
        let (repo, own) = (estate.repo(&base)?, tenant.repo());
        std::fs::create_dir_all(own.work().join("base"))?;
        let link = |commit: &str| {
            let entry = format!("160000,{commit},base");
            own.run(["update-index", "--add", "--cacheinfo", &entry])
        };
        let url = server.url(&base);
        let named = format!("[submodule \"base\"]\npath = base\nurl = {url}\n");
        link(&repo.publish("notes.md", "one\n")?)?;
        let told = tenant
            .after(|draft| {
                draft.commit(".gitmodules", &named);
                draft.set_source("recurseSubmodules", json!(true));
            })
            .await?;
        anyhow::ensure!(told.ready.status == "True", "{told:?}");

        // The source's own repository is open to all, and is not asked for an hour.
        server.lets_in_only(new);
        link(&repo.publish("notes.md", "two\n")?)?;
        let rotated = secret(&login, &[("password", &next)]);
        arrives_when(&tenant, "rotated", tenant.apply(&rotated)).await?;
        Ok(())
    });
}

#[test]
fn a_level_that_cannot_be_read_stops_its_sources_and_says_where() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("unreadable").await?;
        let level = format!("{}-level", tenant.name());
        let config = json!({"gitConfig": {"kind": "Secret", "name": level}});
        declare(&tenant, &config).await?;
        tenant
            .source_told_of(Reason::AuthenticationFailed, "not found")
            .await?;
        let hidden = password();
        let wrong = format!("auths:\n- url: https://h/r\n  pasword: {hidden}\n");
        tenant.apply(&files(&level, &wrong)).await?;
        let told = tenant
            .source_told_of(Reason::AuthenticationFailed, "line 3: auths[0].pasword")
            .await?;
        assert!(!told.message.contains(&hidden), "{}", told.message);
        let app = json!({"gitHubAuths": [{
            "orgRepo": "org/app", "auth": {"appID": 1, "installationID": 2, "privateKey": "/nowhere"},
        }]});
        let mended = files(&level, &app.to_string());
        arrives_when(&tenant, "mended", tenant.apply(&mended)).await?;
        fetch_from(&tenant, "https://github.com/org/app.git").await?;
        let words = format!("gitHubAuths[0] (org/app) of Tenant {}", tenant.name());
        tenant
            .source_told_of(Reason::AuthenticationFailed, &words)
            .await?;
        Ok(())
    });
}
