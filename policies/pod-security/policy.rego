# METADATA
# title: Pods keep to the Pod Security Standards
# description: >-
#   The checks of Kubernetes' Pod Security Standards v1.36 for Pods and for every kind that makes them, so that a tenant
#   reads at once what the namespace's admission would tell a ReplicaSet's events later. parameters.level is restricted
#   (also when it is missing) or baseline. parameters.templates names where other kinds hold a pod template, such as
#   `Rollout.argoproj.io: spec.template`.
# custom:
#   severity: critical
#   hint: set what is asked for in the pod's or the container's securityContext
# related_resources:
#   - https://kubernetes.io/docs/concepts/security/pod-security-standards/
package reeve.pod_security

# Baseline: what no tenant's pod may ever do.

deny contains told(pod, sprintf("may not share a namespace of the node; remove %s", [field]), field) if {
	some pod in pods
	some field in ["hostNetwork", "hostPID", "hostIPC"]
	value := pod.it[field]
	not value in [null, false]
}

deny contains told(pod, sprintf("may not mount a path of the node; take another source for volume %s", [name_of(volume)]), sprintf("volumes[%v].hostPath", [i])) if {
	some pod in pods
	is_array(pod.it.volumes)
	some i, volume in pod.it.volumes
	volume.hostPath != null
}

deny contains told(pod, "may only set safe sysctls; remove the others", sprintf("securityContext.sysctls[%v]", [i])) if {
	some pod in pods
	is_array(pod.it.securityContext.sysctls)
	some i, sysctl in pod.it.securityContext.sysctls
	not object.get(sysctl, "name", null) in safe_sysctls
}

deny contains told(pod, "may only have the AppArmor profiles runtime/default and localhost/…; remove the annotation", sprintf("metadata.annotations[%s]", [key])) if {
	some pod in pods
	is_object(pod.annotations)
	some key, profile in pod.annotations
	startswith(key, "container.apparmor.security.beta.kubernetes.io/")
	not is_known_profile(profile)
}

deny contains told(container, "may not be privileged; remove privileged", "securityContext.privileged") if {
	some container in containers
	value := container.it.securityContext.privileged
	not value in [null, false]
}

deny contains told(container, "may not add capabilities beyond the default ones; remove them", "securityContext.capabilities.add") if {
	not is_restricted
	some container in containers
	given := container.it.securityContext.capabilities.add
	not are_among(given, default_capabilities)
}

deny contains told(container, "may not take a port of the node; remove hostPort", sprintf("ports[%v].hostPort", [i])) if {
	some container in containers
	is_array(container.it.ports)
	some i, port in container.it.ports
	value := port.hostPort
	not value in [null, 0]
}

deny contains told(container, "may not name a host in a probe; remove it", sprintf("%s.%s.host", [probe, way])) if {
	some container in containers
	some probe in probes
	some way in ways
	host := container.it[probe][way].host
	not host in [null, ""]
}

deny contains told(container, "may not name a host in a hook; remove it", sprintf("lifecycle.%s.%s.host", [hook, way])) if {
	some container in containers
	some hook in hooks
	some way in ways
	host := container.it.lifecycle[hook][way].host
	not host in [null, ""]
}

deny contains told(container, "may not unmask /proc; remove procMount", "securityContext.procMount") if {
	some container in containers
	value := container.it.securityContext.procMount
	not value in [null, "Default"]
	not may_unmask(container)
}

deny contains told(part, "may not run as a process of the node; remove hostProcess", "securityContext.windowsOptions.hostProcess") if {
	some part in parts
	value := part.it.securityContext.windowsOptions.hostProcess
	not value in [null, false]
}

deny contains told(part, "may only have the AppArmor profiles RuntimeDefault and Localhost", "securityContext.appArmorProfile.type") if {
	some part in parts
	part.it.securityContext.appArmorProfile != null
	not is_known(part.it.securityContext.appArmorProfile)
}

deny contains told(part, "may only have the seccomp profiles RuntimeDefault and Localhost", "securityContext.seccompProfile.type") if {
	some part in parts
	part.it.securityContext.seccompProfile != null
	not is_known(part.it.securityContext.seccompProfile)
}

deny contains told(part, "may not choose an SELinux type beyond the container types; remove it", "securityContext.seLinuxOptions.type") if {
	some part in parts
	value := part.it.securityContext.seLinuxOptions.type
	not value in selinux_types
}

deny contains told(part, "may not choose an SELinux user or role; remove it", sprintf("securityContext.seLinuxOptions.%s", [field])) if {
	some part in parts
	some field in ["user", "role"]
	value := part.it.securityContext.seLinuxOptions[field]
	not value in [null, ""]
}

