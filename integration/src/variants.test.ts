import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import "@traceferry/testkit/vitest";
import type { Span } from "@traceferry/traces";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWithEngines } from "./suite/engines.test-support.js";
import { type Jeeves, startJeeves } from "./suite/jeeves.test-support.js";
import { chat } from "./system/chat.js";
import { PLANNER_QUEUE } from "./system/messages.js";
import { hostAndPort } from "./system/service.js";
import { expectedTrace } from "./topology/expected-trace.js";
import {
  AGENTS,
  GATEWAY,
  type Implementations,
  LLM_GATEWAY,
  ORCHESTRATOR,
  PLANNER,
  TOOLS,
} from "./topology/roles.js";

const ALL_STOCK: Implementations = Object.fromEntries(
  [GATEWAY, ORCHESTRATOR, AGENTS, PLANNER, TOOLS, LLM_GATEWAY].map((name) => [name, "stock"]),
);

describeWithEngines("roles with stock instrumentation", () => {
  const implementations = ALL_STOCK;
  let jeeves: Jeeves;
  beforeAll(async () => {
    jeeves = await startJeeves({ implementations });
  });
  afterAll(async () => {
    await jeeves?.[Symbol.asyncDispose]();
  });

  test.each([
    ["in one piece", false],
    ["streamed", true],
  ])("keep one trace, and its baggage, for an answer %s", async (_, stream) => {
    const { traceId, requestId, reply } = await chat(jeeves.url, { stream });

    const spans = await jeeves.trace(traceId, expectedTrace(implementations).services);
    expect(reply).toContain("The message has 8 words.");
    await expect(spans).toHaveUnbrokenTrace({ traceId, ...expectedTrace(implementations) });
    expect(requestIdsOn(spans)).toEqual(Array(5).fill(requestId));
    expect(servicesWithOurSpans(spans)).toEqual(
      expectedTrace(implementations).services.filter((name) => implementations[name] === undefined),
    );
  });

  test("have gRPC spans with a prefix, and traces of bullmq-otel beside that of the request", async () => {
    const { traceId } = await chat(jeeves.url);

    const spans = await jeeves.trace(traceId, expectedTrace(implementations).services);
    const grpc = spans.filter(({ attributes }) => attributes["rpc.system"] === "grpc");
    expect(new Set(grpc.map(({ name }) => name))).toEqual(
      new Set([
        "grpc.jeeves.v1.Orchestrator/ExecutePipeline",
        "grpc.jeeves.v1.LlmGateway/Generate",
      ]),
    );
    const own = await jeeves.receiver.waitForQuiet({
      enough: (all) => all.some(({ name }) => name === `startStalledCheckTimer ${PLANNER_QUEUE}`),
    });
    const roots = own.filter(({ kind, parentSpanId }) => kind === "INTERNAL" && !parentSpanId);
    expect(new Set(roots.map(({ service }) => service))).toEqual(new Set([PLANNER]));
  });

  test("answer health checks without a span", async () => {
    for (const path of ["/healthz", "/readyz"]) {
      expect((await fetch(new URL(path, jeeves.url))).status).toBe(200);
    }
    const { traceId } = await chat(jeeves.url);

    await jeeves.trace(traceId, expectedTrace(implementations).services);
    expect(
      jeeves.receiver.spans.filter(({ attributes }) => /z$/.test(String(attributes["url.path"]))),
    ).toEqual([]);
  });
});

