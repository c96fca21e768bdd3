//! The values of VT's landlord chart: `tenants`, by name, each with a namespace of its name.
//!
//! Taken over are domains, groups of people, quotas and, where the address of a repository is given, what is followed in it. Fields
//! that put something on pods, or that no Tenant has, are told by their names.

use std::collections::BTreeSet;

use reeve_api::name::{NamespaceName, ObjectName, ServiceAccountName};
use serde_json::{Map, Value, json};

use super::{Import, Imported, is_group};

/// What stands in the address for the tenant's name.
pub const PLACE: &str = "{tenant}";

/// What the values do not say.
#[derive(Debug, Clone)]
pub struct Beside {
    /// Where a tenant's repository lies, with [`PLACE`] in it.
    pub url: Option<String>,
    /// The account in each namespace.
    pub account: ServiceAccountName,
    /// The ClusterRole that it has there.
    pub role: ObjectName,
}

/// The Tenants of a values file.
///
/// # Errors
/// When it is no values file.
pub fn tenants(values: &Value, beside: &Beside) -> Result<Import, String> {
    let all = values.get("tenants").and_then(Value::as_object);
    let all = all.ok_or("it has no mapping `tenants` in which each tenant stands by its name")?;
    let mut import = Import::default();
    let other = values.as_object().into_iter().flatten();
    for (key, _) in other.filter(|(key, _)| *key != "tenants") {
        import.notes.push(format!("`{key}` is not taken over"));
    }
    for (name, fields) in all {
        import.put(tenant(name, fields, beside));
    }
    Ok(import)
}

fn tenant(name: &str, fields: &Value, beside: &Beside) -> Result<Imported, String> {
    let refused = |why: String| format!("tenant {name:?} is not taken over: {why}");
    let namespace = name.parse::<NamespaceName>();
    let namespace = namespace.map_err(|why| refused(why.to_string()))?;
    let nothing = Map::new();
    let fields = match fields {
        Value::Null => &nothing,
        Value::Object(fields) => fields,
        _ => return Err(refused("it is no mapping".to_owned())),
    };
    let mut made = Made {
        spec: Map::new(),
        notes: Vec::new(),
    };
    made.put("namespaces", json!([namespace]));
    made.put("serviceAccountName", json!(beside.account));
    made.put("role", json!(beside.role));
    for (field, value) in fields {
        made.field(field, value).map_err(refused)?;
    }
    made.source(&namespace, fields.get("flux"), beside)
        .map_err(refused)?;
    Imported::read(namespace.into(), made.spec, made.notes)
}

/// A spec under way.
struct Made {
    spec: Map<String, Value>,
    notes: Vec<String>,
}

impl Made {
    fn put(&mut self, field: &str, value: Value) {
        self.spec.insert(field.to_owned(), value);
    }

    fn field(&mut self, field: &str, value: &Value) -> Result<(), String> {
        match field {
            _ if value.is_null() => {}
            "domains" => {
                let domains = domains(value)?;
                self.put("domains", json!(domains));
            }
            "rbac" => {
                let readers = self.readers(value)?;
                self.put("readers", Value::Array(readers));
            }
            "quotas" => {
                let quota = self.quota(value)?;
                if !quota.is_empty() {
                    self.notes.push(
                        "quotas are taken over without defaults: a pod that asks for nothing of them is refused from then on; spec.containerDefaults says what its containers get instead".to_owned(),
                    );
                }
                self.put("quota", Value::Object(quota));
            }
            // The source is put together at the end.
            "flux" => {}
            "tolerations" | "affinity" => self.notes.push(format!(
                "{field} is not taken over: nothing is put on a tenant's pods; a mutating policy of the cluster has to go on doing it"
            )),
            _ => self.notes.push(format!("{field} is not taken over: a Tenant says nothing of it")),
        }
        Ok(())
    }

