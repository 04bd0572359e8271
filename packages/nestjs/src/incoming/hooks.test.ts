import { Injectable, Module, type OnModuleInit } from "@nestjs/common";
import { ModulesContainer, NestFactory } from "@nestjs/core";
import type { CustomTransportStrategy, Server } from "@nestjs/microservices";
import { ExpressAdapter } from "@nestjs/platform-express";
import { sender } from "@traceferry/testkit";
import { Observable } from "rxjs";
import { describe, expect, test } from "vitest";
import { TracingModule } from "../module.js";
import { ended, look, record, seen, seenAt } from "../recorded.test-support.js";
import { Kafka, Orders, startKafka } from "./kafka.test-support.js";

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
  await using shop = await startKafka({ imports: [TracingModule.forRoot(), OtherModule] });

  await shop.kafka.deliver("orders", "two shirts", sender().headers);
  shop.orders.steps.push("committed");

  expect(OtherHooks.calls).toEqual(["start", "end"]);
  expect(shop.orders.steps).toEqual(["began", "done", "committed"]);
  expect(seen.map(([, spanId]) => spanId)).toEqual(Array(3).fill((await ended(spans)).spanId));
});

describe("a hook of somebody else's around ours", () => {
  class Wrapped extends Kafka {
    /** Runs ours with something else than the handler: no type holds hooks to what they promise. */
    wrap(around: (done: () => Promise<unknown>) => unknown, other?: object): void {
      const ours = this.onProcessingStartHook;
      this.setOnProcessingStartHook((transport, rpc, done) =>
        Reflect.apply(ours, this, [transport, other ?? rpc, () => around(done)]),
      );
    }
  }

  test("may do without promises, and the span still lasts until the handler is done", async () => {
    using spans = record();
    const kafka = new Wrapped();
    await using _shop = await startKafka({ kafka });
    kafka.wrap((done) => {
      void done();
      return "at once";
    });

    const result = await kafka.deliver("orders", "two shirts");

    expect(result).toBe("at once");
    expect(spans.open).toEqual(["process orders"]);
    const { spanId } = await ended(spans);
    expect(seenAt("handler after await")).toBe(spanId);
  });

  test("gets back what its promise gave", async () => {
    using spans = record();
    const kafka = new Wrapped();
    await using _shop = await startKafka({ kafka });
    kafka.wrap((done) => done().then(() => "in the end"));

    expect(await kafka.deliver("orders", "two shirts")).toBe("in the end");

    await ended(spans);
  });

  const full = new RangeError("too many at once");
  test.each([
    [
      "throws",
      () => {
        throw full;
      },
    ],
    ["rejects", () => Promise.reject(full)],
  ])("that %s instead of running the handler ends the span as failed", async (_how, refuse) => {
    using spans = record();
    const kafka = new Wrapped();
    await using _shop = await startKafka({ kafka });
    kafka.wrap(refuse);

    await expect(Promise.resolve(kafka.deliver("orders", "two shirts"))).rejects.toBe(full);

    expect(await ended(spans)).toMatchObject({
      status: { code: "ERROR", message: "too many at once" },
      attributes: { "error.type": "RangeError" },
    });
    expect(seen).toEqual([]);
  });

  test("may give a context that throws, which is reported, and the interceptor makes the span", async () => {
    using spans = record();
    const kafka = new Wrapped();
    await using shop = await startKafka({ kafka });
    const getTopic = () => {
      throw new RangeError("no topic here");
    };
    kafka.wrap((done) => done(), { getTopic, getMessage: getTopic });

    await kafka.deliver("orders", "two shirts");

    expect(shop.orders.steps).toEqual(["began", "done"]);
    expect(spans.warnings).toEqual(["traceferry nestjs: receive: RangeError: no topic here"]);
    expect(seenAt("handler")).toBe((await ended(spans)).spanId);
  });
});

test("what a hook of somebody else's gives goes before what the handler gave", async () => {
  using spans = record();
  const kafka = new Kafka();
  kafka.setOnProcessingStartHook((_transport, _rpc, done) => done().then(() => "theirs"));
  await using _shop = await startKafka({ kafka });

  expect(await kafka.deliver("orders", "two shirts")).toBe("theirs");

  await ended(spans);
});

test("a record has one span where the module is imported twice", async () => {
  using spans = record();
  const imports = [TracingModule.forRoot(), TracingModule.forRoot({ responseHeader: "Trace" })];
  await using shop = await startKafka({ imports });
  const from = sender();

  await shop.kafka.deliver("orders", "two shirts", from.headers);

  expect((await ended(spans)).parentSpanId).toBe(from.spanId);
});

test("in an application with HTTP, messages have one span even when they come before it is initialised", async () => {
  using spans = record();
  @Module({ imports: [TracingModule.forRoot()], controllers: [Orders] })
  class App {}
  const app = await NestFactory.create(App, new ExpressAdapter(), { logger: false });
  const strategy = new Kafka();
  app.connectMicroservice({ strategy });
  await app.startAllMicroservices();

  await strategy.deliver("orders", "two shirts", sender().headers);
  await ended(spans, 1);
  await app.init();
  await strategy.deliver("orders", "two shirts", sender().headers);

  await ended(spans, 2);
  await app.close();
});

test.each(["setOnProcessingStartHook", "setOnProcessingEndHook"])(
  "a strategy of the user's own, which has %s alone, is left alone",
  async (slot) => {
    const hooks: unknown[] = [];
    const handlers = new Map<string, (data: unknown, rpc: unknown) => Promise<unknown>>();
    class Own implements CustomTransportStrategy {
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
    const app = await NestFactory.createMicroservice(App, { strategy: new Own(), logger: false });
    await app.listen();

    const answer = await handlers.get("relayed")?.("x", {});
    await app.close();

    expect(answer).toBeInstanceOf(Observable);
    expect(hooks).toEqual([]);
  },
);

test("a server that comes when the application has closed is left alone", async () => {
  using spans = record();
  @Module({ imports: [TracingModule.forRoot()] })
  class App {}
  const app = await NestFactory.createMicroservice(App, { strategy: new Kafka(), logger: false });
  await app.listen();
  const modules = app.get(ModulesContainer);
  await app.close();
  const late = new Kafka();
  late.addHandler("orders", async () => look("handler"), true);

  modules.addRpcTarget(late);
  await late.deliver("orders", "two shirts", sender().headers);

  expect(seen).toEqual([["handler", undefined]]);
  expect(spans.ended).toEqual([]);
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
  const kafka = new Proxy(new Older(), {
    has: (target, key) => key !== "runWithProcessingHooks" && key in target,
  });
  await using shop = await startKafka({ kafka });

  await shop.kafka.deliver("orders", "two shirts", sender().headers);

  await ended(spans);
});
