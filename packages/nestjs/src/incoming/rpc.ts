import { type Context, context, SpanKind, trace } from "@opentelemetry/api";
import { type ActiveSpan, Instrumenter, isTracingSuppressed } from "@traceferry/core";
import {
  grpcEndAttributes,
  grpcStatusName,
  identifiesMessage,
  isGrpcServerError,
  type RpcServer,
  rpcSpanStart,
} from "../attributes.js";
import { property, type RpcMessage, rpcGetter, toRpcMessage } from "../carrier/index.js";
import { CALL_SETTINGS, MESSAGE_SETTINGS, type TracingModuleOptions } from "../options.js";
import { findHttp2Stream, type Http2Stream, sentStatus } from "./grpc-call.js";
import { findMessageScope, MessageScope } from "./message-scope.js";

/** A message whose handler is to run in the context. */
interface StartedMessage {
  readonly context: Context;
  readonly scope: MessageScope;
  /** True for a gRPC call whose span ends with its stream, which knows the status that was sent. */
  readonly endsWithStream: boolean;
}

/** Runs message handlers in their sender's trace, each inside a CONSUMER or SERVER span. */
export class RpcIncoming {
  // Only spans of messages link their sender too. The span of a call is just the sender's child.
  readonly #messageInstrumenter: Instrumenter<unknown>;
  readonly #callInstrumenter: Instrumenter<unknown>;

  /** @throws TypeError when an option is wrong; it names the option and its value. */
  constructor(options: TracingModuleOptions = {}) {
    this.#messageInstrumenter = new Instrumenter(MESSAGE_SETTINGS, options);
    this.#callInstrumenter = new Instrumenter(CALL_SETTINGS, options);
  }

  /**
   * Starts the span of a message. Returns undefined where tracing is suppressed, the message has a scope already,
   * or its transport is not known. Never throws: a fault is reported.
   *
   * @param rpc - the argument of Nest's processing hooks, or the gRPC call or RPC context of a handler
   * @param server - the server that received the message, or `{}` where it is not known
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
      this.#callInstrumenter.reporter.fault("start span", error);
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
      (ambientSpan?.isRecording() && identifiesMessage(ambientSpan, spanStart))
    ) {
      const scope = new MessageScope(message.identity);
      return { scope, context: scope.addTo(active), endsWithStream: false };
    }
    const activeSpan = instrumenter.startSpan(
      { ...spanStart, links: extraction.links, parent: extraction.parent },
      extraction,
    );
    const stream = message.transport === "grpc" ? findHttp2Stream(rpc) : undefined;
    const { reporter } = instrumenter;
    const recordEnd = message.transport !== "grpc" ? recordMessageEnd : recordCallEnd(stream);
    const scope = new MessageScope(message.identity, { activeSpan, reporter, recordEnd });
    // A stream that is destroyed emits no more "close": the caller left while guards ran.
    const endsWithStream = stream !== undefined && !stream.destroyed;
    if (endsWithStream) {
      scope.retain();
      stream.once("close", () => scope.finish());
    }
    return { scope, context: scope.addTo(activeSpan.context), endsWithStream };
  }

  /**
   * Runs the handler in the context of its message, and releases the scope when it is done. Returns its promise,
   * because Kafka commits the offset when that settles.
   */
  run(started: StartedMessage, done: () => unknown): unknown {
    const { scope, endsWithStream } = started;
    let result: unknown;
    try {
      result = context.with(started.context, done);
    } catch (error) {
      scope.recordError(error);
      if (!endsWithStream) scope.finish();
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
        // Another hook may have failed before it called the handler: then no end hook will come.
        if (!endsWithStream) scope.finish();
        throw error;
      },
    );
  }
}

// An event is a message whose handler gives no reply. The server knows the handlers, the message does not tell.
function isEvent({ destination }: RpcMessage, server: RpcServer): boolean {
  const { getHandlerByPattern } = server;
  if (typeof getHandlerByPattern !== "function") return false;
  const handler: unknown = Reflect.apply(getHandlerByPattern, server, [destination]);
  return typeof handler === "function" && Reflect.get(handler, "isEventHandler") === true;
}

// Without our interceptor only the `{ status, message }` is seen that Nest's exception filters make of an error.
function recordMessageEnd({ failed, error }: MessageScope, activeSpan: ActiveSpan): void {
  if (!failed) return;
  const message = error instanceof Error ? undefined : property(error, "message");
  activeSpan.fail(typeof message === "string" ? message : error);
}

// Status codes of gRPC.
const OK = 0;
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

// The status code that Nest sends for an error, where no exception filter of the user's changes it.
function expectedStatus(scope: MessageScope): number {
  if (!scope.failed) return OK;
  const { error } = scope;
  const getError = property(error, "getError");
  // Only an RpcException chooses the status. The code of another error may be that of a call the handler made.
  if (typeof getError !== "function") return UNKNOWN;
  const code = property(Reflect.apply(getError, error, []), "code");
  return typeof code === "number" ? code : UNKNOWN;
}
