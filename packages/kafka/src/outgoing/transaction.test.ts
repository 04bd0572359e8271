import { trace } from "@opentelemetry/api";
import { beforeEach, describe, expect, test } from "vitest";
import { FakeBroker, FakeKafka } from "../fake-kafkajs.test-support.js";
import { traceProducer } from "../index.js";
import { carried, ids, record, sends } from "../sends.test-support.js";

let broker: FakeBroker;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1, shipments: 1 });
});

const begin = () =>
  traceProducer(new FakeKafka(broker).producer({ transactionalId: "tx" })).transaction();

test("a transaction traces what is sent in it, and links its commit to that", async () => {
  using spans = record();
  const transaction = await begin();

  await transaction.send({ topic: "orders", messages: [{ value: "a" }] });
  await transaction.sendBatch({
    topicMessages: [{ topic: "shipments", messages: [{ value: "b" }] }],
  });
  await transaction.commit();

  const [order, shipment] = sends(spans).map(ids);
  expect(carried(broker, "orders")).toEqual([order]);
  expect(carried(broker, "shipments")).toEqual([shipment]);
  const commit = spans.named("commit transaction");
  expect(commit.links.map(ids)).toEqual(sends(spans).map(ids));
  expect(commit).toMatchObject({
    kind: "CLIENT",
    status: { code: "UNSET" },
    attributes: { "messaging.system.name": "kafka", "messaging.operation.name": "commit" },
  });
  expect(transaction.isActive()).toBe(false);
});

test("a transaction that is aborted says so in a span of its own", async () => {
  using spans = record();
  const transaction = await begin();

  await transaction.send({ topic: "orders", messages: [{ value: "a" }] });
  await transaction.abort();

  expect(spans.named("abort transaction").links.map(ids)).toEqual(sends(spans).map(ids));
});

test("the span of a transaction's end names the client", async () => {
  using spans = record();
  const bare = new FakeKafka(broker).producer({ transactionalId: "tx" });
  const transaction = await traceProducer(bare, { clientId: "checkout" }).transaction();

  await transaction.commit();

  expect(spans.named("commit transaction").attributes["messaging.client.id"]).toBe("checkout");
});

describe("a client that stands for kafkajs in somebody's test", () => {
  test("may begin a transaction at once", async () => {
    using spans = record();
    const bare = new FakeKafka(broker).producer({ transactionalId: "tx" });
    const begun = await bare.transaction();
    const client = { ...bare };
    Reflect.set(client, "transaction", () => begun);

    const transaction = await traceProducer(client).transaction();
    await transaction.commit();

    expect(spans.ended.map(({ name }) => name)).toEqual(["commit transaction"]);
  });

  test("may have no transactions", async () => {
    using _ = record();
    const client = { ...new FakeKafka(broker).producer(), transaction: async () => undefined };

    expect(await traceProducer(client).transaction()).toBeUndefined();
  });
});

test("a transaction that has ended refuses as without us", async () => {
  using spans = record();
  const transaction = await begin();
  await transaction.commit();

  await expect(transaction.send({ topic: "orders", messages: [{ value: "a" }] })).rejects.toThrow(
    "Cannot continue to use transaction once ended",
  );
  await expect(transaction.commit()).rejects.toThrow("once ended");
  expect(spans.open).toEqual([]);
});

test("a transaction that cannot begin is refused as without us", async () => {
  using _ = record();
  await expect(traceProducer(new FakeKafka(broker).producer()).transaction()).rejects.toThrow(
    "Must provide transactional id",
  );
});

test("a transaction remembers no more of its messages than an SDK links", async () => {
  using _ = record();
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
