import { afterAll, beforeAll, expect, test } from "vitest";
import "@traceferry/testkit/vitest";
import type { Span } from "@traceferry/traces";
import { describeWithEngines } from "./suite/engines.test-support.js";
import { type Jeeves, startJeeves } from "./suite/jeeves.test-support.js";
import { chat } from "./system/chat.js";
import { PATHS, SERVICES } from "./topology/expected-trace.js";
import { AGENTS, GATEWAY, LLM_GATEWAY, ORCHESTRATOR, PLANNER, TOOLS } from "./topology/roles.js";

const WHOLE_TRACE = {
  root: { service: GATEWAY, kind: "SERVER" },
  paths: PATHS,
  services: SERVICES,
} as const;
// When the planner fails the executor is not called.
const SERVICES_WITHOUT_TOOLS = SERVICES.filter((service) => service !== TOOLS);

describeWithEngines(
  "one chat request through gateway, orchestrator, agents and LLM gateway",
  () => {
    let jeeves: Jeeves;
    beforeAll(async () => {
      jeeves = await startJeeves();
    });
    afterAll(async () => {
      await jeeves?.[Symbol.asyncDispose]();
    });

    test("is one unbroken trace when planner and executor run in order", async () => {
      const { traceId, reply } = await chat(jeeves.url, { message: "Plan a picnic" });

      const spans = await jeeves.trace(traceId);
      expect(reply).toContain("Plan a picnic");
      expect(reply).toContain("The message has 3 words.");
      await expect(spans).toHaveUnbrokenTrace({ traceId, ...WHOLE_TRACE });
      expect(outline(spans)).toMatchInlineSnapshot(`
        "POST /api/v1/chat  SERVER  jeeves-gateway
          jeeves.v1.Orchestrator/ExecutePipeline  CLIENT  jeeves-gateway
            jeeves.v1.Orchestrator/ExecutePipeline  SERVER  jeeves-orchestrator
              pipeline.execute  INTERNAL  jeeves-orchestrator
                agent.process  INTERNAL  jeeves-orchestrator
                send jeeves.agents.requests  PRODUCER  jeeves-orchestrator
                  process jeeves.agents.requests  CONSUMER  jeeves-agents
                    add jeeves-planner  PRODUCER  jeeves-agents
                      process jeeves-planner  CONSUMER  jeeves-planner-worker
                        agent.process  INTERNAL  jeeves-planner-worker
                          jeeves.v1.LlmGateway/Generate  CLIENT  jeeves-planner-worker
                            jeeves.v1.LlmGateway/Generate  SERVER  jeeves-llm-gateway
                              llm.generate  INTERNAL  jeeves-llm-gateway
                                llm.provider.call  INTERNAL  jeeves-llm-gateway
                                  POST  CLIENT  jeeves-llm-gateway
                          send jeeves.agents.replies  PRODUCER  jeeves-planner-worker
                            process jeeves.agents.replies  CONSUMER  jeeves-orchestrator
                send jeeves.agents.requests  PRODUCER  jeeves-orchestrator
                  process jeeves.agents.requests  CONSUMER  jeeves-agents
                    send jeeves.tools.requests  PRODUCER  jeeves-agents
                      process jeeves.tools.requests  CONSUMER  jeeves-tools-worker
                        agent.process  INTERNAL  jeeves-tools-worker
                          send jeeves.agents.replies  PRODUCER  jeeves-tools-worker
                            process jeeves.agents.replies  CONSUMER  jeeves-orchestrator"
      `);
    });

    test("is one unbroken trace when planner and executor run side by side", async () => {
      const { traceId, reply } = await chat(jeeves.url, { mode: "parallel" });

      const spans = await jeeves.trace(traceId);
      expect(reply).toContain("At your service.");
      await expect(spans).toHaveUnbrokenTrace({ traceId, ...WHOLE_TRACE });
      expect(spanNamed(spans, "pipeline.execute").attributes["jeeves.pipeline.mode"]).toBe(
        "parallel",
      );
    });

    test("is one unbroken trace when the answer is streamed, piece by piece", async () => {
      const { traceId, events, reply } = await chat(jeeves.url, { stream: true });

      const spans = await jeeves.trace(traceId);
      expect(reply).toContain("At your service.");
      expect(events.slice(0, 3)).toEqual(["stage", "stage", "stage"]);
      expect(events.filter((event) => event === "text").length).toBeGreaterThan(1);
      expect(events.filter((event) => event === "text").length).toBeLessThanOrEqual(10);
      expect(events.at(-1)).toBe("done");
      await expect(spans).toHaveUnbrokenTrace({ traceId, ...WHOLE_TRACE });
    });

    test("carries the request's id in baggage to every role, and puts it on their spans", async () => {
      const { traceId } = await chat(jeeves.url, { sessionId: "session-7" });

      const spans = await jeeves.trace(traceId);
      const requestId = spanNamed(spans, "pipeline.execute").attributes["jeeves.request.id"];
      expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
      expect(spanNamed(spans, "pipeline.execute").attributes["jeeves.session.id"]).toBe(
        "session-7",
      );
      for (const span of spans.filter(({ name }) => /^agent\.|^llm\.generate/.test(name))) {
        expect(span.attributes["jeeves.request.id"], `${span.service} ${span.name}`).toBe(
          requestId,
        );
      }
    });

    test("is one trace each when a hundred run at once, and no span is in the trace of another", async () => {
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          chat(jeeves.url, { message: `Question number ${i}` }),
        ),
      );

      expect(answers.filter(({ reply }) => reply === undefined)).toEqual([]);
      const ids = new Set(answers.map(({ traceId }) => traceId));
      expect(ids.size).toBe(100);
      await jeeves.receiver.waitForQuiet({ services: [...SERVICES], quietMs: 500 });
      const spans = jeeves.receiver.spans.filter(({ traceId }) => ids.has(traceId));
      await expect(spans).toHaveUnbrokenTrace({ traces: 100, ...WHOLE_TRACE });
    });

    test("is a 503 and spans with an error when the provider fails", async () => {
      const { traceId, status, error } = await chat(jeeves.url, {
        headers: { "x-provider-directive": "status=500" },
      });

      const spans = await jeeves.trace(traceId, SERVICES_WITHOUT_TOOLS);
      expect(status).toBe(503);
      expect(error).toMatchObject({
        error: { code: "UNAVAILABLE", message: "the provider answered 500" },
        request_id: expect.any(String),
      });
      await expect(spans).toHaveUnbrokenTrace({
        traceId,
        root: WHOLE_TRACE.root,
        path: [GATEWAY, ORCHESTRATOR, AGENTS, PLANNER, LLM_GATEWAY],
      });
      for (const name of ["llm.provider.call", "llm.generate", "pipeline.execute"]) {
        expect(spanNamed(spans, name).status.code, name).toBe("ERROR");
      }
    });

    test("sends an error event when the provider breaks off a stream, and ends every span", async () => {
      const { traceId, events, error } = await chat(jeeves.url, {
        stream: true,
        headers: { "x-provider-directive": "cut=1" },
      });

      const spans = await jeeves.trace(traceId, SERVICES_WITHOUT_TOOLS);
      expect(events.at(-1)).toBe("error");
      expect(error).toMatchObject({ error: { code: "UNAVAILABLE" } });
      await expect(spans).toHaveUnbrokenTrace({ traceId, root: WHOLE_TRACE.root });
      expect(spans.map(({ service }) => service)).toContain(LLM_GATEWAY);
    });

    test("ends all its spans when the client disconnects in the middle", async () => {
      const gone = new AbortController();
      const traceId = "c0ffee00c0ffee00c0ffee00c0ffee01";
      const answer = chat(jeeves.url, {
        stream: true,
        signal: gone.signal,
        headers: {
          "x-provider-directive": "latency=1500",
          traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
        },
      });
      const started = jeeves.receiver.waitForTrace(traceId, { services: [AGENTS], quietMs: 0 });
      await started;
      gone.abort();
      await expect(answer).rejects.toThrow();

      const spans = await jeeves.receiver.waitForTrace(traceId, {
        services: [GATEWAY, ORCHESTRATOR, AGENTS, PLANNER, LLM_GATEWAY],
        quietMs: 600,
      });
      await expect(spans).toHaveUnbrokenTrace({ traceId, remoteRoot: true });
      expect(spanNamed(spans, "pipeline.execute").attributes["termination.reason"]).toBe(
        "cancelled",
      );
      expect(spans.filter(({ service }) => service === TOOLS)).toEqual([]);
    });
  },
);

function spanNamed(spans: readonly Span[], name: string): Span {
  const found = spans.filter((span) => span.name === name);
  const [span] = found;
  if (span === undefined || found.length > 1) {
    throw new Error(`${found.length} spans "${name}" among ${spans.map((s) => s.name).join(", ")}`);
  }
  return span;
}

/** The tree as text: a line for each span, siblings in the order of their start. */
function outline(spans: readonly Span[]): string {
  const lines: string[] = [];
  const visit = (parent: string | undefined, depth: number): void => {
    const children = spans.filter(({ parentSpanId }) => parentSpanId === parent);
    children.sort((a, b) => Number(a.startNs - b.startNs));
    for (const { service, name, kind, spanId } of children) {
      lines.push(`${"  ".repeat(depth)}${name}  ${kind}  ${service}`);
      visit(spanId, depth + 1);
    }
  };
  visit(undefined, 0);
  return lines.join("\n");
}
