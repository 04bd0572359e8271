import { type Context, ROOT_CONTEXT } from "@opentelemetry/api";
import { Instrumenter, withoutSpan } from "@traceferry/core";
import { SETTINGS } from "../options.js";
import { type KafkaHeaders, kafkaGetter, withFields } from "./headers.js";

export { type HeaderValue, type KafkaHeaders, kafkaGetter, withFields } from "./headers.js";

// Uses whatever propagator is registered when a function is called.
const globalInstrumenter = new Instrumenter(SETTINGS);

/**
 * Injects a context into the headers of a record, for code of your own. Returns new headers of the same form,
 * without what an earlier trace left in them, or the given object where there is nothing to inject. Uses the
 * global propagator, with all baggage and at most 8192 bytes of ours.
 *
 * @param headers - the headers to add to. Default: none, which makes an object for kafkajs.
 * @param from - the context to inject. Default: the active one.
 */
export function injectHeaders(headers?: undefined, from?: Context): Record<string, string>;
export function injectHeaders<Headers extends KafkaHeaders>(
  headers: Headers | undefined,
  from?: Context,
): Headers;
export function injectHeaders(headers: unknown = {}, from?: Context): unknown {
  const injection = globalInstrumenter.inject(from);
  if (injection === undefined) return headers;
  try {
    return withFields(headers, injection) ?? headers;
  } catch (error) {
    globalInstrumenter.reporter.fault("inject", error);
    return headers;
  }
}

/**
 * Extracts the sender's context from the headers of a record, for code of your own: in `eachBatch`, in a stream.
 * Reads every form of headers and keys in any letter case; of a repeated key the last valid value counts. Uses
 * the global propagator, with all baggage.
 *
 * @param base - the context to put the sender's into; its own span and baggage are removed. Default: the root
 *   context.
 * @returns the base with the sender's remote span context and baggage; without a valid sender, with no span
 */
export function extractHeaders(
  headers: KafkaHeaders | null | undefined,
  base: Context = ROOT_CONTEXT,
): Context {
  // Without its span: in a handler it is the one made for this very record, and would be taken for in progress.
  return globalInstrumenter.extract(headers, kafkaGetter, undefined, withoutSpan(base)).parent;
}
