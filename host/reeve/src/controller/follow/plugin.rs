//! Plugins and ClusterPlugins: whom they are called for, and who is woken when that is another.

use std::sync::Arc;

use kube::Resource as _;
use reeve_api::name::{NamespaceName, NamespacedName, PluginName};
use reeve_api::plugin::{ClusterPlugin, Component, Plugin, Selector, World};
use reeve_core::index::{Extension, Target};
use reeve_core::plugin::PluginId;

use super::{Followed, identified, named, worth_a_run};
use crate::cluster::Id;
use crate::context::Context;
use crate::index::Edition;

impl Followed for Plugin {
    fn put(ctx: &Context, object: Arc<Self>) {
        let Some(id) = named(object.meta()) else {
            return;
        };
        let selector = object.spec.selector.within(id.namespace.as_str());
        let extension = extension(&object.spec.component(), selector, &id.namespace);
        let wake = ctx.index.write(|known| {
            let before = known.plugins.insert(id.clone(), Arc::clone(&object));
            worth_a_run(before.as_ref(), &object)
        });
        if wake {
            let edition = Edition::of(&object.metadata);
            put_plugin(ctx, PluginId::Tenant(id), &edition, extension);
        }
    }

    fn gone(ctx: &Context, id: &Id) {
        let Some(id) = identified(id) else { return };
        ctx.index.write(|known| known.plugins.remove(&id));
        plugin_gone(ctx, &PluginId::Tenant(id));
    }
}

impl Followed for ClusterPlugin {
    fn put(ctx: &Context, object: Arc<Self>) {
        let Some(name) = object.metadata.name.as_deref() else {
            return;
        };
        let Ok(name) = name.parse::<PluginName>() else {
            return;
        };
        let selector = object.spec.selector.clone();
        let extension = extension(&object.spec.component(), selector, &ctx.home);
        let wake = ctx.index.write(|known| {
            let before = known
                .cluster_plugins
                .insert(name.clone(), Arc::clone(&object));
            worth_a_run(before.as_ref(), &object)
        });
        if wake {
            let edition = Edition::of(&object.metadata);
            put_plugin(ctx, PluginId::Platform(name), &edition, extension);
        }
    }

    fn gone(ctx: &Context, id: &Id) {
        let Ok(name) = id.name.parse::<PluginName>() else {
            return;
        };
        ctx.index.write(|known| known.cluster_plugins.remove(&name));
        plugin_gone(ctx, &PluginId::Platform(name));
    }
}

/// What matters of a plugin whose references are from `home`.
fn extension(component: &Component, selector: Selector, home: &NamespaceName) -> Extension {
    let source = component.source.git.as_ref().and_then(|git| {
        let named = git.source_ref.namespace.as_deref();
        let namespace = named.unwrap_or(home.as_str());
        NamespacedName::new(namespace, git.source_ref.name.as_str()).ok()
    });
    let configs = component.config_from.iter();
    let configs = configs.filter_map(|from| NamespacedName::new(home.as_str(), &*from.name).ok());
    Extension {
        configs: configs.collect(),
        order: component.order,
        selector: (component.world == World::Transformer).then_some(selector),
        source,
    }
}

/// Those it is called for are woken when it is loaded; those it is no longer called for, now.
fn put_plugin(ctx: &Context, id: PluginId, edition: &Edition, extension: Extension) {
    let dropped = ctx.index.write(|known| {
        match known.loaded.get_mut(&id) {
            // Made again: nothing of the one before is this one's.
            Some(loaded) if !loaded.edition.is_of(edition) => drop(known.loaded.remove(&id)),
            Some(loaded) => loaded.superseded = loaded.edition != *edition,
            None => {}
        }
        let mut touched = known.touch.apply_plugin(id.clone(), extension);
        for still in known.touch.called_for(&id) {
            touched.remove(&still);
        }
        touched
    });
    ctx.queues.kustomizations.wake_all(dropped);
    ctx.queues.wake_plugin(id);
}

fn plugin_gone(ctx: &Context, id: &PluginId) {
    ctx.drift.forget(&Target::Plugin(id.clone()));
    let touched = ctx.index.write(|known| {
        known.loaded.remove(id);
        known.calls.forget(id);
        known.memory.remove(&Target::Plugin(id.clone()));
        let mut touched = known.touch.remove_plugin(id);
        touched.extend(known.waiting.remove(id).unwrap_or_default());
        touched.extend(known.users.remove(id).unwrap_or_default());
        touched
    });
    ctx.queues.kustomizations.wake_all(touched);
}
