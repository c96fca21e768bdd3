//! Modules on their way into force: each is read once for each text that it gets.
//!
//! Passes (`spelling`, `heads`, `negation`, `order`, `mocks`) say what is to be written otherwise, with a look at all
//! modules; only one in which something changes is read again. It deliberately evaluates nothing: all that is left at the
//! end is an engine, and what was written where.

use std::collections::BTreeMap;

use regorus::Engine;
use regorus::unstable::{Parser, Source};

use super::edits::{Edit, Origin, edited};
use super::error::uncompiled;
use super::lint::{self, Module};
use super::{Error, Place, builtins, heads, mocks, negation, nesting, order, spelling};

/// How deep negations are looked for in what others negate.
const NEGATION_LIMIT: usize = 8;

/// Modules, and where what they say comes from.
pub(super) struct Draft {
    /// All of them; the first are in force as they are.
    modules: Vec<Module>,
    /// What the others were.
    origins: Vec<Origin>,
}

impl Draft {
    /// Reads files beside modules that are in force.
    pub(super) fn read(fixed: Vec<Module>, files: &[(String, String)]) -> Result<Self, Vec<Error>> {
        let mut draft = Self {
            modules: fixed,
            origins: Vec::new(),
        };
        let mut spelt = Vec::new();
        for (file, source) in files {
            let mut origin = Origin::of(source);
            let mut edits = spelling::edits(source);
            origin.change(&mut edits);
            spelt.push((file.clone(), edited(source, 0, edits)));
            draft.origins.push(origin);
        }
        draft.modules.extend(parsed(&spelt)?);
        Ok(draft)
    }

    /// Reads files so that they are evaluated as by OPA, if nothing in them is refused: their heads have a value where they
    /// have one to OPA, and what is negated in them is what OPA negates.
    pub(super) fn load(fixed: Vec<Module>, files: &[(String, String)]) -> Result<Self, Vec<Error>> {
        let ours = |source: &str| {
            [builtins::LOOKUP, builtins::AFTER]
                .into_iter()
                .find(|name| source.contains(name))
        };
        let named = files
            .iter()
            .find_map(|(file, source)| Some((file, ours(source)?)));
        if let Some((file, name)) = named {
            let why = format!("the name {name} is the engine's own");
            return Err(vec![Error::at(Place::of(file), why)]);
        }
        let mut draft = Self::read(fixed, files)?;
        let errors = lint::refusals(&draft.modules);
        if !errors.is_empty() {
            return Err(errors);
        }
        draft.rewrite(|all, own| Ok(heads::moved(all, own)))?;
        for _ in 0..NEGATION_LIMIT {
            if !draft.rewrite(negation::hoisted)? {
                draft.rewrite(|all, own| Ok(order::kept(all, own)))?;
                return Ok(draft);
            }
        }
        let (file, _) = files.first().cloned().unwrap_or_default();
        let why = format!("`not` stands in what `not` negates more than {NEGATION_LIMIT} deep");
        Err(vec![Error::at(Place::of(&file), why)])
    }

    /// Writes out what `with` replaces. None of the modules may be in force already.
    pub(super) fn write_out_mocks(&mut self) -> Result<(), Vec<Error>> {
        self.rewrite(|all, _| Ok(mocks::written_out(all)))
            .map(|_| ())
    }

    /// Has a pass say what is written otherwise in those that are not in force yet; it is shown all of them, and these.
    /// Whether there is anything.
    pub(super) fn rewrite(
        &mut self,
        pass: impl FnOnce(&[Module], &[Module]) -> Result<Vec<Vec<Edit>>, Error>,
    ) -> Result<bool, Vec<Error>> {
        let fixed = self.modules.len().saturating_sub(self.origins.len());
        let own = self.modules.get(fixed..).unwrap_or_default();
        let edits = pass(&self.modules, own).map_err(|error| vec![error])?;
        let mut places = Vec::new();
        let mut texts = Vec::new();
        for (at, mut edits) in edits.into_iter().enumerate() {
            let module = self.modules.get(fixed + at).filter(|_| !edits.is_empty());
            if let (Some(module), Some(origin)) = (module, self.origins.get_mut(at)) {
                origin.change(&mut edits);
                places.push(fixed + at);
                texts.push((module.file.clone(), edited(&module.source, 0, edits)));
            }
        }
        for (at, read) in places.iter().zip(parsed(&texts)?) {
            if let Some(module) = self.modules.get_mut(*at) {
                *module = read;
            }
        }
        Ok(!places.is_empty())
    }

    pub(super) fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// Puts those that are not in force yet into an engine.
    pub(super) fn put_into(&self, mut engine: Engine) -> Result<Engine, Vec<Error>> {
        let fixed = self.modules.len().saturating_sub(self.origins.len());
        let mut errors = Vec::new();
        for module in self.modules.iter().skip(fixed) {
            if let Err(error) = engine.add_policy(module.file.clone(), module.source.clone()) {
                errors.push(uncompiled(&module.file, &error));
            }
        }
        if errors.is_empty() {
            Ok(engine)
        } else {
            Err(errors)
        }
    }

    /// What those were in which something was changed, by file.
    pub(super) fn origins(self) -> BTreeMap<String, Origin> {
        let fixed = self.modules.len().saturating_sub(self.origins.len());
        let files = self.modules.into_iter().skip(fixed);
        let origins = files.map(|module| module.file).zip(self.origins);
        origins.filter(|(_, origin)| origin.is_changed()).collect()
    }
}

/// Reads all of them, or says what is wrong with each that cannot be read.
fn parsed(sources: &[(String, String)]) -> Result<Vec<Module>, Vec<Error>> {
    let mut errors = nesting::refusals(sources);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut modules = Vec::new();
    for (file, text) in sources {
        match module(file, text) {
            Ok(module) => modules.push(module),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(modules)
    } else {
        Err(errors)
    }
}

/// Reads one as an engine of ours does.
fn module(file: &str, text: &str) -> Result<Module, Error> {
    let source = Source::from_contents(file.to_owned(), text.to_owned());
    let source = source.map_err(|error| uncompiled(file, &error))?;
    let parsed = Parser::new(&source).and_then(|mut parser| {
        parser.set_max_col(builtins::COLUMNS);
        parser.enable_rego_v1()?;
        parser.parse()
    });
    let parsed = parsed.map_err(|error| uncompiled(file, &error))?;
    lint::tree(&parsed).ok_or_else(|| lint::unreadable(file))
}
