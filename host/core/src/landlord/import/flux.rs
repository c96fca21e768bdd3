//! The tenants of a repository as Flux's multi-tenancy guides lay it out: what `flux create tenant` writes, built.
//!
//! A tenant is what bears one value of the label `toolkit.fluxcd.io/tenant`. Its namespaces, its account and the role of that
//! become a Tenant; its sources, Kustomizations and whatever else it has stay where they are, since what they say holds as it did.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::KUSTOMIZE_GROUP;
use reeve_api::name::{NamespaceName, TenantName};
use serde_json::{Map, Value, json};

use super::{Import, Imported, is_group};
use crate::landlord::made::is_reserved;

/// The label that Flux's command line puts on what is a tenant's.
pub const LABEL: &str = "toolkit.fluxcd.io/tenant";
/// How many objects are named that stay.
const NAMED: usize = 20;
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// The Tenants of these objects.
pub fn tenants(objects: &[Value]) -> Import {
    let mut import = Import::default();
    let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for object in objects.iter().filter(|object| is(object, "", "Namespace")) {
        match label(object, LABEL) {
            Some(tenant) => {
                found.entry(tenant).or_default().push(object);
                owners.insert(text(object, "/metadata/name"), tenant);
            }
            None => import.notes.push(format!(
                "{} bears no label {LABEL}: it is no tenant's",
                named(object)
            )),
        }
    }
    for object in objects.iter().filter(|object| !is(object, "", "Namespace")) {
        match owners.get(text(object, "/metadata/namespace")) {
            Some(tenant) => found.entry(tenant).or_default().push(object),
            None => import.notes.push(format!(
                "{} lies in no namespace of a tenant: it stays as it is",
                named(object)
            )),
        }
    }
    for (name, objects) in &found {
        import.put(Found { name, objects }.tenant());
    }
    import
}

/// What there is of one tenant.
struct Found<'o> {
    name: &'o str,
    objects: &'o [&'o Value],
}

