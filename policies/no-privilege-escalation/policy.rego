# METADATA
# title: A tenant hands out no rights that lead beyond its own
# description: >-
#   Kubernetes keeps an account from granting what it doesn't have; this keeps a tenant from granting what it has and
#   others should not. RoleBindings may name Roles of their namespace and the ClusterRoles in parameters.clusterRoles
#   (view; not edit, which may act as every ServiceAccount beside it, nor admin, who may write bindings past this rule),
#   ClusterRoleBindings those in parameters.clusterWide (none). No role may hold what makes more of its holder: escalate,
#   bind, impersonate, tokens of ServiceAccounts, changes to roles, bindings, quotas and limits, changes to a namespace (whose
#   labels say what its pods may), statuses that
#   reeve goes by, the signing of certificates, and in all namespaces Secrets, pods and the proxy to them, what nodes log and
#   are, ServiceAccounts, ConfigMaps, claims and volumes, devices, leases, where traffic goes, quotas, priorities of pods and
#   of requests, webhooks, definitions, roles, bindings and reeve's own objects, nor what the API server tells beside its API
#   and its health. No ClusterRole may be called like one that may be bound. A Secret that is filled with a ServiceAccount's token may name those in parameters.serviceAccountTokens (none).
# custom:
#   severity: critical
#   hint: name verbs and resources one by one, and leave out what gives more rights; ask the platform team for the rest
# related_resources:
#   - https://kubernetes.io/docs/concepts/security/rbac-good-practices/#privilege-escalation-risks
package reeve.no_privilege_escalation

deny contains objection if {
	some planned in applied
	planned.kind in bindings
	not refers_to_a_harmless_role(planned)
	objection := told(planned, sprintf("may not bind %s; %s", [role_of(planned), bindable(planned)]), "roleRef")
}

deny contains objection if {
	some planned in applied
	planned.kind in bindings
	not are_readable(object.get(planned.object, "subjects", null))
	objection := told(planned, "has subjects that cannot be read; write each with kind and name", "subjects")
}

deny contains objection if {
	some planned in applied
	planned.kind in bindings
	some i, holder in listed(planned.object, "subjects")
	is_everybody(holder)
	objection := told(planned, sprintf("may not bind a role to %s; name accounts and groups of your own", [holder.name]), sprintf("subjects[%v]", [i]))
}

deny contains objection if {
	some planned in applied
	planned.kind in roles
	not are_rules(object.get(planned.object, "rules", null))
	objection := told(planned, "has rules that cannot be read; write apiGroups, resources and verbs of each as lists", "rules")
}

deny contains objection if {
	some planned in applied
	planned.kind in roles
	some i, rule in listed(planned.object, "rules")
	some harm in harms
	planned.kind in harm.of
	grants(rule, harm)
	objection := told(planned, sprintf("may not grant %s; take it out, and name verbs and resources one by one", [harm.what]), sprintf("rules[%v]", [i]))
}

# Profiles, logs and what else the API server tells are no tenant's.
deny contains objection if {
	some planned in applied
	planned.kind == "ClusterRole"
	some i, rule in listed(planned.object, "rules")
	some url in listed(rule, "nonResourceURLs")
	not is_harmless(url)
	objection := told(planned, sprintf("may not grant the address %s of the API server; name those it needs of /api, /apis, /healthz, /livez, /metrics, /openapi, /readyz, /version", [url]), sprintf("rules[%v].nonResourceURLs", [i]))
}

# Whatever they are granted on: what a resource is called today may be another's tomorrow.
deny contains objection if {
	some planned in applied
	planned.kind in roles
	some i, rule in listed(planned.object, "rules")
	some verb in listed(rule, "verbs")
	makes_more(verb)
	objection := told(planned, sprintf("may not grant the verb %s; take it out", [verb]), sprintf("rules[%v].verbs", [i]))
}

# What may be bound by its name is what the platform put there, and not what a tenant writes.
deny contains objection if {
	some planned in applied
	planned.kind == "ClusterRole"
	some kind in bindings
	planned.name in allowed[kind]
	objection := told(planned, "may not be called like a ClusterRole that may be bound; give it another name", "metadata.name")
}

