import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { REPOSITORY_ROOT } from "./engines/paths.js";

// The two parts of the gate that can be tried alone: a step, and the count at its end.

describe("a step of the gate", () => {
  test("gets its arguments as they are", async () => {
    await using out = await temporaryFolder();

    await step(out.path, "a title", "printf", "%s\\n", "two words", "$HOME", 'a "quote"');

    const log = await readFile(join(out.path, "a-title.log"), "utf8");
    expect(log).toBe('two words\n$HOME\na "quote"\n');
  });

  test("leaves its exit code, its seconds and its title to be counted", async () => {
    await using out = await temporaryFolder();

    await step(out.path, "fine", "true");
    await step(out.path, "not fine", "sh", "-c", "exit 3");

    const steps = await readFile(join(out.path, "steps.tsv"), "utf8");
    expect(steps).toMatch(/^0\t\d+\tfine\n3\t\d+\tnot fine\n$/);
  });
});

describe("the count", () => {
  test("tells the seconds of each step, and passes within the budget", async () => {
    const { stdout, exitCode } = await count(["0\t12\tnpm ci", "0\t3888\tall the rest"]);

    expect(stdout).toContain("   12 s  npm ci\n 3888 s  all the rest\n 3900 s  in all");
    expect(stdout).not.toContain("warning");
    expect(stdout.endsWith("3 passed, 0 failed")).toBe(true);
    expect(exitCode).toBe(0);
  });

  test("warns above the budget", async () => {
    const { stdout, exitCode } = await count(["0\t3901\tslow"]);

    expect(stdout).toContain("warning: over the budget");
    expect(exitCode).toBe(0);
  });

  test("fails above 80 minutes", async () => {
    const { stdout, exitCode } = await count(["0\t4801\tvery slow"]);

    expect(stdout).toContain("failed: the steps took more than 80 minutes");
    expect(stdout.endsWith("2 passed, 1 failed")).toBe(true);
    expect(exitCode).toBe(1);
  });

  test("fails with a step that failed", async () => {
    const { stdout, exitCode } = await count(["0\t1\tfine", "2\t1\tnot fine"]);

    expect(stdout).toContain("failed step: not fine");
    expect(exitCode).toBe(1);
  });
});

async function step(out: string, ...words: readonly string[]) {
  await execa("bash", ["-c", '. .ci/step.sh; step "$@"', "bash", ...words], {
    cwd: REPOSITORY_ROOT,
    env: { OUT: out },
    reject: false,
  });
}

/** Counts one report of a single test that passed, and these steps. */
async function count(steps: readonly string[]) {
  await using out = await temporaryFolder();
  const report = { numPassedTests: 1, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 };
  await mkdir(join(out.path, "reports"));
  await writeFile(
    join(out.path, "reports/vitest.json"),
    JSON.stringify({ ...report, testResults: [] }),
  );
  await writeFile(join(out.path, "steps.tsv"), `${steps.join("\n")}\n`);
  return await execa("node", [join(REPOSITORY_ROOT, ".ci/count.mjs"), out.path], { reject: false });
}

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "traceferry-gate-"));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
