import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { detectLocal } from "./engines/local/index.js";
import { DemoRun, processesWith, uniqueMark } from "./suite/demo-run.test-support.js";
import { describeWithEngines, engines } from "./suite/engines.test-support.js";
import { startJeeves } from "./suite/jeeves.test-support.js";
import { cannotRun } from "./suite/toolchains.test-support.js";
import {
  AGENTS,
  GATEWAY,
  type Implementation,
  LLM_GATEWAY,
  ORCHESTRATOR,
  PLANNER,
  TOOLS,
} from "./topology/roles.js";

// Leftovers are looked for in /proc.
const onLinux = describe.runIf(process.platform === "linux");
const local = await detectLocal({});
const noLocalEngines =
  local.available || process.env.CI !== undefined ? undefined : local.missing.join();

function onEngines(): Record<string, string> {
  const { kafkaBrokers, redisUrl } = engines();
  return { KAFKA_BROKERS: kafkaBrokers.join(","), REDIS_URL: redisUrl };
}

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "traceferry-empty-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Takes a port of this host. */
async function takenPort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return String(address.port);
}

/** A test with these implementations, skipped when they cannot be built. */
function testWith(
  title: string,
  implementations: Record<string, Implementation>,
  body: () => Promise<void>,
) {
  const why = cannotRun(implementations);
  if (why === undefined) test(title, body);
  else test.skip(`${title} (skipped: ${why})`, () => undefined);
}

onLinux("a missing toolchain", () => {
  test.each([
    ["--orchestrator", "go", /go is not installed: install Go 1\.26 or newer/],
    ["--gateway", "python", /python3 is not installed: install Python 3\.11 or newer with venv/],
    [
      "--tools",
      "java",
      /java is not installed: install a JDK 17 or newer.*; mvn is not installed: install Maven/,
    ],
  ])(
    "is reported, with the remedy, before anything is started: %s %s",
    async (option, language, why) => {
      const demo = await DemoRun.start([option, language, "--engines", "local"], {
        PATH: await emptyFolder(),
        JAVA_HOME: "",
      });

      const { exitCode, stdout, stderr, left } = await demo.ended();

      expect(exitCode, stderr).toBe(1);
      expect(stderr).toMatch(new RegExp(`demo: the ${language} programs cannot be built: `));
      expect(stderr).toMatch(why);
      expect(stderr).not.toMatch(/^(local )?engines:/m);
      expect(stdout).toBe("");
      expect(left).toEqual([]);
    },
  );
});

describeWithEngines("a role that cannot start", () => {
  onLinux("is reported with its last lines, and the others are stopped", () => {
    const roles = [
      [ORCHESTRATOR, "ts", "PORT"],
      [ORCHESTRATOR, "go", "PORT"],
      [LLM_GATEWAY, "ts", "PORT"],
      [LLM_GATEWAY, "python", "PORT"],
      [GATEWAY, "ts", "PORT"],
      [GATEWAY, "python", "PORT"],
      [TOOLS, "java", "HEALTH_PORT"],
      [PLANNER, "python", "HEALTH_PORT"],
      [AGENTS, "ts", "HEALTH_PORT"],
    ] as const;
    for (const [role, implementation, variable] of roles) {
      const implementations = { [role]: implementation };

      testWith(`${implementation} ${role} with a wrong ${variable}`, implementations, async () => {
        const mark = uniqueMark();
        const starting = startJeeves({
          implementations,
          env: mark,
          roleEnv: { [role]: { [variable]: "eighty" } },
        });

        await expect(starting).rejects.toThrow(
          new RegExp(
            `${role} ended with code 1; its last lines:\n.*cannot start: wrong configuration: ${variable}: `,
            "s",
          ),
        );
        expect(await processesWith(mark)).toEqual([]);
      });

      testWith(`${implementation} ${role} on a port that is taken`, implementations, async () => {
        const port = await takenPort();
        const mark = uniqueMark();
        const starting = startJeeves({
          implementations,
          env: mark,
          roleEnv: { [role]: { [variable]: port } },
        });

        await expect(starting).rejects.toThrow(
          new RegExp(
            `${role} ended with code 1; its last lines:\n.*(${port}.*in use|in use.*${port})`,
            "s",
          ),
        );
        expect(await processesWith(mark)).toEqual([]);
      });
    }
  });

  onLinux("makes the demo exit with 1", () => {
    testWith("with a wrong setting", { [ORCHESTRATOR]: "go" }, async () => {
      const demo = await DemoRun.start(["--orchestrator", "go", "--engines", "external"], {
        ...onEngines(),
        STAGE_TIMEOUT_MS: "soon",
      });
      await demo.prints(/^roles: starting/);

      const { exitCode, stderr, stdout, left } = await demo.ended();

      expect(exitCode, stderr).toBe(1);
      expect(stderr).toMatch(
        /demo: (\S+) ended with code 1; its last lines:\n {2}\1: cannot start: wrong configuration: STAGE_TIMEOUT_MS: /,
      );
      expect(stdout).toBe("");
      expect(left).toEqual([]);
    });

    test("with a port that is taken", async () => {
      const port = await takenPort();
      const demo = await DemoRun.start(["--engines", "external"], { ...onEngines(), PORT: port });
      await demo.prints(/^roles: starting/);

      const { exitCode, stderr, left } = await demo.ended();

      expect(exitCode, stderr).toBe(1);
      expect(stderr).toMatch(
        /demo: (\S+) ended with code 1; its last lines:\n {2}\1: cannot start: /,
      );
      expect(stderr).toContain(port);
      expect(left).toEqual([]);
    });
  });
});