    /// They look, and run commands where that is said; nothing else makes somebody able to.
    fn readers(&mut self, value: &Value) -> Result<Vec<Value>, String> {
        let (mut readers, mut seen) = (Vec::new(), BTreeSet::new());
        for (at, one) in list("rbac", value)?.iter().enumerate() {
            let one = one.as_object();
            let one = one.ok_or_else(|| format!("rbac[{at}] is no mapping"))?;
            let group = one.get("group").and_then(Value::as_str);
            let group = group.filter(|group| is_group(group));
            let group = group.ok_or_else(|| format!("rbac[{at}].group is no group of people"))?;
            let exec = match one.get("exec") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(exec)) => *exec,
                Some(_) => return Err(format!("rbac[{at}].exec is neither true nor false")),
            };
            if !seen.insert(group) {
                return Err(format!("rbac names group {group:?} twice"));
            }
            let others = one.keys();
            for other in others.filter(|key| !["group", "exec"].contains(&key.as_str())) {
                self.notes
                    .push(format!("rbac[{at}].{other} is not taken over"));
            }
            readers.push(json!({"group": group, "exec": exec}));
        }
        Ok(readers)
    }

    fn quota(&mut self, value: &Value) -> Result<Map<String, Value>, String> {
        let fields = value.as_object().ok_or("quotas is no mapping")?;
        let mut quota = Map::new();
        for (field, value) in fields {
            if !["cpu", "memory"].contains(&field.as_str()) {
                self.notes.push(format!("quotas.{field} is not taken over"));
                continue;
            }
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return Err(format!("quotas.{field} is no amount")),
            };
            if !is_amount(&text) {
                return Err(format!("quotas.{field} is no amount"));
            }
            quota.insert(field.clone(), Value::String(text));
        }
        Ok(quota)
    }

    /// What is followed, if anybody says where; else the source of the tenant's name that somebody has made.
    fn source(
        &mut self,
        name: &NamespaceName,
        flux: Option<&Value>,
        beside: &Beside,
    ) -> Result<(), String> {
        let nothing = Map::new();
        let flux = match flux {
            None | Some(Value::Null) => &nothing,
            Some(flux) => flux.as_object().ok_or("flux is no mapping")?,
        };
        let text = |field: &str, default: &str| match flux.get(field) {
            None | Some(Value::Null) => Ok(default.to_owned()),
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(_) => Err(format!("flux.{field} is no text")),
        };
        let (branch, path) = (text("branch", "main")?, text("path", "./")?);
        for other in flux
            .keys()
            .filter(|key| !["branch", "path"].contains(&key.as_str()))
        {
            self.notes.push(format!("flux.{other} is not taken over"));
        }
        let Some(url) = &beside.url else {
            self.notes.push(format!(
                "what is followed (branch {branch}, path {path}) is not taken over, since nothing says where the repository lies: --url does; it may use the source {name} of the configuration namespace"
            ));
            self.put("sources", json!([name]));
            return Ok(());
        };
        let url = url.replace(PLACE, name.as_str());
        self.put(
            "source",
            json!({"url": url, "path": path, "ref": {"branch": branch}}),
        );
        Ok(())
    }
}

fn domains(value: &Value) -> Result<Vec<&str>, String> {
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    for (at, one) in list("domains", value)?.iter().enumerate() {
        let domain = one.as_str().filter(|domain| is_domain(domain));
        let domain = domain.ok_or_else(|| {
            format!(
                "domains[{at}] is no host in lower case, with a star for its first part at most"
            )
        })?;
        if seen.insert(domain) {
            all.push(domain);
        }
    }
    Ok(all)
}

fn list<'v>(field: &str, value: &'v Value) -> Result<&'v [Value], String> {
    let list = value.as_array().map(Vec::as_slice);
    list.ok_or_else(|| format!("{field} is no list"))
}

fn is_domain(text: &str) -> bool {
    let host = text.strip_prefix("*.").unwrap_or(text);
    ObjectName::new(host).is_ok() && text.len() <= 253
}