impl Found<'_> {
    fn tenant(&self) -> Result<Imported, String> {
        let refused = |why: String| format!("tenant {:?} is not taken over: {why}", self.name);
        let name = self.name.parse::<TenantName>();
        let name = name.map_err(|why| refused(why.to_string()))?;
        let mut notes = Vec::new();
        let mut spec = Map::new();
        let mut put = |field: &str, value: Value| {
            spec.insert(field.to_owned(), value);
        };
        let namespaces = self.namespaces().map_err(refused)?;
        put("namespaces", json!(namespaces));
        let account = self.account(&namespaces).map_err(refused)?;
        put("serviceAccountName", json!(account));
        let (role, owners) = self.role(account, &mut notes).map_err(refused)?;
        put("role", json!(role));
        if !owners.is_empty() {
            put("owners", json!(owners));
        }
        if let Some(metadata) = self.metadata().map_err(refused)? {
            put("namespaceMetadata", metadata);
        }
        if let Some(level) = self.level().map_err(refused)? {
            put("podSecurity", json!(level));
        }
        self.delivered(&mut notes);
        self.rest(&mut notes);
        Imported::read(name, spec, notes)
    }

    fn of(&self, group: &'static str, kind: &'static str) -> impl Iterator<Item = &Value> {
        let all = self.objects.iter().copied();
        all.filter(move |object| is(object, group, kind))
    }

    fn namespaces(&self) -> Result<Vec<NamespaceName>, String> {
        let names = self
            .of("", "Namespace")
            .map(|one| text(one, "/metadata/name"));
        let names = names.map(|name| name.parse::<NamespaceName>().map_err(|why| why.to_string()));
        names.collect()
    }

    /// The one account that it has in each of its namespaces, or the one that its Kustomizations name.
    fn account(&self, namespaces: &[NamespaceName]) -> Result<&str, String> {
        let mut at: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for one in self.of("", "ServiceAccount") {
            let (name, namespace) = (
                text(one, "/metadata/name"),
                text(one, "/metadata/namespace"),
            );
            at.entry(name).or_default().insert(namespace);
        }
        let everywhere = |places: &BTreeSet<&str>| {
            let mut all = namespaces.iter();
            all.all(|namespace| places.contains(namespace.as_str()))
        };
        let mut likely: Vec<&str> = at
            .iter()
            .filter(|(_, places)| everywhere(places))
            .map(|(name, _)| *name)
            .collect();
        if likely.len() > 1 {
            let used = self.of(KUSTOMIZE_GROUP, "Kustomization");
            let used: BTreeSet<&str> = used
                .map(|one| text(one, "/spec/serviceAccountName"))
                .collect();
            if likely.iter().any(|name| used.contains(name)) {
                likely.retain(|name| used.contains(name));
            }
        }
        match likely.as_slice() {
            [one] => Ok(*one),
            [] => {
                Err("there is no ServiceAccount that it has in each of its namespaces".to_owned())
            }
            more => Err(format!(
                "it has several ServiceAccounts, and which is its own cannot be told: {}",
                more.join(", ")
            )),
        }
    }

    /// The ClusterRole of the account, and the groups of people who have it too.
    fn role(
        &self,
        account: &str,
        notes: &mut Vec<String>,
    ) -> Result<(String, Vec<String>), String> {
        let rbac = "rbac.authorization.k8s.io";
        let (mut roles, mut owners) = (BTreeSet::new(), BTreeSet::new());
        for binding in self.of(rbac, "RoleBinding") {
            let subjects = binding.get("subjects").and_then(Value::as_array);
            let subjects = subjects.map(Vec::as_slice).unwrap_or_default();
            let own = |one: &&Value| {
                text(one, "/kind") == "ServiceAccount" && text(one, "/name") == account
            };
            if text(binding, "/roleRef/kind") != "ClusterRole"
                || !subjects.iter().any(|one| own(&one))
            {
                notes.push(format!("{} stays as it is", named(binding)));
                continue;
            }
            roles.insert(text(binding, "/roleRef/name"));
            for one in subjects.iter().filter(|one| !own(one)) {
                let (kind, name) = (text(one, "/kind"), text(one, "/name"));
                match kind {
                    "Group" if is_group(name) => {
                        owners.insert(name.to_owned());
                    }
                    // As whom Flux itself once acted.
                    "User" if name.starts_with("gotk:") => {}
                    _ => notes.push(format!(
                        "{kind} {name} of {} is not taken over: only the account and groups of people are bound",
                        named(binding)
                    )),
                }
            }
        }
        let role = match roles.into_iter().collect::<Vec<_>>().as_slice() {
            ["cluster-admin"] => {
                notes.push(
                    "its account has cluster-admin in its namespaces, which no landlord gives: it gets admin; the binding that is there goes on giving more for as long as it is there".to_owned(),
                );
                "admin"
            }
            [role] => *role,
            [] => {
                return Err(format!(
                    "no RoleBinding gives its account {account} a ClusterRole"
                ));
            }
            more => {
                return Err(format!(
                    "its account {account} has several ClusterRoles: {}",
                    more.join(", ")
                ));
            }
        };
        Ok((role.to_owned(), owners.into_iter().collect()))
    }

    /// What all of its namespaces bear alike.
    fn metadata(&self) -> Result<Option<Value>, String> {
        let mut found = self.of("", "Namespace").map(|one| {
            let kept = |field: &str| -> Map<String, Value> {
                let all = one.pointer(&format!("/metadata/{field}"));
                let all = all.and_then(Value::as_object).into_iter().flatten();
                let all =
                    all.filter(|(key, _)| !is_reserved(key) && !key.starts_with("kustomize."));
                all.map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            };
            (kept("labels"), kept("annotations"))
        });
        let Some((labels, annotations)) = found.next() else {
            return Ok(None);
        };
        if found.any(|other| other != (labels.clone(), annotations.clone())) {
            return Err("its namespaces bear different labels or annotations".to_owned());
        }
        let mut metadata = Map::new();
        for (field, values) in [("labels", labels), ("annotations", annotations)] {
            if !values.is_empty() {
                metadata.insert(field.to_owned(), Value::Object(values));
            }
        }
        Ok((!metadata.is_empty()).then_some(Value::Object(metadata)))
    }

    fn level(&self) -> Result<Option<&str>, String> {
        let levels = self.of("", "Namespace").map(|one| label(one, ENFORCE));
        let levels: BTreeSet<Option<&str>> = levels.collect();
        match levels.into_iter().collect::<Vec<_>>().as_slice() {
            [level] => Ok(*level),
            _ => Err(format!("its namespaces bear different labels {ENFORCE}")),
        }
    }

    /// What its Kustomizations have to say that Flux does not ask for.
    fn delivered(&self, notes: &mut Vec<String>) {
        for one in self.of(KUSTOMIZE_GROUP, "Kustomization") {
            let own = text(one, "/metadata/namespace");
            for (field, fits) in [
                (
                    "serviceAccountName",
                    !text(one, "/spec/serviceAccountName").is_empty(),
                ),
                ("targetNamespace", text(one, "/spec/targetNamespace") == own),
            ] {
                if !fits {
                    notes.push(format!(
                        "{} needs spec.{field}, or will be denied",
                        named(one)
                    ));
                }
            }
        }
    }

    /// Whatever else it has.
    fn rest(&self, notes: &mut Vec<String>) {
        let taken = |object: &&&Value| {
            is(object, "", "Namespace")
                || is(object, "", "ServiceAccount")
                || is(object, "rbac.authorization.k8s.io", "RoleBinding")
        };
        let rest = self.objects.iter().filter(|object| !taken(object));
        let rest: Vec<String> = rest.map(|object| named(object)).collect();
        if rest.is_empty() {
            return;
        }
        let shown: Vec<&str> = rest.iter().take(NAMED).map(String::as_str).collect();
        let more = match rest.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        notes.push(format!("stays as it is: {}{more}", shown.join(", ")));
    }
}

