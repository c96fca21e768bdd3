// Lets an Ingress have hosts of the platform's domains only, and fills in its class and its TLS.

import { log } from "reeve:plugin/log@0.1.0";

export const transform = {
  transform(manifests, config) {
    const settings = JSON.parse(config);
    if (!Array.isArray(settings.domains) || !settings.domains.every((domain) => typeof domain === "string")) {
      refuse("domains must be a list of texts: a name, or .name for all below it");
    }
    const objects = manifests.map((manifest) => JSON.parse(manifest));
    const ingresses = objects.filter(isIngress);
    const objections = ingresses.flatMap((ingress) => strangers(ingress, settings.domains));
    if (objections.length > 0) {
      refuse("there are hosts that this platform does not serve", objections);
    }
    ingresses.forEach((ingress) => fillIn(ingress, settings));
    log("info", `looked at ${ingresses.length} Ingresses`);
    // What is no Ingress comes back as it was, to the byte.
    return manifests.map((manifest, i) => (isIngress(objects[i]) ? JSON.stringify(objects[i]) : manifest));
  },
};

function isIngress(object) {
  return object.kind === "Ingress" && object.apiVersion === "networking.k8s.io/v1";
}

const rules = (ingress) => ingress.spec?.rules ?? [];

function strangers(ingress, domains) {
  const served = (host) => domains.some((domain) => (domain.startsWith(".") ? host.endsWith(domain) : host === domain));
  return rules(ingress).flatMap(({ host }, i) => {
    if (host !== undefined && served(host)) {
      return [];
    }
    const message = host === undefined ? "a rule without a host takes all of them" : `${host} is in none of ${domains.join(", ")}`;
    return [{ object: id(ingress), field: `spec.rules[${i}].host`, message }];
  });
}

function fillIn(ingress, { ingressClassName, tls }) {
  const spec = ingress.spec;
  if (ingressClassName !== undefined) {
    spec.ingressClassName ??= ingressClassName;
  }
  if (tls && spec.tls === undefined) {
    spec.tls = [{ hosts: rules(ingress).map(({ host }) => host), secretName: `${ingress.metadata.name}-tls` }];
  }
}

function id({ apiVersion, kind, metadata }) {
  return { apiVersion, kind, namespace: metadata.namespace ?? "", name: metadata.name };
}

// The tenant reads this.
function refuse(message, objects = []) {
  throw { message, objects };
}
