import { randomUUID } from "node:crypto";
import "reflect-metadata";
import { Controller, type INestMicroservice, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import {
  ClientKafka,
  Ctx,
  EventPattern,
  KafkaContext,
  MessagePattern,
  Payload,
  ServerKafka,
  Transport,
} from "@nestjs/microservices";
import { context, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import {
  type Adapter,
  type AdapterOptions,
  adapterContract,
  type Harness,
  type SentMessage,
} from "@traceferry/contract";
import { Instrumenter, w3cPropagator, withSpan } from "@traceferry/core";
import { traceKafka } from "@traceferry/kafka";
import { extractRpcContext, TracingModule } from "@traceferry/nestjs";
import { type Headers, sender } from "@traceferry/testkit";
import { type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import {
  type Consumer,
  type EachMessagePayload,
  type IHeaders,
  Kafka,
  logLevel,
  type Message,
  type Producer,
} from "kafkajs";
import { firstValueFrom } from "rxjs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createTopics } from "./engines/index.js";
import { describeWithEngines, engines } from "./suite/engines.test-support.js";

// Unique names, because brokers may be shared and outlive the run.
const RUN = randomUUID().slice(0, 8);
const nameInRun = (name: string) => `traceferry-${RUN}-nest-${name}`;
const [ORDERS, FLAKY, PRICES] = [nameInRun("orders"), nameInRun("flaky"), nameInRun("prices")];
const INBOX = nameInRun("inbox");
const SILENT = { retry: { retries: 0, initialRetryTime: 20 }, logLevel: logLevel.NOTHING };

let seen: (string | undefined)[] = [];
let read: string | undefined;
let failures = 0;

@Controller()
class Orders {
  @EventPattern(ORDERS)
  async placed(@Payload() _order: unknown, @Ctx() rpc: unknown): Promise<void> {
    seen.push(trace.getSpanContext(context.active())?.spanId);
    await new Promise(setImmediate);
    seen.push(trace.getSpanContext(context.active())?.spanId);
    read = trace.getSpanContext(extractRpcContext(rpc))?.spanId;
  }

  @EventPattern(FLAKY)
  flaky(_order: unknown): void {
    if (failures-- > 0) throw new TypeError("stock is undefined");
  }

  @MessagePattern(PRICES)
  price(order: unknown): string {
    seen.push(trace.getSpanContext(context.active())?.spanId);
    return `price of ${String(order)}`;
  }
}

@Module({ imports: [TracingModule.forRoot()], controllers: [Orders] })
class Shop {}

/** Waits until so many spans have ended. Returns them. */
async function ended(spans: RecordedSpans, count: number) {
  await vi.waitFor(() => expect(spans.ended.map(({ name }) => name)).toHaveLength(count), 30_000);
  expect(spans.open).toEqual([]);
  return spans.ended;
}

describeWithEngines("a Nest microservice on Kafka", () => {
  let app: INestMicroservice;
  let producer: Producer;
  let untraced: Producer;

  beforeAll(async () => {
    const { kafkaBrokers: brokers } = engines();
    await createTopics(brokers, [ORDERS, FLAKY, PRICES, `${PRICES}.reply`], 1);
    const kafka = new Kafka({ clientId: nameInRun("till"), brokers, ...SILENT });
    untraced = kafka.producer({ allowAutoTopicCreation: false });
    await untraced.connect();
    producer = traceKafka(kafka).producer({ allowAutoTopicCreation: false });
    await producer.connect();
    app = await NestFactory.createMicroservice(Shop, {
      transport: Transport.KAFKA,
      options: {
        client: { clientId: nameInRun("shop"), brokers, logLevel: logLevel.NOTHING },
        consumer: {
          groupId: nameInRun("shop"),
          maxWaitTimeInMs: 20,
          retry: { retries: 5, initialRetryTime: 20 },
        },
        subscribe: { fromBeginning: true },
      },
      logger: false,
    });
    await app.listen();
  });

  afterAll(async () => {
    await app?.close();
    await producer?.disconnect();
    await untraced?.disconnect();
  });

  test("a traced producer and the handler are one trace, and name the same record", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    seen = [];
    const request = spans.tracer().startSpan("checkout", {}, ROOT_CONTEXT);

    await context.with(trace.setSpan(ROOT_CONTEXT, request), () =>
      producer.send({ topic: ORDERS, messages: [{ value: "two shirts" }] }),
    );
    request.end();
    await ended(spans, 3);

    const sent = spans.named(`send ${ORDERS}`);
    const processed = spans.named(`process ${ORDERS}`);
    const { traceId, spanId } = request.spanContext();
    expect(sent).toMatchObject({ traceId, parentSpanId: spanId });
    expect(processed).toMatchObject({
      kind: "CONSUMER",
      traceId,
      parentSpanId: sent.spanId,
      parentIsRemote: true,
      links: [{ traceId, spanId: sent.spanId }],
      status: { code: "UNSET" },
      attributes: {
        "messaging.system.name": "kafka",
        "messaging.destination.name": ORDERS,
        "messaging.destination.partition.id": sent.attributes["messaging.destination.partition.id"],
        "kafka.offset": sent.attributes["kafka.offset"],
        "messaging.consumer.group.name": `${nameInRun("shop")}-server`,
        "messaging.client.id": `${nameInRun("shop")}-server`,
      },
    });
    expect(seen).toEqual([processed.spanId, processed.spanId]);
    expect(read).toBe(sent.spanId);
  });

  test("a failing handler's record is delivered again, in a new span with the same parent", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    failures = 2;

    await producer.send({ topic: FLAKY, messages: [{ value: "two shirts" }] });
    await ended(spans, 4);

    const sent = spans.named(`send ${FLAKY}`);
    const processed = spans.ended.filter(({ kind }) => kind === "CONSUMER");
    expect(processed.map(({ status }) => status.code)).toEqual(["ERROR", "ERROR", "UNSET"]);
    expect(new Set(processed.map(({ spanId }) => spanId)).size).toBe(3);
    for (const each of processed) {
      expect(each).toMatchObject({ traceId: sent.traceId, parentSpanId: sent.spanId });
      expect(each.attributes["kafka.offset"]).toBe(sent.attributes["kafka.offset"]);
    }
    expect(processed[0]?.events[0]?.attributes["exception.type"]).toBe("TypeError");
  });

  test("repeated headers, which Nest joins, continue the last sender", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const [old, now] = [sender(), sender()];
    const headers = { traceparent: [old.traceparent, now.traceparent], baggage: "[null]" };

    await untraced.send({ topic: ORDERS, messages: [{ value: "two shirts", headers }] });

    const [span] = await ended(spans, 1);
    expect(span).toMatchObject({ traceId: now.traceId, parentSpanId: now.spanId });
    expect(spans.warnings).toEqual([]);
  });

  test("a request of Nest's own client is answered, and its span ends with the answer", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    seen = [];
    const client = new ClientKafka({
      client: { clientId: nameInRun("asker"), brokers: engines().kafkaBrokers },
      consumer: { groupId: nameInRun("asker"), maxWaitTimeInMs: 20 },
    });
    client.subscribeToResponseOf(PRICES);
    await client.connect();

    const message = { value: "shirt", headers: Object.fromEntries(sender().headers) };
    expect(await firstValueFrom(client.send(PRICES, message))).toBe("price of shirt");
    await client.close();

    const [span] = await ended(spans, 1);
    expect(span?.name).toBe(`process ${PRICES}`);
    expect(seen).toEqual([span?.spanId]);
  });
});