fn is(object: &Value, group: &str, kind: &str) -> bool {
    let version = text(object, "/apiVersion");
    let own = version.split_once('/').map_or("", |(group, _)| group);
    own == group && text(object, "/kind") == kind
}

fn text<'o>(object: &'o Value, pointer: &str) -> &'o str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

fn label<'o>(object: &'o Value, label: &str) -> Option<&'o str> {
    object.pointer("/metadata/labels")?.get(label)?.as_str()
}

fn named(object: &Value) -> String {
    let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
    match text(object, "/metadata/namespace") {
        "" => format!("{kind} {name}"),
        namespace => format!("{kind} {namespace}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_api::SOURCE_GROUP;

    const RBAC: &str = "rbac.authorization.k8s.io";

    fn object(version: &str, kind: &str, at: &str, name: &str, more: Value) -> Value {
        let labels = json!({LABEL: "dev-team"});
        let mut object = json!({
            "apiVersion": version, "kind": kind,
            "metadata": {"name": name, "namespace": at, "labels": labels},
        });
        object
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        object
    }

    fn namespace(name: &str) -> Value {
        let mut namespace = object("v1", "Namespace", "", name, json!({}));
        namespace["metadata"]
            .as_object_mut()
            .unwrap()
            .shift_remove("namespace");
        namespace
    }

    fn account(at: &str, name: &str) -> Value {
        object("v1", "ServiceAccount", at, name, json!({}))
    }

    fn binding(at: &str, role: &str, subjects: Value) -> Value {
        let role = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": role});
        let version = format!("{RBAC}/v1");
        object(
            &version,
            "RoleBinding",
            at,
            "dev-team-reconciler",
            json!({"roleRef": role, "subjects": subjects}),
        )
    }

    fn own(at: &str) -> Value {
        json!({"kind": "ServiceAccount", "name": "dev-team", "namespace": at})
    }

    /// What `flux create tenant dev-team --with-namespace=apps` and the guide's sync.yaml come to.
    fn guide() -> Vec<Value> {
        let user = json!({"kind": "User", "name": "gotk:apps:reconciler", "apiGroup": RBAC});
        let people = json!({"kind": "Group", "name": "devs", "apiGroup": RBAC});
        let (kustomize, source) = (
            format!("{KUSTOMIZE_GROUP}/v1"),
            format!("{SOURCE_GROUP}/v1"),
        );
        vec![
            namespace("apps"),
            account("apps", "dev-team"),
            binding("apps", "cluster-admin", json!([user, own("apps"), people])),
            object(
                &source,
                "GitRepository",
                "apps",
                "dev-team",
                json!({"spec": {}}),
            ),
            object(
                &kustomize,
                "Kustomization",
                "apps",
                "dev-team",
                json!({"spec": {"serviceAccountName": "dev-team", "path": "./staging"}}),
            ),
        ]
    }

    #[test]
    fn what_flux_makes_of_a_tenant_becomes_one_and_what_it_delivers_stays() {
        let import = tenants(&guide());
        assert_eq!((import.refused, import.notes), (Vec::new(), Vec::new()));
        let tenant = &import.tenants[0];
        assert_eq!(tenant.name.as_str(), "dev-team");
        assert_eq!(
            Value::Object(tenant.fields.clone()),
            json!({
                "namespaces": ["apps"], "serviceAccountName": "dev-team", "role": "admin", "owners": ["devs"],
                "namespaceMetadata": {"labels": {LABEL: "dev-team"}},
            })
        );
        let notes = tenant.notes.join("\n");
        for words in [
            "cluster-admin",
            "Kustomization apps/dev-team needs spec.targetNamespace",
            "stays as it is: GitRepository apps/dev-team, Kustomization apps/dev-team",
        ] {
            assert!(notes.contains(words), "{words}: {notes}");
        }
        assert_eq!(tenant.notes.len(), 3, "{notes}");
    }

    #[test]
    fn what_is_no_tenants_is_told_and_left() {
        let mut objects = guide();
        let mut bare = namespace("other");
        bare["metadata"]
            .as_object_mut()
            .unwrap()
            .shift_remove("labels");
        objects.push(bare);
        objects.push(account("other", "dev-team"));
        let import = tenants(&objects);
        assert_eq!(import.tenants.len(), 1);
        assert_eq!(import.notes.len(), 2, "{:?}", import.notes);
        assert!(import.notes[0].contains("Namespace other bears no label"));
    }

    #[test]
    fn what_cannot_be_told_for_certain_refuses_the_tenant() {
        let change = |change: fn(&mut Vec<Value>)| {
            let mut objects = guide();
            change(&mut objects);
            let import = tenants(&objects);
            assert_eq!(import.tenants, Vec::new());
            import.refused.join("\n")
        };
        let told = change(|all| all.retain(|one| one["kind"] != "ServiceAccount"));
        assert!(told.contains("no ServiceAccount"), "{told}");
        let told = change(|all| all.push(namespace("second")));
        assert!(told.contains("in each of its namespaces"), "{told}");
        let told = change(|all| all.retain(|one| one["kind"] != "RoleBinding"));
        assert!(told.contains("no RoleBinding gives"), "{told}");
        let told = change(|all| all.push(binding("apps", "edit", json!([own("apps")]))));
        assert!(told.contains("several ClusterRoles"), "{told}");
        let told = change(|all| {
            let mut second = namespace("second");
            second["metadata"]["labels"]["team"] = json!("x");
            all.extend([second, account("second", "dev-team")]);
        });
        assert!(told.contains("different labels"), "{told}");
        let told = change(|all| {
            for one in all {
                one["metadata"]["labels"][LABEL] = json!("A/B");
            }
        });
        assert!(told.contains("\"A/B\""), "{told}");
    }

    #[test]
    fn of_several_accounts_it_is_the_one_that_delivers() {
        let mut objects = guide();
        objects.push(account("apps", "robot"));
        assert_eq!(
            tenants(&objects).tenants[0].fields["serviceAccountName"],
            "dev-team"
        );
        objects.retain(|one| one["kind"] != "Kustomization");
        let import = tenants(&objects);
        assert!(import.refused[0].contains("several ServiceAccounts"));
    }
}
