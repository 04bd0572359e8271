import { createConnection } from "node:net";
import {
  type CanActivate,
  Controller,
  Injectable,
  Module,
  type OnModuleInit,
  UseGuards,
} from "@nestjs/common";
import { ModulesContainer, NestFactory } from "@nestjs/core";
import {
  ClientTCP,
  Ctx,
  type CustomTransportStrategy,
  EventPattern,
  KafkaRetriableException,
  MessagePattern,
  RpcException,
  Server,
  ServerKafka,
  Transport,
} from "@nestjs/microservices";
import { ExpressAdapter } from "@nestjs/platform-express";
import { context, propagation, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { type Headers, sender } from "@traceferry/testkit";
import { type RecordedSpan, type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { firstValueFrom, Observable, of, Subject, throwError } from "rxjs";
import { beforeEach, expect, test, vi } from "vitest";
import { extractRpcContext } from "../carrier.js";
import { TracingModule } from "../module.js";
import { injectPacket } from "../outgoing.js";
import { TracingInterceptor } from "./interceptor.js";

const seen: [place: string, spanId: string | undefined][] = [];
const look = (place: string) => seen.push([place, trace.getSpanContext(context.active())?.spanId]);
let steps: string[] = [];
let door = new Subject<string>();

beforeEach(() => {
  seen.length = 0;
  steps = [];
  door = new Subject();
});

@Injectable()
class Doorman implements CanActivate {
  canActivate(execution: { getArgs(): unknown[] }): boolean {
    look("guard");
    return execution.getArgs()[0] !== "intruder";
  }
}

@Controller()
@UseGuards(Doorman)
class Orders {
  @EventPattern("orders")
  async placed(order: unknown): Promise<void> {
    look("handler");
    steps.push("began");
    await new Promise(setImmediate);
    look("handler after await");
    steps.push("done");
    if (order === "broken") throw new TypeError("stock is undefined");
    if (order === "later") throw new KafkaRetriableException("try later");
  }

  @EventPattern("streams")
  streamed(order: unknown): Observable<unknown> {
    return new Observable((subscriber) => {
      look("returned observable");
      if (order === "broken") subscriber.error(new TypeError("stock is undefined"));
      else subscriber.next(order);
      subscriber.complete();
    });
  }

  @MessagePattern("prices")
  price(order: unknown): unknown {
    look("handler");
    if (order === "broken") return throwError(() => new RpcException("no price"));
    if (order === "door") return door;
    return of(1, 2);
  }

  @EventPattern("twice")
  first(_order: unknown): void {
    look("first handler");
  }

  @EventPattern("twice")
  second(_order: unknown): void {
    look("second handler");
  }

  @MessagePattern("relayed")
  relayed(@Ctx() rpc: unknown): string {
    look("handler");
    return trace.getSpanContext(extractRpcContext(rpc))?.spanId ?? "none";
  }
}

/** Nest's own server for Kafka, but for the connection. */
class Kafka extends ServerKafka {
  readonly sent: unknown[] = [];

  override async listen(callback: (error?: unknown) => void): Promise<void> {
    Object.assign(this, {
      producer: {
        send: async (record: unknown) => {
          this.sent.push(record);
        },
      },
    });
    callback();
  }

  override async close(): Promise<void> {}

  deliver(topic: string, value: string, headers: Headers | object = [], reply = false) {
    const given: Record<string, unknown> = Array.isArray(headers)
      ? Object.fromEntries(headers.map(([key, text]) => [key, Buffer.from(text)]))
      : { ...headers };
    if (reply) {
      given.kafka_correlationId = Buffer.from("1");
      given.kafka_replyTopic = Buffer.from(`${topic}.reply`);
    }
    return this.handleMessage({
      topic,
      partition: 3,
      message: {
        key: null,
        value: Buffer.from(value),
        offset: "42",
        timestamp: "0",
        attributes: 0,
        headers: given,
      },
      heartbeat: async () => {},
      pause: () => () => {},
    } as never);
  }
}

interface Start {
  readonly traced?: boolean;
  readonly interceptor?: boolean;
  readonly providers?: (new () => unknown)[];
  readonly imports?: (new () => unknown)[];
}

class Started implements AsyncDisposable {
  readonly kafka: Kafka;
  readonly #close: () => Promise<void>;

  constructor(kafka: Kafka, close: () => Promise<void>) {
    this.kafka = kafka;
    this.#close = close;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

const group = () =>
  new Kafka({ consumer: { groupId: "shop" }, client: { clientId: "till", brokers: [] } });

async function start(how: Start = {}): Promise<Started> {
  const { traced = true, interceptor = false, providers = [], imports = [] } = how;
  @Module({
    imports: [...(traced ? [TracingModule.forRoot()] : []), ...imports],
    controllers: [Orders],
    providers,
  })
  class App {}
  const strategy = group();
  const app = await NestFactory.createMicroservice(App, { strategy, logger: false });
  if (interceptor) app.useGlobalInterceptors(new TracingInterceptor());
  await app.listen();
  return new Started(strategy, () => app.close());
}

async function ended(spans: RecordedSpans, count = 1): Promise<RecordedSpan> {
  await vi.waitFor(() => expect(spans.ended.map(({ name }) => name)).toHaveLength(count));
  expect(spans.open).toEqual([]);
  const [span] = spans.ended.slice(-1);
  if (span === undefined) throw new Error("unreachable");
  return span;
}

const record = () => recordSpans({ propagator: w3cPropagator() });

test("a record of Kafka is processed in its sender's trace, which it links too", async () => {
  using spans = record();
  await using shop = await start();
  const from = sender();

  await shop.kafka.deliver("orders", "two shirts", from.headers);

  const span = await ended(spans);
  expect(span).toMatchObject({
    name: "process orders",
    kind: "CONSUMER",
    traceId: from.traceId,
    parentSpanId: from.spanId,
    links: [{ traceId: from.traceId, spanId: from.spanId }],
    status: { code: "UNSET" },
    attributes: {
      "messaging.system.name": "kafka",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": "orders",
      "messaging.destination.partition.id": "3",
      "messaging.consumer.group.name": "shop-server",
      "messaging.client.id": "till-server",
      "kafka.offset": 42,
    },
  });
  expect(seen).toEqual([
    ["guard", span.spanId],
    ["handler", span.spanId],
    ["handler after await", span.spanId],
  ]);
});

test("the offset is committed after the handler is done, and not if it fails", async () => {
  using spans = record();
  await using shop = await start();

  await shop.kafka.deliver("orders", "two shirts");
  steps.push("committed");

  expect(steps).toEqual(["began", "done", "committed"]);
  await expect(shop.kafka.deliver("orders", "later")).rejects.toThrow(KafkaRetriableException);
  await ended(spans, 2);
});

test.each([
  ["an event whose handler throws", "orders", "broken", false],
  ["an event whose stream fails", "streams", "broken", false],
  ["an event that a guard refuses", "orders", "intruder", false],
  ["a request whose answer fails", "prices", "broken", true],
])("%s makes its span an error", async (_what, topic, value, reply) => {
  using spans = record();
  await using shop = await start();
  const from = sender();

  await Promise.resolve(shop.kafka.deliver(topic, value, from.headers, reply)).catch(() => {});

  expect(await ended(spans)).toMatchObject({
    traceId: from.traceId,
    status: { code: "ERROR" },
    attributes: { "error.type": expect.stringMatching(/\S/) },
  });
});

test("where guards refuse, or no interceptor is, the span tells what Nest made of the error", async () => {
  using spans = record();
  await using shop = await start();

  await shop.kafka.deliver("orders", "intruder").catch(() => {});

  expect((await ended(spans)).status).toEqual({ code: "ERROR", message: "Forbidden resource" });
});

test("the span of a request lasts until its last answer", async () => {
  using spans = record();
  await using shop = await start();
  const delivery = shop.kafka.deliver("prices", "door", sender().headers, true);
  await vi.waitFor(() => expect(door.observed).toBe(true));

  door.next("first");
  await delivery;
  expect(spans.open).toEqual(["process prices"]);
  door.complete();

  await ended(spans);
});

test("several handlers of one topic share the span of the record", async () => {
  using spans = record();
  await using shop = await start();

  await shop.kafka.deliver("twice", "order");

  const span = await ended(spans);
  expect(seen.filter(([place]) => place !== "guard")).toEqual([
    ["first handler", span.spanId],
    ["second handler", span.spanId],
  ]);
});

test.each([
  [
    "repeated, as Nest joins it, the last counts",
    (tp: string) => ({ traceparent: `00-x,${tp}` }),
    true,
  ],
  ["in upper-case keys", (tp: string) => ({ TRACEPARENT: Buffer.from(tp) }), true],
  [
    "with baggage that Nest has parsed",
    (tp: string) => ({ traceparent: tp, baggage: "[1,2]" }),
    true,
  ],
  ["with baggage of null", (tp: string) => ({ traceparent: tp, baggage: "[null]" }), true],
  [
    "that begins with a zero byte",
    (tp: string) => ({ traceparent: Buffer.from(`\0${tp}`) }),
    false,
  ],
  ["of null", () => ({ traceparent: null }), false],
  ["that is an object", () => ({ traceparent: '{"__proto__":1}' }), false],
])("a traceparent %s", async (_what, headers, continued) => {
  using spans = record();
  await using shop = await start();
  const from = sender();

  await shop.kafka.deliver("orders", "two shirts", headers(from.traceparent));

  expect((await ended(spans)).parentSpanId).toBe(continued ? from.spanId : undefined);
});

test("the interceptor alone makes the span, behind the guards", async () => {
  using spans = record();
  await using shop = await start({ traced: false, interceptor: true });
  const from = sender();

  await shop.kafka.deliver("orders", "two shirts", from.headers);
  const span = await ended(spans);
  await shop.kafka.deliver("streams", "broken", from.headers).catch(() => {});
  const failed = await ended(spans, 2);

  expect(span).toMatchObject({
    name: "process orders",
    kind: "CONSUMER",
    parentSpanId: from.spanId,
  });
  expect(seen).toEqual([
    ["guard", undefined],
    ["handler", span.spanId],
    ["handler after await", span.spanId],
    ["guard", undefined],
    ["returned observable", failed.spanId],
  ]);
  expect(failed).toMatchObject({
    status: { code: "ERROR" },
    attributes: { "error.type": "TypeError" },
  });
});

test("module and interceptor together make one span", async () => {
  using spans = record();
  await using shop = await start({ interceptor: true });

  await expect(shop.kafka.deliver("orders", "broken", sender().headers)).rejects.toBeDefined();

  expect((await ended(spans)).events).toHaveLength(1);
});

// What an APM of Nest's own does: it takes the slots, late, and drops the promise.
@Injectable()
class OtherHooks implements OnModuleInit {
  static calls: string[] = [];

  onModuleInit(): void {
    OtherHooks.modules?.getRpcTargetRegistry<Server>().subscribe((server) => {
      server.setOnProcessingStartHook((_transport, _rpc, done) => {
        OtherHooks.calls.push("start");
        void done();
      });
      server.setOnProcessingEndHook(() => OtherHooks.calls.push("end"));
    });
  }
  static modules: ModulesContainer | undefined;
}

@Module({
  providers: [
    OtherHooks,
    {
      provide: "modules",
      useFactory: (modules: ModulesContainer) => {
        OtherHooks.modules = modules;
      },
      inject: [ModulesContainer],
    },
  ],
})
class OtherModule {}

test("hooks of others are called as before, and cost neither the span nor the commit", async () => {
  using spans = record();
  OtherHooks.calls = [];
  await using shop = await start({ imports: [OtherModule] });

  await shop.kafka.deliver("orders", "two shirts", sender().headers);
  steps.push("committed");

  expect(OtherHooks.calls).toEqual(["start", "end"]);
  expect(steps).toEqual(["began", "done", "committed"]);
  expect(seen.map(([, spanId]) => spanId)).toEqual(Array(3).fill((await ended(spans)).spanId));
});

test("in an application with HTTP, messages have one span even when they come before it is initialised", async () => {
  using spans = record();
  @Module({ imports: [TracingModule.forRoot()], controllers: [Orders] })
  class App {}
  const app = await NestFactory.create(App, new ExpressAdapter(), { logger: false });
  const strategy = group();
  app.connectMicroservice({ strategy });
  await app.startAllMicroservices();

  await strategy.deliver("orders", "two shirts", sender().headers);
  await ended(spans, 1);
  await app.init();
  await strategy.deliver("orders", "two shirts", sender().headers);

  await ended(spans, 2);
  await app.close();
});

test("a strategy of the user's own, which has no hooks, is left alone", async () => {
  class Own implements CustomTransportStrategy {
    listen = (callback: () => void) => callback();
    close = () => {};
    addHandler = () => {};
    on = () => {};
    unwrap = <T>(): T => {
      throw new Error("nothing to unwrap");
    };
  }
  @Module({ imports: [TracingModule.forRoot()], controllers: [Orders] })
  class App {}
  const app = await NestFactory.createMicroservice(App, { strategy: new Own(), logger: false });
  await app.listen();
  await app.close();
});

test("on a Nest older than 12.0.4, whose end hook may not come, a span ends with its handler", async () => {
  using spans = record();
  // Such a server runs the start hook, and the end hook for answers only.
  class Older extends Kafka {
    override async handleEvent(pattern: string, packet: never, rpc: never): Promise<unknown> {
      const handler = this.getHandlerByPattern(pattern);
      const { data } = packet;
      return this.onProcessingStartHook(this.transportId, rpc, async () => handler?.(data, rpc));
    }
  }
  @Module({ imports: [TracingModule.forRoot()], controllers: [Orders] })
  class App {}
  const strategy = new Proxy(new Older({}), {
    has: (target, key) => key !== "runWithProcessingHooks" && key in target,
  });
  const app = await NestFactory.createMicroservice(App, { strategy, logger: false });
  await app.listen();

  await strategy.deliver("orders", "two shirts", sender().headers);

  await ended(spans);
  await app.close();
});

async function tcp(): Promise<{ client: ClientTCP; port: number } & AsyncDisposable> {
  @Module({ imports: [TracingModule.forRoot()], controllers: [Orders] })
  class App {}
  const options = { host: "127.0.0.1", port: 0 };
  const app = await NestFactory.createMicroservice(App, {
    transport: Transport.TCP,
    options,
    logger: false,
  });
  await app.listen();
  const server = app.unwrap<{ address(): { port: number } }>();
  const { port } = server.address();
  const client = new ClientTCP({ host: "127.0.0.1", port });
  client.setOnDispatchHook((packet) => {
    const { metadata } = injectPacket(packet);
    if (metadata !== undefined) packet.metadata = metadata;
  });
  return {
    client,
    port,
    async [Symbol.asyncDispose]() {
      client.close();
      await app.close();
    },
  };
}

test("a packet that injectPacket made carries its trace over TCP", async () => {
  using spans = record();
  await using shop = await tcp();
  const caller = spans.tracer().startSpan("checkout");
  const active = trace.setSpan(ROOT_CONTEXT, caller);

  const read = await context.with(active, () => firstValueFrom(shop.client.send("relayed", "x")));
  caller.end();

  await vi.waitFor(() => expect(spans.ended).toHaveLength(2));
  const span = spans.named("relayed");
  const { traceId, spanId } = caller.spanContext();
  expect(span).toMatchObject({ kind: "SERVER", traceId, parentSpanId: spanId, links: [] });
  expect(span.attributes).toMatchObject({
    "rpc.system.name": "nestjs_tcp",
    "rpc.method": "relayed",
  });
  expect(read).toBe(spanId);
});

test("an event over TCP is a CONSUMER span that links its sender", async () => {
  using spans = record();
  await using shop = await tcp();
  const caller = spans.tracer().startSpan("checkout");

  const active = trace.setSpan(ROOT_CONTEXT, caller);
  context.with(active, () => shop.client.emit("orders", "two shirts"));
  caller.end();

  await vi.waitFor(() => expect(spans.ended).toHaveLength(2));
  const { traceId, spanId } = caller.spanContext();
  expect(spans.named("process orders")).toMatchObject({
    kind: "CONSUMER",
    parentSpanId: spanId,
    links: [{ traceId, spanId }],
  });
});

test("a packet of another language's, written byte by byte, continues its trace", async () => {
  using spans = record();
  await using shop = await tcp();
  const from = sender();
  const packet = {
    pattern: "orders",
    data: "zwei Röcke",
    metadata: Object.fromEntries(from.headers),
  };
  const body = JSON.stringify(packet);

  const socket = createConnection(shop.port, "127.0.0.1");
  // The length counts UTF-16 code units: what `length` of JavaScript and Java counts.
  socket.end(`${body.length}#${body}`);

  expect(await ended(spans)).toMatchObject({ name: "process orders", parentSpanId: from.spanId });
});

test.each([
  ["null", null],
  ["a text", "traceparent"],
  ["a list", ["traceparent"]],
  ["a number", 7],
  ["an object where a text should be", { traceparent: { a: 1 } }],
  ["two spellings", { traceparent: sender().traceparent, TraceParent: sender().traceparent }],
  ["64 KB", { traceparent: "0".repeat(65_536) }],
])("metadata that is %s harms no handler", async (_what, metadata) => {
  using spans = record();
  await using shop = await tcp();
  shop.client.setOnDispatchHook((packet) => Object.assign(packet, { metadata }));

  expect(await firstValueFrom(shop.client.send("relayed", "x"))).toBe("none");

  expect((await ended(spans)).parentSpanId).toBeUndefined();
});

test("a live span of somebody else's for this very record is used", async () => {
  using spans = record();
  await using shop = await start();
  const from = sender();
  const remote = propagation.extract(ROOT_CONTEXT, { traceparent: from.traceparent });
  const theirs = spans.tracer("kafkajs").startSpan("process", { kind: SpanKind.CONSUMER }, remote);

  await context.with(trace.setSpan(remote, theirs), () =>
    shop.kafka.deliver("orders", "two shirts", from.headers),
  );
  theirs.end();

  await ended(spans);
  expect(seen.map(([, spanId]) => spanId)).toEqual(Array(3).fill(theirs.spanContext().spanId));
});

test("without an SDK records are processed, answered and refused as ever", async () => {
  await using shop = await start();
  await shop.kafka.deliver("orders", "two shirts", sender().headers);
  await expect(shop.kafka.deliver("orders", "broken")).rejects.toBeDefined();
  await shop.kafka.deliver("prices", "one", [], true);
  await vi.waitFor(() => expect(shop.kafka.sent).not.toEqual([]));
});
