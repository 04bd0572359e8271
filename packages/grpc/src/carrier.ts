import { type Context, context } from "@opentelemetry/api";
import {
  type Injection,
  Instrumenter,
  type Reporter,
  SanitizingGetter,
  withoutSpan,
} from "@traceferry/core";
import { type IncomingCall, SETTINGS } from "./options.js";

// Nothing here may need grpc-js: this file is an entry of its own, for applications that do not have it.

/** As much of a grpc-js `Metadata` as context needs. Any copy and any version of grpc-js makes such objects. */
export interface MetadataLike {
  get(key: string): readonly (string | Uint8Array)[];
  getMap(): Readonly<Record<string, unknown>>;
  set(key: string, value: string): void;
  remove(key: string): void;
}

/**
 * Reads metadata. grpc-js has folded the keys to lower case already, and Node has joined what a client sent
 * twice, `"a, b"`; in metadata that never left the process repeated values still stand one by one.
 */
export const metadataGetter: SanitizingGetter<MetadataLike> = new SanitizingGetter({
  read: (metadata, key) => metadata.get(key),
  keys: (metadata) => Object.keys(metadata.getMap()),
});

/**
 * Gives a clone of the metadata with one value for each field of ours and none of an earlier trace. A field
 * that gRPC does not allow is reported and left out.
 */
export function writeMetadata<M extends MetadataLike>(
  metadata: M & { clone(): M },
  injection: Injection,
  reporter: Reporter,
): M {
  const copy = metadata.clone();
  for (const name of injection.stale) copy.remove(name);
  for (const [name, value] of injection.fields) {
    try {
      copy.set(name, value);
    } catch (error) {
      reporter.fault("inject", error);
    }
  }
  return copy;
}

const instrumenter = new Instrumenter<IncomingCall | undefined>(SETTINGS);

/**
 * Gives a clone of the metadata with the trace context in it, by the global propagator; where there is none,
 * a plain clone. For calls that are made by code of your own: clients in `withClientTracing` do it themselves.
 *
 * @param from - the context to send; default the active one
 */
export function injectMetadata<M extends MetadataLike>(
  metadata: M & { clone(): M },
  from: Context = context.active(),
): M {
  const injection = instrumenter.inject(from);
  return injection === undefined
    ? metadata.clone()
    : writeMetadata<M>(metadata, injection, instrumenter.reporter);
}

/**
 * Gives the context that came with the metadata, by the global propagator: the sender's span and baggage in
 * `base`, whose own span and baggage are gone also where no sender is found.
 *
 * @param base - what else to keep; default the active context
 */
export function extractMetadata(metadata: MetadataLike, base: Context = context.active()): Context {
  // Without the span at once: in a handler it is the one that was made for this very call, and would be found.
  return instrumenter.extract(metadata, metadataGetter, undefined, withoutSpan(base)).parent;
}