describeWithEngines("roles with propagation only", () => {
  const caller = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };
  const headers = {
    traceparent: `00-${caller.traceId}-${caller.spanId}-01`,
    tracestate: "vendor=secret",
    baggage: "tenant=acme",
  };
  const provider = startProvider();
  afterAll(() => provider.server.close());

  // Neighbours are never bare together, so that each relays between two roles that make spans.
  describe.for([
    ["gateway, agents and LLM gateway", [GATEWAY, AGENTS, LLM_GATEWAY]],
    ["orchestrator", [ORCHESTRATOR]],
    ["the two workers", [PLANNER, TOOLS]],
  ] as const)("%s", ([, names]) => {
    const implementations: Implementations = Object.fromEntries(
      names.map((name) => [name, "bare"]),
    );
    let jeeves: Jeeves;
    beforeAll(async () => {
      jeeves = await startJeeves({
        implementations,
        providerUrl: await provider.url,
      });
    });
    afterAll(async () => {
      await jeeves?.[Symbol.asyncDispose]();
    });

    test.each([
      ["in one piece", false],
      ["streamed", true],
    ])("make no span, and the next role continues the one before: %s", async (_, stream) => {
      const traceparent = headers.traceparent.replace("4736", stream ? "4737" : "4738");
      const { traceId, requestId } = await chat(jeeves.url, {
        stream,
        headers: { ...headers, traceparent },
      });

      const spans = await jeeves.trace(traceId, expectedTrace(implementations).services);
      expect(traceparent).toContain(traceId);
      await expect(spans).toHaveUnbrokenTrace({
        traceId,
        remoteRoot: true,
        ...expectedTrace(implementations),
      });
      expect(spans.find((span) => span.parentSpanId === caller.spanId)?.service).toBe(
        names[0] === GATEWAY ? ORCHESTRATOR : GATEWAY,
      );
      expect(new Set(requestIdsOn(spans))).toEqual(new Set([requestId]));
      // The call to the provider leaves the system, and the tracestate stays.
      const within = spans.filter(({ name }) => name !== "POST");
      expect(new Set(within.map(({ traceState }) => traceState))).toEqual(
        new Set([headers.tracestate]),
      );
    });
  });

  describe("LLM gateway and gateway", () => {
    const implementations: Implementations = { [GATEWAY]: "bare", [LLM_GATEWAY]: "bare" };
    let jeeves: Jeeves;
    beforeAll(async () => {
      jeeves = await startJeeves({
        implementations,
        providerUrl: await provider.url,
      });
    });
    afterAll(async () => {
      await jeeves?.[Symbol.asyncDispose]();
    });

    test("send the provider the traceparent that they got, and nothing else", async () => {
      const { traceId } = await chat(jeeves.url, { headers });

      const spans = await jeeves.trace(traceId, expectedTrace(implementations).services);
      const exit = spans.find(({ service, kind }) => service === PLANNER && kind === "CLIENT");
      expect(provider.receivedHeaders.at(-1)?.traceparent).toBe(
        `00-${caller.traceId}-${exit?.spanId}-01`,
      );
      expect(provider.receivedHeaders.at(-1)).not.toHaveProperty("tracestate");
      expect(provider.receivedHeaders.at(-1)).not.toHaveProperty("baggage");
    });

    test("answer without a trace id when the caller had none, and still pass the request's id on", async () => {
      const { traceId, requestId, reply } = await chat(jeeves.url);

      const spans = await jeeves.receiver.waitForQuiet({
        enough: (all) => requestIdsOn(all, requestId).length === 4,
      });
      expect([traceId, reply]).toEqual(["", expect.any(String)]);
      expect(requestIdsOn(spans, requestId)).toHaveLength(4);
    });
  });

  test("pass nothing on when propagation is off", async () => {
    await using jeeves = await startJeeves({
      roleEnv: { [ORCHESTRATOR]: { OTEL_SDK_DISABLED: "true", OTEL_PROPAGATORS: "none" } },
    });
    const { traceId } = await chat(jeeves.url);

    const spans = await jeeves.receiver.waitForQuiet({
      services: [GATEWAY, AGENTS, PLANNER, TOOLS, LLM_GATEWAY],
      quietMs: 400,
    });
    const inTrace = spans.filter((span) => span.traceId === traceId);
    expect(new Set(inTrace.map(({ service }) => service))).toEqual(new Set([GATEWAY]));
    expect(new Set(requestIdsOn(spans))).toEqual(new Set([""]));
  });
});

/** The request ids on the application's spans, of all of them or of those with this id only. */
function requestIdsOn(spans: readonly Span[], only?: string): unknown[] {
  return spans
    .filter(({ name }) => /^(pipeline\.execute|agent\.process|llm\.generate)$/.test(name))
    .map(({ attributes }) => attributes["jeeves.request.id"])
    .filter((id) => only === undefined || id === only);
}

function servicesWithOurSpans(spans: readonly Span[]): string[] {
  const servicesWithOurs = new Set(
    spans.filter(({ scope }) => scope.name.startsWith("@traceferry/")).map((span) => span.service),
  );
  return expectedTrace().services.filter((name) => servicesWithOurs.has(name));
}

/** Starts a provider outside of the system, which records the headers that it gets. */
function startProvider() {
  const receivedHeaders: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    receivedHeaders.push(request.headers);
    request.setEncoding("utf8");
    request.once("data", (body: string) => {
      const content = "Very good, sir.";
      const streamed = body.includes('"stream":true');
      const choices = [streamed ? { delta: { content } } : { message: { content } }];
      const json = JSON.stringify({ model: "other", choices });
      response.setHeader("content-type", streamed ? "text/event-stream" : "application/json");
      response.end(streamed ? `data: ${json}\n\ndata: [DONE]\n\n` : json);
    });
  });
  server.listen(0, "127.0.0.1");
  const url = once(server, "listening").then(() => `http://${hostAndPort(server.address())}`);
  return { server, receivedHeaders, url };
}
