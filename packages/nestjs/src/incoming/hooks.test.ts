import { Injectable, Module, type OnModuleInit } from "@nestjs/common";
import { ModulesContainer, NestFactory } from "@nestjs/core";
import type { CustomTransportStrategy, Server } from "@nestjs/microservices";
import { ExpressAdapter } from "@nestjs/platform-express";
import { sender } from "@traceferry/testkit";
import { Observable } from "rxjs";
import { describe, expect, test } from "vitest";
import { TracingModule } from "../module.js";
import {
  observe,
  observed,
  spanIdAt,
  startRecording,
  waitForEnded,
} from "../recording.test-support.js";
import { Orders, startKafka, TestKafkaServer } from "./kafka.test-support.js";

// Installs hooks late, as APM agents for Nest do, and drops the handler's promise.
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

test("hooks of others are still called, and lose neither the span nor the commit", async () => {
  using spans = startRecording();
  OtherHooks.calls = [];
  await using app = await startKafka({ imports: [TracingModule.forRoot(), OtherModule] });

  await app.kafka.deliver("orders", "two shirts", sender().headers);
  app.orders.steps.push("committed");

  expect(OtherHooks.calls).toEqual(["start", "end"]);
  expect(app.orders.steps).toEqual(["began", "done", "committed"]);
  expect(observed.map(([, spanId]) => spanId)).toEqual(
    Array(3).fill((await waitForEnded(spans)).spanId),
  );
});

describe("another hook around ours", () => {
  class KafkaWithOuterHook extends TestKafkaServer {
    /** Puts a hook around ours that runs the handler in its own way, and may replace the RPC context. */
    wrapStartHook(
      runHandler: (done: () => Promise<unknown>) => unknown,
      replacement?: object,
    ): void {
      const innerHook = this.onProcessingStartHook;
      this.setOnProcessingStartHook((transport, rpc, done) =>
        Reflect.apply(innerHook, this, [transport, replacement ?? rpc, () => runHandler(done)]),
      );
    }
  }

  test("may return no promise, and the span still lasts until the handler is done", async () => {
    using spans = startRecording();
    const kafka = new KafkaWithOuterHook();
    await using _app = await startKafka({ kafka });
    kafka.wrapStartHook((done) => {
      void done();
      return "at once";
    });

    const result = await kafka.deliver("orders", "two shirts");

    expect(result).toBe("at once");
    expect(spans.open).toEqual(["process orders"]);
    const { spanId } = await waitForEnded(spans);
    expect(spanIdAt("handler after await")).toBe(spanId);
  });

  test("decides the result of the delivery", async () => {
    using spans = startRecording();
    const kafka = new KafkaWithOuterHook();
    await using _app = await startKafka({ kafka });
    kafka.wrapStartHook((done) => done().then(() => "in the end"));

    expect(await kafka.deliver("orders", "two shirts")).toBe("in the end");

    await waitForEnded(spans);
  });

  const tooMany = new RangeError("too many at once");
  test.each([
    [
      "throws",
      () => {
        throw tooMany;
      },
    ],
    ["rejects", () => Promise.reject(tooMany)],
  ])("that %s instead of running the handler ends the span as failed", async (_how, refuse) => {
    using spans = startRecording();
    const kafka = new KafkaWithOuterHook();
    await using _app = await startKafka({ kafka });
    kafka.wrapStartHook(refuse);

    await expect(Promise.resolve(kafka.deliver("orders", "two shirts"))).rejects.toBe(tooMany);

    expect(await waitForEnded(spans)).toMatchObject({
      status: { code: "ERROR", message: "too many at once" },
      attributes: { "error.type": "RangeError" },
    });
    expect(observed).toEqual([]);
  });

  test("may replace the RPC context by one that throws: it is reported, and the interceptor makes the span", async () => {
    using spans = startRecording();
    const kafka = new KafkaWithOuterHook();
    await using app = await startKafka({ kafka });
    const getTopic = () => {
      throw new RangeError("no topic here");
    };
    kafka.wrapStartHook((done) => done(), { getTopic, getMessage: getTopic });

    await kafka.deliver("orders", "two shirts");

    expect(app.orders.steps).toEqual(["began", "done"]);
    expect(spans.warnings).toEqual(["traceferry nestjs: start span: RangeError: no topic here"]);
    expect(spanIdAt("handler")).toBe((await waitForEnded(spans)).spanId);
  });
});

