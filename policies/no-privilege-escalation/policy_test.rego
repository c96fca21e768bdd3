package reeve.no_privilege_escalation_test

denied(objects, parameters) := objections if {
	objections := data.reeve.no_privilege_escalation.deny with input as {
		"phase": "plan",
		"tenant": {"name": "acme", "namespaces": ["acme"]},
		"objects": objects,
	}
		with data.parameters as parameters
}

group := "rbac.authorization.k8s.io"

planned(kind, object) := {"action": "apply", "group": group, "kind": kind, "namespace": "acme", "name": "it", "object": object}

role(rule) := planned("Role", {"rules": [rule]})

cluster_role(rule) := planned("ClusterRole", {"rules": [rule]})

rule(groups, resources, verbs) := {"apiGroups": groups, "resources": resources, "verbs": verbs}

binding(kind, role_kind, name) := planned(kind, {"roleRef": {"apiGroup": group, "kind": role_kind, "name": name}})

token_of(metadata) := {
	"action": "apply", "group": "", "kind": "Secret", "namespace": "acme", "name": "it",
	"object": {"kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": metadata},
}

named(account) := {"annotations": {"kubernetes.io/service-account.name": account}}

bound_to(subjects) := planned("RoleBinding", {"roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"}, "subjects": subjects})

test_ordinary_roles_are_allowed if {
	every harmless in [
		rule([""], ["configmaps", "secrets", "pods/exec"], ["*"]),
		rule([""], ["*"], ["get", "list", "watch"]),
		rule(["apps", "batch"], ["*"], ["*"]),
		rule([group], ["roles"], ["get"]),
		rule(["kustomize.toolkit.fluxcd.io", "source.toolkit.fluxcd.io"], ["gitrepositories", "kustomizations"], ["*"]),
		rule(["reeve.dev"], ["plugins"], ["*"]),
		rule([""], ["persistentvolumeclaims", "podtemplates"], ["*"]),
		rule(["coordination.k8s.io", "autoscaling", "policy"], ["*"], ["*"]),
		rule([], [], []),
	] {
		count(denied([role(harmless)], {})) == 0
	}
	count(denied([cluster_role(rule([""], ["configmaps"], ["get"])), cluster_role({"nonResourceURLs": ["/metrics"], "verbs": ["get"]})], {})) == 0
	every harmless in [
		rule([""], ["endpoints", "namespaces", "persistentvolumes", "pods", "pods/log", "services"], ["get", "list", "watch"]),
		rule(["discovery.k8s.io", "networking.k8s.io", "storage.k8s.io"], ["*"], ["get", "list", "watch"]),
		rule([""], ["events"], ["create", "patch"]),
		rule([""], ["nodes", "nodes/metrics", "persistentvolumeclaims", "podtemplates"], ["get", "list", "watch"]),
		rule(["coordination.k8s.io", "flowcontrol.apiserver.k8s.io", "policy", "snapshot.storage.k8s.io"], ["*"], ["get", "list", "watch"]),
		rule(["certificates.k8s.io"], ["certificatesigningrequests"], ["create", "get"]),
	] {
		count(denied([cluster_role(harmless)], {})) == 0
	}
	count(denied([planned("Role", {"rules": null}), planned("Role", {})], {})) == 0
}

test_addresses_beside_the_api_are_denied if {
	every url in ["*", "/*", "/debug/pprof/*", "/logs", "", 7] {
		count(denied([cluster_role({"nonResourceURLs": [url], "verbs": ["get"]})], {})) == 1
	}
	every url in ["/apis/*", "/api*", "/readyz", "/openapi/v3/*"] {
		count(denied([cluster_role({"nonResourceURLs": [url], "verbs": ["get"]})], {})) == 0
	}
}

