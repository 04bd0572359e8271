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

/** The context that a sender injects. */
export interface SenderFields {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
  readonly baggage: Readonly<Record<string, string>>;
}

/** The context that a receiver extracted. */
interface ExtractedFields {
  /** Undefined when it rejected the headers. */
  readonly traceId: string | undefined;
  readonly flags: number | undefined;
  readonly baggage: Readonly<Record<string, string>>;
}

/** The propagators of one implementation of OpenTelemetry. */
export interface Propagators extends AsyncDisposable {
  /** Injects a sender into headers. */
  inject(sent: SenderFields): Promise<Readonly<Record<string, string>>>;
  /** Extracts the sender from headers. */
  extract(headers: Readonly<Record<string, string>>): Promise<ExtractedFields>;
}

const READY_MS = 60_000;
const ZERO_TRACE_ID = /^0*$/;

const injectReply = z.record(z.string(), z.string());
const extractReply = z.object({
  traceId: z.string().nullish(),
  flags: z.number().int().nullish(),
  baggage: z.record(z.string(), z.string()),
});

/** A program of a peer while it runs. */
interface Program extends AsyncDisposable {
  /** `host:port` where it serves. */
  readonly address: string;
}

/** Builds and starts a program of a peer that is not a role. */
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

/** Starts the program with the propagators of another language. */
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
    inject: (sent) => ask("/inject", sent, injectReply),
    extract: async (headers) => {
      const { traceId, flags, baggage } = await ask("/extract", { headers }, extractReply);
      const isExtracted = !ZERO_TRACE_ID.test(traceId ?? "");
      return {
        traceId: isExtracted ? (traceId ?? undefined) : undefined,
        flags: isExtracted ? (flags ?? undefined) : undefined,
        baggage,
      };
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** The propagators of this process. */
export function ownPropagators(propagator: TextMapPropagator): Propagators {
  return {
    inject: async ({ traceId, spanId, flags, baggage }) => {
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
    extract: async (headers) => {
      const extracted = propagator.extract(context.active(), headers, defaultTextMapGetter);
      const sender = trace.getSpanContext(extracted);
      const entries = propagation.getBaggage(extracted)?.getAllEntries() ?? [];
      return {
        traceId: sender?.traceId,
        flags: sender?.traceFlags,
        baggage: Object.fromEntries(entries.map(([key, { value }]) => [key, value])),
      };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}
