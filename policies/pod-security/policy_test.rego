package reeve.pod_security_test

denied(objects, parameters) := objections if {
	objections := data.reeve.pod_security.deny with input as {"phase": "plan", "objects": objects} with data.parameters as parameters
}

baseline(spec) := denied([pod(spec)], {"level": "baseline"})

restricted(spec) := denied([pod(spec)], {})

planned(kind, group, object) := {"action": "apply", "group": group, "kind": kind, "namespace": "acme", "name": "web", "object": object}

pod(spec) := planned("Pod", "", {"kind": "Pod", "spec": spec})

# A pod that a restricted namespace takes, with something put on top of it and of its container.
hardened := {
	"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
	"containers": [container({})],
}

container(more) := object.union(
	{"name": "app", "image": "app", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}},
	more,
)

with_container(more) := object.union(hardened, {"containers": [container(more)]})

with_context(context) := with_container({"securityContext": context})

test_a_hardened_pod_is_allowed if {
	count(restricted(hardened)) == 0
	count(baseline(hardened)) == 0
	count(baseline({"containers": [{"name": "app"}]})) == 0
}

# Each of these on top of a hardened pod is denied at both levels, for one reason.
not_even_baseline := {
	"host network": {"hostNetwork": true},
	"host processes": {"hostPID": true},
	"host ipc": {"hostIPC": true},
	"host network as a text": {"hostNetwork": "true"},
	"a path of the node": {"volumes": [{"name": "a", "hostPath": {"path": "/"}}]},
	"an unsafe sysctl": {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_wmem"}, {"name": "kernel.msgmax"}]}},
	"SELinux type": {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}},
	"SELinux user": {"securityContext": {"seLinuxOptions": {"user": "root"}}},
	"SELinux role": {"securityContext": {"seLinuxOptions": {"role": "sysadm_r"}}},
	"AppArmor": {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
	"AppArmor without type": {"securityContext": {"appArmorProfile": {}}},
	"seccomp": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
	"host process": {"securityContext": {"windowsOptions": {"hostProcess": true}}},
	"privileged": {"containers": [container({"securityContext": {"privileged": true}})]},
	"a capability": {"containers": [container({"securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE", "SYS_ADMIN"]}}})]},
	"a capability of another case": {"containers": [container({"securityContext": {"capabilities": {"add": ["chown"]}}})]},
	"capabilities as a text": {"containers": [container({"securityContext": {"capabilities": {"add": "NET_BIND_SERVICE"}}})]},
	"a port of the node": {"containers": [container({"ports": [{"hostPort": 0}, {"hostPort": 80}]})]},
	"a host in a probe": {"containers": [container({"livenessProbe": {"httpGet": {"host": "169.254.169.254"}}})]},
	"a host in a socket's probe": {"containers": [container({"startupProbe": {"tcpSocket": {"host": "localhost"}}})]},
	"a host in a hook": {"containers": [container({"lifecycle": {"preStop": {"httpGet": {"host": "localhost"}}}})]},
	"unmasked proc": {"containers": [container({"securityContext": {"procMount": "Unmasked"}})]},
	"a container's SELinux type": {"containers": [container({"securityContext": {"seLinuxOptions": {"type": "spc_t"}}})]},
	"a container's AppArmor": {"containers": [container({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}})]},
	"a container's seccomp": {"containers": [container({"securityContext": {"seccompProfile": {"type": "Unconfined"}}})]},
	"a container's host process": {"containers": [container({"securityContext": {"windowsOptions": {"hostProcess": true}}})]},
	"an initial container": {"initContainers": [container({"securityContext": {"privileged": true}})]},
	"an ephemeral container": {"ephemeralContainers": [container({"securityContext": {"privileged": true}})]},
}

test_what_baseline_forbids_is_denied_at_both_levels if {
	every _, more in not_even_baseline {
		count(baseline(object.union(hardened, more))) == 1
		count(restricted(object.union(hardened, more))) == 1
	}
}

