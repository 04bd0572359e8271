import "@traceferry/testkit/vitest";
import { assembleTraces, evaluateUnbroken, type Span, type Trace } from "@traceferry/traces";
import getPort from "get-port";
import pLimit from "p-limit";
import { describe, expect, test } from "vitest";
import { type RawHeaders, startGrpcRecorder, startHttpRecorder } from "./golden/recorders.js";
import { describeWithEngines } from "./suite/engines.test-support.js";
import { type Jeeves, startJeeves } from "./suite/jeeves.test-support.js";
import { buildBefore, cannotRun } from "./suite/toolchains.test-support.js";
import { type ChatAnswer, type ChatOptions, chat } from "./system/chat.js";
import { expectedTrace } from "./topology/expected-trace.js";
import {
  AGENTS,
  GATEWAY,
  type Implementations,
  LLM_GATEWAY,
  ORCHESTRATOR,
  PLANNER,
  POLYGLOT,
  TOOLS,
} from "./topology/roles.js";

const REQUESTS = 500;
const CONCURRENCY = 20;

/** A test with these implementations, skipped when they cannot be built. */
function testOf(implementations: Implementations, title: string, run: () => Promise<void>): void {
  const why = cannotRun(implementations);
  if (why === undefined) test(title, { timeout: 180_000 }, run);
  else test.skip(`${title} (skipped: ${why})`, () => undefined);
}

