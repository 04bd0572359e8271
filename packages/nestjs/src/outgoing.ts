import { type Context, context } from "@opentelemetry/api";
import { type Injection, Instrumenter } from "@traceferry/core";
import { instrumenterSettings } from "./options.js";

/** What a client of Nest sends, as it hands it to its transport. */
export interface Packet {
  readonly pattern: unknown;
  readonly data: unknown;
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Gives a copy of the packet with one value for each field of ours in its metadata, and none of an earlier
 * trace, in any letter case.
 */
export function writePacket<P extends Packet>(packet: P, injection: Injection): P {
  // Entries, because somebody's metadata may have a key `__proto__`.
  const kept = Object.entries(packet.metadata ?? {}).filter(
    ([name]) => !injection.stale.includes(name.toLowerCase()),
  );
  return { ...packet, metadata: Object.fromEntries([...kept, ...injection.fields]) };
}

const instrumenter = new Instrumenter(instrumenterSettings(true));

/**
 * Gives a copy of a packet with the trace context in its metadata, by the global propagator; where there is
 * nothing to send, the packet itself. TCP and Redis send the metadata of packets, since 12.0.4.
 *
 * @param from - the context to send; default the active one
 */
export function injectPacket<P extends Packet>(packet: P, from: Context = context.active()): P {
  const injection = instrumenter.inject(from);
  return injection === undefined ? packet : writePacket(packet, injection);
}
