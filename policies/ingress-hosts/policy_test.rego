package reeve.ingress_hosts_test

denied(objects, domains) := objections if {
	objections := data.reeve.ingress_hosts.deny with input as {
		"phase": "plan",
		"tenant": {"name": "acme", "namespaces": ["acme"]},
		"objects": objects,
	}
		with data.parameters as {"domains": domains}
}

own := {"acme": ["acme.example", "*.acme.example"], "other": ["other.example"]}

planned(kind, group, object) := {"action": "apply", "group": group, "kind": kind, "namespace": "acme", "name": "web", "object": object}

ingress(spec) := planned("Ingress", "networking.k8s.io", {"kind": "Ingress", "spec": spec})

for_host(host) := ingress({"rules": [{"host": host}]})

route(kind, spec) := planned(kind, "gateway.networking.k8s.io", {"kind": kind, "spec": spec})

certificate(spec) := planned("Certificate", "cert-manager.io", {"kind": "Certificate", "spec": spec})

annotated(key, value) := planned("Service", "", {"kind": "Service", "metadata": {"annotations": {key: value}}})

test_hosts_of_the_tenants_domains_are_allowed if {
	every host in ["acme.example", "web.acme.example", "a.b.acme.example", "*.acme.example", "*.a.acme.example"] {
		count(denied([for_host(host)], own)) == 0
	}
}

test_hosts_of_others_are_denied if {
	every host in [
		"other.example", "evilacme.example", "acme.example.evil.com", "*.example", "*", "ACME.example", "acme.example.",
		"evil.com/.acme.example", "~^.*.acme.example", ".acme.example", "*.*.acme.example", "a.*.acme.example",
		"evil.com .acme.example", "-.acme.example", "evil.com\n.acme.example", "web.acme.example:443",
	] {
		count(denied([for_host(host)], own)) == 1
	}
}

test_a_domain_without_a_star_is_that_host_alone if {
	count(denied([for_host("acme.example")], {"acme": ["acme.example"]})) == 0
	count(denied([for_host("web.acme.example")], {"acme": ["acme.example"]})) == 1
	count(denied([for_host("*.acme.example")], {"acme": ["acme.example"]})) == 1
	count(denied([for_host("acme.example")], {"acme": ["*.acme.example"]})) == 1
}

test_no_host_is_every_host if {
	count(denied([ingress({"rules": [{}]})], own)) == 1
	count(denied([ingress({"rules": [{"host": ""}]})], own)) == 1
	count(denied([ingress({"defaultBackend": {"service": {"name": "web"}}})], own)) == 1
	count(denied([ingress({"tls": [{"secretName": "web"}]})], own)) == 1
	every kind in ["HTTPRoute", "GRPCRoute", "TLSRoute"] {
		count(denied([route(kind, {})], own)) == 1
		count(denied([route(kind, {"hostnames": []})], own)) == 1
		count(denied([route(kind, {"hostnames": [""]})], own)) == 1
	}
	count(denied([route("Gateway", {"listeners": [{"name": "http"}]})], own)) == 1
}

test_every_place_of_a_host_is_judged if {
	every host, count_of in {"web.acme.example": 0, "web.other.example": 1} {
		count(denied([ingress({"tls": [{"hosts": ["acme.example", host]}]})], own)) == count_of
		count(denied([ingress({"rules": [{"host": "acme.example"}, {"host": host}]})], own)) == count_of
		count(denied([route("HTTPRoute", {"hostnames": [host]})], own)) == count_of
		count(denied([route("GRPCRoute", {"hostnames": [host]})], own)) == count_of
		count(denied([route("TLSRoute", {"hostnames": [host]})], own)) == count_of
		count(denied([route("Gateway", {"listeners": [{"hostname": host}]})], own)) == count_of
		count(denied([route("ListenerSet", {"listeners": [{"hostname": host}]})], own)) == count_of
		count(denied([certificate({"dnsNames": [host]})], own)) == count_of
		count(denied([certificate({"commonName": host})], own)) == count_of
		count(denied([annotated("external-dns.alpha.kubernetes.io/hostname", host)], own)) == count_of
		count(denied([annotated("nginx.ingress.kubernetes.io/server-alias", sprintf("acme.example, %s", [host]))], own)) == count_of
		count(denied([annotated("cert-manager.io/common-name", host)], own)) == count_of
	}
}

test_a_certificate_is_of_hosts_alone if {
	every field, value in {"ipAddresses": ["10.0.0.1"], "uris": ["spiffe://a"], "literalSubject": "CN=a", "otherNames": [{}]} {
		count(denied([certificate({"dnsNames": ["acme.example"], field: value})], own)) == 1
	}
	count(denied([certificate({"dnsNames": ["acme.example"], "uris": [], "literalSubject": ""})], own)) == 0
}

test_configuration_of_ones_own_is_denied if {
	count(denied([annotated("nginx.ingress.kubernetes.io/server-snippet", "x")], own)) == 1
	count(denied([annotated("nginx.ingress.kubernetes.io/rewrite-target", "/")], own)) == 0
}

test_a_tenant_without_domains_takes_none if {
	every domains in [{}, null, {"acme": "acme.example"}, {"acme": null}, {"acme": []}, {"other": ["acme.example"]}, {"acme": [null, "*"]}] {
		count(denied([for_host("acme.example")], domains)) == 1
	}
}

test_the_message_says_what_and_what_to_do if {
	some objection in denied([for_host("other.example")], own)
	objection.message == "Ingress/acme/web takes host other.example, which is in none of your domains; name one under acme.example, *.acme.example"
	objection.path == "spec.rules[0].host"
	some other in denied([route("HTTPRoute", {})], {})
	other.message == "HTTPRoute/acme/web takes every host; have the platform team give your tenant a domain in parameters.domains of ingress-hosts"
	other.path == "spec.hostnames"
}

test_what_cannot_be_read_is_denied if {
	every spec in [
		{"rules": "acme.example"},
		{"rules": {"host": "acme.example"}},
		{"rules": [null]},
		{"rules": ["acme.example"]},
		{"rules": [{"host": ["acme.example"]}]},
		{"tls": ["acme.example"]},
		{"tls": [{"hosts": "acme.example"}]},
		{"tls": [{"hosts": [null]}]},
	] {
		count(denied([ingress(spec)], own)) == 1
	}
	count(denied([route("HTTPRoute", {"hostnames": "acme.example"})], own)) == 1
	count(denied([route("Gateway", {"listeners": {"hostname": "acme.example"}})], own)) == 1
	count(denied([certificate({"dnsNames": "acme.example"})], own)) == 1
	count(denied([annotated("external-dns.alpha.kubernetes.io/hostname", 1)], own)) == 1
	count(denied([planned("IngressList", "networking.k8s.io", {"kind": "IngressList", "items": []})], own)) == 1
	count(denied([planned("Ingress", "networking.k8s.io", null)], own)) == 1
	count(denied([null, "text", 1, []], own)) == 1
	count(denied(null, own)) == 1
	count(data.reeve.ingress_hosts.deny) == 1 with input as {}
}

test_what_is_deleted_takes_no_host if {
	count(denied([object.union(for_host("other.example"), {"action": "prune"})], own)) == 0
}

test_other_kinds_take_no_host if {
	count(denied([planned("Ingress", "evil.example", {"kind": "Ingress", "spec": {"rules": [{"host": "other.example"}]}})], own)) == 0
}