# Restricted: what a pod does to be hardened.

deny contains told(pod, sprintf("may not have volume %s, of another source than configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected and secret", [name_of(volume)]), sprintf("volumes[%v].%s", [i, source])) if {
	is_restricted
	some pod in pods
	is_array(pod.it.volumes)
	some i, volume in pod.it.volumes
	some source, value in volume
	value != null
	not source in volume_sources
	source != "hostPath"
}

deny contains told(container, "must not gain privileges; set allowPrivilegeEscalation: false", "securityContext.allowPrivilegeEscalation") if {
	is_restricted
	some container in containers
	not container.it.securityContext.allowPrivilegeEscalation == false
	not is_windows(container.spec)
}

deny contains told(container, "must drop all capabilities; set drop: [ALL]", "securityContext.capabilities.drop") if {
	is_restricted
	some container in containers
	not drops_all(container.it)
	not is_windows(container.spec)
}

deny contains told(container, "may add no capability but NET_BIND_SERVICE; remove the others", "securityContext.capabilities.add") if {
	is_restricted
	some container in containers
	given := container.it.securityContext.capabilities.add
	not are_among(given, ["NET_BIND_SERVICE"])
}

deny contains told(pod, "must not run as root; set runAsNonRoot: true", "securityContext.runAsNonRoot") if {
	is_restricted
	some pod in pods
	value := pod.it.securityContext.runAsNonRoot
	not value in [null, true]
	not has_own_users(pod.it)
}

deny contains told(container, "must not run as root; set runAsNonRoot: true for it or for the pod", "securityContext.runAsNonRoot") if {
	is_restricted
	some container in containers
	not container.it.securityContext.runAsNonRoot == true
	not is_not_root(container)
	not has_own_users(container.spec)
}

deny contains told(part, "must not run as user 0; set runAsUser to another", "securityContext.runAsUser") if {
	is_restricted
	some part in parts
	user := part.it.securityContext.runAsUser
	not is_other_user(user)
	not has_own_users(part.spec)
}

deny contains told(container, "must have a seccomp profile; set seccompProfile: {type: RuntimeDefault} for it or for the pod", "securityContext.seccompProfile") if {
	is_restricted
	some container in containers
	not has_profile(container.spec)
	not has_profile(container.it)
	not is_windows(container.spec)
}

# What cannot be judged.

