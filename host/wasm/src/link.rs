//! Machine code becomes a guest that can be called: loaded, measured, linked, and held against its
//! world.
//!
//! All of this happens once per component, before any of its code runs. What it is linked to is the
//! whole of what a guest may call: `log`.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::budget::Settings;
use crate::engine::{MEMORIES, TABLE_ELEMENTS, TABLES};
use crate::error::Error;
use crate::facts::World;
use crate::inspect::PAGE;
use crate::store::State;
use crate::trap::chain;
use crate::words::{bytes, tame};
use crate::world::provide::ProviderPre;
use crate::world::shape;
use crate::world::transform::{self, TransformerPre};

/// A component that can be called, by its world.
#[derive(Clone)]
pub(crate) enum Guest {
    Transformer(TransformerPre<State>),
    Provider(ProviderPre<State>),
}

/// Machine code, and where it comes from.
pub(crate) enum Code<'a> {
    /// From our own compiler, over its own pipe.
    Fresh(&'a [u8]),
    /// From `disk`, which says that it is what our own compiler made.
    Kept(File),
}

/// What the worlds import; it is the same for all.
pub(crate) struct Links {
    linker: Linker<State>,
}

impl Links {
    pub(crate) fn new(engine: &Engine) -> Result<Self, Error> {
        let linker = transform::linker(engine)?;
        Ok(Self { linker })
    }

    /// A guest of `world` from machine code.
    pub(crate) fn guest(
        &self,
        engine: &Engine,
        code: &Code<'_>,
        world: World,
        settings: &Settings,
    ) -> Result<Guest, Error> {
        #[expect(
            unsafe_code,
            reason = "machine code cannot be checked, only where it comes from"
        )]
        // SAFETY: `deserialize` runs what it is given, and maps a file that must not change. Fresh code is
        // what our own compiler answered over its own pipe. Kept code was authenticated by `disk`, through this very
        // open file, with a key that nobody else can read; the file lies where nobody else can write, and we only
        // write new ones. That it was compiled for this version and these settings is checked by wasmtime too.
        let component = unsafe {
            match code {
                Code::Fresh(code) => Component::deserialize(engine, code),
                Code::Kept(file) => {
                    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                    Component::deserialize_file(engine, path)
                }
            }
        };
        let component = component
            .map_err(|why| Error::Compile(format!("it does not fit in here: {}", chain(&why))))?;
        measure(&component, settings)?;
        self.link(engine, &component, world)
    }

    fn link(&self, engine: &Engine, component: &Component, world: World) -> Result<Guest, Error> {
        let linked = self.linker.instantiate_pre(component);
        let linked = linked.map_err(|why| unlinked(engine, component, world, &why))?;
        let wrong = |why| Error::World {
            world: world.full_name(),
            why,
        };
        let guest = guest(world, linked).map_err(|why| wrong(chain(&why)))?;
        // Names were compared up to here; whether a function takes what it will be given is seen now,
        // not when it is called.
        shape::check(engine, component, world).map_err(wrong)?;
        Ok(guest)
    }
}

fn guest(world: World, linked: InstancePre<State>) -> wasmtime::Result<Guest> {
    Ok(match world {
        World::Transformer => Guest::Transformer(TransformerPre::new(linked)?),
        World::Provider => Guest::Provider(ProviderPre::new(linked)?),
    })
}

/// Whether a store can hold it at all: better said once at the start than in every call.
fn measure(component: &Component, settings: &Settings) -> Result<(), Error> {
    let needs = component.resources_required().ok_or_else(|| {
        Error::Compile("it instantiates a module that it does not contain".to_owned())
    })?;
    let memory = needs
        .max_initial_memory_size
        .unwrap_or(0)
        .saturating_mul(PAGE);
    let most = settings.memory;
    if memory > most as u64 {
        return Err(Error::Compile(format!(
            "it starts with more than {} of memory",
            bytes(most)
        )));
    }
    if needs.num_memories > MEMORIES {
        return Err(Error::Compile(format!(
            "it has more than {MEMORIES} memories"
        )));
    }
    if needs.num_tables > TABLES {
        return Err(Error::Compile(format!("it has more than {TABLES} tables")));
    }
    if needs.max_initial_table_size.unwrap_or(0) > TABLE_ELEMENTS as u64 {
        let why = format!("it starts with a table of more than {TABLE_ELEMENTS} elements");
        return Err(Error::Compile(why));
    }
    Ok(())
}

/// An import of our own package that this host does not have, or has otherwise.
fn unlinked(engine: &Engine, component: &Component, world: World, why: &wasmtime::Error) -> Error {
    let kind = component.component_type();
    let unknown: Vec<String> = kind
        .imports(engine)
        .map(|(name, _)| name)
        .filter(|name| {
            !name.starts_with("reeve:plugin/log@") && !name.starts_with("reeve:plugin/types@")
        })
        .map(|name| tame(name, 128))
        .collect();
    if unknown.is_empty() {
        Error::World {
            world: world.full_name(),
            why: chain(why),
        }
    } else {
        Error::Imports { asked: unknown }
    }
}