deny contains objection if {
	some planned in applied
	planned.kind == "ClusterRole"
	object.get(planned.object, "aggregationRule", null) != null
	objection := told(planned, "may not gather the rules of other roles; remove aggregationRule and write its rules out", "aggregationRule")
}

deny contains objection if {
	some planned in applied
	planned.kind == "ClusterRole"
	is_object(planned.object.metadata.labels)
	some label, _ in planned.object.metadata.labels
	contains(label, "/aggregate-to-")
	objection := told(planned, sprintf("may not add its rules to another role; remove label %s", [label]), sprintf("metadata.labels[%s]", [label]))
}

# Whoever may read Secrets there is any account there: what an account may do should not depend on that.
deny contains objection if {
	some planned in objects
	planned.action == "apply"
	planned.group == ""
	planned.kind == "Secret"
	planned.object.type == "kubernetes.io/service-account-token"
	not is_handed_out(planned)
	objection := told(planned, sprintf("would be filled with a token of %s that never expires; leave it out, and mount a projected token where one is needed", [account(planned)]), "type")
}

deny contains objection if {
	some i in ({n | some n, _ in objects} - judged)
	planned := objects[i]
	objection := {
		"message": sprintf("%s: what it grants cannot be read; write roles and bindings as Kubernetes' API has them, and the items of a list one by one", [subject(planned)]),
		"object": subject(planned),
	}
}

deny contains objection if {
	not is_readable
	objection := {"message": "the objects of the plan cannot be read, so nothing of it is let through"}
}

objects := input.objects if {
	is_array(input.objects)
} else := []

is_readable if input.phase == "spec"

is_readable if {
	input.phase == "plan"
	is_array(input.objects)
}

# Each kind is looked at once, however many objects are of it.
judged := {i |
	some i, planned in objects
	planned.action == "prune"
} | {i |
	among := {[group, kind] |
		some [group, kind] in {[planned.group, planned.kind] | some planned in objects}
		is_string(group)
		is_string(kind)
		is_known(group, kind)
	}
	but := lists
	some i, planned in objects
	planned.action == "apply"
	[planned.group, planned.kind] in among
	is_object(planned.object)
	not i in but
}

is_known(group, _) if group != rbac

is_known(_, kind) if kind in array.concat(bindings, roles)

lists := {i |
	some i, planned in objects
	planned.object.items
	is_string(planned.object.kind)
	endswith(planned.object.kind, "List")
}

rbac := "rbac.authorization.k8s.io"

bindings := ["RoleBinding", "ClusterRoleBinding"]

roles := ["Role", "ClusterRole"]

applied := [planned |
	some planned in objects
	planned.action == "apply"
	planned.group == rbac
	is_object(planned.object)
]

refers_to_a_harmless_role(planned) if {
	planned.kind == "RoleBinding"
	planned.object.roleRef.apiGroup == rbac
	planned.object.roleRef.kind == "Role"
	is_string(planned.object.roleRef.name)
}

refers_to_a_harmless_role(planned) if {
	planned.object.roleRef.apiGroup == rbac
	planned.object.roleRef.kind == "ClusterRole"
	planned.object.roleRef.name in allowed[planned.kind]
}

allowed := {
	"ClusterRoleBinding": given("clusterWide", []),
	"RoleBinding": given("clusterRoles", ["view"]),
}

given(name, otherwise) := data.parameters[name] if {
	is_array(data.parameters[name])
} else := otherwise

bindable(planned) := sprintf("bind one of %s", [concat(", ", [role | some role in allowed[planned.kind]; is_string(role)])]) if {
	count(allowed[planned.kind]) > 0
} else := "leave it out, or have the platform team allow it"

is_handed_out(planned) if named_account(planned) in given("serviceAccountTokens", [])

account(planned) := sprintf("ServiceAccount %s", [named_account(planned)]) if {
	named_account(planned)
} else := "a ServiceAccount"

named_account(planned) := name if {
	name := planned.object.metadata.annotations["kubernetes.io/service-account.name"]
	is_string(name)
}