describeWithEngines("of 500 requests", () => {
  buildBefore(POLYGLOT);

  testOf(
    POLYGLOT,
    "a tenth is sampled in every language alike: a trace is complete or absent",
    async () => {
      await using jeeves = await startJeeves({
        implementations: POLYGLOT,
        env: { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.1" },
      });
      const answers = await sendLoad(jeeves.url);

      const traces = await receivedTraces(jeeves, POLYGLOT, 1);
      expect(brokenTraces(traces, POLYGLOT)).toEqual([]);
      // Four standard deviations to each side: one run in 16,000 lies outside.
      expect(traces.length).toBeGreaterThan(REQUESTS * 0.1 - 27);
      expect(traces.length).toBeLessThan(REQUESTS * 0.1 + 27);
      const asked = new Set(answers.map(({ traceId }) => traceId));
      expect(traces.filter(({ traceId }) => !asked.has(traceId))).toEqual([]);
    },
  );

  // No two of them are neighbours.
  describe.for([
    ["agents (TypeScript) and llm-gateway (Python)", [AGENTS, LLM_GATEWAY]],
    ["orchestrator (Go)", [ORCHESTRATOR]],
    ["planner (Python) and tools worker (Java)", [PLANNER, TOOLS]],
    ["gateway (Python)", [GATEWAY]],
  ] as const)("with OTEL_SDK_DISABLED on %s", ([, disabled]) => {
    testOf(
      POLYGLOT,
      "every trace is complete without its spans, because it passes the context on",
      async () => {
        const off = { OTEL_SDK_DISABLED: "true" };
        await using jeeves = await startJeeves({
          implementations: POLYGLOT,
          roleEnv: Object.fromEntries(disabled.map((name) => [name, off])),
        });
        await sendLoad(jeeves.url, fromOutside);

        const bare = Object.fromEntries(disabled.map((name) => [name, "bare" as const]));
        const without: Implementations = { ...POLYGLOT, ...bare };
        const traces = await receivedTraces(jeeves, without);
        expect(brokenTraces(traces, without, true)).toEqual([]);
        expect(new Set(traces.map(({ traceId }) => traceId))).toEqual(CALLERS);
      },
    );
  });

  describe.for(["ts", "python"] as const)(
    "with a traceparent from outside, to a gateway of %s",
    (implementation) => {
      const system: Implementations = { [GATEWAY]: implementation };

      testOf(system, "every trace continues the caller's under relation child", async () => {
        const traces = await sendWithRelation(system, "child");
        expect(traces.filter(({ traceId }) => !CALLERS.has(traceId))).toEqual([]);
        expect(brokenTraces(traces, system, true)).toEqual([]);
        expect(traces.length).toBe(REQUESTS);
      });

      testOf(system, "every trace is new and links the caller's under relation link", async () => {
        const traces = await sendWithRelation(system, "link");
        expect(traces.filter(({ traceId }) => CALLERS.has(traceId))).toEqual([]);
        expect(brokenTraces(traces, system)).toEqual([]);
        const linked = traces.map(({ roots }) => roots[0]?.links.map((link) => link.traceId));
        expect(new Set(linked.flat())).toEqual(CALLERS);
        expect(traces.length).toBe(REQUESTS);
      });

      testOf(system, "every trace is new and has no link under relation none", async () => {
        const traces = await sendWithRelation(system, "none");
        expect(traces.filter(({ traceId }) => CALLERS.has(traceId))).toEqual([]);
        expect(brokenTraces(traces, system)).toEqual([]);
        expect(traces.flatMap(({ roots }) => roots[0]?.links ?? [])).toEqual([]);
        expect(traces.length).toBe(REQUESTS);
      });

      testOf(
        system,
        "only listed baggage reaches the llm-gateway, and none the provider",
        async () => {
          const toLlm: RawHeaders[] = [];
          const toProvider: RawHeaders[] = [];
          const port = await getPort({ host: "127.0.0.1" });
          await using provider = await startHttpRecorder(
            { model: "recorder", choices: [{ message: { content: "Very good." } }] },
            (headers) => toProvider.push(headers),
          );
          await using llm = await startGrpcRecorder(
            { file: "llm.proto", service: "jeeves.v1.LlmGateway", method: "Generate" },
            { forwardTo: `127.0.0.1:${port}` },
            (headers) => toLlm.push(headers),
          );
          await using jeeves = await startJeeves({
            implementations: system,
            providerUrl: `http://${provider.address}`,
            env: { EDGE_BAGGAGE: "tenant" },
            roleEnv: {
              [PLANNER]: { LLM_GATEWAY_ADDRESS: llm.address },
              [LLM_GATEWAY]: { PORT: String(port) },
            },
          });
          await sendLoad(jeeves.url, (i) => ({
            headers: {
              traceparent: traceparent(i),
              baggage: `tenant=acme,user=${i},token=let-me-in`,
            },
          }));

          expect(toLlm.length).toBe(REQUESTS);
          const keys = toLlm.map((headers) => baggageKeys(headers).join(" "));
          expect([...new Set(keys)]).toEqual(["jeeves.request.id jeeves.session.id tenant"]);
          expect(toProvider.length).toBe(REQUESTS);
          expect(toProvider.flatMap(baggageKeys)).toEqual([]);
          expect(toProvider.filter((headers) => headerOf(headers, "traceparent") === "")).toEqual(
            [],
          );
        },
      );
    },
  );
});

/** Sends all requests, `CONCURRENCY` at a time, and gives their answers in order. @throws when one is not answered */
async function sendLoad(
  url: string,
  optionsOf: (i: number) => ChatOptions = () => ({}),
): Promise<ChatAnswer[]> {
  const limit = pLimit(CONCURRENCY);
  const answers = await Promise.all(
    Array.from({ length: REQUESTS }, (_, i) => limit(() => chat(url, optionsOf(i)))),
  );
  const failed = answers.find(({ reply }) => reply === undefined);
  if (failed !== undefined) {
    throw new Error(`not answered: ${failed.status} ${JSON.stringify(failed.error)}`);
  }
  return answers;
}

async function sendWithRelation(
  implementations: Implementations,
  relation: "child" | "link" | "none",
): Promise<readonly Trace[]> {
  await using jeeves = await startJeeves({ implementations, env: { EDGE_RELATION: relation } });
  await sendLoad(jeeves.url, fromOutside);
  return await receivedTraces(jeeves, implementations);
}

function traceIdOf(i: number): string {
  return `deadbeef${i.toString(16).padStart(24, "0")}`;
}

function traceparent(i: number): string {
  return `00-${traceIdOf(i)}-00f067aa0ba902b7-01`;
}

/** A request with a sender outside of the system. */
function fromOutside(i: number): ChatOptions {
  return { headers: { traceparent: traceparent(i) } };
}

/** The trace ids of all such senders. */
const CALLERS: ReadonlySet<string> = new Set(
  Array.from({ length: REQUESTS }, (_, i) => traceIdOf(i)),
);

/** Waits for all traces, until no more spans come. */
async function receivedTraces(
  { receiver }: Jeeves,
  implementations: Implementations,
  traces = REQUESTS,
): Promise<readonly Trace[]> {
  const spans: readonly Span[] = await receiver.waitForQuiet({
    services: [...expectedTrace(implementations).services],
    traces,
    quietMs: 1000,
  });
  return assembleTraces(spans);
}

/** The messages about the first three traces that are broken. */
function brokenTraces(
  traces: readonly Trace[],
  implementations: Implementations,
  remoteRoot = false,
): readonly string[] {
  const { root, ...rest } = expectedTrace(implementations);
  return traces
    .map(({ traceId, spans }) => evaluateUnbroken(spans, { traceId, root, ...rest, remoteRoot }))
    .flatMap(({ pass, message }) => (pass ? [] : [message]))
    .slice(0, 3);
}

function baggageKeys(headers: RawHeaders): string[] {
  return headerOf(headers, "baggage")
    .split(",")
    .map((entry) => entry.split("=")[0]?.trim() ?? "")
    .filter((key) => key !== "")
    .sort();
}

function headerOf(headers: RawHeaders, name: string): string {
  return headers.find(([key]) => key.toLowerCase() === name)?.[1] ?? "";
}