// For the contract records go through a broker and a real consumer, which hands them to a server of Nest.

type Patch = <Result>(next: () => Result) => Result;

/** Nest's own server for Kafka, without its consumer: the tests hand it the records. */
class ServerWithoutConsumer extends ServerKafka {
  override async listen(callback: (error?: unknown) => void): Promise<void> {
    callback();
  }
}

const deliveries = new Map<string, (payload: EachMessagePayload) => Promise<void>>();
let untracedProducer: Producer;

async function open(options: AdapterOptions = {}, patch: Patch = (next) => next()) {
  const handlers = new Map<string, () => unknown>();
  @Controller()
  class Inbox {
    @EventPattern(INBOX)
    async received(@Ctx() rpc: unknown): Promise<void> {
      if (!(rpc instanceof KafkaContext)) throw new TypeError("not a record of Kafka");
      await handlers.get(String(rpc.getMessage().key))?.();
    }
  }
  @Module({ imports: [TracingModule.forRoot(options)], controllers: [Inbox] })
  class App {}
  const strategy = new ServerWithoutConsumer({});
  const app = await NestFactory.createMicroservice(App, { strategy, logger: false });
  await app.listen();
  // Nest's client is not traced: outgoing records are sent by this code.
  const instrumenter = new Instrumenter(
    { name: "nestjs", scope: "test", version: "0", messaging: true, maxBytes: 8192 },
    options,
  );

  let reached = 0;
  const transport = (message: Message) => {
    reached++;
    return leave(message);
  };

  async function send(message: Message, transport: (message: Message) => Promise<SentMessage>) {
    const parent = context.active();
    const open = instrumenter.startSpan({ name: "send", kind: SpanKind.PRODUCER, parent });
    return withSpan(open, () => {
      const injection = instrumenter.inject(open.context);
      if (injection === undefined) return transport(message);
      const kept = Object.entries(message.headers ?? {}).filter(
        ([key]) => !injection.stale.includes(key.toLowerCase()),
      );
      return transport({ ...message, headers: Object.fromEntries([...kept, ...injection.fields]) });
    });
  }

  const harness: Harness = {
    async receive(headers, handler) {
      const key = randomUUID();
      handlers.set(key, handler);
      const delivered = new Promise<void>((resolve, reject) => {
        // A failure rejects here and not in kafkajs, which would deliver the record again.
        deliveries.set(key, (payload) =>
          Promise.resolve(patch(() => strategy.handleMessage(payload))).then(
            () => resolve(),
            reject,
          ),
        );
      });
      // The record may be handled, and fail, before the broker acknowledges it.
      const message = { ...messageWith(headers), key };
      await Promise.all([
        delivered,
        untracedProducer.send({ topic: INBOX, messages: [message] }),
      ]).finally(() => {
        deliveries.delete(key);
        handlers.delete(key);
      });
    },
    message: (headers, frozen) => {
      const message = messageWith(headers);
      if (frozen) Object.freeze(Object.freeze(message).headers);
      return message;
    },
    snapshot: (message) => structuredClone(message),
    send: (message) => send(asMessage(message), transport),
    sendUninstrumented: (message) => transport(asMessage(message)),
    transportSends: () => reached,
    async sendFailing(message) {
      await send(asMessage(message), () => Promise.reject(new Error("no broker")));
    },
    [Symbol.asyncDispose]: () => app.close(),
  };
  return harness;
}

