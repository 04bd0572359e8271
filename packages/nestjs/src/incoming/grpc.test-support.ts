import { EventEmitter, once } from "node:events";
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
import type { Sender } from "@traceferry/testkit";
import { concatMap, EMPTY, from, NEVER, Observable, of, Subject, throwError } from "rxjs";
import { TracingModule } from "../module.js";
import {
  OrdersClient,
  ordersServiceOptions,
  type Text,
  toMetadata,
} from "../orders-service.test-support.js";
import { observe } from "../recording.test-support.js";
import { TracingInterceptor } from "./interceptor.js";

/** The replies of the calls whose text begins with "pending", for the tests to complete. */
export const pendingReplies = new Map<string, Subject<Text>>();

@Injectable()
class RejectingGuard implements CanActivate {
  async canActivate(execution: { getArgs(): unknown[] }): Promise<boolean> {
    observe("guard");
    const [request, , call] = execution.getArgs();
    if (typeof request !== "object" || request === null || !("text" in request)) return true;
    // Holds the call until its caller has cancelled.
    if (request.text === "late" && call instanceof EventEmitter) await once(call, "cancelled");
    return request.text !== "forbidden";
  }
}

@Catch(RangeError)
class OutOfRangeFilter implements ExceptionFilter {
  catch(error: RangeError): Observable<never> {
    observe("filter");
    return throwError(() => ({ code: status.OUT_OF_RANGE, message: error.message }));
  }
}

@Controller()
@UseGuards(RejectingGuard)
@UseFilters(OutOfRangeFilter)
class Orders {
  @GrpcMethod("Orders", "Place")
  place({ text }: Text): unknown {
    observe("handler");
    if (text === "never") return NEVER;
    if (text === "range") throw new RangeError("no such size");
    if (text === "missing") throw new RpcException({ code: status.NOT_FOUND, message: "no" });
    if (text === "words") throw new RpcException({ code: "5", message: "no" });
    if (text === "fraction") throw new RpcException({ code: 5.5, message: "no" });
    if (text === "downstream") throw Object.assign(new Error("no"), { code: status.NOT_FOUND });
    if (text === "object") return throwError(() => ({ code: status.NOT_FOUND, message: "no" }));
    if (text === "broken") throw new TypeError("stock is undefined");
    if (text.startsWith("pending")) {
      const reply = new Subject<Text>();
      pendingReplies.set(text, reply);
      return reply;
    }
    return new Promise(setImmediate).then(() => {
      observe("handler after await");
      return { text };
    });
  }

  @GrpcMethod("Orders", "Watch")
  watch({ text }: Text): Observable<Text> {
    if (text === "nothing") return EMPTY;
    if (text === "breaks") {
      return from([of({ text: "1" }), throwError(() => new TypeError("stock is undefined"))]).pipe(
        concatMap((part) => part),
      );
    }
    return from([{ text: "1" }, { text: "2" }]).pipe(
      concatMap((part) => new Promise(setImmediate).then(() => part)),
    );
  }

  @GrpcStreamCall("Orders", "Tally")
  tally(call: ServerReadableStream<Text, Text>, reply: (error: null, text: Text) => void): void {
    let messages = 0;
    call.on("data", () => messages++);
    call.on("end", () => reply(null, { text: `${messages}` }));
  }

  @GrpcStreamMethod("Orders", "Collect")
  collect(messages: Observable<Text>): Observable<Text> {
    observe("stream handler");
    return new Observable((subscriber) =>
      messages.subscribe({
        next: () => observe("request message"),
        complete: () => {
          subscriber.next({ text: "all" });
          subscriber.complete();
        },
      }),
    );
  }
}

/** A microservice that listens, and a client of it. */
export class StartedApp implements AsyncDisposable {
  readonly #app: INestMicroservice;
  readonly client: OrdersClient;

  constructor(app: INestMicroservice, port: number) {
    this.#app = app;
    this.client = new OrdersClient(port);
  }

  call(text: string, from?: Sender): Promise<string> {
    return this.client.place(text, toMetadata(from?.headers ?? []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.#app.close();
  }
}

/** Starts a microservice over gRPC, and a client of it. */
export async function startGrpc(
  tracedBy: "module" | "interceptor" | "both" = "module",
  interceptors: ServerInterceptor[] = [],
): Promise<StartedApp> {
  pendingReplies.clear();
  @Module({
    imports: tracedBy === "interceptor" ? [] : [TracingModule.forRoot()],
    controllers: [Orders],
  })
  class App {}
  const { options, port } = ordersServiceOptions(interceptors);
  const app = await NestFactory.createMicroservice(App, { ...options, logger: false });
  if (tracedBy !== "module") app.useGlobalInterceptors(new TracingInterceptor());
  await app.listen();
  return new StartedApp(app, await port);
}