test_roles_that_make_more_of_their_holder_are_denied if {
	every harmful in [
		rule([group], ["roles"], ["escalate"]),
		rule([group], ["clusterroles"], ["bind"]),
		rule([""], ["serviceaccounts"], ["impersonate"]),
		rule(["authentication.k8s.io"], ["userextras/scopes"], ["impersonate:user-info"]),
		rule([group], ["roles"], ["*"]),
		rule([group], ["*"], ["*"]),
		rule(["*"], ["roles"], ["*"]),
		rule([""], ["serviceaccounts"], ["*"]),
		rule(["authentication.k8s.io"], ["serviceaccounts"], ["*"]),
		rule([""], ["serviceaccounts/token"], ["create"]),
		rule([""], ["*/token"], ["create"]),
		rule(["kustomize.toolkit.fluxcd.io"], ["kustomizations/status"], ["patch"]),
		rule(["kustomize.toolkit.fluxcd.io"], ["*"], ["update"]),
		rule(["source.toolkit.fluxcd.io"], ["gitrepositories/status"], ["update"]),
		rule([""], ["namespaces"], ["patch"]),
		rule([""], ["namespaces"], ["delete"]),
		rule([""], ["namespaces/finalize"], ["update"]),
		rule([""], ["*/status"], ["patch"]),
		rule([group], ["rolebindings"], ["create"]),
		rule([group], ["roles"], ["patch"]),
		rule([""], ["limitranges"], ["update"]),
		rule([""], ["resourcequotas"], ["deletecollection"]),
		rule([""], ["resourcequotas/status"], ["update"]),
	] {
		count(denied([role(harmful)], {})) >= 1
		count(denied([cluster_role(harmful)], {})) >= 1
	}
	count(denied([role(rule(["*"], ["*"], ["*"]))], {})) == 7
}

test_cluster_roles_reach_all_namespaces_and_are_held_to_more if {
	every harmful in [
		rule([""], ["nodes/proxy"], ["get"]),
		rule([""], ["*/proxy"], ["get"]),
		rule([""], ["secrets"], ["list"]),
		rule([""], ["nodes/log"], ["get"]),
		rule([""], ["*/log"], ["get"]),
		rule([""], ["podtemplates"], ["update"]),
		rule([""], ["persistentvolumeclaims"], ["delete"]),
		rule([""], ["persistentvolumeclaims"], ["deletecollection"]),
		rule([""], ["persistentvolumeclaims/status"], ["patch"]),
		rule(["storage.k8s.io"], ["volumeattributesclasses"], ["create"]),
		rule(["snapshot.storage.k8s.io"], ["volumesnapshotcontents"], ["create"]),
		rule(["snapshot.storage.k8s.io"], ["*"], ["delete"]),
		rule(["flowcontrol.apiserver.k8s.io"], ["flowschemas"], ["patch"]),
		rule(["flowcontrol.apiserver.k8s.io"], ["prioritylevelconfigurations"], ["delete"]),
		rule(["coordination.k8s.io"], ["leases"], ["update"]),
		rule(["node.k8s.io"], ["runtimeclasses"], ["create"]),
		rule(["resource.k8s.io"], ["resourceslices"], ["create"]),
		rule(["resource.k8s.io"], ["deviceclasses"], ["patch"]),
		rule(["autoscaling"], ["horizontalpodautoscalers"], ["create"]),
		rule(["policy"], ["poddisruptionbudgets"], ["create"]),
		rule(["apps"], ["controllerrevisions"], ["patch"]),
		rule(["networking.k8s.io"], ["servicecidrs"], ["create"]),
		rule(["policy.networking.k8s.io"], ["adminnetworkpolicies"], ["delete"]),
		rule(["gateway.networking.k8s.io"], ["udproutes"], ["create"]),
		rule(["certificates.k8s.io"], ["clustertrustbundles"], ["update"]),
		rule(["certificates.k8s.io"], ["certificatesigningrequests/nodeclient"], ["create"]),
		rule(["certificates.k8s.io"], ["certificatesigningrequests/status"], ["update"]),
		rule([""], ["persistentvolumes"], ["create"]),
		rule([""], ["persistentvolumes"], ["update"]),
		rule([""], ["persistentvolumes"], ["patch"]),
		rule(["storage.k8s.io"], ["storageclasses"], ["delete"]),
		rule(["storage.k8s.io"], ["volumeattachments"], ["create"]),
		rule([""], ["pods/proxy"], ["get"]),
		rule([""], ["services/proxy"], ["create"]),
		rule([""], ["pods/binding"], ["create"]),
		rule([""], ["bindings"], ["create"]),
		rule([""], ["configmaps"], ["update"]),
		rule([""], ["serviceaccounts"], ["patch"]),
		rule([""], ["endpoints"], ["create"]),
		rule([""], ["services"], ["update"]),
		rule([""], ["services/status"], ["patch"]),
		rule([""], ["pods/status"], ["patch"]),
		rule(["discovery.k8s.io"], ["endpointslices"], ["create"]),
		rule(["discovery.k8s.io"], ["*"], ["update"]),
		rule(["networking.k8s.io"], ["networkpolicies"], ["delete"]),
		rule(["networking.k8s.io"], ["ingresses"], ["create"]),
		rule(["gateway.networking.k8s.io"], ["httproutes"], ["patch"]),
		rule(["gateway.networking.k8s.io"], ["referencegrants"], ["create"]),
		rule(["certificates.k8s.io"], ["signers"], ["sign"]),
		rule(["certificates.k8s.io"], ["certificatesigningrequests/approval"], ["update"]),
		rule(["admissionregistration.k8s.io"], ["validatingwebhookconfigurations"], ["delete"]),
		rule(["admissionregistration.k8s.io"], ["mutatingadmissionpolicies"], ["*"]),
		rule(["apiextensions.k8s.io"], ["customresourcedefinitions"], ["patch"]),
		rule(["apiextensions.k8s.io"], ["*"], ["delete"]),
		rule(["apiregistration.k8s.io"], ["apiservices"], ["create"]),
		rule(["reeve.dev"], ["policies"], ["delete"]),
		rule(["reeve.dev"], ["projects"], ["update"]),
		rule(["reeve.dev"], ["tenants"], ["create"]),
		rule(["reeve.dev"], ["clusterplugins"], ["patch"]),
		rule(["reeve.dev"], ["plugins"], ["create"]),
		rule(["kustomize.toolkit.fluxcd.io"], ["kustomizations"], ["create"]),
		rule(["source.toolkit.fluxcd.io"], ["gitrepositories"], ["patch"]),
		rule(["notification.toolkit.fluxcd.io"], ["receivers"], ["delete"]),
		rule([group], ["clusterrolebindings"], ["update"]),
		rule([group], ["clusterroles"], ["patch"]),
		rule(["reeve.dev"], ["policies/status"], ["patch"]),
		rule([""], ["nodes/status"], ["patch"]),
		rule([""], ["pods"], ["create"]),
		rule([""], ["pods/exec"], ["get"]),
		rule([""], ["pods/ephemeralcontainers"], ["patch"]),
		rule(["apps"], ["deployments"], ["update"]),
		rule(["apps"], ["statefulsets/scale"], ["patch"]),
		rule([""], ["pods"], ["delete"]),
		rule(["policy"], ["pods/eviction"], ["create"]),
		rule(["batch"], ["jobs"], ["deletecollection"]),
		rule(["scheduling.k8s.io"], ["priorityclasses"], ["create"]),
		rule(["batch"], ["*"], ["create"]),
	] {
		count(denied([cluster_role(harmful)], {})) == 1
		count(denied([role(harmful)], {})) == 0
	}
}

