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
 * Notes on a message's span what its handler throws. Where nobody made a span, because the module is not there,
 * it makes one, and the handler runs in its sender's trace; what runs before interceptors, guards for one,
 * does not then.
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

  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    switch (execution.getType()) {
      case "http":
        return this.#request(exchangeOf(execution), next);
      case "rpc":
        return this.#message(execution, next);
      default:
        return next.handle();
    }
  }

  #request(exchange: HttpExchange | undefined, next: CallHandler): Observable<unknown> {
    if (exchange === undefined) return next.handle();
    const active = context.active();
    const scope = findMessageScope(active, exchange.request);
    if (scope !== undefined) return withErrorsRecorded(scope, next);
    // Subscribed inside: Nest subscribes to the handler's stream long after `handle` was called.
    return new Observable((subscriber) => {
      const begun = this.#http.begin(exchange, active);
      const made = findMessageScope(begun, exchange.request);
      return context.with(begun, () =>
        (made === undefined ? next.handle() : withErrorsRecorded(made, next)).subscribe(subscriber),
      );
    });
  }

  #message(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const active = context.active();
    const rpc = rpcOf(execution);
    const scope = findMessageScope(active, identityOf(rpc));
    if (scope !== undefined) return withErrorsRecorded(scope, next);
    return new Observable((subscriber) => {
      const begun = this.#rpc.begin(rpc, {}, active);
      if (begun === undefined) return next.handle().subscribe(subscriber);
      return context.with(begun.context, () =>
        withErrorsRecorded(begun.scope, next).subscribe(subscriber),
      );
    });
  }
}

/** Holds the span of a message until its handler's stream is done, and notes how that failed. */
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

// Fastify keeps Node's own objects under `raw`.
function exchangeOf(execution: ExecutionContext): HttpExchange | undefined {
  const http = execution.switchToHttp();
  const routed = http.getRequest<unknown>();
  const answer = http.getResponse<unknown>();
  const request = property(routed, "raw") ?? routed;
  const response = property(answer, "raw") ?? answer;
  return isRequest(request) && isResponse(response) ? { request, response, routed } : undefined;
}

function isRequest(value: unknown): value is IncomingMessage {
  return typeof property(value, "headers") === "object" && property(value, "socket") !== undefined;
}

function isResponse(value: unknown): value is ServerResponse {
  return typeof property(value, "setHeader") === "function";
}

/** The call of gRPC, which lies where its kind of method puts it; else the context of the message. */
function rpcOf(execution: ExecutionContext): unknown {
  const call = execution
    .getArgs()
    .find((arg) => property(arg, "metadata") !== undefined && property(arg, "call") !== undefined);
  return call ?? execution.switchToRpc().getContext();
}

function identityOf(rpc: unknown): object {
  const metadata = property(rpc, "metadata");
  if (typeof metadata === "object" && metadata !== null) return metadata;
  return typeof rpc === "object" && rpc !== null ? rpc : {};
}
