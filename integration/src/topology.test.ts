import { Client, credentials } from "@grpc/grpc-js";
import "@traceferry/testkit/vitest";
import getPort from "get-port";
import { expect, test } from "vitest";
import { describeWithEngines } from "./suite/engines.test-support.js";
import { startJeeves } from "./suite/jeeves.test-support.js";
import { chat } from "./system/chat.js";
import { PATHS, SERVICES } from "./topology/expected-trace.js";
import { GATEWAY, LLM_GATEWAY, ORCHESTRATOR, TOOLS } from "./topology/roles.js";

describeWithEngines("the roles", () => {
  test("export their remaining spans when they are stopped", async () => {
    const jeeves = await startJeeves({ env: { OTEL_BSP_SCHEDULE_DELAY: "600000" } });
    const { traceId, reply } = await chat(jeeves.url);
    expect(reply).toBeDefined();
    expect(jeeves.receiver.spans).toEqual([]);

    await jeeves.topology[Symbol.asyncDispose]();

    await expect(jeeves.receiver.spans).toHaveUnbrokenTrace({
      traceId,
      root: { service: GATEWAY, kind: "SERVER" },
      paths: PATHS,
      services: SERVICES,
    });
    await jeeves[Symbol.asyncDispose]();
  });

  test("are reported with their last lines when they cannot start, and the others are stopped", async () => {
    const failing = startJeeves({ roleEnv: { [LLM_GATEWAY]: { PORT: "eighty" } } });

    await expect(failing).rejects.toThrow(
      /jeeves-llm-gateway ended with code 1; its last lines:\n.*wrong configuration: PORT: /s,
    );
  });

  test("answer health checks, which are not traced", async () => {
    const port = await getPort({ host: "127.0.0.1" });
    await using jeeves = await startJeeves({ roleEnv: { [TOOLS]: { HEALTH_PORT: String(port) } } });
    const status = async (path: string): Promise<number> =>
      (await fetch(`http://127.0.0.1:${port}${path}`)).status;

    expect([await status("/healthz"), await status("/readyz"), await status("/")]).toEqual([
      200, 200, 404,
    ]);
    for (const name of [ORCHESTRATOR, LLM_GATEWAY]) {
      expect(await checkHealth(jeeves.topology.addressOf(name)), name).toBe("SERVING");
    }
    const { traceId } = await chat(jeeves.url);
    await jeeves.trace(traceId);
    expect(new Set(jeeves.receiver.spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
  });
});

/** Asks the standard gRPC health service about the server as a whole. */
async function checkHealth(address: string): Promise<string> {
  const client = new Client(address, credentials.createInsecure());
  try {
    return await new Promise<string>((resolve, reject) => {
      client.makeUnaryRequest(
        "/grpc.health.v1.Health/Check",
        () => Buffer.alloc(0),
        // Field 1, a varint: the status.
        (bytes) => (bytes.equals(Buffer.from([0x08, 0x01])) ? "SERVING" : bytes.toString("hex")),
        {},
        (error, answer) => (error ? reject(error) : resolve(answer ?? "")),
      );
    });
  } finally {
    client.close();
  }
}
