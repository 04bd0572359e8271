import { type Context, context, SpanKind, trace } from "@opentelemetry/api";
import { type ActiveSpan, Instrumenter, isTracingSuppressed } from "@traceferry/core";
import {
  grpcEndAttributes,
  grpcStatusName,
  isGrpcServerError,
  isSpanForMessage,
  type RpcServer,
  rpcSpanStart,
} from "../attributes.js";
import { property, type RpcMessage, rpcGetter, toRpcMessage } from "../carrier/index.js";
import { CALL_SETTINGS, MESSAGE_SETTINGS, type TracingModuleOptions } from "../options.js";
import { findHttp2Stream, type Http2Stream, sentStatus } from "./grpc-call.js";
import { findMessageScope, MessageScope } from "./message-scope.js";

/** A message for which a context is there, and what to note about it. */
interface StartedMessage {
  readonly context: Context;
  readonly scope: MessageScope;
}

/** Runs message handlers in their sender's trace, each inside a CONSUMER or SERVER span. */
export class RpcIncoming {
  // Only spans of messages link their sender as well: a call is its sender's child and no more.
  readonly #messageInstrumenter: Instrumenter<unknown>;
  readonly #callInstrumenter: Instrumenter<unknown>;

  /** @throws TypeError when an option is wrong; it names the option and its value. */
  constructor(options: TracingModuleOptions = {}) {
    this.#messageInstrumenter = new Instrumenter(MESSAGE_SETTINGS, options);
    this.#callInstrumenter = new Instrumenter(CALL_SETTINGS, options);
  }

  /**
   * Begins the span of a message; undefined where somebody takes care of it already, or where there is
   * nothing to read a sender from: a transport that is not known.
   *
   * @param rpc - what Nest gives hooks, or the call or context that it gives handlers
   */
  start(rpc: unknown, server: RpcServer, active: Context): StartedMessage | undefined {
    try {
      if (isTracingSuppressed(active)) return undefined;
      const message = toRpcMessage(rpc);
      if (message === undefined || findMessageScope(active, message.identity) !== undefined) {
        return undefined;
      }
      return this.#startMessage(rpc, message, server, active);
    } catch (error) {
      this.#callInstrumenter.reporter.fault("receive", error);
      return undefined;
    }
  }

  #startMessage(
    rpc: unknown,
    message: RpcMessage,
    server: RpcServer,
    active: Context,
  ): StartedMessage {
    const spanStart = rpcSpanStart(message, server, () => isEvent(message, server));
    const instrumenter =
      spanStart.kind === SpanKind.CONSUMER ? this.#messageInstrumenter : this.#callInstrumenter;
    const extraction = instrumenter.extract(message, rpcGetter, rpc, active);
    const ambientSpan = trace.getSpan(active);
    if (
      extraction.spanInProgress !== undefined ||
      (ambientSpan?.isRecording() && isSpanForMessage(ambientSpan, spanStart))
    ) {
      const scope = new MessageScope(message.identity);
      return { scope, context: scope.addTo(active) };
    }
    const activeSpan = instrumenter.startSpan(
      { ...spanStart, links: extraction.links, parent: extraction.parent },
      extraction,
    );
    const stream = findHttp2Stream(rpc);
    const { reporter } = instrumenter;
    const recordEnd = message.transport !== "grpc" ? recordMessageEnd : recordCallEnd(stream);
    const scope = new MessageScope(message.identity, { activeSpan, reporter, recordEnd });
    // Of a caller who has gone already nothing more would be heard: guards may have taken long.
    if (stream !== undefined && !stream.destroyed) {
      scope.retain();
      stream.once("close", () => scope.finish());
    }
    return { scope, context: scope.addTo(activeSpan.context) };
  }

  /** Runs what a processing hook is to call. Its promise is passed on: Kafka commits when it settles. */
  run(started: StartedMessage, done: () => unknown): unknown {
    const { scope } = started;
    let result: unknown;
    try {
      result = context.with(started.context, done);
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
function recordMessageEnd({ failed, error }: MessageScope, activeSpan: ActiveSpan): void {
  if (!failed) return;
  const message = error instanceof Error ? undefined : property(error, "message");
  activeSpan.fail(typeof message === "string" ? message : error);
}

const CANCELLED = 1;
const UNKNOWN = 2;

function recordCallEnd(
  stream: Http2Stream | undefined,
): (scope: MessageScope, activeSpan: ActiveSpan) => void {
  return (scope, activeSpan) => {
    const code = stream === undefined ? expectedStatus(scope) : (sentStatus(stream) ?? CANCELLED);
    const name = grpcStatusName(code);
    activeSpan.set(grpcEndAttributes(name));
    if (isGrpcServerError(name)) activeSpan.fail(scope.failed ? scope.error : name, name);
  };
}

/** What Nest makes of an error, without what filters of the user's do. */
function expectedStatus(scope: MessageScope): number {
  if (!scope.failed) return 0;
  const { error } = scope;
  const getError = property(error, "getError");
  // Only an RpcException may choose its status: the code of another error means something else, or another call's.
  if (typeof getError !== "function") return UNKNOWN;
  const code = property(Reflect.apply(getError, error, []), "code");
  return typeof code === "number" ? code : UNKNOWN;
}
