import { readFileSync } from "node:fs";
import type { TracerProvider } from "@opentelemetry/api";
import { recordSpans } from "@traceferry/testkit/record";
import { expect, test } from "vitest";
import { addJob } from "./bullmq.test-support.js";
import { bullmqTelemetry } from "./index.js";

test("spans are made by a tracer that has the name and the version of the package", async () => {
  using spans = recordSpans();
  const asked: object[] = [];
  const tracerProvider: TracerProvider = {
    getTracer(name, version) {
      asked.push({ name, version });
      return spans.tracer(name);
    },
  };

  await addJob(bullmqTelemetry({ tracerProvider }), {});

  const manifest: unknown = JSON.parse(
    readFileSync(new URL("../package.json", import.meta.url), "utf8"),
  );
  expect(asked).toHaveLength(1);
  expect(manifest).toMatchObject(asked[0] ?? {});
  expect(spans.named("add orders").scope).toBe("@traceferry/bullmq");
});