role_of(planned) := sprintf("%s %s", [planned.object.roleRef.kind, planned.object.roleRef.name]) if {
	is_string(planned.object.roleRef.kind)
	is_string(planned.object.roleRef.name)
} else := "a role that cannot be read"

are_readable(subjects) if subjects == null

are_readable(subjects) if {
	is_array(subjects)
	every holder in subjects {
		is_string(holder.kind)
		is_string(holder.name)
	}
}

# Whom Kubernetes itself names: everybody, or the machinery; but not a ServiceAccount of the tenant by its full name.
is_everybody(holder) if {
	holder.kind in ["User", "Group"]
	is_string(holder.name)
	startswith(holder.name, "system:")
	not is_own(holder.name)
}

is_own(name) if {
	some namespace in input.tenant.namespaces
	name == sprintf("system:serviceaccounts:%s", [namespace])
}

is_own(name) if {
	some namespace in input.tenant.namespaces
	startswith(name, sprintf("system:serviceaccount:%s:", [namespace]))
}

# Also `impersonate:user-info` and its like.
makes_more(verb) if verb in ["escalate", "bind"]

makes_more(verb) if {
	is_string(verb)
	startswith(verb, "impersonate")
}

are_rules(rules) if rules == null

are_rules(rules) if {
	is_array(rules)
	every rule in rules {
		is_object(rule)
		every field in ["apiGroups", "resources", "verbs"] {
			are_texts(object.get(rule, field, null))
		}
	}
}

are_texts(texts) if texts == null

are_texts(texts) if {
	is_array(texts)
	every text in texts {
		is_string(text)
	}
}

listed(thing, field) := found if {
	is_object(thing)
	found := object.get(thing, field, null)
	is_array(found)
} else := []

# As Kubernetes reads a rule: "*" is every one, and "*/proxy" the proxy of every resource.
grants(rule, harm) if {
	some group in harm.groups
	has(listed(rule, "apiGroups"), group)
	some resource in harm.resources
	has_resource(listed(rule, "resources"), resource)
	has_verb(listed(rule, "verbs"), harm.verbs)
}

is_harmless(url) if {
	is_string(url)
	split(trim_suffix(url, "*"), "/")[1] in harmless_addresses
}

harmless_addresses := {"api", "apis", "healthz", "livez", "metrics", "openapi", "readyz", "version"}

has(given, wanted) if wanted in given

has(given, _) if "*" in given

has_resource(given, wanted) if has(given, wanted)

has_resource(given, wanted) if concat("/", ["*", split(wanted, "/")[1]]) in given

has_verb(given, ["*"]) if count(given) > 0

has_verb(given, _) if "*" in given

has_verb(given, wanted) if {
	some verb in wanted
	verb in given
}

