// describe.mjs IN OUT: takes the operations that are used out of GitHub's published description, with the schemas and the examples
// that they name, and writes them as JSON Schema. OpenAPI 3.0 has a word of its own for what may be null.
import { readFileSync, writeFileSync } from "node:fs";

const USED = [
  ["post", "/app/installations/{installation_id}/access_tokens"],
  ["get", "/repos/{owner}/{repo}/installation"],
  ["get", "/repos/{owner}/{repo}/keys"],
  ["post", "/repos/{owner}/{repo}/keys"],
  ["get", "/repos/{owner}/{repo}/keys/{key_id}"],
  ["delete", "/repos/{owner}/{repo}/keys/{key_id}"],
  ["get", "/repos/{owner}/{repo}/hooks"],
  ["post", "/repos/{owner}/{repo}/hooks"],
  ["get", "/repos/{owner}/{repo}/hooks/{hook_id}"],
  ["patch", "/repos/{owner}/{repo}/hooks/{hook_id}"],
  ["delete", "/repos/{owner}/{repo}/hooks/{hook_id}"],
  ["get", "/repos/{owner}/{repo}/commits/{ref}/statuses"],
  ["post", "/repos/{owner}/{repo}/statuses/{sha}"],
  ["get", "/repos/{owner}/{repo}/collaborators/{username}"],
  ["get", "/repos/{owner}/{repo}/pulls"],
  ["post", "/repos/{owner}/{repo}/pulls"],
  ["patch", "/repos/{owner}/{repo}/pulls/{pull_number}"],
  ["post", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers"],
  ["post", "/repos/{owner}/{repo}/issues/{issue_number}/labels"],
];

const [from, to] = process.argv.slice(2);
const described = JSON.parse(readFileSync(from, "utf8"));
const at = (ref) =>
  ref.slice(2).split("/").reduce((value, step) => value[step], described);
const behind = (value) => (value?.$ref ? behind(at(value.$ref)) : value);

const schemas = {};
function schema(value) {
  if (Array.isArray(value)) return value.map(schema);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$ref === "string") named(value.$ref);
  const { nullable, example, examples, ...rest } = value;
  const made = {};
  for (const [key, one] of Object.entries(rest)) {
    made[key] = key === "properties" ? properties(one) : schema(one);
  }
  if (nullable !== true) return made;
  if (typeof made.type !== "string" || made.allOf || made.anyOf || made.oneOf) {
    return { anyOf: [made, { type: "null" }] };
  }
  made.type = [made.type, "null"];
  if (made.enum) made.enum = [...made.enum, null];
  return made;
}

// What a property is called is no keyword, whatever its name.
function properties(all) {
  return Object.fromEntries(Object.entries(all).map(([name, one]) => [name, schema(one)]));
}

function named(ref) {
  const name = ref.replace("#/components/schemas/", "");
  if (name in schemas) return;
  schemas[name] = true;
  schemas[name] = schema(at(ref));
}

// Of a request nothing is let through that is not described.
function strict(value) {
  const made = schema(behind(value));
  if (made.properties && made.additionalProperties === undefined) made.additionalProperties = false;
  return made;
}

// What may be left out is null here.
const optional = (required, made) => (required ? made : { anyOf: [made, { type: "null" }] });

const json = (value) => behind(value)?.content?.["application/json"];
const operations = USED.map(([method, path]) => {
  const operation = described.paths[path]?.[method];
  if (!operation) throw new Error(`GitHub describes no ${method} ${path}`);
  const body = behind(operation.requestBody);
  const parameters = (operation.parameters ?? []).map(behind);
  const responses = Object.entries(operation.responses).map(([status, response]) => {
    const told = json(response);
    const example = behind(Object.values(told?.examples ?? {})[0])?.value ?? null;
    return [status, { schema: told ? schema(told.schema) : null, example }];
  });
  return {
    method: method.toUpperCase(),
    path,
    query: parameters.filter((one) => one.in === "query").map((one) => one.name),
    body: body ? optional(body.required, strict(json(body).schema)) : null,
    responses: Object.fromEntries(responses),
  };
});
writeFileSync(to, JSON.stringify({ components: { schemas }, operations }));
