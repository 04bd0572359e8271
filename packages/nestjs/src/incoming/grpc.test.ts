import { setTimeout as timeout } from "node:timers/promises";
import { type ServerInterceptor, type ServerReadableStream, status } from "@grpc/grpc-js";
import {
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type INestMicroservice,
  Injectable,
  Module,
  UseFilters,
  UseGuards,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { GrpcMethod, GrpcStreamCall, GrpcStreamMethod, RpcException } from "@nestjs/microservices";
import { context, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { serverInterceptor } from "@traceferry/grpc";
import { type Sender, sender } from "@traceferry/testkit";
import { type RecordedSpan, type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { concatMap, delay, from, NEVER, Observable, of, Subject, throwError } from "rxjs";
import { expect, test, vi } from "vitest";
import { TracingModule } from "../module.js";
import { metadataOf, ShopClient, shopOptions, type Text } from "../shop.test.driver.js";
import { TracingInterceptor } from "./interceptor.js";

const seen: [place: string, spanId: string | undefined][] = [];
const look = (place: string) => seen.push([place, trace.getSpanContext(context.active())?.spanId]);
const doors = new Map<string, Subject<Text>>();

@Injectable()
class Doorman implements CanActivate {
  canActivate(execution: { getArgs(): unknown[] }): boolean {
    look("guard");
    const [request] = execution.getArgs();
    return (
      !(typeof request === "object" && request !== null && "text" in request) ||
      request.text !== "intruder"
    );
  }
}

@Catch(RangeError)
class OutOfRange implements ExceptionFilter {
  catch(error: RangeError): Observable<never> {
    look("filter");
    return throwError(() => ({ code: status.OUT_OF_RANGE, message: error.message }));
  }
}

@Controller()
@UseGuards(Doorman)
@UseFilters(OutOfRange)
class Orders {
  @GrpcMethod("Orders", "Place")
  place({ text }: Text): unknown {
    look("handler");
    if (text === "never") return NEVER;
    if (text === "range") throw new RangeError("no such size");
    if (text === "missing") throw new RpcException({ code: status.NOT_FOUND, message: "no" });
    if (text === "broken") throw new TypeError("stock is undefined");
    if (text.startsWith("door")) {
      const door = new Subject<Text>();
      doors.set(text, door);
      return door;
    }
    return timeout(1).then(() => {
      look("handler after await");
      return { text };
    });
  }

  @GrpcMethod("Orders", "Watch")
  watch({ text }: Text): Observable<Text> {
    if (text === "breaks") {
      return from([of({ text: "1" }), throwError(() => new TypeError("stock is undefined"))]).pipe(
        concatMap((part) => part),
      );
    }
    return from([{ text: "1" }, { text: "2" }]).pipe(concatMap((part) => of(part).pipe(delay(5))));
  }

  @GrpcStreamCall("Orders", "Tally")
  tally(call: ServerReadableStream<Text, Text>, answer: (error: null, text: Text) => void): void {
    let messages = 0;
    call.on("data", () => messages++);
    call.on("end", () => answer(null, { text: `${messages}` }));
  }

  @GrpcStreamMethod("Orders", "Collect")
  collect(messages: Observable<Text>): Observable<Text> {
    look("stream handler");
    return new Observable((subscriber) =>
      messages.subscribe({
        next: () => look("request message"),
        complete: () => {
          subscriber.next({ text: "all" });
          subscriber.complete();
        },
      }),
    );
  }
}

class Started implements AsyncDisposable {
  readonly #app: INestMicroservice;
  readonly client: ShopClient;

  constructor(app: INestMicroservice, port: number) {
    this.#app = app;
    this.client = new ShopClient(port);
  }

  call(text: string, from?: Sender, deadline?: number): Promise<string> {
    const options = deadline === undefined ? {} : { deadline };
    return this.client.place(text, metadataOf(from?.headers ?? []), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.#app.close();
  }
}

async function start(
  how: "module" | "interceptor" | "both" = "module",
  interceptors: ServerInterceptor[] = [],
): Promise<Started> {
  seen.length = 0;
  doors.clear();
  @Module({
    imports: how === "interceptor" ? [] : [TracingModule.forRoot()],
    controllers: [Orders],
  })
  class App {}
  const { options, port } = shopOptions(interceptors);
  const app = await NestFactory.createMicroservice(App, { ...options, logger: false });
  if (how !== "module") app.useGlobalInterceptors(new TracingInterceptor());
  await app.listen();
  return new Started(app, await port);
}

async function ended(spans: RecordedSpans, count = 1): Promise<RecordedSpan> {
  await vi.waitFor(() => expect(spans.ended.map(({ name }) => name)).toHaveLength(count));
  expect(spans.open).toEqual([]);
  const [span] = spans.ended.slice(-1);
  if (span === undefined) throw new Error("unreachable");
  return span;
}

const record = () => recordSpans({ propagator: w3cPropagator() });

test("a call runs in its sender's trace from its guards on", async () => {
  using spans = record();
  await using shop = await start();
  const from = sender();

  expect(await shop.call("two shirts", from)).toBe("two shirts");

  const span = await ended(spans);
  expect(span).toMatchObject({
    name: "shop.Orders/Place",
    kind: "SERVER",
    traceId: from.traceId,
    parentSpanId: from.spanId,
    parentIsRemote: true,
    links: [],
    status: { code: "UNSET" },
    attributes: {
      "rpc.system.name": "grpc",
      "rpc.method": "shop.Orders/Place",
      "rpc.status_code": "OK",
    },
  });
  expect(seen).toEqual([
    ["guard", span.spanId],
    ["handler", span.spanId],
    ["handler after await", span.spanId],
  ]);
});

test.each([
  ["a guard's refusal", "intruder", "UNKNOWN", "ERROR", []],
  ["an exception that nobody expected", "broken", "UNKNOWN", "ERROR", ["TypeError"]],
  ["an RpcException with a status", "missing", "NOT_FOUND", "UNSET", []],
  ["what a filter makes of an error", "range", "OUT_OF_RANGE", "UNSET", []],
] as const)(
  "%s shows as the status that the caller got",
  async (_what, text, code, outcome, exceptions) => {
    using spans = record();
    await using shop = await start();

    await expect(shop.call(text)).rejects.toMatchObject({ code: status[code] });

    const span = await ended(spans);
    expect(span.attributes["rpc.status_code"]).toBe(code);
    expect(span.status.code).toBe(outcome);
    expect(span.attributes["error.type"]).toBe(outcome === "ERROR" ? code : undefined);
    expect(span.events.map(({ attributes }) => attributes["exception.type"])).toEqual(exceptions);
  },
);

test("the span lasts until the handler's observable has answered", async () => {
  using spans = record();
  await using shop = await start();

  const answer = shop.call("door");
  await vi.waitFor(() => expect([...doors.keys()]).toEqual(["door"]));
  await new Promise(setImmediate);
  expect(spans.open).toEqual(["shop.Orders/Place"]);
  doors.get("door")?.next({ text: "in" });
  doors.get("door")?.complete();
  await answer;

  await ended(spans);
});

test("a stream of answers is one span, failed when the stream fails", async () => {
  using spans = record();
  await using shop = await start();

  expect(await shop.client.watch("orders")).toBe(2);
  expect(await ended(spans)).toMatchObject({
    name: "shop.Orders/Watch",
    attributes: { "rpc.status_code": "OK" },
  });

  await expect(shop.client.watch("breaks")).rejects.toMatchObject({ code: status.UNKNOWN });
  const failed = await ended(spans, 2);
  expect(failed.attributes["rpc.status_code"]).toBe("UNKNOWN");
  expect(failed.status.code).toBe("ERROR");
});

test.each([
  // grpc-js hands on what streams in outside of all context; only an interceptor of its own can help.
  ["", [], false],
  [
    ", whose requests arrive in it with the interceptor of @traceferry/grpc",
    [serverInterceptor()],
    true,
  ],
] as const)("a stream of requests is one span%s", async (_with, interceptors, inside) => {
  using spans = record();
  await using shop = await start("module", [...interceptors]);
  const from = sender();

  await shop.client.collect(["1", "2"], metadataOf(from.headers));

  const span = await ended(spans);
  expect(span).toMatchObject({ name: "shop.Orders/Collect", parentSpanId: from.spanId });
  expect(seen).toEqual([
    ["guard", span.spanId],
    ["stream handler", span.spanId],
    ["request message", inside ? span.spanId : undefined],
    ["request message", inside ? span.spanId : undefined],
  ]);
});

test("a handler that works on the call itself keeps its span until it answers", async () => {
  using spans = record();
  await using shop = await start();
  const from = sender();

  const answer = await shop.client.collect(["1", "2"], metadataOf(from.headers), "Tally");

  expect(answer).toEqual({ text: "2" });
  expect(await ended(spans)).toMatchObject({
    name: "shop.Orders/Tally",
    parentSpanId: from.spanId,
    attributes: { "rpc.status_code": "OK" },
  });
});

test("a caller who goes away ends the span of a handler that never answers", async () => {
  using spans = record();
  await using shop = await start();

  await expect(shop.call("never", sender(), Date.now() + 100)).rejects.toMatchObject({
    code: status.DEADLINE_EXCEEDED,
  });

  const span = await ended(spans);
  expect(["CANCELLED", "DEADLINE_EXCEEDED"]).toContain(span.attributes["rpc.status_code"]);
});

test("an observable that another call completes ends its own call's span", async () => {
  using spans = record();
  await using shop = await start();
  const from = { first: sender(), second: sender() };
  const answers = [shop.call("door 1", from.first), shop.call("door 2", from.second)];
  await vi.waitFor(() => expect(doors.size).toBe(2));

  // Completed from within the other's context.
  const answer = (door: string) => {
    doors.get(door)?.next({ text: door });
    doors.get(door)?.complete();
  };
  context.with(ROOT_CONTEXT, () => answer("door 2"));
  await answers[1];
  expect((await ended1(spans)).traceId).toBe(from.second.traceId);
  answer("door 1");
  await answers[0];

  expect((await ended(spans, 2)).traceId).toBe(from.first.traceId);
});

async function ended1(spans: RecordedSpans): Promise<RecordedSpan> {
  await vi.waitFor(() => expect(spans.ended).toHaveLength(1));
  const [span] = spans.ended;
  if (span === undefined) throw new Error("unreachable");
  return span;
}

test("the span that was active at listen(), and its baggage, never reach a call", async () => {
  using spans = record();
  const ambient = spans.tracer().startSpan("start-up");
  const baggage = propagation.createBaggage({ secret: { value: "yes" } });
  const active = propagation.setBaggage(trace.setSpan(ROOT_CONTEXT, ambient), baggage);
  await using shop = await context.with(active, () => start());

  await shop.call("two shirts");

  const span = await ended1(spans);
  ambient.end();
  expect(span.parentSpanId).toBeUndefined();
  expect(span.attributes["traceferry.extraction"]).toBe("missing");
});

test("the interceptor alone makes the span, and sees what the handler throws", async () => {
  using spans = record();
  await using shop = await start("interceptor");
  const from = sender();

  await shop.call("two shirts", from);
  const span = await ended(spans);
  expect(span).toMatchObject({
    name: "shop.Orders/Place",
    kind: "SERVER",
    parentSpanId: from.spanId,
    attributes: { "rpc.status_code": "OK" },
  });
  expect(seen).toEqual([
    ["guard", undefined],
    ["handler", span.spanId],
    ["handler after await", span.spanId],
  ]);

  await expect(shop.call("broken", from)).rejects.toMatchObject({ code: status.UNKNOWN });
  const failed = await ended(spans, 2);
  expect(failed.events.map(({ attributes }) => attributes["exception.type"])).toEqual([
    "TypeError",
  ]);
});

test("module and interceptor together make one span, with one exception", async () => {
  using spans = record();
  await using shop = await start("both");

  await expect(shop.call("broken", sender())).rejects.toMatchObject({ code: status.UNKNOWN });

  const span = await ended(spans);
  expect(span.events).toHaveLength(1);
});

test("an interceptor of @traceferry/grpc and the module make one span, also where no sender is", async () => {
  using spans = record();
  await using shop = await start("module", [serverInterceptor()]);
  const from = sender();

  await shop.call("two shirts", from);
  await shop.call("two shirts");
  await ended(spans, 2);

  const names = spans.ended.map(({ scope, parentSpanId }) => [scope, parentSpanId]);
  expect(names).toEqual([
    ["@traceferry/grpc", from.spanId],
    ["@traceferry/grpc", undefined],
  ]);
  const [first, second] = spans.ended;
  expect(seen.map(([, spanId]) => spanId)).toEqual([
    ...Array(3).fill(first?.spanId),
    ...Array(3).fill(second?.spanId),
  ]);
});

test("without an SDK calls are answered as ever", async () => {
  await using shop = await start();
  expect(await shop.call("two shirts", sender())).toBe("two shirts");
  await expect(shop.call("intruder")).rejects.toMatchObject({ code: status.UNKNOWN });
});
