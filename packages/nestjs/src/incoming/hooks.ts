import { context } from "@opentelemetry/api";
import type { RpcServer } from "../attributes.js";
import { property } from "../carrier/index.js";
import type { MessageScope } from "./message-scope.js";
import type { RpcIncoming } from "./rpc.js";

// The signatures of Nest's hooks. `done` runs the handler.
type Done = () => unknown;
type StartHook = (transport: unknown, rpc: unknown, done: Done) => unknown;
type EndHook = (transport: unknown, argument: unknown) => void;

// A server of Nest since 11.1.5. It has one slot for each hook, so each new hook has to call the previous one.
interface ServerWithHooks extends RpcServer {
  setOnProcessingStartHook(hook: StartHook): void;
  setOnProcessingEndHook(hook: EndHook): void;
  readonly onProcessingStartHook?: StartHook;
  readonly onProcessingEndHook?: EndHook;
}

/** Installs the processing hooks, which start and end the spans of messages, in Nest's servers. */
export class ProcessingHooks {
  readonly #rpc: RpcIncoming;
  readonly #startHooks = new WeakMap<object, StartHook>();
  readonly #endHooks = new WeakMap<object, EndHook>();
  readonly #scopes = new WeakMap<object, MessageScope>();

  constructor(rpc: RpcIncoming) {
    this.#rpc = rpc;
  }

  /**
   * Installs the hooks in a server, around those that it has. May be called again: hooks that are still in place
   * stay, and around hooks that other code has set since, new ones are installed.
   */
  install(server: unknown): void {
    if (!hasProcessingHooks(server)) return;
    const onProcessingStartHook = server.onProcessingStartHook ?? callDone;
    if (onProcessingStartHook !== this.#startHooks.get(server)) {
      const startHook = this.#createStartHook(server, onProcessingStartHook);
      server.setOnProcessingStartHook(startHook);
      this.#startHooks.set(server, startHook);
    }
    const { onProcessingEndHook } = server;
    if (onProcessingEndHook === undefined || onProcessingEndHook !== this.#endHooks.get(server)) {
      const endHook = this.#createEndHook(server, onProcessingEndHook);
      server.setOnProcessingEndHook(endHook);
      this.#endHooks.set(server, endHook);
    }
  }

  #createStartHook(server: ServerWithHooks, previous: StartHook): StartHook {
    return (transport, rpc, done) => {
      let handlerResult: unknown;
      const result = previous.call(server, transport, rpc, () => {
        handlerResult = this.#handle(server, rpc, done);
        return handlerResult;
      });
      // Hooks are typed to return nothing, but kafkajs awaits the result: without it offsets are committed too early.
      return result ?? handlerResult;
    };
  }

  #handle(server: ServerWithHooks, rpc: unknown, done: Done): unknown {
    const started = this.#rpc.start(rpc, server, context.active());
    if (started === undefined) return done();
    const { scope } = started;
    scope.retain();
    // Since Nest 12.0.4 the end hook runs once for each message. Before, it may run never or several times.
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

  // Found by the hook's argument, because the active context is that of whoever completed the handler's stream,
  // which may be another message's.
  #release(argument: unknown): void {
    if (typeof argument !== "object" || argument === null) return;
    const scope = this.#scopes.get(argument);
    this.#scopes.delete(argument);
    scope?.release();
  }
}

// Returns the argument that Nest will call the end hook with: for gRPC the request, unless it is a stream, else the
// RPC context.
function endHookArgument(rpc: unknown): object | undefined {
  const request = property(rpc, "operationId") === undefined ? undefined : property(rpc, "request");
  const argument = request ?? rpc;
  return typeof argument === "object" && argument !== null ? argument : undefined;
}

const callDone: StartHook = (_transport, _rpc, done) => done();

// A custom transport strategy need not extend Nest's server.
function hasProcessingHooks(server: unknown): server is ServerWithHooks {
  return (
    typeof property(server, "setOnProcessingStartHook") === "function" &&
    typeof property(server, "setOnProcessingEndHook") === "function"
  );
}
