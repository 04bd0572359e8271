import pRetry from "p-retry";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BUILD_TIMEOUT_MS, describeWithBackends } from "./backends/describe.test-support.js";
import {
  type Backend,
  type Jaeger,
  type JaegerTrace,
  startCollector,
  startJaeger,
} from "./backends/index.js";
import { describeWithEngines, engines } from "./suite/engines.test-support.js";
import { type ChatAnswer, chat } from "./system/chat.js";
import { SERVICES } from "./topology/expected-trace.js";
import { startTopology, type Topology } from "./topology/index.js";
import { GATEWAY, LLM_GATEWAY, ORCHESTRATOR } from "./topology/roles.js";

const log = (line: string): void => void process.stderr.write(`${line}\n`);

describeWithBackends("Jaeger, behind the collector", ["collector", "jaeger"], () => {
  describeWithEngines("with the reference system", () => {
    let jaeger: Jaeger;
    let collector: Backend;
    let topology: Topology;
    let usual: ChatAnswer;
    let slow: ChatAnswer;

    beforeAll(async () => {
      jaeger = await startJaeger({ log });
      collector = await startCollector({
        log,
        exportTo: [jaeger.otlpUrl],
        keepPercent: 100,
        decisionWaitMs: 2000,
        rootWaitMs: 1000,
      });
      topology = await startTopology({ engines: engines(), otlpUrl: collector.otlpUrl, log });
      usual = await chat(topology.gatewayUrl);
      slow = await chat(topology.gatewayUrl, {
        headers: { "x-provider-directive": "latency=1500" },
      });
      await completeTrace(jaeger, usual.traceId);
      await completeTrace(jaeger, slow.traceId);
    }, BUILD_TIMEOUT_MS);
    afterAll(async () => {
      await topology?.[Symbol.asyncDispose]();
      await collector?.[Symbol.asyncDispose]();
      await jaeger?.[Symbol.asyncDispose]();
    });

    test("shows a request as one tree by its trace id", async () => {
      const trace = await completeTrace(jaeger, usual.traceId);

      const ids = new Set(trace.spans.map(({ spanId }) => spanId));
      const outside = trace.spans.filter(({ parentSpanId = "" }) => !ids.has(parentSpanId));
      expect(outside).toEqual([expect.objectContaining({ service: GATEWAY })]);
    });

    test("has no trace of an unknown id", async () => {
      expect(await jaeger.api.trace("4bf92f3577b34da6a3ce929d0e0e4736")).toBeUndefined();
    });

    test("finds it by service and operation", async () => {
      expect(await jaeger.api.services()).toEqual(expect.arrayContaining([...SERVICES]));
      expect(await jaeger.api.operations(ORCHESTRATOR)).toContain("pipeline.execute");

      const search = { service: ORCHESTRATOR, operation: "pipeline.execute" };
      expect(idsOf(await jaeger.api.search(search))).toContain(usual.traceId);
      const other = { service: ORCHESTRATOR, operation: "llm.generate" };
      expect(await jaeger.api.search(other)).toEqual([]);
    });

    test.each([ORCHESTRATOR, LLM_GATEWAY])(
      "finds it by jeeves.request.id, on a span of %s",
      async (service) => {
        const tags = { "jeeves.request.id": usual.requestId };
        expect(idsOf(await jaeger.api.search({ service, tags }))).toEqual([usual.traceId]);
      },
    );

    test("finds it by minimum duration", async () => {
      const found = await jaeger.api.search({ service: GATEWAY, minDurationMs: 1400 });
      expect(idsOf(found)).toEqual([slow.traceId]);
    });

    test("has a page for the trace", async () => {
      expect(jaeger.traceUrl(usual.traceId)).toBe(`${jaeger.url}/trace/${usual.traceId}`);
      const page = await fetch(jaeger.traceUrl(usual.traceId));
      expect(page.status).toBe(200);
      expect(page.headers.get("content-type")).toContain("text/html");
    });

    test("is used when it runs already, and not stopped", async () => {
      const env = { JAEGER_URL: `${jaeger.url}/`, JAEGER_OTLP_URL: jaeger.otlpUrl };
      const running = await startJaeger({ log }, env);
      await running[Symbol.asyncDispose]();

      expect(running.otlpUrl).toBe(jaeger.otlpUrl);
      expect((await running.api.trace(usual.traceId))?.traceId).toBe(usual.traceId);
    });
  });
});

describe("a Jaeger at addresses in the environment", () => {
  test.each([
    [{ JAEGER_URL: "http://127.0.0.1:1" }, "JAEGER_OTLP_URL is not set"],
    [{ JAEGER_OTLP_URL: "http://127.0.0.1:1" }, "JAEGER_URL is not set"],
    [{ JAEGER_URL: "jaeger", JAEGER_OTLP_URL: "http://127.0.0.1:1" }, 'JAEGER_URL is "jaeger"'],
  ])("of %o is a clear error", async (env, message) => {
    await expect(startJaeger({ log }, env)).rejects.toThrow(message);
  });

  test("that does not answer is a clear error", async () => {
    const env = { JAEGER_URL: "http://127.0.0.1:1", JAEGER_OTLP_URL: "http://127.0.0.1:1" };
    const start = startJaeger({ log }, env);
    await expect(start).rejects.toThrow(/Jaeger at http.* \(JAEGER_URL\) does not answer/);
  });
});

function idsOf(traces: readonly JaegerTrace[]): string[] {
  return traces.map(({ traceId }) => traceId);
}

/** Waits for a trace in Jaeger that has its root and a span of every service. */
function completeTrace(jaeger: Jaeger, traceId: string): Promise<JaegerTrace> {
  return pRetry(
    async () => {
      const trace = await jaeger.api.trace(traceId);
      const seen = new Set(trace?.spans.map(({ service }) => service));
      const missing = SERVICES.filter((service) => !seen.has(service));
      const root = trace?.spans.find(({ parentSpanId }) => parentSpanId === undefined);
      if (trace === undefined || root === undefined || missing.length > 0) {
        throw new Error(`Jaeger has no root or no span of ${missing.join(", ")} in ${traceId}`);
      }
      return trace;
    },
    { retries: 100, minTimeout: 200, factor: 1 },
  );
}
