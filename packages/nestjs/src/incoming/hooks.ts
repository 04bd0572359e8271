import { context } from "@opentelemetry/api";
import type { RpcServer } from "../attributes.js";
import { property } from "../carrier/index.js";
import type { MessageScope } from "./message-scope.js";
import type { RpcIncoming } from "./rpc.js";

type Done = () => unknown;
type StartHook = (transport: unknown, rpc: unknown, done: Done) => unknown;
type EndHook = (transport: unknown, subject: unknown) => void;

/** A server of Nest, since 11.1.5: it has one slot for each hook, so that whoever comes must call the last. */
interface HookedServer extends RpcServer {
  setOnProcessingStartHook(hook: StartHook): void;
  setOnProcessingEndHook(hook: EndHook): void;
  readonly onProcessingStartHook?: StartHook;
  readonly onProcessingEndHook?: EndHook;
}

/** Puts us into the processing hooks of Nest's servers. */
export class ProcessingHooks {
  readonly #rpc: RpcIncoming;
  readonly #starts = new WeakMap<object, StartHook>();
  readonly #ends = new WeakMap<object, EndHook>();
  readonly #scopes = new WeakMap<object, MessageScope>();

  constructor(rpc: RpcIncoming) {
    this.#rpc = rpc;
  }

  /** May be called again and again: where somebody has replaced us we are called around them. */
  install(server: unknown): void {
    if (!isHooked(server)) return;
    if (server.onProcessingStartHook !== this.#starts.get(server) || !this.#starts.has(server)) {
      const start = this.#start(server, server.onProcessingStartHook ?? runDone);
      server.setOnProcessingStartHook(start);
      this.#starts.set(server, start);
    }
    if (server.onProcessingEndHook !== this.#ends.get(server) || !this.#ends.has(server)) {
      const end = this.#end(server, server.onProcessingEndHook);
      server.setOnProcessingEndHook(end);
      this.#ends.set(server, end);
    }
  }

  #start(server: HookedServer, previous: StartHook): StartHook {
    return (transport, rpc, done) => {
      let own: unknown;
      const result = previous.call(server, transport, rpc, () => {
        own = this.#process(server, rpc, done);
        return own;
      });
      // The type says void, yet kafkajs awaits what comes back: a hook that drops it would commit too early.
      return result ?? own;
    };
  }

  #process(server: HookedServer, rpc: unknown, done: Done): unknown {
    const begun = this.#rpc.begin(rpc, server, context.active());
    if (begun === undefined) return done();
    const { scope } = begun;
    scope.retain();
    // Since 12.0.4 the end hook runs once for each message; before, some get none and some get several.
    if ("runWithProcessingHooks" in server) {
      const subject = subjectOf(rpc);
      if (subject !== undefined) this.#scopes.set(subject, scope);
      scope.retain();
    }
    return this.#rpc.run(begun, done);
  }

  #end(server: HookedServer, previous: EndHook | undefined): EndHook {
    return (transport, subject) => {
      try {
        previous?.call(server, transport, subject);
      } finally {
        this.#release(subject);
      }
    };
  }

  // By the hook's argument: the active context is that of whoever completed the handler's stream, who may
  // belong to another message.
  #release(subject: unknown): void {
    if (typeof subject !== "object" || subject === null) return;
    const scope = this.#scopes.get(subject);
    this.#scopes.delete(subject);
    scope?.release();
  }
}

/** What the end hook will be given: the context, but for gRPC the request, where there is one and no stream. */
function subjectOf(rpc: unknown): object | undefined {
  const request = property(rpc, "operationId") === undefined ? undefined : property(rpc, "request");
  const subject = request ?? rpc;
  return typeof subject === "object" && subject !== null ? subject : undefined;
}

const runDone: StartHook = (_transport, _rpc, done) => done();

// Strategies of the user's need not extend Nest's server.
function isHooked(server: unknown): server is HookedServer {
  return (
    typeof property(server, "setOnProcessingStartHook") === "function" &&
    typeof property(server, "setOnProcessingEndHook") === "function"
  );
}