/// A number, and what it is counted in.
fn is_amount(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = text.strip_suffix(unit).unwrap_or_default();
    let known = [
        "", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    number.parse::<f64>().is_ok() && known.contains(&unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(url: Option<&str>) -> Beside {
        Beside {
            url: url.map(str::to_owned),
            account: "flux".parse().unwrap(),
            role: "admin".parse().unwrap(),
        }
    }

    fn one(fields: Value) -> Import {
        tenants(&json!({"tenants": {"acme": fields}}), &beside(None)).unwrap()
    }

    #[test]
    fn what_a_landlord_says_of_a_tenant_becomes_a_tenant_and_the_rest_is_told() {
        let values = json!({
            "global": {"cluster": "prod"},
            "tenants": {"acme": {
                "domains": ["acme.example", "*.acme.example"],
                "rbac": [{"group": "acme.devs", "exec": true}, {"group": "acme.staff"}],
                "flux": {"branch": "prod", "path": "./deploy"},
                "quotas": {"cpu": 4, "memory": "8Gi", "gpu": 1},
                "logging": {"splunkIndex": "acme"},
                "tolerations": [{"key": "acme"}],
            }},
        });
        let import = tenants(
            &values,
            &beside(Some("https://git.example/{tenant}/config")),
        )
        .unwrap();
        assert_eq!(import.refused, Vec::<String>::new());
        assert_eq!(import.notes, ["`global` is not taken over"]);
        let acme = &import.tenants[0];
        assert_eq!(
            Value::Object(acme.fields.clone()),
            json!({
                "namespaces": ["acme"], "serviceAccountName": "flux", "role": "admin",
                "domains": ["acme.example", "*.acme.example"],
                "readers": [{"group": "acme.devs", "exec": true}, {"group": "acme.staff", "exec": false}],
                "quota": {"cpu": "4", "memory": "8Gi"},
                "source": {
                    "url": "https://git.example/acme/config", "path": "./deploy", "ref": {"branch": "prod"},
                },
            })
        );
        let told: Vec<&str> = acme
            .notes
            .iter()
            .map(|note| note.split(' ').next().unwrap())
            .collect();
        assert_eq!(told, ["quotas.gpu", "quotas", "logging", "tolerations"]);
    }

    #[test]
    fn a_quota_is_told_of_where_pods_that_ask_for_nothing_are_refused_for_it() {
        let notes = |fields: Value| one(fields).tenants[0].notes.join("\n");
        let told = notes(json!({"quotas": {"memory": "8Gi"}}));
        assert!(told.contains("spec.containerDefaults"), "{told}");
        for none in [
            json!({}),
            json!({"quotas": {}}),
            json!({"quotas": {"gpu": 1}}),
        ] {
            let told = notes(none);
            assert!(!told.contains("containerDefaults"), "{told}");
        }
    }

    #[test]
    fn without_an_address_no_source_is_guessed() {
        let import = one(json!(null));
        let acme = &import.tenants[0];
        assert_eq!(acme.fields.get("source"), None);
        assert_eq!(acme.fields["sources"], json!(["acme"]));
        assert!(acme.notes[0].contains("--url"), "{:?}", acme.notes);
    }

    #[test]
    fn what_might_give_somebody_more_than_was_meant_refuses_the_tenant() {
        for (fields, words) in [
            (json!("acme"), "no mapping"),
            (json!({"domains": "acme.example"}), "domains is no list"),
            (json!({"domains": ["*"]}), "domains[0]"),
            (json!({"domains": ["*.*.example"]}), "domains[0]"),
            (
                json!({"domains": ["acme.example", "ACME.example"]}),
                "domains[1]",
            ),
            (json!({"domains": [null]}), "domains[0]"),
            (json!({"rbac": {"group": "a"}}), "rbac is no list"),
            (
                json!({"rbac": [{"group": "a", "exec": "no"}]}),
                "neither true nor false",
            ),
            (
                json!({"rbac": [{"group": "a"}, {"group": "a", "exec": true}]}),
                "twice",
            ),
            (
                json!({"rbac": [{"group": "system:masters"}]}),
                "no group of people",
            ),
            (json!({"rbac": [{"exec": true}]}), "no group of people"),
            (json!({"quotas": {"cpu": "much"}}), "no amount"),
            (json!({"quotas": {"cpu": ""}}), "no amount"),
            (json!({"quotas": {"memory": [1]}}), "no amount"),
            (json!({"flux": "main"}), "flux is no mapping"),
            (json!({"flux": {"path": 1}}), "flux.path is no text"),
        ] {
            let import = one(fields.clone());
            assert_eq!(import.tenants, Vec::new(), "{fields}");
            assert!(import.refused[0].contains(words), "{:?}", import.refused);
        }
        for name in ["", "Acme", "a.b", "../a", "a b", "a\n"] {
            let values = json!({"tenants": {name: {}}});
            let import = tenants(&values, &beside(None)).unwrap();
            assert!(
                import.tenants.is_empty() && import.refused.len() == 1,
                "{name:?}"
            );
        }
        for values in [
            json!(null),
            json!([]),
            json!({"tenants": ["acme"]}),
            json!({"tenant": {}}),
        ] {
            assert!(tenants(&values, &beside(None)).is_err(), "{values}");
        }
    }

    #[test]
    fn an_amount_is_a_number_and_what_it_is_counted_in() {
        for (text, want) in [
            ("4", true),
            ("0.5", true),
            ("500m", true),
            ("8Gi", true),
            ("", false),
            ("Gi", false),
            (".", false),
            ("1 Gi", false),
            ("-1", false),
            ("1e9", false),
        ] {
            assert_eq!(is_amount(text), want, "{text:?}");
        }
    }
}