test_a_cluster_role_adds_nothing_to_another if {
	count(denied([planned("ClusterRole", {"aggregationRule": {"clusterRoleSelectors": []}})], {})) == 1
	count(denied([planned("ClusterRole", {"metadata": {"labels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}}})], {})) == 1
	count(denied([planned("ClusterRole", {"metadata": {"labels": {"app": "x"}}})], {})) == 0
}

test_bindings_name_roles_that_are_listed if {
	count(denied([binding("RoleBinding", "Role", "anything"), binding("RoleBinding", "ClusterRole", "view")], {})) == 0
	every name in ["edit", "admin", "cluster-admin", "VIEW", "", null] {
		count(denied([binding("RoleBinding", "ClusterRole", name)], {})) == 1
	}
	count(denied([binding("RoleBinding", "ClusterRole", "reader")], {"clusterRoles": ["reader"]})) == 0
	count(denied([binding("RoleBinding", "ClusterRole", "edit")], {"clusterRoles": ["view", "edit"]})) == 0
	count(denied([binding("RoleBinding", "ClusterRole", "view")], {"clusterRoles": ["reader"]})) == 1
	count(denied([binding("RoleBinding", "ClusterRole", "admin")], {"clusterRoles": "admin"})) == 1
}

test_bindings_in_all_namespaces_name_none if {
	count(denied([binding("ClusterRoleBinding", "ClusterRole", "view")], {})) == 1
	count(denied([binding("ClusterRoleBinding", "ClusterRole", "reader")], {"clusterRoles": ["reader"]})) == 1
	count(denied([binding("ClusterRoleBinding", "ClusterRole", "reader")], {"clusterWide": ["reader"]})) == 0
	count(denied([binding("ClusterRoleBinding", "Role", "reader")], {"clusterWide": ["reader"]})) == 1
}

test_a_role_of_another_group_is_no_role if {
	other := planned("RoleBinding", {"roleRef": {"apiGroup": "evil.example", "kind": "Role", "name": "x"}})
	count(denied([other], {})) == 1
	count(denied([planned("RoleBinding", {"roleRef": "view"})], {})) == 1
	count(denied([planned("RoleBinding", {})], {})) == 1
}

test_nobody_of_kubernetes_own_gets_a_role if {
	every holder in [
		{"kind": "Group", "name": "system:authenticated"},
		{"kind": "Group", "name": "system:serviceaccounts"},
		{"kind": "Group", "name": "system:serviceaccounts:acme-other"},
		{"kind": "User", "name": "system:anonymous"},
		{"kind": "User", "name": "system:serviceaccount:other:default"},
	] {
		count(denied([bound_to([holder])], {})) == 1
	}
	own := [
		{"kind": "ServiceAccount", "name": "web", "namespace": "acme"},
		{"kind": "Group", "name": "acme:developers"},
		{"kind": "Group", "name": "system:serviceaccounts:acme"},
		{"kind": "User", "name": "system:serviceaccount:acme:web"},
	]
	count(denied([bound_to(own), bound_to(null), bound_to([])], {})) == 0
}

test_a_secret_is_filled_with_no_token_unless_its_account_is_listed if {
	every metadata in [named("deployer"), named(""), named(null), {}, null] {
		count(denied([token_of(metadata)], {})) == 1
		count(denied([token_of(metadata)], {"serviceAccountTokens": ["ci"]})) == 1
	}
	count(denied([token_of(named("ci"))], {"serviceAccountTokens": ["ci"]})) == 0
	count(denied([token_of(named("ci"))], {"serviceAccountTokens": "ci"})) == 1
	count(denied([object.union(token_of(named("ci")), {"action": "prune"})], {})) == 0
	opaque := object.union(token_of(named("ci")), {"object": {"type": "Opaque"}})
	count(denied([opaque, object.union(opaque, {"object": {"type": null}})], {})) == 0
	some objection in denied([token_of(named("deployer"))], {})
	objection.message == "Secret/acme/it would be filled with a token of ServiceAccount deployer that never expires; leave it out, and mount a projected token where one is needed"
}

test_the_message_says_what_and_what_to_do if {
	some objection in denied([binding("RoleBinding", "ClusterRole", "cluster-admin")], {})
	objection.message == "RoleBinding/acme/it may not bind ClusterRole cluster-admin; bind one of view"
	objection.path == "roleRef"
	some other in denied([role(rule([""], ["serviceaccounts/token"], ["create"]))], {})
	other.message == "Role/acme/it may not grant tokens of ServiceAccounts; take it out, and name verbs and resources one by one"
	other.path == "rules[0]"
}

test_what_cannot_be_read_is_denied if {
	every object in [
		{"rules": "all"},
		{"rules": {"a": rule([""], ["pods"], ["get"])}},
		{"rules": [null]},
		{"rules": [rule("", ["pods"], ["get"])]},
		{"rules": [rule([""], ["pods"], "*")]},
		{"rules": [rule([""], [null], ["get"])]},
	] {
		count(denied([planned("Role", object)], {})) == 1
	}
	every subjects in ["a", [null], ["a"], [{"kind": "User"}], {"a": {"kind": "User", "name": "a"}}] {
		count(denied([bound_to(subjects)], {})) == 1
	}
	count(denied([planned("RoleList", {"kind": "RoleList", "items": []})], {})) == 1
	count(denied([planned("Role", null), planned("Role", "text")], {})) == 1
	count(denied([{"action": "apply", "group": "", "kind": "List", "namespace": "", "name": "", "object": {"kind": "List", "items": []}}], {})) == 1
	count(denied([null, "text", 1, []], {})) == 1
	count(denied([object.union(planned("Role", {}), {"kind": null})], {})) == 1
	count(denied(null, {})) == 1
	count(data.reeve.no_privilege_escalation.deny) == 1 with input as {}
}

test_what_is_deleted_grants_nothing if {
	count(denied([object.union(binding("RoleBinding", "ClusterRole", "cluster-admin"), {"action": "prune"})], {})) == 0
}

test_a_cluster_role_is_not_called_like_one_that_may_be_bound if {
	named := object.union(cluster_role(rule([""], ["configmaps"], ["get"])), {"name": "view"})
	count(denied([named], {})) == 1
	count(denied([named], {"clusterRoles": ["other"]})) == 0
	count(denied([named], {"clusterRoles": [], "clusterWide": ["view"]})) == 1
	count(denied([object.union(named, {"kind": "Role"})], {})) == 0
}