test("the result of another hook takes precedence over the handler's", async () => {
  using spans = startRecording();
  const kafka = new TestKafkaServer();
  kafka.setOnProcessingStartHook((_transport, _rpc, done) =>
    done().then(() => "from the other hook"),
  );
  await using _app = await startKafka({ kafka });

  expect(await kafka.deliver("orders", "two shirts")).toBe("from the other hook");

  await waitForEnded(spans);
});

test("a record has one span where the module is imported twice", async () => {
  using spans = startRecording();
  const imports = [TracingModule.forRoot(), TracingModule.forRoot({ responseHeader: "Trace" })];
  await using app = await startKafka({ imports });
  const from = sender();

  await app.kafka.deliver("orders", "two shirts", from.headers);

  expect((await waitForEnded(spans)).parentSpanId).toBe(from.spanId);
});

test("in an application with HTTP, messages have one span even when they come before it is initialised", async () => {
  using spans = startRecording();
  @Module({ imports: [TracingModule.forRoot()], controllers: [Orders] })
  class App {}
  const app = await NestFactory.create(App, new ExpressAdapter(), { logger: false });
  const strategy = new TestKafkaServer();
  app.connectMicroservice({ strategy });
  await app.startAllMicroservices();

  await strategy.deliver("orders", "two shirts", sender().headers);
  await waitForEnded(spans, 1);
  await app.init();
  await strategy.deliver("orders", "two shirts", sender().headers);

  await waitForEnded(spans, 2);
  await app.close();
});

test.each(["setOnProcessingStartHook", "setOnProcessingEndHook"])(
  "a custom strategy that has only %s gets no hooks",
  async (slot) => {
    const hooks: unknown[] = [];
    const handlers = new Map<string, (data: unknown, rpc: unknown) => Promise<unknown>>();
    class CustomStrategy implements CustomTransportStrategy {
      listen = (callback: () => void) => callback();
      close = () => {};
      addHandler = (pattern: string, handler: () => Promise<unknown>) =>
        handlers.set(pattern, handler);
      on = () => {};
      unwrap = <T>(): T => {
        throw new Error("nothing to unwrap");
      };
      readonly [slot] = (hook: unknown) => hooks.push(hook);
    }
    @Module({ imports: [TracingModule.forRoot()], controllers: [Orders] })
    class App {}
    const app = await NestFactory.createMicroservice(App, {
      strategy: new CustomStrategy(),
      logger: false,
    });
    await app.listen();

    const answer = await handlers.get("relayed")?.("x", {});
    await app.close();

    expect(answer).toBeInstanceOf(Observable);
    expect(hooks).toEqual([]);
  },
);

test("a server that is added after the application has closed gets no hooks", async () => {
  using spans = startRecording();
  @Module({ imports: [TracingModule.forRoot()] })
  class App {}
  const app = await NestFactory.createMicroservice(App, {
    strategy: new TestKafkaServer(),
    logger: false,
  });
  await app.listen();
  const modules = app.get(ModulesContainer);
  await app.close();
  const late = new TestKafkaServer();
  late.addHandler("orders", async () => observe("handler"), true);

  modules.addRpcTarget(late);
  await late.deliver("orders", "two shirts", sender().headers);

  expect(observed).toEqual([["handler", undefined]]);
  expect(spans.ended).toEqual([]);
});

test("on a Nest older than 12.0.4, whose end hook may not run, a span ends with its handler", async () => {
  using spans = startRecording();
  // Such a server runs the start hook, and the end hook for answers only.
  class Older extends TestKafkaServer {
    override async handleEvent(pattern: string, packet: never, rpc: never): Promise<unknown> {
      const handler = this.getHandlerByPattern(pattern);
      const { data } = packet;
      return this.onProcessingStartHook(this.transportId, rpc, async () => handler?.(data, rpc));
    }
  }
  const kafka = new Proxy(new Older(), {
    has: (target, key) => key !== "runWithProcessingHooks" && key in target,
  });
  await using app = await startKafka({ kafka });

  await app.kafka.deliver("orders", "two shirts", sender().headers);

  await waitForEnded(spans);
});