only_restricted := {
	"a capability of the default ones": with_context({"capabilities": {"add": ["CHOWN"]}}),
	"privilege escalation": with_context({"allowPrivilegeEscalation": true}),
	"privilege escalation, unsaid": object.union(hardened, {"containers": [{"name": "app", "securityContext": {"capabilities": {"drop": ["ALL"]}}}]}),
	"capabilities not dropped": with_context({"capabilities": {"drop": ["CHOWN"]}}),
	"root": object.union(hardened, {"securityContext": {"runAsNonRoot": null}}),
	"a container as root": with_context({"runAsNonRoot": false}),
	"root, though a container says otherwise": object.union(with_context({"runAsNonRoot": true}), {"securityContext": {"runAsNonRoot": false}}),
	"user 0": object.union(hardened, {"securityContext": {"runAsUser": 0}}),
	"user 0 of a container": with_context({"runAsUser": 0}),
	"no seccomp profile": object.union(hardened, {"securityContext": {"seccompProfile": null}}),
	"a volume of another source": object.union(hardened, {"volumes": [{"name": "a", "nfs": {"server": "b"}}]}),
	"a volume of two sources": object.union(hardened, {"volumes": [{"name": "a", "emptyDir": {}, "iscsi": {}}]}),
}

test_what_only_restricted_forbids_is_denied_there if {
	every _, spec in only_restricted {
		count(restricted(spec)) == 1
		count(baseline(spec)) == 0
	}
}

test_null_is_nothing if {
	nothing := {"initContainers": null, "ephemeralContainers": null, "volumes": null, "os": null, "hostNetwork": null, "hostUsers": null}
	count(restricted(object.union(hardened, nothing))) == 0
	bare := {"ports": null, "livenessProbe": null, "lifecycle": {"preStop": null}}
	count(restricted(with_container(bare))) == 0
	context := {"privileged": null, "runAsUser": null, "seccompProfile": null, "capabilities": {"add": null}}
	count(restricted(with_context(context))) == 0
	count(restricted({"containers": null, "securityContext": null})) == 0
	count(denied([planned("Pod", "", {"metadata": null, "spec": hardened})], {})) == 0
	count(denied([planned("Pod", "", {"metadata": {"annotations": null}, "spec": hardened})], {})) == 0
}

test_a_container_may_say_what_the_pod_does_not if {
	spec := {"containers": [container({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "Localhost"}}})]}
	count(restricted(spec)) == 0
}

test_volumes_of_allowed_sources_are_allowed if {
	sources := ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"]
	volumes := array.concat([{"name": "bare"}, {"name": "null", "nfs": null, "emptyDir": {}}], [{"name": source, source: {}} | some source in sources])
	count(restricted(object.union(hardened, {"volumes": volumes}))) == 0
}

test_windows_is_exempt_from_what_it_does_not_have if {
	bare := {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": true}, "containers": [{"name": "app"}]}
	count(restricted(bare)) == 0
	count(restricted(object.union(bare, {"os": {"name": "linux"}}))) == 3
	count(restricted(object.union(bare, {"securityContext": {"windowsOptions": {"hostProcess": true}}}))) == 1
}

test_a_pod_with_users_of_its_own_may_be_root_in_it if {
	root := object.union(with_context({"runAsUser": 0, "runAsNonRoot": false}), {"hostUsers": false, "securityContext": {"runAsNonRoot": false}})
	count(restricted(root)) == 0
	count(restricted(object.union(root, {"hostUsers": true}))) == 3
	unmasked := object.union(with_context({"procMount": "Unmasked"}), {"hostUsers": false})
	count(baseline(unmasked)) == 0
	count(restricted(unmasked)) == 1
}

test_apparmor_by_annotation_is_judged if {
	every value, count_of in {"runtime/default": 0, "localhost/mine": 0, "": 0, "unconfined": 1, "localhost": 1} {
		annotated := {"metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/app": value}}, "spec": hardened}
		count(denied([planned("Pod", "", annotated)], {})) == count_of
	}
	count(denied([planned("Pod", "", {"metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/app": 1}}, "spec": hardened})], {})) == 1
}

test_every_kind_that_makes_pods_is_judged if {
	bad := {"spec": object.union(hardened, {"hostNetwork": true})}
	good := {"spec": hardened}
	places := {
		["Pod", ""]: "spec.hostNetwork",
		["PodTemplate", ""]: "template.spec.hostNetwork",
		["ReplicationController", ""]: "spec.template.spec.hostNetwork",
		["DaemonSet", "apps"]: "spec.template.spec.hostNetwork",
		["Deployment", "apps"]: "spec.template.spec.hostNetwork",
		["ReplicaSet", "apps"]: "spec.template.spec.hostNetwork",
		["StatefulSet", "apps"]: "spec.template.spec.hostNetwork",
		["Job", "batch"]: "spec.template.spec.hostNetwork",
		["CronJob", "batch"]: "spec.jobTemplate.spec.template.spec.hostNetwork",
	}
	every kind, path in places {
		some objection in denied([planned(kind[0], kind[1], at(path, bad))], {})
		objection.path == path
		objection.object == sprintf("%s/acme/web", [kind[0]])
		count(denied([planned(kind[0], kind[1], at(path, good))], {})) == 0
	}
}

