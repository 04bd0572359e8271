import { beforeEach, describe, expect, test } from "vitest";
import { FakeBroker, FakeKafka } from "../fake-kafkajs.test-support.js";
import { producerSpans, startRecording } from "../fixtures.test-support.js";
import { traceProducer } from "../index.js";

let broker: FakeBroker;
let untraced: ReturnType<FakeKafka["producer"]>;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1 });
  untraced = new FakeKafka(broker).producer();
});

describe("what the client refuses is refused as without tracing", () => {
  const refused: Record<string, unknown> = {
    "no record": undefined,
    "null for a record": null,
    "no messages": { topic: "orders" },
    "no topic": { messages: [{ value: "a" }] },
    "an empty topic": { topic: "", messages: [{ value: "a" }] },
    "messages that are no list": { topic: "orders", messages: { value: "a" } },
    "a message that is null": { topic: "orders", messages: [null] },
    "a message without a value": { topic: "orders", messages: [{ key: "k" }] },
    "a header that is null": { topic: "orders", messages: [{ value: "a", headers: { h: null } }] },
    "headers that are null": { topic: "orders", messages: [{ value: "a", headers: null }] },
    "a topic that is not there": { topic: "nowhere", messages: [{ value: "a" }] },
  };
  for (const [what, record] of Object.entries(refused)) {
    test(what, async () => {
      using spans = startRecording();
      const outcome = (send: (...args: never[]) => Promise<unknown>) =>
        Promise.resolve(Reflect.apply(send, undefined, record === undefined ? [] : [record])).then(
          () => "sent",
          (error: unknown) => String(error),
        );

      const without = await outcome(untraced.send);

      expect(await outcome(traceProducer(untraced).send)).toBe(without);
      expect(without).not.toBe("sent");
      expect(spans.open).toEqual([]);
      for (const { name, status } of producerSpans(spans)) {
        expect(name).toMatch(/^send \S/);
        expect(status.code).toBe("ERROR");
      }
      expect(spans.warnings).toEqual([]);
    });
  }

  test("a batch whose entries are null", async () => {
    using spans = startRecording();
    const send = () =>
      Reflect.apply(traceProducer(untraced).sendBatch, undefined, [{ topicMessages: [null] }]);

    await expect(send()).rejects.toThrow(TypeError);
    expect(spans.open).toEqual([]);
    expect(spans.warnings).toEqual([]);
  });
});

test("a failed send ends every span of the call with the error, and rejects with the same one", async () => {
  using spans = startRecording();
  const kafka = new FakeKafka(broker);
  const down = Object.assign(new Error("broker down"), { name: "KafkaJSConnectionError" });
  kafka.gate = Promise.reject(down);

  const result = traceProducer(kafka.producer()).send({
    topic: "orders",
    messages: [{ value: "a" }, { value: "b" }],
  });

  await expect(result).rejects.toBe(down);
  expect(
    producerSpans(spans).map(({ status, attributes }) => [status, attributes["error.type"]]),
  ).toEqual([
    [{ code: "ERROR", message: "broker down" }, "KafkaJSConnectionError"],
    [{ code: "ERROR", message: "broker down" }, "KafkaJSConnectionError"],
  ]);
});

test("a client that throws synchronously throws the same error, and the spans end", () => {
  using spans = startRecording();
  const boom = new Error("at once");
  const producer = traceProducer({
    ...untraced,
    send: () => {
      throw boom;
    },
  });

  expect(() => Reflect.apply(producer.send, undefined, [{ topic: "t", messages: [{}] }])).toThrow(
    boom,
  );
  expect(producerSpans(spans).map(({ status }) => status.code)).toEqual(["ERROR"]);
});

test("a response that throws when it is read is handed on, the spans end, and the fault is reported", async () => {
  using spans = startRecording();
  const response = {
    get topicName(): never {
      throw new Error("not today");
    },
    partition: 0,
    errorCode: 0,
  };
  const producer = traceProducer({ ...untraced, send: async (_: object) => [response] });

  const [returned] = await producer.send({ topic: "orders", messages: [{ value: "a" }] });

  expect(returned).toBe(response);
  expect(producerSpans(spans).map(({ status }) => status.code)).toEqual(["UNSET"]);
  expect(spans.warnings).toEqual([
    expect.stringContaining("traceferry kafka: acknowledge: Error: not today"),
  ]);
});

describe("a message that throws when it is read", () => {
  const poison = (times: number) => {
    let left = times;
    return {
      value: "a",
      get partition(): number {
        left -= 1;
        if (left >= 0) throw new Error("poison");
        return 0;
      },
    };
  };
  const warnings = [expect.stringContaining("traceferry kafka: send: Error: poison")];

  test("fails in the client, and so do all spans of the call", async () => {
    using spans = startRecording();
    const messages = [{ value: "x" }, poison(2)];

    await expect(traceProducer(untraced).send({ topic: "orders", messages })).rejects.toThrow(
      "poison",
    );

    expect(producerSpans(spans).map(({ status }) => status.code)).toEqual(["ERROR"]);
    expect(spans.open).toEqual([]);
    expect(spans.warnings).toEqual(warnings);
  });

  test("is sent as it is where the client can read it, and no offset is guessed", async () => {
    using spans = startRecording();
    const messages = [{ value: "x" }, poison(1)];

    await traceProducer(untraced).send({ topic: "orders", messages });

    expect(broker.partition("orders", 0).map(({ value }) => String(value))).toEqual(["x", "a"]);
    expect(producerSpans(spans).map(({ attributes }) => attributes["kafka.offset"])).toEqual([
      undefined,
    ]);
    expect(spans.open).toEqual([]);
    expect(spans.warnings).toEqual(warnings);
  });
});
