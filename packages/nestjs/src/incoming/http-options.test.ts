import { sender } from "@traceferry/testkit";
import { describe, expect, test } from "vitest";
import type { TracingModuleOptions } from "../options.js";
import { ended, record, seen, seenAt } from "../recorded.test-support.js";
import { platforms, startHttp } from "./http.test-support.js";

describe.each(platforms)("on %s", (_platform, adapter) => {
  test("ignored requests have no span, yet their sender's context", async () => {
    using spans = record();
    const options: TracingModuleOptions = {
      ignore: ["/orders/1", /^\/orders\/2/g, (request) => request.url === "/orders/3?why"],
    };
    await using app = await startHttp(adapter(), options);
    const from = sender();
    const headers = { traceparent: from.traceparent };

    for (const path of ["/orders/1?x", "/orders/2", "/orders/2", "/orders/3?why"]) {
      seen.length = 0;
      const response = await fetch(app.url + path, { headers });
      expect(response.status).toBe(200);
      expect(seenAt("handler"), path).toBe(from.spanId);
      expect(response.headers.get("x-trace-id")).toBe(from.traceId);
    }
    await (await fetch(`${app.url}/orders/3`)).json();

    await ended(spans, 1);
  });

  test.each([
    [
      "throws",
      () => {
        throw new RangeError("no such path");
      },
      ["traceferry nestjs: ignore: RangeError: no such path"],
    ],
    ["answers with something else than true", () => JSON.parse('"no"'), []],
  ])("a rule that %s ignores no request", async (_how, ignore, warnings) => {
    using spans = record();
    await using app = await startHttp(adapter(), { ignore });

    const response = await fetch(`${app.url}/orders/7`);

    expect(await response.json()).toEqual({ id: "7" });
    expect((await ended(spans)).name).toBe("GET /orders/:id");
    expect(spans.warnings).toEqual(warnings);
  });

  test("the response header can have another name, or be left out", async () => {
    using spans = record();
    {
      await using app = await startHttp(adapter(), { responseHeader: "Trace" });
      const response = await fetch(`${app.url}/orders/7`);
      expect(response.headers.get("trace")).toBe((await ended(spans)).traceId);
    }
    await using app = await startHttp(adapter(), { responseHeader: false });
    const response = await fetch(`${app.url}/orders/7`);
    expect([...response.headers.keys()].filter((name) => name.includes("trace"))).toEqual([]);
    expect(spans.warnings).toEqual([]);
  });
});