# What may not be granted, and in which kind of role it does harm: a Role reaches no further than its namespace. Without
# verbs it is harmful by "*" alone: the verbs that are written out are judged above.
harms := [
	{"what": "all verbs on roles", "of": roles, "groups": [rbac], "resources": ["roles", "clusterroles"], "verbs": []},
	{"what": "all verbs on whom one can act as", "of": roles, "groups": ["", "authentication.k8s.io"], "resources": ["users", "groups", "serviceaccounts"], "verbs": []},
	{"what": "tokens of ServiceAccounts", "of": roles, "groups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
	{"what": "what reeve has written of a Kustomization or a source", "of": roles, "groups": ["kustomize.toolkit.fluxcd.io"], "resources": ["kustomizations/status"], "verbs": ["update", "patch"]},
	{"what": "what reeve has written of a Kustomization or a source", "of": roles, "groups": ["source.toolkit.fluxcd.io"], "resources": ["gitrepositories/status"], "verbs": ["update", "patch"]},
	{"what": "changes to roles and bindings", "of": ["Role"], "groups": [rbac], "resources": ["rolebindings", "roles"], "verbs": written},
	{"what": "changes to quotas and limits", "of": ["Role"], "groups": [""], "resources": ["limitranges", "resourcequotas", "resourcequotas/status"], "verbs": written},
	{"what": "changes to namespaces", "of": roles, "groups": [""], "resources": ["namespaces"], "verbs": ["update", "patch", "delete", "deletecollection"]},
	{"what": "changes to namespaces", "of": roles, "groups": [""], "resources": ["namespaces/finalize", "namespaces/status"], "verbs": ["update", "patch"]},
	{"what": "the logs of nodes", "of": ["ClusterRole"], "groups": [""], "resources": ["nodes/log"], "verbs": ["*"]},
	{"what": "the proxy to nodes, pods and Services", "of": ["ClusterRole"], "groups": [""], "resources": ["nodes/proxy", "pods/proxy", "services/proxy"], "verbs": ["*"]},
	{"what": "Secrets in all namespaces", "of": ["ClusterRole"], "groups": [""], "resources": ["secrets"], "verbs": ["*"]},
	{"what": "pods in all namespaces", "of": ["ClusterRole"], "groups": [""], "resources": ["pods", "pods/resize", "podtemplates", "replicationcontrollers", "replicationcontrollers/scale"], "verbs": written},
	{"what": "pods in all namespaces", "of": ["ClusterRole"], "groups": ["", "policy"], "resources": ["pods/eviction"], "verbs": ["create"]},
	{"what": "pods in all namespaces", "of": ["ClusterRole"], "groups": ["apps"], "resources": ["controllerrevisions", "daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets", "statefulsets/scale"], "verbs": written},
	{"what": "pods in all namespaces", "of": ["ClusterRole"], "groups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": written},
	{"what": "pods in all namespaces", "of": ["ClusterRole"], "groups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": written},
	{"what": "which pods of all namespaces may be evicted", "of": ["ClusterRole"], "groups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": written},
	{"what": "which devices pods of all namespaces get", "of": ["ClusterRole"], "groups": ["resource.k8s.io"], "resources": ["deviceclasses", "devicetaintrules", "resourceclaims", "resourceclaims/status", "resourceclaimtemplates", "resourceslices"], "verbs": written},
	{"what": "how pods are run", "of": ["ClusterRole"], "groups": ["node.k8s.io"], "resources": ["runtimeclasses"], "verbs": written},
	{"what": "who leads among controllers", "of": ["ClusterRole"], "groups": ["coordination.k8s.io"], "resources": ["leasecandidates", "leases"], "verbs": written},
	{"what": "whom the API server hears first", "of": ["ClusterRole"], "groups": ["flowcontrol.apiserver.k8s.io"], "resources": ["flowschemas", "flowschemas/status", "prioritylevelconfigurations", "prioritylevelconfigurations/status"], "verbs": written},
	{"what": "who goes before others on nodes", "of": ["ClusterRole"], "groups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": written},
	{"what": "commands in the pods of all namespaces", "of": ["ClusterRole"], "groups": [""], "resources": ["pods/attach", "pods/exec", "pods/portforward"], "verbs": ["*"]},
	{"what": "commands in the pods of all namespaces", "of": ["ClusterRole"], "groups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["update", "patch"]},
	{"what": "where pods of all namespaces run", "of": ["ClusterRole"], "groups": [""], "resources": ["bindings", "pods/binding"], "verbs": ["create"]},
	{"what": "changes to ServiceAccounts and ConfigMaps in all namespaces", "of": ["ClusterRole"], "groups": [""], "resources": ["configmaps", "serviceaccounts"], "verbs": written},
	{"what": "where traffic in all namespaces goes", "of": ["ClusterRole"], "groups": [""], "resources": ["endpoints", "pods/status", "services", "services/status"], "verbs": written},
	{"what": "where traffic in all namespaces goes", "of": ["ClusterRole"], "groups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": written},
	{"what": "where traffic in all namespaces goes", "of": ["ClusterRole"], "groups": ["networking.k8s.io"], "resources": ["ingressclasses", "ingresses", "ingresses/status", "ipaddresses", "networkpolicies", "servicecidrs"], "verbs": written},
	{"what": "where traffic in all namespaces goes", "of": ["ClusterRole"], "groups": ["policy.networking.k8s.io"], "resources": ["adminnetworkpolicies", "baselineadminnetworkpolicies", "clusternetworkpolicies"], "verbs": written},
	{"what": "where traffic in all namespaces goes", "of": ["ClusterRole"], "groups": ["gateway.networking.k8s.io"], "resources": ["backendtlspolicies", "gatewayclasses", "gateways", "grpcroutes", "httproutes", "listenersets", "referencegrants", "tcproutes", "tlsroutes", "udproutes"], "verbs": written},
	{"what": "changes to nodes", "of": ["ClusterRole"], "groups": [""], "resources": ["nodes", "nodes/status"], "verbs": written},
	{"what": "changes to what kinds there are", "of": ["ClusterRole"], "groups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": written},
	{"what": "changes to who answers for the API", "of": ["ClusterRole"], "groups": ["apiregistration.k8s.io"], "resources": ["apiservices"], "verbs": written},
	{"what": "changes to tenants and what they are held to", "of": ["ClusterRole"], "groups": ["reeve.dev"], "resources": ["clusterplugins", "plugins", "policies", "projects", "tenants"], "verbs": written},
	{"what": "changes to tenants and what they are held to", "of": ["ClusterRole"], "groups": [""], "resources": ["limitranges", "resourcequotas", "resourcequotas/status"], "verbs": written},
	{"what": "changes to tenants and what they are held to", "of": ["ClusterRole"], "groups": ["reeve.dev"], "resources": ["clusterplugins/status", "plugins/status", "policies/status", "projects/status", "tenants/status"], "verbs": ["update", "patch"]},
	{"what": "changes to what is applied in all namespaces", "of": ["ClusterRole"], "groups": ["kustomize.toolkit.fluxcd.io"], "resources": ["kustomizations"], "verbs": written},
	{"what": "changes to what is applied in all namespaces", "of": ["ClusterRole"], "groups": ["source.toolkit.fluxcd.io"], "resources": ["gitrepositories"], "verbs": written},
	{"what": "changes to what is applied in all namespaces", "of": ["ClusterRole"], "groups": ["notification.toolkit.fluxcd.io"], "resources": ["receivers"], "verbs": written},
	{"what": "changes to roles and bindings in all namespaces", "of": ["ClusterRole"], "groups": [rbac], "resources": ["clusterrolebindings", "clusterroles", "rolebindings", "roles"], "verbs": written},
	{"what": "changes to volumes", "of": ["ClusterRole"], "groups": [""], "resources": ["persistentvolumeclaims", "persistentvolumeclaims/status", "persistentvolumes", "persistentvolumes/status"], "verbs": written},
	{"what": "changes to volumes", "of": ["ClusterRole"], "groups": ["storage.k8s.io"], "resources": ["csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattachments/status", "volumeattributesclasses"], "verbs": written},
	{"what": "changes to volumes", "of": ["ClusterRole"], "groups": ["snapshot.storage.k8s.io"], "resources": ["volumesnapshotclasses", "volumesnapshotcontents", "volumesnapshotcontents/status", "volumesnapshots"], "verbs": written},
	{"what": "whose certificates are trusted", "of": ["ClusterRole"], "groups": ["certificates.k8s.io"], "resources": ["clustertrustbundles"], "verbs": written},
	{"what": "the certificate of a node", "of": ["ClusterRole"], "groups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests/nodeclient", "certificatesigningrequests/selfnodeclient", "certificatesigningrequests/selfnodeserver"], "verbs": ["create"]},
	{"what": "the signing of certificates", "of": ["ClusterRole"], "groups": ["certificates.k8s.io"], "resources": ["signers", "certificatesigningrequests/approval", "certificatesigningrequests/status"], "verbs": ["approve", "sign", "attest", "update", "patch"]},
	{
		"what": "changes to the cluster's admission",
		"of": ["ClusterRole"],
		"groups": ["admissionregistration.k8s.io"],
		"resources": [
			"mutatingadmissionpolicies",
			"mutatingadmissionpolicybindings",
			"mutatingwebhookconfigurations",
			"validatingadmissionpolicies",
			"validatingadmissionpolicybindings",
			"validatingwebhookconfigurations",
		],
		"verbs": written,
	},
]

# What is deleted was in force.
written := ["create", "update", "patch", "delete", "deletecollection"]

told(planned, what, path) := {
	"message": sprintf("%s %s", [subject(planned), what]),
	"object": subject(planned),
	"path": path,
}

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"
