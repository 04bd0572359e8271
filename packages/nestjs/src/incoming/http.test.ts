import { connect } from "node:net";
import { setTimeout as timeout } from "node:timers/promises";
import {
  type ArgumentsHost,
  BadRequestException,
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  ForbiddenException,
  Get,
  HttpException,
  type INestApplication,
  Inject,
  Injectable,
  Module,
  type NestInterceptor,
  Param,
  Post,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from "@nestjs/common";
import { type AbstractHttpAdapter, NestFactory } from "@nestjs/core";
import { ExpressAdapter } from "@nestjs/platform-express";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import {
  context,
  createContextKey,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { suppressTracing, w3cPropagator } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import { type RecordedSpan, type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { from, map, mergeMap, type Observable, tap } from "rxjs";
import { describe, expect, test, vi } from "vitest";
import { TracingModule } from "../module.js";
import type { TracingModuleOptions } from "../options.js";
import { TracingInterceptor } from "./interceptor.js";

// What each place of an application saw: the id of the active span.
const seen = new Map<string, string | undefined>();

function look(place: string): void {
  seen.set(place, trace.getSpanContext(context.active())?.spanId);
}

@Injectable()
class LookingGuard implements CanActivate {
  canActivate(): boolean {
    look("guard");
    return true;
  }
}

@Injectable()
class LookingInterceptor implements NestInterceptor {
  intercept(_execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    look("interceptor");
    return next.handle().pipe(tap(() => look("operator after the handler")));
  }
}

@Catch(RangeError)
class LookingFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    look("filter");
    const answer = host.switchToHttp().getResponse();
    (answer.status?.(418) ?? answer.code(418)).send({ refused: true });
  }
}

class Refuse implements CanActivate {
  canActivate(): boolean {
    throw new ForbiddenException();
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  constructor() {
    look("request-scoped constructor");
  }
}

@Controller("orders")
@UseGuards(LookingGuard)
@UseInterceptors(LookingInterceptor)
class Orders {
  @Get(":id")
  async one(@Param("id") id: string): Promise<unknown> {
    look("handler");
    await timeout(1);
    look("handler after await");
    return { id };
  }

  @Get(":id/lines")
  lines(): Observable<unknown> {
    return from([1]).pipe(
      mergeMap(async (line) => {
        await timeout(1);
        look("returned observable");
        return line;
      }),
      map((line) => ({ line })),
    );
  }

  @Get(":id/refused")
  @UseFilters(LookingFilter)
  refused(): never {
    throw new RangeError("out of stock");
  }

  @Get(":id/forbidden")
  @UseGuards(Refuse)
  forbidden(): void {}

  @Get(":id/bad")
  bad(): never {
    throw new BadRequestException("no such size");
  }

  @Get(":id/broken")
  broken(): never {
    throw new TypeError("stock is undefined");
  }

  @Get(":id/unavailable")
  unavailable(): never {
    throw new HttpException("try later", 503);
  }

  @Get(":id/slow")
  slow(): Promise<never> {
    look("slow handler");
    return new Promise(() => {});
  }

  @Post()
  order(): unknown {
    return {};
  }
}

@Controller("scoped")
class Scoped {
  constructor(@Inject(PerRequest) _perRequest: PerRequest) {}
  @Get()
  get(): unknown {
    return {};
  }
}

interface Started extends AsyncDisposable {
  readonly url: string;
  readonly app: INestApplication;
}

async function start(
  adapter: AbstractHttpAdapter,
  options?: TracingModuleOptions,
  by: "module" | "interceptor" | "nobody" | "both" = "module",
): Promise<Started> {
  seen.clear();
  @Module({
    imports: by === "module" || by === "both" ? [TracingModule.forRoot(options)] : [],
    controllers: [Orders, Scoped],
    providers: [PerRequest],
  })
  class App {}
  const app = await NestFactory.create(App, adapter, { logger: false });
  if (by === "interceptor" || by === "both") app.useGlobalInterceptors(new TracingInterceptor());
  app.use((_request: unknown, _response: unknown, next: () => void) => {
    look("middleware");
    next();
  });
  await app.listen(0, "127.0.0.1");
  return { url: await app.getUrl(), app, [Symbol.asyncDispose]: () => app.close() };
}

/** The response may arrive before the span has ended. */
async function ended(spans: RecordedSpans, count = 1): Promise<RecordedSpan> {
  await vi.waitFor(() => expect(spans.ended.map(({ name }) => name)).toHaveLength(count));
  expect(spans.open).toEqual([]);
  const [span] = spans.ended.slice(-1);
  if (span === undefined) throw new Error("unreachable");
  return span;
}

const record = () => recordSpans({ propagator: w3cPropagator() });

describe.each([
  ["express", () => new ExpressAdapter()],
  ["fastify", () => new FastifyAdapter()],
])("on %s", (platform, adapter) => {
  test("every place that a request passes is in its sender's trace", async () => {
    using spans = record();
    await using app = await start(adapter());
    const from = sender();

    const response = await fetch(`${app.url}/orders/7?size=XL`, {
      headers: Object.fromEntries(from.headers),
    });

    expect(await response.json()).toEqual({ id: "7" });
    const span = await ended(spans);
    expect(span).toMatchObject({
      name: "GET /orders/:id",
      kind: "SERVER",
      traceId: from.traceId,
      parentSpanId: from.spanId,
      parentIsRemote: true,
      traceState: from.tracestate,
      status: { code: "UNSET" },
      links: [],
      attributes: {
        "http.request.method": "GET",
        "http.route": "/orders/:id",
        "http.response.status_code": 200,
        "url.path": "/orders/7",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": Number(new URL(app.url).port),
      },
    });
    expect(Object.keys(span.attributes)).not.toContain("url.query");
    expect(Object.fromEntries(seen)).toEqual({
      middleware: span.spanId,
      guard: span.spanId,
      interceptor: span.spanId,
      handler: span.spanId,
      "handler after await": span.spanId,
      "operator after the handler": span.spanId,
    });
    expect(response.headers.get("x-trace-id")).toBe(from.traceId);
  });

  test("a returned observable and a request-scoped constructor are in the request's span", async () => {
    using spans = record();
    await using app = await start(adapter());

    await (await fetch(`${app.url}/orders/7/lines`)).json();
    const lines = await ended(spans, 1);
    await (await fetch(`${app.url}/scoped`)).json();
    const scoped = await ended(spans, 2);

    expect(seen.get("returned observable")).toBe(lines.spanId);
    expect(seen.get("request-scoped constructor")).toBe(scoped.spanId);
  });

  test("an exception filter is in the request's span, and its 4xx is no error", async () => {
    using spans = record();
    await using app = await start(adapter());

    const response = await fetch(`${app.url}/orders/7/refused`);

    expect(response.status).toBe(418);
    const span = await ended(spans);
    expect(seen.get("filter")).toBe(span.spanId);
    expect(span).toMatchObject({ status: { code: "UNSET" }, events: [] });
    expect(response.headers.get("x-trace-id")).toBe(span.traceId);
  });

  test.each([
    ["a bad request", "/orders/7/bad", 400, "GET /orders/:id/bad"],
    ["a guard's refusal", "/orders/7/forbidden", 403, "GET /orders/:id/forbidden"],
    ["an unknown path", "/nowhere", 404, "GET"],
  ])("%s leaves the status unset and names the trace", async (_what, path, status, name) => {
    using spans = record();
    await using app = await start(adapter());

    const response = await fetch(app.url + path);

    expect(response.status).toBe(status);
    const span = await ended(spans);
    expect(span).toMatchObject({
      name,
      status: { code: "UNSET" },
      events: [],
      attributes: { "http.response.status_code": status },
    });
    expect(Object.keys(span.attributes)).not.toContain("error.type");
    expect(response.headers.get("x-trace-id")).toBe(span.traceId);
  });

  test("malformed JSON has a span though no handler ever runs", async () => {
    using spans = record();
    await using app = await start(adapter());
    const from = sender();

    const response = await fetch(`${app.url}/orders`, {
      method: "POST",
      body: '{"size":',
      headers: { "content-type": "application/json", traceparent: from.traceparent },
    });

    expect(response.status).toBe(400);
    expect(await ended(spans)).toMatchObject({
      traceId: from.traceId,
      status: { code: "UNSET" },
      attributes: { "http.response.status_code": 400 },
    });
    expect(response.headers.get("x-trace-id")).toBe(from.traceId);
  });

  test.each([
    ["an exception that nobody expected", "/orders/7/broken", 500, "TypeError"],
    ["an HttpException of 503", "/orders/7/unavailable", 503, "HttpException"],
  ])("%s makes the span an error that tells it", async (_what, path, status, type) => {
    using spans = record();
    await using app = await start(adapter());

    const response = await fetch(app.url + path);

    expect(response.status).toBe(status);
    const span = await ended(spans);
    expect(span.status.code).toBe("ERROR");
    expect(span.attributes["error.type"]).toBe(String(status));
    expect(span.events.map(({ attributes }) => attributes["exception.type"])).toEqual([type]);
    expect(response.headers.get("x-trace-id")).toBe(span.traceId);
  });

  test("a caller who goes away ends the span, without a status that nobody got", async () => {
    using spans = record();
    await using app = await start(adapter());
    const socket = connect(Number(new URL(app.url).port), "127.0.0.1");
    socket.write("GET /orders/7/slow HTTP/1.1\r\nHost: shop\r\n\r\n");
    await vi.waitFor(() => expect([...seen.keys()]).toContain("slow handler"));

    socket.destroy();

    const span = await ended(spans);
    expect(span.name).toBe("GET /orders/:id/slow");
    expect(Object.keys(span.attributes)).not.toContain("http.response.status_code");
  });

  test("the span that was active at listen(), and its baggage, never reach a request", async () => {
    using spans = record();
    const ambient = spans.tracer().startSpan("start-up");
    const baggage = propagation.createBaggage({ secret: { value: "yes" } });
    const active = propagation.setBaggage(trace.setSpan(ROOT_CONTEXT, ambient), baggage);
    await using app = await context.with(active, () => start(adapter()));

    await (await fetch(`${app.url}/orders/7`)).json();

    const span = await ended(spans).catch(() => spans.named("GET /orders/:id"));
    ambient.end();
    expect(span.parentSpanId).toBeUndefined();
    expect(span.traceId).not.toBe(ambient.spanContext().traceId);
    expect(span.attributes["traceferry.extraction"]).toBe("missing");
  });

  test.each([
    ["in upper case", { traceparent: sender().traceparent.toUpperCase() }],
    ["of version ff", { traceparent: `ff${sender().traceparent.slice(2)}` }],
    ["sent twice", { traceparent: `${sender().traceparent}, ${sender().traceparent}` }],
    ["with a tracestate of 8 KiB", { traceparent: "x", tracestate: "a=b,".repeat(2000) }],
    ["with baggage that is none", { traceparent: "\u00e9", baggage: '{"a":[1]},,;=;%' }],
  ])("a traceparent %s harms nobody", async (_what, headers) => {
    using spans = record();
    await using app = await start(adapter());

    const response = await fetch(`${app.url}/orders/7`, { headers });

    expect(response.status).toBe(200);
    const span = await ended(spans);
    expect(span.parentSpanId).toBeUndefined();
    expect(span.attributes["traceferry.extraction"]).toBe("invalid");
  });

  test("ignored requests have no span, yet their sender's context", async () => {
    using spans = record();
    const options: TracingModuleOptions = {
      ignore: ["/orders/1", /^\/orders\/2/g, (request) => request.url === "/orders/3?why"],
    };
    await using app = await start(adapter(), options);
    const from = sender();
    const headers = { traceparent: from.traceparent };

    for (const path of ["/orders/1?x", "/orders/2", "/orders/2", "/orders/3?why"]) {
      seen.clear();
      const response = await fetch(app.url + path, { headers });
      expect(response.status).toBe(200);
      expect(seen.get("handler"), path).toBe(from.spanId);
      expect(response.headers.get("x-trace-id")).toBe(from.traceId);
    }
    await (await fetch(`${app.url}/orders/3`)).json();

    await ended(spans, 1);
  });

  test("the response header can have another name, or be left out", async () => {
    using spans = record();
    {
      await using app = await start(adapter(), { responseHeader: "Trace" });
      const response = await fetch(`${app.url}/orders/7`);
      expect(response.headers.get("trace")).toBe((await ended(spans)).traceId);
    }
    await using app = await start(adapter(), { responseHeader: false });
    const response = await fetch(`${app.url}/orders/7`);
    expect([...response.headers.keys()].filter((name) => name.includes("trace"))).toEqual([]);
    expect(spans.warnings).toEqual([]);
  });

  test("without an SDK a response is what it is without the module", async () => {
    const answer = async (by: "module" | "nobody") => {
      await using app = await start(adapter(), {}, by);
      const response = await fetch(`${app.url}/orders/7`, {
        headers: Object.fromEntries(sender().headers),
      });
      const headers = [...response.headers].filter(([name]) => name !== "date");
      return { status: response.status, headers, body: await response.text() };
    };

    expect(await answer("module")).toEqual(await answer("nobody"));
  });

  test("the interceptor alone makes the span, behind the guards", async () => {
    using spans = record();
    await using app = await start(adapter(), {}, "interceptor");
    const from = sender();
    const headers = { traceparent: from.traceparent };

    const response = await fetch(`${app.url}/orders/7`, { headers });
    await response.json();
    const span = await ended(spans);
    await (await fetch(`${app.url}/orders/7/lines`, { headers })).json();
    const lines = await ended(spans, 2);
    await (await fetch(`${app.url}/orders/7/broken`, { headers })).json();
    const broken = await ended(spans, 3);

    expect(span).toMatchObject({
      name: "GET /orders/:id",
      kind: "SERVER",
      parentSpanId: from.spanId,
      attributes: { "http.route": "/orders/:id", "http.response.status_code": 200 },
    });
    expect(response.headers.get("x-trace-id")).toBe(from.traceId);
    expect(seen.get("guard")).toBeUndefined();
    expect(seen.get("handler after await")).toBe(span.spanId);
    expect(seen.get("returned observable")).toBe(lines.spanId);
    expect(broken.status.code).toBe("ERROR");
    expect(broken.events.map(({ attributes }) => attributes["exception.type"])).toEqual([
      "TypeError",
    ]);
  });

  test("module and interceptor together make one span, with one exception", async () => {
    using spans = record();
    await using app = await start(adapter(), {}, "both");

    await (await fetch(`${app.url}/orders/7/broken`)).json();

    expect((await ended(spans)).events).toHaveLength(1);
  });

  test("what somebody suppressed stays untraced", async () => {
    using spans = record();
    await using app = await context.with(suppressTracing(ROOT_CONTEXT), () => start(adapter()));

    const { traceparent } = sender();
    const response = await fetch(`${app.url}/orders/7`, { headers: { traceparent } });

    expect(await response.json()).toEqual({ id: "7" });
    expect(seen.get("handler")).toBeUndefined();
    expect(response.headers.get("x-trace-id")).toBeNull();
    expect(spans.ended).toEqual([]);
  });

  test(`instrumentation-http's span is used, and learns the route of ${platform}`, async () => {
    using spans = record();
    const theirs = spans.tracer("http").startSpan("GET", { kind: SpanKind.SERVER }, ROOT_CONTEXT);
    const metadata: { type: string; span: typeof theirs; route?: string } = {
      type: "http",
      span: theirs,
    };
    const key = createContextKey("OpenTelemetry SDK Context Key RPC_METADATA");
    const active = trace.setSpan(ROOT_CONTEXT, theirs).setValue(key, metadata);
    // A server that was started inside such a context hands it to each of its requests.
    await using app = await context.with(active, () => start(adapter()));

    const response = await fetch(`${app.url}/orders/7`);
    await response.json();

    await vi.waitFor(() => expect(metadata.route).toBe("/orders/:id"));
    theirs.end();
    expect(seen.get("handler")).toBe(theirs.spanContext().spanId);
    expect(response.headers.get("x-trace-id")).toBe(theirs.spanContext().traceId);
    await ended(spans, 1);
  });

  test("twenty requests on few connections never see each other's context", async () => {
    using spans = record();
    await using app = await start(adapter());
    const senders = Array.from({ length: 20 }, () => sender());

    const traces = await Promise.all(
      senders.map(async (from) => {
        const response = await fetch(`${app.url}/orders/7`, {
          headers: { traceparent: from.traceparent },
        });
        await response.json();
        return response.headers.get("x-trace-id");
      }),
    );

    expect(traces).toEqual(senders.map(({ traceId }) => traceId));
    await ended(spans, 20);
  });
});

test("a request that fastify is handed by inject() has a span like any other", async () => {
  using spans = record();
  const adapter = new FastifyAdapter();
  await using _ = await start(adapter);

  const response = await adapter.inject({ url: "/orders/7" });

  expect(response.statusCode).toBe(200);
  expect((await ended(spans)).name).toBe("GET /orders/:id");
});
