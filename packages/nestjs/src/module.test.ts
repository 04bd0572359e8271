import {
  Controller,
  type DynamicModule,
  Get,
  Injectable,
  Module,
  UseInterceptors,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { Test } from "@nestjs/testing";
import { context, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { expect, test, vi } from "vitest";

// An application with HTTP alone does not have these.
vi.mock("@nestjs/microservices", () => {
  throw new Error("this application has no @nestjs/microservices");
});
vi.mock("@grpc/grpc-js", () => {
  throw new Error("this application has no @grpc/grpc-js");
});
const { TRACING_OPTIONS, TracingInterceptor, TracingModule } = await import("./index.js");

let handlerSpanId: string | undefined;

@Controller()
class Health {
  @Get("health")
  health(): unknown {
    handlerSpanId = trace.getSpanContext(context.active())?.spanId;
    return {};
  }
}

@Controller("broken")
class Broken {
  @Get()
  get(): never {
    throw new TypeError("stock is undefined");
  }
}

@Controller("decorated")
@UseInterceptors(TracingInterceptor)
class Decorated {
  @Get()
  get(): unknown {
    return {};
  }
}

interface Started extends AsyncDisposable {
  get(path: string): Promise<Response>;
}

async function start(...imports: (DynamicModule | (new () => unknown))[]): Promise<Started> {
  @Module({ imports, controllers: [Health, Broken, Decorated] })
  class App {}
  const app = await NestFactory.create(App, { logger: false });
  await app.listen(0, "127.0.0.1");
  const url = await app.getUrl();
  return {
    get: (path) => fetch(url + path),
    [Symbol.asyncDispose]: () => app.close(),
  };
}

async function waitForNames(spans: RecordedSpans, count: number): Promise<string[]> {
  await vi.waitFor(() => expect(spans.ended.length).toBeGreaterThanOrEqual(count));
  expect(spans.open).toEqual([]);
  return spans.ended.map(({ name }) => name);
}

const startRecording = () => recordSpans({ propagator: w3cPropagator() });

test("it loads and works in an application with HTTP alone", async () => {
  using spans = startRecording();
  await using app = await start(TracingModule.forRoot());

  const response = await app.get("/health");

  expect(response.headers.get("x-trace-id")).toMatch(/^[0-9a-f]{32}$/);
  expect(await waitForNames(spans, 1)).toEqual(["GET /health"]);
});

test("options may come from other providers", async () => {
  using spans = startRecording();
  @Injectable()
  class Config {
    readonly header = "Trace";
  }
  @Module({ providers: [Config], exports: [Config] })
  class ConfigModule {}
  await using app = await start(
    TracingModule.forRootAsync({
      imports: [ConfigModule],
      inject: [Config],
      useFactory: async (config: Config) => ({ responseHeader: config.header }),
    }),
  );

  const response = await app.get("/health");

  expect(response.headers.get("trace")).toMatch(/^[0-9a-f]{32}$/);
  expect(await waitForNames(spans, 1)).toEqual(["GET /health"]);
});

test("options may come from a class", async () => {
  using spans = startRecording();
  class Options {
    createTracingOptions() {
      return { ignore: "/health" };
    }
  }
  await using app = await start(TracingModule.forRootAsync({ useClass: Options }));

  await app.get("/health");
  await app.get("/decorated");

  expect(await waitForNames(spans, 1)).toEqual(["GET /decorated"]);
});

test.each([
  [true, "seen by"],
  [false, "hidden from"],
])("with isGlobal: %s the options are %s modules that do not import this one", async (isGlobal) => {
  const options = { isGlobal, responseHeader: "Trace" };
  const probe = {
    provide: "probe",
    useFactory: (options: unknown) => options,
    inject: [{ token: TRACING_OPTIONS, optional: true }],
  };
  @Module({ providers: [probe] })
  class Other {}
  @Module({ imports: [TracingModule.forRoot(options), Other] })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: false });
  const visible = app.select(Other).get("probe");
  await app.close();

  expect(visible).toEqual(isGlobal ? { responseHeader: "Trace" } : undefined);
});

test("exceptions may be left off the spans, which still end as errors", async () => {
  using spans = startRecording();
  await using withErrors = await start(TracingModule.forRoot());
  await using withoutErrors = await start(TracingModule.forRoot({ exceptions: false }));

  await withErrors.get("/broken");
  await waitForNames(spans, 1);
  await withoutErrors.get("/broken");
  await waitForNames(spans, 2);

  expect(spans.ended.map(({ status, events }) => [status.code, events.length])).toEqual([
    ["ERROR", 1],
    ["ERROR", 0],
  ]);
});

test("imported twice it makes one span", async () => {
  using spans = startRecording();
  await using app = await start(
    TracingModule.forRoot(),
    TracingModule.forRoot({ responseHeader: "Trace" }),
  );

  await app.get("/health");
  await app.get("/decorated");

  expect(await waitForNames(spans, 2)).toEqual(["GET /health", "GET /decorated"]);
});

test("the interceptor on a controller makes the span where the module is not imported", async () => {
  using spans = startRecording();
  await using app = await start();

  await app.get("/health");
  await app.get("/decorated");

  expect(await waitForNames(spans, 1)).toEqual(["GET /decorated"]);
});

test("the interceptor on a controller takes the module's options", async () => {
  using spans = startRecording();
  const options = { provide: TRACING_OPTIONS, useValue: { responseHeader: "Trace" } };
  const module = await Test.createTestingModule({
    controllers: [Decorated],
    providers: [options],
  }).compile();
  const app = module.createNestApplication({ logger: false });
  await app.listen(0, "127.0.0.1");

  const response = await fetch(`${await app.getUrl()}/decorated`);

  expect(response.headers.get("trace")).toBe(
    (await waitForNames(spans, 1)) && spans.ended[0]?.traceId,
  );
  await app.close();
});

test("in a TestingModule, which gets its adapter late, requests are traced and options replaced", async () => {
  using spans = startRecording();
  const module = await Test.createTestingModule({
    imports: [TracingModule.forRoot()],
    controllers: [Health],
  })
    .overrideProvider(TRACING_OPTIONS)
    .useValue({ responseHeader: "Trace" })
    .compile();
  const app = module.createNestApplication({ logger: false });
  await app.listen(0, "127.0.0.1");

  const response = await fetch(`${await app.getUrl()}/health`);

  expect(await waitForNames(spans, 1)).toEqual(["GET /health"]);
  expect(handlerSpanId).toBe(spans.ended[0]?.spanId);
  expect(response.headers.get("trace")).toBe(spans.ended[0]?.traceId);
  await app.close();
});

test("an application context without a server works, starts and closes", async () => {
  using spans = startRecording();
  @Injectable()
  class Stock {
    left = 2;
  }
  @Module({ imports: [TracingModule.forRoot({ responseHeader: "Trace" })], providers: [Stock] })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: false });
  const found = [app.get(Stock).left, app.get(TRACING_OPTIONS)];
  await app.close();

  expect(found).toEqual([2, { responseHeader: "Trace" }]);
  expect([...spans.open, ...spans.ended, ...spans.warnings]).toEqual([]);
});