async function leave({ headers = {}, value: body }: Message): Promise<SentMessage> {
  const pairs = Object.entries(headers).flatMap(([key, value]) =>
    [value].flat().map((item) => [key, String(item)] as const),
  );
  return { headers: pairs, body };
}

function messageWith(headers: Headers): Message {
  const fields: IHeaders = {};
  for (const [key, value] of headers) {
    const before = Object.hasOwn(fields, key) ? fields[key] : undefined;
    const now = before === undefined ? value : [before, value].flat();
    Object.defineProperty(fields, key, { value: now, enumerable: true, configurable: true });
  }
  return { value: "{}", headers: fields };
}

function asMessage(message: unknown): Message {
  if (typeof message === "object" && message !== null && "value" in message) {
    const { value } = message;
    if (value === "{}") return { ...message, value };
  }
  throw new TypeError("not a message of this harness");
}

const nest: Adapter = {
  name: "nestjs",
  propagator: w3cPropagator,
  incoming: {
    kind: "CONSUMER",
    name: `process ${INBOX}`,
    attributes: {
      "messaging.system.name": "kafka",
      "messaging.destination.name": INBOX,
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
    },
  },
  outgoing: { kind: "PRODUCER", name: "send", attributes: {} },
  messaging: true,
  maxBytes: 8192,
  leakMessages: 1000,
  repeatedTraceparent: "last",
  // Nest's filters turn an error into an answer, for events too.
  handlerError: "wrapped",
  // The default of max.message.bytes is a little more.
  canCarry: (headers) =>
    headers.reduce((sum, [key, value]) => sum + key.length + value.length, 0) < 1_000_000,
  open: (options) => open(options),
  receivePatched: async (_, headers, handler, patch) => {
    await using harness = await open({}, patch);
    await harness.receive(headers, handler);
  },
};

describeWithEngines("Nest on Kafka keeps the contract", () => {
  let consumer: Consumer;

  beforeAll(async () => {
    const { kafkaBrokers: brokers } = engines();
    await createTopics(brokers, [INBOX], 4);
    const kafka = new Kafka({ clientId: nameInRun("contract"), brokers, ...SILENT });
    untracedProducer = kafka.producer({ allowAutoTopicCreation: false });
    await untracedProducer.connect();
    consumer = kafka.consumer({
      groupId: nameInRun("contract"),
      maxWaitTimeInMs: 20,
      retry: { retries: 5, initialRetryTime: 20 },
    });
    const joined = new Promise<void>((resolve) => {
      consumer.on("consumer.group_join", () => resolve());
    });
    await consumer.connect();
    await consumer.subscribe({ topic: INBOX, fromBeginning: true });
    await consumer.run({
      partitionsConsumedConcurrently: 4,
      eachMessage: async (payload) => deliveries.get(String(payload.message.key))?.(payload),
    });
    await joined;
  });

  afterAll(async () => {
    await consumer?.disconnect();
    await untracedProducer?.disconnect();
  });

  describe("over a broker", () => {
    for (const { title, run, timeout } of adapterContract(nest)) test(title, run, timeout);
  });
});
