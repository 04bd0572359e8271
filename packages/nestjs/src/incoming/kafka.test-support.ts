import {
  type CanActivate,
  Controller,
  type DynamicModule,
  Injectable,
  Module,
  UseGuards,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import {
  Ctx,
  EventPattern,
  KafkaRetriableException,
  MessagePattern,
  RpcException,
  ServerKafka,
} from "@nestjs/microservices";
import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import { Observable, of, Subject, throwError } from "rxjs";
import { extractRpcContext } from "../carrier/index.js";
import { TracingModule } from "../module.js";
import { observe } from "../recording.test-support.js";
import { TracingInterceptor } from "./interceptor.js";

@Injectable()
class RejectingGuard implements CanActivate {
  canActivate(execution: { getArgs(): unknown[] }): boolean {
    observe("guard");
    return execution.getArgs()[0] !== "forbidden";
  }
}

/** Handlers for messages of any transport but gRPC. */
@Controller()
@UseGuards(RejectingGuard)
export class Orders {
  readonly steps: string[] = [];
  readonly pendingReply = new Subject<string>();
  /** The context that was active in the handler of the last order. */
  active = ROOT_CONTEXT;

  @EventPattern("orders")
  async placed(order: unknown): Promise<void> {
    observe("handler");
    this.active = context.active();
    this.steps.push("began");
    await new Promise(setImmediate);
    observe("handler after await");
    this.steps.push("done");
    if (order === "broken") throw new TypeError("stock is undefined");
    if (order === "later") throw new KafkaRetriableException("try later");
  }

  @EventPattern("streams")
  streamed(order: unknown): Observable<unknown> {
    return new Observable((subscriber) => {
      observe("returned observable");
      if (order === "broken") subscriber.error(new TypeError("stock is undefined"));
      else subscriber.next(order);
      subscriber.complete();
    });
  }

  @MessagePattern("prices")
  price(order: unknown): unknown {
    observe("handler");
    if (order === "broken") return throwError(() => new RpcException("no price"));
    if (order === "pending") return this.pendingReply;
    return of(1, 2);
  }

  @EventPattern("twice")
  first(_order: unknown): void {
    observe("first handler");
  }

  @EventPattern("twice")
  second(_order: unknown): void {
    observe("second handler");
  }

  @MessagePattern("relayed")
  relayed(@Ctx() rpc: unknown): string {
    observe("handler");
    return trace.getSpanContext(extractRpcContext(rpc))?.spanId ?? "none";
  }
}

/** Nest's own server for Kafka without a connection: records are delivered by `deliver`. */
export class TestKafkaServer extends ServerKafka {
  readonly sent: unknown[] = [];

  constructor() {
    super({ consumer: { groupId: "shop" }, client: { clientId: "checkout", brokers: [] } });
  }

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
    const kafkaHeaders: Record<string, unknown> = Array.isArray(headers)
      ? Object.fromEntries(headers.map(([key, text]) => [key, Buffer.from(text)]))
      : { ...headers };
    if (reply) {
      kafkaHeaders.kafka_correlationId = Buffer.from("1");
      kafkaHeaders.kafka_replyTopic = Buffer.from(`${topic}.reply`);
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
        headers: kafkaHeaders,
      },
      heartbeat: async () => {},
      pause: () => () => {},
    } as never);
  }
}

interface StartOptions {
  /** Default: `TracingModule` alone. */
  readonly imports?: (DynamicModule | (new () => unknown))[];
  readonly interceptor?: boolean;
  readonly kafka?: TestKafkaServer;
}

interface StartedApp extends AsyncDisposable {
  readonly kafka: TestKafkaServer;
  readonly orders: Orders;
}

/** Starts a microservice over Kafka whose records the test delivers. */
export async function startKafka(options: StartOptions = {}): Promise<StartedApp> {
  const {
    imports = [TracingModule.forRoot()],
    interceptor = false,
    kafka = new TestKafkaServer(),
  } = options;
  @Module({ imports, controllers: [Orders] })
  class App {}
  const app = await NestFactory.createMicroservice(App, { strategy: kafka, logger: false });
  if (interceptor) app.useGlobalInterceptors(new TracingInterceptor());
  await app.listen();
  return { kafka, orders: app.get(Orders), [Symbol.asyncDispose]: () => app.close() };
}
