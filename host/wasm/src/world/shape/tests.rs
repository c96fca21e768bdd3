//! The texts are what `wit/` says, read by another parser than the components' own.

use std::path::Path;

use wit_parser::{Resolve, Type, TypeDefKind};

use super::*;

fn written(resolve: &Resolve, kind: &Type) -> String {
    let list = |kinds: &[Type]| {
        let kinds: Vec<String> = kinds.iter().map(|kind| written(resolve, kind)).collect();
        kinds.join(", ")
    };
    let payload = |kind: &Option<Type>| {
        kind.as_ref()
            .map_or_else(|| "_".to_owned(), |kind| written(resolve, kind))
    };
    let Type::Id(id) = kind else {
        return match kind {
            Type::Bool => "bool",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::String => "string",
            other => panic!("no world has {other:?} yet: teach both writers"),
        }
        .to_owned();
    };
    match &resolve.types[*id].kind {
        TypeDefKind::Type(kind) => written(resolve, kind),
        TypeDefKind::List(kind) => format!("list<{}>", written(resolve, kind)),
        TypeDefKind::Option(kind) => format!("option<{}>", written(resolve, kind)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", list(&tuple.types)),
        TypeDefKind::Result(result) => {
            format!("result<{}, {}>", payload(&result.ok), payload(&result.err))
        }
        TypeDefKind::Record(record) => {
            let field = |field: &wit_parser::Field| {
                format!(" {}: {},", field.name, written(resolve, &field.ty))
            };
            let fields: String = record.fields.iter().map(field).collect();
            format!("record {{{fields} }}")
        }
        TypeDefKind::Variant(variant) => {
            let case = |case: &wit_parser::Case| format!(" {}: {},", case.name, payload(&case.ty));
            let cases: String = variant.cases.iter().map(case).collect();
            format!("variant {{{cases} }}")
        }
        TypeDefKind::Enum(cases) => {
            let names: String = (cases.cases.iter())
                .map(|case| format!(" {},", case.name))
                .collect();
            format!("enum {{{names} }}")
        }
        other => panic!("no world has {other:?} yet: teach both writers"),
    }
}

#[test]
fn the_types_are_those_of_the_contract() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    resolve
        .push_dir(here.join("../../wit"))
        .expect("wit/ parses");
    for (world, file) in [
        (World::Transformer, "transform.type"),
        (World::Provider, "provide.type"),
    ] {
        let (interface, function, text) = contract(world);
        let (_, interface) = (resolve.interfaces.iter())
            .find(|(id, _)| resolve.id_of(*id).as_deref() == Some(interface))
            .expect("the interface is in wit/");
        let function = &interface.functions[function];
        let parameters: Vec<String> = (function.params.iter())
            .map(|parameter| written(&resolve, &parameter.ty))
            .collect();
        let result = function.result.as_ref().expect("it returns something");
        let want = format!(
            "func({}) -> ({})\n",
            parameters.join(", "),
            written(&resolve, result)
        );
        if std::env::var_os("REEVE_BLESS").is_some() {
            std::fs::write(here.join("src/world").join(file), &want).expect("it is ours");
        } else {
            assert_eq!(text, want, "`make generate` writes src/world/{file}");
        }
    }
}
