package reeve.allowed_registries_test

denied(objects, parameters) := objections if {
	objections := data.reeve.allowed_registries.deny with input as {"phase": "plan", "objects": objects} with data.parameters as parameters
}

planned(kind, group, object) := {"action": "apply", "group": group, "kind": kind, "namespace": "acme", "name": "web", "object": object}

pod(spec) := planned("Pod", "", {"kind": "Pod", "spec": spec})

running(image) := pod({"containers": [{"name": "app", "image": image}]})

# How many of the images are not let through.
refused(images, registries) := count({image |
	some image in images
	count(denied([running(image)], {"registries": registries})) > 0
})

digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

test_images_of_an_allowed_registry_are_allowed if {
	refused(
		[
			"registry.example/web",
			"registry.example/acme/web:1.0-RC.1",
			sprintf("registry.example/acme/web@%s", [digest]),
			sprintf("registry.example/acme/web:1.0@%s", [digest]),
			"Registry.Example/acme/web",
		],
		["registry.example"],
	) == 0
}

test_a_name_that_only_looks_like_it_is_denied if {
	images := [
		"registry.example.evil.com/web",
		"registry.example:5000/web",
		"registry.example@evil.com/web",
		"registry.example@evil",
		"registry.example",
		"registry.example:5000",
		"registry-example/web",
		"evil.com/registry.example/web",
		"evil/registry.example/web",
		"registry.example/../evil/web",
		"registry.example//web",
		"registry.example/web/",
		"registry.example/web:tag:tag",
		"registry.example/web@sha256:short",
		"user:password@registry.example/web",
		"https://registry.example/web",
		" registry.example/web",
		"registry.example/web\n",
		"registry.example/web\nevil",
		"registry.example/WEB",
		"registry.exampleevil/web",
		"registry.example\u200b/web",
		"",
		"/web",
	]
	refused(images, ["registry.example"]) == count(images)
}

test_a_part_of_a_registry_is_compared_by_whole_parts if {
	images := ["registry.example/acme", "registry.example/acme/web", "registry.example/acme/team/web:1"]
	refused(images, ["registry.example/acme"]) == 0
	refused(images, ["registry.example/acme/"]) == 0
	others := ["registry.example/acme-evil/web", "registry.example/web", "registry.example/acm/e", "registry.example/evil/acme/web"]
	refused(others, ["registry.example/acme"]) == count(others)
}

test_a_name_without_a_host_is_docker_hubs if {
	images := ["nginx", "nginx:1.27", "library/nginx", "docker.io/nginx", "index.docker.io/library/nginx", sprintf("nginx@%s", [digest])]
	refused(images, ["docker.io/library"]) == 0
	refused(images, ["docker.io"]) == 0
	refused(images, ["registry.example"]) == count(images)
	refused(["acme/web", "docker.io/acme/web"], ["docker.io/acme"]) == 0
	refused(["acme/web"], ["docker.io/library"]) == 1
}

test_a_port_and_localhost_name_a_host if {
	refused(["localhost:5000/x", "localhost:5000/x:1"], ["localhost:5000"]) == 0
	refused(["localhost/x"], ["localhost"]) == 0
	refused(["localhost:5000/x", "localhost/x"], ["docker.io"]) == 2
	refused(["registry:5000/x"], ["docker.io"]) == 1
	refused(["[::1]:5000/x"], ["[::1]:5000"]) == 0

	# Upper case makes it a host too.
	refused(["EVIL/x"], ["docker.io"]) == 1
}

test_every_container_and_volume_of_an_image_counts if {
	bad := {"name": "it", "image": "evil.com/x"}
	every spec in [
		{"containers": [bad]},
		{"initContainers": [bad]},
		{"ephemeralContainers": [bad]},
		{"volumes": [{"name": "it", "image": {"reference": "evil.com/x"}}]},
	] {
		count(denied([pod(spec)], {"registries": ["registry.example"]})) == 1
	}
	count(denied([pod({"volumes": [{"name": "it", "image": {"reference": "registry.example/x"}}, {"name": "other", "emptyDir": {}}]})], {"registries": ["registry.example"]})) == 0
}

test_every_kind_that_makes_pods_is_judged if {
	template := {"spec": {"containers": [{"name": "app", "image": "evil.com/x"}]}}
	every kind in ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"] {
		count(denied([planned(kind, "apps", {"spec": {"template": template}})], {})) == 1
	}
	count(denied([planned("Job", "batch", {"spec": {"template": template}})], {})) == 1
	count(denied([planned("CronJob", "batch", {"spec": {"jobTemplate": {"spec": {"template": template}}}})], {})) == 1
	count(denied([planned("PodTemplate", "", {"template": template})], {})) == 1
	count(denied([planned("ReplicationController", "", {"spec": {"template": template}})], {})) == 1
	count(denied([planned("Rollout", "argoproj.io", {"spec": {"template": template}})], {})) == 0
	count(denied([planned("Rollout", "argoproj.io", {"spec": {"template": template}})], {"templates": {"Rollout.argoproj.io": "spec.template"}})) == 1
	count(denied([planned("Rollout", "argoproj.io", {"spec": {"template": template}})], {"templates": {"Rollout.argoproj.io": 1}})) == 1
}

