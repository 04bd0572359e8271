import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  Optional,
} from "@nestjs/common";
import { context } from "@opentelemetry/api";
import { Observable } from "rxjs";
import { property } from "../carrier/index.js";
import { TRACING_OPTIONS, type TracingModuleOptions } from "../options.js";
import { type HttpExchange, HttpIncoming } from "./http.js";
import { findMessageScope, type MessageScope } from "./message-scope.js";
import { RpcIncoming } from "./rpc.js";

/**
 * Records on the span of a request or message the error that its handler throws. Where there is no span, because
 * `TracingModule` is not imported, it starts one in the sender's trace and runs the handler in it; middleware and
 * guards, which run before interceptors, are not in that span.
 */
@Injectable()
export class TracingInterceptor implements NestInterceptor {
  readonly #http: HttpIncoming;
  readonly #rpc: RpcIncoming;

  /** @throws TypeError when an option is wrong; it names the option and its value. */
  constructor(
    @Optional() @Inject(TRACING_OPTIONS) options: TracingModuleOptions = {},
    @Optional() @Inject(HttpIncoming) http: HttpIncoming = new HttpIncoming(options),
    @Optional() @Inject(RpcIncoming) rpc: RpcIncoming = new RpcIncoming(options),
  ) {
    this.#http = http;
    this.#rpc = rpc;
  }

  /** Called by Nest, around each handler. */
  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    switch (execution.getType()) {
      case "http":
        return this.#interceptRequest(httpExchangeOf(execution), next);
      case "rpc":
        return this.#interceptMessage(execution, next);
      default:
        return next.handle();
    }
  }

  #interceptRequest(exchange: HttpExchange | undefined, next: CallHandler): Observable<unknown> {
    if (exchange === undefined) return next.handle();
    const active = context.active();
    const scope = findMessageScope(active, exchange.request);
    if (scope !== undefined) return withErrorsRecorded(scope, next);
    // The handler runs at the subscription, which comes long after this call, so the context is set there.
    return new Observable((subscriber) => {
      const requestContext = this.#http.start(exchange, active);
      const scope = findMessageScope(requestContext, exchange.request);
      return context.with(requestContext, () =>
        (scope === undefined ? next.handle() : withErrorsRecorded(scope, next)).subscribe(
          subscriber,
        ),
      );
    });
  }

  #interceptMessage(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const active = context.active();
    const rpc = rpcContextOf(execution);
    const scope = findMessageScope(active, messageIdentityOf(rpc));
    if (scope !== undefined) return withErrorsRecorded(scope, next);
    return new Observable((subscriber) => {
      const started = this.#rpc.start(rpc, {}, active);
      if (started === undefined) return next.handle().subscribe(subscriber);
      return context.with(started.context, () =>
        withErrorsRecorded(started.scope, next).subscribe(subscriber),
      );
    });
  }
}

// Keeps the span open until the handler's stream is done, and records its error.
function withErrorsRecorded(scope: MessageScope, next: CallHandler): Observable<unknown> {
  return new Observable((subscriber) => {
    scope.retain();
    const subscription = next.handle().subscribe({
      next: (value) => subscriber.next(value),
      error: (error: unknown) => {
        scope.recordError(error);
        subscriber.error(error);
      },
      complete: () => subscriber.complete(),
    });
    subscription.add(() => scope.release());
    return subscription;
  });
}

// Fastify has Node's own objects under `raw`.
function httpExchangeOf(execution: ExecutionContext): HttpExchange | undefined {
  const http = execution.switchToHttp();
  const frameworkRequest = http.getRequest<unknown>();
  const frameworkResponse = http.getResponse<unknown>();
  const request = property(frameworkRequest, "raw") ?? frameworkRequest;
  const response = property(frameworkResponse, "raw") ?? frameworkResponse;
  return isRequest(request) && isResponse(response)
    ? { request, response, frameworkRequest }
    : undefined;
}

function isRequest(value: unknown): value is IncomingMessage {
  return typeof property(value, "headers") === "object" && property(value, "socket") !== undefined;
}

function isResponse(value: unknown): value is ServerResponse {
  return typeof property(value, "setHeader") === "function";
}

// Returns the gRPC call, whose place among the arguments depends on the kind of method, or else the RPC context.
function rpcContextOf(execution: ExecutionContext): unknown {
  const call = execution
    .getArgs()
    .find((arg) => property(arg, "metadata") !== undefined && property(arg, "call") !== undefined);
  return call ?? execution.switchToRpc().getContext();
}

// Agrees with the `identity` of `toRpcMessage`.
function messageIdentityOf(rpc: unknown): object {
  const metadata = property(rpc, "metadata");
  if (typeof metadata === "object" && metadata !== null) return metadata;
  return typeof rpc === "object" && rpc !== null ? rpc : {};
}
