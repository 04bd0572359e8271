import { once } from "node:events";
import { context, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { bullmqTelemetry, extractJobContext } from "@traceferry/bullmq";
import { w3cPropagator } from "@traceferry/core";
import { BROKEN_SENDERS, sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import { FlowProducer, type JobsOptions, Queue, type Telemetry } from "bullmq";
import { expect, test, vi } from "vitest";
import { describeWithEngines } from "../suite/engines.test-support.js";
import { Shop, storedOptions, useRedis } from "./shop.test-support.js";

describeWithEngines("BullMQ on Redis", () => {
  const redis = useRedis();
  const GOOD = `00-${"4bf92f3577b34da6a3ce929d0e0e4736"}-00f067aa0ba902b7-01`;
  const poison: unknown[] = [
    ...["garbage{", `{"traceparent":"${GOOD}`, "null", "42", "[]", '"x"', "zz", GOOD, " "],
    ...[true, 42, ["a"], { traceparent: GOOD }, { traceparent: 7 }, [[GOOD]]],
    ...[
      { TRACEPARENT: GOOD },
      { traceparent: [GOOD] },
      { traceparent: 1, tracestate: 2, baggage: 3 },
      { traceparent: GOOD, baggage: "a=".padEnd(1_000_000, "x") },
      { traceparent: GOOD, tracestate: "\u0000", baggage: "\r\n" },
      { _datadog: { "x-datadog-trace-id": "1" } },
    ].map((carrier) => JSON.stringify(carrier)),
    `{"__proto__":{"traceparent":"${GOOD}"}}`,
    ...BROKEN_SENDERS.map(({ headers }) => JSON.stringify(Object.fromEntries(headers))),
  ];

  test.each([1, 5])(
    "jobs with unreadable metadata do not stop a worker of concurrency %i",
    async (concurrency) => {
      const complaints = vi.spyOn(console, "error");
      using spans = recordSpans({ propagator: w3cPropagator() });
      const ran: unknown[] = [];
      {
        await using shop = new Shop(bullmqTelemetry(), { concurrency });
        const jobs = poison.map(async (metadata) => {
          // Through JSON.parse, because BullMQ's types allow a text only.
          const opts: JobsOptions = JSON.parse(JSON.stringify({ telemetry: { metadata } }));
          const { id } = await shop.run(opts, () => ran.push(metadata));
          expect(await shop.inbox.getJobState(`${id}`)).toBe("completed");
        });
        await Promise.all(jobs);
      }
      expect(ran).toHaveLength(poison.length);
      expect(spans.ended).toHaveLength(poison.length);
      expect(spans.open).toEqual([]);
      expect(complaints).not.toHaveBeenCalled();
    },
  );

  test("a worker that is created and resumed in a request adds nothing to the trace of the request", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const request = spans.tracer().startSpan("request");
    const baggage = propagation.createBaggage({ tenant: { value: "acme" } });
    const active = propagation.setBaggage(trace.setSpan(ROOT_CONTEXT, request), baggage);
    const ticks = new Map<string, number>();
    const telemetry = counting(bullmqTelemetry(), ticks);

    const baggages: unknown[] = [];
    {
      await using shop = context.with(active, () => new Shop(telemetry));
      const seeBaggage = () => baggages.push(propagation.getActiveBaggage());
      await shop.run({}, async () => {
        seeBaggage();
        await vi.waitFor(() => expect(ticks.get("extendLocks")).toBeGreaterThan(5), 30_000);
        await vi.waitFor(
          () => expect(ticks.get("moveStalledJobsToWait")).toBeGreaterThan(5),
          30_000,
        );
      });
      await context.with(active, async () => {
        await shop.worker.pause();
        await shop.worker.resume();
      });
      await shop.run({}, seeBaggage);
    }
    request.end();

    expect(baggages).toEqual([undefined, undefined]);
    const { traceId } = request.spanContext();
    expect(spans.ended.filter((span) => span.traceId === traceId)).toHaveLength(1);
    expect(spans.ended.map(({ name }) => name)).toEqual([
      "process orders",
      "process orders",
      "request",
    ]);
  });

  function counting(telemetry: Telemetry, ticks: Map<string, number>): Telemetry {
    const { tracer } = telemetry;
    return {
      ...telemetry,
      tracer: {
        startSpan(name, ...rest) {
          const [operation = ""] = name.split(" ");
          ticks.set(operation, (ticks.get(operation) ?? 0) + 1);
          return tracer.startSpan(name, ...rest);
        },
      },
    };
  }

  test("a job that is added in a request continues it, and both of its spans have its id", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    await using shop = new Shop(bullmqTelemetry(), { tracedInbox: true });
    const request = spans.tracer().startSpan("request");
    const order = { id: 1042, lines: [{ sku: "mug", traceparent: "mine" }] };
    let activeSpanId: string | undefined;

    const job = await context.with(trace.setSpan(ROOT_CONTEXT, request), () =>
      shop.run(
        {},
        () => {
          activeSpanId = trace.getActiveSpan()?.spanContext().spanId;
        },
        order,
      ),
    );
    request.end();

    const [sent, processed] = [spans.named("add orders"), spans.named("process orders")];
    expect(sent.parentSpanId).toBe(spans.named("request").spanId);
    expect(processed).toMatchObject({
      traceId: sent.traceId,
      parentSpanId: sent.spanId,
      parentIsRemote: true,
      links: [{ traceId: sent.traceId, spanId: sent.spanId }],
    });
    expect(activeSpanId).toBe(processed.spanId);
    const ids = [sent, processed].map((span) => span.attributes["messaging.message.id"]);
    expect(ids).toEqual([job.id, job.id]);
    expect(await redis().hget(shop.inbox.toKey(`${job.id}`), "data")).toBe(JSON.stringify(order));
    const found = await shop.inbox.getJob(`${job.id}`);
    expect(trace.getSpanContext(extractJobContext(found ?? {}))?.spanId).toBe(sent.spanId);
  });

  test("each attempt at a job is a child of the span that added it", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    await using shop = new Shop(bullmqTelemetry(), { tracedInbox: true });
    const outOfStock = new RangeError("out of stock");
    const failed = once(shop.worker, "failed");
    let attempts = 0;

    const { id = "" } = await shop.run({ attempts: 2 }, () => {
      if (++attempts > 1) return;
      throw outOfStock;
    });

    const sent = spans.named("add orders");
    const [first, second, ...more] = spans.ended.filter(({ name }) => name === "process orders");
    expect(more).toEqual([]);
    for (const span of [first, second]) expect(span?.parentSpanId).toBe(sent.spanId);
    expect(first?.status).toEqual({ code: "ERROR", message: "out of stock" });
    expect(second?.status).toEqual({ code: "UNSET" });
    expect(second?.attributes["bullmq.job.attempts_made"]).toBe(2);
    expect((await failed)[1]).toBe(outOfStock);
    const storedMetadata = (await redis().hget(shop.inbox.toKey(id), "tm")) ?? "{}";
    expect(storedMetadata).toContain(`${first?.traceId}-${first?.spanId}`);
  });

  test("jobs that are added in bulk are children of one span", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const shop = new Shop(bullmqTelemetry(), { tracedInbox: true });
    const completed = new Set<string | undefined>();
    shop.worker.on("completed", (job) => completed.add(job.id));

    await shop.inbox.addBulk(Array.from({ length: 20 }, () => ({ name: "place", data: {} })));
    await vi.waitFor(() => expect(completed.size).toBe(20), 30_000);
    await shop[Symbol.asyncDispose]();

    const bulk = spans.named("addBulk orders");
    expect(bulk.attributes["messaging.batch.message_count"]).toBe(20);
    const processed = spans.ended.filter(({ name }) => name === "process orders");
    expect(processed.map((span) => span.parentSpanId)).toEqual(Array(20).fill(bulk.spanId));
  });

  test("a flow whose nodes have options is one trace", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const telemetry = bullmqTelemetry();
    const shop = new Shop(telemetry);
    const { connection, prefix = "" } = shop.inbox.opts;
    const flows = new FlowProducer({ connection, prefix, telemetry });
    const completed: unknown[] = [];
    shop.worker.on("completed", (job) => completed.push(job.name));

    const child = { name: "pack", queueName: "orders", opts: {} };
    await flows.add({ name: "ship", queueName: "orders", opts: {}, children: [child, child] });
    await vi.waitFor(() => expect(completed).toEqual(["pack", "pack", "ship"]), 30_000);
    await flows.close();
    await shop[Symbol.asyncDispose]();

    const flow = spans.named("addFlow orders");
    expect(flow.kind).toBe("CLIENT");
    const nodes = spans.ended.filter(({ name }) => name === "addNode orders");
    const processed = spans.ended.filter(({ name }) => name === "process orders");
    expect(nodes).toHaveLength(3);
    const parents = processed.map((span) => span.parentSpanId).sort();
    expect(parents).toEqual(nodes.map((span) => span.spanId).sort());
    expect(new Set(spans.ended.map((span) => span.traceId)).size).toBe(1);
  });

  test("a job that omits its context is a root whose extraction is missing", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    await using shop = new Shop(bullmqTelemetry(), { tracedInbox: true });

    const job = await shop.run({ telemetry: { omitContext: true } });

    const processed = spans.named("process orders");
    expect(processed.parentSpanId).toBeUndefined();
    expect(processed.attributes["traceferry.extraction"]).toBe("missing");
    expect((await storedOptions(shop.inbox, job.id)).tm).toBeUndefined();
  });

  test("without an SDK not a byte is added to a job", async () => {
    await using shop = new Shop(bullmqTelemetry(), { tracedInbox: true });

    const traced = await shop.run({}, undefined, sender().entries);
    const untraced = await shop.untraced.add("place", sender().entries, { jobId: "job-1" });

    const read = (queue: Queue, id = "") => redis().hmget(queue.toKey(id), "opts", "data", "tm");
    expect(await read(shop.inbox, traced.id)).toEqual(await read(shop.untraced, untraced.id));
    expect(await storedOptions(shop.inbox, traced.id)).not.toHaveProperty("tm");
  });
});
