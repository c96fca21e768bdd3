// octokit.mjs API APP INSTALLATION KEYFILE OWNER REPO: does at a GitHub what a provider does, by GitHub's own client, and fails
// when anything is other than it should be.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createAppAuth } from "@octokit/auth-app";
import { Octokit } from "@octokit/rest";

const [baseUrl, appId, installationId, keyFile, owner, repo] = process.argv.slice(2);
const privateKey = readFileSync(keyFile, "utf8");
const auth = { appId, installationId, privateKey };
const octokit = new Octokit({ baseUrl, authStrategy: createAppAuth, auth });
const sha = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

const app = new Octokit({ baseUrl, authStrategy: createAppAuth, auth: { appId, privateKey } });
const installation = await app.rest.apps.getRepoInstallation({ owner, repo });
assert.equal(String(installation.data.id), installationId);

const { rest } = octokit;
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKQ7vZl0Ss0GBqcVBBxvVWhlkh/3J6KzPrFYj6ChiWvJ";
const made = await rest.repos.createDeployKey({ owner, repo, title: "octokit", key, read_only: true });
assert.equal(made.data.title, "octokit");
await assert.rejects(
  rest.repos.createDeployKey({ owner, repo, title: "again", key, read_only: true }),
  (why) => why.status === 422 && why.message.includes("already in use"),
);
for (let number = 0; number < 4; number += 1) {
  const other = `${key.slice(0, -2)}${number}J`;
  await rest.repos.createDeployKey({ owner, repo, title: `page ${number}`, key: other });
}
const pages = await octokit.paginate(rest.repos.listDeployKeys, { owner, repo, per_page: 2 });
assert.equal(pages.length, 5);
for (const one of pages) await rest.repos.deleteDeployKey({ owner, repo, key_id: one.id });
await assert.rejects(rest.repos.getDeployKey({ owner, repo, key_id: made.data.id }), { status: 404 });

const config = { url: "https://reeve.example/hook/octokit", content_type: "json", secret: "s3cret-of-octokit" };
const hook = await rest.repos.createWebhook({ owner, repo, name: "web", config, events: ["push"] });
assert.deepEqual(hook.data.events, ["push"]);
assert.notEqual(hook.data.config.secret, config.secret, "a secret is never told");
const changed = await rest.repos.updateWebhook({ owner, repo, hook_id: hook.data.id, active: false });
assert.equal(changed.data.active, false);
assert.equal(changed.data.config.url, config.url);
const hooks = await octokit.paginate(rest.repos.listWebhooks, { owner, repo });
assert.equal(hooks.filter((one) => one.id === hook.data.id).length, 1);
await rest.repos.deleteWebhook({ owner, repo, hook_id: hook.data.id });

for (const state of ["pending", "success"]) {
  await rest.repos.createCommitStatus({ owner, repo, sha, state, context: "octokit", description: "of octokit" });
}
const statuses = await rest.repos.listCommitStatusesForRef({ owner, repo, ref: sha });
assert.deepEqual(statuses.data.map((one) => one.state), ["success", "pending"]);

const pull = await rest.pulls.create({ owner, repo, head: "octokit", base: "main", title: "Of octokit" });
const open = await rest.pulls.list({ owner, repo, state: "open", head: `${owner}:octokit` });
assert.deepEqual(open.data.map((one) => one.number), [pull.data.number]);
const pull_number = pull.data.number;
const updated = await rest.pulls.update({ owner, repo, pull_number, title: "Of octokit, again" });
assert.equal(updated.data.title, "Of octokit, again");
const labels = await rest.issues.addLabels({ owner, repo, issue_number: pull_number, labels: ["reeve"] });
assert.deepEqual(labels.data.map((one) => one.name), ["reeve"]);
