import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { type ConsumerOptions, extractHeaders, traceKafka } from "@traceferry/kafka";
import { type Sender, sender } from "@traceferry/testkit";
import { type RecordedSpan, recordSpans } from "@traceferry/testkit/record";
import { type Consumer, type EachMessageHandler, type KafkaMessage } from "kafkajs";
import { expect, test } from "vitest";
import { createTopics } from "../engines/index.js";
import { describeWithEngines, engines } from "../suite/engines.test-support.js";
import { consuming, GROUP, QUICK, RUN, useKafka } from "./broker.test-support.js";

describeWithEngines("kafkajs on a broker", () => {
  const { kafka, producer } = useKafka();

  /** A topic for one test, and a traced client. */
  async function createTopic(name: string, options: ConsumerOptions = {}) {
    const topic = `traceferry-${RUN}-${name}`;
    await createTopics(engines().kafkaBrokers, [topic], 1);
    return { topic, traced: traceKafka(kafka(), options) };
  }

  /** Handles the first records of a topic. Returns them. */
  async function handleFirst(
    consumer: Consumer,
    topic: string,
    count: number,
    handler: EachMessageHandler = async () => undefined,
  ): Promise<KafkaMessage[]> {
    const messages: KafkaMessage[] = [];
    let all = () => {};
    const done = new Promise<void>((resolve) => {
      all = resolve;
    });
    await using _ = await consuming(consumer, topic, {
      eachMessage: async (payload) => {
        await handler(payload);
        if (messages.push(payload.message) === count) all();
      },
    });
    await done;
    return messages;
  }

  const onlyText = (from: Sender) => Object.fromEntries(from.headers);
  const positionOf = ({ attributes }: RecordedSpan) => [
    attributes["messaging.destination.name"],
    attributes["messaging.destination.partition.id"],
    attributes["kafka.offset"],
  ];

  test("the spans of sending and processing a record name the same partition and offset, and are one trace", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const { topic, traced } = await createTopic("positions", { clientId: "traceferry-tests" });
    const sending = traced.producer({ allowAutoTopicCreation: false });
    await sending.connect();

    await sending.send({ topic, messages: ["a", "b", "c"].map((value) => ({ value })) });
    await sending.sendBatch({
      topicMessages: ["d", "e"].map((value) => ({ topic, messages: [{ value }] })),
    });
    await sending.disconnect();
    await handleFirst(traced.consumer({ groupId: `${GROUP}-positions`, ...QUICK }), topic, 5);

    const sent = spans.ended.filter(({ kind }) => kind === "PRODUCER");
    const processed = spans.ended.filter(({ kind }) => kind === "CONSUMER");
    expect(sent.map(positionOf)).toEqual([0, 1, 2, 3, 4].map((offset) => [topic, "0", offset]));
    expect(processed.map(positionOf)).toEqual(sent.map(positionOf));
    expect(processed.map(({ parentSpanId }) => parentSpanId)).toEqual(
      sent.map(({ spanId }) => spanId),
    );
    expect(processed[0]?.attributes).toMatchObject({
      "messaging.consumer.group.name": `${GROUP}-positions`,
      "messaging.client.id": "traceferry-tests",
    });
    expect(spans.open).toEqual([]);
  });

  test("records of an aborted transaction are not read, those of a committed one are", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const { topic, traced } = await createTopic("transactions");
    const sending = traced.producer({
      transactionalId: `traceferry-${RUN}`,
      maxInFlightRequests: 1,
      idempotent: true,
    });
    await sending.connect();

    const aborted = await sending.transaction();
    await aborted.send({ topic, messages: [{ value: "aborted" }] });
    await aborted.abort();
    const committed = await sending.transaction();
    await committed.send({ topic, messages: [{ value: "committed" }] });
    await committed.commit();
    await expect(committed.send({ topic, messages: [{ value: "late" }] })).rejects.toThrow(
      "once ended",
    );
    await sending.disconnect();
    const consumer = traced.consumer({ groupId: `${GROUP}-transactions`, ...QUICK });
    const [first] = await handleFirst(consumer, topic, 1);

    expect(String(first?.value)).toBe("committed");
    const [lost, kept, late] = spans.ended.filter(({ kind }) => kind === "PRODUCER");
    expect(spans.named("abort transaction").links).toMatchObject([{ spanId: lost?.spanId }]);
    expect(spans.named("commit transaction").links).toMatchObject([{ spanId: kept?.spanId }]);
    expect(late?.status.code).toBe("ERROR");
    expect(spans.named(`process ${topic}`)).toMatchObject({ parentSpanId: kept?.spanId });
    expect(spans.open).toEqual([]);
  });

  test("the last sender is continued when a forwarding peer repeats headers", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const { topic, traced } = await createTopic("repeats");
    const [old, now] = [sender(), sender()];
    const headers = Object.fromEntries(
      ["traceparent", "tracestate", "baggage"].map((key) => [
        key,
        [onlyText(old)[key] ?? "", onlyText(now)[key] ?? ""],
      ]),
    );
    await producer().send({ topic, messages: [{ value: "{}", headers }] });

    const [message] = await handleFirst(
      traced.consumer({ groupId: `${GROUP}-repeats`, ...QUICK }),
      topic,
      1,
    );

    expect(message?.headers?.traceparent).toHaveLength(2);
    expect(spans.named(`process ${topic}`)).toMatchObject({
      traceId: now.traceId,
      parentSpanId: now.spanId,
      traceState: now.tracestate,
    });
  });

  test("a record with a null header and bytes that are no text is handled, and its sender is extracted", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const { topic, traced } = await createTopic("strange");
    const from = sender();
    const noText = Buffer.from([0xff, 0xfe, 0x00]);
    await producer().send({
      topic,
      messages: [
        {
          value: "{}",
          headers: {
            ...onlyText(from),
            traceparent: [noText, from.traceparent, noText],
            baggage: noText,
            kctx: noText,
            constructor: "x",
            nothing: nullHeader("nothing"),
          },
        },
      ],
    });

    const [message] = await handleFirst(
      traced.consumer({ groupId: `${GROUP}-strange`, ...QUICK }),
      topic,
      1,
      async () => expect(trace.getActiveSpan()?.spanContext().traceId).toBe(from.traceId),
    );

    expect(message?.headers).toHaveProperty("nothing", null);
    expect(spans.named(`process ${topic}`).parentSpanId).toBe(from.spanId);
    expect(trace.getSpanContext(extractHeaders(message?.headers))?.spanId).toBe(from.spanId);
    expect(spans.warnings).toEqual([]);
  });

  /** A null header, as Java writes them. kafkajs has none: this one is a text when kafkajs measures it (kafkajs#1500). */
  function nullHeader(key: string): string[] {
    let reads = 0;
    const header = {
      key,
      get value() {
        reads += 1;
        return reads === 1 ? "" : null;
      },
    };
    return Object.assign([""], { map: () => [header] });
  }

  test("a record that is delivered again after a failure gets a new span with the same parent", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const { topic, traced } = await createTopic("again");
    const request = spans.tracer().startSpan("request", {}, ROOT_CONTEXT);
    const sending = traced.producer({ allowAutoTopicCreation: false });
    await sending.connect();
    await context.with(trace.setSpan(ROOT_CONTEXT, request), () =>
      sending.send({ topic, messages: [{ value: "{}" }] }),
    );
    request.end();
    await sending.disconnect();
    let attempts = 0;

    await handleFirst(
      traced.consumer({ groupId: `${GROUP}-again`, ...QUICK }),
      topic,
      1,
      async () => {
        attempts += 1;
        if (attempts < 3) throw new Error("out of stock");
      },
    );

    const sent = spans.named(`send ${topic}`);
    const processed = spans.ended.filter(({ kind }) => kind === "CONSUMER");
    expect(processed.map(({ status }) => status.code)).toEqual(["ERROR", "ERROR", "UNSET"]);
    expect(new Set(processed.map(({ spanId }) => spanId)).size).toBe(3);
    for (const each of processed) {
      expect(each).toMatchObject({ traceId: sent.traceId, parentSpanId: sent.spanId });
      expect(positionOf(each)).toEqual(positionOf(sent));
    }
  });
});
