import { sender } from "@traceferry/testkit";
import { describe, expect, test } from "vitest";
import type { TracingModuleOptions } from "../options.js";
import { observed, spanIdAt, startRecording, waitForEnded } from "../recording.test-support.js";
import { platforms, startHttp } from "./http.test-support.js";

describe.each(platforms)("on %s", (_platform, adapter) => {
  test("ignored requests have no span, but their sender's context is active", async () => {
    using spans = startRecording();
    const options: TracingModuleOptions = {
      ignore: ["/orders/1", /^\/orders\/2/g, (request) => request.url === "/orders/3?why"],
    };
    await using app = await startHttp(adapter(), options);
    const from = sender();
    const headers = { traceparent: from.traceparent };

    for (const path of ["/orders/1?x", "/orders/2", "/orders/2", "/orders/3?why"]) {
      observed.length = 0;
      const response = await fetch(app.url + path, { headers });
      expect(response.status).toBe(200);
      expect(spanIdAt("handler"), path).toBe(from.spanId);
      expect(response.headers.get("x-trace-id")).toBe(from.traceId);
    }
    await (await fetch(`${app.url}/orders/3`)).json();

    await waitForEnded(spans, 1);
  });

  test.each([
    [
      "throws",
      () => {
        throw new RangeError("no such path");
      },
      ["traceferry nestjs: ignore: RangeError: no such path"],
    ],
    ["returns something else than true", () => JSON.parse('"no"'), []],
  ])("a rule that %s ignores no request", async (_how, ignore, warnings) => {
    using spans = startRecording();
    await using app = await startHttp(adapter(), { ignore });

    const response = await fetch(`${app.url}/orders/7`);

    expect(await response.json()).toEqual({ id: "7" });
    expect((await waitForEnded(spans)).name).toBe("GET /orders/:id");
    expect(spans.warnings).toEqual(warnings);
  });

  test("the response header can have another name, or be left out", async () => {
    using spans = startRecording();
    {
      await using app = await startHttp(adapter(), { responseHeader: "Trace" });
      const response = await fetch(`${app.url}/orders/7`);
      expect(response.headers.get("trace")).toBe((await waitForEnded(spans)).traceId);
    }
    await using app = await startHttp(adapter(), { responseHeader: false });
    const response = await fetch(`${app.url}/orders/7`);
    expect([...response.headers.keys()].filter((name) => name.includes("trace"))).toEqual([]);
    expect(spans.warnings).toEqual([]);
  });
});
