import { once } from "node:events";
import { createServer } from "node:http";
import "@traceferry/testkit/vitest";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithEngines } from "./suite/engines.test-support.js";
import { type Jeeves, startJeeves } from "./suite/jeeves.test-support.js";
import { chat } from "./system/chat.js";
import { hostAndPort } from "./system/service.js";
import { PATHS, SERVICES } from "./topology/expected-trace.js";
import { GATEWAY } from "./topology/roles.js";

const TRACE_ID = /^[0-9a-f]{32}$/;
const JSON_HEADERS = { "content-type": "application/json" };

describeWithEngines("at the edge", () => {
  let jeeves: Jeeves;
  const receivedHeaders: Record<string, unknown>[] = [];
  // A service outside of the system, which records the headers that it gets.
  const provider = createServer((request, response) => {
    receivedHeaders.push(request.headers);
    request.resume();
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({ model: "other", choices: [{ message: { content: "Very good, sir." } }] }),
    );
  });

  beforeAll(async () => {
    provider.listen(0, "127.0.0.1");
    await once(provider, "listening");
    jeeves = await startJeeves({ providerUrl: `http://${hostAndPort(provider.address())}` });
  });
  afterAll(async () => {
    await jeeves?.[Symbol.asyncDispose]();
    provider.close();
  });

  test.each([
    ["no body", undefined, JSON_HEADERS, 400],
    ["broken JSON", '{"message": "he', JSON_HEADERS, 400],
    ["a body of another kind", "message=hello", { "content-type": "text/plain" }, 400],
    ["JSON that is no object", '"hello"', JSON_HEADERS, 400],
    ["a message that is no text", '{"message": 42, "session_id": "s"}', JSON_HEADERS, 400],
    ["no session", '{"message": "hello"}', JSON_HEADERS, 400],
    ["an empty message", '{"message": " ", "session_id": "s"}', JSON_HEADERS, 400],
    [
      "a message of 1 MB",
      JSON.stringify({ message: "x".repeat(1024 * 1024), session_id: "s" }),
      JSON_HEADERS,
      413,
    ],
  ])("%s gets a clear error with a trace id", async (_, body, headers, status) => {
    for (const path of ["/api/v1/chat", "/api/v1/chat/stream"]) {
      const response = await fetch(new URL(path, jeeves.url), {
        method: "POST",
        headers,
        body: body ?? null,
      });

      const text = await response.text();
      expect([path, response.status, text]).toEqual([path, status, expect.any(String)]);
      expect(response.headers.get("x-trace-id")).toMatch(TRACE_ID);
      expect(response.headers.get("content-type")).toContain("application/json");
      expect(JSON.stringify(JSON.parse(text))).toMatch(/message/);
    }
  });

  test.each(
    [
      ["traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
      ["traceparent", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
      ["traceparent", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01"],
      ["traceparent", "x".repeat(8000)],
      ["tracestate", `${"a=1,".repeat(2000)}b`],
      ["tracestate", "=;==,,,\u00ff"],
      ["baggage", `${"k=v;p=%zz,".repeat(700)}`],
      ["baggage", "__proto__=1,constructor=%00%0d%0a,\u00e9=\u00e9"],
    ].map(([name = "", value = ""]) => ({ name, value, start: value.slice(0, 60) })),
  )(
    "a request with a hostile $name is answered as usual, in a new trace: $start",
    async ({ name, value }) => {
      const { status, traceId, reply } = await chat(jeeves.url, { headers: { [name]: value } });

      expect([status, reply]).toEqual([200, expect.stringContaining("Very good, sir.")]);
      await expect(await jeeves.trace(traceId)).toHaveUnbrokenTrace({
        traceId,
        root: { service: GATEWAY, kind: "SERVER" },
        paths: PATHS,
        services: SERVICES,
      });
    },
  );

  test("a caller's trace is continued, and two traceparents begin a new one", async () => {
    const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const continued = await chat(jeeves.url, { headers: { traceparent: parent } });
    const twice = await chat(jeeves.url, { headers: { traceparent: `${parent}, ${parent}` } });

    await jeeves.trace(continued.traceId);
    await jeeves.trace(twice.traceId);
    expect(continued.traceId).toBe("4bf92f3577b34da6a3ce929d0e0e4736");
    expect(twice.traceId).not.toBe(continued.traceId);
    expect(twice.traceId).toMatch(TRACE_ID);
  });

  test("only the traceparent leaves the system: no baggage, no tracestate", async () => {
    receivedHeaders.length = 0;
    const { traceId } = await chat(jeeves.url, {
      headers: {
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-01",
        tracestate: "vendor=secret",
        baggage: "tenant=acme",
      },
    });

    await jeeves.trace(traceId);
    const [headers] = receivedHeaders;
    expect(headers?.traceparent).toContain(traceId);
    expect(headers).not.toHaveProperty("tracestate");
    expect(headers).not.toHaveProperty("baggage");
  });

  test("health checks are answered and not traced", async () => {
    const began = BigInt(Date.now()) * 1_000_000n;
    for (const path of ["/healthz", "/readyz"]) {
      expect((await fetch(new URL(path, jeeves.url))).status).toBe(200);
    }
    const { traceId } = await chat(jeeves.url);

    await jeeves.trace(traceId);
    const others = jeeves.receiver.spans.filter(
      (span) => span.startNs > began && span.traceId !== traceId,
    );
    expect(others.map(({ service, name }) => `${service} ${name}`)).toEqual([]);
  });
});
