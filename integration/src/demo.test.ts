import { join } from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { REPOSITORY_ROOT } from "./engines/paths.js";
import { describeWithEngines, engines } from "./suite/engines.test-support.js";

const PROGRAM = join(REPOSITORY_ROOT, "integration/dist/demo/main.js");

function demo(args: readonly string[]) {
  return execa(process.execPath, [PROGRAM, ...args], { reject: false, env: { NO_COLOR: "1" } });
}

function onEngines() {
  const { kafkaBrokers, redisUrl } = engines();
  return { KAFKA_BROKERS: kafkaBrokers.join(","), REDIS_URL: redisUrl };
}

test("--help names every option and the three kinds of engines", async () => {
  const { stdout, exitCode } = await demo(["--help"]);

  expect(exitCode).toBe(0);
  for (const word of [
    "--requests",
    "--concurrency",
    "--stream",
    "--parallel",
    "--engines",
    "--keep",
    "--json",
  ]) {
    expect(stdout).toContain(word);
  }
  expect(stdout).toMatch(/external.*docker.*local/s);
});

test.each([
  [["--requests", "none"], "whole number"],
  [["--engines", "cloud"], "docker, local, external"],
  [["--wrong"], "unknown option"],
])("an error names a wrong option: %j", async (args, message) => {
  const { stderr, exitCode } = await demo(args);

  expect(exitCode).toBe(1);
  expect(stderr).toContain(message);
});

describeWithEngines("the demo", () => {
  test("prints the waterfall, a line for each hop, the summary and one JSON line, and exits with 0", async () => {
    const { stdout, stderr, exitCode } = await execa(
      process.execPath,
      [PROGRAM, "--requests", "3", "--json", "--engines", "external"],
      { reject: false, env: { ...onEngines(), NO_COLOR: "1" } },
    );

    expect(exitCode, `${stderr}\n${stdout}`).toBe(0);
    const lines = stdout.split("\n");
    expect(stdout).toContain("UNBROKEN  3 traces, 3 roots, 0 orphans, 6 services, 7 hops");
    expect(lines.filter((line) => line.startsWith("ok "))).toHaveLength(7);
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
      requests: 3,
      answered: 3,
      complete: 3,
      traces: 3,
      roots: 3,
      orphans: 0,
      hops: expect.arrayContaining([
        {
          from: "jeeves-agents",
          to: "jeeves-planner-worker",
          via: "bullmq jeeves-planner",
          ok: true,
          verdict: "OK",
        },
      ]),
      spanToReceivedMs: { p50: expect.any(Number), p99: expect.any(Number) },
      rssMb: expect.any(Number),
    });
  });

  test("exits with 1 and names the hop when a service has no propagator", async () => {
    const { stdout, stderr, exitCode } = await execa(
      process.execPath,
      [PROGRAM, "--engines", "external", "--break", "jeeves-agents"],
      { reject: false, env: { ...onEngines(), NO_COLOR: "1" } },
    );

    expect(exitCode, `${stderr}\n${stdout}`).toBe(1);
    expect(stdout).toMatch(/BROKEN jeeves-agents -> jeeves-planner-worker/);
    expect(stdout).toMatch(/BROKEN jeeves-orchestrator -> jeeves-agents .*\n +NOT_EXTRACTED/);
    expect(stdout).toContain("NOT_INJECTED");
  });

  test("keeps running with --keep until Ctrl-C, which stops every role", async () => {
    const running = execa(process.execPath, [PROGRAM, "--engines", "external", "--keep"], {
      reject: false,
      all: true,
      env: { ...onEngines(), NO_COLOR: "1" },
    });
    onTestFinished(() => void running.kill("SIGKILL"));
    const { promise: kept, resolve, reject } = Promise.withResolvers<string>();
    const listen = async (): Promise<void> => {
      let gateway = "";
      for await (const line of running.iterable({ from: "all" })) {
        gateway = line.match(/^gateway +(\S+)$/)?.[1] ?? gateway;
        if (line.startsWith("Ctrl-C")) resolve(gateway);
      }
      reject(new Error("the demo ended"));
    };
    listen().catch(reject);
    const gateway = await kept;
    expect((await fetch(new URL("/healthz", gateway))).status).toBe(200);

    running.kill("SIGINT");

    // With --keep the exit code is that of the result.
    expect((await running).exitCode).toBe(0);
    await expect(fetch(new URL("/healthz", gateway))).rejects.toThrow();
  });
});