deny contains objection if {
	some i, planned in objects
	not i in judged
	objection := {
		"message": sprintf("%s: the pods that it makes cannot be read; write its pod template as Kubernetes' API has it, and the items of a list one by one", [subject(planned)]),
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

# Everything is judged that is not deleted: it makes no pods, or its pods can be read.
judged contains i if {
	some i, planned in objects
	planned.action == "prune"
}

judged contains i if {
	some i, planned in objects
	planned.action == "apply"
	is_string(planned.group)
	is_string(planned.kind)
	is_object(planned.object)
	not places[[planned.group, planned.kind]]
	not is_list(planned.object)
}

judged contains pod.index if some pod in pods

is_list(object) if {
	is_string(object.kind)
	endswith(object.kind, "List")
	object.items
}

# Where a kind holds its pod template.
templates := {
	"": {"Pod": [], "PodTemplate": ["template"], "ReplicationController": ["spec", "template"]},
	"apps": {
		"DaemonSet": ["spec", "template"],
		"Deployment": ["spec", "template"],
		"ReplicaSet": ["spec", "template"],
		"StatefulSet": ["spec", "template"],
	},
	"batch": {
		"CronJob": ["spec", "jobTemplate", "spec", "template"],
		"Job": ["spec", "template"],
	},
}

# The same by group and kind, with the kinds that the platform names: a path that is no text leads nowhere, so their pods
# cannot be read.
places := object.union(
	{[group, kind]: path |
		is_object(data.parameters.templates)
		some name, dotted in data.parameters.templates
		kind := substring(name, 0, indexof(name, "."))
		group := substring(name, indexof(name, ".") + 1, -1)
		path := steps(dotted)
	},
	{[group, kind]: path |
		some group, kinds in templates
		some kind, path in kinds
	},
)

steps(path) := split(path, ".") if {
	is_string(path)
} else := ["?"]

pods := [pod |
	some i, planned in objects
	planned.action == "apply"
	path := places[[planned.group, planned.kind]]
	is_object(planned.object)
	template := object.get(planned.object, path, null)
	is_pod(template)
	pod := {
		"index": i,
		"subject": subject(planned),
		"name": "the pod",
		"at": concat(".", array.concat(path, ["spec"])),
		"annotations": object.get(template, ["metadata", "annotations"], {}),
		"spec": template.spec,
		"it": template.spec,
	}
]

containers := [container |
	some pod in pods
	some list in lists
	is_array(pod.it[list])
	some i, it in pod.it[list]
	container := {
		"subject": pod.subject,
		"name": sprintf("container %s", [name_of(it)]),
		"at": sprintf("%s.%s[%v]", [pod.at, list, i]),
		"spec": pod.spec,
		"it": it,
	}
]

parts := array.concat(pods, containers)

told(part, what, path) := {
	"message": sprintf("%s: %s %s", [part.subject, part.name, what]),
	"object": part.subject,
	"path": sprintf("%s.%s", [part.at, path]),
}

name_of(thing) := thing.name if {
	is_string(thing.name)
} else := "without a name"

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"

# Every field that is looked into holds an object, every list that is walked a list of objects. A field that is not
# there is not looked into, and one that is null is nothing.
is_pod(template) if {
	is_object(template.spec)
	not has_odd_field(template)
	not has_odd_list(template.spec)
	not has_odd_context(template.spec)
	not has_odd_container(template.spec)
}

has_odd_field(template) if is_odd(template.metadata)

has_odd_field(template) if is_odd(template.metadata.annotations)

has_odd_field(template) if is_odd(template.spec.os)

has_odd_list(spec) if {
	some list in ["initContainers", "containers", "ephemeralContainers", "volumes"]
	is_odd_list(spec[list])
}

has_odd_list(spec) if is_odd_list(spec.securityContext.sysctls)

has_odd_context(part) if is_odd(part.securityContext)

has_odd_context(part) if {
	some field in ["appArmorProfile", "capabilities", "seLinuxOptions", "seccompProfile", "windowsOptions"]
	is_odd(part.securityContext[field])
}

has_odd_container(spec) if {
	some list in lists
	is_array(spec[list])
	some container in spec[list]
	is_odd_container(container)
}

is_odd_container(container) if has_odd_context(container)

is_odd_container(container) if is_odd_list(container.ports)

is_odd_container(container) if {
	some field in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"]
	is_odd(container[field])
}

is_odd_container(container) if {
	some probe in probes
	some way in ways
	is_odd(container[probe][way])
}

is_odd_container(container) if {
	some hook in hooks
	is_odd(container.lifecycle[hook])
}

is_odd_container(container) if {
	some hook in hooks
	some way in ways
	is_odd(container.lifecycle[hook][way])
}

is_odd(value) if {
	value != null
	not is_object(value)
}

is_odd_list(value) if {
	value != null
	not is_array(value)
}

is_odd_list(value) if {
	is_array(value)
	some item in value
	not is_object(item)
}

lists := ["initContainers", "containers", "ephemeralContainers"]

probes := ["livenessProbe", "readinessProbe", "startupProbe"]

hooks := ["postStart", "preStop"]

ways := ["httpGet", "tcpSocket"]

# The rules' conditions.
is_restricted if not data.parameters.level == "baseline"

is_windows(spec) if spec.os.name == "windows"

has_own_users(spec) if spec.hostUsers == false

may_unmask(container) if {
	not is_restricted
	has_own_users(container.spec)
}

is_not_root(container) if {
	container.spec.securityContext.runAsNonRoot == true
	not container.it.securityContext.runAsNonRoot
	not container.it.securityContext.runAsNonRoot == false
}

has_profile(part) if part.securityContext.seccompProfile != null

is_other_user(user) if user == null

is_other_user(user) if {
	is_number(user)
	user != 0
}

drops_all(container) if "ALL" in container.securityContext.capabilities.drop

# Of seccomp and AppArmor.
is_known(profile) if profile.type in ["RuntimeDefault", "Localhost"]

are_among(given, _) if given == null

are_among(given, allowed) if {
	is_array(given)
	every one in given {
		one in allowed
	}
}

is_known_profile(profile) if profile in ["", "runtime/default"]

is_known_profile(profile) if {
	is_string(profile)
	startswith(profile, "localhost/")
}

safe_sysctls := [
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ping_group_range",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_syncookies",
	"net.ipv4.tcp_wmem",
]

default_capabilities := [
	"AUDIT_WRITE",
	"CHOWN",
	"DAC_OVERRIDE",
	"FOWNER",
	"FSETID",
	"KILL",
	"MKNOD",
	"NET_BIND_SERVICE",
	"SETFCAP",
	"SETGID",
	"SETPCAP",
	"SETUID",
	"SYS_CHROOT",
]

selinux_types := [null, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"]

volume_sources := [
	"name",
	"configMap",
	"csi",
	"downwardAPI",
	"emptyDir",
	"ephemeral",
	"image",
	"persistentVolumeClaim",
	"projected",
	"secret",
]
