import { trace } from "@opentelemetry/api";
import { beforeEach, describe, expect, test } from "vitest";
import { FakeBroker, FakeKafka } from "../fake-kafkajs.test-support.js";
import { idsOf, producerSpans, sentIds, startRecording } from "../fixtures.test-support.js";
import { traceProducer } from "../index.js";

let broker: FakeBroker;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1, shipments: 1 });
});

const beginTransaction = () =>
  traceProducer(new FakeKafka(broker).producer({ transactionalId: "tx" })).transaction();

test("a transaction traces what is sent in it, and links its commit to that", async () => {
  using spans = startRecording();
  const transaction = await beginTransaction();

  await transaction.send({ topic: "orders", messages: [{ value: "a" }] });
  await transaction.sendBatch({
    topicMessages: [{ topic: "shipments", messages: [{ value: "b" }] }],
  });
  await transaction.commit();

  const [order, shipment] = producerSpans(spans).map(idsOf);
  expect(sentIds(broker, "orders")).toEqual([order]);
  expect(sentIds(broker, "shipments")).toEqual([shipment]);
  const commit = spans.named("commit transaction");
  expect(commit.links.map(idsOf)).toEqual(producerSpans(spans).map(idsOf));
  expect(commit).toMatchObject({
    kind: "CLIENT",
    status: { code: "UNSET" },
    attributes: { "messaging.system.name": "kafka", "messaging.operation.name": "commit" },
  });
  expect(transaction.isActive()).toBe(false);
});

test("a transaction that is aborted has a span for it", async () => {
  using spans = startRecording();
  const transaction = await beginTransaction();

  await transaction.send({ topic: "orders", messages: [{ value: "a" }] });
  await transaction.abort();

  expect(spans.named("abort transaction").links.map(idsOf)).toEqual(
    producerSpans(spans).map(idsOf),
  );
});

test("the span of a transaction's end names the client", async () => {
  using spans = startRecording();
  const untraced = new FakeKafka(broker).producer({ transactionalId: "tx" });
  const transaction = await traceProducer(untraced, { clientId: "checkout" }).transaction();

  await transaction.commit();

  expect(spans.named("commit transaction").attributes["messaging.client.id"]).toBe("checkout");
});

describe("a fake client in an application's test", () => {
  test("may begin a transaction synchronously", async () => {
    using spans = startRecording();
    const untraced = new FakeKafka(broker).producer({ transactionalId: "tx" });
    const untracedTransaction = await untraced.transaction();
    const client = { ...untraced };
    Reflect.set(client, "transaction", () => untracedTransaction);

    const transaction = await traceProducer(client).transaction();
    await transaction.commit();

    expect(spans.ended.map(({ name }) => name)).toEqual(["commit transaction"]);
  });

  test("may have no transactions", async () => {
    using _ = startRecording();
    const client = { ...new FakeKafka(broker).producer(), transaction: async () => undefined };

    expect(await traceProducer(client).transaction()).toBeUndefined();
  });
});

test("a transaction that has ended refuses as without tracing", async () => {
  using spans = startRecording();
  const transaction = await beginTransaction();
  await transaction.commit();

  await expect(transaction.send({ topic: "orders", messages: [{ value: "a" }] })).rejects.toThrow(
    "Cannot continue to use transaction once ended",
  );
  await expect(transaction.commit()).rejects.toThrow("once ended");
  expect(spans.open).toEqual([]);
});

test("a transaction that cannot begin is refused as without tracing", async () => {
  using _ = startRecording();
  await expect(traceProducer(new FakeKafka(broker).producer()).transaction()).rejects.toThrow(
    "Must provide transactional id",
  );
});

test("a transaction keeps no more links than an SDK does", async () => {
  using _ = startRecording();
  const linked: (number | undefined)[] = [];
  const producer = traceProducer(new FakeKafka(broker).producer({ transactionalId: "tx" }), {
    tracerProvider: {
      getTracer: () => ({
        ...trace.getTracer("test"),
        startSpan: (name, options) => {
          if (name === "commit transaction") linked.push(options?.links?.length);
          return trace.getTracer("test").startSpan(name, options);
        },
      }),
    },
  });
  const transaction = await producer.transaction();
  const messages = Array.from({ length: 300 }, () => ({ value: "a" }));

  await transaction.send({ topic: "orders", messages });
  await transaction.commit();

  expect(linked).toEqual([128]);
});
