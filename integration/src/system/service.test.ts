import { expect, test } from "vitest";
import { nodeCommand } from "../topology/hosts.js";
import { RoleProcess } from "../topology/process.js";
import { GATEWAY, ROLES } from "../topology/roles.js";

test("a role that cannot stop in time still sends its spans and ends, and reports it", async () => {
  const service = new URL("../../dist/system/service.js", import.meta.url);
  const program = `
    const { runRole } = await import("${service}");
    const stop = () => new Promise(() => setInterval(() => undefined, 1000));
    const flush = async () => console.log("spans sent");
    await runRole({ name: "stuck", start: async () => ({ stop }), flush });
  `;
  const role = new RoleProcess(
    "stuck",
    { file: process.execPath, arguments: ["--input-type=module", "--eval", program] },
    {},
  );
  await role.ready(10_000);

  await role.stop();

  expect(role.lastLines()).toBe("  stuck: stopping was given up after 6000 ms\n  spans sent");
});

test("a stock role without its preload does not start, because it would break every trace silently", async () => {
  const gateway = ROLES.find(({ name }) => name === GATEWAY);
  if (gateway === undefined) throw new Error("no gateway");
  const role = new RoleProcess(GATEWAY, nodeCommand(gateway, "ts"), {
    INSTRUMENTATION: "stock",
    OTEL_TRACES_EXPORTER: "none",
  });

  await expect(role.ready(10_000)).rejects.toThrow(
    /ended with code 1; its last lines:\n.*cannot start: @grpc\/grpc-js is not instrumented: /s,
  );
});
