//! The plugins that a run would call: those whose component is given are called, with the config that they have in the cluster,
//! and the others are named.

use std::path::PathBuf;
use std::str::FromStr;

use reeve_api::name::NamespaceName;
use reeve_api::plugin::{ClusterPlugin, Component, Plugin, World};
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::failure::Explained;
use reeve_core::plugin::combine;
use reeve_core::veil::Veil;
use serde_json::Value;

use super::{Asked, KustomizationArgs, explained};
use crate::cli::plugin::place::{LimitFlags, Place};
use crate::cli::plugin::{read, run::failed};
use crate::cli::ui::{CommandError, Ui};
use crate::cluster::{Cluster, SecretOwner};
use crate::configs;

/// A plugin by its name, and the file of its component.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Given {
    name: String,
    file: PathBuf,
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok(Self {
                name: name.to_owned(),
                file: PathBuf::from(file),
            }),
            _ => Err("it is not NAME=FILE".to_owned()),
        }
    }
}

/// One that a run would call.
pub(in crate::cli) struct Called {
    name: String,
    /// Where what it is configured with lies.
    home: NamespaceName,
    platforms: bool,
    component: Component,
}

/// Those that a run would call, in the order in which it would.
pub(in crate::cli) async fn called(
    home: &NamespaceName,
    cluster: &Cluster,
    (namespace, labels): (&NamespaceName, &reeve_core::index::Labels),
    ui: &mut Ui,
) -> Vec<Called> {
    let mut all = Vec::new();
    match cluster.all::<Plugin>(Some(namespace.as_str())).await {
        Ok(found) => all.extend(found.into_iter().filter_map(|one| {
            let selector = one.spec.selector.within(namespace.as_str());
            let picks = selector.matches(namespace.as_str(), labels);
            picks.then_some(Called {
                name: one.metadata.name?,
                home: namespace.clone(),
                platforms: false,
                component: one.spec.component(),
            })
        })),
        Err(why) => ui.note(&format!("Plugins cannot be read: {why}")),
    }
    match cluster.all::<ClusterPlugin>(None).await {
        Ok(found) => all.extend(found.into_iter().filter_map(|one| {
            let picks = one.spec.selector.matches(namespace.as_str(), labels);
            picks.then_some(Called {
                name: one.metadata.name?,
                home: home.clone(),
                platforms: true,
                component: one.spec.component(),
            })
        })),
        Err(why) => ui.note(&format!("ClusterPlugins cannot be read: {why}")),
    }
    all.retain(|one| one.component.world == World::Transformer);
    all.sort_by(|one, other| one.turn().cmp(&other.turn()));
    all
}

impl Called {
    /// `Plugin/NAME` or `ClusterPlugin/NAME`.
    pub(in crate::cli) fn shown(&self) -> String {
        let kind = if self.platforms {
            "ClusterPlugin"
        } else {
            "Plugin"
        };
        format!("{kind}/{}", self.name)
    }

    fn turn(&self) -> (bool, i32, &str) {
        (self.platforms, self.component.order, &self.name)
    }
}

/// The config of each whose component is given.
pub(in crate::cli) async fn configured(
    given: &[Given],
    plugins: &[Called],
    cluster: &Cluster,
) -> Result<Vec<(String, PathBuf, Value)>, CommandError> {
    let mut all = Vec::new();
    for one in plugins {
        let Some(given) = given.iter().find(|given| given.name == one.name) else {
            continue;
        };
        let owner = SecretOwner::connected(&one.home);
        let parts = configs::parts(cluster, &owner, &one.component.config_from).await;
        let parts = parts.map_err(explained)?.into_iter();
        let parts = parts.map(|found| found.part).collect();
        let config = combine(parts, &one.component.config);
        let config = config.map_err(|why| {
            CommandError::of(
                &format!("the config of plugin {} is of no use", one.name),
                &why,
            )
        })?;
        let config = serde_json::from_str(&config)
            .map_err(|why| CommandError::of("reading a plugin's config failed", &why))?;
        all.push((one.name.clone(), given.file.clone(), config));
    }
    Ok(all)
}

/// Calls them one after the other, each with what the one before returned. What is under the veil is not told.
pub(in crate::cli) fn call(
    all: Vec<(String, PathBuf, Value)>,
    mut bundle: Bundle<Rendered>,
    veil: &Veil,
) -> Result<Bundle<Rendered>, CommandError> {
    for (name, file, config) in all {
        let place = Place::open(&read(&file)?, &name, &LimitFlags::default())?;
        if let Err(why) = place.fits(&config) {
            return Err(failed(&name, &why.into()).under(veil));
        }
        let done = place.transform(bundle.to_manifests(), &config);
        let veil = veil.and(&bundle.shown());
        let done = done.map_err(|why| failed(&name, &why).under(&veil))?;
        bundle = bundle
            .replaced(done.manifests)
            .map_err(|why| explained(veil.over(Explained::of(&why))))?;
    }
    Ok(bundle)
}

/// Those that were not called.
pub(super) fn left(args: &KustomizationArgs, asked: &Asked) -> Vec<String> {
    let given = |one: &&Called| !args.plugins.iter().any(|given| given.name == one.name);
    let left = asked.plugins.iter().filter(given);
    left.map(|one| one.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_given_by_the_name_of_its_plugin() {
        let given: Given = "stamp=target/stamp=1.wasm".parse().unwrap();
        assert_eq!(
            (given.name.as_str(), given.file),
            ("stamp", PathBuf::from("target/stamp=1.wasm"))
        );
        for text in ["stamp", "=a.wasm", "stamp="] {
            assert!(text.parse::<Given>().is_err(), "{text}");
        }
    }
}