test_the_message_says_what_and_what_to_do if {
	some objection in denied([running("evil.com/x")], {"registries": ["registry.example", "docker.io/acme"]})
	objection.message == "Pod/acme/web: container app has image evil.com/x, of a registry that is not allowed; take one of docker.io/acme, registry.example"
	objection.path == "spec.containers[0].image"
	some other in denied([running("a b")], {})
	other.message == "Pod/acme/web: container app has image a b, which is no image's name; have the platform team name one in spec.registries of your Tenant or parameters.registries of allowed-registries"
	some none in denied([running("")], {"registries": ["registry.example"]})
	contains(none.message, "which is no image's name")
}

# With these of its Tenant, and those of the parameters.
declared(image, of_tenant, parameters) := objections if {
	objections := data.reeve.allowed_registries.deny with input as {
		"phase": "plan",
		"tenant": {"name": "acme", "namespaces": ["acme"], "registries": of_tenant},
		"objects": [running(image)],
	}
		with data.parameters as parameters
}

test_registries_of_the_tenant_and_of_the_parameters_are_allowed if {
	both := {"registries": ["registry.example", "quay.example"]}
	every image, count_of in {"registry.example/web": 0, "own.example/acme/web": 0, "own.example/other/web": 1, "evil.com/web": 1} {
		count(declared(image, ["own.example/acme", "registry.example"], both)) == count_of
	}
	count(declared("own.example/acme/web", ["own.example/acme"], {})) == 0
	every of_tenant in [[], null, "own.example", {"own.example": true}, [null, "", "/"]] {
		count(declared("own.example/web", of_tenant, {})) == 1
	}
	some objection in declared("evil.com/x", ["own.example/acme", "registry.example"], both)
	objection.message == "Pod/acme/web: container app has image evil.com/x, of a registry that is not allowed; take one of own.example/acme, quay.example, registry.example"
}

test_parameters_of_another_shape_allow_nothing if {
	every parameters in [{}, null, {"registries": "registry.example"}, {"registries": [""]}, {"registries": ["/"]}, {"registries": [null]}, {"registries": null}] {
		count(denied([running("registry.example/web")], parameters)) == 1
	}
}

test_what_is_no_image_is_denied if {
	every image in [null, 1, ["registry.example/web"], {"reference": "registry.example/web"}] {
		count(denied([running(image)], {"registries": ["registry.example"]})) == 1
	}
	count(denied([pod({"containers": [{"name": "app"}]})], {"registries": ["registry.example"]})) == 1
	count(denied([pod({"volumes": [{"name": "it", "image": "registry.example/web"}]})], {"registries": ["registry.example"]})) == 1
	count(denied([pod({"volumes": [{"name": "it", "image": {}}]})], {"registries": ["registry.example"]})) == 1
}

test_what_cannot_be_read_is_denied if {
	every object in [null, "text", [], {}, {"spec": []}, {"spec": {"containers": "app"}}, {"spec": {"containers": [null]}}, {"spec": {"volumes": {"a": {}}}}] {
		count(denied([planned("Pod", "", object)], {"registries": ["registry.example"]})) == 1
	}
	count(denied([planned("PodList", "", {"kind": "PodList", "items": []})], {})) == 1
	count(denied([null, "text", 1, []], {})) == 1
	count(denied([planned(null, "", {})], {})) == 1
	count(denied([object.union(running("evil.com/x"), {"action": "prune"})], {})) == 0
	count(denied(null, {})) == 1
	count(data.reeve.allowed_registries.deny) == 1 with input as {}
}

test_the_id_of_an_image_on_a_node_is_no_image_of_a_registry if {
	hex := concat("", [digit | some digit in split("0123456789abcdef", ""); some _ in numbers.range(1, 4)])
	library := {"registries": ["docker.io/library"]}
	every image in [hex, sprintf("sha256:%s", [hex]), "sha256:abc", sprintf("sha512:%s%s", [hex, hex])] {
		count(denied([running(image)], library)) == 1
	}
	every image in [sprintf("web@sha256:%s", [hex]), substring(hex, 0, 63), "sha256", "sha256:v1"] {
		count(denied([running(image)], library)) == 0
	}
}
