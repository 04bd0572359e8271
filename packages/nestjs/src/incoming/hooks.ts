import { context } from "@opentelemetry/api";
import type { RpcServer } from "../attributes.js";
import { property } from "../carrier/index.js";
import type { MessageScope } from "./message-scope.js";
import type { RpcIncoming } from "./rpc.js";

type Done = () => unknown;
type StartHook = (transport: unknown, rpc: unknown, done: Done) => unknown;
type EndHook = (transport: unknown, argument: unknown) => void;

/** A server of Nest, since 11.1.5: it has one slot for each hook, so that whoever comes must call the last. */
interface ServerWithHooks extends RpcServer {
  setOnProcessingStartHook(hook: StartHook): void;
  setOnProcessingEndHook(hook: EndHook): void;
  readonly onProcessingStartHook?: StartHook;
  readonly onProcessingEndHook?: EndHook;
}

/** Puts us into the processing hooks of Nest's servers. */
export class ProcessingHooks {
  readonly #rpc: RpcIncoming;
  readonly #startHooks = new WeakMap<object, StartHook>();
  readonly #endHooks = new WeakMap<object, EndHook>();
  readonly #scopes = new WeakMap<object, MessageScope>();

  constructor(rpc: RpcIncoming) {
    this.#rpc = rpc;
  }

  /** May be called again and again: where somebody has replaced us we are called around them. */
  install(server: unknown): void {
    if (!hasProcessingHooks(server)) return;
    if (
      server.onProcessingStartHook !== this.#startHooks.get(server) ||
      !this.#startHooks.has(server)
    ) {
      const start = this.#createStartHook(server, server.onProcessingStartHook ?? callDone);
      server.setOnProcessingStartHook(start);
      this.#startHooks.set(server, start);
    }
    if (server.onProcessingEndHook !== this.#endHooks.get(server) || !this.#endHooks.has(server)) {
      const end = this.#createEndHook(server, server.onProcessingEndHook);
      server.setOnProcessingEndHook(end);
      this.#endHooks.set(server, end);
    }
  }

  #createStartHook(server: ServerWithHooks, previous: StartHook): StartHook {
    return (transport, rpc, done) => {
      let handlerResult: unknown;
      const result = previous.call(server, transport, rpc, () => {
        handlerResult = this.#handle(server, rpc, done);
        return handlerResult;
      });
      // The type says void, yet kafkajs awaits what comes back: a hook that drops it would commit too early.
      return result ?? handlerResult;
    };
  }

  #handle(server: ServerWithHooks, rpc: unknown, done: Done): unknown {
    const started = this.#rpc.start(rpc, server, context.active());
    if (started === undefined) return done();
    const { scope } = started;
    scope.retain();
    // Since 12.0.4 the end hook runs once for each message; before, some get none and some get several.
    if ("runWithProcessingHooks" in server) {
      const argument = endHookArgument(rpc);
      if (argument !== undefined) this.#scopes.set(argument, scope);
      scope.retain();
    }
    return this.#rpc.run(started, done);
  }

  #createEndHook(server: ServerWithHooks, previous: EndHook | undefined): EndHook {
    return (transport, argument) => {
      try {
        previous?.call(server, transport, argument);
      } finally {
        this.#release(argument);
      }
    };
  }

  // By the hook's argument: the active context is that of whoever completed the handler's stream, who may
  // belong to another message.
  #release(argument: unknown): void {
    if (typeof argument !== "object" || argument === null) return;
    const scope = this.#scopes.get(argument);
    this.#scopes.delete(argument);
    scope?.release();
  }
}

/** What the end hook will be given: the context, but for gRPC the request, where there is one and no stream. */
function endHookArgument(rpc: unknown): object | undefined {
  const request = property(rpc, "operationId") === undefined ? undefined : property(rpc, "request");
  const argument = request ?? rpc;
  return typeof argument === "object" && argument !== null ? argument : undefined;
}

const callDone: StartHook = (_transport, _rpc, done) => done();

// Strategies of the user's need not extend Nest's server.
function hasProcessingHooks(server: unknown): server is ServerWithHooks {
  return (
    typeof property(server, "setOnProcessingStartHook") === "function" &&
    typeof property(server, "setOnProcessingEndHook") === "function"
  );
}