at("spec.hostNetwork", it) := it

at("template.spec.hostNetwork", it) := {"template": it}

at("spec.template.spec.hostNetwork", it) := {"spec": {"template": it}}

at("spec.jobTemplate.spec.template.spec.hostNetwork", it) := {"spec": {"jobTemplate": {"spec": {"template": it}}}}

test_other_kinds_are_judged_where_the_platform_says if {
	rollout := planned("Rollout", "argoproj.io", {"spec": {"template": {"spec": object.union(hardened, {"hostPID": true})}}})
	count(denied([rollout], {})) == 0
	count(denied([rollout], {"templates": {"Rollout.argoproj.io": "spec.template"}})) == 1
	count(denied([rollout], {"templates": {"Rollout.argoproj.io": "spec.elsewhere"}})) == 1
	count(denied([rollout], {"templates": {"Rollout.argoproj.io": null}})) == 1
	count(denied([planned("Deployment", "apps", {"spec": {"template": {"spec": object.union(hardened, {"hostPID": true})}}})], {"templates": {"Deployment.apps": "x"}})) == 1
}

test_an_unknown_level_is_restricted if {
	every level in ["Baseline", "privileged", "", null, ["baseline"]] {
		count(denied([pod({"containers": [{"name": "app"}]})], {"level": level})) == 4
	}
	count(denied([pod({"containers": [{"name": "app"}]})], null)) == 4
}

test_what_is_deleted_makes_no_pods if {
	count(denied([object.remove(object.union(pod({}), {"action": "prune"}), ["object"])], {})) == 0
}

# None of these is a pod as the API has it.
odd := [
	null,
	"text",
	[],
	{},
	{"spec": null},
	{"spec": []},
	{"spec": object.union(hardened, {"containers": {"name": "app"}})},
	{"spec": object.union(hardened, {"containers": [null]})},
	{"spec": object.union(hardened, {"containers": "app"})},
	{"spec": object.union(hardened, {"initContainers": ["app"]})},
	{"spec": object.union(hardened, {"volumes": [null]})},
	{"spec": object.union(hardened, {"volumes": {"a": {}}})},
	{"spec": object.union(hardened, {"os": "windows"})},
	{"spec": object.union(hardened, {"securityContext": []})},
	{"spec": object.union(hardened, {"securityContext": {"sysctls": "kernel.msgmax"}})},
	{"spec": object.union(hardened, {"securityContext": {"seccompProfile": "Unconfined"}})},
	{"spec": with_container({"securityContext": "privileged"})},
	{"spec": with_context({"capabilities": ["ALL"]})},
	{"spec": with_container({"ports": [80]})},
	{"spec": with_container({"livenessProbe": [{"httpGet": {"host": "a"}}]})},
	{"spec": with_container({"livenessProbe": {"httpGet": "a"}})},
	{"spec": with_container({"lifecycle": {"preStop": {"tcpSocket": "a"}}})},
	{"metadata": "text", "spec": hardened},
	{"metadata": {"annotations": ["a"]}, "spec": hardened},
]

test_a_pod_that_cannot_be_read_is_denied if {
	every object in odd {
		objections := denied([planned("Pod", "", object)], {})
		count(objections) == 1
		every objection in objections {
			endswith(objection.message, "the pods that it makes cannot be read; write its pod template as Kubernetes' API has it, and the items of a list one by one")
		}
	}
}

test_a_list_of_pods_is_denied if {
	count(denied([planned("PodList", "", {"kind": "PodList", "items": []})], {})) == 1
	count(denied([planned("AllowList", "acme.example", {"kind": "AllowList", "spec": {}})], {})) == 0
}

test_what_cannot_be_read_is_denied if {
	count(denied([null, "text", 1, []], {})) == 1
	count(denied([planned(null, "", {})], {})) == 1
	count(denied([planned("Pod", null, {})], {})) == 1
	count(denied(null, {})) == 1
	count(data.reeve.pod_security.deny) == 1 with input as {}
}

test_the_message_says_which_container_and_what_to_do if {
	some objection in restricted(with_context({"privileged": true}))
	objection.message == "Pod/acme/web: container app may not be privileged; remove privileged"
	objection.path == "spec.containers[0].securityContext.privileged"
}