const MANY_REQUESTS = ["--requests", "2000", "--concurrency", "10"];

describe.skipIf(noLocalEngines)("an engine that dies in the middle", () => {
  onLinux(
    "is reported with its last lines, and makes the demo exit with 1 without leftovers",
    () => {
      test.each([
        ["kafka", "kafka.Kafka", /GroupCoordinator/],
        ["redis", "redis-server", /Ready to accept connections/],
      ])("%s", async (engine, command, lines) => {
        const demo = await DemoRun.start([...MANY_REQUESTS, "--engines", "local"]);
        await demo.prints(/^requests: \d+ of 2000 answered/);

        await demo.crash(command);

        const { exitCode, stderr, stdout, left } = await demo.ended();
        expect(exitCode, stderr).toBe(1);
        expect(stderr).toContain(`demo: ${engine} ended by SIGKILL.`);
        expect(stderr.slice(stderr.indexOf("Its last lines:"))).toMatch(lines);
        expect(stdout).toBe("");
        expect(left).toEqual([]);
      });

      test("kafka, while the roles start", async () => {
        const demo = await DemoRun.start(["--engines", "local"]);
        await demo.prints(/^roles: starting/);

        await demo.crash("kafka.Kafka");

        const { exitCode, stderr, left } = await demo.ended();
        expect(exitCode, stderr).toBe(1);
        expect(stderr).toContain("demo: kafka ended by SIGKILL.");
        expect(left).toEqual([]);
      });
    },
  );
});

// With engines of its own: a consumer that is killed stays in its group for a while, which would disturb other tests.
describe.skipIf(noLocalEngines)("a role that dies in the middle", () => {
  onLinux("is reported, and makes the demo exit with 1 without leftovers", () => {
    const roles = [
      [AGENTS, "agents", "ts", "roles/agents/main.js"],
      [GATEWAY, "gateway", "ts", "roles/gateway/main.js"],
      [ORCHESTRATOR, "orchestrator", "go", "/orchestrator"],
      [TOOLS, "tools", "java", "jeeves.ToolsWorker"],
    ] as const;
    for (const [role, option, implementation, command] of roles) {
      testWith(`${implementation} ${role}`, { [role]: implementation }, async () => {
        const args = [...MANY_REQUESTS, "--engines", "local", `--${option}`, implementation];
        const demo = await DemoRun.start(args);
        await demo.prints(/^requests: \d+ of 2000 answered/);

        await demo.crash(command);

        const { exitCode, stderr, stdout, left } = await demo.ended();
        expect(exitCode, stderr).toBe(1);
        expect(stderr).toContain(`demo: ${role} ended by SIGKILL; its last lines:\n`);
        expect(stdout).toBe("");
        expect(left).toEqual([]);
      });
    }
  });
});

describeWithEngines("a role that dies in a test", () => {
  onLinux("is reported to the code that waits for its spans", () => {
    test("when none arrives", async () => {
      const mark = uniqueMark();
      await using jeeves = await startJeeves({ env: mark });
      const waiting = jeeves.trace("4bf92f3577b34da6a3ce929d0e0e4736");
      const running = await processesWith(mark);

      const pid = running.find(({ command }) => command.includes("roles/llm-gateway/main.js"))?.pid;
      process.kill(pid ?? 0, "SIGKILL");

      await expect(waiting).rejects.toThrow(`${LLM_GATEWAY} ended by SIGKILL`);
    });
  });
});

describeWithEngines("Ctrl-C makes the demo exit with 130 without leftovers", () => {
  onLinux("at any time", () => {
    testWith("while programs are built", { [ORCHESTRATOR]: "go" }, async () => {
      const cache = join(await emptyFolder(), "cache");
      await mkdir(cache);
      const demo = await DemoRun.start(["--orchestrator", "go", "--engines", "external"], {
        ...onEngines(),
        TRACEFERRY_CACHE: cache,
      });
      await demo.prints(/^go: building/);

      demo.interrupt();

      const { exitCode, left } = await demo.ended();
      expect(exitCode).toBe(130);
      expect([...left, ...(await readdir(cache))]).toEqual([]);
    });

    test.each([
      ["while the roles start", /^roles: starting/],
      ["while requests are under way", /^requests: \d+ of 2000 answered/],
    ])("%s", async (_, line) => {
      const demo = await DemoRun.start([...MANY_REQUESTS, "--engines", "local"]);
      await demo.prints(line);

      demo.interrupt();

      const { exitCode, left } = await demo.ended();
      expect(exitCode).toBe(130);
      expect(left).toEqual([]);
    });
  });
});
