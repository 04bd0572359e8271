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
import { concatMap, from, NEVER, Observable, of, Subject, throwError } from "rxjs";
import { TracingModule } from "../module.js";
import { look } from "../recorded.test-support.js";
import { metadataOf, ShopClient, shopOptions, type Text } from "../shop.test-support.js";
import { TracingInterceptor } from "./interceptor.js";

export const doors = new Map<string, Subject<Text>>();

@Injectable()
class Doorman implements CanActivate {
  async canActivate(execution: { getArgs(): unknown[] }): Promise<boolean> {
    look("guard");
    const [request, , call] = execution.getArgs();
    if (typeof request !== "object" || request === null || !("text" in request)) return true;
    // Lets the call wait until its caller has gone.
    if (request.text === "late" && call instanceof EventEmitter) await once(call, "cancelled");
    return request.text !== "intruder";
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
    if (text === "words") throw new RpcException({ code: "5", message: "no" });
    if (text === "fraction") throw new RpcException({ code: 5.5, message: "no" });
    if (text === "downstream") throw Object.assign(new Error("no"), { code: status.NOT_FOUND });
    if (text === "object") return throwError(() => ({ code: status.NOT_FOUND, message: "no" }));
    if (text === "broken") throw new TypeError("stock is undefined");
    if (text.startsWith("door")) {
      const door = new Subject<Text>();
      doors.set(text, door);
      return door;
    }
    return new Promise(setImmediate).then(() => {
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
    return from([{ text: "1" }, { text: "2" }]).pipe(
      concatMap((part) => new Promise(setImmediate).then(() => part)),
    );
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

export class Started implements AsyncDisposable {
  readonly #app: INestMicroservice;
  readonly client: ShopClient;

  constructor(app: INestMicroservice, port: number) {
    this.#app = app;
    this.client = new ShopClient(port);
  }

  call(text: string, from?: Sender): Promise<string> {
    return this.client.place(text, metadataOf(from?.headers ?? []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.#app.close();
  }
}

/** A microservice with a client of its own. */
export async function startGrpc(
  how: "module" | "interceptor" | "both" = "module",
  interceptors: ServerInterceptor[] = [],
): Promise<Started> {
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
