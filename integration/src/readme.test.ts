import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { startReceiver } from "@traceferry/testkit";
import "@traceferry/testkit/vitest";
import { execa } from "execa";
import { beforeAll, expect, test } from "vitest";
import { REPOSITORY_ROOT } from "./engines/paths.js";
import { describeWithEngines, engines } from "./suite/engines.test-support.js";

// Runs the programs in the READMEs of the packages as a reader would: the set-up as tracing.js, the example as main.js.
const PACKAGES = ["core", "grpc", "kafka", "bullmq", "nestjs"];
const SDK_2 = join(REPOSITORY_ROOT, "integration/sdk-2");
const LINES = {
  "sdk-3": join(REPOSITORY_ROOT, "integration/examples"),
  // This folder has exactly one API, 1.9. The packages are copied into it, so that they import that one.
  "sdk-2": join(SDK_2, "examples"),
};
const TIMEOUT_MS = 30_000;
// The number of spans of each example. Without the adapter there would be fewer.
const SPANS: Readonly<Record<string, number>> = {
  core: 1,
  grpc: 2,
  kafka: 3,
  bullmq: 3,
  nestjs: 2,
};

describeWithEngines("the README of", () => {
  beforeAll(async () => {
    await execa("node", [join(SDK_2, "install.mjs")]);
    for (const name of PACKAGES) {
      const from = join(REPOSITORY_ROOT, "packages", name);
      const to = join(SDK_2, "node_modules/@traceferry", name);
      await rm(to, { recursive: true, force: true });
      for (const part of ["dist", "package.json"]) {
        await cp(join(from, part), join(to, part), { recursive: true });
      }
    }
  });

  test.each(
    PACKAGES.flatMap((name) => (["sdk-3", "sdk-2"] as const).map((line) => [name, line] as const)),
  )("%s has an example that makes one unbroken trace on %s", async (name, line) => {
    const readme = await readFile(join(REPOSITORY_ROOT, "packages", name, "README.md"), "utf8");
    const folder = join(LINES[line], name);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
    await writeFile(join(folder, "tracing.js"), program(readme, line));
    await writeFile(join(folder, "main.js"), program(readme, "main"));

    await using receiver = await startReceiver();
    const { kafkaBrokers, redisUrl } = engines();
    const { exitCode, all } = await execa(process.execPath, ["main.js"], {
      cwd: folder,
      all: true,
      reject: false,
      timeout: TIMEOUT_MS,
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
        OTEL_SERVICE_NAME: "example",
        KAFKA_BROKERS: kafkaBrokers.join(","),
        REDIS_URL: redisUrl,
      },
    });

    expect(exitCode, all).toBe(0);
    const expected = SPANS[name] ?? 0;
    const spans = await receiver.waitForQuiet({ atLeast: expected });
    // An example may continue a sender whose own span is not exported.
    await expect(spans).toHaveUnbrokenTrace({ remoteRoot: true, spans: expected });
    await rm(folder, { recursive: true, force: true });
  });
});

/** The code block that follows `<!-- example: NAME -->`, without its types. */
function program(readme: string, name: string): string {
  const block = readme.match(
    new RegExp(`<!-- example: ${name} -->\\s*\`\`\`(?:ts|js)\\n(.*?)\`\`\``, "s"),
  );
  if (block?.[1] === undefined) throw new Error(`no example "${name}"`);
  return stripTypeScriptTypes(block[1]);
}
