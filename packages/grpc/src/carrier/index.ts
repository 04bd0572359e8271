import { type Context, context } from "@opentelemetry/api";
import { Instrumenter, withoutSpan } from "@traceferry/core";
import { type IncomingCall, SETTINGS } from "../options.js";
import { type MetadataLike, metadataGetter, writeMetadata } from "./metadata.js";

// The package's entry point "./carrier": nothing here may import grpc-js, which its users need not have installed.
export { type MetadataLike, metadataGetter, writeMetadata };

const globalInstrumenter = new Instrumenter<IncomingCall | undefined>(SETTINGS);

/**
 * Returns a clone of the metadata that carries the trace context, written by the global propagator. Where there is
 * nothing to inject, the clone is unchanged. For calls that you make without `withClientTracing`, which does this
 * itself.
 *
 * @param from - the context to send; default the active one
 */
export function injectMetadata<M extends MetadataLike>(
  metadata: M & { clone(): M },
  from: Context = context.active(),
): M {
  const injection = globalInstrumenter.inject(from);
  return injection === undefined
    ? metadata.clone()
    : writeMetadata<M>(metadata, injection, globalInstrumenter.reporter);
}

/**
 * Extracts the sender's context from the metadata, with the global propagator. The result is `base` with the
 * sender's span context and baggage in place of its own; where there is no sender, it has neither.
 *
 * @param base - the context whose other values are kept; default the active one
 */
export function extractMetadata(metadata: MetadataLike, base: Context = context.active()): Context {
  // In a handler the active span belongs to this very call: with it in the base, it would count as in progress.
  const { parent } = globalInstrumenter.extract(
    metadata,
    metadataGetter,
    undefined,
    withoutSpan(base),
  );
  return parent;
}
