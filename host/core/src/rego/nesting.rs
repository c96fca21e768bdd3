//! How deep a module is nested and how often its parser reads a part of it, found before it is parsed.
//!
//! regorus' parser calls itself for each bracket and reads what begins an array, a set or an object again and again: as
//! the head of a comprehension first, then as an item. Each such level doubles its time, and its stack has no bound. So
//! the words of a module are counted here in one pass, each as often as the parser would come by, or more. It
//! deliberately understands no grammar: what is no Rego is for the parser to tell.

mod words;

use super::{Error, Place};
pub(super) use words::{Word, Words};

/// The deepest nesting: brackets, and what one expression strings together with dots and operators.
const DEPTH_LIMIT: usize = 100;
/// The most imports of one module: each is compared with all before it.
const IMPORT_LIMIT: usize = 100;
/// How many words the parser reads at most, those that it reads twice counted twice. That takes it about a second.
const WORK_LIMIT: u64 = 8 << 20;
/// For a try and its failure at a bracket the parser takes as long as for so many words.
const FOR_A_BRACKET: u64 = 8;

/// What the parser of all these modules would have to do; those that are nested too deep are told.
pub(super) fn refusals(modules: &[(String, String)]) -> Vec<Error> {
    let mut work = 0;
    let scans = modules.iter().filter_map(|(file, source)| {
        let (line, why) = scan(source, &mut work)?;
        let place = Place {
            line,
            ..Place::of(file)
        };
        Some(Error::at(place, why))
    });
    scans.collect()
}

/// The line that is too much, and why.
fn scan(source: &str, work: &mut u64) -> Option<(u64, String)> {
    let mut words = Words::of(source);
    let mut levels = Levels::default();
    let mut imports = 0;
    while let Some((word, touches)) = words.next() {
        levels.take(word, touches);
        imports += usize::from(word == Word::Keyword("import"));
        if imports > IMPORT_LIMIT {
            let why = format!("a module has at most {IMPORT_LIMIT} imports");
            return Some((words.line, why));
        }
        let begins = matches!(word, Word::Symbol("[" | "{"));
        let words_of_it = if begins { FOR_A_BRACKET } else { 1 };
        *work = work.saturating_add(levels.now.weight().saturating_mul(words_of_it));
        if levels.now.depth + levels.now.run > DEPTH_LIMIT {
            let why = format!(
                "it is nested deeper than {DEPTH_LIMIT} levels of brackets, dots and operators: give its parts names"
            );
            return Some((words.line, why));
        }
        if *work > WORK_LIMIT {
            let why = "reading it takes too long, for so many brackets begin with brackets: give inner ones names, or \
                       put them last"
                .to_owned();
            return Some((words.line, why));
        }
    }
    None
}

/// The brackets that are open.
#[derive(Default)]
struct Levels {
    now: Level,
    around: Vec<Level>,
}

/// What stands between two brackets.
#[derive(Default, Clone, Copy)]
struct Level {
    /// What is around it.
    depth: usize,
    /// How often the parser comes by it, as a power of two and one of three.
    twos: u32,
    threes: u32,
    reading: Reading,
    /// Dots, calls and operators of the expression so far: each holds what is before it.
    run: usize,
    before: Before,
}

/// How often the parser reads what comes now.
#[derive(Default, Clone, Copy, PartialEq)]
enum Reading {
    #[default]
    Once,
    /// As the head of a comprehension, and as the first item.
    Twice,
    /// As the body of a comprehension, whose first term is read twice, and as the rest of an item.
    Thrice,
}

/// What the word before was.
#[derive(Default, Clone, Copy, PartialEq)]
enum Before {
    #[default]
    Nothing,
    Operator,
    Keyword,
    Operand,
}

impl Level {
    fn powers(self) -> (u32, u32) {
        match self.reading {
            Reading::Once => (self.twos, self.threes),
            Reading::Twice => (self.twos + 1, self.threes),
            Reading::Thrice => (self.twos, self.threes + 1),
        }
    }

    fn weight(self) -> u64 {
        let (twos, threes) = self.powers();
        2u64.saturating_pow(twos)
            .saturating_mul(3u64.saturating_pow(threes))
    }

    fn operator(&mut self) {
        self.run += 1;
        self.before = Before::Operator;
    }

    /// Another expression begins.
    fn anew(&mut self, before: Before) {
        self.run = 0;
        self.before = before;
    }
}

impl Levels {
    fn take(&mut self, word: Word<'_>, touches: bool) {
        let now = &mut self.now;
        match word {
            Word::Operand => {
                // Nothing joins the two.
                if now.before == Before::Operand {
                    now.run = 0;
                }
                now.before = Before::Operand;
            }
            Word::Keyword("in") if now.before == Before::Operand => {
                now.run += 1;
                now.before = Before::Keyword;
            }
            Word::Keyword(_) => {
                if now.before == Before::Operand {
                    now.run = 0;
                }
                now.before = Before::Keyword;
            }
            Word::Symbol("(") => {
                now.run += usize::from([Before::Operand, Before::Keyword].contains(&now.before));
                self.open(Reading::Once);
            }
            Word::Symbol("[") if now.before == Before::Operand && touches => {
                now.run += 1;
                self.open(Reading::Once);
            }
            Word::Symbol("[" | "{") => {
                if now.before == Before::Operand {
                    now.run = 0;
                }
                self.open(Reading::Twice);
            }
            Word::Symbol(")" | "]" | "}") => {
                self.now = self.around.pop().unwrap_or_default();
                self.now.before = Before::Operand;
            }
            Word::Symbol(",") => {
                now.anew(Before::Nothing);
                if now.reading == Reading::Twice {
                    now.reading = Reading::Once;
                }
            }
            Word::Symbol(";") => now.anew(Before::Nothing),
            Word::Symbol(":" | ":=" | "=") => now.anew(Before::Operator),
            Word::Symbol("|") => {
                now.operator();
                if now.reading == Reading::Twice {
                    now.reading = Reading::Thrice;
                }
            }
            Word::Symbol(_) => now.operator(),
        }
    }

    fn open(&mut self, reading: Reading) {
        let (twos, threes) = self.now.powers();
        let inner = Level {
            depth: self.now.depth + self.now.run + 1,
            twos,
            threes,
            reading,
            ..Level::default()
        };
        self.around.push(std::mem::replace(&mut self.now, inner));
    }
}

#[cfg(test)]
mod tests;
