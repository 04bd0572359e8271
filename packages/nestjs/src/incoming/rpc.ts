import { type Context, context, SpanKind, trace } from "@opentelemetry/api";
import { type ActiveSpan, Instrumenter, isTracingSuppressed } from "@traceferry/core";
import {
  grpcCode,
  grpcEnd,
  isAbout,
  isServerError,
  type RpcServer,
  rpcStart,
} from "../attributes.js";
import { property, type RpcMessage, rpcGetter, rpcMessage } from "../carrier/index.js";
import { instrumenterSettings, type TracingModuleOptions } from "../options.js";
import { type GrpcWire, sentStatus, wireOf } from "./grpc-call.js";
import { findMessageScope, MessageScope } from "./message-scope.js";

/** A message for which a context is there, and what to note about it. */
interface BegunMessage {
  readonly context: Context;
  readonly scope: MessageScope;
}

/** Runs message handlers in their sender's trace, each inside a CONSUMER or SERVER span. */
export class RpcIncoming {
  // Only spans of messages link their sender as well: a call is its sender's child and no more.
  readonly #messages: Instrumenter<unknown>;
  readonly #calls: Instrumenter<unknown>;

  /** @throws TypeError when an option is wrong; it names the option and its value. */
  constructor(options: TracingModuleOptions = {}) {
    this.#messages = new Instrumenter(instrumenterSettings(true), options);
    this.#calls = new Instrumenter(instrumenterSettings(false), options);
  }

  /**
   * Begins the span of a message; undefined where somebody takes care of it already, or where there is
   * nothing to read a sender from: a transport that is not known.
   *
   * @param rpc - what Nest gives hooks, or the call or context that it gives handlers
   */
  begin(rpc: unknown, server: RpcServer, active: Context): BegunMessage | undefined {
    try {
      if (isTracingSuppressed(active)) return undefined;
      const message = rpcMessage(rpc);
      if (message === undefined || findMessageScope(active, message.identity) !== undefined) {
        return undefined;
      }
      return this.#begin(rpc, message, server, active);
    } catch (error) {
      this.#calls.reporter.fault("receive", error);
      return undefined;
    }
  }

  #begin(rpc: unknown, message: RpcMessage, server: RpcServer, active: Context): BegunMessage {
    const start = rpcStart(message, server, () => isEvent(message, server));
    const instrumenter = start.kind === SpanKind.CONSUMER ? this.#messages : this.#calls;
    const extraction = instrumenter.extract(message, rpcGetter, rpc, active);
    const around = trace.getSpan(active);
    if (
      extraction.spanInProgress !== undefined ||
      (around?.isRecording() && isAbout(around, start))
    ) {
      const scope = new MessageScope(message.identity);
      return { scope, context: scope.addTo(active) };
    }
    const open = instrumenter.startSpan(
      { ...start, links: extraction.links, parent: extraction.parent },
      extraction,
    );
    const wire = wireOf(rpc);
    const { reporter } = instrumenter;
    const recordEnd = message.transport !== "grpc" ? recordMessageEnd : recordCallEnd(wire);
    const scope = new MessageScope(message.identity, { open, reporter, recordEnd });
    // Of a caller who has gone already nothing more would be heard: guards may have taken long.
    if (wire !== undefined && !wire.destroyed) {
      scope.retain();
      wire.once("close", () => scope.finish());
    }
    return { scope, context: scope.addTo(open.context) };
  }

  /** Runs what a processing hook is to call. Its promise is passed on: Kafka commits when it settles. */
  run(begun: BegunMessage, done: () => unknown): unknown {
    const { scope } = begun;
    let result: unknown;
    try {
      result = context.with(begun.context, done);
    } catch (error) {
      scope.recordError(error);
      scope.finish();
      throw error;
    }
    if (!(result instanceof Promise)) {
      scope.release();
      return result;
    }
    return result.then(
      (value: unknown) => {
        scope.release();
        return value;
      },
      (error: unknown) => {
        scope.recordError(error);
        // A hook of somebody else's may have failed in the handler's stead: then no end hook will come.
        scope.finish();
        throw error;
      },
    );
  }
}

/** Whether the handler of a message gives no answer; that is what an event is in Nest. */
function isEvent({ destination }: RpcMessage, server: RpcServer): boolean {
  const { getHandlerByPattern } = server;
  if (typeof getHandlerByPattern !== "function") return false;
  const handler: unknown = Reflect.apply(getHandlerByPattern, server, [destination]);
  return typeof handler === "function" && Reflect.get(handler, "isEventHandler") === true;
}

// Nest's filters make `{ status, message }` of an error: all that is seen where no interceptor is.
function recordMessageEnd({ failed, error }: MessageScope, open: ActiveSpan): void {
  if (!failed) return;
  const message = error instanceof Error ? undefined : property(error, "message");
  open.fail(typeof message === "string" ? message : error);
}

const CANCELLED = 1;
const UNKNOWN = 2;

function recordCallEnd(
  wire: GrpcWire | undefined,
): (scope: MessageScope, open: ActiveSpan) => void {
  return (scope, open) => {
    const code = wire === undefined ? guessStatus(scope) : (sentStatus(wire) ?? CANCELLED);
    const name = grpcCode(code);
    open.set(grpcEnd(name));
    if (isServerError(name)) open.fail(scope.failed ? scope.error : name, name);
  };
}

/** What Nest makes of an error, without what filters of the user's do. */
function guessStatus(scope: MessageScope): number {
  if (!scope.failed) return 0;
  const { error } = scope;
  const getError = property(error, "getError");
  // Only an RpcException may choose its status: the code of another error means something else, or another call's.
  if (typeof getError !== "function") return UNKNOWN;
  const code = property(Reflect.apply(getError, error, []), "code");
  return typeof code === "number" ? code : UNKNOWN;
}
