import {
  context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  propagation,
  ROOT_CONTEXT,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import { z } from "zod";
import { Scope } from "../engines/scope.js";
import type { Peer } from "../peers/peer.js";
import { RoleProcess } from "../topology/process.js";

/** What a sender has to say. */
export interface Sent {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
  readonly baggage: Readonly<Record<string, string>>;
}

/** What a reader made of headers. */
interface Read {
  /** Undefined when it did not take the sender. */
  readonly traceId: string | undefined;
  readonly flags: number | undefined;
  readonly baggage: Readonly<Record<string, string>>;
}

/** Somebody's propagators: what they write, and what they read. */
export interface Propagators extends AsyncDisposable {
  write(sent: Sent): Promise<Readonly<Record<string, string>>>;
  read(headers: Readonly<Record<string, string>>): Promise<Read>;
}

const READY_MS = 60_000;
const NOBODY = /^0*$/;

const written = z.record(z.string(), z.string());
const understood = z.object({
  traceId: z.string().nullish(),
  flags: z.number().int().nullish(),
  baggage: z.record(z.string(), z.string()),
});

/** A program of a peer while it runs. */
interface Program extends AsyncDisposable {
  /** `host:port`, where it serves. */
  readonly address: string;
}

/** Builds and starts one program of a peer that is no role. */
export async function startProgram(
  peer: Peer,
  program: string,
  name: string,
  env: Readonly<Record<string, string>>,
): Promise<Program> {
  await using stack = new AsyncDisposableStack();
  const scope = new Scope(() => undefined, undefined);
  stack.defer(() => scope.end());
  const folder = await peer.build(scope);
  const child = new RoleProcess(name, peer.command(folder, program), env);
  stack.defer(() => child.stop());
  const { outside } = await child.ready(READY_MS);
  const running = stack.move();
  return { address: outside, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** The propagators of another language, in the program it has for that. */
export async function startPropagators(
  peer: Peer,
  program: string,
  name: string,
): Promise<Propagators> {
  const running = await startProgram(peer, program, name, { OTEL_TRACES_EXPORTER: "none" });
  const ask = async <T>(path: string, body: object, answer: z.ZodType<T>): Promise<T> => {
    const response = await fetch(`http://${running.address}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return answer.parse(await response.json());
  };
  return {
    write: (sent) => ask("/inject", sent, written),
    read: async (headers) => {
      const { traceId, flags, baggage } = await ask("/extract", { headers }, understood);
      const taken = !NOBODY.test(traceId ?? "");
      return {
        traceId: taken ? (traceId ?? undefined) : undefined,
        flags: taken ? (flags ?? undefined) : undefined,
        baggage,
      };
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** A propagator of this process. */
export function ownPropagators(propagator: TextMapPropagator): Propagators {
  return {
    write: async ({ traceId, spanId, flags, baggage }) => {
      const entries = Object.fromEntries(
        Object.entries(baggage).map(([key, value]) => [key, { value }]),
      );
      const sender = propagation.setBaggage(
        trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags }),
        propagation.createBaggage(entries),
      );
      const headers: Record<string, string> = {};
      propagator.inject(sender, headers, defaultTextMapSetter);
      return headers;
    },
    read: async (headers) => {
      const read = propagator.extract(context.active(), headers, defaultTextMapGetter);
      const sender = trace.getSpanContext(read);
      const entries = propagation.getBaggage(read)?.getAllEntries() ?? [];
      return {
        traceId: sender?.traceId,
        flags: sender?.traceFlags,
        baggage: Object.fromEntries(entries.map(([key, { value }]) => [key, value])),
      };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}
